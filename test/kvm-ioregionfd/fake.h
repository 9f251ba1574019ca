/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device process as the VMM's library sees it, on a thread of the test: it answers every message,
 * notes what it got, and serves commands as it is told to.
 */
#ifndef ANYHV_TEST_KVM_FAKE_H
#define ANYHV_TEST_KVM_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_NOTES  64
#define FAKE_QUEUES 2

enum fake_mood {
    FAKE_SERVES,  /* reads give their number (from 1), in order */
    FAKE_SHORT,   /* the next answer is too short; then it serves */
    FAKE_LONG,    /* too long */
    FAKE_DIES,    /* takes the next command and hangs up; the next life serves */
    FAKE_HANGS,   /* takes commands and does nothing */
    FAKE_LINGERS, /* ends the commands, and the rest when it serves again */
    FAKE_REFUSES, /* every message but HELLO: result 1 */
    FAKE_OTHER,   /* HELLO: another version */
    FAKE_GARBAGE, /* answers messages with another request's number */
    FAKE_SILENT,  /* takes messages and does not answer; takes a command and hangs up */
    FAKE_TWICE,   /* gives the next answer twice; then it serves */
    FAKE_DROPS,   /* takes the next command and ends that socket alone; then it serves */
    FAKE_BOASTS,  /* HELLO: with features that nobody asked for */
    FAKE_DRIPS,   /* answers messages byte by byte, 5 ms each */
};

struct fake {
    char dir[64], path[96];
    int listener;
    pthread_t thread;
    int mood; /* enum fake_mood; any time */
    bool end;
    /* what came; the first FAKE_NOTES */
    pthread_mutex_t lock;
    uint8_t message[FAKE_NOTES][64];
    unsigned nfds[FAKE_NOTES], nmessages;
    uint8_t command[FAKE_NOTES][32];
    unsigned ncommands;
    unsigned lives; /* connections that came as far as START */
};

void fake_start(struct fake *f);
void fake_stop(struct fake *f);
void fake_mood(struct fake *f, enum fake_mood mood);
/* So far. */
unsigned fake_commands(struct fake *f);
unsigned fake_messages(struct fake *f);
unsigned fake_lives(struct fake *f);

#endif

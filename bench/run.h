/* SPDX-License-Identifier: Apache-2.0 */
/* One scenario with one peer: bring it up, check it, take rounds, end it. */
#ifndef ANYHV_BENCH_RUN_H
#define ANYHV_BENCH_RUN_H

#include "clock.h"
#include "peer.h"

struct run {
    const struct scenario *scenario;
    const struct peer *peer;
    struct guest guest;
    void *ctx;
};

/* What a round took, in ns per request. */
struct round {
    double device; /* inside the peer; two threads: the same as loop */
    double loop;   /* with the driver */
};

void run_start(struct run *run, const struct scenario *scenario, const struct peer *peer);
/* How often the driver was told. */
uint64_t run_stop(struct run *run);

/* Serves @batches batches in this thread. False: run->guest.fault says what went wrong. */
bool run_batches(struct run *run, unsigned batches);

/* A run of its own: laps around the ring, each byte compared, notifications counted. */
bool run_self_check(const struct scenario *scenario, const struct peer *peer, char *why,
                    size_t why_size);

/* One round; ends the program if an answer is wrong. */
struct round run_round(struct run *run, const struct clock_rate *rate);
/* The same on two cores: the device in a thread of its own. */
struct round run_round_threads(struct run *run);

/* May this process use two cores at once? */
bool run_has_two_cores(void);

/* Ends the program because of run->guest.fault. */
_Noreturn void run_fail(const struct run *run);

#endif

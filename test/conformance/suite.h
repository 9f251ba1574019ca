/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test of the conformance and hostile suites works with: one rig brought up, its rings, and
 * requests that check their own answers. Everything is torn down behind a test, passed or failed.
 *
 * Section numbers in the tests are those of VIRTIO 1.4.
 */
#ifndef ANYHV_TEST_SUITE_H
#define ANYHV_TEST_SUITE_H

#include <string.h>

#include "conformance/rig.h"
#include "testing.h"

enum suite_layout {
    SUITE_ANY,
    SUITE_SPLIT,
    SUITE_PACKED,
};

struct suite;

struct suite_test {
    const char *id; /* "split.event_idx.needs_event" */
    void (*run)(struct suite *s);
    unsigned caps; /* what the rig must have */
    enum suite_layout layout;
};

/* How the bytes of a request are cut into descriptors. */
enum io_framing {
    IO_WHOLE,    /* one descriptor for what is read, one for what is written */
    IO_SEPARATE, /* header, payload, room */
    IO_BYTES,    /* a descriptor per byte */
    IO_RANDOM,   /* at most `pieces` descriptors in each direction, cut anywhere by seed */
    IO_ZEROES,   /* as SEPARATE, with descriptors of length 0 before, between and behind */
};

enum io_shape {
    IO_DIRECT,
    IO_INDIRECT,
    IO_MIXED, /* split: `direct` descriptors, then a table */
};

/* One command to the test device, and what came of it. */
struct io {
    unsigned queue;
    enum test_op op;
    uint32_t arg;
    uint64_t seed;
    uint32_t payload; /* readable bytes behind the header */
    uint32_t room;    /* writable bytes */
    enum io_framing framing;
    unsigned pieces;
    enum io_shape shape;
    unsigned direct;
    /* filled in */
    uint64_t out, in; /* guest addresses */
    int id;
    bool used;
    uint32_t len;
    unsigned turn; /* the how manieth answer it was */
};

#define SUITE_IOS 8192

struct suite {
    struct rig *rig;
    const struct suite_test *test;
    struct drv_transport *t;
    struct drv_mem *mem;
    struct drv_ring ring[TEST_QUEUES];
    struct drv_slot *slots[TEST_QUEUES];
    struct drv_buf *bufs;
    struct io *ios;
    unsigned nios, turns;
    uint64_t mark;   /* of the allocator, before the first request */
    uint64_t random; /* seeded anew for every test */
    /* Called first when the test ends, also when it failed: for threads of its own. */
    void (*end)(struct suite *s);
    void *end_arg;
};

struct suite_setup {
    struct rig_options options;
    uint64_t features; /* added to the rig's */
    uint64_t without;  /* and taken away */
    uint16_t size;     /* of each queue, 0: 64 */
    uint16_t tables;   /* entries per indirect table, 0: 40 */
    bool not_ready;    /* everything but DRIVER_OK */
    bool no_queues;
};

/* ---- Bringing the device up ---- */

/* Starts the rig: nothing negotiated. */
void suite_start(struct suite *s, const struct rig_options *options);
/* Negotiation, rings and DRIVER_OK, as often as wanted. The features must be taken. */
void suite_negotiate(struct suite *s, const struct suite_setup *setup);
/* All of it. */
void suite_up(struct suite *s, const struct suite_setup *setup);
/* Reset, and up again with fresh rings. */
void suite_again(struct suite *s, const struct suite_setup *setup);
/* Makes the ring of @queue anew (fresh addresses) as the features say; does not tell the device. */
void suite_ring(struct suite *s, unsigned queue, uint16_t size, uint16_t tables);

static inline bool suite_packed(const struct suite *s)
{
    return (s->rig->features & DRV_F_PACKED) != 0;
}

static inline bool suite_has(const struct suite *s, unsigned cap)
{
    return (s->rig->caps & cap) != 0;
}

/* Let the device do what it has to; then nothing more will happen. */
void suite_settle(struct suite *s);
/* Settles; was there an interrupt since the last look? */
bool suite_interrupted(struct suite *s, int queue);
uint64_t suite_random(struct suite *s); /* same numbers on every run */
uint32_t suite_below(struct suite *s, uint32_t limit);
/* RIG_COUNTERS */
uint32_t suite_violations(struct suite *s, enum anyhv_violation v);
struct anyhv_queue_counters suite_counters(struct suite *s, unsigned queue);

/* ---- Requests ---- */

/* Lays it out and puts it in the ring; not published. Fails the test if there is no room. */
struct io *io_add(struct suite *s, const struct io *what);
/* NULL if there is no room. */
struct io *io_try(struct suite *s, const struct io *what);
/* io_add, publish, notify if wanted. */
struct io *io_send(struct suite *s, const struct io *what);
/* Publishes and notifies if wanted. */
void io_submit(struct suite *s, unsigned queue);
/* Takes answers that are there; how many. Each is checked as io_check does. */
unsigned io_collect(struct suite *s, unsigned queue);
/* Waits for the answer to @io, or for all of a queue; the test fails if it does not come. */
#define io_wait(s, io) io_wait_at(s, io, __FILE__, __LINE__)
void io_wait_at(struct suite *s, const struct io *io, const char *file, int line);
#define io_drain(s, queue) io_drain_at(s, queue, __FILE__, __LINE__)
void io_drain_at(struct suite *s, unsigned queue, const char *file, int line);
/* io_send and io_wait. */
#define io_do(s, ...) io_do_at(s, &(struct io)__VA_ARGS__, __FILE__, __LINE__)
struct io *io_do_at(struct suite *s, const struct io *what, const char *file, int line);
/* Settles; none of the requests of @queue has been answered. */
#define io_none(s, queue) io_none_at(s, queue, __FILE__, __LINE__)
void io_none_at(struct suite *s, unsigned queue, const char *file, int line);
/* The answer's bytes. */
const uint8_t *io_bytes(struct suite *s, const struct io *io);
uint64_t io_word(struct suite *s, const struct io *io, unsigned index);
/* Neither the buffers nor what is around them was touched. */
void io_untouched(struct suite *s, const struct io *io);
/* TEST_INFO, through queue @queue. */
uint64_t io_info(struct suite *s, unsigned queue, enum test_info word);
/* A request of everyday life on @queue works. */
void io_alive(struct suite *s, unsigned queue);
/* The readable bytes of @io: for tests that lay out descriptors by themselves. */
void io_layout(struct suite *s, struct io *io);
/* Forgets all requests and gives their memory back: nothing may be in flight. */
void io_recycle(struct suite *s);

/* ---- Running ---- */

/* Prints how many tests @rig cannot run, and for want of which caps. */
void suite_left_out(const struct rig *rig, const struct suite_test *const *lists);
/* One cmocka group over all rigs; @lists ends with NULL, each list with a NULL id. */
int suite_main(const char *group, struct rig *rigs, unsigned count,
               const struct suite_test *const *lists, int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of many shapes on one ring, each with words of its own, and a check of every answer: it
 * comes once, has the length it must have, and the bytes of its own request.
 */
#ifndef ANYHV_TEST_WORKLOAD_H
#define ANYHV_TEST_WORKLOAD_H

#include "vhost-user/harness.h"
#include "vhost-user/moving.h"

#define WORK_JOBS 64

struct work_job {
    bool busy;
    uint8_t op;
    uint32_t number, in_len;
    uint64_t at; /* its bytes in guest memory */
};

struct workload {
    struct frontend *fe;
    unsigned ring;
    uint64_t random;
    unsigned indirect; /* of 4 requests, those that have an indirect table */
    struct work_job job[WORK_JOBS];
    uint32_t submitted, answered;
};

/* Of everything that makes a ring: what the driver wants. */
struct work_ring {
    const char *name;
    uint64_t features;
    uint16_t size;
    uint32_t base; /* where it begins */
};

/* The kinds that are worth it. */
extern const struct work_ring work_rings[];
extern const unsigned work_ring_count;

/* Memory, ring 0 of @ring's kind and the room for its jobs; nobody is connected yet. */
void work_init(struct workload *w, struct frontend *fe, const struct work_ring *ring,
               uint64_t seed);
/*
 * From a new connection to a running ring with the in-flight area @in (fd -1: one is fetched; NULL:
 * without). Where the ring is by now only the area knows: the back end is told where it began.
 */
bool work_connect(struct workload *w, const struct work_ring *ring, struct fe_inflight *in);
uint32_t work_random(struct workload *w, uint32_t below);
/* One request of a random shape, not yet kicked. False: no room. */
bool work_submit(struct workload *w, enum probe_op op);
/* Takes and checks what is there; how many. */
unsigned work_collect(struct workload *w);
/* Until all is answered; each answer has to be announced. */
void work_drain(struct workload *w);

#endif

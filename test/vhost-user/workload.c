/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/workload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 5000

/* The bytes of one job. */
enum {
    OUT_AT = 0,
    OUT_LEN = 24, /* op, arg, and 16 bytes to come back */
    IN_AT = 32,
    IN_MAX = 32,
    TABLE_AT = 64,
    JOB_BYTES = 192,
    HEADER = 8,
    ECHO_LEN = OUT_LEN - HEADER,
    UNTOUCHED = 0xee,
    PAGE = 4096,
};

const struct work_ring work_rings[] = {
    {"split", 0, 64, 0},
    {"split, event index, indirect, wraps", DRV_F_EVENT_IDX | DRV_F_INDIRECT, 16, 0xfff8},
    {"packed", DRV_F_PACKED, 61, 0x80008000},
    {"packed, event index", DRV_F_PACKED | DRV_F_EVENT_IDX, 64, 0x80008000},
    {"packed, event index, indirect", DRV_F_PACKED | DRV_F_EVENT_IDX | DRV_F_INDIRECT, 13,
     0x80008000},
};
const unsigned work_ring_count = sizeof(work_rings) / sizeof(work_rings[0]);

uint32_t work_random(struct workload *w, uint32_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)(w->random >> 20) % below;
}

/* A split ring that has been used for a long time: both indices are at @index. */
static void age(struct drv_ring *ring, uint16_t index)
{
    ring->next_avail = ring->last_used = index;
    drv_split_set_idx(ring, index);
    drv_poke16(ring->mem, ring->device + 2, index);
}

/* Each job has bytes of its own for the whole test. */
void work_init(struct workload *w, struct frontend *fe, const struct work_ring *ring, uint64_t seed)
{
    *w = (struct workload){.fe = fe, .random = seed | 1};
    w->indirect = ring->features & DRV_F_INDIRECT ? 2 : 0;
    assert_true(fe_memory_new(fe, 0x8000));
    assert_true(fe_ring_new(fe, 0, ring->size, ring->features & DRV_F_PACKED));
    fe->ring[0].ring.event_idx = ring->features & DRV_F_EVENT_IDX;
    if (!fe->ring[0].ring.packed)
        age(&fe->ring[0].ring, (uint16_t)ring->base);
    fe->mem.used = (fe->mem.used + PAGE - 1) / PAGE * PAGE; /* none shares a page with the ring */
    for (unsigned i = 0; i < WORK_JOBS; i++) {
        w->job[i].at = drv_alloc(&fe->mem, JOB_BYTES, 16);
        assert_true(w->job[i].at != DRV_NO_ADDR);
    }
}

bool work_connect(struct workload *w, const struct work_ring *ring, struct fe_inflight *in)
{
    struct frontend *fe = w->fe;
    uint64_t features = ring->features | DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES;

    if (!fe_hello(fe, FE_P_ALL) || fe_u64(fe, FE_SET_FEATURES, features))
        return false;
    if (in && in->fd < 0 && fe_inflight_get(fe, 1, ring->size, in))
        return false;
    return fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK) == 0 && fe_memory_send(fe) &&
           (!in || fe_inflight_send(fe, in) == 0) && fe_ring_send(fe, w->ring, ring->base) &&
           fe_state(fe, FE_SET_VRING_ENABLE, w->ring, 1) == 0 &&
           fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK | DRV_S_DRIVER_OK) == 0;
}

/* ---- requests ---- */

/* Cuts @len bytes at @at into up to three pieces. */
static unsigned cut(struct workload *w, struct drv_buf *bufs, uint64_t at, uint32_t len)
{
    unsigned n = 0;

    while (len) {
        uint32_t piece = n == 2 ? len : 1 + work_random(w, len);

        bufs[n++] = (struct drv_buf){at, piece};
        at += piece;
        len -= piece;
    }
    return n;
}

static void fill(struct workload *w, struct work_job *job, enum probe_op op)
{
    uint8_t *bytes = drv_ptr(&w->fe->mem, job->at, JOB_BYTES);
    uint32_t words[OUT_LEN / 4];

    job->op = (uint8_t)op;
    job->number = w->submitted;
    job->in_len = ECHO_LEN + work_random(w, IN_MAX - ECHO_LEN + 1);
    words[0] = op;
    for (unsigned i = 1; i < OUT_LEN / 4; i++)
        words[i] = job->number * 2654435761u + i;
    memcpy(bytes + OUT_AT, words, OUT_LEN);
    memset(bytes + IN_AT, UNTOUCHED, IN_MAX);
}

bool work_submit(struct workload *w, enum probe_op op)
{
    struct drv_ring *ring = &w->fe->ring[w->ring].ring;
    struct drv_buf out[3], in[3];
    struct work_job *job;
    struct drv_chain chain;
    unsigned i = 0;

    while (i < WORK_JOBS && w->job[i].busy)
        i++;
    if (i == WORK_JOBS)
        return false;
    job = &w->job[i];
    fill(w, job, op);
    chain = (struct drv_chain){.out = out,
                               .in = in,
                               .nout = cut(w, out, job->at + OUT_AT, OUT_LEN),
                               .nin = cut(w, in, job->at + IN_AT, job->in_len),
                               .direct = DRV_DIRECT,
                               .token = i};
    if (work_random(w, 4) < w->indirect) {
        chain.direct = 0;
        chain.table = job->at + TABLE_AT;
    }
    if (drv_ring_add(ring, &chain) < 0)
        return false;
    drv_ring_publish(ring);
    job->busy = true;
    w->submitted++;
    return true;
}

/* ---- answers ---- */

static bool echoes(uint8_t op)
{
    return op == PROBE_ECHO || op == PROBE_HOLD || op == PROBE_LATER || op == PROBE_RETURN;
}

static void check(struct workload *w, const struct drv_used *used)
{
    struct work_job *job = &w->job[used->token];
    const uint8_t *bytes = drv_ptr(&w->fe->mem, job->at, JOB_BYTES);
    uint32_t len = echoes(job->op) ? ECHO_LEN : 0;

    assert_true(used->token < WORK_JOBS && job->busy);
    if (used->len != len)
        print_error("request %u, op %u\n", job->number, job->op);
    assert_int_equal(used->len, len);
    assert_memory_equal(bytes + IN_AT, bytes + OUT_AT + HEADER, len);
    for (uint32_t i = len; i < IN_MAX; i++)
        assert_int_equal(bytes[IN_AT + i], UNTOUCHED);
    job->busy = false;
    w->answered++;
}

unsigned work_collect(struct workload *w)
{
    struct drv_ring *ring = &w->fe->ring[w->ring].ring;
    struct drv_used used;
    unsigned count = 0;

    for (; drv_ring_get(ring, &used); count++)
        check(w, &used);
    assert_int_equal(ring->fault, DRV_FAULT_NONE);
    assert_int_equal(ring->inflight, w->submitted - w->answered);
    return count;
}

void work_drain(struct workload *w)
{
    struct drv_used used;

    work_collect(w);
    while (w->answered != w->submitted) {
        if (!fe_wait_used(w->fe, w->ring, &used, ANSWER_MS))
            fail_msg("%u of %u requests were not answered", w->submitted - w->answered,
                     w->submitted);
        check(w, &used);
    }
    work_collect(w);
}

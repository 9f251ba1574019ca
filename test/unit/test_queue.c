/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's life: what start refuses, stop and its word, pause, memory that comes and goes,
 * breaking. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define PACKED (&(struct bench_options){.features = DRV_F_PACKED})

static void ready_to_start(struct bench *b, const struct bench_options *options)
{
    bench_attach(b, options);
    bench_negotiate(b);
    bench_ring(b, 0);
    bench_ring(b, 1);
}

/* Refused with @rc, counted as @v, told to the driver; and a reset makes it good. */
static void expect_refused(struct bench *b, unsigned queue, const struct anyhv_queue_setup *setup,
                           int rc, enum anyhv_violation v)
{
    uint32_t before = b->dev->violations[v];

    bench_violation.count = 0;
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_queue_start(b->dev, queue, setup), rc);
    bench_expect_trace(b, ""); /* nobody hears of a change */
    assert_int_equal(bench_violation.count, 1);
    assert_int_equal(bench_violation.v, v);
    assert_int_equal(bench_violation.a, queue);
    assert_int_equal(b->dev->violations[v], before + 1);
    assert_true(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    anyhv_ctl_set_status(b->dev, 0);
    assert_int_equal(anyhv_ctl_status(b->dev), 0);
    bench_negotiate(b);
}

static void refuses(struct bench *b, const struct anyhv_queue_setup *setup, int rc,
                    enum anyhv_violation v)
{
    expect_refused(b, 0, setup, rc, v);
    assert_false(anyhv_ctl_queue_started(b->dev, 0));
}

static void split_sizes(void **state)
{
    static const uint16_t bad[] = {0, 3, 5, 63, 65, 128, 32768, 65535};
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, NULL);
    setup = bench_queue_setup(b, 0, ANYHV_BASE_SPLIT);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup.size = bad[i];
        refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_SIZE);
        assert_int_equal(bench_violation.b, bad[i]);
    }
    for (setup.size = 1; setup.size <= BENCH_MAX_SIZE; setup.size *= 2) {
        assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
    }
}

static void packed_sizes_and_positions(void **state)
{
    static const uint32_t bad[] = {17, 0x7fff, 17u << 16, 0x7fffu << 16, 0x80118000, 0x80008011};
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, PACKED);
    setup = bench_queue_setup(b, 0, 0);
    for (setup.size = 1; setup.size <= BENCH_MAX_SIZE; setup.size++) {
        assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
    }
    refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_SIZE); /* one above the largest */
    setup.size = 0;
    refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_SIZE);
    setup.size = 17;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup.base = bad[i];
        refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_BASE);
        assert_int_equal(bench_violation.b, bad[i]);
    }
    setup.base = 0x80108010;
    assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
}

static void a_split_index_has_16_bits(void **state)
{
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, NULL);
    setup = bench_queue_setup(b, 0, 0x10000);
    refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_BASE);
    setup.base = 0x80008000;
    refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_BASE);
    setup.base = 0xffff; /* free running: beyond the size is no fault */
    assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
}

static uint64_t *area(struct anyhv_queue_setup *setup, unsigned i)
{
    return i == 0 ? &setup->desc : i == 1 ? &setup->driver : &setup->device;
}

static void areas_have_their_alignment(struct bench *b, const struct bench_options *options,
                                       const uint8_t align[3])
{
    struct anyhv_queue_setup good, setup;

    ready_to_start(b, options);
    good = bench_queue_setup(b, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned off = 1; off < 16; off++) {
            setup = good;
            *area(&setup, i) = bench_alloc(b, 2048) + off;
            if (off % align[i]) {
                refuses(b, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_ALIGN);
                assert_int_equal(bench_violation.b, *area(&setup, i));
            } else {
                assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
                anyhv_ctl_queue_stop(b->dev, 0, false, NULL);
            }
        }
    }
}

/* Proves SPLIT-AREAS. */
static void split_areas_have_their_alignment(void **state)
{
    areas_have_their_alignment(*state, NULL, (const uint8_t[]){16, 2, 4});
}

/* Proves PACKED-AREAS. */
static void packed_areas_have_their_alignment(void **state)
{
    areas_have_their_alignment(*state, PACKED, (const uint8_t[]){16, 4, 4});
}

static void areas_are_in_memory_to_the_last_byte(struct bench *b,
                                                 const struct bench_options *options,
                                                 const uint32_t bytes[3])
{
    struct anyhv_queue_setup good, setup;

    ready_to_start(b, options);
    good = bench_queue_setup(b, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t bad[] = {BENCH_NOWHERE, 0, UINT64_MAX & ~UINT64_C(15),
                                       BENCH_BASE - 16};

        for (unsigned k = 0; k < 4; k++) {
            setup = good;
            *area(&setup, i) = bad[k];
            refuses(b, &setup, ANYHV_E_BADADDR, ANYHV_V_QUEUE_MEMORY);
            assert_int_equal(bench_violation.b, bad[k]);
        }
        *area(&setup, i) = BENCH_NOWHERE - bytes[i];
        *area(&setup, i) &= ~UINT64_C(15); /* the last place that holds it */
        assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
        anyhv_ctl_queue_stop(b->dev, 0, false, NULL);
        *area(&setup, i) += 16;
        refuses(b, &setup, ANYHV_E_BADADDR, ANYHV_V_QUEUE_MEMORY);
    }
}

static void split_areas_are_in_memory_to_the_last_byte(void **state)
{
    areas_are_in_memory_to_the_last_byte(*state, NULL,
                                         (const uint32_t[]){16 * 16, 6 + 2 * 16, 6 + 8 * 16});
}

static void packed_areas_are_in_memory_to_the_last_byte(void **state)
{
    areas_are_in_memory_to_the_last_byte(*state, PACKED, (const uint32_t[]){16 * 16, 4, 4});
}

/* An area of a ring may not lie in two regions, adjacent or not. */
static void an_area_lies_in_one_region(void **state)
{
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, &(struct bench_options){.regions = 64});
    for (unsigned i = 0; i < 3; i++) {
        setup = bench_queue_setup(b, 0, 0);
        *area(&setup, i) = BENCH_BASE + 5 * (BENCH_RAM / 64) - 16;
        refuses(b, &setup, ANYHV_E_BADADDR, ANYHV_V_QUEUE_MEMORY);
    }
}

/* The permission that an area needs; @need[i] of region i, in which area i lies. */
static void areas_need(struct bench *b, const struct bench_options *options, const unsigned need[3])
{
    uint64_t size = BENCH_RAM / 4;
    struct anyhv_region regions[3];
    struct anyhv_queue_setup setup = {.size = 16};

    ready_to_start(b, options);
    for (unsigned i = 0; i < 3; i++) {
        *area(&setup, i) = BENCH_BASE + i * size;
        regions[i] = (struct anyhv_region){*area(&setup, i), size, b->ram + i * size, need[i]};
    }
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned perm = 0; perm <= (ANYHV_R | ANYHV_W); perm++) {
            regions[i].perm = perm;
            assert_int_equal(anyhv_mem_replace(&b->lb.mem, regions, 3), ANYHV_OK);
            if ((perm & need[i]) != need[i]) {
                refuses(b, &setup, ANYHV_E_PERM, ANYHV_V_QUEUE_MEMORY);
                continue;
            }
            assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
            anyhv_ctl_queue_stop(b->dev, 0, false, NULL);
        }
        regions[i].perm = need[i];
    }
}

static void split_areas_need_permission(void **state)
{
    areas_need(*state, NULL, (const unsigned[]){ANYHV_R, ANYHV_R, ANYHV_W});
}

static void packed_areas_need_permission(void **state)
{
    areas_need(*state, PACKED, (const unsigned[]){ANYHV_R | ANYHV_W, ANYHV_R, ANYHV_W});
}

/* A host pointer off the alignment that the guest's address has would make our loads fault. */
static void a_misaligned_host_pointer_is_no_ring(void **state)
{
    struct bench *b = *state;
    struct anyhv_region region = {BENCH_BASE, BENCH_RAM / 2, NULL, ANYHV_R | ANYHV_W};
    struct anyhv_queue_setup setup;

    ready_to_start(b, NULL);
    setup = bench_queue_setup(b, 0, 0);
    for (unsigned off = 1; off < 16; off++) {
        region.host = b->ram + off;
        assert_int_equal(anyhv_mem_replace(&b->lb.mem, &region, 1), ANYHV_OK);
        refuses(b, &setup, ANYHV_E_BADADDR, ANYHV_V_QUEUE_MEMORY);
    }
}

/* @after maps succeed, the next gives @result. */
static int start_with_fault(struct bench *b, uint32_t after, int result)
{
    b->lb.faults = (struct anyhv_loopback_faults){.after = after, .result = result, .count = 1};
    return bench_start(b, 0, 0);
}

static void maps_that_cannot_be_had_are_given_back(void **state)
{
    struct bench *b = *state;

    ready_to_start(b, &(struct bench_options){.bounce = true});
    for (unsigned i = 0; i < 3; i++) {
        /* The driver's fault, */
        bench_violation.count = 0;
        assert_int_equal(start_with_fault(b, i, ANYHV_E_PERM), ANYHV_E_PERM);
        assert_int_equal(bench_violation.v, ANYHV_V_QUEUE_MEMORY);
        assert_int_equal(bench_violation.count, 1);
        assert_true(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET);
        assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
        bench_negotiate(b);
        /* and ours. */
        assert_int_equal(start_with_fault(b, i, ANYHV_E_NORES), ANYHV_E_NORES);
        assert_int_equal(bench_violation.count, 1);
        assert_false(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET);
        assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
        assert_false(anyhv_ctl_queue_started(b->dev, 0));
    }
    assert_int_equal(b->lb.seen.maps, 2 * (1 + 2));
    assert_int_equal(bench_start(b, 0, 0), ANYHV_OK);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 3);
}

static void the_moment_must_be_right(void **state)
{
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, NULL);
    setup = bench_queue_setup(b, 0, 0);
    expect_refused(b, BENCH_QUEUES, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_SIZE);
    expect_refused(b, UINT32_MAX, &setup, ANYHV_E_INVAL, ANYHV_V_QUEUE_SIZE);
    anyhv_ctl_set_status(b->dev, 0);
    refuses(b, &setup, ANYHV_E_STATE, ANYHV_V_QUEUE_STATE);
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_queue_start(b->dev, 0, &setup), ANYHV_OK);
    bench_expect_trace(b, "changed:0 ");
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    expect_refused(b, 0, &setup, ANYHV_E_STATE, ANYHV_V_QUEUE_STATE); /* it runs already */
    assert_false(anyhv_ctl_queue_started(b->dev, 0));                 /* that was the reset */
    anyhv_ctl_lost(b->dev);
    refuses(b, &setup, ANYHV_E_STATE, ANYHV_V_QUEUE_STATE);
}

static void a_refusal_disturbs_nobody_else(void **state)
{
    struct bench *b = *state;
    struct anyhv_queue_setup setup;

    ready_to_start(b, NULL);
    assert_int_equal(bench_start(b, 0, 0), ANYHV_OK);
    setup = bench_queue_setup(b, 1, 0);
    setup.size = 3;
    assert_int_equal(anyhv_ctl_queue_start(b->dev, 1, &setup), ANYHV_E_INVAL);
    bench_driver_ok(b);
    anyhv_req_done(bench_held(b, 8, 8));
    bench_run(b);
    assert_true(drv_ring_pending(&b->ring[0]));
    assert_false(anyhv_ctl_queue_started(b->dev, 1));
    setup.size = 16; /* NEEDS_RESET is a request, not a lock */
    assert_int_equal(anyhv_ctl_queue_start(b->dev, 1, &setup), ANYHV_OK);
}

/* ---- the word that says where to go on ---- */

static void a_split_ring_starts_and_stops_anywhere(void **state)
{
    static const uint16_t from[] = {0, 1, 15, 16, 1000, 0x7fff, 0xfff0, 0xffff};
    struct bench *b = *state;
    uint32_t base;

    b->on_request = bench_answer;
    ready_to_start(b, NULL);
    bench_driver_ok(b);
    for (unsigned i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        struct drv_ring *ring = &b->ring[0];

        drv_ring_reset(ring);
        ring->last_used = from[i];
        drv_split_set_idx(ring, from[i]);
        drv_poke16(&b->mem, ring->device + 2, from[i]); /* where the device before us was */
        assert_int_equal(bench_start(b, 0, from[i]), ANYHV_OK);
        assert_int_equal(b->dev->state->queue[0].next_avail, from[i]); /* for a successor */
        assert_int_equal(b->dev->state->queue[0].next_used, from[i]);
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
        assert_int_equal(base, from[i]);
        assert_int_equal(bench_start(b, 0, base), ANYHV_OK);
        for (unsigned k = 0; k < 20; k++) {
            uint64_t token = bench_put(b, 0, 8, 0);

            bench_kick(b, 0);
            bench_expect(b, 0, token, 0);
        }
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
        assert_int_equal(base, (uint16_t)(from[i] + 20));
        assert_int_equal(drv_split_used_idx(ring), (uint16_t)(from[i] + 20));
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, &base), ANYHV_OK);
        assert_int_equal(base, ANYHV_BASE_SPLIT); /* that one forgets everything */
    }
}

static void a_packed_ring_starts_and_stops_anywhere(void **state)
{
    struct bench *b = *state;
    struct drv_ring *ring = &b->ring[0];
    uint32_t base, word;

    b->on_request = bench_answer;
    ready_to_start(b, &(struct bench_options){.features = DRV_F_PACKED, .size = 5});
    bench_driver_ok(b);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, ANYHV_BASE_PACKED); /* never set up */
    for (unsigned from = 0; from < 10; from++) {
        unsigned at = from % 5, wrap = from < 5;

        drv_ring_reset(ring);
        for (uint16_t i = 0; i < 5; i++) /* used up in the laps before */
            drv_packed_desc(&b->mem, ring->desc, i, 0, 0, 0,
                            wrap == (i < at) ? DRV_DESC_AVAIL | DRV_DESC_USED : 0);
        ring->next_avail = ring->last_used = (uint16_t)at;
        ring->avail_wrap = ring->used_wrap = wrap;
        word = (at | wrap << 15) * 0x10001u;
        assert_int_equal(bench_start(b, 0, word), ANYHV_OK);
        for (unsigned k = 1; k <= 12; k++) {
            uint64_t token = bench_put(b, 0, 8, 0);

            bench_kick(b, 0);
            bench_expect(b, 0, token, 0);
            at = (at + 1) % 5;
            wrap ^= at == 0;
            assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
            assert_int_equal(base, (at | wrap << 15) * 0x10001u);
            assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &word), ANYHV_OK);
            assert_int_equal(word, base); /* a stopped queue says it again */
            assert_int_equal(bench_start(b, 0, base), ANYHV_OK);
        }
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, &base), ANYHV_OK);
        assert_int_equal(base, ANYHV_BASE_PACKED);
    }
}

static void a_queue_that_does_not_exist_cannot_be_stopped(void **state)
{
    struct bench *b = *state;
    uint32_t base = 7;

    ready_to_start(b, NULL);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, BENCH_QUEUES, false, &base), ANYHV_E_INVAL);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, UINT32_MAX, true, &base), ANYHV_E_INVAL);
    assert_int_equal(base, 7);
    anyhv_ctl_queue_pause(b->dev, BENCH_QUEUES, true);
    assert_false(anyhv_ctl_queue_started(b->dev, BENCH_QUEUES));
    assert_false(anyhv_ctl_queue_broken(b->dev, BENCH_QUEUES));
    assert_null(anyhv_ctl_counters(b->dev, BENCH_QUEUES));
    assert_int_equal(anyhv_ctl_queue_max(b->dev, BENCH_QUEUES), 0);
    assert_int_equal(anyhv_ctl_queue_max(b->dev, 1), BENCH_MAX_SIZE);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(split_sizes),
    BENCH_TEST(packed_sizes_and_positions),
    BENCH_TEST(a_split_index_has_16_bits),
    BENCH_TEST(split_areas_have_their_alignment),
    BENCH_TEST(packed_areas_have_their_alignment),
    BENCH_TEST(split_areas_are_in_memory_to_the_last_byte),
    BENCH_TEST(packed_areas_are_in_memory_to_the_last_byte),
    BENCH_TEST(an_area_lies_in_one_region),
    BENCH_TEST(split_areas_need_permission),
    BENCH_TEST(packed_areas_need_permission),
    BENCH_TEST(a_misaligned_host_pointer_is_no_ring),
    BENCH_TEST(maps_that_cannot_be_had_are_given_back),
    BENCH_TEST(the_moment_must_be_right),
    BENCH_TEST(a_refusal_disturbs_nobody_else),
    BENCH_TEST(a_split_ring_starts_and_stops_anywhere),
    BENCH_TEST(a_packed_ring_starts_and_stops_anywhere),
    BENCH_TEST(a_queue_that_does_not_exist_cannot_be_stopped),
};

ANYHV_TEST_MAIN("queue", tests)

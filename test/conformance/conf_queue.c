/* SPDX-License-Identifier: Apache-2.0 */
/* Queues as such: sizes, set-up, reset of one queue. Sections 2.6 and 2.6.1. */
#include "conformance/suite.h"

static void do_laps(struct suite *s, unsigned queue, unsigned requests)
{
    for (unsigned i = 0; i < requests; i++) {
        uint32_t n = i % 50;

        io_recycle(s);
        io_do(s, {.queue = queue,
                  .op = TEST_ECHO,
                  .seed = i,
                  .payload = n,
                  .room = n,
                  .shape = s->t->features & DRV_F_INDIRECT ? IO_INDIRECT : IO_DIRECT});
    }
}

/* A ring of one slot: header only, so that one descriptor is the whole chain. */
static void do_single_laps(struct suite *s, unsigned queue, unsigned requests)
{
    for (unsigned i = 0; i < requests; i++) {
        io_recycle(s);
        io_do(s, {.queue = queue, .op = TEST_ECHO, .seed = i, .payload = i % 9});
    }
}

/* 4.2.2 QueueSizeMax: 0 for a queue that does not exist. Proves MMIO-QUEUE-MAX. */
static void max_offered(struct suite *s)
{
    static const unsigned absent[] = {TEST_QUEUES, 4, 64, 255, 256, 0xffff};

    suite_start(s, NULL);
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++)
        assert_int_equal(s->t->ops->queue_max(s->t, queue), TEST_QUEUE_SIZE);
    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_int_equal(s->t->ops->queue_max(s->t, absent[i]), 0);
}

static void size_one(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 1});
    do_single_laps(s, TEST_QUEUE_A, 20);
    do_single_laps(s, TEST_QUEUE_B, 3);
    if (s->t->features & DRV_F_INDIRECT)
        do_laps(s, TEST_QUEUE_A, 20);
}

/* 2.7: a power of two, up to what is offered. Proves SPLIT-SIZES, MMIO-QUEUE-SIZE. */
static void every_power(struct suite *s)
{
    suite_start(s, NULL);
    for (uint16_t size = 2; size <= TEST_QUEUE_SIZE; size = (uint16_t)(size * 2)) {
        suite_again(s, &(struct suite_setup){.size = size});
        do_laps(s, TEST_QUEUE_A, size + 5u);
    }
}

/* 2.8.10.1: a packed ring may have any size. Proves PACKED-SIZES, MMIO-QUEUE-SIZE. */
static void every_packed_size(struct suite *s)
{
    static const uint16_t sizes[] = {2, 3, 5, 7, 31, 100, 255, 256};

    suite_start(s, NULL);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        suite_again(s, &(struct suite_setup){.size = sizes[i]});
        do_laps(s, TEST_QUEUE_A, 3u * sizes[i]);
    }
}

/* 2.7, 2.8: 32768 is the largest; all of it in flight at once. Proves SPLIT-SIZES, PACKED-SIZES. */
static void largest(struct suite *s)
{
    struct suite_setup setup = {
        .options.variant = TEST_LARGE,
        .without = DRV_F_INDIRECT,
        .no_queues = true,
        .not_ready = true,
    };
    struct drv_ring *ring = &s->ring[TEST_QUEUE_A];
    struct drv_used used;
    unsigned answers = 0;
    uint64_t out;

    suite_up(s, &setup);
    assert_int_equal(s->t->ops->queue_max(s->t, TEST_QUEUE_A), 32768);
    suite_ring(s, TEST_QUEUE_A, 32768, 0);
    assert_true(drv_queue_setup(s->t, TEST_QUEUE_A, ring));
    drv_ready(s->t);
    out = drv_alloc(s->mem, TEST_HEADER, 8);
    drv_poke32(s->mem, out, TEST_ECHO);
    for (unsigned lap = 0; lap < 2; lap++) {
        struct drv_buf buf = {out, TEST_HEADER};
        struct drv_chain chain = {.out = &buf, .nout = 1, .direct = DRV_DIRECT};

        for (unsigned i = 0; i < 32768; i++) {
            chain.token = i;
            assert_true(drv_ring_add(ring, &chain) >= 0);
        }
        assert_int_equal(drv_ring_add(ring, &chain), -1);
        drv_submit(s->t, TEST_QUEUE_A, ring);
        for (unsigned i = 0; answers < 32768 * (lap + 1) && i < 200; i++) {
            s->rig->ops->wait(s->rig, TEST_QUEUE_A, 50);
            while (drv_ring_get(ring, &used))
                answers++;
        }
        assert_int_equal(answers, 32768 * (lap + 1));
        assert_int_equal(ring->fault, DRV_FAULT_NONE);
    }
}

/* A size that cannot be is not taken, and shows. Proves SPLIT-SIZES, PACKED-SIZES. */
static void size_refused(struct suite *s)
{
    static const uint16_t split[] = {0, 3, 12, 255, 512, 0x8000, 0xffff};
    static const uint16_t packed[] = {0, 257, 512, 0x8000, 0xffff};
    const uint16_t *sizes = suite_packed(s) ? packed : split;
    unsigned n = suite_packed(s) ? 5 : 7;

    suite_start(s, NULL);
    for (unsigned i = 0; i < n; i++) {
        struct drv_queue_setup setup = {.size = sizes[i]};

        suite_again(s, &(struct suite_setup){.no_queues = true, .not_ready = true});
        setup.desc = drv_alloc(s->mem, 1 << 20, 4096);
        setup.driver = drv_alloc(s->mem, 1 << 18, 4096);
        setup.device = drv_alloc(s->mem, 1 << 20, 4096);
        assert_false(s->t->ops->queue_setup(s->t, TEST_QUEUE_A, &setup));
        if (suite_has(s, RIG_STATUS))
            assert_true(s->t->ops->status(s->t) & DRV_S_NEEDS_RESET);
    }
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
}

/* A driver need not use all queues. */
static void only_one(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.no_queues = true, .not_ready = true});
    suite_ring(s, TEST_QUEUE_B, 16, 16);
    assert_true(drv_queue_setup(s->t, TEST_QUEUE_B, &s->ring[TEST_QUEUE_B]));
    s->mark = s->mem->used;
    drv_ready(s->t);
    do_laps(s, TEST_QUEUE_B, 40);
    io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_EVENTS, .arg = 3});
}

/* DRIVER_OK without any queue is odd and harmless. */
static void none(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.no_queues = true});
    suite_settle(s);
    if (suite_has(s, RIG_STATUS))
        assert_true(s->t->ops->status(s->t) & DRV_S_DRIVER_OK);
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
}

/* Two queues do not know of each other. */
static void independent(struct suite *s)
{
    struct io *held[4];

    suite_up(s, &(struct suite_setup){.size = 16});
    for (unsigned i = 0; i < 4; i++)
        held[i] = io_send(
            s, &(struct io){
                   .queue = TEST_QUEUE_A, .op = TEST_HOLD, .seed = i, .payload = 40, .room = 40});
    for (unsigned i = 0; i < 40; i++)
        io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_ECHO, .seed = i, .payload = i, .room = i});
    io_none(s, TEST_QUEUE_A);
    io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_RELEASE, .arg = 3});
    for (unsigned i = 0; i < 3; i++)
        io_wait(s, held[i]);
    io_none(s, TEST_QUEUE_A);
    io_do(s, {.queue = TEST_QUEUE_A, .op = TEST_RELEASE});
    io_wait(s, held[3]);
}

/*
 * 2.7.13.3, 2.8.12: several chains behind one update; all are served, in the order of the ring.
 * Proves SPLIT-AVAIL-INDEX, PACKED-TAKEN-IN-ORDER.
 */
static void batch_in_order(struct suite *s)
{
    unsigned first;

    suite_up(s, &(struct suite_setup){.size = 64});
    for (unsigned n = 1; n <= 32; n++) {
        first = s->nios;
        for (unsigned i = 0; i < n; i++)
            io_add(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 9, .room = 9});
        io_submit(s, TEST_QUEUE_A);
        io_drain(s, TEST_QUEUE_A);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(s->ios[first + i].turn, s->ios[first].turn + i);
    }
}

/*
 * 2.7, 2.8.10.1: areas aligned to no more than they have to be, far apart and the wrong way round.
 * Proves SPLIT-AREAS, PACKED-AREAS.
 */
static void least_alignment(struct suite *s)
{
    struct drv_ring *ring = &s->ring[TEST_QUEUE_A];
    uint64_t at;

    suite_up(s, &(struct suite_setup){.no_queues = true, .not_ready = true});
    suite_ring(s, TEST_QUEUE_A, 32, 32);
    suite_ring(s, TEST_QUEUE_B, 32, 32);
    at = drv_alloc(s->mem, 3 * RIG_REGION, RIG_REGION);
    ring->device = at + 4;
    ring->driver = at + RIG_REGION + (suite_packed(s) ? 4 : 2);
    ring->desc = at + 2 * RIG_REGION + 16;
    ring->device_host = drv_ptr(s->mem, ring->device, drv_device_bytes(ring));
    ring->driver_host = drv_ptr(s->mem, ring->driver, drv_driver_bytes(ring));
    ring->desc_host = drv_ptr(s->mem, ring->desc, drv_desc_bytes(ring));
    drv_ring_reset(ring);
    s->mark = s->mem->used;
    for (unsigned queue = TEST_QUEUE_A; queue <= TEST_QUEUE_B; queue++)
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    drv_ready(s->t);
    do_laps(s, TEST_QUEUE_A, 100);
    do_laps(s, TEST_QUEUE_B, 10);
}

static uint64_t reset_feature(const struct suite *s)
{
    return s->rig->caps & RIG_REGISTERS ? DRV_F_RING_RESET : 0;
}

/*
 * 2.6.1: what was in flight is gone, what comes later is not looked at; nothing is written or
 * notified.
 * Proves QUEUE-RESET-NO-REQUESTS, QUEUE-RESET-NO-NOTIFICATIONS, MMIO-QUEUE-RESET.
 */
static void reset_drops(struct suite *s)
{
    struct io *held[5], *late;

    suite_up(s, &(struct suite_setup){.features = reset_feature(s)});
    for (unsigned i = 0; i < 5; i++)
        held[i] = io_send(s, &(struct io){.queue = TEST_QUEUE_A,
                                          .op = TEST_HOLD,
                                          .seed = i,
                                          .payload = 100 * i,
                                          .room = 100 * i});
    io_none(s, TEST_QUEUE_A);
    suite_interrupted(s, TEST_QUEUE_A);
    assert_true(s->t->ops->queue_reset(s->t, TEST_QUEUE_A));
    if (suite_has(s, RIG_IN_PROCESS))
        assert_int_equal(test_device_release(s->rig->device, 0, 0), 5);
    io_none(s, TEST_QUEUE_A);
    assert_false(suite_interrupted(s, TEST_QUEUE_A));
    for (unsigned i = 0; i < 5; i++)
        io_untouched(s, held[i]);
    io_alive(s, TEST_QUEUE_B);
    late = io_add(s, &(struct io){.op = TEST_ECHO, .payload = 9, .room = 9});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    drv_kick(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]);
    io_none(s, TEST_QUEUE_A);
    io_untouched(s, late);
}

/*
 * 2.6.1.1: the queue may come back with another size and elsewhere, from index 0.
 * Proves QUEUE-RESET-DEFAULTS, QUEUE-RESET-NEW-SETUP, MMIO-QUEUE-RESET.
 */
static void reset_recycles(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = reset_feature(s), .size = 8});
    for (unsigned round = 0; round < 5; round++) {
        uint16_t size = (uint16_t)(4 << round);

        for (unsigned i = 0; i < 11; i++)
            io_do(s, {.queue = TEST_QUEUE_A, .op = TEST_ECHO, .seed = i, .payload = 5, .room = 5});
        assert_true(s->t->ops->queue_reset(s->t, TEST_QUEUE_A));
        suite_ring(s, TEST_QUEUE_A, size, 16);
        assert_true(drv_queue_setup(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]));
        for (unsigned i = 0; i < 3u * size; i++)
            io_do(s, {.queue = TEST_QUEUE_A, .op = TEST_ECHO, .seed = i, .payload = 6, .room = 6});
        io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_ECHO, .payload = 70, .room = 70});
    }
}

/* The other queue keeps its place and what it holds. */
static void reset_leaves_others(struct suite *s)
{
    struct io *held;

    suite_up(s, &(struct suite_setup){.features = reset_feature(s), .size = 4});
    for (unsigned i = 0; i < 7; i++)
        io_alive(s, TEST_QUEUE_B);
    held =
        io_send(s, &(struct io){.queue = TEST_QUEUE_B, .op = TEST_HOLD, .payload = 30, .room = 30});
    suite_settle(s);
    assert_true(s->t->ops->queue_reset(s->t, TEST_QUEUE_A));
    io_none(s, TEST_QUEUE_B);
    io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_RELEASE});
    io_wait(s, held);
    for (unsigned i = 0; i < 7; i++)
        io_alive(s, TEST_QUEUE_B);
}

/* A queue reset again and again, with work in it. */
static void reset_storm(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = reset_feature(s)});
    for (unsigned i = 0; i < 50; i++) {
        io_send(s, &(struct io){.queue = TEST_QUEUE_A,
                                .op = i % 2 ? TEST_HOLD : TEST_ECHO,
                                .payload = 9,
                                .room = 9});
        if (i % 3)
            suite_settle(s);
        assert_true(s->t->ops->queue_reset(s->t, TEST_QUEUE_A));
        suite_ring(s, TEST_QUEUE_A, 16, 16);
        assert_true(drv_queue_setup(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]));
    }
    io_alive(s, TEST_QUEUE_A);
    io_alive(s, TEST_QUEUE_B);
}

const struct suite_test conf_queue_tests[] = {
    {"queue.max.offered", max_offered, RIG_QUEUE_MAX, SUITE_ANY},
    {"queue.size.one", size_one, 0, SUITE_ANY},
    {"queue.size.every_power", every_power, 0, SUITE_SPLIT},
    {"queue.size.every_packed", every_packed_size, 0, SUITE_PACKED},
    {"queue.size.largest", largest, RIG_LARGE_AREAS | RIG_FRESH, SUITE_ANY},
    {"queue.size.refused", size_refused, RIG_STATUS, SUITE_ANY},
    {"queue.set_up.only_one", only_one, 0, SUITE_ANY},
    {"queue.set_up.none", none, 0, SUITE_ANY},
    {"queue.set_up.least_alignment", least_alignment, 0, SUITE_ANY},
    {"queue.independent", independent, 0, SUITE_ANY},
    {"queue.batch_in_order", batch_in_order, 0, SUITE_ANY},
    {"queue.reset.drops", reset_drops, RIG_QUEUE_RESET | RIG_KICK_ANY, SUITE_ANY},
    {"queue.reset.recycles", reset_recycles, RIG_QUEUE_RESET, SUITE_ANY},
    {"queue.reset.leaves_others", reset_leaves_others, RIG_QUEUE_RESET, SUITE_ANY},
    {"queue.reset.storm", reset_storm, RIG_QUEUE_RESET, SUITE_ANY},
    {0},
};

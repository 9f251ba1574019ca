/* SPDX-License-Identifier: Apache-2.0 */
/* Everything at once, from a seed; every answer is checked to the byte. */
#include "conformance/suite.h"

enum {
    REQUESTS = 2500,
};

static const enum test_op ops[] = {
    TEST_ECHO, TEST_ECHO,   TEST_PIN,  TEST_FILL, TEST_STATUS,          TEST_SUM,
    TEST_SKIP, TEST_REJECT, TEST_HOLD, TEST_HOLD, TEST_HOLD_RETURNABLE,
};

/*
 * A release from outside is a request, too: what is held may take neither all slots nor the ring.
 */
static void leave_room_for_release(struct suite *s, struct io *io)
{
    const struct drv_ring *ring = &s->ring[io->queue];

    if (ring->inflight >= 6 || ring->nfree < ring->size - 6)
        io->op = TEST_ECHO;
    else
        io->framing = IO_SEPARATE;
}

static struct io anything(struct suite *s)
{
    uint32_t most = suite_below(s, 20) ? 200 : 5000;
    struct io io = {
        .queue = suite_below(s, 2),
        .op = ops[suite_below(s, sizeof(ops) / sizeof(ops[0]))],
        .seed = suite_random(s),
        .payload = suite_below(s, most),
        .room = suite_below(s, most),
        .framing = suite_below(s, 3) ? IO_RANDOM : IO_SEPARATE,
        .pieces = 1 + suite_below(s, 8),
    };

    io.arg = suite_below(s, io.room + 1);
    if (io.op == TEST_SKIP)
        io.arg = suite_below(s, io.payload + 2);
    if (io.payload + io.room < 12 && suite_below(s, 2))
        io.framing = IO_BYTES;
    if (suite_below(s, 4) == 0)
        io.framing = IO_ZEROES;
    if (s->t->features & DRV_F_INDIRECT) {
        io.shape = suite_below(s, 2) ? IO_INDIRECT : IO_DIRECT;
        if (!suite_packed(s) && suite_below(s, 4) == 0) {
            io.shape = IO_MIXED;
            io.direct = suite_below(s, 4);
        }
    }
    if (!suite_has(s, RIG_IN_PROCESS) && (io.op == TEST_HOLD || io.op == TEST_HOLD_RETURNABLE))
        leave_room_for_release(s, &io);
    return io;
}

/* Interrupt wishes at random: the driver polls as well, so nothing depends on them. */
static void wish(struct suite *s, struct drv_ring *ring)
{
    switch (suite_below(s, 4)) {
    case 0:
        drv_ring_irq_off(ring);
        break;
    case 1:
        drv_ring_irq_after(ring, (uint16_t)(1 + suite_below(s, 5)));
        break;
    default:
        drv_ring_irq_on(ring);
        break;
    }
}

static bool idle(const struct suite *s)
{
    return !s->ring[TEST_QUEUE_A].inflight && !s->ring[TEST_QUEUE_B].inflight;
}

static void collect(struct suite *s)
{
    suite_settle(s);
    io_collect(s, TEST_QUEUE_A);
    io_collect(s, TEST_QUEUE_B);
}

/* Releases what is held, however full the rings and slots are. */
static void empty(struct suite *s)
{
    for (unsigned i = 0; !idle(s); i++) {
        unsigned queue = i % 2;

        assert_true(i < 200);
        if (suite_has(s, RIG_IN_PROCESS))
            test_device_release(s->rig->device, suite_random(s), 0);
        else if (io_try(s, &(struct io){.queue = queue, .op = TEST_RELEASE, .seed = i}))
            io_submit(s, queue);
        collect(s);
    }
}

static void load(struct suite *s, const struct suite_setup *setup, unsigned requests)
{
    unsigned sent = 0;

    suite_up(s, setup);
    while (sent < requests) {
        unsigned n = 1 + suite_below(s, 20);

        while (n--) {
            struct io io = anything(s);

            if (io_try(s, &io))
                sent++;
        }
        for (unsigned queue = 0; queue < 2; queue++) {
            wish(s, &s->ring[queue]);
            io_submit(s, queue);
        }
        collect(s);
        if (suite_below(s, 4) == 0 || s->nios > SUITE_IOS - 100) {
            empty(s);
            if (s->mem->used > RIG_MEMORY / 2 || s->nios > SUITE_IOS / 2)
                io_recycle(s);
        }
    }
    empty(s);
}

static void mixed(struct suite *s)
{
    load(s, &(struct suite_setup){.size = 128}, REQUESTS);
}

static void small_ring(struct suite *s)
{
    load(s, &(struct suite_setup){.size = suite_packed(s) ? 21 : 16}, REQUESTS / 2);
}

static void few_slots(struct suite *s)
{
    load(s, &(struct suite_setup){.options.limits = {.requests = 9, .segs = 48}, .size = 64},
         REQUESTS / 2);
}

static void migrating(struct suite *s)
{
    struct suite_setup setup = {.size = 32};
    unsigned sent = 0;

    suite_up(s, &setup);
    while (sent < 400) {
        for (unsigned i = 0; i < 10; i++) {
            struct io io = anything(s);

            if (io_try(s, &io))
                sent++;
        }
        for (unsigned queue = 0; queue < 2; queue++)
            io_submit(s, queue);
        if (suite_below(s, 2))
            collect(s);
        assert_true(s->rig->ops->migrate(s->rig));
        empty(s);
        io_recycle(s);
    }
}

const struct suite_test conf_load_tests[] = {
    {"load.mixed", mixed, 0, SUITE_ANY},
    {"load.small_ring", small_ring, 0, SUITE_ANY},
    {"load.few_slots", few_slots, RIG_IN_PROCESS | RIG_FRESH, SUITE_ANY},
    {"load.migrating", migrating, RIG_MIGRATE, SUITE_ANY},
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver and device at the same time, each in a thread of its own, as a guest and its back end are.
 * Each side waits when it has nothing to do and goes on only at the other's notification, sent
 * only when it was asked for: one that gets lost stops the test. What the single-threaded suite
 * cannot see: the order in which both sides look at and write shared words (sections 2.7.7, 2.7.10,
 * 2.8.10, 2.7.13.3.1).
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "conformance/rig_loopback.h"
#include "conformance/suite.h"

enum {
    REQUESTS = 100000,
    SIZE = 16,
    ROOM = 24,
    PATIENCE_SECONDS = 40, /* for a notification; slow machines are slow */
};

/*
 * A doorbell: rung by one side, waited on by the other. Waiting spins, so that both sides are on
 * their way at the same time as often as possible.
 */
struct bell {
    atomic_uint rings;
};

static void ring_bell(struct bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
}

static time_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Until it rang since the last time; false: too long. */
static bool wait_for(struct bell *bell)
{
    time_t until = 0;

    for (unsigned i = 1; !atomic_exchange(&bell->rings, 0); i++) {
        if (i % 256)
            continue;
        sched_yield();
        if (!until)
            until = now() + PATIENCE_SECONDS;
        if (now() > until)
            return false;
    }
    return true;
}

struct both {
    struct suite *s;
    struct bell kick, irq;
    atomic_bool stop;
    pthread_t device;
};

/* The device: waits until it is kicked. */
static void *device_thread(void *arg)
{
    struct both *both = arg;
    struct rig *rig = both->s->rig;
    struct anyhv_loopback *lb = rig_loopback_of(rig);

    for (;;) {
        if (!wait_for(&both->kick) || atomic_load(&both->stop))
            return NULL;
        anyhv_ctl_kick(rig->dev, TEST_QUEUE_A);
        do {
            lb->work = anyhv_dev_run(rig->dev, 5);
            if (lb->irq_queues) {
                lb->irq_queues = 0;
                ring_bell(&both->irq);
            }
        } while (lb->work);
    }
}

static void join_device(struct suite *s)
{
    struct both *both = s->end_arg;

    atomic_store(&both->stop, true);
    ring_bell(&both->kick);
    pthread_join(both->device, NULL);
    s->end = NULL;
}

/* The driver's buffers, one pair per request. */
struct buffers {
    uint64_t out, in, seed;
    bool busy;
};

static void check_answer(struct suite *s, const struct buffers *buffers, uint32_t len)
{
    assert_true(buffers->busy);
    assert_int_equal(len, ROOM);
    for (uint32_t i = 0; i < ROOM; i++)
        assert_int_equal(drv_peek8(s->mem, buffers->in + i), test_pattern(buffers->seed, i));
}

static bool send_one(struct suite *s, struct buffers *buffers, unsigned token, uint64_t seed)
{
    struct drv_buf out = {buffers->out, TEST_HEADER}, in = {buffers->in, ROOM};
    struct drv_chain chain = {
        .out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT, .token = token};

    if (buffers->busy)
        return false;
    buffers->seed = seed;
    buffers->busy = true;
    drv_poke32(s->mem, buffers->out, TEST_FILL);
    drv_poke32(s->mem, buffers->out + 4, ROOM);
    drv_poke64(s->mem, buffers->out + 8, seed);
    assert_true(drv_ring_add(&s->ring[TEST_QUEUE_A], &chain) >= 0);
    return true;
}

/* Some hundred nanoseconds more or less, so that both sides meet at every point of their ways. */
static void dawdle(struct suite *s)
{
    for (volatile uint32_t i = suite_below(s, 400); i; i--)
        ;
}

/* The driver: fills the ring, kicks if asked to, waits until it is interrupted. */
static void drive(struct both *both)
{
    struct suite *s = both->s;
    struct drv_ring *ring = &s->ring[TEST_QUEUE_A];
    struct buffers buffers[SIZE / 2] = {0};
    unsigned sent = 0, got = 0;

    for (unsigned i = 0; i < SIZE / 2; i++) {
        buffers[i].out = drv_alloc(s->mem, TEST_HEADER, 8);
        buffers[i].in = drv_alloc(s->mem, ROOM, 8);
    }
    while (got < REQUESTS) {
        unsigned batch = suite_below(s, 8) ? 1 : 1 + suite_below(s, SIZE / 2);
        struct drv_used used;

        for (unsigned i = 0; i < SIZE / 2 && batch && sent < REQUESTS; i++) {
            if (!send_one(s, &buffers[i], i, sent))
                continue;
            batch--;
            sent++;
        }
        drv_ring_publish(ring);
        if (drv_ring_need_kick(ring))
            ring_bell(&both->kick);
        dawdle(s);
        if (!drv_ring_irq_on(ring) && !wait_for(&both->irq)) {
            print_error("after %u of %u answers no interrupt came any more\n", got, sent);
            fail();
        }
        drv_ring_irq_off(ring);
        while (drv_ring_get(ring, &used)) {
            check_answer(s, &buffers[used.token], used.len);
            buffers[used.token].busy = false;
            got++;
        }
        assert_int_equal(ring->fault, DRV_FAULT_NONE);
    }
}

static void two_sides(struct suite *s, uint64_t features, uint64_t without)
{
    static struct both both;

    suite_up(s, &(struct suite_setup){.size = SIZE, .features = features, .without = without});
    suite_settle(s);
    both.s = s;
    atomic_store(&both.stop, false);
    atomic_store(&both.kick.rings, 0);
    atomic_store(&both.irq.rings, 0);
    assert_int_equal(pthread_create(&both.device, NULL, device_thread, &both), 0);
    s->end = join_device;
    s->end_arg = &both;
    drive(&both);
    join_device(s);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).done, REQUESTS);
}

/* Proves SPLIT-USED-LENGTH-FIRST, SPLIT-USED-BYTES-FIRST. */
static void with_event_idx(struct suite *s)
{
    two_sides(s, DRV_F_EVENT_IDX, 0);
}

/* Proves SPLIT-USED-LENGTH-FIRST, SPLIT-USED-BYTES-FIRST. */
static void with_flags(struct suite *s)
{
    two_sides(s, 0, DRV_F_EVENT_IDX);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"threads.event_idx", with_event_idx, 0, SUITE_ANY},
        {"threads.flags", with_flags, 0, SUITE_ANY},
        {0},
    };
    static const struct suite_test *const lists[] = {tests, NULL};
    static const struct rig_loopback native = {.native = true};
    static struct rig rigs[] = {
        {.name = "split", .ops = &rig_loopback_ops, .caps = RIG_LOOPBACK_CAPS, .how = &native},
        {.name = "packed",
         .ops = &rig_loopback_ops,
         .caps = RIG_LOOPBACK_CAPS,
         .how = &native,
         .features = DRV_F_PACKED},
    };

    return suite_main("threads", rigs, 2, lists, argc, argv);
}

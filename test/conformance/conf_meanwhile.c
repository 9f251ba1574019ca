/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver does while the device is in the middle of its work, step by step: the same
 * interleavings that test_threads.c finds by chance. Sections 2.7.7, 2.7.10 and 2.8.10.
 */
#include "conformance/suite.h"

/* A driver that runs whenever the device handles a request. */
struct driver {
    struct suite *s;
    unsigned sent, limit; /* requests; stop at the limit */
    unsigned calls;
    unsigned got;
    unsigned batch;   /* collect and add only every so many calls */
    bool wants_event; /* the last look found nothing and interrupts are on */
    bool kicked;
};

static struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

static void fill_ring(struct driver *d)
{
    static const struct io io = {.op = TEST_ECHO, .payload = 1};

    while (d->sent < d->limit && io_try(d->s, &io))
        d->sent++;
    drv_ring_publish(ring_a(d->s));
    if (drv_ring_need_kick(ring_a(d->s)))
        d->kicked = true;
}

/* As a driver's interrupt handler: collect, add, enable, look again. */
static void turn(struct driver *d)
{
    do {
        d->got += io_collect(d->s, TEST_QUEUE_A);
        fill_ring(d);
    } while (drv_ring_irq_on(ring_a(d->s)));
    d->wants_event = true;
}

static void collect_and_add(void *arg)
{
    struct driver *d = arg;

    if (++d->calls % d->batch == 0)
        turn(d);
}

/*
 * The device works off several laps of the ring in one go, because the driver adds as fast as it
 * answers. Wherever the driver stopped and asked for an interrupt, it must come.
 */
static void several_laps_in_a_turn(struct suite *s)
{
    for (unsigned batch = 1; batch < 70; batch += 3) {
        struct driver d = {.s = s, .limit = 300, .batch = batch};

        suite_up(s, &(struct suite_setup){.features = DRV_F_EVENT_IDX, .size = 64});
        suite_settle(s);
        s->rig->device->meanwhile = collect_and_add;
        s->rig->device->meanwhile_arg = &d;
        fill_ring(&d);
        drv_ring_irq_on(ring_a(s));
        while (d.got < d.limit) {
            drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
            while (anyhv_dev_run(s->rig->dev, 10000))
                ;
            if (drv_ring_pending(ring_a(s)))
                assert_true(s->rig->ops->wait(s->rig, TEST_QUEUE_A, 0));
            turn(&d);
        }
        s->rig->ops->stop(s->rig);
    }
}

static void add_one(void *arg)
{
    struct driver *d = arg;

    d->calls++;
    fill_ring(d);
}

/* Added without a kick, as the device did not ask for one: it has to see it by itself. */
static void added_while_muted(struct suite *s)
{
    static const uint64_t features[] = {0, DRV_F_EVENT_IDX};

    for (unsigned i = 0; i < 2; i++) {
        struct driver d = {.s = s, .limit = 1};

        suite_up(s, &(struct suite_setup){.features = features[i],
                                          .without = DRV_F_EVENT_IDX & ~features[i],
                                          .size = 16});
        suite_settle(s);
        s->rig->device->meanwhile = add_one;
        s->rig->device->meanwhile_arg = &d;
        for (unsigned k = 0; k < 20; k++) {
            d.limit = d.sent + 1;
            d.kicked = false;
            fill_ring(&d);
            assert_true(d.kicked);
            d.kicked = false;
            d.limit = d.sent + 1 + k % 7; /* to be added in the middle */
            drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
            suite_settle(s);
            if (d.kicked) {
                drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
                suite_settle(s);
            }
            d.got += io_collect(s, TEST_QUEUE_A);
            assert_int_equal(d.got, d.sent);
        }
        s->rig->ops->stop(s->rig);
    }
}

static void enable(void *arg)
{
    struct driver *d = arg;

    d->wants_event = !drv_ring_irq_on(ring_a(d->s));
}

/* Interrupts switched on in the middle of the device's work: what is answered then is told. */
static void enabled_meanwhile(struct suite *s)
{
    static const uint64_t features[] = {0, DRV_F_EVENT_IDX};

    for (unsigned i = 0; i < 2; i++) {
        struct driver d = {.s = s};

        suite_up(s, &(struct suite_setup){.features = features[i],
                                          .without = DRV_F_EVENT_IDX & ~features[i],
                                          .size = 16});
        io_alive(s, TEST_QUEUE_A);
        s->rig->device->meanwhile = enable;
        s->rig->device->meanwhile_arg = &d;
        for (unsigned k = 0; k < 40; k++) {
            drv_ring_irq_off(ring_a(s));
            suite_interrupted(s, TEST_QUEUE_A);
            d.wants_event = false;
            io_send(s, &(struct io){.op = TEST_ECHO, .payload = 1});
            suite_settle(s);
            assert_true(d.wants_event);
            assert_true(suite_interrupted(s, TEST_QUEUE_A));
            io_drain(s, TEST_QUEUE_A);
        }
        s->rig->ops->stop(s->rig);
    }
}

const struct suite_test conf_meanwhile_tests[] = {
    {"meanwhile.several_laps", several_laps_in_a_turn, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.added_while_muted", added_while_muted, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.interrupts_enabled", enabled_meanwhile, RIG_IN_PROCESS, SUITE_ANY},
    {0},
};

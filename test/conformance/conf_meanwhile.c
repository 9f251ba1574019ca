/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver does while the device is in the middle of its work, step by step: the same
 * interleavings that test_threads.c finds by chance. Sections 2.7.7, 2.7.10 and 2.8.10.
 */
#include "conformance/watch.h"

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

/* ---- After any single write of the device ---- */

/* The driver acts once, right after the device's n-th write to guest memory. */
static struct {
    unsigned writes, at;
    void (*act)(struct suite *s);
} after;

static void written(struct suite *s, uint64_t addr, uint64_t len)
{
    (void)addr;
    (void)len;
    if (after.writes++ == after.at)
        after.act(s);
}

static void act_after_write(struct suite *s, unsigned n, void (*act)(struct suite *s))
{
    after.writes = 0;
    after.at = n;
    after.act = act;
    watch_memory(s, &(struct watch){.written = written});
}

static bool asked_for_kick;

static void add_second(struct suite *s)
{
    io_add(s, &(struct io){.op = TEST_ECHO, .payload = 1});
    drv_ring_publish(ring_a(s));
    asked_for_kick = drv_ring_need_kick(ring_a(s));
}

/* Added at any moment: either the device asks for a kick or it finds the request by itself. */
static void added_at_any_moment(struct suite *s)
{
    static const uint64_t features[] = {0, DRV_F_EVENT_IDX};

    for (unsigned i = 0; i < 2; i++) {
        unsigned writes = 0;

        suite_up(s, &(struct suite_setup){.features = features[i],
                                          .without = DRV_F_EVENT_IDX & ~features[i],
                                          .size = 16});
        suite_settle(s);
        for (unsigned n = 0; n <= writes; n++) {
            asked_for_kick = false;
            io_add(s, &(struct io){.op = TEST_ECHO, .payload = 8, .room = 8});
            drv_ring_publish(ring_a(s));
            assert_true(drv_ring_need_kick(ring_a(s)));
            act_after_write(s, n, add_second);
            drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
            suite_settle(s);
            if (after.writes > writes && n < 30)
                writes = after.writes;
            if (asked_for_kick) {
                drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
                suite_settle(s);
            }
            io_collect(s, TEST_QUEUE_A);
            assert_int_equal(ring_a(s)->inflight, 0);
            io_recycle(s);
        }
        assert_true(writes >= 3);
        s->rig->ops->stop(s->rig);
    }
}

static bool saw_nothing;

static void enable_now(struct suite *s)
{
    io_collect(s, TEST_QUEUE_A);
    saw_nothing = !drv_ring_irq_on(ring_a(s));
}

/* Interrupts enabled at any moment: the answer is seen by that look, or it is told of. */
static void enabled_at_any_moment(struct suite *s)
{
    static const uint64_t features[] = {0, DRV_F_EVENT_IDX};

    for (unsigned i = 0; i < 2; i++) {
        unsigned writes = 0;

        suite_up(s, &(struct suite_setup){.features = features[i],
                                          .without = DRV_F_EVENT_IDX & ~features[i],
                                          .size = 16});
        io_alive(s, TEST_QUEUE_A);
        for (unsigned n = 0; n <= writes; n++) {
            drv_ring_irq_off(ring_a(s));
            suite_interrupted(s, TEST_QUEUE_A);
            saw_nothing = false;
            io_add(s, &(struct io){.op = TEST_ECHO, .payload = 8, .room = 8});
            drv_ring_publish(ring_a(s));
            drv_ring_need_kick(ring_a(s));
            act_after_write(s, n, enable_now);
            drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
            suite_settle(s);
            if (after.writes > writes && n < 30)
                writes = after.writes;
            if (saw_nothing && drv_ring_pending(ring_a(s)))
                assert_true(suite_interrupted(s, TEST_QUEUE_A));
            io_drain(s, TEST_QUEUE_A);
            io_recycle(s);
        }
        assert_true(writes >= 3);
        s->rig->ops->stop(s->rig);
    }
}

const struct suite_test conf_meanwhile_tests[] = {
    {"meanwhile.several_laps", several_laps_in_a_turn, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.added_while_muted", added_while_muted, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.interrupts_enabled", enabled_meanwhile, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.added_at_any_moment", added_at_any_moment, RIG_IN_PROCESS, SUITE_ANY},
    {"meanwhile.enabled_at_any_moment", enabled_at_any_moment, RIG_IN_PROCESS, SUITE_ANY},
    {0},
};

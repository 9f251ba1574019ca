/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications, both ways: sections 2.7.7, 2.7.10, 2.8.10, 2.9. Requests are single descriptors,
 * so that a request is one step of a split index and of a packed position alike.
 */
#include "conformance/suite.h"

static const struct suite_setup with_idx = {.features = DRV_F_EVENT_IDX, .size = 16};
static const struct suite_setup without_idx = {.without = DRV_F_EVENT_IDX, .size = 16};

static struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

/* @n requests behind one publish, served; answers are left in the ring. */
static void batch(struct suite *s, unsigned n)
{
    while (n--)
        io_add(s, &(struct io){.op = TEST_ECHO, .payload = 1});
    drv_ring_publish(ring_a(s));
    drv_ring_need_kick(ring_a(s));
    drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
    suite_settle(s);
}

static bool told(struct suite *s)
{
    return suite_interrupted(s, TEST_QUEUE_A);
}

/* One request: interrupt or not; the answer is taken. */
static bool one(struct suite *s)
{
    bool was;

    batch(s, 1);
    was = told(s);
    assert_int_equal(io_collect(s, TEST_QUEUE_A), 1);
    return was;
}

/*
 * 2.7.7.2, 2.8.10: without EVENT_IDX the driver's flag decides.
 * Proves SPLIT-FLAG-SET, SPLIT-FLAG-CLEAR, PACKED-EVENT-FLAGS.
 */
static void flag_decides(struct suite *s)
{
    suite_up(s, &without_idx);
    for (unsigned i = 0; i < 60; i++) {
        bool on = (i * 7 / 3) % 2;

        if (on)
            drv_ring_irq_on(ring_a(s));
        else
            drv_ring_irq_off(ring_a(s));
        assert_int_equal(one(s), on);
    }
}

/* 2.7.7.2: without EVENT_IDX the device must ignore used_event. Proves SPLIT-NO-EVENT-IDX-WORD. */
static void event_word_ignored(struct suite *s)
{
    suite_up(s, &without_idx);
    for (unsigned i = 0; i < 40; i++) {
        drv_split_set_used_event(ring_a(s), (uint16_t)(i * 0x1357));
        drv_split_set_flags(ring_a(s), i % 2);
        assert_int_equal(one(s), !(i % 2));
    }
}

/* 2.7.7.2: with EVENT_IDX the device must ignore the flag. Proves SPLIT-EVENT-IDX-FLAG. */
static void flag_ignored(struct suite *s)
{
    suite_up(s, &with_idx);
    drv_split_set_flags(ring_a(s), 1);
    for (unsigned i = 0; i < 40; i++) {
        drv_ring_irq_on(ring_a(s));
        assert_true(one(s));
    }
}

/* 2.8.10: DISABLE and ENABLE keep their meaning with EVENT_IDX. Proves PACKED-EVENT-FLAGS-IDX. */
static void flags_with_idx(struct suite *s)
{
    suite_up(s, &with_idx);
    for (unsigned i = 0; i < 60; i++) {
        bool on = i % 3;

        drv_packed_set_event(ring_a(s), (uint16_t)(i * 0x0357),
                             on ? DRV_EVENT_ENABLE : DRV_EVENT_DISABLE);
        assert_int_equal(one(s), on);
    }
}

/*
 * 2.7.7.2, 2.8.10: the interrupt comes with the n-th answer, not before and not after.
 * Proves SPLIT-EVENT-IDX-REACHED, SPLIT-EVENT-IDX-OTHER, PACKED-EVENT-DESC.
 */
static void after_n(struct suite *s)
{
    suite_up(s, &with_idx);
    one(s); /* the first answer after a start may always notify */
    for (unsigned n = 1; n < 45; n++) {
        unsigned wait = 1 + n % 13;

        drv_ring_irq_after(ring_a(s), (uint16_t)wait);
        for (unsigned i = 1; i <= wait + 2; i++)
            assert_int_equal(one(s), i == wait);
    }
}

/*
 * A batch that steps over the event tells once; one that stops short does not.
 * Proves SPLIT-EVENT-IDX-REACHED, SPLIT-EVENT-IDX-OTHER, PACKED-EVENT-DESC.
 */
static void batch_over_event(struct suite *s)
{
    suite_up(s, &with_idx);
    one(s);
    for (unsigned size = 1; size <= 16; size++) {
        for (unsigned at = 1; at <= 16; at++) {
            drv_ring_irq_after(ring_a(s), (uint16_t)at);
            batch(s, size);
            assert_int_equal(told(s), at <= size);
            assert_false(told(s));
            assert_int_equal(io_collect(s, TEST_QUEUE_A), size);
        }
    }
}

/* The same where the ring wraps, for sizes that are no power of two. Proves PACKED-EVENT-DESC. */
static void batch_at_the_end(struct suite *s)
{
    struct suite_setup setup = with_idx;

    suite_start(s, NULL);
    for (uint16_t ring = 1; ring <= 7; ring++) {
        setup.size = ring;
        suite_again(s, &setup);
        one(s);
        for (unsigned i = 0; i < 60; i++) {
            unsigned size = 1 + i % ring, at = 1 + i * 3 % ring;

            drv_ring_irq_after(ring_a(s), (uint16_t)at);
            batch(s, size);
            assert_int_equal(told(s), at <= size);
            assert_int_equal(io_collect(s, TEST_QUEUE_A), size);
            io_recycle(s);
        }
    }
}

/* The first answer after a start reaches a driver that asked for it. */
static void first_answer(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        suite_again(s, i % 2 ? &with_idx : &without_idx);
        drv_ring_irq_on(ring_a(s));
        assert_true(one(s));
    }
}

/* 2.3: no interrupt without an answer. Proves NOTIFICATION-USED. */
static void none_without_answers(struct suite *s)
{
    suite_up(s, &with_idx);
    one(s);
    for (unsigned i = 0; i < 10; i++) {
        drv_ring_irq_on(ring_a(s));
        drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
        assert_false(told(s));
    }
    io_send(s, &(struct io){.op = TEST_HOLD, .payload = 1});
    assert_false(told(s));
}

/* An answer that comes later, and by another queue's doing, notifies as well. */
static void late_answers(struct suite *s)
{
    suite_up(s, &with_idx);
    one(s);
    for (unsigned i = 0; i < 20; i++) {
        struct io *held;

        drv_ring_irq_on(ring_a(s));
        held = io_send(s, &(struct io){.op = TEST_HOLD, .seed = i, .payload = 8, .room = 8});
        assert_false(told(s));
        drv_ring_irq_off(&s->ring[TEST_QUEUE_B]);
        io_send(s, &(struct io){.queue = TEST_QUEUE_B, .op = TEST_RELEASE});
        assert_true(told(s));
        io_wait(s, held);
        io_drain(s, TEST_QUEUE_B);
    }
}

/*
 * 2.7.10.2, 2.8.10: a device that has seen all there is must ask for the next kick, or it would
 * never wake up.
 * Proves SPLIT-AVAIL-EVENT.
 */
static void idle_device_wants_kicks(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned k = 0; k < 2; k++) {
        suite_again(s, k ? &with_idx : &without_idx);
        suite_settle(s);
        for (unsigned i = 0; i < 100; i++) {
            unsigned n = 1 + i % 9;

            while (n--)
                io_add(s, &(struct io){.op = TEST_ECHO, .payload = 1});
            drv_ring_publish(ring_a(s));
            assert_true(drv_ring_need_kick(ring_a(s)));
            drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
            suite_settle(s);
            io_drain(s, TEST_QUEUE_A);
            io_recycle(s);
        }
    }
}

/* Also with a request in work, and on the queue that the device pulls from. */
static void waiting_device_wants_kicks(struct suite *s)
{
    struct io *held;

    suite_up(s, &with_idx);
    held = io_send(s, &(struct io){.op = TEST_HOLD, .payload = 1});
    suite_settle(s);
    io_add(s, &(struct io){.op = TEST_RELEASE});
    drv_ring_publish(ring_a(s));
    assert_true(drv_ring_need_kick(ring_a(s)));
    drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
    io_wait(s, held);
}

/* 2.9: kicks that nobody needed do nothing. Proves SPLIT-SPURIOUS, KICK-REPEATED. */
static void spurious_kicks(struct suite *s)
{
    suite_up(s, &with_idx);
    for (unsigned i = 0; i < 30; i++) {
        for (unsigned k = 0; k < 3; k++)
            drv_kick(s->t, i % 2, &s->ring[i % 2]);
        io_none(s, TEST_QUEUE_A);
        io_alive(s, i % 2);
        drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
        drv_kick(s->t, TEST_QUEUE_EVENT, &s->ring[TEST_QUEUE_EVENT]);
        io_none(s, TEST_QUEUE_A);
    }
}

/* Every batch of answers is either told of or was not wanted. */
static void counters_add_up(struct suite *s)
{
    struct anyhv_queue_counters counters;
    unsigned told_of = 0;

    suite_up(s, &with_idx);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 3 == 0)
            drv_ring_irq_on(ring_a(s));
        told_of += one(s);
    }
    counters = suite_counters(s, TEST_QUEUE_A);
    assert_int_equal(counters.requests, 200);
    assert_int_equal(counters.done, 200);
    assert_int_equal(counters.publishes, 200);
    assert_int_equal(counters.notifies, told_of);
    assert_int_equal(counters.notifies + counters.suppressed, counters.publishes);
    assert_int_equal(counters.kicks, 200);
    assert_in_range(told_of, 66, 68);
}

const struct suite_test conf_events_tests[] = {
    {"events.flag.decides", flag_decides, 0, SUITE_ANY},
    {"split.event_idx.not_negotiated", event_word_ignored, 0, SUITE_SPLIT},
    {"split.event_idx.flag_ignored", flag_ignored, 0, SUITE_SPLIT},
    {"packed.events.flags_with_idx", flags_with_idx, 0, SUITE_PACKED},
    {"events.idx.after_n", after_n, 0, SUITE_ANY},
    {"events.idx.batch_over_event", batch_over_event, 0, SUITE_ANY},
    {"packed.events.batch_at_the_end", batch_at_the_end, 0, SUITE_PACKED},
    {"events.first_answer", first_answer, 0, SUITE_ANY},
    {"events.none_without_answers", none_without_answers, 0, SUITE_ANY},
    {"events.late_answers", late_answers, 0, SUITE_ANY},
    {"events.kick.idle_device_wants", idle_device_wants_kicks, 0, SUITE_ANY},
    {"events.kick.waiting_device_wants", waiting_device_wants_kicks, 0, SUITE_ANY},
    {"events.kick.spurious", spurious_kicks, 0, SUITE_ANY},
    {"events.counters_add_up", counters_add_up, RIG_COUNTERS, SUITE_ANY},
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in any order, and in order where that was promised: sections 2.7.9 and 2.8.8. */
#include "conformance/suite.h"

enum {
    HELD = 12,
};

static const struct suite_setup in_order = {
    .options.variant = TEST_ORDERED,
    .features = DRV_F_IN_ORDER,
    .size = 64,
};

static struct io *hold(struct suite *s, uint64_t seed, uint32_t payload, uint32_t room)
{
    return io_send(s, &(struct io){
                          .op = TEST_HOLD,
                          .seed = seed,
                          .payload = payload,
                          .room = room,
                          .framing = IO_RANDOM,
                          .pieces = 2,
                      });
}

/* 2.7: a device may answer in any order. Proves QUEUE-ANY-ORDER. */
static void any_order(struct suite *s)
{
    struct io *held[HELD];

    suite_up(s, &(struct suite_setup){.size = 64});
    for (uint64_t order = 0; order < 10; order++) {
        for (unsigned i = 0; i < HELD; i++)
            held[i] = hold(s, i, 20 * i, 15 * i);
        io_none(s, TEST_QUEUE_A);
        io_do(s, {.op = TEST_RELEASE, .seed = order});
        io_drain(s, TEST_QUEUE_A);
        for (unsigned i = 0; order < 2 && i + 1 < HELD; i++)
            assert_int_equal(held[i]->turn < held[i + 1]->turn, order == 0);
        io_recycle(s);
    }
}

/* Some of them, while others go on waiting. */
static void one_at_a_time(struct suite *s)
{
    struct io *held[HELD];

    suite_up(s, &(struct suite_setup){.size = 64});
    for (unsigned i = 0; i < HELD; i++)
        held[i] = hold(s, i, 33, 33);
    for (unsigned i = 0; i < HELD; i++) {
        io_do(s, {.op = TEST_RELEASE, .seed = 1, .arg = 1});
        suite_settle(s);
        io_collect(s, TEST_QUEUE_A);
        for (unsigned k = 0; k < HELD; k++)
            assert_int_equal(held[k]->used, k >= HELD - 1 - i);
    }
}

/* A fast request overtakes slow ones. */
static void overtaking(struct suite *s)
{
    struct io *held;

    suite_up(s, &(struct suite_setup){.size = 16});
    held = hold(s, 1, 44, 44);
    for (unsigned i = 0; i < 50; i++)
        io_alive(s, TEST_QUEUE_A);
    assert_false(held->used);
    io_do(s, {.op = TEST_RELEASE});
    io_wait(s, held);
}

/* An answer that another queue's request brings about comes at once, whichever queue is served
 * first. */
static void by_the_other_queue(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 16});
    for (unsigned i = 0; i < 30; i++) {
        unsigned from = i % 2;
        struct io *held = io_send(s, &(struct io){
                                         .queue = from,
                                         .op = TEST_HOLD,
                                         .seed = i,
                                         .payload = 10,
                                         .room = 10,
                                     });

        io_none(s, from);
        for (unsigned k = 0; k < i / 2 % 3; k++)
            io_alive(s, TEST_QUEUE_A + k % 2);
        io_send(s, &(struct io){.queue = 1 - from, .op = TEST_RELEASE});
        suite_settle(s);
        io_collect(s, from);
        assert_true(held->used);
        io_drain(s, 1 - from);
        io_recycle(s);
    }
}

/*
 * 2.7.9.1, 2.8.8: with IN_ORDER the used order is the available order, whatever the model does.
 * Proves IN-ORDER.
 */
static void kept_in_order(struct suite *s)
{
    suite_up(s, &in_order);
    for (uint64_t order = 0; order < 10; order++) {
        unsigned first = s->turns;

        for (unsigned i = 0; i < HELD; i++)
            hold(s, i + order, 20 * i, 20 * i);
        io_send(s, &(struct io){.op = TEST_RELEASE, .seed = order});
        io_drain(s, TEST_QUEUE_A);
        for (unsigned i = 0; i <= HELD; i++)
            assert_int_equal(s->ios[i].turn, first + i);
        io_recycle(s);
    }
}

/* Nothing is answered before what came earlier, even if it is ready. Proves IN-ORDER. */
static void waits_for_earlier(struct suite *s)
{
    struct io *held;

    suite_up(s, &in_order);
    held = hold(s, 3, 50, 50);
    for (unsigned i = 0; i < 10; i++)
        io_send(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 8, .room = 8});
    io_none(s, TEST_QUEUE_A);
    io_send(s, &(struct io){.queue = TEST_QUEUE_B, .op = TEST_RELEASE});
    io_drain(s, TEST_QUEUE_A);
    io_drain(s, TEST_QUEUE_B);
    assert_true(held->used);
    for (unsigned i = 0; i < 11; i++)
        assert_int_equal(s->ios[i].turn, i);
}

/*
 * Buffers that one used element skips count as written completely: a batch must not skip a short or
 * refused one. The lengths tell (they are checked for every answer).
 * Proves SPLIT-IN-ORDER-SKIPPED, PACKED-IN-ORDER-SKIPPED.
 */
static void short_ones_not_skipped(struct suite *s)
{
    suite_up(s, &in_order);
    for (unsigned i = 0; i < 600; i++) {
        unsigned n = 1 + suite_below(s, 12);

        while (n--) {
            uint32_t room = 1 + suite_below(s, 40);
            bool full = suite_below(s, 3) != 0;
            struct io io = {
                .op = TEST_FILL, .seed = i, .arg = full ? room : room - 1, .room = room};

            if (suite_below(s, 9) == 0)
                io.op = TEST_REJECT;
            io_try(s, &io);
        }
        io_submit(s, TEST_QUEUE_A);
        io_drain(s, TEST_QUEUE_A);
        io_recycle(s);
    }
}

/*
 * 2.7.9, 2.8.8: a batch that is filled to the last byte takes one element, in its first one's
 * place.
 * Proves SPLIT-IN-ORDER-BATCH, PACKED-IN-ORDER-BATCH.
 */
static void one_element_for_a_batch(struct suite *s)
{
    struct drv_ring *ring = &s->ring[TEST_QUEUE_A];
    struct io *ios[5];

    suite_up(s, &in_order);
    for (unsigned round = 0; round < 3; round++) {
        uint16_t first = ring->next_avail, id;
        uint32_t wide, len;

        for (uint16_t i = 0; i < 5; i++) {
            ios[i] =
                io_add(s, &(struct io){.op = TEST_FILL, .seed = i, .arg = 9 + i, .room = 9 + i});
            if (!ring->packed)
                drv_poke64(s->mem, ring->device + 4 + 8 * ((first + i) % ring->size), UINT64_MAX);
        }
        io_submit(s, TEST_QUEUE_A);
        suite_settle(s);
        for (uint16_t i = 0; i < 5; i++) {
            uint16_t place = (uint16_t)(first + (ring->packed ? 2 * i : i)), flags = 0;
            uint64_t addr;

            if (ring->packed) {
                drv_packed_read(ring, place, &addr, &len, &id, &flags);
                assert_int_equal(!!(flags & DRV_DESC_USED),
                                 i == 0); /* the other ones are as they were */
                wide = id;
            } else {
                drv_split_used_elem(ring, place, &wide, &len);
                assert_int_equal(wide != UINT32_MAX, i == 0);
            }
            if (i == 0) {
                assert_int_equal(wide, ios[4]->id);
                assert_int_equal(len, 13);
            }
        }
        if (!ring->packed)
            assert_int_equal(drv_split_used_idx(ring), (uint16_t)(first + 5));
        io_drain(s, TEST_QUEUE_A);
    }
}

/* Everything mixed, on two queues, over many laps of a small ring. */
static void in_order_load(struct suite *s)
{
    struct suite_setup setup = in_order;

    setup.size = s->rig->features & DRV_F_PACKED ? 19 : 16;
    suite_up(s, &setup);
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned k = 0; k < 6; k++) {
            uint32_t n = suite_below(s, 60);

            io_try(s, &(struct io){
                          .queue = suite_below(s, 2),
                          .op = suite_below(s, 3) ? TEST_ECHO : TEST_HOLD,
                          .seed = i * 10 + k,
                          .payload = n,
                          .room = n + suite_below(s, 2),
                          .framing = IO_RANDOM,
                          .pieces = 2,
                      });
        }
        io_submit(s, TEST_QUEUE_A);
        io_submit(s, TEST_QUEUE_B);
        suite_settle(s);
        io_collect(s, TEST_QUEUE_A);
        io_collect(s, TEST_QUEUE_B);
        if (s->ring[TEST_QUEUE_A].nfree && s->ring[TEST_QUEUE_B].nfree) {
            io_send(s, &(struct io){.queue = i % 2, .op = TEST_RELEASE, .seed = i});
            io_drain(s, i % 2);
        }
        if (i % 10 == 9) {
            while (s->ring[TEST_QUEUE_A].inflight || s->ring[TEST_QUEUE_B].inflight) {
                if (suite_has(s, RIG_IN_PROCESS))
                    test_device_release(s->rig->device, i, 0);
                else
                    break;
                suite_settle(s);
                io_collect(s, TEST_QUEUE_A);
                io_collect(s, TEST_QUEUE_B);
            }
        }
    }
}

/* After a reset, of everything or of the queue, the order begins anew. */
static void in_order_after_reset(struct suite *s)
{
    suite_up(s, &in_order);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned k = 0; k < i; k++)
            hold(s, k, 10, 10);
        for (unsigned k = 0; k < 5; k++)
            io_send(s, &(struct io){.queue = TEST_QUEUE_B, .op = TEST_ECHO, .payload = k});
        suite_settle(s);
        suite_again(s, &in_order);
        for (unsigned k = 0; k < 10; k++) {
            io_alive(s, TEST_QUEUE_A);
            io_alive(s, TEST_QUEUE_B);
        }
    }
}

/* An ordered device without the feature negotiated is an ordinary one. */
static void ordered_without_feature(struct suite *s)
{
    struct suite_setup setup = {.options.variant = TEST_ORDERED};

    suite_up(s, &setup);
    for (unsigned i = 0; i < 100; i++)
        io_do(s, {.op = TEST_ECHO, .seed = i, .payload = i, .room = i});
}

const struct suite_test conf_order_tests[] = {
    {"order.any", any_order, 0, SUITE_ANY},
    {"order.one_at_a_time", one_at_a_time, 0, SUITE_ANY},
    {"order.overtaking", overtaking, 0, SUITE_ANY},
    {"order.by_the_other_queue", by_the_other_queue, 0, SUITE_ANY},
    {"in_order.kept", kept_in_order, RIG_FRESH, SUITE_ANY},
    {"in_order.waits_for_earlier", waits_for_earlier, RIG_FRESH, SUITE_ANY},
    {"in_order.short_ones_not_skipped", short_ones_not_skipped, RIG_FRESH, SUITE_ANY},
    {"in_order.one_element_for_a_batch", one_element_for_a_batch, RIG_FRESH, SUITE_ANY},
    {"in_order.load", in_order_load, RIG_IN_PROCESS | RIG_FRESH, SUITE_ANY},
    {"in_order.after_reset", in_order_after_reset, RIG_FRESH, SUITE_ANY},
    {"in_order.not_negotiated", ordered_without_feature, RIG_FRESH, SUITE_ANY},
    {0},
};

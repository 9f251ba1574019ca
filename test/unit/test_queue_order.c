/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in order, queues that the device pulls, turns in which the ring goes round. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- IN_ORDER ---- */

#define ORDERED(more) (&(struct bench_options){.features = DRV_F_IN_ORDER | (more), .size = 8})

static const uint8_t zeroes[8];

/* Answers given in any order come out in the order of taking; each has @len of 8 bytes. */
static void out_of_order(struct bench *b, const struct bench_options *options, uint32_t len)
{
    static const uint8_t orders[][4] = {{3, 1, 2, 0}, {0, 2, 1, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}};

    b->ops.ordered = true;
    bench_up(b, options);
    for (unsigned round = 0; round < 8; round++) { /* several laps */
        uint64_t token[4];
        bool done[4] = {false};
        unsigned out = 0;

        b->handles = 0;
        for (unsigned i = 0; i < 4; i++)
            token[i] = bench_put(b, 0, 0, 8);
        bench_kick(b, 0);
        assert_int_equal(b->handles, 4);
        for (unsigned i = 0; i < 4; i++) {
            unsigned which = orders[round % 4][i];

            assert_int_equal(anyhv_req_write(bench_req(b, which), zeroes, len), ANYHV_OK);
            anyhv_req_done(bench_req(b, which));
            done[which] = true;
            bench_run(b);
            while (out < 4 && done[out])
                bench_expect(b, 0, token[out++], len);
            bench_expect_none(b, 0);
        }
        assert_int_equal(out, 4);
    }
    assert_int_equal(b->ring[0].fault, DRV_FAULT_NONE);
}

static void answers_are_sorted_split(void **state)
{
    out_of_order(*state, ORDERED(0), 3);
}

static void answers_are_sorted_packed(void **state)
{
    out_of_order(*state, ORDERED(DRV_F_PACKED), 3);
}

static void whole_answers_are_sorted_split(void **state)
{
    out_of_order(*state, ORDERED(0), 8);
}

static void whole_answers_are_sorted_packed(void **state)
{
    out_of_order(*state, ORDERED(DRV_F_PACKED), 8);
}

/* Without IN_ORDER they come out as they were given. */
static void without_in_order_nothing_is_sorted(void **state)
{
    struct bench *b = *state;

    b->ops.ordered = true;
    bench_up(b, NULL);
    bench_held(b, 0, 8);
    bench_held(b, 0, 8);
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[1].token, 0);
}

/* What a reset took away is not waited for. */
static void the_order_begins_anew_with_the_ring(void **state)
{
    struct bench *b = *state;

    b->ops.ordered = true;
    bench_up(b, ORDERED(0));
    for (unsigned i = 0; i < 3; i++)
        bench_held(b, 0, 8);
    anyhv_req_done(bench_req(b, 1));
    bench_up_again(b);
    anyhv_req_done(bench_held(b, 0, 8));
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
}

/* Section 2.7.9: one used element for a batch, if all but its last are filled. */
static void a_filled_batch_takes_one_used_element(void **state)
{
    struct bench *b = *state;
    uint32_t id, len;

    b->ops.ordered = true;
    bench_up(b, ORDERED(0));
    for (unsigned i = 0; i < 5; i++)
        bench_put(b, 0, 0, 8);
    for (unsigned i = 0; i < 5; i++)
        drv_poke64(&b->mem, b->ring[0].device + 4 + 8 * i, UINT64_MAX);
    bench_kick(b, 0);
    for (unsigned i = 0; i < 5; i++) { /* the third is short, and the last */
        assert_int_equal(anyhv_req_write(bench_req(b, i), zeroes, i % 2 ? 8 : 8 - i), ANYHV_OK);
        anyhv_req_done(bench_req(b, i));
    }
    bench_run(b);
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 5);
    drv_split_used_elem(&b->ring[0], 0, &id, &len); /* for 0 to 2 */
    assert_int_equal(id, 2);
    assert_int_equal(len, 6);
    drv_split_used_elem(&b->ring[0], 3, &id, &len); /* for 3 and 4 */
    assert_int_equal(id, 4);
    assert_int_equal(len, 4);
    for (uint16_t i = 1; i < 5; i++) {
        drv_split_used_elem(&b->ring[0], i, &id, &len);
        if (i != 3)
            assert_int_equal(id, UINT32_MAX); /* not written at all */
    }
}

/* A refused request has written nothing: no batch may count it as filled. */
static void a_refused_request_ends_a_batch(void **state)
{
    struct bench *b = *state;
    struct drv_buf bad = {BENCH_NOWHERE, 8};

    b->ops.ordered = true;
    b->on_request = bench_answer;
    bench_up(b, ORDERED(0));
    bench_offer(b, 0, NULL, 0, &bad, 1);
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    bench_expect(b, 0, bad.addr, 0);
    bench_expect(b, 0, b->ring[0].slots[1].token, 0);
    assert_int_equal(bench_counters(b, 0)->rejected, 1);
}

/* ---- queues that the device pulls ---- */

static void note_buffers(struct bench *b, unsigned queue)
{
    bench_note(b, "buffers:%u", queue);
}

static void a_pulled_queue_gives_buffers_when_asked(void **state)
{
    struct bench *b = *state;
    struct drv_buf bad = {BENCH_NOWHERE, 8};
    struct anyhv_req *req;
    uint64_t token;

    b->ops.pull_queues = 2;
    b->on_buffers = note_buffers;
    bench_up(b, NULL);
    assert_null(anyhv_queue_pull(b->dev, 1));
    token = bench_put(b, 1, 0, 16);
    bench_put(b, 1, 0, 16);
    bench_offer(b, 1, NULL, 0, &bad, 1); /* core answers it on the way */
    bench_put(b, 1, 0, 16);
    bench_kick(b, 1);
    bench_expect_trace(b, "buffers:1 ");
    assert_int_equal(bench_counters(b, 1)->requests, 0); /* nothing is taken unasked */
    req = anyhv_queue_pull(b->dev, 1);
    assert_non_null(req);
    assert_int_equal(anyhv_req_queue(req), 1);
    assert_int_equal(anyhv_req_write(req, "event", 5), ANYHV_OK);
    anyhv_req_done(req);
    bench_run(b);
    bench_expect(b, 1, token, 5);
    bench_expect_trace(b, "notify:1 ");
    anyhv_req_hold(anyhv_queue_pull(b->dev, 1));
    req = anyhv_queue_pull(b->dev, 1);
    assert_non_null(req);
    assert_int_equal(bench_counters(b, 1)->rejected, 1);
    assert_null(anyhv_queue_pull(b->dev, 1));
    anyhv_req_done(req);
    bench_run(b);
    bench_expect(b, 1, bad.addr, 0);
    assert_true(drv_ring_pending(&b->ring[1]));
    assert_int_equal(bench_counters(b, 1)->requests, 4);
}

static void a_pull_gives_nothing_at_the_wrong_moment(void **state)
{
    struct bench *b = *state;

    b->ops.pull_queues = 2;
    bench_up(b, &(struct bench_options){.limits = {.requests = 1}});
    bench_put(b, 1, 0, 16);
    bench_put(b, 1, 0, 16);
    assert_null(anyhv_queue_pull(b->dev, BENCH_QUEUES));
    anyhv_ctl_queue_pause(b->dev, 1, true);
    assert_null(anyhv_queue_pull(b->dev, 1));
    anyhv_ctl_queue_pause(b->dev, 1, false);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    assert_null(anyhv_queue_pull(b->dev, 1));
    anyhv_ctl_resume(b->dev);
    anyhv_req_hold(anyhv_queue_pull(b->dev, 1));
    assert_null(anyhv_queue_pull(b->dev, 1)); /* no slot */
    anyhv_req_done(anyhv_queue_held(b->dev, 1));
    anyhv_req_done(anyhv_queue_pull(b->dev, 1)); /* the answer makes room: it is published */
    assert_int_equal(drv_split_used_idx(&b->ring[1]), 1);
    bench_run(b);
    assert_int_equal(drv_split_used_idx(&b->ring[1]), 2);
    anyhv_ctl_set_status(b->dev, 0);
    assert_null(anyhv_queue_pull(b->dev, 1));
}

static struct bench *panicking;

static void pull_a_request_queue(void)
{
    anyhv_queue_pull(panicking->dev, 0);
}

static void only_pulled_queues_can_be_pulled(void **state)
{
    panicking = *state;
    panicking->ops.pull_queues = 2;
    bench_up(panicking, NULL);
    expect_assert_failure(pull_a_request_queue());
}

/* An empty ring is armed: the driver's next buffer comes with a kick. */
static void an_empty_pull_asks_for_a_kick(struct bench *b, uint64_t features)
{
    b->ops.pull_queues = 2;
    bench_up(b, &(struct bench_options){.features = features, .size = 4});
    for (unsigned i = 0; i < 10; i++) {
        uint64_t token;

        assert_null(anyhv_queue_pull(b->dev, 1));
        token = bench_put(b, 1, 0, 16);
        assert_true(drv_ring_need_kick(&b->ring[1]));
        anyhv_req_done(anyhv_queue_pull(b->dev, 1));
        bench_run(b);
        bench_expect(b, 1, token, 0);
    }
}

static void an_empty_pull_asks_for_a_kick_split(void **state)
{
    an_empty_pull_asks_for_a_kick(*state, 0);
}

static void an_empty_pull_asks_for_a_kick_split_event(void **state)
{
    an_empty_pull_asks_for_a_kick(*state, DRV_F_EVENT_IDX);
}

static void an_empty_pull_asks_for_a_kick_packed_event(void **state)
{
    an_empty_pull_asks_for_a_kick(*state, DRV_F_PACKED | DRV_F_EVENT_IDX);
}

/* ---- turns in which the ring goes round ---- */

/*
 * A driver on another processor: while the device is in one long turn, it takes the answers that
 * are published and adds as many new chains, `refills` in all; then it asks for an interrupt for
 * the next answer, finds none yet, and sleeps. If anything is answered after that, it must be told.
 */
static unsigned refills;
static bool asleep;

static void answer_and_let_the_driver_work(struct bench *b, struct anyhv_req *req)
{
    struct drv_used used;

    anyhv_req_done(req);
    if (asleep)
        return;
    while (drv_ring_get(&b->ring[0], &used)) {
        if (refills == 0)
            continue;
        refills--;
        bench_put(b, 0, 8, 0);
    }
    if (refills == 0)
        asleep = !drv_ring_irq_on(&b->ring[0]);
}

static void a_sleeping_driver_is_woken(struct bench *b, uint64_t features)
{
    b->on_request = answer_and_let_the_driver_work;
    /* Two slots: answers are published every two requests, and not only at the end of the turn. */
    bench_up(b,
             &(struct bench_options){.features = features, .size = 8, .limits = {.requests = 2}});
    for (unsigned n = 0; n <= 40; n++) {
        uint64_t used = b->mem.used;

        bench_up_again(b);
        refills = 0;
        asleep = false;
        for (unsigned i = 0; i < n % 3; i++) { /* start somewhere else in the ring */
            bench_put(b, 0, 8, 0);
            bench_kick(b, 0);
            drv_ring_get(&b->ring[0], &(struct drv_used){0});
        }
        b->trace[0] = '\0';
        refills = n;
        asleep = false;
        for (unsigned i = 0; i < 8; i++)
            bench_put(b, 0, 8, 0);
        bench_kick(b, 0);
        assert_true(asleep);
        assert_true(drv_ring_pending(&b->ring[0]));
        bench_expect_trace(b, "notify:0 ");
        b->mem.used = used;
    }
}

static void a_sleeping_driver_is_woken_split(void **state)
{
    a_sleeping_driver_is_woken(*state, 0);
}

static void a_sleeping_driver_is_woken_split_event(void **state)
{
    a_sleeping_driver_is_woken(*state, DRV_F_EVENT_IDX);
}

static void a_sleeping_driver_is_woken_packed(void **state)
{
    a_sleeping_driver_is_woken(*state, DRV_F_PACKED);
}

static void a_sleeping_driver_is_woken_packed_event(void **state)
{
    a_sleeping_driver_is_woken(*state, DRV_F_PACKED | DRV_F_EVENT_IDX);
}

/*
 * Is the interrupt sent exactly when the driver's event is among the slots used since the last
 * decision? All positions, batches and events of a small ring. Section 2.8.10.
 * Proves PACKED-EVENT-DESC.
 */
static void a_packed_event_is_hit_or_missed(void **state)
{
    enum {
        RING = 5
    };
    struct bench *b = *state;

    bench_up(b, &(struct bench_options){.features = DRV_F_PACKED | DRV_F_EVENT_IDX, .size = RING});
    for (unsigned round = 0; round < RING * 2 * 7; round++) {
        for (unsigned n = 1; n < RING; n++) {
            uint16_t event = (uint16_t)(round / 7 % RING), lap = round / 7 / RING ? 0x8000 : 0;
            uint16_t at = bench_queue(b, 0)->next_used;
            bool wrap = bench_queue(b, 0)->used_wrap, hit = false;
            bool first = round == 0 && n == 1; /* that one is always told */
            uint64_t used = b->mem.used;

            for (unsigned i = 0; i < n; i++) {
                hit |= at == event && wrap == (lap != 0);
                wrap ^= ++at == RING;
                at %= RING;
            }
            b->handles = 0;
            for (unsigned i = 0; i < n; i++)
                bench_held(b, 1, 0);
            drv_packed_set_event(&b->ring[0], event | lap, DRV_EVENT_DESC);
            for (unsigned i = 0; i < n; i++)
                anyhv_req_done(bench_req(b, i));
            b->trace[0] = '\0';
            bench_run(b);
            bench_expect_trace(b, hit || first ? "notify:0 " : "");
            while (drv_ring_get(&b->ring[0], &(struct drv_used){0}))
                continue;
            b->mem.used = used;
        }
    }
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(answers_are_sorted_split),
    BENCH_TEST(answers_are_sorted_packed),
    BENCH_TEST(whole_answers_are_sorted_split),
    BENCH_TEST(whole_answers_are_sorted_packed),
    BENCH_TEST(without_in_order_nothing_is_sorted),
    BENCH_TEST(the_order_begins_anew_with_the_ring),
    BENCH_TEST(a_filled_batch_takes_one_used_element),
    BENCH_TEST(a_refused_request_ends_a_batch),
    BENCH_TEST(a_pulled_queue_gives_buffers_when_asked),
    BENCH_TEST(a_pull_gives_nothing_at_the_wrong_moment),
    BENCH_TEST(only_pulled_queues_can_be_pulled),
    BENCH_TEST(an_empty_pull_asks_for_a_kick_split),
    BENCH_TEST(an_empty_pull_asks_for_a_kick_split_event),
    BENCH_TEST(an_empty_pull_asks_for_a_kick_packed_event),
    BENCH_TEST(a_sleeping_driver_is_woken_split),
    BENCH_TEST(a_sleeping_driver_is_woken_split_event),
    BENCH_TEST(a_sleeping_driver_is_woken_packed),
    BENCH_TEST(a_sleeping_driver_is_woken_packed_event),
    BENCH_TEST(a_packed_event_is_hit_or_missed),
};

ANYHV_TEST_MAIN("queue_order", tests)

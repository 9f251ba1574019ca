/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming quiet: stop with drain, quiesce, cancel, and who is told when. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Notes which request is asked about (its head or id) and whether it could go back. */
static void note_asked(struct bench *b, const struct anyhv_req *req, bool returnable)
{
    bench_note(b, "%u:%s", req->head, returnable ? "back" : "no");
}

static bool give_back(struct bench *b, struct anyhv_req *req, bool returnable)
{
    note_asked(b, req, returnable);
    return bench_return(b, req, returnable);
}

static bool always_true(struct bench *b, struct anyhv_req *req, bool returnable)
{
    note_asked(b, req, returnable);
    return true;
}

static bool not_now(struct bench *b, struct anyhv_req *req, bool returnable)
{
    note_asked(b, req, returnable);
    return false;
}

static void hold(struct bench *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        bench_held(b, 8, 0);
}

/* ---- stop with drain ---- */

static void a_stop_waits_for_what_is_held(void **state)
{
    struct bench *b = *state;
    uint32_t base = 77;

    b->ops.cancel = NULL;
    bench_up(b, NULL);
    hold(b, 2);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_LATER);
    assert_int_equal(base, 77);
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 2); /* no more is taken */
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    bench_expect_trace(b, "notify:0 ");
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_LATER);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    bench_expect_trace(b, "notify:0 quiet ");
    assert_true(b->lb.quiet);
    assert_true(anyhv_ctl_queue_started(b->dev, 0)); /* until it is asked again */
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    bench_expect_trace(b, "changed:0 ");
    assert_int_equal(base, 2);
    assert_false(anyhv_ctl_queue_started(b->dev, 0));
    assert_int_equal(bench_counters(b, 0)->dropped, 0);
    /* And on from there, with what was left in the ring. */
    assert_int_equal(bench_start(b, 0, base), ANYHV_OK);
    bench_run(b);
    assert_int_equal(b->handles, 3);
    assert_null(bench_req(b, 0));
    assert_non_null(bench_req(b, 2));
}

static void a_stop_publishes_what_cancel_answers(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    bench_up(b, NULL); /* this device answers when it is asked to let go */
    hold(b, 3);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, 3);
    bench_expect_trace(b, "notify:0 changed:0 ");
    for (unsigned i = 0; i < 3; i++)
        bench_expect(b, 0, b->ring[0].slots[2 - i].token, 0);
    bench_run(b);
    bench_expect_trace(b, ""); /* it had its answer: no call to quiet */
}

static void a_stop_without_drain_drops(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    hold(b, 2);
    anyhv_req_done(bench_req(b, 0)); /* not yet published */
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
    bench_run(b);
    assert_int_equal(bench_counters(b, 0)->dropped, 2);
    assert_null(bench_req(b, 1));
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 0);
    bench_expect_trace(b, "changed:0 ");
}

/* ---- cancel ---- */

static void what_is_untouched_goes_back_and_comes_again(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    b->on_cancel = give_back;
    bench_up(b, NULL);
    b->on_request = bench_answer;
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    b->trace[0] = '\0';
    b->on_request = NULL;
    hold(b, 4); /* heads 0, 1, 2, 3 */
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    bench_expect_trace(b, "3:back 2:back 1:back 0:back changed:0 "); /* newest first */
    assert_int_equal(base, 1);
    assert_int_equal(bench_counters(b, 0)->returned, 4);
    assert_int_equal(bench_inflight(b, 0), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_null(bench_req(b, i));
    assert_int_equal(bench_start(b, 0, base), ANYHV_OK);
    bench_run(b);
    assert_int_equal(b->handles, 8);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(bench_req(b, 4 + i)->head, i);
        assert_int_equal(anyhv_req_readable(bench_req(b, 4 + i)), 8);
        anyhv_req_done(bench_req(b, 4 + i));
    }
    bench_run(b);
    for (unsigned i = 0; i < 4; i++)
        bench_expect(b, 0, b->ring[0].slots[i].token, 0);
}

/* Chains of two and three slots in a ring of seven: every place of the wrap. */
static void packed_chains_go_back_over_the_wrap(void **state)
{
    struct bench *b = *state;
    struct anyhv_queue *q;

    b->on_cancel = bench_return;
    bench_up(b, &(struct bench_options){.features = DRV_F_PACKED, .size = 7});
    q = bench_queue(b, 0);
    for (unsigned round = 0; round < 40; round++) {
        uint64_t at = bench_alloc(b, 16), token[3];
        struct drv_buf out[3] = {{at, 1}, {at + 1, 2}, {at + 3, 3}};
        uint16_t next = q->next_avail;
        bool wrap = q->avail_wrap;

        b->handles = 0;
        out[0].addr = token[0] = at;
        bench_offer(b, 0, out, 2, NULL, 0);
        out[0].addr = token[1] = at + 8;
        bench_offer(b, 0, out, 3, NULL, 0);
        out[0].addr = token[2] = at + 9;
        bench_offer(b, 0, out, round % 2 + 1, NULL, 0);
        bench_kick(b, 0);
        assert_int_equal(b->handles, 3);
        assert_int_equal(q->size - q->free_descs, 6 + round % 2);
        assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
        assert_int_equal(q->next_avail, next);
        assert_int_equal(q->avail_wrap, wrap);
        assert_int_equal(q->free_descs, q->size);
        anyhv_ctl_resume(b->dev);
        bench_run(b);
        assert_int_equal(b->handles, 6);
        for (unsigned i = 0; i < 3; i++)
            anyhv_req_done(bench_req(b, 3 + i));
        bench_run(b);
        for (unsigned i = 0; i < 3; i++)
            bench_expect(b, 0, token[i], 0);
        b->trace[0] = '\0';
    }
    assert_int_equal(b->ring[0].fault, DRV_FAULT_NONE);
}

static void only_an_unbroken_tail_goes_back(void **state)
{
    struct bench *b = *state;

    b->on_cancel = give_back;
    bench_up(b, NULL);
    hold(b, 4);
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bench_expect_trace(b, "3:back 2:back 0:no notify:0 ");
    assert_int_equal(bench_counters(b, 0)->returned, 2);
    assert_int_equal(bench_queue(b, 0)->next_avail, 2);
    assert_int_equal(bench_queue(b, 0)->next_used, 2);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    assert_int_equal(b->handles, 6);

    /* The newest is answered, though not yet published: nothing can go back. */
    anyhv_req_done(bench_req(b, 5));
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bench_expect_trace(b, "2:no notify:0 ");
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 4);
}

static void a_request_that_cannot_go_back_stays_whatever_the_device_says(void **state)
{
    struct bench *b = *state;

    b->on_cancel = always_true;
    bench_up(b, NULL);
    hold(b, 3);
    anyhv_req_done(bench_req(b, 2));
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    bench_expect_trace(b, "1:no 0:no notify:0 ");
    assert_non_null(bench_req(b, 0));
    assert_non_null(bench_req(b, 1));
    assert_int_equal(bench_counters(b, 0)->returned, 0);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER); /* asked again */
    bench_expect_trace(b, "1:no 0:no ");
    anyhv_req_done(bench_req(b, 0));
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    bench_expect_trace(b, "notify:0 quiet ");
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
}

static void with_in_order_answers_that_wait_keep_older_ones_from_going_back(void **state)
{
    struct bench *b = *state;

    b->ops.ordered = true;
    b->on_cancel = give_back;
    bench_up(b, &(struct bench_options){.features = DRV_F_IN_ORDER});
    hold(b, 4);
    anyhv_req_done(bench_req(b, 2));
    bench_run(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bench_expect_trace(b, "3:back 1:no 0:no notify:0 ");
    for (unsigned i = 0; i < 3; i++)
        bench_expect(b, 0, b->ring[0].slots[i].token, 0);
    bench_expect_none(b, 0);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    anyhv_req_done(bench_req(b, 4));
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[3].token, 0);
}

/* ---- quiesce and resume ---- */

static void nothing_is_taken_until_resume(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    for (unsigned i = 0; i < 2; i++) {
        bench_put(b, i, 8, 0);
        bench_kick(b, i);
    }
    assert_int_equal(b->handles, 0);
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    bench_expect_trace(b, "");
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    assert_int_equal(b->handles, 2); /* without a further kick */
}

static void all_queues_have_to_be_quiet(void **state)
{
    struct bench *b = *state;

    b->on_cancel = not_now;
    bench_up(b, NULL);
    hold(b, 1);
    bench_put(b, 1, 8, 0);
    bench_kick(b, 1);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    bench_expect_trace(b, "0:back 0:back ");
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    bench_expect_trace(b, "notify:0 ");
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    bench_expect_trace(b, "notify:1 quiet ");
    bench_kick(b, 0);
    bench_expect_trace(b, ""); /* told once */
}

static void resume_ends_a_quiesce_that_never_became_quiet(void **state)
{
    struct bench *b = *state;

    b->on_cancel = not_now;
    bench_up(b, NULL);
    hold(b, 1);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_ctl_resume(b->dev);
    hold(b, 1);
    b->trace[0] = '\0';
    anyhv_req_done(bench_req(b, 0));
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    bench_expect_trace(b, "notify:0 "); /* nobody waits for quiet any more */
}

static void a_drivers_reset_does_not_end_a_quiesce(void **state)
{
    struct bench *b = *state;

    b->on_cancel = not_now;
    bench_up(b, NULL);
    hold(b, 1);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_ctl_set_status(b->dev, 0);
    bench_run(b);
    assert_true(b->lb.quiet); /* whoever waits is told */
    bench_up_again(b);
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 0); /* still */
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    assert_int_equal(b->handles, 1);
}

static void a_reset_ends_the_wait_for_a_stop(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    b->on_cancel = not_now;
    bench_up(b, NULL);
    hold(b, 1);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_LATER);
    anyhv_ctl_set_status(b->dev, 0);
    b->handles = 0;
    bench_run(b);
    assert_true(b->lb.quiet);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    b->lb.quiet = false;
    bench_up_again(b);
    hold(b, 1); /* it is not draining any more */
    assert_false(b->lb.quiet);
}

/* ---- quiet without a ring ---- */

static void a_broken_queue_gives_up_its_requests(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    b->on_cancel = give_back;
    bench_up(b, NULL);
    hold(b, 2);
    anyhv_req_done(bench_req(b, 0));
    drv_split_set_idx(&b->ring[0], 500);
    bench_kick(b, 0);
    assert_true(anyhv_ctl_queue_broken(b->dev, 0));
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bench_expect_trace(b, "1:no ");
    assert_null(bench_req(b, 1));
    assert_int_equal(bench_inflight(b, 0), 0);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 0);
}

static void without_memory_answers_wait_and_the_rest_goes_back(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;
    uint32_t base = 77;

    b->on_cancel = give_back;
    bench_up(b, NULL);
    all = b->lb.region[0];
    hold(b, 3);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK); /* nothing is with the device */
    bench_expect_trace(b, "2:back 1:back ");
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_E_BADADDR);
    assert_int_equal(base, 77);
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &all), ANYHV_OK);
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[0].token, 0); /* the answer was not lost */
    b->trace[0] = '\0';
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, 1);
    anyhv_ctl_resume(b->dev);
    assert_int_equal(bench_start(b, 0, base), ANYHV_OK);
    bench_run(b);
    assert_int_equal(b->handles, 5);
}

static void without_memory_what_the_device_works_on_is_waited_for(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;

    b->on_cancel = not_now;
    bench_up(b, NULL);
    all = b->lb.region[0];
    hold(b, 2);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    assert_false(b->lb.quiet);
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    assert_true(b->lb.quiet);
    assert_int_equal(bench_inflight(b, 0), 2); /* the answers are kept */
}

/* A stop that failed for want of memory is over: the queue goes on when there is memory. */
static void without_memory_a_stop_that_fails_leaves_the_queue_as_it_was(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;
    uint32_t base;

    bench_up(b, NULL);
    all = b->lb.region[0];
    hold(b, 1);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &all), ANYHV_OK);
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    hold(b, 1);
}

static void without_memory_a_stop_succeeds_when_nothing_was_answered(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;
    uint32_t base;

    b->on_cancel = give_back;
    bench_up(b, NULL);
    all = b->lb.region[0];
    hold(b, 2);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, 0);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_stop_waits_for_what_is_held),
    BENCH_TEST(a_stop_publishes_what_cancel_answers),
    BENCH_TEST(a_stop_without_drain_drops),
    BENCH_TEST(what_is_untouched_goes_back_and_comes_again),
    BENCH_TEST(packed_chains_go_back_over_the_wrap),
    BENCH_TEST(only_an_unbroken_tail_goes_back),
    BENCH_TEST(a_request_that_cannot_go_back_stays_whatever_the_device_says),
    BENCH_TEST(with_in_order_answers_that_wait_keep_older_ones_from_going_back),
    BENCH_TEST(nothing_is_taken_until_resume),
    BENCH_TEST(all_queues_have_to_be_quiet),
    BENCH_TEST(resume_ends_a_quiesce_that_never_became_quiet),
    BENCH_TEST(a_drivers_reset_does_not_end_a_quiesce),
    BENCH_TEST(a_reset_ends_the_wait_for_a_stop),
    BENCH_TEST(a_broken_queue_gives_up_its_requests),
    BENCH_TEST(without_memory_answers_wait_and_the_rest_goes_back),
    BENCH_TEST(without_memory_what_the_device_works_on_is_waited_for),
    BENCH_TEST(without_memory_a_stop_that_fails_leaves_the_queue_as_it_was),
    BENCH_TEST(without_memory_a_stop_succeeds_when_nothing_was_answered),
};

ANYHV_TEST_MAIN("queue_drain", tests)

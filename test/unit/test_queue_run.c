/* SPDX-License-Identifier: Apache-2.0 */
/* What runs when: kicks, turns, late answers, back-pressure. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- kicks and runs ---- */

static void a_kick_only_marks(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    bench_put(b, 0, 8, 8);
    anyhv_ctl_kick(b->dev, 0);
    assert_true(b->lb.work);
    assert_int_equal(b->handles, 0);
    assert_int_equal(bench_counters(b, 0)->kicks, 1);
    bench_run(b);
    assert_int_equal(b->handles, 1);
    assert_int_equal(bench_counters(b, 0)->requests, 1);
    assert_false(b->lb.work);
    assert_false(anyhv_dev_run(b->dev, 64)); /* nothing left */
}

static void kicks_that_make_no_sense_are_counted(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    bench_negotiate(b);
    bench_ring(b, 0);
    anyhv_ctl_kick(b->dev, 0); /* not running */
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_QUEUE], 1);
    assert_int_equal(bench_start(b, 0, 0), ANYHV_OK);
    anyhv_ctl_kick(b->dev, 0);
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_EARLY], 1);
    assert_int_equal(bench_violation.queue, 0);
    bench_put(b, 0, 8, 8);
    bench_run(b);
    assert_int_equal(b->handles, 0); /* before DRIVER_OK no ring is looked at */
    bench_driver_ok(b);
    assert_int_equal(b->handles, 1); /* and then without a kick */
    anyhv_ctl_kick(b->dev, 1);
    anyhv_ctl_kick(b->dev, 2);
    anyhv_ctl_kick(b->dev, UINT32_MAX);
    assert_int_equal(bench_violation.a, UINT32_MAX);
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_QUEUE], 4);
    assert_int_equal(bench_counters(b, 0)->kicks, 0);
    assert_int_equal(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET, 0);
}

static void note_request(struct bench *b, struct anyhv_req *req)
{
    bench_note(b, "%u", anyhv_req_queue(req));
    anyhv_req_done(req);
}

static void the_budget_bounds_a_run_and_queues_take_turns(void **state)
{
    struct bench *b = *state;

    b->on_request = note_request;
    bench_up(b, NULL);
    for (unsigned i = 0; i < 4; i++) {
        bench_put(b, 0, 8, 0);
        bench_put(b, 1, 8, 0);
    }
    anyhv_ctl_kick(b->dev, 0);
    anyhv_ctl_kick(b->dev, 1);
    b->dev->turn = 0;
    assert_true(anyhv_dev_run(b->dev, 3));
    bench_expect_trace(b, "0 0 0 notify:0 ");
    assert_true(anyhv_dev_run(b->dev, 3)); /* the other one is first now */
    bench_expect_trace(b, "1 1 1 notify:1 ");
    assert_true(anyhv_dev_run(b->dev, 1));
    bench_expect_trace(b, "0 notify:0 ");
    assert_true(anyhv_dev_run(b->dev, 1)); /* it cannot know yet that this was the last */
    bench_expect_trace(b, "1 notify:1 ");
    assert_false(anyhv_dev_run(b->dev, 64));
    bench_expect_trace(b, "");
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 4);
    assert_int_equal(drv_split_used_idx(&b->ring[1]), 4);
}

static void late_answers_are_published_in_one_batch(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < 3; i++)
        bench_held(b, 8, 0);
    assert_false(b->lb.work);
    for (unsigned i = 0; i < 3; i++)
        anyhv_req_done(bench_req(b, 2 - i));
    assert_true(b->lb.work); /* a run was asked for */
    bench_expect_none(b, 0);
    bench_expect_trace(b, "");
    bench_run(b);
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 3);
    bench_expect_trace(b, "notify:0 ");
    assert_int_equal(bench_counters(b, 0)->publishes, 1);
    assert_int_equal(bench_counters(b, 0)->notifies, 1);
    assert_int_equal(b->dev->state->queue[0].next_used, 3); /* known to a successor */
}

static struct anyhv_queue_counters counters(struct bench *b)
{
    return *bench_counters(b, 0);
}

static void the_drivers_wish_decides_on_notifications(void **state)
{
    struct bench *b = *state;

    b->on_request = bench_answer;
    bench_up(b, NULL);
    drv_ring_irq_off(&b->ring[0]);
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    bench_expect_trace(b, "");
    assert_int_equal(counters(b).suppressed, 1);
    drv_ring_irq_on(&b->ring[0]);
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    bench_expect_trace(b, "notify:0 ");
    assert_int_equal(counters(b).notifies, 1);
}

static unsigned most_waiting;

static void count_waiting(struct bench *b, struct anyhv_req *req)
{
    unsigned answered = bench_queue(b, 0)->counters.done;
    unsigned waiting = answered - drv_split_used_idx(&b->ring[0]);

    if (waiting > most_waiting)
        most_waiting = waiting;
    anyhv_req_done(req);
}

static void answers_do_not_wait_for_the_end_of_a_long_turn(void **state)
{
    struct bench *b = *state;

    most_waiting = 0;
    b->on_request = count_waiting;
    bench_up(b, &(struct bench_options){.size = 64, .limits = {.requests = 64}});
    for (unsigned i = 0; i < 64; i++)
        bench_put(b, 0, 1, 0);
    bench_kick(b, 0);
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 64);
    assert_true(most_waiting > 1 && most_waiting < 32);
    assert_int_equal(bench_counters(b, 0)->publishes, 2);
    bench_expect_trace(b, "notify:0 "); /* and still one notification */
}

/* A device that is busy with a ring wants no kick for it (where it can say so); one that left it
 * empty does, always. */
static bool kick_in_between;

static void add_one_more(struct bench *b, struct anyhv_req *req)
{
    anyhv_req_done(req);
    if (b->ring[0].nfree < 12)
        return;
    drv_ring_need_kick(&b->ring[0]);
    bench_put(b, 0, 1, 0);
    kick_in_between |= drv_ring_need_kick(&b->ring[0]);
}

static void an_idle_ring_asks_for_kicks(struct bench *b, uint64_t features)
{
    b->on_request = add_one_more;
    bench_up(b, &(struct bench_options){.features = features});
    for (unsigned i = 0; i < 50; i++) {
        kick_in_between = false;
        bench_put(b, 0, 1, 0);
        assert_true(drv_ring_need_kick(&b->ring[0]));
        bench_kick(b, 0);
        assert_false(kick_in_between);
        while (drv_ring_get(&b->ring[0], &(struct drv_used){0}))
            continue;
        assert_int_equal(b->ring[0].inflight, 0); /* all it was given, kicked or not */
    }
    assert_true(bench_counters(b, 0)->requests > 200);
}

/* Proves SPLIT-FLAGS-MUTE. */
static void an_idle_ring_asks_for_kicks_split(void **state)
{
    an_idle_ring_asks_for_kicks(*state, 0);
}

static void an_idle_ring_asks_for_kicks_split_event(void **state)
{
    an_idle_ring_asks_for_kicks(*state, DRV_F_EVENT_IDX);
}

static void an_idle_ring_asks_for_kicks_packed(void **state)
{
    an_idle_ring_asks_for_kicks(*state, DRV_F_PACKED);
}

static void an_idle_ring_asks_for_kicks_packed_event(void **state)
{
    an_idle_ring_asks_for_kicks(*state, DRV_F_PACKED | DRV_F_EVENT_IDX);
}

/* ---- back-pressure ---- */

static void slots_run_out(struct bench *b, const struct bench_options *options)
{
    bench_up(b, options);
    for (unsigned i = 0; i < 5; i++)
        bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 2);
    assert_int_equal(counters(b).stalls, 1);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 2); /* a further kick brings no slot */
    assert_false(anyhv_dev_run(b->dev, 64));
    for (unsigned i = 0; i < 5; i++) {
        anyhv_req_done(bench_req(b, i));
        bench_run(b);
        assert_int_equal(b->handles, i + 3 < 5 ? i + 3 : 5);
    }
    assert_int_equal(counters(b).requests, 5);
    for (unsigned i = 0; i < 5; i++)
        bench_expect(b, 0, b->ring[0].slots[i].token, 0);
    assert_int_equal(b->dev->violations[ANYHV_V_TOO_LONG], 0);
}

static void slots_run_out_split(void **state)
{
    slots_run_out(*state, &(struct bench_options){.limits = {.requests = 2}});
}

static void slots_run_out_packed(void **state)
{
    slots_run_out(*state, &(struct bench_options){.limits = {.requests = 2},
                                                  .features = DRV_F_PACKED | DRV_F_EVENT_IDX});
}

static void with_in_order_only_the_oldest_frees_a_slot(void **state)
{
    struct bench *b = *state;

    b->ops.ordered = true;
    bench_up(b, &(struct bench_options){.limits = {.requests = 2}, .features = DRV_F_IN_ORDER});
    for (unsigned i = 0; i < 3; i++)
        bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    anyhv_req_done(bench_req(b, 1));
    bench_run(b);
    assert_int_equal(b->handles, 2);
    bench_expect_none(b, 0);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    assert_int_equal(b->handles, 3);
    for (unsigned i = 0; i < 2; i++)
        bench_expect(b, 0, b->ring[0].slots[i].token, 0);
    bench_expect_none(b, 0);
}

/* A chain of @n readable buffers. */
static uint64_t put_long(struct bench *b, unsigned n)
{
    struct drv_buf out[BENCH_MAX_SIZE];
    uint64_t at = bench_alloc(b, 64);

    for (unsigned i = 0; i < n; i++)
        out[i] = (struct drv_buf){at + i, 1};
    return bench_offer(b, 0, out, n, NULL, 0);
}

static void collect(struct bench *b)
{
    struct drv_used used;

    while (drv_ring_get(&b->ring[0], &used))
        assert_int_equal(used.len, 0);
}

static void chunks_run_out(struct bench *b, uint64_t features)
{
    struct anyhv_queue *q;

    bench_up(b, &(struct bench_options){
                    .size = 64, .limits = {.segs = 3 * ANYHV_CHUNK_SEGS}, .features = features});
    q = bench_queue(b, 0);
    assert_int_equal(q->free_chunks, 3);
    put_long(b, 4 + 16); /* two */
    put_long(b, 4 + 9);  /* two: has to wait */
    put_long(b, 1);      /* would fit, but may not overtake */
    bench_kick(b, 0);
    assert_int_equal(b->handles, 1);
    assert_int_equal(counters(b).stalls, 1);
    assert_int_equal(q->free_chunks, 1); /* what it had in hand went back */
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    assert_int_equal(b->handles, 3);
    assert_int_equal(anyhv_req_readable(bench_req(b, 1)), 13);
    anyhv_req_done(bench_req(b, 1));
    anyhv_req_done(bench_req(b, 2));
    bench_run(b);
    assert_int_equal(q->free_chunks, 3);
    collect(b);

    /* The longest that could ever fit, and one more. */
    put_long(b, 4 + 24);
    bench_kick(b, 0);
    assert_int_equal(q->free_chunks, 0);
    anyhv_req_done(bench_req(b, 3));
    bench_run(b);
    collect(b);
    put_long(b, 4 + 25);
    bench_kick(b, 0);
    collect(b);
    assert_int_equal(b->dev->violations[ANYHV_V_TOO_LONG], 1);
    assert_int_equal(bench_violation.b, 28);
    assert_int_equal(counters(b).rejected, 1);
    assert_int_equal(q->free_chunks, 3);
    put_long(b, 4 + 24);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 5);
}

/* Proves FRAMING-LIMIT. */
static void chunks_run_out_split(void **state)
{
    chunks_run_out(*state, 0);
}

/* Proves PACKED-LIST-LIMIT. */
static void chunks_run_out_packed(void **state)
{
    chunks_run_out(*state, DRV_F_PACKED);
}

static void a_limit_below_a_chunk_leaves_the_inline_segments(void **state)
{
    struct bench *b = *state;

    bench_up(b, &(struct bench_options){.limits = {.segs = ANYHV_CHUNK_SEGS - 1}});
    put_long(b, 4);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 1);
    put_long(b, 5);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 1);
    assert_int_equal(b->dev->violations[ANYHV_V_TOO_LONG], 1);
}

/* A table of the driver's that cannot be mapped just now is our shortage: nobody is refused. */
static void a_shortage_stalls_the_ring(struct bench *b, bool room)
{
    struct drv_buf in = {0, 8};
    struct drv_chain chain = {.in = &in, .nin = 1, .direct = 0, .token = 5};

    bench_up(b, &(struct bench_options){.features = DRV_F_INDIRECT, .bounce = true});
    in.addr = bench_alloc(b, 16);
    chain.table = bench_alloc(b, 16);
    assert_true(drv_ring_add(&b->ring[0], &chain) >= 0);
    drv_ring_publish(&b->ring[0]);
    b->lb.faults = (struct anyhv_loopback_faults){.result = ANYHV_E_NORES, .count = 1};
    bench_kick(b, 0);
    assert_int_equal(b->handles, 0);
    assert_int_equal(counters(b).stalls, 1);
    assert_int_equal(counters(b).rejected, 0);
    if (room)
        anyhv_mem_room(&b->lb.mem);
    else
        anyhv_ctl_resume(b->dev);
    bench_run(b);
    assert_int_equal(b->handles, 1);
    assert_int_equal(anyhv_req_writable(bench_req(b, 0)), 8);
}

static void a_shortage_of_maps_ends_with_room(void **state)
{
    a_shortage_stalls_the_ring(*state, true);
}

static void a_shortage_of_maps_ends_with_resume(void **state)
{
    a_shortage_stalls_the_ring(*state, false);
}

/* ---- a run is not to be entered twice ---- */

static struct bench *nested;

static void run_once_more(struct bench *b, struct anyhv_req *req)
{
    anyhv_req_done(req);
    anyhv_dev_run(b->dev, 1);
}

static void detach_inside(struct bench *b, struct anyhv_req *req)
{
    anyhv_req_done(req);
    anyhv_dev_detach(b->dev);
}

static void kick_nested(void)
{
    bench_put(nested, 0, 8, 0);
    bench_kick(nested, 0);
}

static void a_run_inside_a_run_is_a_bug_of_ours(void **state)
{
    nested = *state;
    nested->on_request = run_once_more;
    bench_up(nested, NULL);
    expect_assert_failure(kick_nested());
}

static void a_detach_inside_a_run_is_a_bug_of_ours(void **state)
{
    nested = *state;
    nested->on_request = detach_inside;
    bench_up(nested, NULL);
    expect_assert_failure(kick_nested());
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_kick_only_marks),
    BENCH_TEST(kicks_that_make_no_sense_are_counted),
    BENCH_TEST(the_budget_bounds_a_run_and_queues_take_turns),
    BENCH_TEST(late_answers_are_published_in_one_batch),
    BENCH_TEST(the_drivers_wish_decides_on_notifications),
    BENCH_TEST(answers_do_not_wait_for_the_end_of_a_long_turn),
    BENCH_TEST(an_idle_ring_asks_for_kicks_split),
    BENCH_TEST(an_idle_ring_asks_for_kicks_split_event),
    BENCH_TEST(an_idle_ring_asks_for_kicks_packed),
    BENCH_TEST(an_idle_ring_asks_for_kicks_packed_event),
    BENCH_TEST(slots_run_out_split),
    BENCH_TEST(slots_run_out_packed),
    BENCH_TEST(with_in_order_only_the_oldest_frees_a_slot),
    BENCH_TEST(chunks_run_out_split),
    BENCH_TEST(chunks_run_out_packed),
    BENCH_TEST(a_limit_below_a_chunk_leaves_the_inline_segments),
    BENCH_TEST(a_shortage_of_maps_ends_with_room),
    BENCH_TEST(a_shortage_of_maps_ends_with_resume),
    BENCH_TEST(a_run_inside_a_run_is_a_bug_of_ours),
    BENCH_TEST(a_detach_inside_a_run_is_a_bug_of_ours),
};

ANYHV_TEST_MAIN("queue_run", tests)

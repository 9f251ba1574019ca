/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: whose turn it is, deadlines, and a bus that hangs. */
#include "i2c_host_bench.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 40

/* An adapter whose transfers end when the test says so. */
struct hand {
    struct anyhv_i2c_adapter adapter;
    unsigned starts;
};

struct rig {
    struct i2c_bench *b;
    struct anyhv_loop *loop;
    struct hand first, second;
};

static void hand_start(struct anyhv_i2c_adapter *adapter)
{
    ((struct hand *)(void *)adapter)->starts++;
}

static const struct anyhv_i2c_adapter_ops hand_ops = {.start = hand_start};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    void *bench;

    bench_setup(&bench);
    rig->b = bench;
    rig->loop = anyhv_loop_new();
    anyhv_i2c_adapter_init(&rig->first.adapter, &hand_ops, rig->loop, "first", TIMEOUT_MS);
    anyhv_i2c_adapter_init(&rig->second.adapter, &hand_ops, rig->loop, "second", 60000);
    bench_wire(rig->b, &rig->first.adapter, &rig->second.adapter);
    bench_up(rig->b, NULL);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    void *bench = rig->b;

    bench_down(rig->b);
    anyhv_i2c_adapter_fini(&rig->first.adapter);
    anyhv_i2c_adapter_fini(&rig->second.adapter);
    bench_teardown(&bench);
    anyhv_loop_free(rig->loop);
    free(rig);
    return 0;
}

/* The transfer on the wires of @hand ends; what it read is the pattern of its address. */
static void end(struct rig *rig, struct hand *hand, unsigned done)
{
    for (unsigned i = 0; i < hand->adapter.messages; i++) {
        struct anyhv_i2c_message *m = &hand->adapter.message[i];

        for (unsigned k = 0; k < m->len && m->read; k++)
            m->data[k] = bench_byte(A7(m->addr), k);
    }
    anyhv_i2c_adapter_done(&hand->adapter, done);
    bench_run(rig->b);
}

static void wait_for_deadline(struct rig *rig)
{
    unsigned before = rig->first.adapter.counters.timeouts;

    while (rig->first.adapter.counters.timeouts == before)
        assert_true(anyhv_loop_turn(rig->loop, 20000) > 0);
    bench_run(rig->b);
}

/* ---- whose turn it is ---- */

static void transfers_of_several_guests_in_their_order(void **state)
{
    struct rig *rig = *state;
    struct i2c_bench *other = bench_new(rig->b->board);
    struct bench_request mine[] = {{A7(0x50), .out = 3}, {A7(0x50), .flags = RD, .in = 30}},
                         his = {A7(0x20), .flags = RD, .in = 20};

    bench_up(other, NULL);
    bench_send_all(rig->b, mine, 2);
    bench_send_all(other, &his, 1);
    assert_int_equal(rig->first.starts, 1);
    assert_int_equal(rig->first.adapter.message[0].data[2], bench_byte(A7(0x50), 2));
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, mine, 1, OK);
    /* The second of the first guest came when the other one's stood in line already. */
    assert_int_equal(rig->first.starts, 2);
    assert_int_equal(rig->first.adapter.message[0].addr, 0x20);
    end(rig, &rig->first, 1);
    bench_run(other);
    bench_expect_all(other, &his, 1, OK);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, mine + 1, 1, OK);
    bench_free(other);
}

static void a_transfer_that_fails_halfway(void **state)
{
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .flags = FAIL_NEXT | RD, .in = 30},
                                {A7(0x50), .flags = RD, .in = 30}};

    bench_send_all(rig->b, r, 2);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, r, 1, OK);
    bench_expect_all(rig->b, r + 1, 1, ERR);
    assert_int_equal(rig->first.adapter.counters.begun, 1);
    assert_int_equal(rig->first.adapter.counters.failed, 1);
}

/* Bytes that were read for one guest are not shown to the next. */
static void nothing_is_left_in_the_buffers(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .flags = RD, .in = 300};

    bench_send_all(rig->b, &r, 1);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, &r, 1, OK);
    bench_send_all(rig->b, &r, 1);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(rig->first.adapter.data[i], 0);
    end(rig, &rig->first, 0);
    bench_expect_all(rig->b, &r, 1, ERR);
}

/* ---- a guest that goes ---- */

/* What is on the wires is waited for, although nobody wants it any more. */
static void a_late_end_finds_nobody(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .flags = RD, .in = 3}, next = {A7(0x50), .out = 1};

    bench_send_all(rig->b, &r, 1);
    bench_negotiate(rig->b);
    bench_send_all(rig->b, &next, 1);
    assert_int_equal(rig->first.starts, 1);
    end(rig, &rig->first, 1);
    bench_expect_none(rig->b);
    assert_int_equal(rig->first.starts, 2);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, &next, 1, OK);
}

static void what_waits_can_be_taken_back(void **state)
{
    struct rig *rig = *state;
    struct i2c_bench *other = bench_new(rig->b->board), *third = bench_new(rig->b->board);
    struct bench_request r = {A7(0x50), .out = 1}, s = {A7(0x20), .out = 1},
                         t = {A7(0x77), .out = 1};

    bench_up(other, NULL);
    bench_up(third, NULL);
    bench_send_all(rig->b, &r, 1);
    bench_send_all(other, &s, 1);
    bench_send_all(third, &t, 1);
    assert_int_equal(anyhv_ctl_quiesce(other->dev), ANYHV_OK);
    assert_int_equal(anyhv_ctl_quiesce(rig->b->dev), ANYHV_LATER);
    bench_free(other);
    end(rig, &rig->first, 1);
    assert_int_equal(rig->first.adapter.message[0].addr, 0x77);
    end(rig, &rig->first, 1);
    bench_run(third);
    bench_expect_all(third, &t, 1, OK);
    bench_free(third);
}

/* ---- a call that hangs ---- */

/* Its own deadline, and then at once; whoever does not need this bus does not notice. */
static void a_bus_that_hangs(void **state)
{
    struct rig *rig = *state;
    struct bench_request r[] = {{A7(0x50), .out = 1}, {A7(0x50), .out = 1}, {A7(0x60), .out = 1}};
    struct anyhv_i2c_adapter_counters *counters = &rig->first.adapter.counters;
    int64_t begin = now_ms(), took;

    bench_send_all(rig->b, r, 3);
    wait_for_deadline(rig);
    took = now_ms() - begin;
    assert_in_range(took, TIMEOUT_MS, 10000);
    bench_expect_all(rig->b, r, 1, ERR);
    /* The second was never started; the third waits for it no longer than that takes. */
    bench_settle(rig->b, rig->loop);
    bench_expect_all(rig->b, r + 1, 1, ERR);
    assert_int_equal(rig->second.starts, 1);
    end(rig, &rig->second, 1);
    bench_expect_all(rig->b, r + 2, 1, OK);

    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(bench_do(rig->b, rig->loop, r), ERR);
    assert_int_equal(rig->first.starts, 1);
    assert_int_equal(counters->begun, 1);
    assert_int_equal(counters->timeouts, 1);
    assert_int_equal(counters->refused, 101);
    assert_int_equal(counters->failed, 0); /* it has not ended */

    end(rig, &rig->first, 1); /* which nobody believes any more */
    bench_expect_none(rig->b);
    bench_send_all(rig->b, r, 1);
    assert_int_equal(rig->first.starts, 2);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, r, 1, OK);
}

/* The deadline passes for a transfer whose guest is gone, and for those that stand in line. */
static void a_bus_that_hangs_for_a_guest_that_is_gone(void **state)
{
    struct rig *rig = *state;
    struct i2c_bench *other = bench_new(rig->b->board);
    struct bench_request r = {A7(0x50), .out = 1}, s = {A7(0x20), .out = 1};

    bench_up(other, NULL);
    bench_send_all(rig->b, &r, 1);
    bench_send_all(other, &s, 1);
    bench_negotiate(rig->b);
    wait_for_deadline(rig);
    bench_wait(other, rig->loop);
    bench_expect_all(other, &s, 1, ERR);
    bench_send_all(rig->b, &r, 1);
    bench_wait(rig->b, rig->loop);
    bench_expect_all(rig->b, &r, 1, ERR);
    bench_free(other);
}

/* Something is refused in a moment, and the bus is back before that moment comes. */
static void a_bus_that_comes_back_in_between(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};

    bench_send_all(rig->b, &r, 1);
    wait_for_deadline(rig);
    bench_expect_all(rig->b, &r, 1, ERR);
    bench_send_all(rig->b, &r, 1);
    rig->first.adapter.timeout_ms = 60000;
    end(rig, &rig->first, 1);
    bench_settle(rig->b, rig->loop);
    assert_int_equal(rig->first.starts, 2);
    end(rig, &rig->first, 1);
    bench_expect_all(rig->b, &r, 1, OK);
}

/* A stop waits for what is on the wires: no longer than its deadline. */
static void a_stop_waits_no_longer_than_the_deadline(void **state)
{
    struct rig *rig = *state;
    struct bench_request r = {A7(0x50), .out = 1};

    bench_send_all(rig->b, &r, 1);
    assert_int_equal(anyhv_ctl_quiesce(rig->b->dev), ANYHV_LATER);
    wait_for_deadline(rig);
    assert_true(rig->b->lb.quiet);
    assert_int_equal(anyhv_ctl_quiesce(rig->b->dev), ANYHV_OK);
    bench_expect_all(rig->b, &r, 1, ERR);
}

#define WITH_ADAPTERS(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    WITH_ADAPTERS(transfers_of_several_guests_in_their_order),
    WITH_ADAPTERS(a_transfer_that_fails_halfway),
    WITH_ADAPTERS(nothing_is_left_in_the_buffers),
    WITH_ADAPTERS(a_late_end_finds_nobody),
    WITH_ADAPTERS(what_waits_can_be_taken_back),
    WITH_ADAPTERS(a_bus_that_hangs),
    WITH_ADAPTERS(a_bus_that_hangs_for_a_guest_that_is_gone),
    WITH_ADAPTERS(a_bus_that_comes_back_in_between),
    WITH_ADAPTERS(a_stop_waits_no_longer_than_the_deadline),
};

ANYHV_TEST_MAIN("i2c_adapter", tests)

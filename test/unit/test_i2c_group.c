/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that belong together: FAIL_NEXT, and what becomes of a group when one of it fails. */
#include "i2c_bench.h"

#include <string.h>

/* The transfer that every register chip knows: which one, and what is in it. */
#define REGISTER_READ                                     \
    {                                                     \
        {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1}, \
        {                                                 \
            .addr = A7(0x50), .flags = RD, .in = 16       \
        }                                                 \
    }

/* ---- a group is one transfer ---- */

/* Proves I2C-GROUP. */
static void a_group_is_one_transfer(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = REGISTER_READ;

    bench_up(b, NULL);
    bench_send_all(b, r, 2);
    bench_is(b, 0, r, 2);
    bench_expect_none(b);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 2, OK);
    assert_int_equal(b->board->bus[0].submits, 1);
    assert_int_equal(b->moments, 1); /* the first was alone for as long as it took to look */
    assert_false(b->waits);
}

static void groups_one_after_the_other(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {
        {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
        {.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 2},
        {.addr = A7(0x20), .out = 2},
        {.addr = A7(0x20), .out = 3},
        {.addr = A7(0x77), .flags = FAIL_NEXT},
        {.addr = A7(0x77), .flags = RD, .in = 1},
    };

    bench_up(b, NULL);
    bench_send_all(b, r, 6);
    bench_is(b, 0, r, 3);
    bench_end(b, 0, 3);
    bench_is(b, 0, r + 3, 1);
    bench_end(b, 0, 1);
    bench_is(b, 0, r + 4, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 6, OK);
}

static void a_group_of_the_largest_size(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[ANYHV_I2C_MESSAGES];

    bench_up(b, NULL);
    for (unsigned i = 0; i < ANYHV_I2C_MESSAGES; i++)
        r[i] = (struct bench_request){
            .addr = A7(0x50), .flags = i + 1 < ANYHV_I2C_MESSAGES ? FAIL_NEXT : 0, .out = 1 + i};
    bench_send_all(b, r, ANYHV_I2C_MESSAGES);
    bench_is(b, 0, r, ANYHV_I2C_MESSAGES);
    bench_end(b, 0, ANYHV_I2C_MESSAGES);
    bench_expect_all(b, r, ANYHV_I2C_MESSAGES, OK);
}

/* ---- one of it fails ---- */

/* What went well is told so, and the rest is not. Proves I2C-FIRST-FAILED, I2C-REST-FAILED. */
static void the_bus_fails_in_the_middle(void **state)
{
    struct i2c_bench *b = *state;

    for (unsigned done = 0; done < 3; done++) {
        struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                    {.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 5},
                                    {.addr = A7(0x50), .flags = RD, .in = 5}};
        struct bench_request next = {.addr = A7(0x20), .out = 1};

        bench_up(b, NULL);
        bench_send_all(b, r, 3);
        bench_send_all(b, &next, 1);
        bench_end(b, 0, done);
        bench_expect_all(b, r, done, OK);
        bench_expect_all(b, r + done, 3 - done, ERR);
        bench_end(b, 0, 1); /* the group has ended, whoever failed in it */
        bench_expect_all(b, &next, 1, OK);
    }
}

/* A request that makes no sense, wherever it stands: nothing of its group reaches the bus. */
static void one_of_the_group_makes_no_sense(void **state)
{
    struct i2c_bench *b = *state;

    for (unsigned bad = 0; bad < 4; bad++) {
        struct bench_request r[4], next = {.addr = A7(0x50), .out = 1};

        bench_up(b, NULL);
        for (unsigned i = 0; i < 4; i++)
            r[i] = (struct bench_request){
                .addr = i == bad ? A7(0x51) : A7(0x50), .flags = i < 3 ? FAIL_NEXT : 0, .out = 2};
        bench_send_all(b, r, 4);
        bench_expect_all(b, r, 4, ERR);
        assert_int_equal(b->board->bus[0].submits, bad); /* of the rounds before */
        assert_int_equal(b->i2c.counters.refused, 1);
        bench_send_all(b, &next, 1);
        bench_end(b, 0, 1);
        bench_expect_all(b, &next, 1, OK);
    }
}

/* The group fails first, the rest comes later: it is not tried. Proves I2C-FAIL-NEXT. */
static void the_rest_of_a_failed_group_comes_later(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x51), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 3},
                                {.addr = A7(0x50), .out = 1},
                                {.addr = A7(0x50), .out = 1}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 4; i++) {
        bench_send_all(b, &r[i], 1);
        bench_expect_all(b, &r[i], 1, ERR);
    }
    assert_int_equal(b->board->bus[0].submits, 0);
    assert_int_equal(b->i2c.counters.refused, 1);
    bench_send_all(b, &r[4], 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r[4], 1, OK);
}

/* A header that is too short has no FAIL_NEXT: the group ends with it. */
static void a_failed_group_ends_with_what_cannot_be_read(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request bad = {.addr = A7(0x51), .flags = FAIL_NEXT, .out = 1},
                         torn = {.addr = A7(0x50), .flags = FAIL_NEXT},
                         good = {.addr = A7(0x50), .out = 1};

    bench_up(b, NULL);
    bench_send_all(b, &bad, 1);
    bench_prepare(b, &torn);
    torn.out_len = 7;
    bench_send(b, &torn);
    bench_send_all(b, &good, 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &bad, 1, ERR);
    bench_expect_all(b, &torn, 1, ERR);
    bench_expect_all(b, &good, 1, OK);
}

static void a_reset_ends_a_failed_group(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request bad = {.addr = A7(0x51), .flags = FAIL_NEXT, .out = 1},
                         good = {.addr = A7(0x50), .out = 1};
    struct drv_transport *t = &b->mmio.transport;

    bench_up(b, &(struct bench_options){.features = DRV_F_RING_RESET});
    for (unsigned i = 0; i < 2; i++) {
        bench_send_all(b, &bad, 1);
        bench_expect_all(b, &bad, 1, ERR);
        if (i == 0) {
            bench_negotiate(b);
        } else {
            assert_true(t->ops->queue_reset(t, 0));
            bench_start_ring(b);
        }
        bench_send_all(b, &good, 1);
        bench_end(b, 0, 1);
        bench_expect_all(b, &good, 1, OK);
    }
}

/* ---- limits ---- */

static void a_group_that_is_too_long_fails(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[ANYHV_I2C_MESSAGES + 20], next = {.addr = A7(0x50), .out = 1};

    bench_up(b, NULL);
    for (unsigned i = 0; i < ANYHV_I2C_MESSAGES + 20; i++)
        r[i] = (struct bench_request){
            .addr = A7(0x50), .flags = i + 1 < ANYHV_I2C_MESSAGES + 20 ? FAIL_NEXT : 0, .out = 1};
    bench_send_all(b, r, ANYHV_I2C_MESSAGES + 20);
    bench_expect_all(b, r, ANYHV_I2C_MESSAGES + 20, ERR);
    assert_int_equal(b->board->bus[0].submits, 0);
    bench_send_all(b, &next, 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &next, 1, OK);
}

/* Exactly as many bytes as there is room for, and one more. */
static void a_group_of_too_many_bytes_fails(void **state)
{
    struct i2c_bench *b = *state;

    for (unsigned more = 0; more < 2; more++) {
        for (unsigned read = 0; read < 2; read++) {
            struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 40},
                                        {.addr = A7(0x50), .flags = read ? RD : 0}};

            r[1].in = read ? 52 + more : 0;
            r[1].out = read ? 0 : 44 + more;
            bench_up(b, &(struct bench_options){.data_len = 100});
            bench_send_all(b, r, 2);
            if (!more)
                bench_end(b, 0, 2);
            bench_expect_all(b, r, 2, more ? ERR : OK);
        }
    }
}

static void a_group_on_two_buses_fails(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x60), .out = 1}};

    bench_up(b, NULL);
    bench_send_all(b, r, 2);
    bench_expect_all(b, r, 2, ERR);
    r[0].addr = A7(0x60); /* the same one, both on the second bus */
    bench_send_all(b, r, 2);
    bench_is(b, 1, r, 2);
    bench_end(b, 1, 2);
    bench_expect_all(b, r, 2, OK);
}

/* Fewer requests may be in work than the group has: it becomes two transfers, not a standstill. */
static void a_group_larger_than_what_may_be_in_work(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[5];

    bench_up(b, &(struct bench_options){.requests = 3});
    for (unsigned i = 0; i < 5; i++)
        r[i] =
            (struct bench_request){.addr = A7(0x50), .flags = i < 4 ? FAIL_NEXT : 0, .out = 1 + i};
    bench_send_all(b, r, 5);
    assert_true(b->waits);
    anyhv_i2c_flush(&b->i2c);
    bench_is(b, 0, r, 3);
    bench_end(b, 0, 3);
    bench_is(b, 0, r + 3, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 5, OK);
}

/* ---- a group that comes in pieces ---- */

static void a_group_of_several_kicks_is_one_transfer(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 5},
                                {.addr = A7(0x50), .flags = RD, .in = 5}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 3; i++) {
        bench_send_all(b, &r[i], 1);
        assert_int_equal(b->waits, i < 2);
        assert_int_equal(b->moments, i < 2 ? i + 1 : 2); /* it begins anew with each */
    }
    bench_is(b, 0, r, 3);
    bench_end(b, 0, 3);
    bench_expect_all(b, r, 3, OK);
}

/* The driver's ring was full: what it could send is done, and what follows is still its group. */
static void a_group_that_does_not_go_on_is_done(void **state)
{
    struct i2c_bench *b = *state;

    for (unsigned fails = 0; fails < 2; fails++) {
        struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                    {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                    {.addr = A7(0x50), .out = 1},
                                    {.addr = A7(0x50), .out = 1}};

        bench_up(b, NULL);
        bench_send_all(b, r, 2);
        assert_true(b->waits);
        anyhv_i2c_flush(&b->i2c);
        assert_false(b->waits);
        anyhv_i2c_flush(&b->i2c); /* there is nothing left */
        bench_is(b, 0, r, 2);
        bench_end(b, 0, fails ? 1 : 2);
        bench_expect_all(b, r, fails ? 1 : 2, OK);
        if (fails)
            bench_expect_all(b, r + 1, 1, ERR);
        bench_send_all(b, r + 2, 2);
        if (fails) {
            bench_expect_all(b, r + 2, 1, ERR);
        } else {
            bench_end(b, 0, 1);
            bench_expect_all(b, r + 2, 1, OK);
        }
        bench_end(b, 0, 1);
        bench_expect_all(b, r + 3, 1, OK);
    }
}

/* What is on the bus is not added to, and nobody waits for what has come meanwhile. */
static void the_next_group_begins_while_one_is_on_the_bus(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request first = {.addr = A7(0x50), .out = 1}, r[] = REGISTER_READ;

    bench_up(b, NULL);
    bench_send_all(b, &first, 1);
    bench_send_all(b, r, 1);
    assert_false(b->waits);
    anyhv_i2c_flush(&b->i2c); /* from a timer that was too late to be cancelled */
    assert_int_equal(b->board->bus[0].submits, 1);
    bench_end(b, 0, 1);
    assert_true(b->waits);
    bench_send_all(b, r + 1, 1);
    bench_is(b, 0, r, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, &first, 1, OK);
    bench_expect_all(b, r, 2, OK);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_group_is_one_transfer),
    BENCH_TEST(groups_one_after_the_other),
    BENCH_TEST(a_group_of_the_largest_size),
    BENCH_TEST(the_bus_fails_in_the_middle),
    BENCH_TEST(one_of_the_group_makes_no_sense),
    BENCH_TEST(the_rest_of_a_failed_group_comes_later),
    BENCH_TEST(a_failed_group_ends_with_what_cannot_be_read),
    BENCH_TEST(a_reset_ends_a_failed_group),
    BENCH_TEST(a_group_that_is_too_long_fails),
    BENCH_TEST(a_group_of_too_many_bytes_fails),
    BENCH_TEST(a_group_on_two_buses_fails),
    BENCH_TEST(a_group_larger_than_what_may_be_in_work),
    BENCH_TEST(a_group_of_several_kicks_is_one_transfer),
    BENCH_TEST(a_group_that_does_not_go_on_is_done),
    BENCH_TEST(the_next_group_begins_while_one_is_on_the_bus),
};

ANYHV_TEST_MAIN("i2c_group", tests)

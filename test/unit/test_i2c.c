/* SPDX-License-Identifier: Apache-2.0 */
/* The I2C adapter model, request by request: what it understands, and what it does not. */
#include "i2c_bench.h"

#include <string.h>

/* ---- single requests ---- */

/* Proves I2C-HEADER-KEPT, I2C-WRITE-KEPT. */
static void a_write(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .out = 9};
    uint8_t before[8 + 9];

    bench_up(b, NULL);
    bench_prepare(b, &r);
    memcpy(before, drv_ptr(&b->mem, r.out_at, sizeof(before)), sizeof(before));
    bench_send(b, &r);
    bench_is(b, 0, &r, 1);
    bench_expect_none(b);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r, 1, OK);
    assert_memory_equal(drv_ptr(&b->mem, r.out_at, sizeof(before)), before, sizeof(before));
    assert_int_equal(b->i2c.counters.transfers, 1);
    assert_int_equal(b->i2c.counters.failed, 0);
}

/* Proves I2C-READ. */
static void a_read(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .flags = RD, .in = 300};

    bench_up(b, NULL);
    bench_send_all(b, &r, 1);
    bench_is(b, 0, &r, 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r, 1, OK);
}

/* Only the address and the direction: SMBus calls it Quick. Proves I2C-DIRECTION. */
static void zero_length_requests(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50)}, {.addr = A7(0x50), .flags = RD}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 2; i++) {
        bench_send_all(b, &r[i], 1);
        bench_is(b, 0, &r[i], 1);
        bench_end(b, 0, 1);
        bench_expect(b, &r[i], 1);
        assert_int_equal(bench_status(b, &r[i]), OK);
    }
}

static void nobody_answers(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .out = 2},
                                {.addr = A7(0x50), .flags = RD, .in = 20},
                                {.addr = A7(0x50)}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 3; i++) {
        bench_send_all(b, &r[i], 1);
        bench_end(b, 0, 0);
        bench_expect_all(b, &r[i], 1, ERR);
    }
    assert_int_equal(b->i2c.counters.failed, 3);
}

/* One request after the other, in their order, also when they are unrelated. Proves I2C-ORDER. */
static void requests_in_their_order(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .out = 1},
                                {.addr = A7(0x60), .out = 2},
                                {.addr = A7(0x20), .flags = RD, .in = 3}};

    bench_up(b, NULL);
    bench_send_all(b, r, 3);
    assert_int_equal(b->board->bus[0].queued, 1);
    assert_int_equal(b->board->bus[1].queued, 0); /* not before the first is done */
    bench_end(b, 0, 0);
    bench_expect_all(b, &r[0], 1, ERR);
    bench_is(b, 1, &r[1], 1);
    assert_int_equal(b->board->bus[0].queued, 0);
    bench_end(b, 1, 1);
    bench_expect_all(b, &r[1], 1, OK);
    bench_is(b, 0, &r[2], 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r[2], 1, OK);
}

/* Proves I2C-STATUS. */
static void however_it_is_cut(void **state)
{
    static const uint64_t rings[] = {0, DRV_F_PACKED};
    struct i2c_bench *b = *state;

    for (unsigned ring = 0; ring < 2; ring++) {
        bench_up(b, &(struct bench_options){.features = rings[ring] | DRV_F_INDIRECT});
        for (uint32_t cut = 1; cut < 12; cut++) {
            struct bench_request r[] = {
                {.addr = A7(0x50), .out = 3, .cut = cut, .indirect = cut > 3},
                {.addr = A7(0x50), .flags = RD, .in = 7, .cut = cut, .indirect = cut > 3},
            };

            for (unsigned i = 0; i < 2; i++) {
                bench_send_all(b, &r[i], 1);
                bench_is(b, 0, &r[i], 1);
                bench_end(b, 0, 1);
                bench_expect_all(b, &r[i], 1, OK);
            }
        }
    }
}

static void the_longest(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .out = ANYHV_I2C_MESSAGE_BYTES, .cut = 1000},
                                {.addr = A7(0x50), .flags = RD, .in = ANYHV_I2C_MESSAGE_BYTES}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 2; i++) {
        bench_send_all(b, &r[i], 1);
        bench_is(b, 0, &r[i], 1);
        bench_end(b, 0, 1);
        bench_expect_all(b, &r[i], 1, OK);
    }
}

/* ---- addresses ---- */

/* Proves I2C-ADDRESSES. */
static void both_kinds_of_addresses(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = 0x40, .out = 1}, {.addr = 0x50f2, .out = 1}};

    bench_up(b, NULL);
    bench_send_all(b, r, 2);
    assert_int_equal(bench_transfer(b, 0)->message[0].addr, 0x20);
    bench_end(b, 0, 1);
    assert_int_equal(bench_transfer(b, 0)->message[0].addr, ANYHV_I2C_TEN_BIT | 0x150);
    bench_end(b, 0, 1);
    bench_expect_all(b, r, 2, OK);
}

/*
 * Of all 65536, those that are a way to write 0x20, 0x50, 0x60, 0x77 and 0x150 get through. Proves
 * I2C-ADDRESSES.
 */
static void every_other_address_is_as_if_nothing_were_there(void **state)
{
    static const uint16_t good[] = {0x40, 0xa0, 0xc0, 0xee, 0x50f2};
    struct i2c_bench *b = *state;
    struct bench_request r = {.out = 1};
    unsigned passed = 0;

    bench_up(b, NULL);
    bench_prepare(b, &r);
    for (unsigned addr = 0; addr < 65536; addr++) {
        bool expected = false;

        for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
            expected |= addr == good[i];
        drv_poke16(&b->mem, r.out_at, (uint16_t)addr);
        bench_send(b, &r);
        for (unsigned bus = 0; bus < 2; bus++) {
            if (b->board->bus[bus].queued) {
                assert_true(expected);
                passed++;
                bench_end(b, bus, 1);
            }
        }
        bench_expect(b, &r, 1);
        assert_int_equal(bench_status(b, &r), expected ? OK : ERR);
    }
    assert_int_equal(passed, 5);
    assert_int_equal(b->i2c.counters.refused, 65531);
}

static void only_what_is_allowed_to_this_guest(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x20), .out = 1}, {.addr = A7(0x50), .out = 1}};

    bench_up(b, &(struct bench_options){.targets = 1});
    bench_send_all(b, r, 2);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r[0], 1, OK);
    bench_expect_all(b, &r[1], 1, ERR);
    assert_int_equal(b->board->bus[0].submits, 1);
}

/* Two guests, each with an adapter of its own, on the same wires. */
static void a_target_belongs_to_the_first_guest_that_uses_it(void **state)
{
    struct i2c_bench *b = *state, *other = bench_new(b->board);
    struct bench_request r = {.addr = A7(0x50), .out = 1}, mine = r, second = {A7(0x20), .out = 1};

    bench_up(b, NULL);
    bench_up(other, NULL);
    bench_send_all(b, &r, 1);
    bench_send_all(other, &mine, 1);
    bench_expect_all(other, &mine, 1, ERR);
    bench_send_all(other, &second, 1);
    assert_int_equal(b->board->bus[0].queued, 2);
    bench_end(b, 0, 1);
    bench_expect_all(b, &r, 1, OK);
    bench_end(other, 0, 1);
    bench_expect_all(other, &second, 1, OK);
    bench_negotiate(b); /* still the same guest */
    bench_send_all(other, &mine, 1);
    bench_expect_all(other, &mine, 1, ERR);
    bench_down(b);
    bench_send_all(other, &mine, 1);
    bench_end(other, 0, 1);
    bench_expect_all(other, &mine, 1, OK);
    bench_free(other);
}

/* What a guest only tried to use stays free for others. */
static void a_group_that_is_refused_claims_nothing(void **state)
{
    struct i2c_bench *b = *state, *other = bench_new(b->board);
    struct bench_request bad[] = {{A7(0x50), .flags = FAIL_NEXT, .out = 1}, {A7(0x21), .out = 1}},
                         good = {A7(0x50), .out = 1};

    bench_up(b, NULL);
    bench_up(other, NULL);
    bench_send_all(b, bad, 2);
    bench_expect_all(b, bad, 2, ERR);
    bench_send_all(other, &good, 1);
    bench_end(other, 0, 1);
    bench_expect_all(other, &good, 1, OK);
    bench_free(other);
}

/* While the rest of a group is still to come, another guest may be the first. */
static void a_group_that_comes_too_late(void **state)
{
    struct i2c_bench *b = *state, *other = bench_new(b->board);
    struct bench_request begin = {A7(0x50), .flags = FAIL_NEXT, .out = 1},
                         rest = {.addr = A7(0x77)}, flushed = begin,
                         taken[] = {{A7(0x50), .out = 1}, {A7(0x20), .out = 1}};

    bench_up(b, NULL);
    bench_up(other, NULL);
    bench_send_all(b, &begin, 1);
    bench_send_all(other, &taken[0], 1);
    bench_end(other, 0, 1);
    bench_expect_all(other, &taken[0], 1, OK);
    bench_send_all(b, &rest, 1);
    bench_expect_all(b, &begin, 1, ERR);
    bench_expect_all(b, &rest, 1, ERR);
    flushed.addr = A7(0x20);
    bench_send_all(b, &flushed, 1);
    bench_send_all(other, &taken[1], 1);
    bench_end(other, 0, 1);
    bench_expect_all(other, &taken[1], 1, OK);
    anyhv_i2c_flush(&b->i2c);
    bench_run(b);
    bench_expect_all(b, &flushed, 1, ERR);
    assert_int_equal(b->i2c.counters.refused, 2);
    assert_false(b->waits);
    bench_free(other);
}

/* ---- requests that make no sense ---- */

static void malformed_requests_are_errors(void **state)
{
    static const struct {
        uint32_t flags, out_len, in_len;
    } bad[] = {
        {0, 0, 1},
        {0, 1, 1},
        {0, 7, 1},
        {RD, 7, 5}, /* no whole header */
        {0, 8, 2},
        {0, 9, 2},
        {0, 12, 301}, /* a write that reads */
        {RD, 9, 1},
        {RD, 9, 2},
        {RD, 500, 500}, /* a read that writes */
        {4, 9, 1},
        {0x80, 9, 1},
        {1u << 31, 9, 1},
        {RD | 256, 8, 2}, /* unknown flags */
        {0, 8 + ANYHV_I2C_MESSAGE_BYTES + 1, 1},
        {RD, 8, ANYHV_I2C_MESSAGE_BYTES + 2}, /* too long */
        {RD, 8, 65536 + 2},
        {RD, 8, 1 << 20},
    };
    struct i2c_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bench_request r = {
            .addr = A7(0x50), .flags = bad[i].flags, .out = 9000, .in = bad[i].in_len};

        b->mem.used = BENCH_RAM / 4;
        bench_prepare(b, &r);
        r.out_len = bad[i].out_len;
        r.in_len = bad[i].in_len;
        r.in = bad[i].in_len - 1;
        bench_send(b, &r);
        bench_expect_all(b, &r, 1, ERR);
    }
    assert_int_equal(b->board->bus[0].submits, 0);
    assert_int_equal(b->i2c.counters.refused, sizeof(bad) / sizeof(bad[0]));
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->rejected, 0);
}

/* There is no place for a status: used length 0, and it counts as the guest's fault. */
static void a_request_without_a_status_byte(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .out = 3};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    r.in_len = 0;
    bench_send(b, &r);
    bench_expect(b, &r, 0);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 1);
    assert_int_equal(b->board->bus[0].submits, 0);
}

/* Zeroes before a status are written only so far. */
static void an_error_behind_more_than_is_zeroed(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .flags = RD};
    struct drv_buf out, in[3];
    struct drv_chain chain = {.out = &out, .nout = 1, .in = in, .nin = 3, .direct = DRV_DIRECT};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    out = (struct drv_buf){r.out_at, 8};
    for (unsigned i = 0; i < 3; i++)
        in[i] = (struct drv_buf){BENCH_BASE + BENCH_RAM / 2, 1u << 20};
    chain.token = r.out_at;
    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    bench_kick(b);
    bench_expect(b, &r, 0);
}

/* ---- features ---- */

/* Proves I2C-ZERO-LENGTH-OFFERED, I2C-ZERO-LENGTH-NEEDED. */
static void zero_length_requests_are_not_optional(void **state)
{
    struct i2c_bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;

    bench_up(b, NULL);
    assert_true(t->ops->offered(t) & F_ZERO_LENGTH);
    assert_true(t->ops->offered(t) & DRV_F_INDIRECT);
    assert_false(drv_negotiate(t, DRV_F_INDIRECT));
    assert_true(drv_negotiate(t, F_ZERO_LENGTH));
}

/* Proves I2C-LAYOUT. */
static void there_is_one_queue_and_no_configuration(void **state)
{
    struct i2c_bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;
    uint8_t byte;

    bench_up(b, NULL);
    assert_int_equal(t->ops->queue_max(t, 0), 1024);
    assert_int_equal(t->ops->queue_max(t, 1), 0);
    assert_int_equal(anyhv_ctl_config_read(b->dev, 0, &byte, 1), ANYHV_E_INVAL);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_write),
    BENCH_TEST(a_read),
    BENCH_TEST(zero_length_requests),
    BENCH_TEST(nobody_answers),
    BENCH_TEST(requests_in_their_order),
    BENCH_TEST(however_it_is_cut),
    BENCH_TEST(the_longest),
    BENCH_TEST(both_kinds_of_addresses),
    BENCH_TEST(every_other_address_is_as_if_nothing_were_there),
    BENCH_TEST(only_what_is_allowed_to_this_guest),
    BENCH_TEST(a_target_belongs_to_the_first_guest_that_uses_it),
    BENCH_TEST(a_group_that_is_refused_claims_nothing),
    BENCH_TEST(a_group_that_comes_too_late),
    BENCH_TEST(malformed_requests_are_errors),
    BENCH_TEST(a_request_without_a_status_byte),
    BENCH_TEST(an_error_behind_more_than_is_zeroed),
    BENCH_TEST(zero_length_requests_are_not_optional),
    BENCH_TEST(there_is_one_queue_and_no_configuration),
};

ANYHV_TEST_MAIN("i2c", tests)

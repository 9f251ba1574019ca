/* SPDX-License-Identifier: Apache-2.0 */
/* What may happen while a transfer waits or is on the wires: resets, stops, restarts, no memory. */
#include "i2c_bench.h"

#include <stdlib.h>
#include <string.h>

/* A register is read: two requests, one transfer. */
static const struct bench_request register_read[] = {
    {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1}, {.addr = A7(0x50), .flags = RD, .in = 16}};

static void send_group(struct i2c_bench *b, struct bench_request r[2])
{
    memcpy(r, register_read, sizeof(register_read));
    bench_send_all(b, r, 2);
}

static void do_group(struct i2c_bench *b)
{
    struct bench_request r[2];

    send_group(b, r);
    bench_is(b, 0, r, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 2, OK);
}

/* ---- resets ---- */

/* Whatever the group has come to, a reset takes it away, from the bus as well. */
static void a_reset_takes_everything_away(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_bus *bus = &b->board->bus[0];
    struct drv_transport *t = &b->mmio.transport;

    bench_up(b, &(struct bench_options){.features = DRV_F_RING_RESET});
    for (unsigned begun = 0; begun < 2; begun++) {
        for (unsigned how = 0; how < 3; how++) {
            for (unsigned sent = 1; sent <= 3; sent++) {
                struct bench_request r[4];
                unsigned drops = bus->drops;

                memcpy(r, register_read, sizeof(register_read));
                memcpy(r + 2, register_read, sizeof(register_read));
                bus->begins = begun;
                bench_send_all(b, r, sent);
                assert_int_equal(b->waits, sent == 1);
                if (how == 0) {
                    bench_negotiate(b);
                } else if (how == 1) {
                    assert_true(t->ops->queue_reset(t, 0));
                    bench_start_ring(b);
                } else {
                    bench_up(b, &(struct bench_options){.features = DRV_F_RING_RESET});
                }
                assert_int_equal(bus->drops, drops + (sent > 1));
                assert_int_equal(bus->queued, 0);
                assert_false(b->waits);
                bench_expect_none(b);
                do_group(b);
            }
        }
    }
}

static void a_guest_that_is_lost(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[2];

    bench_up(b, NULL);
    send_group(b, r);
    anyhv_loopback_lose_peer(&b->lb);
    assert_int_equal(b->board->bus[0].queued, 0);
}

/* ---- queues that become quiet ---- */

/* A transfer that nobody has seen on the wires goes back to the ring, all of it, and comes again.
 */
static void what_was_not_begun_goes_back(void **state)
{
    struct i2c_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned sent = 1; sent <= 4; sent++) {
        struct bench_request r[4];
        uint64_t returned = anyhv_ctl_counters(b->dev, 0)->returned;

        memcpy(r, register_read, sizeof(register_read));
        memcpy(r + 2, register_read, sizeof(register_read));
        bench_send_all(b, r, sent);
        assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
        assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, returned + sent);
        assert_int_equal(b->board->bus[0].queued, 0);
        assert_false(b->waits);
        anyhv_ctl_resume(b->dev);
        bench_run(b);
        for (unsigned i = sent; i < 4; i++) {
            bench_prepare(b, &r[i]);
            bench_add(b, &r[i]);
        }
        bench_kick(b);
        for (unsigned group = 0; group < 2; group++) {
            bench_is(b, 0, r + 2 * group, 2);
            bench_end(b, 0, 2);
            bench_expect_all(b, r + 2 * group, 2, OK);
        }
    }
}

/* What is on the wires is waited for; what stands behind it goes back. */
static void what_was_begun_is_finished(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[4];

    bench_up(b, NULL);
    b->board->bus[0].begins = true;
    memcpy(r, register_read, sizeof(register_read));
    memcpy(r + 2, register_read, sizeof(register_read));
    bench_send_all(b, r, 4);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, 2);
    bench_end(b, 0, 2);
    assert_true(b->lb.quiet);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bench_expect_all(b, r, 2, OK);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    bench_end(b, 0, 2);
    bench_expect_all(b, r + 2, 2, OK);
}

/* ---- state ---- */

static uint8_t *save(struct i2c_bench *b, size_t *len)
{
    uint8_t *bytes;

    assert_int_equal(anyhv_dev_save(b->dev, NULL, 0, len), ANYHV_E_NORES);
    bytes = malloc(*len);
    assert_int_equal(anyhv_dev_save(b->dev, bytes, *len, len), ANYHV_OK);
    return bytes;
}

static int load(struct i2c_bench *b, const uint8_t *bytes, size_t len)
{
    assert_true(b->mmio.transport.ops->reset(&b->mmio.transport));
    return anyhv_dev_load(b->dev, bytes, len, true);
}

/* The guest moves in the middle of a group that has failed: the rest of it is not tried there. */
static void a_failed_group_moves_with_its_guest(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request bad = {.addr = A7(0x51), .flags = FAIL_NEXT, .out = 1},
                         rest = {.addr = A7(0x50), .out = 1};
    size_t len;
    uint8_t *bytes;

    bench_up(b, NULL);
    for (unsigned failed = 0; failed < 2; failed++) {
        if (failed) {
            bench_send_all(b, &bad, 1);
            bench_expect_all(b, &bad, 1, ERR);
        }
        bytes = save(b, &len);
        assert_int_equal(load(b, bytes, len), ANYHV_OK);
        bench_run(b);
        bench_send_all(b, &rest, 1);
        if (!failed)
            bench_end(b, 0, 1);
        bench_expect_all(b, &rest, 1, failed ? ERR : OK);
        free(bytes);
    }
}

static void a_state_that_makes_no_sense_is_refused(void **state)
{
    struct i2c_bench *b = *state;
    size_t len;
    uint8_t *bytes, *own;

    bench_up(b, NULL);
    bytes = save(b, &len);
    own = bytes + len - 4;
    own[0] = 2;
    assert_int_equal(load(b, bytes, len), ANYHV_E_VERSION);
    own[0] = 1;
    own[2] = 2;
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    own[2] = 1;
    own[3] = 1;
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    own[3] = 0;
    for (size_t less = 1; less <= 4; less++) {
        uint8_t *shorter = malloc(len - less);

        memcpy(shorter, bytes, len - less);
        shorter[12] = (uint8_t)(len - less); /* the length that the header says */
        assert_true(load(b, shorter, len - less) < 0);
        free(shorter);
    }
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    free(bytes);
}

/* ---- a successor ---- */

/*
 * A write that was taken may have been done: it is not done again. A read is. What came after the
 * predecessor's end is served as ever.
 */
static void after_a_kill_writes_fail_and_reads_are_repeated(void **state)
{
    static const uint64_t rings[] = {0, DRV_F_PACKED};
    struct i2c_bench *b = *state;

    for (unsigned ring = 0; ring < 2; ring++) {
        struct bench_request r[] = {{.addr = A7(0x50), .flags = RD, .in = 4},
                                    {.addr = A7(0x50), .out = 3},
                                    {.addr = A7(0x50)},
                                    {.addr = A7(0x50), .flags = RD},
                                    {.addr = A7(0x20), .flags = RD, .in = 9}};

        bench_up(b, &(struct bench_options){.features = rings[ring], .journal = true});
        bench_send_all(b, r, 5);
        bench_succeed(b);
        bench_is(b, 0, r, 1);
        bench_end(b, 0, 1);
        bench_expect_all(b, r, 1, OK);
        bench_expect_all(b, r + 1, 3, ERR);
        bench_is(b, 0, r + 4, 1);
        bench_end(b, 0, 1);
        bench_expect_all(b, r + 4, 1, OK);
        do_group(b);
    }
}

/* A group is one transfer: with a write in it nothing of it is repeated. */
static void after_a_kill_a_group_with_a_write_fails(void **state)
{
    struct i2c_bench *b = *state;
    unsigned submits;

    for (unsigned taken = 1; taken <= 2; taken++) {
        struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 4},
                                    {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 3},
                                    {.addr = A7(0x50), .flags = RD, .in = 1}};

        bench_up(b, &(struct bench_options){.journal = true});
        bench_send_all(b, r, taken);
        submits = b->board->bus[0].submits;
        bench_succeed(b);
        bench_send_all(b, r + taken, 3 - taken);
        if (taken == 1) { /* the write was never seen before */
            bench_is(b, 0, r, 3);
            bench_end(b, 0, 3);
            bench_expect_all(b, r, 3, OK);
        } else {
            bench_expect_all(b, r, 3, ERR);
            assert_int_equal(b->board->bus[0].submits, submits);
        }
    }
}

/* A queue that stops cannot give back what a successor took again: that is finished. */
static void what_came_again_is_finished_before_a_stop(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 4},
                                {.addr = A7(0x50), .flags = RD, .in = 1}};

    bench_up(b, &(struct bench_options){.journal = true});
    bench_send_all(b, r, 1);
    bench_succeed(b);
    bench_send_all(b, r + 1, 1);
    bench_is(b, 0, r, 2);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, 1); /* the one that is new */
    assert_true(b->waits);
    anyhv_i2c_flush(&b->i2c);
    bench_is(b, 0, r, 1);
    bench_end(b, 0, 1);
    assert_true(b->lb.quiet);
    bench_expect_all(b, r, 1, OK);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    bench_end(b, 0, 1);
    bench_expect_all(b, r + 1, 1, OK);
}

/* ---- guest memory that is not there for a moment ---- */

/* Whichever access it is that cannot be made just now, the requests come out right in the end. */
static void goes_on_where_it_was(void **state)
{
    struct i2c_bench *b = *state;
    unsigned faults = 0;

    bench_up(b, &(struct bench_options){.bounce = true});
    for (uint32_t after = 0; after < 60; after++) {
        struct bench_request r[3] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 5},
                                     {.addr = A7(0x50), .flags = RD, .in = 16},
                                     {.addr = A7(0x51), .flags = RD, .in = 3}};

        b->lb.faults = (struct anyhv_loopback_faults){
            .after = after, .result = ANYHV_E_NORES, .count = 1 + after % 3};
        bench_send_all(b, r, 3);
        for (unsigned tries = 0; tries < 20; tries++) {
            if (b->board->bus[0].queued) {
                bench_is(b, 0, r, 2);
                bench_end(b, 0, 2);
            }
            faults += b->lb.faults.result && b->lb.faults.after == 0;
            anyhv_mem_room(&b->lb.mem);
            bench_run(b);
        }
        b->lb.faults.result = 0;
        bench_kick(b);
        bench_expect_all(b, r, 2, OK);
        bench_expect_all(b, r + 2, 1, ERR);
        assert_int_equal(b->i2c.held, 0);
    }
    assert_true(faults > 10);
}

/* A buffer that is in no memory: the request cannot be read, so the group fails. */
static void data_that_is_nowhere(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .out = 4}};

    bench_up(b, &(struct bench_options){.bounce = true});
    bench_prepare(b, &r[0]);
    bench_prepare(b, &r[1]);
    r[1].out_at = BENCH_BASE + BENCH_RAM - 10;
    drv_poke16(&b->mem, r[1].out_at, A7(0x50));
    drv_poke32(&b->mem, r[1].out_at + 4, FAIL_NEXT);
    bench_add(b, &r[0]);
    bench_add(b, &r[1]);
    bench_kick(b);
    bench_expect_all(b, r, 2, ERR);
    assert_int_equal(b->board->bus[0].submits, 0);
    r[0].flags = 0;
    bench_send_all(b, r, 1); /* it was told to fail the next */
    bench_expect_all(b, r, 1, ERR);
    do_group(b);
}

static void in_order_and_packed(void **state)
{
    static const uint64_t rings[] = {DRV_F_IN_ORDER, DRV_F_PACKED, DRV_F_PACKED | DRV_F_IN_ORDER};
    struct i2c_bench *b = *state;

    for (unsigned i = 0; i < 3; i++) {
        bench_up(b, &(struct bench_options){.features = rings[i]});
        for (unsigned k = 0; k < 300; k++) {
            struct bench_request r[2], bad = {.addr = A7(0x51), .flags = FAIL_NEXT, .out = 1};

            b->mem.used = BENCH_RAM / 2;
            send_group(b, r);
            bench_send_all(b, &bad, 1);
            assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
            anyhv_ctl_resume(b->dev);
            bench_run(b);
            bench_end(b, 0, 2);
            bench_expect_all(b, r, 2, OK);
            bench_expect_all(b, &bad, 1, ERR);
            bad.flags = 0;
            bench_send_all(b, &bad, 1);
            bench_expect_all(b, &bad, 1, ERR);
        }
    }
}

/* What went back belongs to the group all the same: if the part that stayed fails, so does that. */
static void what_goes_back_fails_with_its_group(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT | RD, .in = 4},
                                {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .out = 1}};
    unsigned submits;

    bench_up(b, &(struct bench_options){.journal = true});
    bench_send_all(b, r, 1);
    bench_succeed(b);
    bench_send_all(b, r + 1, 2);
    bench_is(b, 0, r, 3);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_i2c_flush(&b->i2c);
    bench_is(b, 0, r, 1);
    bench_end(b, 0, 0);
    bench_expect_all(b, r, 1, ERR);
    submits = b->board->bus[0].submits;
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    bench_expect_all(b, r + 1, 2, ERR);
    assert_int_equal(b->board->bus[0].submits, submits);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_reset_takes_everything_away),
    BENCH_TEST(a_guest_that_is_lost),
    BENCH_TEST(what_was_not_begun_goes_back),
    BENCH_TEST(what_was_begun_is_finished),
    BENCH_TEST(a_failed_group_moves_with_its_guest),
    BENCH_TEST(a_state_that_makes_no_sense_is_refused),
    BENCH_TEST(after_a_kill_writes_fail_and_reads_are_repeated),
    BENCH_TEST(after_a_kill_a_group_with_a_write_fails),
    BENCH_TEST(what_came_again_is_finished_before_a_stop),
    BENCH_TEST(goes_on_where_it_was),
    BENCH_TEST(data_that_is_nowhere),
    BENCH_TEST(in_order_and_packed),
    BENCH_TEST(what_goes_back_fails_with_its_group),
};

ANYHV_TEST_MAIN("i2c_later", tests)

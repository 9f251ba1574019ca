/* SPDX-License-Identifier: Apache-2.0 */
/* Case 82, and others: what a hostile driver sends to the I2C adapter. */
#include "unit/i2c_bench.h"

#include <stdlib.h>
#include <string.h>

/* After a reset, whatever was before, a register can be read. */
static void alive(struct i2c_bench *b)
{
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1},
                                {.addr = A7(0x50), .flags = RD, .in = 8}};

    bench_negotiate(b);
    bench_send_all(b, r, 2);
    bench_is(b, 0, r, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 2, OK);
}

static unsigned submits(const struct i2c_bench *b)
{
    return b->board->bus[0].submits + b->board->bus[1].submits;
}

/* ---- lengths ---- */

/* As many empty reads as a group can have: that is legal, and one transfer. */
static void reads_of_nothing(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[ANYHV_I2C_MESSAGES];

    bench_up(b, &(struct bench_options){.data_len = 1});
    for (unsigned i = 0; i < ANYHV_I2C_MESSAGES; i++)
        r[i] = (struct bench_request){.addr = A7(0x50),
                                      .flags = RD | (i + 1 < ANYHV_I2C_MESSAGES ? FAIL_NEXT : 0)};
    bench_send_all(b, r, ANYHV_I2C_MESSAGES);
    bench_is(b, 0, r, ANYHV_I2C_MESSAGES);
    bench_end(b, 0, ANYHV_I2C_MESSAGES);
    bench_expect_all(b, r, ANYHV_I2C_MESSAGES, OK);
}

/* Around every power of two beyond what a message may have, as a read and as a write. */
static void lengths_beyond_all_limits(void **state)
{
    struct i2c_bench *b = *state;

    bench_up(b, NULL);
    for (uint32_t len = ANYHV_I2C_MESSAGE_BYTES; len <= 1u << 20; len *= 2) {
        for (int off = -1; off <= 1; off++) {
            for (unsigned read = 0; read < 2; read++) {
                struct bench_request r = {.addr = A7(0x50), .flags = read ? RD : 0};
                uint32_t bytes = len + (uint32_t)off;
                bool good = bytes <= ANYHV_I2C_MESSAGE_BYTES;

                r.in = read ? bytes : 0;
                r.out = read ? 0 : bytes;
                b->mem.used = BENCH_RAM / 2;
                bench_send_all(b, &r, 1);
                if (good)
                    bench_end(b, 0, 1);
                if (bytes > ANYHV_REQ_HOLE_MAX && read) /* too much to zero */
                    bench_expect(b, &r, 0);
                else
                    bench_expect_all(b, &r, 1, good ? OK : ERR);
            }
        }
    }
    assert_int_equal(submits(b), 4);
    alive(b);
}

/* The same megabyte a hundred times in each of as many requests as there is room for. */
static void the_same_page_again_and_again(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request head = {.addr = A7(0x50), .flags = RD};
    static struct drv_buf in[26];
    struct drv_used used;
    unsigned answered = 0;

    bench_up(b, NULL);
    bench_prepare(b, &head);
    for (unsigned i = 0; i < 25; i++)
        in[i] = (struct drv_buf){BENCH_BASE + BENCH_RAM / 2, 1u << 20};
    in[25] = (struct drv_buf){head.in_at, 1};
    for (unsigned i = 0; i < 8; i++) {
        struct drv_buf out = {head.out_at, 8};
        struct drv_chain chain = {
            .out = &out, .nout = 1, .in = in, .nin = 26, .direct = DRV_DIRECT};

        assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    }
    bench_kick(b);
    while (drv_ring_get(&b->ring, &used)) {
        assert_int_equal(used.len, 0);
        answered++;
    }
    assert_int_equal(answered, 8);
    assert_int_equal(submits(b), 0);
    alive(b);
}

/* ---- addresses ---- */

/* One that is not allowed, at each place of a group of each length: nothing reaches the bus. */
static void an_address_that_is_not_allowed(void **state)
{
    static const uint16_t bad[] = {A7(0x51), 0x00a1, 0x01a0, 0xf6f6, 0xffff, 0x0000, 0x00f0};
    struct i2c_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned a = 0; a < sizeof(bad) / sizeof(bad[0]); a++) {
        for (unsigned len = 1; len <= 5; len++) {
            for (unsigned at = 0; at < len; at++) {
                struct bench_request r[5];

                b->mem.used = BENCH_RAM / 2;
                for (unsigned i = 0; i < len; i++)
                    r[i] = (struct bench_request){.addr = i == at ? bad[a] : A7(0x50),
                                                  .flags = i + 1 < len ? FAIL_NEXT : 0,
                                                  .out = 1};
                bench_send_all(b, r, len);
                bench_expect_all(b, r, len, ERR);
            }
        }
    }
    assert_int_equal(submits(b), 0);
    alive(b);
}

/* Two guests quarrel about the targets of one bus: each has what it asked for first. */
static void targets_of_another_guest(void **state)
{
    struct i2c_bench *b = *state, *other = bench_new(b->board);
    struct bench_request mine = {.addr = A7(0x50), .out = 1};

    bench_up(b, NULL);
    bench_up(other, NULL);
    bench_send_all(b, &mine, 1);
    bench_end(b, 0, 1);
    bench_expect_all(b, &mine, 1, OK);
    for (unsigned i = 0; i < 100; i++) {
        struct bench_request r[] = {{.addr = A7(0x20), .flags = FAIL_NEXT, .out = 1},
                                    {.addr = A7(0x50), .out = 1}};

        bench_send_all(other, r, 2);
        bench_expect_all(other, r, 2, ERR);
        if (i % 10 == 0)
            bench_negotiate(other);
    }
    assert_int_equal(submits(b), 1);
    alive(b);
    bench_free(other);
}

/* ---- FAIL_NEXT without end ---- */

/* A group that never ends: it fails when it is too long, and is failing from then on. */
static void a_group_without_end(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1};
    struct drv_used used;
    unsigned answered = 0;

    bench_up(b, NULL);
    bench_prepare(b, &r);
    for (unsigned i = 0; i < 2000; i++) {
        bench_send(b, &r);
        while (drv_ring_get(&b->ring, &used)) {
            assert_int_equal(used.len, 1);
            answered++;
        }
        assert_true(b->i2c.held <= ANYHV_I2C_MESSAGES);
    }
    assert_int_equal(answered, 2000);
    assert_int_equal(submits(b), 0);
    alive(b);
}

/* A group that never ends, in small pieces: each is done, and no piece is larger than allowed. */
static void a_group_in_endless_pieces(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r = {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1};
    struct drv_used used;
    unsigned answered = 0;

    bench_up(b, NULL);
    bench_prepare(b, &r);
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned k = 0; k <= i % ANYHV_I2C_MESSAGES; k++)
            bench_send(b, &r);
        assert_true(b->waits);
        anyhv_i2c_flush(&b->i2c);
        assert_int_equal(bench_transfer(b, 0)->messages, i % ANYHV_I2C_MESSAGES + 1);
        bench_end(b, 0, bench_transfer(b, 0)->messages);
        while (drv_ring_get(&b->ring, &used))
            answered++;
        assert_int_equal(b->i2c.held, 0);
    }
    assert_true(answered > 500);
    alive(b);
}

/* While one group is on the wires, the ring is full of what may come next: it waits there. */
static void more_than_may_be_in_work(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request first = {.addr = A7(0x50), .out = 1},
                         r = {.addr = A7(0x50), .flags = FAIL_NEXT, .out = 1};

    bench_up(b, NULL);
    bench_send_all(b, &first, 1);
    bench_prepare(b, &r);
    for (unsigned i = 0; i < 80; i++)
        bench_add(b, &r);
    bench_kick(b);
    assert_int_equal(b->i2c.held, ANYHV_I2C_REQUESTS);
    for (unsigned i = 0; i < 100; i++)
        bench_kick(b);
    assert_int_equal(b->i2c.held, ANYHV_I2C_REQUESTS);
    bench_end(b, 0, 1);
    bench_expect_all(b, &first, 1, OK);
    bench_expect(b, &r, 1);
    alive(b);
}

/* ---- what is read once is not read again ---- */

/* Everything changes while the transfer waits: what was checked is what is done. */
static void requests_change(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_request r[] = {{.addr = A7(0x50), .flags = FAIL_NEXT, .out = 4},
                                {.addr = A7(0x20), .flags = RD, .in = 4}};

    bench_up(b, NULL);
    for (unsigned i = 0; i < 2; i++) {
        bench_send_all(b, &r[i], 1);
        memset(drv_ptr(&b->mem, r[i].out_at, r[i].out_len), 0xff, r[i].out_len);
    }
    bench_is(b, 0, r, 2);
    bench_end(b, 0, 2);
    bench_expect_all(b, r, 2, OK);
    alive(b);
}

/* ---- buffers that are where they should not be ---- */

/* The request's own parts on top of each other, in every way. */
static void parts_overlap(void **state)
{
    struct i2c_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned read = 0; read < 2; read++) {
        for (int shift = -70; shift < 70; shift++) {
            struct bench_request r = {.addr = A7(0x50), .flags = read ? RD : 0};

            r.out = read ? 0 : 60;
            r.in = read ? 60 : 0;
            drv_alloc(&b->mem, 128, 1);
            bench_prepare(b, &r);
            r.in_at = r.out_at + (uint64_t)(int64_t)shift;
            bench_send(b, &r);
            bench_is(b, 0, &r, 1);
            bench_end(b, 0, 1);
            bench_expect(b, &r, r.in_len);
            assert_int_equal(bench_status(b, &r), OK);
            if (read)
                bench_has_read(b, &r);
        }
    }
    alive(b);
}

/* What is read goes over the ring that the request stands in: the guest's loss. */
static void a_read_over_the_ring(void **state)
{
    static const uint64_t layouts[] = {0, DRV_F_PACKED};
    struct i2c_bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        bench_up(b, &(struct bench_options){.features = layouts[i]});
        for (unsigned area = 0; area < 3; area++) {
            struct bench_request r = {.addr = A7(0x50), .flags = RD, .in = 400};

            bench_prepare(b, &r);
            r.in_at = area == 0 ? b->ring.desc : area == 1 ? b->ring.driver : b->ring.device;
            bench_send(b, &r);
            bench_end(b, 0, 1);
            alive(b); /* after a reset */
        }
    }
}

/* ---- resets ---- */

/* Resets of all kinds at any time: nothing is answered twice, lost or left on the bus. */
static void resets_in_flight(void **state)
{
    struct i2c_bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;

    bench_up(b, &(struct bench_options){.features = DRV_F_RING_RESET});
    for (unsigned round = 0; round < 400; round++) {
        struct bench_request r[7];

        b->board->bus[0].begins = round % 2;
        for (unsigned i = 0; i < 7; i++) {
            r[i] = (struct bench_request){.addr = A7(0x50), .out = i + 1};
            r[i].flags = (round + i) % 3 ? FAIL_NEXT : 0;
            bench_prepare(b, &r[i]);
            bench_send(b, &r[i]);
        }
        for (unsigned i = 0; i < round % 4 && b->board->bus[0].queued; i++)
            bench_end(b, 0, bench_transfer(b, 0)->messages - (i == 1));
        if (round % 5 == 4)
            anyhv_ctl_quiesce(b->dev);
        if (round % 3 == 0) {
            assert_true(t->ops->reset(t));
            anyhv_ctl_resume(b->dev);
            bench_negotiate(b);
        } else {
            anyhv_ctl_resume(b->dev);
            assert_true(t->ops->queue_reset(t, 0));
            b->mem.used = 0;
            bench_start_ring(b);
        }
        assert_int_equal(b->board->bus[0].queued, 0);
        assert_int_equal(b->i2c.held, 0);
        assert_false(b->waits);
    }
    alive(b);
}

/* ---- anything ---- */

static uint32_t dice(uint64_t *seed, uint32_t sides)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % sides;
}

/* A request of any kind; true: there is nothing wrong with it. */
static bool any_request(uint64_t *seed, struct i2c_bench *b, struct bench_request *r)
{
    static const uint16_t addrs[] = {A7(0x50), A7(0x50), A7(0x50), A10(0x150), A7(0x20), A7(0x51)};
    bool read = dice(seed, 2), good = true;

    *r = (struct bench_request){.addr = addrs[dice(seed, 6)]};
    r->flags = (read ? RD : 0u) | (dice(seed, 2) ? FAIL_NEXT : 0u);
    if (dice(seed, 40) == 0)
        r->flags |= 4u << dice(seed, 29);
    r->out = !read || !dice(seed, 30) ? dice(seed, 30) : 0;
    r->in = read || !dice(seed, 30) ? dice(seed, 30) : 0;
    r->cut = dice(seed, 2) ? 1 + dice(seed, 9) : 0;
    bench_prepare(b, r);
    good &= r->addr != A7(0x51) && r->flags <= (RD | FAIL_NEXT);
    good &= read ? r->out == 0 : r->in == 0;
    return good;
}

/*
 * Thirty thousand requests in groups, from a driver that waits for each group, on a bus that often
 * fails: what reaches the bus, and every status, is as the specification says.
 */
static void soup(void **state)
{
    struct i2c_bench *b = *state;
    unsigned seen[2] = {0}, transfers = 0;
    uint64_t seed = 82;

    bench_up(b, NULL);
    for (unsigned sent = 0; sent < 30000;) {
        struct bench_request r[64];
        bool good = true;
        unsigned n = 0, done = 0;

        b->mem.used = BENCH_RAM / 2;
        do
            good &= any_request(&seed, b, &r[n]);
        while (r[n++].flags & FAIL_NEXT && n < ANYHV_I2C_MESSAGES);
        if (r[n - 1].flags & FAIL_NEXT)
            drv_poke32(&b->mem, r[n - 1].out_at + 4, r[n - 1].flags &= ~1u);
        for (unsigned i = 0; i < n; i++) {
            bench_add(b, &r[i]);
            if (dice(&seed, 3) == 0)
                bench_kick(b);
        }
        bench_kick(b);
        assert_int_equal(b->board->bus[0].queued, good);
        if (good) {
            bench_is(b, 0, r, n);
            done = dice(&seed, 3) ? n : dice(&seed, n);
            bench_end(b, 0, done);
            transfers++;
        }
        for (unsigned i = 0; i < n; i++) {
            bench_expect_all(b, &r[i], 1, i < done ? OK : ERR);
            seen[i < done]++;
        }
        sent += n;
    }
    assert_true(seen[0] > 5000 && seen[1] > 5000);
    assert_int_equal(b->i2c.counters.transfers, transfers);
}

#define I2C_TEST(function, test_name)                                            \
    {                                                                            \
        .name = (test_name), .test_func = (function), .setup_func = bench_setup, \
        .teardown_func = bench_teardown                                          \
    }

static const struct CMUnitTest tests[] = {
    I2C_TEST(reads_of_nothing, "i2c/reads_of_nothing.case-82"),
    I2C_TEST(lengths_beyond_all_limits, "i2c/lengths_beyond_all_limits.case-82"),
    I2C_TEST(an_address_that_is_not_allowed, "i2c/an_address_that_is_not_allowed.case-82"),
    I2C_TEST(targets_of_another_guest, "i2c/targets_of_another_guest.case-82"),
    I2C_TEST(a_group_without_end, "i2c/a_group_without_end.case-82"),
    I2C_TEST(a_group_in_endless_pieces, "i2c/a_group_in_endless_pieces.case-82"),
    I2C_TEST(more_than_may_be_in_work, "i2c/more_than_may_be_in_work.case-28"),
    I2C_TEST(the_same_page_again_and_again, "i2c/the_same_page_again_and_again.case-10"),
    I2C_TEST(requests_change, "i2c/requests_change.case-23"),
    I2C_TEST(parts_overlap, "i2c/parts_overlap.case-21"),
    I2C_TEST(a_read_over_the_ring, "i2c/a_read_over_the_ring.case-21"),
    I2C_TEST(resets_in_flight, "i2c/resets_in_flight.case-51"),
    I2C_TEST(soup, "i2c/soup.case-82"),
};

ANYHV_TEST_MAIN("i2c-hostile", tests)

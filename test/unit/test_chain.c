/* SPDX-License-Identifier: Apache-2.0 */
/* Chains by hand: what a walk refuses and reports, indirect tables, and the words around a ring. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    N = DRV_DESC_NEXT,
    W = DRV_DESC_WRITE,
    I = DRV_DESC_INDIRECT,
    SIZE = 8,
};

/* Addresses: ROOM bytes for buffers, tables behind them, and nothing at all. */
#define ROOM  (BENCH_BASE + 0x10000)
#define TABLE (BENCH_BASE + 0x20000)

struct raw {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, link; /* split: next; packed: id */
};

struct chain_case {
    const char *what;
    struct raw ring[3], table[3];
    unsigned n, ntable;
    enum anyhv_violation v;
    uint64_t a, b;
};

static void up(struct bench *b, uint64_t features)
{
    bench_up(b, &(struct bench_options){.features = features, .size = SIZE});
}

static bool is_packed(const struct bench *b)
{
    return b->options.features & DRV_F_PACKED;
}

/* As it stands, in slot or descriptor 0 and following; packed: available in the first lap. */
static void offer(struct bench *b, const struct chain_case *c)
{
    for (uint16_t i = 0; i < c->ntable; i++) {
        const struct raw *r = &c->table[i];

        if (is_packed(b))
            drv_packed_desc(&b->mem, TABLE, i, r->addr, r->len, r->link, r->flags);
        else
            drv_split_desc(&b->mem, TABLE, i, r->addr, r->len, r->flags, r->link);
    }
    for (unsigned k = c->n; k-- > 0;) { /* the first one last */
        const struct raw *r = &c->ring[k];
        uint16_t i = (uint16_t)k;

        if (is_packed(b))
            drv_packed_desc(&b->mem, b->ring[0].desc, i, r->addr, r->len, r->link,
                            (uint16_t)(r->flags | DRV_DESC_AVAIL));
        else
            drv_split_desc(&b->mem, b->ring[0].desc, i, r->addr, r->len, r->flags, r->link);
    }
    if (!is_packed(b))
        drv_split_push(&b->ring[0], 0);
    bench_violation.count = 0;
    bench_kick(b, 0);
}

static void expect_report(const struct chain_case *c)
{
    if (bench_violation.count != 1 || bench_violation.v != c->v || bench_violation.a != c->a ||
        bench_violation.b != c->b || bench_violation.queue != 0)
        fail_msg("%s: %u reports, the last %s %llx %llx", c->what, bench_violation.count,
                 anyhv_violations[bench_violation.v].name, (unsigned long long)bench_violation.a,
                 (unsigned long long)bench_violation.b);
}

/* Answered with length 0 and @id, and the queue goes on; or broken, and nothing was answered. */
static void expect_outcome(struct bench *b, const struct chain_case *c)
{
    enum anyhv_outcome outcome = anyhv_violations[c->v].outcome;
    uint32_t id = 99, len = 99;

    expect_report(c);
    assert_int_equal(b->handles, 0);
    assert_int_equal(anyhv_ctl_queue_broken(b->dev, 0), outcome == ANYHV_BREAK);
    assert_int_equal(bench_counters(b, 0)->rejected, outcome == ANYHV_REJECT);
    assert_int_equal(bench_queue(b, 0)->free_chunks, bench_queue(b, 0)->nchunks);
    if (is_packed(b)) {
        uint64_t addr;
        uint16_t id16, flags;

        drv_packed_read(&b->ring[0], 0, &addr, &len, &id16, &flags);
        if (outcome == ANYHV_REJECT) {
            assert_int_equal(id16, c->ring[c->n - 1].link); /* the id stands in the last one */
            assert_int_equal(len, 0);
            assert_int_equal(flags, DRV_DESC_AVAIL | DRV_DESC_USED);
            assert_int_equal(bench_queue(b, 0)->next_used, c->n);
        } else {
            assert_false(flags & DRV_DESC_USED);
        }
        return;
    }
    assert_int_equal(drv_split_used_idx(&b->ring[0]), outcome == ANYHV_REJECT);
    if (outcome == ANYHV_REJECT) {
        drv_split_used_elem(&b->ring[0], 0, &id, &len);
        assert_int_equal(id, 0);
        assert_int_equal(len, 0);
    }
}

static void run_cases(struct bench *b, uint64_t features, const struct chain_case *cases,
                      unsigned n)
{
    up(b, features);
    for (unsigned i = 0; i < n; i++) {
        bench_up_again(b);
        memset(&b->dev->queues[0].counters, 0, sizeof(b->dev->queues[0].counters));
        offer(b, &cases[i]);
        expect_outcome(b, &cases[i]);
    }
}

#define COUNT(cases) (sizeof(cases) / sizeof((cases)[0]))

static const struct chain_case split_cases[] = {
    {"next beyond the table",
     {{ROOM, 8, N, SIZE}},
     .n = 1,
     .v = ANYHV_V_NEXT_RANGE,
     .a = SIZE,
     .b = SIZE},
    {"next far beyond",
     {{ROOM, 8, N, 1}, {ROOM, 8, N, 0xffff}},
     .n = 2,
     .v = ANYHV_V_NEXT_RANGE,
     .a = 0xffff,
     .b = SIZE},
    {"itself", {{ROOM, 8, N, 0}}, .n = 1, .v = ANYHV_V_CHAIN_LOOP, .a = 0, .b = SIZE},
    {"a circle",
     {{ROOM, 8, N, 1}, {ROOM, 8, N, 0}},
     .n = 2,
     .v = ANYHV_V_CHAIN_LOOP,
     .a = 0,
     .b = SIZE},
    {"table and next",
     {{TABLE, 16, I | N, 1}},
     .n = 1,
     .v = ANYHV_V_INDIRECT_NEXT,
     .a = 0,
     .b = I | N},
    {"readable last",
     {{ROOM, 8, W | N, 1}, {ROOM, 8, 0, 0}},
     .n = 2,
     .v = ANYHV_V_ORDER,
     .a = 0,
     .b = 1},
    {"no memory",
     {{BENCH_NOWHERE, 8, W, 0}},
     .n = 1,
     .v = ANYHV_V_BAD_ADDRESS,
     .a = BENCH_NOWHERE,
     .b = 8},
    {"half in memory",
     {{BENCH_NOWHERE - 4, 8, 0, 0}},
     .n = 1,
     .v = ANYHV_V_BAD_ADDRESS,
     .a = BENCH_NOWHERE - 4,
     .b = 8},
    {"around the end",
     {{UINT64_MAX - 3, 8, 0, 0}},
     .n = 1,
     .v = ANYHV_V_BAD_ADDRESS,
     .a = UINT64_MAX - 3,
     .b = 8},
    {"table of no byte", {{TABLE, 0, I, 0}}, .n = 1, .v = ANYHV_V_INDIRECT_LEN, .a = 0, .b = 0},
    {"table of 15", {{TABLE, 15, I, 0}}, .n = 1, .v = ANYHV_V_INDIRECT_LEN, .a = 0, .b = 15},
    {"table of 17", {{TABLE, 17, I, 0}}, .n = 1, .v = ANYHV_V_INDIRECT_LEN, .a = 0, .b = 17},
    {"table too long",
     {{TABLE, 16 * 1025, I, 0}},
     .n = 1,
     .v = ANYHV_V_INDIRECT_LEN,
     .a = 0,
     .b = 16 * 1025},
    {"table nowhere",
     {{BENCH_NOWHERE - 16, 32, I, 0}},
     .n = 1,
     .v = ANYHV_V_INDIRECT_TABLE,
     .a = 0,
     .b = BENCH_NOWHERE - 16},
    {"table in a table",
     {{TABLE, 32, I, 0}},
     {{ROOM, 8, N, 1}, {TABLE, 16, I, 0}},
     .n = 1,
     .ntable = 2,
     .v = ANYHV_V_INDIRECT_NESTED,
     .a = 0,
     .b = 1},
    {"next outside",
     {{TABLE, 32, I, 0}},
     {{ROOM, 8, N, 2}, {ROOM, 8, 0, 0}},
     .n = 1,
     .ntable = 2,
     .v = ANYHV_V_INDIRECT_RANGE,
     .a = 0,
     .b = 2},
    {"circle in a table",
     {{TABLE, 32, I, 0}},
     {{ROOM, 8, N, 1}, {ROOM, 8, N, 0}},
     .n = 1,
     .ntable = 2,
     .v = ANYHV_V_INDIRECT_LOOP,
     .a = 0,
     .b = 2},
    {"order in a table",
     {{ROOM, 8, W | N, 1}, {TABLE, 16, I, 0}},
     {{ROOM, 8, 0, 0}},
     .n = 2,
     .ntable = 1,
     .v = ANYHV_V_ORDER,
     .a = 0,
     .b = 1},
};

static const struct chain_case packed_cases[] = {
    {"not yet there", {{ROOM, 8, N, 5}}, .n = 1, .v = ANYHV_V_PACKED_PARTIAL, .a = 0, .b = 1},
    {"table and next",
     {{TABLE, 16, I | N, 5}, {ROOM, 8, 0, 5}},
     .n = 2,
     .v = ANYHV_V_INDIRECT_NEXT,
     .a = 0,
     .b = I | N | DRV_DESC_AVAIL},
    {"readable last",
     {{ROOM, 8, W | N, 5}, {ROOM, 8, N, 5}, {ROOM, 8, W, 6}},
     .n = 3,
     .v = ANYHV_V_ORDER,
     .a = 0,
     .b = 1},
    {"no memory",
     {{BENCH_NOWHERE, 8, W | N, 5}, {ROOM, 8, W, 6}},
     .n = 2,
     .v = ANYHV_V_BAD_ADDRESS,
     .a = BENCH_NOWHERE,
     .b = 8},
    {"table behind",
     {{ROOM, 8, N, 5}, {TABLE, 16, I, 6}},
     {{ROOM, 8, 0, 0}},
     .n = 2,
     .ntable = 1,
     .v = ANYHV_V_INDIRECT_MIXED,
     .a = 0,
     .b = 1},
    {"table of 17", {{TABLE, 17, I, 5}}, .n = 1, .v = ANYHV_V_INDIRECT_LEN, .a = 0, .b = 17},
    {"table nowhere",
     {{BENCH_NOWHERE, 16, I, 5}},
     .n = 1,
     .v = ANYHV_V_INDIRECT_TABLE,
     .a = 0,
     .b = BENCH_NOWHERE},
    {"order in a table",
     {{TABLE, 32, I, 5}},
     {{ROOM, 8, W, 0}, {ROOM, 8, 0, 0}},
     .n = 1,
     .ntable = 2,
     .v = ANYHV_V_ORDER,
     .a = 0,
     .b = 1},
};

static void split_chains_that_make_no_sense(void **state)
{
    run_cases(*state, DRV_F_INDIRECT, split_cases, COUNT(split_cases));
}

static void packed_chains_that_make_no_sense(void **state)
{
    run_cases(*state, DRV_F_INDIRECT | DRV_F_PACKED, packed_cases, COUNT(packed_cases));
}

static void tables_need_the_feature(void **state)
{
    static const struct chain_case split = {
        "split", {{TABLE, 16, I, 0}}, .n = 1, .v = ANYHV_V_INDIRECT_OFF, .a = 0, .b = I};
    static const struct chain_case packed = {"packed", {{TABLE, 16, I, 5}},
                                             .n = 1,   .v = ANYHV_V_INDIRECT_OFF,
                                             .a = 0,   .b = I | DRV_DESC_AVAIL};
    struct bench *b = *state;

    run_cases(b, 0, &split, 1);
    b->options.features = DRV_F_PACKED;
    bench_negotiate(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        bench_ring(b, i);
        assert_int_equal(bench_start(b, i, ANYHV_BASE_PACKED), ANYHV_OK);
    }
    bench_driver_ok(b);
    memset(&b->dev->queues[0].counters, 0, sizeof(b->dev->queues[0].counters));
    offer(b, &packed);
    expect_outcome(b, &packed);
}

/* A region for one direction only. */
static void directions_are_checked_when_a_chain_is_taken(void **state)
{
    struct bench *b = *state;
    struct anyhv_region extra = {UINT64_C(0x10000000), 64, NULL, 0};

    up(b, 0);
    extra.host = b->ram + 0x30000;
    for (unsigned i = 0; i < 4; i++) {
        struct chain_case c = {"direction",     {{extra.addr, 8, i & 1 ? W : 0, 0}},
                               .n = 1,          .v = ANYHV_V_BAD_PERMISSION,
                               .a = extra.addr, .b = 8};

        extra.perm = i & 2 ? ANYHV_W : ANYHV_R;
        assert_int_equal(anyhv_mem_add(&b->lb.mem, &extra), ANYHV_OK);
        bench_up_again(b);
        memset(&b->dev->queues[0].counters, 0, sizeof(b->dev->queues[0].counters));
        offer(b, &c);
        if (i == 0 || i == 3)
            assert_int_equal(b->handles, 1);
        else
            expect_outcome(b, &c);
        assert_int_equal(anyhv_mem_del(&b->lb.mem, extra.addr, extra.size), ANYHV_OK);
    }
}

/* Two directions of 4 GiB less one each fit; one byte more does not. */
static void lengths_do_not_wrap(void **state)
{
    const uint32_t top = 0x80000000u;
    struct bench *b = *state;
    struct chain_case c = {"4 GiB", {{0, top, W | N, 1}, {0, top - 1, W, 2}},
                           .n = 2,  .v = ANYHV_V_TOO_BIG,
                           .a = 0,  .b = 0};

    bench_up(b, &(struct bench_options){.size = SIZE, .bounce = true}); /* no region: it may be */
    offer(b, &c);
    assert_int_equal(b->handles, 1);
    assert_int_equal(anyhv_req_writable(bench_req(b, 0)), UINT32_MAX);
    anyhv_req_done(bench_req(b, 0));
    bench_up_again(b);
    memset(&b->dev->queues[0].counters, 0, sizeof(b->dev->queues[0].counters));
    c.ring[1].len = top;
    offer(b, &c);
    expect_outcome(b, &c);
}

/* ---- tables that are good ---- */

/* @n entries of one byte each; the block in which they are fetched is 16 long. */
static void long_tables(struct bench *b, uint64_t features)
{
    up(b, features | DRV_F_INDIRECT);
    for (uint16_t n = 1; n <= 60; n += n < 14 ? 1 : n < 34 ? 3 : 13) {
        struct chain_case c = {"table", {{TABLE, 16u * n, I, 3}}, .n = 1};
        uint8_t bytes[64];

        bench_up_again(b);
        for (uint16_t i = 0; i < n; i++) {
            drv_poke8(&b->mem, ROOM + 2 * i, bench_byte(i));
            if (is_packed(b)) /* NEXT says nothing here, and neither does the id */
                drv_packed_desc(&b->mem, TABLE, i, ROOM + 2 * i, 1, 77, i % 2 ? N : 0);
            else
                drv_split_desc(&b->mem, TABLE, i, ROOM + 2 * i, 1, i + 1 < n ? N : 0,
                               (uint16_t)(i + 1));
        }
        offer(b, &c);
        assert_int_equal(b->handles, 1);
        assert_int_equal(anyhv_req_readable(bench_req(b, 0)), n);
        assert_int_equal(anyhv_req_read(bench_req(b, 0), bytes, n), ANYHV_OK);
        for (uint16_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], bench_byte(i));
    }
}

static void long_tables_split(void **state)
{
    long_tables(*state, 0);
}

static void long_tables_packed(void **state)
{
    long_tables(*state, DRV_F_PACKED);
}

static void the_longest_table(void **state)
{
    struct bench *b = *state;
    struct chain_case c = {"longest", {{TABLE, 16 * 1024, I, 0}}, .n = 1};

    bench_up(b, &(struct bench_options){
                    .features = DRV_F_INDIRECT, .size = SIZE, .limits = {.segs = 1024}});
    for (uint16_t i = 0; i < 1024; i++)
        drv_split_desc(&b->mem, TABLE, i, ROOM + i, 1, i < 1023 ? N : 0, (uint16_t)(i + 1));
    offer(b, &c);
    assert_int_equal(b->handles, 1);
    assert_int_equal(anyhv_req_readable(bench_req(b, 0)), 1024);
}

static void a_split_table_may_follow_direct_buffers_and_jump(void **state)
{
    static const struct chain_case c = {
        "mixed",
        {{ROOM, 1, N, 2}, {0, 0, 0, 0}, {TABLE, 48, I, 0}},
        {{ROOM + 1, 2, N, 2}, {ROOM + 9, 9, W, 0}, {ROOM + 3, 3, N, 1}},
        .n = 3,
        .ntable = 3,
    };
    struct bench *b = *state;
    uint8_t bytes[6];

    up(b, DRV_F_INDIRECT);
    for (unsigned i = 0; i < 6; i++)
        drv_poke8(&b->mem, ROOM + i, bench_byte(i));
    offer(b, &c);
    assert_int_equal(anyhv_req_readable(bench_req(b, 0)), 6);
    assert_int_equal(anyhv_req_writable(bench_req(b, 0)), 9);
    assert_int_equal(anyhv_req_read(bench_req(b, 0), bytes, 6), ANYHV_OK);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(bytes[i], bench_byte(i));
}

/* ---- words around a ring ---- */

static void broken_words(struct bench *b, enum anyhv_violation v, uint64_t a, uint64_t c)
{
    bench_violation.count = 0;
    bench_kick(b, 0);
    expect_report(&(struct chain_case){"words", .v = v, .a = a, .b = c});
    assert_true(anyhv_ctl_queue_broken(b->dev, 0));
    bench_up_again(b);
}

static void split_indices_that_make_no_sense(void **state)
{
    struct bench *b = *state;

    up(b, 0);
    for (unsigned jump = SIZE + 1; jump <= 0xffff; jump += jump < 20 ? 1 : 8191) {
        drv_split_set_idx(&b->ring[0], (uint16_t)jump);
        broken_words(b, ANYHV_V_AVAIL_JUMP, jump, SIZE);
    }
    for (unsigned head = SIZE; head <= 0xffff; head += head < 20 ? 1 : 8191) {
        drv_split_push(&b->ring[0], (uint16_t)head);
        broken_words(b, ANYHV_V_HEAD_RANGE, head, SIZE);
    }
    for (unsigned i = 0; i < 3; i++) /* three in work, and the ring full of others */
        bench_held(b, 1, 0);
    drv_split_set_idx(&b->ring[0], 3 + SIZE - 2);
    broken_words(b, ANYHV_V_INFLIGHT, 3 + SIZE - 2, SIZE);
    drv_split_set_idx(&b->ring[0], SIZE); /* full is full, and no more */
    bench_kick(b, 0);
    assert_false(anyhv_ctl_queue_broken(b->dev, 0));
}

static void packed_slots_that_make_no_sense(void **state)
{
    struct bench *b = *state;

    up(b, DRV_F_PACKED);
    for (uint16_t i = 0; i < SIZE; i++) /* a chain as long as the ring, and on */
        drv_packed_desc(&b->mem, b->ring[0].desc, i, ROOM, 1, 0, N | DRV_DESC_AVAIL);
    broken_words(b, ANYHV_V_CHAIN_LOOP, 0, SIZE);
    for (unsigned i = 0; i < 6; i++)
        bench_held(b, 1, 0);
    /* Six of eight slots in work; the driver takes some of them for others. */
    for (uint16_t i = 6; i < SIZE + 2; i++)
        drv_packed_desc(&b->mem, b->ring[0].desc, i % SIZE, ROOM, 1, 0,
                        (uint16_t)((i < SIZE + 1 ? N : 0) | drv_packed_avail_bits(i < SIZE)));
    broken_words(b, ANYHV_V_INFLIGHT, 6 + 4, SIZE);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(split_chains_that_make_no_sense),
    BENCH_TEST(packed_chains_that_make_no_sense),
    BENCH_TEST(tables_need_the_feature),
    BENCH_TEST(directions_are_checked_when_a_chain_is_taken),
    BENCH_TEST(lengths_do_not_wrap),
    BENCH_TEST(long_tables_split),
    BENCH_TEST(long_tables_packed),
    BENCH_TEST(the_longest_table),
    BENCH_TEST(a_split_table_may_follow_direct_buffers_and_jump),
    BENCH_TEST(split_indices_that_make_no_sense),
    BENCH_TEST(packed_slots_that_make_no_sense),
};

ANYHV_TEST_MAIN("chain", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* Indirect tables: cases 2, 3, 6, 9, 12 to 17, 33. */
#include "hostile/hostile.h"

static void up(struct suite *s)
{
    hostile_up_with(s, DRV_F_INDIRECT, 0);
}

static uint64_t new_table(struct suite *s, unsigned entries)
{
    return drv_alloc(s->mem, 16ul * entries, 16);
}

/* The chain is one descriptor that refers to @bytes at @table. */
static void offer_table(struct suite *s, uint64_t table, uint32_t bytes, uint16_t flags)
{
    offer(s, &(struct raw){table, bytes, I | flags, 0}, 1);
}

/* A table that is served: FILL of 8. Returns where the bytes go. */
static uint64_t good_table(struct suite *s, uint64_t table)
{
    uint64_t room = good_room(s, 8);

    put_entry(s, table, 0, (struct raw){good_header(s, TEST_FILL, 8), 16, N, 1});
    put_entry(s, table, 1, (struct raw){room, 8, W, 0});
    return room;
}

/* ---- 2, 3: loops in a table ---- */

static void table_loop(struct suite *s)
{
    uint64_t table, header;

    up(s);
    table = new_table(s, 4);
    header = good_header(s, TEST_ECHO, 0);
    put_entry(s, table, 0, (struct raw){header, 1, N, 1});
    put_entry(s, table, 1, (struct raw){header, 1, N, 0});
    offer_table(s, table, 64, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_LOOP);
    put_entry(s, table, 0, (struct raw){header, 1, N, 0});
    offer_table(s, table, 16, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_LOOP);
}

static void table_loop_of_empty_ones(struct suite *s)
{
    uint64_t table;

    up(s);
    table = new_table(s, 4);
    put_entry(s, table, 0, (struct raw){0, 0, N, 3});
    put_entry(s, table, 3, (struct raw){0, 0, N, 0});
    offer_table(s, table, 64, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_LOOP);
}

/* ---- 6 ---- */

/* What stands right behind the table would make a good chain of it. */
static void next_outside_table(struct suite *s)
{
    static const uint16_t next[] = {4, 5, 16, 0x8000, 0xffff};
    uint64_t table, header;

    up(s);
    table = new_table(s, 6);
    header = good_header(s, TEST_FILL, 8);
    put_entry(s, table, 4, (struct raw){good_room(s, 8), 8, W, 0});
    put_entry(s, table, 5, (struct raw){good_room(s, 8), 8, W, 0});
    for (unsigned i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        put_entry(s, table, 0, (struct raw){header, 16, N, next[i]});
        offer_table(s, table, 64, 0);
        expect_rejected(s, ANYHV_V_INDIRECT_RANGE);
    }
}

/* ---- 9: a table may be longer than the ring; one that is too long is refused alone ---- */

static void offer_long_table(struct suite *s, unsigned entries, uint64_t room)
{
    uint64_t table = new_table(s, entries), header = good_header(s, TEST_FILL, entries - 1);

    put_entry(s, table, 0, (struct raw){header, 16, N, 1});
    for (unsigned i = 1; i < entries; i++)
        put_entry(s, table, (uint16_t)i,
                  (struct raw){room + i - 1, 1, (uint16_t)(i + 1 < entries ? W | N : W),
                               (uint16_t)(i + 1)});
    offer_table(s, table, 16 * entries, 0);
}

static void longest_table(struct suite *s)
{
    struct suite_setup setup = {
        .size = 16, .features = DRV_F_INDIRECT, .options.limits = {.requests = 8, .segs = 128}};
    uint64_t room;

    suite_up(s, &setup);
    room = good_room(s, 500);
    offer_long_table(s, 16, room);
    expect_served(s, room, 15);
    offer_long_table(s, 100, room);
    expect_served(s, room, 99);
    offer_long_table(s, 400, room);
    expect_rejected(s, ANYHV_V_TOO_LONG);
}

/* ---- 12: a table across regions, and half out of memory ---- */

static void table_half_outside(struct suite *s)
{
    uint64_t end;

    up(s);
    end = s->mem->base + s->mem->size;
    for (uint64_t in = 1; in < 32; in += 5) {
        offer_table(s, end - in, 32, 0);
        expect_rejected(s, ANYHV_V_INDIRECT_TABLE);
    }
    offer_table(s, s->mem->base - 16, 32, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_TABLE);
}

static void table_nowhere(struct suite *s)
{
    static const uint64_t at[] = {0, BAD_ADDR, UINT64_MAX, UINT64_MAX - 15, UINT64_C(1) << 63};

    up(s);
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        offer_table(s, at[i], 32, 0);
        expect_rejected(s, ANYHV_V_INDIRECT_TABLE);
    }
}

/* The last bytes of memory are a place like any other. */
static void table_at_the_end(struct suite *s)
{
    uint64_t table, room;

    up(s);
    table = s->mem->base + s->mem->size - 32;
    room = good_table(s, table);
    offer_table(s, table, 32, 0);
    expect_served(s, room, 8);
}

/* ---- 13 ---- */

static void nested_table(struct suite *s)
{
    uint64_t table, inner;

    up(s);
    table = new_table(s, 2);
    inner = new_table(s, 2);
    good_table(s, inner);
    put_entry(s, table, 0, (struct raw){inner, 32, I, 0});
    offer_table(s, table, 16, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_NESTED);
    put_entry(s, table, 0, (struct raw){good_header(s, TEST_FILL, 8), 16, N, 1});
    put_entry(s, table, 1, (struct raw){inner, 32, I | W, 0});
    offer_table(s, table, 32, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_NESTED);
}

/* A table that contains itself. */
static void table_in_itself(struct suite *s)
{
    uint64_t table;

    up(s);
    table = new_table(s, 2);
    put_entry(s, table, 0, (struct raw){table, 32, I | N, 1});
    put_entry(s, table, 1, (struct raw){table, 32, I | N, 0});
    offer_table(s, table, 32, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_NESTED);
}

/* 13, 33: the device cannot know what the end of such a chain would be. */
static void table_with_next(struct suite *s)
{
    uint64_t table;

    up(s);
    table = new_table(s, 2);
    good_table(s, table);
    offer_table(s, table, 32, N);
    expect_broken(s, ANYHV_V_INDIRECT_NEXT);
}

/* Two tables one after the other; the first has NEXT. */
static void two_tables(struct suite *s)
{
    uint64_t table;

    up(s);
    table = new_table(s, 2);
    good_table(s, table);
    offer(s, (struct raw[]){{table, 32, I | N, 1}, {table, 32, I, 0}}, 2);
    expect_broken(s, ANYHV_V_INDIRECT_NEXT);
}

/* 2.8.5: a packed list is all direct or one table. Its length is known, so it is refused alone. */
static void packed_table_behind_others(struct suite *s)
{
    uint64_t table;

    up(s);
    table = new_table(s, 2);
    good_table(s, table);
    offer_linked(s, (struct raw[]){{good_header(s, TEST_FILL, 8), 16, 0, 0}, {table, 32, I, 0}}, 2);
    expect_rejected(s, ANYHV_V_INDIRECT_MIXED);
}

static void write_flag_on_table(struct suite *s)
{
    uint64_t table, room;

    up(s);
    table = new_table(s, 2);
    room = good_table(s, table);
    offer_table(s, table, 32, W);
    expect_served(s, room, 8);
}

/* ---- 14: lengths ---- */

static void table_length(struct suite *s)
{
    static const uint32_t len[] = {0,         1,          15,         17,         31,
                                   16 * 1025, 16 * 65536, 16 * 65537, 0xfffffff0, 0xffffffff};
    uint64_t table;

    up(s);
    table = new_table(s, 2);
    good_table(s, table);
    for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
        offer_table(s, table, len[i], 0);
        expect_rejected(s, ANYHV_V_INDIRECT_LEN);
    }
}

/* ---- 15: not negotiated ---- */

static void table_without_feature(struct suite *s)
{
    uint64_t table;

    hostile_up_with(s, 0, DRV_F_INDIRECT);
    table = new_table(s, 2);
    good_table(s, table);
    offer_table(s, table, 32, 0);
    expect_rejected(s, ANYHV_V_INDIRECT_OFF);
}

/* ---- 16, 17: odd, but legal ---- */

static void unaligned_table(struct suite *s)
{
    uint64_t room;

    up(s);
    for (uint64_t odd = 1; odd < 16; odd++) {
        uint64_t table = new_table(s, 3) + odd;

        room = good_table(s, table);
        offer_table(s, table, 32, 0);
        expect_served(s, room, 8);
    }
}

static void chain_then_table(struct suite *s)
{
    uint64_t table, room, header;

    up(s);
    table = new_table(s, 2);
    header = good_header(s, TEST_FILL, 8);
    room = good_room(s, 8);
    put_entry(s, table, 0, (struct raw){header + 12, 4, N, 1});
    put_entry(s, table, 1, (struct raw){room, 8, W, 0});
    offer(s, (struct raw[]){{header, 3, N, 1}, {header + 3, 9, N, 2}, {table, 32, I, 0}}, 3);
    expect_served(s, room, 8);
    /* In the direct part writable, in the table readable: wrong order, wherever they stand. */
    put_entry(s, table, 0, (struct raw){header, 16, 0, 0});
    offer(s, (struct raw[]){{room, 8, N | W, 1}, {table, 16, I, 0}}, 2);
    expect_rejected(s, ANYHV_V_ORDER);
}

static void bad_things_in_a_table(struct suite *s)
{
    uint64_t table, header, room;

    up(s);
    table = new_table(s, 3);
    header = good_header(s, TEST_FILL, 8);
    room = good_room(s, 8);
    put_entry(s, table, 0, (struct raw){room, 8, W | N, 1});
    put_entry(s, table, 1, (struct raw){header, 16, 0, 0});
    offer_table(s, table, 32, 0);
    expect_rejected(s, ANYHV_V_ORDER);
    put_entry(s, table, 0, (struct raw){header, 16, N, 1});
    put_entry(s, table, 1, (struct raw){BAD_ADDR, 8, W, 0});
    offer_table(s, table, 32, 0);
    expect_rejected(s, bad_address(s));
    put_entry(s, table, 1, (struct raw){UINT64_MAX - 3, 8, W, 0});
    offer_table(s, table, 32, 0);
    expect_rejected(s, ANYHV_V_BAD_ADDRESS); /* it wraps: no map could help */
}

const struct suite_test hostile_table_tests[] = {
    {"table.loop.case-02", table_loop, 0, SUITE_SPLIT},
    {"table.loop_of_empty_ones.case-03", table_loop_of_empty_ones, 0, SUITE_SPLIT},
    {"table.next_outside.case-06", next_outside_table, 0, SUITE_SPLIT},
    {"table.longest.case-09", longest_table, 0, SUITE_ANY},
    {"table.half_outside.case-12", table_half_outside, 0, SUITE_ANY},
    {"table.nowhere.case-12", table_nowhere, 0, SUITE_ANY},
    {"table.at_the_end.case-12", table_at_the_end, 0, SUITE_ANY},
    {"table.nested.case-13", nested_table, 0, SUITE_SPLIT},
    {"table.in_itself.case-13", table_in_itself, 0, SUITE_SPLIT},
    {"table.with_next.case-13", table_with_next, 0, SUITE_SPLIT},
    {"table.two.case-13", two_tables, 0, SUITE_SPLIT},
    {"table.write_flag.case-13", write_flag_on_table, 0, SUITE_ANY},
    {"table.length.case-14", table_length, 0, SUITE_ANY},
    {"table.without_feature.case-15", table_without_feature, 0, SUITE_ANY},
    {"table.unaligned.case-16", unaligned_table, 0, SUITE_ANY},
    {"table.behind_chain.case-17", chain_then_table, 0, SUITE_SPLIT},
    {"table.packed_behind_chain.case-17", packed_table_behind_others, 0, SUITE_PACKED},
    {"table.bad_things_inside.case-18", bad_things_in_a_table, 0, SUITE_ANY},
    {"table.packed_with_next.case-33", table_with_next, 0, SUITE_PACKED},
    {"table.packed_two.case-33", two_tables, 0, SUITE_PACKED},
    {0},
};

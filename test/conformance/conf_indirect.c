/* SPDX-License-Identifier: Apache-2.0 */
/* Indirect descriptors: sections 2.7.5.3 and 2.8.7. */
#include "conformance/suite.h"

static const struct suite_setup with_tables = {.features = DRV_F_INDIRECT};

static void table_only(struct suite *s)
{
    suite_up(s, &with_tables);
    for (unsigned i = 0; i < 200; i++) {
        io_do(s, {.op = i % 2 ? TEST_ECHO : TEST_PIN,
                  .seed = i,
                  .payload = 3 * i,
                  .room = 3 * i,
                  .framing = IO_RANDOM,
                  .pieces = 1 + i % 20,
                  .shape = IO_INDIRECT});
        io_recycle(s);
    }
}

/* 2.8.5: both kinds may stand in one ring. Proves PACKED-MIXED-RING. */
static void tables_and_chains(struct suite *s)
{
    suite_up(s, &with_tables);
    for (unsigned i = 0; i < 300; i++) {
        unsigned n = 1 + i % 6;

        while (n--)
            io_try(s, &(struct io){.op = TEST_ECHO,
                                   .seed = i + n,
                                   .payload = 45,
                                   .room = 45,
                                   .framing = IO_RANDOM,
                                   .pieces = 3,
                                   .shape = (i + n) % 2 ? IO_INDIRECT : IO_DIRECT});
        io_submit(s, TEST_QUEUE_A);
        io_drain(s, TEST_QUEUE_A);
        io_recycle(s);
    }
}

/*
 * 2.7.5.3.2: zero or more normal descriptors, then one that refers to a table.
 * Proves SPLIT-TABLE-AFTER-CHAIN.
 */
static void chain_then_table(struct suite *s)
{
    suite_up(s, &with_tables);
    for (unsigned direct = 0; direct < 12; direct++) {
        for (unsigned i = 0; i < 8; i++)
            io_do(s, {.op = TEST_ECHO,
                      .seed = direct + i,
                      .payload = 90 + i,
                      .room = 90,
                      .framing = IO_RANDOM,
                      .pieces = 8,
                      .shape = IO_MIXED,
                      .direct = direct});
        io_recycle(s);
    }
}

/* A table of one entry, and one with as many as the queue has. */
static void table_sizes(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = DRV_F_INDIRECT, .size = 32, .tables = 32});
    io_do(s, {.op = TEST_ECHO, .payload = 4, .shape = IO_INDIRECT});
    /* 16 header bytes, 8 of payload, 8 of room: 32 entries of one byte. */
    for (unsigned i = 0; i < 40; i++)
        io_do(s, {.op = TEST_ECHO,
                  .seed = i,
                  .payload = 8,
                  .room = 8,
                  .framing = IO_BYTES,
                  .shape = IO_INDIRECT});
}

struct raw {
    uint64_t table, out, in;
};

/* A table by hand: header in two pieces, room in two. */
static struct raw raw_table(struct suite *s, uint64_t align, uint64_t odd, uint16_t flags)
{
    struct raw raw = {
        .table = drv_alloc(s->mem, 16 * 8, align) + odd,
        .out = drv_alloc(s->mem, TEST_HEADER, 8),
        .in = drv_alloc(s->mem, 64, 8),
    };
    uint64_t addr[4] = {raw.out, raw.out + 5, raw.in, raw.in + 1};
    uint32_t len[4] = {5, TEST_HEADER - 5, 1, 15};

    drv_poke32(s->mem, raw.out, TEST_FILL);
    drv_poke32(s->mem, raw.out + 4, 16);
    for (uint16_t i = 0; i < 4; i++) {
        uint16_t f = (uint16_t)(i < 2 ? 0 : DRV_DESC_WRITE) | flags;

        if (s->t->features & DRV_F_PACKED)
            drv_packed_desc(s->mem, raw.table, i, addr[i], len[i], 0x7777, f);
        else
            drv_split_desc(s->mem, raw.table, i, addr[i], len[i],
                           (uint16_t)(f | (i < 3 ? DRV_DESC_NEXT : 0)), (uint16_t)(i + 1));
    }
    return raw;
}

/* Offers the table with @flags besides INDIRECT, and checks the answer. */
static void offer_raw(struct suite *s, const struct raw *raw, uint16_t flags)
{
    struct drv_ring *ring = &s->ring[TEST_QUEUE_A];
    uint32_t id = 0, len = 0;

    if (ring->packed) {
        uint16_t at = ring->next_avail, id16, got;
        uint64_t addr;

        drv_packed_desc(s->mem, ring->desc, at, raw->table, 64, 5,
                        drv_packed_avail_bits(true) | DRV_DESC_INDIRECT | flags);
        ring->next_avail++;
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        suite_settle(s);
        drv_packed_read(ring, at, &addr, &len, &id16, &got);
        assert_int_equal(id16, 5);
        assert_true(got & DRV_DESC_USED);
    } else {
        drv_split_desc(s->mem, ring->desc, 5, raw->table, 64, DRV_DESC_INDIRECT | flags, 0);
        drv_split_push(ring, 5);
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        suite_settle(s);
        assert_int_equal(drv_split_used_idx(ring), ring->next_avail);
        drv_split_used_elem(ring, (uint16_t)(ring->next_avail - 1), &id, &len);
        assert_int_equal(id, 5);
    }
    assert_int_equal(len, 16);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(drv_peek8(s->mem, raw->in + i), test_pattern(0, i));
}

/*
 * 2.7.5.3.2, 2.8.7: WRITE on the descriptor that refers to the table is ignored.
 * Proves SPLIT-TABLE-WRITE-FLAG, PACKED-TABLE-WRITE-FLAG.
 */
static void write_flag_ignored(struct suite *s)
{
    struct raw raw;

    suite_up(s, &with_tables);
    raw = raw_table(s, 16, 0, 0);
    offer_raw(s, &raw, DRV_DESC_WRITE);
    offer_raw(s, &raw, 0);
}

/* A table may stand at any byte. */
static void unaligned_table(struct suite *s)
{
    suite_up(s, &with_tables);
    for (uint64_t odd = 1; odd < 16; odd += 2) {
        struct raw raw = raw_table(s, 16, odd, 0);

        offer_raw(s, &raw, 0);
    }
}

/* A table that lies across a 128 KiB border: of pages, and of regions in some rigs. */
static void table_across_borders(struct suite *s)
{
    suite_up(s, &with_tables);
    for (uint64_t odd = 1; odd < 64; odd += 6) {
        struct raw raw;

        s->mem->used = (s->mem->used + 0x1ffff) & ~UINT64_C(0x1ffff);
        s->mem->used -= odd;
        raw = raw_table(s, 1, 0, 0);
        offer_raw(s, &raw, 0);
    }
}

/*
 * 2.8.7: in a packed table only WRITE means something; the rest is reserved and ignored.
 * Proves PACKED-TABLE-FLAGS.
 */
static void packed_reserved_flags(struct suite *s)
{
    struct raw raw;

    suite_up(s, &with_tables);
    raw = raw_table(s, 16, 0, (uint16_t)~DRV_DESC_WRITE);
    offer_raw(s, &raw, 0);
    raw = raw_table(s, 16, 0, DRV_DESC_NEXT);
    offer_raw(s, &raw, 0);
}

/* 2.7.5.3: entries are chained by next, in any order. Proves SPLIT-TABLE-CHAINED. */
static void split_entries_in_any_order(struct suite *s)
{
    static const uint16_t place[4] = {0, 7, 3, 1};
    struct raw raw;

    suite_up(s, &with_tables);
    raw = raw_table(s, 16, 0, 0);
    for (unsigned i = 0; i < 8; i++)
        drv_split_desc(s->mem, raw.table, (uint16_t)i, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t addr[4] = {raw.out, raw.out + 5, raw.in, raw.in + 1};
        const uint32_t len[4] = {5, TEST_HEADER - 5, 1, 15};

        drv_split_desc(s->mem, raw.table, place[i], addr[i], len[i],
                       (uint16_t)((i < 2 ? 0 : DRV_DESC_WRITE) | (i < 3 ? DRV_DESC_NEXT : 0)),
                       i < 3 ? place[i + 1] : 0xffff);
    }
    drv_split_desc(s->mem, s->ring[TEST_QUEUE_A].desc, 9, raw.table, 128, DRV_DESC_INDIRECT, 0);
    drv_split_push(&s->ring[TEST_QUEUE_A], 9);
    s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
    suite_settle(s);
    assert_int_equal(drv_split_used_idx(&s->ring[TEST_QUEUE_A]), 1);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(drv_peek8(s->mem, raw.in + i), test_pattern(0, i));
}

/* The table is the driver's again after the answer, and only read before it. */
static void table_is_not_written(struct suite *s)
{
    struct raw raw;
    uint8_t before[64];

    suite_up(s, &with_tables);
    raw = raw_table(s, 16, 0, 0);
    memcpy(before, drv_ptr(s->mem, raw.table, 64), 64);
    offer_raw(s, &raw, 0);
    assert_memory_equal(before, drv_ptr(s->mem, raw.table, 64), 64);
}

const struct suite_test conf_indirect_tests[] = {
    {"indirect.table.only", table_only, 0, SUITE_ANY},
    {"indirect.table.sizes", table_sizes, 0, SUITE_ANY},
    {"indirect.table.unaligned", unaligned_table, 0, SUITE_ANY},
    {"indirect.table.across_borders", table_across_borders, 0, SUITE_ANY},
    {"indirect.table.not_written", table_is_not_written, 0, SUITE_ANY},
    {"indirect.table.any_order", split_entries_in_any_order, 0, SUITE_SPLIT},
    {"indirect.table.reserved_flags", packed_reserved_flags, 0, SUITE_PACKED},
    {"indirect.mixed.tables_and_chains", tables_and_chains, 0, SUITE_ANY},
    {"indirect.mixed.chain_then_table", chain_then_table, 0, SUITE_SPLIT},
    {"indirect.write_flag_ignored", write_flag_ignored, 0, SUITE_ANY},
    {0},
};

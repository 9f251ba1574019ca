/* SPDX-License-Identifier: Apache-2.0 */
/* The packed ring's own rules: section 2.8. */
#include "conformance/suite.h"

static struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

struct slot {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

static struct slot slot_of(struct suite *s, uint16_t index)
{
    struct slot slot;

    drv_packed_read(ring_a(s), index, &slot.addr, &slot.len, &slot.id, &slot.flags);
    return slot;
}

/*
 * 2.8.4, 2.8.6: one used descriptor per chain: id and length in the first slot, nothing else.
 * Proves PACKED-ONE-USED, PACKED-USED-BITS, PACKED-USED-LENGTH, QUEUE-USED-LENGTH.
 */
static void one_used_descriptor(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 32, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 100; i++) {
        uint16_t first = ring_a(s)->next_avail;
        bool wrap = ring_a(s)->avail_wrap;
        struct slot before[32], after;
        struct io *io = io_add(
            s, &(struct io){
                   .op = TEST_ECHO, .seed = i, .payload = i, .room = i, .framing = IO_SEPARATE});

        drv_ring_publish(ring_a(s));
        for (uint16_t k = 0; k < 32; k++)
            before[k] = slot_of(s, k);
        drv_kick(s->t, TEST_QUEUE_A, ring_a(s));
        suite_settle(s);
        for (uint16_t k = 0; k < 32; k++) {
            after = slot_of(s, k);
            if (k != first)
                assert_memory_equal(&after, &before[k], sizeof(after));
        }
        after = slot_of(s, first);
        assert_int_equal(after.id, io->id);
        assert_int_equal(!!(after.flags & DRV_DESC_AVAIL), wrap);
        assert_int_equal(!!(after.flags & DRV_DESC_USED), wrap);
        assert_int_equal(!!(after.flags & DRV_DESC_WRITE), i > 0);
        if (i)
            assert_int_equal(after.len, i);
        io_drain(s, TEST_QUEUE_A);
    }
}

/*
 * 2.8.3: the WRITE flag of a used descriptor says whether anything was written.
 * Proves PACKED-WRITE-FLAG.
 */
static void write_flag(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 20; i++) {
        uint16_t at = ring_a(s)->next_avail;

        io_send(s, &(struct io){.op = TEST_FILL, .arg = i % 2, .room = 4});
        suite_settle(s);
        assert_int_equal(!!(slot_of(s, at).flags & DRV_DESC_WRITE), i % 2);
        io_drain(s, TEST_QUEUE_A);
    }
}

/* 2.8.1: chains straddle the end of rings of every size, over many laps. Proves PACKED-WRAP. */
static void wrap_anywhere(struct suite *s)
{
    static const uint16_t sizes[] = {3, 4, 5, 7, 11, 13, 16};

    suite_start(s, NULL);
    for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        suite_again(s, &(struct suite_setup){.size = sizes[k], .without = DRV_F_INDIRECT});
        for (unsigned i = 0; i < 20u * sizes[k]; i++) {
            io_recycle(s);
            io_do(s, {.op = TEST_ECHO,
                      .seed = i,
                      .payload = 30,
                      .room = 30,
                      .framing = i % 3 ? IO_SEPARATE : IO_WHOLE});
        }
    }
}

/* The same with several chains per lap, and batches that end anywhere. */
static void wrap_in_batches(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 13, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 400; i++) {
        unsigned n = 1 + i % 5;

        io_recycle(s);
        while (n-- && io_try(s, &(struct io){.op = TEST_PIN,
                                             .seed = i + n,
                                             .payload = 40,
                                             .room = 40,
                                             .framing = IO_RANDOM,
                                             .pieces = 2}))
            ;
        io_submit(s, TEST_QUEUE_A);
        io_drain(s, TEST_QUEUE_A);
    }
}

/* 2.8.1: 70000 descriptors: more than any 16-bit position could hide. Proves PACKED-WRAP. */
static void many_laps(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);
    struct drv_used used;
    struct drv_buf bufs[3];
    unsigned sent = 0, got = 0;

    suite_up(s, &(struct suite_setup){.size = 100, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 3; i++)
        bufs[i] = (struct drv_buf){drv_alloc(s->mem, TEST_HEADER, 8), TEST_HEADER};
    drv_poke32(s->mem, bufs[0].addr, TEST_SUM);
    while (got < 30000) {
        struct drv_chain chain = {.out = bufs,
                                  .nout = 1 + sent % 2,
                                  .in = bufs + 2,
                                  .nin = 1,
                                  .direct = DRV_DIRECT,
                                  .token = sent};
        unsigned batch = 1 + sent % 50;

        for (unsigned i = 0; i < batch && drv_ring_add(ring, &chain) >= 0; i++) {
            chain.token = ++sent;
            chain.nout = 1 + sent % 2;
        }
        drv_submit(s->t, TEST_QUEUE_A, ring);
        for (unsigned i = 0; i < 100 && got < sent; i++) {
            if (!drv_ring_pending(ring))
                s->rig->ops->wait(s->rig, TEST_QUEUE_A, 20);
            while (drv_ring_get(ring, &used)) {
                assert_int_equal(used.token, got++);
                assert_int_equal(used.len, 16);
            }
        }
        assert_int_equal(got, sent);
    }
    assert_int_equal(ring->fault, DRV_FAULT_NONE);
}

/*
 * 2.8.6: an answer goes to the next used position, over descriptors of chains still in work. What
 * was taken must therefore not be read again.
 * Proves PACKED-USED-IN-ORDER.
 */
static void answers_overwrite_chains(struct suite *s)
{
    struct io *held[6];

    suite_up(s, &(struct suite_setup){.size = 32, .without = DRV_F_INDIRECT});
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 6; i++)
            held[i] = io_send(s, &(struct io){.op = TEST_HOLD,
                                              .seed = i + round,
                                              .payload = 60,
                                              .room = 50,
                                              .framing = IO_RANDOM,
                                              .pieces = 2});
        suite_settle(s);
        /* Newest first: each answer lands on an older chain's slots. */
        io_do(s, {.op = TEST_RELEASE, .seed = 1});
        io_drain(s, TEST_QUEUE_A);
        for (unsigned i = 0; i + 1 < 6; i++)
            assert_true(held[i]->turn > held[i + 1]->turn);
        io_recycle(s);
    }
}

/*
 * 2.8.6: the buffer id is the driver's; the device gives it back as it is, from the last slot.
 * Proves PACKED-ID-LAST.
 */
static void id_is_opaque(struct suite *s)
{
    static const uint16_t ids[] = {0, 63, 64, 0x8000, 0xbeef, 0xffff};
    uint64_t out;

    suite_up(s, &(struct suite_setup){.size = 64});
    out = drv_alloc(s->mem, TEST_HEADER, 8);
    drv_poke32(s->mem, out, TEST_ECHO);
    for (uint16_t i = 0; i < 6; i++) {
        uint16_t at = (uint16_t)(2 * i), bits = drv_packed_avail_bits(true);

        drv_packed_desc(s->mem, ring_a(s)->desc, (uint16_t)(at + 1), out + 8, 8, ids[i], bits);
        drv_packed_desc(s->mem, ring_a(s)->desc, at, out, 8, 0x5555, bits | DRV_DESC_NEXT);
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        suite_settle(s);
        assert_int_equal(slot_of(s, at).id, ids[i]);
        assert_true(slot_of(s, at).flags & DRV_DESC_USED);
    }
}

/*
 * 2.8.2: the device looks at one place; a slot further on that looks available is not.
 * Proves PACKED-ONE-PLACE, PACKED-TAKEN-IN-ORDER.
 */
static void ring_order(struct suite *s)
{
    uint64_t out;

    suite_up(s, &(struct suite_setup){.size = 16});
    out = drv_alloc(s->mem, TEST_HEADER, 8);
    drv_poke32(s->mem, out, TEST_ECHO);
    drv_packed_desc(s->mem, ring_a(s)->desc, 1, out, TEST_HEADER, 7, drv_packed_avail_bits(true));
    s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
    suite_settle(s);
    assert_false(slot_of(s, 1).flags & DRV_DESC_USED);
    drv_packed_desc(s->mem, ring_a(s)->desc, 0, out, TEST_HEADER, 6, drv_packed_avail_bits(true));
    s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
    suite_settle(s);
    assert_true(slot_of(s, 0).flags & DRV_DESC_USED);
    assert_true(slot_of(s, 1).flags & DRV_DESC_USED);
    assert_int_equal(slot_of(s, 0).id, 6);
    assert_int_equal(slot_of(s, 1).id, 7);
}

/*
 * 2.8.15: what was available a lap ago is not, whatever its USED bit says.
 * Proves PACKED-AVAIL-SEEN.
 */
static void last_lap(struct suite *s)
{
    const uint16_t before = drv_packed_avail_bits(true), now = drv_packed_avail_bits(false);
    uint64_t out;

    suite_up(s, &(struct suite_setup){.size = 4, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 4; i++)
        io_do(s, {.op = TEST_ECHO, .seed = i});
    out = drv_alloc(s->mem, TEST_HEADER, 8);
    drv_poke32(s->mem, out, TEST_ECHO);
    for (unsigned i = 0; i < 3; i++) {
        const uint16_t stale[] = {before | DRV_DESC_USED, before, now & (uint16_t)~DRV_DESC_USED};
        struct slot was, is;

        drv_packed_desc(s->mem, ring_a(s)->desc, 0, out, TEST_HEADER, 7, stale[i]);
        was = slot_of(s, 0);
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        suite_settle(s);
        is = slot_of(s, 0);
        assert_memory_equal(&is, &was, sizeof(is));
    }
    drv_packed_desc(s->mem, ring_a(s)->desc, 0, out, TEST_HEADER, 7, now);
    s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
    suite_settle(s);
    assert_int_equal(slot_of(s, 0).flags & (DRV_DESC_AVAIL | DRV_DESC_USED), 0);
    assert_int_equal(slot_of(s, 0).id, 7);
}

const struct suite_test conf_packed_tests[] = {
    {"packed.used.one_descriptor", one_used_descriptor, 0, SUITE_PACKED},
    {"packed.used.write_flag", write_flag, 0, SUITE_PACKED},
    {"packed.used.overwrites_chains", answers_overwrite_chains, 0, SUITE_PACKED},
    {"packed.used.id_is_opaque", id_is_opaque, 0, SUITE_PACKED},
    {"packed.wrap.anywhere", wrap_anywhere, 0, SUITE_PACKED},
    {"packed.wrap.in_batches", wrap_in_batches, 0, SUITE_PACKED},
    {"packed.wrap.many_laps", many_laps, 0, SUITE_PACKED},
    {"packed.avail.ring_order", ring_order, 0, SUITE_PACKED},
    {"packed.avail.last_lap", last_lap, 0, SUITE_PACKED},
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The block model: each type of request, and everything that can be wrong with one. */
#include "blk_bench.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is offered ---- */

static uint64_t config(struct blk_bench *b, unsigned off, unsigned bytes)
{
    const uint8_t *at = anyhv_config(b->dev) + off;
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

static uint64_t device_bits(struct blk_bench *b)
{
    return anyhv_ctl_features(b->dev) & 0xffffff;
}

static unsigned queues(struct blk_bench *b)
{
    struct drv_transport *t = &b->mmio.transport;
    unsigned n = 0;

    while (t->ops->queue_max(t, n))
        n++;
    return n;
}

/* Proves BLK-LAYOUT, BLK-CAPACITY, BLK-BLK-SIZE, BLK-FLUSH-OFFERED, BLK-PADDING, BLK-NOT-ZONED,
 * BLK-LIFETIME, BLK-MAY-UNMAP. */
static void offers_what_a_writable_disk_can_do(void **state)
{
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    assert_int_equal(drv_mmio_read(&b->mmio, DRV_MMIO_DEVICE_ID), 2);
    assert_int_equal(queues(b), 1);
    assert_int_equal(device_bits(b), F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_DISCARD | F_WRITE_ZEROES);
    assert_int_equal(config(b, 0, 8), BENCH_SECTORS);
    assert_int_equal(config(b, 12, 4), 126);  /* seg_max */
    assert_int_equal(config(b, 20, 4), 512);  /* blk_size */
    assert_int_equal(config(b, 36, 4), 8192); /* max_discard_sectors */
    assert_int_equal(config(b, 40, 4), 8);    /* max_discard_seg */
    assert_int_equal(config(b, 44, 4), 1);    /* discard_sector_alignment */
    assert_int_equal(config(b, 48, 4), 8192); /* max_write_zeroes_sectors */
    assert_int_equal(config(b, 52, 4), 8);    /* max_write_zeroes_seg */
    assert_int_equal(config(b, 56, 1), 1);    /* write_zeroes_may_unmap */
    assert_int_equal(config(b, 8, 4) | config(b, 16, 4) | config(b, 24, 8) | config(b, 32, 4), 0);
    for (unsigned i = 57; i < 96; i++)
        assert_int_equal(config(b, i, 1), 0);
}

/* Proves BLK-FLUSH-OFFERED, BLK-PADDING, BLK-MAY-UNMAP. */
static void offers_less_of_a_read_only_disk(void **state)
{
    struct blk_bench *b = *state;

    bench_up(b, &(struct bench_options){.read_only = true});
    assert_int_equal(device_bits(b), F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_RO);
    for (unsigned i = 36; i < 96; i++)
        assert_int_equal(config(b, i, 1), 0);
}

/* Proves BLK-LAYOUT. */
static void offers_several_queues(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .in = 512, .queue = 1};

    bench_up(b, &(struct bench_options){.queues = 2});
    assert_true(device_bits(b) & F_MQ);
    assert_int_equal(config(b, 34, 2), 2);
    assert_int_equal(queues(b), 2);
    assert_int_equal(bench_do(b, &r), OK);
}

/* ---- what works ---- */

/* Proves BLK-READ, BLK-WRITE, BLK-STATUS. */
static void writes_and_reads(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .sector = 5, .out = 1536},
                         in = {.type = IN, .sector = 5, .in = 1536};

    bench_up(b, NULL);
    bench_prepare(b, &out);
    bench_send(b, &out);
    bench_expect(b, &out, 1); /* the status */
    assert_int_equal(bench_status(b, &out), OK);
    bench_on_disk(b, 5, 1536);
    bench_zeroes_on_disk(b, 4, 512);
    bench_zeroes_on_disk(b, 8, 512);

    bench_prepare(b, &in);
    bench_send(b, &in);
    bench_expect(b, &in, 1537);
    assert_int_equal(bench_status(b, &in), OK);
    bench_in_data(b, &in);
}

/* Proves BLK-CAPACITY. */
static void the_last_sector_is_there(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .sector = BENCH_SECTORS - 1, .out = 512},
                         in = {.type = IN, .sector = BENCH_SECTORS - 1, .in = 512};

    bench_up(b, NULL);
    assert_int_equal(bench_do(b, &out), OK);
    assert_int_equal(bench_do(b, &in), OK);
    bench_in_data(b, &in);
}

static void the_whole_disk_goes_in_one_request(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .out = BENCH_SECTORS * 512},
                         in = {.type = IN, .in = BENCH_SECTORS * 512};

    bench_up(b, NULL);
    assert_int_equal(bench_do(b, &out), OK);
    bench_prepare(b, &in);
    bench_send(b, &in);
    bench_expect(b, &in, BENCH_SECTORS * 512 + 1);
    bench_in_data(b, &in);
}

static void nothing_to_move_is_fine(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request in = {.type = IN, .sector = BENCH_SECTORS}, out = {.type = OUT};

    bench_up(b, NULL);
    bench_prepare(b, &in);
    bench_send(b, &in);
    bench_expect(b, &in, 1);
    assert_int_equal(bench_status(b, &in), OK);
    assert_int_equal(bench_do(b, &out), OK);
}

static void flushes(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = FLUSH};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 1);
    assert_int_equal(bench_status(b, &r), OK);
    assert_int_equal(b->store.last.kind, ANYHV_BLK_FLUSH);
    b->store.fails = ANYHV_E_IO;
    assert_int_equal(bench_do(b, &r), IOERR);
}

/* Proves BLK-NAME. */
static void tells_its_name(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = GET_ID, .in = 20};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 21);
    assert_int_equal(bench_status(b, &r), OK);
    assert_memory_equal(drv_ptr(&b->mem, r.in_at, 20), "serial\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

    bench_up(b, &(struct bench_options){.serial = "exactly-twenty-bytes!"}); /* 21 */
    assert_int_equal(bench_do(b, &r), OK);
    assert_memory_equal(drv_ptr(&b->mem, r.in_at, 20), "exactly-twenty-bytes", 20);
}

/* Proves BLK-ZEROES. */
static void clears(void **state)
{
    static const struct {
        uint32_t type, flags;
        bool unmap;
    } cases[] = {{DISCARD, 0, true}, {WRITE_ZEROES, 0, false}, {WRITE_ZEROES, 1, true}};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct bench_request r = {.type = cases[i].type, .out = 48};

        bench_fill(b, 0, 64 * 512);
        bench_prepare(b, &r);
        bench_segment(b, &r, 0, 3, 2, cases[i].flags);
        bench_segment(b, &r, 1, 10, 0, cases[i].flags); /* nothing */
        bench_segment(b, &r, 2, 20, 5, cases[i].flags);
        bench_send(b, &r);
        bench_expect(b, &r, 1);
        assert_int_equal(bench_status(b, &r), OK);
        assert_int_equal(b->store.last.unmap, cases[i].unmap);
        bench_zeroes_on_disk(b, 3, 1024);
        bench_zeroes_on_disk(b, 20, 5 * 512);
        for (unsigned sector = 0; sector < 30; sector++) {
            bool cleared = (sector >= 3 && sector < 5) || (sector >= 20 && sector < 25);

            assert_int_equal(b->disk[sector * 512], cleared ? 0 : bench_byte(0, sector * 512));
        }
    }
}

/* Segments that differ in what they allow: nothing is given up that had to be kept. */
static void unmaps_only_what_may_be_unmapped(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = WRITE_ZEROES, .out = 32};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_segment(b, &r, 0, 3, 2, 1);
    bench_segment(b, &r, 1, 9, 2, 0);
    bench_send(b, &r);
    assert_int_equal(bench_status(b, &r), OK);
    assert_false(b->store.last.unmap);
}

/* Proves BLK-LIMITS. */
static void clears_as_much_as_it_says(void **state)
{
    static uint8_t disk[9 * 8192 * 512];
    struct blk_bench *b = *state;

    b->store.mem.store.sectors = 9 * 8192;
    b->store.mem.bytes = disk;
    bench_up(b, NULL);
    for (unsigned k = 0; k < 2; k++) {
        struct bench_request r = {.type = k ? WRITE_ZEROES : DISCARD, .out = 8 * 16};

        memset(disk, 0x55, sizeof(disk));
        bench_prepare(b, &r);
        for (unsigned i = 0; i < 8; i++)
            bench_segment(b, &r, i, i * 8192, 8192, 0);
        bench_send(b, &r);
        assert_int_equal(bench_status(b, &r), OK);
        assert_int_equal(disk[0] | disk[8 * 8192 * 512 - 1], 0);
        assert_int_equal(disk[8 * 8192 * 512], 0x55);
    }
}

/* However the driver cuts a request, it is the same request. Proves BLK-SEG-MAX, BLK-STATUS. */
static void any_framing(void **state)
{
    static const uint32_t cuts[] = {1, 2, 3, 7, 15, 16, 17, 511, 512, 513};
    static const uint64_t layouts[] = {0, DRV_F_PACKED};
    struct blk_bench *b = *state;

    for (unsigned i = 0; i < COUNT_OF(cuts) * 2; i++) {
        uint32_t cut = cuts[i / 2];
        struct bench_request out = {.type = OUT, .sector = 7, .out = 512, .cut = cut},
                             in = {.type = IN, .sector = 7, .in = 512, .cut = cut},
                             id = {.type = GET_ID, .in = 20, .cut = cut},
                             clear = {.type = DISCARD, .out = 32, .cut = cut},
                             wrong = {.type = IN, .sector = BENCH_SECTORS, .in = 512, .cut = cut};

        bench_up(b, &(struct bench_options){.features = F_ALL | layouts[i % 2]});
        memset(b->disk, 0, 16 * 512);
        bench_prepare(b, &out);
        bench_send(b, &out);
        bench_expect(b, &out, 1);
        assert_int_equal(bench_status(b, &out), OK);
        bench_on_disk(b, 7, 512);
        bench_prepare(b, &in);
        bench_send(b, &in);
        bench_expect(b, &in, 513);
        assert_int_equal(bench_status(b, &in), OK);
        bench_in_data(b, &in);
        assert_int_equal(bench_do(b, &id), OK);
        assert_string_equal(drv_ptr(&b->mem, id.in_at, 20), "serial");
        bench_prepare(b, &clear);
        bench_segment(b, &clear, 0, 7, 1, 0);
        bench_segment(b, &clear, 1, 8, 1, 0);
        bench_send(b, &clear);
        bench_expect(b, &clear, 1);
        assert_int_equal(bench_status(b, &clear), OK);
        bench_zeroes_on_disk(b, 7, 512);
        assert_int_equal(bench_do(b, &wrong), IOERR);
    }
}

/* ---- what was not negotiated is not there ---- */

/* Proves BLK-UNSUPPORTED. */
static void what_was_not_negotiated_is_unsupported(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t feature;
    } cases[] = {{FLUSH, F_FLUSH}, {DISCARD, F_DISCARD}, {WRITE_ZEROES, F_WRITE_ZEROES}};
    struct blk_bench *b = *state;

    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct bench_request r = {.type = cases[i].type, .out = cases[i].type == FLUSH ? 0 : 16};

        bench_up(b, &(struct bench_options){.features = F_ALL & ~cases[i].feature});
        bench_fill(b, 3, 512);
        bench_prepare(b, &r);
        if (r.out)
            bench_segment(b, &r, 0, 3, 1, 0);
        bench_send(b, &r);
        bench_expect(b, &r, 1);
        assert_int_equal(bench_status(b, &r), UNSUPP);
        bench_on_disk(b, 3, 512);
        bench_up(b, NULL);
        bench_prepare(b, &r);
        if (r.out)
            bench_segment(b, &r, 0, 3, 1, 0);
        bench_send(b, &r);
        assert_int_equal(bench_status(b, &r), OK);
    }
}

/* Section 5.2.6.2: who cannot ask for a flush may rely on what was answered. Proves
 * BLK-STABLE-WITHOUT-FLUSH. */
static void without_flush_each_write_is_stable(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .out = 512}, zero = {.type = WRITE_ZEROES, .out = 16};

    for (unsigned flush = 0; flush < 2; flush++) {
        bench_up(b, &(struct bench_options){.features = flush ? F_ALL : F_ALL & ~F_FLUSH});
        assert_int_equal(bench_do(b, &out), OK);
        assert_int_equal(b->store.last.stable, !flush);
        bench_prepare(b, &zero);
        bench_segment(b, &zero, 0, 0, 1, 0);
        bench_send(b, &zero);
        assert_int_equal(b->store.last.kind, ANYHV_BLK_CLEAR);
        assert_int_equal(b->store.last.stable, !flush);
    }
}

/* Proves BLK-UNSUPPORTED, BLK-ZONE-REQUESTS. */
static void unknown_types_are_unsupported(void **state)
{
    static const uint32_t known[] = {IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    bench_fill(b, 0, 1024);
    for (uint32_t i = 0; i < 200; i++) {
        struct bench_request r = {.type = i < 100 ? i : 0x80000000u + i - 100, .out = 512};
        bool skip = false;

        for (unsigned k = 0; k < COUNT_OF(known); k++)
            skip |= r.type == known[k];
        if (skip)
            continue;
        bench_prepare(b, &r);
        bench_send(b, &r);
        bench_expect(b, &r, 1);
        assert_int_equal(bench_status(b, &r), UNSUPP);
    }
    bench_on_disk(b, 0, 1024);
    assert_int_equal(b->store.starts, 0);
}

/* ---- what is wrong ---- */

/* Proves BLK-READ-ONLY-FAILS, BLK-READ-ONLY-KEPT. */
static void a_read_only_disk_is_not_written(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .out = 512}, in = {.type = IN, .in = 512};

    bench_up(b, &(struct bench_options){.read_only = true});
    bench_fill(b, 0, 512);
    bench_prepare(b, &out);
    drv_poke8(&b->mem, out.out_at + 16, 0x99);
    bench_send(b, &out);
    bench_expect(b, &out, 1);
    assert_int_equal(bench_status(b, &out), IOERR);
    bench_on_disk(b, 0, 512);
    assert_int_equal(bench_do(b, &in), OK);
    /* A driver that does not know the feature gets no further. */
    bench_up(b, &(struct bench_options){.read_only = true, .features = F_FLUSH});
    assert_int_equal(bench_do(b, &out), IOERR);
    bench_on_disk(b, 0, 512);
}

/* Proves BLK-CAPACITY. */
static void nothing_outside_the_disk(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t sectors;
    } cases[] = {
        {BENCH_SECTORS, 1},  {BENCH_SECTORS - 1, 2}, {BENCH_SECTORS + 1, 0}, {UINT64_MAX, 1},
        {UINT64_MAX, 0},     {UINT64_MAX / 512, 1},  {UINT64_C(1) << 55, 1}, {UINT64_C(1) << 63, 1},
        {UINT64_MAX - 1, 2}, {0, BENCH_SECTORS + 1},
    };
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct bench_request out = {
            .type = OUT, .sector = cases[i].sector, .out = cases[i].sectors * 512};
        struct bench_request in = {
            .type = IN, .sector = cases[i].sector, .in = cases[i].sectors * 512};
        struct bench_request clear = {.type = DISCARD, .out = 32};

        if (in.in < 1 << 20)
            assert_int_equal(bench_do(b, &in), IOERR);
        assert_int_equal(bench_do(b, &out), IOERR);
        b->mem.used -= cases[i].sectors * 512; /* its memory comes back */
        for (unsigned k = 0; k < 2; k++) {
            clear.type = k ? DISCARD : WRITE_ZEROES;
            bench_prepare(b, &clear);
            bench_segment(b, &clear, 0, 0, 1, 0); /* not even the good one */
            bench_segment(b, &clear, 1, cases[i].sector, cases[i].sectors, 0);
            bench_send(b, &clear);
            bench_expect(b, &clear, 1);
            assert_int_equal(bench_status(b, &clear), IOERR);
        }
    }
    assert_int_equal(b->store.starts, 0);
}

/* What is counted as used was written: zeroes, then the status. */
static void a_failed_read_leaves_nothing_undefined(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .sector = BENCH_SECTORS - 1, .in = 1024};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 1025);
    assert_int_equal(bench_status(b, &r), IOERR);
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(drv_peek8(&b->mem, r.in_at + i), 0);
}

static void a_failed_read_is_not_zeroed_for_ever(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .sector = BENCH_SECTORS - 1, .in = (2 << 20) + 512};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 0);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 1);
}

static void only_whole_sectors(void **state)
{
    static const uint32_t lens[] = {1, 20, 511, 513, 1023, 1025};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(lens); i++) {
        struct bench_request in = {.type = IN, .in = lens[i]}, out = {.type = OUT, .out = lens[i]};

        assert_int_equal(bench_do(b, &in), IOERR);
        assert_int_equal(bench_do(b, &out), IOERR);
    }
    assert_int_equal(b->store.starts, 0);
}

static void a_header_that_is_not_whole(void **state)
{
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (uint32_t len = 0; len < 16; len++) {
        struct bench_request r = {.type = OUT, .in = 512};

        bench_prepare(b, &r);
        r.out_len = len;
        bench_send(b, &r);
        bench_expect(b, &r, 513);
        assert_int_equal(bench_status(b, &r), IOERR);
    }
    assert_int_equal(b->store.starts, 0);
}

static void no_place_for_a_status(void **state)
{
    static const uint32_t types[] = {IN, OUT, FLUSH, GET_ID, DISCARD, 99};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(types); i++) {
        struct bench_request r = {.type = types[i], .out = 512};

        bench_prepare(b, &r);
        r.in_len = 0;
        bench_send(b, &r);
        bench_expect(b, &r, 0);
        assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], i + 1);
    }
    bench_zeroes_on_disk(b, 0, 512);
    assert_int_equal(b->store.starts, 0);
}

static void a_name_of_another_length(void **state)
{
    static const uint32_t lens[] = {0, 1, 19, 21, 512};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(lens); i++) {
        struct bench_request r = {.type = GET_ID, .in = lens[i]};

        assert_int_equal(bench_do(b, &r), IOERR);
        for (uint32_t k = 0; k < lens[i]; k++)
            assert_int_equal(drv_peek8(&b->mem, r.in_at + k), 0);
    }
}

/* Proves BLK-UNKNOWN-FLAGS, BLK-DISCARD-UNMAP. */
static void segments_that_make_no_sense(void **state)
{
    static const struct {
        uint32_t type, len, sectors, flags;
        uint8_t status;
    } cases[] = {
        {DISCARD, 0, 0, 0, IOERR},
        {DISCARD, 1, 1, 0, IOERR},
        {DISCARD, 15, 1, 0, IOERR},
        {DISCARD, 17, 1, 0, IOERR},
        {DISCARD, 9 * 16, 1, 0, IOERR},
        {DISCARD, 64 * 1024, 1, 0, IOERR},
        {DISCARD, 16, 8193, 0, IOERR},
        {DISCARD, 16, UINT32_MAX, 0, IOERR},
        {DISCARD, 16, 0x800001, 0, IOERR}, /* its bytes wrap to 512 */
        {DISCARD, 16, 1, 1, UNSUPP},
        {DISCARD, 16, 1, 2, UNSUPP},
        {DISCARD, 16, 1, 0x80000000, UNSUPP},
        {WRITE_ZEROES, 0, 0, 0, IOERR},
        {WRITE_ZEROES, 24, 1, 0, IOERR},
        {WRITE_ZEROES, 9 * 16, 1, 0, IOERR},
        {WRITE_ZEROES, 16, 8193, 0, IOERR},
        {WRITE_ZEROES, 16, 1, 2, UNSUPP},
        {WRITE_ZEROES, 16, 1, 3, UNSUPP},
        {WRITE_ZEROES, 16, 1, 0xfffffffe, UNSUPP},
    };
    struct blk_bench *b = *state;

    b->store.mem.store.sectors = UINT64_C(1) << 50; /* it is the lengths that are wrong */
    bench_up(b, NULL);
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct bench_request r = {.type = cases[i].type, .out = cases[i].len};

        bench_prepare(b, &r);
        for (unsigned k = 0; k < 9 && 16 * (k + 1) <= r.out; k++)
            bench_segment(b, &r, k, k, cases[i].sectors, cases[i].flags);
        bench_send(b, &r);
        bench_expect(b, &r, 1);
        assert_int_equal(bench_status(b, &r), cases[i].status);
    }
    assert_int_equal(b->store.starts, 0);
}

/* Room before the status that nothing belongs into. */
static void a_write_with_room_to_answer(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = OUT, .sector = 2, .out = 512, .in = 40};

    bench_up(b, NULL);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 41);
    assert_int_equal(bench_status(b, &r), OK);
    bench_on_disk(b, 2, 512);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(drv_peek8(&b->mem, r.in_at + i), 0);
}

/* A readable part behind the header of a read has no meaning and is left alone. */
static void a_read_with_data(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .sector = 2, .out = 100, .in = 512};

    bench_up(b, NULL);
    bench_fill(b, 2, 512);
    bench_prepare(b, &r);
    bench_send(b, &r);
    bench_expect(b, &r, 513);
    bench_in_data(b, &r);
    assert_int_equal(drv_peek8(&b->mem, r.out_at + 16), bench_byte(2, 0));
}

/* ---- what fails on our side ---- */

static void a_broken_store_is_an_io_error(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request in = {.type = IN, .in = 512}, out = {.type = OUT, .out = 512};

    bench_up(b, NULL);
    b->store.fails = ANYHV_E_IO;
    assert_int_equal(bench_do(b, &out), IOERR);
    bench_prepare(b, &in);
    bench_send(b, &in);
    bench_expect(b, &in, 513);
    assert_int_equal(bench_status(b, &in), IOERR);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 0); /* not the guest's fault */
    b->store.fails = 0;
    assert_int_equal(bench_do(b, &in), OK);
}

/* Guest memory that turns out not to be there, at the first access, the second ... */
static void memory_that_is_gone(void **state)
{
    static const uint32_t types[] = {IN, OUT, GET_ID, DISCARD, FLUSH};
    struct blk_bench *b = *state;

    for (unsigned t = 0; t < COUNT_OF(types); t++) {
        bool through = false;

        for (uint32_t after = 0; !through; after++) {
            struct bench_request r = {.type = types[t], .sector = 1, .cut = 100};

            assert_true(after < 50);
            r.out = r.type == OUT ? 512 : r.type == DISCARD ? 16 : 0;
            r.in = r.type == IN ? 512 : r.type == GET_ID ? 20 : 0;
            bench_up(b, &(struct bench_options){.bounce = true});
            bench_prepare(b, &r);
            if (r.type == DISCARD)
                bench_segment(b, &r, 0, 1, 1, 0);
            b->lb.faults = (struct anyhv_loopback_faults){
                .after = after, .result = ANYHV_E_BADADDR, .count = 1};
            bench_send(b, &r);
            through = b->lb.faults.count == 1; /* there were no more accesses */
            assert_true(drv_ring_pending(&b->ring[0]));
            if (!through) /* the status itself may be what could not be written */
                assert_int_not_equal(bench_status(b, &r), OK);
            else
                assert_int_equal(bench_status(b, &r), OK);
        }
    }
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(offers_what_a_writable_disk_can_do),
    BENCH_TEST(offers_less_of_a_read_only_disk),
    BENCH_TEST(offers_several_queues),
    BENCH_TEST(writes_and_reads),
    BENCH_TEST(the_last_sector_is_there),
    BENCH_TEST(the_whole_disk_goes_in_one_request),
    BENCH_TEST(nothing_to_move_is_fine),
    BENCH_TEST(flushes),
    BENCH_TEST(tells_its_name),
    BENCH_TEST(clears),
    BENCH_TEST(unmaps_only_what_may_be_unmapped),
    BENCH_TEST(clears_as_much_as_it_says),
    BENCH_TEST(any_framing),
    BENCH_TEST(what_was_not_negotiated_is_unsupported),
    BENCH_TEST(without_flush_each_write_is_stable),
    BENCH_TEST(unknown_types_are_unsupported),
    BENCH_TEST(a_read_only_disk_is_not_written),
    BENCH_TEST(nothing_outside_the_disk),
    BENCH_TEST(a_failed_read_leaves_nothing_undefined),
    BENCH_TEST(a_failed_read_is_not_zeroed_for_ever),
    BENCH_TEST(only_whole_sectors),
    BENCH_TEST(a_header_that_is_not_whole),
    BENCH_TEST(no_place_for_a_status),
    BENCH_TEST(a_name_of_another_length),
    BENCH_TEST(segments_that_make_no_sense),
    BENCH_TEST(a_write_with_room_to_answer),
    BENCH_TEST(a_read_with_data),
    BENCH_TEST(a_broken_store_is_an_io_error),
    BENCH_TEST(memory_that_is_gone),
};

ANYHV_TEST_MAIN("blk", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile driver sends to the block device. */
#include "unit/blk_bench.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT (BENCH_SECTORS * 512u)

static void alive(struct blk_bench *b)
{
    struct bench_request out = {.type = OUT, .sector = 1, .out = 512},
                         in = {.type = IN, .sector = 1, .in = 512};

    bench_negotiate(b);
    assert_int_equal(bench_do(b, &out), OK);
    assert_int_equal(bench_do(b, &in), OK);
    bench_in_data(b, &in);
}

/* ---- what is read once is not read again ---- */

/* Type and sector change while the request waits: what was checked is what is done. */
static void header_changes(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .sector = 5, .out = 512},
                         in = {.type = IN, .sector = 6, .in = 512};

    bench_up(b, NULL);
    b->store.keep = true;
    memset(b->disk + 6 * 512, 0x66, 512);
    bench_prepare(b, &out);
    bench_send(b, &out);
    bench_prepare(b, &in);
    bench_send(b, &in);
    drv_poke32(&b->mem, out.out_at, IN);
    drv_poke64(&b->mem, out.out_at + 8, UINT64_MAX / 512);
    drv_poke32(&b->mem, in.out_at, OUT);
    drv_poke64(&b->mem, in.out_at + 8, BENCH_SECTORS);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &out, 1);
    bench_on_disk(b, 5, 512);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &in, 513);
    assert_int_equal(drv_peek8(&b->mem, in.in_at + 511), 0x66);
    assert_int_equal(b->disk[6 * 512], 0x66);
    b->store.keep = false;
    alive(b);
}

static void segments_change(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = WRITE_ZEROES, .out = 32};

    bench_up(b, NULL);
    b->store.keep = true;
    memset(b->disk, 0x66, CONTENT);
    bench_prepare(b, &r);
    bench_segment(b, &r, 0, 2, 1, 0);
    bench_segment(b, &r, 1, 4, 1, 0);
    bench_send(b, &r);
    bench_segment(b, &r, 0, UINT64_MAX, UINT32_MAX, UINT32_MAX);
    bench_segment(b, &r, 1, 0, BENCH_SECTORS, 1);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &r, 1);
    for (unsigned sector = 0; sector < 8; sector++)
        assert_int_equal(b->disk[sector * 512], sector == 2 || sector == 4 ? 0 : 0x66);
}

/* ---- buffers that are where they should not be ---- */

/* The request's own parts on top of each other, in every way. */
static void parts_overlap(void **state)
{
    static const int64_t shifts[] = {-600, -512, -16, -1, 0, 1, 8, 15, 16, 511, 512};
    struct blk_bench *b = *state;

    bench_up(b, NULL);
    memset(b->disk, 0x5a, 64 * 512);
    for (unsigned i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
        struct bench_request in = {.type = IN, .sector = 3, .in = 1024};
        struct bench_request out = {.type = OUT, .sector = 40, .out = 512};

        drv_alloc(&b->mem, 1024, 1);
        bench_prepare(b, &in);
        in.in_at = in.out_at + (uint64_t)shifts[i];
        bench_send(b, &in);
        bench_expect(b, &in, 1025);
        assert_int_equal(bench_status(b, &in), OK);
        assert_int_equal(drv_peek8(&b->mem, in.in_at + 1023), 0x5a);
        bench_prepare(b, &out);
        out.in_at = out.out_at + 16 + (uint64_t)(i * 46); /* the status in the data */
        bench_send(b, &out);
        bench_expect(b, &out, 1);
        assert_int_equal(bench_status(b, &out), OK);
    }
    alive(b);
}

/* The disk is read over the ring that the request stands in: the guest's loss. */
static void a_read_over_the_ring(void **state)
{
    static const uint64_t layouts[] = {0, DRV_F_PACKED};
    struct blk_bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        bench_up(b, &(struct bench_options){.features = F_ALL | layouts[i]});
        for (unsigned area = 0; area < 3; area++) {
            struct bench_request r = {.type = IN, .in = 512};
            struct drv_ring *ring = &b->ring[0];

            bench_prepare(b, &r);
            memset(b->disk, (int)(0xff - area), 512);
            r.in_at = area == 0 ? ring->desc : area == 1 ? ring->driver : ring->device;
            bench_send(b, &r);
            alive(b); /* after a reset */
        }
    }
}

/* ---- how much one guest can ask for ---- */

/* The same megabyte a hundred times in each of as many requests as there is room for. */
static void the_same_page_again_and_again(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request head = {.type = IN};
    static struct drv_buf in[101];
    struct drv_used used;
    unsigned answered = 0;

    bench_up(b, NULL);
    bench_prepare(b, &head);
    for (unsigned i = 0; i < 100; i++)
        in[i] = (struct drv_buf){BENCH_BASE + BENCH_RAM / 2, 1u << 20};
    in[100] = (struct drv_buf){head.in_at, 1};
    for (unsigned i = 0; i < 8; i++) {
        struct drv_buf out = {head.out_at, 16};
        struct drv_chain chain = {
            .out = &out, .nout = 1, .in = in, .nin = 101, .direct = DRV_DIRECT};

        assert_true(drv_ring_add(&b->ring[0], &chain) >= 0);
    }
    drv_ring_publish(&b->ring[0]);
    drv_kick(&b->mmio.transport, 0, &b->ring[0]);
    bench_run(b);
    while (drv_ring_get(&b->ring[0], &used)) {
        assert_int_equal(used.len, 0); /* beyond the disk, and too much to zero */
        answered++;
    }
    assert_int_equal(answered, 8);
    assert_int_equal(b->store.starts, 0);
    alive(b);
}

/* Resets of all kinds while the store works: nothing is answered twice, lost or leaked. */
static void resets_in_flight(void **state)
{
    struct blk_bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;
    struct bench_request r[8];

    bench_up(b, &(struct bench_options){.requests = 8, .features = F_ALL | DRV_F_RING_RESET});
    for (unsigned round = 0; round < 300; round++) {
        b->store.keep = true;
        for (unsigned i = 0; i < 8; i++) {
            r[i] = (struct bench_request){.type = i % 2 ? IN : OUT, .sector = i};
            r[i].in = i % 2 ? 512 : 0;
            r[i].out = i % 2 ? 0 : 512;
            bench_prepare(b, &r[i]);
            bench_send(b, &r[i]);
        }
        for (unsigned i = 0; i < round % 5 && b->store.nkept; i++)
            bench_release(b, (round + i) % b->store.nkept, i ? ANYHV_OK : ANYHV_E_IO);
        if (round % 3 == 0) {
            assert_true(t->ops->reset(t));
            bench_negotiate(b);
        } else {
            assert_true(t->ops->queue_reset(t, 0));
            b->mem.used = 0;
            bench_start_ring(b, 0);
        }
        assert_int_equal(b->store.nkept, 0);
    }
    b->store.keep = false;
    alive(b);
}

/* ---- anything ---- */

static uint32_t dice(uint64_t *seed, uint32_t sides)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % sides;
}

static uint64_t any_sector(uint64_t *seed)
{
    static const uint64_t odd[] = {BENCH_SECTORS, BENCH_SECTORS - 1, UINT64_MAX, UINT64_C(1) << 55,
                                   UINT64_MAX / 512};

    return dice(seed, 4) ? dice(seed, BENCH_SECTORS) : odd[dice(seed, 5)];
}

static uint32_t any_length(uint64_t *seed)
{
    return dice(seed, 3)   ? 512 * dice(seed, 12)
           : dice(seed, 3) ? 16 * dice(seed, 10)
                           : dice(seed, 1300);
}

/* What the device must have done, by another reading of the specification. */
static uint8_t reference(struct blk_bench *b, const struct bench_request *r, uint8_t *disk)
{
    bool fits = r->sector <= BENCH_SECTORS;
    unsigned segments = r->out / 16;

    if (r->type == IN)
        return fits && r->in % 512 == 0 && r->in / 512 <= BENCH_SECTORS - r->sector ? OK : IOERR;
    if (r->type == GET_ID)
        return r->in == 20 ? OK : IOERR;
    if (r->type == FLUSH)
        return OK;
    if (r->type == OUT) {
        if (!fits || r->out % 512 || r->out / 512 > BENCH_SECTORS - r->sector)
            return IOERR;
        memcpy(disk + r->sector * 512, drv_ptr(&b->mem, r->out_at + 16, r->out), r->out);
        return OK;
    }
    if (r->type != DISCARD && r->type != WRITE_ZEROES)
        return UNSUPP;
    if (!segments || segments > 8 || r->out % 16)
        return IOERR;
    for (unsigned pass = 0; pass < 2; pass++) { /* first all are checked */
        for (unsigned i = 0; i < segments; i++) {
            uint64_t at = r->out_at + 16 + 16 * i, sector = drv_peek64(&b->mem, at);
            uint32_t n = drv_peek32(&b->mem, at + 8), flags = drv_peek32(&b->mem, at + 12);

            if (flags > (r->type == WRITE_ZEROES))
                return UNSUPP;
            if (n > 8192 || sector > BENCH_SECTORS || n > BENCH_SECTORS - sector)
                return IOERR;
            if (pass)
                memset(disk + sector * 512, 0, (size_t)n * 512);
        }
    }
    return OK;
}

static void any_request(uint64_t *seed, struct blk_bench *b, struct bench_request *r)
{
    static const uint32_t types[] = {IN, IN, OUT, OUT, DISCARD, WRITE_ZEROES, FLUSH, GET_ID, 2};

    *r = (struct bench_request){.type = types[dice(seed, 9)], .sector = any_sector(seed)};
    r->out = dice(seed, 2) ? any_length(seed) : 0;
    r->in = dice(seed, 2) ? any_length(seed) : r->type == GET_ID ? 20 : 0;
    r->cut = dice(seed, 2) ? 1 + dice(seed, 600) : 0;
    while (r->cut && (r->out + r->in) / r->cut > BENCH_RING - 20)
        r->cut *= 2;
    bench_prepare(b, r);
    for (unsigned i = 0; i < r->out / 16 && (r->type == DISCARD || r->type == WRITE_ZEROES); i++)
        bench_segment(b, r, i, any_sector(seed), dice(seed, 30), dice(seed, 8) ? 0 : dice(seed, 4));
}

/* Twenty thousand requests of any kind, against what the specification says of each. */
static void soup(void **state)
{
    struct blk_bench *b = *state;
    uint8_t *disk = calloc(1, CONTENT);
    unsigned seen[3] = {0};
    uint64_t seed = 1;

    bench_up(b, NULL);
    for (unsigned i = 0; i < 20000; i++) {
        struct bench_request r;
        struct drv_used used;
        uint64_t free_from = b->mem.used;
        uint8_t want;

        any_request(&seed, b, &r);
        want = reference(b, &r, disk);
        bench_send(b, &r);
        assert_true(drv_ring_get(&b->ring[0], &used));
        assert_int_equal(used.len, r.in_len);
        assert_int_equal(bench_status(b, &r), want);
        for (uint32_t k = 0; k < r.in; k++) {
            bool data = want == OK && r.type == IN;
            uint8_t byte = data ? disk[r.sector * 512 + k] : 0;

            if (want != OK || r.type != GET_ID)
                assert_int_equal(drv_peek8(&b->mem, r.in_at + k), byte);
        }
        seen[want]++;
        b->mem.used = free_from;
    }
    assert_memory_equal(b->disk, disk, CONTENT);
    for (unsigned i = 0; i < 3; i++)
        assert_true(seen[i] > 1000);
    free(disk);
}

#define BLK_TEST(function, test_name)                                            \
    {                                                                            \
        .name = (test_name), .test_func = (function), .setup_func = bench_setup, \
        .teardown_func = bench_teardown                                          \
    }

static const struct CMUnitTest tests[] = {
    BLK_TEST(header_changes, "blk/header_changes.case-23"),
    BLK_TEST(segments_change, "blk/segments_change.case-23"),
    BLK_TEST(parts_overlap, "blk/parts_overlap.case-21"),
    BLK_TEST(a_read_over_the_ring, "blk/a_read_over_the_ring.case-21"),
    BLK_TEST(the_same_page_again_and_again, "blk/the_same_page_again_and_again.case-10"),
    BLK_TEST(resets_in_flight, "blk/resets_in_flight.case-51"),
    BLK_TEST(soup, "blk/soup.case-87"),
};

ANYHV_TEST_MAIN("blk-hostile", tests)

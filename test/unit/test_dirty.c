/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever tracks writes (a migration does) copies only what was reported: every byte of guest
 * memory that the device changed must be among it, whatever wrote it, and nothing outside the
 * memory.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static struct anyhv_mem_ops watched;
static const struct anyhv_mem_ops *real_ops;
static uint8_t *told; /* a byte per byte of RAM */
static uint64_t told_bytes;

static void note_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    assert_true(len > 0);
    assert_true(addr >= BENCH_BASE && addr - BENCH_BASE + len <= BENCH_RAM);
    memset(told + (addr - BENCH_BASE), 1, len);
    told_bytes += len;
    real_ops->dirty(mem, addr, len);
}

static void watch_memory(struct bench *b)
{
    real_ops = b->lb.mem.ops;
    watched = *real_ops;
    watched.dirty = note_dirty;
    b->lb.mem.ops = &watched;
    anyhv_mem_track(&b->lb.mem, true);
}

/*
 * Does what it is told by the first byte it reads: copies, leaves a hole, pins, nothing, rejects.
 */
static void write_somehow(struct bench *b, struct anyhv_req *req)
{
    static unsigned n;
    struct anyhv_map map;
    uint8_t bytes[64];

    (void)b;
    memset(bytes, (int)(0x40 + n % 64), sizeof(bytes));
    switch (n++ % 6) {
    case 0:
        assert_int_equal(anyhv_req_write(req, bytes, 30), ANYHV_OK);
        break;
    case 1:
        assert_int_equal(anyhv_req_write(req, bytes, 3), ANYHV_OK);
        assert_int_equal(anyhv_req_write_at(req, 35, bytes, 1), ANYHV_OK);
        break;
    case 2:
        while (anyhv_req_pin(req, ANYHV_W, 7, &map) == ANYHV_OK)
            memset(map.ptr, bytes[0], map.len);
        break;
    case 3:
        break;
    case 4:
        assert_int_equal(anyhv_req_write(req, bytes, 36), ANYHV_OK);
        break;
    case 5:
        anyhv_req_write(req, bytes, 5);
        anyhv_req_reject(req, 1);
        return;
    }
    anyhv_req_done(req);
}

/* What the driver does is its own affair: the picture is taken after it. */
static void let_the_device_work(struct bench *b, uint8_t *before)
{
    memcpy(before, b->ram, BENCH_RAM);
    memset(told, 0, BENCH_RAM);
    anyhv_ctl_kick(b->dev, 0);
    bench_run(b);
    for (unsigned i = 0; i < BENCH_RAM; i++)
        if (b->ram[i] != before[i] && !told[i])
            fail_msg("byte 0x%x changed, and nobody was told", i);
}

static void everything_is_told(struct bench *b, const struct bench_options *options)
{
    uint8_t *before = malloc(BENCH_RAM);

    told = malloc(BENCH_RAM);
    told_bytes = 0;
    b->ops.ordered = true;
    b->on_request = write_somehow;
    bench_up(b, options);
    watch_memory(b);
    for (unsigned round = 0; round < 60; round++) {
        unsigned n = 1 + round % 4;
        uint64_t used = b->mem.used;

        for (unsigned i = 0; i < n; i++) {
            uint64_t at = bench_alloc(b, 64);
            struct drv_buf in[3] = {{at, 10}, {at + 13, 16}, {at + 40, 10}};
            struct drv_chain chain = {.in = in, .nin = 3, .direct = DRV_DIRECT, .token = at};

            if (options->features & DRV_F_INDIRECT) {
                chain.direct = 0;
                chain.table = bench_alloc(b, 48);
            }
            memset(drv_ptr(&b->mem, at, 64), 0xee, 64);
            assert_true(drv_ring_add(&b->ring[0], &chain) >= 0);
        }
        drv_ring_publish(&b->ring[0]);
        drv_ring_irq_after(&b->ring[0], (uint16_t)(1 + round % 3));
        let_the_device_work(b, before);
        while (drv_ring_get(&b->ring[0], &(struct drv_used){0}))
            continue;
        assert_int_equal(b->ring[0].inflight, 0);
        b->mem.used = used;
    }
    assert_true(told_bytes > 60 * 8);
    free(before);
    free(told);
}

/* A migration begins, or ends, while a request is in work. */
static void tracking_is_switched_with_a_piece_pinned(void **state)
{
    struct bench *b = *state;
    struct anyhv_map map;

    told = calloc(1, BENCH_RAM);
    bench_up(b, NULL);
    watch_memory(b);
    for (unsigned on = 0; on < 2; on++) {
        struct anyhv_req *req;

        anyhv_mem_track(&b->lb.mem, !on);
        req = bench_held(b, 0, 30);
        assert_int_equal(anyhv_req_pin(req, ANYHV_W, 30, &map), ANYHV_OK);
        told_bytes = 0;
        anyhv_mem_track(&b->lb.mem, on);
        memset(map.ptr, 0x77, map.len);
        anyhv_req_done(req);
        bench_run(b);
        bench_expect(b, 0, map.addr, 30);
        assert_int_equal(told[map.addr - BENCH_BASE + 29], on);
        assert_int_equal(told_bytes > 30, on); /* the ring as well */
        b->handles = 0;
    }
    free(told);
}

/* Nobody ever wanted to know. */
static void nothing_to_track_with(void **state)
{
    struct anyhv_mem mem;

    (void)state;
    anyhv_mem_init(&mem, NULL, 0, NULL, NULL);
    anyhv_mem_track(&mem, true);
    assert_false(mem.tracked);
}

#define TOLD(name, ...)                                                   \
    static void name(void **state)                                        \
    {                                                                     \
        everything_is_told(*state, &(struct bench_options){__VA_ARGS__}); \
    }

TOLD(split, .size = 16)
TOLD(split_event, .size = 16, .features = DRV_F_EVENT_IDX)
TOLD(split_in_order, .size = 16, .features = DRV_F_IN_ORDER | DRV_F_INDIRECT)
TOLD(split_few_slots, .size = 16, .limits = {.requests = 1})
TOLD(split_over_borders, .size = 16, .regions = 64, .features = DRV_F_INDIRECT)
TOLD(split_by_copy, .size = 16, .bounce = true)
TOLD(split_by_map, .size = 16, .bounce = true, .map_only = true, .map_max = 9)
TOLD(packed, .size = 13, .features = DRV_F_PACKED)
TOLD(packed_event, .size = 13, .features = DRV_F_PACKED | DRV_F_EVENT_IDX | DRV_F_INDIRECT)
TOLD(packed_in_order, .size = 13, .features = DRV_F_PACKED | DRV_F_IN_ORDER)
TOLD(packed_by_map, .size = 13, .features = DRV_F_PACKED, .bounce = true, .map_only = true)

static const struct CMUnitTest tests[] = {
    BENCH_TEST(split),
    BENCH_TEST(split_event),
    BENCH_TEST(split_in_order),
    BENCH_TEST(split_few_slots),
    BENCH_TEST(split_over_borders),
    BENCH_TEST(split_by_copy),
    BENCH_TEST(split_by_map),
    BENCH_TEST(packed),
    BENCH_TEST(packed_event),
    BENCH_TEST(packed_in_order),
    BENCH_TEST(packed_by_map),
    BENCH_TEST(tracking_is_switched_with_a_piece_pinned),
    BENCH_TEST(nothing_to_track_with),
};

ANYHV_TEST_MAIN("dirty", tests)

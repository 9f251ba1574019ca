/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes are cut into descriptors is the driver's business alone: section 2.7.4. */
#include "conformance/suite.h"

static const struct suite_setup direct = {.without = DRV_F_INDIRECT, .size = 256};

/* Header and payload cut at every byte. Proves FRAMING-ANY, PACKED-LIST-ORDER. */
static void every_split_point(struct suite *s)
{
    struct drv_buf out[2], in[2];
    struct drv_chain chain = {.out = out, .nout = 2, .in = in, .nin = 2, .direct = DRV_DIRECT};
    struct io io = {.op = TEST_ECHO, .seed = 77, .payload = 30, .room = 30};
    struct drv_used used;

    suite_up(s, &direct);
    io_layout(s, &io);
    for (uint32_t cut = 0; cut <= TEST_HEADER + 30; cut++) {
        out[0] = (struct drv_buf){io.out, cut};
        out[1] = (struct drv_buf){io.out + cut, TEST_HEADER + 30 - cut};
        in[0] = (struct drv_buf){io.in, cut % 31};
        in[1] = (struct drv_buf){io.in + cut % 31, 30 - cut % 31};
        memset(drv_ptr(s->mem, io.in, 30), 0xee, 30);
        chain.token = cut;
        assert_true(drv_ring_add(&s->ring[TEST_QUEUE_A], &chain) >= 0);
        io_submit(s, TEST_QUEUE_A);
        for (unsigned i = 0; i < 100 && !drv_ring_pending(&s->ring[TEST_QUEUE_A]); i++)
            s->rig->ops->wait(s->rig, TEST_QUEUE_A, 20);
        assert_true(drv_ring_get(&s->ring[TEST_QUEUE_A], &used));
        assert_int_equal(used.token, cut);
        assert_int_equal(used.len, 30);
        for (uint32_t i = 0; i < 30; i++)
            assert_int_equal(drv_peek8(s->mem, io.in + i),
                             test_transform(77, i, drv_peek8(s->mem, io.out + TEST_HEADER + i)));
    }
}

/* Proves FRAMING-ANY, PACKED-LIST-ORDER. */
static void bytes(struct suite *s)
{
    suite_up(s, &direct);
    for (uint32_t n = 0; n <= 120; n += 5) {
        io_do(s, {.op = TEST_ECHO, .seed = n, .payload = n, .room = 120 - n, .framing = IO_BYTES});
        io_do(s, {.op = TEST_STATUS, .arg = n / 2, .seed = n, .room = n + 1, .framing = IO_BYTES});
        io_do(s, {.op = TEST_PIN, .seed = n, .payload = n, .room = n, .framing = IO_BYTES});
    }
}

/* Empty descriptors are legal, wherever they stand and wherever they point. */
static void zero_length(struct suite *s)
{
    suite_up(s, &direct);
    for (uint32_t n = 0; n < 60; n++) {
        io_do(s, {.op = TEST_ECHO, .seed = n, .payload = n, .room = n, .framing = IO_ZEROES});
        io_do(s, {.op = TEST_STATUS, .seed = n, .room = n + 1, .framing = IO_ZEROES});
        io_do(s, {.op = TEST_PIN, .seed = n, .payload = n, .room = n, .framing = IO_ZEROES});
    }
}

/* A chain of exactly as many descriptors as the queue has. */
static void as_long_as_the_queue(struct suite *s)
{
    suite_start(s, NULL);
    for (uint16_t size = 32; size <= 256; size = (uint16_t)(size * 2)) {
        suite_again(s, &(struct suite_setup){.without = DRV_F_INDIRECT, .size = size});
        for (unsigned i = 0; i < 20; i++) {
            uint32_t payload = (size - TEST_HEADER) / 3;

            io_do(s, {.op = TEST_ECHO,
                      .seed = i,
                      .payload = payload,
                      .room = size - TEST_HEADER - payload,
                      .framing = IO_BYTES});
            assert_int_equal(s->ring[TEST_QUEUE_A].nfree, size);
        }
    }
}

/*
 * Lengths around what the library stores inline and in chunks.
 * Proves FRAMING-ANY, PACKED-LIST-ORDER.
 */
static void every_length(struct suite *s)
{
    suite_up(s, &direct);
    for (unsigned pieces = 1; pieces <= 60; pieces++) {
        for (unsigned k = 0; k < 4; k++)
            io_do(s, {.op = k % 2 ? TEST_PIN : TEST_ECHO,
                      .seed = pieces + k,
                      .payload = 300,
                      .room = 290,
                      .framing = IO_RANDOM,
                      .pieces = pieces});
        io_recycle(s);
    }
}

static void large(struct suite *s)
{
    suite_up(s, &direct);
    io_do(s, {.op = TEST_ECHO, .seed = 1, .payload = 1 << 20, .room = 1 << 20});
    io_do(s, {.op = TEST_SUM,
              .seed = 2,
              .payload = 1 << 20,
              .room = 16,
              .framing = IO_RANDOM,
              .pieces = 50});
    io_recycle(s);
    io_do(s, {.op = TEST_FILL,
              .seed = 3,
              .arg = 1 << 20,
              .room = 1 << 20,
              .framing = IO_RANDOM,
              .pieces = 50});
    io_do(s, {.op = TEST_PIN,
              .seed = 4,
              .payload = 200000,
              .room = 200000,
              .framing = IO_RANDOM,
              .pieces = 2});
}

/* Only readable or only writable: legal; what the device makes of it is another matter. */
static void one_direction(struct suite *s)
{
    struct drv_buf buf;
    struct drv_chain chain = {.in = &buf, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;

    suite_up(s, &direct);
    io_do(s, {.op = TEST_ECHO, .payload = 100});
    buf = (struct drv_buf){drv_alloc(s->mem, 100, 1), 100};
    assert_true(drv_ring_add(&s->ring[TEST_QUEUE_A], &chain) >= 0);
    io_submit(s, TEST_QUEUE_A);
    suite_settle(s);
    assert_true(drv_ring_get(&s->ring[TEST_QUEUE_A], &used));
    assert_int_equal(used.len, 0); /* no header: refused by the model */
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(drv_peek8(s->mem, buf.addr + i), 0);
    io_alive(s, TEST_QUEUE_A);
}

/* Buffers that lie across borders of pages and of regions. */
static void across_borders(struct suite *s)
{
    suite_up(s, &direct);
    for (unsigned i = 1; i < 40; i++) {
        /* RAM is 8 MiB; some rigs cut it into 64 regions of 128 KiB. */
        uint64_t border = s->mem->base + (uint64_t)i * 0x20000;

        if (border - 150 < s->mem->base + s->mem->used)
            continue;
        s->mem->used = border - 150 - s->mem->base;
        io_do(s, {.op = i % 2 ? TEST_ECHO : TEST_PIN,
                  .seed = i,
                  .payload = 60 + i,
                  .room = 60 + i,
                  .framing = i % 3 ? IO_WHOLE : IO_RANDOM,
                  .pieces = 3});
    }
}

/* The very first and the very last byte of memory. */
static void edges_of_memory(struct suite *s)
{
    struct drv_buf out, in;
    struct drv_chain chain = {.out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;
    uint64_t last;

    suite_up(s, &direct);
    last = s->mem->base + s->mem->size - 16;
    out = (struct drv_buf){drv_alloc(s->mem, TEST_HEADER, 1), TEST_HEADER};
    in = (struct drv_buf){last, 16};
    drv_poke32(s->mem, out.addr, TEST_FILL);
    drv_poke32(s->mem, out.addr + 4, 16);
    assert_true(drv_ring_add(&s->ring[TEST_QUEUE_A], &chain) >= 0);
    io_submit(s, TEST_QUEUE_A);
    suite_settle(s);
    assert_true(drv_ring_get(&s->ring[TEST_QUEUE_A], &used));
    assert_int_equal(used.len, 16);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(drv_peek8(s->mem, last + i), test_pattern(0, i));
}

const struct suite_test conf_framing_tests[] = {
    {"framing.every_split_point", every_split_point, 0, SUITE_ANY},
    {"framing.bytes", bytes, 0, SUITE_ANY},
    {"framing.zero_length", zero_length, 0, SUITE_ANY},
    {"framing.as_long_as_the_queue", as_long_as_the_queue, 0, SUITE_ANY},
    {"framing.every_length", every_length, 0, SUITE_ANY},
    {"framing.large", large, 0, SUITE_ANY},
    {"framing.one_direction", one_direction, 0, SUITE_ANY},
    {"framing.across_borders", across_borders, 0, SUITE_ANY},
    {"framing.edges_of_memory", edges_of_memory, 0, SUITE_ANY},
    {0},
};

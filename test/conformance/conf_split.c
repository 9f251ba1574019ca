/* SPDX-License-Identifier: Apache-2.0 */
/* The split ring's own rules: section 2.7. */
#include "conformance/suite.h"

static struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

/*
 * 2.7.8: the element's id is the head's index, the length what was written; then the index.
 * Proves SPLIT-USED-ID, QUEUE-USED-LENGTH.
 */
static void used_element(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 100; i++) {
        uint16_t before = drv_split_used_idx(ring_a(s));
        struct io *io = io_add(s, &(struct io){.op = TEST_ECHO,
                                               .seed = i,
                                               .payload = i,
                                               .room = i + i % 3,
                                               .framing = IO_SEPARATE});
        uint32_t id, len;

        io_submit(s, TEST_QUEUE_A);
        suite_settle(s);
        assert_int_equal(drv_split_used_idx(ring_a(s)), (uint16_t)(before + 1));
        drv_split_used_elem(ring_a(s), before, &id, &len);
        assert_int_equal(id, io->id);
        assert_int_equal(len, i);
        io_drain(s, TEST_QUEUE_A);
    }
}

/* 2.7.8: a request that only reads has length 0. Proves QUEUE-USED-LENGTH. */
static void read_only_length(struct suite *s)
{
    struct io *io;

    suite_up(s, &(struct suite_setup){0});
    io = io_do(s, {.op = TEST_ECHO, .payload = 500});
    assert_int_equal(io->len, 0);
}

/* The device writes the used ring and nothing else of the queue. Proves SPLIT-USED-ONLY-AREA. */
static void only_used_ring_written(struct suite *s)
{
    uint8_t desc[16 * 16], avail[6 + 2 * 16];
    struct drv_ring *ring = ring_a(s);

    suite_up(s, &(struct suite_setup){.size = 16, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 60; i++) {
        struct io *io = io_add(s, &(struct io){.op = i % 2 ? TEST_ECHO : TEST_PIN,
                                               .seed = i,
                                               .payload = 77,
                                               .room = 77,
                                               .pieces = 4,
                                               .framing = IO_RANDOM});

        drv_ring_publish(ring);
        memcpy(desc, ring->desc_host, sizeof(desc));
        memcpy(avail, ring->driver_host, sizeof(avail));
        drv_kick(s->t, TEST_QUEUE_A, ring);
        suite_settle(s);
        assert_memory_equal(desc, ring->desc_host, sizeof(desc));
        assert_memory_equal(avail, ring->driver_host, sizeof(avail));
        io_wait(s, io);
    }
}

/*
 * 2.7.6, 2.7.8: indices run freely through 65535 to 0.
 * Proves SPLIT-USED-INDEX, SPLIT-AVAIL-INDEX.
 */
static void index_wraps(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);
    struct drv_used used;
    struct drv_buf buf;
    unsigned sent = 0, got = 0;

    suite_up(s, &(struct suite_setup){.size = 256});
    buf = (struct drv_buf){drv_alloc(s->mem, TEST_HEADER, 8), TEST_HEADER};
    drv_poke32(s->mem, buf.addr, TEST_ECHO);
    while (got < 66000) {
        struct drv_chain chain = {.out = &buf, .nout = 1, .direct = DRV_DIRECT, .token = sent};
        unsigned batch = 1 + sent % 256;

        for (unsigned i = 0; i < batch && drv_ring_add(ring, &chain) >= 0; i++)
            chain.token = ++sent;
        drv_submit(s->t, TEST_QUEUE_A, ring);
        for (unsigned i = 0; i < 100 && got < sent; i++) {
            if (!drv_ring_pending(ring))
                s->rig->ops->wait(s->rig, TEST_QUEUE_A, 20);
            while (drv_ring_get(ring, &used))
                assert_int_equal(used.token, got++);
        }
        assert_int_equal(got, sent);
    }
    assert_int_equal(ring->fault, DRV_FAULT_NONE);
    assert_int_equal(drv_split_used_idx(ring), (uint16_t)got);
    io_alive(s, TEST_QUEUE_A);
}

/* Chains at any free descriptors, in any order, over many laps of a small ring. */
static void scattered_descriptors(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 8, .without = DRV_F_INDIRECT});
    for (unsigned i = 0; i < 100; i++) {
        struct io *held = io_send(
            s, &(struct io){
                   .op = TEST_HOLD, .seed = i, .payload = 20, .room = 20, .framing = IO_SEPARATE});

        io_do(s, {.op = TEST_ECHO, .seed = i, .payload = 21, .room = 21});
        io_do(s, {.op = TEST_RELEASE, .framing = i % 2 ? IO_SEPARATE : IO_WHOLE});
        io_wait(s, held);
        io_recycle(s);
    }
}

/*
 * 2.7.10: with EVENT_IDX the used ring's flags are 0, without they are 0 or 1.
 * Proves SPLIT-FLAGS-0-OR-1, SPLIT-FLAGS-0.
 */
static void used_flags(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);

    suite_start(s, NULL);
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        suite_again(s, &(struct suite_setup){
                           .features = event_idx ? DRV_F_EVENT_IDX : 0,
                           .without = event_idx ? 0 : DRV_F_EVENT_IDX,
                       });
        for (unsigned i = 0; i < 50; i++) {
            assert_in_range(drv_split_used_flags(ring), 0, event_idx ? 0 : 1);
            io_do(s, {.op = TEST_ECHO, .seed = i, .payload = 3, .room = 3});
        }
    }
}

const struct suite_test conf_split_tests[] = {
    {"split.used.element", used_element, 0, SUITE_SPLIT},
    {"split.used.read_only_length", read_only_length, 0, SUITE_SPLIT},
    {"split.used.flags", used_flags, 0, SUITE_SPLIT},
    {"split.used.only_area_written", only_used_ring_written, 0, SUITE_SPLIT},
    {"split.wrap.index_65536", index_wraps, 0, SUITE_SPLIT},
    {"split.chain.scattered", scattered_descriptors, 0, SUITE_SPLIT},
    {0},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the rings that are not descriptors: cases 24, 25, 30. */
#include "hostile/hostile.h"

/* ---- 24: the device's own words, written by the driver: never read back ---- */

static void used_index_overwritten(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < 40; i++) {
        struct io *io =
            io_add(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 9, .room = 9});

        drv_ring_publish(ring_a(s));
        drv_poke16(s->mem, ring_a(s)->device + 2, (uint16_t)(i * 0x1357));
        drv_poke16(s->mem, ring_a(s)->device, (uint16_t)(i * 0x7531));
        drv_poke16(s->mem, ring_a(s)->device + 4 + 8 * 16, (uint16_t)(i * 0x2467));
        kick(s);
        assert_int_equal(drv_split_used_idx(ring_a(s)), i + 1);
        io_wait(s, io);
    }
    io_alive(s, TEST_QUEUE_B);
}

/* The device's event area of a packed ring. */
static void event_area_overwritten(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < 40; i++) {
        drv_poke32(s->mem, ring_a(s)->device, 0xdeadbeef * i);
        io_add(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 9, .room = 9});
        drv_ring_publish(ring_a(s));
        kick(s);
        io_drain(s, TEST_QUEUE_A);
    }
    io_alive(s, TEST_QUEUE_B);
}

/* Answers while requests are held, with the used ring filled with nonsense in between. */
static void used_ring_overwritten(struct suite *s)
{
    struct io *held[4];

    hostile_up(s);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++)
            held[i] = io_add(s, &(struct io){.op = TEST_HOLD, .seed = i, .payload = 6, .room = 6});
        drv_ring_publish(ring_a(s));
        kick(s); /* whatever the device's event words say by now */
        memset(ring_a(s)->device_host, (int)(0x5a + round), drv_device_bytes(ring_a(s)));
        test_device_release(s->rig->device, round, 0);
        suite_settle(s);
        for (unsigned i = 0; i < 4; i++)
            io_wait(s, held[i]);
    }
}

/* ---- 25: event words without sense ---- */

static void used_event_poisoned(struct suite *s)
{
    static const uint16_t values[] = {0, 1, 15, 16, 0x7fff, 0x8000, 0xfffe, 0xffff};

    hostile_up_with(s, DRV_F_EVENT_IDX, 0);
    for (unsigned i = 0; i < 200; i++) {
        struct io *io =
            io_add(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 3, .room = 3});

        drv_split_set_used_event(ring_a(s), values[i % 8]);
        drv_split_set_flags(ring_a(s), (uint16_t)(i * 0x0f1f));
        drv_ring_publish(ring_a(s));
        kick(s);
        io_wait(s, io);
    }
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).publishes, 200);
    io_alive(s, TEST_QUEUE_B);
}

static void packed_event_poisoned(struct suite *s)
{
    static const uint16_t offs[] = {0, 15, 16, 17, 0x7fff, 0x8000, 0x8010, 0xffff};

    hostile_up_with(s, DRV_F_EVENT_IDX, 0);
    for (unsigned i = 0; i < 200; i++) {
        struct io *io =
            io_add(s, &(struct io){.op = TEST_ECHO, .seed = i, .payload = 3, .room = 3});

        drv_packed_set_event(ring_a(s), offs[i % 8], (uint16_t)(i % 5 == 4 ? 0xffff : i % 5));
        drv_ring_publish(ring_a(s));
        kick(s);
        io_wait(s, io);
    }
    io_alive(s, TEST_QUEUE_B);
}

/* The avail flags' other bits are reserved. */
static void avail_flags_poisoned(struct suite *s)
{
    hostile_up_with(s, 0, DRV_F_EVENT_IDX);
    for (unsigned bit = 0; bit < 16; bit++) {
        struct io *io = io_add(s, &(struct io){.op = TEST_ECHO, .payload = bit, .room = bit});

        drv_split_set_flags(ring_a(s), (uint16_t)(1u << bit));
        drv_ring_publish(ring_a(s));
        kick(s);
        assert_int_equal(suite_interrupted(s, TEST_QUEUE_A), bit != 0);
        io_wait(s, io);
    }
}

/* ---- 30: little endian, byte by byte, whatever the host is ---- */

static void poke_bytes(struct suite *s, uint64_t addr, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        drv_poke8(s->mem, addr + i, bytes[i]);
}

/* Proves QUEUE-LITTLE-ENDIAN. */
static void byte_order(struct suite *s)
{
    static const uint8_t fill[16] = {TEST_FILL, 0, 0, 0, 0x02, 0x01, 0, 0,
                                     0x88,      0, 0, 0, 0,    0,    0, 0x99};
    uint64_t header, room, at = 0;
    uint8_t desc[32] = {0};

    hostile_up(s);
    header = good_header(s, TEST_FILL, 0);
    poke_bytes(s, header, fill, 16);
    room = good_room(s, 0x0102);
    for (unsigned i = 0; i < 8; i++) {
        desc[i] = (uint8_t)(header >> (8 * i));
        desc[16 + i] = (uint8_t)(room >> (8 * i));
    }
    desc[8] = 16;
    desc[24] = 0x02;
    desc[25] = 0x01; /* 0x0102 bytes */
    at = ring_a(s)->desc;
    if (ring_a(s)->packed) {
        desc[12] = desc[28] = 0x34; /* id 0x1234 */
        desc[13] = desc[29] = 0x12;
        desc[14] = 0x81; /* AVAIL, NEXT */
        desc[30] = 0x82; /* AVAIL, WRITE */
        poke_bytes(s, at, desc, 32);
    } else {
        desc[12] = 1; /* NEXT */
        desc[14] = 5;
        desc[28] = 2; /* WRITE */
        poke_bytes(s, at + 16 * 3, desc, 16);
        poke_bytes(s, at + 16 * 5, desc + 16, 16);
        poke_bytes(s, ring_a(s)->driver, (const uint8_t[]){0, 0, 1, 0, 3, 0}, 6);
    }
    kick(s);
    if (ring_a(s)->packed) {
        assert_int_equal(drv_peek8(s->mem, at + 8), 0x02);
        assert_int_equal(drv_peek8(s->mem, at + 9), 0x01);
        assert_int_equal(drv_peek8(s->mem, at + 12), 0x34);
        assert_int_equal(drv_peek8(s->mem, at + 13), 0x12);
        assert_int_equal(drv_peek8(s->mem, at + 14), 0x82);
        assert_int_equal(drv_peek8(s->mem, at + 15), 0x80);
    } else {
        at = ring_a(s)->device;
        assert_int_equal(drv_peek8(s->mem, at + 2), 1);
        assert_int_equal(drv_peek8(s->mem, at + 3), 0);
        assert_int_equal(drv_peek8(s->mem, at + 4), 3);
        assert_int_equal(drv_peek8(s->mem, at + 8), 0x02);
        assert_int_equal(drv_peek8(s->mem, at + 9), 0x01);
    }
    for (uint32_t i = 0; i < 0x0102; i++)
        assert_int_equal(drv_peek8(s->mem, room + i),
                         test_pattern(UINT64_C(0x9900000000000088), i));
    io_alive(s, TEST_QUEUE_B);
}

/* ---- 26: a queue that is broken costs nothing, however often it is kicked ---- */

static void broken_queue_is_idle(struct suite *s)
{
    uint64_t runs;

    hostile_up(s);
    drv_split_set_idx(ring_a(s), 0x4000);
    kick(s);
    assert_true(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    runs = suite_counters(s, TEST_QUEUE_A).requests;
    for (unsigned i = 0; i < 1000; i++)
        kick(s);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).requests, runs);
    assert_false(anyhv_dev_run(s->rig->dev, 1));
    assert_int_equal(suite_violations(s, ANYHV_V_AVAIL_JUMP), 1);
    io_alive(s, TEST_QUEUE_B);
}

/* Held requests of a queue that breaks: late answers find a broken ring and write nothing. */
static void held_when_it_breaks(struct suite *s)
{
    struct io *held[3];

    hostile_up(s);
    for (unsigned i = 0; i < 3; i++)
        held[i] = io_send(s, &(struct io){.op = TEST_HOLD, .payload = 30, .room = 30, .seed = i});
    suite_settle(s);
    drv_split_set_idx(ring_a(s), (uint16_t)(ring_a(s)->next_avail + 100));
    kick(s);
    assert_true(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    guard_begin(s);
    for (unsigned i = 0; i < 3; i++)
        guard_allow(s, held[i]->in, 30);
    test_device_release(s->rig->device, 0, 0);
    suite_settle(s);
    guard_check(s); /* the used ring is not among what may change */
    io_alive(s, TEST_QUEUE_B);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

const struct suite_test hostile_word_tests[] = {
    {"words.used_index.case-24", used_index_overwritten, 0, SUITE_SPLIT},
    {"words.event_area.case-24", event_area_overwritten, 0, SUITE_PACKED},
    {"words.used_ring.case-24", used_ring_overwritten, 0, SUITE_ANY},
    {"words.used_event.case-25", used_event_poisoned, 0, SUITE_SPLIT},
    {"words.packed_event.case-25", packed_event_poisoned, 0, SUITE_PACKED},
    {"words.avail_flags.case-25", avail_flags_poisoned, 0, SUITE_SPLIT},
    {"words.broken_queue_is_idle.case-26", broken_queue_is_idle, 0, SUITE_SPLIT},
    {"words.held_when_it_breaks.case-26", held_when_it_breaks, 0, SUITE_SPLIT},
    {"words.byte_order.case-30", byte_order, 0, SUITE_ANY},
    {0},
};

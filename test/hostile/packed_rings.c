/* SPDX-License-Identifier: Apache-2.0 */
/* Packed rings: cases 32, 34 to 38. (33 is in tables.c.) */
#include "hostile/hostile.h"

static uint16_t flags_at(struct suite *s, uint16_t slot)
{
    return drv_peek16(s->mem, ring_a(s)->desc + 16ul * slot + 14);
}

/* ---- 32: ids ---- */

/* An id beyond the ring's size is the driver's affair: given back as it is. */
static void id_beyond_size(struct suite *s)
{
    static const uint16_t ids[] = {16, 17, 0x7fff, 0x8000, 0xffff};

    hostile_up(s);
    for (unsigned i = 0; i < 5; i++) {
        uint16_t at = ring_a(s)->next_avail;
        uint64_t room = good_room(s, 8);

        offer(s, (struct raw[]){{good_header(s, TEST_FILL, 8), 16, N, 0}, {room, 8, W, ids[i]}}, 2);
        expect_served(s, room, 8);
        assert_int_equal(drv_peek16(s->mem, ring_a(s)->desc + 16ul * at + 12), ids[i]);
        /* Refused chains give theirs back as well. */
        at = ring_a(s)->next_avail;
        offer(s, (struct raw[]){{room, 8, N | W, 0}, {room, 8, 0, ids[i]}}, 2);
        expect_rejected(s, ANYHV_V_ORDER);
        assert_int_equal(drv_peek16(s->mem, ring_a(s)->desc + 16ul * at + 12), ids[i]);
    }
}

/* ---- 34: AVAIL and USED ---- */

/* Both set or both clear is not available, in either lap. */
static void bits_that_do_not_differ(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    for (unsigned lap = 0; lap < 3; lap++) {
        static const uint16_t bits[] = {0, DRV_DESC_AVAIL | DRV_DESC_USED};

        for (unsigned i = 0; i < 2; i++) {
            header = good_header(s, TEST_ECHO, 0);
            drv_packed_desc(s->mem, ring_a(s)->desc, ring_a(s)->next_avail, header, 16, 0, bits[i]);
            expect_nothing(s);
        }
        /* The other lap's bits. */
        drv_packed_desc(s->mem, ring_a(s)->desc, ring_a(s)->next_avail, header, 16, 0,
                        drv_packed_avail_bits(!ring_a(s)->avail_wrap));
        expect_nothing(s);
        for (unsigned i = 0; i < 16; i++)
            io_do(s, {.op = TEST_ECHO, .payload = 3});
    }
}

/* A chain whose second slot is not available: its end is unknown. */
static void chain_not_all_available(struct suite *s)
{
    static const uint16_t bits[] = {0, DRV_DESC_AVAIL | DRV_DESC_USED, DRV_DESC_USED};
    uint64_t header;

    hostile_up(s);
    for (unsigned i = 0; i < 3; i++) {
        uint16_t at = ring_a(s)->next_avail;

        header = good_header(s, TEST_ECHO, 0);
        drv_packed_desc(s->mem, ring_a(s)->desc, (uint16_t)(at + 1), header + 8, 8, 0, bits[i]);
        drv_packed_desc(s->mem, ring_a(s)->desc, at, header, 8, 0, N | DRV_DESC_AVAIL);
        expect_broken(s, ANYHV_V_PACKED_PARTIAL);
    }
}

/* ---- 35: no end ---- */

static void chain_without_end(struct suite *s)
{
    struct raw raw[16];
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_ECHO, 0);
    for (unsigned i = 0; i < 16; i++)
        raw[i] = (struct raw){header, 1, N, 0};
    offer(s, raw, 16);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

/* The same made of empty descriptors, and starting in the middle of the ring. */
static void empty_chain_without_end(struct suite *s)
{
    struct raw raw[16];

    hostile_up(s);
    for (unsigned i = 0; i < 7; i++)
        io_do(s, {.op = TEST_ECHO, .payload = 3});
    for (unsigned i = 0; i < 16; i++)
        raw[i] = (struct raw){0, 0, N, 0};
    offer(s, raw, 16);
    /* The 16th slot, in the next lap, would be the first again: the ring's end is seen before. */
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

/* Slots made available again while their chain is in work. */
static void slots_in_work_offered_again(struct suite *s)
{
    uint64_t header;
    unsigned before;

    hostile_up(s);
    header = good_header(s, TEST_HOLD, 0);
    for (unsigned i = 0; i < 16; i++)
        offer(s, &(struct raw){header, 16, 0, (uint16_t)i}, 1);
    kick(s);
    before = s->rig->device->nheld;
    assert_int_equal(before, 16);
    offer(s, &(struct raw){header, 16, 0, 16}, 1); /* slot 0, next lap, nothing was used yet */
    expect_broken(s, ANYHV_V_INFLIGHT);
}

/* ---- 36: ids twice, event words without sense ---- */

static void same_id_twice(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_HOLD, 0);
    for (unsigned i = 0; i < 4; i++)
        offer(s, &(struct raw){header, 16, 0, 7}, 1);
    kick(s);
    test_device_release(s->rig->device, 1, 0);
    suite_settle(s);
    for (uint16_t i = 0; i < 4; i++) {
        assert_true(flags_at(s, i) & DRV_DESC_USED);
        assert_int_equal(drv_peek16(s->mem, ring_a(s)->desc + 16ul * i + 12), 7);
    }
    ring_a(s)->last_used = ring_a(s)->next_avail;
    both_alive(s);
}

/* ---- 37: sizes ---- */

static void ring_of_one(struct suite *s)
{
    uint64_t header;

    suite_up(s, &(struct suite_setup){.size = 1});
    for (unsigned i = 0; i < 10; i++) {
        io_do(s, {.op = TEST_ECHO, .payload = 4});
        io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_ECHO, .payload = 5});
    }
    header = good_header(s, TEST_ECHO, 0);
    offer(s, &(struct raw){header, 16, N, 0}, 1);
    kick(s);
    assert_int_equal(suite_violations(s, ANYHV_V_CHAIN_LOOP), 1);
    assert_true(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_ECHO, .payload = 5});
}

static void odd_sizes(struct suite *s)
{
    suite_start(s, NULL);
    for (uint16_t size = 3; size < 40; size = (uint16_t)(size + 6)) {
        struct raw raw[40];
        uint64_t header;

        suite_again(s, &(struct suite_setup){.size = size});
        for (unsigned i = 0; i < 2u * size; i++)
            io_do(s, {.op = TEST_ECHO, .payload = 3, .room = i % 2});
        header = good_header(s, TEST_ECHO, 0);
        for (unsigned i = 0; i < size; i++)
            raw[i] = (struct raw){header, 1, N, 0};
        offer(s, raw, size);
        kick(s);
        assert_true(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
        io_alive(s, TEST_QUEUE_B);
    }
    assert_int_equal(suite_violations(s, ANYHV_V_CHAIN_LOOP), 7);
}

/* ---- 38: from one layout to the other in the same memory ---- */

static void layout_changes(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 12; i++) {
        bool packed = i % 2;

        /* Half a lap, and a request in work, in memory that held the other layout. */
        suite_again(s, &(struct suite_setup){.size = 8,
                                             .features = packed ? DRV_F_PACKED : 0,
                                             .without = packed ? 0 : DRV_F_PACKED});
        for (unsigned k = 0; k < 5 + i; k++)
            io_do(s, {.op = TEST_ECHO, .seed = k, .payload = 12, .room = 12});
        io_send(s, &(struct io){.op = TEST_HOLD, .payload = 12, .room = 12});
        suite_settle(s);
    }
}

const struct suite_test hostile_packed_tests[] = {
    {"packed.id_beyond_size.case-32", id_beyond_size, 0, SUITE_PACKED},
    {"packed.bits_that_do_not_differ.case-34", bits_that_do_not_differ, 0, SUITE_PACKED},
    {"packed.chain_not_all_available.case-34", chain_not_all_available, 0, SUITE_PACKED},
    {"packed.chain_without_end.case-35", chain_without_end, 0, SUITE_PACKED},
    {"packed.empty_chain_without_end.case-35", empty_chain_without_end, 0, SUITE_PACKED},
    {"packed.slots_in_work_again.case-35", slots_in_work_offered_again, 0, SUITE_PACKED},
    {"packed.same_id_twice.case-36", same_id_twice, 0, SUITE_PACKED},
    {"packed.ring_of_one.case-37", ring_of_one, 0, SUITE_PACKED},
    {"packed.odd_sizes.case-37", odd_sizes, 0, SUITE_PACKED},
    {"packed.layout_changes.case-38", layout_changes, 0, SUITE_PACKED},
    {0},
};

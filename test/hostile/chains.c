/* SPDX-License-Identifier: Apache-2.0 */
/* Chains in the ring itself: cases 1, 3 to 10, 18 to 20, 26, 27. */
#include "hostile/hostile.h"

static const uint16_t far_indices[] = {16, 17, 255, 256, 0x7fff, 0x8000, 0xfffe, 0xffff};
#define FAR_INDICES (sizeof(far_indices) / sizeof(far_indices[0]))

/* ---- 1: loops ---- */

static void loop_of_one(struct suite *s)
{
    hostile_up(s);
    offer(s, &(struct raw){good_header(s, TEST_ECHO, 0), 16, N, 0}, 1);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

static void loop_of_two(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_ECHO, 0);
    offer(s, (struct raw[]){{header, 8, N, 1}, {header + 8, 8, N, 0}}, 2);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

static void loop_behind_a_head(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_ECHO, 0);
    offer(s, (struct raw[]){{header, 16, N, 1}, {header, 16, N, 2}, {header, 16, N, 1}}, 3);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

/*
 * A loop that would also be refused for what is in it: the head is known, so that request alone is
 * refused, and the walk ends where it was refused.
 */
static void loop_with_wrong_order(struct suite *s)
{
    hostile_up(s);
    offer(s,
          (struct raw[]){{good_header(s, TEST_ECHO, 0), 16, N, 1}, {good_room(s, 8), 8, N | W, 0}},
          2);
    expect_rejected(s, ANYHV_V_ORDER);
}

/* ---- 3: a loop of nothing but empty descriptors ---- */

static void loop_of_empty_ones(struct suite *s)
{
    hostile_up(s);
    offer(s, (struct raw[]){{0, 0, N, 1}, {0, 0, N, 0}}, 2);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

/* ---- 4: empty descriptors are legal ---- */

static void empty_descriptors(struct suite *s)
{
    uint64_t room;

    hostile_up(s);
    room = good_room(s, 8);
    offer_linked(s,
                 (struct raw[]){{0, 0, 0, 0},
                                {good_header(s, TEST_FILL, 8), 16, 0, 0},
                                {UINT64_MAX, 0, 0, 0},
                                {0, 0, W, 0},
                                {room, 8, W, 0},
                                {BAD_ADDR, 0, W, 0}},
                 6);
    expect_served(s, room, 8);
    assert_int_equal(suite_violations(s, ANYHV_V_ZERO_LENGTH), 4);
}

static void nothing_but_empty(struct suite *s)
{
    hostile_up(s);
    offer_linked(s, (struct raw[]){{0, 0, 0, 0}, {0, 0, W, 0}}, 2);
    expect_rejected(s, ANYHV_V_DEVICE_REJECT); /* the model finds no header */
}

/* ---- 5: heads ---- */

/* Proves STATUS-NEEDS-RESET, STATUS-NEEDS-RESET-TOLD. */
static void head_out_of_range(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < FAR_INDICES; i++) {
        drv_split_push(ring_a(s), far_indices[i]);
        expect_broken(s, ANYHV_V_HEAD_RANGE);
    }
}

/* ---- 6: next ---- */

static void next_out_of_range(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < FAR_INDICES; i++) {
        offer(s, &(struct raw){good_header(s, TEST_ECHO, 0), 16, N, far_indices[i]}, 1);
        expect_broken(s, ANYHV_V_NEXT_RANGE);
    }
}

/* Without NEXT the field means nothing. */
static void next_without_flag(struct suite *s)
{
    hostile_up(s);
    offer(s, &(struct raw){good_header(s, TEST_ECHO, 0), 16, 0, 0xffff}, 1);
    expect_served(s, 0, 0);
}

/* ---- 7: the available index ---- */

static void index_jumps(struct suite *s)
{
    static const uint16_t jumps[] = {17, 18, 256, 0x7fff, 0x8000, 0xffff};

    hostile_up(s);
    for (unsigned i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        drv_split_set_idx(ring_a(s), jumps[i]);
        expect_broken(s, ANYHV_V_AVAIL_JUMP);
    }
}

static void index_goes_back(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < 5; i++)
        io_alive(s, TEST_QUEUE_A);
    drv_split_set_idx(ring_a(s), 4);
    expect_broken(s, ANYHV_V_AVAIL_JUMP);
}

/* The whole ring at once is legal. */
static void index_full_ring(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_ECHO, 0);
    for (uint16_t i = 0; i < 16; i++) {
        drv_split_desc(s->mem, ring_a(s)->desc, i, header, 16, 0, 0);
        drv_split_avail(ring_a(s), i, i);
    }
    drv_split_set_idx(ring_a(s), 16);
    kick(s);
    assert_int_equal(drv_split_used_idx(ring_a(s)), 16);
    ring_a(s)->last_used = 16;
    both_alive(s);
}

/* ---- 8: the same buffers twice ---- */

/* The driver's own memory, and its own loss: served twice, and nothing else happens. */
static void same_head_twice(struct suite *s)
{
    uint64_t room;

    hostile_up(s);
    room = good_room(s, 8);
    drv_split_desc(s->mem, ring_a(s)->desc, 0, good_header(s, TEST_FILL, 8), 16, N, 1);
    drv_split_desc(s->mem, ring_a(s)->desc, 1, room, 8, W, 0);
    drv_split_push(ring_a(s), 0);
    drv_split_push(ring_a(s), 0);
    guard_begin(s);
    guard_allow_device_areas(s);
    guard_allow(s, room, 8);
    kick(s);
    assert_int_equal(drv_split_used_idx(ring_a(s)), 2);
    guard_check(s);
    ring_a(s)->last_used = 2;
    both_alive(s);
}

/* More in work than the ring can hold: a head was offered again before it was used. */
static void more_in_work_than_entries(struct suite *s)
{
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_HOLD, 0);
    drv_split_desc(s->mem, ring_a(s)->desc, 0, header, 16, 0, 0);
    for (unsigned i = 0; i < 16; i++)
        drv_split_push(ring_a(s), 0);
    kick(s);
    assert_int_equal(s->rig->device->nheld, 16);
    drv_split_push(ring_a(s), 0);
    expect_broken(s, ANYHV_V_INFLIGHT);
    assert_int_equal(s->rig->device->nheld, 0);
}

/* A buffer of one queue offered on another. */
static void same_buffer_on_two_queues(struct suite *s)
{
    struct io a = {.queue = TEST_QUEUE_A, .op = TEST_HOLD, .seed = 1, .payload = 20, .room = 20};
    struct drv_buf out, in;
    struct drv_chain chain = {.out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct io *held;
    struct drv_used used;

    hostile_up(s);
    held = io_send(s, &a);
    suite_settle(s);
    out = (struct drv_buf){held->out, TEST_HEADER + 20};
    in = (struct drv_buf){held->in, 20};
    assert_true(drv_ring_add(&s->ring[TEST_QUEUE_B], &chain) >= 0);
    io_submit(s, TEST_QUEUE_B);
    suite_settle(s);
    assert_false(drv_ring_get(&s->ring[TEST_QUEUE_B], &used));
    test_device_release(s->rig->device, 0, 0);
    suite_settle(s);
    assert_true(drv_ring_get(&s->ring[TEST_QUEUE_B], &used));
    assert_int_equal(used.len, 20);
    io_wait(s, held);
    both_alive(s);
}

/* ---- 9: lengths of chains ---- */

static void as_long_as_the_ring(struct suite *s)
{
    struct raw raw[16];
    uint64_t header, room;

    hostile_up(s);
    header = good_header(s, TEST_FILL, 4);
    room = good_room(s, 4);
    for (unsigned i = 0; i < 12; i++)
        raw[i] = (struct raw){header + i, i < 11 ? 1 : 5, 0, 0};
    for (unsigned i = 12; i < 16; i++)
        raw[i] = (struct raw){room + i - 12, 1, W, 0};
    offer_linked(s, raw, 16);
    expect_served(s, room, 4);
}

static void longer_than_the_ring(struct suite *s)
{
    struct raw raw[16];
    uint64_t header;

    hostile_up(s);
    header = good_header(s, TEST_ECHO, 0);
    for (unsigned i = 0; i < 16; i++)
        raw[i] = (struct raw){header, 1, N, (uint16_t)((i + 1) % 16)};
    offer(s, raw, 16);
    expect_broken(s, ANYHV_V_CHAIN_LOOP);
}

/* ---- 18: order ---- */

static void readable_after_writable(struct suite *s)
{
    hostile_up(s);
    offer_linked(s,
                 (struct raw[]){{good_header(s, TEST_FILL, 8), 16, 0, 0},
                                {good_room(s, 8), 8, W, 0},
                                {good_room(s, 8), 8, 0, 0},
                                {good_room(s, 8), 8, W, 0}},
                 4);
    expect_rejected(s, ANYHV_V_ORDER);
}

static void writable_first(struct suite *s)
{
    hostile_up(s);
    offer_linked(
        s, (struct raw[]){{good_room(s, 8), 8, W, 0}, {good_header(s, TEST_FILL, 8), 16, 0, 0}}, 2);
    expect_rejected(s, ANYHV_V_ORDER);
}

/* An empty descriptor has a direction as well. */
static void empty_readable_after_writable(struct suite *s)
{
    hostile_up(s);
    offer_linked(s,
                 (struct raw[]){{good_header(s, TEST_FILL, 8), 16, 0, 0},
                                {good_room(s, 8), 8, W, 0},
                                {0, 0, 0, 0}},
                 3);
    expect_rejected(s, ANYHV_V_ORDER);
}

/* ---- 19, 20: framing, and parts that are missing ---- */

static void header_in_pieces(struct suite *s)
{
    uint64_t header, room;

    hostile_up(s);
    header = good_header(s, TEST_STATUS, 2);
    room = good_room(s, 5);
    offer_linked(s,
                 (struct raw[]){{header, 1, 0, 0},
                                {header + 1, 3, 0, 0},
                                {header + 4, 12, 0, 0},
                                {room, 1, W, 0},
                                {room + 1, 3, W, 0},
                                {room + 4, 1, W, 0}},
                 6);
    expect_served(s, room, 5);
}

static void header_too_short(struct suite *s)
{
    hostile_up(s);
    offer_linked(
        s, (struct raw[]){{good_header(s, TEST_FILL, 4), 15, 0, 0}, {good_room(s, 4), 4, W, 0}}, 2);
    expect_rejected(s, ANYHV_V_DEVICE_REJECT);
}

static void header_writable(struct suite *s)
{
    hostile_up(s);
    offer_linked(
        s, (struct raw[]){{good_header(s, TEST_FILL, 4), 16, W, 0}, {good_room(s, 4), 4, W, 0}}, 2);
    expect_rejected(s, ANYHV_V_DEVICE_REJECT);
}

static void room_missing(struct suite *s)
{
    hostile_up(s);
    offer_linked(s, &(struct raw){good_header(s, TEST_STATUS, 0), 16, 0, 0}, 1);
    expect_rejected(s, ANYHV_V_DEVICE_REJECT);
}

/* ---- 26, 27: a bad chain is consumed once, and is not taken for a short one ---- */

static void bad_ones_among_good_ones(struct suite *s)
{
    uint64_t header, room;
    uint16_t before;

    hostile_up(s);
    before = ring_a(s)->next_avail;
    header = good_header(s, TEST_FILL, 8);
    room = good_room(s, 8);
    for (uint16_t i = 0; i < 16; i++) {
        uint16_t flags = i % 2 ? 0 : W; /* a header that cannot be read, and one that can */

        drv_split_desc(s->mem, ring_a(s)->desc, i, header, 16, flags, 0);
        drv_split_push(ring_a(s), i);
    }
    guard_begin(s);
    guard_allow_device_areas(s);
    guard_allow(s, room, 8);
    kick(s);
    guard_check(s);
    assert_int_equal(drv_split_used_idx(ring_a(s)), (uint16_t)(before + 16));
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).requests, 16);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 16);
    for (unsigned i = 0; i < 10; i++)
        kick(s);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).requests, 16);
    ring_a(s)->last_used = ring_a(s)->next_avail;
    both_alive(s);
}

/* The model never sees a chain whose end was not reached. */
static void parse_error_is_no_short_chain(struct suite *s)
{
    uint64_t seen;

    hostile_up(s);
    seen = s->rig->device->info[TEST_INFO_REQUESTS];
    offer_linked(s,
                 (struct raw[]){{good_header(s, TEST_ECHO, 0), 16, 0, 0},
                                {good_room(s, 8), 8, W, 0},
                                {good_header(s, TEST_ECHO, 0), 16, 0, 0}},
                 3);
    kick(s);
    assert_int_equal(s->rig->device->info[TEST_INFO_REQUESTS], seen);
    assert_int_equal(suite_violations(s, ANYHV_V_ORDER), 1);
    io_alive(s, TEST_QUEUE_B);
}

const struct suite_test hostile_chain_tests[] = {
    {"chain.loop_of_one.case-01", loop_of_one, 0, SUITE_SPLIT},
    {"chain.loop_of_two.case-01", loop_of_two, 0, SUITE_SPLIT},
    {"chain.loop_behind_head.case-01", loop_behind_a_head, 0, SUITE_SPLIT},
    {"chain.loop_with_wrong_order.case-01", loop_with_wrong_order, 0, SUITE_SPLIT},
    {"chain.loop_of_empty_ones.case-03", loop_of_empty_ones, 0, SUITE_SPLIT},
    {"chain.empty_descriptors.case-04", empty_descriptors, 0, SUITE_ANY},
    {"chain.nothing_but_empty.case-04", nothing_but_empty, 0, SUITE_ANY},
    {"chain.head_out_of_range.case-05", head_out_of_range, 0, SUITE_SPLIT},
    {"chain.next_out_of_range.case-06", next_out_of_range, 0, SUITE_SPLIT},
    {"chain.next_without_flag.case-06", next_without_flag, 0, SUITE_SPLIT},
    {"index.jumps.case-07", index_jumps, 0, SUITE_SPLIT},
    {"index.goes_back.case-07", index_goes_back, 0, SUITE_SPLIT},
    {"index.full_ring.case-07", index_full_ring, 0, SUITE_SPLIT},
    {"chain.same_head_twice.case-08", same_head_twice, 0, SUITE_SPLIT},
    {"chain.more_in_work_than_entries.case-08", more_in_work_than_entries, 0, SUITE_SPLIT},
    {"chain.same_buffer_on_two_queues.case-08", same_buffer_on_two_queues, 0, SUITE_ANY},
    {"chain.as_long_as_the_ring.case-09", as_long_as_the_ring, 0, SUITE_ANY},
    {"chain.longer_than_the_ring.case-09", longer_than_the_ring, 0, SUITE_ANY},
    {"chain.readable_after_writable.case-18", readable_after_writable, 0, SUITE_ANY},
    {"chain.writable_first.case-18", writable_first, 0, SUITE_ANY},
    {"chain.empty_readable_after_writable.case-18", empty_readable_after_writable, 0, SUITE_ANY},
    {"chain.header_in_pieces.case-19", header_in_pieces, 0, SUITE_ANY},
    {"chain.header_too_short.case-20", header_too_short, 0, SUITE_ANY},
    {"chain.header_writable.case-20", header_writable, 0, SUITE_ANY},
    {"chain.room_missing.case-20", room_missing, 0, SUITE_ANY},
    {"chain.bad_ones_among_good_ones.case-26", bad_ones_among_good_ones, 0, SUITE_SPLIT},
    {"chain.parse_error_is_no_short_chain.case-27", parse_error_is_no_short_chain, 0, SUITE_ANY},
    {0},
};

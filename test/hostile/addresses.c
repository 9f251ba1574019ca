/* SPDX-License-Identifier: Apache-2.0 */
/* Where buffers point: cases 10, 11, 21, 28, 29. */
#include "hostile/hostile.h"

/* A request with one writable buffer @addr, @len; @arg bytes are asked for. */
static void offer_room(struct suite *s, uint64_t addr, uint32_t len, uint32_t arg)
{
    offer_linked(s, (struct raw[]){{good_header(s, TEST_FILL, arg), 16, 0, 0}, {addr, len, W, 0}},
                 2);
}

/* ---- 10: sizes ---- */

static void address_wraps(struct suite *s)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
    } bad[] = {
        {UINT64_MAX, 2},
        {UINT64_MAX - 7, 16},
        {UINT64_MAX - 0xfffffffe, 0xffffffff + 0u},
        {UINT64_MAX - 0xfffffffd, 0xffffffff},
    };

    hostile_up(s);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bool wraps = bad[i].addr + (bad[i].len - 1) < bad[i].addr;

        offer_room(s, bad[i].addr, bad[i].len, 8);
        expect_rejected(s, wraps ? ANYHV_V_BAD_ADDRESS : bad_address(s));
    }
}

static void huge_length(struct suite *s)
{
    hostile_up(s);
    for (uint32_t len = 0xffffffff; len > 0x1000000; len /= 3) {
        offer_room(s, s->mem->base + s->mem->size - 64, len, 128);
        expect_rejected(s, bad_address(s));
    }
}

/* More bytes than a used length can tell: 600 times the whole of memory. */
static void more_than_4_gib(struct suite *s)
{
    struct suite_setup setup = {
        .options.variant = TEST_LARGE, .size = 1024, .without = DRV_F_INDIRECT, .tables = 1};
    uint64_t header;
    struct raw *raw;

    suite_up(s, &setup);
    header = good_header(s, TEST_FILL, 0);
    raw = test_calloc(1024, sizeof(*raw));
    raw[0] = (struct raw){header, 16, N, 1};
    for (unsigned i = 1; i < 600; i++)
        raw[i] = (struct raw){s->mem->base, (uint32_t)s->mem->size, (uint16_t)(i < 599 ? N | W : W),
                              (uint16_t)(i + 1)};
    offer(s, raw, 600);
    test_free(raw);
    guard_begin(s);
    guard_allow_device_areas(s);
    if (ring_a(s)->packed)
        guard_allow(s, ring_a(s)->desc + 8, 8);
    kick(s);
    guard_check(s);
    assert_int_equal(suite_violations(s, ANYHV_V_TOO_BIG), 1);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 1);
    io_alive(s, TEST_QUEUE_B);
}

/* ---- 11: borders, holes, the end ---- */

static void nowhere(struct suite *s)
{
    static const uint64_t at[] = {
        0, 1, BAD_ADDR, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX - 4095};

    hostile_up(s);
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        offer_room(s, at[i], 8, 8);
        expect_rejected(s, bad_address(s));
    }
}

static void over_the_end(struct suite *s)
{
    uint64_t end;

    hostile_up(s);
    end = s->mem->base + s->mem->size;
    for (uint32_t in = 0; in < 64; in += 9) {
        offer_room(s, end - in, 64, 64);
        expect_rejected(s, bad_address(s));
    }
    offer_room(s, s->mem->base - 8, 16, 16);
    expect_rejected(s, bad_address(s));
    offer_room(s, end - 64, 64, 64);
    expect_served(s, end - 64, 64);
}

/* A hole between regions: the bytes before and behind it are not touched either. */
static void into_a_hole(struct suite *s)
{
    uint64_t hole;

    hostile_up(s);
    hole = s->mem->base + 32 * RIG_REGION;
    assert_int_equal(anyhv_mem_del(s->rig->dev->mem, hole, RIG_REGION), ANYHV_OK);
    memset(drv_ptr(s->mem, hole - 64, RIG_REGION + 128), 0x11, RIG_REGION + 128);
    for (uint32_t before = 1; before < 64; before += 7) {
        offer_room(s, hole - before, 64, 64);
        expect_rejected(s, ANYHV_V_BAD_ADDRESS);
        offer_room(s, hole + RIG_REGION - before, 64, 64);
        expect_rejected(s, ANYHV_V_BAD_ADDRESS);
    }
    offer_room(s, hole - 8, RIG_REGION + 16, 16); /* both ends are memory, the middle is not */
    expect_rejected(s, ANYHV_V_BAD_ADDRESS);
    for (uint64_t i = 0; i < RIG_REGION + 128; i++)
        assert_int_equal(drv_peek8(s->mem, hole - 64 + i), 0x11);
}

/* Memory that is there, but not to be written. */
static void read_only_memory(struct suite *s)
{
    struct anyhv_region region;
    uint64_t at;

    hostile_up(s);
    at = s->mem->base + 40 * RIG_REGION;
    region = (struct anyhv_region){
        .addr = at, .size = RIG_REGION, .perm = ANYHV_R, .host = drv_ptr(s->mem, at, RIG_REGION)};
    assert_int_equal(anyhv_mem_del(s->rig->dev->mem, at, RIG_REGION), ANYHV_OK);
    assert_int_equal(anyhv_mem_add(s->rig->dev->mem, &region), ANYHV_OK);
    offer_room(s, at + 100, 8, 8);
    expect_rejected(s, ANYHV_V_BAD_PERMISSION);
    offer_room(s, at - 4, 8, 8);
    expect_rejected(s, ANYHV_V_BAD_PERMISSION);
    drv_poke32(s->mem, at, TEST_ECHO); /* reading there is fine */
    offer_linked(s, &(struct raw){at, 16, 0, 0}, 1);
    expect_served(s, 0, 0);
}

/* ---- 21: buffers that are the ring itself ---- */

/* A readable buffer there is memory like any other; it is read, nothing more. */
static void read_the_rings(struct suite *s)
{
    uint64_t header, room;

    hostile_up(s);
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++) {
        const struct drv_ring *ring = &s->ring[queue];

        header = good_header(s, TEST_SUM, 0);
        room = good_room(s, 16);
        offer_linked(s,
                     (struct raw[]){{header, 16, 0, 0},
                                    {ring->desc, 16 * 16, 0, 0},
                                    {ring->driver, 4, 0, 0},
                                    {ring->device, 4, 0, 0},
                                    {room, 16, W, 0}},
                     5);
        expect_served(s, room, 16);
    }
}

/*
 * A writable one: the driver has its rings overwritten with a pattern. That is its own loss; the
 * device stays within memory, shows what it finds, and other queues go on.
 */
static void overwrite(struct suite *s, uint64_t addr, uint32_t len)
{
    hostile_up(s);
    offer_room(s, addr, len, len);
    for (unsigned i = 0; i < 8; i++)
        kick(s);
    io_alive(s, TEST_QUEUE_B);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

static void overwrite_own_rings(struct suite *s)
{
    uint64_t addr[3];

    hostile_up(s);
    addr[0] = ring_a(s)->desc;
    addr[1] = ring_a(s)->driver;
    addr[2] = ring_a(s)->device;
    s->rig->ops->stop(s->rig);
    for (unsigned i = 0; i < 3; i++) {
        for (uint32_t len = 1; len <= 64; len *= 4) {
            overwrite(s, addr[i], ring_a(s)->packed && i ? 4 : len);
            s->rig->ops->stop(s->rig);
        }
    }
}

/* The event queue's ring as the target of queue A: A and B go on. */
static void overwrite_other_ring(struct suite *s)
{
    struct drv_ring *event;

    hostile_up(s);
    event = &s->ring[TEST_QUEUE_EVENT];
    offer_room(s, event->desc, 256, 256);
    kick(s);
    ring_a(s)->last_used = ring_a(s)->next_avail;
    offer_room(s, event->driver, 4, 4);
    kick(s);
    ring_a(s)->last_used = ring_a(s)->next_avail;
    s->t->ops->kick(s->t, TEST_QUEUE_EVENT, TEST_QUEUE_EVENT);
    io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_EVENTS, .arg = 4});
    io_alive(s, TEST_QUEUE_B);
    io_alive(s, TEST_QUEUE_A);
}

/* ---- 28: as much in work as the program allows, no more ---- */

static void bounded_in_work(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 256, .options.limits = {.requests = 5, .segs = 40}});
    for (unsigned i = 0; i < 100; i++)
        io_send(s, &(struct io){.op = TEST_HOLD, .payload = 4, .room = 4, .seed = i});
    for (unsigned i = 0; i < 20; i++) {
        kick(s);
        assert_int_equal(s->rig->device->nheld, 5);
    }
    io_alive(s, TEST_QUEUE_B); /* and one queue's appetite is not the other's */
    while (ring_a(s)->inflight) {
        test_device_release(s->rig->device, 3, 0);
        suite_settle(s);
        io_collect(s, TEST_QUEUE_A);
    }
}

/* ---- 29: nothing leaks on the way out of a mistake ---- */

static uint64_t maps_open(struct suite *s)
{
    const struct anyhv_loopback *lb = rig_loopback_of(s->rig);

    return lb->seen.maps - lb->seen.unmaps;
}

static void bad_requests_leak_nothing(struct suite *s)
{
    uint64_t open, header, room;

    hostile_up(s);
    io_alive(s, TEST_QUEUE_A);
    open = maps_open(s);
    header = good_header(s, TEST_PIN, 0);
    room = good_room(s, 64);
    for (unsigned i = 0; i < 30; i++) {
        offer_linked(s,
                     (struct raw[]){{header, 16, 0, 0},
                                    {room, 32, 0, 0},
                                    {room, i % 3 ? 64 : 5, W, 0},
                                    {i % 2 ? BAD_ADDR : room, 64, W, 0}},
                     4);
        kick(s);
        assert_int_equal(maps_open(s), open);
        ring_a(s)->last_used = ring_a(s)->next_avail;
        ring_a(s)->used_wrap = ring_a(s)->avail_wrap;
    }
    assert_int_equal(s->rig->dev->mem->pins, 0);
    for (unsigned i = 0; i < 3; i++)
        io_send(s, &(struct io){.op = TEST_HOLD, .payload = 20, .room = 20});
    suite_settle(s);
    assert_true(s->t->ops->reset(s->t));
    assert_int_equal(maps_open(s), 0);
}

/*
 * Every map and copy fails once, with each result: the request is refused or held, nothing is left
 * mapped, and it works once memory is there again.
 */
static void faults_leak_nothing(struct suite *s)
{
    static const int results[] = {ANYHV_E_BADADDR, ANYHV_E_PERM, ANYHV_E_NORES};
    struct anyhv_loopback *lb;
    uint64_t open;

    hostile_up(s);
    lb = rig_loopback_of(s->rig);
    io_alive(s, TEST_QUEUE_A);
    open = maps_open(s);
    for (unsigned kind = 0; kind < 3; kind++) {
        for (uint32_t after = 0; after < 12; after++) {
            struct drv_used used;
            struct drv_buf buf[2];
            struct drv_chain chain = {
                .out = &buf[0], .nout = 1, .in = &buf[1], .nin = 1, .direct = DRV_DIRECT};
            struct io io = {.op = after % 2 ? TEST_ECHO : TEST_STATUS,
                            .arg = 10,
                            .payload = 40,
                            .room = 40,
                            .seed = after};

            io_layout(s, &io);
            buf[0] = (struct drv_buf){io.out, TEST_HEADER + 40};
            buf[1] = (struct drv_buf){io.in, 40};
            assert_true(drv_ring_add(ring_a(s), &chain) >= 0);
            drv_ring_publish(ring_a(s));
            lb->faults.after = after;
            lb->faults.count = 1;
            lb->faults.result = results[kind];
            kick(s);
            lb->faults.result = ANYHV_OK;
            test_device_release(s->rig->device, 0, 0);
            suite_settle(s);
            assert_true(drv_ring_get(ring_a(s), &used));
            assert_int_equal(maps_open(s), open);
            assert_int_equal(s->rig->dev->mem->pins, 0);
        }
        both_alive(s);
    }
}

/*
 * A shortage is ours, not the driver's: nothing is refused, and everything is served once the
 * module says that there is room again, without another kick.
 */
static void shortage(struct suite *s, enum io_shape shape)
{
    struct anyhv_loopback *lb;
    struct io *io[3];

    hostile_up_with(s, DRV_F_INDIRECT, 0);
    lb = rig_loopback_of(s->rig);
    for (uint32_t after = 0; after < 6; after++) {
        lb->faults.after = after;
        lb->faults.count = UINT32_MAX;
        lb->faults.result = ANYHV_E_NORES;
        for (unsigned i = 0; i < 3; i++)
            io[i] = io_add(s, &(struct io){.op = TEST_ECHO,
                                           .seed = i,
                                           .payload = 10,
                                           .room = 10,
                                           .framing = IO_RANDOM,
                                           .pieces = 2,
                                           .shape = shape});
        io_submit(s, TEST_QUEUE_A);
        for (unsigned i = 0; i < 5; i++)
            suite_settle(s);
        lb->faults.result = ANYHV_OK;
        suite_settle(s);
        anyhv_mem_room(s->rig->dev->mem);
        suite_settle(s);
        io_collect(s, TEST_QUEUE_A);
        for (unsigned i = 0; i < 3; i++)
            assert_true(io[i]->used);
        assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 0);
    }
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    both_alive(s);
}

static void shortage_at_buffers(struct suite *s)
{
    shortage(s, IO_DIRECT);
}

static void shortage_at_tables(struct suite *s)
{
    shortage(s, IO_INDIRECT);
}

/* No room for the rings is ours, too: the driver sees no fault, and they run when there is room. */
static void shortage_at_rings(struct suite *s)
{
    struct anyhv_loopback *lb;

    hostile_up(s);
    lb = rig_loopback_of(s->rig);
    for (uint32_t after = 0; after < 3; after++) {
        assert_true(drv_negotiate(s->t, s->rig->features));
        for (unsigned queue = 0; queue < 2; queue++)
            drv_ring_reset(&s->ring[queue]);
        lb->faults.after = after;
        lb->faults.count = UINT32_MAX;
        lb->faults.result = ANYHV_E_NORES;
        assert_false(drv_queue_setup(s->t, TEST_QUEUE_A, ring_a(s)));
        assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
        assert_int_equal(suite_violations(s, ANYHV_V_QUEUE_MEMORY), 0);
        lb->faults.result = ANYHV_OK;
        for (unsigned queue = 0; queue < 2; queue++)
            assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
        drv_ready(s->t);
        both_alive(s);
    }
}

const struct suite_test hostile_address_tests[] = {
    {"address.wraps.case-10", address_wraps, 0, SUITE_ANY},
    {"address.huge_length.case-10", huge_length, 0, SUITE_ANY},
    {"address.more_than_4_gib.case-10", more_than_4_gib, RIG_LARGE_AREAS, SUITE_ANY},
    {"address.nowhere.case-11", nowhere, 0, SUITE_ANY},
    {"address.over_the_end.case-11", over_the_end, 0, SUITE_ANY},
    {"address.hole.case-11", into_a_hole, RIG_LB_REGIONS, SUITE_ANY},
    {"address.read_only.case-11", read_only_memory, RIG_LB_REGIONS, SUITE_ANY},
    {"address.read_the_rings.case-21", read_the_rings, 0, SUITE_ANY},
    {"address.overwrite_own_rings.case-21", overwrite_own_rings, 0, SUITE_ANY},
    {"address.overwrite_other_ring.case-21", overwrite_other_ring, 0, SUITE_ANY},
    {"limits.bounded_in_work.case-28", bounded_in_work, 0, SUITE_ANY},
    {"limits.bad_requests_leak_nothing.case-29", bad_requests_leak_nothing, 0, SUITE_ANY},
    {"limits.shortage_at_buffers.case-29", shortage_at_buffers, RIG_LB_FAULTS, SUITE_ANY},
    {"limits.shortage_at_tables.case-29", shortage_at_tables, RIG_LB_FAULTS, SUITE_ANY},
    {"limits.shortage_at_rings.case-29", shortage_at_rings, RIG_LB_FAULTS, SUITE_ANY},
    {"limits.faults_leak_nothing.case-29", faults_leak_nothing, RIG_LB_FAULTS, SUITE_ANY},
    {0},
};

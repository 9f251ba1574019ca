/* SPDX-License-Identifier: Apache-2.0 */
/* Register accesses that make no sense: cases 39 to 45, 47 to 49. */
#include "hostile/hostile.h"

static struct drv_mmio *mmio(struct suite *s)
{
    return (struct drv_mmio *)(void *)s->t;
}

static uint32_t rd(struct suite *s, uint32_t off)
{
    return drv_mmio_read(mmio(s), off);
}

static void wr(struct suite *s, uint32_t off, uint32_t value)
{
    drv_mmio_write(mmio(s), off, value);
}

static int access_width(struct suite *s, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return mmio(s)->access(mmio(s)->ctx, off, size, write, value);
}

/* ---- 39: the size of a queue that runs ---- */

static void size_of_running_queue(struct suite *s)
{
    static const uint32_t sizes[] = {0, 1, 3, 8, 32, 256, 512, 0x8000, 0xffff, 0x10010, UINT32_MAX};

    hostile_up(s);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        guard_begin(s);
        wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
        wr(s, DRV_MMIO_QUEUE_SIZE, sizes[i]);
        suite_settle(s);
        guard_check(s);
        assert_int_equal(suite_violations(s, ANYHV_V_REG_STATE), i + 1);
        for (unsigned k = 0; k < 20; k++)
            io_alive(s, TEST_QUEUE_A);
    }
    io_alive(s, TEST_QUEUE_B);
}

/* ---- 40, 41: set-ups that are refused ---- */

struct setup {
    uint64_t desc, driver, device;
    uint32_t size;
};

static struct setup good_setup(struct suite *s)
{
    return (struct setup){
        .desc = drv_alloc(s->mem, 16 * 16, 16),
        .driver = drv_alloc(s->mem, 6 + 2 * 16, 4),
        .device = drv_alloc(s->mem, 6 + 8 * 16, 4),
        .size = 16,
    };
}

static void write_setup(struct suite *s, unsigned queue, const struct setup *setup)
{
    wr(s, DRV_MMIO_QUEUE_SEL, queue);
    wr(s, DRV_MMIO_QUEUE_SIZE, setup->size);
    wr(s, DRV_MMIO_QUEUE_DESC, (uint32_t)setup->desc);
    wr(s, DRV_MMIO_QUEUE_DESC + 4, (uint32_t)(setup->desc >> 32));
    wr(s, DRV_MMIO_QUEUE_DRIVER, (uint32_t)setup->driver);
    wr(s, DRV_MMIO_QUEUE_DRIVER + 4, (uint32_t)(setup->driver >> 32));
    wr(s, DRV_MMIO_QUEUE_DEVICE, (uint32_t)setup->device);
    wr(s, DRV_MMIO_QUEUE_DEVICE + 4, (uint32_t)(setup->device >> 32));
    wr(s, DRV_MMIO_QUEUE_READY, 1);
}

/* Queue B is set up, queue A is refused with @v; after a reset all is well. */
static void expect_refused(struct suite *s, const struct setup *setup, enum anyhv_violation v)
{
    uint32_t before = suite_violations(s, v);

    assert_int_equal(anyhv_violations[v].outcome, ANYHV_REFUSE);
    write_setup(s, TEST_QUEUE_A, setup);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    assert_int_equal(suite_violations(s, v), before + 1);
    assert_true(hostile_status(s) & DRV_S_NEEDS_RESET);
    drv_ready(s->t);
    suite_settle(s);
    guard_begin(s);
    kick(s);
    guard_check(s);
    io_alive(s, TEST_QUEUE_B);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

/* Everything but queue A and DRIVER_OK. */
static void without_a(struct suite *s)
{
    suite_again(s, &(struct suite_setup){.size = 16, .no_queues = true, .not_ready = true});
    suite_ring(s, TEST_QUEUE_B, 16, 16);
    assert_true(drv_queue_setup(s->t, TEST_QUEUE_B, &s->ring[TEST_QUEUE_B]));
}

static void size_refused(struct suite *s)
{
    static const uint32_t sizes[] = {0,       257,        512, 0x8000, 0xffff, 0x10000,
                                     0x10010, UINT32_MAX, 3,   15,     24};
    unsigned n = suite_packed(s) ? 8 : 11;

    suite_start(s, NULL);
    for (unsigned i = 0; i < n; i++) {
        struct setup setup;

        without_a(s);
        setup = good_setup(s);
        setup.size = sizes[i];
        expect_refused(s, &setup, ANYHV_V_QUEUE_SIZE);
    }
}

static void area_misaligned(struct suite *s)
{
    suite_start(s, NULL);
    for (uint64_t odd = 1; odd < 16; odd++) {
        for (unsigned area = 0; area < 3; area++) {
            unsigned align = area == 0 ? 16 : area == 1 && !suite_packed(s) ? 2 : 4;
            struct setup setup;

            if (odd % align == 0)
                continue;
            without_a(s);
            setup = good_setup(s);
            *(area == 0 ? &setup.desc : area == 1 ? &setup.driver : &setup.device) += odd;
            expect_refused(s, &setup, ANYHV_V_QUEUE_ALIGN);
        }
    }
}

static void area_outside(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 15; i++) {
        uint64_t end = RIG_LOOPBACK_BASE + RIG_LOOPBACK_SIZE;
        const uint64_t bad[] = {0, end - 16 + 16 * (i % 2u), RIG_LOOPBACK_BASE - 16,
                                UINT64_MAX - 15, UINT64_C(1) << 40};
        uint64_t at = bad[i % 5];
        unsigned area = i / 5;
        struct setup setup;

        without_a(s);
        setup = good_setup(s);
        if (suite_packed(s) && area && at == end - 16)
            at = end; /* four bytes would fit there */
        *(area == 0 ? &setup.desc : area == 1 ? &setup.driver : &setup.device) = at;
        expect_refused(s, &setup, ANYHV_V_QUEUE_MEMORY);
    }
}

/* Areas that overlap, or are the other queue's: the driver's loss alone. */
static void areas_overlap(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct setup setup;

        without_a(s);
        setup = good_setup(s);
        if (i == 0)
            setup.driver = setup.device = setup.desc;
        else if (i == 1)
            setup.device = setup.driver & ~UINT64_C(3);
        else if (i == 2)
            setup.desc = s->ring[TEST_QUEUE_B].tables ? s->ring[TEST_QUEUE_B].tables : setup.desc;
        else
            setup.driver = s->ring[TEST_QUEUE_B].driver;
        write_setup(s, TEST_QUEUE_A, &setup);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 1);
        drv_ready(s->t);
        for (unsigned k = 0; k < 4; k++) {
            s->t->ops->kick(s->t, TEST_QUEUE_A, TEST_QUEUE_A);
            suite_settle(s);
        }
        if (i < 2)
            io_alive(s, TEST_QUEUE_B);
        suite_again(s, &(struct suite_setup){.size = 16});
        both_alive(s);
    }
}

/* ---- 41: addresses of a queue that runs; ready twice ---- */

static void ready_twice(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < 5; i++) {
        wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
        wr(s, DRV_MMIO_QUEUE_READY, 1);
        wr(s, DRV_MMIO_QUEUE_READY, 2);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 1);
        for (unsigned k = 0; k < 20; k++)
            io_alive(s, TEST_QUEUE_A);
    }
    assert_int_equal(suite_violations(s, ANYHV_V_REG_STATE), 10);
}

static void ready_before_features_ok(struct suite *s)
{
    struct setup setup;

    suite_start(s, NULL);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    setup = good_setup(s);
    write_setup(s, TEST_QUEUE_A, &setup);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    assert_int_equal(suite_violations(s, ANYHV_V_QUEUE_STATE), 1);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

/* ---- 42: areas that are longer than a page and do not begin at one ---- */

static void areas_over_pages(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 5; i++) {
        struct drv_ring *ring = ring_a(s);

        suite_again(s, &(struct suite_setup){.size = 256, .no_queues = true, .not_ready = true});
        s->mem->used = 4096 - 16 - 512 * i; /* the last slots are always on another page */
        suite_ring(s, TEST_QUEUE_A, 256, 1);
        assert_true(drv_queue_setup(s->t, TEST_QUEUE_A, ring));
        suite_ring(s, TEST_QUEUE_B, 256, 1);
        assert_true(drv_queue_setup(s->t, TEST_QUEUE_B, &s->ring[TEST_QUEUE_B]));
        drv_ready(s->t);
        for (unsigned k = 0; k < 256; k++)
            io_add(s, &(struct io){.op = TEST_ECHO, .seed = k, .payload = k % 20});
        io_submit(s, TEST_QUEUE_A);
        io_drain(s, TEST_QUEUE_A);
        for (unsigned k = 0; k < 150; k++)
            io_alive(s, TEST_QUEUE_A);
        io_alive(s, TEST_QUEUE_B);
    }
}

/* ---- 43: a queue that is not there, selected ---- */

static void select_out_of_range(struct suite *s)
{
    static const uint32_t queues[] = {3,       4,       63,         64,        65,
                                      255,     256,     0x7fff,     0x8000,    0xffff,
                                      0x10000, 0x10001, 0x80000000, UINT32_MAX};
    static const uint32_t regs[] = {
        DRV_MMIO_QUEUE_SIZE,     DRV_MMIO_QUEUE_READY,      DRV_MMIO_QUEUE_DESC,
        DRV_MMIO_QUEUE_DESC + 4, DRV_MMIO_QUEUE_DRIVER,     DRV_MMIO_QUEUE_DRIVER + 4,
        DRV_MMIO_QUEUE_DEVICE,   DRV_MMIO_QUEUE_DEVICE + 4, DRV_MMIO_QUEUE_RESET};
    unsigned writes = 0;

    hostile_up_with(s, DRV_F_RING_RESET, 0);
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        wr(s, DRV_MMIO_QUEUE_SEL, queues[i]);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_SIZE_MAX), 0);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_RESET), 0);
        for (unsigned k = 0; k < sizeof(regs) / sizeof(regs[0]); k++) {
            wr(s, regs[k], 1);
            wr(s, regs[k], UINT32_MAX);
            writes += 2;
        }
    }
    assert_int_equal(suite_violations(s, ANYHV_V_QUEUE_SELECT), writes);
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    both_alive(s);
}

/* ---- 44, 45: kicks ---- */

static void kick_of_nothing(struct suite *s)
{
    static const uint32_t values[] = {3, 4, 64, 255, 0x7fff, 0x8000, 0xffff};

    hostile_up(s);
    guard_begin(s);
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        wr(s, DRV_MMIO_QUEUE_NOTIFY, values[i]);
    suite_settle(s);
    guard_check(s);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 7);
    both_alive(s);
}

/* Without NOTIFICATION_DATA all 32 bits are the index. */
static void kick_of_wide_index(struct suite *s)
{
    hostile_up_with(s, 0, DRV_F_NOTIFICATION_DATA);
    wr(s, DRV_MMIO_QUEUE_NOTIFY, 0x10000);
    wr(s, DRV_MMIO_QUEUE_NOTIFY, UINT32_MAX);
    suite_settle(s);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 2);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).kicks, 0);
    both_alive(s);
}

static void kick_too_early(struct suite *s)
{
    suite_start(s, NULL);
    wr(s, DRV_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 1);
    suite_negotiate(s, &(struct suite_setup){.size = 16, .not_ready = true});
    io_add(s, &(struct io){.op = TEST_ECHO, .payload = 4});
    drv_ring_publish(ring_a(s));
    guard_begin(s);
    for (unsigned i = 0; i < 5; i++)
        kick(s);
    guard_check(s);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_EARLY), 5);
    drv_ready(s->t);
    io_drain(s, TEST_QUEUE_A);
    both_alive(s);
}

/* ---- 47, 48: status and features out of order ---- */

static void driver_ok_without_features_ok(struct suite *s)
{
    suite_start(s, NULL);
    wr(s, DRV_MMIO_STATUS, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_DRIVER_OK);
    assert_int_equal(rd(s, DRV_MMIO_STATUS), DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    assert_int_equal(suite_violations(s, ANYHV_V_STATUS_ORDER), 1);
    assert_int_equal(s->rig->device->info[TEST_INFO_STARTS], 0);
    suite_negotiate(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

/* A refused set and DRIVER_OK in the same write. */
static void everything_at_once(struct suite *s)
{
    suite_start(s, NULL);
    s->t->ops->set_features(s->t, UINT64_MAX);
    wr(s, DRV_MMIO_STATUS, 0xbf);
    assert_false(rd(s, DRV_MMIO_STATUS) & (DRV_S_FEATURES_OK | DRV_S_DRIVER_OK));
    assert_int_equal(suite_violations(s, ANYHV_V_FEATURES_REFUSED), 1);
    assert_int_equal(s->rig->device->info[TEST_INFO_STARTS], 0);
    suite_negotiate(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

static void status_garbage(struct suite *s)
{
    hostile_up(s);
    for (uint32_t value = 1; value < 256; value++) {
        wr(s, DRV_MMIO_STATUS, value);
        assert_int_equal(rd(s, DRV_MMIO_STATUS) & 0x0f, 0x0f);
        assert_int_equal(rd(s, DRV_MMIO_STATUS) & (DRV_S_SUSPEND | 32 | DRV_S_NEEDS_RESET), 0);
    }
    io_alive(s, TEST_QUEUE_A);
    wr(s, DRV_MMIO_STATUS, 0xffffff00); /* the register is a byte: this is 0 */
    assert_int_equal(rd(s, DRV_MMIO_STATUS), 0);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

/*
 * Suspended and resumed at any moment, by a driver that goes on as if nothing were: each request is
 * still answered, once, and none while the device is suspended.
 */
static void suspend_soup(struct suite *s)
{
    static const enum test_op ops[] = {TEST_ECHO, TEST_HOLD, TEST_HOLD_RETURNABLE};
    const uint8_t ready = DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK;
    const uint8_t wishes[] = {ready | DRV_S_DRIVER_OK, ready | DRV_S_SUSPEND,
                              ready | DRV_S_DRIVER_OK | DRV_S_SUSPEND};
    unsigned asleep = 0;

    hostile_up_with(s, DRV_F_SUSPEND, 0);
    for (unsigned i = 0; i < 6000; i++) {
        unsigned queue = suite_below(s, 2);

        switch (suite_below(s, 6)) {
        case 0:
            wr(s, DRV_MMIO_STATUS, wishes[suite_below(s, 3)]);
            break;
        case 1:
            wr(s, DRV_MMIO_QUEUE_NOTIFY, queue);
            break;
        case 2:
            if (io_try(s, &(struct io){.queue = queue,
                                       .op = ops[suite_below(s, 3)],
                                       .seed = i,
                                       .payload = suite_below(s, 40),
                                       .room = 40}))
                io_submit(s, queue);
            break;
        case 3:
            test_device_release(s->rig->device, i, 1 + queue);
            break;
        case 4:
            wr(s, DRV_MMIO_CONFIG + TEST_CONFIG_DRIVER, i);
            break;
        default:
            suite_settle(s);
            io_collect(s, TEST_QUEUE_A);
            io_collect(s, TEST_QUEUE_B);
        }
        if (hostile_status(s) & DRV_S_SUSPEND) {
            io_collect(s, TEST_QUEUE_A);
            io_collect(s, TEST_QUEUE_B);
            suite_settle(s);
            assert_int_equal(io_collect(s, TEST_QUEUE_A) + io_collect(s, TEST_QUEUE_B), 0);
            asleep++;
        }
    }
    assert_true(asleep > 500);
    wr(s, DRV_MMIO_STATUS, ready | DRV_S_DRIVER_OK);
    suite_settle(s);
    test_device_release(s->rig->device, 0, 0);
    io_drain(s, TEST_QUEUE_A);
    io_drain(s, TEST_QUEUE_B);
    both_alive(s);
}

/* ---- 49: the configuration space ---- */

static void config_outside(struct suite *s)
{
    static const uint32_t offs[] = {
        TEST_CONFIG_LEN - 3, TEST_CONFIG_LEN - 1, TEST_CONFIG_LEN, 0xff,      0x100, 0x1000,
        0x7fffffff,          0xfffffeff,          0xfffffefc,      0xfffffe00};
    unsigned count = 0;

    hostile_up(s);
    for (unsigned i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        for (unsigned size = 4; size <= 8; size *= 2) {
            uint64_t value = UINT64_MAX;

            assert_int_not_equal(access_width(s, DRV_MMIO_CONFIG + offs[i], size, false, &value),
                                 ANYHV_OK);
            assert_int_equal(value, 0);
            value = UINT64_MAX;
            assert_int_not_equal(access_width(s, DRV_MMIO_CONFIG + offs[i], size, true, &value),
                                 ANYHV_OK);
            count += 2;
        }
    }
    assert_int_equal(suite_violations(s, ANYHV_V_CONFIG_RANGE), count);
    assert_int_equal(s->rig->device->info[TEST_INFO_CONFIG_WRITES], 0);
    both_alive(s);
}

static void config_read_only(struct suite *s)
{
    uint8_t before[TEST_CONFIG_LEN], after[TEST_CONFIG_LEN];
    unsigned count = 0;

    hostile_up(s);
    memcpy(before, anyhv_config(s->rig->dev), sizeof(before));
    for (uint32_t off = 0; off < TEST_CONFIG_LEN; off++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            uint64_t value = UINT64_MAX;
            bool inside = off >= TEST_CONFIG_DRIVER &&
                          off + size <= TEST_CONFIG_DRIVER + TEST_CONFIG_DRIVER_LEN;

            if (inside || off + size > TEST_CONFIG_LEN)
                continue;
            assert_int_not_equal(access_width(s, DRV_MMIO_CONFIG + off, size, true, &value),
                                 ANYHV_OK);
            count++;
        }
    }
    memcpy(after, anyhv_config(s->rig->dev), sizeof(after));
    assert_memory_equal(before, after, sizeof(after));
    assert_int_equal(suite_violations(s, ANYHV_V_CONFIG_READ_ONLY), count);
    both_alive(s);
}

/* ---- any access at all ---- */

/* Every offset, width and direction with values from a seed: no crash, and a reset heals all. */
static void random_accesses(struct suite *s)
{
    static const unsigned sizes[] = {1, 2, 4, 4, 4, 4, 4, 8, 0, 3, 5, 16};

    hostile_up(s);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t off = suite_below(s, 3) ? suite_below(s, 0x40) * 4 : suite_below(s, 0x240);
        unsigned size = sizes[suite_below(s, sizeof(sizes) / sizeof(sizes[0]))];
        bool write = suite_below(s, 2);
        uint64_t value = suite_below(s, 2) ? suite_below(s, 20) : suite_random(s);
        int result = access_width(s, off, size, write, &value);

        assert_true(result == ANYHV_OK || result == ANYHV_E_INVAL);
        if (!write && size < 8 && size)
            assert_int_equal(value >> (8 * (size < 4 ? size : 4)), 0);
        if (i % 64 == 0)
            suite_settle(s);
        if (i % 1000 == 999) {
            suite_again(s, &(struct suite_setup){.size = 16});
            both_alive(s);
        }
    }
}

const struct suite_test hostile_register_tests[] = {
    {"register.size_of_running_queue.case-39", size_of_running_queue, RIG_REGISTERS, SUITE_ANY},
    {"register.size_refused.case-40", size_refused, RIG_REGISTERS, SUITE_ANY},
    {"register.area_misaligned.case-41", area_misaligned, RIG_REGISTERS, SUITE_ANY},
    {"register.area_outside.case-41", area_outside, RIG_REGISTERS, SUITE_ANY},
    {"register.areas_overlap.case-41", areas_overlap, RIG_REGISTERS, SUITE_ANY},
    {"register.ready_twice.case-41", ready_twice, RIG_REGISTERS, SUITE_ANY},
    {"register.ready_before_features_ok.case-41", ready_before_features_ok, RIG_REGISTERS,
     SUITE_ANY},
    {"register.areas_over_pages.case-42", areas_over_pages, RIG_REGISTERS, SUITE_ANY},
    {"register.select_out_of_range.case-43", select_out_of_range, RIG_REGISTERS, SUITE_ANY},
    {"register.kick_of_nothing.case-44", kick_of_nothing, RIG_REGISTERS, SUITE_ANY},
    {"register.kick_of_wide_index.case-44", kick_of_wide_index, RIG_REGISTERS, SUITE_ANY},
    {"register.kick_too_early.case-45", kick_too_early, RIG_REGISTERS, SUITE_ANY},
    {"register.driver_ok_without_features_ok.case-48", driver_ok_without_features_ok, RIG_REGISTERS,
     SUITE_ANY},
    {"register.everything_at_once.case-47", everything_at_once, RIG_REGISTERS, SUITE_ANY},
    {"register.status_garbage.case-48", status_garbage, RIG_REGISTERS, SUITE_ANY},
    {"register.suspend_soup.case-48", suspend_soup, RIG_REGISTERS | RIG_SUSPEND, SUITE_ANY},
    {"register.config_outside.case-49", config_outside, RIG_REGISTERS, SUITE_ANY},
    {"register.config_read_only.case-49", config_read_only, RIG_REGISTERS, SUITE_ANY},
    {"register.random_accesses.case-43", random_accesses, RIG_REGISTERS, SUITE_ANY},
    {0},
};

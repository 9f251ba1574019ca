/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio registers one by one: directions, widths, selectors, shared memory,
 * configuration. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static int access_at(struct bench *b, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_mmio_access(&b->lb.mmio, off, size, write, value);
}

static uint32_t get(struct bench *b, uint32_t off)
{
    uint64_t value = 0xeeeeeeeeeeeeeeee;

    assert_int_equal(access_at(b, off, 4, false, &value), ANYHV_OK);
    assert_int_equal(value >> 32, 0);
    return (uint32_t)value;
}

static int put(struct bench *b, uint32_t off, uint64_t value)
{
    return access_at(b, off, 4, true, &value);
}

static void up(struct bench *b)
{
    bench_attach(b, &(struct bench_options){.registers = true});
}

static void the_device_says_what_it_is(void **state)
{
    struct bench *b = *state;

    up(b);
    assert_int_equal(get(b, DRV_MMIO_MAGIC), 0x74726976);
    assert_int_equal(get(b, DRV_MMIO_VERSION), 2);
    assert_int_equal(get(b, DRV_MMIO_DEVICE_ID), BENCH_ID);
    assert_int_equal(get(b, DRV_MMIO_VENDOR_ID), ANYHV_MMIO_VENDOR);
    b->lb.mmio.vendor = 0x12345678;
    assert_int_equal(get(b, DRV_MMIO_VENDOR_ID), 0x12345678);
    assert_int_equal(get(b, DRV_MMIO_GENERATION), 0);
    assert_int_equal(anyhv_config_set(b->dev, 0, "x", 1), ANYHV_OK);
    assert_int_equal(get(b, DRV_MMIO_GENERATION), 1);
}

enum {
    R = 1,
    W = 2,
    SEL = 4
};

/* Section 4.2.2; SEL: has to do with the selected queue. Everything else is not a register. */
static const struct {
    uint16_t off;
    uint8_t how;
} registers[] = {
    {0x000, R},       {0x004, R},       {0x008, R},       {0x00c, R},           {0x010, R},
    {0x014, W},       {0x020, W},       {0x024, W},       {0x030, W},           {0x034, R},
    {0x038, W | SEL}, {0x050, W},       {0x060, R},       {0x044, R | W | SEL}, {0x064, W},
    {0x070, R | W},   {0x080, W | SEL}, {0x084, W | SEL}, {0x090, W | SEL},     {0x094, W | SEL},
    {0x0a0, W | SEL}, {0x0a4, W | SEL}, {0x0ac, W},       {0x0b0, R},           {0x0b4, R},
    {0x0b8, R},       {0x0bc, R},       {0x0fc, R},       {0x0c0, R | W | SEL},
};

static unsigned how(uint32_t off)
{
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        if (registers[i].off == off)
            return registers[i].how;
    return 0;
}

static void expect_ignored(struct bench *b, int rc, enum anyhv_violation v, uint64_t a, uint64_t v2)
{
    assert_int_equal(rc, ANYHV_E_INVAL);
    assert_int_equal(bench_violation.count, 1);
    assert_int_equal(bench_violation.v, v);
    assert_int_equal(bench_violation.queue, ANYHV_CONFIG);
    assert_int_equal(bench_violation.a, a);
    assert_int_equal(bench_violation.b, v2);
    assert_int_equal(anyhv_violations[v].outcome, ANYHV_IGNORE);
    assert_int_equal(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET, 0);
    bench_violation.count = 0;
}

static void every_register_has_its_directions(void **state)
{
    struct bench *b = *state;
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    up(b);
    for (uint32_t off = 0; off < 0x100; off += 4) {
        uint64_t value = 0xeeeeeeeeeeeeeeee;
        int rc = access_at(b, off, 4, false, &value);

        if (how(off) & R) {
            assert_int_equal(rc, ANYHV_OK);
            assert_int_equal(bench_violation.count, 0);
        } else {
            assert_int_equal(value, 0);
            expect_ignored(b, rc, how(off) ? ANYHV_V_REG_DIRECTION : ANYHV_V_REG_UNKNOWN, off, 0);
        }
        if (how(off) & W)
            continue;
        memcpy(before, b->state, b->state_size);
        expect_ignored(b, put(b, off, 0x12345678),
                       how(off) ? ANYHV_V_REG_DIRECTION : ANYHV_V_REG_UNKNOWN, off, 0x12345678);
        assert_memory_equal(b->state, before, b->state_size);
    }
}

static void registers_are_four_bytes_at_multiples_of_four(void **state)
{
    static const uint8_t sizes[] = {0, 1, 2, 3, 5, 8, 16};
    struct bench *b = *state;
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    up(b);
    memcpy(before, b->state, b->state_size);
    for (uint32_t off = 0; off < 0x100; off++) {
        for (unsigned i = 0; i <= sizeof(sizes); i++) {
            unsigned size = i < sizeof(sizes) ? sizes[i] : 4;
            uint64_t value = 0xeeeeeeeeeeeeeeee;

            if (size == 4 && off % 4 == 0)
                continue;
            expect_ignored(b, access_at(b, off, size, false, &value), ANYHV_V_REG_WIDTH, off, size);
            assert_int_equal(value, 0);
            value = 0x0101010101010101;
            expect_ignored(b, access_at(b, off, size, true, &value), ANYHV_V_REG_WIDTH, off, size);
            assert_int_equal(value, 0x0101010101010101); /* a write only reads it */
            assert_memory_equal(b->state, before, b->state_size);
        }
    }
}

static void feature_words_are_selected(void **state)
{
    struct bench *b = *state;
    uint64_t offered;

    b->ops.features = ANYHV_F(0) | ANYHV_F(23) | ANYHV_F(63);
    up(b);
    offered = anyhv_ctl_features(b->dev);
    assert_int_equal(get(b, DRV_MMIO_DEVICE_FEATURES), (uint32_t)offered);
    assert_int_equal(put(b, DRV_MMIO_DEVICE_FEATURES_SEL, 1), ANYHV_OK);
    assert_int_equal(get(b, DRV_MMIO_DEVICE_FEATURES), (uint32_t)(offered >> 32));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(b, DRV_MMIO_DEVICE_FEATURES_SEL, i == 2 ? UINT32_MAX : 2 + i), 0);
        assert_int_equal(get(b, DRV_MMIO_DEVICE_FEATURES), 0);
    }
    /* The driver's words are replaced, not added to, and those beyond are nothing. */
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 0xffffffff), ANYHV_OK);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 0x00000011), ANYHV_OK);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES_SEL, 1), ANYHV_OK);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 0xffffffff), ANYHV_OK);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 0x22000000), ANYHV_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES_SEL, i == 2 ? UINT32_MAX : 2 + i), 0);
        assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 0xffffffff), ANYHV_OK);
    }
    assert_int_equal(b->dev->state->driver_features, UINT64_C(0x2200000000000011));
    assert_int_equal(put(b, DRV_MMIO_STATUS, 11), ANYHV_OK);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 3); /* refused */
    b->dev->state->driver_features = ANYHV_F_VERSION_1;
    assert_int_equal(put(b, DRV_MMIO_STATUS, 11), ANYHV_OK);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 11);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES_SEL, 0), ANYHV_OK);
    assert_int_equal(put(b, DRV_MMIO_DRIVER_FEATURES, 1), ANYHV_OK);
    assert_int_equal(b->dev->violations[ANYHV_V_FEATURES_LATE], 1);
    assert_int_equal(b->dev->state->driver_features, ANYHV_F_VERSION_1);
}

static void a_queue_that_does_not_exist_has_inert_registers(void **state)
{
    static const uint32_t queues[] = {BENCH_QUEUES, 1000, 0x10000, UINT32_MAX};
    struct bench *b = *state;
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    up(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        assert_int_equal(put(b, DRV_MMIO_QUEUE_SEL, i), ANYHV_OK);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_SIZE_MAX), BENCH_MAX_SIZE);
    }
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        assert_int_equal(put(b, DRV_MMIO_QUEUE_SEL, queues[i]), ANYHV_OK);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_SIZE_MAX), 0);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_RESET), 0);
        memcpy(before, b->state, b->state_size);
        for (uint32_t off = 0; off < 0x100; off += 4)
            if (how(off) & SEL)
                expect_ignored(b, put(b, off, 1), ANYHV_V_QUEUE_SELECT, off, queues[i]);
        assert_memory_equal(b->state, before, b->state_size);
    }
}

/* Proves MMIO-SHARED-MEMORY. */
static void shared_memory_is_told_by_id(void **state)
{
    static const struct anyhv_shm shm[2] = {{UINT64_C(0x1122334455667788), UINT64_C(0x99aabbcc00)},
                                            {0x1000, 0x2000}};
    struct bench *b = *state;

    up(b);
    for (unsigned with = 0; with < 2; with++) {
        b->lb.mmio.shm = with ? shm : NULL;
        b->lb.mmio.shm_count = with ? 2 : 0;
        for (unsigned i = 0; i < 5; i++) {
            static const uint32_t ids[] = {0, 1, 2, 3, UINT32_MAX};
            uint64_t base, length;

            assert_int_equal(put(b, DRV_MMIO_SHM_SEL, ids[i]), ANYHV_OK);
            base = get(b, DRV_MMIO_SHM_BASE) | (uint64_t)get(b, DRV_MMIO_SHM_BASE + 4) << 32;
            length = get(b, DRV_MMIO_SHM_LEN) | (uint64_t)get(b, DRV_MMIO_SHM_LEN + 4) << 32;
            assert_int_equal(base, with && i < 2 ? shm[i].base : UINT64_MAX);
            assert_int_equal(length, with && i < 2 ? shm[i].length : UINT64_MAX);
        }
    }
}

static void configuration_is_read_in_any_width_anywhere(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4, 8};
    struct bench *b = *state;

    up(b);
    for (uint32_t off = 0; off < BENCH_CONFIG + 2; off++) {
        for (unsigned i = 0; i < sizeof(sizes); i++) {
            uint64_t value = 0xeeeeeeeeeeeeeeee, expected = 0;
            int rc = access_at(b, 0x100 + off, sizes[i], false, &value);

            if (off + sizes[i] <= BENCH_CONFIG) { /* little endian, whatever the host */
                for (unsigned k = 0; k < sizes[i]; k++)
                    expected |= (uint64_t)(0x10 + off + k) << (8 * k);
                assert_int_equal(rc, ANYHV_OK);
                assert_int_equal(value, expected);
            } else {
                assert_int_equal(value, 0);
                expect_ignored(b, rc, ANYHV_V_CONFIG_RANGE, off, sizes[i]);
            }
        }
    }
}

static void configuration_is_written_in_any_width(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4, 8};
    struct bench *b = *state;

    up(b);
    for (uint32_t off = 0; off < BENCH_CONFIG + 2; off++) {
        for (unsigned i = 0; i < sizeof(sizes); i++) {
            uint64_t value = UINT64_C(0x8877665544332211);
            uint8_t expected[BENCH_CONFIG];
            bool may =
                off >= BENCH_CONFIG_W && off + sizes[i] <= BENCH_CONFIG_W + BENCH_CONFIG_W_LEN;
            int rc = access_at(b, 0x100 + off, sizes[i], true, &value);

            for (unsigned k = 0; k < BENCH_CONFIG; k++) {
                bool hit = may && k >= off && k < off + sizes[i];

                expected[k] = (uint8_t)(hit ? (k - off + 1) * 0x11 : 0x10 + k);
            }
            assert_memory_equal(anyhv_config(b->dev), expected, BENCH_CONFIG);
            if (may)
                assert_int_equal(rc, ANYHV_OK);
            else
                expect_ignored(b, rc,
                               off + sizes[i] > BENCH_CONFIG ? ANYHV_V_CONFIG_RANGE
                                                             : ANYHV_V_CONFIG_READ_ONLY,
                               off, sizes[i]);
            anyhv_ctl_set_status(b->dev, 0);
        }
    }
}

static void odd_widths_and_far_offsets_are_nothing(void **state)
{
    static const uint8_t sizes[] = {0, 3, 5, 6, 7, 9, 16, 255};
    static const uint32_t offs[] = {0x200, 0x1000, UINT32_MAX - 3, UINT32_MAX, 0x80000100};
    struct bench *b = *state;
    uint64_t value;

    up(b);
    for (unsigned i = 0; i < sizeof(sizes); i++) {
        value = 0xee;
        expect_ignored(b, access_at(b, 0x100, sizes[i], false, &value), ANYHV_V_REG_WIDTH, 0x100,
                       sizes[i]);
        assert_int_equal(value, 0);
        expect_ignored(b, access_at(b, 0x108, sizes[i], true, &value), ANYHV_V_REG_WIDTH, 0x108,
                       sizes[i]);
    }
    for (unsigned i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        value = 0xee;
        expect_ignored(b, access_at(b, offs[i], 4, false, &value), ANYHV_V_CONFIG_RANGE,
                       offs[i] - 0x100, 4);
        assert_int_equal(value, 0);
        expect_ignored(b, access_at(b, offs[i], 4, true, &value), ANYHV_V_CONFIG_RANGE,
                       offs[i] - 0x100, 4);
    }
}

static void a_model_without_line_or_run_is_refused(void **state)
{
    struct bench *b = *state;
    struct anyhv_mmio_ops ops;
    struct anyhv_mmio mmio = {0};
    struct anyhv_attach with;

    up(b);
    bench_detach(b);
    with = (struct anyhv_attach){.ops = &b->ops,
                                 .priv = b,
                                 .mem = &b->lb.mem,
                                 .storage = b->storage,
                                 .storage_size = b->storage_size,
                                 .state = b->state,
                                 .state_size = b->state_size};
    for (unsigned i = 0; i < 3; i++) {
        ops = *b->lb.mmio.ops;
        if (i == 0)
            ops.irq = NULL;
        if (i == 1)
            ops.work = NULL;
        assert_int_equal(anyhv_mmio_attach(&mmio, &ops, b, &with, i),
                         i < 2 ? ANYHV_E_INVAL : ANYHV_OK);
    }
    assert_ptr_equal(mmio.priv, b);
    assert_ptr_equal(anyhv_dev_port(&mmio.dev), &mmio);
    assert_true(anyhv_ctl_features(&mmio.dev) & ANYHV_F_ACCESS_PLATFORM);
    anyhv_dev_detach(&mmio.dev);
}

static void come_up(struct bench *b)
{
    b->mem.used = 0;
    bench_ring(b, 0);
    assert_true(drv_negotiate(&b->mmio.transport, 0));
    assert_true(drv_queue_setup(&b->mmio.transport, 0, &b->ring[0]));
    drv_ready(&b->mmio.transport);
    bench_put(b, 0, 8, 8);
    drv_kick(&b->mmio.transport, 0, &b->ring[0]);
    anyhv_dev_run(b->dev, 16);
    assert_true(drv_ring_pending(&b->ring[0]));
}

/* Whatever a driver does to the registers, a reset makes the device good again. */
static void random_accesses_do_no_harm(void **state)
{
    static const uint8_t sizes[] = {4, 4, 4, 4, 4, 4, 1, 2, 8, 3};
    struct bench *b = *state;
    uint64_t seed = 1;

    b->on_request = bench_answer;
    up(b);
    for (unsigned i = 0; i < 60000; i++) {
        uint32_t off, pick;
        uint64_t value;

        if (i % 64 == 0)
            come_up(b);
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        pick = (uint32_t)(seed >> 40);
        off = pick % 4 ? registers[pick / 4 % 29].off : pick / 4 % 0x220;
        value = seed >> 20 & (pick >> 16 & 1 ? 0xffffffff : 15);
        if (pick >> 17 & 1)
            value = b->ring[0].desc + (value & 0xfff);
        access_at(b, off, sizes[pick >> 18 & 7], pick >> 12 & 1, &value);
        b->trace[0] = '\0';
        if (i % 16 == 15)
            anyhv_dev_run(b->dev, 16);
    }
    assert_true(b->dev->violations[ANYHV_V_REG_STATE] > 0);
    assert_true(b->dev->violations[ANYHV_V_KICK_QUEUE] > 0);
    come_up(b);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(the_device_says_what_it_is),
    BENCH_TEST(every_register_has_its_directions),
    BENCH_TEST(registers_are_four_bytes_at_multiples_of_four),
    BENCH_TEST(feature_words_are_selected),
    BENCH_TEST(a_queue_that_does_not_exist_has_inert_registers),
    BENCH_TEST(shared_memory_is_told_by_id),
    BENCH_TEST(configuration_is_read_in_any_width_anywhere),
    BENCH_TEST(configuration_is_written_in_any_width),
    BENCH_TEST(odd_widths_and_far_offsets_are_nothing),
    BENCH_TEST(a_model_without_line_or_run_is_refused),
    BENCH_TEST(random_accesses_do_no_harm),
};

ANYHV_TEST_MAIN("mmio", tests)

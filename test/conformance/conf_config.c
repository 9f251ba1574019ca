/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration space: section 2.5. */
#include "conformance/suite.h"

static void read_all(struct suite *s, uint8_t *bytes)
{
    assert_true(s->t->ops->config_read(s->t, 0, bytes, TEST_CONFIG_LEN));
}

static uint64_t le64(const uint8_t *at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/*
 * 2.5, 2.5.2: little endian, and there before FEATURES_OK.
 * Proves CONFIG-LITTLE-ENDIAN, CONFIG-EARLY-READ.
 */
static void initial_bytes(struct suite *s)
{
    uint8_t bytes[TEST_CONFIG_LEN];

    suite_start(s, &(struct rig_options){.variant = TEST_ORDERED});
    read_all(s, bytes);
    assert_true(le64(bytes + TEST_CONFIG_MAGIC) == TEST_CONFIG_MAGIC_VALUE);
    assert_true(le64(bytes + TEST_CONFIG_VALUE) == 0);
    assert_int_equal(bytes[TEST_CONFIG_VARIANT], TEST_ORDERED);
    for (unsigned i = TEST_CONFIG_VARIANT + 1; i < TEST_CONFIG_OPTIONAL; i++)
        assert_int_equal(bytes[i], 0);
    assert_true(le64(bytes + TEST_CONFIG_OPTIONAL) == TEST_CONFIG_MAGIC_VALUE);
}

/*
 * 2.5.2: at every step before FEATURES_OK, fields of features that the driver will not take
 * included.
 * Proves CONFIG-EARLY-READ, CONFIG-EARLY-READ-OPTIONAL.
 */
static void at_every_step(struct suite *s)
{
    static const uint8_t steps[] = {0, DRV_S_ACKNOWLEDGE, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER};
    uint8_t first[TEST_CONFIG_LEN], bytes[TEST_CONFIG_LEN];

    suite_start(s, NULL);
    assert_true(s->t->ops->offered(s->t) & TEST_F_HIGH);
    read_all(s, first);
    assert_true(s->t->ops->reset(s->t));
    for (unsigned i = 0; i < 4; i++) {
        if (i == 3)
            s->t->ops->set_features(s->t, DRV_F_VERSION_1);
        else if (i)
            s->t->ops->set_status(s->t, steps[i]);
        memset(bytes, 0, sizeof(bytes));
        read_all(s, bytes);
        assert_memory_equal(bytes, first, sizeof(bytes));
    }
    assert_true(le64(bytes + TEST_CONFIG_OPTIONAL) == TEST_CONFIG_MAGIC_VALUE);
}

/* Any piece reads as the same bytes. */
static void any_piece(struct suite *s)
{
    uint8_t all[TEST_CONFIG_LEN], piece[TEST_CONFIG_LEN];

    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < TEST_CONFIG_DRIVER_LEN; i++)
        piece[i] = (uint8_t)(0xb0 + i);
    assert_true(s->t->ops->config_write(s->t, TEST_CONFIG_DRIVER, piece, TEST_CONFIG_DRIVER_LEN));
    read_all(s, all);
    for (unsigned off = 0; off < TEST_CONFIG_LEN; off++) {
        for (unsigned len = 1; len <= TEST_CONFIG_LEN - off; len++) {
            memset(piece, 0x77, sizeof(piece));
            assert_true(s->t->ops->config_read(s->t, off, piece, len));
            assert_memory_equal(piece, all + off, len);
        }
    }
}

/* The driver's part takes what is written; the device hears of it. */
static void driver_part(struct suite *s)
{
    static const uint8_t bytes[4] = {0xd1, 0xd2, 0xd3, 0xd4};
    uint8_t before[TEST_CONFIG_LEN], after[TEST_CONFIG_LEN];
    uint64_t writes;

    suite_up(s, &(struct suite_setup){0});
    writes = io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_WRITES);
    read_all(s, before);
    assert_true(s->t->ops->config_write(s->t, TEST_CONFIG_DRIVER + 4, bytes, sizeof(bytes)));
    read_all(s, after);
    memcpy(before + TEST_CONFIG_DRIVER + 4, bytes, sizeof(bytes));
    assert_memory_equal(after, before, TEST_CONFIG_LEN);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_WRITES), writes + 1);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_OFF), TEST_CONFIG_DRIVER + 4);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_LEN), 4);
}

/* Everything else is read-only: 2.5.1 forbids the driver to write there, nothing happens. */
static void read_only_part(struct suite *s)
{
    uint8_t before[TEST_CONFIG_LEN], after[TEST_CONFIG_LEN];
    static const uint8_t bytes[4] = {1, 2, 3, 4};
    static const unsigned places[] = {0, 4, 8, 12, 32, 44, 14, 30};
    uint64_t writes;

    suite_up(s, &(struct suite_setup){0});
    writes = io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_WRITES);
    read_all(s, before);
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        /* The last two straddle a border of the driver's part: all or nothing. */
        if (places[i] % 4 == 0 || !suite_has(s, RIG_REGISTERS))
            s->t->ops->config_write(s->t, places[i], bytes, sizeof(bytes));
    }
    read_all(s, after);
    assert_memory_equal(after, before, TEST_CONFIG_LEN);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_CONFIG_WRITES), writes);
}

/* 2.5.2: the generation changes with the contents. Proves CONFIG-GENERATION, MMIO-GENERATION. */
static void change_moves_generation(struct suite *s)
{
    uint8_t bytes[TEST_CONFIG_LEN];
    uint32_t before;

    suite_up(s, &(struct suite_setup){0});
    for (uint64_t i = 1; i < 10; i++) {
        before = s->t->ops->generation(s->t);
        io_do(s, {.op = TEST_CONFIG, .seed = i * UINT64_C(0x0102030405060708)});
        assert_int_not_equal(s->t->ops->generation(s->t), before);
        assert_true(drv_config_read(s->t, 0, bytes, sizeof(bytes)));
        assert_true(le64(bytes + TEST_CONFIG_VALUE) == i * UINT64_C(0x0102030405060708));
    }
}

/* A generation that moves by itself would hang every driver that loops over it. */
static void generation_is_stable(struct suite *s)
{
    uint8_t bytes[TEST_CONFIG_LEN];
    uint32_t before;

    suite_up(s, &(struct suite_setup){0});
    before = s->t->ops->generation(s->t);
    for (unsigned i = 0; i < 5; i++) {
        read_all(s, bytes);
        io_alive(s, TEST_QUEUE_A);
        assert_int_equal(s->t->ops->generation(s->t), before);
    }
}

/*
 * 2.3, 2.5: a change by the device is a configuration change notification.
 * Proves NOTIFICATION-CONFIG, CONFIG-CHANGE-TOLD.
 */
static void change_interrupts(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    suite_interrupted(s, ANYHV_CONFIG);
    for (unsigned i = 1; i < 5; i++) {
        io_do(s, {.op = TEST_CONFIG, .seed = i});
        assert_true(suite_interrupted(s, ANYHV_CONFIG));
        assert_false(suite_interrupted(s, ANYHV_CONFIG));
    }
}

/*
 * The driver's own writes and ordinary requests are no configuration change.
 * Proves NOTIFICATION-CONFIG.
 */
static void no_needless_interrupt(struct suite *s)
{
    static const uint8_t bytes[2] = {9, 9};

    suite_up(s, &(struct suite_setup){0});
    suite_interrupted(s, ANYHV_CONFIG);
    s->t->ops->config_write(s->t, TEST_CONFIG_DRIVER, bytes, 2);
    io_alive(s, TEST_QUEUE_A);
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
}

const struct suite_test conf_config_tests[] = {
    {"config.read.initial", initial_bytes, RIG_CONFIG | RIG_FRESH, SUITE_ANY},
    {"config.read.at_every_step", at_every_step, RIG_CONFIG, SUITE_ANY},
    {"config.read.any_piece", any_piece, RIG_CONFIG, SUITE_ANY},
    {"config.write.driver_part", driver_part, RIG_CONFIG, SUITE_ANY},
    {"config.write.read_only_part", read_only_part, RIG_CONFIG, SUITE_ANY},
    {"config.change.moves_generation", change_moves_generation, RIG_CONFIG | RIG_GENERATION,
     SUITE_ANY},
    {"config.change.interrupts", change_interrupts, RIG_CONFIG_IRQ, SUITE_ANY},
    {"config.change.generation_is_stable", generation_is_stable, RIG_CONFIG | RIG_GENERATION,
     SUITE_ANY},
    {"config.change.no_needless_interrupt", no_needless_interrupt, RIG_CONFIG | RIG_CONFIG_IRQ,
     SUITE_ANY},
    {0},
};

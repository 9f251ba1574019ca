/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration space: windows, generation, and who hears of what. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static void a_read_is_inside_or_gives_zeroes(void **state)
{
    struct bench *b = *state;
    uint32_t outside = 0;

    bench_attach(b, NULL);
    for (uint32_t off = 0; off < BENCH_CONFIG + 4; off++) {
        for (uint32_t len = 0; len < BENCH_CONFIG + 4; len++) {
            uint8_t bytes[BENCH_CONFIG + 8];
            bool inside = off + len <= BENCH_CONFIG;

            memset(bytes, 0xee, sizeof(bytes));
            assert_int_equal(anyhv_ctl_config_read(b->dev, off, bytes, len),
                             inside ? ANYHV_OK : ANYHV_E_INVAL);
            for (uint32_t i = 0; i < len; i++)
                assert_int_equal(bytes[i], inside ? 0x10 + off + i : 0);
            assert_int_equal(bytes[len], 0xee);
            outside += !inside;
        }
    }
    assert_int_equal(b->dev->violations[ANYHV_V_CONFIG_RANGE], outside);
}

static void offsets_do_not_wrap(void **state)
{
    static const uint32_t offs[] = {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 7, 0x80000000};
    struct bench *b = *state;
    uint8_t bytes[8] = {0};

    bench_attach(b, NULL);
    for (unsigned i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        assert_int_equal(anyhv_ctl_config_read(b->dev, offs[i], bytes, 8), ANYHV_E_INVAL);
        assert_int_equal(anyhv_ctl_config_write(b->dev, offs[i], bytes, 8), ANYHV_E_INVAL);
        assert_int_equal(anyhv_config_set(b->dev, offs[i], bytes, 8), ANYHV_E_INVAL);
    }
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, bytes, UINT32_MAX),
                     ANYHV_E_INVAL);
    assert_int_equal(bench_violation.a, BENCH_CONFIG_W);
    assert_int_equal(bench_violation.b, UINT32_MAX);
    assert_int_equal(anyhv_config_set(b->dev, 1, bytes, UINT32_MAX), ANYHV_E_INVAL);
    bench_expect_trace(b, "");
}

static void a_write_is_inside_the_window_or_dropped(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[BENCH_CONFIG + 4], expected[BENCH_CONFIG];
    uint32_t outside = 0, read_only = 0;

    bench_attach(b, NULL);
    memset(bytes, 0xaa, sizeof(bytes));
    for (uint32_t off = 0; off < BENCH_CONFIG + 4; off++) {
        for (uint32_t len = 1; len < BENCH_CONFIG + 4; len++) {
            bool may = off >= BENCH_CONFIG_W && off + len <= BENCH_CONFIG_W + BENCH_CONFIG_W_LEN;
            char told[32] = "";

            assert_int_equal(anyhv_ctl_config_write(b->dev, off, bytes, len),
                             may ? ANYHV_OK : ANYHV_E_INVAL);
            for (uint32_t i = 0; i < BENCH_CONFIG; i++)
                expected[i] = may && i >= off && i < off + len ? 0xaa : (uint8_t)(0x10 + i);
            assert_memory_equal(anyhv_config(b->dev), expected, BENCH_CONFIG);
            if (may)
                snprintf(told, sizeof(told), "config:%u+%u ", off, len);
            bench_expect_trace(b, told);
            outside += off + len > BENCH_CONFIG;
            read_only += off + len <= BENCH_CONFIG && !may;
            anyhv_ctl_set_status(b->dev, 0); /* puts the window back */
            b->trace[0] = '\0';
        }
    }
    assert_int_equal(b->dev->violations[ANYHV_V_CONFIG_RANGE], outside);
    assert_int_equal(b->dev->violations[ANYHV_V_CONFIG_READ_ONLY], read_only);
    assert_int_equal(anyhv_ctl_generation(b->dev), 0); /* the driver knows what it wrote */
}

static void the_device_changes_its_configuration_and_tells(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[BENCH_CONFIG];

    bench_attach(b, NULL);
    assert_int_equal(anyhv_ctl_generation(b->dev), 0);
    assert_int_equal(anyhv_config_set(b->dev, 2, "xyz", 3), ANYHV_OK);
    assert_int_equal(anyhv_ctl_generation(b->dev), 1);
    bench_expect_trace(b, ""); /* no driver yet */
    bench_negotiate(b);
    bench_driver_ok(b);
    b->trace[0] = '\0';
    assert_int_equal(anyhv_config_set(b->dev, 0, "abcd", 4), ANYHV_OK);
    bench_expect_trace(b, "notify:config ");
    assert_int_equal(anyhv_ctl_generation(b->dev), 2);
    assert_int_equal(anyhv_ctl_config_read(b->dev, 0, bytes, 5), ANYHV_OK);
    assert_memory_equal(bytes, "abcdz", 5);
    assert_int_equal(anyhv_config_set(b->dev, BENCH_CONFIG - 2, "abc", 3), ANYHV_E_INVAL);
    assert_int_equal(anyhv_ctl_generation(b->dev), 2);
    assert_int_equal(anyhv_config(b->dev)[BENCH_CONFIG - 1], 0x27);
    bench_expect_trace(b, "");
}

static void a_reset_keeps_what_is_the_devices(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    assert_int_equal(anyhv_config_set(b->dev, 0, "dev", 3), ANYHV_OK);
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "drv", 3), ANYHV_OK);
    anyhv_ctl_set_status(b->dev, 0);
    assert_memory_equal(anyhv_config(b->dev), "dev\x13", 4);
    assert_memory_equal(anyhv_config(b->dev) + BENCH_CONFIG_W, "\x18\x19\x1a\x1b", 4);
    assert_int_equal(anyhv_ctl_generation(b->dev), 1); /* it only ever moves on */
}

static void a_device_without_initial_bytes_starts_with_zeroes(void **state)
{
    static const uint8_t zeroes[BENCH_CONFIG];
    struct bench *b = *state;

    b->ops.config = NULL;
    bench_attach(b, NULL);
    assert_memory_equal(anyhv_config(b->dev), zeroes, BENCH_CONFIG);
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "drv", 3), ANYHV_OK);
    assert_memory_equal(anyhv_config(b->dev) + BENCH_CONFIG_W, "drv", 3);
    anyhv_ctl_set_status(b->dev, 0);
    assert_memory_equal(anyhv_config(b->dev), zeroes, BENCH_CONFIG);
}

static void a_device_without_a_window_takes_no_writes(void **state)
{
    struct bench *b = *state;

    b->ops.config_w_len = 0;
    bench_attach(b, NULL);
    for (uint32_t off = 0; off < BENCH_CONFIG; off++)
        assert_int_equal(anyhv_ctl_config_write(b->dev, off, "x", 1), ANYHV_E_INVAL);
    assert_int_equal(b->dev->violations[ANYHV_V_CONFIG_READ_ONLY], BENCH_CONFIG);
    bench_expect_trace(b, "");
}

static void a_device_without_configuration_has_none(void **state)
{
    struct bench *b = *state;
    uint8_t byte = 0xee;

    b->ops.config = NULL;
    b->ops.config_len = b->ops.config_w_off = b->ops.config_w_len = 0;
    bench_up(b, NULL);
    assert_int_equal(anyhv_ctl_config_read(b->dev, 0, &byte, 1), ANYHV_E_INVAL);
    assert_int_equal(byte, 0);
    assert_int_equal(anyhv_ctl_config_write(b->dev, 0, &byte, 1), ANYHV_E_INVAL);
    assert_int_equal(anyhv_config_set(b->dev, 0, &byte, 1), ANYHV_E_INVAL);
    bench_held(b, 8, 8);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_read_is_inside_or_gives_zeroes),
    BENCH_TEST(offsets_do_not_wrap),
    BENCH_TEST(a_write_is_inside_the_window_or_dropped),
    BENCH_TEST(the_device_changes_its_configuration_and_tells),
    BENCH_TEST(a_reset_keeps_what_is_the_devices),
    BENCH_TEST(a_device_without_initial_bytes_starts_with_zeroes),
    BENCH_TEST(a_device_without_a_window_takes_no_writes),
    BENCH_TEST(a_device_without_configuration_has_none),
};

ANYHV_TEST_MAIN("config", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* The sensor protocol, command by command; and the simulation behind it. */
#include "scmi_bench.h"

enum {
    UP = 1,
    DOWN = 2,
    BOTH = 3,
    WENT_UP = 1 << 16
};
#define EXP(e)   ((uint32_t)(e)&0x1f)
#define HIGH(v)  ((uint32_t)((uint64_t)(int64_t)(v) >> 32))
#define LOW(v)   ((uint32_t)(v))
#define MHZ(mhz) ((mhz)*1000000u)

static int64_t reading(struct bench_guest *g, uint32_t sensor)
{
    assert_int_equal(ASK(g, SENSOR, 6, sensor, 0), OK);
    assert_int_equal(g->nreply, 4);
    return (int64_t)(g->reply[0] | (uint64_t)g->reply[1] << 32);
}

static void set_cpu(struct bench_guest *g, uint32_t mhz)
{
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, MHZ(mhz), 0), OK);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
}

/* Proves SCMI-SENSOR-ATTRIBUTES. */
static void attributes(void **state)
{
    struct scmi_bench *b = *state;

    assert_int_equal(ASK(&b->guest[0], SENSOR, 1), OK);
    EXPECT_REPLY(&b->guest[0], NSENSORS | ANYHV_SCMI_DELAYED << 16, 0, 0, 0);
}

/* Proves SCMI-SENSOR-DESCRIPTION. */
static void description_get(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    g->room = 504;
    assert_int_equal(ASK(g, SENSOR, 3, TEMP), OK);
    assert_int_equal(g->reply[0], NSENSORS);
    assert_int_equal(g->nreply * 4, 4 + 28 + 32 + 52 + 6 * 28);
    assert_int_equal(g->reply[1], TEMP); /* a plain one */
    assert_int_equal(g->reply[2], EXP(-3) << 10 | 1 << 9 | 2);
    assert_int_equal(g->reply[3], EXP(-3) << 11 | 2);
    bench_expect_name(g, 4, "cpu-temp");
    assert_int_equal(g->reply[8], ACCEL); /* with axes: no limits of its own */
    assert_int_equal(g->reply[9], 1 << 30 | EXP(-3) << 10 | 1 << 9 | 1 << 8);
    assert_int_equal(g->reply[10], 3 << 16 | EXP(-2) << 11 | 1 << 8 | 89);
    assert_int_equal(g->reply[15], 0);
    assert_int_equal(g->reply[16], BOARD_TEMP); /* extended */
    assert_int_equal(g->reply[17], 0x80000000 | 1 << 8 | 1);
    assert_int_equal(g->reply[18], 2);
    assert_int_equal(g->reply[24], 1);
    assert_int_equal(g->reply[25], LOW(-40));
    assert_int_equal(g->reply[26], HIGH(-40));
    assert_int_equal(g->reply[27], 125);
    assert_int_equal(g->reply[28], 0);
}

/* As many as fit, from any index on. Proves SCMI-SENSOR-PAGES. */
static void description_pages(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    uint32_t at = 0, left = 1, pages = 0;

    while (left) {
        assert_int_equal(ASK(g, SENSOR, 3, at), OK);
        assert_in_range(4 * g->nreply, 4 + 28, 128);
        assert_int_equal(g->reply[1], at);
        left = g->reply[0] >> 16;
        at += g->reply[0] & 0xffff;
        assert_int_equal(at + left, NSENSORS);
        pages++;
    }
    assert_int_equal(pages, 3);
    assert_int_equal(ASK(g, SENSOR, 3, NSENSORS), OUT_OF_RANGE);
    assert_int_equal(ASK(g, SENSOR, 3, UINT32_MAX), OUT_OF_RANGE);
    g->room = 31;
    assert_int_equal(ASK(g, SENSOR, 3, TEMP), COMMS_ERROR);
}

/* Proves SCMI-SENSOR-READING. */
static void reading_get(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 6, TEMP, 0), OK);
    EXPECT_REPLY(g, 30000, 0, 0, 0);
    assert_int_equal(ASK(g, SENSOR, 6, ACCEL, 0), OK);
    EXPECT_REPLY(g, 1, 0, 0, 0, LOW(-2), HIGH(-2), 0, 0, 981, 0, 0, 0);
    assert_int_equal(ASK(g, SENSOR, 6, TEMP, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 6, TEMP, 1), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 6, NSENSORS, 0), NOT_FOUND);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 0), HARDWARE_ERROR); /* nobody has read it yet */
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){-7});
    assert_int_equal(reading(g, BOARD_TEMP), -7);
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], NULL);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 0), HARDWARE_ERROR);
}

/* Proves SCMI-SENSOR-READING-ASYNC. */
static void reading_get_async(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 8, 136);
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){21});
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), OK);
    assert_int_equal(g->nreply, 0);
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){22});
    bench_pass(b, 4);
    assert_false(bench_event(g));
    bench_pass(b, 1);
    EXPECT_EVENT(g, DELAYED(g, SENSOR, 6), OK, BOARD_TEMP, 22, 0, 0, 0);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), OK);
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], NULL);
    bench_pass(b, 5);
    EXPECT_EVENT(g, DELAYED(g, SENSOR, 6), (uint32_t)HARDWARE_ERROR);
}

/* Both ways, one way, and never without being asked. Proves SCMI-SENSOR-TRIP-CONFIG,
 * SCMI-SENSOR-TRIP-NOTIFY, SCMI-SENSOR-TRIP-EVENT. */
static void trip_points(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 16, 136);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, BOTH, 45000, 0), OK);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, UP | 1 << 4, 48000, 0), OK);
    set_cpu(g, 1000); /* up to 50000 */
    bench_pass(b, 3000);
    assert_false(bench_event(g)); /* nobody asked */
    assert_true(b->wake == ANYHV_SCMI_NEVER);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 1), OK);
    bench_pass(b, 100);
    assert_false(bench_event(g)); /* it was before */
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 0), OK);
    set_cpu(g, 500); /* down to 40000 */
    bench_pass(b, 3000);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 1), OK);
    set_cpu(g, 1000);
    bench_pass(b, 499);
    assert_false(bench_event(g));
    bench_pass(b, 11);
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 0), 0, TEMP, WENT_UP | 0);
    bench_pass(b, 3000);
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 0), 0, TEMP, WENT_UP | 1);
    set_cpu(g, 500);
    bench_pass(b, 3000);
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 0), 0, TEMP, 0); /* trip point 1 looks upwards only */
    assert_false(bench_event(g));
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 0, 0, 0), OK); /* off */
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 1 << 4, 0, 0), OK);
    set_cpu(g, 1000);
    bench_pass(b, 3000);
    assert_false(bench_event(g));
    assert_true(b->wake == ANYHV_SCMI_NEVER); /* nothing to look at any more */
}

/* Values have signs. */
static void trip_below_zero(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 4, 136);
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){5});
    assert_int_equal(ASK(g, SENSOR, 4, BOARD_TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 5, BOARD_TEMP, DOWN, LOW(-5), HIGH(-5)), OK);
    bench_pass(b, 50);
    assert_false(bench_event(g));
    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){-6});
    bench_pass(b, 50);
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 0), 0, BOARD_TEMP, 0);
}

/* Proves SCMI-SENSOR-TRIP-PARAMETERS. */
static void trip_parameters(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 5, TEMP, UP | 2 << 4, 0, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, UP | 255 << 4, 0, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 4, 0, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 1u << 31, 0, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 5, ACCEL, UP, 0, 0), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 5, NSENSORS, UP, 0, 0), NOT_FOUND);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 4, ACCEL, 1), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 4, NSENSORS, 1), NOT_FOUND);
}

/* Proves SCMI-SENSOR-AXES. */
static void axis_description_get(void **state)
{
    static const char *const names[] = {"axis_X", "axis_Y", "axis_Z"};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 7, ACCEL, 0), OK);
    assert_int_equal(g->reply[0], 2 | 1 << 26);
    assert_int_equal(4 * g->nreply, 4 + 2 * 48);
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t *axis = g->reply + 1 + 12 * i;

        assert_int_equal(axis[0], i);
        assert_int_equal(axis[1], 1 << 8);
        assert_int_equal(axis[2], EXP(-2) << 11 | 89);
        bench_expect_name(g, 4 + 12 * i, names[i]);
        assert_int_equal(axis[7], EXP(-2) << 27 | 1);
        assert_int_equal(axis[8], LOW(-2000));
        assert_int_equal(axis[9], HIGH(-2000));
        assert_int_equal(axis[10], 2000);
        assert_int_equal(axis[11], 0);
    }
    assert_int_equal(ASK(g, SENSOR, 7, ACCEL, 2), OK);
    assert_int_equal(g->reply[0], 1);
    bench_expect_name(g, 4, "axis_Z");
    assert_int_equal(ASK(g, SENSOR, 7, ACCEL, 3), OUT_OF_RANGE);
    assert_int_equal(ASK(g, SENSOR, 7, TEMP, 0), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 7, NSENSORS, 0), NOT_FOUND);
}

/* Proves SCMI-SENSOR-INTERVALS. */
static void list_update_intervals(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 8, ACCEL, 0), OK);
    EXPECT_REPLY(g, 3, 20 << 5 | EXP(-3), 100 << 5 | EXP(-3), 1000 << 5 | EXP(-3));
    assert_int_equal(ASK(g, SENSOR, 8, ACCEL, 2), OK);
    EXPECT_REPLY(g, 1, 1000 << 5 | EXP(-3));
    g->room = 8;
    assert_int_equal(ASK(g, SENSOR, 8, ACCEL, 0), OK);
    EXPECT_REPLY(g, 1 | 2 << 16, 20 << 5 | EXP(-3));
    assert_int_equal(ASK(g, SENSOR, 8, ACCEL, 3), OUT_OF_RANGE);
    assert_int_equal(ASK(g, SENSOR, 8, TEMP, 0), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 8, NSENSORS, 0), NOT_FOUND);
}

/* Proves SCMI-SENSOR-CONFIG-GET, SCMI-SENSOR-CONFIG-SET. */
static void configuration(void **state)
{
    static const struct {
        uint32_t number, exponent, rounding;
        uint32_t ms; /* 0: refused */
    } cases[] = {
        {100, (uint32_t)-3, 0, 100},
        {1, (uint32_t)-1, 0, 100},
        {150, (uint32_t)-3, 0, 100},
        {150, (uint32_t)-3, 1, 1000},
        {150, (uint32_t)-3, 2, 100},
        {900, (uint32_t)-3, 2, 1000},
        {1, 0, 0, 1000},
        {19, (uint32_t)-3, 0, 0},
        {19, (uint32_t)-3, 1, 20},
        {2, 0, 1, 0},
        {65535, 15, 0, 1000},
        {5, (uint32_t)-16, 1, 20},
    };
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 9, ACCEL), OK);
    EXPECT_REPLY(g, 20 << 16 | EXP(-3) << 11 | 1);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t status =
            ASK(g, SENSOR, 10, ACCEL,
                cases[i].number << 16 | EXP(cases[i].exponent) << 11 | cases[i].rounding << 9 | 3);

        assert_int_equal(status, cases[i].ms ? OK : INVALID_PARAMETERS);
        assert_int_equal(ASK(g, SENSOR, 9, ACCEL), OK);
        if (cases[i].ms)
            EXPECT_REPLY(g, cases[i].ms << 16 | EXP(-3) << 11 | 3);
    }
    assert_int_equal(ASK(g, SENSOR, 6, ACCEL, 0), OK);
    assert_int_equal(g->reply[2], b->now); /* time stamps */
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 0), OK);
    assert_int_equal(ASK(g, SENSOR, 6, ACCEL, 0), NOT_SUPPORTED); /* switched off */
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 3 << 9 | 1), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 1 << 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 10, BOARD_TEMP, 3), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 10, NSENSORS, 1), NOT_FOUND);
    assert_int_equal(ASK(g, SENSOR, 9, NSENSORS), NOT_FOUND);
}

/* As often as was asked, and no more. Proves SCMI-SENSOR-UPDATES, SCMI-SENSOR-UPDATE-EVENT. */
static void continuous_update_notify(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 32, 136);
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 100 << 16 | EXP(-3) << 11 | 3), OK);
    assert_int_equal(ASK(g, SENSOR, 11, ACCEL, 1), OK);
    bench_pass(b, 99);
    assert_false(bench_event(g));
    for (unsigned i = 0; i < 3; i++) {
        bench_pass(b, i ? 100 : 1);
        EXPECT_EVENT(g, NOTIFICATION(SENSOR, 1), 0, ACCEL, 1, 0, LOW(b->now), 0, LOW(-2), HIGH(-2),
                     LOW(b->now), 0, 981, 0, LOW(b->now), 0);
        assert_false(bench_event(g));
    }
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 20 << 16 | EXP(-3) << 11 | 1), OK);
    bench_pass(b, 100);
    for (unsigned i = 0; i < 5; i++)
        assert_true(bench_event(g));
    assert_false(bench_event(g));
    assert_int_equal(ASK(g, SENSOR, 11, ACCEL, 0), OK);
    bench_pass(b, 1000);
    assert_false(bench_event(g));
    assert_int_equal(ASK(g, SENSOR, 11, ACCEL, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, SENSOR, 11, TEMP, 1), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 11, NSENSORS, 1), NOT_FOUND);
}

/* The value follows the clock at its speed, however often it is looked at. */
static void dynamics(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    set_cpu(g, 500);
    for (unsigned i = 1; i <= 100; i++) {
        bench_pass(b, 1);
        assert_int_equal(reading(g, TEMP), 30000 + 10 * i);
    }
    bench_pass(b, 10000);
    assert_int_equal(reading(g, TEMP), 40000);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 0), OK);
    bench_pass(b, 500);
    assert_int_equal(reading(g, TEMP), 35000);
    bench_pass(b, UINT32_MAX);
    assert_int_equal(reading(g, TEMP), 30000);
    b->sensor[TEMP].speed = 3; /* less than one in a millisecond */
    set_cpu(g, 500);
    for (unsigned i = 0; i < 1000; i++) {
        bench_pass(b, 1);
        reading(g, TEMP);
    }
    assert_int_equal(reading(g, TEMP), 30003);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(attributes),
    SCMI_TEST(description_get),
    SCMI_TEST(description_pages),
    SCMI_TEST(reading_get),
    SCMI_TEST(reading_get_async),
    SCMI_TEST(trip_points),
    SCMI_TEST(trip_below_zero),
    SCMI_TEST(trip_parameters),
    SCMI_TEST(axis_description_get),
    SCMI_TEST(list_update_intervals),
    SCMI_TEST(configuration),
    SCMI_TEST(continuous_update_notify),
    SCMI_TEST(dynamics),
};

ANYHV_TEST_MAIN("scmi-sensor", tests)

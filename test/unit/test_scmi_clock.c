/* SPDX-License-Identifier: Apache-2.0 */
/* The clock protocol, command by command; and what becomes of the wishes of two agents. */
#include "scmi_bench.h"

#define M(mhz) ((mhz)*1000000u)

enum {
    ASYNC = 1,
    SILENT = 2,
    UP = 4,
    AUTO = 8
};

static uint64_t rate(struct bench_guest *g, uint32_t clock)
{
    assert_int_equal(ASK(g, CLOCK, 6, clock), OK);
    assert_int_equal(g->nreply, 2);
    return g->reply[0] | (uint64_t)g->reply[1] << 32;
}

/* Proves SCMI-CLOCK-ATTRIBUTES. */
static void protocol_attributes(void **state)
{
    struct scmi_bench *b = *state;

    assert_int_equal(ASK(&b->guest[0], CLOCK, 1), OK);
    EXPECT_REPLY(&b->guest[0], NCLOCKS | ANYHV_SCMI_DELAYED << 16);
}

/* The enabling delay is left out where there is no room for it. Proves SCMI-CLOCK-DESCRIPTION. */
static void clock_attributes(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, CLOCK, 3, CPU), OK);
    assert_int_equal(g->nreply, 6);
    assert_int_equal(g->reply[0], 0xc0000000);
    bench_expect_name(g, 1, "cpu");
    assert_int_equal(g->reply[5], 150);
    assert_int_equal(ASK(g, CLOCK, 3, BUS), OK);
    assert_int_equal(g->reply[0], 0xc0000001);
    g->room = 20;
    assert_int_equal(ASK(g, CLOCK, 3, CPU), OK);
    assert_int_equal(g->nreply, 5);
    assert_int_equal(ASK(g, CLOCK, 3, NCLOCKS), NOT_FOUND);
    assert_int_equal(ASK(g, CLOCK, 3, UINT32_MAX), NOT_FOUND);
}

/* As a list, from any index on; as a range. Proves SCMI-CLOCK-RATES. */
static void describe_rates(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, CLOCK, 4, CPU, 0), OK);
    EXPECT_REPLY(g, 3, M(500), 0, M(1000), 0, M(1500), 0);
    assert_int_equal(ASK(g, CLOCK, 4, CPU, 2), OK);
    EXPECT_REPLY(g, 1, M(1500), 0);
    g->room = 20;
    assert_int_equal(ASK(g, CLOCK, 4, CPU, 0), OK);
    EXPECT_REPLY(g, 2 | 1 << 16, M(500), 0, M(1000), 0);
    assert_int_equal(ASK(g, CLOCK, 4, CPU, 3), OUT_OF_RANGE);
    assert_int_equal(ASK(g, CLOCK, 4, CPU, UINT32_MAX), OUT_OF_RANGE);
    g->room = 128;
    assert_int_equal(ASK(g, CLOCK, 4, BUS, 0), OK);
    EXPECT_REPLY(g, 3 | 1 << 12, M(10), 0, M(100), 0, M(4), 0);
    assert_int_equal(ASK(g, CLOCK, 4, BUS, 1), OUT_OF_RANGE);
    assert_int_equal(ASK(g, CLOCK, 4, 2, 0), NOT_FOUND);
}

/* Proves SCMI-CLOCK-RATE-SET, SCMI-CLOCK-RATE-GET, SCMI-CLOCK-ROUNDING. */
static void rate_set(void **state)
{
    static const struct {
        uint32_t clock, flags, wanted, got; /* MHz; got 0: refused */
    } cases[] = {
        {CPU, 0, 1000, 1000},    {CPU, 0, 1200, 1000},    {CPU, UP, 1200, 1500},
        {CPU, AUTO, 1200, 1000}, {CPU, AUTO, 1300, 1500}, {CPU, UP, 100, 500},
        {CPU, 0, 499, 0},        {CPU, UP, 1501, 0},      {CPU, AUTO, 1, 500},
        {CPU, AUTO, 4000, 1500}, {CPU, 0, 4000, 1500},    {BUS, 0, 14, 14},
        {BUS, 0, 17, 14},        {BUS, UP, 17, 18},       {BUS, AUTO, 17, 18},
        {BUS, AUTO, 15, 14},     {BUS, 0, 9, 0},          {BUS, UP, 9, 10},
        {BUS, UP, 101, 0},       {BUS, 0, 101, 100},      {BUS, AUTO, 101, 100},
        {BUS, UP, 99, 100},      {BUS, AUTO, 5, 10},
    };
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = rate(g, cases[i].clock);
        int32_t status = ASK(g, CLOCK, 5, cases[i].flags, cases[i].clock, M(cases[i].wanted), 0);

        assert_int_equal(status, cases[i].got ? OK : INVALID_PARAMETERS);
        assert_int_equal(rate(g, cases[i].clock), cases[i].got ? M(cases[i].got) : before);
    }
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 0, 1), OK); /* 2^32 Hz */
    assert_int_equal(rate(g, CPU), M(1500));
    assert_int_equal(ASK(g, CLOCK, 5, 16, CPU, M(500), 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 0, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, CLOCK, 5, 0, 2, M(500), 0), NOT_FOUND);
    assert_int_equal(ASK(g, CLOCK, 6, 2), NOT_FOUND);
}

/* The rate is set when it is said to be set. Proves SCMI-CLOCK-RATE-ASYNC. */
static void rate_set_async(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 8, 136);
    assert_int_equal(ASK(g, CLOCK, 5, ASYNC, CPU, M(1000), 0), OK);
    assert_int_equal(g->nreply, 0);
    bench_pass(b, 19);
    assert_false(bench_event(g));
    assert_int_equal(b->clock[CPU].rate, M(500));
    bench_pass(b, 1);
    EXPECT_EVENT(g, DELAYED(g, CLOCK, 5), OK, CPU, M(1000), 0);
    assert_int_equal(rate(g, CPU), M(1000));

    assert_int_equal(ASK(g, CLOCK, 5, ASYNC | SILENT, CPU, M(1500), 0), OK);
    bench_pass(b, 20);
    assert_int_equal(rate(g, CPU), M(1500));
    assert_false(bench_event(g));
}

/* Proves SCMI-CLOCK-CONFIG. */
static void config_set(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 3, CPU), OK);
    assert_int_equal(g->reply[0] & 1, 1);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 3, CPU), OK);
    assert_int_equal(g->reply[0] & 1, 0);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, CLOCK, 7, NCLOCKS, 1), NOT_FOUND);
}

/* To whoever asked, under its own number for the clock. Proves SCMI-CLOCK-NOTIFY,
 * SCMI-CLOCK-CHANGED-EVENT. */
static void rate_notify(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    bench_buffers(g, 8, 136);
    bench_buffers(other, 8, 136);
    assert_int_equal(ASK(other, CLOCK, 9, 1, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, M(1000), 0), OK);
    EXPECT_EVENT(other, NOTIFICATION(CLOCK, 0), 1, 1, M(1000), 0);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, M(1000), 0), OK); /* changes nothing */
    assert_false(bench_event(other));
    assert_false(bench_event(g));
    assert_int_equal(ASK(other, CLOCK, 9, 1, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, M(500), 0), OK);
    assert_false(bench_event(other));
    assert_int_equal(ASK(other, CLOCK, 9, 1, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(other, CLOCK, 9, 2, 1), NOT_FOUND);
}

/* Before it happens, and when it is only wished. Proves SCMI-CLOCK-NOTIFY-REQUESTED,
 * SCMI-CLOCK-REQUESTED-EVENT. */
static void rate_change_requested_notify(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    bench_buffers(other, 8, 136);
    assert_int_equal(ASK(other, CLOCK, 10, 1, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, ASYNC, CPU, M(1000), 0), OK);
    EXPECT_EVENT(other, NOTIFICATION(CLOCK, 1), 1, 1, M(1000), 0);
    assert_int_equal(ASK(other, CLOCK, 10, 1, 3), INVALID_PARAMETERS);
    assert_int_equal(ASK(other, CLOCK, 10, 7, 1), NOT_FOUND);
}

/* What one may only look at. Proves SCMI-DENIED. */
static void only_to_look_at(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *other = &b->guest[1];

    assert_int_equal(ASK(other, CLOCK, 6, 1), OK);
    assert_int_equal(ASK(other, CLOCK, 5, 0, 1, M(1000), 0), DENIED);
    assert_int_equal(ASK(other, CLOCK, 7, 1, 1), DENIED);
    assert_int_equal(b->refused, 2);
    assert_int_equal(b->clock[CPU].rate, M(500));
    assert_false(b->clock[CPU].on);
}

/*
 * Shared: on while anybody has it on; the highest wish of those who do. Proves SCMI-CLOCK-POLICY.
 */
static void two_agents(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    assert_int_equal(ASK(g, CLOCK, 7, BUS, 1), OK);
    assert_int_equal(ASK(other, CLOCK, 7, 0, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, BUS, M(50), 0), OK);
    assert_int_equal(rate(g, BUS), M(50));
    assert_int_equal(ASK(other, CLOCK, 5, 0, 0, M(30), 0), OK);
    assert_int_equal(rate(other, 0), M(50)); /* somebody needs more */
    assert_int_equal(ASK(other, CLOCK, 5, 0, 0, M(90), 0), OK);
    assert_int_equal(rate(g, BUS), M(90));
    assert_int_equal(ASK(other, CLOCK, 7, 0, 0), OK); /* needs it no more */
    assert_int_equal(rate(g, BUS), M(50));
    assert_int_equal(ASK(other, CLOCK, 5, 0, 0, M(70), 0), OK); /* a wish for later */
    assert_int_equal(rate(g, BUS), M(50));
    assert_int_equal(ASK(other, CLOCK, 7, 0, 1), OK);
    assert_int_equal(rate(g, BUS), M(70));
    bench_leave(other);
    assert_int_equal(rate(g, BUS), M(50));
}

/* A clock that does not move is an error, and nothing has changed. Proves SCMI-CLOCK-HARDWARE. */
static void broken_clock(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 4, 136);
    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    b->broken_clock = true;
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), HARDWARE_ERROR);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, M(1000), 0), HARDWARE_ERROR);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, M(1000), 0), OK);
    bench_pass(b, 20);
    EXPECT_EVENT(g, DELAYED(g, CLOCK, 5), (uint32_t)HARDWARE_ERROR);
    assert_false(bench_event(g)); /* no notification of a change */
    assert_int_equal(rate(g, CPU), M(500));
    assert_false(b->clock[CPU].on);
    assert_int_equal(b->clock_changes, 0);

    b->broken_clock = false; /* what was refused is not wanted any more */
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_true(b->clock[CPU].on);
    assert_int_equal(rate(g, CPU), M(500));
    assert_int_equal(b->clock_changes, 1);
    assert_false(bench_event(g));

    b->broken_clock = true; /* off only when somebody asks again */
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 0), HARDWARE_ERROR);
    assert_true(b->clock[CPU].on);
    bench_leave(g);
    assert_true(b->clock[CPU].on);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(protocol_attributes), SCMI_TEST(clock_attributes),
    SCMI_TEST(describe_rates),      SCMI_TEST(rate_set),
    SCMI_TEST(rate_set_async),      SCMI_TEST(config_set),
    SCMI_TEST(rate_notify),         SCMI_TEST(rate_change_requested_notify),
    SCMI_TEST(only_to_look_at),     SCMI_TEST(two_agents),
    SCMI_TEST(broken_clock),
};

ANYHV_TEST_MAIN("scmi-clock", tests)

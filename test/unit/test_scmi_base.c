/* SPDX-License-Identifier: Apache-2.0 */
/* The base protocol, command by command. */
#include "scmi_bench.h"

/* Protocols besides base, and agents. Proves SCMI-BASE-ATTRIBUTES. */
static void attributes(void **state)
{
    struct scmi_bench *b = *state;

    assert_int_equal(ASK(&b->guest[0], BASE, 1), OK);
    EXPECT_REPLY(&b->guest[0], 3 | 2 << 8);
    assert_int_equal(ASK(&b->guest[1], BASE, 1), OK);
    EXPECT_REPLY(&b->guest[1], 2 | 2 << 8);
}

/* Proves SCMI-BASE-VENDOR, SCMI-BASE-SUB-VENDOR, SCMI-BASE-IMPLEMENTATION. */
static void vendor(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, BASE, 3), OK);
    assert_int_equal(g->nreply, 4);
    bench_expect_name(g, 0, "anyhv");
    assert_int_equal(ASK(g, BASE, 4), OK);
    assert_int_equal(g->nreply, 4);
    bench_expect_name(g, 0, "bench");
    assert_int_equal(ASK(g, BASE, 5), OK);
    assert_int_equal(g->nreply, 1);
    assert_int_not_equal(g->reply[0], 0);
}

/* Without base, in whole words, and as many as the attributes say. Proves SCMI-BASE-LIST. */
static void list_protocols(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, BASE, 6, 0), OK);
    EXPECT_REPLY(g, 3, 0x161514);
    assert_int_equal(ASK(g, BASE, 6, 1), OK);
    EXPECT_REPLY(g, 2, 0x1615);
    assert_int_equal(ASK(g, BASE, 6, 3), OK);
    EXPECT_REPLY(g, 0);
    assert_int_equal(ASK(g, BASE, 6, 4), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 6, UINT32_MAX), INVALID_PARAMETERS);
    assert_int_equal(ASK(&b->guest[1], BASE, 6, 0), OK);
    EXPECT_REPLY(&b->guest[1], 2, 0x1614);
}

/* Proves SCMI-BASE-AGENT. */
static void discover_agent(void **state)
{
    static const char *const names[] = {"platform", "first", "second"};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[1];

    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(ASK(g, BASE, 7, i), OK);
        assert_int_equal(g->nreply, 5);
        assert_int_equal(g->reply[0], i);
        bench_expect_name(g, 1, names[i]);
    }
    assert_int_equal(ASK(g, BASE, 7, UINT32_MAX), OK);
    assert_int_equal(g->reply[0], 2);
    bench_expect_name(g, 1, "second");
    assert_int_equal(ASK(g, BASE, 7, 3), NOT_FOUND);
}

/* Proves SCMI-BASE-NOTIFY-ERRORS, SCMI-BASE-ERROR-EVENT. */
static void notify_errors(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 4, 136);
    bench_buffers(&b->guest[1], 4, 136);
    anyhv_scmi_error(&b->platform, true);
    assert_false(bench_event(g));
    assert_int_equal(ASK(g, BASE, 8, 2), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 8, 1), OK);
    anyhv_scmi_error(&b->platform, true);
    EXPECT_EVENT(g, NOTIFICATION(BASE, 0), 0, 0x80000000);
    anyhv_scmi_error(&b->platform, false);
    EXPECT_EVENT(g, NOTIFICATION(BASE, 0), 0, 0);
    assert_int_equal(ASK(g, BASE, 8, 0), OK);
    anyhv_scmi_error(&b->platform, true);
    assert_false(bench_event(g));
    assert_false(bench_event(&b->guest[1]));
}

/* A device is denied, with all that belongs to it, and given back. Proves
 * SCMI-BASE-DEVICE-PERMISSIONS. */
static void set_device_permissions(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    assert_int_equal(ASK(other, CLOCK, 6, 1), OK);
    assert_int_equal(ASK(g, BASE, 9, 2, DEVICE_CPU, 0), OK);
    assert_int_equal(ASK(other, CLOCK, 6, 1), DENIED);
    assert_int_equal(ASK(other, CLOCK, 3, 1), DENIED);
    assert_int_equal(ASK(other, CLOCK, 6, 0), OK); /* belongs to no device */
    assert_int_equal(ASK(other, RESET, 3, 0), OK); /* to another one */
    assert_int_equal(ASK(g, CLOCK, 6, CPU), OK);   /* another agent */
    assert_int_equal(b->refused, 2);
    assert_int_equal(ASK(g, BASE, 9, 2, DEVICE_CPU, 1), OK);
    assert_int_equal(ASK(other, CLOCK, 6, 1), OK);
    assert_int_equal(ASK(g, BASE, 9, 3, DEVICE_CPU, 0), NOT_FOUND);
    assert_int_equal(ASK(g, BASE, 9, 0, DEVICE_CPU, 0), NOT_FOUND);
    assert_int_equal(ASK(g, BASE, 9, 2, 8, 0), NOT_FOUND);
    assert_int_equal(ASK(g, BASE, 9, 2, 0, 0), NOT_FOUND);
    assert_int_equal(ASK(g, BASE, 9, 2, DEVICE_CPU, 2), INVALID_PARAMETERS);
}

/* Of one protocol only. Proves SCMI-BASE-PROTOCOL-PERMISSIONS. */
static void set_protocol_permissions(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, CLOCK, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 6, CPU), DENIED);
    assert_int_equal(ASK(g, SENSOR, 6, TEMP, 0), OK);
    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, CLOCK, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 6, CPU), OK);
    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, BASE, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, 0x20, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, 0x80000014, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 10, 1, DEVICE_CPU, CLOCK, 4), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, BASE, 10, 4, DEVICE_CPU, CLOCK, 0), NOT_FOUND);
}

/* Its own, or with a trusted agent another's; permissions are the trusted one's. Proves
 * SCMI-BASE-RESET-AGENT. */
static void reset_agent_configuration(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    assert_int_equal(ASK(other, RESET, 4, 0, 2, 0), OK);
    assert_true(b->reset[USB].asserted);
    assert_int_equal(ASK(other, BASE, 11, 2, 0), OK);
    assert_false(b->reset[USB].asserted);

    assert_int_equal(ASK(other, RESET, 4, 0, 2, 0), OK);
    assert_int_equal(ASK(g, BASE, 9, 2, DEVICE_USB, 0), OK);
    assert_int_equal(ASK(other, BASE, 11, 2, 1), DENIED);
    assert_int_equal(ASK(g, BASE, 11, 2, 0), OK);
    assert_false(b->reset[USB].asserted);
    assert_int_equal(ASK(other, RESET, 3, 0), DENIED);
    assert_int_equal(ASK(g, BASE, 11, 2, 1), OK);
    assert_int_equal(ASK(other, RESET, 3, 0), OK);
    assert_int_equal(ASK(g, BASE, 11, 3, 0), NOT_FOUND);
    assert_int_equal(ASK(g, BASE, 11, 2, 2), INVALID_PARAMETERS);
}

/* Who is not trusted sets nobody's permissions, its own included. Proves SCMI-BASE-TRUSTED. */
static void not_trusted(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *other = &b->guest[1];

    assert_int_equal(ASK(other, BASE, 9, 1, DEVICE_CPU, 0), DENIED);
    assert_int_equal(ASK(other, BASE, 9, 2, DEVICE_CPU, 1), DENIED);
    assert_int_equal(ASK(other, BASE, 10, 1, DEVICE_CPU, CLOCK, 0), DENIED);
    assert_int_equal(ASK(other, BASE, 11, 1, 0), DENIED);
    assert_int_equal(ASK(other, BASE, 11, 0, 0), DENIED);
    assert_int_equal(ASK(&b->guest[0], CLOCK, 6, CPU), OK);
    assert_int_equal(b->refused, 5);
}

/* Who has asked to be told before is not told any more, of none of these. */
static void what_is_denied_is_not_told(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 8, 136);
    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 1, 31000, 0), OK);
    assert_int_equal(ASK(g, RESET, 5, USB, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 3, CPU, 1000000000, 0), OK); /* in work, and silent */
    assert_int_equal(ASK(g, BASE, 9, 1, DEVICE_CPU, 0), OK);
    assert_int_equal(ASK(g, BASE, 9, 1, DEVICE_USB, 0), OK);
    assert_int_equal(ASK(&b->guest[1], RESET, 4, 0, 1, 0), OK);
    bench_pass(b, 500);
    assert_int_equal(b->clock[CPU].rate, 1000000000);
    assert_true(b->sensor[TEMP].value[0] > 31000);
    assert_false(bench_event(g));
}

/* A change that is in work does not come back after the reset that takes back what was asked for.
 */
static void reset_ends_what_is_in_work(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 1, 136);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1500000000, 0), OK);
    assert_int_equal(ASK(g, BASE, 11, 1, 0), OK);
    EXPECT_EVENT(g, bench_header(CLOCK, 5, 2, g->token - 1), OK, CPU, 1500000000, 0);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 500000000, 0), OK);
    bench_pass(b, 100);
    assert_int_equal(b->clock[CPU].rate, 500000000);
    assert_int_equal(b->agent_clock[0][CPU].wish, 500000000);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(attributes),
    SCMI_TEST(vendor),
    SCMI_TEST(list_protocols),
    SCMI_TEST(discover_agent),
    SCMI_TEST(notify_errors),
    SCMI_TEST(set_device_permissions),
    SCMI_TEST(set_protocol_permissions),
    SCMI_TEST(reset_agent_configuration),
    SCMI_TEST(not_trusted),
    SCMI_TEST(what_is_denied_is_not_told),
    SCMI_TEST(reset_ends_what_is_in_work),
};

ANYHV_TEST_MAIN("scmi-base", tests)

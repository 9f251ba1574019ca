/* SPDX-License-Identifier: Apache-2.0 */
/* The reset protocol, command by command; and a line that two agents share. */
#include "scmi_bench.h"

enum {
    DEASSERT = 0,
    AUTONOMOUS = 1,
    ASSERT = 2,
    ASYNC = 4
};

/* Proves SCMI-RESET-ATTRIBUTES, SCMI-RESET-DESCRIPTION. */
static void attributes(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 1), OK);
    EXPECT_REPLY(g, NRESETS);
    assert_int_equal(ASK(g, RESET, 3, USB), OK);
    assert_int_equal(g->nreply, 6);
    assert_int_equal(g->reply[0], 0xc0000000);
    assert_int_equal(g->reply[1], 100);
    bench_expect_name(g, 2, "usb");
    assert_int_equal(ASK(g, RESET, 3, NIC), OK);
    assert_int_equal(g->reply[0], 0x40000000);
    assert_int_equal(g->reply[1], UINT32_MAX);
    assert_int_equal(ASK(g, RESET, 3, NRESETS), NOT_FOUND);
}

/* Proves SCMI-RESET-ASSERT. */
static void assert_and_deassert(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 4, USB, ASSERT, 0), OK);
    assert_true(b->reset[USB].asserted);
    assert_int_equal(ASK(g, RESET, 4, USB, ASSERT, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, USB, DEASSERT, 0), OK);
    assert_false(b->reset[USB].asserted);
    assert_int_equal(b->edges, 2);
}

/* Proves SCMI-RESET-AUTONOMOUS. */
static void autonomous(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 4, NIC, AUTONOMOUS, 0), OK);
    assert_int_equal(b->edges, 2);
    assert_int_equal(b->reset[NIC].pulses, 1);
    assert_false(b->reset[NIC].asserted);
}

/* Proves SCMI-RESET-ASYNC. */
static void autonomous_async(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    bench_buffers(g, 4, 136);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS | ASYNC, 0), OK);
    assert_true(b->reset[USB].asserted);
    bench_pass(b, 9);
    assert_false(bench_event(g));
    bench_pass(b, 1);
    EXPECT_EVENT(g, DELAYED(g, RESET, 4), OK, USB);
    assert_false(b->reset[USB].asserted);
    assert_int_equal(ASK(g, RESET, 4, NIC, AUTONOMOUS | ASYNC, 0), NOT_SUPPORTED);
}

/* Proves SCMI-RESET-PARAMETERS. */
static void wrong_parameters(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 4, USB, 8, 0), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 1), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 0x80000000), INVALID_PARAMETERS);
    assert_int_equal(ASK(g, RESET, 4, NRESETS, AUTONOMOUS, 0), NOT_FOUND);
    assert_int_equal(ASK(g, RESET, 5, NRESETS, 1), NOT_FOUND);
    assert_int_equal(ASK(g, RESET, 5, USB, 2), INVALID_PARAMETERS);
    assert_int_equal(b->edges, 0);
}

/* Proves SCMI-RESET-NOTIFY, SCMI-RESET-EVENT. */
static void notify(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    bench_buffers(other, 8, 136);
    assert_int_equal(ASK(other, RESET, 5, 0, 1), OK);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 0), OK);
    EXPECT_EVENT(other, NOTIFICATION(RESET, 0), 1, 0, 0);
    assert_int_equal(ASK(other, RESET, 4, 0, ASSERT, 0), OK);
    EXPECT_EVENT(other, NOTIFICATION(RESET, 0), 2, 0, 0);
    assert_int_equal(ASK(g, RESET, 4, NIC, AUTONOMOUS, 0), OK);
    assert_int_equal(ASK(other, RESET, 4, 0, DEASSERT, 0), OK);
    assert_false(bench_event(other));
    assert_int_equal(ASK(other, RESET, 5, 0, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 0), OK);
    assert_false(bench_event(other));
}

/* Asserted while anybody asserts it. Proves SCMI-RESET-POLICY. */
static void two_agents(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    assert_int_equal(ASK(g, RESET, 4, USB, ASSERT, 0), OK);
    assert_int_equal(ASK(other, RESET, 4, 0, ASSERT, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, USB, DEASSERT, 0), OK);
    assert_true(b->reset[USB].asserted);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 0), OK);
    assert_true(b->reset[USB].asserted);
    bench_leave(other);
    assert_false(b->reset[USB].asserted);
    assert_int_equal(b->edges, 2);
}

/* A line that does not move is an error, and nothing has changed. Proves SCMI-RESET-HARDWARE. */
static void broken_line(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    b->broken_line = true;
    assert_int_equal(ASK(g, RESET, 4, USB, ASSERT, 0), HARDWARE_ERROR);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS, 0), HARDWARE_ERROR);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS | ASYNC, 0), HARDWARE_ERROR);
    b->broken_line = false;
    assert_int_equal(ASK(g, RESET, 4, USB, DEASSERT, 0), OK);
    assert_int_equal(b->edges, 0);
    assert_false(b->reset[USB].asserted);

    bench_buffers(g, 1, 136);
    assert_int_equal(ASK(g, RESET, 4, USB, AUTONOMOUS | ASYNC, 0), OK);
    b->broken_line = true;
    bench_pass(b, 10);
    EXPECT_EVENT(g, DELAYED(g, RESET, 4), (uint32_t)HARDWARE_ERROR);
    b->broken_line = false;
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(attributes),       SCMI_TEST(assert_and_deassert), SCMI_TEST(autonomous),
    SCMI_TEST(autonomous_async), SCMI_TEST(wrong_parameters),    SCMI_TEST(notify),
    SCMI_TEST(two_agents),       SCMI_TEST(broken_line),
};

ANYHV_TEST_MAIN("scmi-reset", tests)

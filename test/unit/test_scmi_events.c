/* SPDX-License-Identifier: Apache-2.0 */
/* The event queue: what waits when there is no buffer, and what a buffer is too small for. */
#include "scmi_bench.h"

/* Resets agent 1's line and tells it, which is subscribed to that. */
static void make_notice(struct scmi_bench *b)
{
    assert_int_equal(ASK(&b->guest[0], RESET, 4, NIC, 1, 0), OK);
}

/* Asking is possible before there is a buffer; what happens then waits for one. Proves
 * SCMI-EVENT-WAITS. */
static void no_buffer_yet(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    make_notice(b);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0), OK);
    bench_pass(b, 100);
    bench_buffers(g, 1, 136);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
    assert_false(bench_event(g));
    bench_buffers(g, 1, 136);
    EXPECT_EVENT(g, DELAYED(g, CLOCK, 5), OK, CPU, 1000000000, 0);
}

/* Of notifications the latest are kept; delayed responses all are. Proves SCMI-EVENT-DELAYED-KEPT.
 */
static void no_buffer_for_long(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    uint32_t first = g->token + 2;

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    for (unsigned i = 0; i < ANYHV_SCMI_DELAYED; i++)
        assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0), OK);
    for (unsigned i = 0; i < ANYHV_SCMI_NOTICES + 5; i++)
        make_notice(b);
    bench_pass(b, 100);
    assert_int_equal(g->scmi.counters.lost, 5);
    bench_buffers(g, ANYHV_SCMI_NOTICES + ANYHV_SCMI_DELAYED + 5, 136);
    for (unsigned i = 0; i < ANYHV_SCMI_NOTICES; i++)
        EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
    for (unsigned i = 0; i < ANYHV_SCMI_DELAYED; i++)
        EXPECT_EVENT(g, bench_header(CLOCK, 5, 2, first + i), OK, CPU, 1000000000, 0);
    assert_false(bench_event(g));
    assert_int_equal(g->scmi.counters.delayed, ANYHV_SCMI_DELAYED);
    assert_int_equal(g->scmi.counters.notices, ANYHV_SCMI_NOTICES);
}

/* Back-pressure: a command that would need one more place is refused, and nothing is lost. Proves
 * SCMI-EVENT-BUSY. */
static void too_many_in_work(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    anyhv_scmi_sensor_set(&b->platform, &b->sensor[BOARD_TEMP], &(int64_t){1});
    for (unsigned i = 0; i < ANYHV_SCMI_DELAYED; i++)
        assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), BUSY);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0), BUSY);
    assert_int_equal(ASK(g, RESET, 4, USB, 4 | 1, 0), BUSY);
    assert_int_equal(b->edges, 0);
    bench_pass(b, 100); /* they are complete, but nobody has taken them */
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), BUSY);
    bench_buffers(g, 1, 136);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), BUSY);
}

/* A notification larger than the buffer is left out, and the buffer serves the next. Proves
 * SCMI-EVENT-SIZE. */
static void small_buffers(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    bench_buffers(g, 2, 16);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 1000000000, 0), OK); /* would need 20 */
    assert_false(bench_event(g));
    assert_int_equal(g->scmi.counters.lost, 1);
    make_notice(b); /* needs 16 */
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1500000000, 0), OK);
    bench_pass(b, 20);
    assert_int_equal(g->scmi.counters.lost, 2);
    EXPECT_EVENT(g, DELAYED(g, CLOCK, 5), (uint32_t)COMMS_ERROR); /* its agent waits for it */
}

/* A buffer that could hold no event at all comes back. */
static void useless_buffers(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    bench_buffers(g, 2, 7);
    bench_buffers(g, 1, 16);
    make_notice(b);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(bench_event(g));
        assert_int_equal(g->nevent, 0);
    }
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
}

/* Memory of a buffer cannot be mapped just now: the event is not lost. */
static void memory_comes_back(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 5, USB, 1), OK);
    bench_buffers(g, 2, 136);
    g->lb.faults.result = ANYHV_E_NORES;
    g->lb.faults.after = 0;
    g->lb.faults.count = 100;
    assert_int_equal(ASK(&b->guest[1], RESET, 4, 0, 1, 0), OK);
    bench_run(b);
    g->lb.faults.result = 0;
    assert_false(bench_event(g));
    anyhv_mem_room(&g->lb.mem);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 2, USB, 0);
}

/* Events do not outlive the driver that they were for. */
static void reset_forgets(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    make_notice(b);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0), OK);
    bench_negotiate(g);
    bench_buffers(g, 4, 136);
    make_notice(b);
    bench_pass(b, 100);
    assert_false(bench_event(g));
}

/*
 * A driver that offers useless buffers as fast as they come back does not keep us for itself: there
 * is a pause after some of them.
 */
static void useless_buffers_for_ever(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    unsigned back = 0;

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    bench_buffers(g, 24, 7);
    bench_buffers(g, 1, 16);
    make_notice(b);
    while (bench_event(g)) {
        assert_int_equal(g->nevent, 0);
        back++;
    }
    assert_in_range(back, 1, 23);
    bench_pass(b, 0);
    for (; back < 24; back++)
        assert_true(bench_event(g) && g->nevent == 0);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
    assert_true(b->wake > b->now);
}

/* A command whose answer cannot be written just now is not accepted twice. */
static void one_response_for_one_command(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    uint32_t header = bench_header(RESET, 4, 0, 0);
    uint8_t reset_usb[16] = {(uint8_t)header, (uint8_t)(header >> 8), [8] = 4 | 1};
    unsigned waited = 0;

    bench_buffers(g, 16, 136);
    for (uint32_t after = 0; after < 6; after++) {
        g->lb.faults =
            (struct anyhv_loopback_faults){.after = after, .result = ANYHV_E_NORES, .count = 1};
        bench_post(g, reset_usb, 16, 8);
        bench_run(b);
        waited += anyhv_queue_held(g->dev, 0) != NULL;
        g->lb.faults.result = 0;
        anyhv_mem_room(&g->lb.mem);
        bench_run(b);
        assert_int_equal(bench_answer(g), 8);
        if (drv_peek32(&g->mem, g->in_at + 4) == OK) {
            bench_pass(b, 10);
            EXPECT_EVENT(g, bench_header(RESET, 4, 2, 0), OK, USB);
        }
        bench_pass(b, 100);
        assert_false(bench_event(g));
    }
    assert_in_range(waited, 2, 6); /* for the message, and for the answer */
    assert_int_equal(g->scmi.counters.delayed, b->edges / 2);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(no_buffer_yet),
    SCMI_TEST(no_buffer_for_long),
    SCMI_TEST(too_many_in_work),
    SCMI_TEST(small_buffers),
    SCMI_TEST(useless_buffers),
    SCMI_TEST_BOUNCE(memory_comes_back),
    SCMI_TEST(reset_forgets),
    SCMI_TEST(useless_buffers_for_ever),
    SCMI_TEST_BOUNCE(one_response_for_one_command),
};

ANYHV_TEST_MAIN("scmi-events", tests)

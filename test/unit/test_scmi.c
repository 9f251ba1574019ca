/* SPDX-License-Identifier: Apache-2.0 */
/* The SCMI device as a transport: which messages are answered, and how. */
#include "scmi_bench.h"

#include <stdlib.h>

/* The header comes back as it was sent, whatever the token. Proves SCMI-HEADER. */
static void header_is_echoed(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (unsigned i = 0; i < 1100; i++) {
        assert_int_equal(ASK(g, BASE, 0), OK); /* compares it; tokens have 10 bits */
        EXPECT_REPLY(g, 0x20000);
    }
}

/* Proves SCMI-VERSION. */
static void versions(void **state)
{
    static const uint32_t versions[][2] = {
        {BASE, 0x20000}, {CLOCK, 0x20000}, {SENSOR, 0x20000}, {RESET, 0x10000}};
    struct scmi_bench *b = *state;

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ASK(&b->guest[0], versions[i][0], 0), OK);
        EXPECT_REPLY(&b->guest[0], versions[i][1]);
    }
}

/* Proves SCMI-UNKNOWN. */
static void unknown_messages(void **state)
{
    static const uint32_t unknown[][2] = {{BASE, 12},   {BASE, 0xff}, {CLOCK, 8},   {CLOCK, 11},
                                          {SENSOR, 12}, {RESET, 6},   {0x11, 0},    {0x13, 1},
                                          {0x17, 0},    {0x0, 0},     {0xff, 0xff}, {0x1a, 2}};
    struct scmi_bench *b = *state;

    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(ASK(&b->guest[0], unknown[i][0], unknown[i][1]), NOT_SUPPORTED);
}

/* A protocol of which an agent has nothing is not there for it. Proves SCMI-HIDDEN. */
static void protocol_of_others(void **state)
{
    struct scmi_bench *b = *state;

    assert_int_equal(ASK(&b->guest[1], CLOCK, 0), OK);
    assert_int_equal(ASK(&b->guest[1], SENSOR, 0), NOT_SUPPORTED);
    assert_int_equal(ASK(&b->guest[1], SENSOR, 6, 0, 0), NOT_SUPPORTED);
}

/* Proves SCMI-MESSAGE-ATTRIBUTES. */
static void message_attributes(void **state)
{
    static const struct {
        uint32_t protocol, last;
        uint32_t holes;
    } tables[] = {{BASE, 11, 0}, {CLOCK, 10, 1 << 8}, {SENSOR, 11, 0}, {RESET, 5, 0}};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t m = 0; m < 40; m++) {
            bool there = m <= tables[i].last && !(tables[i].holes >> m & 1);

            assert_int_equal(ASK(g, tables[i].protocol, 2, m), there ? OK : NOT_FOUND);
            if (there)
                EXPECT_REPLY(g, 0);
        }
        assert_int_equal(ASK(g, tables[i].protocol, 2, 0x100), NOT_FOUND);
        assert_int_equal(ASK(g, tables[i].protocol, 2, UINT32_MAX), NOT_FOUND);
    }
}

/* Without an event queue, what needs one is neither advertised nor there. Proves SCMI-NO-EVENTS. */
static void without_events(void **state)
{
    static const uint32_t commands[][2] = {{BASE, 8},   {CLOCK, 9},   {CLOCK, 10}, {SENSOR, 4},
                                           {SENSOR, 5}, {SENSOR, 11}, {RESET, 5}};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        assert_int_equal(ASK(g, commands[i][0], commands[i][1], 0, 1), NOT_SUPPORTED);
        assert_int_equal(ASK(g, commands[i][0], 2, commands[i][1]), NOT_FOUND);
    }
    assert_int_equal(ASK(g, CLOCK, 1), OK);
    EXPECT_REPLY(g, NCLOCKS);
    assert_int_equal(ASK(g, CLOCK, 3, CPU), OK);
    assert_int_equal(g->reply[0], 0);
    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 500000000, 0), NOT_SUPPORTED);
    assert_int_equal(ASK(g, SENSOR, 1), OK);
    assert_int_equal(g->reply[0], NSENSORS);
    assert_int_equal(ASK(g, SENSOR, 3, TEMP), OK);
    assert_int_equal(g->reply[2], 1 << 9 | 29 << 10);
    assert_int_equal(ASK(g, SENSOR, 6, BOARD_TEMP, 1), NOT_SUPPORTED);
    assert_int_equal(ASK(g, RESET, 3, USB), OK);
    assert_int_equal(g->reply[0], 0);
    assert_int_equal(ASK(g, RESET, 4, USB, 4 | 1, 0), NOT_SUPPORTED);
}

/* Proves SCMI-LENGTH. */
static void wrong_lengths(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, BASE, 0, 1), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, BASE, 2), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, BASE, 2, 0, 0), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, CLOCK, 5, 0, 0, 0), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, CLOCK, 5, 0, 0, 0, 0, 0), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, SENSOR, 6, 0), PROTOCOL_ERROR);
    assert_int_equal(ASK(g, RESET, 4, 0, 0, 0, 0, 0, 0, 0, 0), PROTOCOL_ERROR);
    assert_int_equal(b->clock[CPU].rate, 500000000);
}

/* Only commands come from agents. Proves SCMI-TYPE. */
static void wrong_types(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (uint8_t type = 1; type < 4; type++) {
        uint8_t message[4] = {0, (uint8_t)(type | 0x40), 0, 0};

        assert_int_equal(bench_send_raw(g, message, 4, 12), 8);
        assert_int_equal(drv_peek32(&g->mem, g->in_at), 0x4000u | type << 8);
        assert_int_equal((int32_t)drv_peek32(&g->mem, g->in_at + 4), PROTOCOL_ERROR);
    }
}

/* A reply that does not fit is an error, alone; lists are cut where the room ends. Proves
 * SCMI-ROOM. */
static void little_room(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    g->room = 0;
    assert_int_equal(ASK(g, BASE, 0), COMMS_ERROR);
    assert_int_equal(ASK(g, CLOCK, 6, CPU), COMMS_ERROR);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 0), OK);
    g->room = 15;
    assert_int_equal(ASK(g, BASE, 3), COMMS_ERROR);
    g->room = 16;
    assert_int_equal(ASK(g, BASE, 3), OK);
    g->room = 4;
    assert_int_equal(ASK(g, CLOCK, 4, CPU, 0), COMMS_ERROR);
    g->room = 12;
    assert_int_equal(ASK(g, CLOCK, 4, CPU, 0), OK);
    EXPECT_REPLY(g, 1 | 2 << 16, 500000000, 0);
    g->room = 8000;
    assert_int_equal(ASK(g, SENSOR, 3, 0), OK);
    assert_in_range(4 * g->nreply, NSENSORS * 28, 504);
}

/* Requests and answers may be cut into descriptors in any way. Proves SCMI-FRAMING. */
static void however_it_is_cut(void **state)
{
    static const uint8_t message[8] = {2, 0x40, 0, 0, 6};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    uint64_t at = drv_alloc(&g->mem, 64, 8);

    memcpy(drv_ptr(&g->mem, at, 8), message, 8);
    for (uint32_t cut = 1; cut < 8; cut++) {
        struct drv_buf out[8], in[12];
        struct drv_chain chain = {.out = out, .in = in, .direct = DRV_DIRECT};
        struct drv_used used;

        for (uint32_t i = 0; i < 8; i += cut)
            out[chain.nout++] = (struct drv_buf){at + i, i + cut > 8 ? 8 - i : cut};
        for (uint32_t i = 0; i < 12; i += cut)
            in[chain.nin++] = (struct drv_buf){at + 16 + i, i + cut > 12 ? 12 - i : cut};
        memset(drv_ptr(&g->mem, at + 16, 16), 0xee, 16);
        assert_true(drv_ring_add(&g->ring[0], &chain) >= 0);
        drv_submit(&g->mmio.transport, 0, &g->ring[0]);
        bench_run(b);
        assert_true(drv_ring_get(&g->ring[0], &used));
        assert_int_equal(used.len, 12);
        assert_int_equal(drv_peek32(&g->mem, at + 16), 0x4002);
        assert_int_equal(drv_peek32(&g->mem, at + 20), 0);
        assert_int_equal(drv_peek32(&g->mem, at + 28), 0xeeeeeeee);
    }
}

/* The next use of guest memory but @after fails, once. */
static void fail_once(struct bench_guest *g, uint32_t after)
{
    g->lb.faults =
        (struct anyhv_loopback_faults){.after = after, .result = ANYHV_E_NORES, .count = 1};
}

/* Memory that cannot be mapped just now: the command waits until it can. */
static void memory_comes_back(void **state)
{
    static const uint8_t version[4] = {0, 0x40, 0, 0};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    unsigned waited = 0;

    for (uint32_t after = 0; after < 6; after++) {
        fail_once(g, after);
        bench_post(g, version, 4, 12);
        bench_run(b);
        waited += anyhv_queue_held(g->dev, 0) != NULL;
        g->lb.faults.result = 0;
        anyhv_mem_room(&g->lb.mem);
        bench_run(b);
        assert_int_equal(bench_answer(g), 12);
        assert_int_equal(drv_peek32(&g->mem, g->in_at + 8), 0x20000);
    }
    assert_in_range(waited, 2, 6); /* for the message, and for the answer */
}

/* An autonomous reset that may have happened does not happen again; all else does no harm twice. */
static void replayed_commands(void **state)
{
    static const uint8_t reset[16] = {4, 0x58, 0, 0, 0, 0, 0, 0, 1},
                         enable[12] = {7, 0x50, 0, 0, 0, 0, 0, 0, 1};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    unsigned refused = 0;

    bench_post(g, reset, 16, 8); /* not taken yet: it is new to the successor */
    bench_succeed(g);
    assert_int_equal(bench_answer(g), 8);
    assert_int_equal(drv_peek32(&g->mem, g->in_at + 4), 0);
    assert_int_equal(b->reset[USB].pulses, 1);

    for (uint32_t after = 0; after < 6; after++) {
        int32_t status;

        b->reset[USB].pulses = 0;
        fail_once(g, after);
        bench_post(g, reset, 16, 8);
        bench_run(b);
        g->lb.faults.result = 0;
        bench_succeed(g);
        assert_int_equal(bench_answer(g), 8);
        status = (int32_t)drv_peek32(&g->mem, g->in_at + 4);
        assert_true(status == OK || status == GENERIC_ERROR);
        assert_in_range(b->reset[USB].pulses, status == OK, 1);
        refused += status == GENERIC_ERROR;

        fail_once(g, after);
        bench_post(g, enable, 12, 8);
        bench_run(b);
        g->lb.faults.result = 0;
        bench_succeed(g);
        assert_int_equal(bench_answer(g), 8);
        assert_int_equal(drv_peek32(&g->mem, g->in_at + 4), 0);
    }
    assert_in_range(refused, 2, 6);
}

/*
 * A command that was carried out and could not be answered when the device became quiet: it does
 * not happen a second time when the device goes on, and its driver gets it back.
 */
static void quiet_before_the_answer(void **state)
{
    static const uint8_t reset[16] = {4, 0x58, 0, 0, 0, 0, 0, 0, 1};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    unsigned answered[2] = {0}, waited = 0;

    for (uint32_t i = 0; i < 12; i++) {
        uint32_t len;

        b->reset[USB].pulses = 0;
        fail_once(g, i / 2);
        if (i % 2)
            g->lb.faults.count = 100;
        bench_post(g, reset, 16, 8);
        bench_run(b);
        waited += anyhv_queue_held(g->dev, 0) != NULL;
        if (anyhv_ctl_quiesce(g->dev) == ANYHV_LATER)
            bench_run(b);
        g->lb.faults.result = 0;
        anyhv_mem_room(&g->lb.mem);
        bench_run(b);
        anyhv_ctl_resume(g->dev);
        bench_run(b);
        len = bench_answer(g);
        assert_int_equal(b->reset[USB].pulses, 1);
        assert_true(len == 0 || len == 8);
        answered[len == 8]++;
        if (len)
            assert_int_equal(drv_peek32(&g->mem, g->in_at + 4), OK);
    }
    assert_in_range(waited, 4, 12);
    assert_in_range(answered[0], 1, 6); /* memory did not come back before it was quiet */
    assert_in_range(answered[1], 6, 11);
    assert_int_equal(ASK(g, BASE, 0), OK);
}

/* What an agent asked for goes with its driver: nothing stays on behind it. Proves SCMI-LEAVE. */
static void a_guest_leaves(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    assert_int_equal(ASK(g, RESET, 4, NIC, 2, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, USB, 4 | 1, 0), OK); /* is in work for 10 ms */
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 2), OK);
    assert_true(b->clock[CPU].on && b->reset[NIC].asserted && b->reset[USB].asserted);
    assert_true(g->mmio.transport.ops->reset(&g->mmio.transport));
    assert_false(b->clock[CPU].on || b->reset[NIC].asserted || b->reset[USB].asserted);
    bench_negotiate(g);
    bench_buffers(g, 4, 136);
    assert_int_equal(ASK(g, SENSOR, 9, ACCEL), OK);
    assert_int_equal(g->reply[0] & 3, 1);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 1000000000, 0), OK);
    bench_pass(b, 100);
    assert_false(bench_event(g));
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(header_is_echoed),
    SCMI_TEST(versions),
    SCMI_TEST(unknown_messages),
    SCMI_TEST(protocol_of_others),
    SCMI_TEST(message_attributes),
    SCMI_TEST_PLAIN(without_events),
    SCMI_TEST(wrong_lengths),
    SCMI_TEST(wrong_types),
    SCMI_TEST(little_room),
    SCMI_TEST(however_it_is_cut),
    SCMI_TEST_BOUNCE(memory_comes_back),
    SCMI_TEST_JOURNAL(replayed_commands),
    SCMI_TEST_BOUNCE(quiet_before_the_answer),
    SCMI_TEST(a_guest_leaves),
};

ANYHV_TEST_MAIN("scmi", tests)

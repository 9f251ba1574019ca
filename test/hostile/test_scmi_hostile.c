/* SPDX-License-Identifier: Apache-2.0 */
/* Case 84: what a hostile driver sends to the SCMI device. */
#include "unit/scmi_bench.h"

#include <stdlib.h>

static void alive(struct scmi_bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ASK(&b->guest[i], BASE, 0), OK);
        EXPECT_REPLY(&b->guest[i], 0x20000);
    }
}

/* Every length of a message, into every room: an answer within it, or none. */
static void any_length_any_room(void **state)
{
    static const uint8_t message[600] = {6, 0x40};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (uint32_t len = 0; len < 40; len++) {
        for (uint32_t room = 0; room < 20; room++) {
            uint32_t used;

            if (!len && !room)
                continue;
            used = bench_send_raw(g, message, len, room);
            if (len < 4 || room < 8)
                assert_int_equal(used, 0);
            else if (len == 8 && room >= 16)
                assert_int_equal(used, 16);
            else
                assert_int_equal(used, 8);
        }
    }
    assert_int_equal(bench_send_raw(g, message, 600, 8), 8);
    assert_int_equal((int32_t)drv_peek32(&g->mem, g->in_at + 4), PROTOCOL_ERROR);
    alive(b);
}

/* Gigabytes of the same page, to read and to write: neither is looked at. */
static void enormous_buffers(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    struct drv_buf out[4], in[4];
    struct drv_chain chain = {.out = out, .nout = 4, .in = in, .nin = 4, .direct = DRV_DIRECT};
    struct drv_used used;

    for (unsigned i = 0; i < 4; i++) {
        out[i] = (struct drv_buf){BENCH_BASE, (uint32_t)BENCH_RAM};
        in[i] = (struct drv_buf){BENCH_BASE, (uint32_t)BENCH_RAM};
    }
    out[0] = (struct drv_buf){g->out_at, 4};
    drv_poke32(&g->mem, g->out_at, 0x4003);
    in[0] = (struct drv_buf){g->in_at, 8};
    assert_true(drv_ring_add(&g->ring[0], &chain) >= 0);
    drv_submit(&g->mmio.transport, 0, &g->ring[0]);
    bench_run(b);
    assert_true(drv_ring_get(&g->ring[0], &used));
    assert_int_equal(used.len, 8);
    assert_int_equal((int32_t)drv_peek32(&g->mem, g->in_at + 4), PROTOCOL_ERROR);
    alive(b);
}

/* All that a command can change but permissions, which base has; errors change none of it. */
struct snapshot {
    struct anyhv_scmi_clock clock[NCLOCKS];
    struct anyhv_scmi_reset reset[NRESETS];
    struct anyhv_scmi_agent_clock agent_clock[2][NCLOCKS];
    struct anyhv_scmi_agent_sensor agent_sensor[2][NSENSORS];
    struct anyhv_scmi_agent_reset agent_reset[2][NRESETS];
    uint16_t denied[2][ANYHV_SCMI_DEVICES];
    bool notify_errors[2];
    unsigned edges;
};

static void take(struct snapshot *s, const struct scmi_bench *b)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->clock, b->clock, sizeof(s->clock));
    memcpy(s->reset, b->reset, sizeof(s->reset));
    memcpy(s->agent_clock, b->agent_clock, sizeof(s->agent_clock));
    memcpy(s->agent_sensor, b->agent_sensor, sizeof(s->agent_sensor));
    memcpy(s->agent_reset, b->agent_reset, sizeof(s->agent_reset));
    for (unsigned i = 0; i < 2; i++) {
        memcpy(s->denied[i], b->agent[i].denied, sizeof(s->denied[i]));
        s->notify_errors[i] = b->agent[i].notify_errors;
    }
    s->edges = b->edges;
}

/* Protocol, message and of @id, @x, @x, @x the first @n: a status, and no change unless it is OK.
 */
static bool any_words(struct bench_guest *g, uint32_t protocol, uint32_t message, uint32_t id,
                      uint32_t x, unsigned n)
{
    const uint32_t words[6] = {protocol, message, id, x, x, x};
    struct snapshot before, after;
    int32_t status;

    take(&before, g->bench);
    status = bench_ask(g, words, 2 + n);
    take(&after, g->bench);
    assert_in_range(-status, 0, -PROTOCOL_ERROR);
    if (status != OK && memcmp(&before, &after, sizeof(before)) != 0)
        fail_msg("protocol 0x%x, message %u: status %d, and something changed", protocol, message,
                 status);
    return status == OK;
}

/* Words that could be indices, flags or rates, in all messages of all protocols that there are. */
static void any_parameters(void **state)
{
    static const uint32_t words[] = {0, 1, 30, 31, 0x7fffffff, UINT32_MAX};
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    unsigned accepted = 0;

    bench_buffers(g, 8, 136);
    for (uint32_t protocol = BASE; protocol <= RESET; protocol++) {
        for (uint32_t i = 0; i < 16 * 6; i++) {
            uint32_t message = i / 6, x = words[i % 6];

            for (unsigned n = 0; n <= 4; n++) {
                accepted += any_words(g, protocol, message, x, x, n);
                accepted += any_words(g, protocol, message, 0, x, n);
            }
        }
    }
    assert_in_range(accepted, 20, 1000);
    bench_pass(b, 1000);
    alive(b);
}

/* All numbers of protocols and messages. */
static void every_header(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    for (uint32_t i = 0; i < 256; i++) {
        bool known = i == BASE || (i >= CLOCK && i <= RESET);

        assert_int_equal(ASK(g, i, 0), known ? OK : NOT_SUPPORTED);
        assert_int_equal(ASK(g, CLOCK, i, 0, 0, 0),
                         i < 3 || (i < 11 && i != 8) ? PROTOCOL_ERROR : NOT_SUPPORTED);
    }
    alive(b);
}

/* No buffer for events, ever, while everything that makes some is switched on. */
static void no_event_buffers(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];

    assert_int_equal(ASK(g, SENSOR, 11, ACCEL, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 3, 35000, 0), OK);
    assert_int_equal(ASK(g, RESET, 5, USB, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(ASK(g, RESET, 4, USB, 1, 0), OK);
        assert_int_equal(ASK(g, CLOCK, 7, CPU, i & 1), OK);
        ASK(g, CLOCK, 5, 1, CPU, i & 1 ? 500000000 : 1500000000, 0);
        bench_pass(b, 100);
    }
    assert_in_range(g->scmi.counters.lost, 1000, 100000);
    alive(b);
}

/* Commands on the event queue, events on the command queue: both come back. */
static void queues_mixed_up(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0];
    struct drv_buf out = {g->out_at, 4};
    struct drv_chain chain = {.out = &out, .nout = 1, .direct = DRV_DIRECT};
    struct drv_used used;

    assert_int_equal(bench_send_raw(g, NULL, 0, 136), 0);
    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    assert_true(drv_ring_add(&g->ring[1], &chain) >= 0);
    drv_submit(&g->mmio.transport, 1, &g->ring[1]);
    assert_int_equal(ASK(g, RESET, 4, NIC, 1, 0), OK);
    assert_true(drv_ring_get(&g->ring[1], &used));
    assert_int_equal(used.len, 0);
    alive(b);
}

/* One agent cannot fill another's places, nor see its events. */
static void one_agent_floods(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];

    bench_buffers(other, 4, 136);
    for (unsigned i = 0; i < 100; i++)
        ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0);
    assert_int_equal(ASK(other, RESET, 4, 0, 4 | 1, 0), OK);
    bench_pass(b, 10);
    EXPECT_EVENT(other, DELAYED(other, RESET, 4), OK, 0);
    assert_false(bench_event(other));
    alive(b);
}

#define HOSTILE(f)                                                                  \
    {                                                                               \
        .name = "scmi/" #f ".case-84", .test_func = (f), .setup_func = bench_setup, \
        .teardown_func = bench_teardown                                             \
    }

static const struct CMUnitTest tests[] = {
    HOSTILE(any_length_any_room), HOSTILE(enormous_buffers), HOSTILE(every_header),
    HOSTILE(any_parameters),      HOSTILE(no_event_buffers), HOSTILE(queues_mixed_up),
    HOSTILE(one_agent_floods),
};

ANYHV_TEST_MAIN("scmi-hostile", tests)

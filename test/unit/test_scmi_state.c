/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that moves: what it asked for holds where it comes to, and what is loaded is not
 * believed. */
#include "scmi_bench.h"

#include <stdlib.h>

static uint8_t *save(struct bench_guest *g, size_t *len)
{
    uint8_t *bytes;

    assert_int_equal(anyhv_dev_save(g->dev, NULL, 0, len), ANYHV_E_NORES);
    bytes = malloc(*len);
    assert_int_equal(anyhv_dev_save(g->dev, bytes, *len, len), ANYHV_OK);
    return bytes;
}

/* To another process, whose platform nobody has used yet. */
static void move(struct bench_guest *g)
{
    size_t len;
    uint8_t *bytes = save(g, &len);

    bench_move(g);
    assert_int_equal(anyhv_dev_load(g->dev, bytes, len, true), ANYHV_OK);
    bench_run(g->bench);
    free(bytes);
}

/* Only the second agent stays as it was, with the state that the platform now is in. */
static struct bench_guest *alone(struct scmi_bench *b)
{
    bench_leave(&b->guest[1]);
    return &b->guest[0];
}

/* Proves SCMI-MOVE. */
static void answers_stay_the_same(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);

    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 1500000000, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, BUS, 50000000, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, NIC, 2, 0), OK);
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 100u << 16 | 0x1du << 11 | 3), OK);
    assert_int_equal(ASK(g, BASE, 9, 1, DEVICE_USB, 0), OK);
    move(g);
    assert_true(b->clock[CPU].on && b->reset[NIC].asserted);
    assert_int_equal(ASK(g, CLOCK, 6, CPU), OK);
    EXPECT_REPLY(g, 1500000000, 0);
    assert_int_equal(ASK(g, CLOCK, 6, BUS), OK);
    EXPECT_REPLY(g, 50000000, 0);
    assert_int_equal(ASK(g, SENSOR, 9, ACCEL), OK);
    EXPECT_REPLY(g, 100u << 16 | 0x1du << 11 | 3);
    assert_int_equal(ASK(g, RESET, 4, USB, 1, 0), DENIED);
    assert_true(g->mmio.transport.ops->reset(&g->mmio.transport)); /* it can be taken back */
    assert_false(b->clock[CPU].on || b->reset[NIC].asserted);
}

static void notifications_go_on(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);

    bench_buffers(g, 8, 136);
    assert_int_equal(ASK(g, CLOCK, 9, CPU, 1), OK);
    assert_int_equal(ASK(g, RESET, 5, USB, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 5, TEMP, 1 << 4 | 3, 35000, 0), OK);
    assert_int_equal(ASK(g, SENSOR, 4, TEMP, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 11, ACCEL, 1), OK);
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 1000u << 16 | 0x1du << 11 | 1), OK);
    move(g);
    assert_int_equal(ASK(g, RESET, 4, USB, 1, 0), OK);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, USB, 0);
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 1000000000, 0), OK);
    EXPECT_EVENT(g, NOTIFICATION(CLOCK, 0), 1, CPU, 1000000000, 0);
    bench_pass(b, 999); /* the clock's heat: 10000 in a second, so above 35000 after a half */
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 0), 0, TEMP, 1 << 16 | 1);
    assert_false(bench_event(g));
    bench_pass(b, 1);
    EXPECT_EVENT(g, NOTIFICATION(SENSOR, 1), 0, ACCEL, 1, 0, 0, 0, UINT32_MAX - 1, UINT32_MAX, 0, 0,
                 981, 0, 0, 0);
}

/* What was in work is over when the guest comes: its answer is there, or waits for a buffer. */
static void work_is_brought_to_its_end(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);
    uint32_t rate, reset;

    assert_int_equal(ASK(g, CLOCK, 5, 1, CPU, 1000000000, 0), OK);
    rate = DELAYED(g, CLOCK, 5);
    assert_int_equal(ASK(g, RESET, 4, USB, 5, 0), OK);
    reset = DELAYED(g, RESET, 4);
    assert_true(b->reset[USB].asserted);
    move(g);
    assert_false(b->reset[USB].asserted);
    assert_int_equal(b->reset[USB].pulses, 0); /* the other process did it */
    assert_int_equal(ASK(g, CLOCK, 6, CPU), OK);
    EXPECT_REPLY(g, 1000000000, 0);
    bench_buffers(g, 2, 136);
    EXPECT_EVENT(g, reset, 0, USB);
    EXPECT_EVENT(g, rate, 0, CPU, 1000000000, 0);
    bench_pass(b, 100);
    assert_false(bench_event(g));
}

/* Their order, and how long they are. */
static void events_that_wait_go_along(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);

    assert_int_equal(ASK(g, RESET, 5, NIC, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 10, CPU, 1), OK);
    assert_int_equal(ASK(g, RESET, 4, NIC, 1, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 500000000, 0), OK);
    move(g);
    assert_int_equal(ASK(g, RESET, 4, NIC, 1, 0), OK);
    bench_buffers(g, 3, 136);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
    EXPECT_EVENT(g, NOTIFICATION(CLOCK, 1), 1, CPU, 500000000, 0);
    EXPECT_EVENT(g, NOTIFICATION(RESET, 0), 1, NIC, 0);
}

/* Two agents of one platform: one that comes counts beside the one that was there. */
static void among_others(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = &b->guest[0], *other = &b->guest[1];
    size_t len;
    uint8_t *bytes;

    assert_int_equal(ASK(g, RESET, 4, USB, 2, 0), OK);
    assert_int_equal(ASK(g, CLOCK, 7, BUS, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, BUS, 50000000, 0), OK);
    bytes = save(g, &len);
    bench_leave(g);
    assert_int_equal(ASK(other, CLOCK, 7, 0, 1), OK);
    assert_int_equal(ASK(other, CLOCK, 5, 0, 0, 90000000, 0), OK);
    bench_succeed(g); /* somebody is there again, of whom this is loaded */
    assert_true(g->mmio.transport.ops->reset(&g->mmio.transport));
    assert_false(b->reset[USB].asserted);
    assert_int_equal(anyhv_dev_load(g->dev, bytes, len, true), ANYHV_OK);
    assert_true(b->reset[USB].asserted);
    assert_int_equal(b->clock[BUS].rate, 90000000);
    free(bytes);
}

/* ---- what is loaded is hostile input ---- */

static int load(struct bench_guest *g, const uint8_t *bytes, size_t len)
{
    int rc;

    assert_true(g->mmio.transport.ops->reset(&g->mmio.transport));
    rc = anyhv_dev_load(g->dev, bytes, len, true);
    bench_run(g->bench);
    return rc;
}

static bool untouched(const struct scmi_bench *b)
{
    return !b->clock[CPU].on && !b->reset[NIC].asserted && !b->agent_sensor[0][ACCEL].stamp &&
           !b->agent_clock[0][CPU].wish && !b->agent[0].denied[0];
}

static uint8_t *something(struct bench_guest *g, size_t *len)
{
    assert_int_equal(ASK(g, CLOCK, 7, CPU, 1), OK);
    assert_int_equal(ASK(g, CLOCK, 5, 0, CPU, 1000000000, 0), OK);
    assert_int_equal(ASK(g, RESET, 4, NIC, 2, 0), OK);
    assert_int_equal(ASK(g, SENSOR, 10, ACCEL, 3), OK);
    return save(g, len);
}

static void of_another_length(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);
    size_t len, whole;
    uint8_t *bytes = something(g, &whole), *longer = calloc(1, whole + 4);

    memcpy(longer, bytes, whole);
    for (len = 0; len < whole; len++) {
        assert_true(load(g, bytes, len) < 0);
        assert_true(untouched(b));
    }
    assert_int_equal(load(g, longer, whole + 4), ANYHV_E_INVAL);
    assert_true(untouched(b));
    assert_int_equal(load(g, bytes, whole), ANYHV_OK);
    assert_false(untouched(b));
    free(bytes);
    free(longer);
}

/* Each byte, wrong: refused and nothing changed, or something that an agent may have asked for. */
static void wrong_bytes(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);
    size_t len;
    uint8_t *bytes = something(g, &len);
    unsigned refused = 0;

    bench_buffers(g, 8, 136);
    for (size_t i = 0; i < len; i++) {
        for (unsigned k = 0; k < sizeof(values); k++) {
            uint8_t before = bytes[i];
            uint64_t rate;

            memset(b->agent[0].denied, 0, sizeof(b->agent[0].denied));
            bytes[i] = values[k];
            if (load(g, bytes, len) != ANYHV_OK) {
                refused++;
                assert_true(untouched(b));
            }
            rate = b->clock[CPU].rate;
            assert_true(rate == 500000000 || rate == 1000000000 || rate == 1500000000);
            bench_pass(b, 20);
            bytes[i] = before;
        }
    }
    assert_true(refused > len); /* most of them, of six values each */
    free(bytes);
}

/* The same agent of a platform that has something else. */
static void another_platform(void **state)
{
    struct scmi_bench *b = *state;
    struct bench_guest *g = alone(b);
    size_t len;
    uint8_t *bytes = something(g, &len);

    assert_true(g->mmio.transport.ops->reset(&g->mmio.transport));
    b->agent[0].nresets--;
    assert_int_equal(load(g, bytes, len), ANYHV_E_INVAL);
    b->agent[0].nresets++;
    b->platform.device[0] = 77;
    assert_int_equal(load(g, bytes, len), ANYHV_E_INVAL);
    b->platform.device[0] = DEVICE_CPU;
    b->agent_clock[0][CPU].grant.write = false;
    assert_int_equal(load(g, bytes, len), ANYHV_E_INVAL);
    b->agent_clock[0][CPU].grant.write = true;
    b->agent_reset[0][NIC].grant.write = false;
    assert_int_equal(load(g, bytes, len), ANYHV_E_INVAL);
    b->agent_reset[0][NIC].grant.write = true;
    b->sensor[ACCEL].timestamps = false;
    assert_int_equal(load(g, bytes, len), ANYHV_E_INVAL);
    assert_true(untouched(b));
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(answers_stay_the_same),
    SCMI_TEST(notifications_go_on),
    SCMI_TEST(work_is_brought_to_its_end),
    SCMI_TEST(events_that_wait_go_along),
    SCMI_TEST(among_others),
    SCMI_TEST(of_another_length),
    SCMI_TEST(wrong_bytes),
    SCMI_TEST(another_platform),
};

ANYHV_TEST_MAIN("scmi-state", tests)

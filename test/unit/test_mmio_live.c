/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mmio in use: the set-up that Linux does, the interrupt line, ready, reset, notify, resume.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static struct anyhv_mmio_ops watched;
static const struct anyhv_mmio_ops *real_ops;

static struct bench *of_mmio(struct anyhv_mmio *mmio)
{
    return anyhv_dev_priv(&mmio->dev);
}

static void note_irq(struct anyhv_mmio *mmio, bool level)
{
    struct bench *b = of_mmio(mmio);

    /* Whoever is interrupted reads the reason at once. */
    bench_note(b, "irq:%d/%u", level, mmio->dev.state->interrupt_status);
    real_ops->irq(mmio, level);
}

static void note_changed(struct anyhv_mmio *mmio, unsigned queue)
{
    bench_note(of_mmio(mmio), "changed:%u", queue);
}

static void note_quiet(struct anyhv_mmio *mmio)
{
    bench_note(of_mmio(mmio), "quiet");
}

/* The model's own port, and notes of what it makes of it. */
static void watch(struct bench *b)
{
    b->dev->port = b->real_port;
    real_ops = b->lb.mmio.ops;
    watched = *real_ops;
    watched.irq = note_irq;
    watched.queue_changed = note_changed;
    watched.quiet = note_quiet;
    b->lb.mmio.ops = &watched;
}

static uint32_t get(struct bench *b, uint32_t off)
{
    uint64_t value = 0xeeeeeeeeeeeeeeee;

    assert_int_equal(anyhv_loopback_access(&b->lb, off, 4, false, &value), ANYHV_OK);
    return (uint32_t)value;
}

static int put(struct bench *b, uint32_t off, uint64_t value)
{
    return anyhv_loopback_access(&b->lb, off, 4, true, &value);
}

static void must_put(struct bench *b, uint32_t off, uint32_t value)
{
    assert_int_equal(put(b, off, value), ANYHV_OK);
}

static void attach(struct bench *b, const struct bench_options *options)
{
    bench_attach(b, options);
    watch(b);
    bench_ring(b, 0);
    bench_ring(b, 1);
}

static void write_ring(struct bench *b, unsigned queue)
{
    const struct drv_ring *ring = &b->ring[queue];

    must_put(b, DRV_MMIO_QUEUE_SEL, queue);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
    must_put(b, DRV_MMIO_QUEUE_SIZE, ring->size);
    must_put(b, DRV_MMIO_QUEUE_DESC, (uint32_t)ring->desc);
    must_put(b, DRV_MMIO_QUEUE_DESC + 4, (uint32_t)(ring->desc >> 32));
    must_put(b, DRV_MMIO_QUEUE_DRIVER, (uint32_t)ring->driver);
    must_put(b, DRV_MMIO_QUEUE_DRIVER + 4, (uint32_t)(ring->driver >> 32));
    must_put(b, DRV_MMIO_QUEUE_DEVICE, (uint32_t)ring->device);
    must_put(b, DRV_MMIO_QUEUE_DEVICE + 4, (uint32_t)(ring->device >> 32));
}

/* What Linux does from probe to FEATURES_OK, access by access. */
static void probe(struct bench *b, uint64_t features)
{
    features |= DRV_F_VERSION_1;
    assert_int_equal(get(b, DRV_MMIO_MAGIC), 0x74726976);
    assert_int_equal(get(b, DRV_MMIO_VERSION), 2);
    assert_int_not_equal(get(b, DRV_MMIO_DEVICE_ID), 0);
    get(b, DRV_MMIO_VENDOR_ID);
    must_put(b, DRV_MMIO_STATUS, 0);
    must_put(b, DRV_MMIO_STATUS, get(b, DRV_MMIO_STATUS) | 1);
    must_put(b, DRV_MMIO_STATUS, get(b, DRV_MMIO_STATUS) | 2);
    must_put(b, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(get(b, DRV_MMIO_DEVICE_FEATURES) & 1, 1);
    must_put(b, DRV_MMIO_DEVICE_FEATURES_SEL, 0);
    get(b, DRV_MMIO_DEVICE_FEATURES);
    must_put(b, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
    must_put(b, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    must_put(b, DRV_MMIO_DRIVER_FEATURES_SEL, 0);
    must_put(b, DRV_MMIO_DRIVER_FEATURES, (uint32_t)features);
    must_put(b, DRV_MMIO_STATUS, get(b, DRV_MMIO_STATUS) | 8);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 11);
}

static void up(struct bench *b, const struct bench_options *options)
{
    attach(b, options);
    probe(b, options->features);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        write_ring(b, i);
        must_put(b, DRV_MMIO_QUEUE_READY, 1);
    }
    must_put(b, DRV_MMIO_STATUS, get(b, DRV_MMIO_STATUS) | 4);
    bench_run(b);
    b->trace[0] = '\0';
}

static const struct bench_options plain = {.registers = true};

static void the_way_linux_comes_up(void **state)
{
    struct bench *b = *state;
    uint64_t token;

    b->on_request = bench_echo;
    attach(b, &plain);
    probe(b, 0);
    bench_expect_trace(b, "irq:0/0 "); /* the reset */
    write_ring(b, 0);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_SIZE_MAX), BENCH_MAX_SIZE);
    must_put(b, DRV_MMIO_QUEUE_READY, 1);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 1);
    must_put(b, DRV_MMIO_QUEUE_SEL, 1);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
    must_put(b, DRV_MMIO_STATUS, get(b, DRV_MMIO_STATUS) | 4);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 15);
    bench_expect_trace(b, "changed:0 start ");

    token = bench_put(b, 0, 5, 9);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0);
    bench_expect_none(b, 0); /* the vCPU is let go first */
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 0);
    bench_run(b);
    bench_expect_trace(b, "irq:1/1 ");
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 1);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 1);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 0);
    bench_expect_trace(b, "irq:0/0 ");
    bench_expect(b, 0, token, 5);
    for (unsigned v = 0; v < ANYHV_V_COUNT; v++)
        assert_int_equal(b->dev->violations[v], 0);

    /* And how it goes. */
    must_put(b, DRV_MMIO_STATUS, 0);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 0);
    must_put(b, DRV_MMIO_QUEUE_SEL, 0);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
    must_put(b, DRV_MMIO_QUEUE_READY, 0);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
}

/* ---- the interrupt line ---- */

static void answer_one(struct bench *b, unsigned queue)
{
    bench_put(b, queue, 8, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, queue);
    bench_run(b);
}

/* Proves MMIO-LINE. */
static void every_event_is_a_rise_and_the_line_falls_with_the_last(void **state)
{
    struct bench *b = *state;

    b->on_request = bench_answer;
    up(b, &plain);
    answer_one(b, 0);
    bench_expect_trace(b, "irq:1/1 ");
    answer_one(b, 1); /* not yet acknowledged: a line of edges needs another one */
    bench_expect_trace(b, "irq:1/1 ");
    assert_int_equal(anyhv_config_set(b->dev, 0, "x", 1), ANYHV_OK);
    bench_expect_trace(b, "irq:1/3 ");
    assert_true(b->lb.level);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 1);
    bench_expect_trace(b, "irq:0/2 irq:1/2 "); /* an event is left: a pulse for it */
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 2);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 2);
    bench_expect_trace(b, "irq:0/0 ");
    assert_false(b->lb.level);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 3); /* nothing to acknowledge */
    bench_expect_trace(b, "");
}

static void only_known_bits_are_acknowledged(void **state)
{
    struct bench *b = *state;

    b->on_request = bench_answer;
    up(b, &plain);
    answer_one(b, 0);
    b->trace[0] = '\0';
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 0xfffffffe);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 1);
    assert_true(b->lb.level);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 0);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 1);
    assert_true(b->lb.level);
    must_put(b, DRV_MMIO_INTERRUPT_ACK, 0xffffffff);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 0);
    assert_false(b->lb.level);
}

/* Proves MMIO-LINE. */
static void a_reset_lowers_the_line(void **state)
{
    struct bench *b = *state;

    b->on_request = bench_answer;
    up(b, &plain);
    answer_one(b, 0);
    assert_true(b->lb.level);
    b->trace[0] = '\0';
    must_put(b, DRV_MMIO_STATUS, 0);
    assert_false(b->lb.level);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS), 0);
    bench_expect_trace(b, "changed:0 changed:1 irq:0/0 stop ");
}

static void needs_reset_is_a_configuration_interrupt(void **state)
{
    struct bench *b = *state;

    up(b, &plain);
    anyhv_dev_needs_reset(b->dev);
    bench_expect_trace(b, "irq:1/2 ");
    assert_int_equal(get(b, DRV_MMIO_STATUS), 15 | 64);
}

static void quiet_reaches_the_module(void **state)
{
    struct bench *b = *state;

    b->ops.cancel = NULL;
    up(b, &plain);
    bench_put(b, 0, 8, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0);
    bench_run(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    bench_expect_trace(b, "irq:1/1 quiet ");
}

/* ---- ready, reset ---- */

static void a_ready_queue_is_frozen(void **state)
{
    static const uint16_t frozen[] = {0x038, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4};
    struct bench *b = *state;
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    up(b, &plain);
    must_put(b, DRV_MMIO_QUEUE_SEL, 0);
    memcpy(before, b->state, b->state_size);
    for (unsigned i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        assert_int_equal(put(b, frozen[i], 0x10), ANYHV_E_INVAL);
        assert_int_equal(bench_violation.v, ANYHV_V_REG_STATE);
        assert_int_equal(bench_violation.a, frozen[i]);
    }
    for (uint32_t value = 1; value < 4; value++)
        assert_int_equal(put(b, DRV_MMIO_QUEUE_READY, value), ANYHV_E_INVAL);
    assert_int_equal(b->dev->violations[ANYHV_V_REG_STATE], 7 + 3);
    assert_memory_equal(b->state, before, b->state_size);
    bench_expect_trace(b, "");
    bench_put(b, 0, 8, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0);
    bench_run(b);
    assert_int_equal(b->handles, 1);
    /* Not ready any more, it is forgotten and free. */
    must_put(b, DRV_MMIO_QUEUE_READY, 0);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
    assert_int_equal(b->dev->state->queue[0].desc, 0);
    assert_null(bench_req(b, 0));
    bench_expect_trace(b, "changed:0 ");
    drv_ring_reset(&b->ring[0]);
    write_ring(b, 0);
    must_put(b, DRV_MMIO_QUEUE_READY, 1);
    bench_put(b, 0, 8, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0);
    bench_run(b);
    assert_int_equal(b->handles, 2);
}

/* Proves MMIO-QUEUE-ADDRESS. */
static void what_cannot_be_started_does_not_get_ready(void **state)
{
    static const uint32_t sizes[] = {0, 3, 65, 128, 0xffff, 0x10000, 0x10010, 0xffffffff};
    struct bench *b = *state;

    attach(b, &plain);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        probe(b, 0);
        write_ring(b, 0);
        must_put(b, DRV_MMIO_QUEUE_SIZE, sizes[i]);
        assert_int_equal(put(b, DRV_MMIO_QUEUE_READY, 1), ANYHV_E_INVAL);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
        assert_int_equal(get(b, DRV_MMIO_STATUS), 11 | 64);
        assert_int_equal(b->dev->violations[ANYHV_V_QUEUE_SIZE], i + 1);
    }
    probe(b, 0);
    write_ring(b, 0);
    must_put(b, DRV_MMIO_QUEUE_DESC + 4, 1); /* 4 GiB further on */
    assert_int_equal(put(b, DRV_MMIO_QUEUE_READY, 1), ANYHV_E_INVAL);
    assert_int_equal(b->dev->violations[ANYHV_V_QUEUE_MEMORY], 1);
    assert_int_equal(bench_violation.b, b->ring[0].desc + (UINT64_C(1) << 32));
    must_put(b, DRV_MMIO_STATUS, 0);
    write_ring(b, 0);
    assert_int_equal(put(b, DRV_MMIO_QUEUE_READY, 1), ANYHV_E_INVAL); /* not negotiated */
    assert_int_equal(b->dev->violations[ANYHV_V_QUEUE_STATE], 1);
}

static void queue_reset_needs_its_feature(void **state)
{
    struct bench *b = *state;

    up(b, &plain);
    must_put(b, DRV_MMIO_QUEUE_SEL, 0);
    for (uint32_t value = 0; value < 3; value++)
        assert_int_equal(put(b, DRV_MMIO_QUEUE_RESET, value), ANYHV_E_INVAL);
    assert_int_equal(b->dev->violations[ANYHV_V_REG_STATE], 3);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_RESET), 0);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 1);
    bench_expect_trace(b, "");
}

static void queue_reset_stops_one_queue(void **state)
{
    struct bench *b = *state;

    up(b, &(struct bench_options){.registers = true, .features = DRV_F_RING_RESET});
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < BENCH_QUEUES; i++) {
            bench_put(b, i, 8, 0);
            must_put(b, DRV_MMIO_QUEUE_NOTIFY, i);
            bench_run(b);
        }
        if (round == 1)
            drv_split_set_idx(&b->ring[0], 1000); /* broken, too */
        must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0);
        bench_run(b);
        assert_int_equal(anyhv_ctl_queue_broken(b->dev, 0), round);
        must_put(b, DRV_MMIO_QUEUE_SEL, 0);
        assert_int_equal(put(b, DRV_MMIO_QUEUE_RESET, 0), ANYHV_E_INVAL);
        assert_int_equal(put(b, DRV_MMIO_QUEUE_RESET, 2), ANYHV_E_INVAL);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 1);
        must_put(b, DRV_MMIO_QUEUE_RESET, 1);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_RESET), 0);
        assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 0);
        assert_int_equal(b->dev->state->queue[0].desc, 0);
        assert_int_equal(bench_counters(b, 0)->dropped, round + 1);
        assert_null(bench_req(b, 2 * round));
        assert_non_null(bench_req(b, 2 * round + 1)); /* the other queue's */
        assert_false(anyhv_ctl_queue_broken(b->dev, 0));
        must_put(b, DRV_MMIO_QUEUE_RESET, 1); /* once more is nothing */
        drv_ring_reset(&b->ring[0]);
        write_ring(b, 0);
        must_put(b, DRV_MMIO_QUEUE_READY, 1);
    }
}

static void note_queue_reset(struct anyhv_dev *dev, unsigned queue)
{
    struct bench *b = anyhv_dev_priv(dev);

    assert_null(bench_req(b, 0));
    bench_note(b, "queue_reset:%u", queue);
}

/* A device may have to forget something with the queue; what it hears of a drain is cancel. */
static void a_device_hears_of_the_reset_of_a_queue(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    b->ops.queue_reset = note_queue_reset;
    up(b, &(struct bench_options){.registers = true, .features = DRV_F_RING_RESET});
    bench_held(b, 8, 0);
    b->trace[0] = '\0';
    must_put(b, DRV_MMIO_QUEUE_SEL, 0);
    must_put(b, DRV_MMIO_QUEUE_RESET, 1);
    bench_expect_trace(b, "changed:0 queue_reset:0 ");
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 1, true, &base), ANYHV_OK);
    bench_expect_trace(b, "changed:1 ");
    anyhv_ctl_set_status(b->dev, 0);
    bench_expect_trace(b, "irq:0/0 stop ");
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
    bench_expect_trace(b, ""); /* nobody is there who could forget anything */
}

/* ---- notify ---- */

/* Proves KICK-DATA, MMIO-KICK-DATA. */
static void a_notification_may_carry_data(void **state)
{
    struct bench *b = *state;

    up(b, &(struct bench_options){.registers = true, .features = DRV_F_NOTIFICATION_DATA});
    bench_put(b, 1, 8, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0xabcd0001);
    bench_run(b);
    assert_int_equal(b->handles, 1);
    assert_int_equal(bench_counters(b, 1)->kicks, 1);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0x00000002);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0x0000ffff);
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_QUEUE], 2);
}

/* Proves KICK-INDEX, MMIO-KICK. */
static void without_data_the_whole_word_is_the_queue(void **state)
{
    struct bench *b = *state;

    up(b, &plain);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0x00010001);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 0xffffffff);
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_QUEUE], 2);
    assert_int_equal(bench_counters(b, 1)->kicks, 0);
    must_put(b, DRV_MMIO_QUEUE_NOTIFY, 1);
    assert_int_equal(bench_counters(b, 1)->kicks, 1);
}

/* ---- a successor ---- */

static void successor(struct bench *b)
{
    bench_detach(b);
    assert_int_equal(bench_reattach(b, true), ANYHV_OK);
    watch(b);
    b->trace[0] = '\0';
}

/* The process ends between any two register writes; the driver does not know. */
static void a_successor_goes_on_in_the_middle_of_a_set_up(void **state)
{
    struct bench *b = *state;

    attach(b, &plain);
    must_put(b, DRV_MMIO_STATUS, 3);
    must_put(b, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
    successor(b);
    must_put(b, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(DRV_F_VERSION_1 >> 32));
    successor(b);
    must_put(b, DRV_MMIO_STATUS, 11);
    must_put(b, DRV_MMIO_QUEUE_SEL, 1);
    successor(b);
    must_put(b, DRV_MMIO_QUEUE_SIZE, 16);
    must_put(b, DRV_MMIO_QUEUE_DESC, (uint32_t)b->ring[1].desc);
    successor(b);
    must_put(b, DRV_MMIO_QUEUE_DRIVER, (uint32_t)b->ring[1].driver);
    must_put(b, DRV_MMIO_QUEUE_DEVICE, (uint32_t)b->ring[1].device);
    successor(b);
    must_put(b, DRV_MMIO_QUEUE_READY, 1);
    successor(b);
    assert_int_equal(get(b, DRV_MMIO_QUEUE_READY), 1);
    must_put(b, DRV_MMIO_STATUS, 15);
    bench_put(b, 1, 8, 0);
    successor(b); /* before the kick */
    bench_run(b);
    assert_int_equal(b->handles, 1);
}

/* The reason was noted, and the process died before it could raise the line. */
static void an_interrupt_that_is_owed_is_raised_by_the_successor(void **state)
{
    struct bench *b = *state;

    b->on_request = bench_answer;
    up(b, &plain);
    answer_one(b, 0);
    successor(b);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS) & 1, 1);
    assert_false(b->lb.level); /* as the new process sees it */
    bench_run(b);
    assert_true(b->lb.level);
}

/* The same for a device that only waits for its reset. */
static void a_reset_that_is_needed_is_told_again_by_the_successor(void **state)
{
    struct bench *b = *state;

    up(b, &plain);
    anyhv_dev_needs_reset(b->dev);
    successor(b);
    assert_int_equal(get(b, DRV_MMIO_STATUS), 15 | 64);
    bench_run(b);
    assert_int_equal(get(b, DRV_MMIO_INTERRUPT_STATUS) & 2, 2);
    assert_true(b->lb.level);
    must_put(b, DRV_MMIO_STATUS, 0);
    assert_false(b->lb.level);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(the_way_linux_comes_up),
    BENCH_TEST(every_event_is_a_rise_and_the_line_falls_with_the_last),
    BENCH_TEST(only_known_bits_are_acknowledged),
    BENCH_TEST(a_reset_lowers_the_line),
    BENCH_TEST(needs_reset_is_a_configuration_interrupt),
    BENCH_TEST(quiet_reaches_the_module),
    BENCH_TEST(a_ready_queue_is_frozen),
    BENCH_TEST(what_cannot_be_started_does_not_get_ready),
    BENCH_TEST(queue_reset_needs_its_feature),
    BENCH_TEST(queue_reset_stops_one_queue),
    BENCH_TEST(a_device_hears_of_the_reset_of_a_queue),
    BENCH_TEST(a_notification_may_carry_data),
    BENCH_TEST(without_data_the_whole_word_is_the_queue),
    BENCH_TEST(a_successor_goes_on_in_the_middle_of_a_set_up),
    BENCH_TEST(an_interrupt_that_is_owed_is_raised_by_the_successor),
    BENCH_TEST(a_reset_that_is_needed_is_told_again_by_the_successor),
};

ANYHV_TEST_MAIN("mmio_live", tests)

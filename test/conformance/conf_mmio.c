/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver sees of the virtio-mmio registers: section 4.2. */
#include "conformance/suite.h"

static struct drv_mmio *mmio(struct suite *s)
{
    return (struct drv_mmio *)(void *)s->t;
}

static uint32_t rd(struct suite *s, uint32_t off)
{
    return drv_mmio_read(mmio(s), off);
}

static void wr(struct suite *s, uint32_t off, uint32_t value)
{
    drv_mmio_write(mmio(s), off, value);
}

/* 4.2.2.1: magic, version 2, the device's id. Proves MMIO-MAGIC, MMIO-VERSION, MMIO-DEVICE-ID. */
static void identity(struct suite *s)
{
    suite_start(s, NULL);
    assert_int_equal(rd(s, DRV_MMIO_MAGIC), 0x74726976);
    assert_int_equal(rd(s, DRV_MMIO_VERSION), 2);
    assert_int_equal(rd(s, DRV_MMIO_DEVICE_ID), TEST_DEVICE_ID);
    assert_int_equal(drv_mmio_probe(mmio(s)), TEST_DEVICE_ID);
    assert_int_not_equal(rd(s, DRV_MMIO_VENDOR_ID), 0);
}

/* 4.2.2: 32 bits at a time; words beyond the last read 0. Proves MMIO-FEATURE-WORDS. */
static void feature_words(struct suite *s)
{
    uint64_t features;

    suite_start(s, NULL);
    features = anyhv_ctl_features(s->rig->dev);
    wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(rd(s, DRV_MMIO_DEVICE_FEATURES), (uint32_t)(features >> 32));
    assert_int_equal(rd(s, DRV_MMIO_DEVICE_FEATURES), (uint32_t)(features >> 32));
    wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 0);
    assert_int_equal(rd(s, DRV_MMIO_DEVICE_FEATURES), (uint32_t)features);
    for (unsigned i = 1; i < 32; i++) {
        wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 1u << i);
        assert_int_equal(rd(s, DRV_MMIO_DEVICE_FEATURES), 0);
    }
}

static bool takes(struct suite *s, uint32_t first_sel, uint32_t first, uint32_t second)
{
    wr(s, DRV_MMIO_STATUS, 0);
    wr(s, DRV_MMIO_STATUS, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, first_sel);
    wr(s, DRV_MMIO_DRIVER_FEATURES, first);
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, !first_sel);
    wr(s, DRV_MMIO_DRIVER_FEATURES, second);
    wr(s, DRV_MMIO_STATUS, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    return rd(s, DRV_MMIO_STATUS) & DRV_S_FEATURES_OK;
}

/*
 * Either word first; a word replaces what was written before; words we do not have change nothing.
 * Proves MMIO-DRIVER-FEATURE-WORDS.
 */
static void driver_feature_words(struct suite *s)
{
    uint64_t want = DRV_F_VERSION_1 | TEST_F_LOW | TEST_F_HIGH;

    suite_start(s, NULL);
    assert_true(takes(s, 1, (uint32_t)(want >> 32), (uint32_t)want));
    assert_true(anyhv_dev_features(s->rig->dev) == want);
    assert_true(takes(s, 0, (uint32_t)want, (uint32_t)(want >> 32)));
    assert_true(anyhv_dev_features(s->rig->dev) == want);
    wr(s, DRV_MMIO_STATUS, 0);
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
    wr(s, DRV_MMIO_DRIVER_FEATURES, UINT32_MAX);
    wr(s, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(want >> 32));
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, 0);
    wr(s, DRV_MMIO_DRIVER_FEATURES, (uint32_t)want);
    for (unsigned i = 1; i < 32; i++) {
        wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, 1u << i);
        wr(s, DRV_MMIO_DRIVER_FEATURES, 0);
        wr(s, DRV_MMIO_DRIVER_FEATURES, UINT32_MAX);
    }
    wr(s, DRV_MMIO_STATUS, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    assert_true(anyhv_dev_features(s->rig->dev) == want);
}

/*
 * 4.2.2.1: QueueReady reads what was written, 0 after a stop.
 * Proves MMIO-QUEUE-READY, MMIO-QUEUE-SELECT.
 */
static void queue_ready(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++) {
        wr(s, DRV_MMIO_QUEUE_SEL, queue);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 1);
    }
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
    wr(s, DRV_MMIO_QUEUE_READY, 0);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_B);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 1);
    io_alive(s, TEST_QUEUE_B);
}

/* 4.2.2.1: no ring access while QueueReady is 0. Proves MMIO-NOT-READY. */
static void queue_not_ready(struct suite *s)
{
    struct io *io;

    suite_up(s, &(struct suite_setup){0});
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
    wr(s, DRV_MMIO_QUEUE_READY, 0);
    io = io_add(s, &(struct io){.op = TEST_ECHO, .payload = 4, .room = 4});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    drv_kick(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]);
    io_none(s, TEST_QUEUE_A);
    io_untouched(s, io);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 1);
}

/* 4.2.2.2: the registers of a ready queue are frozen. */
static void frozen_when_ready(struct suite *s)
{
    static const uint32_t regs[] = {DRV_MMIO_QUEUE_SIZE,       DRV_MMIO_QUEUE_DESC,
                                    DRV_MMIO_QUEUE_DESC + 4,   DRV_MMIO_QUEUE_DRIVER,
                                    DRV_MMIO_QUEUE_DRIVER + 4, DRV_MMIO_QUEUE_DEVICE,
                                    DRV_MMIO_QUEUE_DEVICE + 4};

    suite_up(s, &(struct suite_setup){0});
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        wr(s, regs[i], 0);
        wr(s, regs[i], UINT32_MAX);
    }
    assert_int_equal(suite_violations(s, ANYHV_V_REG_STATE), 14);
    for (unsigned i = 0; i < 100; i++)
        io_alive(s, TEST_QUEUE_A);
}

/*
 * 4.2.2.1: bit 0 for used buffers, from the event until the acknowledgement.
 * Proves MMIO-INTERRUPT-SET, MMIO-INTERRUPT-OTHERS.
 */
static void used_interrupt(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 0);
    io_send(s, &(struct io){.op = TEST_ECHO});
    suite_settle(s);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 1);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 1); /* reading does not clear */
    wr(s, DRV_MMIO_INTERRUPT_ACK, 2);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 1);
    wr(s, DRV_MMIO_INTERRUPT_ACK, 1);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 0);
}

/*
 * Bit 1 for the configuration; both at once, acknowledged one by one.
 * Proves MMIO-INTERRUPT-SET, MMIO-INTERRUPT-OTHERS.
 */
static void both_interrupts(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    io_send(s, &(struct io){.op = TEST_CONFIG, .seed = 5});
    suite_settle(s);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 3);
    wr(s, DRV_MMIO_INTERRUPT_ACK, 1);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 2);
    wr(s, DRV_MMIO_INTERRUPT_ACK, UINT32_MAX);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 0);
}

/*
 * An event between reading the status and acknowledging the earlier one is not lost.
 * Proves MMIO-INTERRUPT-SET.
 */
static void interrupt_during_ack(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 20; i++) {
        uint32_t seen;

        drv_ring_irq_on(&s->ring[TEST_QUEUE_A]);
        io_send(s, &(struct io){.op = TEST_ECHO});
        suite_settle(s);
        seen = rd(s, DRV_MMIO_INTERRUPT_STATUS);
        assert_int_equal(seen, 1);
        io_send(s, &(struct io){.op = TEST_CONFIG, .seed = i});
        suite_settle(s);
        wr(s, DRV_MMIO_INTERRUPT_ACK, seen);
        assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 2);
        wr(s, DRV_MMIO_INTERRUPT_ACK, 2);
        io_drain(s, TEST_QUEUE_A);
    }
}

/* What the driver did not want to hear of sets no bit. Proves MMIO-INTERRUPT-OTHERS. */
static void suppressed_sets_no_bit(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.without = DRV_F_EVENT_IDX});
    drv_ring_irq_off(&s->ring[TEST_QUEUE_A]);
    io_send(s, &(struct io){.op = TEST_ECHO});
    suite_settle(s);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(io_collect(s, TEST_QUEUE_A), 1);
}

/*
 * 4.2.2.1, 4.2.3.1: a reset clears InterruptStatus and all QueueReady, and forgets selectors.
 * Proves MMIO-RESET-INTERRUPTS, MMIO-RESET-READY, MMIO-QUEUE-RESET-INITIAL.
 */
static void reset_clears(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = DRV_F_RING_RESET});
    io_send(s, &(struct io){.op = TEST_CONFIG});
    suite_settle(s);
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_B);
    wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
    wr(s, DRV_MMIO_STATUS, 0);
    assert_int_equal(rd(s, DRV_MMIO_STATUS), 0);
    assert_int_equal(rd(s, DRV_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(rd(s, DRV_MMIO_DEVICE_FEATURES), (uint32_t)anyhv_ctl_features(s->rig->dev));
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++) {
        wr(s, DRV_MMIO_QUEUE_SEL, queue);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_RESET), 0);
        /* Size and addresses are gone too: ready now is a queue of size 0. */
        wr(s, DRV_MMIO_QUEUE_READY, 1);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    }
}

/*
 * 4.2.2.1: QueueReset; both registers read 0 when it is done.
 * Proves MMIO-QUEUE-RESET-ENABLED, MMIO-QUEUE-RESET-OVER.
 */
static void queue_reset(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = DRV_F_RING_RESET});
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_RESET), 0);
    wr(s, DRV_MMIO_QUEUE_RESET, 1);
    for (unsigned i = 0; i < 100 && rd(s, DRV_MMIO_QUEUE_RESET); i++)
        suite_settle(s);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_RESET), 0);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    io_alive(s, TEST_QUEUE_B);
}

/* Without RING_RESET the register does nothing. */
static void queue_reset_not_negotiated(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.without = DRV_F_RING_RESET});
    wr(s, DRV_MMIO_QUEUE_SEL, TEST_QUEUE_A);
    wr(s, DRV_MMIO_QUEUE_RESET, 1);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_RESET), 0);
    assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 1);
    io_alive(s, TEST_QUEUE_A);
}

/*
 * 4.2.2.1: length and base of a shared memory region that is not there are all ones.
 * Proves MMIO-SHARED-MEMORY.
 */
static void no_shared_memory(struct suite *s)
{
    static const uint32_t ids[] = {0, 1, 255, UINT32_MAX};

    suite_start(s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        wr(s, DRV_MMIO_SHM_SEL, ids[i]);
        for (uint32_t off = 0; off < 8; off += 4) {
            assert_int_equal(rd(s, DRV_MMIO_SHM_LEN + off), UINT32_MAX);
            assert_int_equal(rd(s, DRV_MMIO_SHM_BASE + off), UINT32_MAX);
        }
    }
}

/*
 * 2.9, 4.2.3.3: the word of a kick with NOTIFICATION_DATA; whatever it says, the ring counts.
 * Proves KICK-DATA, MMIO-KICK-DATA.
 */
static void notification_data(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = DRV_F_NOTIFICATION_DATA, .size = 8});
    for (unsigned i = 0; i < 40; i++) {
        unsigned queue = i % 2;
        struct io *io;

        io = io_add(s, &(struct io){.queue = queue, .op = TEST_ECHO, .payload = 7, .room = 7});
        drv_ring_publish(&s->ring[queue]);
        if (i % 3)
            drv_kick(s->t, queue, &s->ring[queue]);
        else
            wr(s, DRV_MMIO_QUEUE_NOTIFY, queue | (i * 0x01350000u));
        io_wait(s, io);
    }
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 0);
}

static uint64_t config(struct suite *s, uint32_t off, unsigned size, int *result)
{
    uint64_t value = UINT64_MAX;

    *result = mmio(s)->access(mmio(s)->ctx, DRV_MMIO_CONFIG + off, size, false, &value);
    return value;
}

/*
 * 4.2.2.2: 1, 2 and 4 bytes as the fields need; single bytes of wider fields; we take 8, too.
 * Proves MMIO-CONFIG.
 */
static void config_widths(struct suite *s)
{
    const uint64_t magic = TEST_CONFIG_MAGIC_VALUE;
    int result;

    suite_start(s, NULL);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (uint32_t off = 0; off + size <= 8; off++) {
            uint64_t want = magic >> (8 * off);

            if (size < 8)
                want &= (UINT64_C(1) << (8 * size)) - 1;
            assert_true(config(s, off, size, &result) == want);
            assert_int_equal(result, ANYHV_OK);
        }
    }
    assert_int_equal(config(s, TEST_CONFIG_LEN, 4, &result), 0);
    if (suite_has(s, RIG_COUNTERS)) /* a guest is not told what became of its access */
        assert_int_not_equal(result, ANYHV_OK);
    assert_int_equal(config(s, 0xfc, 4, &result), 0);
}

/*
 * Linux's order at probe, to the letter, with Linux's double status reads.
 * Proves INIT-SEQUENCE, MMIO-STATUS.
 */
static void linux_probe(struct suite *s)
{
    uint32_t ok;

    suite_start(s, NULL);
    assert_int_equal(rd(s, DRV_MMIO_MAGIC), 0x74726976);
    assert_in_range(rd(s, DRV_MMIO_VERSION), 1, 2);
    assert_int_not_equal(rd(s, DRV_MMIO_DEVICE_ID), 0);
    rd(s, DRV_MMIO_VENDOR_ID);
    wr(s, DRV_MMIO_STATUS, 0);
    wr(s, DRV_MMIO_STATUS, rd(s, DRV_MMIO_STATUS) | DRV_S_ACKNOWLEDGE);
    wr(s, DRV_MMIO_STATUS, rd(s, DRV_MMIO_STATUS) | DRV_S_DRIVER);
    wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_true(rd(s, DRV_MMIO_DEVICE_FEATURES) & 1);
    wr(s, DRV_MMIO_DEVICE_FEATURES_SEL, 0);
    rd(s, DRV_MMIO_DEVICE_FEATURES);
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
    wr(s, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(s->rig->features >> 32) | 1);
    wr(s, DRV_MMIO_DRIVER_FEATURES_SEL, 0);
    wr(s, DRV_MMIO_DRIVER_FEATURES, (uint32_t)s->rig->features);
    wr(s, DRV_MMIO_STATUS, rd(s, DRV_MMIO_STATUS) | DRV_S_FEATURES_OK);
    ok = rd(s, DRV_MMIO_STATUS);
    assert_true(ok & DRV_S_FEATURES_OK);
    s->t->features = s->rig->features | DRV_F_VERSION_1;
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++) {
        suite_ring(s, queue, 32, 32);
        wr(s, DRV_MMIO_QUEUE_SEL, queue);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
        assert_int_not_equal(rd(s, DRV_MMIO_QUEUE_SIZE_MAX), 0);
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    }
    s->mark = s->mem->used;
    wr(s, DRV_MMIO_STATUS, rd(s, DRV_MMIO_STATUS) | DRV_S_DRIVER_OK);
    io_alive(s, TEST_QUEUE_A);
    /* Removal: reset, then each queue once more, then ACKNOWLEDGE. */
    wr(s, DRV_MMIO_STATUS, 0);
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++) {
        wr(s, DRV_MMIO_QUEUE_SEL, queue);
        wr(s, DRV_MMIO_QUEUE_READY, 0);
        assert_int_equal(rd(s, DRV_MMIO_QUEUE_READY), 0);
    }
    assert_int_equal(rd(s, DRV_MMIO_STATUS), 0);
    wr(s, DRV_MMIO_STATUS, DRV_S_ACKNOWLEDGE);
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_B);
}

const struct suite_test conf_mmio_tests[] = {
    {"mmio.identity", identity, RIG_REGISTERS, SUITE_ANY},
    {"mmio.features.device_words", feature_words, RIG_REGISTERS | RIG_IN_PROCESS, SUITE_ANY},
    {"mmio.features.driver_words", driver_feature_words, RIG_REGISTERS | RIG_IN_PROCESS, SUITE_ANY},
    {"mmio.queue.ready", queue_ready, RIG_REGISTERS, SUITE_ANY},
    {"mmio.queue.not_ready", queue_not_ready, RIG_REGISTERS | RIG_COUNTERS, SUITE_ANY},
    {"mmio.queue.frozen", frozen_when_ready, RIG_REGISTERS | RIG_COUNTERS, SUITE_ANY},
    {"mmio.queue.reset", queue_reset, RIG_REGISTERS, SUITE_ANY},
    {"mmio.queue.reset_not_negotiated", queue_reset_not_negotiated, RIG_REGISTERS, SUITE_ANY},
    {"mmio.interrupt.used", used_interrupt, RIG_REGISTERS, SUITE_ANY},
    {"mmio.interrupt.both", both_interrupts, RIG_REGISTERS, SUITE_ANY},
    {"mmio.interrupt.during_ack", interrupt_during_ack, RIG_REGISTERS, SUITE_ANY},
    {"mmio.interrupt.suppressed", suppressed_sets_no_bit, RIG_REGISTERS, SUITE_ANY},
    {"mmio.reset.clears", reset_clears, RIG_REGISTERS | RIG_IN_PROCESS, SUITE_ANY},
    {"mmio.shared_memory.none", no_shared_memory, RIG_REGISTERS, SUITE_ANY},
    {"mmio.notification_data", notification_data, RIG_REGISTERS | RIG_COUNTERS | RIG_KICK_DATA,
     SUITE_ANY},
    {"mmio.config.widths", config_widths, RIG_REGISTERS, SUITE_ANY},
    {"mmio.linux_probe", linux_probe, RIG_REGISTERS, SUITE_ANY},
    {0},
};

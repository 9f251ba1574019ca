/* SPDX-License-Identifier: Apache-2.0 */
/* The status machine and reset: sections 2.1, 2.4 and 3.1. */
#include "conformance/suite.h"

static uint8_t status(struct suite *s)
{
    return s->t->ops->status(s->t);
}

/*
 * 2.1.2: the device initializes the status to 0 upon reset.
 * Proves STATUS-STARTS-AT-ZERO, RESET-STATUS.
 */
static void reset_status_zero(struct suite *s)
{
    suite_start(s, NULL);
    assert_int_equal(status(s), 0);
    suite_negotiate(s, &(struct suite_setup){0});
    assert_true(s->t->ops->reset(s->t));
    assert_int_equal(status(s), 0);
}

/* 2.1: each bit the driver sets is there when it reads back. Proves STATUS-READS-BACK. */
static void bits_accumulate(struct suite *s)
{
    uint8_t now = 0;
    static const uint8_t steps[] = {DRV_S_ACKNOWLEDGE, DRV_S_DRIVER, DRV_S_FEATURES_OK,
                                    DRV_S_DRIVER_OK, DRV_S_FAILED};

    suite_start(s, NULL);
    s->t->ops->set_features(s->t, DRV_F_VERSION_1);
    for (unsigned i = 0; i < sizeof(steps); i++) {
        now |= steps[i];
        s->t->ops->set_status(s->t, now);
        assert_int_equal(status(s), now);
    }
}

/* 2.1.1: a driver must not clear a bit. Ours ignores the attempt. */
static void bits_stay(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE);
    assert_int_equal(status(s),
                     DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK | DRV_S_DRIVER_OK);
    if (suite_has(s, RIG_COUNTERS))
        assert_int_equal(suite_violations(s, ANYHV_V_STATUS_CLEAR), 1);
    io_alive(s, TEST_QUEUE_A);
}

/* Repeating the whole byte, as every driver does, changes nothing. */
static void same_status_again(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 3; i++)
        drv_ready(s->t);
    io_alive(s, TEST_QUEUE_A);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_STARTS), 1);
}

/* A driver may set several bits in one write. */
static void several_bits_at_once(struct suite *s)
{
    suite_start(s, NULL);
    s->t->ops->set_features(s->t, DRV_F_VERSION_1);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    assert_int_equal(status(s), DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
}

/* NEEDS_RESET is the device's: a driver cannot set it. */
static void needs_reset_is_ours(struct suite *s)
{
    suite_start(s, NULL);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_NEEDS_RESET);
    assert_int_equal(status(s), DRV_S_ACKNOWLEDGE);
}

/*
 * SUSPEND means nothing unless it was negotiated, whenever it is written.
 * Proves SUSPEND-NOT-NEGOTIATED.
 */
static void suspend_not_negotiated(struct suite *s)
{
    const uint8_t live = DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK | DRV_S_DRIVER_OK;

    suite_start(s, NULL);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_SUSPEND);
    assert_int_equal(status(s), DRV_S_ACKNOWLEDGE);
    suite_negotiate(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 3; i++) {
        s->t->ops->set_status(s->t, live | DRV_S_SUSPEND);
        assert_int_equal(status(s), live);
        io_alive(s, TEST_QUEUE_A);
    }
}

/* 2.4: a reset works from every state, and everything works after it. Proves RESET-STATUS. */
static void reset_from_every_state(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned state = 0; state < 7; state++) {
        struct suite_setup setup = {.not_ready = state < 4, .no_queues = state < 3};

        if (state == 1)
            s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
        if (state >= 2)
            suite_again(s, &setup);
        if (state == 5)
            io_send(s, &(struct io){.op = TEST_HOLD, .payload = 50, .room = 50});
        if (state == 6)
            io_send(s, &(struct io){.op = TEST_FAIL});
        suite_settle(s);
        assert_true(s->t->ops->reset(s->t));
        assert_int_equal(status(s), 0);
        suite_again(s, &(struct suite_setup){0});
        for (unsigned queue = TEST_QUEUE_A; queue <= TEST_QUEUE_B; queue++)
            io_alive(s, queue);
    }
}

/*
 * 2.4.1: no ring access and no notification after a reset, whatever was in work.
 * Proves RESET-NO-NOTIFICATIONS, RESET-NO-QUEUES, CLEANUP-NOT-LIVE.
 */
static void reset_forgets_requests(struct suite *s)
{
    struct io *held[8];

    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 8; i++)
        held[i] = io_send(s, &(struct io){.queue = i & 1,
                                          .op = TEST_HOLD,
                                          .seed = i,
                                          .payload = 64 + 300 * i,
                                          .room = 64 + 300 * i});
    io_none(s, TEST_QUEUE_A);
    suite_interrupted(s, TEST_QUEUE_A);
    assert_true(s->t->ops->reset(s->t));
    if (suite_has(s, RIG_IN_PROCESS))
        test_device_release(s->rig->device, 0, 0);
    io_none(s, TEST_QUEUE_A);
    io_none(s, TEST_QUEUE_B);
    assert_false(suite_interrupted(s, TEST_QUEUE_A));
    for (unsigned i = 0; i < 8; i++)
        io_untouched(s, held[i]);
}

/*
 * The same, with kicks that come too late.
 * Proves RESET-NO-NOTIFICATIONS, RESET-NO-QUEUES, CLEANUP-NOT-LIVE.
 */
static void kick_after_reset(struct suite *s)
{
    struct io *io;

    suite_up(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
    suite_interrupted(s, TEST_QUEUE_A);
    io = io_add(s, &(struct io){.op = TEST_ECHO, .payload = 8, .room = 8});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    assert_true(s->t->ops->reset(s->t));
    drv_kick(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]);
    io_none(s, TEST_QUEUE_A);
    io_untouched(s, io);
    assert_false(suite_interrupted(s, TEST_QUEUE_A));
}

/*
 * What happens to the device itself after a reset is no news for a driver that is not there.
 * Proves RESET-NO-NOTIFICATIONS.
 */
static void silent_after_reset(struct suite *s)
{
    static const uint8_t bytes[8] = {1};

    suite_up(s, &(struct suite_setup){0});
    assert_true(s->t->ops->reset(s->t));
    suite_interrupted(s, ANYHV_CONFIG);
    assert_int_equal(anyhv_config_set(s->rig->dev, TEST_CONFIG_VALUE, bytes, 8), ANYHV_OK);
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
    suite_negotiate(s, &(struct suite_setup){.not_ready = true});
    assert_int_equal(anyhv_config_set(s->rig->dev, TEST_CONFIG_VALUE, bytes, 8), ANYHV_OK);
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
    drv_ready(s->t);
    io_alive(s, TEST_QUEUE_A);
    assert_int_equal(anyhv_config_set(s->rig->dev, TEST_CONFIG_VALUE, bytes, 8), ANYHV_OK);
    assert_true(suite_interrupted(s, ANYHV_CONFIG));
}

/*
 * 3.1.1, 2.1.2: nothing is consumed or notified before DRIVER_OK.
 * Proves STATUS-NO-BUFFERS-EARLY, STATUS-NO-NOTIFICATION-EARLY.
 */
static void driver_ok_required(struct suite *s)
{
    struct io *io;

    suite_up(s, &(struct suite_setup){.not_ready = true});
    io = io_add(s, &(struct io){.op = TEST_ECHO, .payload = 33, .room = 33});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    drv_kick(s->t, TEST_QUEUE_A, &s->ring[TEST_QUEUE_A]);
    io_none(s, TEST_QUEUE_A);
    io_untouched(s, io);
    assert_false(suite_interrupted(s, TEST_QUEUE_A));
    drv_ready(s->t);
    io_wait(s, io);
}

/*
 * Linux adds buffers before DRIVER_OK and kicks after; others never kick for those.
 * Proves CLEANUP-LIVE.
 */
static void driver_ok_looks_at_rings(struct suite *s)
{
    struct io *a, *b;

    suite_up(s, &(struct suite_setup){.not_ready = true});
    a = io_add(s, &(struct io){.queue = TEST_QUEUE_A, .op = TEST_FILL, .arg = 10, .room = 10});
    b = io_add(s, &(struct io){.queue = TEST_QUEUE_B, .op = TEST_FILL, .arg = 11, .room = 11});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    drv_ring_publish(&s->ring[TEST_QUEUE_B]);
    drv_ready(s->t);
    io_wait(s, a);
    io_wait(s, b);
}

/* The device model hears of start and stop, each once. */
static void start_stop(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 3; i++) {
        suite_again(s, &(struct suite_setup){0});
        assert_int_equal(s->rig->device->info[TEST_INFO_STARTS], i + 1);
        assert_int_equal(s->rig->device->info[TEST_INFO_STOPS], i);
        assert_true(s->t->ops->reset(s->t));
        assert_int_equal(s->rig->device->info[TEST_INFO_STOPS], i + 1);
        assert_true(s->t->ops->reset(s->t));
        assert_int_equal(s->rig->device->info[TEST_INFO_STOPS], i + 1);
    }
}

/*
 * 2.1.2: a device that cannot go on sets NEEDS_RESET, and tells a running driver so.
 * Proves STATUS-NEEDS-RESET, STATUS-NEEDS-RESET-TOLD, CONFIG-CHANGE-NEEDS-RESET.
 */
static void needs_reset_visible(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    if (suite_has(s, RIG_CONFIG_IRQ))
        suite_interrupted(s, ANYHV_CONFIG);
    io_send(s, &(struct io){.op = TEST_FAIL});
    suite_settle(s);
    assert_true(status(s) & DRV_S_NEEDS_RESET);
    assert_true(status(s) & DRV_S_DRIVER_OK);
    if (suite_has(s, RIG_CONFIG_IRQ))
        assert_true(suite_interrupted(s, ANYHV_CONFIG));
}

/* 2.1.2: a reset ends it. */
static void needs_reset_recovers(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    io_send(s, &(struct io){.op = TEST_FAIL});
    suite_settle(s);
    suite_again(s, &(struct suite_setup){0});
    assert_false(status(s) & DRV_S_NEEDS_RESET);
    io_alive(s, TEST_QUEUE_A);
}

/* FAILED is the driver's last word; a reset still works. */
static void failed_then_reset(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    s->t->ops->set_status(s->t, (uint8_t)(status(s) | DRV_S_FAILED));
    assert_true(status(s) & DRV_S_FAILED);
    suite_again(s, &(struct suite_setup){0});
    assert_false(status(s) & DRV_S_FAILED);
    io_alive(s, TEST_QUEUE_B);
}

/* Rebinding a driver a hundred times leaves nothing behind. */
static void reset_storm(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 100; i++) {
        suite_again(s, &(struct suite_setup){.size = (uint16_t)(2 << i % 7)});
        io_send(s, &(struct io){.op = i % 3 ? TEST_HOLD : TEST_PIN, .seed = i, .room = i});
        if (i % 2)
            suite_settle(s);
    }
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_HELD), 0);
}

const struct suite_test conf_status_tests[] = {
    {"core.reset.status_zero", reset_status_zero, RIG_STATUS, SUITE_ANY},
    {"core.reset.from_every_state", reset_from_every_state, RIG_STATUS, SUITE_ANY},
    {"core.reset.forgets_requests", reset_forgets_requests, 0, SUITE_ANY},
    {"core.reset.kick_after", kick_after_reset, RIG_KICK_ANY, SUITE_ANY},
    {"core.reset.silent_after", silent_after_reset, RIG_IN_PROCESS | RIG_CONFIG_IRQ, SUITE_ANY},
    {"core.reset.storm", reset_storm, 0, SUITE_ANY},
    {"core.status.bits_accumulate", bits_accumulate, RIG_STATUS, SUITE_ANY},
    {"core.status.bits_stay", bits_stay, RIG_STATUS, SUITE_ANY},
    {"core.status.same_again", same_status_again, RIG_STATUS | RIG_FRESH, SUITE_ANY},
    {"core.status.several_bits_at_once", several_bits_at_once, RIG_STATUS, SUITE_ANY},
    {"core.status.failed_then_reset", failed_then_reset, RIG_STATUS, SUITE_ANY},
    {"core.suspend.not_negotiated", suspend_not_negotiated, RIG_STATUS, SUITE_ANY},
    {"core.driver_ok.required", driver_ok_required, RIG_STATUS | RIG_KICK_ANY, SUITE_ANY},
    {"core.driver_ok.looks_at_rings", driver_ok_looks_at_rings, 0, SUITE_ANY},
    {"core.driver_ok.start_stop", start_stop, RIG_IN_PROCESS, SUITE_ANY},
    {"core.needs_reset.is_the_devices", needs_reset_is_ours, RIG_STATUS, SUITE_ANY},
    {"core.needs_reset.visible", needs_reset_visible, RIG_STATUS, SUITE_ANY},
    {"core.needs_reset.recovers", needs_reset_recovers, RIG_STATUS, SUITE_ANY},
    {0},
};

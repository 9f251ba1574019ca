/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's life in the middle: quiet and back, saved and loaded elsewhere, ended and resumed.
 * The specification knows none of this; the driver must not notice it.
 */
#include "conformance/suite.h"

static struct io *hold(struct suite *s, unsigned queue, enum test_op op, uint64_t seed)
{
    return io_send(s, &(struct io){.queue = queue,
                                   .op = op,
                                   .seed = seed,
                                   .payload = 70 + seed % 9,
                                   .room = 90,
                                   .framing = IO_RANDOM,
                                   .pieces = 3});
}

static uint64_t requests(struct suite *s)
{
    return s->rig->device->info[TEST_INFO_REQUESTS];
}

/* What is held is finished; nothing new is taken. */
static void quiesce_finishes(struct suite *s)
{
    struct io *held[6], *late;

    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 6; i++)
        held[i] = hold(s, i % 2, TEST_HOLD, i);
    suite_settle(s);
    assert_true(s->rig->ops->quiesce(s->rig));
    for (unsigned i = 0; i < 6; i++)
        io_wait(s, held[i]);
    late = hold(s, TEST_QUEUE_A, TEST_ECHO, 9);
    io_none(s, TEST_QUEUE_A);
    io_untouched(s, late);
    s->rig->ops->resume(s->rig);
    io_wait(s, late);
    io_alive(s, TEST_QUEUE_B);
}

/* What was not touched goes back to the ring and comes again, exactly once. */
static void quiesce_returns(struct suite *s)
{
    struct io *held[6];
    uint64_t before;

    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 6; i++)
        held[i] = hold(s, TEST_QUEUE_A, TEST_HOLD_RETURNABLE, i);
    suite_settle(s);
    before = requests(s);
    assert_true(s->rig->ops->quiesce(s->rig));
    io_none(s, TEST_QUEUE_A);
    for (unsigned i = 0; i < 6; i++)
        io_untouched(s, held[i]);
    assert_int_equal(s->rig->device->nheld, 0);
    s->rig->ops->resume(s->rig);
    suite_settle(s);
    assert_int_equal(requests(s), before + 6);
    assert_int_equal(s->rig->device->nheld, 6);
    io_do(s, {.op = TEST_RELEASE});
    io_drain(s, TEST_QUEUE_A);
    if (suite_has(s, RIG_COUNTERS))
        assert_int_equal(suite_counters(s, TEST_QUEUE_A).returned, 6);
}

/*
 * Only an unbroken tail of what was taken can go back: the rest is finished. Whatever the mix,
 * each request is answered exactly once.
 */
static void quiesce_mixed(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 64, .without = DRV_F_INDIRECT});
    for (unsigned round = 0; round < 100; round++) {
        unsigned n = 1 + suite_below(s, 8);

        for (unsigned i = 0; i < n; i++)
            hold(s, TEST_QUEUE_A, suite_below(s, 2) ? TEST_HOLD : TEST_HOLD_RETURNABLE, i);
        suite_settle(s);
        if (suite_below(s, 3) == 0)
            test_device_release(s->rig->device, round, 1 + round % 3);
        assert_true(s->rig->ops->quiesce(s->rig));
        io_collect(s, TEST_QUEUE_A);
        s->rig->ops->resume(s->rig);
        suite_settle(s);
        test_device_release(s->rig->device, round, 0);
        io_drain(s, TEST_QUEUE_A);
        io_recycle(s);
    }
}

/* Resume before it is quiet is allowed; nothing is lost. */
static void quiesce_and_resume(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 50; i++) {
        struct io *held = hold(s, TEST_QUEUE_A, i % 2 ? TEST_HOLD : TEST_HOLD_RETURNABLE, i);

        suite_settle(s);
        anyhv_ctl_quiesce(s->rig->dev);
        anyhv_ctl_resume(s->rig->dev);
        suite_settle(s);
        test_device_release(s->rig->device, 0, 0);
        io_wait(s, held);
    }
}

/* A reset by the driver does not end the quiet that the module asked for; resume does. */
static void quiesce_then_reset(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    hold(s, TEST_QUEUE_A, TEST_HOLD_RETURNABLE, 1);
    suite_settle(s);
    assert_true(s->rig->ops->quiesce(s->rig));
    suite_again(s, &(struct suite_setup){0});
    io_send(s, &(struct io){.op = TEST_ECHO, .payload = 8, .room = 8});
    io_none(s, TEST_QUEUE_A);
    s->rig->ops->resume(s->rig);
    io_drain(s, TEST_QUEUE_A);
    io_alive(s, TEST_QUEUE_A);
}

static void work(struct suite *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        io_do(s, {.queue = i % 2,
                  .op = TEST_ECHO,
                  .seed = i,
                  .payload = 40 + i % 30,
                  .room = 60,
                  .framing = IO_RANDOM,
                  .pieces = 2});
    }
}

/* Saved here, loaded there: rings, features, configuration and the model's state go on. */
static void migrate(struct suite *s)
{
    static const uint8_t mark[4] = {0xaa, 0xbb, 0xcc, 0xdd};
    uint8_t before[TEST_CONFIG_LEN], after[TEST_CONFIG_LEN];
    uint16_t size = suite_packed(s) ? 13 : 16;

    suite_up(s, &(struct suite_setup){.size = size, .features = TEST_F_HIGH});
    s->t->ops->config_write(s->t, TEST_CONFIG_DRIVER, mark, sizeof(mark));
    io_do(s, {.op = TEST_CONFIG, .seed = UINT64_C(0x1122334455667788)});
    assert_true(s->t->ops->config_read(s->t, 0, before, sizeof(before)));
    for (unsigned round = 0; round < 8; round++) {
        work(s, 11 + round);
        assert_true(s->rig->ops->migrate(s->rig));
        assert_true(s->t->ops->config_read(s->t, 0, after, sizeof(after)));
        assert_memory_equal(before, after, sizeof(after));
        assert_true(io_info(s, TEST_QUEUE_A, TEST_INFO_FEATURES) & TEST_F_HIGH);
    }
    work(s, 40);
}

/* Requests in work: finished before, or taken again by the successor. */
static void migrate_with_requests(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 64});
    for (unsigned round = 0; round < 8; round++) {
        struct io *held[8];

        for (unsigned i = 0; i < 8; i++)
            held[i] = hold(s, i % 2, suite_below(s, 2) ? TEST_HOLD : TEST_HOLD_RETURNABLE, i);
        if (round % 2)
            suite_settle(s);
        assert_true(s->rig->ops->migrate(s->rig));
        io_do(s, {.op = TEST_RELEASE, .seed = round});
        for (unsigned i = 0; i < 8; i++)
            io_wait(s, held[i]);
        io_recycle(s);
    }
}

/* The model's own state. */
static void migrate_model(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 4; i++) {
        struct drv_buf buf = {drv_alloc(s->mem, 16, 8), 16};
        struct drv_chain chain = {.in = &buf, .nin = 1, .direct = DRV_DIRECT};
        struct drv_used used;

        assert_true(drv_ring_add(&s->ring[TEST_QUEUE_EVENT], &chain) >= 0);
        drv_ring_publish(&s->ring[TEST_QUEUE_EVENT]);
        assert_true(s->rig->ops->migrate(s->rig));
        io_do(s, {.op = TEST_EVENTS, .arg = 1});
        suite_settle(s);
        assert_true(drv_ring_get(&s->ring[TEST_QUEUE_EVENT], &used));
        assert_int_equal(drv_peek64(s->mem, buf.addr), i);
    }
}

/* An interrupt that the driver has not seen yet is not lost. */
static void migrate_pending_interrupt(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 3; i++) {
        drv_ring_irq_on(&s->ring[TEST_QUEUE_A]);
        io_send(s, &(struct io){.op = TEST_ECHO, .payload = 5, .room = 5});
        assert_true(s->rig->ops->migrate(s->rig));
        assert_true(suite_interrupted(s, TEST_QUEUE_A));
        io_drain(s, TEST_QUEUE_A);
    }
}

/* A fresh device, halfway through negotiation, moves as well. */
static void migrate_early(struct suite *s)
{
    suite_start(s, NULL);
    assert_true(s->rig->ops->migrate(s->rig));
    suite_negotiate(s, &(struct suite_setup){.not_ready = true});
    assert_true(s->rig->ops->migrate(s->rig));
    drv_ready(s->t);
    io_alive(s, TEST_QUEUE_A);
}

/* The back end dies and its successor finds the state block: the guest does not probe again. */
static void crash(struct suite *s)
{
    uint16_t size = suite_packed(s) ? 11 : 8;

    suite_up(s, &(struct suite_setup){.size = size, .features = TEST_F_LOW});
    for (unsigned round = 0; round < 8; round++) {
        work(s, 7 + round);
        assert_true(s->rig->ops->crash(s->rig));
        assert_true(io_info(s, TEST_QUEUE_A, TEST_INFO_FEATURES) & TEST_F_LOW);
    }
    work(s, 30);
}

/* Requests that were published while nobody was there are served. */
static void crash_with_requests(struct suite *s)
{
    struct io *io;

    suite_up(s, &(struct suite_setup){0});
    work(s, 5);
    io = io_add(s, &(struct io){.op = TEST_ECHO, .payload = 10, .room = 10});
    drv_ring_publish(&s->ring[TEST_QUEUE_A]);
    assert_true(s->rig->ops->crash(s->rig));
    io_wait(s, io);
}

/*
 * With requests in work a successor cannot know which ones (docs/adr/0004-state.md): it says so,
 * and touches nothing.
 */
static void crash_in_work(struct suite *s)
{
    struct io *held[5];

    suite_up(s, &(struct suite_setup){0});
    work(s, 9);
    for (unsigned i = 0; i < 5; i++)
        held[i] = hold(s, TEST_QUEUE_A, TEST_HOLD, i);
    suite_settle(s);
    assert_int_equal(s->rig->device->nheld, 5);
    assert_false(s->rig->ops->crash(s->rig));
    for (unsigned i = 0; i < 5; i++)
        io_untouched(s, held[i]);
    assert_false(drv_ring_pending(&s->ring[TEST_QUEUE_A]));
}

/* In the middle of a negotiation. */
static void crash_early(struct suite *s)
{
    suite_start(s, NULL);
    assert_true(s->rig->ops->crash(s->rig));
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    assert_true(s->rig->ops->crash(s->rig));
    assert_int_equal(s->t->ops->status(s->t), DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    suite_negotiate(s, &(struct suite_setup){.not_ready = true});
    assert_true(s->rig->ops->crash(s->rig));
    drv_ready(s->t);
    io_alive(s, TEST_QUEUE_A);
}

const struct suite_test conf_lifecycle_tests[] = {
    {"quiesce.finishes", quiesce_finishes, RIG_QUIESCE, SUITE_ANY},
    {"quiesce.returns", quiesce_returns, RIG_QUIESCE | RIG_IN_PROCESS, SUITE_ANY},
    {"quiesce.mixed", quiesce_mixed, RIG_QUIESCE | RIG_IN_PROCESS, SUITE_ANY},
    {"quiesce.and_resume", quiesce_and_resume, RIG_QUIESCE | RIG_IN_PROCESS, SUITE_ANY},
    {"quiesce.then_reset", quiesce_then_reset, RIG_QUIESCE, SUITE_ANY},
    {"migrate.idle", migrate, RIG_MIGRATE | RIG_CONFIG, SUITE_ANY},
    {"migrate.with_requests", migrate_with_requests, RIG_MIGRATE, SUITE_ANY},
    {"migrate.model_state", migrate_model, RIG_MIGRATE, SUITE_ANY},
    {"migrate.pending_interrupt", migrate_pending_interrupt, RIG_MIGRATE, SUITE_ANY},
    {"migrate.early", migrate_early, RIG_MIGRATE | RIG_STATUS, SUITE_ANY},
    {"crash.idle", crash, RIG_CRASH, SUITE_ANY},
    {"crash.with_requests", crash_with_requests, RIG_CRASH, SUITE_ANY},
    {"crash.in_work_is_refused", crash_in_work, RIG_CRASH | RIG_IN_PROCESS, SUITE_ANY},
    {"crash.early", crash_early, RIG_CRASH | RIG_STATUS, SUITE_ANY},
    {0},
};

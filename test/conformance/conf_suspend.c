/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that suspends the device, and resumes it: section 3.4. */
#include "conformance/watch.h"

enum {
    READY = DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK,
    LIVE = READY | DRV_S_DRIVER_OK,
    SUSPENDED = READY | DRV_S_SUSPEND,
};

static uint8_t status(struct suite *s)
{
    return s->t->ops->status(s->t);
}

static void up(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = DRV_F_SUSPEND});
}

static void suspend(struct suite *s)
{
    s->t->ops->set_status(s->t, LIVE | DRV_S_SUSPEND);
    suite_settle(s);
    assert_int_equal(status(s), SUSPENDED);
}

static void resume(struct suite *s)
{
    s->t->ops->set_status(s->t, LIVE);
    assert_int_equal(status(s), LIVE);
    suite_settle(s);
}

static struct io *send(struct suite *s, unsigned queue, enum test_op op, uint64_t seed)
{
    return io_send(s,
                   &(struct io){.queue = queue, .op = op, .seed = seed, .payload = 40, .room = 40});
}

static void no_interrupts(struct suite *s)
{
    assert_false(suite_interrupted(s, TEST_QUEUE_A));
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
}

static uint64_t value(struct suite *s)
{
    uint8_t bytes[8];
    uint64_t word = 0;

    assert_true(drv_config_read(s->t, TEST_CONFIG_VALUE, bytes, sizeof(bytes)));
    for (unsigned i = 0; i < 8; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

/* The wish means nothing as long as the driver is not done. Proves SUSPEND-EARLY. */
static void early(struct suite *s)
{
    static const uint8_t steps[] = {DRV_S_ACKNOWLEDGE, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER, READY};

    suite_start(s, NULL);
    for (unsigned i = 0; i < sizeof(steps); i++) {
        if (steps[i] == READY)
            s->t->ops->set_features(s->t, DRV_F_VERSION_1 | DRV_F_SUSPEND);
        s->t->ops->set_status(s->t, steps[i]);
        s->t->ops->set_status(s->t, steps[i] | DRV_S_SUSPEND);
        assert_int_equal(status(s), steps[i]);
    }
    s->t->ops->set_status(s->t, LIVE);
    assert_int_equal(status(s), LIVE);
}

/*
 * There and back, as often as wanted.
 * Proves SUSPEND-SHOWN, SUSPEND-ENDS, SUSPEND-OR-NEEDS-RESET, RESUME-OR-NEEDS-RESET.
 */
static void there_and_back(struct suite *s)
{
    up(s);
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned queue = TEST_QUEUE_A; queue <= TEST_QUEUE_B; queue++)
            io_alive(s, queue);
        suspend(s);
        s->t->ops->set_status(s->t, SUSPENDED); /* once more changes nothing */
        assert_int_equal(status(s), SUSPENDED);
        resume(s);
    }
    io_alive(s, TEST_QUEUE_A);
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_STARTS), 1);
}

/* What was taken is answered before. Proves SUSPEND-FINISHED, SUSPEND-FINISHED-TOLD. */
static void finished(struct suite *s)
{
    struct io *held[6];

    up(s);
    for (unsigned i = 0; i < 6; i++)
        held[i] = send(s, i % 2, TEST_HOLD, i);
    io_none(s, TEST_QUEUE_A);
    suite_interrupted(s, TEST_QUEUE_A);
    suspend(s);
    assert_true(suite_interrupted(s, TEST_QUEUE_A));
    io_collect(s, TEST_QUEUE_A);
    io_collect(s, TEST_QUEUE_B);
    for (unsigned i = 0; i < 6; i++)
        assert_true(held[i]->used);
    no_interrupts(s);
    resume(s);
    io_alive(s, TEST_QUEUE_A);
}

/* Who sees SUSPEND has the interrupt already. Proves SUSPEND-FINISHED-TOLD. */
static void told_before(struct suite *s)
{
    struct drv_mmio *mmio;

    up(s);
    mmio = (struct drv_mmio *)(void *)s->t;
    send(s, TEST_QUEUE_A, TEST_HOLD, 1);
    suite_settle(s);
    suite_interrupted(s, TEST_QUEUE_A);
    s->t->ops->set_status(s->t, LIVE | DRV_S_SUSPEND);
    for (unsigned i = 0; i < 10 && status(s) == LIVE; i++)
        suite_settle(s);
    assert_int_equal(status(s), SUSPENDED);
    assert_int_equal(drv_mmio_read(mmio, DRV_MMIO_INTERRUPT_STATUS), DRV_IRQ_USED);
    assert_int_equal(io_collect(s, TEST_QUEUE_A), 1);
}

/* What goes back to the ring was never taken, for the driver: it is answered after that, once. */
static void given_back(struct suite *s)
{
    struct io *held[6];

    up(s);
    for (unsigned i = 0; i < 6; i++)
        held[i] = send(s, TEST_QUEUE_A, TEST_HOLD_RETURNABLE, i);
    suspend(s);
    io_none(s, TEST_QUEUE_A);
    for (unsigned i = 0; i < 6; i++)
        io_untouched(s, held[i]);
    resume(s);
    assert_int_equal(s->rig->device->nheld, 6);
    io_do(s, {.op = TEST_RELEASE});
    io_drain(s, TEST_QUEUE_A);
}

/* The driver wants it while the first of three requests is being answered. */
static struct {
    uint8_t status;
    uint64_t requests;
} then;

static void suspend_now(void *arg)
{
    struct suite *s = arg;

    s->rig->device->meanwhile = NULL;
    s->t->ops->set_status(s->t, LIVE | DRV_S_SUSPEND);
    then.status = status(s);
    then.requests = s->rig->device->info[TEST_INFO_REQUESTS];
}

static void suspend_at_the_first(struct suite *s, enum test_op op)
{
    s->rig->device->meanwhile = suspend_now;
    s->rig->device->meanwhile_arg = s;
    for (unsigned i = 0; i < 3; i++)
        io_add(s, &(struct io){.op = i ? TEST_ECHO : op, .seed = i, .payload = 40, .room = 40});
    io_submit(s, TEST_QUEUE_A);
    suite_settle(s);
    assert_int_equal(then.status, LIVE);
    assert_int_equal(s->rig->device->info[TEST_INFO_REQUESTS], then.requests + 1);
}

/* That one is finished, the next is not begun. Proves SUSPEND-STOPS-TAKING, SUSPEND-FINISHED. */
static void stops_taking(struct suite *s)
{
    up(s);
    suspend_at_the_first(s, TEST_ECHO);
    assert_int_equal(status(s), SUSPENDED);
    assert_int_equal(io_collect(s, TEST_QUEUE_A), 1);
    for (unsigned i = 1; i < 3; i++)
        io_untouched(s, &s->ios[i]);
    resume(s);
    io_drain(s, TEST_QUEUE_A);
}

/* A device that breaks on the way says so. Proves SUSPEND-OR-NEEDS-RESET. */
static void breaks_before(struct suite *s)
{
    up(s);
    suspend_at_the_first(s, TEST_FAIL);
    assert_true(status(s) & DRV_S_NEEDS_RESET);
    suite_again(s, &(struct suite_setup){.features = DRV_F_SUSPEND});
    suspend(s);
    resume(s);
    io_alive(s, TEST_QUEUE_A);
}

/*
 * One that breaks while it is suspended says nothing, and shows it to who resumes it.
 * Proves SUSPEND-NO-CONFIG-NOTIFICATION, RESUME-OR-NEEDS-RESET.
 */
static void breaks_asleep(struct suite *s)
{
    up(s);
    suspend(s);
    suite_interrupted(s, ANYHV_CONFIG);
    anyhv_dev_needs_reset(s->rig->dev);
    no_interrupts(s);
    s->t->ops->set_status(s->t, LIVE);
    assert_int_equal(status(s), LIVE | DRV_S_NEEDS_RESET);
    suite_settle(s);
    assert_true(suite_interrupted(s, ANYHV_CONFIG));
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
}

static unsigned accesses;

static void count_write(struct suite *s, uint64_t addr, uint64_t len)
{
    (void)s, (void)addr, (void)len;
    accesses++;
}

static void count_access(struct suite *s, uint64_t addr, uint32_t len, unsigned perm)
{
    (void)s, (void)addr, (void)len, (void)perm;
    accesses++;
}

/*
 * What is put into a ring meanwhile, kicked or not, waits for the driver to come back.
 * Proves SUSPEND-NO-QUEUES, SUSPEND-NO-NOTIFICATIONS.
 */
static void asleep(struct suite *s)
{
    struct io *a, *b;

    up(s);
    send(s, TEST_QUEUE_B, TEST_HOLD_RETURNABLE, 1);
    suspend(s);
    suite_interrupted(s, TEST_QUEUE_A);
    suite_interrupted(s, ANYHV_CONFIG);
    watch_memory(s, &(struct watch){.written = count_write, .access = count_access});
    accesses = 0;
    a = send(s, TEST_QUEUE_A, TEST_ECHO, 2);
    b = send(s, TEST_QUEUE_B, TEST_ECHO, 3);
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++)
        drv_kick(s->t, queue, &s->ring[queue]);
    test_device_release(s->rig->device, 0, 0);
    io_none(s, TEST_QUEUE_A);
    io_none(s, TEST_QUEUE_B);
    no_interrupts(s);
    assert_int_equal(accesses, 0);
    io_untouched(s, a);
    io_untouched(s, b);
    resume(s); /* without another kick */
    io_wait(s, a);
    io_wait(s, b);
    assert_true(accesses > 0);
}

/*
 * Nor does the device raise events by itself. Proves SUSPEND-NO-QUEUES, SUSPEND-NO-NOTIFICATIONS.
 */
static void no_events(struct suite *s)
{
    struct io *io;

    up(s);
    io = io_send(s, &(struct io){.queue = TEST_QUEUE_EVENT, .op = 0, .room = TEST_EVENT_BYTES});
    suspend(s);
    assert_null(anyhv_queue_pull(s->rig->dev, TEST_QUEUE_EVENT));
    no_interrupts(s);
    assert_int_equal(status(s), SUSPENDED);
    io_untouched(s, io);
    resume(s);
    io_alive(s, TEST_QUEUE_A);
}

/*
 * The configuration stands still; what becomes of it meanwhile is there and told afterwards, once.
 * Proves SUSPEND-NO-CONFIG-CHANGE, SUSPEND-NO-CONFIG-NOTIFICATION, SUSPEND-CONFIG-TOLD-LATER.
 */
static void config_told_later(struct suite *s)
{
    static const uint8_t bytes[2][8] = {{1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2, 2, 2}};
    uint32_t generation;
    uint64_t before;

    up(s);
    suspend(s);
    suite_interrupted(s, ANYHV_CONFIG);
    before = value(s);
    generation = anyhv_ctl_generation(s->rig->dev);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(anyhv_config_set(s->rig->dev, TEST_CONFIG_VALUE, bytes[i], 8), ANYHV_OK);
    no_interrupts(s);
    assert_true(value(s) == before);
    assert_int_equal(anyhv_ctl_generation(s->rig->dev), generation);
    resume(s);
    assert_true(suite_interrupted(s, ANYHV_CONFIG));
    assert_int_not_equal(anyhv_ctl_generation(s->rig->dev), generation);
    assert_true(value(s) == UINT64_C(0x0202020202020202));
    suspend(s);
    resume(s);
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
}

/* Proves SUSPEND-NO-CONFIG-WRITES. */
static void config_writes(struct suite *s)
{
    static const uint8_t bytes[4] = {0xd1, 0xd2, 0xd3, 0xd4};
    uint8_t before[TEST_CONFIG_LEN], after[TEST_CONFIG_LEN];

    up(s);
    assert_true(s->t->ops->config_read(s->t, 0, before, sizeof(before)));
    suspend(s);
    s->t->ops->config_write(s->t, TEST_CONFIG_DRIVER, bytes, sizeof(bytes));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(s->t->ops->config_read(s->t, 0, after, sizeof(after)));
        assert_memory_equal(after, before, sizeof(after));
        if (!i)
            resume(s);
    }
    assert_int_equal(s->rig->device->info[TEST_INFO_CONFIG_WRITES], 0);
}

/* A driver that adds DRIVER_OK to what it read, SUSPEND in it. Proves SUSPEND-ENDS. */
static void resumes_on_top(struct suite *s)
{
    up(s);
    suspend(s);
    s->t->ops->set_status(s->t, status(s) | DRV_S_DRIVER_OK);
    assert_int_equal(status(s), LIVE);
    io_alive(s, TEST_QUEUE_A);
}

/* A reset ends it. Proves RESET-STATUS. */
static void reset(struct suite *s)
{
    up(s);
    send(s, TEST_QUEUE_A, TEST_HOLD_RETURNABLE, 1);
    suspend(s);
    assert_true(s->t->ops->reset(s->t));
    assert_int_equal(status(s), 0);
    suite_again(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
    s->t->ops->set_status(s->t, LIVE | DRV_S_SUSPEND); /* not negotiated this time */
    assert_int_equal(status(s), LIVE);
}

/* It sleeps on in its successor. */
static void migrated(struct suite *s)
{
    struct io *io;

    up(s);
    suspend(s);
    io = send(s, TEST_QUEUE_A, TEST_ECHO, 4);
    assert_true(s->rig->ops->migrate(s->rig));
    assert_int_equal(status(s), SUSPENDED);
    io_none(s, TEST_QUEUE_A);
    no_interrupts(s);
    resume(s);
    io_wait(s, io);
}

#define NEEDS (RIG_SUSPEND | RIG_STATUS)
#define INNER (NEEDS | RIG_IN_PROCESS)

const struct suite_test conf_suspend_tests[] = {
    {"core.suspend.early", early, NEEDS, SUITE_ANY},
    {"core.suspend.there_and_back", there_and_back, NEEDS | RIG_FRESH, SUITE_ANY},
    {"core.suspend.finished", finished, NEEDS, SUITE_ANY},
    {"core.suspend.told_before", told_before, NEEDS | RIG_REGISTERS, SUITE_ANY},
    {"core.suspend.stops_taking", stops_taking, INNER, SUITE_ANY},
    {"core.suspend.given_back", given_back, INNER, SUITE_ANY},
    {"core.suspend.breaks_before", breaks_before, INNER, SUITE_ANY},
    {"core.suspend.breaks_asleep", breaks_asleep, INNER | RIG_CONFIG_IRQ, SUITE_ANY},
    {"core.suspend.asleep", asleep, INNER | RIG_KICK_ANY | RIG_CONFIG_IRQ, SUITE_ANY},
    {"core.suspend.no_events", no_events, INNER | RIG_CONFIG_IRQ, SUITE_ANY},
    {"core.suspend.config_told_later", config_told_later, INNER | RIG_CONFIG | RIG_CONFIG_IRQ,
     SUITE_ANY},
    {"core.suspend.config_writes", config_writes, INNER | RIG_CONFIG, SUITE_ANY},
    {"core.suspend.resumes_on_top", resumes_on_top, NEEDS, SUITE_ANY},
    {"core.suspend.reset", reset, NEEDS, SUITE_ANY},
    {"core.suspend.migrated", migrated, NEEDS | RIG_MIGRATE | RIG_CONFIG_IRQ, SUITE_ANY},
    {0},
};

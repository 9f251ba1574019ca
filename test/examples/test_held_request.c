/* SPDX-License-Identifier: Apache-2.0 */
/* examples/03-held-request, with resets and stops while a request is held. */
#include "testing.h"

#include "driver/driver.h"
#include "examples/03-held-request/slow.h"
#include <anyhv/loopback.h>
#include <stdlib.h>

#define BASE UINT64_C(0x40000000)

static _Alignas(4096) uint8_t ram[1 << 16];

/* The program that serves the device, and its guest. Timers fire in turns of the loop only. */
struct bench {
    struct anyhv_server server;
    struct anyhv_instance instance;
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[16];
};

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void negotiate(struct bench *b)
{
    const struct drv_ring_config config = {.size = 16, .slots = b->slots};

    drv_mem_init(&b->mem, ram, BASE, sizeof(ram));
    assert_true(drv_negotiate(&b->mmio.transport, 0));
    assert_true(drv_ring_init(&b->ring, &b->mem, &config));
    assert_true(drv_queue_setup(&b->mmio.transport, 0, &b->ring));
    drv_ready(&b->mmio.transport);
}

static int setup(void **state)
{
    const struct anyhv_loopback_options machine = {
        .base = BASE, .ram = ram, .ram_size = sizeof(ram)};
    struct bench *b = calloc(1, sizeof(*b));
    struct anyhv_attach how = {0};

    b->server.cls = &slow_class;
    b->server.loop = anyhv_loop_new();
    b->dev = anyhv_loopback_dev(&b->lb);
    assert_int_equal(slow_class.open(b->server.loop, NULL, &b->server.host), ANYHV_OK);
    assert_int_equal(anyhv_instance_create(&b->instance, &b->server, b->dev, &how), ANYHV_OK);
    assert_int_equal(anyhv_loopback_attach(&b->lb, &machine, &how), ANYHV_OK);
    drv_mmio_init(&b->mmio, access_register, &b->lb);
    negotiate(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    anyhv_loopback_detach(&b->lb);
    anyhv_instance_destroy(&b->instance);
    anyhv_loop_free(b->server.loop); /* panics if the timer is still armed */
    free(b);
    return 0;
}

/* A request; the device sees it at once. */
static void ask(struct bench *b)
{
    const struct drv_buf in = {drv_alloc(&b->mem, 4, 4), 4};
    const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = in.addr};

    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    drv_submit(&b->mmio.transport, 0, &b->ring);
    anyhv_loopback_run(&b->lb, 16);
}

/* The hardware finishes what it does. */
static void wait_for_hardware(struct bench *b)
{
    struct slow *slow = b->instance.priv;
    uint32_t before = slow->operations;

    assert_true(slow->busy);
    while (slow->operations == before)
        assert_true(anyhv_loop_turn(b->server.loop, 5000) > 0);
    anyhv_loopback_run(&b->lb, 16);
}

static void expect(struct bench *b, uint32_t operation)
{
    struct drv_used used;

    assert_true(drv_ring_get(&b->ring, &used));
    assert_int_equal(used.len, 4);
    assert_int_equal(drv_peek32(&b->mem, used.token), operation);
}

static void expect_none(struct bench *b)
{
    struct drv_used used;

    assert_false(drv_ring_get(&b->ring, &used));
}

static void the_timer_answers(void **state)
{
    struct bench *b = *state;

    ask(b);
    expect_none(b);
    wait_for_hardware(b);
    expect(b, 1);
    assert_int_equal(b->lb.seen.interrupts, 1);
}

static void one_operation_at_a_time(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < 3; i++)
        ask(b);
    for (uint32_t i = 1; i <= 3; i++) {
        wait_for_hardware(b);
        expect(b, i);
        expect_none(b);
    }
}

static void after_a_reset_a_late_answer_finds_nothing(void **state)
{
    struct bench *b = *state;

    ask(b);
    ask(b);
    negotiate(b); /* begins with a reset */
    ask(b);
    wait_for_hardware(b); /* the operation that was asked for before */
    expect_none(b);
    wait_for_hardware(b);
    expect(b, 2);
    expect_none(b);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->dropped, 2);
}

static void a_stop_gives_back_what_was_not_begun(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < 3; i++)
        ask(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, 2);
    assert_false(b->lb.quiet);
    wait_for_hardware(b);
    assert_true(b->lb.quiet);
    expect(b, 1);
    expect_none(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);

    anyhv_ctl_resume(b->dev);
    anyhv_loopback_run(&b->lb, 16);
    for (uint32_t i = 2; i <= 3; i++) {
        wait_for_hardware(b);
        expect(b, i);
    }
}

/* The end of the guest while the hardware works: teardown looks at what is left. */
static void nothing_outlives_the_device(void **state)
{
    struct bench *b = *state;
    struct slow *slow = b->instance.priv;

    ask(b);
    assert_true(slow->busy);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(the_timer_answers),
    TEST(one_operation_at_a_time),
    TEST(after_a_reset_a_late_answer_finds_nothing),
    TEST(a_stop_gives_back_what_was_not_begun),
    TEST(nothing_outlives_the_device),
};

ANYHV_TEST_MAIN("held request", tests)

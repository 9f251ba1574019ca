/* SPDX-License-Identifier: Apache-2.0 */
/* The status machine, what is offered and accepted, and the words of types.h. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    A = ANYHV_S_ACKNOWLEDGE,
    D = ANYHV_S_DRIVER,
    F = ANYHV_S_FEATURES_OK,
    OK = ANYHV_S_DRIVER_OK
};

static uint32_t violations(struct bench *b, enum anyhv_violation v)
{
    return b->dev->violations[v];
}

static void status_is(struct bench *b, uint8_t write, uint8_t then)
{
    anyhv_ctl_set_status(b->dev, write);
    assert_int_equal(anyhv_ctl_status(b->dev), then);
}

/* ---- status ---- */

static void a_driver_comes_up_step_by_step(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    assert_int_equal(anyhv_ctl_status(b->dev), 0);
    status_is(b, A, A);
    status_is(b, A | D, A | D);
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1);
    assert_int_equal(anyhv_dev_features(b->dev), 0); /* not before FEATURES_OK */
    status_is(b, A | D | F, A | D | F);
    assert_int_equal(anyhv_dev_features(b->dev), ANYHV_F_VERSION_1);
    bench_expect_trace(b, "");
    status_is(b, A | D | F | OK, A | D | F | OK);
    bench_expect_trace(b, "start ");
    status_is(b, A | D | F | OK, A | D | F | OK); /* once more is nothing */
    bench_expect_trace(b, "");
    status_is(b, 0, 0);
    bench_expect_trace(b, "reset stop ");
    assert_int_equal(anyhv_dev_features(b->dev), 0);
    status_is(b, 0, 0);
    bench_expect_trace(b, "reset "); /* no second stop */
    for (unsigned v = 0; v < ANYHV_V_COUNT; v++)
        assert_int_equal(b->dev->violations[v], 0);
}

static void bits_can_only_be_added(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    status_is(b, A | D, A | D);
    status_is(b, D, A | D);
    assert_int_equal(violations(b, ANYHV_V_STATUS_CLEAR), 1);
    assert_int_equal(bench_violation.a, D);
    assert_int_equal(bench_violation.b, A | D);
    status_is(b, ANYHV_S_FAILED, A | D | ANYHV_S_FAILED);
    assert_int_equal(violations(b, ANYHV_V_STATUS_CLEAR), 2);
    status_is(b, A | D | ANYHV_S_FAILED, A | D | ANYHV_S_FAILED);
    assert_int_equal(violations(b, ANYHV_V_STATUS_CLEAR), 2);
    status_is(b, 0, 0);
}

static void bits_that_are_not_the_drivers_stay_away(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    status_is(b, A | ANYHV_S_SUSPEND | ANYHV_S_NEEDS_RESET | 0x20, A);
    status_is(b, A | D | ANYHV_S_NEEDS_RESET, A | D);
    anyhv_dev_needs_reset(b->dev);
    status_is(b, A | D, A | D | ANYHV_S_NEEDS_RESET); /* nor can it be cleared */
    assert_int_equal(violations(b, ANYHV_V_STATUS_CLEAR), 0);
    status_is(b, 0, 0);
}

static void driver_ok_needs_features_ok(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    status_is(b, A | D | OK, A | D);
    assert_int_equal(violations(b, ANYHV_V_STATUS_ORDER), 1);
    bench_expect_trace(b, "");
    /* Both at once count only if the features are good. */
    status_is(b, A | D | F | OK, A | D);
    assert_int_equal(violations(b, ANYHV_V_STATUS_ORDER), 2);
    assert_int_equal(violations(b, ANYHV_V_FEATURES_REFUSED), 1);
    bench_expect_trace(b, "");
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1);
    status_is(b, A | D | F | OK, A | D | F | OK);
    bench_expect_trace(b, "start ");
}

static void needs_reset_is_told_once_and_only_a_reset_ends_it(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    anyhv_dev_needs_reset(b->dev);
    bench_expect_trace(b, ""); /* before DRIVER_OK nobody is to be told */
    assert_int_equal(anyhv_ctl_status(b->dev), ANYHV_S_NEEDS_RESET);
    bench_negotiate(b);
    bench_driver_ok(b);
    bench_expect_trace(b, "reset start ");
    anyhv_dev_needs_reset(b->dev);
    bench_expect_trace(b, "notify:config ");
    anyhv_dev_needs_reset(b->dev);
    bench_expect_trace(b, "");
    assert_int_equal(anyhv_ctl_status(b->dev), A | D | F | OK | ANYHV_S_NEEDS_RESET);
    status_is(b, 0, 0);
    bench_expect_trace(b, "reset stop ");
}

static void stop_follows_every_start(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    bench_held(b, 8, 8); /* stop finds that the handle finds nothing: bench.c */
    anyhv_ctl_lost(b->dev);
    bench_expect_trace(b, "changed:0 changed:1 stop ");
    anyhv_ctl_set_status(b->dev, 0);
    bench_expect_trace(b, "reset ");
    bench_up_again(b);
    bench_held(b, 8, 8);
    bench_detach(b);
    bench_expect_trace(b, "changed:0 changed:1 stop ");
    assert_null(b->lb.mem.devs);
}

static void callbacks_are_optional(void **state)
{
    struct bench *b = *state;

    b->ops.start = b->ops.stop = NULL;
    b->ops.cancel = NULL;
    b->ops.config_written = NULL;
    b->ops.retry = NULL;
    bench_up(b, NULL);
    b->port.queue_changed = NULL;
    b->port.quiet = NULL;
    b->port.reset = NULL;
    bench_up_again(b);
    bench_held(b, 8, 8);
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "x", 1), ANYHV_OK);
    anyhv_mem_room(&b->lb.mem);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    anyhv_dev_needs_reset(b->dev);
    bench_expect_trace(b, "notify:0 notify:config ");
    bench_detach(b);
    bench_expect_trace(b, "");
}

/* The caller's storage needs no alignment, and as much as was said is enough. */
static void storage_may_lie_anywhere(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    bench_ring(b, 0);
    bench_ring(b, 1);
    for (unsigned off = 0; off < 17; off++) {
        uint8_t *wide = malloc(b->storage_size + off);
        void *kept = b->storage;

        assert_non_null(wide);
        bench_detach(b);
        b->storage = wide + off;
        assert_int_equal(bench_reattach(b, false), ANYHV_OK);
        bench_up_again(b);
        bench_held(b, 8, 8);
        assert_true((uint8_t *)b->dev->queues >= wide + off);
        assert_int_equal((uintptr_t)b->dev->queues % 16, 0);
        bench_detach(b);
        b->storage = kept;
        free(wide);
    }
}

static void a_queue_may_have_32768_entries(void **state)
{
    struct bench *b = *state;

    b->ops.max_size = 32768;
    bench_attach(b, &(struct bench_options){.limits = {.requests = 1, .segs = 8}});
    assert_int_equal(anyhv_ctl_queue_max(b->dev, 1), 32768);
    b->ops.max_size = 0; /* what everybody has */
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_queue_max(b->dev, 1), 1024);
}

/* ---- features ---- */

/*
 * The device type's bits (0 to 23, 50 and up) and what core and port do together.
 * Proves ACCESS-PLATFORM-OFFERED, FEATURES-SUPPORTED.
 */
static void what_is_offered(void **state)
{
    struct bench *b = *state;
    uint64_t ring = ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_RING_PACKED |
                    ANYHV_F_RING_RESET | ANYHV_F_SUSPEND | ANYHV_F_VERSION_1;

    bench_attach(b, NULL);
    assert_int_equal(anyhv_ctl_features(b->dev), ring | ANYHV_F(5) | ANYHV_F(55));
    b->ops.ordered = true;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_features(b->dev),
                     ring | ANYHV_F_IN_ORDER | ANYHV_F(5) | ANYHV_F(55));
    /* A device table cannot offer what the ring or the transport would have to do. */
    b->ops.features = UINT64_MAX;
    b->ops.ordered = false;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_features(b->dev), ring | ~ANYHV_F_RING_BITS);
    /* The registers carry more, the bounced ones still more. */
    b->options.registers = true;
    b->ops.features = 0;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_features(b->dev), ring | ANYHV_F_NOTIFICATION_DATA);
    b->options.bounce = true;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_features(b->dev),
                     ring | ANYHV_F_NOTIFICATION_DATA | ANYHV_F_ACCESS_PLATFORM);
}

/* Proves FEATURES-COMPLETE. */
static void anything_but_version_1_can_be_withheld(void **state)
{
    struct bench *b = *state;
    uint64_t all;

    b->ops.ordered = true;
    bench_attach(b, NULL);
    all = anyhv_ctl_features(b->dev);
    for (unsigned bit = 0; bit < 64; bit++) {
        b->options.withhold = ANYHV_F(bit);
        assert_int_equal(bench_reattach(b, false), ANYHV_OK);
        assert_int_equal(anyhv_ctl_features(b->dev),
                         ANYHV_F(bit) == ANYHV_F_VERSION_1 ? all : all & ~ANYHV_F(bit));
    }
    b->options.withhold = UINT64_MAX;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_features(b->dev), ANYHV_F_VERSION_1);
}

static void each_of_64_bits_is_accepted_if_it_is_offered(void **state)
{
    struct bench *b = *state;

    b->ops.features = ANYHV_F(0) | ANYHV_F(5) | ANYHV_F(23) | ANYHV_F(50) | ANYHV_F(63);
    bench_attach(b, NULL);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t want = ANYHV_F(bit) | ANYHV_F_VERSION_1;
        bool offered = anyhv_ctl_features(b->dev) & ANYHV_F(bit);
        uint32_t before = violations(b, ANYHV_V_FEATURES_REFUSED);

        anyhv_ctl_set_status(b->dev, 0);
        anyhv_ctl_set_features(b->dev, want);
        status_is(b, A | D | F, offered ? A | D | F : A | D);
        assert_int_equal(anyhv_dev_features(b->dev), offered ? want : 0);
        assert_int_equal(violations(b, ANYHV_V_FEATURES_REFUSED), before + !offered);
        if (!offered) {
            assert_int_equal(bench_violation.a, want);
            assert_int_equal(bench_violation.b, anyhv_ctl_features(b->dev));
            anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1); /* it may try again with less */
            status_is(b, A | D | F, A | D | F);
        }
    }
}

static void without_version_1_nothing_is_accepted(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    anyhv_ctl_set_features(b->dev, 0);
    status_is(b, A | D | F, A | D);
    anyhv_ctl_set_features(b->dev, anyhv_ctl_features(b->dev) & ~ANYHV_F_VERSION_1);
    status_is(b, A | D | F, A | D);
    anyhv_ctl_set_features(b->dev, anyhv_ctl_features(b->dev));
    status_is(b, A | D | F, A | D | F);
    assert_int_equal(anyhv_dev_features(b->dev), anyhv_ctl_features(b->dev));
}

static void a_required_feature_has_to_be_accepted(void **state)
{
    struct bench *b = *state;

    b->ops.required = ANYHV_F(5);
    bench_attach(b, NULL);
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1 | ANYHV_F(55));
    status_is(b, A | D | F, A | D);
    assert_int_equal(violations(b, ANYHV_V_FEATURES_REFUSED), 1);
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1 | ANYHV_F(5));
    status_is(b, A | D | F, A | D | F);
    b->ops.required = ANYHV_F(6); /* which is not offered: nobody could */
    assert_int_equal(bench_reattach(b, false), ANYHV_E_INVAL);
}

static void features_are_fixed_by_features_ok(void **state)
{
    struct bench *b = *state;

    bench_attach(b, NULL);
    bench_negotiate(b);
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1 | ANYHV_F(5));
    assert_int_equal(anyhv_dev_features(b->dev), ANYHV_F_VERSION_1);
    assert_int_equal(violations(b, ANYHV_V_FEATURES_LATE), 1);
    assert_int_equal(bench_violation.a, ANYHV_F_VERSION_1 | ANYHV_F(5));
    assert_int_equal(bench_violation.queue, ANYHV_CONFIG);
    anyhv_ctl_set_status(b->dev, 0);
    anyhv_ctl_set_features(b->dev, ANYHV_F_VERSION_1 | ANYHV_F(5));
    status_is(b, A | D | F, A | D | F);
    assert_int_equal(anyhv_dev_features(b->dev), ANYHV_F_VERSION_1 | ANYHV_F(5));
}

/* The rings do what was negotiated, not what is offered. */
static void a_feature_that_was_not_taken_is_off(void **state)
{
    struct bench *b = *state;
    struct drv_buf in = {0, 8};
    struct drv_chain chain = {.in = &in, .nin = 1, .direct = 0, .token = 3};

    for (unsigned on = 0; on < 2; on++) {
        if (on == 0)
            bench_up(b, &(struct bench_options){.features = 0});
        b->options.features = on ? DRV_F_INDIRECT : 0;
        bench_up_again(b);
        in.addr = bench_alloc(b, 16);
        chain.table = bench_alloc(b, 16);
        assert_true(drv_ring_add(&b->ring[0], &chain) >= 0);
        drv_ring_publish(&b->ring[0]);
        bench_kick(b, 0);
        assert_int_equal(b->handles, on);
        assert_int_equal(violations(b, ANYHV_V_INDIRECT_OFF), 1);
    }
}

/* ---- words ---- */

static void every_result_has_a_name(void **state)
{
    (void)state;
    for (int i = ANYHV_E_IO; i <= ANYHV_LATER; i++) {
        assert_non_null(anyhv_result_name(i));
        assert_true(strlen(anyhv_result_name(i)) > 0);
        for (int k = ANYHV_E_IO; k < i; k++)
            assert_string_not_equal(anyhv_result_name(i), anyhv_result_name(k));
    }
    assert_non_null(anyhv_result_name(ANYHV_E_IO - 1));
    assert_non_null(anyhv_result_name(2));
    assert_non_null(anyhv_result_name(INT32_MIN));
    assert_non_null(anyhv_result_name(INT32_MAX));
}

static void every_violation_is_described(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ANYHV_V_COUNT; i++) {
        const struct anyhv_violation_info *info = &anyhv_violations[i];

        assert_non_null(info->name);
        assert_true(strlen(info->text) > 10);
        assert_true(info->outcome <= ANYHV_REFUSE);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(info->name, anyhv_violations[k].name);
    }
    assert_string_equal(anyhv_violations[ANYHV_V_HEAD_RANGE].name, "HEAD_RANGE");
    assert_int_equal(anyhv_violations[ANYHV_V_HEAD_RANGE].outcome, ANYHV_BREAK);
    assert_int_equal(anyhv_violations[ANYHV_V_QUEUE_SIZE].outcome, ANYHV_REFUSE);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_driver_comes_up_step_by_step),
    BENCH_TEST(bits_can_only_be_added),
    BENCH_TEST(bits_that_are_not_the_drivers_stay_away),
    BENCH_TEST(driver_ok_needs_features_ok),
    BENCH_TEST(needs_reset_is_told_once_and_only_a_reset_ends_it),
    BENCH_TEST(stop_follows_every_start),
    BENCH_TEST(callbacks_are_optional),
    BENCH_TEST(storage_may_lie_anywhere),
    BENCH_TEST(a_queue_may_have_32768_entries),
    BENCH_TEST(what_is_offered),
    BENCH_TEST(anything_but_version_1_can_be_withheld),
    BENCH_TEST(each_of_64_bits_is_accepted_if_it_is_offered),
    BENCH_TEST(without_version_1_nothing_is_accepted),
    BENCH_TEST(a_required_feature_has_to_be_accepted),
    BENCH_TEST(features_are_fixed_by_features_ok),
    BENCH_TEST(a_feature_that_was_not_taken_is_off),
    cmocka_unit_test(every_result_has_a_name),
    cmocka_unit_test(every_violation_is_described),
};

ANYHV_TEST_MAIN("status", tests)

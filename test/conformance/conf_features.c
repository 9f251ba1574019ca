/* SPDX-License-Identifier: Apache-2.0 */
/* Feature negotiation: sections 2.2 and 6. */
#include "conformance/suite.h"

#define DEVICE_BITS (TEST_F_LOW | TEST_F_HIGH)
/* What may be offered besides: 28, 29, 32, 33, 34, 35, 36, 38, 40, 43 (section 6). */
#define RING_BITS                                                                    \
    (DRV_F_INDIRECT | DRV_F_EVENT_IDX | DRV_F_VERSION_1 | DRV_F(33) | DRV_F_PACKED | \
     DRV_F_IN_ORDER | DRV_F(36) | DRV_F_NOTIFICATION_DATA | DRV_F_RING_RESET | DRV_F_SUSPEND)

static uint64_t offered(struct suite *s)
{
    return s->t->ops->offered(s->t);
}

/* As far as FEATURES_OK; true if it was taken. */
static bool take(struct suite *s, uint64_t features)
{
    struct drv_transport *t = s->t;

    assert_true(t->ops->reset(t));
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    t->ops->set_features(t, features);
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    return t->ops->status(t) & DRV_S_FEATURES_OK;
}

/* 6.1: a device must offer VERSION_1. Proves VERSION-1-OFFERED. */
static void version_1_offered(struct suite *s)
{
    suite_start(s, NULL);
    assert_true(offered(s) & DRV_F_VERSION_1);
    assert_int_equal(offered(s) & DEVICE_BITS, DEVICE_BITS);
}

/*
 * 2.2.2: no bit outside what the specification and the device type define.
 * Proves FEATURES-SUPPORTED, SR-IOV, MMIO-NO-ADMIN-VQ.
 */
static void only_known_bits(struct suite *s)
{
    suite_start(s, NULL);
    assert_int_equal(offered(s) & ~(RING_BITS | DEVICE_BITS), 0);
}

/* 6: IN_ORDER is a promise that only an ordered device can give. Proves FEATURES-SUPPORTED. */
static void in_order_if_ordered(struct suite *s)
{
    suite_start(s, NULL);
    assert_false(offered(s) & DRV_F_IN_ORDER);
    s->rig->ops->stop(s->rig);
    suite_start(s, &(struct rig_options){.variant = TEST_ORDERED});
    assert_true(offered(s) & DRV_F_IN_ORDER);
}

static void withheld_bits(struct suite *s)
{
    suite_start(s, &(struct rig_options){.withhold = DRV_F_EVENT_IDX | TEST_F_HIGH});
    assert_int_equal(offered(s) & (DRV_F_EVENT_IDX | DEVICE_BITS), TEST_F_LOW);
    s->rig->ops->stop(s->rig);
    suite_start(s, NULL);
    assert_int_equal(offered(s) & DEVICE_BITS, DEVICE_BITS);
}

/*
 * 2.2.2: a set with a bit that was not offered is not accepted; a good one then is.
 * Proves FEATURES-REFUSED.
 */
static void unoffered_refused(struct suite *s)
{
    uint64_t good = DRV_F_VERSION_1;

    suite_start(s, NULL);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (offered(s) & DRV_F(bit))
            continue;
        assert_false(take(s, good | DRV_F(bit)));
        if (suite_has(s, RIG_STATUS))
            assert_false(s->t->ops->status(s->t) & DRV_S_NEEDS_RESET);
    }
    assert_true(take(s, good));
}

/*
 * 2.2.2: any subset that has VERSION_1 is taken: all of them if they are few, or some sixty.
 * Proves FEATURES-ANY-SUBSET.
 */
static void any_subset(struct suite *s)
{
    uint64_t all, subset = 0;
    unsigned count = 0, one_in;

    suite_start(s, &(struct rig_options){.variant = TEST_ORDERED});
    all = offered(s) & ~DRV_F_VERSION_1;
    one_in = (unsigned)((UINT64_C(1) << __builtin_popcountll(all)) / 64) + 1;
    do {
        subset = (subset - all) & all; /* the next larger one, carried over what is not offered */
        if (suite_below(s, one_in))
            continue;
        assert_true(take(s, subset | DRV_F_VERSION_1));
        count++;
    } while (subset);
    assert_true(count > 20);
}

/* After a refusal the driver may try again with less, without a reset. */
static void refused_then_less(struct suite *s)
{
    uint64_t bad = DRV_F(63);

    suite_start(s, NULL);
    assert_false(offered(s) & bad);
    assert_false(take(s, DRV_F_VERSION_1 | bad));
    s->t->ops->set_features(s->t, DRV_F_VERSION_1);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    assert_true(s->t->ops->status(s->t) & DRV_S_FEATURES_OK);
}

/*
 * 6.2: without VERSION_1 the device may refuse; ours does.
 * Proves FEATURES-REFUSED, VERSION-1-NEEDED.
 */
static void without_version_1_refused(struct suite *s)
{
    suite_start(s, NULL);
    assert_false(take(s, 0));
    assert_false(take(s, TEST_F_LOW));
    assert_true(take(s, DRV_F_VERSION_1));
}

/* 2.2.2: a set that was taken is taken again after a reset. Proves FEATURES-AGAIN. */
static void taken_again_after_reset(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(take(s, offered(s)));
        assert_true(take(s, DRV_F_VERSION_1 | TEST_F_HIGH));
    }
}

/* The offer does not depend on what the driver did. */
static void offer_is_constant(struct suite *s)
{
    uint64_t before;

    suite_start(s, NULL);
    before = offered(s);
    suite_negotiate(s, &(struct suite_setup){0});
    io_alive(s, TEST_QUEUE_A);
    assert_true(offered(s) == before);
    assert_true(s->t->ops->reset(s->t));
    assert_true(offered(s) == before);
}

/* All 64 bits arrive, and only those that were chosen are in force. */
static void chosen_bits_in_force(struct suite *s)
{
    static const uint64_t chosen[] = {0, TEST_F_LOW, TEST_F_HIGH, TEST_F_LOW | TEST_F_HIGH};

    suite_start(s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        suite_again(s, &(struct suite_setup){.features = chosen[i]});
        assert_true((io_info(s, TEST_QUEUE_A, TEST_INFO_FEATURES) & DEVICE_BITS) == chosen[i]);
        assert_true(io_info(s, TEST_QUEUE_A, TEST_INFO_FEATURES) & DRV_F_VERSION_1);
    }
}

/* 2.2.1, 3.1.1: once FEATURES_OK is set the choice is closed. Proves INIT-FEATURES-FINAL. */
static void late_write_ignored(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = TEST_F_LOW});
    s->t->ops->set_features(s->t, DRV_F_VERSION_1 | TEST_F_HIGH);
    assert_true((io_info(s, TEST_QUEUE_A, TEST_INFO_FEATURES) & DEVICE_BITS) == TEST_F_LOW);
    if (suite_has(s, RIG_COUNTERS))
        assert_true(suite_violations(s, ANYHV_V_FEATURES_LATE) > 0);
}

/* Before FEATURES_OK the choice may change as often as the driver likes. */
static void last_choice_counts(struct suite *s)
{
    suite_start(s, NULL);
    assert_true(s->t->ops->reset(s->t));
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    s->t->ops->set_features(s->t, UINT64_MAX);
    s->t->ops->set_features(s->t, 0);
    s->t->ops->set_features(s->t, DRV_F_VERSION_1 | TEST_F_HIGH);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    assert_true(s->t->ops->status(s->t) & DRV_S_FEATURES_OK);
    assert_true(anyhv_dev_features(s->rig->dev) == (DRV_F_VERSION_1 | TEST_F_HIGH));
}

/* A choice does not survive a reset. */
static void forgotten_by_reset(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.features = TEST_F_LOW | TEST_F_HIGH});
    assert_true(s->t->ops->reset(s->t));
    assert_int_equal(anyhv_dev_features(s->rig->dev), 0);
    s->t->ops->set_status(s->t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    assert_false(s->t->ops->status(s->t) & DRV_S_FEATURES_OK);
}

const struct suite_test conf_features_tests[] = {
    {"core.features.version_1_offered", version_1_offered, 0, SUITE_ANY},
    {"core.features.only_known_bits", only_known_bits, 0, SUITE_ANY},
    {"core.features.in_order_if_ordered", in_order_if_ordered, RIG_FRESH, SUITE_ANY},
    {"core.features.withheld", withheld_bits, RIG_FRESH, SUITE_ANY},
    {"core.features.unoffered_refused", unoffered_refused, RIG_STATUS, SUITE_ANY},
    {"core.features.any_subset", any_subset, RIG_STATUS | RIG_FRESH, SUITE_ANY},
    {"core.features.refused_then_less", refused_then_less, RIG_STATUS, SUITE_ANY},
    {"core.features.without_version_1_refused", without_version_1_refused, RIG_STATUS, SUITE_ANY},
    {"core.features.taken_again_after_reset", taken_again_after_reset, RIG_STATUS, SUITE_ANY},
    {"core.features.offer_is_constant", offer_is_constant, 0, SUITE_ANY},
    {"core.features.chosen_bits_in_force", chosen_bits_in_force, 0, SUITE_ANY},
    {"core.features.late_write_ignored", late_write_ignored, RIG_STATUS, SUITE_ANY},
    {"core.features.last_choice_counts", last_choice_counts, RIG_STATUS | RIG_IN_PROCESS,
     SUITE_ANY},
    {"core.features.forgotten_by_reset", forgotten_by_reset, RIG_STATUS | RIG_IN_PROCESS,
     SUITE_ANY},
    {0},
};

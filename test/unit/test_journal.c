/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: where it comes from, how long its word counts, and what is in it. */
#include "journal_world.h"

#include <stdlib.h>
#include <string.h>

static struct world_shared shared, copy;
static struct world w, next;

static void start(uint64_t features)
{
    world_start(&w, &shared, features);
}

static int succeed(void)
{
    memcpy(&copy, &shared, sizeof(copy));
    return world_succeed(&next, &w, &copy);
}

/* Four requests are with the device when it dies: two of them first, then the two others. */
static void four_in_work(uint64_t features)
{
    start(features);
    w.hold_every = 1;
    world_post(&w, 2);
    world_run(&w);
    world_post(&w, 2);
    world_run(&w);
    assert_int_equal(w.nheld, 4);
}

/* ---- what a successor does ---- */

static void the_oldest_comes_first(void **state)
{
    static const uint64_t features[] = {0, DRV_F_PACKED, DRV_F_INDIRECT,
                                        DRV_F_PACKED | DRV_F_INDIRECT};

    (void)state;
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        four_in_work(features[i]);
        assert_int_equal(succeed(), ANYHV_OK);
        world_post(&next, 1); /* newer than all of them */
        world_run(&next);
        assert_int_equal(next.replayed, 4);
        assert_int_equal(next.norder, 5);
        for (uint32_t k = 0; k < 5; k++)
            assert_int_equal(next.order[k], k);
        world_check_all(&next);
        assert_int_equal(next.replayed, 4); /* and only these */
        assert_true(next.notified > 0);
        world_end(&next);
        world_end(&w);
    }
}

static void an_answer_in_between_is_not_repeated(void **state)
{
    static const uint64_t features[] = {0, DRV_F_PACKED};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct anyhv_req *req;

        four_in_work(features[i]);
        req = anyhv_req_get(&w.dev, w.held[2]);
        world_answer_one(&w, req);
        world_run(&w);
        assert_int_equal(succeed(), ANYHV_OK);
        world_run(&next);
        assert_int_equal(next.replayed, 3);
        assert_int_equal(next.order[2], 3);
        world_check_all(&next);
        world_end(&next);
        world_end(&w);
    }
}

/* A successor may die as well, before, while and after it does what the first one left. */
static void successors_die_too(void **state)
{
    static struct world chain[8];
    static struct world_shared memory[8];

    (void)state;
    four_in_work(DRV_F_PACKED | DRV_F_INDIRECT);
    memcpy(&memory[0], &shared, sizeof(shared));
    assert_int_equal(world_succeed(&chain[0], &w, &memory[0]), ANYHV_OK);
    for (unsigned i = 1; i < 8; i++) {
        chain[i - 1].hold_every = 2;
        anyhv_dev_run(&chain[i - 1].dev, i % 4);
        memcpy(&memory[i], &memory[i - 1], sizeof(memory[0]));
        assert_int_equal(world_succeed(&chain[i], &chain[i - 1], &memory[i]), ANYHV_OK);
        world_end(&chain[i - 1]);
    }
    world_check_all(&chain[7]);
    world_end(&chain[7]);
    world_end(&w);
}

/* ---- how long it counts ---- */

static struct anyhv_queue_setup setup_at(uint32_t base)
{
    return (struct anyhv_queue_setup){.desc = w.ring.desc,
                                      .driver = w.ring.driver,
                                      .device = w.ring.device,
                                      .base = base,
                                      .size = WORLD_SIZE};
}

/* What a reset or a stop drops is dropped for good: the next start is at its base. */
static void a_reset_and_a_stop_end_it(void **state)
{
    struct anyhv_queue_setup setup;

    (void)state;
    for (unsigned drain = 0; drain < 2; drain++) {
        uint32_t base = 0;

        four_in_work(0);
        if (drain)
            world_answer(&w);
        assert_int_equal(anyhv_ctl_queue_stop(&w.dev, 0, drain, &base), ANYHV_OK);
        if (drain)
            assert_int_equal(base, 4);
        setup = setup_at(4);
        assert_int_equal(anyhv_ctl_queue_start(&w.dev, 0, &setup), ANYHV_OK);
        w.replayed = 0;
        w.hold_every = 0;
        world_post(&w, 1);
        world_run(&w);
        assert_int_equal(w.replayed, 0);
        assert_int_equal(w.order[w.norder - 1], 4);
        world_end(&w);
    }
    four_in_work(0);
    anyhv_ctl_set_status(&w.dev, 0);
    assert_int_equal(succeed(), ANYHV_OK);
    assert_false(anyhv_ctl_queue_started(&next.dev, 0));
    world_end(&next);
    world_end(&w);
}

/* A drain that comes first finishes what the predecessor had taken. */
static void a_drain_takes_it_first(void **state)
{
    uint32_t base = 0;

    (void)state;
    four_in_work(DRV_F_PACKED);
    assert_int_equal(succeed(), ANYHV_OK);
    assert_int_equal(anyhv_ctl_queue_stop(&next.dev, 0, true, &base), ANYHV_LATER);
    world_post(&next, 1); /* which it must not take */
    world_run(&next);
    assert_int_equal(next.norder, 4);
    assert_int_equal(anyhv_ctl_queue_stop(&next.dev, 0, true, &base), ANYHV_OK);
    world_collect(&next);
    assert_int_equal(next.ring.inflight, 1);
    world_end(&next);
    world_end(&w);
}

/* What was taken again and is held then is asked about, and nothing new is taken behind it. */
static void a_drain_asks_for_what_it_took(void **state)
{
    uint32_t base = 0;

    (void)state;
    for (unsigned bad = 0; bad < 2; bad++) {
        four_in_work(0);
        assert_int_equal(succeed(), ANYHV_OK);
        next.hold_every = 1;
        if (bad) /* the last one's buffer is nowhere now */
            drv_split_desc(&next.window, next.ring.desc, next.slots[0].tail, 1, 1, 0, 0);
        assert_int_equal(anyhv_ctl_queue_stop(&next.dev, 0, true, &base), ANYHV_LATER);
        world_post(&next, 1);
        world_run(&next);
        assert_true(next.cancelled >= 3);
        assert_int_equal(anyhv_ctl_queue_stop(&next.dev, 0, true, &base), ANYHV_OK);
        assert_int_equal(base, 4);
        world_end(&next);
        world_end(&w);
    }
}

/* A journal in which nothing stands says nothing about a ring that was not quiet. */
static void an_empty_one_is_none(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        four_in_work(packed ? DRV_F_PACKED : 0);
        memcpy(&copy, &shared, sizeof(copy));
        memset(copy.journal, 0, sizeof(copy.journal));
        assert_int_equal(world_succeed(&next, &w, &copy), ANYHV_E_STATE);
        world_end(&w);
    }
}

/* The driver polls for SUSPEND: whoever comes has to get there. */
static void a_wish_to_suspend_is_inherited(void **state)
{
    (void)state;
    four_in_work(DRV_F_SUSPEND);
    w.hold_every = 1;
    memcpy(&copy, &shared, sizeof(copy));
    ((struct anyhv_state *)(void *)copy.state)->status |= ANYHV_S_SUSPEND; /* and died there */
    assert_int_equal(world_succeed(&next, &w, &copy), ANYHV_OK);
    assert_int_equal(anyhv_ctl_status(&next.dev), 0x0f);
    world_run(&next);
    assert_int_equal(anyhv_ctl_status(&next.dev), 0x1b);
    world_collect(&next);
    assert_int_equal(next.ring.inflight, 0);
    anyhv_ctl_set_status(&next.dev, 0x0f);
    world_check_all(&next);
    world_end(&next);
    world_end(&w);
}

/* ---- arguments ---- */

static void arguments_are_checked(void **state)
{
    static _Alignas(64) uint8_t area[ANYHV_JOURNAL_QUEUE_SIZE(WORLD_SIZE, true)];
    struct anyhv_queue_setup setup = setup_at(0);

    (void)state;
    start(0);
    assert_int_equal(anyhv_ctl_queue_journal(&w.dev, 1, area, sizeof(area)), ANYHV_E_INVAL);
    assert_int_equal(anyhv_ctl_queue_journal(&w.dev, 0, area, sizeof(area)), ANYHV_E_STATE);
    assert_int_equal(anyhv_ctl_queue_stop(&w.dev, 0, false, NULL), ANYHV_OK);
    assert_int_equal(anyhv_ctl_queue_journal(&w.dev, 0, area + 4, sizeof(area) - 4), ANYHV_E_INVAL);
    assert_int_equal(anyhv_ctl_queue_journal(&w.dev, 0, area, 16), ANYHV_E_INVAL);
    /* Too small for this ring: known when it starts. */
    assert_int_equal(
        anyhv_ctl_queue_journal(&w.dev, 0, area, anyhv_journal_size(WORLD_SIZE / 2, false)),
        ANYHV_OK);
    setup = setup_at(0);
    assert_int_equal(anyhv_ctl_queue_start(&w.dev, 0, &setup), ANYHV_E_INVAL);
    assert_int_equal(w.dev.violations[ANYHV_V_QUEUE_JOURNAL], 1);
    assert_int_equal(
        anyhv_ctl_queue_journal(&w.dev, 0, area, anyhv_journal_size(WORLD_SIZE, false)), ANYHV_OK);
    assert_int_equal(anyhv_journal_size(WORLD_SIZE, true), sizeof(area));
    assert_int_equal(anyhv_journal_size(1, false), 64);
    world_end(&w);
}

/* Without a journal nobody knows which requests were in work. */
static void without_one_nobody_can_succeed(void **state)
{
    (void)state;
    four_in_work(0);
    memcpy(&copy, &shared, sizeof(copy));
    assert_int_equal(world_succeed_without(&next, &w, &copy), ANYHV_E_STATE);
    world_end(&w);
}

/* ---- whoever else can write there ---- */

static uint32_t random_word(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/*
 * Any content, at the start and while it is used: the device may refuse, or break the ring, but it
 * touches nothing else and comes to an end.
 */
static void any_content_is_survived(void **state)
{
    static const uint64_t features[] = {0, DRV_F_PACKED, DRV_F_INDIRECT,
                                        DRV_F_PACKED | DRV_F_INDIRECT};
    unsigned started = 0, refused = 0;
    uint32_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        uint8_t *bytes = (uint8_t *)copy.journal;
        unsigned changes = 1 + random_word(&seed) % 6;

        four_in_work(features[round % 4]);
        memcpy(&copy, &shared, sizeof(copy));
        while (changes--) {
            uint32_t at = random_word(&seed) % 400;

            bytes[at] = random_word(&seed) % 3 ? (uint8_t)(random_word(&seed) % 20)
                                               : (uint8_t)random_word(&seed);
        }
        if (world_succeed(&next, &w, &copy) == ANYHV_OK) {
            started++;
            next.lenient = true;
            anyhv_dev_run(&next.dev, 3);
            bytes[random_word(&seed) % 400] = (uint8_t)random_word(&seed);
            world_run(&next);
            world_end(&next);
        } else {
            refused++;
        }
        world_end(&w);
    }
    assert_true(started > 100 && refused > 100);
}

#define TEST(f) cmocka_unit_test(f)

static const struct CMUnitTest tests[] = {
    TEST(the_oldest_comes_first),
    TEST(an_answer_in_between_is_not_repeated),
    TEST(successors_die_too),
    TEST(a_reset_and_a_stop_end_it),
    TEST(a_drain_takes_it_first),
    TEST(a_drain_asks_for_what_it_took),
    TEST(an_empty_one_is_none),
    TEST(a_wish_to_suspend_is_inherited),
    TEST(arguments_are_checked),
    TEST(any_content_is_survived),
    TEST(without_one_nobody_can_succeed),
};

ANYHV_TEST_MAIN("journal", tests)

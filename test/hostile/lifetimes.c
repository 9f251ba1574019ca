/* SPDX-License-Identifier: Apache-2.0 */
/* Resets, sparse queues, stale memory, a peer that dies: cases 45, 46, 50 to 53. */
#include "hostile/hostile.h"

/* ---- 45, 51: answers after a reset ---- */

static void answer_after_reset(struct suite *s)
{
    hostile_up(s);
    for (unsigned round = 0; round < 20; round++) {
        struct io *held[6];
        uint64_t handles[6];

        for (unsigned i = 0; i < 6; i++)
            held[i] =
                io_send(s, &(struct io){.op = TEST_HOLD, .seed = i, .payload = 90, .room = 90});
        suite_settle(s);
        for (unsigned i = 0; i < 6; i++) {
            handles[i] = s->rig->device->held[i].handle;
            assert_non_null(anyhv_req_get(s->rig->dev, handles[i]));
        }
        guard_begin(s);
        assert_true(s->t->ops->reset(s->t));
        for (unsigned i = 0; i < 6; i++)
            assert_null(anyhv_req_get(s->rig->dev, handles[i]));
        suite_settle(s);
        guard_check(s);
        io_untouched(s, held[0]);
        suite_again(s, &(struct suite_setup){.size = 16});
        /* The same slots serve again; the old handles still find nothing. */
        io_send(s, &(struct io){.op = TEST_HOLD, .payload = 9, .room = 9});
        suite_settle(s);
        for (unsigned i = 0; i < 6; i++)
            assert_null(anyhv_req_get(s->rig->dev, handles[i]));
        test_device_release(s->rig->device, 0, 0);
        io_drain(s, TEST_QUEUE_A);
    }
}

/* A reset at any point of a storm of requests, with kicks that race it. */
static void reset_storm(struct suite *s)
{
    suite_start(s, NULL);
    for (unsigned i = 0; i < 300; i++) {
        unsigned n = suite_below(s, 6);

        suite_again(s, &(struct suite_setup){.size = 16});
        while (n--)
            io_try(s, &(struct io){.op = suite_below(s, 2) ? TEST_HOLD : TEST_PIN,
                                   .payload = 20,
                                   .room = 20,
                                   .seed = i});
        drv_ring_publish(ring_a(s));
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        if (suite_below(s, 2))
            anyhv_dev_run(s->rig->dev, suite_below(s, 4));
        guard_begin(s);
        assert_true(s->t->ops->reset(s->t));
        s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
        suite_settle(s);
        guard_check(s);
    }
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
    assert_int_equal(s->rig->dev->mem->pins, 0);
}

/* ---- 46 ---- */

static void driver_ok_without_queues(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.no_queues = true});
    guard_begin(s);
    for (unsigned queue = 0; queue < 5; queue++)
        s->t->ops->kick(s->t, queue, queue);
    suite_settle(s);
    guard_check(s);
    assert_int_equal(suite_violations(s, ANYHV_V_KICK_QUEUE), 5);
    suite_again(s, &(struct suite_setup){.size = 16});
    both_alive(s);
}

/* A queue that is set up after DRIVER_OK: odd, but the queue is all there. */
static void queue_after_driver_ok(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.no_queues = true});
    for (unsigned queue = 0; queue < 2; queue++) {
        suite_ring(s, queue, 16, 16);
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    }
    both_alive(s);
}

/* ---- 50: the configuration changes while it is read ---- */

static void config_changes_between_halves(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 1; i < 50; i++) {
        uint64_t value = i * UINT64_C(0x0101010101010101);
        uint8_t low[4], high[4];
        uint32_t before = s->t->ops->generation(s->t);

        assert_true(s->t->ops->config_read(s->t, TEST_CONFIG_VALUE, low, 4));
        io_do(s, {.op = TEST_CONFIG, .seed = value});
        assert_true(s->t->ops->config_read(s->t, TEST_CONFIG_VALUE + 4, high, 4));
        assert_int_not_equal(s->t->ops->generation(s->t), before); /* torn, and it shows */
        assert_int_not_equal(low[0], high[0]);
    }
}

/* ---- 52: only some of the queues ---- */

static void sparse_queues(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.no_queues = true, .not_ready = true});
    suite_ring(s, TEST_QUEUE_B, 8, 8);
    assert_true(drv_queue_setup(s->t, TEST_QUEUE_B, &s->ring[TEST_QUEUE_B]));
    drv_ready(s->t);
    for (unsigned i = 0; i < 20; i++)
        io_alive(s, TEST_QUEUE_B);
    assert_true(s->rig->ops->migrate(s->rig));
    assert_false(anyhv_ctl_queue_started(s->rig->dev, TEST_QUEUE_A));
    assert_true(anyhv_ctl_queue_started(s->rig->dev, TEST_QUEUE_B));
    assert_false(anyhv_ctl_queue_started(s->rig->dev, TEST_QUEUE_EVENT));
    for (unsigned i = 0; i < 20; i++)
        io_alive(s, TEST_QUEUE_B);
    assert_true(s->rig->ops->crash(s->rig));
    assert_false(anyhv_ctl_queue_started(s->rig->dev, TEST_QUEUE_A));
    for (unsigned i = 0; i < 20; i++)
        io_alive(s, TEST_QUEUE_B);
}

/* ---- 53: memory that an earlier life left behind ---- */

/* A fresh ring starts at 0, whatever the used ring says from before. */
static void stale_used_ring(struct suite *s)
{
    uint16_t at;

    hostile_up(s);
    for (unsigned i = 0; i < 11; i++)
        io_alive(s, TEST_QUEUE_A);
    at = drv_split_used_idx(ring_a(s));
    assert_int_equal(at, 11);
    assert_true(drv_negotiate(s->t, s->rig->features));
    drv_ring_reset(ring_a(s));
    drv_poke16(s->mem, ring_a(s)->device + 2, at); /* used.idx of the life before */
    drv_poke16(s->mem, ring_a(s)->device, 0xffff); /* used.flags */
    for (unsigned queue = 0; queue < 2; queue++) {
        if (queue)
            drv_ring_reset(&s->ring[queue]);
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    }
    drv_ready(s->t);
    io_add(s, &(struct io){.op = TEST_ECHO, .payload = 5, .room = 5});
    drv_ring_publish(ring_a(s));
    kick(s);
    assert_int_equal(drv_split_used_idx(ring_a(s)), 1);
    io_drain(s, TEST_QUEUE_A);
    both_alive(s);
}

/*
 * The device's words say "do not kick" from the life before: an idle device asks for kicks whatever
 * they said.
 */
static void stale_mute(struct suite *s)
{
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        uint64_t features = s->rig->features & ~DRV_F_EVENT_IDX;

        hostile_up_with(s, 0, DRV_F_EVENT_IDX);
        assert_true(drv_negotiate(s->t, features | (event_idx ? DRV_F_EVENT_IDX : 0)));
        for (unsigned queue = 0; queue < 2; queue++) {
            struct drv_ring *ring = &s->ring[queue];

            drv_ring_reset(ring);
            ring->event_idx = event_idx;
            memset(ring->device_host, 0, drv_device_bytes(ring));
            drv_poke16(s->mem, ring->device + (ring->packed ? 2 : 0), 1);
            assert_true(drv_queue_setup(s->t, queue, ring));
        }
        drv_ready(s->t);
        suite_settle(s);
        for (unsigned i = 0; i < 5; i++) {
            io_add(s, &(struct io){.op = TEST_ECHO, .payload = 5});
            drv_ring_publish(ring_a(s));
            assert_true(drv_ring_need_kick(ring_a(s)));
            kick(s);
            io_drain(s, TEST_QUEUE_A);
        }
        s->rig->ops->stop(s->rig);
    }
}

/* A queue that runs cannot be set up once more; it goes on as it was. */
static void set_up_twice(struct suite *s)
{
    struct drv_ring other = {0};
    struct drv_slot slots[16];

    hostile_up(s);
    assert_true(drv_ring_init(
        &other, s->mem,
        &(struct drv_ring_config){.size = 16, .packed = ring_a(s)->packed, .slots = slots}));
    for (unsigned i = 0; i < 20; i++) {
        io_alive(s, TEST_QUEUE_A);
        assert_false(drv_queue_setup(s->t, TEST_QUEUE_A, &other));
        assert_false(drv_queue_setup(s->t, TEST_QUEUE_A, ring_a(s)));
    }
    both_alive(s);
}

/* A driver that forgot to clear its avail index: what is behind it is served, or it breaks. */
static void stale_avail_index(struct suite *s)
{
    hostile_up(s);
    for (unsigned i = 0; i < 20; i++)
        io_alive(s, TEST_QUEUE_A);
    assert_true(drv_negotiate(s->t, s->rig->features));
    drv_ring_reset(&s->ring[TEST_QUEUE_B]);
    drv_split_set_idx(ring_a(s), 20);
    for (unsigned queue = 0; queue < 2; queue++)
        assert_true(drv_queue_setup(s->t, queue, &s->ring[queue]));
    drv_ready(s->t);
    kick(s);
    assert_int_equal(suite_violations(s, ANYHV_V_AVAIL_JUMP), 1);
    io_alive(s, TEST_QUEUE_B);
}

/* ---- the peer dies: nothing of its memory is touched any more ---- */

static void peer_lost(struct suite *s)
{
    struct io *held[4];
    uint64_t handle;

    hostile_up(s);
    for (unsigned i = 0; i < 4; i++)
        held[i] = io_send(s, &(struct io){.op = i % 2 ? TEST_HOLD : TEST_HOLD_RETURNABLE,
                                          .payload = 30,
                                          .room = 30,
                                          .seed = i});
    suite_settle(s);
    handle = s->rig->device->held[0].handle;
    guard_begin(s);
    anyhv_loopback_lose_peer(rig_loopback_of(s->rig));
    assert_null(anyhv_req_get(s->rig->dev, handle));
    assert_int_equal(s->rig->device->info[TEST_INFO_STOPS], 1);
    test_device_release(s->rig->device, 0, 0);
    s->t->ops->kick(s->t, TEST_QUEUE_A, 0);
    assert_false(anyhv_dev_run(s->rig->dev, 100));
    anyhv_dev_needs_reset(s->rig->dev);
    anyhv_ctl_quiesce(s->rig->dev);
    anyhv_ctl_resume(s->rig->dev);
    suite_settle(s);
    guard_check(s);
    for (unsigned i = 0; i < 4; i++)
        io_untouched(s, held[i]);
    assert_int_equal(rig_loopback_of(s->rig)->seen.maps, rig_loopback_of(s->rig)->seen.unmaps);
}

const struct suite_test hostile_lifetime_tests[] = {
    {"lifetime.answer_after_reset.case-51", answer_after_reset, 0, SUITE_ANY},
    {"lifetime.reset_storm.case-51", reset_storm, 0, SUITE_ANY},
    {"lifetime.driver_ok_without_queues.case-46", driver_ok_without_queues, 0, SUITE_ANY},
    {"lifetime.queue_after_driver_ok.case-46", queue_after_driver_ok, 0, SUITE_ANY},
    {"lifetime.config_changes_between_halves.case-50", config_changes_between_halves, 0, SUITE_ANY},
    {"lifetime.sparse_queues.case-52", sparse_queues, 0, SUITE_ANY},
    {"lifetime.stale_used_ring.case-53", stale_used_ring, 0, SUITE_SPLIT},
    {"lifetime.stale_mute.case-53", stale_mute, 0, SUITE_ANY},
    {"lifetime.set_up_twice.case-41", set_up_twice, 0, SUITE_ANY},
    {"lifetime.stale_avail_index.case-53", stale_avail_index, 0, SUITE_SPLIT},
    {"lifetime.peer_lost.case-51", peer_lost, 0, SUITE_ANY},
    {0},
};

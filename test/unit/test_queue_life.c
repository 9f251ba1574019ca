/* SPDX-License-Identifier: Apache-2.0 */
/* A queue that runs and is disturbed: paused, without its memory, broken. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- pause ---- */

static void a_paused_queue_takes_nothing_but_answers(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    bench_held(b, 8, 0);
    anyhv_ctl_queue_pause(b->dev, 0, true);
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 1);
    anyhv_req_done(bench_req(b, 0));
    bench_run(b);
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    bench_put(b, 1, 8, 0);
    bench_kick(b, 1);
    assert_int_equal(b->handles, 2); /* the other one goes on */
    anyhv_ctl_queue_pause(b->dev, 0, false);
    bench_run(b);
    assert_int_equal(b->handles, 3); /* without a further kick */
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
}

/* Pause is not a kick: what came meanwhile may have been suppressed. */
static void the_end_of_a_pause_is_a_look_at_the_ring(void **state)
{
    struct bench *b = *state;

    bench_up(b, NULL);
    anyhv_ctl_queue_pause(b->dev, 0, true);
    bench_put(b, 0, 8, 0);
    assert_false(b->lb.work);
    anyhv_ctl_queue_pause(b->dev, 0, false);
    bench_run(b);
    assert_int_equal(b->handles, 1);
}

/* What a device before us left in the ring about kicks is not taken for our own. */
static void a_ring_that_was_muted_before_is_armed(struct bench *b, uint64_t features)
{
    b->ops.pull_queues = 2;
    bench_up(b, &(struct bench_options){.features = features});
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        struct drv_ring *ring = &b->ring[i];
        uint16_t off, flags;
        uint32_t base;

        assert_int_equal(anyhv_ctl_queue_stop(b->dev, i, true, &base), ANYHV_OK);
        drv_poke16(&b->mem, ring->device + (features & DRV_F_PACKED ? 2 : 0), 1);
        assert_int_equal(bench_start(b, i, base), ANYHV_OK);
        bench_run(b);
        if (i == 1)
            assert_null(anyhv_queue_pull(b->dev, i));
        drv_packed_get_event(ring, &off, &flags);
        assert_int_equal(features & DRV_F_PACKED ? flags : drv_split_used_flags(ring), 0);
    }
}

static void a_ring_that_was_muted_before_is_armed_split(void **state)
{
    a_ring_that_was_muted_before_is_armed(*state, 0);
}

static void a_ring_that_was_muted_before_is_armed_packed(void **state)
{
    a_ring_that_was_muted_before_is_armed(*state, DRV_F_PACKED);
}

/* A driver that was packed and is split now: nothing of the other layout may be saved. */
static void the_layout_before_leaves_no_trace(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[512];
    size_t len;

    bench_up(b, &(struct bench_options){.features = DRV_F_PACKED, .size = 7});
    for (unsigned i = 0; i < 5; i++) { /* the last ones are taken over the wrap, and not used */
        bench_held(b, 8, 8);
        if (i > 2)
            continue;
        anyhv_req_done(bench_req(b, i));
        bench_run(b);
        bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    }
    assert_int_equal(b->dev->state->queue[0].wraps, 2);
    b->options = (struct bench_options){.size = 8};
    bench_negotiate(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        bench_ring(b, i);
        assert_int_equal(bench_start(b, i, ANYHV_BASE_SPLIT), ANYHV_OK);
    }
    bench_driver_ok(b);
    assert_int_equal(b->dev->state->queue[0].wraps, 0);
    assert_int_equal(anyhv_dev_save(b->dev, bytes, sizeof(bytes), &len), ANYHV_OK);
    anyhv_ctl_set_status(b->dev, 0);
    assert_int_equal(anyhv_dev_load(b->dev, bytes, len, true), ANYHV_OK);
    bench_run(b);
    b->handles = 0;
    bench_held(b, 8, 8);
}

/* ---- memory that goes and comes ---- */

static void rings_wait_for_their_memory(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;
    uint8_t *moved = malloc(BENCH_RAM), *before = malloc(BENCH_RAM);

    bench_up(b, NULL);
    all = b->lb.region[0];
    bench_held(b, 8, 0);
    bench_held(b, 8, 0);
    bench_put(b, 0, 8, 0);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    memcpy(before, b->ram, BENCH_RAM);
    bench_kick(b, 0);
    anyhv_req_done(bench_req(b, 0)); /* answered now, published when there is a ring */
    bench_run(b);
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    assert_false(anyhv_ctl_queue_broken(b->dev, 0));
    assert_int_equal(b->handles, 2);
    assert_memory_equal(b->ram, before, BENCH_RAM); /* nobody touched it */
    bench_expect_trace(b, "");

    memcpy(moved, b->ram, BENCH_RAM);
    all.host = moved;
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &all), ANYHV_OK);
    assert_true(b->lb.work); /* it goes on by itself */
    bench_run(b);
    assert_int_equal(b->handles, 3);
    bench_expect_trace(b, "notify:0 ");
    assert_memory_equal(b->ram, before, BENCH_RAM);
    memcpy(b->ram, moved, BENCH_RAM); /* for the driver's eyes */
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    bench_expect_none(b, 0);
    anyhv_mem_replace(&b->lb.mem, NULL, 0);
    free(moved);
    free(before);
}

static void one_ring_without_memory_leaves_the_other(void **state)
{
    struct bench *b = *state;
    uint64_t half = BENCH_RAM / 64;
    struct anyhv_region region;

    bench_attach(b, &(struct bench_options){.regions = 64});
    bench_negotiate(b);
    bench_ring(b, 0);
    drv_alloc(&b->mem, half, half); /* the second ring is in another region */
    bench_ring(b, 1);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(bench_start(b, i, 0), ANYHV_OK);
    bench_driver_ok(b);
    region = b->lb.region[0];
    assert_true(region.addr == BENCH_BASE && b->ring[1].desc >= BENCH_BASE + region.size);
    bench_put(b, 0, 8, 0);
    bench_put(b, 1, 8, 0);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, region.addr, region.size), ANYHV_OK);
    bench_kick(b, 0);
    bench_kick(b, 1);
    assert_int_equal(b->handles, 1);
    assert_int_equal(anyhv_req_queue(bench_req(b, 0)), 1);
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &region), ANYHV_OK);
    bench_run(b);
    assert_int_equal(b->handles, 2);
}

static void rings_follow_a_table_that_is_replaced(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all;
    uint8_t *moved = malloc(BENCH_RAM);

    b->on_request = bench_answer;
    bench_up(b, &(struct bench_options){.features = DRV_F_PACKED});
    all = b->lb.region[0];
    bench_put(b, 0, 8, 0);
    memcpy(moved, b->ram, BENCH_RAM);
    memset(b->ram, 0xdd, BENCH_RAM);
    all.host = moved;
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &all, 1), ANYHV_OK);
    bench_kick(b, 0);
    assert_int_equal(bench_counters(b, 0)->requests, 1);
    assert_int_equal(b->ram[b->ring[0].desc - BENCH_BASE], 0xdd);
    assert_int_equal(moved[b->ring[0].desc - BENCH_BASE + 15] >> 7, 1); /* USED */
    anyhv_mem_replace(&b->lb.mem, NULL, 0);
    free(moved);
}

/* Ring maps that ops made survive a change of the table; those of a region are found anew. */
static void a_table_that_changes_leaves_mapped_rings(void **state)
{
    struct bench *b = *state;
    struct anyhv_region extra = {UINT64_C(0x10000000), 4096, NULL, ANYHV_R | ANYHV_W};

    bench_up(b, &(struct bench_options){.bounce = true});
    extra.host = b->ram;
    assert_int_equal(b->lb.seen.maps, 6);
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &extra), ANYHV_OK);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 6);
    bench_held(b, 8, 8);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, extra.addr, extra.size), ANYHV_OK);
    assert_false((bench_queue(b, 0)->halt & ANYHV_HALT_NO_MEMORY));
    assert_int_equal(anyhv_req_read(bench_req(b, 0), &(uint8_t){0}, 1), ANYHV_OK);
    bench_negotiate(b);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
}

/* ---- room, and a guest that is gone ---- */

static void retry_oldest(struct bench *b, unsigned queue)
{
    struct anyhv_req *req = anyhv_queue_held(b->dev, queue);
    uint8_t bytes[8];

    if (anyhv_req_read(req, bytes, 8) == ANYHV_OK)
        anyhv_req_done(req);
}

static void room_lets_devices_retry_what_they_hold(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[8];

    b->on_retry = retry_oldest;
    bench_up(b, &(struct bench_options){.bounce = true});
    bench_held(b, 8, 0);
    b->lb.faults = (struct anyhv_loopback_faults){.result = ANYHV_E_NORES, .count = 2};
    assert_int_equal(anyhv_req_read(bench_req(b, 0), bytes, 8), ANYHV_E_NORES);
    bench_kick(b, 0);
    bench_expect_trace(b, ""); /* not before somebody says so */
    anyhv_mem_room(&b->lb.mem);
    bench_expect_trace(b, ""); /* and not from in there */
    bench_run(b);
    bench_expect_trace(b, "retry:0 "); /* not enough room yet */
    bench_kick(b, 0);
    bench_expect_trace(b, "");
    anyhv_mem_room(&b->lb.mem);
    bench_run(b);
    bench_expect_trace(b, "retry:0 notify:0 ");
    bench_expect(b, 0, b->ring[0].slots[0].token, 0);
    anyhv_mem_room(&b->lb.mem);
    bench_run(b);
    bench_expect_trace(b, ""); /* nothing is held */
}

static void room_maps_rings_that_could_not_be_mapped(void **state)
{
    struct bench *b = *state;
    struct anyhv_region all = {BENCH_BASE, BENCH_RAM, NULL, ANYHV_R | ANYHV_W};

    bench_attach(b, &(struct bench_options){.bounce = true});
    all.host = b->ram;
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &all), ANYHV_OK);
    bench_negotiate(b);
    bench_ring(b, 0);
    assert_int_equal(bench_start(b, 0, 0), ANYHV_OK);
    bench_driver_ok(b);
    assert_int_equal(b->lb.seen.maps, 0);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 1, .result = ANYHV_E_NORES, .count = 1};
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    assert_true((bench_queue(b, 0)->halt & ANYHV_HALT_NO_MEMORY));
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps); /* none or all three */
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_int_equal(b->handles, 0);
    anyhv_mem_room(&b->lb.mem);
    bench_run(b);
    assert_int_equal(b->handles, 1);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 3);
}

static void an_op_can_tell_that_the_guest_is_gone(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint8_t bytes[8];

    bench_up(b, &(struct bench_options){.bounce = true});
    req = bench_held(b, 8, 8);
    b->lb.faults = (struct anyhv_loopback_faults){.result = ANYHV_E_LOST, .count = 1};
    assert_int_equal(anyhv_req_read(req, bytes, 8), ANYHV_E_LOST);
    anyhv_req_reject(req, ANYHV_E_LOST);
    b->trace[0] = '\0';
    bench_run(b);
    bench_expect_trace(b, "changed:0 changed:1 stop ");
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 0);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 0);
    assert_null(bench_req(b, 0));
    assert_false(anyhv_ctl_queue_started(b->dev, 0));
}

static void a_lost_guest_is_left_alone(void **state)
{
    struct bench *b = *state;
    uint8_t *before = malloc(BENCH_RAM);

    bench_up(b, NULL);
    bench_held(b, 8, 8);
    anyhv_req_done(bench_held(b, 8, 8));
    memcpy(before, b->ram, BENCH_RAM);
    anyhv_ctl_lost(b->dev);
    bench_expect_trace(b, "changed:0 changed:1 stop ");
    anyhv_ctl_lost(b->dev); /* once more is nothing */
    bench_expect_trace(b, "");
    assert_false(anyhv_dev_run(b->dev, 64));
    anyhv_ctl_kick(b->dev, 0);
    assert_int_equal(b->dev->violations[ANYHV_V_KICK_QUEUE], 1);
    assert_int_equal(anyhv_config_set(b->dev, 0, "x", 1), ANYHV_OK);
    anyhv_dev_needs_reset(b->dev);
    bench_run(b);
    bench_expect_trace(b, ""); /* there is nobody to tell */
    assert_memory_equal(b->ram, before, BENCH_RAM);
    free(before);
    bench_up_again(b); /* another one came */
    bench_held(b, 8, 8);
}

/* Devices share the memory: each looks after its own rings, whoever was attached first. */
static void every_device_of_a_memory_follows_it(void **state)
{
    struct bench *b = *state;
    struct anyhv_dev other[2];
    uint8_t *storage[2];
    void *block[2];
    struct anyhv_region all;

    bench_up(b, NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct anyhv_attach how = {.ops = &b->ops,
                                   .priv = b,
                                   .mem = &b->lb.mem,
                                   .port = &b->port,
                                   .port_priv = &b->lb,
                                   .storage_size = b->storage_size,
                                   .state_size = b->state_size};
        struct anyhv_queue_setup setup = bench_queue_setup(b, 1, 0);

        how.storage = storage[i] = malloc(how.storage_size);
        how.state = block[i] = malloc(how.state_size);
        assert_int_equal(anyhv_dev_attach(&other[i], &how), ANYHV_OK);
        anyhv_ctl_set_features(&other[i], ANYHV_F_VERSION_1);
        anyhv_ctl_set_status(&other[i], 11);
        assert_int_equal(anyhv_ctl_queue_start(&other[i], 1, &setup), ANYHV_OK);
    }
    all = b->lb.region[0];
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_OK);
    assert_true((b->dev->queues[0].halt & ANYHV_HALT_NO_MEMORY) &&
                (b->dev->queues[1].halt & ANYHV_HALT_NO_MEMORY));
    assert_true((other[0].queues[1].halt & ANYHV_HALT_NO_MEMORY) &&
                (other[1].queues[1].halt & ANYHV_HALT_NO_MEMORY));
    anyhv_dev_detach(&other[0]); /* the middle of the list */
    free(storage[0]);
    free(block[0]);
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &all), ANYHV_OK);
    assert_false((b->dev->queues[0].halt & ANYHV_HALT_NO_MEMORY));
    assert_false((other[1].queues[1].halt & ANYHV_HALT_NO_MEMORY));
    anyhv_dev_detach(&other[1]);
    free(storage[1]);
    free(block[1]);
    assert_ptr_equal(b->lb.mem.devs, b->dev);
}

/* ---- broken ---- */

static void break_queue_0(struct bench *b)
{
    drv_split_avail(&b->ring[0], b->ring[0].next_avail, 99); /* no such head */
    drv_split_set_idx(&b->ring[0], (uint16_t)(b->ring[0].next_avail + 1));
    bench_kick(b, 0);
    assert_true(anyhv_ctl_queue_broken(b->dev, 0));
}

static void a_broken_queue_is_dead_and_the_others_live(void **state)
{
    struct bench *b = *state;
    uint16_t used;

    bench_up(b, NULL);
    bench_held(b, 8, 0);
    break_queue_0(b);
    assert_int_equal(bench_violation.v, ANYHV_V_HEAD_RANGE);
    assert_true(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET);
    bench_expect_trace(b, "notify:config changed:0 ");
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    used = drv_split_used_idx(&b->ring[0]);
    anyhv_req_done(bench_req(b, 0)); /* nobody there to hear it */
    bench_put(b, 0, 8, 0);
    bench_kick(b, 0);
    assert_false(anyhv_dev_run(b->dev, 64));
    assert_int_equal(drv_split_used_idx(&b->ring[0]), used);
    assert_int_equal(bench_counters(b, 0)->requests, 1);
    assert_int_equal(b->dev->violations[ANYHV_V_HEAD_RANGE], 1); /* said once */
    assert_int_equal(bench_start(b, 0, 0), ANYHV_E_STATE);
    bench_put(b, 1, 8, 0);
    bench_kick(b, 1);
    assert_int_equal(b->handles, 2);
}

static void a_reset_heals_a_broken_queue(void **state)
{
    struct bench *b = *state;

    for (unsigned by_queue = 0; by_queue < 2; by_queue++) {
        if (by_queue) {
            assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
        } else {
            bench_up(b, NULL);
            break_queue_0(b);
            assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, NULL), ANYHV_OK);
            assert_true(anyhv_ctl_queue_broken(b->dev, 0)); /* a stop alone does not */
            assert_int_equal(bench_start(b, 0, 0), ANYHV_E_STATE);
            bench_negotiate(b);
            bench_driver_ok(b);
        }
        assert_false(anyhv_ctl_queue_broken(b->dev, 0));
        drv_ring_reset(&b->ring[0]);
        assert_int_equal(bench_start(b, 0, 0), ANYHV_OK);
        bench_held(b, 8, 0);
        break_queue_0(b);
    }
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_paused_queue_takes_nothing_but_answers),
    BENCH_TEST(the_end_of_a_pause_is_a_look_at_the_ring),
    BENCH_TEST(a_ring_that_was_muted_before_is_armed_split),
    BENCH_TEST(a_ring_that_was_muted_before_is_armed_packed),
    BENCH_TEST(the_layout_before_leaves_no_trace),
    BENCH_TEST(rings_wait_for_their_memory),
    BENCH_TEST(one_ring_without_memory_leaves_the_other),
    BENCH_TEST(rings_follow_a_table_that_is_replaced),
    BENCH_TEST(a_table_that_changes_leaves_mapped_rings),
    BENCH_TEST(room_lets_devices_retry_what_they_hold),
    BENCH_TEST(room_maps_rings_that_could_not_be_mapped),
    BENCH_TEST(an_op_can_tell_that_the_guest_is_gone),
    BENCH_TEST(a_lost_guest_is_left_alone),
    BENCH_TEST(every_device_of_a_memory_follows_it),
    BENCH_TEST(a_broken_queue_is_dead_and_the_others_live),
    BENCH_TEST(a_reset_heals_a_broken_queue),
};

ANYHV_TEST_MAIN("queue_life", tests)

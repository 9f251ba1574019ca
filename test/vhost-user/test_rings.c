/* SPDX-License-Identifier: Apache-2.0 */
/* Rings come up, stop, move and break, and how they are notified. */
#include "vhost-user/harness.h"

#include <string.h>
#include <unistd.h>

/* ---- rings, in all the ways they can come up ---- */

TEST(echo_with_status)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    for (unsigned i = 0; i < 40; i++) {
        harness_echo(h, 0);
        harness_echo(h, 1);
    }
}

TEST(echo_without_status)
{
    assert_true(fe_start(&h->fe, 0, 0, 2));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, i & 1);
}

TEST(echo_packed)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, DRV_F_PACKED, 2));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, i & 1);
}

TEST(echo_packed_without_status)
{
    assert_true(fe_start(&h->fe, 0, DRV_F_PACKED, 1));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, 0);
}

/* Without bit 30 every ring is enabled. */
TEST(echo_without_protocol_features)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;
    uint64_t features = DRV_F_VERSION_1, value = 0;
    struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {0};
    struct {
        uint32_t count, padding;
        struct fe_region region;
    } table = {.count = 1};
    uint32_t num[2] = {0, 16}, base[2] = {0, 0};

    assert_true(fe_memory_new(fe, 1 << 20) && fe_ring_new(fe, 0, 16, false));
    table.region = fe->region;
    addr.desc = fe_user(fe, ring->desc);
    addr.used = fe_user(fe, ring->device);
    addr.avail = fe_user(fe, ring->driver);
    assert_true(fe_send(fe, FE_SET_OWNER, FE_VERSION, NULL, 0, NULL, 0));
    assert_true(fe_send(fe, FE_SET_FEATURES, FE_VERSION, &features, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_MEM_TABLE, FE_VERSION, &table, sizeof(table), &fe->memfd, 1));
    assert_true(fe_send(fe, FE_SET_VRING_NUM, FE_VERSION, num, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_BASE, FE_VERSION, base, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_ADDR, FE_VERSION, &addr, sizeof(addr), NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_KICK, FE_VERSION, &value, 8, &fe->ring[0].kick, 1));
    assert_true(fe_send(fe, FE_SET_VRING_CALL, FE_VERSION, &value, 8, &fe->ring[0].call, 1));
    harness_echo(h, 0);
}

TEST(work_that_was_there_before)
{
    uint8_t *answer;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 0));
    assert_true(fe_ring_new(&h->fe, 0, 16, false));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    assert_true(fe_ring_send(&h->fe, 0, 0));
    harness_no_answer(h, 0); /* not enabled */
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 12); /* nobody has kicked */
}

/* ENABLE, KICK, ADDR and NUM in an order that no document suggests. */
TEST(ring_messages_in_any_order)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;

    assert_true(fe_hello(fe, 0) && fe_memory_new(fe, 1 << 20) && fe_ring_new(fe, 0, 16, false));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, fe->ring[0].call));
    assert_true(fe_memory_send(fe));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc), fe_user(fe, ring->driver),
               fe_user(fe, ring->device)));
    harness_echo(h, 0);
}

TEST(ring_values_are_checked)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 1 << 20) && fe_memory_send(fe));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 0));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 48));  /* no power of two */
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 128)); /* the device has 64 */
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 0x10010));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x10000));
    OK(fe_state(fe, FE_SET_VRING_BASE, 0, 0xffff));
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0xffff);
    REFUSED(fe_state(fe, FE_SET_VRING_ENABLE, 0, 2));
    REFUSED(fe_addr(fe, 0, fe->region.user - 16, fe->region.user, fe->region.user));
    REFUSED(fe_addr(fe, 0, fe->region.user, fe->region.user + fe->region.size, fe->region.user));
    REFUSED(fe_addr(fe, 0, fe->region.user, fe->region.user, fe->region.guest));
    assert_true(backend_logged(&h->b, "SET_VRING_ADDR: ring 0: used at 0x40000000"));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_PACKED));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 48));
    OK(fe_state(fe, FE_SET_VRING_BASE, 0, 0x802f802f));
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0x802f802f);
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x80008030)); /* 48 is outside a ring of 48 */
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x80308000));
    OK(fe_get_base(fe, 1, &base)); /* never set: fresh */
    assert_int_equal(base, 0x80008000);
}

TEST(ring_that_cannot_start)
{
    struct frontend *fe = &h->fe;
    uint64_t user, status;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    user = fe->region.user;
    OK(fe_state(fe, FE_SET_VRING_NUM, 1, 16));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 1));
    OK(fe_addr(fe, 1, user + 8, user + 0x1000, user + 0x2000)); /* off its alignment */
    REFUSED(fe_vring_fd(fe, FE_SET_VRING_KICK, 1, -1));
    OK(fe_addr(fe, 1, user + fe->region.size - 16, user, user)); /* sticks out */
    REFUSED(fe_vring_fd(fe, FE_SET_VRING_KICK, 1, -1));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_NEEDS_RESET);
    assert_true(backend_logged(&h->b, "SET_VRING_KICK: ring 1 cannot start"));
}

/* ---- rings stop, pause, move ---- */

TEST(base_waits_for_a_held_request)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *pinned, *answer;
    uint64_t before;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &pinned);
    fe_kick(fe, 0);
    harness_held(h, 1, 2);
    harness_no_answer(h, 0);
    before = now_ms();
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 3);
    assert_in_range(now_ms() - before, PROBE_DELAY_MS / 2, 5000);
    assert_int_equal(drv_split_used_idx(&fe->ring[0].ring), 3);
    harness_answer(h, 0, 12);
    harness_answer(h, 0, 64);
    assert_string_equal((char *)held, "hello, ring");
    assert_int_equal(pinned[63], PROBE_BYTE);
    /* Stopped: a kick has no effect. And it goes on where it stood. */
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    harness_no_answer(h, 0);
    assert_true(fe_ring_send(fe, 0, base));
    harness_answer(h, 0, 12);
}

TEST(base_without_what_was_returned)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_RETURN, 0, &answer);
    harness_submit(h, 0, PROBE_RETURN, 0, &answer);
    fe_kick(fe, 0);
    harness_held(h, 1, 2);
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 1);
    assert_true(fe_ring_send(fe, 0, base)); /* they come again, and are held again */
    harness_held(h, 1, 2);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 0, 12);
    harness_answer(h, 0, 12);
}

TEST(base_of_a_packed_ring)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, DRV_F_PACKED, 1));
    for (unsigned i = 0; i < 11; i++) /* of two slots each, in a ring of 16 */
        harness_echo(h, 0);
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0x00060006); /* slot 6, second lap */
    assert_true(fe_ring_send(fe, 0, base));
    harness_echo(h, 0);
}

/* Some front ends begin there, although wrap counters of 1 would be right. */
TEST(new_packed_ring_at_zero)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, DRV_F_PACKED, 0));
    assert_true(fe_ring_new(&h->fe, 0, 16, true) && fe_ring_send(&h->fe, 0, 0));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    for (unsigned i = 0; i < 20; i++)
        harness_echo(h, 0);
}

/* And some come there by filling the ring once: its first slot is used, or available again. */
TEST(packed_ring_after_a_lap)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, DRV_F_PACKED, 0));
    for (unsigned again = 0; again < 2; again++) {
        assert_true(fe_ring_new(fe, 0, 16, true) && fe_ring_send(fe, 0, 0x80008000));
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
        for (unsigned i = 0; i < 8; i++) /* of two slots each */
            harness_echo(h, 0);
        OK(fe_get_base(fe, 0, &base));
        assert_int_equal(base, 0);
        if (again)
            harness_submit(h, 0, PROBE_ECHO, 0, &answer);
        assert_true(fe_ring_send(fe, 0, base));
        if (again)
            harness_answer(h, 0, 12);
        for (unsigned i = 0; i < 20; i++)
            harness_echo(h, 0);
        OK(fe_get_base(fe, 0, &base));
    }
}

TEST(disabled_ring_has_no_side_effects)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0)); /* returns when all is done */
    harness_answer(h, 0, 12);
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    usleep(20000);
    harness_echo(h, 1);
    harness_no_answer(h, 0);
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 12); /* the kick was not lost */
    harness_echo(h, 0);
}

TEST(running_ring_keeps_its_shape)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 32));
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 7));
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc), fe_user(fe, ring->driver),
               fe_user(fe, ring->device)));
    harness_echo(h, 0);
}

/* The same ring @off bytes further on, where its contents have been copied already. */
static void shift_ring(struct frontend *fe, uint64_t off)
{
    struct drv_ring *ring = &fe->ring[0].ring;

    ring->desc += off;
    ring->driver += off;
    ring->device += off;
    ring->desc_host += off;
    ring->driver_host += off;
    ring->device_host += off;
}

TEST(running_ring_moves)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;
    uint8_t *held;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    /* The move finishes what is held, into the old place. */
    memcpy(ring->desc_host + 0x20000, ring->desc_host, 4096);
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc) + 0x20000, fe_user(fe, ring->driver) + 0x20000,
               fe_user(fe, ring->device) + 0x20000));
    harness_answer(h, 0, 12);
    memcpy(ring->device_host + 0x20000, ring->device_host, drv_device_bytes(ring));
    shift_ring(fe, 0x20000);
    harness_echo(h, 0);
    harness_echo(h, 0);
}

/* ---- kick, call, err ---- */

TEST(new_call_is_signalled_once)
{
    struct frontend *fe = &h->fe;
    int old = fe->ring[0].call;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    old = fe->ring[0].call;
    harness_echo(h, 0);
    while (fe_event(old, 0))
        ;
    fe->ring[0].call = dup(fe->ring[0].err); /* any other eventfd */
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, fe->ring[0].call));
    assert_true(fe_event(fe->ring[0].call, 1000));
    assert_false(fe_event(fe->ring[0].call, 20));
    harness_echo(h, 0);
    assert_false(fe_event(old, 0));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, -1)); /* nobody wants to know */
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, old));
    close(fe->ring[0].call);
    fe->ring[0].call = old;
    harness_echo(h, 0);
}

TEST(new_kick_takes_over)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    int old;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    old = fe->ring[0].kick;
    fe->ring[0].kick = dup(fe->ring[0].err);
    harness_submit(h, 0, PROBE_ECHO, 0, &answer); /* its kick went nowhere */
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    harness_answer(h, 0, 12);
    close(old);
    harness_echo(h, 0);
}

TEST(pipes_instead_of_eventfds)
{
    struct frontend *fe = &h->fe;
    int kick[2], call[2];
    uint64_t before;
    uint8_t *answer;

    assert_int_equal(pipe(kick), 0);
    assert_int_equal(pipe(call), 0);
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    fe_ring_free(fe, 0);
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, kick[0]));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, call[1]));
    fe->ring[0].kick = kick[1];
    fe->ring[0].call = call[0];
    assert_true(fe_event(call[0], 1000)); /* the new one's signal */
    harness_echo(h, 0);
    /* Both ends go away: no signal kills, nothing spins. */
    close(kick[0]);
    close(call[1]);
    fe_ring_free(fe, 0);
    assert_true(backend_logged(&h->b, "ring 0: its kick is gone"));
    harness_submit(h, 0, PROBE_HOLD, 0, &answer);
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, -1)); /* polled: the ring is looked at */
    harness_held(h, 1, 1);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 1, 0);
    assert_true(backend_logged(&h->b, "ring 0: nobody receives its call"));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
    before = backend_cpu_ns(&h->b);
    usleep(200000);
    assert_true(backend_cpu_ns(&h->b) - before < 50000000);
}

TEST(ring_without_kick_is_polled)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    uint64_t before;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, -1));
    for (unsigned i = 0; i < 5; i++) {
        harness_submit(h, 0, PROBE_ECHO, 0, &answer);
        harness_answer(h, 0, 12); /* nobody kicks */
    }
    before = backend_cpu_ns(&h->b);
    usleep(500000);
    assert_true(backend_cpu_ns(&h->b) - before < 250000000); /* and nobody spins */
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    harness_echo(h, 0);
}

/* From the beginning, and after a pause. */
TEST(ring_that_never_had_a_kick)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;

    assert_true(fe_start(fe, FE_P_ALL, DRV_F_PACKED, 0));
    OK(fe_u64(fe, FE_SET_STATUS, 0));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
    assert_true(fe_ring_new(fe, 0, 16, false) && fe_ring_send(fe, 0, 0));
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, -1));
    for (unsigned round = 0; round < 3; round++) {
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
        for (unsigned i = 0; i < 5; i++) {
            usleep(2000); /* the first look is over */
            harness_submit(h, 0, PROBE_ECHO, 0, &answer);
            harness_answer(h, 0, 12);
        }
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
    }
}

TEST(broken_ring_is_reported)
{
    struct frontend *fe = &h->fe;
    uint64_t status;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    drv_split_push(&fe->ring[0].ring, 500); /* no such descriptor */
    fe_kick(fe, 0);
    assert_true(fe_event(fe->ring[0].err, 5000));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_NEEDS_RESET);
    harness_echo(h, 1); /* the other queue lives */
    OK(fe_vring_fd(fe, FE_SET_VRING_ERR, 0, fe->ring[1].err));
    assert_true(fe_event(fe->ring[1].err, 1000)); /* a late err fd hears of it, too */
    OK(fe_u64(fe, FE_SET_STATUS, 0));
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
}

/* Without STATUS nobody says "reset": rings that stop and start afresh mean it. */
TEST(broken_ring_starts_over_without_status)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_start(fe, 0, 0, 2));
    drv_split_push(&fe->ring[0].ring, 500);
    fe_kick(fe, 0);
    assert_true(fe_event(fe->ring[0].err, 5000));
    OK(fe_get_base(fe, 0, &base));
    OK(fe_get_base(fe, 1, &base));
    assert_true(fe_start(fe, 0, 0, 2));
    harness_echo(h, 0);
    harness_echo(h, 1);
}

static const struct CMUnitTest tests[] = {
    UNIT(echo_with_status),
    UNIT(echo_without_status),
    UNIT(echo_packed),
    UNIT(echo_packed_without_status),
    UNIT(echo_without_protocol_features),
    UNIT(work_that_was_there_before),
    UNIT(ring_messages_in_any_order),
    UNIT(ring_values_are_checked),
    UNIT(ring_that_cannot_start),
    UNIT(base_waits_for_a_held_request),
    UNIT(base_without_what_was_returned),
    UNIT(base_of_a_packed_ring),
    UNIT(new_packed_ring_at_zero),
    UNIT(packed_ring_after_a_lap),
    UNIT(disabled_ring_has_no_side_effects),
    UNIT(running_ring_keeps_its_shape),
    UNIT(running_ring_moves),
    UNIT(new_call_is_signalled_once),
    UNIT(new_kick_takes_over),
    UNIT(pipes_instead_of_eventfds),
    UNIT(ring_without_kick_is_polled),
    UNIT(ring_that_never_had_a_kick),
    UNIT(broken_ring_is_reported),
    UNIT(broken_ring_starts_over_without_status),
};

HARNESS_MAIN("vhost-user rings", tests)

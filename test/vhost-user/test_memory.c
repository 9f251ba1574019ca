/* SPDX-License-Identifier: Apache-2.0 */
/* The memory table changes under rings and requests. */
#include "vhost-user/harness.h"

#include <string.h>
#include <unistd.h>

TEST(table_changes_under_a_held_request)
{
    struct frontend *fe = &h->fe;
    struct fe_region halves[2];
    int fds[2] = {fe->memfd, fe->memfd};
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    fds[0] = fds[1] = fe->memfd;
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    halves[0] = halves[1] = fe->region;
    halves[0].size = halves[1].size = fe->region.size / 2;
    halves[1].guest += halves[0].size;
    halves[1].user += halves[0].size;
    halves[1].offset += halves[0].size;
    OK(fe_set_table(fe, halves, fds, 2));
    harness_no_answer(h, 0); /* still held */
    harness_echo(h, 1);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 0, 12);
    assert_string_equal((char *)held, "hello, ring");
    harness_echo(h, 0);
}

TEST(table_change_waits_for_a_pin)
{
    struct frontend *fe = &h->fe;
    uint8_t *pinned;
    uint64_t before;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    for (unsigned i = 0; i < 3; i++) {
        harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &pinned);
        fe_kick(fe, 0);
        harness_held(h, 1, 1);
        harness_no_answer(h, 0);
        before = now_ms();
        assert_true(fe_memory_send(fe));
        assert_in_range(now_ms() - before, PROBE_DELAY_MS / 2, 5000);
        harness_answer(h, 0, 64);
        assert_int_equal(pinned[0], PROBE_BYTE);
        harness_echo(h, 0);
    }
}

/* The front end goes while its message waits. */
TEST(disconnect_while_a_message_waits)
{
    struct frontend *fe = &h->fe;
    uint32_t state[2] = {0, 0};
    uint8_t *answer;

    for (unsigned i = 0; i < 5; i++) {
        assert_true(fe_start(fe, FE_P_ALL, 0, 2));
        harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &answer);
        fe_kick(fe, 0);
        harness_held(h, 1, 1);
        assert_true(fe_send(fe, FE_GET_VRING_BASE, FE_VERSION, state, sizeof(state), NULL, 0));
        usleep(1000);
        fe_disconnect(fe);
        assert_true(fe_connect(fe, h->b.path));
        fe->mem.used = 0;
    }
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
}

/* The same, and nothing will ever end the wait. */
TEST(disconnect_from_a_stuck_device)
{
    struct frontend *fe = &h->fe;
    uint32_t state[2] = {0, 0};
    struct fe_message m;
    uint8_t *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_STUCK, 0, &answer);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    assert_true(fe_send(fe, FE_GET_VRING_BASE, FE_VERSION, state, sizeof(state), NULL, 0));
    fe->timeout = 2 * PROBE_DELAY_MS;
    assert_int_equal(fe_receive(fe, &m), FE_SILENT);
    fe->timeout = 10000;
    harness_echo(h, 1); /* the other ring goes on */
    fe_fini(fe);
    fe_init(fe);
    assert_true(fe_connect(fe, h->b.path));
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
}

TEST(slots)
{
    struct frontend *fe = &h->fe;
    struct fe_region extra, wrong;
    uint8_t *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    /* A second window on the same file, whose offset is on no page. */
    extra = (struct fe_region){.guest = 0x9000000100, .size = 0x1000, .user = 0x77770000100};
    extra.offset = 0x80100;
    OK(fe_region(fe, FE_ADD_MEM_REG, &extra, fe->memfd));
    {
        struct drv_buf in = {extra.guest + 0x10, 64};
        uint32_t command[2] = {PROBE_INFO, 0};
        struct drv_buf out = {drv_alloc(&fe->mem, 8, 8), 8};
        struct drv_chain chain = {&out, &in, 1, 1, DRV_DIRECT, 0, 1};

        memcpy(drv_ptr(&fe->mem, out.addr, 8), command, 8);
        assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
        drv_ring_publish(&fe->ring[0].ring);
        fe_kick(fe, 0);
        harness_answer(h, 0, sizeof(struct probe_info));
        assert_true(fe->host[0x80110 + offsetof(struct probe_info, starts)] == 1);
    }
    wrong = extra;
    wrong.guest += 0x1000;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.size /= 2;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.user++;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.offset = 0;                                     /* means nothing here */
    OK(fe_region(fe, FE_REM_MEM_REG, &wrong, fe->memfd)); /* nor does a descriptor */
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &extra, -1));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    harness_answer(h, 0, 12);
}

/* A buffer leaves under a request that is held: there is nothing to read, and that is an end. */
TEST(buffer_leaves_under_a_held_request)
{
    struct frontend *fe = &h->fe;
    struct fe_region extra = {.guest = 0x9000000000, .size = 0x1000, .user = 0x77770000000};
    const uint32_t command[2] = {PROBE_HOLD, 0};
    struct drv_buf out[2] = {{0, 8}, {extra.guest, 64}}, in = {0, 64};
    struct drv_chain chain = {out, &in, 2, 1, DRV_DIRECT, 0, 1};
    uint8_t *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    OK(fe_region(fe, FE_ADD_MEM_REG, &extra, fe->memfd));
    out[0].addr = drv_alloc(&fe->mem, 8, 8);
    in.addr = drv_alloc(&fe->mem, 64, 8);
    memcpy(drv_ptr(&fe->mem, out[0].addr, 8), command, 8);
    assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
    drv_ring_publish(&fe->ring[0].ring);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_region(fe, FE_REM_MEM_REG, &extra, -1));
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 1, 0);
    harness_answer(h, 0, 0);
    harness_echo(h, 0);
}

TEST(all_slots)
{
    struct frontend *fe = &h->fe;
    struct fe_region region = {.guest = 0x100000, .size = 0x1000, .user = 0x700000};

    assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 0x1000));
    for (unsigned i = 0; i < 512; i++) {
        OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
        region.guest += 0x2000;
        region.user += 0x1000;
    }
    REFUSED(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
    region.guest -= 0x2000;
    region.user -= 0x1000;
    OK(fe_region(fe, FE_REM_MEM_REG, &region, -1));
    OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
    OK(fe_set_table(fe, NULL, NULL, 0)); /* replaces all of it by nothing */
    OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
}

/* The rings' memory goes and comes back behind another user address: same guest, same ring. */
TEST(memory_of_a_ring_goes_and_comes_back)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_region(fe, FE_REM_MEM_REG, &fe->region, -1));
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    usleep(20000);
    harness_no_answer(h, 0);
    harness_no_answer(h, 1); /* there is no ring to read that from */
    fe->region.user += 0x10000000;
    OK(fe_region(fe, FE_ADD_MEM_REG, &fe->region, fe->memfd));
    harness_answer(h, 1, 0); /* it was in the ring all the time */
    harness_answer(h, 0, 12);
    harness_echo(h, 0);
}

/* The user addresses of the rings come to mean other guest addresses: the rings are there now. */
TEST(table_moves_a_ring)
{
    struct frontend *fe = &h->fe;
    uint64_t delta = UINT64_C(0x100000000);

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    fe->region.guest += delta;
    assert_true(fe_memory_send(fe));
    fe->mem.base += delta;
    fe->ring[0].ring.desc += delta;
    fe->ring[0].ring.driver += delta;
    fe->ring[0].ring.device += delta;
    harness_echo(h, 0);
    harness_echo(h, 0);
}

/* The same with a request in work, which is finished into the place that it came from. */
static void move_busy_ring(struct harness *h, bool pinned)
{
    struct frontend *fe = &h->fe;
    uint64_t delta = UINT64_C(0x100000000);
    uint8_t *held, *bytes;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    if (pinned)
        harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &bytes);
    fe_kick(fe, 0);
    harness_held(h, 1, pinned ? 2 : 1);
    fe->region.guest += delta;
    assert_true(fe_memory_send(fe));
    harness_answer(h, 0, 12);
    if (pinned)
        harness_answer(h, 0, 64);
    assert_string_equal((char *)held, "hello, ring");
    fe->mem.base += delta;
    for (unsigned i = 0; i < 2; i++) {
        fe->ring[i].ring.desc += delta;
        fe->ring[i].ring.driver += delta;
        fe->ring[i].ring.device += delta;
        harness_echo(h, i);
    }
}

TEST(table_moves_a_busy_ring)
{
    move_busy_ring(h, false);
}

TEST(table_moves_a_ring_with_pins)
{
    move_busy_ring(h, true);
}

/* A table that is refused moves nothing, although a ring had already made way. */
TEST(refused_table_moves_nothing)
{
    struct frontend *fe = &h->fe;
    struct fe_region two[2];
    uint8_t *held;
    int fds[2];

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    two[0] = two[1] = fe->region;
    two[0].guest += UINT64_C(0x100000000);
    two[1].user += UINT64_C(0x100000000);
    two[1].size = UINT64_C(1) << 40;
    fds[0] = fds[1] = fe->memfd;
    REFUSED(fe_set_table(fe, two, fds, 2));
    harness_no_answer(h, 0);
    harness_echo(h, 1);
    harness_submit(h, 1, PROBE_RELEASE, 0, &held);
    fe_kick(fe, 1);
    harness_answer(h, 0, 12);
}

/* Requests are in work, and the memory of their ring is taken away: there is no base to tell. */
TEST(ring_without_memory_has_no_base)
{
    struct frontend *fe = &h->fe;
    uint8_t *held;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 1, PROBE_HOLD, 0, &held);
    fe_kick(fe, 1);
    harness_held(h, 0, 1);
    OK(fe_region(fe, FE_REM_MEM_REG, &fe->region, -1));
    OK(fe_get_base(fe, 0, &base)); /* nothing is in work here */
    assert_int_equal(base, drv_split_used_idx(&fe->ring[0].ring));
    CLOSED(fe_get_base(fe, 1, &base));
    assert_true(backend_logged(&h->b, "GET_VRING_BASE: ring 1 has answers to give"));
    fe_fini(fe);
    fe_init(fe);
    assert_true(fe_connect(fe, h->b.path));
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_region(fe, FE_REM_MEM_REG, &fe->region, -1));
    REFUSED(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
    OK(fe_region(fe, FE_ADD_MEM_REG, &fe->region, fe->memfd));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1)); /* where would it go on? */
    harness_submit(h, 0, PROBE_ECHO, 0, &held);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    harness_no_answer(h, 0);
    assert_true(fe_ring_new(fe, 0, 16, false) && fe_ring_send(fe, 0, 0));
    harness_echo(h, 0); /* set up anew it works */
}

static const struct CMUnitTest tests[] = {
    UNIT(table_changes_under_a_held_request),
    UNIT(table_change_waits_for_a_pin),
    UNIT(disconnect_while_a_message_waits),
    UNIT(disconnect_from_a_stuck_device),
    UNIT(slots),
    UNIT(buffer_leaves_under_a_held_request),
    UNIT(all_slots),
    UNIT(memory_of_a_ring_goes_and_comes_back),
    UNIT(table_moves_a_ring),
    UNIT(table_moves_a_busy_ring),
    UNIT(table_moves_a_ring_with_pins),
    UNIT(refused_table_moves_nothing),
    UNIT(ring_without_memory_has_no_base),
};

HARNESS_MAIN("vhost-user memory", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* The examples' programs behind a real socket, with the test front end in the guest's place. */
#include "vhost-user/harness.h"

#include <stdlib.h>
#include <string.h>

/* None of the devices has a configuration space, so CONFIG is not offered. */
#define PROTOCOL (FE_P_ALL & ~(uint64_t)FE_P_CONFIG)

#define BYTES    64u

static int start_program(void **state, const char *program)
{
    struct harness *h = calloc(1, sizeof(*h));

    if (!h)
        return -1;
    backend_exec(&h->b, program, NULL);
    fe_init(&h->fe);
    *state = h;
    return fe_connect(&h->fe, h->b.path) ? 0 : -1;
}

static int start_invert(void **state)
{
    return start_program(state, INVERT);
}

static int start_own_loop(void **state)
{
    return start_program(state, OWN_LOOP);
}

static int start_slow(void **state)
{
    return start_program(state, SLOW);
}

/* ---- 01-hello-device, and 02-own-loop, which serves the same ---- */

static void invert_bytes(struct harness *h, uint8_t first)
{
    uint8_t sent[BYTES], *got;

    for (unsigned i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(first + i);
    assert_true(fe_submit(&h->fe, 0, sent, BYTES, BYTES, &got) >= 0);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, BYTES);
    for (unsigned i = 0; i < BYTES; i++)
        assert_int_equal(got[i], (uint8_t)~sent[i]);
}

TEST(hello_device)
{
    assert_true(fe_start(&h->fe, PROTOCOL, 0, 1));
    for (uint8_t i = 0; i < 100; i++)
        invert_bytes(h, i);
}

/* One front end after the other; harness_end looks whether SIGTERM ends the program properly. */
TEST(own_loop)
{
    for (uint8_t i = 0; i < 3; i++) {
        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
        assert_true(fe_start(&h->fe, PROTOCOL, DRV_F_PACKED, 1));
        invert_bytes(h, i);
        invert_bytes(h, (uint8_t)~i);
    }
}

/* ---- 03-held-request ---- */

static void expect_operation(struct harness *h, const uint8_t *answer, unsigned number)
{
    harness_answer(h, 0, 4);
    assert_memory_equal(answer, ((uint8_t[]){(uint8_t)number, 0, 0, 0}), 4);
}

TEST(held_request)
{
    uint8_t *answer[3];

    assert_true(fe_start(&h->fe, PROTOCOL, 0, 1));
    for (unsigned i = 0; i < 3; i++)
        assert_true(fe_submit(&h->fe, 0, NULL, 0, 4, &answer[i]) >= 0);
    fe_kick(&h->fe, 0);
    for (unsigned i = 0; i < 3; i++)
        expect_operation(h, answer[i], i + 1);
}

/* GET_VRING_BASE while requests are held: what was not begun is still in the ring afterwards. */
TEST(held_request_and_a_stop)
{
    uint8_t *answer[3];
    uint32_t base;

    assert_true(fe_start(&h->fe, PROTOCOL, 0, 1));
    for (unsigned i = 0; i < 3; i++)
        assert_true(fe_submit(&h->fe, 0, NULL, 0, 4, &answer[i]) >= 0);
    fe_kick(&h->fe, 0);
    expect_operation(h, answer[0], 1); /* so the other two are with the device */
    OK(fe_get_base(&h->fe, 0, &base));
    assert_in_range(base, 1, 3); /* on a slow machine the device may be through */
    assert_int_equal(drv_split_used_idx(&h->fe.ring[0].ring), base);
    assert_true(fe_ring_send(&h->fe, 0, base));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    fe_kick(&h->fe, 0);
    for (unsigned i = 1; i < 3; i++)
        expect_operation(h, answer[i], i + 1);
}

#define PROGRAM(test, start) cmocka_unit_test_setup_teardown(test, start, harness_end)
static const struct CMUnitTest tests[] = {
    PROGRAM(hello_device, start_invert),
    PROGRAM(own_loop, start_own_loop),
    PROGRAM(held_request, start_slow),
    PROGRAM(held_request_and_a_stop, start_slow),
};

HARNESS_MAIN("examples over vhost-user", tests)

/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/hostile.h"

#include <stdlib.h>
#include <unistd.h>

/* Fewer than the lines that the log lets through of one kind in a burst. */
#define CASES_PER_BACKEND 8

const struct request requests[] = {
    {"GET_FEATURES", FE_GET_FEATURES, 0, 0, 0, 0},
    {"SET_FEATURES", FE_SET_FEATURES, 8, 8, 0, 0},
    {"SET_OWNER", FE_SET_OWNER, 0, 0, 0, 0},
    {"RESET_OWNER", FE_RESET_OWNER, 0, 0, 0, 0},
    {"SET_MEM_TABLE", FE_SET_MEM_TABLE, 8, 264, 0, 8},
    {"SET_VRING_NUM", FE_SET_VRING_NUM, 8, 8, 0, 0},
    {"SET_VRING_ADDR", FE_SET_VRING_ADDR, 40, 40, 0, 0},
    {"SET_VRING_BASE", FE_SET_VRING_BASE, 8, 8, 0, 0},
    {"GET_VRING_BASE", FE_GET_VRING_BASE, 8, 8, 0, 0},
    {"SET_VRING_KICK", FE_SET_VRING_KICK, 8, 8, 1, 1},
    {"SET_VRING_CALL", FE_SET_VRING_CALL, 8, 8, 1, 1},
    {"SET_VRING_ERR", FE_SET_VRING_ERR, 8, 8, 1, 1},
    {"GET_PROTOCOL_FEATURES", FE_GET_PROTOCOL_FEATURES, 0, 0, 0, 0},
    {"SET_PROTOCOL_FEATURES", FE_SET_PROTOCOL_FEATURES, 8, 8, 0, 0},
    {"GET_QUEUE_NUM", FE_GET_QUEUE_NUM, 0, 0, 0, 0},
    {"SET_VRING_ENABLE", FE_SET_VRING_ENABLE, 8, 8, 0, 0},
    {"SET_BACKEND_REQ_FD", FE_SET_BACKEND_REQ_FD, 0, 0, 1, 1},
    {"GET_CONFIG", FE_GET_CONFIG, 12, 268, 0, 0},
    {"SET_CONFIG", FE_SET_CONFIG, 12, 268, 0, 0},
    {"RESET_DEVICE", FE_RESET_DEVICE, 0, 0, 0, 0},
    {"GET_MAX_MEM_SLOTS", FE_GET_MAX_MEM_SLOTS, 0, 0, 0, 0},
    {"ADD_MEM_REG", FE_ADD_MEM_REG, 40, 40, 1, 1},
    {"REM_MEM_REG", FE_REM_MEM_REG, 40, 40, 0, 1},
    {"SET_STATUS", FE_SET_STATUS, 8, 8, 0, 0},
    {"GET_STATUS", FE_GET_STATUS, 0, 0, 0, 0},
    {"SET_LOG_BASE", FE_SET_LOG_BASE, 16, 16, 1, 1},
    {"SET_LOG_FD", FE_SET_LOG_FD, 0, 0, 1, 1},
    {"SET_DEVICE_STATE_FD", FE_SET_DEVICE_STATE_FD, 8, 8, 1, 1},
    {"CHECK_DEVICE_STATE", FE_CHECK_DEVICE_STATE, 0, 0, 0, 0},
    {"GET_INFLIGHT_FD", FE_GET_INFLIGHT_FD, 20, 24, 0, 0},
    {"SET_INFLIGHT_FD", FE_SET_INFLIGHT_FD, 20, 24, 1, 1},
};
const unsigned request_count = sizeof(requests) / sizeof(requests[0]);

/* The back end's resources with nobody connected. */
static unsigned idle_fds;
static unsigned cases;

/* Waits until the back end has as many descriptors as that: closing may come after the answer. */
bool has_fds(struct harness *h, unsigned count)
{
    for (unsigned i = 0; i < 500; i++) {
        if (backend_fds(&h->b) == count)
            return true;
        usleep(2000);
    }
    return false;
}

/* Nobody is connected, and nothing is left of those who were. */
bool settled(struct harness *h)
{
    return has_fds(h, idle_fds);
}

void renew(struct harness *h)
{
    struct harness *fresh;
    void *state;

    assert_true(backend_alive(&h->b));
    assert_int_equal(backend_stop(&h->b), 0);
    assert_int_equal(harness_probe(&state), 0);
    fresh = state;
    h->b = fresh->b;
    free(fresh);
}

/* Connects anew, and negotiates everything. */
void begin(struct harness *h)
{
    fe_fini(&h->fe);
    fe_init(&h->fe);
    if (++cases % CASES_PER_BACKEND == 0)
        renew(h);
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    backend_log_clear(&h->b);
}

/* The back end ends the connection and says @text; it leaks nothing and serves the next one. */
void expect_end(struct harness *h, const char *text)
{
    uint64_t features;

    if (!fe_closed(&h->fe))
        print_error("still connected: %s\n", text);
    assert_true(fe_closed(&h->fe));
    if (!backend_logged(&h->b, text))
        print_error("not logged: %s\n", text);
    assert_true(backend_logged(&h->b, text));
    fe_fini(&h->fe);
    assert_true(settled(h));
    assert_true(backend_alive(&h->b));
    fe_init(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
}

int hostile_setup(void **state)
{
    struct harness *h;

    if (harness_probe(state))
        return -1;
    h = *state;
    /* The socket exists once the process listens. */
    if (!fe_connect(&h->fe, h->b.path))
        return -1;
    fe_disconnect(&h->fe);
    usleep(50000);
    idle_fds = backend_fds(&h->b);
    return 0;
}

uint64_t xorshift(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

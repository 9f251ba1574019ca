/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/harness.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 5000

int harness_probe(void **state)
{
    static const char *const args[] = {"--features=packed", "--log-level=debug", NULL};
    struct harness *h = calloc(1, sizeof(*h));

    if (!h)
        return -1;
    backend_fork(&h->b, &probe_class, args);
    fe_init(&h->fe);
    *state = h;
    return 0;
}

int harness_connected(void **state)
{
    struct harness *h;

    if (harness_probe(state))
        return -1;
    h = *state;
    return fe_connect(&h->fe, h->b.path) ? 0 : -1;
}

int harness_end(void **state)
{
    struct harness *h = *state;
    bool alive = h->ended || backend_alive(&h->b);
    int code = 0;

    fe_fini(&h->fe);
    if (!h->ended) {
        if (!h->passed || !alive)
            backend_show(&h->b);
        code = backend_stop(&h->b);
    }
    if (!alive)
        print_error("the back end died during the test\n");
    if (code)
        print_error("the back end ended with %d\n", code);
    free(h);
    return alive && code == 0 ? 0 : -1;
}

void harness_submit(struct harness *h, unsigned ring, enum probe_op op, uint32_t arg,
                    uint8_t **answer)
{
    struct {
        uint32_t op, arg;
        char payload[12];
    } command = {op, arg, "hello, ring"};

    assert_true(fe_submit(&h->fe, ring, &command, sizeof(command), 64, answer) >= 0);
}

void harness_answer(struct harness *h, unsigned ring, uint32_t len)
{
    struct drv_used used;

    assert_true(fe_wait_used(&h->fe, ring, &used, ANSWER_MS));
    assert_int_equal(used.len, len);
}

void harness_no_answer(struct harness *h, unsigned ring)
{
    struct drv_used used;

    assert_false(drv_ring_get(&h->fe.ring[ring].ring, &used));
}

void harness_echo(struct harness *h, unsigned ring)
{
    uint8_t *answer;

    harness_submit(h, ring, PROBE_ECHO, 0, &answer);
    fe_kick(&h->fe, ring);
    harness_answer(h, ring, 12);
    assert_string_equal((char *)answer, "hello, ring");
}

void harness_info(struct harness *h, unsigned ring, struct probe_info *info)
{
    uint8_t *answer;

    harness_submit(h, ring, PROBE_INFO, 0, &answer);
    fe_kick(&h->fe, ring);
    harness_answer(h, ring, sizeof(*info));
    memcpy(info, answer, sizeof(*info));
}

void harness_held(struct harness *h, unsigned ring, unsigned count)
{
    struct probe_info info = {0};

    for (unsigned i = 0; i < 2000; i++) {
        harness_info(h, ring, &info);
        if (info.held == count)
            return;
        usleep(500);
    }
    assert_int_equal(info.held, count);
}

uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

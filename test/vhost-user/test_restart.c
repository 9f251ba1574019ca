/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end is killed at any moment and another process goes on, with the in-flight area that
 * the front end has kept: every request is answered, and none twice.
 */
#include "vhost-user/workload.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KILLS      200u
#define RUN_MAX_US 3000u

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static enum probe_op any_op(struct workload *w)
{
    static const enum probe_op ops[] = {PROBE_ECHO, PROBE_LATER, PROBE_LATER, PROBE_INFO + 90};

    return ops[work_random(w, 4)];
}

static void some_work(struct workload *w)
{
    unsigned n = work_random(w, 8);

    while (n-- && work_submit(w, any_op(w)))
        continue;
    fe_kick(w->fe, w->ring);
    work_collect(w);
}

static void start(struct backend *b, struct frontend *fe)
{
    static const char *const args[] = {"--features=packed", "--log-level=error", NULL};

    backend_fork(b, &probe_class, args);
    assert_true(fe_connect(fe, b->path));
}

static void end(struct backend *b, struct frontend *fe, int how, int code)
{
    kill(b->pid, how);
    assert_int_equal(backend_wait(b), code);
    fe_disconnect(fe);
}

/* @kills times, and each time it may die again before it has come up. Requests that had begun. */
static unsigned die_and_go_on(const struct work_ring *kind, unsigned kills, uint64_t seed)
{
    struct fe_inflight in = {.fd = -1};
    unsigned begun = 0;
    struct workload w;
    struct frontend fe;
    struct backend b;

    fe_init(&fe);
    work_init(&w, &fe, kind, seed);
    start(&b, &fe);
    assert_true(work_connect(&w, kind, &in));
    for (unsigned i = 0; i < kills; i++) {
        uint64_t until = now_us() + work_random(&w, RUN_MAX_US);

        while (now_us() < until)
            some_work(&w);
        end(&b, &fe, SIGKILL, -SIGKILL);
        begun += w.submitted - w.answered;
        if (i & 1) /* a driver does not know: it goes on */
            some_work(&w);
        while (fe_event(fe.ring[0].kick, 0) || fe_event(fe.ring[0].call, 0))
            continue; /* what was said to the dead is lost */
        start(&b, &fe);
        assert_true(work_connect(&w, kind, &in));
        if (i % 4 == 0)
            work_drain(&w);
    }
    work_drain(&w);
    end(&b, &fe, SIGTERM, 0);
    fe_inflight_free(&in);
    fe_fini(&fe);
    return begun;
}

static void killed_at_any_moment(void **state)
{
    const char *given = getenv("ANYHV_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : now_us();
    unsigned begun = 0;

    (void)state;
    for (unsigned i = 0; i < work_ring_count; i++) {
        print_message("%s: ANYHV_TEST_SEED=0x%llx\n", work_rings[i].name, (unsigned long long)seed);
        begun += die_and_go_on(&work_rings[i], KILLS / work_ring_count, seed);
    }
    print_message("%u requests were in work when it was killed\n", begun);
    assert_true(begun > KILLS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(killed_at_any_moment),
};

HARNESS_MAIN("vhost-user restart", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device dies between any two of its instructions, and its successor finishes what was in work:
 * nothing is lost, nothing is used twice.
 *
 * The device runs in a child process that stops after each instruction. Whatever can be seen of the
 * memory that outlives it there is what a successor may have to start from: it is copied, and a
 * successor is started on the copy.
 */
#include "journal_world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world_shared *shared, *seen, *copy;

/* What the device does before its end: takes, answers late and out of order, takes more. */
static void live(struct world *w)
{
    anyhv_dev_run(&w->dev, 3);
    world_answer(w);
    world_run(w);
    world_answer(w);
    world_run(w);
}

/* What a successor does: takes over, works, and is to die as well. */
static void live_after(const struct world *w)
{
    static struct world next;

    if (world_succeed(&next, w, shared) != ANYHV_OK)
        _exit(3);
    next.hold_every = 2;
    anyhv_dev_run(&next.dev, 2);
    world_answer(&next);
    world_run(&next);
    anyhv_ctl_set_status(&next.dev, 0x1f); /* SUSPEND: held requests are finished or go back */
    world_run(&next);
}

static void child(struct world *w, bool takes_over)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(2);
    raise(SIGSTOP);
    if (takes_over)
        live_after(w);
    else
        live(w);
    _exit(0);
}

/* A driver that had suspended the device wakes it. */
static void wake(struct world *w)
{
    world_run(w);
    world_collect(w); /* what a cut batch left would be found now */
    world_answer(w);
    world_run(w);
    if (anyhv_ctl_status(&w->dev) & ANYHV_S_SUSPEND)
        anyhv_ctl_set_status(&w->dev, 0x0f);
}

/* The device died here: does its successor finish the work? */
static void succeed(const struct world *w)
{
    static struct world next;

    memcpy(copy, shared, sizeof(*copy));
    assert_int_equal(world_succeed(&next, w, copy), ANYHV_OK);
    next.hold_every = 2; /* another order than the predecessor's: other places in the ring */
    wake(&next);
    world_check_all(&next);
    assert_int_equal(next.dev.violations[ANYHV_V_JOURNAL], 0);
    world_end(&next);
}

/* Steps through @pid's life; returns how many different moments of the shared memory there were. */
static unsigned step_through(const struct world *w, pid_t pid)
{
    unsigned moments = 0;
    int status;

    for (;;) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        if (memcmp(seen, shared, sizeof(*seen))) {
            memcpy(seen, shared, sizeof(*seen));
            succeed(w);
            moments++;
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return moments;
}

/* @laps: requests that went before, so that it happens at different places of the ring. */
static unsigned dies_after(unsigned laps, uint64_t features, unsigned hold_every, bool takes_over)
{
    static struct world w;
    unsigned moments;
    pid_t pid;

    world_start(&w, shared, features);
    w.hold_every = hold_every;
    for (unsigned i = 0; i < laps; i++) {
        world_post(&w, 1);
        world_run(&w);
        world_answer(&w);
        world_run(&w);
        world_collect(&w);
    }
    world_post(&w, 3); /* some lie with the device already */
    world_run(&w);
    world_collect(&w);
    world_post(&w, 2);
    memcpy(seen, shared, sizeof(*seen));
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(&w, takes_over);
    moments = step_through(&w, pid);
    world_end(&w);
    return moments;
}

static void dies_anywhere(uint64_t features, unsigned hold_every)
{
    for (unsigned laps = 0; laps < 8; laps++) {
        assert_true(dies_after(laps, features, hold_every, false) > 15);
        assert_true(dies_after(laps, features | DRV_F_SUSPEND, hold_every, true) > 15);
    }
}

static void split(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_INDIRECT, 3);
}

static void split_at_once(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_EVENT_IDX, 0);
}

static void split_in_order(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_IN_ORDER, 2);
}

static void packed(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_PACKED | DRV_F_INDIRECT, 3);
}

static void packed_at_once(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_PACKED | DRV_F_EVENT_IDX, 0);
}

static void packed_in_order(void **state)
{
    (void)state;
    dies_anywhere(DRV_F_PACKED | DRV_F_IN_ORDER, 2);
}

static void *map(void)
{
    void *at = mmap(NULL, sizeof(struct world_shared), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static int setup(void **state)
{
    (void)state;
    shared = map();
    seen = map();
    copy = map();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(shared, sizeof(*shared));
    munmap(seen, sizeof(*seen));
    munmap(copy, sizeof(*copy));
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(split),  TEST(split_at_once),  TEST(split_in_order),
    TEST(packed), TEST(packed_at_once), TEST(packed_in_order),
};

ANYHV_TEST_MAIN("journal-steps", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's timers. */
#include "linux_test.h"

#include <unistd.h>

#define MS UINT64_C(1000000)

struct alarm {
    struct anyhv_timer timer;
    struct anyhv_loop *loop;
    int fired, order;
    int again;            /* so often it arms itself anew with delay 0 */
    struct alarm *victim; /* cancelled in fire() */
};
static int alarms_fired;

/* A clock that can stand still, as a coarse one does for many rounds. */
static struct timespec stopped_clock;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    if (stopped_clock.tv_sec == 0)
        return __real_clock_gettime(id, ts);
    *ts = stopped_clock;
    return 0;
}

static void fire(struct anyhv_timer *timer)
{
    struct alarm *alarm = timer->priv;

    alarm->fired++;
    alarm->order = ++alarms_fired;
    if (alarm->again-- > 0)
        anyhv_timer_set(alarm->loop, timer, 0);
    if (alarm->victim)
        anyhv_timer_cancel(&alarm->victim->timer);
}

static void set_alarm(struct alarm *alarm, struct anyhv_loop *loop, uint64_t delay_ns)
{
    alarm->timer.fire = fire;
    alarm->timer.priv = alarm;
    alarm->loop = loop;
    anyhv_timer_set(loop, &alarm->timer, delay_ns);
}

static void test_timers_fire_in_order(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm late = {0}, early = {0}, never = {0};
    uint64_t begin = anyhv_loop_now(loop);

    alarms_fired = 0;
    set_alarm(&late, loop, 20 * MS);
    set_alarm(&never, loop, UINT64_MAX);
    set_alarm(&early, loop, 10 * MS);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    while (!late.fired)
        assert_true(anyhv_loop_turn(loop, -1) >= 0);
    assert_true(anyhv_loop_now(loop) - begin >= 20 * MS);
    assert_int_equal(early.order, 1);
    assert_int_equal(late.order, 2);
    assert_int_equal(never.fired, 0);
    anyhv_timer_cancel(&never.timer);
    anyhv_timer_cancel(&never.timer);
    assert_false(readable(loop, 0));
}

static void test_timer_makes_the_loop_readable(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm a = {0};

    set_alarm(&a, loop, 30 * MS);
    assert_false(readable(loop, 0));
    assert_true(readable(loop, 2000));
    assert_int_equal(a.fired, 0);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_false(readable(loop, 0));

    set_alarm(&a, loop, 0);
    assert_true(readable(loop, 2000));
    anyhv_timer_cancel(&a.timer);
    assert_false(readable(loop, 0));
}

static void test_timer_moves(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm a = {0};

    set_alarm(&a, loop, 0);
    set_alarm(&a, loop, 3600 * 1000 * MS);
    assert_false(readable(loop, 20));
    set_alarm(&a, loop, 0);
    assert_int_equal(anyhv_loop_turn(loop, 2000), 1);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    assert_int_equal(a.fired, 1);
}

/* A timer that arms itself with 0 must not keep its round from ending. */
static void test_timer_rearmed_in_fire(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm a = {.again = 3};

    set_alarm(&a, loop, 0);
    for (int round = 1; round <= 4; round++) {
        assert_int_equal(anyhv_loop_turn(loop, 2000), 1);
        assert_int_equal(a.fired, round);
    }
    assert_false(readable(loop, 0));
}

static void test_timer_rearmed_on_a_coarse_clock(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm a = {.again = 3};

    clock_gettime(CLOCK_MONOTONIC, &stopped_clock);
    set_alarm(&a, loop, 0);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0); /* not before time moves */
    stopped_clock.tv_sec = 0;
    assert_int_equal(anyhv_loop_turn(loop, 2000), 1);
    assert_int_equal(a.fired, 2);
    anyhv_timer_cancel(&a.timer);
}

static void test_timer_cancelled_by_another(void **state)
{
    struct anyhv_loop *loop = *state;
    struct alarm a = {0}, b = {0};

    a.victim = &b;
    set_alarm(&a, loop, 0);
    set_alarm(&b, loop, 0);
    usleep(1000); /* both are due */
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(b.fired, 0);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
}

static const struct CMUnitTest tests[] = {
    WITH_LOOP(test_timers_fire_in_order),
    WITH_LOOP(test_timer_makes_the_loop_readable),
    WITH_LOOP(test_timer_moves),
    WITH_LOOP(test_timer_rearmed_in_fire),
    WITH_LOOP(test_timer_rearmed_on_a_coarse_clock),
    WITH_LOOP(test_timer_cancelled_by_another),
};

ANYHV_TEST_MAIN("timer", tests)

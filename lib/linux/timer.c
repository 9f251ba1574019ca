/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's timers: a list in order of time, and one timerfd set to the first of them. */
#include "loop_private.h"

#include <anyhv/port.h>
#include <sys/timerfd.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t anyhv_loop_now(const struct anyhv_loop *loop)
{
    struct timespec ts;

    (void)loop;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Inside a round the timerfd is set once, at its end. Setting it also makes it unreadable. */
void anyhv_loop_settle_timerfd(struct anyhv_loop *loop)
{
    uint64_t due = loop->timers ? loop->timers->due : 0;

    if (loop->in_turn || due == loop->programmed)
        return;
    struct itimerspec spec = {.it_value.tv_sec = (time_t)(due / NS_PER_S),
                              .it_value.tv_nsec = (long)(due % NS_PER_S)};
    int result = timerfd_settime(loop->timerfd, TFD_TIMER_ABSTIME, &spec, NULL);
    ANYHV_ASSERT(result == 0);
    loop->programmed = due;
}

static void timer_unlink(struct anyhv_timer *timer)
{
    if (!timer->loop)
        return;
    struct anyhv_timer **link = &timer->loop->timers;
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    timer->loop = NULL;
}

/* In order of time, equal times in order of arming. Timers are few: a list will do. */
static void timer_link(struct anyhv_loop *loop, struct anyhv_timer *timer)
{
    struct anyhv_timer **link = &loop->timers;

    while (*link && (*link)->due <= timer->due)
        link = &(*link)->next;
    timer->next = *link;
    *link = timer;
    timer->loop = loop;
}

void anyhv_timer_set(struct anyhv_loop *loop, struct anyhv_timer *timer, uint64_t delay_ns)
{
    uint64_t now = anyhv_loop_now(loop);

    anyhv_timer_cancel(timer);
    timer->due = delay_ns > (uint64_t)INT64_MAX - now ? (uint64_t)INT64_MAX : now + delay_ns;
    /* Armed with 0 in its own fire(), a timer must not be due in the same round again. */
    if (timer->due <= loop->horizon)
        timer->due = loop->horizon + 1;
    timer_link(loop, timer);
    anyhv_loop_settle_timerfd(loop);
}

void anyhv_timer_cancel(struct anyhv_timer *timer)
{
    struct anyhv_loop *loop = timer->loop;

    if (!loop)
        return;
    timer_unlink(timer);
    anyhv_loop_settle_timerfd(loop);
}

int anyhv_loop_run_timers(struct anyhv_loop *loop)
{
    int ran = 0;

    while (loop->timers && loop->timers->due <= loop->horizon) {
        struct anyhv_timer *timer = loop->timers;
        timer_unlink(timer);
        timer->fire(timer);
        ran++;
    }
    return ran;
}

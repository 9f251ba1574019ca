/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's inside, for loop.c, timer.c and task.c. */
#ifndef ANYHV_LINUX_LOOP_PRIVATE_H
#define ANYHV_LINUX_LOOP_PRIVATE_H

#include <anyhv/linux/loop.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/* Descriptors per round. If more are ready, the kernel offers the others first in the next. */
#define ANYHV_LOOP_ROUND 64

struct task_list {
    struct anyhv_task *head, *tail;
};

struct post_list {
    struct anyhv_post *head, *tail;
};

struct anyhv_loop {
    int epoll, timerfd, eventfd;
    bool in_turn, stopped;
    int exit_code;
    unsigned watches;

    struct epoll_event events[ANYHV_LOOP_ROUND];
    int next, count; /* events[next .. count-1] were collected and have not run */

    struct anyhv_timer *timers; /* earliest first */
    uint64_t horizon;           /* this round's time: what is due later waits for the next */
    uint64_t programmed;        /* what the timerfd is set to, 0: off */

    struct task_list tasks;     /* made ready */
    struct task_list running;   /* of the tasks phase under way, not yet run */
    struct anyhv_task *current; /* the one that runs, unless it cancelled itself */
    struct post_list arriving;  /* of the posts phase under way, not yet run */

    pthread_mutex_t lock; /* guards posts, and writes to and reads from the eventfd */
    struct post_list posts;
    atomic_bool signalled; /* the eventfd is (about to be) readable; changed with the lock held */
};

/* loop.c: outside a round, makes the loop's descriptor tell whether tasks or posts wait. */
void anyhv_loop_settle_eventfd(struct anyhv_loop *loop);
/* timer.c: the same for timers. */
void anyhv_loop_settle_timerfd(struct anyhv_loop *loop);

/* The phases of a round; each returns the number of callbacks that ran. */
int anyhv_loop_run_timers(struct anyhv_loop *loop);
int anyhv_loop_run_tasks(struct anyhv_loop *loop);

#endif

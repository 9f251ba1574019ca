/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event loop per thread of guests: file descriptors, timers, deferred work, and one
 * thread-safe way in. All objects are the caller's storage, zero-initialised before first use,
 * and must stay in place while they are armed. Nothing here creates threads.
 *
 * Callbacks may add and remove anything, also themselves. After a del/cancel returns, the callback
 * will not run any more, even if its event was already collected.
 */
#ifndef ANYHV_LINUX_LOOP_H
#define ANYHV_LINUX_LOOP_H

#include <anyhv/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_loop;

/* NULL with errno set when the kernel has no descriptors or memory left. */
struct anyhv_loop *anyhv_loop_new(void);
/* Nothing may be armed any more. NULL is fine. */
void anyhv_loop_free(struct anyhv_loop *loop);

/*
 * Readable whenever anyhv_loop_turn(loop, 0) has something to do (events, due timers, tasks,
 * posts): lets a program with its own loop drive this one. Owned by the loop.
 */
int anyhv_loop_fd(const struct anyhv_loop *loop);

/*
 * One round: waits at most @timeout_ms (-1: for ever, 0: not at all) for the first event, then
 * runs everything that is due once (of descriptors 64, in turn). Returns the number of callbacks
 * that ran, or -1 with errno.
 */
int anyhv_loop_turn(struct anyhv_loop *loop, int timeout_ms);

/* Turns until anyhv_loop_stop. Returns the stop's exit code, or -1 with errno. */
int anyhv_loop_run(struct anyhv_loop *loop);
/* From a callback: ends anyhv_loop_run after this round. Before it: it returns at once. */
void anyhv_loop_stop(struct anyhv_loop *loop, int exit_code);
/*
 * For programs that call anyhv_loop_turn themselves: after a true, turn no more. *@exit_code is set
 * to the stop's.
 */
bool anyhv_loop_stopped(const struct anyhv_loop *loop, int *exit_code);

/* ---- file descriptors (level triggered) ---- */
struct anyhv_watch {
    void (*ready)(struct anyhv_watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP... */
    void *priv;
    /* the loop's */
    struct anyhv_loop *loop;
    int fd;
};
/*
 * @events: EPOLLIN and/or EPOLLOUT. Returns 0 or -errno (EPERM: fd cannot be polled; EBUSY: @watch
 * is armed; EEXIST: another watch has @fd).
 */
int anyhv_watch_add(struct anyhv_loop *loop, struct anyhv_watch *watch, int fd, uint32_t events);
/* Takes effect at once, also for an event that was already collected. -ENOENT: not armed. */
int anyhv_watch_change(struct anyhv_watch *watch, uint32_t events);
/* Before the fd is closed. Does nothing if not armed. */
void anyhv_watch_del(struct anyhv_watch *watch);

/* ---- timers (CLOCK_MONOTONIC, one shot) ---- */
struct anyhv_timer {
    void (*fire)(struct anyhv_timer *timer);
    void *priv;
    /* the loop's */
    struct anyhv_loop *loop;
    uint64_t due;
    struct anyhv_timer *next;
};
uint64_t anyhv_loop_now(const struct anyhv_loop *loop); /* ns, CLOCK_MONOTONIC, read afresh */
/* Fires once, @delay_ns from now (0: next round). Arming an armed timer moves it. */
void anyhv_timer_set(struct anyhv_loop *loop, struct anyhv_timer *timer, uint64_t delay_ns);
void anyhv_timer_cancel(struct anyhv_timer *timer);

/* ---- tasks: work to be done on the loop's thread, in turn with everything else ---- */
struct anyhv_task {
    bool (*run)(struct anyhv_task *task); /* true: once more in the next round */
    void *priv;
    /* the loop's */
    struct anyhv_loop *loop;
    struct anyhv_task *next;
    bool queued;
};
/*
 * Runs once, however often it was asked: at the end of the round under way, or in the next one
 * when called from a task or outside a round. Loop's thread only.
 */
void anyhv_task_ready(struct anyhv_loop *loop, struct anyhv_task *task);
void anyhv_task_cancel(struct anyhv_task *task);

/* ---- the one thread-safe call ---- */
struct anyhv_post {
    void (*arrived)(struct anyhv_post *post); /* on the loop's thread, in posting order */
    void *priv;
    struct anyhv_post *next; /* the loop's */
};
/* From any thread. @post belongs to the loop until arrived() is called. */
void anyhv_loop_post(struct anyhv_loop *loop, struct anyhv_post *post);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one epoll instance, and inside it the armed descriptors, one timerfd for the
 * earliest timer and one eventfd for everything that no descriptor stands for (tasks, posts). So
 * the epoll descriptor alone tells a foreign loop whether a turn has work.
 *
 * A round runs in phases: descriptors, timers, posts, tasks. Each phase runs what was there when
 * it began, each thing once; what is added meanwhile waits for its next chance, so nothing can
 * starve the rest. Everything is taken off its list before its callback runs: callbacks may add
 * and remove anything.
 */
#include "internal.h"
#include "loop_private.h"

#include <anyhv/port.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- Creation ---- */

static void close_all(struct anyhv_loop *loop)
{
    int saved = errno;

    if (loop->eventfd >= 0)
        close(loop->eventfd);
    if (loop->timerfd >= 0)
        close(loop->timerfd);
    if (loop->epoll >= 0)
        close(loop->epoll);
    errno = saved;
}

/* The loop's own descriptors only end the wait: their events carry no watch. */
static int add_own(struct anyhv_loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 ? -1 : epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

struct anyhv_loop *anyhv_loop_new(void)
{
    struct anyhv_loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return NULL;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll < 0 || add_own(loop, loop->timerfd) < 0 || add_own(loop, loop->eventfd) < 0) {
        close_all(loop);
        free(loop);
        return NULL;
    }
    pthread_mutex_init(&loop->lock, NULL);
    return loop;
}

void anyhv_loop_free(struct anyhv_loop *loop)
{
    if (!loop)
        return;
    ANYHV_ASSERT(!loop->in_turn && loop->watches == 0 && !loop->timers);
    ANYHV_ASSERT(!loop->tasks.head && !loop->posts.head);
    close_all(loop);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

int anyhv_loop_fd(const struct anyhv_loop *loop)
{
    return loop->epoll;
}

/* ---- The eventfd ---- */

/* Makes the loop's descriptor readable. With the lock held. */
static void signal_locked(struct anyhv_loop *loop)
{
    if (atomic_load_explicit(&loop->signalled, memory_order_relaxed))
        return;
    /* Told before it shows: a round that the write wakes has to know why. */
    atomic_store_explicit(&loop->signalled, true, memory_order_relaxed);
    int result = eventfd_write(loop->eventfd, 1);
    ANYHV_ASSERT(result == 0);
}

/*
 * Between rounds the eventfd tells exactly whether tasks or posts wait. It stays readable over any
 * number of busy rounds: only the first and the last of them cost a system call.
 */
void anyhv_loop_settle_eventfd(struct anyhv_loop *loop)
{
    bool signalled = atomic_load_explicit(&loop->signalled, memory_order_relaxed);
    eventfd_t count;

    /* A post that comes in behind this look signals by itself. */
    if (signalled == (loop->tasks.head != NULL))
        return;
    pthread_mutex_lock(&loop->lock);
    if (loop->tasks.head) {
        signal_locked(loop);
    } else if (!loop->posts.head) {
        int result = eventfd_read(loop->eventfd, &count);
        ANYHV_ASSERT(result == 0);
        atomic_store_explicit(&loop->signalled, false, memory_order_relaxed);
    }
    pthread_mutex_unlock(&loop->lock);
}

/* ---- Descriptors ---- */

int anyhv_watch_add(struct anyhv_loop *loop, struct anyhv_watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->loop)
        return -EBUSY;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->loop = loop;
    watch->fd = fd;
    loop->watches++;
    return 0;
}

/* What was collected for @watch in this round shrinks to @events. */
static void limit_collected(struct anyhv_loop *loop, const struct anyhv_watch *watch,
                            uint32_t events)
{
    for (int i = loop->next; i < loop->count; i++) {
        struct epoll_event *event = &loop->events[i];
        if (event->data.ptr != watch)
            continue;
        event->events &= events;
        if (event->events == 0)
            event->data.ptr = NULL;
    }
}

int anyhv_watch_change(struct anyhv_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (!watch->loop)
        return -ENOENT;
    if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return -errno;
    limit_collected(watch->loop, watch, events | EPOLLERR | EPOLLHUP);
    return 0;
}

void anyhv_watch_del(struct anyhv_watch *watch)
{
    struct anyhv_loop *loop = watch->loop;

    if (!loop)
        return;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    limit_collected(loop, watch, 0);
    loop->watches--;
    watch->loop = NULL;
}

static int run_watches(struct anyhv_loop *loop, int count)
{
    int ran = 0;

    loop->count = count;
    for (loop->next = 0; loop->next < loop->count;) {
        const struct epoll_event event = loop->events[loop->next++];
        struct anyhv_watch *watch = event.data.ptr;
        if (watch) {
            watch->ready(watch, event.events);
            ran++;
        }
    }
    loop->next = loop->count = 0;
    return ran;
}

/* ---- Posts ---- */

static bool post_remove(struct post_list *list, struct anyhv_post *post)
{
    struct anyhv_post *before = NULL;
    struct anyhv_post *at = list->head;

    for (; at && at != post; at = at->next)
        before = at;
    if (!at)
        return false;
    if (before)
        before->next = post->next;
    else
        list->head = post->next;
    if (list->tail == post)
        list->tail = before;
    return true;
}

void anyhv_loop_post(struct anyhv_loop *loop, struct anyhv_post *post)
{
    post->next = NULL;
    pthread_mutex_lock(&loop->lock);
    if (loop->posts.head)
        loop->posts.tail->next = post;
    else
        loop->posts.head = post;
    loop->posts.tail = post;
    signal_locked(loop);
    pthread_mutex_unlock(&loop->lock);
}

bool anyhv_loop_unpost(struct anyhv_loop *loop, struct anyhv_post *post)
{
    if (post_remove(&loop->arriving, post))
        return true;
    pthread_mutex_lock(&loop->lock);
    bool found = post_remove(&loop->posts, post);
    pthread_mutex_unlock(&loop->lock);
    return found;
}

static int run_posts(struct anyhv_loop *loop)
{
    struct anyhv_post *post;
    int ran = 0;

    /* Only a look: what comes in behind it has signalled, and is found in the next round. */
    if (!atomic_load_explicit(&loop->signalled, memory_order_relaxed))
        return 0;
    pthread_mutex_lock(&loop->lock);
    loop->arriving = loop->posts;
    loop->posts = (struct post_list){NULL, NULL};
    pthread_mutex_unlock(&loop->lock);
    while ((post = loop->arriving.head) != NULL) {
        post_remove(&loop->arriving, post);
        post->arrived(post);
        ran++;
    }
    return ran;
}

/* ---- Rounds ---- */

int anyhv_loop_turn(struct anyhv_loop *loop, int timeout_ms)
{
    ANYHV_ASSERT(!loop->in_turn);
    int count = epoll_wait(loop->epoll, loop->events, ANYHV_LOOP_ROUND, timeout_ms);

    if (count < 0 && errno != EINTR)
        return -1;
    loop->in_turn = true;
    loop->horizon = anyhv_loop_now(loop);
    int ran = run_watches(loop, count < 0 ? 0 : count);
    ran += anyhv_loop_run_timers(loop);
    ran += run_posts(loop);
    ran += anyhv_loop_run_tasks(loop);
    loop->in_turn = false;
    anyhv_loop_settle_timerfd(loop);
    anyhv_loop_settle_eventfd(loop);
    return ran;
}

int anyhv_loop_run(struct anyhv_loop *loop)
{
    while (!loop->stopped) {
        if (anyhv_loop_turn(loop, -1) < 0)
            return -1;
    }
    loop->stopped = false;
    return loop->exit_code;
}

void anyhv_loop_stop(struct anyhv_loop *loop, int exit_code)
{
    loop->stopped = true;
    loop->exit_code = exit_code;
}

bool anyhv_loop_stopped(const struct anyhv_loop *loop, int *exit_code)
{
    if (loop->stopped)
        *exit_code = loop->exit_code;
    return loop->stopped;
}

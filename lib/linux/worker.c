/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker thread. A job moves through two lists, both guarded by one lock: submitted ->
 * [begun by the thread] -> finished, and from there its post carries it to the loop's thread. Jobs
 * enter `finished` and the loop's post queue together, so both have the same order.
 */
#include <anyhv/linux/worker.h>

#include "internal.h"

#include <anyhv/port.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAME_MAX_LEN 15 /* what the kernel keeps of a thread's name */

enum job_state {
    IDLE, /* the caller's; zero */
    SUBMITTED,
    BEGUN,
    RAN,
    CANCELLED,
};

struct job_list {
    struct anyhv_job *head, *tail;
};

struct anyhv_worker {
    struct anyhv_loop *loop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* submitted got a job, or ending was set */
    pthread_cond_t idle;    /* the job that was under way when ending was set is over */
    struct job_list submitted, finished;
    struct anyhv_job *busy; /* the one that runs */
    bool ending;
    bool abandoned; /* the thread has the worker to itself */
};

static void push(struct job_list *list, struct anyhv_job *job)
{
    job->next = NULL;
    if (list->head)
        list->tail->next = job;
    else
        list->head = job;
    list->tail = job;
}

static struct anyhv_job *pop(struct job_list *list)
{
    struct anyhv_job *job = list->head;

    if (job)
        list->head = job->next;
    return job;
}

/* @job is in the list. */
static void take_out(struct job_list *list, struct anyhv_job *job)
{
    struct anyhv_job *before = NULL;

    for (struct anyhv_job *at = list->head; at != job; at = at->next)
        before = at;
    if (before)
        before->next = job->next;
    else
        list->head = job->next;
    if (list->tail == job)
        list->tail = before;
}

/* Last look at the worker is before done(): done() may submit the job again or free the worker. */
static void deliver(struct anyhv_job *job)
{
    bool ran = job->state == RAN;

    job->state = IDLE;
    job->worker = NULL;
    job->done(job, ran);
}

static void arrived(struct anyhv_post *post)
{
    struct anyhv_job *job = post->priv;
    struct anyhv_worker *worker = job->worker;

    pthread_mutex_lock(&worker->lock);
    take_out(&worker->finished, job); /* it is the first */
    pthread_mutex_unlock(&worker->lock);
    deliver(job);
}

/* With the lock held, so that no other job's post comes in between. */
static void finish(struct anyhv_worker *worker, struct anyhv_job *job, enum job_state state)
{
    job->state = state;
    push(&worker->finished, job);
    job->post = (struct anyhv_post){.arrived = arrived, .priv = job};
    anyhv_loop_post(worker->loop, &job->post);
}

static void dispose(struct anyhv_worker *worker)
{
    pthread_cond_destroy(&worker->idle);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

/* With the lock held, which it lets go of meanwhile. */
static void run(struct anyhv_worker *worker, struct anyhv_job *job)
{
    job->state = BEGUN;
    worker->busy = job;
    pthread_mutex_unlock(&worker->lock);
    job->work(job);
    pthread_mutex_lock(&worker->lock);
    worker->busy = NULL;
    if (!worker->abandoned)
        finish(worker, job, RAN);
    if (worker->ending)
        pthread_cond_signal(&worker->idle);
}

static void *thread_main(void *arg)
{
    struct anyhv_worker *worker = arg;

    pthread_mutex_lock(&worker->lock);
    while (!worker->ending) {
        struct anyhv_job *job = pop(&worker->submitted);
        if (job)
            run(worker, job);
        else
            pthread_cond_wait(&worker->changed, &worker->lock);
    }
    bool abandoned = worker->abandoned;
    pthread_mutex_unlock(&worker->lock);
    if (abandoned)
        dispose(worker);
    return NULL;
}

/*
 * Starts the thread with every signal blocked that somebody else could send: those are the loop's
 * business. A thread's own faults stay deliverable.
 */
static int start_thread(struct anyhv_worker *worker, const char *name)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    char short_name[NAME_MAX_LEN + 1];
    sigset_t blocked, before;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int error = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        snprintf(short_name, sizeof(short_name), "%s", name);
        pthread_setname_np(worker->thread, short_name);
    }
    return error;
}

struct anyhv_worker *anyhv_worker_new(struct anyhv_loop *loop, const char *name)
{
    struct anyhv_worker *worker = calloc(1, sizeof(*worker));
    pthread_condattr_t monotonic;

    if (!worker)
        return NULL;
    worker->loop = loop;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = start_thread(worker, name);
    if (error == 0)
        return worker;
    dispose(worker);
    errno = error;
    return NULL;
}

void anyhv_worker_submit(struct anyhv_worker *worker, struct anyhv_job *job)
{
    pthread_mutex_lock(&worker->lock);
    ANYHV_ASSERT(job->state == IDLE && !worker->ending);
    job->state = SUBMITTED;
    job->worker = worker;
    push(&worker->submitted, job);
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

bool anyhv_worker_cancel(struct anyhv_job *job)
{
    struct anyhv_worker *worker = job->worker;

    if (!worker) /* never submitted, or done */
        return false;
    pthread_mutex_lock(&worker->lock);
    bool waits = job->state == SUBMITTED;
    if (waits) {
        take_out(&worker->submitted, job);
        finish(worker, job, CANCELLED);
    }
    pthread_mutex_unlock(&worker->lock);
    return waits;
}

/* No job is begun any more. */
static void end(struct anyhv_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->ending = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* Every job but the one that still runs has its done(). */
static void end_jobs(struct anyhv_worker *worker)
{
    struct job_list finished;
    struct anyhv_loop *loop = worker->loop;
    struct anyhv_job *job;

    pthread_mutex_lock(&worker->lock);
    while ((job = pop(&worker->submitted)) != NULL)
        finish(worker, job, CANCELLED);
    finished = worker->finished;
    worker->finished.head = NULL;
    pthread_mutex_unlock(&worker->lock);
    while ((job = pop(&finished)) != NULL) {
        anyhv_loop_unpost(loop, &job->post);
        deliver(job);
    }
}

void anyhv_worker_free(struct anyhv_worker *worker)
{
    if (!worker)
        return;
    end(worker);
    pthread_join(worker->thread, NULL);
    end_jobs(worker);
    dispose(worker);
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

bool anyhv_worker_abandon(struct anyhv_worker *worker, unsigned timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    int error = 0;

    if (!worker)
        return true;
    end(worker);
    pthread_mutex_lock(&worker->lock);
    while (worker->busy && !error)
        error = pthread_cond_timedwait(&worker->idle, &worker->lock, &until);
    pthread_mutex_unlock(&worker->lock);
    end_jobs(worker);
    pthread_mutex_lock(&worker->lock);
    bool hangs = worker->busy != NULL;
    worker->abandoned = hangs;
    if (hangs) {
        worker->busy->worker = NULL; /* which its caller may still want to cancel */
        pthread_detach(worker->thread);
    }
    pthread_mutex_unlock(&worker->lock); /* from here on it may be gone at any time */
    if (!hangs)
        anyhv_worker_free(worker);
    return !hangs;
}

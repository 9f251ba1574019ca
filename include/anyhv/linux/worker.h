/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for host calls that may block (a bus transfer, a slow device file). Jobs run one
 * after the other in the order they were given; each answer comes back on the loop's thread. The
 * only place in anyhv that creates threads.
 */
#ifndef ANYHV_LINUX_WORKER_H
#define ANYHV_LINUX_WORKER_H

#include <anyhv/linux/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_worker;

/* Caller's storage, in place until done() was called. */
struct anyhv_job {
    void (*work)(struct anyhv_job *job); /* on the worker's thread; may block; sees only the job */
    void (*done)(struct anyhv_job *job, bool ran); /* on the loop's thread; ran false: cancelled */
    void *priv;
    /* the worker's */
    struct anyhv_worker *worker;
    struct anyhv_job *next;
    struct anyhv_post post;
    int state;
};

/* @name: at most 15 characters, shown by ps. NULL with errno when no thread can be made. */
struct anyhv_worker *anyhv_worker_new(struct anyhv_loop *loop, const char *name);

/* Loop's thread only, like cancel and free. Not from a done() that anyhv_worker_free calls. */
void anyhv_worker_submit(struct anyhv_worker *worker, struct anyhv_job *job);

/*
 * A job not yet begun is taken out, and its done(job, false) comes in a later round: true. A job
 * that runs, has run, or was never given to a worker is left alone: false.
 */
bool anyhv_worker_cancel(struct anyhv_job *job);

/*
 * Ends the thread: jobs not begun are cancelled, the running one is waited for. Every done() has
 * been called on return. NULL is fine.
 */
void anyhv_worker_free(struct anyhv_worker *worker);

/*
 * The same, for a job that may hang for ever in the kernel: it is waited for at most @timeout_ms.
 * False: it still runs, and its done() never comes. The thread ends by itself should the job
 * return; until then all that the job touches has to stay where it is, so for good. The worker is
 * gone for the caller either way; to cancel the job does nothing. NULL is fine: true.
 */
bool anyhv_worker_abandon(struct anyhv_worker *worker, unsigned timeout_ms);

#ifdef __cplusplus
}
#endif
#endif

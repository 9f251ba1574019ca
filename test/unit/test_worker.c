/* SPDX-License-Identifier: Apache-2.0 */
/* The worker thread: order, cancelling, and an end that leaves no job without its done(). */
#include "testing.h"

#include <anyhv/linux/worker.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct rig {
    struct anyhv_loop *loop;
    struct anyhv_worker *worker;
};

struct errand {
    struct anyhv_job job;
    struct rig *rig;
    pthread_t begun_by; /* the worker's thread */
    int worked, number;
    int ran, cancelled; /* calls of done(), by what it was told */
    int order;          /* of done() */
    int again;          /* so often done() submits it again */
    bool ends_worker;   /* done() frees the worker */
};

static struct rig rig;
static int gate = -1, entered = -1; /* eventfds: a job that waits, and that it does */
static int works, dones;

static int set_up(void **state)
{
    (void)state;
    works = dones = 0;
    gate = eventfd(0, EFD_CLOEXEC);
    entered = eventfd(0, EFD_CLOEXEC);
    rig.loop = anyhv_loop_new();
    rig.worker = rig.loop ? anyhv_worker_new(rig.loop, "test") : NULL;
    return rig.worker ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    anyhv_worker_free(rig.worker);
    anyhv_loop_free(rig.loop);
    close(gate);
    close(entered);
    return 0;
}

static void work(struct anyhv_job *job)
{
    struct errand *errand = job->priv;

    errand->begun_by = pthread_self();
    errand->worked++;
    errand->number = ++works;
}

static void done(struct anyhv_job *job, bool ran)
{
    struct errand *errand = job->priv;

    *(ran ? &errand->ran : &errand->cancelled) += 1;
    errand->order = ++dones;
    if (errand->again-- > 0)
        anyhv_worker_submit(errand->rig->worker, job);
    if (errand->ends_worker) {
        anyhv_worker_free(errand->rig->worker);
        errand->rig->worker = NULL;
    }
}

static void work_at_gate(struct anyhv_job *job)
{
    eventfd_t value;

    work(job);
    eventfd_write(entered, 1);
    eventfd_read(gate, &value);
}

static struct errand errand(void (*what)(struct anyhv_job *))
{
    return (struct errand){.job = {.work = what, .done = done}, .rig = &rig};
}

static void submit(struct errand *e)
{
    e->job.priv = e;
    anyhv_worker_submit(rig.worker, &e->job);
}

/* Submits a job that keeps the thread busy until the gate opens. */
static void occupy(struct errand *e)
{
    eventfd_t value;

    *e = errand(work_at_gate);
    submit(e);
    assert_int_equal(eventfd_read(entered, &value), 0);
}

static void turn_until(const int *counter, int value)
{
    while (*counter < value)
        assert_true(anyhv_loop_turn(rig.loop, 10000) >= 0);
}

static void test_jobs_run_in_order_elsewhere(void **state)
{
    static struct errand e[500];
    (void)state;

    for (int i = 0; i < 500; i++) {
        e[i] = errand(work);
        submit(&e[i]);
    }
    turn_until(&dones, 500);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(e[i].number, i + 1);
        assert_int_equal(e[i].order, i + 1);
        assert_int_equal(e[i].ran, 1);
        assert_int_equal(e[i].cancelled, 0);
        assert_false(pthread_equal(e[i].begun_by, pthread_self()));
    }
}

static void test_job_can_be_submitted_again_from_done(void **state)
{
    struct errand e = errand(work);
    (void)state;

    e.again = 9;
    submit(&e);
    turn_until(&dones, 10);
    assert_int_equal(e.worked, 10);
    assert_int_equal(e.ran, 10);
}

static void test_cancel(void **state)
{
    struct errand busy, first = errand(work), second = errand(work);
    (void)state;

    occupy(&busy);
    submit(&first);
    submit(&second);
    assert_true(anyhv_worker_cancel(&first.job));
    assert_false(anyhv_worker_cancel(&first.job)); /* once */
    assert_false(anyhv_worker_cancel(&busy.job));  /* it runs */
    assert_int_equal(dones, 0);                    /* never from inside cancel */
    turn_until(&dones, 1);
    assert_int_equal(first.cancelled, 1);
    assert_int_equal(first.worked, 0);

    eventfd_write(gate, 1);
    turn_until(&dones, 3);
    assert_int_equal(busy.ran, 1);
    assert_int_equal(second.ran, 1);
    assert_false(anyhv_worker_cancel(&second.job)); /* it is over */
}

/* The last and the middle of the queue are taken out too, and it still works. */
static void test_cancel_keeps_the_queue_whole(void **state)
{
    struct errand busy, e[4] = {errand(work), errand(work), errand(work), errand(work)};
    struct errand late = errand(work);
    (void)state;

    occupy(&busy);
    for (int i = 0; i < 4; i++)
        submit(&e[i]);
    assert_true(anyhv_worker_cancel(&e[3].job));
    assert_true(anyhv_worker_cancel(&e[1].job));
    submit(&late);
    eventfd_write(gate, 1);
    turn_until(&dones, 6);
    assert_int_equal(e[0].ran + e[2].ran + late.ran, 3);
    assert_int_equal(e[1].cancelled + e[3].cancelled, 2);
    assert_int_equal(late.number, 4);
}

static void *open_gate_later(void *arg)
{
    (void)arg;
    usleep(50000);
    eventfd_write(gate, 1);
    return NULL;
}

/* One delivered late, one running, two waiting: all have had their done() when free returns. */
static void test_free_ends_every_job(void **state)
{
    struct errand finished = errand(work), busy, waiting[2] = {errand(work), errand(work)};
    pthread_t helper;
    (void)state;

    submit(&finished);
    occupy(&busy);
    submit(&waiting[0]);
    submit(&waiting[1]);
    assert_int_equal(pthread_create(&helper, NULL, open_gate_later, NULL), 0);
    anyhv_worker_free(rig.worker);
    rig.worker = NULL;
    pthread_join(helper, NULL);
    assert_int_equal(dones, 4);
    assert_int_equal(finished.ran, 1);
    assert_int_equal(finished.order, 1);
    assert_int_equal(busy.ran, 1);
    assert_int_equal(busy.order, 2);
    assert_int_equal(waiting[0].cancelled, 1);
    assert_int_equal(waiting[1].cancelled, 1);
    assert_int_equal(waiting[1].worked, 0);
    assert_int_equal(anyhv_loop_turn(rig.loop, 0), 0); /* no post was left behind */
}

static void test_worker_freed_from_done(void **state)
{
    struct errand e[3] = {errand(work), errand(work), errand(work)};
    struct errand busy;
    (void)state;

    e[0].ends_worker = true;
    submit(&e[0]);
    submit(&e[1]);
    occupy(&busy); /* so both above have run, and their posts come in one round */
    submit(&e[2]);
    eventfd_write(gate, 1);
    turn_until(&dones, 1);
    assert_null(rig.worker);
    assert_int_equal(dones, 4);
    assert_int_equal(e[1].ran, 1);
    assert_int_equal(e[2].ran + e[2].cancelled, 1);
}

static char thread_name[16];
static sigset_t thread_mask;

static void look_around(struct anyhv_job *job)
{
    work(job);
    prctl(PR_GET_NAME, thread_name);
    pthread_sigmask(SIG_BLOCK, NULL, &thread_mask);
}

static void test_thread_has_a_name_and_no_signals(void **state)
{
    struct errand e = errand(look_around);
    (void)state;

    anyhv_worker_free(rig.worker);
    rig.worker = anyhv_worker_new(rig.loop, "a-name-longer-than-15");
    assert_non_null(rig.worker);
    submit(&e);
    turn_until(&dones, 1);
    assert_string_equal(thread_name, "a-name-longer-t");
    assert_true(sigismember(&thread_mask, SIGTERM));
    assert_true(sigismember(&thread_mask, SIGUSR1));
    assert_false(sigismember(&thread_mask, SIGBUS));
    assert_false(sigismember(&thread_mask, SIGSEGV));
}

static void test_free_of_nothing(void **state)
{
    (void)state;
    anyhv_worker_free(NULL);
    struct errand e = errand(work);
    assert_false(anyhv_worker_cancel(&e.job)); /* never submitted */
}

static int threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A job that hangs is left to its thread, which goes when the job returns; nobody is told of it. */
static void test_abandon_leaves_a_job_that_hangs(void **state)
{
    struct errand finished = errand(work), hanging, waiting = errand(work);
    int before = threads();
    (void)state;

    submit(&finished);
    occupy(&hanging);
    submit(&waiting);
    assert_false(anyhv_worker_abandon(rig.worker, 20));
    rig.worker = NULL;
    assert_int_equal(dones, 2);
    assert_int_equal(finished.ran, 1);
    assert_int_equal(waiting.cancelled, 1);
    assert_int_equal(threads(), before);
    assert_null(hanging.job.worker);
    assert_false(anyhv_worker_cancel(&hanging.job));
    eventfd_write(gate, 1);
    while (threads() == before)
        usleep(1000);
    assert_int_equal(dones, 2);
    assert_int_equal(anyhv_loop_turn(rig.loop, 0), 0);
}

static void test_abandon_of_nothing(void **state)
{
    (void)state;
    assert_true(anyhv_worker_abandon(NULL, 0));
}

static void test_abandon_waits_for_a_job_that_ends(void **state)
{
    struct errand busy, waiting = errand(work);
    pthread_t helper;
    (void)state;

    occupy(&busy);
    submit(&waiting);
    assert_int_equal(pthread_create(&helper, NULL, open_gate_later, NULL), 0);
    assert_true(anyhv_worker_abandon(rig.worker, 60000));
    pthread_join(helper, NULL);
    assert_int_equal(busy.ran, 1);
    assert_int_equal(waiting.cancelled, 1);
    rig.worker = anyhv_worker_new(rig.loop, "idle");
    assert_true(anyhv_worker_abandon(rig.worker, 0)); /* there is nothing to wait for */
    rig.worker = NULL;
    assert_int_equal(anyhv_loop_turn(rig.loop, 0), 0);
}

#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    WITH_WORKER(test_jobs_run_in_order_elsewhere),
    WITH_WORKER(test_job_can_be_submitted_again_from_done),
    WITH_WORKER(test_cancel),
    WITH_WORKER(test_cancel_keeps_the_queue_whole),
    WITH_WORKER(test_free_ends_every_job),
    WITH_WORKER(test_worker_freed_from_done),
    WITH_WORKER(test_thread_has_a_name_and_no_signals),
    WITH_WORKER(test_abandon_leaves_a_job_that_hangs),
    WITH_WORKER(test_abandon_waits_for_a_job_that_ends),
    cmocka_unit_test(test_free_of_nothing),
    cmocka_unit_test(test_abandon_of_nothing),
};

ANYHV_TEST_MAIN("worker", tests)

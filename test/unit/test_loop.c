/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop and its descriptors: what runs in a round, and what does not any more. */
#include "linux_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Descriptors ---- */

/* A ready eventfd and what happened to its watch. */
struct source {
    struct anyhv_watch watch;
    int fd, ran;
    uint32_t events;
    struct source *victim; /* something is done to it in ready() */
    struct anyhv_loop *loop;
};

static void count_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct source *source = watch->priv;

    source->ran++;
    source->events = events;
}

static void open_source(struct source *source, struct anyhv_loop *loop,
                        void (*ready)(struct anyhv_watch *, uint32_t))
{
    *source = (struct source){.watch = {.ready = ready, .priv = source}, .loop = loop};
    source->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(source->fd >= 0);
    assert_int_equal(anyhv_watch_add(loop, &source->watch, source->fd, EPOLLIN), 0);
}

static void close_source(struct source *source)
{
    anyhv_watch_del(&source->watch);
    close(source->fd);
}

static void test_watch_is_level_triggered(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source s;
    eventfd_t value;

    assert_false(readable(loop, 0));
    open_source(&s, loop, count_ready);
    assert_true(readable(loop, 0));
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(s.ran, 2);
    assert_int_equal(s.events, EPOLLIN);

    assert_int_equal(eventfd_read(s.fd, &value), 0);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    assert_int_equal(anyhv_watch_change(&s.watch, EPOLLOUT), 0);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(s.events, EPOLLOUT);
    anyhv_watch_del(&s.watch);
    anyhv_watch_del(&s.watch); /* not armed: nothing */
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    close_source(&s);
}

static void test_watch_errors(void **state)
{
    struct anyhv_loop *loop = *state;
    struct anyhv_watch second = {.ready = count_ready};
    struct source s;

    open_source(&s, loop, count_ready);
    assert_int_equal(anyhv_watch_add(loop, &s.watch, s.fd, EPOLLIN), -EBUSY);
    assert_int_equal(anyhv_watch_add(loop, &second, s.fd, EPOLLIN), -EEXIST);
    assert_int_equal(anyhv_watch_add(loop, &second, -1, EPOLLIN), -EBADF);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(anyhv_watch_add(loop, &second, file, EPOLLIN), -EPERM);
    close(file);
    assert_int_equal(anyhv_watch_change(&second, EPOLLIN), -ENOENT);
    anyhv_watch_del(&second);
    close_source(&s);
}

static void kill_victim(struct anyhv_watch *watch, uint32_t events)
{
    struct source *source = watch->priv;

    count_ready(watch, events);
    close_source(source->victim);
}

/* Both were collected in one round; whichever runs first removes the other. */
static void test_deleted_watch_does_not_run(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source a, b;

    open_source(&a, loop, kill_victim);
    open_source(&b, loop, kill_victim);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(a.ran + b.ran, 1);
    close_source(a.ran ? &a : &b);
}

static void readd_victim(struct anyhv_watch *watch, uint32_t events)
{
    struct source *source = watch->priv;

    count_ready(watch, events);
    if (source->ran > 1 || source->victim->ran > 0)
        return;
    anyhv_watch_del(&source->victim->watch);
    assert_int_equal(
        anyhv_watch_add(source->loop, &source->victim->watch, source->victim->fd, EPOLLIN), 0);
}

/* An event that was collected belongs to the watch as it was armed then. */
static void test_rearmed_watch_runs_in_the_next_round(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source a, b;

    open_source(&a, loop, readd_victim);
    open_source(&b, loop, readd_victim);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(anyhv_loop_turn(loop, 0), 2);
    close_source(&a);
    close_source(&b);
}

static void mute_victim(struct anyhv_watch *watch, uint32_t events)
{
    struct source *source = watch->priv;

    count_ready(watch, events);
    assert_int_equal(anyhv_watch_change(&source->victim->watch, 0), 0);
}

static void test_change_applies_to_collected_events(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source a, b;

    open_source(&a, loop, mute_victim);
    open_source(&b, loop, mute_victim);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    close_source(&a);
    close_source(&b);
}

static void del_self(struct anyhv_watch *watch, uint32_t events)
{
    count_ready(watch, events);
    anyhv_watch_del(watch);
}

static void test_watch_deletes_itself(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source s;

    open_source(&s, loop, del_self);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    close_source(&s);
}

/* More ready descriptors than one round takes: none runs twice before each ran once. */
static void test_many_descriptors_take_turns(void **state)
{
    enum {
        MANY = 150
    };
    struct anyhv_loop *loop = *state;
    static struct source s[MANY];
    int ran = 0;

    for (int i = 0; i < MANY; i++)
        open_source(&s[i], loop, count_ready);
    while (ran < MANY) {
        int now = anyhv_loop_turn(loop, 0);
        assert_true(now > 0);
        ran += now;
    }
    for (int i = 0; i < MANY; i++) {
        assert_in_range(s[i].ran, 1, 2);
        close_source(&s[i]);
    }
    /* The last round may have begun the second lap. */
    assert_in_range(ran, MANY, MANY + 64);
}

/* ---- The loop itself ---- */

static bool stop_task(struct anyhv_task *task)
{
    anyhv_loop_stop(task->loop, 7);
    return false;
}

static void test_a_foreign_loop_sees_the_stop(void **state)
{
    struct anyhv_loop *loop = *state;
    struct anyhv_task task = {.run = stop_task};
    int code = -1;

    assert_false(anyhv_loop_stopped(loop, &code));
    assert_int_equal(code, -1);
    anyhv_task_ready(loop, &task);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_true(anyhv_loop_stopped(loop, &code));
    assert_int_equal(code, 7);
}

static void test_run_and_stop(void **state)
{
    struct anyhv_loop *loop = *state;
    struct anyhv_task task = {.run = stop_task};

    anyhv_task_ready(loop, &task);
    assert_int_equal(anyhv_loop_run(loop), 7);
    anyhv_loop_stop(loop, 3); /* before the run */
    assert_int_equal(anyhv_loop_run(loop), 3);
    anyhv_task_ready(loop, &task); /* and it can be run again */
    assert_int_equal(anyhv_loop_run(loop), 7);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void test_signal_ends_a_wait_without_error(void **state)
{
    struct anyhv_loop *loop = *state;
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval soon = {.it_value.tv_usec = 20000};

    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(anyhv_loop_turn(loop, 5000), 0);
    sigaction(SIGALRM, &before, NULL);
}

static void test_descriptors_are_given_back(void **state)
{
    (void)state;
    int before = open_fds();
    struct rlimit limit, low;

    anyhv_loop_free(anyhv_loop_new());
    anyhv_loop_free(NULL);
    assert_int_equal(open_fds(), before);

    /* Room for none, one, two of the three descriptors. */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int next = dup(0);
    close(next);
    for (int room = 0; room < 3; room++) {
        low = limit;
        low.rlim_cur = (rlim_t)(next + room);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        struct anyhv_loop *loop = anyhv_loop_new();
        int error = errno;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_null(loop);
        assert_int_equal(error, EMFILE);
    }
    assert_int_equal(open_fds(), before);
}

/* Our own mistake is found where it is made. */
static void test_free_with_a_timer_armed_panics(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct anyhv_loop *loop = anyhv_loop_new();
        struct anyhv_timer timer = {0};
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        anyhv_timer_set(loop, &timer, 1000000);
        anyhv_loop_free(loop);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static const struct CMUnitTest tests[] = {
    WITH_LOOP(test_watch_is_level_triggered),
    WITH_LOOP(test_watch_errors),
    WITH_LOOP(test_deleted_watch_does_not_run),
    WITH_LOOP(test_rearmed_watch_runs_in_the_next_round),
    WITH_LOOP(test_change_applies_to_collected_events),
    WITH_LOOP(test_watch_deletes_itself),
    WITH_LOOP(test_many_descriptors_take_turns),
    WITH_LOOP(test_a_foreign_loop_sees_the_stop),
    WITH_LOOP(test_run_and_stop),
    WITH_LOOP(test_signal_ends_a_wait_without_error),
    cmocka_unit_test(test_descriptors_are_given_back),
    cmocka_unit_test(test_free_with_a_timer_armed_panics),
};

ANYHV_TEST_MAIN("loop", tests)

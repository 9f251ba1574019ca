/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: what runs in a round, what does not any more, and what a foreign loop sees. */
#include "testing.h"

#include <anyhv/linux/loop.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static int new_loop(void **state)
{
    *state = anyhv_loop_new();
    return *state ? 0 : -1;
}

static int free_loop(void **state)
{
    anyhv_loop_free(*state);
    return 0;
}

/* Would a foreign loop call us now? */
static bool readable(const struct anyhv_loop *loop, int timeout_ms)
{
    struct pollfd pfd = {.fd = anyhv_loop_fd(loop), .events = POLLIN};

    return poll(&pfd, 1, timeout_ms) == 1;
}

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

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

/* ---- Timers ---- */

struct alarm {
    struct anyhv_timer timer;
    struct anyhv_loop *loop;
    int fired, order;
    int again;            /* so often it arms itself anew with delay 0 */
    struct alarm *victim; /* cancelled in fire() */
};
static int alarms_fired;

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

/* ---- Tasks ---- */

struct work {
    struct anyhv_task task;
    struct anyhv_loop *loop;
    int ran, again;
    struct work *victim, *next;
};

static bool run_work(struct anyhv_task *task)
{
    struct work *work = task->priv;

    work->ran++;
    if (work->victim)
        anyhv_task_cancel(&work->victim->task);
    if (work->next)
        anyhv_task_ready(work->loop, &work->next->task);
    return work->again-- > 0;
}

static void ready_work(struct work *work, struct anyhv_loop *loop)
{
    work->task.run = run_work;
    work->task.priv = work;
    work->loop = loop;
    anyhv_task_ready(loop, &work->task);
}

static void test_task_runs_once(void **state)
{
    struct anyhv_loop *loop = *state;
    struct work w = {0};

    ready_work(&w, loop);
    ready_work(&w, loop);
    assert_true(readable(loop, 0));
    assert_int_equal(anyhv_loop_turn(loop, -1), 1);
    assert_false(readable(loop, 0));
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    assert_int_equal(w.ran, 1);
}

/* Busy tasks and a ready descriptor share the rounds evenly. */
static void test_busy_task_is_fair(void **state)
{
    struct anyhv_loop *loop = *state;
    struct work a = {.again = 1000}, b = {.again = 1000};
    struct source s;

    open_source(&s, loop, count_ready);
    ready_work(&a, loop);
    ready_work(&b, loop);
    for (int round = 1; round <= 10; round++) {
        assert_int_equal(anyhv_loop_turn(loop, -1), 3);
        assert_int_equal(a.ran, round);
        assert_int_equal(b.ran, round);
        assert_int_equal(s.ran, round);
    }
    anyhv_task_cancel(&a.task);
    anyhv_task_cancel(&b.task);
    close_source(&s);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    assert_false(readable(loop, 0));
}

static void test_task_cancelled_by_another(void **state)
{
    struct anyhv_loop *loop = *state;
    struct work a = {0}, b = {0}, c = {0};

    a.victim = &b;
    ready_work(&a, loop);
    ready_work(&b, loop);
    ready_work(&c, loop);
    assert_int_equal(anyhv_loop_turn(loop, 0), 2);
    assert_int_equal(b.ran, 0);
    assert_int_equal(c.ran, 1);
    anyhv_task_cancel(&b.task); /* not queued: nothing */
    ready_work(&b, loop);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
}

static void test_task_from_a_task_runs_in_the_next_round(void **state)
{
    struct anyhv_loop *loop = *state;
    struct work a = {0}, b = {0};

    b.task.run = run_work;
    b.task.priv = &b;
    a.next = &b;
    ready_work(&a, loop);
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(b.ran, 0);
    assert_true(readable(loop, 0));
    assert_int_equal(anyhv_loop_turn(loop, 0), 1);
    assert_int_equal(b.ran, 1);
}

static struct work kicked;

static void kick(struct anyhv_watch *watch, uint32_t events)
{
    count_ready(watch, events);
    ready_work(&kicked, watch->loop);
}

/* A kick costs one round: its work is done behind the descriptors that came with it. */
static void test_task_from_a_watch_runs_in_the_same_round(void **state)
{
    struct anyhv_loop *loop = *state;
    struct source s;

    kicked = (struct work){0};
    open_source(&s, loop, kick);
    assert_int_equal(anyhv_loop_turn(loop, 0), 2);
    assert_int_equal(kicked.ran, 1);
    close_source(&s);
    assert_false(readable(loop, 0));
}

/* ---- Posts ---- */

#define THREADS 4
#define POSTS   2500 /* of each thread */

struct letter {
    struct anyhv_post post;
    int sender, number;
};

static struct letter letters[THREADS][POSTS];
static int received, expected[THREADS];
static struct anyhv_loop *posted_to;

static void arrived(struct anyhv_post *post)
{
    const struct letter *letter = post->priv;

    assert_int_equal(letter->number, expected[letter->sender]++);
    received++;
}

static void *post_all(void *arg)
{
    struct letter *mine = arg;

    for (int i = 0; i < POSTS; i++)
        anyhv_loop_post(posted_to, &mine[i].post);
    return NULL;
}

static void test_posts_of_four_threads(void **state)
{
    struct anyhv_loop *loop = *state;
    pthread_t threads[THREADS];

    posted_to = loop;
    received = 0;
    memset(expected, 0, sizeof(expected));
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < POSTS; i++) {
            struct letter *letter = &letters[t][i];
            *letter = (struct letter){{.arrived = arrived, .priv = letter}, t, i};
        }
        assert_int_equal(pthread_create(&threads[t], NULL, post_all, letters[t]), 0);
    }
    while (received < THREADS * POSTS)
        assert_true(anyhv_loop_turn(loop, 10000) > 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(anyhv_loop_turn(loop, 0), 0);
    assert_false(readable(loop, 0));
}

static void test_ten_thousand_posts_before_a_round(void **state)
{
    struct anyhv_loop *loop = *state;
    static struct letter pile[10000];

    received = 0;
    expected[0] = 0;
    for (int i = 0; i < 10000; i++) {
        pile[i] = (struct letter){{.arrived = arrived, .priv = &pile[i]}, 0, i};
        anyhv_loop_post(loop, &pile[i].post);
    }
    assert_true(readable(loop, 0));
    assert_int_equal(anyhv_loop_turn(loop, 0), 10000);
    assert_int_equal(received, 10000);
    assert_false(readable(loop, 0));
}

static int echoes;

static void echo(struct anyhv_post *post)
{
    if (++echoes < 3)
        anyhv_loop_post(post->priv, post);
}

/* A post from a post waits for the next round, and the loop stays readable for it. */
static void test_post_from_a_post(void **state)
{
    struct anyhv_loop *loop = *state;
    struct anyhv_post post = {.arrived = echo, .priv = loop};

    echoes = 0;
    anyhv_loop_post(loop, &post);
    for (int round = 1; round <= 3; round++) {
        assert_true(readable(loop, 0));
        assert_int_equal(anyhv_loop_turn(loop, 0), 1);
        assert_int_equal(echoes, round);
    }
    assert_false(readable(loop, 0));
}

/* ---- The loop itself ---- */

static bool stop_task(struct anyhv_task *task)
{
    anyhv_loop_stop(task->loop, 7);
    return false;
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
        struct alarm a = {0};
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        set_alarm(&a, loop, MS);
        anyhv_loop_free(loop);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, new_loop, free_loop)

static const struct CMUnitTest tests[] = {
    WITH_LOOP(test_watch_is_level_triggered),
    WITH_LOOP(test_watch_errors),
    WITH_LOOP(test_deleted_watch_does_not_run),
    WITH_LOOP(test_rearmed_watch_runs_in_the_next_round),
    WITH_LOOP(test_change_applies_to_collected_events),
    WITH_LOOP(test_watch_deletes_itself),
    WITH_LOOP(test_many_descriptors_take_turns),
    WITH_LOOP(test_timers_fire_in_order),
    WITH_LOOP(test_timer_makes_the_loop_readable),
    WITH_LOOP(test_timer_moves),
    WITH_LOOP(test_timer_rearmed_in_fire),
    WITH_LOOP(test_timer_cancelled_by_another),
    WITH_LOOP(test_task_runs_once),
    WITH_LOOP(test_busy_task_is_fair),
    WITH_LOOP(test_task_cancelled_by_another),
    WITH_LOOP(test_task_from_a_task_runs_in_the_next_round),
    WITH_LOOP(test_task_from_a_watch_runs_in_the_same_round),
    WITH_LOOP(test_posts_of_four_threads),
    WITH_LOOP(test_ten_thousand_posts_before_a_round),
    WITH_LOOP(test_post_from_a_post),
    WITH_LOOP(test_run_and_stop),
    WITH_LOOP(test_signal_ends_a_wait_without_error),
    cmocka_unit_test(test_descriptors_are_given_back),
    cmocka_unit_test(test_free_with_a_timer_armed_panics),
};

ANYHV_TEST_MAIN("loop", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's tasks and posts: in turn with everything else, and in order. */
#include "linux_test.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Tasks ---- */

static int fd_ran;

static void count_fd(struct anyhv_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    fd_ran++;
}

/* A descriptor that is always ready. */
static int watch_ready_fd(struct anyhv_loop *loop, struct anyhv_watch *watch)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

    assert_true(fd >= 0);
    fd_ran = 0;
    assert_int_equal(anyhv_watch_add(loop, watch, fd, EPOLLIN), 0);
    return fd;
}

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
    struct anyhv_watch watch = {.ready = count_fd};
    int fd = watch_ready_fd(loop, &watch);

    ready_work(&a, loop);
    ready_work(&b, loop);
    for (int round = 1; round <= 10; round++) {
        assert_int_equal(anyhv_loop_turn(loop, -1), 3);
        assert_int_equal(a.ran, round);
        assert_int_equal(b.ran, round);
        assert_int_equal(fd_ran, round);
    }
    anyhv_task_cancel(&a.task);
    anyhv_task_cancel(&b.task);
    anyhv_watch_del(&watch);
    close(fd);
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

/* The last of the queue goes, and the queue still takes others. */
static void test_last_task_cancelled(void **state)
{
    struct anyhv_loop *loop = *state;
    struct work a = {0}, b = {0}, c = {0};

    ready_work(&a, loop);
    ready_work(&b, loop);
    anyhv_task_cancel(&b.task);
    ready_work(&c, loop);
    assert_int_equal(anyhv_loop_turn(loop, 0), 2);
    assert_int_equal(c.ran, 1);
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
    count_fd(watch, events);
    ready_work(&kicked, watch->loop);
}

/* A kick costs one round: its work is done behind the descriptors that came with it. */
static void test_task_from_a_watch_runs_in_the_same_round(void **state)
{
    struct anyhv_loop *loop = *state;
    struct anyhv_watch watch = {.ready = kick};
    int fd = watch_ready_fd(loop, &watch);

    kicked = (struct work){0};
    assert_int_equal(anyhv_loop_turn(loop, 0), 2);
    assert_int_equal(kicked.ran, 1);
    anyhv_watch_del(&watch);
    close(fd);
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

static const struct CMUnitTest tests[] = {
    WITH_LOOP(test_task_runs_once),
    WITH_LOOP(test_busy_task_is_fair),
    WITH_LOOP(test_task_cancelled_by_another),
    WITH_LOOP(test_last_task_cancelled),
    WITH_LOOP(test_task_from_a_task_runs_in_the_next_round),
    WITH_LOOP(test_task_from_a_watch_runs_in_the_same_round),
    WITH_LOOP(test_posts_of_four_threads),
    WITH_LOOP(test_ten_thousand_posts_before_a_round),
    WITH_LOOP(test_post_from_a_post),
};

ANYHV_TEST_MAIN("task", tests)

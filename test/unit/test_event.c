/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <anyhv/linux/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FULL (UINT64_MAX - 1)

static void kinds(void **state)
{
    int ends[2], fd;
    sigset_t none;

    (void)state;
    fd = eventfd(0, 0);
    assert_true(anyhv_event_check(fd));
    close(fd);
    assert_false(anyhv_event_check(fd));
    assert_false(anyhv_event_check(-1));
    assert_int_equal(pipe(ends), 0);
    assert_false(anyhv_event_check(ends[0]));
    assert_false(anyhv_event_check(ends[1]));
    close(ends[0]);
    close(ends[1]);
    sigemptyset(&none);
    fd = signalfd(-1, &none, 0);
    assert_false(anyhv_event_check(fd));
    close(fd);
    fd = epoll_create1(0);
    assert_false(anyhv_event_check(fd));
    close(fd);
    fd = memfd_create("anon_inode:[eventfd]", 0);
    assert_false(anyhv_event_check(fd));
    close(fd);
}

static void signalled_and_drained(void **state)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t count = 0;

    (void)state;
    anyhv_event_signal(fd);
    anyhv_event_signal(fd);
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 2);
    anyhv_event_signal(fd);
    anyhv_event_drain(fd);
    assert_int_equal(read(fd, &count, sizeof(count)), -1);
    close(fd);
}

/* The peer lets callers wait: nobody does. */
static void nobody_waits(void **state)
{
    int fd = eventfd(0, 0);
    uint64_t count = FULL;

    (void)state;
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    alarm(10);
    anyhv_event_drain(fd); /* empty */
    assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
    anyhv_event_signal(fd);
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, FULL);
    alarm(0);
    close(fd);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(kinds),
    cmocka_unit_test(signalled_and_drained),
    cmocka_unit_test(nobody_waits),
};

ANYHV_TEST_MAIN("event", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of lib/linux need. */
#ifndef ANYHV_UNIT_LINUX_TEST_H
#define ANYHV_UNIT_LINUX_TEST_H

#include "testing.h"

#include <anyhv/linux/loop.h>
#include <dirent.h>
#include <poll.h>
#include <time.h>

/* Descriptors of this process, to compare with an earlier count. */
static inline int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static inline int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Would a foreign loop call us within @timeout_ms? */
static inline bool readable(const struct anyhv_loop *loop, int timeout_ms)
{
    struct pollfd pfd = {.fd = anyhv_loop_fd(loop), .events = POLLIN};

    return poll(&pfd, 1, timeout_ms) == 1;
}

static inline int new_loop(void **state)
{
    *state = anyhv_loop_new();
    return *state ? 0 : -1;
}

static inline int free_loop(void **state)
{
    anyhv_loop_free(*state);
    return 0;
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, new_loop, free_loop)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a test in a process of its own, whose output the test reads while it runs. */
#ifndef ANYHV_UNIT_CHILD_H
#define ANYHV_UNIT_CHILD_H

#include "testing.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int out;          /* its standard output and error */
    char text[16384]; /* what it said so far */
    size_t len;
};

/* Runs @what(@arg) and then exit(0): exit, so that a leak checker has its say. */
static inline void child_start(struct child *child, void (*what)(void *), void *arg)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    child->len = 0;
    child->text[0] = '\0';
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        signal(SIGABRT, SIG_DFL); /* cmocka's handlers are not for this one */
        alarm(60);
        what(arg);
        exit(0);
    }
    close(fds[1]);
    child->out = fds[0];
}

/* Reads until @what was said; false: it never is. */
static inline bool child_says(struct child *child, const char *what)
{
    while (!strstr(child->text, what)) {
        size_t room = sizeof(child->text) - 1 - child->len;
        ssize_t n = read(child->out, child->text + child->len, room);
        if (n <= 0)
            return false;
        child->len += (size_t)n;
        child->text[child->len] = '\0';
    }
    return true;
}

/* Its exit code, or the signal that ended it as a negative number. */
static inline int child_end(struct child *child)
{
    int status;

    child_says(child, "\x01"); /* to the end */
    close(child->out);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A back end in another process: a class of this test program in a forked child, or a real
 * program. Its log goes to a file in memory that the test reads.
 */
#ifndef ANYHV_TEST_BACKEND_H
#define ANYHV_TEST_BACKEND_H

#include <anyhv/hv.h>
#include <sys/types.h>

struct backend {
    pid_t pid;
    int log;
    char dir[64], path[96]; /* the socket */
};

/*
 * Starts @cls behind the vhost-user module. @args: NULL, or arguments with NULL at the end; if the
 * first one is --fd=N, there is no --socket-path.
 */
void backend_fork(struct backend *b, const struct anyhv_class *cls, const char *const *args);
/* Starts the program at @program the same way. */
void backend_exec(struct backend *b, const char *program, const char *const *args);
/* True while the process runs. */
bool backend_alive(const struct backend *b);
/* SIGTERM; its exit code, or -signal. Removes the folder of the socket. */
int backend_stop(struct backend *b);
/* For a process that ends by itself, soon: its exit code, or -signal. */
int backend_wait(struct backend *b);

/* Does the log have @text within some time? */
bool backend_logged(const struct backend *b, const char *text);
/* All of the log; the caller frees it. */
char *backend_log(const struct backend *b);
/* Prints the log, for a failing test. */
void backend_show(const struct backend *b);
/* Forgets what was logged so far. */
void backend_log_clear(struct backend *b);

unsigned backend_fds(const struct backend *b);    /* open descriptors */
unsigned backend_maps(const struct backend *b);   /* mappings */
uint64_t backend_cpu_ns(const struct backend *b); /* processor time used */

#endif

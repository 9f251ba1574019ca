/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/backend.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define MAX_ARGS    16
#define PATIENCE_MS 20000 /* for a process that ought to end */

static void pause_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

static void prepare(struct backend *b)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(b->dir, sizeof(b->dir), "%.40s/anyhv-vu.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->dir))
        abort();
    snprintf(b->path, sizeof(b->path), "%s/socket", b->dir);
    b->log = memfd_create("log", MFD_CLOEXEC);
    if (b->log < 0)
        abort();
    fflush(NULL);
}

/* In the child. */
static void arguments(struct backend *b, const char *program, const char *const *args,
                      char *argv[MAX_ARGS], char option[128])
{
    unsigned n = 0;

    snprintf(option, 128, "--socket-path=%s", b->path);
    argv[n++] = (char *)(uintptr_t)program;
    if (!args || !*args || strncmp(*args, "--fd=", 5) != 0)
        argv[n++] = option;
    while (args && *args && n < MAX_ARGS - 1)
        argv[n++] = (char *)(uintptr_t)*args++;
    argv[n] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing behind */
    dup2(b->log, STDERR_FILENO);
    dup2(b->log, STDOUT_FILENO);
    close(b->log);
}

static int count_args(char *const *argv)
{
    int n = 0;

    while (argv[n])
        n++;
    return n;
}

/* A child that leaves by _exit has to look for leaks itself. */
static int with_leaks(int code)
{
#ifdef __SANITIZE_ADDRESS__
    if (__lsan_do_recoverable_leak_check())
        return 99;
#endif
    return code;
}

void backend_fork(struct backend *b, const struct anyhv_class *cls, const char *const *args)
{
    char *argv[MAX_ARGS], option[128];

    prepare(b);
    b->pid = fork();
    if (b->pid < 0)
        abort();
    if (b->pid == 0) {
        arguments(b, "backend", args, argv, option);
        _exit(with_leaks(anyhv_main(count_args(argv), argv, cls, &anyhv_hv_vhost_user)));
    }
}

void backend_exec(struct backend *b, const char *program, const char *const *args)
{
    char *argv[MAX_ARGS], option[128];

    prepare(b);
    b->pid = fork();
    if (b->pid < 0)
        abort();
    if (b->pid == 0) {
        arguments(b, program, args, argv, option);
        execv(program, argv);
        _exit(127);
    }
}

bool backend_alive(const struct backend *b)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)b->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return false;
    return info.si_pid == 0;
}

int backend_wait(struct backend *b)
{
    int status;

    for (int i = 0; i < PATIENCE_MS && backend_alive(b); i += 5)
        pause_ms(5);
    if (backend_alive(b))
        kill(b->pid, SIGKILL);
    while (waitpid(b->pid, &status, 0) < 0 && errno == EINTR)
        ;
    unlink(b->path);
    rmdir(b->dir);
    close(b->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int backend_stop(struct backend *b)
{
    kill(b->pid, SIGTERM);
    return backend_wait(b);
}

/* ---- the log ---- */

char *backend_log(const struct backend *b)
{
    struct stat st;
    char *text;
    ssize_t n;

    if (fstat(b->log, &st) < 0)
        abort();
    text = calloc(1, (size_t)st.st_size + 1);
    if (!text)
        abort();
    n = pread(b->log, text, (size_t)st.st_size, 0);
    text[n < 0 ? 0 : n] = '\0';
    /* A log that was cleared may have a hole: look behind it. */
    if (n > 0) {
        ssize_t at = 0;

        while (at < n && !text[at])
            at++;
        memmove(text, text + at, (size_t)(n - at) + 1);
    }
    return text;
}

bool backend_logged(const struct backend *b, const char *text)
{
    for (int i = 0; i < 200; i++) {
        char *log = backend_log(b);
        bool found = strstr(log, text) != NULL;

        free(log);
        if (found)
            return true;
        pause_ms(10);
    }
    return false;
}

void backend_show(const struct backend *b)
{
    char *log = backend_log(b);

    fprintf(stderr, "--- log of the back end:\n%s---\n", log);
    free(log);
}

void backend_log_clear(struct backend *b)
{
    if (ftruncate(b->log, 0) < 0)
        abort();
}

/* ---- /proc ---- */

unsigned backend_fds(const struct backend *b)
{
    struct dirent *entry;
    unsigned count = 0;
    char path[64];
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)b->pid);
    dir = opendir(path);
    if (!dir)
        abort();
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

unsigned backend_maps(const struct backend *b)
{
    unsigned count = 0;
    char path[64];
    FILE *file;
    int c;

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)b->pid);
    file = fopen(path, "re");
    if (!file)
        abort();
    while ((c = getc(file)) != EOF)
        count += c == '\n';
    fclose(file);
    return count;
}

uint64_t backend_cpu_ns(const struct backend *b)
{
    struct timespec ts;
    clockid_t clock;

    if (clock_getcpuclockid(b->pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
        abort();
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

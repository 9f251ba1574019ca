/* SPDX-License-Identifier: Apache-2.0 */
#include "count.h"

#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WARM_UP = 8,     /* batches */
    REQUESTS = 2048, /* counted */
    PATH_SIZE = 64,
};

/* Callgrind knows these two by name, see start_callgrind. */
void bench_counted_poll(const struct run *run);
void bench_counted_part(struct run *run, unsigned batches);

static unsigned counted_batches(const struct scenario *scenario)
{
    return REQUESTS / scenario->depth;
}

/* ---- the process that is counted ---- */

__attribute__((noinline)) void bench_counted_poll(const struct run *run)
{
    run->peer->poll(run->ctx);
}

__attribute__((noinline)) void bench_counted_part(struct run *run, unsigned batches)
{
    while (batches--) {
        guest_post(&run->guest, run->scenario->depth);
        bench_counted_poll(run);
        if (guest_reap(&run->guest) != run->scenario->depth)
            run_fail(run);
    }
}

void count_serve(const struct scenario *scenario, const struct peer *peer)
{
    struct run run;

    run_start(&run, scenario, peer);
    if (!run_batches(&run, WARM_UP))
        run_fail(&run);
    bench_counted_part(&run, counted_batches(scenario));
    run_stop(&run);
}

/* ---- the process that asks ---- */

static char folder[PATH_SIZE];
static unsigned part;

/* The numbered parts, and the rest that callgrind writes at its end. */
static void part_path(char *path, unsigned n)
{
    if (n)
        snprintf(path, 2 * PATH_SIZE, "%s/profile.%u", folder, n);
    else
        snprintf(path, 2 * PATH_SIZE, "%s/profile", folder);
}

static _Noreturn void become_callgrind(int argc, char *argv[])
{
    static char out[2 * PATH_SIZE], self[PATH_MAX], last[] = "--" COUNT_OPTION;
    const char *const fixed[] = {"valgrind",
                                 "--quiet",
                                 "--tool=callgrind",
                                 "--collect-atstart=no",
                                 "--toggle-collect=bench_counted_poll",
                                 "--dump-after=bench_counted_part",
                                 out,
                                 self};
    size_t n = sizeof(fixed) / sizeof(*fixed);
    const char **command = peer_alloc((n + (size_t)argc + 1) * sizeof(*command));

    snprintf(out, sizeof(out), "--callgrind-out-file=%s/profile", folder);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        err(1, "/proc/self/exe");
    memcpy(command, fixed, sizeof(fixed));
    for (int i = 1; i < argc; i++)
        command[n++] = argv[i];
    command[n] = last;
    execvp("valgrind", (char **)(uintptr_t)command);
    err(1, "valgrind, which counts instructions");
}

void count_begin(int argc, char *argv[])
{
    pid_t child;
    int status;

    snprintf(folder, sizeof(folder), "/tmp/anyhv-bench.XXXXXX");
    if (!mkdtemp(folder))
        err(1, "%s", folder);
    part = 0;
    child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0)
        become_callgrind(argc, argv);
    if (waitpid(child, &status, 0) != child || status) {
        count_end();
        errx(1, "counting instructions failed");
    }
}

double count_next(const struct scenario *scenario)
{
    char path[2 * PATH_SIZE], line[256];
    unsigned long long total = 0;
    FILE *file;

    part_path(path, ++part);
    file = fopen(path, "r");
    while (file && !total && fgets(line, sizeof(line), file))
        if (sscanf(line, "totals: %llu", &total) != 1)
            total = 0;
    if (!file || !total)
        errx(1, "%s: callgrind counted nothing", path);
    fclose(file);
    return (double)total / (counted_batches(scenario) * scenario->depth);
}

void count_end(void)
{
    char path[2 * PATH_SIZE];

    for (unsigned n = 0; part_path(path, n), unlink(path) == 0 || n == 0; n++)
        ;
    rmdir(folder);
}

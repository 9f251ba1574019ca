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
};

/* Callgrind knows these two by name, see become_callgrind. */
void bench_counted_poll(const struct run *run);
void bench_counted_part(struct run *run, unsigned batches);

unsigned count_requests(const struct scenario *scenario)
{
    return REQUESTS - REQUESTS % scenario->depth;
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
    bench_counted_part(&run, count_requests(scenario) / scenario->depth);
    run_stop(&run);
}

/* ---- the process that asks ---- */

/* The folder for what callgrind writes: a file per part, numbered from 1, and one for the rest. */
static char folder[PATH_MAX];

static void make_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/anyhv-bench.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        err(1, "%s", folder);
}

static void part_path(char *path, size_t size, unsigned part)
{
    if (part)
        snprintf(path, size, "%s/profile.%u", folder, part);
    else
        snprintf(path, size, "%s/profile", folder);
}

static void remove_folder(void)
{
    char path[PATH_MAX + 32];

    for (unsigned part = 0; part_path(path, sizeof(path), part), unlink(path) == 0; part++)
        ;
    rmdir(folder);
}

static _Noreturn void become_callgrind(int argc, char *argv[])
{
    static char out[PATH_MAX + 64], self[PATH_MAX];
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
    command[n] = "--" COUNT_OPTION;
    execvp(command[0], (char **)(uintptr_t)command);
    err(1, "valgrind, which counts instructions");
}

/* False: callgrind, or the program in it, failed and has said why. */
static bool run_callgrind(int argc, char *argv[])
{
    pid_t child = fork();
    int status;

    if (child < 0)
        err(1, "fork");
    if (child == 0)
        become_callgrind(argc, argv);
    return waitpid(child, &status, 0) == child && status == 0;
}

/* 0: there is no such part, or nothing was counted in it. */
static uint64_t read_total(unsigned part)
{
    char path[PATH_MAX + 32], line[256];
    unsigned long long total = 0;
    FILE *file;

    part_path(path, sizeof(path), part);
    file = fopen(path, "r");
    while (file && !total && fgets(line, sizeof(line), file))
        if (sscanf(line, "totals: %llu", &total) != 1)
            total = 0;
    if (file)
        fclose(file);
    return total;
}

void count_parts(int argc, char *argv[], uint64_t *totals, unsigned parts)
{
    bool ok;

    make_folder();
    ok = run_callgrind(argc, argv);
    for (unsigned i = 0; i < parts; i++)
        ok &= (totals[i] = read_total(i + 1)) != 0;
    remove_folder();
    if (!ok)
        errx(1, "instructions were not counted");
}

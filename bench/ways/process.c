/* SPDX-License-Identifier: Apache-2.0 */
#include "ways.h"

#include <anyhv/devices/rng_host.h>
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE = 2000, /* ms until it listens */
};

static cpu_set_t driver, devices; /* the first processors of those that we may use */

static void choose_processors(void)
{
    cpu_set_t all;

    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        err(1, "sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&devices); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, CPU_COUNT(&driver) ? &devices : &driver);
    if (!CPU_COUNT(&devices))
        devices = driver;
}

static void bind_to(const cpu_set_t *processors)
{
    if (sched_setaffinity(0, sizeof(*processors), processors) < 0)
        err(1, "sched_setaffinity");
}

void process_together(bool together)
{
    if (!CPU_COUNT(&driver))
        choose_processors();
    bind_to(together ? &devices : &driver);
}

__attribute__((noreturn)) static void serve(const struct process *process,
                                            const struct anyhv_hv *hv)
{
    char program[] = "device", path[128], seed[32], level[] = "--log-level=error";
    char *argv[] = {program, path, seed, level, NULL};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bind_to(&devices);
    snprintf(path, sizeof(path), "--socket-path=%s", process->socket);
    snprintf(seed, sizeof(seed), "--simulate=%d", WAYS_SEED);
    exit(anyhv_main(4, argv, &anyhv_rng_class, hv));
}

void process_begin(struct process *process, const struct anyhv_hv *hv)
{
    struct stat st;

    *process = (struct process){.dir = "/tmp/anyhv-ways.XXXXXX"};
    if (!mkdtemp(process->dir))
        err(1, "mkdtemp");
    snprintf(process->socket, sizeof(process->socket), "%s/socket", process->dir);
    fflush(NULL);
    process->pid = fork();
    if (process->pid < 0)
        err(1, "fork");
    if (process->pid == 0)
        serve(process, hv);
    for (unsigned i = 0; stat(process->socket, &st) < 0; i++) {
        way_need(i < PATIENCE, "the device's process does not listen");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

void process_end(struct process *process)
{
    int status;

    kill(process->pid, SIGTERM);
    way_need(waitpid(process->pid, &status, 0) == process->pid && status == 0,
             "the device's process did not end well");
    rmdir(process->dir);
}

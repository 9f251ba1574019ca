/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM module's process, and a micro-guest of test/vmm in 64-bit mode that knows nothing of all
 * this: it leaves the guest at registers, kicks an ioeventfd, and takes interrupts of an irqfd.
 */
#include "ways.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beside this program, as the build puts it. */
static bool folder(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);

    if (len < 0)
        return false;
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return true;
}

static const char *obstacle(const char *bin)
{
    char program[4200];

    if (access("/dev/kvm", R_OK | W_OK) < 0)
        return "there is no /dev/kvm to use";
    snprintf(program, sizeof(program), "%s/test/vmm/micro64", bin);
    return access(program, R_OK) < 0 ? "the micro-guests are built on x86_64 only" : NULL;
}

static void run(const char *command, struct way_times *times)
{
    FILE *output = popen(command, "r");
    char line[512];
    bool found = false;

    way_need(output, "no VMM");
    while (fgets(line, sizeof(line), output))
        found |= sscanf(line, "times: access=%lf kick=%lf request=%lf", &times->ns[WAY_ACCESS],
                        &times->ns[WAY_KICK], &times->ns[WAY_REQUEST]) == 3;
    way_need(pclose(output) == 0 && found, "the micro-guest failed");
}

static bool guest_measure(unsigned count, struct way_times *times, const char **why)
{
    char bin[4096], command[20000];
    struct process process;

    *why = folder(bin, sizeof(bin)) ? obstacle(bin) : "there is no /proc";
    if (*why)
        return false;
    times->ns[WAY_TOGETHER] = NAN;
    process_together(false);
    process_begin(&process, &anyhv_hv_kvm_ioregionfd);
    snprintf(command, sizeof(command),
             "'%s/test/vmm/anyhv-test-vmm' --device='%s' --micro='%s/test/vmm/micro64' "
             "--program=times --rounds=%u --seed=%d",
             bin, process.socket, bin, count, WAYS_SEED);
    run(command, times);
    process_end(&process);
    return true;
}

const struct way way_guest = {.name = "guest on /dev/kvm", .measure = guest_measure};

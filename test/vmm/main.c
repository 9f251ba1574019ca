/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small VMM that links libanyhv-vmm.a:
 *
 *   anyhv-test-vmm --device=SOCKET --micro=IMAGE --bits=64 --requests=1000 --seed=7
 *   anyhv-test-vmm --device=SOCKET --kernel=BZIMAGE --initrd=FILE --append=ARGUMENTS
 */
#include "vmm/acpi.h"
#include "vmm/guest/report.h"
#include "vmm/machine.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define LINUX_MEMORY (UINT64_C(192) << 20)
#define LINUX_DEVICE UINT64_C(0xd0000000)

enum {
    OPT_DEVICE,
    OPT_MICRO,
    OPT_BITS,
    OPT_REQUESTS,
    OPT_SEED,
    OPT_GAPS,
    OPT_PACKED,
    OPT_HOSTILE,
    OPT_LEVEL,
    OPT_POSTED,
    OPT_INFO,
    OPT_KERNEL,
    OPT_INITRD,
    OPT_APPEND,
};

static const struct option options[] = {
    {"device", required_argument, NULL, OPT_DEVICE},
    {"micro", required_argument, NULL, OPT_MICRO},
    {"bits", required_argument, NULL, OPT_BITS},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"gaps", required_argument, NULL, OPT_GAPS},
    {"packed", no_argument, NULL, OPT_PACKED},
    {"hostile", no_argument, NULL, OPT_HOSTILE},
    {"level", no_argument, NULL, OPT_LEVEL},
    {"posted", no_argument, NULL, OPT_POSTED},
    {"info", no_argument, NULL, OPT_INFO},
    {"kernel", required_argument, NULL, OPT_KERNEL},
    {"initrd", required_argument, NULL, OPT_INITRD},
    {"append", required_argument, NULL, OPT_APPEND},
    {NULL, 0, NULL, 0},
};

struct command_line {
    struct machine_options machine;
    struct micro_options micro;
    struct linux_options linux_guest;
};

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 0);
}

static void parse(struct command_line *c, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case OPT_DEVICE:
            c->machine.device = optarg;
            break;
        case OPT_MICRO:
            c->micro.image = optarg;
            break;
        case OPT_BITS:
            c->micro.bits = number(optarg);
            break;
        case OPT_REQUESTS:
            c->micro.requests = number(optarg);
            break;
        case OPT_SEED:
            c->micro.seed = number(optarg);
            break;
        case OPT_GAPS:
            c->micro.gaps = number(optarg);
            break;
        case OPT_PACKED:
            c->micro.packed = true;
            break;
        case OPT_HOSTILE:
            c->micro.program = GUEST_HOSTILE;
            break;
        case OPT_LEVEL:
            c->machine.level = c->micro.level = true;
            break;
        case OPT_POSTED:
            c->machine.posted = true;
            break;
        case OPT_INFO:
            c->machine.info = true;
            break;
        case OPT_KERNEL:
            c->linux_guest.kernel = optarg;
            break;
        case OPT_INITRD:
            c->linux_guest.initrd = optarg;
            break;
        case OPT_APPEND:
            c->linux_guest.arguments = optarg;
            break;
        default:
            exit(64);
        }
    }
    if (!c->machine.device || !c->micro.image == !c->linux_guest.kernel)
        machine_fail("give --device, and either --micro or --kernel");
}

int main(int argc, char **argv)
{
    struct command_line c = {.micro.bits = 64, .machine.gsi = GUEST_IRQ};
    struct machine m = {0};
    int code;

    parse(&c, argc, argv);
    c.machine.memory = c.micro.image ? GUEST_MEMORY : LINUX_MEMORY;
    c.machine.base = c.micro.image ? GUEST_DEVICE : LINUX_DEVICE;
    machine_make(&m, &c.machine);
    if (c.micro.image) {
        code = micro_run(&m, &c.micro);
    } else {
        const struct acpi_device device = {c.machine.base, c.machine.gsi, c.machine.level};

        code = linux_run(&m, &c.linux_guest, &device);
    }
    machine_free(&m);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small VMM that links libanyhv-vmm.a:
 *
 *   anyhv-test-vmm --device=SOCKET --micro=IMAGE --bits=64 --requests=1000 --seed=7
 *   anyhv-test-vmm --device=SOCKET --device=... --kernel=BZIMAGE --initrd=FILE --append=ARGUMENTS
 */
#include "vmm/guest/report.h"
#include "vmm/machine.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define LINUX_MEMORY (UINT64_C(192) << 20)
#define LINUX_DEVICE UINT64_C(0xd0000000)
#define LINUX_GSI    16u /* those below are for what every PC has */

struct command_line {
    struct machine_options machine;
    struct micro_options micro;
    struct linux_options linux_guest;
};

/* What an option sets: a member of the struct above, by its kind. */
enum kind {
    TEXT,   /* const char * */
    NUMBER, /* uint32_t */
    FLAG,   /* bool */
    PROGRAM,
    DEVICE,
};

#define AT(member) offsetof(struct command_line, member)

static const struct setting {
    const char *name;
    enum kind kind;
    size_t at;
} settings[] = {
    {"device", DEVICE, AT(machine)},          {"level", FLAG, AT(machine.level)},
    {"posted", FLAG, AT(machine.posted)},     {"info", FLAG, AT(machine.info)},
    {"ones", FLAG, AT(machine.ones)},         {"micro", TEXT, AT(micro.image)},
    {"bits", NUMBER, AT(micro.bits)},         {"program", PROGRAM, AT(micro.program)},
    {"requests", NUMBER, AT(micro.requests)}, {"rounds", NUMBER, AT(micro.rounds)},
    {"seed", NUMBER, AT(micro.seed)},         {"gaps", NUMBER, AT(micro.gaps)},
    {"packed", FLAG, AT(micro.packed)},       {"kernel", TEXT, AT(linux_guest.kernel)},
    {"initrd", TEXT, AT(linux_guest.initrd)}, {"append", TEXT, AT(linux_guest.arguments)},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static enum guest_program program(const char *name)
{
    static const char *const names[] = {
        [GUEST_READS] = "reads",     [GUEST_HOSTILE] = "hostile", [GUEST_PLUGS] = "plugs",
        [GUEST_WATCHES] = "watches", [GUEST_TIMES] = "times",
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum guest_program)i;
    machine_fail("no micro-guest does '%s'", name);
}

static uint32_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 0);

    if (!*text || *end || value > UINT32_MAX)
        machine_fail("'%s' is not a number", text);
    return (uint32_t)value;
}

static void add_device(struct machine_options *o, const char *socket)
{
    if (o->devices == MACHINE_DEVICES)
        machine_fail("more than %d devices", MACHINE_DEVICES);
    o->sockets[o->devices++] = socket;
}

static void set(struct command_line *c, const struct setting *setting, const char *value)
{
    void *at = (char *)c + setting->at;

    switch (setting->kind) {
    case TEXT:
        *(const char **)at = value;
        break;
    case NUMBER:
        *(uint32_t *)at = number(value);
        break;
    case FLAG:
        *(bool *)at = true;
        break;
    case PROGRAM:
        *(enum guest_program *)at = program(value);
        break;
    case DEVICE:
        add_device(at, value);
        break;
    }
}

static void parse(struct command_line *c, int argc, char **argv)
{
    struct option options[SETTINGS + 1] = {0};
    int which, code;

    for (unsigned i = 0; i < SETTINGS; i++) {
        options[i].name = settings[i].name;
        options[i].has_arg = settings[i].kind == FLAG ? no_argument : required_argument;
    }
    while ((code = getopt_long(argc, argv, "", options, &which)) == 0)
        set(c, &settings[which], optarg);
    if (code != -1)
        exit(64); /* getopt has said why */
    if (optind < argc)
        machine_fail("'%s' is no option", argv[optind]);
    if (!c->machine.devices || !c->micro.image == !c->linux_guest.kernel)
        machine_fail("give --device, and either --micro or --kernel");
    if (c->linux_guest.kernel && (!c->linux_guest.initrd || !c->linux_guest.arguments))
        machine_fail("--kernel needs --initrd and --append");
    if (c->micro.bits != 16 && c->micro.bits != 32 && c->micro.bits != 64)
        machine_fail("--bits: 16, 32 or 64");
    if (c->micro.image && c->machine.devices > 1)
        machine_fail("a micro-guest has one --device");
}

int main(int argc, char **argv)
{
    struct command_line c = {.micro.bits = 64};
    struct machine m = {0};
    int code;

    parse(&c, argc, argv);
    c.machine.memory = c.micro.image ? GUEST_MEMORY : LINUX_MEMORY;
    c.machine.base = c.micro.image ? GUEST_DEVICE : LINUX_DEVICE;
    c.machine.gsi = c.micro.image ? GUEST_IRQ : LINUX_GSI;
    machine_make(&m, &c.machine);
    code = c.micro.image ? micro_run(&m, &c.micro) : linux_run(&m, &c.linux_guest);
    machine_free(&m);
    return code;
}

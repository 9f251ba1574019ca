/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux kernel, entered in 64-bit mode, with a serial line on standard output, ACPI tables, and
 * the ports that it cannot do without. Documentation/arch/x86/boot.rst has the protocol.
 */
#include "vmm/acpi.h"
#include "vmm/machine.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    PARAMS = 0x7000,
    TABLES = 0x9000,
    GDT = 0x500,
    ARGUMENTS = 0x20000,
    KERNEL = 0x1000000,
    IMAGE = 0x4000000, /* the file, before its pieces are where they belong */
    INITRD = 0x8000000,
    SERIAL = 0x3f8,
    SERIAL_IRQ = 4,
};

/* A 16450 as far as the kernel's driver looks. */
struct serial {
    uint8_t divisor[2], enabled, line, modem, scratch;
    bool told; /* that there is room, which is an interrupt */
};

/* What a reset goes back to. */
struct snapshot {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_lapic_state lapic;
    struct kvm_irqchip chip[3];
    struct kvm_pit_state2 pit;
};

struct guest {
    const struct linux_options *options;
    struct serial serial;
    struct snapshot start;
    bool off;
};

static void must(int rc, const char *what)
{
    if (rc < 0)
        machine_fail("%s: %s", what, strerror(errno));
}

/* ---- ports ---- */

static void serial_interrupt(struct machine *m, struct serial *s)
{
    struct kvm_irq_level level = {.irq = SERIAL_IRQ, .level = 1};

    if (!(s->enabled & 2) || s->told)
        return;
    s->told = true;
    must(ioctl(m->vm, KVM_IRQ_LINE, &level), "KVM_IRQ_LINE");
    level.level = 0;
    must(ioctl(m->vm, KVM_IRQ_LINE, &level), "KVM_IRQ_LINE");
}

static void serial_write(struct machine *m, struct serial *s, unsigned off, uint8_t value)
{
    bool divisor = s->line & 0x80;

    switch (off) {
    case 0:
    case 1:
        if (divisor) {
            s->divisor[off] = value;
        } else if (off == 1) {
            s->enabled = value & 0xf;
            s->told = false;
            serial_interrupt(m, s);
        } else {
            putchar(value);
            if (value == '\n')
                fflush(stdout);
            s->told = false;
            serial_interrupt(m, s);
        }
        break;
    case 3:
        s->line = value;
        break;
    case 4:
        s->modem = value;
        break;
    case 7:
        s->scratch = value;
        break;
    default:
        break;
    }
}

static uint8_t serial_read(struct serial *s, unsigned off)
{
    switch (off) {
    case 0:
    case 1:
        return s->line & 0x80 ? s->divisor[off] : off == 1 ? s->enabled : 0;
    case 2:
        if (!s->told)
            return 1; /* no interrupt */
        s->told = false;
        return 2; /* there is room */
    case 3:
        return s->line;
    case 4:
        return s->modem;
    case 5:
        return 0x60; /* there always is */
    case 6:
        return 0xb0; /* somebody is there */
    default:
        return s->scratch;
    }
}

/* Others read as ones. */
static uint8_t port_read(struct guest *g, uint16_t number)
{
    if (number >= SERIAL && number < SERIAL + 8)
        return serial_read(&g->serial, number - SERIAL);
    if (number == ACPI_PM_CONTROL)
        return 1; /* ACPI is on */
    if ((number >= ACPI_PM_EVENT && number < ACPI_PM_CONTROL + 2) || number == 0x70 ||
        number == 0x71 || number == ACPI_RESET)
        return 0;
    return 0xff;
}

static bool port(struct machine *m, uint16_t number, uint8_t *value, bool in)
{
    struct guest *g = m->priv;

    if (in) {
        *value = port_read(g, number);
        return false;
    }
    if (number >= SERIAL && number < SERIAL + 8)
        serial_write(m, &g->serial, number - SERIAL, *value);
    g->off |= number == ACPI_PM_CONTROL + 1 && *value & ACPI_SLEEP;
    m->reset |= number == ACPI_RESET && *value == 0xfe;
    return g->off || m->reset;
}

/* ---- the kernel ---- */

static void memory_map(const struct machine *m, struct boot_params *params)
{
    const struct boot_e820_entry entries[] = {
        {.addr = 0, .size = 0x9fc00, .type = 1},
        {.addr = ACPI_TABLES, .size = ACPI_TABLES_END - ACPI_TABLES, .type = 3},
        {.addr = ACPI_TABLES_END, .size = m->size - ACPI_TABLES_END, .type = 1},
    };

    memcpy(params->e820_table, entries, sizeof(entries));
    params->e820_entries = 3;
}

static void load(struct machine *m, const struct linux_options *o)
{
    size_t size = machine_load(m, o->kernel, IMAGE), sectors, len = strlen(o->arguments) + 1;
    struct boot_params *params = machine_at(m, PARAMS, sizeof(*params));
    const uint8_t *image = machine_at(m, IMAGE, size);

    memset(params, 0, sizeof(*params));
    memcpy(&params->hdr, image + 0x1f1, sizeof(params->hdr));
    if (params->hdr.header != 0x53726448 || !(params->hdr.xloadflags & XLF_KERNEL_64))
        machine_fail("%s: not a bzImage with a 64-bit entry", o->kernel);
    sectors = params->hdr.setup_sects ? params->hdr.setup_sects : 4;
    memcpy(machine_at(m, KERNEL, size), image + (sectors + 1) * 512, size - (sectors + 1) * 512);
    params->hdr.type_of_loader = 0xff;
    params->hdr.ramdisk_image = INITRD;
    params->hdr.ramdisk_size = (uint32_t)machine_load(m, o->initrd, INITRD);
    params->hdr.cmd_line_ptr = ARGUMENTS;
    memcpy(machine_at(m, ARGUMENTS, len), o->arguments, len);
    params->acpi_rsdp_addr = ACPI_TABLES;
    memory_map(m, params);
}

static void put64(struct machine *m, uint64_t addr, uint64_t value)
{
    memcpy(machine_at(m, addr, 8), &value, 8);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){
        .selector = selector, .limit = 0xffffffff, .type = type, .present = 1, .s = 1, .g = 1};
}

/* The mode that the 64-bit entry wants: four gigabytes mapped as they are, no interrupts. */
static void enter(struct machine *m, struct snapshot *s)
{
    s->regs = (struct kvm_regs){.rip = KERNEL + 0x200, .rsi = PARAMS, .rflags = 2};
    put64(m, GDT + 0x10, 0x00af9a000000ffff);
    put64(m, GDT + 0x18, 0x00cf92000000ffff);
    put64(m, TABLES, (TABLES + 0x1000) | 3);
    for (uint64_t i = 0; i < 4; i++)
        put64(m, TABLES + 0x1000 + 8 * i, (TABLES + 0x2000 + i * 0x1000) | 3);
    for (uint64_t i = 0; i < 4 * 512; i++)
        put64(m, TABLES + 0x2000 + 8 * i, i << 21 | 0x83);
    s->sregs.gdt.base = GDT;
    s->sregs.gdt.limit = 0x1f;
    s->sregs.cs = segment(0x10, 11);
    s->sregs.cs.l = 1;
    s->sregs.ds = s->sregs.es = s->sregs.ss = segment(0x18, 3);
    s->sregs.cr3 = TABLES;
    s->sregs.cr4 = 0x20;
    s->sregs.cr0 = 0x80000001;
    s->sregs.efer = 0x500;
}

/* ---- the processor ---- */

static void features(struct machine *m)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[128];
    } cpuid = {.head.nent = 128};

    must(ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
    must(ioctl(m->vcpu, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
}

static void remember(struct machine *m, struct snapshot *s)
{
    must(ioctl(m->vcpu, KVM_GET_SREGS, &s->sregs), "KVM_GET_SREGS");
    must(ioctl(m->vcpu, KVM_GET_LAPIC, &s->lapic), "KVM_GET_LAPIC");
    must(ioctl(m->vm, KVM_GET_PIT2, &s->pit), "KVM_GET_PIT2");
    for (uint32_t i = 0; i < 3; i++) {
        s->chip[i].chip_id = i;
        must(ioctl(m->vm, KVM_GET_IRQCHIP, &s->chip[i]), "KVM_GET_IRQCHIP");
    }
}

/* Also what KVM itself writes into guest memory ends: its clocks. */
static void go_back(struct machine *m, const struct snapshot *s)
{
    static const uint32_t clocks[] = {0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03,
                                      0x4b564d04, 0x11,       0x12};

    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct {
            struct kvm_msrs head;
            struct kvm_msr_entry entry;
        } msr = {.head.nmsrs = 1, .entry.index = clocks[i]};

        ioctl(m->vcpu, KVM_SET_MSRS, &msr); /* not each KVM knows each */
    }
    for (unsigned i = 0; i < 3; i++)
        must(ioctl(m->vm, KVM_SET_IRQCHIP, &s->chip[i]), "KVM_SET_IRQCHIP");
    must(ioctl(m->vm, KVM_SET_PIT2, &s->pit), "KVM_SET_PIT2");
    must(ioctl(m->vcpu, KVM_SET_SREGS, &s->sregs), "KVM_SET_SREGS");
    must(ioctl(m->vcpu, KVM_SET_LAPIC, &s->lapic), "KVM_SET_LAPIC");
    must(ioctl(m->vcpu, KVM_SET_REGS, &s->regs), "KVM_SET_REGS");
}

int linux_run(struct machine *m, const struct linux_options *o)
{
    struct guest g = {.options = o};

    m->port = port;
    m->priv = &g;
    features(m);
    remember(m, &g.start);
    enter(m, &g.start);
    for (;;) {
        load(m, o);
        acpi_write(m);
        enter(m, &g.start);
        go_back(m, &g.start);
        machine_run(m);
        if (g.off)
            return 0;
        machine_reset(m);
        printf("\nvmm: the machine is reset\n");
        memset(&g.serial, 0, sizeof(g.serial));
        m->reset = false;
    }
}

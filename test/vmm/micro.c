/* SPDX-License-Identifier: Apache-2.0 */
/* Micro-guests: an image, a processor mode, orders, and a report. */
#include "vmm/machine.h"

#include "vmm/guest/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The interrupt's way in; see guest/entry.S. */
#define HANDLER (GUEST_CODE + 16)

enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    DATA3 = 0x18,
    CODE3 = 0x20,
    TSS = 0x28,
};

static void put64(struct machine *m, uint64_t addr, uint64_t value)
{
    memcpy(machine_at(m, addr, 8), &value, 8);
}

/* An interrupt gate, of 8 or 16 bytes. */
static void gate(struct machine *m, bool wide)
{
    uint64_t at = GUEST_IDT + (uint64_t)(GUEST_VECTOR + GUEST_IRQ) * (wide ? 16 : 8);

    put64(m, at, (uint64_t)HANDLER | (uint64_t)CODE0 << 16 | UINT64_C(0x8e00) << 32);
    if (wide)
        put64(m, at + 8, 0);
}

static void tables(struct machine *m, bool wide, struct kvm_sregs *s)
{
    put64(m, GUEST_GDT + CODE0, wide ? 0x00af9a000000ffff : 0x00cf9a000000ffff);
    put64(m, GUEST_GDT + DATA0, 0x00cf92000000ffff);
    put64(m, GUEST_GDT + DATA3, 0x00cff2000000ffff);
    put64(m, GUEST_GDT + CODE3, 0x00affa000000ffff);
    put64(m, GUEST_GDT + TSS, 0x0000890000000067 | (uint64_t)GUEST_TSS << 16);
    put64(m, GUEST_GDT + TSS + 8, 0);
    put64(m, GUEST_TSS + 4, GUEST_IRQ_STACK); /* the stack of ring 0 */
    gate(m, wide);
    s->gdt.base = GUEST_GDT;
    s->gdt.limit = 0x37;
    s->idt.base = GUEST_IDT;
    s->idt.limit = 0x7ff;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t dpl)
{
    return (struct kvm_segment){.selector = selector,
                                .limit = 0xffffffff,
                                .type = type,
                                .present = 1,
                                .dpl = dpl,
                                .s = 1,
                                .g = 1};
}

static void all_data(struct kvm_sregs *s, struct kvm_segment data)
{
    s->ds = s->es = s->ss = s->fs = s->gs = data;
}

static void mode16(struct machine *m, struct kvm_sregs *s)
{
    const uint16_t vector[2] = {HANDLER, 0};

    memcpy(machine_at(m, (GUEST_VECTOR + GUEST_IRQ) * 4, 4), vector, 4);
    s->cs.base = s->cs.selector = 0;
    s->ds.base = s->es.base = s->ss.base = 0;
    s->ds.selector = s->es.selector = s->ss.selector = 0;
    s->fs.base = GUEST_DEVICE;
    s->fs.selector = GUEST_DEVICE >> 4;
}

static void mode32(struct machine *m, struct kvm_sregs *s)
{
    tables(m, false, s);
    s->cr0 |= 1; /* PE */
    s->cs = segment(CODE0, 11, 0);
    s->cs.db = 1;
    all_data(s, segment(DATA0, 3, 0));
    s->ss.db = 1;
}

/* Ring 3, which some KVMs run without emulation; one gigabyte is mapped as it is. */
static void mode64(struct machine *m, struct kvm_sregs *s)
{
    tables(m, true, s);
    put64(m, GUEST_TABLES, (GUEST_TABLES + 0x1000) | 7);
    put64(m, GUEST_TABLES + 0x1000, (GUEST_TABLES + 0x2000) | 7);
    for (uint64_t i = 0; i < 512; i++)
        put64(m, GUEST_TABLES + 0x2000 + 8 * i, i << 21 | 0x87);
    s->cr3 = GUEST_TABLES;
    s->cr4 |= 0x20;       /* PAE */
    s->efer |= 0x500;     /* LME, LMA */
    s->cr0 |= 0x80000001; /* PG, PE */
    s->cs = segment(CODE3 | 3, 11, 3);
    s->cs.l = 1;
    all_data(s, segment(DATA3 | 3, 3, 3));
    s->tr = (struct kvm_segment){
        .base = GUEST_TSS, .limit = 0x67, .selector = TSS, .type = 11, .present = 1};
}

static void set_up(struct machine *m, unsigned bits)
{
    struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = 2};
    struct kvm_sregs sregs;

    if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
        machine_fail("KVM_GET_SREGS: %s", strerror(errno));
    if (bits == 16)
        mode16(m, &sregs);
    else if (bits == 32)
        mode32(m, &sregs);
    else
        mode64(m, &sregs);
    if (bits == 64)
        regs.rflags |= 0x3200; /* ports are allowed, and interrupts */
    if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) < 0)
        machine_fail("KVM_SET_SREGS, KVM_SET_REGS: %s", strerror(errno));
}

/* The interrupt controller shall take the line for a level. */
static void make_level(struct machine *m)
{
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_MASTER};

    if (ioctl(m->vm, KVM_GET_IRQCHIP, &chip) < 0)
        machine_fail("KVM_GET_IRQCHIP: %s", strerror(errno));
    chip.chip.pic.elcr |= 1 << GUEST_IRQ;
    if (ioctl(m->vm, KVM_SET_IRQCHIP, &chip) < 0)
        machine_fail("KVM_SET_IRQCHIP: %s", strerror(errno));
}

/* ---- what the guest asks of us ---- */

struct micro {
    int plug; /* the file of the memory that comes and goes; -1: none yet */
    bool plugged;
    uint64_t lap_ns[GUEST_LAPS + 1]; /* when each began; the last: when all were over */
};

static void set_plug(struct machine *m, enum guest_plug what)
{
    struct micro *micro = m->priv;

    if (micro->plugged)
        machine_unplug(m, GUEST_PLUG, GUEST_PLUG_SIZE);
    micro->plugged = what != GUEST_PLUG_NONE;
    if (what == GUEST_PLUG_NEW) {
        if (micro->plug >= 0)
            close(micro->plug);
        micro->plug = memfd_create("plug", MFD_CLOEXEC);
        if (micro->plug < 0 || ftruncate(micro->plug, GUEST_PLUG_SIZE) < 0)
            machine_fail("no memory to plug: %s", strerror(errno));
    }
    if (micro->plugged)
        machine_plug(m, GUEST_PLUG, GUEST_PLUG_SIZE, micro->plug);
}

static bool port(struct machine *m, uint16_t number, uint8_t *value, bool in)
{
    if (in)
        *value =
            number == GUEST_PORT_REVIVALS ? (uint8_t)anyhv_vmm_revivals(m->devices[0].vmm) : 0xff;
    else if (number == GUEST_PORT_PLUG)
        set_plug(m, *value);
    else if (number == GUEST_PORT_LAP && *value <= GUEST_LAPS)
        ((struct micro *)m->priv)->lap_ns[*value] = machine_now_ns();
    return number == GUEST_PORT_END && !in;
}

static void print_report(const struct machine *m, const struct guest_report *r, uint32_t bits)
{
    printf("micro-guest: bits=%u verdict=%u file=%.12s line=%u detail=%u requests=%u batches=%u "
           "interrupts=%u strange=%u accesses=%u missing=%u ones=%u revivals=%u longest_ms=%u\n",
           bits, r->verdict, r->file, r->line, r->detail, r->requests, r->batches, r->interrupts,
           r->strange, r->accesses, r->missing, r->ones, anyhv_vmm_revivals(m->devices[0].vmm),
           (unsigned)(m->longest_ns / 1000000));
}

/* Nanoseconds for each. */
static void print_times(const struct micro *micro, uint32_t rounds)
{
    static const char *const names[GUEST_LAPS] = {"access", "kick", "request"};

    printf("times:");
    for (unsigned i = 0; i < GUEST_LAPS; i++)
        printf(" %s=%.0f", names[i],
               (double)(micro->lap_ns[i + 1] - micro->lap_ns[i]) / (rounds ? rounds : 1));
    putchar('\n');
}

int micro_run(struct machine *m, const struct micro_options *o)
{
    struct guest_orders *orders = machine_at(m, GUEST_ORDERS, sizeof(*orders));
    const struct guest_report *report = machine_at(m, GUEST_REPORT, sizeof(*report));
    struct micro micro = {.plug = -1};

    machine_load(m, o->image, GUEST_CODE);
    *orders = (struct guest_orders){.program = o->program,
                                    .requests = o->requests,
                                    .seed = o->seed,
                                    .packed = o->packed,
                                    .gaps = o->gaps,
                                    .rounds = o->rounds};
    if (m->options.level)
        make_level(m);
    set_up(m, o->bits);
    m->port = port;
    m->priv = &micro;
    machine_run(m);
    if (micro.plug >= 0)
        close(micro.plug);
    if (o->program == GUEST_TIMES)
        print_times(&micro, o->rounds);
    print_report(m, report, o->bits);
    return report->verdict == GUEST_DONE ? 0 : 1;
}

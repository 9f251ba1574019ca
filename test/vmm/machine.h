/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of one vCPU, with memory, KVM's interrupt controllers and timer, and devices, each of
 * which another process serves. What differs between guests is in micro.c and linux.c.
 */
#ifndef ANYHV_TEST_VMM_MACHINE_H
#define ANYHV_TEST_VMM_MACHINE_H

#include "vmm/guest/report.h"

#include <anyhv/vmm.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    MACHINE_DEVICES = 8,
    MACHINE_STEP = 0x1000, /* from one device's registers to the next one's */
};

struct machine_options {
    const char *sockets[MACHINE_DEVICES]; /* where the device processes listen */
    unsigned devices;
    uint64_t memory, base; /* of the first one's registers */
    uint32_t gsi;          /* its interrupt; the next one has the next */
    bool level, posted, info, ones;
};

struct machine_device {
    struct anyhv_vmm *vmm;
    pthread_t tender;
};

struct machine {
    struct machine_options options;
    int kvm, vm, vcpu, memfd;
    uint8_t *ram, *plugged; /* from address 0; what machine_plug added */
    uint64_t size;
    uint64_t longest_ns; /* that a vCPU was at a register of ours */
    struct kvm_run *run;
    struct machine_device devices[MACHINE_DEVICES];
    /* A byte went to, or is wanted from, an I/O port; true: the guest is at its end. */
    bool (*port)(struct machine *m, uint16_t port, uint8_t *value, bool in);
    void *priv;
    bool reset; /* the guest asked for it */
};

/* All of these end the program with a message when something is wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void machine_fail(const char *fmt, ...);
void machine_make(struct machine *m, const struct machine_options *options);
/* Until the guest is at its end. */
void machine_run(struct machine *m);
/* All devices, as the machine is. */
void machine_reset(struct machine *m);
void machine_free(struct machine *m);
/* Memory more: the file @fd from its beginning; and its end. Once at a time. */
void machine_plug(struct machine *m, uint64_t addr, uint64_t size, int fd);
void machine_unplug(struct machine *m, uint64_t addr, uint64_t size);
/* Guest memory, @len bytes at @addr, but not of what was plugged. */
void *machine_at(const struct machine *m, uint64_t addr, uint64_t len);
/* A whole file into guest memory; its size. */
size_t machine_load(const struct machine *m, const char *path, uint64_t addr);

uint64_t machine_now_ns(void);

/* ---- micro.c ---- */
struct micro_options {
    const char *image;
    uint32_t bits; /* 16, 32 or 64 */
    enum guest_program program;
    uint32_t requests, seed, gaps, rounds;
    bool packed;
};
/* The exit code: 0 if the guest says that all is well. Prints its report. */
int micro_run(struct machine *m, const struct micro_options *options);

/* ---- linux.c ---- */
struct linux_options {
    const char *kernel, *initrd, *arguments;
};
/* Until it powers off; a machine that it resets begins again. */
int linux_run(struct machine *m, const struct linux_options *options);

#endif

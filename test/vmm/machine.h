/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of one vCPU, with memory, KVM's interrupt controllers and timer, and one device that
 * another process serves. What differs between guests is in micro.c and linux.c.
 */
#ifndef ANYHV_TEST_VMM_MACHINE_H
#define ANYHV_TEST_VMM_MACHINE_H

#include <anyhv/vmm.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct machine_options {
    const char *device; /* the device process's socket */
    uint64_t memory, base;
    uint32_t gsi;
    bool level, posted, info;
};

struct machine {
    int kvm, vm, vcpu, memfd;
    uint8_t *ram;
    uint64_t size;
    struct kvm_run *run;
    struct anyhv_vmm *device;
    pthread_t tender;
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
void machine_free(struct machine *m);
/* Guest memory, @len bytes at @addr. */
void *machine_at(const struct machine *m, uint64_t addr, uint64_t len);
/* A whole file into guest memory; its size. */
size_t machine_load(const struct machine *m, const char *path, uint64_t addr);

/* ---- micro.c ---- */
struct micro_options {
    const char *image;
    unsigned bits; /* 16, 32 or 64 */
    uint32_t program, requests, seed, gaps;
    bool packed, level;
};
/* The exit code: 0 if the guest says that all is well. Prints its report. */
int micro_run(struct machine *m, const struct micro_options *options);

/* ---- linux.c ---- */
struct linux_options {
    const char *kernel, *initrd, *arguments;
};
struct acpi_device;
/* Until it powers off; a machine that it resets begins again. */
int linux_run(struct machine *m, const struct linux_options *options,
              const struct acpi_device *device);

#endif

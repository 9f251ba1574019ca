/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void machine_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "vmm: ");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void must(int rc, const char *what)
{
    if (rc < 0)
        machine_fail("%s: %s", what, strerror(errno));
}

/* ---- memory ---- */

void *machine_at(const struct machine *m, uint64_t addr, uint64_t len)
{
    if (addr > m->size || len > m->size - addr)
        machine_fail("0x%llx bytes at 0x%llx are outside the guest's memory",
                     (unsigned long long)len, (unsigned long long)addr);
    return m->ram + addr;
}

size_t machine_load(const struct machine *m, const char *path, uint64_t addr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    size_t have = 0;

    must(fd, path);
    must(fstat(fd, &st), path);
    while (have < (size_t)st.st_size) {
        ssize_t n = read(fd, machine_at(m, addr + have, (uint64_t)st.st_size - have),
                         (size_t)st.st_size - have);

        must((int)(n > 0 ? 1 : -1), path);
        have += (size_t)n;
    }
    close(fd);
    return have;
}

enum slot {
    SLOT_RAM,
    SLOT_PLUG,
};

static uint8_t *map(int fd, uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        machine_fail("mmap: %s", strerror(errno));
    return at;
}

/* @size 0: no more. */
static void give_kvm(const struct machine *m, enum slot slot, uint64_t addr, uint64_t size,
                     const uint8_t *host)
{
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .guest_phys_addr = addr,
                                                 .memory_size = size,
                                                 .userspace_addr = (uintptr_t)host};

    must(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

/* KVM has it from address 0, and so have the devices. */
static void make_memory(struct machine *m, uint64_t size)
{
    m->size = size;
    m->memfd = memfd_create("guest", MFD_CLOEXEC);
    must(m->memfd, "memfd_create");
    must(ftruncate(m->memfd, (off_t)size), "ftruncate");
    m->ram = map(m->memfd, size);
    give_kvm(m, SLOT_RAM, 0, size, m->ram);
}

/* The guest has it first and longest: no device may see what the guest does not. */
void machine_plug(struct machine *m, uint64_t addr, uint64_t size, int fd)
{
    m->plugged = map(fd, size);
    give_kvm(m, SLOT_PLUG, addr, size, m->plugged);
    for (unsigned i = 0; i < m->options.devices; i++) {
        int rc = anyhv_vmm_memory_add(m->devices[i].vmm, addr, size, fd, 0);

        if (rc)
            machine_fail("%s takes no more memory: %s", m->options.sockets[i], strerror(-rc));
    }
}

void machine_unplug(struct machine *m, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < m->options.devices; i++) {
        int rc = anyhv_vmm_memory_remove(m->devices[i].vmm, addr, size);

        if (rc)
            machine_fail("%s keeps memory: %s", m->options.sockets[i], strerror(-rc));
    }
    give_kvm(m, SLOT_PLUG, addr, 0, NULL);
    munmap(m->plugged, size);
}

/* ---- the devices ---- */

static void *tend(void *vmm)
{
    anyhv_vmm_tend(vmm);
    return NULL;
}

static void make_device(struct machine *m, unsigned number)
{
    const struct machine_options *o = &m->options;
    const struct anyhv_vmm_options options = {
        .size = sizeof(options),
        .path = o->sockets[number],
        .vm = m->vm,
        .base = o->base + (uint64_t)number * MACHINE_STEP,
        .gsi = o->gsi + number,
        .level = o->level,
        .posted = o->posted,
        .gone = o->ones ? ANYHV_VMM_ONES : ANYHV_VMM_WAIT,
        .layout = o->info ? ANYHV_IOR_LAYOUT_INFO : ANYHV_IOR_LAYOUT_V3,
    };
    struct machine_device *device = &m->devices[number];
    int rc = anyhv_vmm_open(&device->vmm, &options);

    if (rc)
        machine_fail("no device at %s: %s", options.path, strerror(-rc));
    rc = anyhv_vmm_memory_add(device->vmm, 0, m->size, m->memfd, 0);
    if (rc)
        machine_fail("%s does not take the guest's memory: %s", options.path, strerror(-rc));
    rc = anyhv_vmm_start(device->vmm);
    if (rc)
        machine_fail("%s does not start: %s", options.path, strerror(-rc));
    rc = pthread_create(&device->tender, NULL, tend, device->vmm);
    if (rc)
        machine_fail("no thread: %s", strerror(rc));
}

static void free_device(struct machine_device *device)
{
    anyhv_vmm_stop(device->vmm);
    pthread_join(device->tender, NULL);
    anyhv_vmm_close(device->vmm);
}

void machine_reset(struct machine *m)
{
    for (unsigned i = 0; i < m->options.devices; i++) {
        int rc = anyhv_vmm_reset(m->devices[i].vmm);

        if (rc)
            machine_fail("%s does not reset: %s", m->options.sockets[i], strerror(-rc));
    }
}

/* ---- the machine ---- */

static void make_vcpu(struct machine *m)
{
    int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

    must(size, "KVM_GET_VCPU_MMAP_SIZE");
    m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    must(m->vcpu, "KVM_CREATE_VCPU");
    m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    if (m->run == MAP_FAILED)
        machine_fail("mmap of the vCPU: %s", strerror(errno));
}

void machine_make(struct machine *m, const struct machine_options *o)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    m->options = *o;
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    must(m->kvm, "/dev/kvm");
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    must(m->vm, "KVM_CREATE_VM");
    must(ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
    must(ioctl(m->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    must(ioctl(m->vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    make_memory(m, o->memory);
    make_vcpu(m);
    for (unsigned i = 0; i < o->devices; i++)
        make_device(m, i);
}

void machine_free(struct machine *m)
{
    for (unsigned i = 0; i < m->options.devices; i++)
        free_device(&m->devices[i]);
    close(m->vcpu);
    close(m->vm);
    close(m->kvm);
    munmap(m->ram, m->size);
    close(m->memfd);
}

/* ---- running ---- */

uint64_t machine_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What nobody has reads as ones. */
static void mmio(struct machine *m)
{
    struct kvm_run *run = m->run;
    uint64_t began = machine_now_ns(), took;
    bool ours = false;

    for (unsigned i = 0; i < m->options.devices && !ours; i++)
        ours = anyhv_vmm_mmio(m->devices[i].vmm, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
                              run->mmio.is_write);
    if (!ours && !run->mmio.is_write)
        memset(run->mmio.data, 0xff, run->mmio.len);
    took = machine_now_ns() - began;
    if (took > m->longest_ns)
        m->longest_ns = took;
}

static bool ports(struct machine *m)
{
    struct kvm_run *run = m->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool end = false;

    for (uint32_t i = 0; i < run->io.count * run->io.size; i++)
        end |= m->port(m, (uint16_t)(run->io.port + i % run->io.size), &data[i],
                       run->io.direction == KVM_EXIT_IO_IN);
    return end;
}

/* For a guest that went wrong: where it was. */
__attribute__((noreturn)) static void lost(const struct machine *m, const char *what, uint32_t why)
{
    struct kvm_regs regs = {0};

    ioctl(m->vcpu, KVM_GET_REGS, &regs);
    machine_fail("%s (%u), at instruction 0x%llx", what, why, regs.rip);
}

void machine_run(struct machine *m)
{
    bool end = false;

    while (!end) {
        if (ioctl(m->vcpu, KVM_RUN, 0) < 0) {
            if (errno != EINTR)
                machine_fail("KVM_RUN: %s", strerror(errno));
            continue;
        }
        switch (m->run->exit_reason) {
        case KVM_EXIT_MMIO:
            mmio(m);
            break;
        case KVM_EXIT_IO:
            end = ports(m);
            break;
        case KVM_EXIT_SHUTDOWN:
            lost(m, "the guest's processor shut down", 0);
        case KVM_EXIT_INTERNAL_ERROR:
            lost(m, "KVM gave up", m->run->internal.suberror);
        default:
            lost(m, "an exit that nobody expects", m->run->exit_reason);
        }
    }
}

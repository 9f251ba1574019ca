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

/* KVM and the device have the same memory, from address 0. */
static void share_memory(const struct machine *m)
{
    struct kvm_userspace_memory_region region = {.memory_size = m->size,
                                                 .userspace_addr = (uintptr_t)m->ram};
    int rc;

    must(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    rc = anyhv_vmm_memory_add(m->device, 0, m->size, m->memfd, 0);
    if (rc)
        machine_fail("the device does not take the guest's memory: %s", strerror(-rc));
}

static void make_memory(struct machine *m, uint64_t size)
{
    m->size = size;
    m->memfd = memfd_create("guest", MFD_CLOEXEC);
    must(m->memfd, "memfd_create");
    must(ftruncate(m->memfd, (off_t)size), "ftruncate");
    m->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->memfd, 0);
    if (m->ram == MAP_FAILED)
        machine_fail("mmap: %s", strerror(errno));
}

/* ---- the device ---- */

static void *tend(void *device)
{
    anyhv_vmm_tend(device);
    return NULL;
}

static void make_device(struct machine *m, const struct machine_options *o)
{
    const struct anyhv_vmm_options options = {
        .path = o->device,
        .vm = m->vm,
        .base = o->base,
        .gsi = o->gsi,
        .level = o->level,
        .posted = o->posted,
        .layout = o->info ? ANYHV_IOR_LAYOUT_INFO : ANYHV_IOR_LAYOUT_V3,
    };
    int rc = anyhv_vmm_open(&m->device, &options);

    if (rc)
        machine_fail("no device at %s: %s", o->device, strerror(-rc));
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
    int rc;

    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    must(m->kvm, "/dev/kvm");
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    must(m->vm, "KVM_CREATE_VM");
    must(ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
    must(ioctl(m->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    must(ioctl(m->vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    make_memory(m, o->memory);
    make_device(m, o);
    share_memory(m);
    make_vcpu(m);
    rc = anyhv_vmm_start(m->device);
    if (rc)
        machine_fail("the device does not start: %s", strerror(-rc));
    rc = pthread_create(&m->tender, NULL, tend, m->device);
    if (rc)
        machine_fail("no thread: %s", strerror(rc));
}

void machine_free(struct machine *m)
{
    anyhv_vmm_stop(m->device);
    pthread_join(m->tender, NULL);
    anyhv_vmm_close(m->device);
    close(m->vcpu);
    close(m->vm);
    close(m->kvm);
    munmap(m->ram, m->size);
    close(m->memfd);
}

/* ---- running ---- */

/* What nobody has reads as ones. */
static void mmio(struct machine *m)
{
    struct kvm_run *run = m->run;

    if (!anyhv_vmm_mmio(m->device, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
                        run->mmio.is_write) &&
        !run->mmio.is_write)
        memset(run->mmio.data, 0xff, run->mmio.len);
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

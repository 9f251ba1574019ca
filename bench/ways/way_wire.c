/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM module's process, with the VMM's library and no KVM: what a vCPU's exit would be is a
 * call of anyhv_vmm_mmio. Kicks are eventfds, as an ioeventfd writes them, or posted commands.
 */
#include "ways.h"

#include <anyhv/vmm.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGISTERS UINT64_C(0xd0000000)

struct wire {
    struct process process;
    struct anyhv_vmm *vmm;
    struct drv_mmio mmio;
    int memfd;
    uint8_t *ram;
};

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    uint32_t word = (uint32_t)*value;

    way_need(size == 4 && anyhv_vmm_mmio(ctx, REGISTERS + off, &word, 4, write) == 1,
             "a register is not the device's");
    *value = word;
    return 0;
}

static void make_memory(struct wire *w)
{
    w->memfd = memfd_create("guest", MFD_CLOEXEC);
    way_need(w->memfd >= 0 && ftruncate(w->memfd, WAYS_RAM) == 0, "no memory");
    w->ram = mmap(NULL, WAYS_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, w->memfd, 0);
    way_need(w->ram != MAP_FAILED, "no memory");
}

static void start(struct wire *w, bool posted)
{
    const struct anyhv_vmm_options options = {.size = sizeof(options),
                                              .path = w->process.socket,
                                              .vm = -1,
                                              .base = REGISTERS,
                                              .posted = posted};

    way_need(anyhv_vmm_open(&w->vmm, &options) == 0, "anyhv_vmm_open");
    way_need(anyhv_vmm_memory_add(w->vmm, WAYS_BASE, WAYS_RAM, w->memfd, 0) == 0, "memory");
    way_need(anyhv_vmm_start(w->vmm) == 0, "anyhv_vmm_start");
}

static void wire_open(struct way_device *device, bool posted)
{
    struct wire *w = device->priv = calloc(1, sizeof(*w));

    way_need(w, "out of memory");
    process_begin(&w->process, &anyhv_hv_kvm_ioregionfd);
    make_memory(w);
    start(w, posted);
    drv_mem_init(&device->mem, w->ram, WAYS_BASE, WAYS_RAM);
    drv_mmio_init(&w->mmio, access_register, w->vmm);
    way_need(drv_mmio_probe(&w->mmio) == anyhv_vmm_device_id(w->vmm), "no entropy device");
    way_need(drv_negotiate(&w->mmio.transport, 0), "features");
    way_ring(device);
    way_need(drv_queue_setup(&w->mmio.transport, 0, &device->ring), "queue");
    drv_ready(&w->mmio.transport);
}

static void open_eventfd(struct way_device *device)
{
    wire_open(device, false);
}

static void open_posted(struct way_device *device)
{
    wire_open(device, true);
}

static void wire_access(struct way_device *device)
{
    struct wire *w = device->priv;

    way_need(drv_mmio_read(&w->mmio, DRV_MMIO_DEVICE_ID) == anyhv_vmm_device_id(w->vmm),
             "a wrong answer");
}

static void kick_eventfd(struct way_device *device)
{
    struct wire *w = device->priv;
    uint64_t one = 1;

    way_need(write(anyhv_vmm_kick_fd(w->vmm, 0), &one, sizeof(one)) == sizeof(one), "no kick");
}

static void kick_posted(struct way_device *device)
{
    struct wire *w = device->priv;

    drv_kick(&w->mmio.transport, 0, &device->ring);
}

static void wire_close(struct way_device *device)
{
    struct wire *w = device->priv;

    anyhv_vmm_close(w->vmm);
    process_end(&w->process);
    munmap(w->ram, WAYS_RAM);
    close(w->memfd);
    free(w);
}

const struct way way_wire = {
    .name = "wire, eventfd",
    .open = open_eventfd,
    .access = wire_access,
    .kick = kick_eventfd,
    .close = wire_close,
};

const struct way way_wire_posted = {
    .name = "wire, posted",
    .open = open_posted,
    .access = wire_access,
    .kick = kick_posted,
    .close = wire_close,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in a program that uses no main(), loop or module of anyhv, as a VMM might embed it: the
 * program's own memory, an eventfd for kicks, one for interrupts, and a poll(). Its guest is a
 * driver in another thread.
 *
 *   build/dev/bin/anyhv-by-hand
 */
#include "../01-hello-device/invert.h"
#include "guest.h"
#include <anyhv/control.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

#define BASE UINT64_C(0x40000000) /* where the guest sees its memory */

struct vmm {
    struct guest guest;
    struct anyhv_mem mem;
    struct anyhv_region table[1];
    struct anyhv_dev dev;
    bool work; /* the device wants to run */
};

/* ---- The port: what the library asks of whoever embeds it ---- */

static void interrupt(struct anyhv_dev *dev, int queue)
{
    struct vmm *vmm = anyhv_dev_port(dev);

    (void)queue; /* one wire for all */
    eventfd_write(vmm->guest.interrupt, 1);
}

static void work_wanted(struct anyhv_dev *dev)
{
    struct vmm *vmm = anyhv_dev_port(dev);

    vmm->work = true; /* not now: whoever kicked must not wait for the device */
}

static const struct anyhv_port_ops port = {.notify = interrupt, .work = work_wanted};

/* ---- Memory and storage: all of it ours ---- */

static _Alignas(16) uint8_t ram[1 << 12];
static uint8_t storage[ANYHV_STORAGE_SIZE(1, 4, ANYHV_CHUNK_SEGS, 0)];
static _Alignas(8) uint8_t state[ANYHV_STATE_SIZE(1, 0)];

static int attach(struct vmm *vmm)
{
    const struct anyhv_region all = {BASE, sizeof(ram), ram, ANYHV_R | ANYHV_W};
    const struct anyhv_attach how = {.ops = &invert_ops,
                                     .mem = &vmm->mem,
                                     .port = &port,
                                     .port_priv = vmm,
                                     .storage = storage,
                                     .storage_size = sizeof(storage),
                                     .limits = {.requests = 4, .segs = ANYHV_CHUNK_SEGS},
                                     .state = state,
                                     .state_size = sizeof(state)};
    int rc;

    anyhv_mem_init(&vmm->mem, vmm->table, 1, NULL, NULL);
    rc = anyhv_mem_add(&vmm->mem, &all);
    return rc ? rc : anyhv_dev_attach(&vmm->dev, &how);
}

/* What a driver says on its control plane and a VMM passes on, in the order of section 3.1.1. */
static int negotiate(struct anyhv_dev *dev, const struct drv_ring *ring)
{
    const struct anyhv_queue_setup setup = {
        .desc = ring->desc, .driver = ring->driver, .device = ring->device, .size = ring->size};
    int rc;

    anyhv_ctl_set_status(dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER);
    anyhv_ctl_set_features(dev, ANYHV_F_VERSION_1);
    anyhv_ctl_set_status(dev, anyhv_ctl_status(dev) | ANYHV_S_FEATURES_OK);
    rc = anyhv_ctl_queue_start(dev, 0, &setup);
    anyhv_ctl_set_status(dev, anyhv_ctl_status(dev) | ANYHV_S_DRIVER_OK);
    return rc;
}

static void serve(struct vmm *vmm)
{
    struct pollfd fd = {.fd = vmm->guest.kick, .events = POLLIN};
    eventfd_t count;

    while (anyhv_ctl_counters(&vmm->dev, 0)->done < GUEST_REQUESTS) {
        poll(&fd, 1, vmm->work ? 0 : -1);
        if (eventfd_read(fd.fd, &count) == 0)
            anyhv_ctl_kick(&vmm->dev, 0); /* only marks, and calls work_wanted */
        if (vmm->work) {
            vmm->work = false;
            vmm->work |= anyhv_dev_run(&vmm->dev, 64); /* true: there is more than 64 requests */
        }
    }
}

int main(void)
{
    static struct vmm vmm;
    pthread_t thread;

    vmm.guest.kick = eventfd(0, EFD_NONBLOCK);
    vmm.guest.interrupt = eventfd(0, 0);
    if (vmm.guest.kick < 0 || vmm.guest.interrupt < 0 ||
        !guest_init(&vmm.guest, ram, BASE, sizeof(ram)) || attach(&vmm) != ANYHV_OK ||
        negotiate(&vmm.dev, &vmm.guest.ring) != ANYHV_OK ||
        pthread_create(&thread, NULL, guest_run, &vmm.guest) != 0)
        return 1;
    serve(&vmm);
    pthread_join(thread, NULL);
    anyhv_dev_detach(&vmm.dev);
    printf("by hand: %u of %u answers are right\n", vmm.guest.right, GUEST_REQUESTS);
    return vmm.guest.right == GUEST_REQUESTS ? 0 : 1;
}

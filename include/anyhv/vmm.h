/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For VMMs: a device that another process serves, over KVM. A library of its own, libanyhv-vmm.a,
 * which needs the kernel's headers, the C library and nothing of anyhv's.
 *
 *   open      connects to the device process and learns what it has
 *   memory    hands over the guest's memory; also later, when it grows or shrinks
 *   start     kicks, interrupt and registers are wired; the device serves
 *   mmio      a vCPU left the guest at an address: is it the device's? does it
 *   tend      a thread that brings the device back when its process has died
 *   reset, stop, close
 *
 * Results: 0 or -errno, unless said otherwise; -ETIMEDOUT, -EPROTO: the device process gave no
 * answer or a senseless one, and was left. docs/kvm-ioregionfd.md tells the whole story, test/vmm
 * is a VMM that uses all of it.
 *
 * No call creates a thread. Who may call, and how long that takes; P is patience_ms:
 *
 *   open                    anyone                           P
 *   memory_add, _remove     any thread, any time             P
 *   reset                   any thread, while no vCPU runs   P
 *   start                   any thread, once                 P for each of 3 messages, and one for
 *                                                            each queue and region
 *   mmio                    any thread, many at once         until the device process answers; with
 *                                                            ANYHV_VMM_WAIT, a successor's included
 *   tend                    one thread                       until stop
 *   stop                    any thread, any time             no time
 *   close                   the last one                     no time
 *   the others              any thread, any time             no time
 *
 * Stop ends all that waits. memory_add, _remove, reset, start and what tend says to a successor
 * wait for each other as well; mmio for none of them, only for other vCPUs' accesses.
 */
#ifndef ANYHV_VMM_H
#define ANYHV_VMM_H

#include <anyhv/ioregionfd.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_vmm;

/* What a vCPU finds at a register while there is no device process. */
enum anyhv_vmm_gone {
    ANYHV_VMM_WAIT, /* it waits until there is one again; the guest notices nothing */
    ANYHV_VMM_ONES, /* reads give all ones, writes are dropped */
};

struct anyhv_vmm_options {
    uint32_t size;    /* of this struct, so that header and library are of one version */
    const char *path; /* the device process listens there */
    int vm;        /* KVM's descriptor of the machine; -1: mmio and the descriptors below do all */
    uint64_t base; /* guest physical, of ANYHV_IOR_WINDOW bytes */
    uint32_t gsi;  /* the interrupt */
    bool level;    /* it is a level, resampled at the guest's end of interrupt; else an edge */
    bool posted;   /* kicks are posted writes among the commands, not ioeventfds */
    enum anyhv_vmm_gone gone;
    enum anyhv_ior_layout layout; /* 0: v3 */
    uint32_t patience_ms;         /* until a message counts as not answered; 0: 30 s */
    /*
     * The number of the ioctl KVM_SET_IOREGION of a kernel that has it: then register accesses do
     * not leave the kernel. 0: they are forwarded by mmio. No released kernel has it and its
     * numbers were given away since, so nothing is probed: whoever has such a kernel knows.
     */
    unsigned long set_ioregion;
};

/*
 * *@vmm is set on success alone. -EINVAL: another size, no path, vm 0, or a window that ends beyond
 * the address space; -EPROTO: what listens there speaks something else; -EBUSY: it has another VMM;
 * -EAGAIN: too many others call there; -ETIMEDOUT: it does not answer.
 */
int anyhv_vmm_open(struct anyhv_vmm **vmm, const struct anyhv_vmm_options *options);

/* VIRTIO's number for the kind of device. */
uint32_t anyhv_vmm_device_id(const struct anyhv_vmm *vmm);
/* How many queues it has. */
uint32_t anyhv_vmm_queues(const struct anyhv_vmm *vmm);

/*
 * @size bytes at guest physical @addr are those at @offset of the file @fd, which the device
 * process maps. The descriptor stays the caller's. -EINVAL: the device process refused it;
 * -ENOSPC: there or here is no slot or memory left for it.
 */
int anyhv_vmm_memory_add(struct anyhv_vmm *vmm, uint64_t addr, uint64_t size, int fd,
                         uint64_t offset);
/*
 * Exactly what was added. On success the device does not touch it any more. -ENOENT; -ETIMEDOUT:
 * the device process neither says so nor has it ended, so it may; try again, or kill it.
 * -ECANCELED: after stop nobody is asked any more, so it may.
 */
int anyhv_vmm_memory_remove(struct anyhv_vmm *vmm, uint64_t addr, uint64_t size);

/*
 * Also the errors of KVM's ioctls; -EBUSY: not the first time. After an error it is as after stop,
 * and nothing can be tried again: close it, and open another.
 */
int anyhv_vmm_start(struct anyhv_vmm *vmm);

/*
 * A vCPU accesses @len bytes at guest physical @addr, as struct kvm_run says it in KVM_EXIT_MMIO:
 * @data is its data. 1: it was ours and is done; 0: it is not. Waits for the device process's
 * answer, whatever signals come; not for the rings.
 */
int anyhv_vmm_mmio(struct anyhv_vmm *vmm, uint64_t addr, void *data, uint32_t len, bool write);

/* The machine was reset: so is the device, on return. While no vCPU runs. */
int anyhv_vmm_reset(struct anyhv_vmm *vmm);

/*
 * Returns after anyhv_vmm_stop. Until then: as often as the device process dies, waits for another
 * at the same path and has it go on where that one was. With set_ioregion there is no going on:
 * -ECONNRESET then.
 */
int anyhv_vmm_tend(struct anyhv_vmm *vmm);

/* How often tend has brought it back. */
uint32_t anyhv_vmm_revivals(struct anyhv_vmm *vmm);

/* Whoever waits in mmio, tend or for an answer (-ECANCELED) does so no longer, and never again. */
void anyhv_vmm_stop(struct anyhv_vmm *vmm);

/*
 * Nobody may be in any of the calls. NULL is fine. The device process lets go of the memory when it
 * notices, which is later: if the memory lives on and others get it, remove it before stop.
 */
void anyhv_vmm_close(struct anyhv_vmm *vmm);

/*
 * With vm -1: the eventfd that asks for the interrupt, and the one to answer a lowered level with.
 */
int anyhv_vmm_interrupt_fd(const struct anyhv_vmm *vmm);
int anyhv_vmm_resample_fd(const struct anyhv_vmm *vmm);
/* The eventfd that notifies of @queue, -1: no such queue. */
int anyhv_vmm_kick_fd(const struct anyhv_vmm *vmm, uint32_t queue);

#ifdef __cplusplus
}
#endif
#endif

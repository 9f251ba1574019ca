/* SPDX-License-Identifier: Apache-2.0 */
/* What KVM does by itself: interrupts, kicks, and, where it can, register accesses. */
#include "vmm_private.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

/* Of the patches; no released <linux/kvm.h> has it. */
struct ioregion {
    uint64_t guest_paddr, memory_size, user_data;
    int32_t read_fd, write_fd; /* KVM's view: it writes commands and reads answers */
    uint32_t flags;
    uint8_t zero[28];
};
_Static_assert(sizeof(struct ioregion) == 64, "as KVM takes it");
#define POSTED_WRITES 2u
#define DEASSIGN      4u

static int interrupt(const struct anyhv_vmm *vmm, bool assign)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)vmm->irq, .gsi = vmm->options.gsi};

    if (!assign) {
        irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
    } else if (vmm->options.level) {
        irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
        irqfd.resamplefd = (uint32_t)vmm->resample;
    }
    return ioctl(vmm->options.vm, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

/* What is written decides: one eventfd for each queue at the same address. */
static int kick(const struct anyhv_vmm *vmm, uint32_t queue, bool assign)
{
    struct kvm_ioeventfd ioeventfd = {
        .datamatch = queue,
        .addr = vmm->options.base + ANYHV_IOR_NOTIFY,
        .len = 4,
        .fd = vmm->kicks[queue],
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH | (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };

    return ioctl(vmm->options.vm, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

static int part(const struct anyhv_vmm *vmm, enum anyhv_ior_part which, uint64_t begin,
                uint64_t end, uint32_t flags)
{
    struct ioregion region = {
        .guest_paddr = vmm->options.base + begin,
        .memory_size = end - begin,
        .user_data = which,
        .read_fd = vmm->wire,
        .write_fd = vmm->wire,
        .flags = flags,
    };

    return ioctl(vmm->options.vm, vmm->options.set_ioregion, &region) < 0 ? -errno : 0;
}

/* Around the doorbell: a region may not overlap an ioeventfd. */
static int registers(const struct anyhv_vmm *vmm, uint32_t flags)
{
    int rc = part(vmm, ANYHV_IOR_LOW, 0, ANYHV_IOR_NOTIFY, flags);

    if (!rc)
        rc = part(vmm, ANYHV_IOR_HIGH, ANYHV_IOR_BEHIND, ANYHV_IOR_WINDOW, flags);
    if (!rc && vmm->options.posted)
        rc = part(vmm, ANYHV_IOR_DOORBELL, ANYHV_IOR_NOTIFY, ANYHV_IOR_BEHIND,
                  flags | POSTED_WRITES);
    return rc;
}

int anyhv_vmm_kvm_wire(struct anyhv_vmm *vmm)
{
    int rc;

    if (vmm->options.vm < 0)
        return 0;
    vmm->wired = true;
    rc = interrupt(vmm, true);
    for (uint32_t i = 0; i < vmm->queues && !rc && !vmm->options.posted; i++)
        rc = kick(vmm, i, true);
    if (!rc && vmm->options.set_ioregion)
        rc = registers(vmm, 0);
    return rc;
}

/* What was not there is an error that nobody needs to know. */
void anyhv_vmm_kvm_unwire(struct anyhv_vmm *vmm)
{
    if (!vmm->wired)
        return;
    interrupt(vmm, false);
    for (uint32_t i = 0; i < vmm->queues && !vmm->options.posted; i++)
        kick(vmm, i, false);
    if (vmm->options.set_ioregion)
        registers(vmm, DEASSIGN);
    vmm->wired = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio register model, version 2 (section 4.2), on top of the control API. For modules
 * that see a guest's register accesses: Xen ioreq, KVM exits and ioregionfd, loopback.
 *
 * Freestanding; the caller owns the storage. Same thread as the device.
 */
#ifndef ANYHV_TRANSPORT_MMIO_H
#define ANYHV_TRANSPORT_MMIO_H

#include <anyhv/control.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of address space: registers and configuration space. */
#define ANYHV_MMIO_SIZE   0x200u
#define ANYHV_MMIO_NOTIFY 0x050u      /* QueueNotify: where doorbells go */
#define ANYHV_MMIO_VENDOR 0x56484e41u /* "ANHV" */

struct anyhv_mmio;

struct anyhv_mmio_ops {
    /*
     * The interrupt line. Level: as given. Edge: each rise is an event; the model gives true for
     * every new event even when the line is already up, and false then true when an
     * acknowledgement leaves events. Mandatory.
     */
    void (*irq)(struct anyhv_mmio *mmio, bool level);
    /* As in struct anyhv_port_ops. work is mandatory. */
    void (*work)(struct anyhv_mmio *mmio);
    void (*queue_changed)(struct anyhv_mmio *mmio, unsigned queue);
    void (*quiet)(struct anyhv_mmio *mmio);
};

/* A region that the device shares with the driver, section 2.10. */
struct anyhv_shm {
    uint64_t base, length;
};

struct anyhv_mmio {
    struct anyhv_dev dev;
    const struct anyhv_mmio_ops *ops;
    void *priv; /* the module's own */
    uint32_t vendor;
    const struct anyhv_shm *shm; /* by region id; NULL: none */
    uint32_t shm_count;
};

/*
 * The port table to attach the embedded device with, and port_priv = the struct anyhv_mmio. It can
 * carry every ring feature except ACCESS_PLATFORM; `_platform` offers that too.
 */
extern const struct anyhv_port_ops anyhv_mmio_port;
extern const struct anyhv_port_ops anyhv_mmio_port_platform;

/*
 * Fills in *@mmio and attaches mmio->dev as @how says; how->port and ->port_priv are set here
 * (@platform chooses which port). Results as anyhv_dev_attach.
 */
int anyhv_mmio_attach(struct anyhv_mmio *mmio, const struct anyhv_mmio_ops *ops, void *priv,
                      const struct anyhv_attach *how, bool platform);

/*
 * One access by the guest at byte @off of the window, @size bytes. *@value: low bytes, written by
 * a read (never left undefined), read by a write. Returns ANYHV_OK or, when the guest had no
 * business there, ANYHV_E_INVAL: reads give 0 and writes do nothing. Never does ring work.
 */
int anyhv_mmio_access(struct anyhv_mmio *mmio, uint32_t off, unsigned size, bool write,
                      uint64_t *value);

#ifdef __cplusplus
}
#endif
#endif

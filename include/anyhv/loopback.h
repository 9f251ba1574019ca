/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-process guest: a device and the memory of its "guest" in one process, for tests, demos
 * and benches, and the reference for writing a module. Reached through the MMIO registers
 * (anyhv_loopback_access) or natively (control.h on anyhv_loopback_dev).
 *
 * Single-threaded and synchronous: a kick marks, anyhv_loopback_run does the work, interrupts are
 * counted here. Needs no event loop. The caller owns all storage.
 */
#ifndef ANYHV_LOOPBACK_H
#define ANYHV_LOOPBACK_H

#include <anyhv/transport/mmio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_LOOPBACK_REGIONS 64

struct anyhv_loopback;

/* An address bounce mode cannot map is ANYHV_E_BADADDR, as in a region that is not there. */
struct anyhv_loopback_options {
    bool native;       /* control plane: false = MMIO registers, true = direct calls */
    bool bounce;       /* no region for RAM: every access goes through map and copy ops */
    bool map_only;     /* with bounce: no copy op, core has to map */
    uint32_t map_max;  /* with bounce: longest map that is granted (0: no limit); rings excepted */
    uint32_t regions;  /* without bounce: cut RAM into this many regions (0: one) */
    bool track;        /* count the bytes that are written; always with bounce */
    uint64_t base;     /* guest address of the first byte of RAM */
    uint8_t *ram;      /* page aligned */
    uint64_t ram_size; /* bytes */
    void (*work)(struct anyhv_loopback *lb); /* a run is asked for; NULL: look at lb->work */
    void *priv;                              /* the caller's own */
};

/* Which call of the memory ops fails next, and how; ours to set at any time (bounce only). */
struct anyhv_loopback_faults {
    uint32_t after; /* so many calls still succeed */
    int result;     /* then this is returned for `count` calls; 0: no fault armed */
    uint32_t count;
};

/* What the guest and the memory ops saw. */
struct anyhv_loopback_seen {
    uint64_t kicks;
    uint64_t interrupts;        /* rises of the line, or native notifications */
    uint64_t config_interrupts; /* native plane: of these for the configuration */
    uint64_t maps, unmaps, copies, dirty_bytes;
    uint64_t runs;
};

struct anyhv_loopback {
    struct anyhv_mmio mmio;
    struct anyhv_mem mem;
    struct anyhv_region region[ANYHV_LOOPBACK_REGIONS];
    struct anyhv_loopback_options options;
    struct anyhv_loopback_faults faults;
    struct anyhv_loopback_seen seen;
    bool level;          /* the interrupt line (MMIO plane) */
    bool work;           /* a run was asked for */
    bool quiet;          /* port->quiet was called; the reader clears it */
    uint64_t irq_queues; /* native plane: queues notified, bit 63 = configuration; reader clears */
};

/*
 * Lays out memory and attaches the device; of *@how the caller fills ops, priv, storage, state,
 * limits, withhold and resume. Results as anyhv_dev_attach.
 */
int anyhv_loopback_attach(struct anyhv_loopback *lb, const struct anyhv_loopback_options *options,
                          const struct anyhv_attach *how);
void anyhv_loopback_detach(struct anyhv_loopback *lb);

struct anyhv_dev *anyhv_loopback_dev(struct anyhv_loopback *lb);

/* The guest accesses a register; as anyhv_mmio_access. */
int anyhv_loopback_access(struct anyhv_loopback *lb, uint32_t off, unsigned size, bool write,
                          uint64_t *value);

/* Does the ring work that was asked for, @budget requests at a time, until there is none. */
void anyhv_loopback_run(struct anyhv_loopback *lb, unsigned budget);

/* The guest dies: what a module does when its peer is gone. */
void anyhv_loopback_lose_peer(struct anyhv_loopback *lb);

#ifdef __cplusplus
}
#endif
#endif

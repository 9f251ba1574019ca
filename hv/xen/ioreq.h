/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page that Xen and a device model share: one slot per vCPU, in which a trapped access waits
 * for its answer. Xen's public/hvm/ioreq.h describes it with bit fields; here the byte that holds
 * the state is a byte, so that what is written to it is one plain store.
 */
#ifndef XEN_IOREQ_H
#define XEN_IOREQ_H

#include <stdint.h>

struct xen_ioreq {
    uint64_t addr;
    uint64_t data; /* or where it is, see XEN_IOREQ_POINTER */
    uint32_t count, size;
    uint32_t port; /* Xen's end of the vCPU's event channel */
    uint16_t zero;
    uint8_t flags;
    uint8_t type;
};
_Static_assert(sizeof(struct xen_ioreq) == 32, "the size that Xen gives a slot");

#define XEN_IOREQ_SLOTS   128u /* all that fit in the one page there is */

#define XEN_IOREQ_STATE   0x0fu /* of flags: */
#define XEN_IOREQ_POINTER 0x10u
#define XEN_IOREQ_READ    0x20u
#define XEN_IOREQ_DOWN    0x40u

/* Only ever forwards: a state that goes back makes Xen crash the guest. */
enum xen_ioreq_state {
    XEN_IOREQ_NONE,
    XEN_IOREQ_READY,     /* Xen's word: there is an access */
    XEN_IOREQ_INPROCESS, /* ours: taken */
    XEN_IOREQ_DONE,      /* ours: answered; Xen makes it NONE */
};

enum xen_ioreq_type {
    XEN_IOREQ_PIO = 0,
    XEN_IOREQ_MMIO = 1,
    XEN_IOREQ_PCI_CONFIG = 2,
    XEN_IOREQ_TIMEOFFSET = 7,
    XEN_IOREQ_INVALIDATE = 8,
};

#endif

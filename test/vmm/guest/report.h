/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMM and a micro-guest share: the guest's memory, and a page in it with its orders and
 * its report. Plain C for 16, 32 and 64 bits.
 */
#ifndef ANYHV_TEST_VMM_REPORT_H
#define ANYHV_TEST_VMM_REPORT_H

#include <stdint.h>

/* Guest memory. All but the tables of 64-bit mode is below 64 KiB, which is all that 16 bits see.
 */
enum {
    GUEST_ORDERS = 0x500,
    GUEST_REPORT = 0x580,
    GUEST_GDT = 0x600,
    GUEST_TSS = 0x680,
    GUEST_IDT = 0x800,
    GUEST_CODE = 0x1000,
    GUEST_STACK = 0xfff0,  /* down from here */
    GUEST_WINDOW = 0xb000, /* what the driver shares with the device */
    GUEST_WINDOW_END = 0xf000,
    GUEST_IRQ_STACK = 0x90000, /* of ring 0, in 64-bit mode, down from here */
    GUEST_TABLES = 0x90000,    /* page tables of 64-bit mode */
    GUEST_DEVICE = 0xd0000,    /* the registers; no memory is there */
    GUEST_MEMORY = 0xd0000,
};

enum {
    GUEST_IRQ = 5,
    GUEST_VECTOR = 0x20, /* of interrupt 0 */
    GUEST_PORT_END = 0xf4,
};

/* What the guest shall do. */
enum guest_program {
    GUEST_READS,   /* numbered records, every byte checked */
    GUEST_HOSTILE, /* what no driver does, and reads in between */
};

struct guest_orders {
    uint32_t program;
    uint32_t requests;
    uint32_t seed;
    uint32_t packed;
    uint32_t gaps; /* so many records may be missing */
};

enum guest_verdict {
    GUEST_RUNNING,
    GUEST_DONE,
    GUEST_FAILED,
};

struct guest_report {
    uint32_t verdict;
    uint32_t line; /* of guest.c, where it failed */
    uint32_t detail;
    uint32_t requests, batches, interrupts, strange; /* strange: interrupts without a reason */
    uint32_t accesses;                               /* hostile: of registers */
    uint32_t missing;                                /* records that nobody got */
};

#endif

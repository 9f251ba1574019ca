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
    GUEST_PLUG = 0x100000, /* memory that comes and goes; 16 bits do not see it */
    GUEST_PLUG_SIZE = 0x10000,
};

enum {
    GUEST_IRQ = 5,
    GUEST_VECTOR = 0x20, /* of interrupt 0 */
    GUEST_PORT_END = 0xf4,
    GUEST_PORT_PLUG = 0xf5,     /* written: what becomes of the memory at GUEST_PLUG */
    GUEST_PORT_REVIVALS = 0xf6, /* read: how often the device process has been replaced */
    GUEST_PORT_LAP = 0xf7,      /* written: an enum guest_lap, whose accesses begin */
};

enum guest_plug {
    GUEST_PLUG_NONE, /* it is taken away */
    GUEST_PLUG_SAME, /* it comes, with what it had when it left */
    GUEST_PLUG_NEW,  /* it comes, zeroed */
};

/* What is timed, by the VMM's clock. */
enum guest_lap {
    GUEST_LAP_ACCESS,  /* a register is read */
    GUEST_LAP_KICK,    /* the device is kicked, for nothing */
    GUEST_LAP_REQUEST, /* a request is kicked and its interrupt taken */
    GUEST_LAPS,        /* nothing any more */
};

/* What the guest shall do. */
enum guest_program {
    GUEST_READS,   /* numbered records, every byte checked */
    GUEST_HOSTILE, /* what no driver does, and reads in between */
    GUEST_PLUGS,   /* memory leaves and comes back, under buffers and under a ring */
    GUEST_WATCHES, /* looks at a register while device processes are replaced */
    GUEST_TIMES,   /* what is to be timed */
};

struct guest_orders {
    uint32_t program;
    uint32_t requests;
    uint32_t seed;
    uint32_t packed;
    uint32_t gaps;   /* so many records may be missing */
    uint32_t rounds; /* plugs, times: how often; watches: until so many processes were replaced */
};

enum guest_verdict {
    GUEST_RUNNING,
    GUEST_DONE,
    GUEST_FAILED,
};

struct guest_report {
    uint32_t verdict;
    char file[12]; /* where it failed */
    uint32_t line, detail;
    uint32_t requests, batches, interrupts, strange; /* strange: interrupts without a reason */
    uint32_t accesses;                               /* hostile, watches: of registers */
    uint32_t missing;                                /* records that nobody got */
    uint32_t ones;                                   /* watches: reads of ones */
};

#endif

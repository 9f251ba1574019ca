/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side: guest memory, one ring, and requests whose descriptors are made in advance, so
 * that it costs little beside the device. Every answer is checked; what is wrong stays in `fault`.
 *
 * Belongs to one thread. The device may be in another.
 */
#ifndef ANYHV_BENCH_GUEST_H
#define ANYHV_BENCH_GUEST_H

#include "ring.h"
#include "scenario.h"

#include <stddef.h>

#define GUEST_BASE UINT64_C(0x100000000) /* guest address of the first byte */

struct guest_region {
    uint64_t addr, size;
    uint8_t *host;
};

/* One request, over and over: what goes into the ring, and where the driver writes and looks. */
struct guest_chain {
    struct split_desc desc[SCENARIO_CHAIN_MAX]; /* packed: id and AVAIL, USED come at posting */
    uint8_t *header;                            /* NULL: it has none */
    uint8_t *in;                                /* the writable part */
    uint32_t tail;                              /* last word of the readable data */
};

struct guest {
    const struct scenario *scenario;
    bool packed;
    bool thorough; /* compare every byte that the device writes, not only the word */
    struct guest_region region[SCENARIO_REGIONS_MAX];
    uint8_t *ram;
    size_t ram_size;
    uint64_t desc, driver, device; /* the three areas, section 2.6 */
    uint16_t size;                 /* of the ring */
    /* the driver's own */
    struct guest_chain *chain;
    unsigned chains;   /* the next request is chain[posted % chains] */
    unsigned slots;    /* ring entries per request */
    uint32_t in_bytes; /* of the writable part */
    uint32_t used_len; /* what the device has to report */
    uint32_t posted, answered;
    uint16_t next, last_used;    /* split: free running; packed: positions */
    unsigned wrap, used_wrap;    /* packed */
    uint64_t placed;             /* bytes of memory given out */
    uint32_t place_region, dice; /* for scattered placement */
    char fault[96];              /* empty: none */
};

/* Lays out memory and ring for @scenario; ends the program if there is no memory. */
void guest_start(struct guest *guest, const struct scenario *scenario, bool packed);
void guest_stop(struct guest *guest);

/* Where the byte at guest address @addr is. */
static inline uint8_t *guest_host(const struct guest *guest, uint64_t addr)
{
    return guest->ram + (addr - GUEST_BASE);
}

/* Makes @n more requests available, all at once. */
void guest_post(struct guest *guest, unsigned n);
/* Takes what was answered; how many requests. Stops at the first fault. */
unsigned guest_reap(struct guest *guest);

#endif

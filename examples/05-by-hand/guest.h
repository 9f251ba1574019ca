/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_H
#define GUEST_H

#include "driver/driver.h"

enum {
    GUEST_REQUESTS = 1000,
    GUEST_RING = 16
};

/* What a guest has: memory, a ring in it, and two wires (eventfds). */
struct guest {
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[GUEST_RING];
    int kick, interrupt;
    unsigned right; /* answers */
};

/* False: no room for the ring. */
bool guest_init(struct guest *guest, void *ram, uint64_t base, uint64_t size);
/* A thread's main(): makes all requests, one after the other. */
void *guest_run(void *guest);

#endif

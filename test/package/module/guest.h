/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's side, as far as a module sees it: memory, trapped register accesses, interrupts.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_RAM_BASE UINT64_C(0x80000000)
#define GUEST_RAM_SIZE 0x4000u
#define GUEST_BUFFER   64u /* bytes that it asks the device for */

struct guest {
    uint8_t ram[GUEST_RAM_SIZE];
    size_t step; /* of its script */
};

/* What the guest does before it is interrupted; its memory is zeroed. */
void guest_boot(struct guest *guest);
/* The next register that it writes; false: it waits for an interrupt. */
bool guest_write(struct guest *guest, uint32_t *offset, uint64_t *value);
/* It is interrupted, and looks. The bytes that the device gave it; NULL: none yet. */
const uint8_t *guest_interrupted(struct guest *guest, uint32_t *len);

#endif

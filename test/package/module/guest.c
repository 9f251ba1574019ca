/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is a list of register writes: VIRTIO 1.4, section 4.2.3.1, for a split ring of one
 * entry (2.7). Real ones do the same with more ceremony.
 */
#include "guest.h"

enum {
    DESCRIPTORS = 0x0,
    AVAILABLE = 0x1000,
    USED = 0x2000,
    BUFFER = 0x3000
}; /* in RAM */

static const struct {
    uint32_t offset;
    uint64_t value;
} script[] = {
    {0x070, 0},                            /* Status: reset */
    {0x070, 1 | 2},                        /* ACKNOWLEDGE, DRIVER */
    {0x024, 1},                            /* DriverFeaturesSel: bits 32 to 63 */
    {0x020, 1},                            /* DriverFeatures: VERSION_1 */
    {0x070, 1 | 2 | 8},                    /* FEATURES_OK */
    {0x030, 0},                            /* QueueSel */
    {0x038, 1},                            /* QueueSize */
    {0x080, GUEST_RAM_BASE + DESCRIPTORS}, /* QueueDesc */
    {0x090, GUEST_RAM_BASE + AVAILABLE},   /* QueueDriver */
    {0x0a0, GUEST_RAM_BASE + USED},        /* QueueDevice */
    {0x044, 1},                            /* QueueReady */
    {0x070, 1 | 2 | 8 | 4},                /* DRIVER_OK */
    {0x050, 0},                            /* QueueNotify */
};

static void store(struct guest *guest, uint32_t at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        guest->ram[at + i] = (uint8_t)(value >> 8 * i);
}

static uint32_t load(const struct guest *guest, uint32_t at, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)guest->ram[at + i] << 8 * i;
    return value;
}

void guest_boot(struct guest *guest)
{
    store(guest, DESCRIPTORS, 8, GUEST_RAM_BASE + BUFFER);
    store(guest, DESCRIPTORS + 8, 4, GUEST_BUFFER);
    store(guest, DESCRIPTORS + 12, 2, 2); /* the device writes */
    store(guest, AVAILABLE + 2, 2, 1);    /* entry 0, descriptor 0, is available */
    guest->step = 0;
}

bool guest_write(struct guest *guest, uint32_t *offset, uint64_t *value)
{
    if (guest->step == sizeof(script) / sizeof(script[0]))
        return false;
    *offset = script[guest->step].offset;
    *value = script[guest->step].value;
    guest->step++;
    return true;
}

const uint8_t *guest_interrupted(struct guest *guest, uint32_t *len)
{
    if (load(guest, USED + 2, 2) == 0)
        return NULL;
    *len = load(guest, USED + 8, 4);
    return guest->ram + BUFFER;
}

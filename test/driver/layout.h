/* SPDX-License-Identifier: Apache-2.0 */
/* What split.c and packed.c offer to ring.c, and offsets in the areas. */
#ifndef ANYHV_TEST_DRIVER_LAYOUT_H
#define ANYHV_TEST_DRIVER_LAYOUT_H

#include "driver/driver.h"

/* A descriptor of either layout, section 2.7.5 and 2.8.13. */
enum {
    DESC_BYTES = 16,
    DESC_ADDR = 0,
    DESC_LEN = 8,
    SPLIT_FLAGS = 12,
    SPLIT_NEXT = 14,
    PACKED_ID = 12,
    PACKED_FLAGS = 14,
};

#define DRV_NO_SLOT UINT16_MAX

struct drv_layout {
    void (*start)(struct drv_ring *ring);
    int (*add)(struct drv_ring *ring, const struct drv_chain *chain, unsigned nring);
    void (*publish)(struct drv_ring *ring);
    bool (*need_kick)(struct drv_ring *ring);
    bool (*pending)(const struct drv_ring *ring);
    /* Reads the next used element; false: it makes no sense (ring->fault is set). */
    bool (*used)(struct drv_ring *ring, uint16_t *id, uint32_t *len);
    /* Takes back the slots of chain @id and moves over the used element. */
    void (*release)(struct drv_ring *ring, uint16_t id);
    void (*irq_off)(struct drv_ring *ring);
    void (*irq_after)(struct drv_ring *ring, uint16_t n);
};

extern const struct drv_layout drv_layout_split;
extern const struct drv_layout drv_layout_packed;

/* Descriptor @i of a chain: the readable ones first. Returns its flags (WRITE or 0). */
static inline uint16_t drv_chain_buf(const struct drv_chain *chain, unsigned i,
                                     const struct drv_buf **buf)
{
    if (i < chain->nout) {
        *buf = &chain->out[i];
        return 0;
    }
    *buf = &chain->in[i - chain->nout];
    return DRV_DESC_WRITE;
}

/* Address of the table for the chain that starts at @slot. */
uint64_t drv_ring_table(const struct drv_ring *ring, const struct drv_chain *chain, uint16_t slot);

/* Section 2.7.10, vring_need_event: did the index step over @event between @old and @now? */
static inline bool drv_need_event(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif

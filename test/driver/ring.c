/* SPDX-License-Identifier: Apache-2.0 */
/* What both ring layouts share: set-up, bookkeeping of chains, IN_ORDER batches. */
#include "driver/layout.h"
#include "driver/shared.h"

static const struct drv_layout *layout(const struct drv_ring *ring)
{
    return ring->packed ? &drv_layout_packed : &drv_layout_split;
}

uint64_t drv_desc_bytes(const struct drv_ring *ring)
{
    return (uint64_t)DESC_BYTES * ring->size;
}

uint64_t drv_driver_bytes(const struct drv_ring *ring)
{
    return ring->packed ? 4 : 6 + 2 * (uint64_t)ring->size;
}

uint64_t drv_device_bytes(const struct drv_ring *ring)
{
    return ring->packed ? 4 : 6 + 8 * (uint64_t)ring->size;
}

bool drv_ring_init(struct drv_ring *ring, struct drv_mem *mem, const struct drv_ring_config *config)
{
    uint16_t size = config->size;

    if (!size || size > 32768 || !config->slots || (!config->packed && (size & (size - 1))))
        return false;
    *ring = (struct drv_ring){
        .mem = mem,
        .size = size,
        .packed = config->packed,
        .event_idx = config->event_idx,
        .in_order = config->in_order,
        .table_entries = config->table_entries,
        .slots = config->slots,
    };
    ring->desc = drv_alloc(mem, drv_desc_bytes(ring), 16);
    ring->driver = drv_alloc(mem, drv_driver_bytes(ring), 4);
    ring->device = drv_alloc(mem, drv_device_bytes(ring), 4);
    if (ring->table_entries)
        ring->tables = drv_alloc(mem, (uint64_t)DESC_BYTES * ring->table_entries * size, 16);
    if (ring->desc == DRV_NO_ADDR || ring->driver == DRV_NO_ADDR || ring->device == DRV_NO_ADDR ||
        ring->tables == DRV_NO_ADDR)
        return false;
    ring->desc_host = drv_ptr(mem, ring->desc, drv_desc_bytes(ring));
    ring->driver_host = drv_ptr(mem, ring->driver, drv_driver_bytes(ring));
    ring->device_host = drv_ptr(mem, ring->device, drv_device_bytes(ring));
    drv_ring_reset(ring);
    return true;
}

void drv_ring_reset(struct drv_ring *ring)
{
    memset(ring->desc_host, 0, (size_t)drv_desc_bytes(ring));
    memset(ring->driver_host, 0, (size_t)drv_driver_bytes(ring));
    memset(ring->device_host, 0, (size_t)drv_device_bytes(ring));
    memset(ring->slots, 0, sizeof(*ring->slots) * ring->size);
    for (unsigned i = 0; i < ring->size; i++)
        ring->slots[i].next = (uint16_t)(i + 1 < ring->size ? i + 1 : DRV_NO_SLOT);
    ring->fault = DRV_FAULT_NONE;
    ring->nfree = ring->size;
    ring->inflight = 0;
    ring->next_avail = ring->last_used = ring->unkicked = 0;
    ring->free_head = 0;
    ring->oldest = 0;
    ring->batch = false;
    ring->avail_wrap = ring->used_wrap = true;
    ring->held = false;
    layout(ring)->start(ring);
}

uint64_t drv_ring_table(const struct drv_ring *ring, const struct drv_chain *chain, uint16_t slot)
{
    if (chain->table)
        return chain->table;
    return ring->tables + (uint64_t)DESC_BYTES * ring->table_entries * slot;
}

int drv_ring_add(struct drv_ring *ring, const struct drv_chain *chain)
{
    unsigned total = chain->nout + chain->nin;
    unsigned direct = chain->direct < total ? chain->direct : total;
    unsigned nring = direct + (direct < total);
    uint64_t writable = 0;
    int id;

    if (!total || nring > ring->nfree)
        return -1;
    if (direct < total && !chain->table && total - direct > ring->table_entries)
        return -1;
    if (ring->packed && direct && direct < total)
        return -1; /* section 2.8.7: one indirect descriptor is the whole chain */
    for (unsigned i = 0; i < chain->nin; i++)
        writable += chain->in[i].len;
    id = layout(ring)->add(ring, chain, nring);
    ring->slots[id].token = chain->token;
    ring->slots[id].writable = writable < UINT32_MAX ? (uint32_t)writable : UINT32_MAX;
    ring->slots[id].ndesc = (uint16_t)nring;
    ring->slots[id].busy = true;
    ring->inflight++;
    return id;
}

void drv_ring_publish(struct drv_ring *ring)
{
    layout(ring)->publish(ring);
}

bool drv_ring_need_kick(struct drv_ring *ring)
{
    /*
     * Our descriptors first, the device's wish second. Pairs with the device's full barrier
     * between arming its notification and looking at the ring once more: one of the two sees the
     * other's store.
     */
    drv_full_barrier();
    return layout(ring)->need_kick(ring);
}

uint32_t drv_ring_kick_data(const struct drv_ring *ring, uint16_t index)
{
    /* Section 2.9: 15 bits of offset and the wrap counter; split: the index's top bit. */
    uint32_t next = ring->packed ? ring->next_avail | (uint32_t)(ring->avail_wrap ? 0x8000 : 0)
                                 : ring->next_avail;

    return index | next << 16;
}

bool drv_ring_pending(const struct drv_ring *ring)
{
    return ring->fault == DRV_FAULT_NONE && (ring->batch || layout(ring)->pending(ring));
}

/* The chain that an answer is for, and how many bytes it has. */
static bool answer(struct drv_ring *ring, uint16_t *id, uint32_t *len)
{
    if (!ring->batch) {
        if (!layout(ring)->used(ring, id, len))
            return false;
        if (*id >= ring->size || !ring->slots[*id].busy) {
            ring->fault = DRV_FAULT_ID;
            return false;
        }
        if (!ring->in_order || *id == ring->oldest)
            return true;
        /* Section 2.7.9, 2.8.8: one element for a batch names the last of its buffers. */
        ring->batch = true;
        ring->batch_id = *id;
        ring->batch_len = *len;
    }
    *id = ring->oldest;
    if (!ring->slots[*id].busy) {
        ring->fault = DRV_FAULT_ID;
        return false;
    }
    ring->batch = *id != ring->batch_id;
    /* The ones before it count as wholly written. */
    *len = ring->batch ? ring->slots[*id].writable : ring->batch_len;
    return true;
}

bool drv_ring_get(struct drv_ring *ring, struct drv_used *used)
{
    struct drv_slot *slot;
    uint32_t len = 0;
    uint16_t id = 0;

    if (!drv_ring_pending(ring) || !answer(ring, &id, &len))
        return false;
    slot = &ring->slots[id];
    if (len > slot->writable) {
        ring->fault = DRV_FAULT_LEN;
        return false;
    }
    *used = (struct drv_used){.token = slot->token, .len = len, .id = id};
    slot->busy = false;
    ring->inflight--;
    if (ring->in_order)
        ring->oldest = (uint16_t)((ring->oldest + slot->ndesc) % ring->size);
    layout(ring)->release(ring, id);
    return true;
}

void drv_ring_irq_off(struct drv_ring *ring)
{
    layout(ring)->irq_off(ring);
}

bool drv_ring_irq_after(struct drv_ring *ring, uint16_t n)
{
    layout(ring)->irq_after(ring, n);
    /*
     * The wish first, then a look at what is used. Pairs with the device's full barrier between
     * publishing used entries and reading the wish.
     */
    drv_full_barrier();
    return drv_ring_pending(ring);
}

bool drv_ring_irq_on(struct drv_ring *ring)
{
    return drv_ring_irq_after(ring, 1);
}

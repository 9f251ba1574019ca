/* SPDX-License-Identifier: Apache-2.0 */
/* The split ring, section 2.7. */
#include "driver/layout.h"
#include "driver/shared.h"

/* Avail and used ring share their first two fields. */
enum {
    RING_FLAGS = 0,
    RING_IDX = 2,
    RING_ENTRIES = 4,
    NO_INTERRUPT = 1,
    NO_NOTIFY = 1,
};

static uint8_t *avail_entry(const struct drv_ring *ring, uint16_t slot)
{
    return ring->driver_host + RING_ENTRIES + 2 * (slot & (ring->size - 1));
}

static uint8_t *used_entry(const struct drv_ring *ring, uint16_t slot)
{
    return ring->device_host + RING_ENTRIES + 8 * (slot & (ring->size - 1));
}

static uint8_t *used_event(const struct drv_ring *ring)
{
    return ring->driver_host + RING_ENTRIES + 2 * (size_t)ring->size;
}

static uint8_t *avail_event(const struct drv_ring *ring)
{
    return ring->device_host + RING_ENTRIES + 8 * (size_t)ring->size;
}

void drv_split_desc(const struct drv_mem *mem, uint64_t table, uint16_t index, uint64_t addr,
                    uint32_t len, uint16_t flags, uint16_t next)
{
    uint64_t at = table + (uint64_t)DESC_BYTES * index;

    drv_poke64(mem, at + DESC_ADDR, addr);
    drv_poke32(mem, at + DESC_LEN, len);
    drv_poke16(mem, at + SPLIT_FLAGS, flags);
    drv_poke16(mem, at + SPLIT_NEXT, next);
}

void drv_split_avail(struct drv_ring *ring, uint16_t slot, uint16_t head)
{
    drv_put16(avail_entry(ring, slot), head);
}

void drv_split_set_idx(struct drv_ring *ring, uint16_t idx)
{
    ring->next_avail = idx;
    /* Pairs with the device's acquire load of the index: ring entries and descriptors are there. */
    drv_put16_release(ring->driver_host + RING_IDX, idx);
}

void drv_split_push(struct drv_ring *ring, uint16_t head)
{
    drv_split_avail(ring, ring->next_avail, head);
    drv_split_set_idx(ring, (uint16_t)(ring->next_avail + 1));
}

void drv_split_set_flags(struct drv_ring *ring, uint16_t flags)
{
    drv_put16(ring->driver_host + RING_FLAGS, flags);
}

void drv_split_set_used_event(struct drv_ring *ring, uint16_t event)
{
    drv_put16(used_event(ring), event);
}

uint16_t drv_split_used_idx(const struct drv_ring *ring)
{
    return drv_get16_acquire(ring->device_host + RING_IDX);
}

uint16_t drv_split_used_flags(const struct drv_ring *ring)
{
    return drv_get16(ring->device_host + RING_FLAGS);
}

uint16_t drv_split_avail_event(const struct drv_ring *ring)
{
    return drv_get16(avail_event(ring));
}

void drv_split_used_elem(const struct drv_ring *ring, uint16_t slot, uint32_t *id, uint32_t *len)
{
    *id = drv_get32(used_entry(ring, slot));
    *len = drv_get32(used_entry(ring, slot) + 4);
}

static void split_start(struct drv_ring *ring)
{
    (void)ring; /* zeroed memory is a split ring: interrupts on, used_event 0 */
}

/* The descriptor that follows @index, without reading what the device could have changed. */
static uint16_t following(const struct drv_ring *ring, uint16_t index)
{
    /* Section 2.7.13.1 with IN_ORDER: descriptors in table order. */
    return ring->in_order ? (uint16_t)((index + 1) % ring->size) : ring->slots[index].next;
}

static void fill_table(struct drv_ring *ring, const struct drv_chain *chain, unsigned from,
                       uint64_t table)
{
    unsigned total = chain->nout + chain->nin;
    const struct drv_buf *buf;

    for (unsigned i = from; i < total; i++) {
        uint16_t flags = drv_chain_buf(chain, i, &buf);
        uint16_t entry = (uint16_t)(i - from);

        if (i + 1 < total)
            flags |= DRV_DESC_NEXT;
        drv_split_desc(ring->mem, table, entry, buf->addr, buf->len, flags,
                       (uint16_t)(flags & DRV_DESC_NEXT ? entry + 1 : 0));
    }
}

static int split_add(struct drv_ring *ring, const struct drv_chain *chain, unsigned nring)
{
    unsigned total = chain->nout + chain->nin;
    bool table = chain->direct < total;
    uint16_t head = ring->free_head, index = head, tail = head;

    for (unsigned i = 0; i < nring; i++) {
        uint16_t next = following(ring, index);
        struct drv_buf indirect;
        const struct drv_buf *buf;
        uint16_t flags;

        if (table && i + 1 == nring) {
            indirect.addr = drv_ring_table(ring, chain, head);
            indirect.len = DESC_BYTES * (total - i);
            fill_table(ring, chain, i, indirect.addr);
            buf = &indirect;
            flags = DRV_DESC_INDIRECT;
        } else {
            flags = drv_chain_buf(chain, i, &buf);
        }
        if (i + 1 < nring)
            flags |= DRV_DESC_NEXT;
        drv_split_desc(ring->mem, ring->desc, index, buf->addr, buf->len, flags,
                       (uint16_t)(flags & DRV_DESC_NEXT ? next : 0));
        tail = index;
        index = next;
    }
    ring->slots[head].tail = tail;
    ring->free_head = index;
    ring->nfree = (uint16_t)(ring->nfree - nring);
    drv_split_avail(ring, ring->next_avail++, head);
    ring->unkicked++;
    return head;
}

static void split_publish(struct drv_ring *ring)
{
    drv_split_set_idx(ring, ring->next_avail);
}

static bool split_need_kick(struct drv_ring *ring)
{
    uint16_t now = ring->next_avail, old = (uint16_t)(now - ring->unkicked);

    ring->unkicked = 0;
    if (ring->event_idx)
        return drv_need_event(drv_split_avail_event(ring), now, old);
    return now != old && !(drv_split_used_flags(ring) & NO_NOTIFY);
}

static bool split_pending(const struct drv_ring *ring)
{
    /* Acquire: pairs with the device's release store of the index, the elements are there. */
    return drv_split_used_idx(ring) != ring->last_used;
}

static bool split_used(struct drv_ring *ring, uint16_t *id, uint32_t *len)
{
    uint32_t wide;

    if ((uint16_t)(drv_split_used_idx(ring) - ring->last_used) > ring->inflight) {
        ring->fault = DRV_FAULT_JUMP;
        return false;
    }
    drv_split_used_elem(ring, ring->last_used, &wide, len);
    if (wide >= ring->size) {
        ring->fault = DRV_FAULT_ID;
        return false;
    }
    *id = (uint16_t)wide;
    return true;
}

static void split_release(struct drv_ring *ring, uint16_t id)
{
    struct drv_slot *slot = &ring->slots[id];

    ring->nfree = (uint16_t)(ring->nfree + slot->ndesc);
    ring->last_used++;
    if (ring->in_order)
        return;
    ring->slots[slot->tail].next = ring->free_head;
    ring->free_head = id;
}

static void split_irq_off(struct drv_ring *ring)
{
    if (ring->event_idx)
        drv_split_set_used_event(ring, (uint16_t)(ring->last_used - 1)); /* 65535 from now */
    else
        drv_split_set_flags(ring, NO_INTERRUPT);
}

static void split_irq_after(struct drv_ring *ring, uint16_t n)
{
    if (ring->event_idx)
        drv_split_set_used_event(ring, (uint16_t)(ring->last_used + n - 1));
    else
        drv_split_set_flags(ring, 0);
}

const struct drv_layout drv_layout_split = {
    .start = split_start,
    .add = split_add,
    .publish = split_publish,
    .need_kick = split_need_kick,
    .pending = split_pending,
    .used = split_used,
    .release = split_release,
    .irq_off = split_irq_off,
    .irq_after = split_irq_after,
};

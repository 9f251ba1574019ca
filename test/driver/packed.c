/* SPDX-License-Identifier: Apache-2.0 */
/* The packed ring, section 2.8. */
#include "driver/layout.h"
#include "driver/shared.h"

/* An event suppression area, section 2.8.14. */
enum {
    EVENT_OFF_WRAP = 0,
    EVENT_FLAGS = 2,
    WRAP_BIT = 0x8000,
};

static uint8_t *slot_at(const struct drv_ring *ring, uint16_t slot)
{
    return ring->desc_host + DESC_BYTES * (size_t)slot;
}

uint16_t drv_packed_avail_bits(bool wrap)
{
    return wrap ? DRV_DESC_AVAIL : DRV_DESC_USED;
}

void drv_packed_desc(const struct drv_mem *mem, uint64_t table, uint16_t slot, uint64_t addr,
                     uint32_t len, uint16_t id, uint16_t flags)
{
    uint64_t at = table + (uint64_t)DESC_BYTES * slot;

    drv_poke64(mem, at + DESC_ADDR, addr);
    drv_poke32(mem, at + DESC_LEN, len);
    drv_poke16(mem, at + PACKED_ID, id);
    /* Pairs with the device's acquire load of the flags. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    drv_poke16(mem, at + PACKED_FLAGS, flags);
}

void drv_packed_read(const struct drv_ring *ring, uint16_t slot, uint64_t *addr, uint32_t *len,
                     uint16_t *id, uint16_t *flags)
{
    uint8_t *at = slot_at(ring, slot);

    *flags = drv_get16_acquire(at + PACKED_FLAGS);
    *addr = drv_get64(at + DESC_ADDR);
    *len = drv_get32(at + DESC_LEN);
    *id = drv_get16(at + PACKED_ID);
}

void drv_packed_set_event(struct drv_ring *ring, uint16_t off_wrap, uint16_t flags)
{
    drv_put16(ring->driver_host + EVENT_OFF_WRAP, off_wrap);
    /* Offset first: the device must not pair DESC with a stale one. */
    drv_put16_release(ring->driver_host + EVENT_FLAGS, flags);
}

void drv_packed_get_event(const struct drv_ring *ring, uint16_t *off_wrap, uint16_t *flags)
{
    /* One load for both: the device writes offset and flags one after the other. */
    uint32_t both = drv_get32(ring->device_host);

    *off_wrap = (uint16_t)both;
    *flags = (uint16_t)(both >> 16);
}

static void packed_start(struct drv_ring *ring)
{
    if (ring->in_order)
        return; /* ids are slots then */
    ring->free_head = 0;
}

static void fill_table(struct drv_ring *ring, const struct drv_chain *chain, uint64_t table)
{
    const struct drv_buf *buf;

    for (unsigned i = 0; i < chain->nout + chain->nin; i++) {
        uint16_t flags = drv_chain_buf(chain, i, &buf);

        drv_packed_desc(ring->mem, table, (uint16_t)i, buf->addr, buf->len, 0, flags);
    }
}

/* Makes a chain's head visible, or keeps it back if it is the first of the batch. */
static void put_head(struct drv_ring *ring, uint16_t slot, uint16_t flags)
{
    if (ring->held) {
        drv_put16_release(slot_at(ring, slot) + PACKED_FLAGS, flags);
        return;
    }
    ring->held = true;
    ring->held_slot = slot;
    ring->held_flags = flags;
}

static int packed_add(struct drv_ring *ring, const struct drv_chain *chain, unsigned nring)
{
    unsigned total = chain->nout + chain->nin;
    uint16_t head = ring->next_avail, head_flags = 0;
    uint16_t id = ring->in_order ? head : ring->free_head;

    for (unsigned i = 0; i < nring; i++) {
        uint8_t *at = slot_at(ring, ring->next_avail);
        struct drv_buf indirect;
        const struct drv_buf *buf;
        uint16_t flags;

        if (chain->direct < total) {
            indirect.addr = drv_ring_table(ring, chain, id);
            indirect.len = DESC_BYTES * total;
            fill_table(ring, chain, indirect.addr);
            buf = &indirect;
            flags = DRV_DESC_INDIRECT;
        } else {
            flags = drv_chain_buf(chain, i, &buf);
        }
        if (i + 1 < nring)
            flags |= DRV_DESC_NEXT;
        flags |= drv_packed_avail_bits(ring->avail_wrap);
        drv_put64(at + DESC_ADDR, buf->addr);
        drv_put32(at + DESC_LEN, buf->len);
        drv_put16(at + PACKED_ID, id);
        if (i == 0)
            head_flags = flags;
        else
            drv_put16(at + PACKED_FLAGS, flags);
        if (++ring->next_avail == ring->size) {
            ring->next_avail = 0;
            ring->avail_wrap = !ring->avail_wrap;
        }
    }
    if (!ring->in_order)
        ring->free_head = ring->slots[id].next;
    ring->nfree = (uint16_t)(ring->nfree - nring);
    ring->unkicked = (uint16_t)(ring->unkicked + nring);
    put_head(ring, head, head_flags);
    return id;
}

static void packed_publish(struct drv_ring *ring)
{
    if (!ring->held)
        return;
    ring->held = false;
    /* Pairs with the device's acquire load of the flags: all of the batch is there. */
    drv_put16_release(slot_at(ring, ring->held_slot) + PACKED_FLAGS, ring->held_flags);
}

static bool packed_need_kick(struct drv_ring *ring)
{
    uint16_t now = ring->next_avail, old = (uint16_t)(now - ring->unkicked);
    bool any = ring->unkicked != 0;
    uint16_t off_wrap, flags, event;

    ring->unkicked = 0;
    drv_packed_get_event(ring, &off_wrap, &flags);
    if (!any)
        return false;
    if ((flags & 3) != DRV_EVENT_DESC)
        return (flags & 3) != DRV_EVENT_DISABLE;
    event = off_wrap & (WRAP_BIT - 1);
    if (!!(off_wrap & WRAP_BIT) != ring->avail_wrap)
        event = (uint16_t)(event - ring->size); /* an offset of the lap before */
    return drv_need_event(event, now, old);
}

static bool packed_pending(const struct drv_ring *ring)
{
    /* Acquire: pairs with the device's release store of the flags, id and length are there. */
    uint16_t flags = drv_get16_acquire(slot_at(ring, ring->last_used) + PACKED_FLAGS);
    bool avail = flags & DRV_DESC_AVAIL, used = flags & DRV_DESC_USED;

    return avail == used && used == ring->used_wrap;
}

static bool packed_used(struct drv_ring *ring, uint16_t *id, uint32_t *len)
{
    uint8_t *at = slot_at(ring, ring->last_used);

    *id = drv_get16(at + PACKED_ID);
    /* Section 2.8.4: the length counts only with WRITE. */
    *len = drv_get16(at + PACKED_FLAGS) & DRV_DESC_WRITE ? drv_get32(at + DESC_LEN) : 0;
    return true;
}

static void packed_release(struct drv_ring *ring, uint16_t id)
{
    struct drv_slot *slot = &ring->slots[id];

    ring->nfree = (uint16_t)(ring->nfree + slot->ndesc);
    ring->last_used = (uint16_t)(ring->last_used + slot->ndesc);
    if (ring->last_used >= ring->size) {
        ring->last_used = (uint16_t)(ring->last_used - ring->size);
        ring->used_wrap = !ring->used_wrap;
    }
    if (ring->in_order)
        return;
    slot->next = ring->free_head;
    ring->free_head = id;
}

static void packed_irq_off(struct drv_ring *ring)
{
    drv_put16(ring->driver_host + EVENT_FLAGS, DRV_EVENT_DISABLE);
}

static void packed_irq_after(struct drv_ring *ring, uint16_t n)
{
    unsigned off = ring->last_used + n - 1u;
    bool wrap = ring->used_wrap;

    if (!ring->event_idx) {
        drv_put16(ring->driver_host + EVENT_FLAGS, DRV_EVENT_ENABLE);
        return;
    }
    if (off >= ring->size) {
        off -= ring->size;
        wrap = !wrap;
    }
    drv_packed_set_event(ring, (uint16_t)(off | (wrap ? WRAP_BIT : 0u)), DRV_EVENT_DESC);
}

const struct drv_layout drv_layout_packed = {
    .start = packed_start,
    .add = packed_add,
    .publish = packed_publish,
    .need_kick = packed_need_kick,
    .pending = packed_pending,
    .used = packed_used,
    .release = packed_release,
    .irq_off = packed_irq_off,
    .irq_after = packed_irq_after,
};

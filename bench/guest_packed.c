/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_layout.h"

static struct packed_desc *ring_of(const struct guest *guest)
{
    return (struct packed_desc *)(void *)guest_host(guest, guest->desc);
}

static struct packed_event *event_of(const struct guest *guest)
{
    return (struct packed_event *)(void *)guest_host(guest, guest->driver);
}

void guest_packed_start(struct guest *guest)
{
    guest->wrap = guest->used_wrap = 1;
    event_of(guest)->flags = guest->scenario->event_idx ? EVENT_DESC : EVENT_DISABLE;
}

/* Writes one chain but for the flags of its first descriptor, which are returned. */
static uint16_t put(struct guest *guest, unsigned index)
{
    struct packed_desc *ring = ring_of(guest);
    uint16_t head_flags = 0;

    for (unsigned k = 0; k < guest->slots; k++) {
        const struct split_desc *from = &guest->chain[index].desc[k];
        struct packed_desc *to = &ring[guest->next];
        uint16_t flags = from->flags | ring_avail_bits(guest->wrap);

        to->addr = from->addr;
        to->len = from->len;
        to->id = (uint16_t)index;
        if (k == 0)
            head_flags = flags;
        else
            ring_store(&to->flags, flags);
        if (++guest->next == guest->size) {
            guest->next = 0;
            guest->wrap ^= 1;
        }
    }
    return head_flags;
}

/* The device cannot pass the first head: once that becomes available, all are. */
void guest_packed_post(struct guest *guest, unsigned n)
{
    struct packed_desc *ring = ring_of(guest);
    uint16_t first = guest->next, last = first, first_flags = 0;
    unsigned wrap = guest->wrap;

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags;

        last = guest->next;
        wrap = guest->wrap;
        flags = put(guest, guest_prepare(guest));
        if (i == 0)
            first_flags = flags;
        else
            ring_store(&ring[last].flags, flags);
    }
    if (guest->scenario->event_idx) /* to be told when the last of these is answered */
        ring_store(&event_of(guest)->off_wrap, (uint16_t)(last | (wrap ? EVENT_WRAP : 0)));
    ring_store_release(&ring[first].flags, first_flags);
}

unsigned guest_packed_reap(struct guest *guest)
{
    const uint16_t both = DESC_AVAIL | DESC_USED;
    unsigned n = 0;

    for (;; n++) {
        struct packed_desc *desc = &ring_of(guest)[guest->last_used];
        uint16_t flags = ring_load_acquire(&desc->flags);

        if (guest->answered == guest->posted || (flags & both) != ring_used_bits(guest->used_wrap))
            return n;
        if (!guest_check(guest, desc->id, guest->answered % guest->chains, desc->len))
            return n;
        guest->last_used = (uint16_t)(guest->last_used + guest->slots);
        if (guest->last_used >= guest->size) {
            guest->last_used = (uint16_t)(guest->last_used - guest->size);
            guest->used_wrap ^= 1;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_layout.h"

static struct split_avail *avail_of(const struct guest *guest)
{
    return (struct split_avail *)(void *)guest_host(guest, guest->driver);
}

static struct split_used *used_of(const struct guest *guest)
{
    return (struct split_used *)(void *)guest_host(guest, guest->device);
}

/* Request k always uses the same descriptors: with as many chains as requests, none is missing. */
void guest_split_start(struct guest *guest)
{
    for (unsigned i = 0; i < guest->chains; i++)
        for (unsigned k = 0; k < guest->slots; k++)
            if (guest->chain[i].desc[k].flags & DESC_NEXT)
                guest->chain[i].desc[k].next = (uint16_t)(i * guest->slots + k + 1);
    if (!guest->scenario->event_idx)
        avail_of(guest)->flags = AVAIL_NO_INTERRUPT;
}

void guest_split_post(struct guest *guest, unsigned n)
{
    struct split_desc *desc = (struct split_desc *)(void *)guest_host(guest, guest->desc);
    struct split_avail *avail = avail_of(guest);
    uint16_t mask = (uint16_t)(guest->size - 1);

    for (; n; n--) {
        unsigned index = guest_prepare(guest), head = index * guest->slots;

        for (unsigned k = 0; k < guest->slots; k++)
            desc[head + k] = guest->chain[index].desc[k];
        ring_store(&avail->ring[guest->next++ & mask], (uint16_t)head);
    }
    if (guest->scenario->event_idx) /* to be told when the last of these is answered */
        ring_store(&avail->ring[guest->size], (uint16_t)(guest->next - 1));
    ring_store_release(&avail->idx, guest->next);
}

unsigned guest_split_reap(struct guest *guest)
{
    struct split_used *used = used_of(guest);
    uint16_t idx = ring_load_acquire(&used->idx), before = guest->last_used;

    while (guest->last_used != idx) {
        const struct split_elem *elem = &used->ring[guest->last_used & (guest->size - 1)];

        if (!guest_check(guest, elem->id, guest->answered % guest->chains * guest->slots,
                         elem->len))
            break;
        guest->last_used++;
    }
    return (uint16_t)(guest->last_used - before);
}

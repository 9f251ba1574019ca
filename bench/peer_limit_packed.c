/* SPDX-License-Identifier: Apache-2.0 */
/* The same limit for the packed ring: the first head of a batch becomes used last. */
#include "peer.h"
#include "work.h"

#include <stdlib.h>

/* A position in the ring, or of an event in it. */
struct place {
    uint16_t at, wrap; /* wrap: 0 or 1 */
};

/* Constant; as in the split ring's file. */
struct ring {
    uintptr_t zero; /* where guest address 0 would be */
    struct packed_desc *desc;
    const struct packed_event *driver;
    struct packed_event *device;
    uint16_t size;
    bool event_idx;
};

struct ctx {
    struct ring ring;
    struct place next;
    uint64_t notified;
    struct work work;
};

static inline void *host(const struct ring *ring, uint64_t addr)
{
    return (void *)(ring->zero + addr);
}

static void *setup(const struct guest *guest)
{
    struct ctx *ctx = peer_alloc(sizeof(*ctx));

    ctx->ring = (struct ring){
        .zero = (uintptr_t)guest->ram - GUEST_BASE,
        .desc = (void *)guest_host(guest, guest->desc),
        .driver = (const void *)guest_host(guest, guest->driver),
        .device = (void *)guest_host(guest, guest->device),
        .size = guest->size,
        .event_idx = guest->scenario->event_idx,
    };
    ctx->next.wrap = 1;
    if (ctx->ring.event_idx)
        ctx->ring.device->flags = EVENT_DESC;
    work_init(&ctx->work, guest->scenario->copy);
    return ctx;
}

static inline uint32_t serve_table(const struct ring *ring, struct work *work,
                                   const struct packed_desc *desc, uint32_t n)
{
    uint32_t i;

    for (i = 0; i + 1 < n; i++)
        work_read(work, i, host(ring, desc[i].addr), desc[i].len);
    return work_write(work, i, i ? desc[i - 1].len : 0, host(ring, desc[i].addr), desc[i].len);
}

static inline void forward(const struct ring *ring, struct place *place)
{
    if (++place->at == ring->size) {
        place->at = 0;
        place->wrap ^= 1;
    }
}

/* Serves the request at @place and moves behind it; the bytes written. */
static inline uint32_t serve(const struct ring *ring, struct work *work, struct place *place,
                             uint16_t *id)
{
    const struct packed_desc *desc = &ring->desc[place->at];
    uint32_t readable = 0, data = 0;

    while (desc->flags & DESC_NEXT) {
        data = desc->len;
        work_read(work, readable++, host(ring, desc->addr), data);
        forward(ring, place);
        desc = &ring->desc[place->at];
    }
    forward(ring, place);
    *id = desc->id;
    if (desc->flags & DESC_INDIRECT)
        return serve_table(ring, work, host(ring, desc->addr), desc->len / (uint32_t)sizeof(*desc));
    return work_write(work, readable, data, host(ring, desc->addr), desc->len);
}

/* Section 2.8.10. */
static bool wants_notify(const struct ring *ring, struct place now, struct place old)
{
    uint16_t event = ring_load(&ring->driver->off_wrap), flags = ring_load(&ring->driver->flags);
    uint16_t off = event & (EVENT_WRAP - 1);

    if (flags != EVENT_DESC)
        return flags != EVENT_DISABLE;
    if (now.wrap != event >> 15)
        off = (uint16_t)(off - ring->size);
    if (now.wrap != old.wrap)
        old.at = (uint16_t)(old.at - ring->size);
    return ring_need_event(off, now.at, old.at);
}

static inline bool available(const struct ring *ring, struct place place)
{
    uint16_t flags = ring_load_acquire(&ring->desc[place.at].flags);

    return (flags & (DESC_AVAIL | DESC_USED)) == ring_avail_bits(place.wrap);
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;
    const struct ring ring = ctx->ring;
    const struct place old = ctx->next;
    struct place next = old;

    if (!available(&ring, old))
        return;
    do {
        struct packed_desc *used = &ring.desc[next.at];
        uint16_t flags = DESC_WRITE | ring_used_bits(next.wrap), id;
        uint32_t written = serve(&ring, &ctx->work, &next, &id);

        used->len = written;
        used->id = id;
        if (used != &ring.desc[old.at])
            ring_store(&used->flags, flags);
    } while (available(&ring, next));
    ctx->next = next;
    if (ring.event_idx)
        ring_store(&ring.device->off_wrap, (uint16_t)(next.at | next.wrap << 15));
    ring_store_release(&ring.desc[old.at].flags, DESC_WRITE | ring_used_bits(old.wrap));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ctx->notified += wants_notify(&ring, next, old);
}

static uint64_t teardown(void *priv)
{
    struct ctx *ctx = priv;
    uint64_t notified = ctx->notified;

    free(ctx);
    return notified;
}

const struct peer peer_limit_packed = {.name = "limit-packed",
                                       .packed = true,
                                       .limit = true,
                                       .setup = setup,
                                       .poll = poll,
                                       .teardown = teardown};

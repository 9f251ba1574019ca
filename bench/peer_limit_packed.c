/* SPDX-License-Identifier: Apache-2.0 */
/* The same limit for the packed ring: the head of a batch becomes used last. */
#include "peer.h"
#include "work.h"

#include <stdlib.h>

struct ctx {
    uintptr_t zero; /* where guest address 0 would be */
    struct packed_desc *desc;
    const struct packed_event *driver;
    struct packed_event *device;
    uint16_t size, next;
    uint16_t wrap; /* 0 or 1 */
    bool event_idx;
    uint64_t notified;
    struct work work;
};

static inline void *host(const struct ctx *ctx, uint64_t addr)
{
    return (void *)(ctx->zero + addr);
}

static void *setup(const struct guest *guest)
{
    struct ctx *ctx = peer_alloc(sizeof(*ctx));

    ctx->zero = (uintptr_t)guest->ram - GUEST_BASE;
    ctx->desc = (void *)guest_host(guest, guest->desc);
    ctx->driver = (const void *)guest_host(guest, guest->driver);
    ctx->device = (void *)guest_host(guest, guest->device);
    ctx->size = guest->size;
    ctx->wrap = 1;
    ctx->event_idx = guest->scenario->event_idx;
    if (ctx->event_idx)
        ctx->device->flags = EVENT_DESC;
    work_init(&ctx->work, guest->scenario->copy);
    return ctx;
}

static inline uint32_t serve_table(struct ctx *ctx, const struct packed_desc *desc, uint32_t n)
{
    uint32_t i;

    for (i = 0; i + 1 < n; i++)
        work_read(&ctx->work, i, host(ctx, desc[i].addr), desc[i].len);
    return work_write(&ctx->work, i, i ? desc[i - 1].len : 0, host(ctx, desc[i].addr), desc[i].len);
}

static inline struct packed_desc *forward(struct ctx *ctx)
{
    if (++ctx->next == ctx->size) {
        ctx->next = 0;
        ctx->wrap ^= 1;
    }
    return &ctx->desc[ctx->next];
}

/* Serves the request at the ring's position and moves behind it; the bytes written. */
static inline uint32_t serve(struct ctx *ctx, uint16_t *id)
{
    struct packed_desc *desc = &ctx->desc[ctx->next];
    uint32_t readable = 0, data = 0, written;

    for (; desc->flags & DESC_NEXT; desc = forward(ctx)) {
        data = desc->len;
        work_read(&ctx->work, readable++, host(ctx, desc->addr), data);
    }
    *id = desc->id;
    if (desc->flags & DESC_INDIRECT)
        written = serve_table(ctx, host(ctx, desc->addr), desc->len / (uint32_t)sizeof(*desc));
    else
        written = work_write(&ctx->work, readable, data, host(ctx, desc->addr), desc->len);
    forward(ctx);
    return written;
}

/* Section 2.8.10, from position @old in lap @old_wrap to where the ring is now. */
static bool wants_notify(const struct ctx *ctx, uint16_t old, uint16_t old_wrap)
{
    uint16_t event = ring_load(&ctx->driver->off_wrap), flags = ring_load(&ctx->driver->flags);
    uint16_t off = event & (EVENT_WRAP - 1);

    if (flags != EVENT_DESC)
        return flags != EVENT_DISABLE;
    if (ctx->wrap != event >> 15)
        off = (uint16_t)(off - ctx->size);
    if (ctx->wrap != old_wrap)
        old = (uint16_t)(old - ctx->size);
    return ring_need_event(off, ctx->next, old);
}

static bool available(const struct ctx *ctx)
{
    uint16_t flags = ring_load_acquire(&ctx->desc[ctx->next].flags);

    return (flags & (DESC_AVAIL | DESC_USED)) == ring_avail_bits(ctx->wrap);
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;
    struct packed_desc *first = &ctx->desc[ctx->next], *used = first;
    uint16_t old = ctx->next, old_wrap = ctx->wrap, first_flags = 0;

    if (!available(ctx))
        return;
    do {
        uint16_t flags = DESC_WRITE | ring_used_bits(ctx->wrap), id;
        uint32_t written = serve(ctx, &id);

        used->len = written;
        used->id = id;
        if (used == first)
            first_flags = flags;
        else
            ring_store(&used->flags, flags);
        used = &ctx->desc[ctx->next];
    } while (available(ctx));
    if (ctx->event_idx)
        ring_store(&ctx->device->off_wrap, (uint16_t)(ctx->next | ctx->wrap << 15));
    ring_store_release(&first->flags, first_flags);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ctx->notified += wants_notify(ctx, old, old_wrap);
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

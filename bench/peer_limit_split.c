/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a device can do with a split ring: no check, memory as one piece, one publish and
 * one fence for all that it found. Nobody may ship this; it says what a machine allows.
 */
#include "peer.h"
#include "work.h"

#include <stdlib.h>

struct ctx {
    uintptr_t zero; /* where guest address 0 would be */
    const struct split_desc *desc;
    const struct split_avail *avail;
    struct split_used *used;
    uint16_t size, next;
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
    ctx->desc = (const void *)guest_host(guest, guest->desc);
    ctx->avail = (const void *)guest_host(guest, guest->driver);
    ctx->used = (void *)guest_host(guest, guest->device);
    ctx->size = guest->size;
    ctx->event_idx = guest->scenario->event_idx;
    work_init(&ctx->work, guest->scenario->copy);
    return ctx;
}

/* Serves the request that begins at @desc; the bytes written. */
static inline uint32_t serve(struct ctx *ctx, const struct split_desc *desc)
{
    const struct split_desc *table = ctx->desc;
    uint32_t readable = 0, data = 0;

    if (desc->flags & DESC_INDIRECT)
        desc = table = host(ctx, desc->addr);
    for (; desc->flags & DESC_NEXT; desc = &table[desc->next]) {
        data = desc->len;
        work_read(&ctx->work, readable++, host(ctx, desc->addr), data);
    }
    return work_write(&ctx->work, readable, data, host(ctx, desc->addr), desc->len);
}

static bool wants_notify(const struct ctx *ctx, uint16_t old)
{
    if (ctx->event_idx)
        return ring_need_event(ring_load(&ctx->avail->ring[ctx->size]), ctx->next, old);
    return !(ring_load(&ctx->avail->flags) & AVAIL_NO_INTERRUPT);
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;
    uint16_t idx = ring_load_acquire(&ctx->avail->idx);
    uint16_t next = ctx->next, old = next, mask = (uint16_t)(ctx->size - 1);

    if (next == idx)
        return;
    for (; next != idx; next++) {
        uint16_t head = ring_load(&ctx->avail->ring[next & mask]);

        ctx->used->ring[next & mask] = (struct split_elem){head, serve(ctx, &ctx->desc[head])};
    }
    ctx->next = next;
    if (ctx->event_idx) /* avail_event stands behind the ring */
        ring_store((uint16_t *)(void *)&ctx->used->ring[ctx->size], next);
    ring_store_release(&ctx->used->idx, next);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ctx->notified += wants_notify(ctx, old);
}

static uint64_t teardown(void *priv)
{
    struct ctx *ctx = priv;
    uint64_t notified = ctx->notified;

    free(ctx);
    return notified;
}

const struct peer peer_limit_split = {
    .name = "limit-split", .limit = true, .setup = setup, .poll = poll, .teardown = teardown};

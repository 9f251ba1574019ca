/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a device can do with a split ring: no check, memory as one piece, one publish and
 * one fence for all that it found. Nobody may ship this; it says what a machine allows.
 */
#include "peer.h"
#include "work.h"

#include <stdlib.h>

/* Constant; used through a copy on the stack, which no store to guest memory can be taken to
 * change. */
struct ring {
    uintptr_t zero; /* where guest address 0 would be */
    const struct split_desc *desc;
    const struct split_avail *avail;
    struct split_used *used;
    uint16_t size;
    bool event_idx;
};

struct ctx {
    struct ring ring;
    uint16_t next;
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
        .desc = (const void *)guest_host(guest, guest->desc),
        .avail = (const void *)guest_host(guest, guest->driver),
        .used = (void *)guest_host(guest, guest->device),
        .size = guest->size,
        .event_idx = guest->scenario->event_idx,
    };
    work_init(&ctx->work, guest->scenario->copy);
    return ctx;
}

/* Serves the request that begins at @desc; the bytes written. */
static inline uint32_t serve(const struct ring *ring, struct work *work,
                             const struct split_desc *desc)
{
    const struct split_desc *table = ring->desc;
    uint32_t readable = 0, data = 0;

    if (desc->flags & DESC_INDIRECT)
        desc = table = host(ring, desc->addr);
    for (; desc->flags & DESC_NEXT; desc = &table[desc->next]) {
        data = desc->len;
        work_read(work, readable++, host(ring, desc->addr), data);
    }
    return work_write(work, readable, data, host(ring, desc->addr), desc->len);
}

static bool wants_notify(const struct ring *ring, uint16_t now, uint16_t old)
{
    if (ring->event_idx)
        return ring_need_event(ring_load(&ring->avail->ring[ring->size]), now, old);
    return !(ring_load(&ring->avail->flags) & AVAIL_NO_INTERRUPT);
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;
    const struct ring ring = ctx->ring;
    uint16_t idx = ring_load_acquire(&ring.avail->idx), mask = (uint16_t)(ring.size - 1);
    uint16_t old = ctx->next;

    if (old == idx)
        return;
    for (uint16_t next = old; next != idx; next++) {
        uint16_t head = ring_load(&ring.avail->ring[next & mask]);

        ring.used->ring[next & mask] =
            (struct split_elem){head, serve(&ring, &ctx->work, &ring.desc[head])};
    }
    ctx->next = idx;
    if (ring.event_idx) /* avail_event stands behind the ring */
        ring_store((uint16_t *)(void *)&ring.used->ring[ring.size], idx);
    ring_store_release(&ring.used->idx, idx);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ctx->notified += wants_notify(&ring, idx, old);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of the usual interface on a split ring, still without a check: a call that pops a
 * request as vectors of host memory, a call that pushes the answer, which becomes visible by
 * itself.
 */
#include "peer.h"
#include "work.h"

#include <stdlib.h>
#include <sys/uio.h>

struct ctx {
    uintptr_t zero; /* where guest address 0 would be */
    const struct split_desc *desc;
    const struct split_avail *avail;
    struct split_used *used;
    uint16_t size, next_avail, avail_seen, next_used;
    bool event_idx;
    uint64_t notified;
    struct work work;
};

struct element {
    uint16_t head;
    unsigned nout, nin;
    struct iovec out[SCENARIO_CHAIN_MAX], in[SCENARIO_CHAIN_MAX];
};

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

/* ---- the interface: each a call, as out of a library ---- */

__attribute__((noinline)) static bool pop(struct ctx *ctx, struct element *elem)
{
    const struct split_desc *table = ctx->desc, *desc;

    if (ctx->next_avail == ctx->avail_seen) {
        ctx->avail_seen = ring_load_acquire(&ctx->avail->idx);
        if (ctx->next_avail == ctx->avail_seen)
            return false;
    }
    elem->head = ring_load(&ctx->avail->ring[ctx->next_avail++ & (ctx->size - 1)]);
    elem->nout = elem->nin = 0;
    desc = &table[elem->head];
    if (desc->flags & DESC_INDIRECT)
        desc = table = (const void *)(ctx->zero + desc->addr);
    for (;; desc = &table[desc->next]) {
        struct iovec *to =
            desc->flags & DESC_WRITE ? &elem->in[elem->nin++] : &elem->out[elem->nout++];

        *to = (struct iovec){(void *)(ctx->zero + desc->addr), desc->len};
        if (!(desc->flags & DESC_NEXT))
            return true;
    }
}

__attribute__((noinline)) static void push(struct ctx *ctx, const struct element *elem,
                                           uint32_t len)
{
    ctx->used->ring[ctx->next_used++ & (ctx->size - 1)] = (struct split_elem){elem->head, len};
    ring_store_release(&ctx->used->idx, ctx->next_used);
}

__attribute__((noinline)) static bool wants_notify(struct ctx *ctx, uint16_t old)
{
    if (ctx->event_idx)
        ring_store((uint16_t *)(void *)&ctx->used->ring[ctx->size], ctx->next_avail);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (ctx->event_idx)
        return ring_need_event(ring_load(&ctx->avail->ring[ctx->size]), ctx->next_used, old);
    return !(ring_load(&ctx->avail->flags) & AVAIL_NO_INTERRUPT);
}

/* ---- its user ---- */

static uint32_t serve(struct work *work, const struct element *elem)
{
    uint32_t data = 0;

    for (unsigned i = 0; i < elem->nout; i++) {
        data = (uint32_t)elem->out[i].iov_len;
        work_read(work, i, elem->out[i].iov_base, data);
    }
    return work_write(work, elem->nout, data, elem->in[0].iov_base, (uint32_t)elem->in[0].iov_len);
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;
    struct element elem;
    uint16_t old = ctx->next_used;

    while (pop(ctx, &elem))
        push(ctx, &elem, serve(&ctx->work, &elem));
    if (ctx->next_used != old)
        ctx->notified += wants_notify(ctx, old);
}

static uint64_t teardown(void *priv)
{
    struct ctx *ctx = priv;
    uint64_t notified = ctx->notified;

    free(ctx);
    return notified;
}

const struct peer peer_limit_api = {
    .name = "limit-api", .setup = setup, .poll = poll, .teardown = teardown};

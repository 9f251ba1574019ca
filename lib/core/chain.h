/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a request while its chain is walked: what split and packed rings have in common. Each
 * descriptor was copied before it gets here; what is checked here is the copy.
 */
#ifndef ANYHV_CORE_CHAIN_H
#define ANYHV_CORE_CHAIN_H

#include "core.h"
#include "shm.h"

/* Flags of a descriptor, sections 2.7.5 and 2.8.6: the same in both layouts. */
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define DESC_SIZE     16u

/*
 * Where the walk stands. A local of the function that walks: nothing that is likely takes its
 * address, so it lives in registers.
 */
struct chain {
    struct anyhv_queue *q;
    struct anyhv_req *req;
    struct anyhv_mem *mem;
    struct anyhv_seg *seg, *end; /* the next free place, and the end of its block */
    uint16_t *next;              /* where the number of the block after goes */
    uint32_t readable, writable;
    uint16_t count; /* descriptors stored */
    bool writing;
};

#define CHAIN_INLINE static inline __attribute__((always_inline))

CHAIN_INLINE struct chain chain_begin(struct anyhv_queue *q, struct anyhv_req *req)
{
    req->chunks = 0;
    req->rd.seg = req->segs;
    req->rd.end = req->segs + ANYHV_REQ_SEGS;
    req->rd.next = &req->chunks;
    req->rd.off = 0;
    return (struct chain){.q = q,
                          .req = req,
                          .mem = req->mem,
                          .seg = req->segs,
                          .end = req->segs + ANYHV_REQ_SEGS,
                          .next = &req->chunks};
}

CHAIN_INLINE void chain_start_writing(struct chain *c)
{
    struct anyhv_cursor *at = &c->req->wr_start;

    c->writing = true;
    at->seg = c->seg;
    at->end = c->end;
    at->next = c->next;
    at->off = 0;
}

CHAIN_INLINE void chain_end(struct chain *c)
{
    struct anyhv_req *req = c->req;

    if (!c->writing) /* a cursor that never moves still has to point somewhere */
        chain_start_writing(c);
    req->rd.left = c->readable;
    req->writable = c->writable;
    req->wr_start.left = c->writable;
    req->wr = req->wr_start;
}

/* Counts and reports; what a chain that cannot be served ends with. */
enum take anyhv_chain_reject(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b);
/*
 * A further block of places after @count of them, its number to *@next; NULL: *@why is
 * TAKE_STALLED or TAKE_REJECTED.
 */
struct anyhv_chunk *anyhv_chain_grow(struct anyhv_req *req, uint16_t *next, uint16_t count,
                                     enum take *why);
/* No region holds this buffer in one piece: is it wrong, or to be mapped later (TAKE_OK)? */
enum take anyhv_chain_check(struct anyhv_queue *q, uint64_t addr, uint32_t len, unsigned perm);
/* An empty buffer is legal and carries nothing. */
enum take anyhv_chain_empty(struct anyhv_queue *q, uint16_t head);

/* Adds one buffer. The order is checked before the length: an empty buffer has a direction too. */
CHAIN_INLINE enum take chain_add(struct chain *c, uint64_t addr, uint32_t len, bool write)
{
    unsigned perm = write ? ANYHV_W : ANYHV_R;
    uint32_t total = write ? c->writable : c->readable;
    enum take rc;

    if (UNLIKELY(c->writing && !write))
        return anyhv_chain_reject(c->q, ANYHV_V_ORDER, c->req->head, c->count);
    if (UNLIKELY(len == 0))
        return anyhv_chain_empty(c->q, c->req->head);
    if (UNLIKELY(len > UINT32_MAX - total))
        return anyhv_chain_reject(c->q, ANYHV_V_TOO_BIG, c->req->head, 0);
    if (UNLIKELY(c->seg == c->end)) {
        struct anyhv_chunk *chunk = anyhv_chain_grow(c->req, c->next, c->count, &rc);

        if (!chunk)
            return rc;
        c->seg = chunk->seg;
        c->end = chunk->seg + ANYHV_CHUNK_SEGS;
        c->next = &chunk->next;
    }
    if (write && !c->writing)
        chain_start_writing(c);
    c->seg->addr = addr;
    c->seg->len = len;
    c->seg->host = core_host(c->mem, addr, len, perm);
    if (UNLIKELY(!c->seg->host)) {
        rc = anyhv_chain_check(c->q, addr, len, perm);
        if (rc != TAKE_OK)
            return rc;
    }
    if (write)
        c->writable = total + len;
    else
        c->readable = total + len;
    c->seg++;
    c->count++;
    return TAKE_OK;
}

/*
 * The entries of an indirect table, copied a block at a time: in grant memory every look at the
 * guest is a hypercall.
 */
#define TABLE_BLOCK 16u

struct table {
    struct anyhv_mem *mem;
    uint64_t addr;
    uint32_t entries;
    uint32_t first, count; /* what bytes[] holds */
    uint8_t bytes[TABLE_BLOCK * DESC_SIZE];
};

/* Checks where and how long the table is; @len in bytes. */
enum take anyhv_chain_table(const struct chain *c, struct table *t, uint64_t addr, uint32_t len);
/* Entry @i (below t->entries) to *@out. */
enum take anyhv_chain_table_entry(const struct chain *c, struct table *t, uint32_t i,
                                  struct shm_desc *out);

#endif

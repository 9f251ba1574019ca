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

struct chain {
    struct anyhv_queue *q;
    struct anyhv_req *req;
    struct anyhv_seg *seg, *end; /* the next free place, and the end of its block */
    uint16_t *next;              /* where the number of the block after goes */
    uint32_t readable, writable;
    uint16_t count; /* descriptors stored */
    bool writing;
};

static inline void chain_begin(struct chain *c, struct anyhv_queue *q, struct anyhv_req *req)
{
    c->q = q;
    c->req = req;
    c->seg = req->segs;
    c->end = req->segs + ANYHV_REQ_SEGS;
    c->next = &req->chunks;
    c->readable = c->writable = 0;
    c->count = 0;
    c->writing = false;
    req->chunks = 0;
    req->rd.seg = c->seg;
    req->rd.end = c->end;
    req->rd.next = c->next;
    req->rd.off = 0;
}

static inline void chain_end(struct chain *c)
{
    struct anyhv_req *req = c->req;

    req->rd.left = c->readable;
    req->writable = c->writable;
    req->wr_start.left = c->writable;
    if (!c->writing) { /* a cursor that never moves still has to point somewhere */
        req->wr_start.seg = c->seg;
        req->wr_start.end = c->end;
        req->wr_start.next = c->next;
        req->wr_start.off = 0;
    }
    req->wr = req->wr_start;
}

/* Counts and reports; what a chain that cannot be served ends with. */
enum take chain_reject(struct chain *c, enum anyhv_violation v, uint64_t a, uint64_t b);
/* A further block of places for descriptors. */
enum take chain_grow(struct chain *c);
/* No region holds this buffer in one piece: is it wrong, or to be mapped later (TAKE_OK)? */
enum take chain_check(struct chain *c, uint64_t addr, uint32_t len, unsigned perm);
/* An empty buffer is legal and carries nothing. */
enum take chain_empty(struct chain *c);

static inline void chain_start_writing(struct chain *c)
{
    struct anyhv_cursor *at = &c->req->wr_start;

    c->writing = true;
    at->seg = c->seg;
    at->end = c->end;
    at->next = c->next;
    at->off = 0;
}

/* Adds one buffer. The order is checked before the length: an empty buffer has a direction too. */
static inline enum take chain_add(struct chain *c, uint64_t addr, uint32_t len, bool write)
{
    unsigned perm = write ? ANYHV_W : ANYHV_R;
    uint32_t *total = write ? &c->writable : &c->readable;
    enum take rc;

    if (UNLIKELY(c->writing && !write))
        return chain_reject(c, ANYHV_V_ORDER, c->req->head, c->count);
    if (UNLIKELY(len == 0))
        return chain_empty(c);
    if (UNLIKELY(len > UINT32_MAX - *total))
        return chain_reject(c, ANYHV_V_TOO_BIG, c->req->head, 0);
    if (UNLIKELY(c->seg == c->end)) {
        rc = chain_grow(c);
        if (rc != TAKE_OK)
            return rc;
    }
    if (write && !c->writing)
        chain_start_writing(c);
    c->seg->addr = addr;
    c->seg->len = len;
    c->seg->host = core_host(c->q->dev->mem, addr, len, perm);
    if (UNLIKELY(!c->seg->host)) {
        rc = chain_check(c, addr, len, perm);
        if (rc != TAKE_OK)
            return rc;
    }
    *total += len;
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
enum take chain_table(struct chain *c, struct table *t, uint64_t addr, uint32_t len);
/* Entry @i (below t->entries) to *@out. */
enum take chain_table_entry(struct chain *c, struct table *t, uint32_t i, struct shm_desc *out);

#endif

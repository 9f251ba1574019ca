/* SPDX-License-Identifier: Apache-2.0 */
/* The unlikely turns of a chain, and indirect tables (sections 2.7.5.3 and 2.8.8). */
#include "chain.h"

enum take anyhv_chain_reject(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    anyhv_core_violation(q->dev, q->index, v, a, b);
    return TAKE_REJECTED;
}

enum take anyhv_chain_empty(struct anyhv_queue *q, uint16_t head)
{
    anyhv_core_violation(q->dev, q->index, ANYHV_V_ZERO_LENGTH, head, 0);
    return TAKE_OK;
}

unsigned anyhv_chain_count(const struct anyhv_req *req, const struct anyhv_seg *seg)
{
    const struct anyhv_seg *block = req->segs;
    unsigned places = ANYHV_REQ_SEGS, before = 0;

    while (seg < block || seg > block + places) {
        before += places;
        block = req->queue->chunks[block[places - 1].link - 1].seg;
        places = ANYHV_CHUNK_SEGS;
    }
    return before + (unsigned)(seg - block);
}

/*
 * Without a free chunk the chain waits for other requests to give theirs back; if there are none
 * it will never fit.
 */
struct anyhv_seg *anyhv_chain_grow(struct anyhv_req *req, struct anyhv_seg *last, enum take *why)
{
    struct anyhv_queue *q = req->queue;
    unsigned all = ANYHV_REQ_SEGS + q->nchunks * ANYHV_CHUNK_SEGS;
    struct anyhv_chunk *chunk = anyhv_core_chunk_take(q, &last->link);

    if (!chunk) {
        *why = anyhv_chain_count(req, last) + 1 == all
                   ? anyhv_chain_reject(q, ANYHV_V_TOO_LONG, req->head, all)
                   : TAKE_STALLED;
        return NULL;
    }
    if (!req->chunks)
        req->chunks = last->link;
    return chunk->seg;
}

enum take anyhv_chain_find(struct anyhv_queue *q, struct anyhv_seg *seg, unsigned perm)
{
    struct anyhv_mem *mem = q->dev->mem;

    seg->host = anyhv_mem_host(mem, seg->addr, seg->len, perm);
    if (seg->host)
        return TAKE_OK;
    switch (anyhv_mem_check(mem, seg->addr, seg->len, perm)) { /* wrong, or to be mapped later? */
    case ANYHV_OK:
        return TAKE_OK;
    case ANYHV_E_PERM:
        return anyhv_chain_reject(q, ANYHV_V_BAD_PERMISSION, seg->addr, seg->len);
    default:
        return anyhv_chain_reject(q, ANYHV_V_BAD_ADDRESS, seg->addr, seg->len);
    }
}

const uint8_t *anyhv_chain_plain_table(const struct anyhv_queue *q, uint64_t addr, uint32_t len)
{
    struct anyhv_mem *mem = q->dev->mem;
    uint8_t *host;

    if (!q->indirect || len == 0 || len % DESC_SIZE || len > ANYHV_INDIRECT_MAX * DESC_SIZE)
        return NULL;
    if (!core_hit(mem, addr, len, &host))
        host = anyhv_core_host(mem, addr, len, ANYHV_R);
    return (uintptr_t)host % sizeof(uint64_t) ? NULL : host;
}

enum take anyhv_chain_table(const struct chain *c, struct table *t, uint64_t addr, uint32_t len)
{
    t->mem = c->req->mem;
    t->addr = addr;
    t->entries = len / DESC_SIZE;
    t->first = t->count = 0;
    if (len == 0 || len % DESC_SIZE || t->entries > ANYHV_INDIRECT_MAX)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_LEN, c->req->head, len);
    if (anyhv_mem_check(t->mem, addr, len, ANYHV_R))
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_TABLE, c->req->head, addr);
    return TAKE_OK;
}

enum take anyhv_chain_table_entry(const struct chain *c, struct table *t, uint32_t i,
                                  struct shm_desc *out)
{
    if (i - t->first >= t->count) {
        uint32_t rest = t->entries - i;
        int rc;

        t->first = i;
        t->count = rest < TABLE_BLOCK ? rest : TABLE_BLOCK;
        rc = anyhv_mem_read(t->mem, t->addr + (uint64_t)i * DESC_SIZE, t->bytes,
                            t->count * DESC_SIZE);
        if (rc == ANYHV_E_NORES || rc == ANYHV_E_LOST)
            return TAKE_STALLED; /* not the guest's fault */
        if (rc)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_TABLE, c->req->head, t->addr);
    }
    *out = shm_parse_desc(t->bytes + (size_t)(i - t->first) * DESC_SIZE);
    return TAKE_OK;
}

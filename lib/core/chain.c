/* SPDX-License-Identifier: Apache-2.0 */
/* The unlikely turns of a chain, and indirect tables (sections 2.7.5.3 and 2.8.8). */
#include "chain.h"

enum take chain_reject(struct chain *c, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    core_violation(c->q->dev, c->q->index, v, a, b);
    return TAKE_REJECTED;
}

enum take chain_empty(struct chain *c)
{
    core_violation(c->q->dev, c->q->index, ANYHV_V_ZERO_LENGTH, c->req->head, 0);
    return TAKE_OK;
}

/*
 * Without a free chunk the chain waits for other requests to give theirs back; if there are none
 * it will never fit.
 */
enum take chain_grow(struct chain *c)
{
    struct anyhv_chunk *chunk = core_chunk_take(c->q, c->next);

    if (!chunk) {
        uint16_t own = (uint16_t)((c->count - ANYHV_REQ_SEGS) / ANYHV_CHUNK_SEGS);

        if (own == c->q->nchunks)
            return chain_reject(c, ANYHV_V_TOO_LONG, c->req->head, c->count);
        return TAKE_STALLED;
    }
    c->seg = chunk->seg;
    c->end = chunk->seg + ANYHV_CHUNK_SEGS;
    c->next = &chunk->next;
    return TAKE_OK;
}

enum take chain_check(struct chain *c, uint64_t addr, uint32_t len, unsigned perm)
{
    switch (anyhv_mem_check(c->q->dev->mem, addr, len, perm)) {
    case ANYHV_OK:
        return TAKE_OK;
    case ANYHV_E_PERM:
        return chain_reject(c, ANYHV_V_BAD_PERMISSION, addr, len);
    default:
        return chain_reject(c, ANYHV_V_BAD_ADDRESS, addr, len);
    }
}

enum take chain_table(struct chain *c, struct table *t, uint64_t addr, uint32_t len)
{
    t->mem = c->q->dev->mem;
    t->addr = addr;
    t->entries = len / DESC_SIZE;
    t->first = t->count = 0;
    if (len == 0 || len % DESC_SIZE || t->entries > ANYHV_INDIRECT_MAX)
        return chain_reject(c, ANYHV_V_INDIRECT_LEN, c->req->head, len);
    if (anyhv_mem_check(t->mem, addr, len, ANYHV_R))
        return chain_reject(c, ANYHV_V_INDIRECT_TABLE, c->req->head, addr);
    return TAKE_OK;
}

enum take chain_table_entry(struct chain *c, struct table *t, uint32_t i, struct shm_desc *out)
{
    if (i - t->first >= t->count) {
        uint32_t rest = t->entries - i;
        int rc;

        t->first = i;
        t->count = rest < TABLE_BLOCK ? rest : TABLE_BLOCK;
        rc = anyhv_mem_read(t->mem, t->addr + (uint64_t)i * DESC_SIZE, t->bytes,
                            t->count * DESC_SIZE);
        if (rc == ANYHV_E_NORES)
            return TAKE_STALLED;
        if (rc)
            return chain_reject(c, ANYHV_V_INDIRECT_TABLE, c->req->head, t->addr);
    }
    *out = shm_parse_desc(t->bytes + (size_t)(i - t->first) * DESC_SIZE);
    return TAKE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Indirect descriptor tables, sections 2.7.5.3 and 2.8.8: what both layouts share. */
#include "chain.h"

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split ring, section 2.7, from the device's side.
 *
 * Barriers, each with the driver's half that it pairs with:
 *   [A] load avail.idx, acquire   <-> driver: write entries and descriptors, then avail.idx
 *   [B] store used.idx, release   <-> driver: read used.idx, then entries
 *   [C] full fence between our index or event store and our load of the other side's (run.c)
 */
#include "chain.h"

#define USED_NO_NOTIFY     1u
#define AVAIL_NO_INTERRUPT 1u

static const void *avail_flags(const struct anyhv_queue *q)
{
    return q->driver;
}

static const void *avail_idx(const struct anyhv_queue *q)
{
    return q->driver + 2;
}

static const void *avail_entry(const struct anyhv_queue *q, uint16_t i)
{
    return q->driver + 4 + 2 * (size_t)(i & (q->size - 1));
}

static const void *used_event(const struct anyhv_queue *q)
{
    return q->driver + 4 + 2 * (size_t)q->size;
}

static void *used_flags(const struct anyhv_queue *q)
{
    return q->device;
}

static void *used_idx(const struct anyhv_queue *q)
{
    return q->device + 2;
}

static size_t used_entry_off(const struct anyhv_queue *q, uint16_t i)
{
    return 4 + 8 * (size_t)(i & (q->size - 1));
}

static void *avail_event(const struct anyhv_queue *q)
{
    return q->device + 4 + 8 * (size_t)q->size;
}

static void dirty_used(struct anyhv_queue *q, size_t off, size_t len)
{
    core_dirty(q->dev->mem, q->state->device + off, len);
}

/* ---- taking a chain ---- */

static enum take walk_table(struct chain *c, uint64_t addr, uint32_t len)
{
    struct table table;
    enum take rc = anyhv_chain_table(c, &table, addr, len);
    uint32_t i = 0, seen = 0;

    while (rc == TAKE_OK) {
        struct shm_desc desc;

        if (seen++ == table.entries)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_LOOP, c->req->head, table.entries);
        rc = anyhv_chain_table_entry(c, &table, i, &desc);
        if (rc != TAKE_OK)
            break;
        if (desc.lo & DESC_INDIRECT)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_NESTED, c->req->head, i);
        rc = chain_add(c, desc.addr, desc.len, desc.lo & DESC_WRITE);
        if (rc != TAKE_OK || !(desc.lo & DESC_NEXT))
            break;
        i = desc.hi;
        if (i >= table.entries)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_RANGE, c->req->head, i);
    }
    return rc;
}

/* On a copy of the walk's position, which may then stay in registers everywhere else. */
static inline enum take walk_indirect(struct chain *c, uint64_t addr, uint32_t len)
{
    struct chain at = *c;
    enum take rc = walk_table(&at, addr, len);

    *c = at;
    return rc;
}

static enum take broken(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    anyhv_core_queue_break(q, v, a, b);
    return TAKE_BROKEN;
}

CHAIN_INLINE enum take walk(struct chain *c, uint16_t head)
{
    struct anyhv_queue *q = c->q;
    uint16_t i = head;

    /* Counted by descriptors, so that a loop of empty ones ends as well. */
    for (uint32_t seen = 0; seen < q->size; seen++) {
        struct shm_desc desc = shm_load_desc(q->desc + (size_t)i * DESC_SIZE);
        enum take rc;

        if (desc.lo & DESC_INDIRECT) {
            if (desc.lo & DESC_NEXT)
                return broken(q, ANYHV_V_INDIRECT_NEXT, head, desc.lo);
            if (!q->indirect)
                return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_OFF, head, desc.lo);
            return walk_indirect(c, desc.addr, desc.len);
        }
        rc = chain_add(c, desc.addr, desc.len, desc.lo & DESC_WRITE);
        if (rc != TAKE_OK || !(desc.lo & DESC_NEXT))
            return rc;
        i = desc.hi;
        if (i >= q->size)
            return broken(q, ANYHV_V_NEXT_RANGE, i, q->size);
    }
    return broken(q, ANYHV_V_CHAIN_LOOP, head, q->size);
}

/* The driver's index, read only when what it showed last time is used up. */
static enum take look(struct anyhv_queue *q)
{
    uint16_t idx = shm_load16_acquire(avail_idx(q)); /* [A] */
    uint16_t pending = (uint16_t)(idx - q->next_avail);

    if (pending == 0)
        return TAKE_EMPTY;
    if (pending > q->size)
        return broken(q, ANYHV_V_AVAIL_JUMP, pending, q->size);
    if ((uint32_t)pending + q->inflight > q->size)
        return broken(q, ANYHV_V_INFLIGHT, (uint32_t)pending + q->inflight, q->size);
    q->avail_seen = idx;
    return TAKE_OK;
}

enum take anyhv_split_take(struct anyhv_queue *q, struct anyhv_req **out)
{
    struct anyhv_req *req;
    struct chain chain;
    enum take rc;
    uint16_t head;

    if (q->next_avail == q->avail_seen) {
        rc = look(q);
        if (rc != TAKE_OK)
            return rc;
    }
    head = shm_load16(avail_entry(q, q->next_avail));
    if (head >= q->size)
        return broken(q, ANYHV_V_HEAD_RANGE, head, q->size);
    req = core_slot_take(q);
    if (!req)
        return TAKE_STALLED;
    req->head = head;
    req->ndesc = 1;
    chain = chain_begin(q, req);
    rc = walk(&chain, head);
    if (rc > TAKE_REJECTED) {
        core_slot_free(q, req);
        return rc;
    }
    chain_end(&chain);
    q->next_avail++;
    *out = req;
    return rc;
}

void anyhv_split_untake(struct anyhv_queue *q, const struct anyhv_req *req)
{
    q->next_avail = (uint16_t)(q->next_avail - req->ndesc);
}

/* ---- giving it back ---- */

static void write_used(struct anyhv_queue *q, uint16_t at, const struct anyhv_req *req)
{
    uint8_t *entry = q->device + used_entry_off(q, at);

    shm_store32(entry, req->head);
    shm_store32(entry + 4, req->written);
    dirty_used(q, used_entry_off(q, at), 8);
}

/*
 * Section 2.7.9: with IN_ORDER one entry may stand for a batch, in the place of the batch's first
 * and with the values of its last. Buffers it skips count as filled, so a short one ends a batch.
 */
static bool may_skip(const struct anyhv_queue *q, const struct anyhv_req *req,
                     const struct anyhv_req *next)
{
    return q->in_order && next && next->seq == (uint16_t)(req->seq + 1) &&
           req->written == req->writable;
}

void anyhv_split_put(struct anyhv_queue *q)
{
    struct anyhv_req *req = core_slot(q, q->done.head);
    uint16_t place = q->next_used, before = q->next_used;

    while (req && (!q->in_order || req->seq == q->seq_used)) {
        struct anyhv_req *next = core_slot(q, req->next);

        q->next_used++;
        q->unnotified++;
        q->seq_used++;
        q->inflight--;
        q->ndone--;
        if (!may_skip(q, req, next)) {
            write_used(q, place, req);
            place = q->next_used;
        }
        core_slot_free(q, req);
        req = next;
    }
    q->done.head = req ? (uint16_t)(req->slot + 1) : 0;
    if (!req)
        q->done.tail = 0;
    if (q->next_used == before)
        return;
    shm_store16_release(used_idx(q), q->next_used); /* [B] */
    dirty_used(q, 2, 2);
}

/* ---- notifications ---- */

void anyhv_split_arm(struct anyhv_queue *q, bool on)
{
    if (q->event_idx) {
        if (!on)
            return; /* an event index that is left alone does not fire again */
        shm_store16(avail_event(q), q->next_avail);
        dirty_used(q, 4 + 8 * (size_t)q->size, 2);
    }
    if (q->muted != on)
        return;
    shm_store16(used_flags(q), on || q->event_idx ? 0 : USED_NO_NOTIFY);
    dirty_used(q, 0, 2);
    q->muted = !on;
}

bool anyhv_split_available(const struct anyhv_queue *q)
{
    return shm_load16(avail_idx(q)) != q->next_avail;
}

bool anyhv_split_wants_notify(const struct anyhv_queue *q)
{
    if (!q->event_idx)
        return !(shm_load16(avail_flags(q)) & AVAIL_NO_INTERRUPT);
    return !q->notified || q->unnotified > UINT16_MAX ||
           core_need_event(shm_load16(used_event(q)), q->next_used,
                           (uint16_t)(q->next_used - q->unnotified));
}

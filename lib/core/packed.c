/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed ring, section 2.8, from the device's side. Used descriptors go where the next used
 * position is, not where the chain was taken from: a chain that was taken is never read again.
 *
 * Barriers, each with the driver's half that it pairs with:
 *   [A] load of flags, acquire (shm_load_desc)   <-> driver: write descriptor, then its flags
 *   [B] store of the batch's first flags, release <-> driver: read flags, then id and length
 *   [C] full fence between our store and our load of the other side's event words (run.c)
 *   [D] event offset before event flags, release  <-> driver: read flags, then offset
 */
#include "chain.h"

#define DESC_AVAIL    (1u << 7)
#define DESC_USED     (1u << 15)

#define EVENT_ENABLE  0u
#define EVENT_DISABLE 1u
#define EVENT_DESC    2u

static uint8_t *slot_at(const struct anyhv_queue *q, uint16_t i)
{
    return q->desc + (size_t)i * DESC_SIZE;
}

static bool is_available(uint16_t flags, bool wrap)
{
    return !!(flags & DESC_AVAIL) == wrap && !!(flags & DESC_USED) != wrap;
}

/* Moves a position @n slots on, n at most the size. */
static void forward(const struct anyhv_queue *q, uint16_t *at, bool *wrap, uint32_t n)
{
    uint32_t to = *at + n;

    if (to >= q->size) {
        to -= q->size;
        *wrap = !*wrap;
    }
    *at = (uint16_t)to;
}

/* ---- taking a chain ---- */

/* Section 2.8.8: in a packed table only the WRITE flag means anything, and order is table order. */
static enum take walk_table(struct chain *c, const struct shm_desc *desc)
{
    struct table table;
    enum take rc;

    if (!c->q->indirect)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_OFF, c->req->head, desc->hi);
    if (c->count)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_MIXED, c->req->head, c->count);
    rc = anyhv_chain_table(c, &table, desc->addr, desc->len);
    for (uint32_t i = 0; rc == TAKE_OK && i < table.entries; i++) {
        struct shm_desc entry;

        rc = anyhv_chain_table_entry(c, &table, i, &entry);
        if (rc == TAKE_OK)
            rc = chain_add(c, entry.addr, entry.len, entry.hi & DESC_WRITE);
    }
    return rc;
}

/* On copies, so that position and descriptor may stay in registers everywhere else. */
static inline enum take walk_indirect(struct chain *c, struct shm_desc desc)
{
    struct chain at = *c;
    enum take rc = walk_table(&at, &desc);

    *c = at;
    return rc;
}

static enum take broken(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    anyhv_core_queue_break(q, v, a, b);
    return TAKE_BROKEN;
}

/*
 * Walks to the end of the chain even if a descriptor on the way is refused: the number of slots
 * must be known to give the chain back. The buffer id stands in the last one.
 */
CHAIN_INLINE enum take walk(struct chain *c, struct shm_desc desc)
{
    struct anyhv_queue *q = c->q;
    uint16_t at = q->next_avail;
    bool wrap = q->avail_wrap;
    enum take rc = TAKE_OK;
    uint16_t seen = 1;

    for (;; seen++) {
        if (desc.hi & DESC_INDIRECT) {
            if (desc.hi & DESC_NEXT)
                return broken(q, ANYHV_V_INDIRECT_NEXT, at, desc.hi);
            if (rc == TAKE_OK)
                rc = walk_indirect(c, desc);
        } else if (rc == TAKE_OK) {
            rc = chain_add(c, desc.addr, desc.len, desc.hi & DESC_WRITE);
        }
        if (rc == TAKE_STALLED)
            return rc;
        if (!(desc.hi & DESC_NEXT))
            break;
        if (seen == q->size)
            return broken(q, ANYHV_V_CHAIN_LOOP, q->next_avail, q->size);
        forward(q, &at, &wrap, 1);
        desc = shm_load_desc(slot_at(q, at));
        if (!is_available(desc.hi, wrap))
            return broken(q, ANYHV_V_PACKED_PARTIAL, q->next_avail, at);
    }
    if ((uint32_t)q->inflight_descs + seen > q->size)
        return broken(q, ANYHV_V_INFLIGHT, (uint32_t)q->inflight_descs + seen, q->size);
    c->req->head = desc.lo;
    c->req->ndesc = seen;
    return rc;
}

enum take anyhv_packed_take(struct anyhv_queue *q, struct anyhv_req **out)
{
    struct shm_desc first = shm_load_desc(slot_at(q, q->next_avail)); /* [A] */
    struct anyhv_req *req;
    struct chain chain;
    enum take rc;

    if (!is_available(first.hi, q->avail_wrap))
        return TAKE_EMPTY;
    req = core_slot_take(q);
    if (!req)
        return TAKE_STALLED;
    req->head = q->next_avail; /* for reports, until the buffer id is known */
    chain = chain_begin(q, req);
    rc = walk(&chain, first);
    if (rc > TAKE_REJECTED) {
        core_slot_free(q, req);
        return rc;
    }
    chain_end(&chain);
    forward(q, &q->next_avail, &q->avail_wrap, req->ndesc);
    q->inflight_descs = (uint16_t)(q->inflight_descs + req->ndesc);
    *out = req;
    return rc;
}

void anyhv_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req)
{
    if (q->next_avail < req->ndesc) {
        q->next_avail = (uint16_t)(q->next_avail + q->size);
        q->avail_wrap = !q->avail_wrap;
    }
    q->next_avail = (uint16_t)(q->next_avail - req->ndesc);
    q->inflight_descs = (uint16_t)(q->inflight_descs - req->ndesc);
}

/* ---- giving it back ---- */

static uint16_t used_flags(bool wrap, const struct anyhv_req *req)
{
    return (uint16_t)((wrap ? DESC_AVAIL | DESC_USED : 0) | (req->written ? DESC_WRITE : 0));
}

/* The first descriptor of a batch, whose flags are written last. */
struct first {
    uint8_t *flags;
    uint16_t value;
};

static void write_used(struct anyhv_queue *q, uint16_t at, bool wrap, const struct anyhv_req *req,
                       struct first *first)
{
    uint8_t *slot = slot_at(q, at);

    shm_store32(slot + 8, req->written);
    shm_store16(slot + 12, req->head);
    if (!first->flags) {
        first->flags = slot + 14;
        first->value = used_flags(wrap, req);
    } else {
        shm_store16(slot + 14, used_flags(wrap, req));
    }
    core_dirty(q->dev->mem, q->state->desc + (uint64_t)at * DESC_SIZE + 8, 8);
}

/* As for the split ring: with IN_ORDER one used descriptor may stand for a batch, section 2.8.7. */
static bool may_skip(const struct anyhv_queue *q, const struct anyhv_req *req,
                     const struct anyhv_req *next)
{
    return q->in_order && next && next->seq == (uint16_t)(req->seq + 1) &&
           req->written == req->writable;
}

void anyhv_packed_put(struct anyhv_queue *q)
{
    struct anyhv_req *req = core_slot(q, q->done.head);
    uint16_t place = q->next_used;
    bool place_wrap = q->used_wrap;
    struct first first = {0};

    while (req && (!q->in_order || req->seq == q->seq_used)) {
        struct anyhv_req *next = core_slot(q, req->next);

        forward(q, &q->next_used, &q->used_wrap, req->ndesc);
        q->unnotified += req->ndesc;
        q->seq_used++;
        q->inflight--;
        q->inflight_descs = (uint16_t)(q->inflight_descs - req->ndesc);
        q->ndone--;
        if (!may_skip(q, req, next)) {
            write_used(q, place, place_wrap, req, &first);
            place = q->next_used;
            place_wrap = q->used_wrap;
        }
        core_slot_free(q, req);
        req = next;
    }
    q->done.head = req ? (uint16_t)(req->slot + 1) : 0;
    if (!req)
        q->done.tail = 0;
    if (first.flags)
        shm_store16_release(first.flags, first.value); /* [B] */
}

/* ---- notifications ---- */

void anyhv_packed_arm(struct anyhv_queue *q, bool on)
{
    if (on && q->event_idx) {
        shm_store16(q->device, (uint16_t)(q->next_avail | (unsigned)q->avail_wrap << 15));
        shm_store16_release(q->device + 2, EVENT_DESC); /* [D] */
    } else if (q->muted == on) {
        shm_store16(q->device + 2, on ? EVENT_ENABLE : EVENT_DISABLE);
    } else {
        return;
    }
    q->muted = !on;
    core_dirty(q->dev->mem, q->state->device, 4);
}

bool anyhv_packed_available(const struct anyhv_queue *q)
{
    return is_available(shm_load16(slot_at(q, q->next_avail) + 14), q->avail_wrap);
}

/* Section 2.8.10; both words in one load, so that they belong together. */
bool anyhv_packed_wants_notify(const struct anyhv_queue *q)
{
    uint32_t words = shm_load32(q->driver);
    uint16_t off = words & 0x7fff;
    bool wrap = words >> 15 & 1;
    unsigned flags = words >> 16 & 3;

    if (flags != EVENT_DESC || !q->event_idx)
        return flags != EVENT_DISABLE;
    if (!q->notified || q->unnotified >= q->size) /* a whole lap holds every event */
        return true;
    if (wrap != q->used_wrap)
        off = (uint16_t)(off - q->size);
    return core_need_event(off, q->next_used, (uint16_t)(q->next_used - q->unnotified));
}

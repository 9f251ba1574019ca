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
#include "serve.h"

#define EVENT_ENABLE  0u
#define EVENT_DISABLE 1u
#define EVENT_DESC    2u

static uint8_t *slot_at(const struct anyhv_queue *q, uint16_t i)
{
    return q->desc + (size_t)i * DESC_SIZE;
}

/* ---- taking a chain ---- */

/* Section 2.8.8: in a packed table only the WRITE flag means anything, and order is table order. */
static enum take walk_table(struct chain *c, const struct shm_desc *desc)
{
    struct table table;
    enum take rc;

    if (!c->q->indirect)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_OFF, c->req->head, desc->hi);
    if (c->seg != c->req->segs)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_MIXED, c->req->head,
                                  anyhv_chain_count(c->req, c->seg));
    rc = anyhv_chain_table(c, &table, desc->addr, desc->len);
    for (uint32_t i = 0; rc == TAKE_OK; i++) {
        struct shm_desc entry;

        rc = anyhv_chain_table_entry(c, &table, i, &entry);
        if (rc == TAKE_OK)
            rc = chain_add_as(c, entry.hi, entry.addr, entry.len);
        if (i + 1 == table.entries)
            break;
        if (rc == TAKE_OK)
            rc = chain_next(c, UINT32_MAX);
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

/* The next descriptor of the chain: in the ring, or in the journal it was copied to. */
CORE_INLINE enum take follow(struct chain *c, uint16_t *at, bool *wrap, uint16_t nth,
                             struct shm_desc *desc)
{
    struct anyhv_queue *q = c->q;

    packed_forward(q, at, wrap, 1);
    if (UNLIKELY(q->watched && q->journal.replay)) {
        if (!anyhv_journal_packed_desc(q, c->req, nth, desc))
            return broken(q, ANYHV_V_JOURNAL, c->req->log_first, nth);
        return TAKE_OK;
    }
    *desc = shm_load_desc(slot_at(q, *at));
    if (UNLIKELY(!packed_is_available(desc->hi, *wrap)))
        return broken(q, ANYHV_V_PACKED_PARTIAL, q->next_avail, *at);
    return TAKE_OK;
}

/*
 * Walks to the end of the chain even if a descriptor on the way is refused: the number of slots
 * must be known to give the chain back. The buffer id stands in the last one.
 */
CORE_INLINE enum take walk(struct chain *c, struct shm_desc desc)
{
    struct anyhv_queue *q = c->q;
    uint16_t at = q->next_avail;
    bool wrap = q->avail_wrap, log = q->watched && q->journal.area && !q->journal.replay;
    enum take rc = TAKE_OK;
    uint16_t seen = 1;

    for (;; seen++) {
        if (UNLIKELY(log) && !anyhv_journal_packed_add(q, c->req, &desc, (uint16_t)(seen - 1)))
            return broken(q, ANYHV_V_JOURNAL, c->req->log_first, seen);
        if (UNLIKELY(desc.hi & DESC_INDIRECT)) {
            if (desc.hi & DESC_NEXT)
                return broken(q, ANYHV_V_INDIRECT_NEXT, at, desc.hi);
            if (rc == TAKE_OK)
                rc = walk_indirect(c, desc);
        } else if (LIKELY(rc == TAKE_OK)) {
            rc = chain_add_as(c, desc.hi, desc.addr, desc.len);
        }
        if (!(desc.hi & DESC_NEXT) || rc == TAKE_STALLED)
            break;
        if (UNLIKELY(seen == q->size))
            return broken(q, ANYHV_V_CHAIN_LOOP, q->next_avail, q->size);
        if (follow(c, &at, &wrap, seen, &desc) != TAKE_OK)
            return TAKE_BROKEN;
        if (LIKELY(rc == TAKE_OK))
            rc = chain_next(c, UINT32_MAX);
    }
    if (rc == TAKE_STALLED)
        return rc;
    if (UNLIKELY((uint32_t)q->inflight_descs + seen > q->size))
        return broken(q, ANYHV_V_INFLIGHT, (uint32_t)q->inflight_descs + seen, q->size);
    c->req->head = desc.lo;
    c->req->ndesc = seen;
    return rc;
}

/* The first descriptor of a chain that a predecessor had taken, or of the driver's next. */
CORE_INLINE enum take first_desc(struct anyhv_queue *q, struct anyhv_req *req, struct shm_desc *out)
{
    if (UNLIKELY(q->watched && q->journal.replay)) {
        req->log_first = anyhv_journal_replay(q);
        return anyhv_journal_packed_desc(q, req, 0, out)
                   ? TAKE_OK
                   : broken(q, ANYHV_V_JOURNAL, req->log_first, 0);
    }
    *out = shm_load_desc(slot_at(q, q->next_avail)); /* [A] */
    return packed_is_available(out->hi, q->avail_wrap) ? TAKE_OK : TAKE_EMPTY;
}

static void taken_watched(struct anyhv_queue *q, struct anyhv_req *req)
{
    bool again = q->journal.replay;

    core_req_watch(req, again);
    if (again) {
        anyhv_journal_replayed(q);
        return;
    }
    packed_forward(q, &q->next_avail, &q->avail_wrap, req->ndesc);
    core_queue_note(q);
    if (q->journal.area)
        anyhv_journal_packed_take(q, req);
}

/* The chain counts as taken from here on; a successor must know, before anything is done. */
CORE_INLINE void taken(struct anyhv_queue *q, struct anyhv_req *req)
{
    q->inflight_descs = (uint16_t)(q->inflight_descs + req->ndesc);
    if (UNLIKELY(q->watched)) {
        taken_watched(q, req);
        return;
    }
    packed_forward(q, &q->next_avail, &q->avail_wrap, req->ndesc);
    core_queue_note(q);
}

CORE_INLINE enum take take_chain(struct anyhv_queue *q, struct anyhv_req **out)
{
    struct anyhv_req *req = q->free; /* only looked at until it is known that there is a chain */
    struct shm_desc first;
    struct chain chain;
    enum take rc;

    if (UNLIKELY(!req))
        return anyhv_packed_available(q) || q->journal.replay ? TAKE_STALLED : TAKE_EMPTY;
    rc = first_desc(q, req, &first);
    if (rc != TAKE_OK)
        return rc;
    chain_slot(q);
    req->head = q->next_avail; /* for reports, until the buffer id is known */
    chain = chain_begin(q, req);
    rc = walk(&chain, first);
    if (UNLIKELY(rc > TAKE_REJECTED)) {
        core_slot_free(q, req);
        return rc;
    }
    chain_end(&chain);
    taken(q, req);
    *out = req;
    return rc;
}

enum take anyhv_packed_serve(struct anyhv_queue *q, unsigned *budget)
{
    return serve(q, budget, take_chain);
}

enum take anyhv_packed_pull(struct anyhv_queue *q, struct anyhv_req **req)
{
    return take_one(q, req, take_chain);
}

void anyhv_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req)
{
    if (q->journal.area)
        anyhv_journal_packed_untake(q, req);
    if (q->next_avail < req->ndesc) {
        q->next_avail = (uint16_t)(q->next_avail + q->size);
        q->avail_wrap = !q->avail_wrap;
    }
    q->next_avail = (uint16_t)(q->next_avail - req->ndesc);
    q->inflight_descs = (uint16_t)(q->inflight_descs - req->ndesc);
}

/* ---- giving it back ---- */

static uint16_t used_flags(bool wrap, uint32_t written)
{
    return (uint16_t)((wrap ? DESC_AVAIL | DESC_USED : 0) | (written ? DESC_WRITE : 0));
}

/* The first descriptor of a batch, whose flags are written last. */
struct first {
    uint8_t *flags;
    uint16_t value;
};

static inline void write_used(struct anyhv_queue *q, uint16_t at, bool wrap,
                              const struct anyhv_req *req, struct first *first)
{
    uint8_t *slot = slot_at(q, at);
    uint16_t flags = used_flags(wrap, req->used);

    shm_store32(slot + 8, req->used);
    shm_store16(slot + 12, req->head);
    if (!first->flags)
        *first = (struct first){slot + 14, flags};
    else
        shm_store16(slot + 14, flags);
}

static void dirty_slot(struct anyhv_queue *q, uint16_t at)
{
    core_dirty(q->dev->mem, q->state->desc + (uint64_t)at * DESC_SIZE + 8, 8);
}

/*
 * Writes the used descriptors of the answers up to @end, all but the first flags; the answers are
 * free then. Returns how many.
 */
static inline uint16_t write_batch(struct anyhv_queue *q, struct anyhv_req *end,
                                   struct first *first)
{
    bool tracked = q->dev->mem->tracked, in_order = q->in_order;
    uint16_t place = q->next_used, used = q->next_used, count = 0, descs = 0;
    bool place_wrap = q->used_wrap, wrap = q->used_wrap;
    struct anyhv_req *req = q->done.head, *last = NULL;

    for (; req != end; last = req, req = req->next) {
        count++;
        descs = (uint16_t)(descs + req->ndesc);
        packed_forward(q, &used, &wrap, req->ndesc);
        core_slot_clear(q, req);
        if (UNLIKELY(in_order && core_may_skip(req, req->next)))
            continue;
        write_used(q, place, place_wrap, req, first);
        if (UNLIKELY(tracked))
            dirty_slot(q, place);
        place = used;
        place_wrap = wrap;
    }
    if (last)
        core_done_free(q, last, end);
    q->next_used = used;
    q->used_wrap = wrap;
    q->unnotified += descs;
    q->inflight_descs = (uint16_t)(q->inflight_descs - descs);
    return count;
}

void anyhv_packed_put(struct anyhv_queue *q)
{
    struct anyhv_req *end = core_done_end(q);
    struct first first = {0};
    uint16_t count;

    if (UNLIKELY(q->journal.area))
        anyhv_journal_packed_using(q, end);
    count = write_batch(q, end, &first);
    q->seq_used = (uint16_t)(q->seq_used + count);
    q->ndone = (uint16_t)(q->ndone - count);
    if (count == 0)
        return;
    shm_store16_release(first.flags, first.value); /* [B] */
    if (UNLIKELY(q->journal.area))
        anyhv_journal_packed_used(q, count);
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
    return packed_is_available(shm_load16(slot_at(q, q->next_avail) + 14), q->avail_wrap);
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

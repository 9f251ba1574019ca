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

static inline bool available(const struct anyhv_queue *q)
{
    return packed_is_available(shm_load16(slot_at(q, q->next_avail) + 14), q->avail_wrap);
}

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
static inline enum take walk(struct chain *c, struct shm_desc desc)
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
    if (UNLIKELY(seen > q->free_descs))
        return broken(q, ANYHV_V_INFLIGHT, q->size - q->free_descs + seen, q->size);
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

/* The chain counts as taken from here on; a successor must know, before anything is done. */
static void taken(struct anyhv_queue *q, struct anyhv_req *req)
{
    bool again = q->journal.replay;

    q->free_descs = (uint16_t)(q->free_descs - req->ndesc);
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

/* Any chain, by the long way. */
static __attribute__((noinline)) struct anyhv_req *take_any(struct anyhv_queue *q, enum take *why)
{
    struct anyhv_req *req = q->free; /* only looked at until it is known that there is a chain */
    struct shm_desc first;
    struct chain chain;

    if (!req) {
        *why = available(q) || q->journal.replay ? TAKE_STALLED : TAKE_EMPTY;
        return NULL;
    }
    *why = first_desc(q, req, &first);
    if (*why != TAKE_OK)
        return NULL;
    chain_slot(q);
    req->head = q->next_avail; /* for reports, until the buffer id is known */
    chain = chain_begin(q, req);
    *why = walk(&chain, first);
    if (*why > TAKE_REJECTED) {
        core_slot_free(q, req);
        return NULL;
    }
    chain_end(&chain);
    taken(q, req);
    count_taken(q, req);
    if (*why == TAKE_OK)
        return req;
    reject_taken(q, req);
    return NULL;
}

/* Flags in a descriptor's last word; TURNS: the two that tell the laps of the ring apart. */
#define TURNS    ((uint32_t)(DESC_AVAIL | DESC_USED) << 16)
#define NEXT     (DESC_NEXT << 16)
#define WRITE    (DESC_WRITE << 16)
#define INDIRECT (DESC_INDIRECT << 16)

/* AVAIL where the wrap counter is 1, USED where it is 0: a sum, which is cheaper than a choice. */
static inline uint32_t turns(bool wrap)
{
    return (DESC_USED << 16) - wrap * ((DESC_USED - DESC_AVAIL) << 16);
}

/* A plain chain up to slot @next is the device's; NULL: longer than the driver may make it. */
CORE_INLINE struct anyhv_req *plain_taken(struct anyhv_queue *q, struct anyhv_req *req,
                                          uint32_t next)
{
    uint32_t count = next - q->next_avail, left;

    if (UNLIKELY(__builtin_sub_overflow((uint32_t)q->free_descs, count, &left)))
        return NULL;
    q->free = req->next;
    q->free_descs = (uint16_t)left;
    req->ndesc = (uint16_t)count;
    if (UNLIKELY(next >= q->size)) {
        next -= q->size;
        q->avail_wrap = !q->avail_wrap;
        q->state->wraps ^= 1;
        core_step(); /* a block that is seen in between must not look quiet */
    }
    q->next_avail = (uint16_t)next;
    q->state->next_avail = q->next_avail; /* as in taken() */
    count_taken(q, req);
    return req;
}

struct entries {
    const uint8_t *next;
    uint32_t left;
};

/* Only WRITE means anything, and all entries belong to the chain. */
CORE_INLINE bool next_entry(const struct anyhv_queue *q, void *at, struct shm_raw *desc)
{
    struct entries *table = at;

    (void)q;
    *desc = shm_load_raw(table->next);
    desc->words &= WRITE;
    if (--table->left)
        desc->words |= NEXT;
    table->next += DESC_SIZE;
    return true;
}

/* The next chain by the long way, unless it is a likely one that stands in a table. */
static __attribute__((noinline)) struct anyhv_req *take_table(struct anyhv_queue *q, enum take *why)
{
    struct shm_raw desc = shm_load_raw(slot_at(q, q->next_avail));
    struct entries table = {.left = desc.len / DESC_SIZE};
    struct anyhv_req *req = q->free;

    req->head = (uint16_t)desc.words;
    if ((desc.words & (INDIRECT | NEXT | TURNS)) == (INDIRECT | turns(q->avail_wrap)))
        table.next = anyhv_chain_plain_table(q, desc.addr, desc.len);
    if (!table.next)
        return take_any(q, why);
    next_entry(q, &table, &desc);
    if (UNLIKELY(!chain_plain(q, req, &desc, next_entry, &table, 16)))
        return take_any(q, why);
    req = plain_taken(q, req, q->next_avail + 1u);
    return LIKELY(req) ? req : take_any(q, why);
}

/* Which descriptor of a plain chain is the latest, and how the first one looks. */
struct place {
    uint32_t slot; /* below twice the size: the chain may go over the ring's end */
    uint32_t turns;
    struct anyhv_req *req; /* gets the buffer id, which stands in the last one */
};

CORE_INLINE bool plain_next(const struct anyhv_queue *q, void *at, struct shm_raw *desc)
{
    struct place *place = at;
    uint32_t slot = ++place->slot, expected = place->turns;

    if (UNLIKELY(slot >= q->size)) {
        slot -= q->size;
        expected ^= TURNS;
        if (UNLIKELY(slot >= q->size))
            return false; /* a tiny ring, gone round twice */
    }
    *desc = shm_load_raw(q->desc + (size_t)slot * DESC_SIZE);
    place->req->head = (uint16_t)desc->words;
    return (desc->words & TURNS) == expected;
}

/* The likely chain in a few instructions. */
CORE_INLINE struct anyhv_req *take_chain(struct anyhv_queue *q, enum take *why)
{
    struct anyhv_req *req = q->free;
    struct place place;
    struct shm_raw desc;

    if (UNLIKELY(q->watched || !req))
        return take_any(q, why);
    place = (struct place){q->next_avail, turns(q->avail_wrap), req};
    desc = shm_load_raw(slot_at(q, q->next_avail)); /* [A] */
    if ((desc.words & TURNS) != place.turns) {
        *why = TAKE_EMPTY;
        return NULL;
    }
    req->head = (uint16_t)desc.words;
    if (UNLIKELY(!chain_plain(q, req, &desc, plain_next, &place, 16)))
        return take_table(q, why);
    req = plain_taken(q, req, place.slot + 1);
    return LIKELY(req) ? req : take_any(q, why);
}

struct anyhv_req *anyhv_packed_pull(struct anyhv_queue *q, enum take *why)
{
    return take_any(q, why);
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
    q->free_descs = (uint16_t)(q->free_descs + req->ndesc);
}

/* ---- giving it back ---- */

/* The half of a descriptor that the device writes, from byte 8 on. */
struct used_half {
    uint32_t len, words;
};

static struct used_half *used_at(uint8_t *ring, uint32_t place)
{
    return (void *)(ring + (size_t)place * DESC_SIZE + 8);
}

static void dirty_at(struct anyhv_queue *q, uint32_t place)
{
    core_dirty(q->dev->mem, q->state->desc + (uint64_t)place * DESC_SIZE + 8, 8);
}

CORE_INLINE void write_used(struct used_half *at, uint32_t turns, const struct anyhv_req *req)
{
    uint32_t len = req->used;

    shm_store32(&at->len, len);
    shm_store32(&at->words, req->head | turns | (len ? WRITE : 0));
}

/*
 * Writes the used descriptors of the answers up to @end, of which there is at least one; they are
 * free then. What belongs into the first descriptor goes to *@first instead.
 */
CORE_INLINE void write_batch(struct anyhv_queue *q, struct anyhv_req *end, bool plain,
                             struct used_half *first)
{
    uint32_t place = q->next_used, used = place, size = q->size;
    uint32_t turns = q->used_wrap ? TURNS : 0, place_turns = turns;
    struct anyhv_req *req = q->done, *last;
    struct used_half *at = first;
    uint8_t *ring = q->desc;

    do {
        bool skip = !plain && q->in_order && core_may_skip(req, req->next);

        if (!skip)
            write_used(at, place_turns, req);
        if (!skip && !plain && at != first)
            dirty_at(q, place);
        used += req->ndesc;
        if (UNLIKELY(used >= size)) {
            used -= size;
            turns ^= TURNS;
        }
        if (!skip) {
            place = used;
            place_turns = turns;
            at = used_at(ring, place);
        }
        core_slot_clear(q, req, plain);
        last = req;
        req = req->next;
    } while (req != end);
    core_done_free(q, last, end);
    q->next_used = (uint16_t)used;
    q->used_wrap = turns != 0;
}

/* Whoever sees the flags of a batch's first descriptor may look at all of them. */
static void publish_first(struct used_half *at, const struct used_half *first)
{
    uint8_t *words = (uint8_t *)&at->words;

    shm_store32(&at->len, SHM_LE32(first->len));
    shm_store16(words, (uint16_t)SHM_LE32(first->words));
    shm_store16_release(words + 2, (uint16_t)(SHM_LE32(first->words) >> 16)); /* [B] */
}

void anyhv_packed_put(struct anyhv_queue *q)
{
    uint16_t start = q->next_used, descs, count;
    struct anyhv_req *end = core_done_end(q, &count);
    struct used_half first;
    bool wrap = q->used_wrap;

    if (count == 0)
        return;
    if (UNLIKELY(q->journal.area))
        anyhv_journal_packed_using(q, end);
    if (LIKELY(core_batch_plain(q)))
        write_batch(q, end, true, &first);
    else
        write_batch(q, end, false, &first);
    publish_first(used_at(q->desc, start), &first);
    dirty_at(q, start);
    descs = (uint16_t)(q->next_used - start + (q->used_wrap != wrap ? q->size : 0));
    q->unnotified += descs;
    q->free_descs = (uint16_t)(q->free_descs + descs);
    core_done_count(q, count);
    core_queue_note(q);
    if (UNLIKELY(q->journal.area))
        anyhv_journal_packed_used(q, count);
}

/* ---- notifications ---- */

static inline void arm(struct anyhv_queue *q, bool on)
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

/* Section 2.8.10; both words in one load, so that they belong together. */
static inline bool wants_notify(const struct anyhv_queue *q)
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

/* ---- all of it ---- */

static const struct layout layout = {
    .take = take_chain,
    .put = anyhv_packed_put,
    .arm = arm,
    .available = available,
    .wants_notify = wants_notify,
};

void anyhv_packed_turn(struct anyhv_queue *q, unsigned *budget)
{
    turn(q, budget, &layout);
}

bool anyhv_packed_rearm(struct anyhv_queue *q)
{
    return rearm(q, &layout);
}

void anyhv_packed_notify(struct anyhv_queue *q)
{
    notify(q, &layout);
}

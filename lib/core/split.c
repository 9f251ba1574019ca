/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split ring, section 2.7, from the device's side.
 *
 * Barriers, each with the driver's half that it pairs with:
 *   [A] load avail.idx, acquire   <-> driver: write entries and descriptors, then avail.idx
 *   [B] store used.idx, release   <-> driver: read used.idx, then entries
 *   [C] full fence between our index or event store and our load of the other side's (run.c)
 */
#include "serve.h"

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
    return q->driver + 4 + 2 * ((size_t)i & (q->size - 1u));
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
    uint32_t i = 0, max = c->burnt + table.entries;

    while (rc == TAKE_OK) {
        struct shm_desc desc;

        rc = anyhv_chain_table_entry(c, &table, i, &desc);
        if (rc != TAKE_OK)
            break;
        if (desc.lo & DESC_INDIRECT)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_NESTED, c->req->head, i);
        rc = chain_add_as(c, desc.lo, desc.addr, desc.len);
        if (rc != TAKE_OK || !(desc.lo & DESC_NEXT))
            break;
        i = desc.hi;
        if (i >= table.entries)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_RANGE, c->req->head, i);
        rc = chain_next(c, max);
        if (rc == TAKE_EMPTY)
            return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_LOOP, c->req->head, table.entries);
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

/* The table that ends a chain. */
static inline enum take last_is_indirect(struct chain *c, const struct shm_desc *desc)
{
    if (desc->lo & DESC_NEXT)
        return broken(c->q, ANYHV_V_INDIRECT_NEXT, c->req->head, desc->lo);
    if (!c->q->indirect)
        return anyhv_chain_reject(c->q, ANYHV_V_INDIRECT_OFF, c->req->head, desc->lo);
    return walk_indirect(c, desc->addr, desc->len);
}

static inline enum take walk(struct chain *c, uint32_t head)
{
    struct anyhv_queue *q = c->q;
    uint32_t i = head;

    for (;;) {
        struct shm_desc desc = shm_load_desc(q->desc + (size_t)i * DESC_SIZE);
        enum take rc;

        if (UNLIKELY(desc.lo & DESC_INDIRECT))
            return last_is_indirect(c, &desc);
        rc = chain_add_as(c, desc.lo, desc.addr, desc.len);
        if (rc != TAKE_OK || !(desc.lo & DESC_NEXT))
            return rc;
        i = desc.hi;
        if (UNLIKELY(i >= q->size))
            return broken(q, ANYHV_V_NEXT_RANGE, i, q->size);
        rc = chain_next(c, q->size);
        if (rc == TAKE_EMPTY)
            return broken(q, ANYHV_V_CHAIN_LOOP, head, q->size);
        if (rc != TAKE_OK)
            return rc;
    }
}

/* The driver's index, read only when what it showed last time is used up. */
static __attribute__((noinline)) enum take look(struct anyhv_queue *q)
{
    uint16_t idx = shm_load16_acquire(avail_idx(q)); /* [A] */
    uint16_t pending = (uint16_t)(idx - q->next_avail);

    if (pending == 0)
        return TAKE_EMPTY;
    if (pending > q->size)
        return broken(q, ANYHV_V_AVAIL_JUMP, pending, q->size);
    if ((uint32_t)pending + core_inflight(q) > q->size)
        return broken(q, ANYHV_V_INFLIGHT, (uint32_t)pending + core_inflight(q), q->size);
    q->avail_seen = idx;
    return TAKE_OK;
}

/* A head that a predecessor had taken, or the driver's next. */
static enum take next_head(struct anyhv_queue *q, uint32_t *head)
{
    enum take rc = TAKE_OK;

    if (q->journal.replay) {
        *head = anyhv_journal_replay(q);
        return TAKE_OK;
    }
    if (q->next_avail == q->avail_seen)
        rc = look(q);
    if (rc == TAKE_OK)
        *head = shm_load16(avail_entry(q, q->next_avail));
    return rc;
}

/* The chain counts as taken from here on; a successor must know, before anything is done. */
static void taken(struct anyhv_queue *q, struct anyhv_req *req)
{
    bool again = q->journal.replay;

    core_req_watch(req, again);
    if (again) {
        anyhv_journal_replayed(q);
        return;
    }
    q->next_avail++;
    core_queue_note(q);
    if (q->journal.area)
        anyhv_journal_split_take(q, req->head);
}

/* Any chain, by the long way. */
static __attribute__((noinline)) struct anyhv_req *take_any(struct anyhv_queue *q, enum take *why)
{
    struct anyhv_req *req;
    struct chain chain;
    uint32_t head;

    *why = next_head(q, &head);
    if (*why != TAKE_OK)
        return NULL;
    if (head >= q->size) {
        *why = broken(q, ANYHV_V_HEAD_RANGE, head, q->size);
        return NULL;
    }
    req = chain_slot(q);
    if (!req) {
        *why = TAKE_STALLED;
        return NULL;
    }
    req->head = (uint16_t)head;
    chain = chain_begin(q, req);
    *why = walk(&chain, head);
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

CORE_INLINE struct anyhv_req *plain_taken(struct anyhv_queue *q, struct anyhv_req *req,
                                          uint16_t head)
{
    q->free = req->next;
    req->head = head;
    q->next_avail++;
    q->state->next_avail = q->next_avail; /* as in taken() */
    count_taken(q, req);
    return req;
}

struct entries {
    const uint8_t *first;
    uint32_t count;
};

CORE_INLINE bool next_entry(const struct anyhv_queue *q, void *at, struct shm_raw *desc)
{
    const struct entries *table = at;
    uint32_t next = desc->words >> 16;

    (void)q;
    if (UNLIKELY(next >= table->count))
        return false;
    *desc = shm_load_raw(table->first + (size_t)next * DESC_SIZE);
    return true;
}

/* The chain at @head by the long way, unless it is a likely one that stands in a table. */
static __attribute__((noinline)) struct anyhv_req *take_table(struct anyhv_queue *q, uint16_t head,
                                                              enum take *why)
{
    struct shm_raw desc = shm_load_raw(q->desc + (size_t)head * DESC_SIZE);
    struct entries table = {.count = desc.len / DESC_SIZE};

    if ((desc.words & (DESC_INDIRECT | DESC_NEXT)) == DESC_INDIRECT)
        table.first = anyhv_chain_plain_table(q, desc.addr, desc.len);
    if (!table.first)
        return take_any(q, why);
    desc = shm_load_raw(table.first);
    if (UNLIKELY(!chain_plain(q, q->free, &desc, next_entry, &table, 0)))
        return take_any(q, why);
    return plain_taken(q, q->free, head);
}

CORE_INLINE bool plain_next(const struct anyhv_queue *q, void *at, struct shm_raw *desc)
{
    uint32_t next = desc->words >> 16;

    (void)at;
    if (UNLIKELY(next >= q->size))
        return false;
    *desc = shm_load_raw(q->desc + (size_t)next * DESC_SIZE);
    return true;
}

/* The likely chain in a few instructions. */
CORE_INLINE struct anyhv_req *take_chain(struct anyhv_queue *q, enum take *why)
{
    struct anyhv_req *req = q->free;
    struct shm_raw desc;
    uint16_t head;

    if (UNLIKELY(q->watched || !req))
        return take_any(q, why);
    if (UNLIKELY(q->next_avail == q->avail_seen)) {
        *why = look(q);
        if (*why != TAKE_OK)
            return NULL;
    }
    head = shm_load16(avail_entry(q, q->next_avail));
    if (UNLIKELY(head >= q->size))
        return take_any(q, why);
    desc = shm_load_raw(q->desc + (size_t)head * DESC_SIZE);
    if (UNLIKELY(!chain_plain(q, req, &desc, plain_next, NULL, 0)))
        return take_table(q, head, why);
    return plain_taken(q, req, head);
}

struct anyhv_req *anyhv_split_pull(struct anyhv_queue *q, enum take *why)
{
    return take_any(q, why);
}

void anyhv_split_untake(struct anyhv_queue *q, const struct anyhv_req *req)
{
    if (q->journal.area)
        anyhv_journal_split_untake(q, req->head);
    q->next_avail--;
}

/* ---- giving it back ---- */

/*
 * Writes the entries of the answers up to @end, of which there is at least one; they are free then.
 */
CORE_INLINE void write_batch(struct anyhv_queue *q, struct anyhv_req *end, bool plain)
{
    uint32_t place = q->next_used, used = place, mask = q->size - 1u;
    struct anyhv_req *req = q->done, *last;
    uint8_t *entries = q->device + 4;

    do {
        uint8_t *entry = entries + 8 * (size_t)(place & mask);

        used++;
        if (plain || !q->in_order || !core_may_skip(req, req->next)) {
            shm_store32(entry, req->head);
            shm_store32(entry + 4, req->used);
            if (!plain)
                dirty_used(q, (size_t)(entry - q->device), 8);
            place = used;
        }
        core_slot_clear(q, req, plain);
        last = req;
        req = req->next;
    } while (req != end);
    core_done_free(q, last, end);
    q->next_used = (uint16_t)used;
}

void anyhv_split_put(struct anyhv_queue *q)
{
    uint16_t count;
    struct anyhv_req *end = core_done_end(q, &count);

    if (count == 0)
        return;
    if (UNLIKELY(q->journal.area))
        anyhv_journal_split_using(q, end);
    if (LIKELY(core_batch_plain(q)))
        write_batch(q, end, true);
    else
        write_batch(q, end, false);
    core_done_count(q, count);
    core_queue_note(q);
    q->unnotified += count;
    shm_store16_release(used_idx(q), q->next_used); /* [B] */
    dirty_used(q, 2, 2);
    if (UNLIKELY(q->journal.area))
        anyhv_journal_split_used(q, count);
}

/* ---- notifications ---- */

static inline void arm(struct anyhv_queue *q, bool on)
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

static inline bool available(const struct anyhv_queue *q)
{
    return shm_load16(avail_idx(q)) != q->next_avail;
}

static inline bool wants_notify(const struct anyhv_queue *q)
{
    if (!q->event_idx)
        return !(shm_load16(avail_flags(q)) & AVAIL_NO_INTERRUPT);
    return !q->notified || q->unnotified > UINT16_MAX ||
           core_need_event(shm_load16(used_event(q)), q->next_used,
                           (uint16_t)(q->next_used - q->unnotified));
}

/* ---- all of it ---- */

static const struct layout layout = {
    .take = take_chain,
    .put = anyhv_split_put,
    .arm = arm,
    .available = available,
    .wants_notify = wants_notify,
};

void anyhv_split_turn(struct anyhv_queue *q, unsigned *budget)
{
    turn(q, budget, &layout);
}

bool anyhv_split_rearm(struct anyhv_queue *q)
{
    return rearm(q, &layout);
}

void anyhv_split_notify(struct anyhv_queue *q)
{
    notify(q, &layout);
}

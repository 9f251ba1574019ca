/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of one queue: which requests are in work, so that a successor can take exactly these
 * again. The layout is the in-flight block of the vhost-user protocol, in the machine's own byte
 * order. docs/adr/0007-journal.md.
 *
 * core_step() keeps the order of what a killed process leaves; nothing else is needed. Whoever else
 * can write here (a vhost-user front end) is hostile: what is read back is bounded, and decides
 * only about that peer's own requests.
 */
#include "chain.h"

#define VERSION 1u

struct split_header {
    uint64_t features; /* of the block itself: 0 */
    uint16_t version;  /* 0: nobody has used the block yet */
    uint16_t entries;
    uint16_t newest; /* the head that was used last; its entry links to the one before */
    uint16_t used_idx;
};

struct split_entry { /* one per head */
    uint8_t inflight, zero[5];
    uint16_t next;
    uint64_t counter;
};

/* Where used descriptors go. One word, so that one store changes all of it. */
union packed_place {
    struct {
        uint16_t used_idx, old_used_idx;
        uint8_t used_wrap, old_used_wrap, zero[2];
    };
    uint64_t word;
};

struct packed_header {
    uint64_t features;
    uint16_t version, entries;
    uint16_t free, old_free;  /* first entry of the free list; `old_`: as of the last batch */
    union packed_place place; /* the same two moments */
    uint64_t zero;
};

struct packed_entry { /* one per descriptor; a chain's first one speaks for it */
    uint8_t inflight, zero;
    uint16_t next; /* entry of the chain, or of the free list; the number of entries: none */
    uint16_t last, count;
    uint64_t counter;
    uint16_t id, flags;
    uint32_t len;
    uint64_t addr;
};

static volatile struct split_header *split_header(const struct anyhv_queue *q)
{
    return (void *)q->journal.area;
}

static volatile struct split_entry *split_entry(const struct anyhv_queue *q, uint16_t i)
{
    return (struct split_entry *)(void *)(q->journal.area + sizeof(struct split_header)) + i;
}

static volatile struct packed_header *packed_header(const struct anyhv_queue *q)
{
    return (void *)q->journal.area;
}

static volatile struct packed_entry *packed_entry(const struct anyhv_queue *q, uint16_t i)
{
    return (struct packed_entry *)(void *)(q->journal.area + sizeof(struct packed_header)) + i;
}

/* ---- a place for it ---- */

size_t anyhv_journal_size(unsigned entries, bool packed)
{
    return ANYHV_JOURNAL_QUEUE_SIZE(entries, packed);
}

int anyhv_ctl_queue_journal(struct anyhv_dev *dev, unsigned queue, void *area, size_t size)
{
    struct anyhv_queue *q;

    if (queue >= dev->ops->queues || ((uintptr_t)area & 7) ||
        (area && size < anyhv_journal_size(1, true)))
        return ANYHV_E_INVAL;
    q = &dev->queues[queue];
    if (core_started(q))
        return ANYHV_E_STATE;
    q->journal = (struct anyhv_journal){.area = area, .size = size};
    return ANYHV_OK;
}

bool anyhv_journal_used(const struct anyhv_queue *q)
{
    return q->journal.area && split_header(q)->version; /* at the same place in both layouts */
}

void anyhv_journal_close(struct anyhv_queue *q)
{
    if (q->journal.area)
        split_header(q)->version = 0;
}

/* ---- taking over: split ---- */

static void split_fresh(struct anyhv_queue *q)
{
    volatile struct split_header *h = split_header(q);

    for (uint16_t i = 0; i < q->size; i++)
        split_entry(q, i)->inflight = 0;
    h->features = 0;
    h->entries = q->size;
    h->newest = 0;
    h->used_idx = q->next_used;
    core_step();
    h->version = VERSION;
}

/* What the ring shows as used is not in work any more: the latest batch may still be marked. */
static int split_settle(struct anyhv_queue *q, uint16_t used)
{
    volatile struct split_header *h = split_header(q);
    uint16_t count = (uint16_t)(used - h->used_idx), at = h->newest;

    if (count > q->journal.entries)
        return ANYHV_E_INVAL;
    for (; count; count--) {
        if (at >= q->journal.entries)
            return ANYHV_E_INVAL;
        split_entry(q, at)->inflight = 0;
        at = split_entry(q, at)->next;
    }
    core_step();
    h->used_idx = used;
    return ANYHV_OK;
}

static int split_recover(struct anyhv_queue *q)
{
    uint16_t used = shm_load16(q->device + 2); /* the one time that it is read back */
    struct anyhv_journal *j = &q->journal;
    int rc = split_settle(q, used);

    if (rc)
        return rc;
    for (uint16_t i = 0; i < j->entries; i++) {
        if (!split_entry(q, i)->inflight)
            continue;
        j->replay++;
        if (split_entry(q, i)->counter >= j->counter)
            j->counter = split_entry(q, i)->counter + 1;
    }
    if (j->replay > q->size)
        return ANYHV_E_INVAL;
    j->newest = split_header(q)->newest;
    q->next_used = used;
    q->next_avail = q->avail_seen = (uint16_t)(used + j->replay);
    return ANYHV_OK;
}

/* ---- taking over: packed ---- */

/* Nothing is under way at (@idx, @wrap). */
static union packed_place place_at(uint16_t idx, bool wrap)
{
    return (union packed_place){
        .used_idx = idx, .old_used_idx = idx, .used_wrap = wrap, .old_used_wrap = wrap};
}

static void packed_fresh(struct anyhv_queue *q)
{
    volatile struct packed_header *h = packed_header(q);

    for (uint16_t i = 0; i < q->size; i++) {
        packed_entry(q, i)->inflight = 0;
        packed_entry(q, i)->next = (uint16_t)(i + 1);
    }
    h->features = 0;
    h->entries = q->size;
    h->free = h->old_free = 0;
    h->place.word = place_at(q->next_used, q->used_wrap).word;
    core_step();
    h->version = VERSION;
}

/* Did the latest batch become visible? Its first descriptor is the last to change. */
static bool batch_done(const struct anyhv_queue *q, const union packed_place *at)
{
    const uint8_t *flags = q->desc + (size_t)at->old_used_idx * DESC_SIZE + 14;

    return (at->used_idx != at->old_used_idx || at->used_wrap != at->old_used_wrap) &&
           !packed_is_available(shm_load16(flags), at->old_used_wrap);
}

/* The latest batch counts if the driver can see it, and is undone if not. */
static int packed_settle(struct anyhv_queue *q)
{
    volatile struct packed_header *h = packed_header(q);
    union packed_place at = {.word = h->place.word};
    uint16_t free;

    if (at.used_idx >= q->size || at.old_used_idx >= q->size || at.used_wrap > 1 ||
        at.old_used_wrap > 1)
        return ANYHV_E_INVAL;
    if (batch_done(q, &at)) {
        h->old_free = h->free;
        core_step();
        at = place_at(at.used_idx, at.used_wrap);
    } else {
        h->free = h->old_free;
        core_step();
        at = place_at(at.old_used_idx, at.old_used_wrap);
    }
    h->place.word = at.word;
    q->next_used = q->next_avail = at.used_idx;
    q->used_wrap = q->avail_wrap = at.used_wrap;
    free = h->free;
    for (uint16_t n = 0; n < q->journal.entries && free < q->journal.entries; n++) {
        packed_entry(q, free)->inflight = 0; /* a chain half taken, or just used */
        free = packed_entry(q, free)->next;
    }
    return ANYHV_OK;
}

/*
 * A batch that was cut short may have left used descriptors behind its first one, which the driver
 * would find when it gets there: they become taken ones again.
 */
static void packed_scrub(struct anyhv_queue *q, uint32_t descs)
{
    uint16_t at = q->next_used;
    bool wrap = q->used_wrap;

    for (; descs; descs--) {
        uint8_t *flags = q->desc + (size_t)at * DESC_SIZE + 14;

        if (!packed_is_available(shm_load16(flags), wrap)) {
            shm_store16(flags, wrap ? DESC_AVAIL : DESC_USED);
            core_dirty(q->dev->mem, q->state->desc + (uint64_t)at * DESC_SIZE + 14, 2);
        }
        packed_forward(q, &at, &wrap, 1);
    }
}

static int packed_recover(struct anyhv_queue *q)
{
    struct anyhv_journal *j = &q->journal;
    uint32_t descs = 0;
    int rc = packed_settle(q);

    if (rc)
        return rc;
    for (uint16_t i = 0; i < j->entries; i++) {
        if (!packed_entry(q, i)->inflight)
            continue;
        j->replay++;
        descs += packed_entry(q, i)->count;
        if (packed_entry(q, i)->counter >= j->counter)
            j->counter = packed_entry(q, i)->counter + 1;
    }
    if (descs > q->size || j->replay > descs)
        return ANYHV_E_INVAL;
    j->newest = packed_header(q)->free;
    packed_forward(q, &q->next_avail, &q->avail_wrap, descs);
    packed_scrub(q, descs);
    return ANYHV_OK;
}

/* ---- taking over ---- */

static size_t capacity(const struct anyhv_queue *q)
{
    size_t header = q->packed ? sizeof(struct packed_header) : sizeof(struct split_header);
    size_t entry = q->packed ? sizeof(struct packed_entry) : sizeof(struct split_entry);

    return (q->journal.size - header) / entry;
}

int anyhv_journal_open(struct anyhv_queue *q)
{
    struct anyhv_journal *j = &q->journal;
    volatile struct split_header *h = split_header(q); /* it begins alike in both layouts */

    if (!j->area)
        return ANYHV_OK;
    *j = (struct anyhv_journal){.area = j->area, .size = j->size};
    if (capacity(q) < q->size)
        return ANYHV_E_INVAL;
    if (h->version == 0) {
        if (q->packed)
            packed_fresh(q);
        else
            split_fresh(q);
        j->entries = q->size;
        return ANYHV_OK;
    }
    q->unnotified = 1; /* an interrupt may have died with the process that owed it */
    j->entries = h->entries;
    if (h->version != VERSION || j->entries < q->size || j->entries > capacity(q))
        return ANYHV_E_INVAL;
    return q->packed ? packed_recover(q) : split_recover(q);
}

/* ---- taking again ---- */

static bool inflight(const struct anyhv_queue *q, uint16_t i, uint64_t *counter)
{
    *counter = q->packed ? packed_entry(q, i)->counter : split_entry(q, i)->counter;
    return q->packed ? packed_entry(q, i)->inflight : split_entry(q, i)->inflight;
}

/* Is (@counter, @i) behind the request that was taken again last? */
static bool behind_last(const struct anyhv_journal *j, uint64_t counter, uint16_t i)
{
    return !j->replaying || counter > j->replayed_counter ||
           (counter == j->replayed_counter && i > j->replayed);
}

uint16_t anyhv_journal_replay(struct anyhv_queue *q)
{
    struct anyhv_journal *j = &q->journal;
    uint16_t best = UINT16_MAX;

    for (uint16_t i = 0; i < j->entries; i++) {
        uint64_t counter;

        if (!inflight(q, i, &counter) || !behind_last(j, counter, i) ||
            (best != UINT16_MAX && counter >= j->next_counter))
            continue;
        best = i;
        j->next_counter = counter;
    }
    j->next = best;
    return best;
}

void anyhv_journal_replayed(struct anyhv_queue *q)
{
    struct anyhv_journal *j = &q->journal;

    j->replay--;
    j->replaying = true;
    j->replayed = j->next;
    j->replayed_counter = j->next_counter;
}

/* ---- keeping it: split ---- */

void anyhv_journal_split_take(struct anyhv_queue *q, uint16_t head)
{
    volatile struct split_entry *entry = split_entry(q, head);

    entry->counter = q->journal.counter++;
    core_step();
    entry->inflight = 1;
    core_step();
}

void anyhv_journal_split_untake(struct anyhv_queue *q, uint16_t head)
{
    split_entry(q, head)->inflight = 0;
    core_step();
}

void anyhv_journal_split_using(struct anyhv_queue *q, const struct anyhv_req *end)
{
    for (const struct anyhv_req *req = q->done; req != end; req = req->next) {
        split_entry(q, req->head)->next = q->journal.newest;
        q->journal.newest = req->head;
    }
    core_step();
    split_header(q)->newest = q->journal.newest;
    core_step();
}

/* The batch's slots have just been freed: they are the first on the free list. */
void anyhv_journal_split_used(struct anyhv_queue *q, uint16_t count)
{
    core_step();
    for (const struct anyhv_req *req = q->free; count; count--, req = req->next)
        split_entry(q, req->head)->inflight = 0;
    core_step();
    split_header(q)->used_idx = q->next_used;
    core_step();
}

/* ---- keeping it: packed ---- */

bool anyhv_journal_packed_add(struct anyhv_queue *q, struct anyhv_req *req,
                              const struct shm_desc *desc, uint16_t nth)
{
    uint16_t at = nth == 0 ? q->journal.newest : packed_entry(q, req->log_last)->next;
    volatile struct packed_entry *entry;

    if (nth == 0)
        req->log_first = at;
    if (at >= q->journal.entries)
        return false;
    req->log_last = at;
    entry = packed_entry(q, at);
    entry->addr = desc->addr;
    entry->len = desc->len;
    entry->id = desc->lo;
    entry->flags = desc->hi;
    return true;
}

static void set_free(struct anyhv_queue *q, uint16_t at)
{
    q->journal.newest = at;
    packed_header(q)->free = at;
    core_step();
    packed_header(q)->old_free = at;
    core_step();
}

void anyhv_journal_packed_take(struct anyhv_queue *q, const struct anyhv_req *req)
{
    volatile struct packed_entry *entry = packed_entry(q, req->log_first);

    entry->last = req->log_last;
    entry->count = req->ndesc;
    entry->counter = q->journal.counter++;
    core_step();
    entry->inflight = 1; /* on the free list still: it does not count yet */
    core_step();
    set_free(q, packed_entry(q, req->log_last)->next);
}

void anyhv_journal_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req)
{
    packed_entry(q, req->log_last)->next = q->journal.newest;
    core_step();
    set_free(q, req->log_first);
    packed_entry(q, req->log_first)->inflight = 0;
    core_step();
}

bool anyhv_journal_packed_desc(struct anyhv_queue *q, struct anyhv_req *req, uint16_t nth,
                               struct shm_desc *out)
{
    uint16_t at = nth == 0 ? req->log_first : packed_entry(q, req->log_last)->next;
    volatile struct packed_entry *entry;

    if (at >= q->journal.entries || nth >= packed_entry(q, req->log_first)->count)
        return false;
    req->log_last = at;
    entry = packed_entry(q, at);
    *out = (struct shm_desc){
        .addr = entry->addr, .len = entry->len, .lo = entry->id, .hi = entry->flags};
    return true;
}

void anyhv_journal_packed_using(struct anyhv_queue *q, const struct anyhv_req *end)
{
    union packed_place at = place_at(q->next_used, q->used_wrap);
    uint16_t used = q->next_used;
    bool wrap = q->used_wrap;

    for (const struct anyhv_req *req = q->done; req != end; req = req->next) {
        packed_entry(q, req->log_last)->next = q->journal.newest;
        q->journal.newest = req->log_first;
        packed_forward(q, &used, &wrap, req->ndesc);
    }
    at.used_idx = used;
    at.used_wrap = wrap;
    core_step();
    packed_header(q)->free = q->journal.newest;
    packed_header(q)->place.word = at.word;
    core_step();
}

void anyhv_journal_packed_used(struct anyhv_queue *q, uint16_t count)
{
    volatile struct packed_header *h = packed_header(q);

    core_step();
    for (const struct anyhv_req *req = q->free; count; count--, req = req->next)
        packed_entry(q, req->log_first)->inflight = 0;
    core_step();
    h->old_free = q->journal.newest;
    core_step();
    h->place.word = place_at(q->next_used, q->used_wrap).word;
    core_step();
}

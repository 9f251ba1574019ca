/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors over a chain's bytes, and the ways in which a request ends. */
#include "core.h"
#include "shm.h"

unsigned anyhv_req_queue(const struct anyhv_req *req)
{
    return req->queue->index;
}

/* ---- cursors ---- */

static struct anyhv_seg *next_seg(const struct anyhv_req *req, struct anyhv_seg *seg)
{
    const struct anyhv_queue *q = req->queue;
    bool last;

    if (seg >= req->segs && seg < req->segs + ANYHV_REQ_SEGS)
        last = seg == req->segs + ANYHV_REQ_SEGS - 1;
    else
        last = (size_t)(seg - q->chunks->seg) % ANYHV_CHUNK_SEGS == ANYHV_CHUNK_SEGS - 1;
    return last ? q->chunks[seg->link - 1].seg : seg + 1;
}

/* Bytes of *at->seg that are left. */
static uint32_t rest(const struct anyhv_cursor *at)
{
    return at->left - at->after;
}

/* Moves on by @n bytes, at most rest(), and stays on a segment with bytes unless all are passed. */
static void advance(const struct anyhv_req *req, struct anyhv_cursor *at, uint32_t n)
{
    at->left -= n;
    if (at->left && !rest(at)) {
        at->seg = next_seg(req, at->seg);
        at->after -= at->seg->len;
    }
}

/*
 * Sets what the long way goes by, field by field: the compiler would copy a whole cursor in halves,
 * and a load of what was just stored in smaller pieces stalls.
 */
static void set(struct anyhv_cursor *at, struct anyhv_seg *seg, uint32_t left, uint32_t after)
{
    at->seg = seg;
    at->left = left;
    at->after = after;
}

/* To the beginning of the part of @total bytes that begins with @seg. */
static void rewind_to(struct anyhv_cursor *at, struct anyhv_seg *seg, uint32_t total)
{
    set(at, seg, total, total ? total - seg->len : 0);
}

/* The region table changed since the chain was taken: find every piece again by its address. */
static void resolve(struct anyhv_req *req, struct anyhv_seg *seg, uint32_t total, unsigned perm)
{
    struct anyhv_cursor at;

    rewind_to(&at, seg, total);
    while (at.left) {
        at.seg->host = anyhv_mem_host(req->mem, at.seg->addr, at.seg->len, perm);
        advance(req, &at, rest(&at));
    }
}

static void refresh(struct anyhv_req *req)
{
    req->stale = false;
    resolve(req, req->segs, req->readable, ANYHV_R);
    resolve(req, req->wr_first, req->writable, ANYHV_W);
}

void anyhv_core_reqs_stale(struct anyhv_queue *q)
{
    for (uint16_t i = 0; i < q->nreqs; i++) {
        q->reqs[i].stale = true;
        q->reqs[i].rd.room = 0;
        q->reqs[i].wr.room = 0;
    }
}

/* The request is answered, or was never one; else its pieces are where the table says. */
static inline bool gone(struct anyhv_req *req)
{
    if (req->state != REQ_ACTIVE && req->state != REQ_HELD)
        return true;
    if (req->stale)
        refresh(req);
    return false;
}

/*
 * @at: the position of one of @req's cursors as the inline calls left it: they start without a
 * segment and do not go over to the next.
 */
static void position(struct anyhv_req *req, const struct anyhv_cursor *cursor,
                     struct anyhv_cursor *at)
{
    if (cursor->seg) {
        set(at, cursor->seg, cursor->left, cursor->after);
    } else {
        if (cursor == &req->wr)
            rewind_to(at, req->wr_first, req->writable);
        else
            rewind_to(at, req->segs, req->readable);
        at->left = cursor->left;
    }
    advance(req, at, 0);
}

/* *@cursor goes to @at; the inline calls go on there, if nobody has to look at what they do. */
static void settle(const struct anyhv_req *req, struct anyhv_cursor *cursor,
                   const struct anyhv_cursor *at)
{
    bool watched = cursor == &req->wr && req->mem->tracked;

    set(cursor, at->seg, at->left, at->after);
    cursor->room = 0;
    if (at->left && at->seg->host && !watched) {
        cursor->room = rest(at);
        cursor->ptr = at->seg->host + (at->seg->len - rest(at));
    }
}

static int copy_piece(struct anyhv_mem *mem, struct anyhv_seg *seg, uint32_t off, void *buf,
                      uint32_t n, unsigned perm)
{
    if (!seg->host)
        return perm == ANYHV_W ? anyhv_mem_write(mem, seg->addr + off, buf, n)
                               : anyhv_mem_read(mem, seg->addr + off, buf, n);
    if (perm == ANYHV_W) {
        memcpy(seg->host + off, buf, n);
        core_dirty(mem, seg->addr + off, n);
    } else {
        shm_copy_out(buf, seg->host + off, n);
    }
    return ANYHV_OK;
}

static int copy_at(struct anyhv_req *req, struct anyhv_cursor *at, void *buf, uint32_t len,
                   unsigned perm)
{
    uint8_t *byte = buf;

    if (len > at->left)
        return ANYHV_E_SHORT;
    while (len) {
        uint32_t n = rest(at);
        int rc;

        if (n > len)
            n = len;
        rc = copy_piece(req->mem, at->seg, at->seg->len - rest(at), byte, n, perm);
        if (rc)
            return rc;
        byte += n;
        len -= n;
        advance(req, at, n);
    }
    return ANYHV_OK;
}

static int copy(struct anyhv_req *req, struct anyhv_cursor *cursor, void *buf, uint32_t len,
                unsigned perm)
{
    struct anyhv_cursor at;
    int rc;

    if (gone(req))
        return ANYHV_E_LOST;
    position(req, cursor, &at);
    rc = copy_at(req, &at, buf, len, perm);
    if (rc)
        return rc;
    settle(req, cursor, &at);
    return ANYHV_OK;
}

int anyhv_req_read_across(struct anyhv_req *req, void *buf, uint32_t len)
{
    return copy(req, &req->rd, buf, len, ANYHV_R);
}

int anyhv_req_write_across(struct anyhv_req *req, const void *buf, uint32_t len)
{
    /* copy() serves both directions; for ANYHV_W it only reads *buf. */
    return copy(req, &req->wr, (void *)(uintptr_t)buf, len, ANYHV_W);
}

int anyhv_req_peek(struct anyhv_req *req, void *buf, uint32_t len)
{
    struct anyhv_cursor at;

    if (gone(req))
        return ANYHV_E_LOST;
    position(req, &req->rd, &at);
    return copy_at(req, &at, buf, len, ANYHV_R);
}

static void seek(const struct anyhv_req *req, struct anyhv_cursor *at, uint32_t len)
{
    while (len) {
        uint32_t n = rest(at) < len ? rest(at) : len;

        advance(req, at, n);
        len -= n;
    }
}

/* Bytes below @end that nobody has written become zeroes. */
static int zero_until(struct anyhv_req *req, uint32_t end)
{
    static const uint8_t zeroes[256];
    uint32_t done = anyhv_req_written(req);
    struct anyhv_cursor at;

    if (end > done && end - done > ANYHV_REQ_HOLE_MAX)
        return ANYHV_E_INVAL;
    rewind_to(&at, req->wr_first, req->writable);
    if (done < end)
        seek(req, &at, done);
    while (done < end) {
        uint32_t n = end - done < sizeof(zeroes) ? end - done : (uint32_t)sizeof(zeroes);
        int rc = copy_at(req, &at, (void *)(uintptr_t)zeroes, n, ANYHV_W);

        if (rc)
            return rc;
        done += n;
        req->written_at = done;
    }
    return ANYHV_OK;
}

int anyhv_req_write_at(struct anyhv_req *req, uint32_t off, const void *buf, uint32_t len)
{
    struct anyhv_cursor at;
    int rc;

    if (gone(req))
        return ANYHV_E_LOST;
    if (off > req->writable || len > req->writable - off)
        return ANYHV_E_SHORT;
    if (len == 0)
        return ANYHV_OK;
    rc = zero_until(req, off);
    if (rc)
        return rc;
    rewind_to(&at, req->wr_first, req->writable);
    seek(req, &at, off);
    rc = copy_at(req, &at, (void *)(uintptr_t)buf, len, ANYHV_W);
    if (rc == ANYHV_OK && req->written_at < off + len)
        req->written_at = off + len;
    return rc;
}

int anyhv_req_skip(struct anyhv_req *req, uint32_t len)
{
    struct anyhv_cursor at;

    if (gone(req))
        return ANYHV_E_LOST;
    if (len > req->rd.left)
        return ANYHV_E_SHORT;
    position(req, &req->rd, &at);
    seek(req, &at, len);
    settle(req, &req->rd, &at);
    return ANYHV_OK;
}

/* ---- zero copy ---- */

static int map_piece(struct anyhv_req *req, const struct anyhv_cursor *at, unsigned perm,
                     uint32_t len, struct anyhv_map *out)
{
    uint32_t off = at->seg->len - rest(at);
    uint64_t addr = at->seg->addr + off;

    if (!at->seg->host)
        return anyhv_mem_map(req->mem, addr, len, perm, out);
    *out = (struct anyhv_map){.ptr = at->seg->host + off, .len = len, .perm = perm, .addr = addr};
    return ANYHV_OK;
}

int anyhv_req_pin(struct anyhv_req *req, unsigned perm, uint32_t max, struct anyhv_map *out)
{
    struct anyhv_cursor *cursor = perm == ANYHV_W ? &req->wr : &req->rd, at;
    int rc;

    if (gone(req))
        return ANYHV_E_LOST;
    if (cursor->left == 0 || max == 0)
        return ANYHV_E_SHORT;
    if (req->npins == ANYHV_REQ_PINS)
        return ANYHV_E_NORES;
    position(req, cursor, &at);
    rc = map_piece(req, &at, perm, rest(&at) < max ? rest(&at) : max, out);
    if (rc)
        return rc;
    req->pins[req->npins++] = *out;
    req->mem->pins++;
    advance(req, &at, out->len);
    settle(req, cursor, &at);
    return ANYHV_OK;
}

void anyhv_core_req_unpin(struct anyhv_req *req)
{
    struct anyhv_mem *mem = req->mem;

    for (; req->npins; req->npins--) {
        struct anyhv_map *map = &req->pins[req->npins - 1];

        if (map->perm & ANYHV_W)
            core_dirty(mem, map->addr, map->len);
        anyhv_mem_unmap(mem, map);
        mem->pins--;
    }
}

/* ---- the end ---- */

/* Nothing but the publishing is left to do. The inline calls find nothing any more. */
static inline void finish(struct anyhv_queue *q, struct anyhv_req *req)
{
    req->state = REQ_DONE;
    req->rd.room = 0;
    req->wr.room = 0;
    *q->done_tail = req; /* whose own link is set when the list is used */
    q->done_tail = &req->next;
    q->ndone++;
    core_work(q->dev);
}

/* Maps end here, before the used entry is even written: a Xen guest may revoke them after it. */
void anyhv_core_req_finish(struct anyhv_req *req)
{
    struct anyhv_queue *q = req->queue;

    if (req->state == REQ_HELD)
        anyhv_core_list_remove(&q->held, req);
    if (req->npins)
        anyhv_core_req_unpin(req);
    finish(q, req);
}

static bool is_before(const struct anyhv_req *a, const struct anyhv_req *b)
{
    return (int16_t)(a->seq - b->seq) < 0;
}

/*
 * With IN_ORDER used entries come in the order of taking (section 2.7.9), whoever answered first.
 */
static void sort_done(struct anyhv_queue *q)
{
    struct anyhv_req *rest = q->done, *last = NULL, *req;

    q->done = NULL;
    q->done_tail = &q->done;
    while ((req = rest)) {
        struct anyhv_req **link = last && is_before(last, req) ? q->done_tail : &q->done;

        rest = req->next;
        while (*link && is_before(*link, req))
            link = &(*link)->next;
        req->next = *link;
        *link = req;
        if (!req->next) {
            last = req;
            q->done_tail = &req->next;
        }
    }
}

struct anyhv_req *anyhv_core_done_sort(struct anyhv_queue *q, uint16_t *count)
{
    struct anyhv_req *req;

    sort_done(q);
    *count = 0;
    for (req = q->done; req && req->seq == (uint16_t)(q->seq_used + *count); req = req->next)
        ++*count;
    return req;
}

static inline void count_done(struct anyhv_queue *q, struct anyhv_req *req)
{
    req->used = anyhv_req_written(req);
    q->counters.done++;
    q->counters.bytes_in += req->readable - req->rd.left;
    q->counters.bytes_out += req->used;
}

void anyhv_req_done(struct anyhv_req *req)
{
    struct anyhv_queue *q = req->queue;

    if (LIKELY(req->state == REQ_ACTIVE && !req->npins)) {
        count_done(q, req);
        finish(q, req);
    } else if (req->state == REQ_ACTIVE || req->state == REQ_HELD) {
        count_done(q, req);
        anyhv_core_req_finish(req);
    }
}

static bool is_ours(int why)
{
    return why == ANYHV_E_NORES || why == ANYHV_E_LOST || why == ANYHV_E_STATE || why == ANYHV_E_IO;
}

void anyhv_req_reject(struct anyhv_req *req, int why)
{
    struct anyhv_queue *q = req->queue;

    if (req->state != REQ_ACTIVE && req->state != REQ_HELD)
        return;
    req->used = 0;
    q->counters.rejected++;
    if (!is_ours(why))
        anyhv_core_violation(q->dev, q->index, ANYHV_V_DEVICE_REJECT, req->head,
                             (uint64_t)(int64_t)why);
    anyhv_core_req_finish(req);
}

uint64_t anyhv_req_hold(struct anyhv_req *req)
{
    struct anyhv_queue *q = req->queue;

    if (req->state == REQ_ACTIVE) {
        req->state = REQ_HELD;
        req->generation += 2; /* always odd: a handle is never 0 */
        anyhv_core_list_append(&q->held, req);
        q->counters.held++;
    }
    return (uint64_t)req->generation << 32 | (uint32_t)q->index << 16 | req->slot;
}

struct anyhv_req *anyhv_req_get(struct anyhv_dev *dev, uint64_t handle)
{
    uint32_t queue = handle >> 16 & 0xffff, slot = handle & 0xffff;
    struct anyhv_req *req;

    if (queue >= dev->ops->queues || slot >= dev->queues[queue].nreqs)
        return NULL;
    req = &dev->queues[queue].reqs[slot];
    return req->generation == handle >> 32 && req->state == REQ_HELD ? req : NULL;
}

struct anyhv_req *anyhv_queue_held(struct anyhv_dev *dev, unsigned queue)
{
    if (queue >= dev->ops->queues)
        return NULL;
    return dev->queues[queue].held.head;
}

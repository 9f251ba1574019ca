/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors over a chain's bytes, and the ways in which a request ends. */
#include "core.h"
#include "shm.h"

unsigned anyhv_req_queue(const struct anyhv_req *req)
{
    return req->queue->index;
}

/* ---- cursors ---- */

static void next_seg(const struct anyhv_queue *q, struct anyhv_cursor *at)
{
    at->off = 0;
    if (++at->seg == at->end) {
        struct anyhv_chunk *chunk = &q->chunks[*at->next - 1];

        at->seg = chunk->seg;
        at->end = chunk->seg + ANYHV_CHUNK_SEGS;
        at->next = &chunk->next;
    }
}

static void advance(const struct anyhv_queue *q, struct anyhv_cursor *at, uint32_t n)
{
    at->off += n;
    at->left -= n;
    if (at->left && at->off == at->seg->len)
        next_seg(q, at);
}

/* The region table changed since the chain was taken: find every piece again by its address. */
static void resolve(struct anyhv_req *req, struct anyhv_cursor at, unsigned perm)
{
    struct anyhv_mem *mem = req->mem;

    while (at.left) {
        at.seg->host = core_host(mem, at.seg->addr, at.seg->len, perm);
        advance(req->queue, &at, at.seg->len - at.off);
    }
}

static void refresh(struct anyhv_req *req)
{
    resolve(req, req->rd, ANYHV_R);
    resolve(req, req->wr_start, ANYHV_W);
    req->mem_gen = req->mem->generation;
}

static inline bool gone(struct anyhv_req *req)
{
    if (req->state != REQ_ACTIVE && req->state != REQ_HELD)
        return true;
    if (req->mem_gen != req->mem->generation)
        refresh(req);
    return false;
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

static int copy(struct anyhv_req *req, struct anyhv_cursor *cursor, void *buf, uint32_t len,
                unsigned perm)
{
    struct anyhv_queue *q = req->queue;
    struct anyhv_cursor at;
    uint8_t *byte = buf;

    if (gone(req))
        return ANYHV_E_LOST;
    at = *cursor;
    if (len > at.left)
        return ANYHV_E_SHORT;
    while (len) {
        uint32_t rest = at.seg->len - at.off, n = len < rest ? len : rest;
        int rc = copy_piece(req->mem, at.seg, at.off, byte, n, perm);

        if (rc)
            return rc;
        byte += n;
        len -= n;
        advance(q, &at, n);
    }
    *cursor = at;
    return ANYHV_OK;
}

/*
 * The likely case: all @len bytes lie in the segment under the cursor, which is mapped. NULL: it is
 * not that case. Moves the cursor.
 */
static inline uint8_t *one_piece(struct anyhv_req *req, struct anyhv_cursor *at, uint32_t len)
{
    struct anyhv_seg *seg = at->seg;
    uint8_t *host;

    if (UNLIKELY(gone(req) || len > at->left || len > seg->len - at->off || !seg->host))
        return NULL;
    host = seg->host + at->off;
    advance(req->queue, at, len);
    return host;
}

int anyhv_req_read(struct anyhv_req *req, void *buf, uint32_t len)
{
    const uint8_t *host = len ? one_piece(req, &req->rd, len) : NULL;
    int rc = ANYHV_OK;

    if (LIKELY(host))
        shm_copy_out(buf, host, len);
    else
        rc = copy(req, &req->rd, buf, len, ANYHV_R);

    if (rc == ANYHV_OK)
        req->queue->counters.bytes_in += len;
    return rc;
}

int anyhv_req_peek(struct anyhv_req *req, void *buf, uint32_t len)
{
    struct anyhv_cursor at = req->rd;

    return copy(req, &at, buf, len, ANYHV_R);
}

static void note_written(struct anyhv_req *req, uint32_t end)
{
    if (req->written < end)
        req->written = end;
}

int anyhv_req_write(struct anyhv_req *req, const void *buf, uint32_t len)
{
    uint8_t *host = len && !req->mem->tracked ? one_piece(req, &req->wr, len) : NULL;
    int rc = ANYHV_OK;

    if (LIKELY(host))
        memcpy(host, buf, len);
    else /* copy() serves both directions; for ANYHV_W it only reads *buf. */
        rc = copy(req, &req->wr, (void *)(uintptr_t)buf, len, ANYHV_W);

    if (rc == ANYHV_OK)
        note_written(req, req->writable - req->wr.left);
    return rc;
}

static void seek(const struct anyhv_queue *q, struct anyhv_cursor *at, uint32_t len)
{
    while (len) {
        uint32_t rest = at->seg->len - at->off, n = len < rest ? len : rest;

        advance(q, at, n);
        len -= n;
    }
}

static int zero_until(struct anyhv_req *req, uint32_t end)
{
    static const uint8_t zeroes[256];
    struct anyhv_cursor at = req->wr_start;

    if (end > req->written && end - req->written > ANYHV_REQ_HOLE_MAX)
        return ANYHV_E_INVAL;
    seek(req->queue, &at, req->written);
    while (req->written < end) {
        uint32_t n = end - req->written;
        int rc;

        if (n > sizeof(zeroes))
            n = sizeof(zeroes);
        rc = copy(req, &at, (void *)(uintptr_t)zeroes, n, ANYHV_W);
        if (rc)
            return rc;
        req->written += n;
    }
    return ANYHV_OK;
}

int anyhv_req_write_at(struct anyhv_req *req, uint32_t off, const void *buf, uint32_t len)
{
    struct anyhv_cursor at = req->wr_start;
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
    seek(req->queue, &at, off);
    rc = copy(req, &at, (void *)(uintptr_t)buf, len, ANYHV_W);
    if (rc == ANYHV_OK)
        note_written(req, off + len);
    return rc;
}

int anyhv_req_skip(struct anyhv_req *req, uint32_t len)
{
    if (gone(req))
        return ANYHV_E_LOST;
    if (len > req->rd.left)
        return ANYHV_E_SHORT;
    seek(req->queue, &req->rd, len);
    return ANYHV_OK;
}

/* ---- zero copy ---- */

static int map_piece(struct anyhv_req *req, const struct anyhv_cursor *at, unsigned perm,
                     uint32_t len, struct anyhv_map *out)
{
    uint64_t addr = at->seg->addr + at->off;

    if (!at->seg->host)
        return anyhv_mem_map(req->mem, addr, len, perm, out);
    *out =
        (struct anyhv_map){.ptr = at->seg->host + at->off, .len = len, .perm = perm, .addr = addr};
    return ANYHV_OK;
}

int anyhv_req_pin(struct anyhv_req *req, unsigned perm, uint32_t max, struct anyhv_map *out)
{
    struct anyhv_cursor *at = perm == ANYHV_W ? &req->wr : &req->rd;
    uint32_t len;
    int rc;

    if (gone(req))
        return ANYHV_E_LOST;
    if (at->left == 0 || max == 0)
        return ANYHV_E_SHORT;
    if (req->npins == ANYHV_REQ_PINS)
        return ANYHV_E_NORES;
    len = at->seg->len - at->off;
    rc = map_piece(req, at, perm, len < max ? len : max, out);
    if (rc)
        return rc;
    req->pins[req->npins++] = *out;
    req->mem->pins++;
    advance(req->queue, at, out->len);
    if (perm == ANYHV_W)
        note_written(req, req->writable - req->wr.left);
    else
        req->queue->counters.bytes_in += out->len;
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

/*
 * With IN_ORDER the used entries must come in the order of taking (section 2.7.9), so the list is
 * kept sorted; an ordered device appends at the end anyway.
 */
static void insert_done(struct anyhv_queue *q, struct anyhv_req *req)
{
    uint16_t number = (uint16_t)(req->slot + 1), *link = &q->done.head;
    struct anyhv_req *last = core_slot(q, q->done.tail);

    if (LIKELY(!last || !q->in_order || (int16_t)(req->seq - last->seq) > 0)) {
        if (last)
            last->next = number;
        else
            q->done.head = number;
        q->done.tail = number;
        req->next = 0;
        return;
    }
    while ((int16_t)(core_slot(q, *link)->seq - req->seq) < 0)
        link = &core_slot(q, *link)->next;
    req->next = *link;
    *link = number;
}

/* Maps end here, before the used entry is even written: a Xen guest may revoke them after it. */
void anyhv_core_req_finish(struct anyhv_req *req)
{
    struct anyhv_queue *q = req->queue;

    if (req->state == REQ_HELD)
        anyhv_core_list_remove(q, &q->held, req);
    if (req->npins)
        anyhv_core_req_unpin(req);
    req->state = REQ_DONE;
    insert_done(q, req);
    q->ndone++;
    core_work(q->dev);
}

void anyhv_req_done(struct anyhv_req *req)
{
    if (req->state != REQ_ACTIVE && req->state != REQ_HELD)
        return;
    req->queue->counters.done++;
    req->queue->counters.bytes_out += req->written;
    anyhv_core_req_finish(req);
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
    req->written = 0;
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
        anyhv_core_list_append(q, &q->held, req);
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
    return core_slot(&dev->queues[queue], dev->queues[queue].held.head);
}

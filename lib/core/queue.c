/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's life: its slots and chunks, starting, stopping, breaking, moving to other memory. */
#include "core.h"

/* ---- slots, chunks, lists ---- */

/* Where a chunk says which one comes next, in a chain or on the free list. */
static uint16_t *chunk_link(struct anyhv_chunk *chunk)
{
    return &chunk->seg[ANYHV_CHUNK_SEGS - 1].link;
}

void anyhv_core_queue_storage(struct anyhv_queue *q)
{
    q->done_tail = &q->done;
    q->free = NULL;
    for (uint16_t i = q->nreqs; i-- > 0;) {
        struct anyhv_req *req = &q->reqs[i];

        memset(req, 0, sizeof(*req));
        req->queue = q;
        req->mem = q->dev->mem;
        req->slot = i;
        req->generation = 1;
        req->next = q->free;
        q->free = req;
    }
    for (uint16_t i = 0; i < q->nchunks; i++)
        *chunk_link(&q->chunks[i]) = i + 1 < q->nchunks ? (uint16_t)(i + 2) : 0;
    q->free_chunk = q->nchunks ? 1 : 0;
    q->free_chunks = q->nchunks;
}

struct anyhv_chunk *anyhv_core_chunk_take(struct anyhv_queue *q, uint16_t *link)
{
    struct anyhv_chunk *chunk;

    if (!q->free_chunk)
        return NULL;
    chunk = &q->chunks[q->free_chunk - 1];
    *link = q->free_chunk;
    q->free_chunk = *chunk_link(chunk);
    q->free_chunks--;
    *chunk_link(chunk) = 0;
    return chunk;
}

void anyhv_core_chunks_free(struct anyhv_queue *q, struct anyhv_req *req)
{
    uint16_t number = req->chunks;

    while (number) {
        uint16_t *link = chunk_link(&q->chunks[number - 1]);
        uint16_t next = *link;

        *link = q->free_chunk;
        q->free_chunk = number;
        q->free_chunks++;
        number = next;
    }
    req->chunks = 0;
}

void anyhv_core_list_append(struct anyhv_list *list, struct anyhv_req *req)
{
    req->next = NULL;
    req->prev = list->tail;
    if (list->tail)
        list->tail->next = req;
    else
        list->head = req;
    list->tail = req;
}

void anyhv_core_list_remove(struct anyhv_list *list, struct anyhv_req *req)
{
    if (req->prev)
        req->prev->next = req->next;
    else
        list->head = req->next;
    if (req->next)
        req->next->prev = req->prev;
    else
        list->tail = req->prev;
}

/* ---- the rings' memory ---- */

struct area {
    uint64_t addr;
    uint32_t bytes;
    uint32_t align;
    unsigned perm;
};

/* The three areas of section 2.7 and 2.8. */
static void areas(const struct anyhv_queue_setup *setup, bool packed, struct area out[3])
{
    uint32_t n = setup->size;

    if (packed) {
        out[0] = (struct area){setup->desc, 16 * n, 16, ANYHV_R | ANYHV_W};
        out[1] = (struct area){setup->driver, 4, 4, ANYHV_R};
        out[2] = (struct area){setup->device, 4, 4, ANYHV_W};
    } else {
        out[0] = (struct area){setup->desc, 16 * n, 16, ANYHV_R};
        out[1] = (struct area){setup->driver, 6 + 2 * n, 2, ANYHV_R};
        out[2] = (struct area){setup->device, 6 + 8 * n, 4, ANYHV_W};
    }
}

static void unmap_rings(struct anyhv_queue *q)
{
    for (unsigned i = 0; i < 3; i++)
        anyhv_mem_unmap(q->dev->mem, &q->maps[i]);
    q->desc = q->driver = q->device = NULL;
}

/*
 * Maps what is not mapped yet, all three or none. A host pointer off its alignment would make our
 * loads fault.
 */
static int map_rings(struct anyhv_queue *q, const struct anyhv_queue_setup *setup, bool packed,
                     uint64_t *bad)
{
    struct area area[3];
    int rc = ANYHV_OK;

    areas(setup, packed, area);
    for (unsigned i = 0; i < 3 && !rc; i++) {
        struct anyhv_map *map = &q->maps[i];

        if (map->ptr)
            continue;
        *bad = area[i].addr;
        rc =
            anyhv_mem_map(q->dev->mem, area[i].addr, area[i].bytes, area[i].perm | ANYHV_RING, map);
        if (rc)
            map->ptr = NULL;
        else if (map->len < area[i].bytes || ((uintptr_t)map->ptr & (area[i].align - 1)))
            rc = ANYHV_E_BADADDR;
    }
    if (rc) {
        unmap_rings(q);
        return rc;
    }
    q->desc = q->maps[0].ptr;
    q->driver = q->maps[1].ptr;
    q->device = q->maps[2].ptr;
    return ANYHV_OK;
}

/* Pointers into regions are void when the table changes; what ops mapped stays mapped. */
static void forget_regions(struct anyhv_queue *q)
{
    for (unsigned i = 0; i < 3; i++)
        if (!(q->maps[i].perm & MAP_BY_OPS))
            q->maps[i].ptr = NULL;
}

static struct anyhv_queue_setup setup_of(const struct anyhv_queue *q)
{
    const struct anyhv_queue_state *st = q->state;

    return (struct anyhv_queue_setup){
        .desc = st->desc, .driver = st->driver, .device = st->device, .size = st->size};
}

/* The region table changed: rings are found again by address, or pause until they are. */
void anyhv_core_remap(struct anyhv_dev *dev)
{
    bool back = false;

    for (unsigned i = 0; i < dev->ops->queues; i++) {
        struct anyhv_queue *q = &dev->queues[i];
        struct anyhv_queue_setup setup;
        uint64_t bad;

        anyhv_core_reqs_stale(q);
        if (!core_started(q))
            continue;
        setup = setup_of(q);
        forget_regions(q);
        if (map_rings(q, &setup, q->packed, &bad)) {
            q->halt |= ANYHV_HALT_NO_MEMORY;
            continue;
        }
        back |= (q->halt & ANYHV_HALT_NO_MEMORY) != 0;
        q->halt &= ~(uint32_t)ANYHV_HALT_NO_MEMORY;
        q->pending = true;
    }
    if (back)
        core_work(dev);
}

/* ---- start ---- */

static int refuse(struct anyhv_dev *dev, enum anyhv_violation v, unsigned queue, uint64_t value,
                  int rc)
{
    anyhv_core_violation(dev, (int)queue, v, queue, value);
    anyhv_dev_needs_reset(dev);
    return rc;
}

static int check_setup(struct anyhv_dev *dev, unsigned queue, const struct anyhv_queue_setup *s,
                       bool packed)
{
    struct area area[3];

    if (s->size == 0 || s->size > anyhv_ctl_queue_max(dev, queue) ||
        (!packed && (s->size & (s->size - 1))))
        return refuse(dev, ANYHV_V_QUEUE_SIZE, queue, s->size, ANYHV_E_INVAL);
    areas(s, packed, area);
    for (unsigned i = 0; i < 3; i++)
        if (area[i].addr & (area[i].align - 1))
            return refuse(dev, ANYHV_V_QUEUE_ALIGN, queue, area[i].addr, ANYHV_E_INVAL);
    if (packed ? (s->base & 0x7fff) >= s->size || (s->base >> 16 & 0x7fff) >= s->size
               : s->base > 0xffff)
        return refuse(dev, ANYHV_V_QUEUE_BASE, queue, s->base, ANYHV_E_INVAL);
    return ANYHV_OK;
}

static void start_at(struct anyhv_queue *q, uint32_t base)
{
    if (q->packed) {
        q->next_avail = base & 0x7fff;
        q->avail_wrap = base >> 15 & 1;
        q->next_used = base >> 16 & 0x7fff;
        q->used_wrap = base >> 31 & 1;
    } else {
        /* All that was taken has been used when a split ring moves: one index says it all. */
        q->next_avail = (uint16_t)base;
        q->next_used = (uint16_t)base;
        q->avail_wrap = q->used_wrap = false;
    }
    q->avail_seen = q->next_avail;
    q->free_descs = q->size;
    q->seq_next = q->seq_used = 0;
    q->notified = false; /* the first completion always notifies */
    q->unnotified = 0;
    q->retry = false;
    q->muted = true; /* whatever the ring says: the first look arms it */
    q->stalled = false;
}

int anyhv_ctl_queue_start(struct anyhv_dev *dev, unsigned queue,
                          const struct anyhv_queue_setup *setup)
{
    bool packed = core_has(dev, ANYHV_F_RING_PACKED);
    struct anyhv_queue *q;
    uint64_t bad = 0;
    int rc;

    if (queue >= dev->ops->queues)
        return refuse(dev, ANYHV_V_QUEUE_SIZE, queue, setup->size, ANYHV_E_INVAL);
    q = &dev->queues[queue];
    if (core_started(q) || (q->halt & ANYHV_HALT_BROKEN) || (dev->halt & ANYHV_HALT_LOST) ||
        !core_status_has(dev, ANYHV_S_FEATURES_OK))
        return refuse(dev, ANYHV_V_QUEUE_STATE, queue, dev->state->status, ANYHV_E_STATE);
    rc = check_setup(dev, queue, setup, packed);
    if (rc)
        return rc;
    rc = map_rings(q, setup, packed, &bad);
    if (rc == ANYHV_E_BADADDR || rc == ANYHV_E_PERM)
        return refuse(dev, ANYHV_V_QUEUE_MEMORY, queue, bad, rc);
    if (rc)
        return rc;

    q->packed = packed;
    q->size = setup->size;
    q->event_idx = core_has(dev, ANYHV_F_EVENT_IDX);
    q->indirect = core_has(dev, ANYHV_F_INDIRECT_DESC);
    q->in_order = core_has(dev, ANYHV_F_IN_ORDER);
    start_at(q, setup->base);
    rc = anyhv_journal_open(q);
    if (rc == ANYHV_OK && q->journal.replay && (dev->halt & ANYHV_HALT_SUSPENDED))
        rc = ANYHV_E_INVAL; /* who is asleep had finished everything */
    if (rc) {
        unmap_rings(q);
        return refuse(dev, ANYHV_V_QUEUE_JOURNAL, queue, setup->size, rc);
    }
    q->state->desc = setup->desc;
    q->state->driver = setup->driver;
    q->state->device = setup->device;
    q->state->size = setup->size;
    core_queue_note(q);
    core_step();
    q->state->enabled = 1;
    core_queue_watch(q);
    for (uint16_t i = 0; i < q->nreqs && !q->watched; i++)
        q->reqs[i].replayed = false; /* nobody sets it, and there may have been a journal before */
    q->halt &= ~(uint32_t)(ANYHV_HALT_STOPPED | ANYHV_HALT_DRAINING | ANYHV_HALT_NO_MEMORY);
    if (dev->running) /* its turn may be under way, in the layout that it had */
        q->halt |= ANYHV_HALT_FRESH;
    q->pending = true;
    if (dev->port->queue_changed)
        dev->port->queue_changed(dev, queue);
    core_work(dev);
    return ANYHV_OK;
}

/* ---- stop ---- */

/* Forgets every request without touching guest memory, but for ending maps. */
void anyhv_core_queue_drop(struct anyhv_queue *q)
{
    for (uint16_t i = 0; i < q->nreqs; i++) {
        struct anyhv_req *req = &q->reqs[i];

        if (req->state == REQ_FREE)
            continue;
        anyhv_core_req_unpin(req);
        req->rd.room = req->wr.room = 0;
        core_slot_free(q, req);
        q->counters.dropped++;
    }
    q->held = (struct anyhv_list){0};
    q->done = NULL;
    q->done_tail = &q->done;
    q->ndone = 0;
    q->seq_used = q->seq_next;
    q->free_descs = q->size;
    q->journal.replay = 0;
}

/* Stops at once: reset, lost peer, detach, or the end of a drain. */
void anyhv_core_queue_halt(struct anyhv_queue *q)
{
    bool was_started = core_started(q);

    q->dev->quiet_due |= (q->halt & ANYHV_HALT_DRAINING) != 0;
    anyhv_core_queue_drop(q);
    unmap_rings(q);
    q->halt |= ANYHV_HALT_STOPPED;
    q->halt &= ~(uint32_t)(ANYHV_HALT_DRAINING | ANYHV_HALT_NO_MEMORY);
    q->pending = false;
    q->stalled = false;
    if (was_started && q->dev->port->queue_changed)
        q->dev->port->queue_changed(q->dev, q->index);
}

/* The ring makes no sense any more: nothing is taken or written until a reset, section 2.1. */
void anyhv_core_queue_break(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    q->halt |= ANYHV_HALT_BROKEN;
    q->pending = false;
    anyhv_core_violation(q->dev, q->index, v, a, b);
    anyhv_dev_needs_reset(q->dev);
    if (q->dev->port->queue_changed)
        q->dev->port->queue_changed(q->dev, q->index);
}

/* The word of vhost and VDUSE that says where to go on. */
uint32_t anyhv_core_queue_base(const struct anyhv_queue *q)
{
    const struct anyhv_queue_state *st = q->state;
    bool packed = core_has(q->dev, ANYHV_F_RING_PACKED);

    if (st->size == 0) /* never set up */
        return packed ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT;
    if (!packed)
        return st->next_avail;
    return (uint32_t)st->next_avail | (st->wraps & 1u) << 15 | (uint32_t)st->next_used << 16 |
           (st->wraps & 2u) << 30;
}

int anyhv_ctl_queue_stop(struct anyhv_dev *dev, unsigned queue, bool drain, uint32_t *base)
{
    struct anyhv_queue *q;

    if (queue >= dev->ops->queues)
        return ANYHV_E_INVAL;
    q = &dev->queues[queue];
    if (drain && core_started(q) && !(dev->halt & ANYHV_HALT_LOST)) {
        q->halt |= ANYHV_HALT_DRAINING;
        dev->awaited = true;
        if (anyhv_core_drain(q) == ANYHV_LATER) {
            if (!(q->halt & ANYHV_HALT_NO_MEMORY))
                return ANYHV_LATER;
            q->halt &= ~(uint32_t)ANYHV_HALT_DRAINING;
            return ANYHV_E_BADADDR;
        }
        q->halt &= ~(uint32_t)ANYHV_HALT_DRAINING;
    }
    anyhv_core_queue_halt(q);
    q->state->enabled = 0;
    core_step(); /* a queue that runs without its journal is nothing to go on from */
    anyhv_journal_close(q);
    if (!drain) {
        q->halt &= ~(uint32_t)ANYHV_HALT_BROKEN; /* a queue reset heals the queue, section 2.6.1 */
        memset(q->state, 0, sizeof(*q->state));
        if (dev->started && dev->ops->queue_reset)
            dev->ops->queue_reset(dev, queue);
    }
    if (base)
        *base = anyhv_core_queue_base(q);
    return ANYHV_OK;
}

void anyhv_ctl_queue_pause(struct anyhv_dev *dev, unsigned queue, bool paused)
{
    struct anyhv_queue *q;

    if (queue >= dev->ops->queues)
        return;
    q = &dev->queues[queue];
    q->halt &= ~(uint32_t)ANYHV_HALT_PAUSED;
    if (paused)
        q->halt |= ANYHV_HALT_PAUSED;
    if (!paused && core_started(q)) {
        q->pending = true;
        core_work(dev);
    }
}

bool anyhv_ctl_queue_started(const struct anyhv_dev *dev, unsigned queue)
{
    return queue < dev->ops->queues && core_started(&dev->queues[queue]);
}

bool anyhv_ctl_queue_broken(const struct anyhv_dev *dev, unsigned queue)
{
    return queue < dev->ops->queues && (dev->queues[queue].halt & ANYHV_HALT_BROKEN);
}

const struct anyhv_queue_counters *anyhv_ctl_counters(const struct anyhv_dev *dev, unsigned queue)
{
    return queue < dev->ops->queues ? &dev->queues[queue].counters : NULL;
}

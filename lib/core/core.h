/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of lib/core know of each other.
 *
 *   run.c      the engine: kick, run, publish, quiesce          status.c   status machine, features
 *   queue.c    start and stop, slots, chunks, lists             config.c   configuration space
 *   split.c, packed.c   take a chain, put used entries          state.c    save, load, resume
 *   request.c  cursors over a chain                             device.c   attach, detach
 *   mem.c      guest memory
 */
#ifndef ANYHV_CORE_H
#define ANYHV_CORE_H

#include <anyhv/control.h>
#include <anyhv/port.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ANYHV_INDIRECT_MAX: entries of an indirect table that we follow. */
#define ANYHV_INDIRECT_MAX 1024u

enum req_state {
    REQ_FREE,
    REQ_ACTIVE, /* with the device, inside its callback or pulled */
    REQ_HELD,
    REQ_DONE, /* answered, used entry not yet written */
};

/* What taking a chain from a ring led to. */
enum take {
    TAKE_OK,       /* *req is the device's */
    TAKE_REJECTED, /* the chain was taken and is already answered with length 0 */
    TAKE_EMPTY,
    TAKE_STALLED, /* no slot or chunk is free: nothing was taken */
    TAKE_BROKEN,
};

/* ---- device.c ---- */
void anyhv_core_violation(struct anyhv_dev *dev, int queue, enum anyhv_violation v, uint64_t a,
                          uint64_t b);

/* ---- status.c ---- */
static inline bool core_status_has(const struct anyhv_dev *dev, uint8_t bits)
{
    return (dev->state->status & bits) == bits;
}
uint64_t anyhv_core_offer(const struct anyhv_device_ops *ops, const struct anyhv_port_ops *port,
                          uint64_t withhold);
void anyhv_core_reset(struct anyhv_dev *dev);
bool anyhv_core_features_valid(const struct anyhv_dev *dev, uint64_t features);
void anyhv_core_driver_ok(struct anyhv_dev *dev);

/* ---- state.c ---- */
int anyhv_core_resume(struct anyhv_dev *dev); /* the state block, hostile, becomes the device */

/* ---- config.c ---- */
void anyhv_core_config_fresh(struct anyhv_dev *dev); /* all of it, as the device type has it */
void anyhv_core_config_reset(struct anyhv_dev *dev); /* what the driver may write */
/* The driver's window from @from, the bytes of a whole space, hostile. */
void anyhv_core_config_written(struct anyhv_dev *dev, const uint8_t *from);
/* After a resume in place: the window stays, everything else is fresh. */
void anyhv_core_config_keep_written(struct anyhv_dev *dev);

/* ---- queue.c ---- */
static inline bool core_has(const struct anyhv_dev *dev, uint64_t feature)
{
    return (dev->state->driver_features & feature) != 0;
}
struct anyhv_chunk *anyhv_core_chunk_take(struct anyhv_queue *q, uint16_t *link);
void anyhv_core_chunks_free(struct anyhv_queue *q, struct anyhv_req *req);
void anyhv_core_list_append(struct anyhv_queue *q, struct anyhv_list *list, struct anyhv_req *req);
void anyhv_core_list_remove(struct anyhv_queue *q, struct anyhv_list *list, struct anyhv_req *req);
static inline struct anyhv_req *core_slot(const struct anyhv_queue *q, uint16_t number)
{
    return number ? &q->reqs[number - 1] : NULL;
}
static inline struct anyhv_req *core_slot_take(struct anyhv_queue *q)
{
    struct anyhv_req *req = core_slot(q, q->free.head);

    if (!req)
        return NULL;
    q->free.head = req->next; /* last freed, first used: it is still in the cache */
    req->written = 0;
    req->asked = false;
    req->mem_gen = req->mem->generation;
    return req;
}

static inline void core_slot_free(struct anyhv_queue *q, struct anyhv_req *req)
{
    if (UNLIKELY(req->chunks))
        anyhv_core_chunks_free(q, req);
    req->state = REQ_FREE;
    if (UNLIKELY(++req->generation == 0))
        req->generation = 1; /* a handle is never 0 */
    req->next = q->free.head;
    q->free.head = (uint16_t)(req->slot + 1);
}

void anyhv_core_queue_break(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b);
void anyhv_core_queue_drop(struct anyhv_queue *q);
void anyhv_core_queue_halt(struct anyhv_queue *q);
void anyhv_core_queue_storage(
    struct anyhv_queue *q); /* puts all slots and chunks on the free lists */
void anyhv_core_remap(struct anyhv_dev *dev);
void anyhv_core_room(struct anyhv_dev *dev);
uint32_t anyhv_core_queue_base(const struct anyhv_queue *q);
static inline void core_queue_note(struct anyhv_queue *q) /* progress into the state block */
{
    q->state->next_avail = q->next_avail;
    q->state->next_used = q->next_used;
    q->state->wraps = (uint8_t)(q->avail_wrap | q->used_wrap << 1);
}

/* ---- request.c ---- */
void anyhv_core_req_unpin(struct anyhv_req *req);
void anyhv_core_req_finish(struct anyhv_req *req); /* on the done list, to be published */

/* ---- run.c ---- */
static inline void core_work(struct anyhv_dev *dev)
{
    if (!dev->running && !dev->lost)
        dev->port->work(dev);
}
int anyhv_core_drain(struct anyhv_queue *q); /* ANYHV_OK, or ANYHV_LATER: requests are in work */

/* ---- split.c, packed.c: the two ring layouts ---- */
enum take anyhv_split_take(struct anyhv_queue *q, struct anyhv_req **req);
void anyhv_split_put(
    struct anyhv_queue *q); /* writes the done list to the used ring, publishes once */
void anyhv_split_arm(struct anyhv_queue *q, bool on);
bool anyhv_split_available(const struct anyhv_queue *q);
bool anyhv_split_wants_notify(const struct anyhv_queue *q);
void anyhv_split_untake(struct anyhv_queue *q, const struct anyhv_req *req);

enum take anyhv_packed_take(struct anyhv_queue *q, struct anyhv_req **req);
void anyhv_packed_put(struct anyhv_queue *q);
void anyhv_packed_arm(struct anyhv_queue *q, bool on);
bool anyhv_packed_available(const struct anyhv_queue *q);
bool anyhv_packed_wants_notify(const struct anyhv_queue *q);
void anyhv_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req);

/* ---- mem.c ---- */

/* In map->perm, private: ops->map made it, so ops->unmap must end it. */
#define MAP_BY_OPS 0x80000000u

static inline void core_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    if (UNLIKELY(mem->tracked))
        mem->ops->dirty(mem, addr, len);
}

/* As anyhv_mem_host, the likely case without a call. */
static inline uint8_t *core_host(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm)
{
    const struct anyhv_region *region = mem->last;
    uint64_t off = addr - region->addr;

    if (LIKELY(off < region->size && len <= region->size - off && (region->perm & perm)))
        return region->host + off;
    return anyhv_mem_host(mem, addr, len, perm);
}

/* Is the event at @event among those from @from (exclusive) to @to? Section 2.7.10, modulo 2^16. */
static inline bool core_need_event(uint16_t event, uint16_t to, uint16_t from)
{
    return (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

#endif

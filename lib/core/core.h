/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of lib/core know of each other.
 *
 *   run.c      the engine: kicks, runs, late answers            status.c   status machine, features
 *   drain.c    stop, quiesce, suspend: until nothing is held    config.c   configuration space
 *   queue.c    start and stop, slots, chunks, lists             state.c    save, load, resume
 *   split.c, packed.c   take chains, put used entries           journal.c  what is in work
 *   serve.h    what these two share: a queue's turn             device.c   attach, detach
 *   chain.h    ... and how a chain becomes a request            mem.c      guest memory
 *   request.c  cursors over a chain, answers
 */
#ifndef ANYHV_CORE_H
#define ANYHV_CORE_H

#include <anyhv/control.h>
#include <anyhv/port.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#ifdef __OPTIMIZE_SIZE__
#define CORE_INLINE static inline
#else
#define CORE_INLINE static inline __attribute__((always_inline)) /* a loop without calls */
#endif

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
    TAKE_OK,       /* there is a request */
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

/* A suspended device's configuration stands still; what was set meanwhile comes at the end. */
void anyhv_core_config_freeze(struct anyhv_dev *dev);
void anyhv_core_config_thaw(struct anyhv_dev *dev);

/* ---- queue.c ---- */
static inline bool core_has(const struct anyhv_dev *dev, uint64_t feature)
{
    return (dev->state->driver_features & feature) != 0;
}

/* Rings are not touched at all. */
#define HALT_DEAD                                                                           \
    (ANYHV_HALT_STOPPED | ANYHV_HALT_BROKEN | ANYHV_HALT_NO_MEMORY | ANYHV_HALT_SUSPENDED | \
     ANYHV_HALT_LOST | ANYHV_HALT_FORSAKEN)

static inline bool core_usable(const struct anyhv_queue *q)
{
    return !((q->halt | q->dev->halt) & HALT_DEAD);
}

/* A drain still takes what a predecessor had taken: it would be lost otherwise. */
static inline bool core_may_take(const struct anyhv_queue *q)
{
    uint32_t halt = q->halt | q->dev->halt;

    return LIKELY(!halt) ||
           (!(halt & (HALT_DEAD | ANYHV_HALT_PAUSED | ANYHV_HALT_FRESH)) && q->journal.replay);
}

static inline bool core_started(const struct anyhv_queue *q)
{
    return !(q->halt & ANYHV_HALT_STOPPED);
}

struct anyhv_chunk *anyhv_core_chunk_take(struct anyhv_queue *q, uint16_t *link);
void anyhv_core_chunks_free(struct anyhv_queue *q, struct anyhv_req *req);
void anyhv_core_list_append(struct anyhv_list *list, struct anyhv_req *req);
void anyhv_core_list_remove(struct anyhv_list *list, struct anyhv_req *req);

/* A batch of answers that needs nothing but its used entries. */
static inline bool core_batch_plain(const struct anyhv_queue *q)
{
    return !q->in_order && !q->dev->mem->tracked && q->free_chunks == q->nchunks;
}

/* All that @req holds goes back, nothing if it is @plain; it is not on the free list yet. */
CORE_INLINE void core_slot_clear(struct anyhv_queue *q, struct anyhv_req *req, bool plain)
{
    if (!plain && req->chunks)
        anyhv_core_chunks_free(q, req);
    req->state = REQ_FREE;
}

static inline void core_slot_free(struct anyhv_queue *q, struct anyhv_req *req)
{
    core_slot_clear(q, req, false);
    req->next = q->free; /* last freed, first used: it is still in the cache */
    q->free = req;
}

/* With IN_ORDER: sorts the answers; the first that cannot be used yet, or NULL, and its number. */
struct anyhv_req *anyhv_core_done_sort(struct anyhv_queue *q, uint16_t *count);

/*
 * How many answers can be used now, and where they end: NULL, or with IN_ORDER the first too new.
 */
static inline struct anyhv_req *core_done_end(struct anyhv_queue *q, uint16_t *count)
{
    *q->done_tail = NULL;
    *count = q->ndone;
    return LIKELY(!q->in_order) ? NULL : anyhv_core_done_sort(q, count);
}

/* The answers up to @end, with @last in front of that, are free. */
static inline void core_done_free(struct anyhv_queue *q, struct anyhv_req *last,
                                  struct anyhv_req *end)
{
    last->next = q->free;
    q->free = q->done;
    q->done = end;
    if (!end)
        q->done_tail = &q->done;
}

static inline void core_done_count(struct anyhv_queue *q, uint16_t count)
{
    q->seq_used = (uint16_t)(q->seq_used + count);
    q->ndone = (uint16_t)(q->ndone - count);
}

/* What anyhv_core_publish does, by the function of the queue's layout. */
CORE_INLINE void core_publish(struct anyhv_queue *q, void (*put)(struct anyhv_queue *q))
{
    uint16_t before = q->ndone;

    if (!before || !core_usable(q))
        return;
    put(q);
    if (q->ndone == before)
        return; /* IN_ORDER: the oldest is not answered yet */
    q->counters.publishes++;
    q->pending |= q->stalled; /* slots came free */
    q->stalled = false;
}

/* Does anything but taking and answering happen to this queue's requests? */
static inline void core_queue_watch(struct anyhv_queue *q)
{
    q->watched = q->journal.area || q->dev->mem->tracked;
}

/* The same for one request; @again: a predecessor had taken it. */
static inline void core_req_watch(struct anyhv_req *req, bool again)
{
    req->replayed = again;
    if (req->mem->tracked)
        req->wr.room = 0; /* each write is to be reported */
}

void anyhv_core_queue_break(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b);
void anyhv_core_queue_drop(struct anyhv_queue *q);
void anyhv_core_queue_halt(struct anyhv_queue *q);
/* Puts all slots and chunks on the free lists. */
void anyhv_core_queue_storage(struct anyhv_queue *q);
void anyhv_core_remap(struct anyhv_dev *dev);
uint32_t anyhv_core_queue_base(const struct anyhv_queue *q);
/*
 * What a successor may find is a prefix of what was done, in the program's order: that is all that
 * a killed process leaves, and all that has to be kept.
 */
static inline void core_step(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline void core_queue_note(struct anyhv_queue *q) /* progress into the state block */
{
    q->state->next_avail = q->next_avail;
    q->state->next_used = q->next_used;
    q->state->wraps = (uint8_t)(q->avail_wrap | q->used_wrap << 1);
}

/* ---- request.c ---- */
void anyhv_core_req_unpin(struct anyhv_req *req);
void anyhv_core_req_finish(struct anyhv_req *req); /* on the done list, to be published */
/* Everything that is taken goes the long way once, and looks again. */
void anyhv_core_reqs_stale(struct anyhv_queue *q);

/* ---- run.c ---- */
static inline void core_work(struct anyhv_dev *dev)
{
    if (!dev->running && !(dev->halt & ANYHV_HALT_LOST))
        dev->port->work(dev);
}
void anyhv_core_publish(struct anyhv_queue *q);
void anyhv_core_publish_late(struct anyhv_queue *q); /* outside the queue's turn; decides, too */
void anyhv_core_room(struct anyhv_dev *dev);

/* ---- drain.c ---- */
int anyhv_core_drain(struct anyhv_queue *q); /* ANYHV_OK, or ANYHV_LATER: requests are in work */
void anyhv_core_suspend(struct anyhv_dev *dev);
void anyhv_core_sleep(struct anyhv_dev *dev); /* now */
void anyhv_core_unsuspend(struct anyhv_dev *dev);
void anyhv_core_report_quiet(struct anyhv_dev *dev); /* if dev->awaited: to whoever waits */

/* ---- split.c, packed.c: the two ring layouts ---- */
/* The queue's turn in a run: at most *@budget requests, which are counted down. */
void anyhv_split_turn(struct anyhv_queue *q, unsigned *budget);
struct anyhv_req *anyhv_split_pull(struct anyhv_queue *q, enum take *why);
/* Writes the done list to the used ring and makes it visible at once. */
void anyhv_split_put(struct anyhv_queue *q);
/* Asks for the next kick; true: too late for that, there is something. */
bool anyhv_split_rearm(struct anyhv_queue *q);
/* Used entries became visible since the last decision: does the driver want to hear of them? */
void anyhv_split_notify(struct anyhv_queue *q);
void anyhv_split_untake(struct anyhv_queue *q, const struct anyhv_req *req);

void anyhv_packed_turn(struct anyhv_queue *q, unsigned *budget);
struct anyhv_req *anyhv_packed_pull(struct anyhv_queue *q, enum take *why);
void anyhv_packed_put(struct anyhv_queue *q);
bool anyhv_packed_rearm(struct anyhv_queue *q);
void anyhv_packed_notify(struct anyhv_queue *q);
void anyhv_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req);

/* ---- journal.c ---- */
struct shm_desc;
/* At the start of a queue: takes over what a predecessor left. */
int anyhv_journal_open(struct anyhv_queue *q);
/* It tells where a ring is that was not stopped. */
bool anyhv_journal_used(const struct anyhv_queue *q);
/* The queue stopped, nothing is in work: its next start is a fresh one. */
void anyhv_journal_close(struct anyhv_queue *q);
/* While journal.replay: the entry that is to be taken again next (split: a head); it was. */
uint16_t anyhv_journal_replay(struct anyhv_queue *q);
void anyhv_journal_replayed(struct anyhv_queue *q);
/* Split: a chain is taken, goes back, is about to be used up to @end, @count of them were used. */
void anyhv_journal_split_take(struct anyhv_queue *q, uint16_t head);
void anyhv_journal_split_untake(struct anyhv_queue *q, uint16_t head);
void anyhv_journal_split_using(struct anyhv_queue *q, const struct anyhv_req *end);
void anyhv_journal_split_used(struct anyhv_queue *q, uint16_t count);
/* Packed: the @nth descriptor of a chain that is walked; false: the free list is damaged. */
bool anyhv_journal_packed_add(struct anyhv_queue *q, struct anyhv_req *req,
                              const struct shm_desc *desc, uint16_t nth);
void anyhv_journal_packed_take(struct anyhv_queue *q, const struct anyhv_req *req);
void anyhv_journal_packed_untake(struct anyhv_queue *q, const struct anyhv_req *req);
void anyhv_journal_packed_using(struct anyhv_queue *q, const struct anyhv_req *end);
void anyhv_journal_packed_used(struct anyhv_queue *q, uint16_t count);
/* The @nth descriptor of a chain that is taken again; false: it is no chain any more. */
bool anyhv_journal_packed_desc(struct anyhv_queue *q, struct anyhv_req *req, uint16_t nth,
                               struct shm_desc *out);

/* ---- mem.c ---- */

/* In map->perm, private: ops->map made it, so ops->unmap must end it. */
#define MAP_BY_OPS 0x80000000u

static inline void core_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    if (UNLIKELY(mem->tracked))
        mem->ops->dirty(mem, addr, len);
}

/* As anyhv_mem_host, if the region that answered last holds it. False for 0 bytes. */
CORE_INLINE bool core_hit(const struct anyhv_mem *mem, uint64_t addr, uint32_t len, uint8_t **host)
{
    uint64_t off = addr - mem->last.addr, last;

    /* Where the last byte is. In front of the region, and for 0 bytes, the sum wraps or is huge. */
    if (UNLIKELY(__builtin_add_overflow(off, (uint64_t)len - 1, &last) || last >= mem->last.size))
        return false;
    *host = mem->last.host + off;
    return true;
}

/* As anyhv_mem_host, after core_hit said no. */
uint8_t *anyhv_core_host(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm);

/* Requests that were taken and are not used. */
static inline uint16_t core_inflight(const struct anyhv_queue *q)
{
    return (uint16_t)(q->seq_next - q->seq_used);
}

/*
 * Section 2.7.9 and 2.8.7: with IN_ORDER one used entry may stand for a batch, in the place of the
 * batch's first and with the values of its last. Buffers it skips count as filled, so a short one
 * ends a batch. May @req be skipped, with @next behind it?
 */
static inline bool core_may_skip(const struct anyhv_req *req, const struct anyhv_req *next)
{
    return next && next->seq == (uint16_t)(req->seq + 1) && req->used == req->writable;
}

/* Is the event at @event among those from @from (exclusive) to @to? Section 2.7.10, modulo 2^16. */
static inline bool core_need_event(uint16_t event, uint16_t to, uint16_t from)
{
    return (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

#endif

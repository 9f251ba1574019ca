/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a request while its chain is walked: what split and packed rings have in common. Each
 * descriptor was copied before it gets here; what is checked here is the copy.
 */
#ifndef ANYHV_CORE_CHAIN_H
#define ANYHV_CORE_CHAIN_H

#include "core.h"
#include "shm.h"

/* Flags of a descriptor, sections 2.7.5 and 2.8.6: the same in both layouts. */
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define DESC_SIZE     16u

/* Packed rings, section 2.8.1: whose a descriptor is, seen from a lap of the ring. */
#define DESC_AVAIL (1u << 7)
#define DESC_USED  (1u << 15)

static inline bool packed_is_available(uint16_t flags, bool wrap)
{
    return !!(flags & DESC_AVAIL) == wrap && !!(flags & DESC_USED) != wrap;
}

/* Moves a position @n slots on, n at most the size. */
static inline void packed_forward(const struct anyhv_queue *q, uint16_t *at, bool *wrap, uint32_t n)
{
    uint32_t to = *at + n;

    if (to >= q->size) {
        to -= q->size;
        *wrap = !*wrap;
    }
    *at = (uint16_t)to;
}

/*
 * Where the walk stands. A local of the function that walks: nothing that is likely takes its
 * address, so it lives in registers.
 */
struct chain {
    struct anyhv_queue *q;
    struct anyhv_req *req;
    struct anyhv_seg *seg; /* the next free place */
    struct anyhv_seg *end; /* of the block that it is in */
    uint32_t total;        /* bytes of the part that the walk is in */
    uint32_t fuel;         /* descriptors before there is something to look after */
    uint32_t burnt;        /* descriptors that were given as fuel so far */
    unsigned perm;         /* of that part: ANYHV_R, then ANYHV_W */
};

/* Counts and reports; what a chain that cannot be served ends with. */
enum take anyhv_chain_reject(struct anyhv_queue *q, enum anyhv_violation v, uint64_t a, uint64_t b);
/* A further block of places, linked to @last: the first of them, or NULL and *@why. */
struct anyhv_seg *anyhv_chain_grow(struct anyhv_req *req, struct anyhv_seg *last, enum take *why);
/* How many places are taken in front of @seg. */
unsigned anyhv_chain_count(const struct anyhv_req *req, const struct anyhv_seg *seg);
/* The region that answered last does not hold this buffer: sets its host pointer, or refuses it. */
enum take anyhv_chain_find(struct anyhv_queue *q, struct anyhv_seg *seg, unsigned perm);
/* An empty buffer is legal and carries nothing. */
enum take anyhv_chain_empty(struct anyhv_queue *q, uint16_t head);

CORE_INLINE void chain_clear(struct anyhv_req *req) /* one store */
{
    req->written_at = 0;
    req->stale = false;
    req->asked = false;
    req->replayed = false;
    req->npins = 0;
}

/*
 * The next free slot as a request with nothing in it, or NULL. Its state stays "free": a module may
 * reset the device when it hears that a ring broke, in the middle of a walk.
 */
static inline struct anyhv_req *chain_slot(struct anyhv_queue *q)
{
    struct anyhv_req *req = q->free;

    if (UNLIKELY(!req))
        return NULL;
    q->free = req->next;
    chain_clear(req);
    return req;
}

CORE_INLINE struct chain chain_begin(struct anyhv_queue *q, struct anyhv_req *req)
{
    return (struct chain){.q = q,
                          .req = req,
                          .seg = req->segs,
                          .end = req->segs + ANYHV_REQ_SEGS,
                          .fuel = ANYHV_REQ_SEGS,
                          .burnt = ANYHV_REQ_SEGS,
                          .perm = ANYHV_R};
}

/* A cursor at the start of a part of @total bytes, not 0. */
CORE_INLINE void chain_cursor(struct anyhv_cursor *at, const struct anyhv_seg *first,
                              uint32_t total)
{
    at->left = total;
    at->room = 0;
    at->seg = NULL;
    if (LIKELY(first->host)) {
        at->ptr = first->host;
        at->room = first->len;
    }
}

CORE_INLINE void chain_no_cursor(struct anyhv_cursor *at)
{
    at->left = 0;
    at->room = 0;
}

/* The readable part ends. */
CORE_INLINE void chain_readable_end(const struct chain *c)
{
    struct anyhv_req *req = c->req;

    req->readable = c->total;
    if (c->total)
        chain_cursor(&req->rd, req->segs, c->total);
    else
        chain_no_cursor(&req->rd);
}

CORE_INLINE void chain_start_writing(struct chain *c)
{
    chain_readable_end(c);
    c->req->wr_first = c->seg;
    c->total = 0;
    c->perm = ANYHV_W;
}

CORE_INLINE void chain_end(const struct chain *c)
{
    struct anyhv_req *req = c->req;

    if (c->perm == ANYHV_W) {
        req->writable = c->total;
        chain_cursor(&req->wr, req->wr_first, c->total);
    } else {
        chain_readable_end(c);
        req->writable = 0;
        chain_no_cursor(&req->wr);
    }
}

/*
 * One descriptor is done with and there is another one. The fuel tells how many can be done without
 * asking whether there is a place for them, or whether there are more than @max. TAKE_EMPTY: there
 * are; counted by descriptors, so that a loop of empty ones ends as well.
 */
CORE_INLINE enum take chain_next(struct chain *c, uint32_t max)
{
    enum take rc;

    if (LIKELY(--c->fuel))
        return TAKE_OK;
    if (c->burnt >= max)
        return TAKE_EMPTY;
    if (c->seg == c->end) {
        c->seg = anyhv_chain_grow(c->req, c->end - 1, &rc);
        if (!c->seg)
            return rc;
        c->end = c->seg + ANYHV_CHUNK_SEGS;
    }
    c->fuel = (uint32_t)(c->end - c->seg); /* empty descriptors took no place */
    c->burnt += c->fuel;
    return TAKE_OK;
}

/* Adds one buffer to the part that the walk is in. */
CORE_INLINE enum take chain_add(struct chain *c, uint64_t addr, uint32_t len)
{
    struct anyhv_seg *seg = c->seg;

    if (UNLIKELY(len == 0))
        return anyhv_chain_empty(c->q, c->req->head);
    if (UNLIKELY(__builtin_add_overflow(c->total, len, &c->total)))
        return anyhv_chain_reject(c->q, ANYHV_V_TOO_BIG, c->req->head, 0);
    seg->addr = addr;
    seg->len = len;
    c->seg = seg + 1;
    if (LIKELY(core_hit(c->req->mem, addr, len, &seg->host)))
        return TAKE_OK;
    return anyhv_chain_find(c->q, seg, c->perm);
}

/*
 * The same for a buffer whose direction @flags tell. The order is checked before the length: an
 * empty buffer has a direction too.
 */
CORE_INLINE enum take chain_add_as(struct chain *c, uint16_t flags, uint64_t addr, uint32_t len)
{
    if ((flags ^ c->perm) & DESC_WRITE) { /* which has the value of ANYHV_W */
        if (UNLIKELY(c->perm == ANYHV_W))
            return anyhv_chain_reject(c->q, ANYHV_V_ORDER, c->req->head,
                                      anyhv_chain_count(c->req, c->seg));
        if (LIKELY(len))
            chain_start_writing(c);
    }
    return chain_add(c, addr, len);
}

/*
 * The likely chain, without any of the above: at most ANYHV_REQ_SEGS buffers, none empty, first
 * what is read and then what is written, each where the region table answers. Whatever else it is,
 * NULL and no report: then the chain is walked by the long way, once more from its first
 * descriptor.
 */
/* Loads the descriptor that follows; false: that one is not plain. */
typedef bool plain_next_fn(const struct anyhv_queue *q, void *at, struct shm_raw *desc);

/* Stores one buffer and where it is; false: not plain. */
CORE_INLINE bool plain_add(struct anyhv_mem *mem, struct anyhv_seg *seg, const struct shm_raw *desc,
                           unsigned perm, uint8_t **host)
{
    if (UNLIKELY(!core_hit(mem, desc->addr, desc->len, host))) {
        *host = anyhv_core_host(mem, desc->addr, desc->len, perm);
        if (!*host)
            return false;
    }
    seg->addr = desc->addr;
    seg->len = desc->len;
    seg->host = *host;
    return true;
}

/* What a part of the chain is made of, and where its flags are in `words`: 0 or 16 bits up. */
struct plain_part {
    struct anyhv_cursor *at;
    uint32_t *total;
    unsigned perm, flags;
};

/*
 * One part, from the buffer @desc on up to where the direction or the chain ends. Returns the end
 * of its segments, NULL: not plain.
 */
CORE_INLINE struct anyhv_seg *plain_walk(const struct anyhv_queue *q, struct anyhv_req *req,
                                         const struct plain_part *part, struct anyhv_seg *seg,
                                         struct shm_raw *desc, plain_next_fn *next, void *place)
{
    const uint32_t mask = (DESC_WRITE | DESC_INDIRECT) << part->flags;
    const uint32_t more = DESC_NEXT << part->flags, same = desc->words & mask;
    const struct anyhv_seg *end = req->segs + ANYHV_REQ_SEGS;
    uint32_t total = desc->len;
    uint8_t *host;

    if (UNLIKELY(!plain_add(req->mem, seg, desc, part->perm, &host)))
        return NULL;
    part->at->ptr = host;
    part->at->room = total;
    part->at->seg = NULL;
    seg++;
    while (desc->words & more) {
        if (UNLIKELY(!next(q, place, desc)))
            return NULL;
        if ((desc->words & mask) != same) {
            if (part->perm == ANYHV_W)
                return NULL; /* nothing may follow the writable part */
            break;
        }
        if (UNLIKELY(seg == end || __builtin_add_overflow(total, desc->len, &total) ||
                     !plain_add(req->mem, seg, desc, part->perm, &host)))
            return NULL;
        seg++;
    }
    part->at->left = total;
    *part->total = total;
    return seg;
}

/*
 * @desc is the chain's first descriptor, @place what @next works on, @flags as above. False: not
 * plain. What is stored in @req then is of no use.
 */
CORE_INLINE bool chain_plain(const struct anyhv_queue *q, struct anyhv_req *req,
                             struct shm_raw *desc, plain_next_fn *next, void *place, unsigned flags)
{
    const uint32_t W = DESC_WRITE << flags, N = DESC_NEXT << flags, I = DESC_INDIRECT << flags;
    const struct plain_part rd = {&req->rd, &req->readable, ANYHV_R, flags};
    const struct plain_part wr = {&req->wr, &req->writable, ANYHV_W, flags};
    struct anyhv_seg *seg = req->segs;

    chain_clear(req);
    if (desc->words & W) {
        req->readable = 0;
        chain_no_cursor(&req->rd);
    } else {
        if (UNLIKELY(desc->words & I))
            return false;
        seg = plain_walk(q, req, &rd, seg, desc, next, place);
        if (UNLIKELY(!seg))
            return false;
        if (!(desc->words & (N | W | I))) {
            req->writable = 0;
            chain_no_cursor(&req->wr);
            return true;
        }
        if (UNLIKELY(seg == req->segs + ANYHV_REQ_SEGS))
            return false;
    }
    if (UNLIKELY(desc->words & I))
        return false;
    req->wr_first = seg;
    return plain_walk(q, req, &wr, seg, desc, next, place) != NULL;
}

/*
 * The table at @addr of @len bytes, if its entries can be loaded one by one from where it is; else
 * NULL and no report, as above.
 */
const uint8_t *anyhv_chain_plain_table(const struct anyhv_queue *q, uint64_t addr, uint32_t len);

/*
 * The entries of an indirect table, copied a block at a time: in grant memory every look at the
 * guest is a hypercall.
 */
#define TABLE_BLOCK 16u

struct table {
    struct anyhv_mem *mem;
    uint64_t addr;
    uint32_t entries;
    uint32_t first, count; /* what bytes[] holds */
    uint8_t bytes[TABLE_BLOCK * DESC_SIZE];
};

/* Checks where and how long the table is; @len in bytes. */
enum take anyhv_chain_table(const struct chain *c, struct table *t, uint64_t addr, uint32_t len);
/* Entry @i (below t->entries) to *@out. */
enum take anyhv_chain_table_entry(const struct chain *c, struct table *t, uint32_t i,
                                  struct shm_desc *out);

#endif

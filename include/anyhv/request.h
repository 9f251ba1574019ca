/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request: one chain that the driver made available, as a private, bounded snapshot.
 *
 * Bytes are copied by two cursors, one over the readable part and one over the writable part; how
 * the driver cut them into descriptors cannot be seen (section 2.7.4). A request ends in exactly
 * one of:
 *
 *   anyhv_req_done     answered; used length = bytes written
 *   anyhv_req_reject   answered with used length 0, because something was wrong with it
 *   anyhv_req_hold     answered later, from the same thread, in any order
 *
 * A pointer to a request is good until the device callback that got it returns; a held request is
 * found again by its handle, and not found once a reset took it away.
 *
 * Freestanding. All calls from the guest's thread; none blocks, unless the module's memory does.
 */
#ifndef ANYHV_REQUEST_H
#define ANYHV_REQUEST_H

#include <anyhv/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compile-time sizes; the library and everything that includes it must agree. */
#define ANYHV_REQ_SEGS     4u /* descriptors stored in the request itself */
#define ANYHV_CHUNK_SEGS   8u /* descriptors in one chunk of the queue's pool, for longer chains */
#define ANYHV_REQ_PINS     4u /* pieces that one request can pin */

#define ANYHV_REQ_HOLE_MAX (1u << 20) /* bytes that write_at zeroes at most */

/* One descriptor, copied: the driver can change the ring, not this. */
struct anyhv_seg {
    uint64_t addr;
    uint8_t *host; /* where it is, or NULL: not in one region, go by address */
    uint32_t len;
    uint16_t link; /* of a block's last one: index + 1 of the chunk that goes on, 0: none */
};

struct anyhv_chunk {
    struct anyhv_seg seg[ANYHV_CHUNK_SEGS]; /* the last one links to the next chunk */
};

/*
 * A position in the readable or the writable part. The likely call needs only the first three: so
 * many bytes lie there in one piece, go ahead. `room` is 0 whenever somebody has to look first.
 */
struct anyhv_cursor {
    uint8_t *ptr;
    uint32_t room;  /* bytes at ptr; 0: take the long way */
    uint32_t after; /* of `left`, bytes behind *seg; stands apart so that two counts that were
                       stored one by one are not loaded as one, which stalls */
    uint32_t left;  /* bytes from here to the end of this part */
    struct anyhv_seg *seg; /* NULL: the part's first one */
};

struct anyhv_queue;

/* Core's, complete only so that the caller can own the storage. Use the calls below. */
struct anyhv_req {
    struct anyhv_queue *queue;
    struct anyhv_mem *mem;
    struct anyhv_req *next, *prev; /* in the list it is on */
    struct anyhv_cursor rd, wr;
    struct anyhv_seg *wr_first;  /* where the writable part begins */
    uint32_t readable, writable; /* bytes of the two parts */
    uint32_t written_at;         /* write_at: bytes below this are defined */
    bool stale;                  /* the region table changed: find the host pointers again */
    bool asked;                  /* cancel was called for it in this quiesce */
    bool replayed;               /* a predecessor had taken it */
    uint8_t npins;
    uint8_t state;
    uint16_t chunks;              /* index + 1 of the first chunk */
    uint16_t head;                /* split: head index; packed: buffer id */
    uint16_t ndesc;               /* packed: ring slots that the chain occupies */
    uint16_t seq;                 /* the order in which it was taken */
    uint16_t slot;                /* which one it is */
    uint32_t used;                /* once answered: the used length */
    uint32_t generation;          /* of the latest hold: part of the handle */
    uint16_t log_first, log_last; /* packed: its entries in the journal */
    struct anyhv_seg segs[ANYHV_REQ_SEGS];
    struct anyhv_map pins[ANYHV_REQ_PINS];
};

/* Bytes that read / write can still move. Known at once: the snapshot is whole. */
static inline uint32_t anyhv_req_readable(const struct anyhv_req *req)
{
    return req->rd.left;
}

static inline uint32_t anyhv_req_writable(const struct anyhv_req *req)
{
    return req->wr.left;
}

/* Bytes that will be reported as used if the request were done now. */
static inline uint32_t anyhv_req_written(const struct anyhv_req *req)
{
    uint32_t in_order = req->writable - req->wr.left;

    return in_order > req->written_at ? in_order : req->written_at;
}

/* The queue it came from. */
unsigned anyhv_req_queue(const struct anyhv_req *req);

/*
 * A predecessor had taken this request and did not answer it: it comes again from the journal. It
 * may have been begun, so what must not happen twice is not to be done now.
 */
static inline bool anyhv_req_replayed(const struct anyhv_req *req)
{
    return req->replayed;
}

/* The long way of the two calls below. */
int anyhv_req_read_across(struct anyhv_req *req, void *buf, uint32_t len);
int anyhv_req_write_across(struct anyhv_req *req, const void *buf, uint32_t len);

/*
 * Copy exactly @len bytes and move on, or fail and move nothing: ANYHV_E_SHORT (fewer bytes than
 * that in the request), ANYHV_E_BADADDR / _PERM (the memory went away), _NORES (no map just now:
 * hold and retry), _LOST. After an error other than SHORT part of the target may be written.
 *
 * Inline: with a constant @len the likely case is a load, a compare and a move.
 */
static inline int anyhv_req_read(struct anyhv_req *req, void *buf, uint32_t len)
{
    struct anyhv_cursor *at = &req->rd;

    if (len - 1 >= at->room) /* 0 bytes as well */
        return anyhv_req_read_across(req, buf, len);
    __builtin_memcpy(buf, at->ptr, len);
    __asm__ volatile("" ::: "memory"); /* nothing may be fetched again after it was checked */
    at->ptr += len;
    at->room -= len;
    at->left -= len;
    return ANYHV_OK;
}

static inline int anyhv_req_write(struct anyhv_req *req, const void *buf, uint32_t len)
{
    struct anyhv_cursor *at = &req->wr;

    if (len - 1 >= at->room)
        return anyhv_req_write_across(req, buf, len);
    __builtin_memcpy(at->ptr, buf, len);
    at->ptr += len;
    at->room -= len;
    at->left -= len;
    return ANYHV_OK;
}

/* Reads without moving on: for a header that decides who handles the request. */
int anyhv_req_peek(struct anyhv_req *req, void *buf, uint32_t len);

/*
 * Writes @len bytes at byte @off of the whole writable part, wherever the cursor is; for a status
 * that stands behind data of unknown length. Bytes below @off that nobody has written are zeroed
 * first, so that the used length never covers undefined memory (section 2.7.8.2). The cursor
 * stays. Same errors, and ANYHV_E_INVAL for more than ANYHV_REQ_HOLE_MAX bytes to zero: a guest can
 * offer 4 GiB of the same page.
 */
int anyhv_req_write_at(struct anyhv_req *req, uint32_t off, const void *buf, uint32_t len);

/* Moves the read cursor @len bytes on without looking at them. ANYHV_E_SHORT if there are fewer. */
int anyhv_req_skip(struct anyhv_req *req, uint32_t len);

/*
 * Zero copy: the bytes at the cursor as one host piece of at most @max bytes, for ANYHV_R or
 * ANYHV_W; out->len tells how many. The cursor moves over them. For ANYHV_W all of out->len counts
 * as written: fill it. The piece is valid until the request ends or is cancelled; core gives it
 * back. ANYHV_E_SHORT: nothing left; ANYHV_E_NORES: no more pieces for this request, copy instead.
 */
int anyhv_req_pin(struct anyhv_req *req, unsigned perm, uint32_t max, struct anyhv_map *out);

/* Answers the request. Published, in one go with its neighbours, when the device's run ends. */
void anyhv_req_done(struct anyhv_req *req);

/*
 * Answers with used length 0. @why: a result code, or a positive number of the device's own.
 * Counted as ANYHV_V_DEVICE_REJECT unless the code says that the fault is ours (NORES, LOST, STATE,
 * IO).
 */
void anyhv_req_reject(struct anyhv_req *req, int why);

/*
 * Keeps the request for later; returns its handle, never 0. Not the guest's fault and not counted
 * as such: the back-pressure for "we lack something".
 */
uint64_t anyhv_req_hold(struct anyhv_req *req);

#ifdef __cplusplus
}
#endif
#endif

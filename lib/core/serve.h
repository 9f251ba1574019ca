/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the ring to the device: what split.c and packed.c each instantiate with their own way to
 * take a chain, so that for either layout it is one loop without calls but the device's.
 */
#ifndef ANYHV_CORE_SERVE_H
#define ANYHV_CORE_SERVE_H

#include "chain.h"

/* Answers that wait at most for one publish: enough to share a cache line, soon enough to see. */
#define PUBLISH_BATCH 32u

/* The next request, the device's from here on; or NULL and why. */
typedef struct anyhv_req *take_fn(struct anyhv_queue *q, enum take *why);

CORE_INLINE void count_taken(struct anyhv_queue *q, struct anyhv_req *req)
{
    req->state = REQ_ACTIVE;
    req->seq = q->seq_next++;
    q->counters.requests++;
}

/* A chain that was taken and is wrong is answered at once. */
static inline void reject_taken(struct anyhv_queue *q, struct anyhv_req *req)
{
    req->rd.room = req->wr.room = 0;
    req->used = 0;
    req->writable = UINT32_MAX; /* never "filled": IN_ORDER may not skip it */
    q->counters.rejected++;
    anyhv_core_req_finish(req);
}

/* No slot or chunk: answers that wait to be published have some. True: take again. */
static inline bool make_room(struct anyhv_queue *q)
{
    q->stalled = true;
    anyhv_core_publish(q);
    if (!q->stalled)
        return true;
    q->counters.stalls++;
    return false;
}

/* Pieces that weigh as much as one request. */
#define TOIL_UNIT 256u

/* A guest whose buffers lie in many pieces gets fewer requests served in its turn; never none. */
static inline void charge_toil(struct anyhv_mem *mem, unsigned *budget)
{
    unsigned price = mem->toil / TOIL_UNIT;

    mem->toil %= TOIL_UNIT;
    *budget -= price < *budget ? price : *budget - 1;
}

CORE_INLINE enum take serve(struct anyhv_queue *q, unsigned *budget, take_fn *take)
{
    struct anyhv_dev *dev = q->dev;
    unsigned left = *budget;
    enum take rc = TAKE_OK;

    while (left) {
        struct anyhv_req *req = take(q, &rc);

        if (LIKELY(req)) {
            dev->ops->request(dev, q->index, req);
            ANYHV_ASSERT(req->state != REQ_ACTIVE); /* the device forgot to end it */
            if (UNLIKELY(!core_may_take(q))) {
                *budget = left - 1;
                return TAKE_STALLED; /* stopped by what the device called */
            }
        } else if (rc == TAKE_STALLED && make_room(q)) {
            continue;
        } else if (rc != TAKE_REJECTED) {
            *budget = left;
            return rc;
        }
        if (UNLIKELY(q->ndone >= PUBLISH_BATCH)) {
            anyhv_core_publish(q);
            charge_toil(dev->mem, &left);
        }
        left--;
    }
    *budget = 0;
    return TAKE_OK;
}

#endif

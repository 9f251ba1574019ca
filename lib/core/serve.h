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

typedef enum take take_fn(struct anyhv_queue *q, struct anyhv_req **req);

CORE_INLINE enum take take_one(struct anyhv_queue *q, struct anyhv_req **out, take_fn *take)
{
    enum take rc = take(q, out);
    struct anyhv_req *req;

    if (UNLIKELY(rc > TAKE_REJECTED))
        return rc;
    req = *out;
    req->state = REQ_ACTIVE;
    req->seq = q->seq_next++;
    q->counters.requests++;
    if (UNLIKELY(rc == TAKE_REJECTED)) {
        req->rd.room = req->wr.room = 0;
        req->used = 0;
        req->writable = UINT32_MAX; /* never "filled": IN_ORDER may not skip it */
        q->counters.rejected++;
        anyhv_core_req_finish(req);
    }
    return rc;
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

/* A guest whose buffers lie in many pieces gets fewer requests served in its turn. */
static inline void charge_toil(struct anyhv_mem *mem, unsigned *budget)
{
    unsigned price = mem->toil / TOIL_UNIT;

    mem->toil %= TOIL_UNIT;
    *budget -= price < *budget ? price : *budget;
}

CORE_INLINE enum take serve(struct anyhv_queue *q, unsigned *budget, take_fn *take)
{
    struct anyhv_dev *dev = q->dev;
    unsigned left = *budget;
    enum take rc = TAKE_OK;

    while (left) {
        struct anyhv_req *req = NULL;

        rc = take_one(q, &req, take);
        if (LIKELY(rc == TAKE_OK)) {
            dev->ops->request(dev, q->index, req);
            ANYHV_ASSERT(req->state != REQ_ACTIVE); /* the device forgot to end it */
            if (UNLIKELY(!core_may_take(q))) {
                rc = TAKE_STALLED; /* stopped by what the device called */
                break;
            }
        } else if (rc == TAKE_STALLED && make_room(q)) {
            continue;
        } else if (rc != TAKE_REJECTED) {
            break;
        }
        left--;
        if (UNLIKELY(q->ndone >= PUBLISH_BATCH)) {
            anyhv_core_publish(q);
            charge_toil(dev->mem, &left);
        }
    }
    *budget = left;
    return rc == TAKE_REJECTED ? TAKE_OK : rc;
}

#endif

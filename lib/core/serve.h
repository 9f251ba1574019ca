/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue's turn, from the ring to the device and back: what split.c and packed.c each instantiate
 * with their own functions, so that for either layout it is one loop without calls but the
 * device's.
 *
 * The order at the end of a turn is what keeps wake-ups from getting lost:
 *
 *   publish used entries -> ask for the next kick -> full fence -> does the driver want to be
 *   told? -> did more arrive meanwhile?
 *
 * One fence serves both questions ([C] in split.c and packed.c; it pairs with the driver's fence
 * between its own index store and its load of our event word).
 */
#ifndef ANYHV_CORE_SERVE_H
#define ANYHV_CORE_SERVE_H

#include "chain.h"

/* Requests between two publishes: enough to share a cache line, soon enough to see. */
#define PUBLISH_BATCH 32u

/* What a layout brings. */
struct layout {
    /* The next request, the device's from here on; or NULL and why. */
    struct anyhv_req *(*take)(struct anyhv_queue *q, enum take *why);
    void (*put)(struct anyhv_queue *q);
    void (*arm)(struct anyhv_queue *q, bool on); /* does the driver have to kick? */
    bool (*available)(const struct anyhv_queue *q);
    bool (*wants_notify)(const struct anyhv_queue *q);
};

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

/* Hands out at most *@budget requests and counts them down; TAKE_OK: all of them. */
CORE_INLINE enum take serve_some(struct anyhv_queue *q, unsigned *budget,
                                 const struct layout *layout)
{
    struct anyhv_dev *dev = q->dev;
    enum take rc = TAKE_OK;

    for (; *budget; --*budget) {
        struct anyhv_req *req = layout->take(q, &rc);

        if (LIKELY(req)) {
            dev->ops->request(dev, q->index, req);
            ANYHV_ASSERT(req->state != REQ_ACTIVE); /* the device forgot to end it */
        } else if (rc != TAKE_REJECTED) {
            return rc;
        }
        if (UNLIKELY(!core_may_take(q))) {
            --*budget;
            return TAKE_STALLED; /* stopped by what was called, or a drain took its last */
        }
    }
    return TAKE_OK;
}

/* Hands chains to the device until the ring, the slots or the budget end. */
CORE_INLINE enum take serve(struct anyhv_queue *q, unsigned *budget, const struct layout *layout)
{
    for (;;) {
        unsigned some = *budget < PUBLISH_BATCH ? *budget : PUBLISH_BATCH, left = some;
        enum take rc = serve_some(q, &left, layout);

        *budget -= some - left;
        if (UNLIKELY(rc == TAKE_STALLED && core_may_take(q) && make_room(q)))
            continue;
        if (rc != TAKE_OK || !*budget)
            return rc;
        anyhv_core_publish(q);
        charge_toil(q->dev->mem, budget);
    }
}

CORE_INLINE void notify(struct anyhv_queue *q, const struct layout *layout)
{
    bool wanted = layout->wants_notify(q);

    q->unnotified = 0;
    q->notified = true;
    if (wanted) {
        q->counters.notifies++;
        q->dev->port->notify(q->dev, q->index);
    } else {
        q->counters.suppressed++;
    }
}

CORE_INLINE bool rearm(struct anyhv_queue *q, const struct layout *layout)
{
    layout->arm(q, true);
    shm_fence(); /* [C] */
    return layout->available(q);
}

/* Takes, answers, publishes, and leaves the ring armed if it is empty. */
CORE_INLINE void turn(struct anyhv_queue *q, unsigned *budget, const struct layout *layout)
{
    enum take rc;

    layout->arm(q, false);
    rc = serve(q, budget, layout);
    if (!core_usable(q) || (q->halt & ANYHV_HALT_FRESH))
        return; /* the ring broke, or went, or is another one by now */
    core_publish(q, layout->put);
    if (rc == TAKE_EMPTY)
        q->pending |= rearm(q, layout);
    else if (q->unnotified)
        shm_fence(); /* [C] */
    q->pending |= rc == TAKE_OK;
    if (q->unnotified)
        notify(q, layout);
}

#endif

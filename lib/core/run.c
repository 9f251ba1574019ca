/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: kicks mark, a run takes chains, hands them to the device and publishes each batch
 * once. The order at the end of a queue's turn is what keeps wake-ups from getting lost:
 *
 *   publish used entries -> ask for the next kick -> full fence -> does the driver want to be
 *   told? -> did more arrive meanwhile?
 *
 * One fence serves both questions ([C] in split.c and packed.c; it pairs with the driver's fence
 * between its own index store and its load of our event word).
 */
#include "core.h"
#include "shm.h"

/* Answers that wait at most for one publish: enough to share a cache line, soon enough to see. */
#define PUBLISH_BATCH 32u

void anyhv_ctl_kick(struct anyhv_dev *dev, uint32_t queue)
{
    struct anyhv_queue *q;

    if (queue >= dev->ops->queues || !dev->queues[queue].started) {
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_KICK_QUEUE, queue, 0);
        return;
    }
    q = &dev->queues[queue];
    if (!core_status_has(dev, ANYHV_S_DRIVER_OK)) {
        anyhv_core_violation(dev, (int)queue, ANYHV_V_KICK_EARLY, queue, 0);
        return;
    }
    q->counters.kicks++;
    q->pending = true;
    core_work(dev);
}

static bool usable(const struct anyhv_queue *q)
{
    return q->started && !q->broken && !q->no_memory && q->dev->started && !q->dev->lost &&
           !q->dev->mem->lost;
}

static bool may_take(const struct anyhv_queue *q)
{
    return usable(q) && !q->paused && !q->draining && !q->dev->quiescing;
}

/* ---- taking ---- */

static enum take take_one(struct anyhv_queue *q, struct anyhv_req **out)
{
    struct anyhv_req *req = NULL;
    enum take rc = q->packed ? anyhv_packed_take(q, &req) : anyhv_split_take(q, &req);

    if (rc > TAKE_REJECTED)
        return rc;
    req->seq = q->seq_next++;
    req->state = REQ_ACTIVE;
    q->inflight++;
    q->counters.requests++;
    core_queue_note(
        q); /* before anything is done with it: a successor must know that it was taken */
    if (rc == TAKE_REJECTED) {
        req->written = 0;
        req->writable = UINT32_MAX; /* never "filled": IN_ORDER may not skip it */
        q->counters.rejected++;
        anyhv_core_req_finish(req);
    }
    *out = req;
    return rc;
}

/* ---- publishing ---- */

static void publish(struct anyhv_queue *q)
{
    uint16_t before = q->ndone;

    if (!q->ndone || !usable(q))
        return;
    if (q->packed)
        anyhv_packed_put(q);
    else
        anyhv_split_put(q);
    if (q->ndone == before)
        return; /* IN_ORDER: the oldest is not answered yet */
    q->counters.publishes++;
    q->pending |= q->stalled; /* slots came free */
    q->stalled = false;
}

static void arm(struct anyhv_queue *q, bool on)
{
    if (q->packed)
        anyhv_packed_arm(q, on);
    else
        anyhv_split_arm(q, on);
}

static bool available(const struct anyhv_queue *q)
{
    return q->packed ? anyhv_packed_available(q) : anyhv_split_available(q);
}

static bool rearm(struct anyhv_queue *q)
{
    arm(q, true);
    shm_fence(); /* [C] */
    return available(q);
}

/* Entries became visible since the last decision: does the driver want to hear of them? */
static void decide_notify(struct anyhv_queue *q)
{
    bool wanted = q->packed ? anyhv_packed_wants_notify(q) : anyhv_split_wants_notify(q);

    q->unnotified = 0;
    q->notified = true;
    if (wanted) {
        q->counters.notifies++;
        q->dev->port->notify(q->dev, q->index);
    } else {
        q->counters.suppressed++;
    }
}

/* ---- one queue's turn ---- */

/* Hands chains to the device until the ring, the slots or the budget end. */
static enum take take_batch(struct anyhv_queue *q, unsigned *budget)
{
    const struct anyhv_device_ops *ops = q->dev->ops;

    while (*budget) {
        struct anyhv_req *req;
        enum take rc = take_one(q, &req);

        if (rc == TAKE_STALLED) {
            q->stalled = true;
            publish(q);
            if (!q->stalled)
                continue;
            q->counters.stalls++;
        }
        if (rc > TAKE_REJECTED)
            return rc;
        --*budget;
        if (rc == TAKE_OK) {
            ops->request(q->dev, q->index, req);
            ANYHV_ASSERT(req->state != REQ_ACTIVE); /* the device forgot to end it */
            if (!may_take(q))
                return TAKE_STALLED; /* stopped by what the device called */
        }
        if (q->ndone >= PUBLISH_BATCH)
            publish(q);
    }
    return TAKE_OK;
}

static bool is_pull(const struct anyhv_queue *q)
{
    return q->index < 64 && (q->dev->ops->pull_queues >> q->index & 1);
}

static enum take serve(struct anyhv_queue *q, unsigned *budget)
{
    const struct anyhv_device_ops *ops = q->dev->ops;

    q->pending = false;
    if (is_pull(q)) {
        --*budget;
        if (ops->buffers)
            ops->buffers(q->dev, q->index);
        return TAKE_STALLED; /* the ring is looked at again when the device pulls */
    }
    arm(q, false);
    return take_batch(q, budget);
}

/* Takes, answers, publishes, and leaves the ring armed if it is empty. */
static void queue_turn(struct anyhv_queue *q, unsigned *budget)
{
    enum take rc;

    if (!q->pending || !*budget || !may_take(q))
        return;
    rc = serve(q, budget);
    if (!usable(q))
        return; /* the ring broke, or went, under our hands */
    publish(q);
    core_queue_note(q);
    if (rc == TAKE_EMPTY)
        arm(q, true);
    if (q->unnotified || rc == TAKE_EMPTY)
        shm_fence(); /* [C] */
    q->pending |= rc == TAKE_OK || (rc == TAKE_EMPTY && available(q));
    if (q->unnotified)
        decide_notify(q);
}

/* Publishes what was answered outside the queue's turn: by a timer, or by another queue's doing. */
static void publish_late(struct anyhv_queue *q)
{
    if (!usable(q) || (!q->ndone && !q->unnotified))
        return;
    publish(q);
    core_queue_note(q);
    if (!q->unnotified)
        return;
    shm_fence(); /* [C] */
    decide_notify(q);
}

struct anyhv_req *anyhv_queue_pull(struct anyhv_dev *dev, unsigned queue)
{
    struct anyhv_queue *q;
    struct anyhv_req *req;
    enum take rc;

    if (queue >= dev->ops->queues)
        return NULL;
    q = &dev->queues[queue];
    ANYHV_ASSERT(is_pull(q));
    while (may_take(q)) {
        rc = take_one(q, &req);
        if (rc == TAKE_OK)
            return req;
        if (rc == TAKE_STALLED) { /* answers that are not published yet keep their slots */
            q->stalled = true;
            publish(q);
            core_work(dev);
        }
        if (rc == TAKE_BROKEN || (rc == TAKE_STALLED && q->stalled) ||
            (rc == TAKE_EMPTY && !rearm(q)))
            return NULL;
    }
    return NULL;
}

/* ---- draining ---- */

/* Gives the newest chain back to the ring: possible while nothing newer was used. */
static void untake(struct anyhv_queue *q, struct anyhv_req *req)
{
    anyhv_core_list_remove(q, &q->held, req);
    if (req->npins)
        anyhv_core_req_unpin(req);
    if (q->packed)
        anyhv_packed_untake(q, req);
    else
        anyhv_split_untake(q, req);
    q->seq_next--;
    q->inflight--;
    q->counters.returned++;
    core_slot_free(q, req);
}

/* The newest held request that was not asked yet. */
static struct anyhv_req *next_to_ask(const struct anyhv_queue *q)
{
    struct anyhv_req *best = NULL;

    for (struct anyhv_req *r = core_slot(q, q->held.head); r; r = core_slot(q, r->next))
        if (!r->asked && (!best || (int16_t)(r->seq - best->seq) > 0))
            best = r;
    return best;
}

/* Asks the device about each held request, newest first: only an unbroken tail can go back. */
static void cancel_held(struct anyhv_queue *q)
{
    struct anyhv_dev *dev = q->dev;
    struct anyhv_req *req;

    if (!dev->ops->cancel)
        return;
    while ((req = next_to_ask(q))) {
        bool returnable = !q->broken && req->seq == (uint16_t)(q->seq_next - 1);
        uint32_t generation = req->generation;

        req->asked = true;
        if (dev->ops->cancel(dev, req, returnable) && returnable && req->generation == generation &&
            req->state == REQ_HELD)
            untake(q, req);
    }
}

/* Nothing is with the device; answers may still wait for a ring that is not there. */
static bool queue_quiet(const struct anyhv_queue *q)
{
    return q->inflight == 0 || (!usable(q) && q->inflight == q->ndone);
}

static bool all_quiet(const struct anyhv_dev *dev)
{
    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (!queue_quiet(&dev->queues[i]))
            return false;
    return true;
}

/* A ring that makes no sense gets no answers; where it would go on does not matter either. */
static void give_up_answers(struct anyhv_queue *q)
{
    anyhv_core_queue_drop(q);
    q->next_avail = q->avail_seen = q->next_used;
    q->avail_wrap = q->used_wrap;
    q->seq_next = q->seq_used;
}

int anyhv_core_drain(struct anyhv_queue *q)
{
    for (uint16_t i = 0; i < q->nreqs; i++)
        q->reqs[i].asked = false;
    cancel_held(q);
    if (q->broken)
        give_up_answers(q);
    publish_late(q);
    core_queue_note(q);
    return q->inflight ? ANYHV_LATER : ANYHV_OK;
}

int anyhv_ctl_quiesce(struct anyhv_dev *dev)
{
    dev->quiescing = true;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (dev->queues[i].started)
            anyhv_core_drain(&dev->queues[i]);
    dev->quiet = all_quiet(dev);
    return dev->quiet ? ANYHV_OK : ANYHV_LATER;
}

void anyhv_ctl_resume(struct anyhv_dev *dev)
{
    dev->quiescing = false;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        dev->queues[i].pending = true;
    core_work(dev);
}

/* Somebody waits for a queue or the whole device to become quiet: is it now? */
static void report_quiet(struct anyhv_dev *dev)
{
    bool ended = dev->quiet_due;

    dev->quiet_due = false;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        ended |= dev->queues[i].draining && queue_quiet(&dev->queues[i]);
    if (dev->quiescing && !dev->quiet && all_quiet(dev)) {
        dev->quiet = true;
        ended = true;
    }
    if (ended && dev->port->quiet)
        dev->port->quiet(dev);
}

/* ---- what memory has to say ---- */

void anyhv_core_room(struct anyhv_dev *dev)
{
    anyhv_core_remap(dev);
    for (unsigned i = 0; i < dev->ops->queues; i++) {
        dev->queues[i].pending = true;
        dev->queues[i].retry = true;
    }
    core_work(dev);
}

static void retry_held(struct anyhv_queue *q)
{
    const struct anyhv_device_ops *ops = q->dev->ops;

    if (!q->retry || !usable(q))
        return;
    q->retry = false;
    if (ops->retry && q->held.head)
        ops->retry(q->dev, q->index);
}

/* An op said that the guest is gone. True if it is. */
static bool check_lost(struct anyhv_dev *dev)
{
    if (dev->mem->lost && !dev->lost)
        anyhv_ctl_lost(dev);
    return dev->lost;
}

/* ---- the whole device ---- */

static void all_turns(struct anyhv_dev *dev, unsigned budget)
{
    unsigned queues = dev->ops->queues, first = dev->turn;

    dev->turn = (uint16_t)(first + 1 < queues ? first + 1 : 0); /* each is first in its turn */
    for (unsigned i = 0; i < queues; i++) {
        unsigned index = first + i < queues ? first + i : first + i - queues;

        retry_held(&dev->queues[index]);
        queue_turn(&dev->queues[index], &budget);
    }
    for (unsigned i = 0; i < queues; i++)
        publish_late(&dev->queues[i]);
}

/* Asked last: what the callbacks of this run marked counts too. */
static bool more_to_do(const struct anyhv_dev *dev)
{
    for (unsigned i = 0; i < dev->ops->queues; i++) {
        const struct anyhv_queue *q = &dev->queues[i];

        if ((q->pending && may_take(q)) || (q->retry && usable(q)))
            return true;
    }
    return false;
}

bool anyhv_dev_run(struct anyhv_dev *dev, unsigned budget)
{
    ANYHV_ASSERT(!dev->running);
    if (check_lost(dev))
        return false;
    dev->running = true;
    if (dev->announce) {
        dev->announce = false;
        dev->port->notify(dev, ANYHV_CONFIG);
    }
    all_turns(dev, budget);
    report_quiet(dev);
    dev->running = false;
    return !check_lost(dev) && more_to_do(dev);
}

void anyhv_ctl_lost(struct anyhv_dev *dev)
{
    dev->lost = true;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        anyhv_core_queue_halt(&dev->queues[i]);
    if (dev->started && dev->ops->stop)
        dev->ops->stop(dev);
    dev->started = false;
}

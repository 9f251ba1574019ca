/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: kicks mark, a run takes chains, hands them to the device and publishes each batch
 * once. What a queue's turn consists of is in serve.h.
 */
#include "core.h"
#include "shm.h"

void anyhv_ctl_kick(struct anyhv_dev *dev, uint32_t queue)
{
    struct anyhv_queue *q;

    if (queue >= dev->ops->queues || !core_started(&dev->queues[queue])) {
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

/* ---- publishing ---- */

void anyhv_core_publish(struct anyhv_queue *q)
{
    core_publish(q, q->packed ? anyhv_packed_put : anyhv_split_put);
}

/* By a timer, or by another queue's doing. */
void anyhv_core_publish_late(struct anyhv_queue *q)
{
    if ((!q->ndone && !q->unnotified) || !core_usable(q))
        return;
    anyhv_core_publish(q);
    if (!q->unnotified)
        return;
    shm_fence(); /* [C] */
    if (q->packed)
        anyhv_packed_notify(q);
    else
        anyhv_split_notify(q);
}

/* ---- one queue's turn ---- */

static bool is_pull(const struct anyhv_queue *q)
{
    return q->index < 64 && (q->dev->ops->pull_queues >> q->index & 1);
}

static struct anyhv_req *pull(struct anyhv_queue *q, enum take *why)
{
    return q->packed ? anyhv_packed_pull(q, why) : anyhv_split_pull(q, why);
}

static bool rearm(struct anyhv_queue *q)
{
    return q->packed ? anyhv_packed_rearm(q) : anyhv_split_rearm(q);
}

/* A drain: the device pulls no more, and buffers that a predecessor had pulled cannot stay. */
static void answer_replayed(struct anyhv_queue *q)
{
    struct anyhv_req *req;
    enum take why;

    while (core_may_take(q) && q->journal.replay) {
        req = pull(q, &why);
        if (req)
            anyhv_req_reject(req, ANYHV_E_STATE);
        else if (why == TAKE_STALLED) {
            q->stalled = true;
            anyhv_core_publish(q);
        }
        if (!req && (why == TAKE_BROKEN || q->stalled))
            return; /* without a slot: again when what is pulled is answered */
    }
}

/* The device is told to pull; the ring is looked at again when it does. */
static void pull_turn(struct anyhv_queue *q, unsigned *budget)
{
    const struct anyhv_device_ops *ops = q->dev->ops;

    --*budget;
    if (q->halt | q->dev->halt)
        answer_replayed(q);
    else if (ops->buffers)
        ops->buffers(q->dev, q->index);
    anyhv_core_publish_late(q);
}

static void queue_turn(struct anyhv_queue *q, unsigned *budget)
{
    if (!q->pending || !*budget || !core_may_take(q))
        return;
    q->pending = false;
    if (is_pull(q))
        pull_turn(q, budget);
    else if (q->packed)
        anyhv_packed_turn(q, budget);
    else
        anyhv_split_turn(q, budget);
}

struct anyhv_req *anyhv_queue_pull(struct anyhv_dev *dev, unsigned queue)
{
    struct anyhv_queue *q;
    struct anyhv_req *req;
    uint32_t looks = 0;
    enum take rc;

    if (queue >= dev->ops->queues)
        return NULL;
    q = &dev->queues[queue];
    ANYHV_ASSERT(is_pull(q));
    while (core_may_take(q)) {
        if (looks++ == q->size) { /* a driver that offers nonsense as fast as it is refused */
            q->pending = true;
            core_work(dev);
            return NULL;
        }
        req = pull(q, &rc);
        if (req)
            return req;
        if (rc == TAKE_STALLED) { /* answers that are not published yet keep their slots */
            q->stalled = true;
            anyhv_core_publish(q);
            core_work(dev);
        }
        if (rc == TAKE_BROKEN || (rc == TAKE_STALLED && q->stalled) ||
            (rc == TAKE_EMPTY && !rearm(q)))
            return NULL;
    }
    return NULL;
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

    if (!q->retry || !core_usable(q))
        return;
    q->retry = false;
    if (ops->retry && q->held.head)
        ops->retry(q->dev, q->index);
}

/* An op said that the guest is gone. True if it is. */
static bool check_lost(struct anyhv_dev *dev)
{
    if (dev->halt & ANYHV_HALT_FORSAKEN)
        anyhv_ctl_lost(dev);
    return dev->halt & ANYHV_HALT_LOST;
}

void anyhv_ctl_lost(struct anyhv_dev *dev)
{
    dev->halt &= ~(uint32_t)ANYHV_HALT_FORSAKEN;
    dev->halt |= ANYHV_HALT_LOST | ANYHV_HALT_STOPPED;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        anyhv_core_queue_halt(&dev->queues[i]);
    if (dev->started && dev->ops->stop)
        dev->ops->stop(dev);
    dev->started = false;
}

/* ---- the whole device ---- */

static void all_turns(struct anyhv_dev *dev, unsigned budget)
{
    struct anyhv_queue *queues = dev->queues, *end = queues + dev->ops->queues;
    struct anyhv_queue *first = queues + dev->turn, *q = first;

    dev->turn = (uint16_t)(first + 1 < end ? dev->turn + 1 : 0); /* each is first in its turn */
    do {
        retry_held(q);
        queue_turn(q, &budget);
        q = q + 1 < end ? q + 1 : queues;
    } while (q != first);
    for (q = queues; q < end; q++)
        if (UNLIKELY(q->ndone || q->unnotified))
            anyhv_core_publish_late(q);
}

/* Asked last: what the callbacks of this run marked counts too. */
static bool more_to_do(const struct anyhv_dev *dev)
{
    const struct anyhv_queue *q = dev->queues, *end = q + dev->ops->queues;

    for (; q < end; q++)
        if ((q->pending && core_may_take(q)) || (q->retry && core_usable(q)))
            return true;
    return false;
}

bool anyhv_dev_run(struct anyhv_dev *dev, unsigned budget)
{
    ANYHV_ASSERT(!dev->running);
    if (check_lost(dev))
        return false;
    dev->running = true;
    if (dev->announce && !(dev->halt & ANYHV_HALT_SUSPENDED)) {
        dev->announce = false;
        dev->port->notify(dev, ANYHV_CONFIG);
    }
    all_turns(dev, budget);
    if (UNLIKELY(dev->awaited))
        anyhv_core_report_quiet(dev);
    for (unsigned i = 0; i < dev->ops->queues; i++)
        dev->queues[i].halt &= ~(uint32_t)ANYHV_HALT_FRESH;
    dev->running = false;
    return !check_lost(dev) && more_to_do(dev);
}

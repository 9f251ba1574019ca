/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Until nothing is in work: a queue that stops, a device that is quiesced by its module or
 * suspended by its driver. Nothing new is taken, held requests are given back to the ring or
 * finished, and the end of it is reported from anyhv_dev_run.
 */
#include "core.h"

/* ---- what is held ---- */

/* Gives the newest chain back to the ring: possible while nothing newer was used. */
static void untake(struct anyhv_queue *q, struct anyhv_req *req)
{
    anyhv_core_list_remove(&q->held, req);
    if (req->npins)
        anyhv_core_req_unpin(req);
    if (q->packed)
        anyhv_packed_untake(q, req);
    else
        anyhv_split_untake(q, req);
    q->seq_next--;
    q->counters.returned++;
    core_slot_free(q, req);
}

/* The newest held request that was not asked yet. */
static struct anyhv_req *next_to_ask(const struct anyhv_queue *q)
{
    struct anyhv_req *best = NULL;

    for (struct anyhv_req *r = q->held.head; r; r = r->next)
        if (!r->asked && (!best || (int16_t)(r->seq - best->seq) > 0))
            best = r;
    return best;
}

/* What was taken again from a journal may stand anywhere in the ring: it cannot go back. */
static bool can_return(const struct anyhv_queue *q, const struct anyhv_req *req)
{
    return !(q->halt & ANYHV_HALT_BROKEN) && req->seq == (uint16_t)(q->seq_next - 1) &&
           !(q->watched && (req->replayed || q->journal.replay));
}

/* Asks the device about each held request, newest first: only an unbroken tail can go back. */
static void cancel_held(struct anyhv_queue *q)
{
    struct anyhv_dev *dev = q->dev;
    struct anyhv_req *req;

    if (!dev->ops->cancel)
        return;
    while ((req = next_to_ask(q))) {
        bool returnable = can_return(q, req);
        uint32_t generation = req->generation;

        req->asked = true;
        if (dev->ops->cancel(dev, req, returnable) && returnable && req->generation == generation &&
            req->state == REQ_HELD)
            untake(q, req);
    }
}

/* ---- one queue ---- */

/* A ring that makes no sense gets no answers; where it would go on does not matter either. */
static void give_up_answers(struct anyhv_queue *q)
{
    anyhv_core_queue_drop(q);
    q->next_avail = q->avail_seen = q->next_used;
    q->avail_wrap = q->used_wrap;
}

int anyhv_core_drain(struct anyhv_queue *q)
{
    for (uint16_t i = 0; i < q->nreqs; i++)
        q->reqs[i].asked = false;
    cancel_held(q);
    if (q->halt & ANYHV_HALT_BROKEN)
        give_up_answers(q);
    anyhv_core_publish_late(q);
    core_queue_note(q);
    if (q->journal.replay) { /* a run takes what a predecessor had taken */
        q->pending = true;
        core_work(q->dev);
    }
    return core_inflight(q) || q->journal.replay ? ANYHV_LATER : ANYHV_OK;
}

/*
 * While somebody waits: what a predecessor had taken was taken again since, and is with the device
 * now. Those that were asked are not asked again.
 */
static void drain_replayed(struct anyhv_queue *q)
{
    bool drains = (q->halt & ANYHV_HALT_DRAINING) ||
                  (q->dev->halt & (ANYHV_HALT_QUIESCING | ANYHV_HALT_SUSPENDING));

    if (drains && core_started(q) && q->held.head) {
        cancel_held(q);
        anyhv_core_publish_late(q);
    }
}

/* Nothing is with the device; answers may still wait for a ring that is not there. */
static bool queue_quiet(const struct anyhv_queue *q)
{
    if (!core_usable(q))
        return core_inflight(q) == q->ndone;
    return core_inflight(q) == 0 && !q->journal.replay;
}

/* ---- the whole device ---- */

/* Nothing is left to do when the driver has suspended us: answers without a ring would be. */
static bool all_settled(const struct anyhv_dev *dev)
{
    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (core_inflight(&dev->queues[i]) || dev->queues[i].journal.replay)
            return false;
    return true;
}

static bool all_quiet(const struct anyhv_dev *dev)
{
    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (!queue_quiet(&dev->queues[i]))
            return false;
    return true;
}

static bool drain_all(struct anyhv_dev *dev, uint32_t why)
{
    dev->halt |= why;
    dev->awaited = true;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (core_started(&dev->queues[i]))
            anyhv_core_drain(&dev->queues[i]);
    return all_quiet(dev);
}

static void go_on(struct anyhv_dev *dev, uint32_t why)
{
    dev->halt &= ~why;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        dev->queues[i].pending = true;
    core_work(dev);
}

int anyhv_ctl_quiesce(struct anyhv_dev *dev)
{
    dev->quiet = drain_all(dev, ANYHV_HALT_QUIESCING);
    return dev->quiet ? ANYHV_OK : ANYHV_LATER;
}

void anyhv_ctl_resume(struct anyhv_dev *dev)
{
    go_on(dev, ANYHV_HALT_QUIESCING);
}

/* ---- by the driver: VIRTIO_F_SUSPEND, section 2.1 ---- */

void anyhv_core_sleep(struct anyhv_dev *dev)
{
    dev->halt &= ~(uint32_t)ANYHV_HALT_SUSPENDING;
    dev->halt |= ANYHV_HALT_SUSPENDED;
    anyhv_core_config_freeze(dev);
    dev->state->status &= (uint8_t)~ANYHV_S_DRIVER_OK;
}

/* The wish stands in the block at once, SUSPEND beside DRIVER_OK: a successor has to fulfil it. */
void anyhv_core_suspend(struct anyhv_dev *dev)
{
    dev->state->status |= ANYHV_S_SUSPEND;
    drain_all(dev, ANYHV_HALT_SUSPENDING);
    /* A driver that was notified of an answer may have reset the device meanwhile. */
    if ((dev->halt & ANYHV_HALT_SUSPENDING) && all_settled(dev))
        anyhv_core_sleep(dev);
}

void anyhv_core_unsuspend(struct anyhv_dev *dev)
{
    dev->state->status |= ANYHV_S_DRIVER_OK;
    dev->state->status &= (uint8_t)~ANYHV_S_SUSPEND;
    dev->announce |= core_status_has(dev, ANYHV_S_NEEDS_RESET); /* it broke meanwhile */
    anyhv_core_config_thaw(dev);
    go_on(dev, ANYHV_HALT_SUSPENDING | ANYHV_HALT_SUSPENDED);
}

void anyhv_core_report_quiet(struct anyhv_dev *dev)
{
    bool ended = dev->quiet_due;

    dev->quiet_due = false;
    dev->awaited = false;
    for (unsigned i = 0; i < dev->ops->queues; i++) {
        bool draining = dev->queues[i].halt & ANYHV_HALT_DRAINING;

        drain_replayed(&dev->queues[i]);
        dev->awaited |= draining;
        ended |= draining && queue_quiet(&dev->queues[i]);
    }
    if ((dev->halt & ANYHV_HALT_QUIESCING) && !dev->quiet && all_quiet(dev)) {
        dev->quiet = true;
        ended = true;
    }
    if ((dev->halt & ANYHV_HALT_SUSPENDING) && all_settled(dev))
        anyhv_core_sleep(dev);
    dev->awaited |=
        (dev->halt & ANYHV_HALT_SUSPENDING) || ((dev->halt & ANYHV_HALT_QUIESCING) && !dev->quiet);
    if (ended && dev->port->quiet)
        dev->port->quiet(dev);
}

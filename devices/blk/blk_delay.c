/* SPDX-License-Identifier: Apache-2.0 */
/* A slow disk in front of another, so that requests are in flight when somebody looks. */
#include "blk_list.h"

#define NS_PER_US UINT64_C(1000)

/* Neither the order in which jobs came nor its reverse. In quarters of the delay. */
static const uint8_t pattern[] = {2, 4, 1, 3, 0};

static struct anyhv_blk_delay *of_store(struct anyhv_blk_store *store)
{
    return (void *)store;
}

static void set_timer(struct anyhv_blk_delay *delay)
{
    uint64_t now = anyhv_loop_now(delay->loop), due;

    if (!delay->list.first) {
        anyhv_timer_cancel(&delay->timer);
        return;
    }
    due = delay->list.first->due;
    anyhv_timer_set(delay->loop, &delay->timer, due > now ? due - now : 0);
}

static void begin(struct anyhv_blk_delay *delay, struct anyhv_blk_job *job)
{
    int rc;

    job->due = 0;
    rc = delay->inner->ops->start(delay->inner, job, anyhv_blk_req(job));
    if (rc != ANYHV_LATER)
        anyhv_blk_answer(job, rc);
}

static void begin_what_is_due(struct anyhv_timer *timer)
{
    struct anyhv_blk_delay *delay = timer->priv;
    uint64_t now = anyhv_loop_now(delay->loop);

    while (delay->list.first && delay->list.first->due <= now)
        begin(delay, blk_list_take(&delay->list));
    set_timer(delay);
}

static int delay_start(struct anyhv_blk_store *store, struct anyhv_blk_job *job,
                       struct anyhv_req *req)
{
    struct anyhv_blk_delay *delay = of_store(store);
    uint64_t quarters = 4u + pattern[delay->count++ % sizeof(pattern)];

    (void)req;
    job->due = anyhv_loop_now(delay->loop) + delay->delay_ns * quarters / 4;
    blk_list_add(&delay->list, job);
    set_timer(delay);
    return ANYHV_LATER;
}

static void delay_drop(struct anyhv_blk_store *store, struct anyhv_blk_job *job)
{
    struct anyhv_blk_delay *delay = of_store(store);

    if (!blk_list_remove(&delay->list, job))
        delay->inner->ops->drop(delay->inner, job);
    set_timer(delay);
}

static const struct anyhv_blk_store_ops delay_ops = {.start = delay_start, .drop = delay_drop};

void anyhv_blk_delay_init(struct anyhv_blk_delay *delay, struct anyhv_loop *loop,
                          struct anyhv_blk_store *inner, uint32_t delay_us)
{
    *delay = (struct anyhv_blk_delay){
        .store = *inner,
        .inner = inner,
        .loop = loop,
        .timer = {.fire = begin_what_is_due, .priv = delay},
        .delay_ns = delay_us * NS_PER_US,
    };
    delay->store.ops = &delay_ops;
}

void anyhv_blk_delay_fini(struct anyhv_blk_delay *delay)
{
    anyhv_timer_cancel(&delay->timer);
}

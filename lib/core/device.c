/* SPDX-License-Identifier: Apache-2.0 */
/* A device comes and goes: storage, attach, detach, and what everyone may ask. */
#include "core.h"

#define DEFAULT_REQUESTS 32u
#define DEFAULT_MAX_SIZE 1024u /* what QEMU gives a virtio-mmio queue, without asking us */

void anyhv_core_violation(struct anyhv_dev *dev, int queue, enum anyhv_violation v, uint64_t a,
                          uint64_t b)
{
    dev->violations[v]++;
    anyhv_port_violation(dev, queue, v, a, b);
}

void *anyhv_dev_priv(const struct anyhv_dev *dev)
{
    return dev->priv;
}

void *anyhv_dev_port(const struct anyhv_dev *dev)
{
    return dev->port_priv;
}

static uint16_t max_size(const struct anyhv_device_ops *ops)
{
    return ops->max_size ? ops->max_size : DEFAULT_MAX_SIZE;
}

uint16_t anyhv_ctl_queue_max(const struct anyhv_dev *dev, unsigned queue)
{
    return queue < dev->ops->queues ? max_size(dev->ops) : 0;
}

static uint16_t requests(const struct anyhv_limits *limits)
{
    return limits && limits->requests ? limits->requests : DEFAULT_REQUESTS;
}

static uint16_t segs(const struct anyhv_device_ops *ops, const struct anyhv_limits *limits)
{
    return limits && limits->segs ? limits->segs : max_size(ops);
}

size_t anyhv_storage_size(const struct anyhv_device_ops *ops, const struct anyhv_limits *limits)
{
    return ANYHV_STORAGE_SIZE(ops->queues, requests(limits), segs(ops, limits), ops->config_len);
}

static size_t journal_size(const struct anyhv_device_ops *ops)
{
    return ANYHV_JOURNAL_SIZE(ops->queues, max_size(ops));
}

/* The journal's place behind the block. */
static size_t journal_offset(const struct anyhv_device_ops *ops)
{
    return (ANYHV_STATE_SIZE(ops->queues, ops->config_len) + 63) & ~(size_t)63;
}

size_t anyhv_keep_size(const struct anyhv_device_ops *ops)
{
    return journal_offset(ops) + journal_size(ops);
}

void anyhv_keep_use(void *area, const struct anyhv_device_ops *ops, bool found,
                    struct anyhv_attach *how)
{
    how->state = area;
    how->state_size = journal_offset(ops);
    how->journal = (uint8_t *)area + journal_offset(ops);
    how->journal_size = journal_size(ops);
    how->resume = found && ((const struct anyhv_state *)area)->magic == ANYHV_STATE_MAGIC;
}

static bool ops_valid(const struct anyhv_device_ops *ops)
{
    uint16_t max = max_size(ops);
    uint64_t all = ops->queues >= 64 ? ~UINT64_C(0) : ANYHV_F(ops->queues) - 1;

    if (ops->id == 0 || ops->queues == 0 || (max & (max - 1)) || max > ANYHV_QUEUE_SIZE_MAX)
        return false;
    if (!ops->request && (ops->queues > 64 || (ops->pull_queues & all) != all))
        return false;
    return (uint32_t)ops->config_w_off + ops->config_w_len <= ops->config_len &&
           (ops->required & ~ops->features) == 0 && !ops->save == !ops->load;
}

static bool how_valid(const struct anyhv_attach *how)
{
    if (!how->ops || !ops_valid(how->ops) || !how->mem || !how->port || !how->storage ||
        !how->state)
        return false;
    return how->port->notify && how->port->work &&
           (((uintptr_t)how->state | (uintptr_t)how->journal) & 7) == 0;
}

/* Cuts the caller's storage into queues, request slots and chunks. */
static void carve(struct anyhv_dev *dev, const struct anyhv_attach *how)
{
    uint8_t *at = how->storage;
    uint16_t nreqs = requests(&how->limits);
    uint16_t nchunks = (uint16_t)(segs(how->ops, &how->limits) / ANYHV_CHUNK_SEGS);

    at += -(uintptr_t)at & 15;
    dev->queues = (void *)at;
    at += how->ops->queues * sizeof(struct anyhv_queue);
    for (uint16_t i = 0; i < how->ops->queues; i++) {
        struct anyhv_queue *q = &dev->queues[i];

        memset(q, 0, sizeof(*q));
        q->dev = dev;
        q->index = i;
        q->state = &dev->state->queue[i];
        q->halt = ANYHV_HALT_STOPPED;
        q->nreqs = nreqs;
        q->nchunks = nchunks;
        q->reqs = (void *)at;
        at += nreqs * sizeof(struct anyhv_req);
        q->chunks = (void *)at;
        at += nchunks * sizeof(struct anyhv_chunk);
        anyhv_core_queue_storage(q);
    }
    dev->config_next = at;
}

/* Cuts the caller's journal into one for each queue. */
static void share_journal(struct anyhv_dev *dev, const struct anyhv_attach *how)
{
    size_t each = journal_size(how->ops) / how->ops->queues;
    uint8_t *at = how->journal;

    for (uint16_t i = 0; at && i < how->ops->queues; i++) {
        dev->queues[i].journal = (struct anyhv_journal){.area = at + i * each, .size = each};
        if (!how->resume)
            anyhv_journal_close(&dev->queues[i]);
    }
}

static void fresh_state(struct anyhv_dev *dev, uint32_t size)
{
    const struct anyhv_device_ops *ops = dev->ops;
    struct anyhv_state *st = dev->state;

    memset(st, 0, size);
    st->magic = ANYHV_STATE_MAGIC;
    st->version = ANYHV_STATE_VERSION;
    st->size = size;
    st->device_id = ops->id;
    st->queues = ops->queues;
    st->config_len = ops->config_len;
    anyhv_core_config_fresh(dev);
}

int anyhv_dev_attach(struct anyhv_dev *dev, const struct anyhv_attach *how)
{
    size_t size;
    int rc;

    if (!how_valid(how))
        return ANYHV_E_INVAL;
    size = ANYHV_STATE_SIZE(how->ops->queues, how->ops->config_len);
    if (how->state_size < size || how->storage_size < anyhv_storage_size(how->ops, &how->limits) ||
        (how->journal && how->journal_size < journal_size(how->ops)))
        return ANYHV_E_NORES;

    memset(dev, 0, sizeof(*dev));
    dev->ops = how->ops;
    dev->priv = how->priv;
    dev->state = how->state;
    dev->mem = how->mem;
    dev->port = how->port;
    dev->port_priv = how->port_priv;
    dev->config = (uint8_t *)&dev->state->queue[how->ops->queues];
    dev->offered = anyhv_core_offer(how->ops, how->port, how->withhold);
    dev->halt = ANYHV_HALT_STOPPED | (how->mem->lost ? ANYHV_HALT_FORSAKEN : 0u);
    carve(dev, how);
    share_journal(dev, how);
    if (!how->resume)
        fresh_state(dev, (uint32_t)size);
    dev->next_in_mem = dev->mem->devs;
    dev->mem->devs = dev;
    rc = how->resume ? anyhv_core_resume(dev) : ANYHV_OK;
    if (rc)
        anyhv_dev_detach(dev);
    return rc;
}

/* State block and journal are left as they are: a resuming successor may want them. */
void anyhv_dev_detach(struct anyhv_dev *dev)
{
    struct anyhv_dev **link = &dev->mem->devs;

    ANYHV_ASSERT(!dev->running);
    dev->halt |= ANYHV_HALT_STOPPED;
    for (unsigned i = 0; i < dev->ops->queues; i++)
        anyhv_core_queue_halt(&dev->queues[i]);
    if (dev->started && dev->ops->stop)
        dev->ops->stop(dev);
    dev->started = false;
    while (*link && *link != dev)
        link = &(*link)->next_in_mem;
    if (*link)
        *link = dev->next_in_mem;
}

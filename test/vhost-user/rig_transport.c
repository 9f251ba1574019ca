/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane as the driver sees it, and a VMM does it. */
#include "vhost-user/rig_private.h"

#include <poll.h>
#include <unistd.h>

static struct running *of(struct drv_transport *t)
{
    return (struct running *)(void *)t;
}

void rig_look(struct running *r)
{
    struct pollfd pfd = {.fd = r->channel, .events = POLLIN};
    uint32_t header[3];

    for (unsigned i = 0; i < TEST_QUEUES; i++)
        while (fe_event(r->queue[i].call.ours, 0))
            r->queue[i].irq = true;
    while (poll(&pfd, 1, 0) > 0 && read(r->channel, header, sizeof(header)) == sizeof(header))
        r->config_irq |= header[0] == 2 && header[1] == FE_VERSION && header[2] == 0;
}

static bool vu_reset(struct drv_transport *t)
{
    struct running *r = of(t);

    for (unsigned i = 0; i < TEST_QUEUES; i++)
        r->queue[i].set = r->queue[i].stopped = r->queue[i].waits = false;
    r->status = 0;
    r->features_set = r->refused_queue = false;
    fe_inflight_free(&r->area);
    r->uses_area = false;
    if (r->how->no_status)
        return fe_call(&r->fe, FE_RESET_DEVICE, NULL, 0, NULL, 0) == 0;
    return fe_u64(&r->fe, FE_SET_STATUS, 0) == 0;
}

static uint8_t vu_status(struct drv_transport *t)
{
    struct running *r = of(t);
    uint64_t status = r->status, mine = DRV_S_ACKNOWLEDGE | DRV_S_DRIVER;

    if (!r->how->no_status && fe_get(&r->fe, FE_GET_STATUS, &status))
        return DRV_S_FAILED;
    /* The first two bits never leave a VMM; what the back end makes of them is its business. */
    status = (status & ~mine) | (r->status & mine);
    return (uint8_t)(status | (r->refused_queue ? DRV_S_NEEDS_RESET : 0));
}

void rig_enable(struct running *r, unsigned queue)
{
    r->queue[queue].waits = r->quiesced;
    if (r->quiesced)
        return;
    if (fe_state(&r->fe, FE_SET_VRING_ENABLE, queue, 1))
        r->refused_queue = true;
}

static void vu_set_status(struct drv_transport *t, uint8_t status)
{
    struct running *r = of(t);
    bool ready = status & ~r->status & DRV_S_DRIVER_OK;

    if (!r->features_set && r->how->no_status)
        status &= (uint8_t)~DRV_S_FEATURES_OK;
    r->status |= status;
    for (unsigned i = 0; i < TEST_QUEUES && ready; i++) {
        if (r->queue[i].set)
            rig_enable(r, i);
    }
    if (!r->how->no_status)
        fe_u64(&r->fe, FE_SET_STATUS, status);
}

static uint64_t vu_offered(struct drv_transport *t)
{
    uint64_t features;

    if (fe_get(&of(t)->fe, FE_GET_FEATURES, &features))
        return 0;
    return features & ~FE_F_OWN;
}

static void vu_set_features(struct drv_transport *t, uint64_t features)
{
    struct running *r = of(t);

    /* Bits that are not the driver's; a VMM that lets them through is none. */
    if (features & FE_F_OWN)
        features |= DRV_F(63);
    r->features = features | FE_F_PROTOCOL_FEATURES;
    r->features_set = fe_u64(&r->fe, FE_SET_FEATURES, r->features) == 0;
}

static uint16_t vu_queue_max(struct drv_transport *t, unsigned queue)
{
    struct running *r = of(t);
    uint64_t count;

    if (fe_get(&r->fe, FE_GET_QUEUE_NUM, &count) || queue >= count)
        return 0;
    return r->ops.max_size ? r->ops.max_size : TEST_QUEUE_SIZE;
}

/* Where the ring goes on, and how it is notified. */
bool rig_send_ring(struct running *r, unsigned queue)
{
    struct queue *q = &r->queue[queue];

    return fe_state(&r->fe, FE_SET_VRING_BASE, queue, q->base) == 0 &&
           fe_vring_fd(&r->fe, FE_SET_VRING_CALL, queue, q->call.theirs) == 0 &&
           fe_vring_fd(&r->fe, FE_SET_VRING_KICK, queue, q->kick.theirs) == 0;
}

bool rig_send_queue(struct running *r, unsigned queue)
{
    const struct drv_queue_setup *setup = &r->queue[queue].setup;

    return fe_state(&r->fe, FE_SET_VRING_NUM, queue, setup->size) == 0 &&
           fe_addr(&r->fe, queue, rig_user(r, setup->desc), rig_user(r, setup->driver),
                   rig_user(r, setup->device)) == 0 &&
           rig_send_ring(r, queue);
}

bool rig_send_area(struct running *r)
{
    uint16_t max = r->ops.max_size ? r->ops.max_size : TEST_QUEUE_SIZE;

    if (r->area.fd < 0 && fe_inflight_get(&r->fe, TEST_QUEUES, max, &r->area))
        return false;
    r->uses_area = true;
    return fe_inflight_send(&r->fe, &r->area) == 0;
}

static bool vu_queue_setup(struct drv_transport *t, unsigned queue,
                           const struct drv_queue_setup *setup)
{
    struct running *r = of(t);
    struct queue *q = &r->queue[queue];

    q->setup = *setup;
    q->base = t->features & DRV_F_PACKED ? UINT32_C(0x80008000) : 0;
    if ((r->how->area && !r->uses_area && !rig_send_area(r)) || !rig_send_queue(r, queue)) {
        r->refused_queue = true;
        return false;
    }
    q->set = true;
    if (r->status & DRV_S_DRIVER_OK)
        rig_enable(r, queue);
    return true;
}

static void vu_kick(struct drv_transport *t, unsigned queue, uint32_t data)
{
    struct running *r = of(t);
    uint64_t one = 1;

    (void)data;
    if (queue < TEST_QUEUES)
        (void)!write(r->queue[queue].kick.ours, &one, sizeof(one));
}

static bool vu_config_read(struct drv_transport *t, uint32_t off, void *buf, uint32_t len)
{
    return len <= 256 && fe_get_config(&of(t)->fe, off, buf, len) == 0;
}

static bool vu_config_write(struct drv_transport *t, uint32_t off, const void *buf, uint32_t len)
{
    return len <= 256 && fe_set_config(&of(t)->fe, off, buf, len, 0) == 0;
}

static uint32_t vu_interrupts(struct drv_transport *t)
{
    struct running *r = of(t);
    uint32_t seen = 0;

    rig_look(r);
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        seen |= r->queue[i].irq ? DRV_IRQ_USED : 0u;
        r->queue[i].irq = false;
    }
    seen |= r->config_irq ? DRV_IRQ_CONFIG : 0u;
    r->config_irq = false;
    return seen;
}

const struct drv_transport_ops rig_transport_ops = {
    .name = "vhost-user",
    .reset = vu_reset,
    .status = vu_status,
    .set_status = vu_set_status,
    .offered = vu_offered,
    .set_features = vu_set_features,
    .queue_max = vu_queue_max,
    .queue_setup = vu_queue_setup,
    .kick = vu_kick,
    .config_read = vu_config_read,
    .config_write = vu_config_write,
    .interrupts = vu_interrupts,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver does over any transport. */
#include "driver/driver.h"

bool drv_negotiate(struct drv_transport *t, uint64_t want)
{
    t->features = 0;
    if (!t->ops->reset(t))
        return false;
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE);
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER);
    want = (want | DRV_F_VERSION_1) & t->ops->offered(t);
    t->ops->set_features(t, want);
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK);
    if (!(t->ops->status(t) & DRV_S_FEATURES_OK))
        return false;
    t->features = want;
    return true;
}

bool drv_queue_setup(struct drv_transport *t, unsigned queue, const struct drv_ring *ring)
{
    struct drv_queue_setup setup = {
        .desc = ring->desc,
        .driver = ring->driver,
        .device = ring->device,
        .size = ring->size,
    };

    return t->ops->queue_setup(t, queue, &setup);
}

void drv_ready(struct drv_transport *t)
{
    t->ops->set_status(t, DRV_S_ACKNOWLEDGE | DRV_S_DRIVER | DRV_S_FEATURES_OK | DRV_S_DRIVER_OK);
}

void drv_kick(struct drv_transport *t, unsigned queue, struct drv_ring *ring)
{
    t->ops->kick(t, queue, drv_ring_kick_data(ring, (uint16_t)queue));
}

bool drv_submit(struct drv_transport *t, unsigned queue, struct drv_ring *ring)
{
    drv_ring_publish(ring);
    if (!drv_ring_need_kick(ring))
        return false;
    drv_kick(t, queue, ring);
    return true;
}

bool drv_config_read(struct drv_transport *t, uint32_t off, void *buf, uint32_t len)
{
    uint32_t before;

    if (!t->ops->generation)
        return t->ops->config_read(t, off, buf, len);
    do {
        before = t->ops->generation(t);
        if (!t->ops->config_read(t, off, buf, len))
            return false;
    } while (t->ops->generation(t) != before);
    return true;
}

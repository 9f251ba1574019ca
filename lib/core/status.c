/* SPDX-License-Identifier: Apache-2.0 */
/* The device status machine and feature negotiation, sections 2.1, 2.2 and 3.1. */
#include "core.h"

/* Ring features that core can do, whatever the device. */
#define CORE_FEATURES                                                                            \
    (ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_ACCESS_PLATFORM | ANYHV_F_RING_PACKED | \
     ANYHV_F_NOTIFICATION_DATA | ANYHV_F_RING_RESET | ANYHV_F_SUSPEND)

/* Bits that a driver may set; NEEDS_RESET it can only repeat. */
#define DRIVER_BITS                                                                   \
    (ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_DRIVER_OK | ANYHV_S_FEATURES_OK | \
     ANYHV_S_FAILED)

uint64_t anyhv_ctl_features(const struct anyhv_dev *dev)
{
    return dev->offered;
}

uint64_t anyhv_core_offer(const struct anyhv_device_ops *ops, const struct anyhv_port_ops *port,
                          uint64_t withhold)
{
    uint64_t ring = CORE_FEATURES | (ops->ordered ? ANYHV_F_IN_ORDER : 0);

    return (((ring & port->features) | (ops->features & ~ANYHV_F_RING_BITS)) & ~withhold) |
           ANYHV_F_VERSION_1;
}

bool anyhv_core_features_valid(const struct anyhv_dev *dev, uint64_t features)
{
    uint64_t required = dev->ops->required | ANYHV_F_VERSION_1;

    return (features & ~dev->offered) == 0 && (features & required) == required;
}

void anyhv_ctl_set_features(struct anyhv_dev *dev, uint64_t features)
{
    if (core_status_has(dev, ANYHV_S_FEATURES_OK)) {
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_FEATURES_LATE, features, 0);
        return;
    }
    dev->state->driver_features = features;
}

uint64_t anyhv_dev_features(const struct anyhv_dev *dev)
{
    return core_status_has(dev, ANYHV_S_FEATURES_OK) ? dev->state->driver_features : 0;
}

uint8_t anyhv_ctl_status(const struct anyhv_dev *dev)
{
    if (dev->halt & ANYHV_HALT_SUSPENDING) /* it shows when the device has got there */
        return dev->state->status & (uint8_t)~ANYHV_S_SUSPEND;
    return dev->state->status;
}

void anyhv_dev_needs_reset(struct anyhv_dev *dev)
{
    if (core_status_has(dev, ANYHV_S_NEEDS_RESET))
        return;
    dev->state->status |= ANYHV_S_NEEDS_RESET;
    if (core_status_has(dev, ANYHV_S_DRIVER_OK) && !(dev->halt & ANYHV_HALT_LOST) && !dev->adopting)
        dev->port->notify(dev, ANYHV_CONFIG);
}

/* Section 2.4: everything the driver did is forgotten, and no ring is touched any more. */
void anyhv_core_reset(struct anyhv_dev *dev)
{
    struct anyhv_state *st = dev->state;
    bool was_started = dev->started;

    for (unsigned i = 0; i < dev->ops->queues; i++) {
        struct anyhv_queue *q = &dev->queues[i];

        anyhv_core_queue_halt(q);
        q->state->enabled = 0;
        core_step();
        anyhv_journal_close(q);
        q->halt = ANYHV_HALT_STOPPED;
        memset(q->state, 0, sizeof(*q->state));
    }
    anyhv_core_config_thaw(dev);
    st->status = 0;
    st->interrupt_status = 0;
    st->driver_features = 0;
    st->device_features_sel = 0;
    st->driver_features_sel = 0;
    st->queue_sel = 0;
    st->shm_sel = 0;
    anyhv_core_config_reset(dev);
    dev->started = false;
    dev->announce = false;
    dev->halt &= ANYHV_HALT_QUIESCING; /* which is the module's, not the driver's */
    dev->halt |= ANYHV_HALT_STOPPED | (dev->mem->lost ? ANYHV_HALT_FORSAKEN : 0u);
    if (dev->port->reset)
        dev->port->reset(dev);
    if (was_started && dev->ops->stop)
        dev->ops->stop(dev);
    if (dev->quiet_due || ((dev->halt & ANYHV_HALT_QUIESCING) && !dev->quiet))
        core_work(dev); /* whoever waits for quiet is told: a driver cannot end that wait */
}

/* The driver is ready: the device starts, and every ring is looked at once without a kick. */
void anyhv_core_driver_ok(struct anyhv_dev *dev)
{
    dev->started = true;
    dev->halt &= ~(uint32_t)ANYHV_HALT_STOPPED;
    if (dev->ops->start)
        dev->ops->start(dev);
    for (unsigned i = 0; i < dev->ops->queues; i++)
        dev->queues[i].pending = true;
    core_work(dev);
}

static uint8_t accept_features(struct anyhv_dev *dev, uint8_t added)
{
    if (!(added & ANYHV_S_FEATURES_OK) ||
        anyhv_core_features_valid(dev, dev->state->driver_features))
        return added;
    anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_FEATURES_REFUSED, dev->state->driver_features,
                         dev->offered);
    return added & (uint8_t)~ANYHV_S_FEATURES_OK;
}

/*
 * VIRTIO_F_SUSPEND, section 2.1: SUSPEND is a wish of the driver and shows when the device has got
 * there; DRIVER_OK ends it. True: that is what this write is about.
 */
static bool suspend_written(struct anyhv_dev *dev, uint8_t status)
{
    bool wish = status & ANYHV_S_SUSPEND;

    if (dev->halt & ANYHV_HALT_SUSPENDED) {
        if (status & ANYHV_S_DRIVER_OK)
            anyhv_core_unsuspend(dev);
        return true;
    }
    if (dev->halt & ANYHV_HALT_SUSPENDING) {
        if (!wish)
            anyhv_core_unsuspend(dev);
        return true;
    }
    if (!wish)
        return false;
    if (core_has(dev, ANYHV_F_SUSPEND) && core_status_has(dev, ANYHV_S_DRIVER_OK)) {
        anyhv_core_suspend(dev);
        return true;
    }
    anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_SUSPEND, status, dev->state->status);
    return false;
}

void anyhv_ctl_set_status(struct anyhv_dev *dev, uint8_t status)
{
    struct anyhv_state *st = dev->state;
    uint8_t before = st->status & DRIVER_BITS;
    uint8_t added = status & (uint8_t)(DRIVER_BITS & ~before);

    if (status == 0) {
        anyhv_core_reset(dev);
        return;
    }
    if (suspend_written(dev, status)) {
        st->status |= status & ANYHV_S_FAILED;
        return;
    }
    if (before & ~status)
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_STATUS_CLEAR, status, st->status);
    added = accept_features(dev, added);
    if ((added & ANYHV_S_DRIVER_OK) && !((st->status | added) & ANYHV_S_FEATURES_OK)) {
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_STATUS_ORDER, status, st->status);
        added &= (uint8_t)~ANYHV_S_DRIVER_OK;
    }
    st->status |= added;
    if (added & ANYHV_S_DRIVER_OK)
        anyhv_core_driver_ok(dev);
}

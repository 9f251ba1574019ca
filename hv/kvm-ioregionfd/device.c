/* SPDX-License-Identifier: Apache-2.0 */
/* The device behind a connection: attached at START, gone with the VMM. */
#include "ior.h"

/*
 * Edge: each event is a signal. Level with resampling: KVM holds the line until the guest's end of
 * interrupt and then asks again, so a signal raises it and nothing lowers it.
 */
static void mmio_irq(struct anyhv_mmio *mmio, bool level)
{
    struct ior_connection *c = mmio->priv;

    if (level)
        anyhv_event_signal(c->irq);
}

static void mmio_work(struct anyhv_mmio *mmio)
{
    struct ior_connection *c = mmio->priv;

    if (c->open)
        anyhv_task_ready(c->module->server->loop, &c->work);
}

static void mmio_quiet(struct anyhv_mmio *mmio)
{
    struct ior_connection *c = mmio->priv;

    if (c->deferred)
        anyhv_task_ready(c->module->server->loop, &c->again);
}

static const struct anyhv_mmio_ops mmio_ops = {
    .irq = mmio_irq, .work = mmio_work, .quiet = mmio_quiet};

/*
 * KVM signals an eventfd for one value, and with NOTIFICATION_DATA that changes from kick to kick.
 */
static bool has_kicks(const struct ior_connection *c)
{
    for (unsigned i = 0; i < c->module->server->cls->ops->queues; i++)
        if (c->kicks[i].fd >= 0)
            return true;
    return false;
}

int ior_device_begin(struct ior_connection *c)
{
    struct anyhv_attach how = {.mem = &c->mem,
                               .withhold = has_kicks(c) ? ANYHV_F_NOTIFICATION_DATA : 0};
    int refused, rc;

    ior_state_use(c, &how);
    rc = anyhv_instance_attach(&c->instance, c->module->server, &c->mmio, &mmio_ops, c, &how, false,
                               &refused);
    if (refused)
        anyhv_log(ANYHV_LOG_WARNING, "ior.state", "%s; the guest has to reset the device",
                  anyhv_result_name(refused));
    c->attached = rc == ANYHV_OK;
    c->resumed = how.resume;
    return rc;
}

/* State and journal stay as they are. */
void ior_device_end(struct ior_connection *c)
{
    if (!c->attached)
        return;
    anyhv_dev_detach(&c->mmio.dev);
    anyhv_instance_destroy(&c->instance);
    c->attached = false;
}

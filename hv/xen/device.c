/* SPDX-License-Identifier: Apache-2.0 */
/* One device: register model, interrupt, state file, window. In this order, and back in reverse. */
#include "xen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the register model asks for ---- */

static int set_level(const struct xen_device *device, bool level)
{
    xendevicemodel_handle *model = device->guest->module->devicemodel;

#if defined(__i386__) || defined(__x86_64__)
    return xendevicemodel_set_isa_irq_level(model, device->guest->domid, (uint8_t)device->irq,
                                            level);
#else
    return xendevicemodel_set_irq_level(model, device->guest->domid, device->irq, level);
#endif
}

static void put_level(struct xen_device *device, bool level)
{
    if (device->guest->gone || set_level(device, level) == 0)
        return;
    if (errno == ESRCH)
        xen_guest_gone(device->guest);
    else
        anyhv_log(ANYHV_LOG_ERROR, "xen.irq",
                  "domain %u device %" PRIu32 ": interrupt %" PRIu32 ": %s", device->guest->domid,
                  device->id, device->irq, strerror(errno));
}

static void mmio_irq(struct anyhv_mmio *mmio, bool level)
{
    put_level(mmio->priv, level);
}

static void mmio_work(struct anyhv_mmio *mmio)
{
    struct xen_device *device = mmio->priv;

    if (!device->guest->gone)
        anyhv_task_ready(device->guest->module->server->loop, &device->work);
}

static bool run_rings(struct anyhv_task *task)
{
    struct xen_device *device = task->priv;

    return anyhv_dev_run(&device->mmio.dev, XEN_BUDGET) && !device->guest->gone;
}

static const struct anyhv_mmio_ops mmio_ops = {.irq = mmio_irq, .work = mmio_work};

/* ---- beginning ---- */

static int failed(const struct xen_device *device, const char *what, const char *why)
{
    anyhv_log(ANYHV_LOG_ERROR, "xen.device", "domain %u device %" PRIu32 ": %s: %s",
              device->guest->domid, device->id, what, why);
    return ANYHV_E_IO;
}

static int open_grants(struct xen_device *device)
{
    if (device->grants && xen_grants_init(&device->guest->grants, device->guest) != ANYHV_OK)
        return failed(device, "opening the grant interface", strerror(errno));
    return ANYHV_OK;
}

static int open_state(struct xen_device *device, const struct anyhv_device_ops *ops)
{
    char suffix[24], path[256];
    int rc;

    if (!device->guest->module->options->state_dir)
        return ANYHV_OK;
    snprintf(suffix, sizeof(suffix), "-%" PRIx64, device->base);
    if (!xen_state_path(device->guest, suffix, path, sizeof(path)))
        return failed(device, "--state", "the path is too long");
    rc = anyhv_state_file_open(&device->state, path, device->guest->owner, 0, ops);
    return rc ? failed(device, path, anyhv_state_file_error(rc)) : ANYHV_OK;
}

static int attach(struct xen_device *device)
{
    struct xen_guest *guest = device->guest;
    struct anyhv_attach how = {.mem = device->grants ? &guest->grants.mem : &guest->foreign.mem};
    int refused, rc;

    if (device->state.area)
        anyhv_state_file_use(&device->state, &how);
    /*
     * A predecessor's interrupt may still be up with nothing left to acknowledge, and for an HVM
     * guest of Xen's an ISA interrupt is its edge: one that stays up is never seen again.
     */
    if (device->state.resume)
        put_level(device, false);
    rc = anyhv_instance_attach(&device->instance, guest->module->server, &device->mmio, &mmio_ops,
                               device, &how, device->grants, &refused);
    if (refused)
        anyhv_log(ANYHV_LOG_WARNING, "xen.state",
                  "domain %u device %" PRIu32 ": %s: %s; the guest has to reset the device",
                  guest->domid, device->id, device->state.path, anyhv_result_name(refused));
    device->attached = rc == ANYHV_OK;
    return rc ? failed(device, "attaching", anyhv_result_name(rc)) : ANYHV_OK;
}

static int claim(struct xen_device *device)
{
    if (xen_server_claim(device->guest, device->base) < 0)
        return failed(device, "claiming its window", strerror(errno));
    device->ranged = true;
    return ANYHV_OK;
}

static bool place_free(const struct xen_guest *guest, const struct xen_place *place)
{
    for (const struct xen_device *d = guest->devices; d; d = d->next) {
        if (d->base + ANYHV_MMIO_SIZE <= place->base || place->base + ANYHV_MMIO_SIZE <= d->base)
            continue;
        anyhv_log(ANYHV_LOG_ERROR, "xen.device",
                  "domain %u: device %" PRIu32 " at 0x%" PRIx64 " overlaps device %" PRIu32,
                  guest->domid, place->id, place->base, d->id);
        return false;
    }
    return true;
}

static struct xen_device *new_device(struct xen_guest *guest, const struct xen_place *place)
{
    struct xen_device *device = calloc(1, sizeof(*device));

    if (!device)
        return NULL;
    device->guest = guest;
    device->id = place->id;
    device->base = place->base;
    device->irq = place->irq;
    device->grants = place->grants;
    device->work = (struct anyhv_task){.run = run_rings, .priv = device};
    if (place->path)
        snprintf(device->path, sizeof(device->path), "%s", place->path);
    device->next = guest->devices;
    guest->devices = device;
    return device;
}

int xen_device_begin(struct xen_guest *guest, const struct xen_place *place)
{
    const struct xen_module *module = guest->module;
    struct xen_device *device;
    int rc;

    if (!place_free(guest, place))
        return ANYHV_E_INVAL;
    device = new_device(guest, place);
    if (!device)
        return ANYHV_E_NORES;
    rc = open_grants(device);
    if (!rc)
        rc = open_state(device, module->server->cls->ops);
    if (!rc)
        rc = attach(device);
    if (!rc)
        rc = claim(device);
    if (rc) { /* what a predecessor left is for the next attempt */
        xen_device_end(device, device->state.resume ? XEN_END_LEAVE : XEN_END_RELEASE);
        return rc;
    }
    anyhv_log(ANYHV_LOG_INFO, "xen.serving",
              "domain %u device %" PRIu32 ": %s at 0x%" PRIx64 ", interrupt %" PRIu32 ", memory %s",
              guest->domid, device->id, module->server->cls->ops->name, device->base, device->irq,
              device->grants ? "by grants" : "by foreign maps");
    /* Only now: whoever waits for this may let the guest run. */
    if (device->path[0])
        xen_discovery_state(module, device->path, XEN_STORE_INIT_WAIT);
    device->announced = true;
    return ANYHV_OK;
}

/* ---- the end ---- */

static void unlink_device(struct xen_device *device)
{
    struct xen_device **link = &device->guest->devices;

    while (*link != device)
        link = &(*link)->next;
    *link = device->next;
}

void xen_device_unclaim(struct xen_device *device)
{
    if (device->ranged)
        xen_server_release(device->guest, device->base);
    device->ranged = false;
}

void xen_device_end(struct xen_device *device, enum xen_end how)
{
    if (how == XEN_END_RELEASE)
        xen_device_unclaim(device);
    if (device->attached) {
        if (how == XEN_END_DEAD)
            anyhv_ctl_lost(&device->mmio.dev);
        anyhv_dev_detach(&device->mmio.dev);
    }
    anyhv_instance_destroy(&device->instance);
    anyhv_task_cancel(&device->work);
    if (how == XEN_END_LEAVE)
        anyhv_state_file_close(&device->state);
    else
        anyhv_state_file_remove(&device->state);
    if (how == XEN_END_RELEASE && device->announced && device->path[0])
        xen_discovery_state(device->guest->module, device->path, XEN_STORE_CLOSED);
    unlink_device(device);
    free(device);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a vCPU that waits to the register model and back. The vCPU stands still until it is
 * answered, so nothing is done here but the access itself: rings are for later.
 *
 * Whatever cannot be served is answered all the same, or the vCPU would wait for ever: reads with
 * all ones, as on a bus where nobody answers; writes have no effect.
 */
#include "xen.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

/* ---- one access ---- */

static struct xen_device *device_at(const struct xen_guest *guest, uint64_t addr, uint32_t size)
{
    for (struct xen_device *d = guest->devices; d; d = d->next)
        if (addr - d->base < ANYHV_MMIO_SIZE && size <= ANYHV_MMIO_SIZE - (addr - d->base))
            return d;
    return NULL;
}

static void refuse(const struct xen_guest *guest, const struct xen_ioreq *req, const char *why)
{
    anyhv_log(ANYHV_LOG_WARNING, "xen.refused",
              "domain %u: access of type %u at 0x%" PRIx64 ", %" PRIu32 " times %" PRIu32
              " bytes, flags 0x%x: %s",
              guest->domid, req->type, req->addr, req->count, req->size, req->flags, why);
}

/* Drivers access registers one at a time, with an instruction that Xen can decode. */
static const char *flaw(const struct xen_ioreq *req)
{
    if (req->type != XEN_IOREQ_MMIO)
        return "not memory";
    if (req->flags & (XEN_IOREQ_POINTER | XEN_IOREQ_DOWN) || req->count > 1)
        return "a string instruction";
    if (req->size != 1 && req->size != 2 && req->size != 4 && req->size != 8)
        return "no such width";
    return NULL;
}

/* What the guest reads. */
static uint64_t perform(const struct xen_guest *guest, const struct xen_ioreq *req)
{
    bool write = !(req->flags & XEN_IOREQ_READ);
    const char *why = flaw(req);
    uint64_t value = req->data;
    struct xen_device *device;

    if (why) {
        refuse(guest, req, why);
        return UINT64_MAX;
    }
    device = device_at(guest, req->addr, req->size);
    if (!device) {
        refuse(guest, req, "no device of ours");
        return UINT64_MAX;
    }
    anyhv_mmio_access(&device->mmio, (uint32_t)(req->addr - device->base), req->size, write,
                      &value);
    return value;
}

/* ---- one slot ---- */

static void set_state(struct xen_ioreq *slot, uint8_t flags, enum xen_ioreq_state state)
{
    __atomic_store_n(&slot->flags, (uint8_t)((flags & ~XEN_IOREQ_STATE) | state), __ATOMIC_RELEASE);
}

/* A copy: Xen does not change a slot that is being served, but each word is to be read once. */
static struct xen_ioreq snapshot(const struct xen_ioreq *slot, uint8_t flags)
{
    return (struct xen_ioreq){
        .addr = __atomic_load_n(&slot->addr, __ATOMIC_RELAXED),
        .data = __atomic_load_n(&slot->data, __ATOMIC_RELAXED),
        .count = __atomic_load_n(&slot->count, __ATOMIC_RELAXED),
        .size = __atomic_load_n(&slot->size, __ATOMIC_RELAXED),
        .flags = flags,
        .type = __atomic_load_n(&slot->type, __ATOMIC_RELAXED),
    };
}

static void wake(struct xen_guest *guest, unsigned vcpu)
{
    /* Xen looks at the slot again when the event comes: the state must be there first. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (xenevtchn_notify(guest->server.events, guest->server.ports[vcpu]) < 0)
        xen_guest_gone(guest);
}

/* Serves the access in @vcpu's slot, which we have just taken or a predecessor had. */
static void serve(struct xen_guest *guest, unsigned vcpu, uint8_t flags)
{
    struct xen_ioreq *slot = &guest->server.page[vcpu], req = snapshot(slot, flags);
    uint64_t value;

    if (req.type == XEN_IOREQ_INVALIDATE) {
        xen_foreign_invalidate(&guest->foreign);
    } else {
        value = perform(guest, &req);
        if (flags & XEN_IOREQ_READ)
            __atomic_store_n(&slot->data, value, __ATOMIC_RELAXED);
    }
    set_state(slot, flags, XEN_IOREQ_DONE);
    wake(guest, vcpu);
}

static void look(struct xen_guest *guest, unsigned vcpu)
{
    struct xen_ioreq *slot = &guest->server.page[vcpu];
    /* Pairs with Xen's barrier before it makes the slot READY. */
    uint8_t flags = __atomic_load_n(&slot->flags, __ATOMIC_ACQUIRE);

    if ((flags & XEN_IOREQ_STATE) != XEN_IOREQ_READY)
        return; /* binding a channel makes an event, too */
    set_state(slot, flags, XEN_IOREQ_INPROCESS);
    serve(guest, vcpu, flags);
}

/*
 * An access that a predecessor had begun is done again: all that our registers know can be done
 * twice. One that it had answered needs the event that it may have owed.
 */
void xen_traps_finish(struct xen_guest *guest)
{
    for (unsigned i = 0; i < guest->server.vcpus && !guest->gone; i++) {
        uint8_t flags = __atomic_load_n(&guest->server.page[i].flags, __ATOMIC_ACQUIRE);

        switch (flags & XEN_IOREQ_STATE) {
        case XEN_IOREQ_READY:
            look(guest, i);
            break;
        case XEN_IOREQ_INPROCESS:
            serve(guest, i, flags);
            break;
        case XEN_IOREQ_DONE:
            wake(guest, i);
            break;
        default:
            break;
        }
    }
}

/* ---- events ---- */

static int vcpu_of(const struct xen_server *server, evtchn_port_t port)
{
    for (unsigned i = 0; i < server->vcpus; i++)
        if (server->ports[i] == port)
            return (int)i;
    return -1;
}

static void failed(struct xen_guest *guest)
{
    anyhv_log(ANYHV_LOG_ERROR, "xen.events", "domain %u: its event channels fail: %s", guest->domid,
              strerror(errno));
    xen_guest_gone(guest);
}

/* False: none is there. */
static bool take_event(struct xen_guest *guest)
{
    struct xen_server *server = &guest->server;
    int port = xenevtchn_pending(server->events), vcpu;

    if (port < 0 && errno == EAGAIN)
        return false;
    /* Before the slot is looked at: what comes later shall be an event again. */
    if (port < 0 || xenevtchn_unmask(server->events, (evtchn_port_t)port) < 0) {
        failed(guest);
        return false;
    }
    vcpu = vcpu_of(server, (evtchn_port_t)port);
    if (vcpu >= 0)
        look(guest, (unsigned)vcpu);
    return true;
}

/* A vCPU waits for one access, so with only one there is no need to look for a second event. */
void xen_traps_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct xen_guest *guest = watch->priv;

    (void)events;
    for (unsigned n = 0; n < guest->server.vcpus && !guest->gone && take_event(guest); n++)
        ;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ioreq server of a guest: made, or taken over from a process that died. Xen does not notice
 * when a process dies. Its server stays, and so do the ranges and the accesses that wait in the
 * page; only the event channels have lost their other end, and are bound again.
 */
#include "xen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/memory.h>

/* What usually is behind an error that says little. */
static const char *hint(int error)
{
    switch (error) {
    case ENOSYS:
    case EOPNOTSUPP:
        return "; this hypervisor is built without IOREQ_SERVER";
    case EPERM:
    case EACCES:
        return "; this domain, or this process, has no right over that one";
    case ENOSPC:
        return "; all ioreq servers of the domain are taken, perhaps by programs that died without "
               "--state";
    case ESRCH:
        return "; there is no such domain";
    default:
        return "";
    }
}

static int failed(const struct xen_guest *guest, const char *what)
{
    anyhv_log(ANYHV_LOG_ERROR, "xen.server", "domain %u: %s: %s%s", guest->domid, what,
              strerror(errno), hint(errno));
    return ANYHV_E_IO;
}

static xendevicemodel_handle *model(const struct xen_guest *guest)
{
    return guest->module->devicemodel;
}

bool xen_server_alive(const struct xen_guest *guest)
{
    return xendevicemodel_get_ioreq_server_info(model(guest), guest->domid, guest->server.id, NULL,
                                                NULL, NULL) == 0 ||
           (errno != ENOENT && errno != ESRCH);
}

/* ---- steps on the way up ---- */

static int open_events(struct xen_guest *guest, struct xen_note *note)
{
    int fd, flags;

    (void)note;
    guest->server.events = xenevtchn_open(NULL, 0);
    if (!guest->server.events)
        return failed(guest, "opening event channels");
    /* The library waits for an event as its descriptor does. */
    fd = xenevtchn_fd(guest->server.events);
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return failed(guest, "asking event channels not to wait");
    return ANYHV_OK;
}

static int count_vcpus(struct xen_guest *guest, struct xen_note *note)
{
    struct xen_server *server = &guest->server;

    (void)note;
    if (xendevicemodel_nr_vcpus(model(guest), guest->domid, &server->vcpus) < 0)
        return failed(guest, "asking for its vCPUs");
    if (server->vcpus >= 1 && server->vcpus <= XEN_IOREQ_SLOTS)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "xen.server", "domain %u: it has %u vCPUs, not 1 to %u",
              guest->domid, server->vcpus, XEN_IOREQ_SLOTS);
    return ANYHV_E_INVAL;
}

/* A predecessor's, if it is still there. */
static bool adopt(struct xen_guest *guest, const struct xen_note *note)
{
    struct xen_server *server = &guest->server;

    if (!note || !note->id_plus_one || note->id_plus_one > UINT16_MAX)
        return false;
    server->id = (ioservid_t)(note->id_plus_one - 1);
    if (xendevicemodel_get_ioreq_server_info(model(guest), guest->domid, server->id, NULL, NULL,
                                             NULL) < 0) {
        anyhv_log(ANYHV_LOG_WARNING, "xen.server",
                  "domain %u: ioreq server %u of a predecessor: %s", guest->domid, server->id,
                  strerror(errno));
        return false;
    }
    server->exists = server->adopted = true;
    anyhv_log(ANYHV_LOG_INFO, "xen.adopted", "domain %u: going on with ioreq server %u",
              guest->domid, server->id);
    return true;
}

static int get_server(struct xen_guest *guest, struct xen_note *note)
{
    struct xen_server *server = &guest->server;

    if (adopt(guest, note))
        return ANYHV_OK;
    if (xendevicemodel_create_ioreq_server(model(guest), guest->domid, 0, &server->id) < 0)
        return failed(guest, "making an ioreq server");
    server->exists = true;
    if (note)
        note->id_plus_one = server->id + 1u;
    return ANYHV_OK;
}

/* Frame 0 would be the page of buffered requests, which we have not asked for. */
static int map_page(struct xen_guest *guest, struct xen_note *note)
{
    struct xen_server *server = &guest->server;
    void *page = NULL;

    (void)note;
    server->resource = xenforeignmemory_map_resource(
        guest->module->foreignmemory, guest->domid, XENMEM_resource_ioreq_server, server->id,
        XENMEM_resource_ioreq_server_frame_ioreq(0), 1, &page, PROT_READ | PROT_WRITE, 0);
    if (!server->resource)
        return failed(guest, "mapping the page of its ioreq server");
    server->page = page;
    return ANYHV_OK;
}

/* Xen fills in the ports only now, and only in a page that is mapped. */
static int enable(struct xen_guest *guest, struct xen_note *note)
{
    (void)note;
    if (xendevicemodel_set_ioreq_server_state(model(guest), guest->domid, guest->server.id, 1) < 0)
        return failed(guest, "enabling its ioreq server");
    return ANYHV_OK;
}

static int bind_ports(struct xen_guest *guest, struct xen_note *note)
{
    struct xen_server *server = &guest->server;

    (void)note;
    for (unsigned i = 0; i < server->vcpus; i++) {
        uint32_t theirs = __atomic_load_n(&server->page[i].port, __ATOMIC_RELAXED);
        int ours = xenevtchn_bind_interdomain(server->events, guest->domid, theirs);

        if (ours < 0)
            return failed(guest, "binding the event channel of a vCPU");
        server->ports[i] = (evtchn_port_t)ours;
    }
    server->bound = true;
    return ANYHV_OK;
}

/* The channels first: they are closed first when the process is killed. */
static int (*const steps[])(struct xen_guest *guest, struct xen_note *note) = {
    open_events, count_vcpus, get_server, map_page, enable, bind_ports,
};

int xen_server_begin(struct xen_guest *guest, struct xen_note *note)
{
    int rc = ANYHV_OK;

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && !rc; i++)
        rc = steps[i](guest, note);
    return rc;
}

void xen_server_disable(const struct xen_guest *guest)
{
    if (xendevicemodel_set_ioreq_server_state(model(guest), guest->domid, guest->server.id, 0) < 0)
        failed(guest, "disabling its ioreq server");
}

/* From wherever the way up ended. */
void xen_server_end(struct xen_guest *guest, enum xen_end how)
{
    struct xen_server *server = &guest->server;

    if (server->events)
        xenevtchn_close(server->events); /* unbinds all ports */
    if (server->resource)
        xenforeignmemory_unmap_resource(guest->module->foreignmemory, server->resource);
    if (server->exists && how == XEN_END_RELEASE &&
        xendevicemodel_destroy_ioreq_server(model(guest), guest->domid, server->id) < 0)
        failed(guest, "destroying its ioreq server");
    memset(server, 0, sizeof(*server));
}

/* ---- windows ---- */

int xen_server_claim(const struct xen_guest *guest, uint64_t base)
{
    const struct xen_server *server = &guest->server;
    int rc = xendevicemodel_map_io_range_to_ioreq_server(model(guest), guest->domid, server->id, 1,
                                                         base, base + ANYHV_MMIO_SIZE - 1);

    if (rc < 0 && errno == EEXIST && server->adopted)
        return 0; /* the predecessor claimed it */
    return rc;
}

void xen_server_release(const struct xen_guest *guest, uint64_t base)
{
    xendevicemodel_unmap_io_range_from_ioreq_server(model(guest), guest->domid, guest->server.id, 1,
                                                    base, base + ANYHV_MMIO_SIZE - 1);
}

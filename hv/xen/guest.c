/* SPDX-License-Identifier: Apache-2.0 */
/* One guest, from the first device that is found in it to its end. */
#include "xen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct xen_guest *xen_guest_find(const struct xen_module *module, domid_t domid)
{
    struct xen_guest *guest = module->guests;

    while (guest && guest->domid != domid)
        guest = guest->next;
    return guest;
}

bool xen_state_path(const struct xen_guest *guest, const char *suffix, char *buf, size_t size)
{
    const struct xen_module *module = guest->module;
    int n = snprintf(buf, size, "%s/%s-%u%s", module->options->state_dir,
                     module->server->cls->ops->name, guest->domid, suffix);

    return n > 0 && (size_t)n < size;
}

/* ---- its end ---- */

static bool end_gone(struct anyhv_task *task)
{
    struct xen_guest *guest = task->priv;
    struct xen_module *module = guest->module;

    anyhv_log(ANYHV_LOG_INFO, "xen.gone", "domain %u is gone", guest->domid);
    xen_guest_end(guest, XEN_END_DEAD);
    xen_module_guest_ended(module);
    return false;
}

void xen_guest_gone(struct xen_guest *guest)
{
    guest->gone = true;
    anyhv_task_ready(guest->module->server->loop, &guest->end);
}

static void unlink_guest(struct xen_guest *guest)
{
    struct xen_guest **link = &guest->module->guests;

    while (*link != guest)
        link = &(*link)->next;
    *link = guest->next;
}

/* No access comes here any more, and none is left without an answer. */
static void stop_traps(struct xen_guest *guest)
{
    for (struct xen_device *d = guest->devices; d; d = d->next)
        xen_device_unclaim(d);
    xen_server_disable(guest);
    xen_traps_finish(guest);
}

/* First no more guest access, then no more guest memory, then no more server. */
void xen_guest_end(struct xen_guest *guest, enum xen_end how)
{
    if (guest->gone)
        how = XEN_END_DEAD;
    guest->gone = how == XEN_END_DEAD;
    if (how == XEN_END_RELEASE && guest->server.bound)
        stop_traps(guest);
    anyhv_watch_del(&guest->watch);
    while (guest->devices)
        xen_device_end(guest->devices, how);
    xen_grants_fini(&guest->grants);
    xen_foreign_fini(&guest->foreign);
    xen_server_end(guest, how);
    if (how == XEN_END_LEAVE)
        anyhv_state_file_close(&guest->state);
    else
        anyhv_state_file_remove(&guest->state);
    anyhv_task_cancel(&guest->end);
    unlink_guest(guest);
    free(guest);
}

/* ---- its beginning ---- */

static int open_note(struct xen_guest *guest, struct xen_note **note)
{
    char path[256];
    int rc;

    *note = NULL;
    if (!guest->module->options->state_dir)
        return ANYHV_OK;
    if (!xen_state_path(guest, "", path, sizeof(path))) {
        anyhv_log(ANYHV_LOG_ERROR, "xen.state", "--state: the path is too long");
        return ANYHV_E_INVAL;
    }
    rc = anyhv_state_file_open(&guest->state, path, guest->owner, sizeof(**note), NULL);
    if (rc)
        anyhv_log(ANYHV_LOG_ERROR, "xen.state", "domain %u: %s: %s", guest->domid, path,
                  anyhv_state_file_error(rc));
    else
        *note = guest->state.note;
    return rc;
}

/* All its devices are there, so accesses that have waited for them can be answered. */
int xen_guest_serve(struct xen_guest *guest)
{
    int rc = 0;

    if (!guest->watch.loop) {
        xen_traps_finish(guest);
        rc = anyhv_watch_add(guest->module->server->loop, &guest->watch,
                             xenevtchn_fd(guest->server.events), EPOLLIN);
    }
    if (rc == 0)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "xen.guest", "domain %u: cannot watch its event channels: %s",
              guest->domid, strerror(-rc));
    return ANYHV_E_IO;
}

static int begin(struct xen_guest *guest)
{
    struct xen_note *note;
    int rc = xen_foreign_init(&guest->foreign, guest);

    if (!rc)
        rc = open_note(guest, &note);
    if (!rc)
        rc = xen_server_begin(guest, note);
    return rc;
}

struct xen_guest *xen_guest_get(struct xen_module *module, domid_t domid)
{
    struct xen_guest *guest = xen_guest_find(module, domid);

    if (guest)
        return guest;
    guest = calloc(1, sizeof(*guest));
    if (!guest) {
        anyhv_log(ANYHV_LOG_ERROR, "xen.guest", "domain %u: out of memory", domid);
        return NULL;
    }
    guest->module = module;
    guest->domid = domid;
    guest->watch = (struct anyhv_watch){.ready = xen_traps_ready, .priv = guest};
    guest->end = (struct anyhv_task){.run = end_gone, .priv = guest};
    xen_discovery_owner(module, domid, guest->owner, sizeof(guest->owner));
    guest->next = module->guests;
    module->guests = guest;
    if (begin(guest) == ANYHV_OK)
        return guest;
    xen_guest_abandon(guest);
    return NULL;
}

/* What a predecessor made is left: destroyed, it would leave the guest with nobody to ask. */
void xen_guest_abandon(struct xen_guest *guest)
{
    xen_guest_end(guest, guest->state.resume ? XEN_END_LEAVE : XEN_END_RELEASE);
}

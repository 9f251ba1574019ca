/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which guests want a device of ours: what the toolstack writes under
 * backend/virtio/<guest>/<device> of this domain. Every event makes us look at all of it again;
 * what it says of is of no interest.
 *
 * A node that makes no sense is refused, by its name. A device that is being served stays so
 * whatever becomes of its node: its guest is what ends it.
 */
#include "xen.h"

#include <anyhv/linux/args.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define ROOT      "backend/virtio"
#define VALUE_MAX 64u

static struct xs_handle *store(const struct xen_module *module)
{
    return module->store;
}

/* ---- values ---- */

/* The text at @path/@key. 0; ENOENT or another error; EINVAL: too long, or not text. */
static int read_text(const struct xen_module *module, const char *path, const char *key,
                     char value[VALUE_MAX])
{
    char full[XEN_PATH + 32];
    unsigned len = 0;
    char *found;
    int rc = 0;

    snprintf(full, sizeof(full), "%s/%s", path, key);
    found = xs_read(store(module), XBT_NULL, full, &len);
    if (!found)
        return errno ? errno : EIO;
    if (len >= VALUE_MAX || memchr(found, '\0', len))
        rc = EINVAL;
    else
        memcpy(value, found, len);
    if (!rc)
        value[len] = '\0';
    free(found);
    return rc;
}

/* ---- one node ---- */

/* False, for the sake of the caller, and the reason is in the log. */
__attribute__((format(printf, 2, 3))) static bool refuse(const char *path, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    anyhv_log(ANYHV_LOG_WARNING, "xen.node", "%s: %s", path, text);
    return false;
}

/* Is the device there of our kind? What cannot be told is not. */
static bool is_ours(const struct xen_module *module, const char *path)
{
    char value[VALUE_MAX], ours[VALUE_MAX];

    if (read_text(module, path, "type", value) != 0)
        return false;
    snprintf(ours, sizeof(ours), "virtio,device%x", module->server->cls->ops->id);
    return strcmp(value, ours) == 0;
}

static bool need_text(const struct xen_module *module, const char *path, const char *key,
                      char value[VALUE_MAX])
{
    int error = read_text(module, path, key, value);

    if (error == ENOENT && !is_ours(module, path))
        return false; /* the whole node has just been removed */
    if (error == ENOENT)
        return refuse(path, "there is no '%s'%s", key,
                      strcmp(key, "base") == 0 ? "; does the guest's configuration say "
                                                 "transport=mmio?"
                                               : "");
    return !error || refuse(path, "'%s' cannot be read: %s", key, strerror(error));
}

static bool need_number(const struct xen_module *module, const char *path, const char *key,
                        uint64_t min, uint64_t max, uint64_t *out)
{
    char value[VALUE_MAX];

    if (!need_text(module, path, key, value))
        return false;
    if (anyhv_parse_number(value, min, max, out))
        return true;
    return refuse(path, "'%s' is '%s', not a number from %" PRIu64 " to %" PRIu64, key, value, min,
                  max);
}

static bool read_place(const struct xen_module *module, const char *path, domid_t domid,
                       uint32_t id, struct xen_place *place)
{
    uint64_t state, owner, irq, grants = 0;
    char value[VALUE_MAX];

    *place = (struct xen_place){.domid = domid, .id = id, .path = path};
    if (!need_number(module, path, "state", 1, 8, &state) || state > XEN_STORE_CONNECTED)
        return false; /* or it is on its way out */
    if (!need_number(module, path, "frontend-id", 0, XEN_DOMID_MAX, &owner) ||
        !need_text(module, path, "transport", value) ||
        !need_number(module, path, "base", 0, UINT64_MAX - ANYHV_MMIO_SIZE, &place->base) ||
        !need_number(module, path, "irq", XEN_IRQ_MIN, XEN_IRQ_MAX, &irq))
        return false;
    place->irq = (uint32_t)irq;
    if (owner != domid)
        return refuse(path, "'frontend-id' is %" PRIu64, owner);
    if (strcmp(value, "mmio") != 0)
        return refuse(path, "'transport' is '%s', not 'mmio'", value);
    if (place->base % ANYHV_MMIO_SIZE)
        return refuse(path, "'base' is 0x%" PRIx64 ", not a multiple of 0x%x", place->base,
                      ANYHV_MMIO_SIZE);
    if (read_text(module, path, "grant_usage", value) == 0 &&
        !anyhv_parse_number(value, 0, 1, &grants))
        return refuse(path, "'grant_usage' is '%s', not 0 or 1", value);
    place->grants = grants;
    return true;
}

/* ---- all nodes ---- */

static const struct xen_device *device_of(const struct xen_guest *guest, uint32_t id)
{
    const struct xen_device *d = guest ? guest->devices : NULL;

    while (d && d->id != id)
        d = d->next;
    return d;
}

/* The names in @path that are numbers up to @max, one call each. */
static void each_number(struct xen_module *module, const char *path, uint64_t max, domid_t domid,
                        void (*call)(struct xen_module *module, domid_t domid, uint32_t number))
{
    unsigned count = 0;
    char **names = xs_directory(store(module), XBT_NULL, path, &count);
    uint64_t number;

    for (unsigned i = 0; names && i < count; i++) {
        if (anyhv_parse_number(names[i], 0, max, &number))
            call(module, domid, (uint32_t)number);
        else
            refuse(path, "'%.40s' is not a number up to %" PRIu64, names[i], max);
    }
    free(names);
}

static void look_at_device(struct xen_module *module, domid_t domid, uint32_t id)
{
    struct xen_guest *guest = xen_guest_find(module, domid);
    struct xen_place place;
    char path[XEN_PATH];

    if (device_of(guest, id) || (guest && guest->gone))
        return;
    snprintf(path, sizeof(path), ROOT "/%u/%" PRIu32, domid, id);
    if (!is_ours(module, path) || !read_place(module, path, domid, id, &place))
        return;
    guest = xen_guest_get(module, domid);
    if (guest)
        xen_device_begin(guest, &place);
}

void xen_discovery_once(struct xen_module *module, domid_t domid)
{
    char path[XEN_PATH];

    snprintf(path, sizeof(path), ROOT "/%u", domid);
    each_number(module, path, UINT32_MAX, domid, look_at_device);
}

/* The devices of a guest are taken in together, before it is answered for the first time. */
static void look_at_guest(struct xen_module *module, domid_t unused, uint32_t domid)
{
    struct xen_guest *guest;

    (void)unused;
    if (!xs_is_domain_introduced(store(module), domid))
        return; /* its nodes outlived it, or are early */
    xen_discovery_once(module, (domid_t)domid);
    guest = xen_guest_find(module, (domid_t)domid);
    if (guest && !guest->gone && (!guest->devices || xen_guest_serve(guest) != ANYHV_OK))
        xen_guest_abandon(guest);
}

/*
 * A toolstack that destroys a guest, or takes a device away from it, wants to hear that we let go
 * of it, and waits for that.
 */
static bool is_closing(const struct xen_module *module, const struct xen_device *device)
{
    char value[VALUE_MAX];
    uint64_t state;

    return device->path[0] && read_text(module, device->path, "state", value) == 0 &&
           anyhv_parse_number(value, 0, UINT32_MAX, &state) && state == XEN_STORE_CLOSING;
}

static void look_for_closing(struct xen_module *module)
{
    for (struct xen_guest *guest = module->guests, *next; guest; guest = next) {
        next = guest->next;
        for (struct xen_device *device = guest->devices, *follows; device; device = follows) {
            follows = device->next;
            if (!is_closing(module, device))
                continue;
            anyhv_log(ANYHV_LOG_INFO, "xen.closed",
                      "domain %u device %" PRIu32 ": taken away by the toolstack", guest->domid,
                      device->id);
            xen_device_end(device, XEN_END_RELEASE);
        }
        if (!guest->devices && !guest->gone)
            xen_guest_end(guest, XEN_END_RELEASE);
    }
}

/* Another guest may have got the number of one that died, before we heard of its death. */
static void look_for_dead(struct xen_module *module)
{
    char owner[ANYHV_STATE_FILE_OWNER];

    for (struct xen_guest *guest = module->guests, *next; guest; guest = next) {
        next = guest->next;
        xen_discovery_owner(module, guest->domid, owner, sizeof(owner));
        if (xs_is_domain_introduced(store(module), guest->domid) && !strcmp(owner, guest->owner))
            continue;
        anyhv_log(ANYHV_LOG_INFO, "xen.gone", "domain %u is gone", guest->domid);
        xen_guest_end(guest, XEN_END_DEAD);
    }
}

static bool scan(struct anyhv_task *task)
{
    struct xen_module *module = task->priv;

    look_for_dead(module);
    look_for_closing(module);
    each_number(module, ROOT, XEN_DOMID_MAX, 0, look_at_guest);
    return false;
}

/* ---- events ---- */

static void store_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct xen_module *module = watch->priv;
    char **event;

    (void)events;
    while ((event = xs_check_watch(store(module))))
        free(event);
    if (errno != EAGAIN) {
        anyhv_log(ANYHV_LOG_ERROR, "xen.store", "the connection to xenstore broke: %s",
                  strerror(errno));
        anyhv_loop_stop(module->server->loop, 1);
        anyhv_watch_del(watch);
        return;
    }
    anyhv_task_ready(module->server->loop, &module->scan);
}

int xen_discovery_begin(struct xen_module *module)
{
    int rc;

    module->scan = (struct anyhv_task){.run = scan, .priv = module};
    module->store_watch = (struct anyhv_watch){.ready = store_ready, .priv = module};
    /* A watch fires once when it is set, so what is there already is found, too. */
    if (!xs_watch(store(module), ROOT, "devices") ||
        !xs_watch(store(module), "@introduceDomain", "births") ||
        !xs_watch(store(module), "@releaseDomain", "deaths")) {
        anyhv_log(ANYHV_LOG_ERROR, "xen.store", "cannot watch xenstore: %s", strerror(errno));
        return ANYHV_E_IO;
    }
    rc = anyhv_watch_add(module->server->loop, &module->store_watch, xs_fileno(store(module)),
                         EPOLLIN);
    if (rc == 0)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "xen.store", "cannot wait for xenstore: %s", strerror(-rc));
    return ANYHV_E_IO;
}

void xen_discovery_end(struct xen_module *module)
{
    anyhv_watch_del(&module->store_watch);
    anyhv_task_cancel(&module->scan);
}

/* ---- what else xenstore knows ---- */

/* The kernel's word that changes with every boot: after it, numbers begin anew. */
static void read_boot(char *text, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || !fgets(text, (int)size, file))
        snprintf(text, size, "?");
    text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
}

void xen_discovery_owner(const struct xen_module *module, domid_t domid, char *owner, size_t size)
{
    char path[XEN_PATH], vm[VALUE_MAX] = "", boot[48];

    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    if (store(module))
        read_text(module, path, "vm", vm);
    read_boot(boot, sizeof(boot));
    snprintf(owner, size, "%s %u %s", boot, domid, vm);
}

/* A write to a node that was removed meanwhile would bring it back to life. */
static bool write_state(const struct xen_module *module, const char *path, const char *state)
{
    xs_transaction_t t = xs_transaction_start(store(module));
    void *old;
    bool done;

    if (t == XBT_NULL)
        return true; /* an error that trying again will not mend */
    old = xs_read(store(module), t, path, NULL);
    done = old && xs_write(store(module), t, path, state, 1);
    free(old);
    return xs_transaction_end(store(module), t, !done) || errno != EAGAIN;
}

void xen_discovery_state(const struct xen_module *module, const char *path,
                         enum xen_store_state state)
{
    const char text[] = {(char)('0' + state), '\0'};
    char full[XEN_PATH + 8];

    snprintf(full, sizeof(full), "%s/state", path);
    while (store(module) && !write_state(module, full, text))
        ;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "xen/fake.h"

#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoolcore.h>

#define DOMAINS       8
#define SERVERS       8
#define RANGES        16
#define MAPS          512
#define NODES         256
#define PORTS         1024
#define WATCHES       8
#define GRANT_HANDLES 4

struct range {
    uint64_t start, end;
    bool used;
};

struct server {
    bool used, enabled;
    uint8_t *page;
    struct range range[RANGES];
    uint32_t port[FAKE_VCPUS];
    uint8_t last_state[FAKE_VCPUS];
};

struct domain {
    bool used, introduced;
    uint16_t domid;
    unsigned vcpus;
    int ram_fd;
    uint8_t *ram;
    bool hole[FAKE_RAM_SIZE / FAKE_PAGE];
    enum fake_grant grant[FAKE_RAM_SIZE / FAKE_PAGE];
    struct server server[SERVERS];
    bool level[1024];
    unsigned rises[1024];
};

/* Xen's end of a channel is a number; ours, where it is bound. */
struct xenevtchn_handle {
    int fd;
};

struct port {
    struct xenevtchn_handle *handle; /* NULL: not bound */
    uint16_t domid;
    uint32_t remote;
    bool pending, masked, notified;
};

struct map {
    uint8_t *at;
    size_t pages;
    bool granted;
};

struct node {
    char *path, *value;
};

struct xs_handle {
    int fd;
};

struct xenforeignmemory_resource_handle {
    uint8_t *page;
};

static struct {
    struct domain domain[DOMAINS];
    struct port port[PORTS];
    uint32_t next_remote;
    struct map map[MAPS];
    struct node node[NODES];
    char watch[WATCHES][32];
    char events[64][64];
    unsigned nevents;
    struct xs_handle *store;
    unsigned open; /* handles of all kinds */
    struct xengntdev_handle *gnttab[GRANT_HANDLES];
    int restricted;
    char log[1 << 16], past[1 << 16];
    size_t logged;
    struct {
        char call[32];
        unsigned nth;
        int error;
    } fault;
    struct {
        char call[32];
        unsigned count;
    } counts[64];
} w;

/* ---- what was called ---- */

static void count(const char *call)
{
    for (unsigned i = 0; i < 64; i++) {
        if (!w.counts[i].call[0])
            snprintf(w.counts[i].call, sizeof(w.counts[i].call), "%s", call);
        if (strcmp(w.counts[i].call, call) == 0) {
            w.counts[i].count++;
            return;
        }
    }
    fail_msg("too many kinds of calls");
}

/* Notes the call; true: it has to fail, and errno is set. */
static bool called(const char *call)
{
    count(call);
    if (w.logged + strlen(call) + 2 < sizeof(w.log))
        w.logged += (size_t)snprintf(w.log + w.logged, sizeof(w.log) - w.logged, "%s ", call);
    if (strcmp(w.fault.call, call) != 0 || --w.fault.nth)
        return false;
    w.fault.call[0] = '\0';
    errno = w.fault.error;
    return true;
}

const char *fake_calls(void)
{
    memcpy(w.past, w.log, sizeof(w.past));
    w.log[0] = '\0';
    w.logged = 0;
    return w.past;
}

unsigned fake_count(const char *call)
{
    for (unsigned i = 0; i < 64; i++)
        if (strcmp(w.counts[i].call, call) == 0)
            return w.counts[i].count;
    return 0;
}

void fake_fail(const char *call, unsigned nth, int error)
{
    snprintf(w.fault.call, sizeof(w.fault.call), "%s", call);
    w.fault.nth = nth;
    w.fault.error = error;
}

unsigned fake_maps(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MAPS; i++)
        n += w.map[i].at != NULL;
    return n;
}

unsigned fake_mapped_pages(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MAPS; i++)
        n += w.map[i].at ? (unsigned)w.map[i].pages : 0;
    return n;
}

static void handle_opened(void)
{
    w.open++;
}

/* A process without handles is a new one, with all its rights. */
static void handle_closed(void)
{
    assert_true(w.open > 0);
    if (--w.open == 0)
        w.restricted = -1;
}

/* ---- domains ---- */

static struct domain *find_domain(uint16_t domid)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        if (w.domain[i].used && w.domain[i].domid == domid)
            return &w.domain[i];
    return NULL;
}

static struct domain *need_domain(uint16_t domid)
{
    struct domain *d = find_domain(domid);

    assert_non_null(d);
    return d;
}

/* As a hypercall about it sees it. NULL with errno. */
static struct domain *target(uint16_t domid)
{
    struct domain *d = find_domain(domid);

    if (w.restricted >= 0 && w.restricted != domid)
        errno = EPERM;
    else if (!d)
        errno = ESRCH;
    else
        return d;
    return NULL;
}

static struct server *target_server(uint16_t domid, ioservid_t id)
{
    struct domain *d = target(domid);

    if (!d)
        return NULL;
    if (id < SERVERS && d->server[id].used)
        return &d->server[id];
    errno = ENOENT;
    return NULL;
}

static void drop_domain(struct domain *d)
{
    for (unsigned i = 0; i < SERVERS; i++)
        free(d->server[i].page);
    munmap(d->ram, FAKE_RAM_SIZE);
    close(d->ram_fd);
    memset(d, 0, sizeof(*d));
}

void fake_domain(uint16_t domid)
{
    struct domain *d = w.domain;
    char path[64];

    assert_null(find_domain(domid));
    while (d->used)
        d++;
    d->used = d->introduced = true;
    d->domid = domid;
    d->vcpus = 1;
    d->ram_fd = memfd_create("ram", MFD_CLOEXEC);
    assert_int_equal(ftruncate(d->ram_fd, (off_t)FAKE_RAM_SIZE), 0);
    d->ram = mmap(NULL, FAKE_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d->ram_fd, 0);
    assert_ptr_not_equal(d->ram, MAP_FAILED);
    snprintf(path, sizeof(path), "/local/domain/%u/vm", domid);
    fake_store(path, "/vm/some-uuid");
}

void fake_destroy(uint16_t domid)
{
    char path[64];

    drop_domain(need_domain(domid));
    snprintf(path, sizeof(path), "backend/virtio/%u", domid);
    fake_store(path, NULL);
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    fake_store(path, NULL);
    fake_store("@releaseDomain", "");
}

uint8_t *fake_ram(uint16_t domid)
{
    return need_domain(domid)->ram;
}

void fake_hole(uint16_t domid, uint64_t addr, bool hole)
{
    need_domain(domid)->hole[(addr - FAKE_RAM_BASE) / FAKE_PAGE] = hole;
}

void fake_vcpus(uint16_t domid, unsigned vcpus)
{
    need_domain(domid)->vcpus = vcpus;
}

/* ---- libxendevicemodel ---- */

struct xendevicemodel_handle {
    int dummy;
};

xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    assert_int_equal(flags, 0);
    if (called("devicemodel_open"))
        return NULL;
    handle_opened();
    return calloc(1, sizeof(xendevicemodel_handle));
}

int xendevicemodel_close(xendevicemodel_handle *h)
{
    called("devicemodel_close");
    handle_closed();
    free(h);
    return 0;
}

int xendevicemodel_nr_vcpus(xendevicemodel_handle *h, domid_t domid, unsigned *vcpus)
{
    struct domain *d;

    assert_non_null(h);
    if (called("nr_vcpus"))
        return -1;
    d = target(domid);
    if (!d)
        return -1;
    *vcpus = d->vcpus;
    return 0;
}

int xendevicemodel_create_ioreq_server(xendevicemodel_handle *h, domid_t domid, int buffered,
                                       ioservid_t *id)
{
    struct domain *d;

    assert_non_null(h);
    assert_int_equal(buffered, 0);
    if (called("create"))
        return -1;
    d = target(domid);
    if (!d)
        return -1;
    for (ioservid_t i = 0; i < SERVERS; i++) {
        struct server *s = &d->server[i];

        if (s->used)
            continue;
        memset(s, 0, sizeof(*s));
        s->used = true;
        s->page = aligned_alloc(FAKE_PAGE, FAKE_PAGE);
        memset(s->page, 0, FAKE_PAGE);
        for (unsigned v = 0; v < FAKE_VCPUS; v++)
            s->port[v] = ++w.next_remote;
        *id = i;
        return 0;
    }
    errno = ENOSPC;
    return -1;
}

int xendevicemodel_get_ioreq_server_info(xendevicemodel_handle *h, domid_t domid, ioservid_t id,
                                         xen_pfn_t *gfn, xen_pfn_t *buffered, evtchn_port_t *port)
{
    assert_non_null(h);
    assert_true(!gfn && !buffered && !port); /* frames would be given to the guest */
    return called("info") || !target_server(domid, id) ? -1 : 0;
}

int xendevicemodel_set_ioreq_server_state(xendevicemodel_handle *h, domid_t domid, ioservid_t id,
                                          int enabled)
{
    struct server *s;

    assert_non_null(h);
    if (called(enabled ? "enable" : "disable"))
        return -1;
    s = target_server(domid, id);
    if (!s)
        return -1;
    s->enabled = enabled;
    for (unsigned v = 0; v < FAKE_VCPUS && enabled; v++)
        memcpy(s->page + 32 * v + 24, &s->port[v], 4);
    return 0;
}

int xendevicemodel_map_io_range_to_ioreq_server(xendevicemodel_handle *h, domid_t domid,
                                                ioservid_t id, int mmio, uint64_t start,
                                                uint64_t end)
{
    struct server *s;

    assert_non_null(h);
    assert_int_equal(mmio, 1);
    if (called("map_range"))
        return -1;
    s = target_server(domid, id);
    if (!s)
        return -1;
    for (unsigned i = 0; i < RANGES; i++) {
        if (s->range[i].used && start <= s->range[i].end && s->range[i].start <= end) {
            errno = EEXIST;
            return -1;
        }
    }
    for (unsigned i = 0; i < RANGES; i++) {
        if (!s->range[i].used) {
            s->range[i] = (struct range){start, end, true};
            return 0;
        }
    }
    errno = ENOMEM;
    return -1;
}

int xendevicemodel_unmap_io_range_from_ioreq_server(xendevicemodel_handle *h, domid_t domid,
                                                    ioservid_t id, int mmio, uint64_t start,
                                                    uint64_t end)
{
    struct server *s;

    assert_non_null(h);
    assert_int_equal(mmio, 1);
    if (called("unmap_range"))
        return -1;
    s = target_server(domid, id);
    for (unsigned i = 0; s && i < RANGES; i++) {
        if (s->range[i].used && s->range[i].start == start && s->range[i].end == end) {
            s->range[i].used = false;
            return 0;
        }
    }
    fail_msg("unmaps a range that it does not have");
    return -1;
}

int xendevicemodel_destroy_ioreq_server(xendevicemodel_handle *h, domid_t domid, ioservid_t id)
{
    struct server *s;

    assert_non_null(h);
    if (called("destroy"))
        return -1;
    s = target_server(domid, id);
    if (!s)
        return -1;
    free(s->page);
    memset(s, 0, sizeof(*s));
    return 0;
}

static int set_level(domid_t domid, unsigned irq, unsigned level)
{
    struct domain *d;

    if (called(level ? "irq(1)" : "irq(0)"))
        return -1;
    d = target(domid);
    if (!d)
        return -1;
    assert_true(irq < 1024 && level <= 1);
    d->rises[irq] += level && !d->level[irq]; /* Linux has ISA interrupts of Xen as edges */
    d->level[irq] = level;
    return 0;
}

int xendevicemodel_set_irq_level(xendevicemodel_handle *h, domid_t domid, unsigned irq,
                                 unsigned level)
{
    assert_non_null(h);
    return set_level(domid, irq, level);
}

int xendevicemodel_set_isa_irq_level(xendevicemodel_handle *h, domid_t domid, uint8_t irq,
                                     unsigned level)
{
    assert_non_null(h);
    return set_level(domid, irq, level);
}

bool fake_level(uint16_t domid, unsigned irq)
{
    return need_domain(domid)->level[irq];
}

unsigned fake_rises(uint16_t domid, unsigned irq)
{
    return need_domain(domid)->rises[irq];
}

/* ---- libxenforeignmemory ---- */

struct xenforeignmemory_handle {
    int dummy;
};

xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    assert_int_equal(flags, 0);
    if (called("foreignmemory_open"))
        return NULL;
    handle_opened();
    return calloc(1, sizeof(xenforeignmemory_handle));
}

int xenforeignmemory_close(xenforeignmemory_handle *h)
{
    called("foreignmemory_close");
    handle_closed();
    free(h);
    return 0;
}

/* Why the page cannot be mapped, 0: it can. */
static int page_error(const struct domain *d, uint64_t frame)
{
    uint64_t at = frame - FAKE_RAM_BASE / FAKE_PAGE;

    if (!d)
        return ESRCH;
    return at >= FAKE_RAM_SIZE / FAKE_PAGE || d->hole[at] ? EINVAL : 0;
}

static void keep_map(uint8_t *at, size_t pages, bool granted)
{
    for (unsigned i = 0; i < MAPS; i++) {
        if (!w.map[i].at) {
            w.map[i] = (struct map){at, pages, granted};
            return;
        }
    }
    fail_msg("more maps than any bound allows");
}

/* What cannot be mapped is a page that must not be touched. */
void *xenforeignmemory_map(xenforeignmemory_handle *h, uint32_t domid, int prot, size_t pages,
                           const xen_pfn_t frames[], int errors[])
{
    const struct domain *d = target((uint16_t)domid);
    uint8_t *at;

    assert_non_null(h);
    if (called("map") || (!d && errno == EPERM))
        return NULL;
    at = mmap(NULL, pages * FAKE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    for (size_t i = 0; i < pages; i++) {
        int error = page_error(d, frames[i]);

        if (errors)
            errors[i] = -error;
        if (!error)
            assert_ptr_equal(mmap(at + i * FAKE_PAGE, FAKE_PAGE, prot, MAP_SHARED | MAP_FIXED,
                                  d->ram_fd,
                                  (off_t)((frames[i] - FAKE_RAM_BASE / FAKE_PAGE) * FAKE_PAGE)),
                             at + i * FAKE_PAGE);
        if (error && !errors) {
            munmap(at, pages * FAKE_PAGE);
            errno = error;
            return NULL;
        }
    }
    keep_map(at, pages, false);
    return at;
}

static int drop_map(const void *addr, size_t pages, bool granted)
{
    for (unsigned i = 0; i < MAPS; i++) {
        if (w.map[i].at == addr) {
            assert_int_equal(w.map[i].pages, pages);
            assert_int_equal(w.map[i].granted, granted);
            munmap(w.map[i].at, pages * FAKE_PAGE);
            w.map[i].at = NULL;
            return 0;
        }
    }
    fail_msg("unmaps what is not mapped");
    return -1;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *h, void *addr, size_t pages)
{
    assert_non_null(h);
    called("unmap");
    return drop_map(addr, pages, false);
}

xenforeignmemory_resource_handle *xenforeignmemory_map_resource(xenforeignmemory_handle *h,
                                                                domid_t domid, unsigned type,
                                                                unsigned id, unsigned long frame,
                                                                unsigned long frames, void **addr,
                                                                int prot, int flags)
{
    xenforeignmemory_resource_handle *resource;
    struct server *s;

    assert_non_null(h);
    assert_int_equal(type, 0);
    assert_int_equal(frame, 1);
    assert_int_equal(frames, 1);
    assert_int_equal(prot, PROT_READ | PROT_WRITE);
    assert_int_equal(flags, 0);
    if (called("map_page"))
        return NULL;
    s = target_server(domid, (ioservid_t)id);
    if (!s)
        return NULL;
    handle_opened();
    resource = calloc(1, sizeof(*resource));
    *addr = resource->page = s->page;
    return resource;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *h,
                                    xenforeignmemory_resource_handle *resource)
{
    assert_non_null(h);
    called("unmap_page");
    handle_closed();
    free(resource);
    return 0;
}

/* ---- libxengnttab ---- */

struct xengntdev_handle {
    bool dead; /* the rights over others were given up since */
};

void fake_grant(uint16_t domid, uint64_t addr, enum fake_grant how)
{
    need_domain(domid)->grant[(addr - FAKE_GRANT_BASE) / FAKE_PAGE] = how;
}

unsigned fake_granted_pages(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MAPS; i++)
        n += w.map[i].at && w.map[i].granted ? (unsigned)w.map[i].pages : 0;
    return n;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    assert_int_equal(flags, 0);
    if (called("gnttab_open"))
        return NULL;
    handle_opened();
    for (unsigned i = 0; i < GRANT_HANDLES; i++) {
        if (!w.gnttab[i])
            return w.gnttab[i] = calloc(1, sizeof(xengnttab_handle));
    }
    fail_msg("more handles for grants than there is reason for");
    return NULL;
}

int xengnttab_close(xengnttab_handle *h)
{
    called("gnttab_close");
    handle_closed();
    for (unsigned i = 0; i < GRANT_HANDLES; i++) {
        if (w.gnttab[i] == h)
            w.gnttab[i] = NULL;
    }
    free(h);
    return 0;
}

static bool dead(const xengnttab_handle *h)
{
    assert_non_null(h);
    errno = ENOTTY;
    return h->dead;
}

/* The page behind @ref for an access that writes or not; NULL: there is none. */
static uint8_t *granted(const struct domain *d, uint32_t ref, bool write)
{
    uint32_t page = ref - FAKE_GRANT;

    if (!d || page >= FAKE_RAM_SIZE / FAKE_PAGE || d->grant[page] == FAKE_REVOKED ||
        (write && d->grant[page] == FAKE_READ_ONLY))
        return NULL;
    return d->ram + (size_t)page * FAKE_PAGE;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *h, uint32_t pages, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    const struct domain *d = find_domain((uint16_t)domid);
    uint8_t *at;

    if (called("grant_map") || dead(h))
        return NULL;
    at = mmap(NULL, pages * (size_t)FAKE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < pages; i++) {
        uint8_t *page = granted(d, refs[i], prot & PROT_WRITE);

        if (!page) {
            munmap(at, pages * (size_t)FAKE_PAGE);
            errno = EINVAL;
            return NULL;
        }
        mmap(at + i * (size_t)FAKE_PAGE, FAKE_PAGE, prot, MAP_SHARED | MAP_FIXED, d->ram_fd,
             page - d->ram);
    }
    keep_map(at, pages, true);
    return at;
}

int xengnttab_unmap(xengnttab_handle *h, void *addr, uint32_t pages)
{
    assert_non_null(h);
    called("grant_unmap");
    return drop_map(addr, pages, true);
}

int xengnttab_grant_copy(xengnttab_handle *h, uint32_t count, xengnttab_grant_copy_segment_t *parts)
{
    if (called("grant_copy") || dead(h))
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        bool write = parts[i].flags & GNTCOPY_dest_gref;
        const union xengnttab_copy_ptr *theirs = write ? &parts[i].dest : &parts[i].source;
        uint8_t *page = granted(find_domain(theirs->foreign.domid), theirs->foreign.ref, write);

        assert_int_equal(parts[i].flags, write ? GNTCOPY_dest_gref : GNTCOPY_source_gref);
        assert_true(theirs->foreign.offset + parts[i].len <= FAKE_PAGE);
        parts[i].status = page ? GNTST_okay : GNTST_bad_gntref;
        if (page && write)
            memcpy(page + theirs->foreign.offset, parts[i].source.virt, parts[i].len);
        else if (page)
            memcpy(parts[i].dest.virt, page + theirs->foreign.offset, parts[i].len);
    }
    return 0;
}

/* ---- libxenevtchn ---- */

static struct port *port_of(const struct xenevtchn_handle *h, evtchn_port_t port)
{
    if (port == 0 || port >= PORTS || w.port[port].handle != h)
        fail_msg("uses port %u, which is not bound there", port);
    return &w.port[port];
}

/* The descriptor is readable while an unmasked port is pending. */
static void update_events(const struct xenevtchn_handle *h)
{
    uint64_t n = 1;
    bool any = false;

    for (unsigned i = 1; i < PORTS; i++)
        any |= w.port[i].handle == h && w.port[i].pending && !w.port[i].masked;
    if (any)
        assert_int_equal(write(h->fd, &n, sizeof(n)), sizeof(n));
    else if (poll(&(struct pollfd){.fd = h->fd, .events = POLLIN}, 1, 0) > 0)
        assert_int_equal(read(h->fd, &n, sizeof(n)), sizeof(n));
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
    xenevtchn_handle *h;

    (void)logger;
    assert_int_equal(flags, 0);
    if (called("evtchn_open"))
        return NULL;
    handle_opened();
    h = calloc(1, sizeof(*h));
    h->fd = eventfd(0, EFD_CLOEXEC);
    return h;
}

int xenevtchn_close(xenevtchn_handle *h)
{
    called("evtchn_close");
    handle_closed();
    for (unsigned i = 1; i < PORTS; i++)
        if (w.port[i].handle == h)
            memset(&w.port[i], 0, sizeof(w.port[i]));
    close(h->fd);
    free(h);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
    return h->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *h, uint32_t domid,
                                                     evtchn_port_t remote)
{
    if (called("bind") || !target((uint16_t)domid))
        return -1;
    assert_int_not_equal(remote, 0); /* Xen had not filled it in */
    for (unsigned i = 1; i < PORTS; i++) {
        if (w.port[i].handle && w.port[i].domid == domid && w.port[i].remote == remote) {
            errno = EINVAL;
            return -1;
        }
    }
    for (unsigned i = 1; i < PORTS; i++) {
        if (!w.port[i].handle) {
            /* Xen sends one event when a channel is bound. */
            w.port[i] = (struct port){
                .handle = h, .domid = (uint16_t)domid, .remote = remote, .pending = true};
            update_events(h);
            return (int)i;
        }
    }
    errno = ENOSPC;
    return -1;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *h)
{
    if (called("pending"))
        return -1;
    for (unsigned i = 1; i < PORTS; i++) {
        if (w.port[i].handle == h && w.port[i].pending && !w.port[i].masked) {
            w.port[i].pending = false;
            w.port[i].masked = true;
            update_events(h);
            return (int)i;
        }
    }
    if (!(fcntl(h->fd, F_GETFL) & O_NONBLOCK))
        fail_msg("would wait for ever for an event");
    errno = EAGAIN;
    return -1;
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t port)
{
    if (called("unmask"))
        return -1;
    port_of(h, port)->masked = false;
    update_events(h);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t port)
{
    if (called("notify"))
        return -1;
    port_of(h, port)->notified = true;
    return 0;
}

/* ---- traps ---- */

static struct port *bound(uint16_t domid, uint32_t remote)
{
    for (unsigned i = 1; i < PORTS; i++)
        if (w.port[i].handle && w.port[i].domid == domid && w.port[i].remote == remote)
            return &w.port[i];
    return NULL;
}

static void send(uint16_t domid, const struct server *s, unsigned vcpu)
{
    struct port *p = bound(domid, s->port[vcpu]);

    if (p) {
        p->pending = true;
        update_events(p->handle);
    }
}

static struct server *claims(struct domain *d, uint64_t addr, uint32_t size)
{
    for (int i = SERVERS - 1; i >= 0; i--)
        for (unsigned r = 0; r < RANGES && d->server[i].enabled; r++)
            if (d->server[i].range[r].used && addr >= d->server[i].range[r].start &&
                addr + (size ? size - 1 : 0) <= d->server[i].range[r].end)
                return &d->server[i];
    return NULL;
}

static struct server *any_enabled(struct domain *d)
{
    for (int i = SERVERS - 1; i >= 0; i--)
        if (d->server[i].enabled)
            return &d->server[i];
    return NULL;
}

static void put(struct server *s, const struct fake_access *a)
{
    uint8_t *slot = s->page + 32 * a->vcpu;

    assert_int_equal(slot[30] & 15, 0);
    memcpy(slot, &a->addr, 8);
    memcpy(slot + 8, &a->data, 8);
    memcpy(slot + 16, &a->count, 4);
    memcpy(slot + 20, &a->size, 4);
    slot[30] = (uint8_t)(0x80 | 1 | a->pointer << 4 | a->read << 5 | a->down << 6);
    slot[31] = a->type;
    s->last_state[a->vcpu] = 1;
}

enum fake_answer fake_trap(uint16_t domid, const struct fake_access *a)
{
    struct domain *d = need_domain(domid);
    struct server *s = a->type == 1 ? claims(d, a->addr, a->size) : any_enabled(d);

    if (!s)
        return FAKE_NOBODY;
    put(s, a);
    send(domid, s, a->vcpu);
    return FAKE_STUCK;
}

/* What Xen checks each time it looks: the state has not gone back, the rest is as it was. */
static uint8_t look(struct server *s, unsigned vcpu)
{
    uint8_t *slot = s->page + 32 * vcpu;
    uint8_t state = slot[30] & 15;

    assert_in_range(state, 0, 3);
    assert_true(state >= s->last_state[vcpu]);
    assert_memory_equal(slot + 24, &s->port[vcpu], 4);
    s->last_state[vcpu] = state;
    return state;
}

bool fake_answered(uint16_t domid, unsigned vcpu, uint64_t *data)
{
    struct domain *d = need_domain(domid);

    for (int i = SERVERS - 1; i >= 0; i--) {
        struct server *s = &d->server[i];
        struct port *p;
        uint8_t *slot;

        if (!s->used || !s->last_state[vcpu])
            continue;
        slot = s->page + 32 * vcpu;
        p = bound(domid, s->port[vcpu]);
        if (look(s, vcpu) != 3 || !p || !p->notified)
            return false;
        p->notified = false;
        assert_int_equal(slot[30] & 0x80, 0x80); /* a bit that is not ours */
        memcpy(data, slot + 8, 8);
        slot[30] = 0;
        s->last_state[vcpu] = 0;
        return true;
    }
    return false;
}

void fake_spurious(uint16_t domid, unsigned vcpu)
{
    send(domid, any_enabled(need_domain(domid)), vcpu);
}

uint8_t *fake_slot(uint16_t domid, unsigned vcpu)
{
    struct server *s = any_enabled(need_domain(domid));

    return s ? s->page + 32 * vcpu : NULL;
}

bool fake_invalidate(uint16_t domid)
{
    const struct fake_access access = {.type = 8, .size = 4, .data = UINT64_MAX};

    return fake_trap(domid, &access) != FAKE_NOBODY;
}

unsigned fake_servers(uint16_t domid)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SERVERS; i++)
        n += need_domain(domid)->server[i].used;
    return n;
}

bool fake_claimed(uint16_t domid, uint64_t addr)
{
    return claims(need_domain(domid), addr, 1) != NULL;
}

/* ---- libxenstore ---- */

static void update_store(void)
{
    uint64_t n = 1;

    if (!w.store)
        return;
    if (w.nevents)
        assert_int_equal(write(w.store->fd, &n, sizeof(n)), sizeof(n));
    else if (read(w.store->fd, &n, sizeof(n)) < 0)
        assert_int_equal(errno, EAGAIN);
}

static void fire(const char *path)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        if (w.watch[i][0] && strncmp(path, w.watch[i], strlen(w.watch[i])) == 0 &&
            w.nevents < sizeof(w.events) / sizeof(w.events[0]))
            snprintf(w.events[w.nevents++], sizeof(w.events[0]), "%s", path);
    }
    update_store();
}

static struct node *find_node(const char *path)
{
    for (unsigned i = 0; i < NODES; i++)
        if (w.node[i].path && strcmp(w.node[i].path, path) == 0)
            return &w.node[i];
    return NULL;
}

static bool is_below(const char *path, const char *parent)
{
    size_t len = strlen(parent);

    return strncmp(path, parent, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void remove_nodes(const char *path)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (w.node[i].path && is_below(w.node[i].path, path)) {
            free(w.node[i].path);
            free(w.node[i].value);
            memset(&w.node[i], 0, sizeof(w.node[i]));
        }
    }
}

static void set_node(const char *path, const char *value)
{
    struct node *n = find_node(path);

    for (unsigned i = 0; !n && i < NODES; i++)
        if (!w.node[i].path)
            n = &w.node[i];
    assert_non_null(n);
    if (!n->path)
        n->path = strdup(path);
    free(n->value);
    n->value = strdup(value);
}

void fake_store(const char *path, const char *value)
{
    if (!value)
        remove_nodes(path);
    else if (path[0] != '@')
        set_node(path, value);
    fire(path);
}

const char *fake_stored(const char *path)
{
    struct node *n = find_node(path);

    return n ? n->value : NULL;
}

void fake_node(uint16_t domid, unsigned device, unsigned type, uint64_t base, unsigned irq)
{
    char path[96], value[32];

#define PUT(key, ...)                                                            \
    snprintf(path, sizeof(path), "backend/virtio/%u/%u/%s", domid, device, key); \
    snprintf(value, sizeof(value), __VA_ARGS__);                                 \
    set_node(path, value)
    PUT("frontend-id", "%u", domid);
    PUT("online", "1");
    PUT("state", "1");
    PUT("irq", "%u", irq);
    PUT("base", "%#llx", (unsigned long long)base);
    PUT("type", "virtio,device%x", type);
    PUT("transport", "mmio");
    PUT("grant_usage", "0");
#undef PUT
    snprintf(path, sizeof(path), "backend/virtio/%u/%u", domid, device);
    fire(path);
}

struct xs_handle *xs_open(unsigned long flags)
{
    assert_int_equal(flags, 0);
    if (called("xs_open"))
        return NULL;
    handle_opened();
    w.store = calloc(1, sizeof(*w.store));
    w.store->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w.store;
}

void xs_close(struct xs_handle *h)
{
    called("xs_close");
    handle_closed();
    close(h->fd);
    free(h);
    w.store = NULL;
    w.nevents = 0;
    memset(w.watch, 0, sizeof(w.watch));
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *num)
{
    char(*names)[32] = calloc(NODES, sizeof(*names));
    size_t len = strlen(path);
    char **list, *text;

    (void)t;
    assert_non_null(h);
    *num = 0;
    for (unsigned i = 0; i < NODES; i++) {
        const char *rest;
        unsigned k = 0;

        if (!w.node[i].path || !is_below(w.node[i].path, path) || !w.node[i].path[len])
            continue;
        rest = w.node[i].path + len + 1;
        snprintf(names[*num], sizeof(*names), "%.*s", (int)strcspn(rest, "/"), rest);
        while (strcmp(names[k], names[*num]) != 0)
            k++;
        *num += k == *num;
    }
    list = calloc(1, (*num + 1) * (sizeof(char *) + sizeof(*names)));
    text = (char *)(list + *num + 1);
    for (unsigned i = 0; i < *num; i++, text += sizeof(*names)) {
        strcpy(text, names[i]);
        list[i] = text;
    }
    free(names);
    return list;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *len)
{
    const struct node *n = find_node(path);
    size_t size;
    char *copy;

    (void)t;
    assert_non_null(h);
    if (called("xs_read"))
        return NULL;
    if (!n) {
        errno = ENOENT;
        return NULL;
    }
    size = strlen(n->value);
    copy = calloc(1, size + 1);
    memcpy(copy, n->value, size);
    for (size_t i = 0; i < size; i++)
        copy[i] = copy[i] == '~' ? '\0' : copy[i]; /* how a test writes an end of string */
    if (len)
        *len = (unsigned)size;
    return copy;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
              unsigned len)
{
    char value[64];

    (void)t;
    assert_non_null(h);
    if (called("xs_write"))
        return false;
    snprintf(value, sizeof(value), "%.*s", (int)len, (const char *)data);
    set_node(path, value);
    fire(path);
    return true;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
    assert_non_null(h);
    (void)token;
    if (called("xs_watch"))
        return false;
    for (unsigned i = 0; i < WATCHES; i++) {
        if (!w.watch[i][0]) {
            snprintf(w.watch[i], sizeof(w.watch[i]), "%s", path);
            fire(path);
            return true;
        }
    }
    return false;
}

int xs_fileno(struct xs_handle *h)
{
    return h->fd;
}

char **xs_check_watch(struct xs_handle *h)
{
    char **event;

    assert_non_null(h);
    if (called("xs_check_watch"))
        return NULL;
    if (!w.nevents) {
        update_store();
        errno = EAGAIN;
        return NULL;
    }
    event = calloc(2, sizeof(char *));
    w.nevents--;
    update_store();
    return event;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    assert_non_null(h);
    return called("xs_transaction_start") ? XBT_NULL : 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abandon)
{
    assert_non_null(h);
    assert_int_equal(t, 1);
    (void)abandon;
    return !called("xs_transaction_end");
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned domid)
{
    const struct domain *d = find_domain((uint16_t)domid);

    assert_non_null(h);
    return d && d->introduced;
}

/* ---- libxentoolcore ---- */

int xentoolcore_restrict_all(domid_t domid)
{
    assert_null(w.store); /* it would be dead afterwards */
    if (called("restrict"))
        return -1;
    w.restricted = domid;
    for (unsigned i = 0; i < GRANT_HANDLES; i++) {
        if (w.gnttab[i])
            w.gnttab[i]->dead = true;
    }
    return 0;
}

bool fake_restricted(uint16_t domid)
{
    return w.restricted == domid;
}

/* ---- the world ---- */

void fake_begin(void)
{
    memset(&w, 0, sizeof(w));
    w.restricted = -1;
}

void fake_end(void)
{
    assert_int_equal(w.open, 0);
    assert_int_equal(fake_maps(), 0);
    for (unsigned i = 0; i < DOMAINS; i++)
        if (w.domain[i].used)
            drop_domain(&w.domain[i]);
    remove_nodes("");
    for (unsigned i = 0; i < NODES; i++) {
        free(w.node[i].path);
        free(w.node[i].value);
    }
}

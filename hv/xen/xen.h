/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this module share. Nothing here leaves the module: the archive exports one
 * symbol (see CMakeLists.txt). docs/xen.md shows how it is used, docs/adr/0008-xen.md why it is so.
 *
 * A guest has one ioreq server, which carries all its devices here. Only callbacks of the loop end
 * a guest; everything below them says that it is gone with xen_guest_gone.
 */
#ifndef XEN_H
#define XEN_H

#include "ioreq.h"

#include <anyhv/hv.h>
#include <anyhv/linux/log.h>
#include <anyhv/linux/state_file.h>
#include <anyhv/transport/mmio.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xenstore.h>

#define XEN_PAGE      4096u                /* of the hypervisor, whatever the kernels' pages are */
#define XEN_BUDGET    256u                 /* requests per turn on the loop */
#define XEN_ALIVE_NS  UINT64_C(1000000000) /* between looks at guests whose end nobody reports */
#define XEN_DOMID_MAX 0x7fefu              /* above are Xen's own */

/* Which interrupts a guest can be given: those that set_level in device.c can raise. */
#if defined(__i386__) || defined(__x86_64__)
#define XEN_IRQ_MIN 1u /* of the ISA */
#define XEN_IRQ_MAX 15u
#else
#define XEN_IRQ_MIN 32u /* an SPI, by its number in the interrupt controller */
#define XEN_IRQ_MAX 1019u
#endif

struct xen_guest;
struct xen_module;

/* ---- foreign.c: guest memory, mapped when it is needed ---- */

#define XEN_CHUNK_PAGES 64u
#define XEN_CHUNK_BYTES ((uint64_t)XEN_CHUNK_PAGES * XEN_PAGE)

/* Pages of the guest that are mapped side by side. */
struct xen_chunk {
    uint64_t addr; /* of the first byte, as the guest counts */
    uint8_t *host;
    uint32_t pages;
    uint32_t users; /* maps that core has not given back */
    bool cached;
    uint64_t there;                /* cached: a bit for each page that could be mapped */
    struct xen_chunk *beside;      /* cached: the next in its bucket */
    struct xen_chunk *next, *prev; /* in the list of those that are idle, or not cached */
};

struct xen_chunks {
    struct xen_chunk *first, *last;
};

struct xen_foreign {
    struct xen_guest *guest;
    struct anyhv_mem mem;
    struct xen_chunk **bucket; /* of cached ones, as many as may be: by their address */
    uint32_t capacity, cached;
    uint32_t busy; /* cached, with users; one never has, so that copies are always possible */
    struct xen_chunks idle;   /* cached, without; the one not used for longest first */
    struct xen_chunks others; /* rings; and what left the cache while it was in use */
    bool starved;             /* a map was refused for want of room */
};

int xen_foreign_init(struct xen_foreign *foreign, struct xen_guest *guest);
/* Everything is unmapped: first core must have given back what it has. */
void xen_foreign_fini(struct xen_foreign *foreign);
/* Pages left the guest: what is cached may be somebody else's soon. */
void xen_foreign_invalidate(struct xen_foreign *foreign);

/* ---- grants.c: guest memory that the guest shows us piece by piece ---- */

struct xen_grants {
    struct xen_guest *guest;
    struct anyhv_mem mem;
    xengnttab_handle *gnttab; /* NULL: no device of the guest uses grants */
};

/* The first device that uses grants makes it. ANYHV_E_IO with errno. */
int xen_grants_init(struct xen_grants *grants, struct xen_guest *guest);
/*
 * Giving up the rights over others takes the handle away, too: a new one, if there was one. What is
 * mapped stays so. ANYHV_E_IO with errno.
 */
int xen_grants_reopen(struct xen_grants *grants);
/* First core must have given back what it has. */
void xen_grants_fini(struct xen_grants *grants);

/* ---- a device and where it stands ---- */

/* What a toolstack, or the command line, says of a device. */
struct xen_place {
    domid_t domid;
    uint32_t id; /* the toolstack's number for it */
    uint64_t base;
    uint32_t irq;
    bool grants;
    const char *path; /* its node in xenstore, NULL: none */
};

#define XEN_PATH 96 /* bytes of a path that is built here */

struct xen_device {
    struct xen_device *next;
    struct xen_guest *guest;
    uint32_t id;
    uint64_t base;
    uint32_t irq;
    bool grants;
    char path[XEN_PATH]; /* "": it has no node */
    struct anyhv_mmio mmio;
    struct anyhv_instance instance;
    struct anyhv_state_file state;
    struct anyhv_task work;
    bool attached;
    bool ranged;    /* its window is ours */
    bool announced; /* the toolstack has been told */
};

/* What becomes of the guest's view of a device, or of all. */
enum xen_end {
    XEN_END_DEAD,    /* the guest is gone */
    XEN_END_LEAVE,   /* for a successor: accesses wait for it */
    XEN_END_RELEASE, /* nobody goes on: give everything back */
};

/* ---- device.c ---- */
/* Adds the device at @place, which the caller checked. A negative result was logged. */
int xen_device_begin(struct xen_guest *guest, const struct xen_place *place);
/* Accesses to its window do not come here any more. */
void xen_device_unclaim(struct xen_device *device);
void xen_device_end(struct xen_device *device, enum xen_end how);

/* ---- server.c: the ioreq server ---- */
struct xen_server {
    ioservid_t id;
    bool exists, adopted;
    bool bound; /* all ports: it can be answered */
    xenevtchn_handle *events;
    xenforeignmemory_resource_handle *resource;
    struct xen_ioreq *page;
    unsigned vcpus;
    evtchn_port_t ports[XEN_IOREQ_SLOTS]; /* our ends, by vCPU */
};

/* @note: where the server's number is kept for a successor, NULL: nowhere. */
struct xen_note {
    uint32_t id_plus_one; /* 0: no server yet */
};
int xen_server_begin(struct xen_guest *guest, struct xen_note *note);
void xen_server_disable(const struct xen_guest *guest);
void xen_server_end(struct xen_guest *guest, enum xen_end how);
/* Does Xen still know it? Not for a guest that was destroyed. */
bool xen_server_alive(const struct xen_guest *guest);
/* 0, or -1 with errno. */
int xen_server_claim(const struct xen_guest *guest, uint64_t base);
void xen_server_release(const struct xen_guest *guest, uint64_t base);

/* ---- traps.c ---- */
/* Takes the events that have come. */
void xen_traps_ready(struct anyhv_watch *watch, uint32_t events);
/* Answers what a predecessor, or we, have not. */
void xen_traps_finish(struct xen_guest *guest);

/* ---- guest.c ---- */
struct xen_guest {
    struct xen_guest *next;
    struct xen_module *module;
    domid_t domid;
    char owner[ANYHV_STATE_FILE_OWNER]; /* tells this guest from others with its number */
    struct xen_server server;
    struct anyhv_watch watch;
    struct xen_foreign foreign;
    struct xen_grants grants;
    struct xen_device *devices;
    struct anyhv_state_file state;
    bool gone;
    struct anyhv_task end; /* gone: forget it */
};

/* The guest with this number, taken in if it is new. NULL: that failed, and was logged. */
struct xen_guest *xen_guest_get(struct xen_module *module, domid_t domid);
struct xen_guest *xen_guest_find(const struct xen_module *module, domid_t domid);
/* Its devices have been added: answers it from now on. */
int xen_guest_serve(struct xen_guest *guest);
/* It cannot be served after all. */
void xen_guest_abandon(struct xen_guest *guest);
void xen_guest_end(struct xen_guest *guest, enum xen_end how);
/* Xen says that the guest is no more. Its end follows from the loop. */
void xen_guest_gone(struct xen_guest *guest);
/* DIR/<device>-<domid><suffix> for a state file. False: too long. */
bool xen_state_path(const struct xen_guest *guest, const char *suffix, char *buf, size_t size);

/* ---- discovery.c ---- */
/* Begins to look for guests. */
int xen_discovery_begin(struct xen_module *module);
void xen_discovery_end(struct xen_module *module);
/* Takes in the devices that a guest has now, if any; it is not answered yet. */
void xen_discovery_once(struct xen_module *module, domid_t domid);
/* Says who has the number @domid now. */
void xen_discovery_owner(const struct xen_module *module, domid_t domid, char *owner, size_t size);
/* Tells the toolstack where we are with the device at @path, unless the node is gone. */
enum xen_store_state {
    XEN_STORE_INITIALISING = 1,
    XEN_STORE_INIT_WAIT = 2,
    XEN_STORE_CONNECTED = 4,
    XEN_STORE_CLOSING = 5,
    XEN_STORE_CLOSED = 6,
};
void xen_discovery_state(const struct xen_module *module, const char *path,
                         enum xen_store_state state);

/* ---- module.c ---- */
struct xen_options {
    const char *state_dir;
    uint64_t base;
    uint32_t domid, irq, map_mib;
    bool domid_given, base_given, irq_given;
};

struct xen_module {
    struct anyhv_server *server;
    const struct xen_options *options;
    xendevicemodel_handle *devicemodel;
    xenforeignmemory_handle *foreignmemory;
    struct xs_handle *store; /* NULL: not any more */
    struct anyhv_watch store_watch;
    struct anyhv_task scan;
    struct anyhv_timer alive;
    struct xen_guest *guests;
};

/* A guest has ended. */
void xen_module_guest_ended(struct xen_module *module);

#endif

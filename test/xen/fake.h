/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor in the process: the functions of the Xen libraries that hv/xen calls, with domains,
 * ioreq servers, event channels and a xenstore behind them. The tests play the toolstack and the
 * guest; what the module calls is written down, and every call can be made to fail.
 *
 * It is as strict as Xen where a device model can do wrong: a state that goes back, an event
 * channel that is not bound, a handle that is closed twice are the end of the test.
 */
#ifndef ANYHV_TEST_FAKE_XEN_H
#define ANYHV_TEST_FAKE_XEN_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_PAGE     4096u
#define FAKE_RAM_BASE UINT64_C(0x40000000)
#define FAKE_RAM_SIZE (UINT64_C(16) << 20)
#define FAKE_VCPUS    4

/* An empty world. */
void fake_begin(void);
/* Fails the test unless everything that the module opened is closed, and no map is left. */
void fake_end(void);

/* ---- what was called ---- */

/* The calls so far, one to a word: "evtchn_open nr_vcpus create(0) ..."; cleared by this. */
const char *fake_calls(void);
/* How often @call was made since fake_begin. */
unsigned fake_count(const char *call);
/* The @nth (from 1) of @call from now on fails with @error. */
void fake_fail(const char *call, unsigned nth, int error);
/* How many maps of guest pages there are now, and pages in them. */
unsigned fake_maps(void);
unsigned fake_mapped_pages(void);

/* ---- domains ---- */

/* Domain @domid with RAM, known to xenstore. */
void fake_domain(uint16_t domid);
/* Destroyed: Xen forgets it, xenstore too, and says so. */
void fake_destroy(uint16_t domid);
/* The guest's own view of its RAM. */
uint8_t *fake_ram(uint16_t domid);
/* A page of RAM that nothing is behind, or is again. */
void fake_hole(uint16_t domid, uint64_t addr, bool hole);
/* vCPUs that Xen tells of. */
void fake_vcpus(uint16_t domid, unsigned vcpus);

/* ---- grants: all of RAM, page by page from number FAKE_GRANT on ---- */

#define FAKE_GRANT 8u
/* What a driver that uses grants writes for the first byte of RAM. */
#define FAKE_GRANT_BASE ((UINT64_C(1) << 63) | (uint64_t)FAKE_GRANT * FAKE_PAGE)

enum fake_grant {
    FAKE_WRITABLE,
    FAKE_READ_ONLY,
    FAKE_REVOKED, /* the maps that there are stay */
};
void fake_grant(uint16_t domid, uint64_t addr, enum fake_grant how);
/* Grants mapped now, in pages. */
unsigned fake_granted_pages(void);

/* ---- traps ---- */

enum fake_answer {
    FAKE_ANSWERED,
    FAKE_NOBODY, /* no server has that address: Arm's guests get a data abort */
    FAKE_STUCK,  /* the vCPU waits */
};

struct fake_access {
    uint64_t addr, data;
    uint32_t count, size;
    uint8_t type;
    bool read, pointer, down;
    unsigned vcpu;
};

/* Puts the access in the slot and sends the event. */
enum fake_answer fake_trap(uint16_t domid, const struct fake_access *access);
/* Is the answer there? It is taken then: the data go to *@data. */
bool fake_answered(uint16_t domid, unsigned vcpu, uint64_t *data);
/* An event for a slot in which nothing is. */
void fake_spurious(uint16_t domid, unsigned vcpu);
/* The raw slot, 32 bytes; NULL: the domain has no enabled server. */
uint8_t *fake_slot(uint16_t domid, unsigned vcpu);
/* Tells the enabled servers that pages left. True: the first has been told by an event. */
bool fake_invalidate(uint16_t domid);
/* Servers that the domain has, and whether one claims @addr. */
unsigned fake_servers(uint16_t domid);
bool fake_claimed(uint16_t domid, uint64_t addr);

/* The line of @irq, and how often it was set to 1. */
bool fake_level(uint16_t domid, unsigned irq);
unsigned fake_rises(uint16_t domid, unsigned irq);

/* ---- xenstore ---- */

/* NULL: removed, with everything below. Watches fire. */
void fake_store(const char *path, const char *value);
/* The value, or NULL. */
const char *fake_stored(const char *path);
/* All that the toolstack writes for a virtio device with id @type. */
void fake_node(uint16_t domid, unsigned device, unsigned type, uint64_t base, unsigned irq);
/* Whether the module has given up its rights over others than @domid. */
bool fake_restricted(uint16_t domid);

#endif

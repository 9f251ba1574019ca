/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: what the driver writes in descriptors -> bytes we can touch.
 *
 * One object per guest and policy. A table of regions answers almost everything without a call;
 * `ops` are asked only about addresses that no region covers (Xen grants, foreign pages mapped on
 * demand, bounce buffers). Every access names address AND length.
 *
 * A guest's memory, its devices and all calls about them belong to one thread.
 * Freestanding; the caller owns all storage.
 */
#ifndef ANYHV_MEM_H
#define ANYHV_MEM_H

#include <anyhv/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_dev;
struct anyhv_mem;

/* A stretch of memory that is mapped for as long as it stands in the table. */
struct anyhv_region {
    uint64_t addr; /* first address as the driver writes it: guest physical, IOVA or offset */
    uint64_t size; /* bytes, not 0; addr + size - 1 must not wrap */
    uint8_t *host; /* where it is in this process */
    uint32_t perm; /* ANYHV_R, ANYHV_W or both */
};

/* One mapped piece. `len` may be shorter than what was asked for: the caller loops. */
struct anyhv_map {
    uint8_t *ptr;
    uint32_t len;   /* bytes at ptr; never 0 after success */
    uint32_t perm;  /* as asked */
    uint64_t addr;  /* the guest address of ptr[0] */
    uintptr_t priv; /* the module's own */
};

/*
 * Called only for addresses that no region covers, from the guest's thread. The table itself and
 * each entry may be NULL where marked; then such addresses are ANYHV_E_BADADDR.
 */
struct anyhv_mem_ops {
    /*
     * Maps up to @len bytes at @addr for @perm and fills *@out. May block for one hypercall.
     * With ANYHV_RING in @perm: all of @len, contiguous, or an error. Returns ANYHV_OK,
     * ANYHV_E_BADADDR, _PERM, _NORES (call anyhv_mem_room when it may succeed) or _LOST. NULL:
     * copy-only memory. None of the ops may change the region table.
     */
    int (*map)(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
               struct anyhv_map *out);
    /*
     * Ends a map; never fails. Core calls it before the used entry of the request is published
     * (a Xen guest that ends a grant still mapped breaks its device), and at once on reset.
     */
    void (*unmap)(struct anyhv_mem *mem, struct anyhv_map *map);
    /*
     * Copies @len bytes between @buf and guest memory: from the guest for ANYHV_R, to it for
     * ANYHV_W; all or an error. NULL: core uses map, memcpy, unmap.
     */
    int (*copy)(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len, unsigned perm);
    /*
     * The device wrote @len bytes at @addr (buffers and ring areas; also those inside regions).
     * The data is stored before the call. NULL: nobody tracks writes.
     */
    void (*dirty)(struct anyhv_mem *mem, uint64_t addr, uint64_t len);
};

struct anyhv_mem {
    const struct anyhv_mem_ops *ops; /* NULL: the regions are everything */
    void *priv;                      /* the module's own */
    /* core's */
    struct anyhv_region *regions; /* sorted by addr, no overlap */
    struct anyhv_region last;     /* the one that answered last, if it can be read and written */
    uint32_t count, capacity;
    uint32_t toil;          /* pieces that had to be looked for: what a guest makes us work */
    bool tracked;           /* ops->dirty wants to know of writes */
    bool lost;              /* an op said that the guest is gone */
    uint32_t pins;          /* pieces held by requests right now */
    struct anyhv_dev *devs; /* the devices that use this memory */
};

/*
 * Prepares an empty table over @capacity entries of the caller's array @regions (may be NULL with
 * capacity 0). @ops may be NULL.
 */
void anyhv_mem_init(struct anyhv_mem *mem, struct anyhv_region *regions, uint32_t capacity,
                    const struct anyhv_mem_ops *ops, void *priv);

/*
 * Adds a region. ANYHV_E_INVAL: size 0, the end wraps, no host pointer, or it overlaps another;
 * ANYHV_E_NORES: the table is full. Rings of attached devices that were without memory and lie in
 * the new region run again.
 */
int anyhv_mem_add(struct anyhv_mem *mem, const struct anyhv_region *region);

/*
 * Removes exactly the region at @addr of @size bytes. ANYHV_E_INVAL: there is none;
 * ANYHV_LATER: a request has pieces pinned, nothing was changed: quiesce first. On ANYHV_OK
 * nothing in core points into the region any more: rings in it pause until they are mapped again,
 * held requests find their buffers anew by address.
 */
int anyhv_mem_del(struct anyhv_mem *mem, uint64_t addr, uint64_t size);

/*
 * Replaces the whole table by @count regions, all or nothing; the same results as add and del.
 */
int anyhv_mem_replace(struct anyhv_mem *mem, const struct anyhv_region *regions, uint32_t count);

/*
 * From now on ops->dirty is called, or is not (@on; as long as nobody says so it is, if there is
 * one). For dirty logs that come and go.
 */
void anyhv_mem_track(struct anyhv_mem *mem, bool on);

/*
 * There is room again after ANYHV_E_NORES: devices retry what they hold, rings are mapped again.
 */
void anyhv_mem_room(struct anyhv_mem *mem);

/*
 * Host pointer for all @len bytes at @addr (@len not 0) if ONE region holds them with @perm, else
 * NULL. Never calls out. Valid until the table changes.
 */
uint8_t *anyhv_mem_host(struct anyhv_mem *mem, uint64_t addr, uint64_t len, unsigned perm);

/*
 * Can @len bytes at @addr be accessed with @perm? Regions are looked at, across region borders;
 * where ops could still map the rest the answer is yes. ANYHV_OK, _BADADDR or _PERM.
 */
int anyhv_mem_check(struct anyhv_mem *mem, uint64_t addr, uint64_t len, unsigned perm);

/*
 * Copies @len bytes from (read) or to (write) guest memory, across region borders and through
 * ops. All or an error; after an error part of the bytes may have been copied. Write reports the
 * bytes to ops->dirty.
 */
int anyhv_mem_read(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len);
int anyhv_mem_write(struct anyhv_mem *mem, uint64_t addr, const void *buf, uint32_t len);

/*
 * Maps up to @len bytes at @addr (@len not 0) as one piece; *@out is the caller's until
 * anyhv_mem_unmap. out->len may be shorter than @len, unless ANYHV_RING is asked for.
 */
int anyhv_mem_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                  struct anyhv_map *out);
void anyhv_mem_unmap(struct anyhv_mem *mem, struct anyhv_map *map);

#ifdef __cplusplus
}
#endif
#endif

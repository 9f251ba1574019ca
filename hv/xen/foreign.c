/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory by foreign maps. Buffers are found in a cache of chunks, each the pages around an
 * address; the one not used for longest makes way. So what a guest's addresses can make us map is
 * bounded. A ring gets a map of its own, exactly its pages, for as long as it runs.
 *
 * A chunk may have holes: pages that were not there when it was mapped. One that is asked for is
 * looked at again, because the guest may have got the page since.
 */
#include "xen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FRAME_MAX  (UINT64_C(1) << 40) /* no machine of Xen's has memory above */
#define RING_PAGES 132u                /* 32768 descriptors, and what lies across pages */

static struct xen_foreign *of(struct anyhv_mem *mem)
{
    return mem->priv;
}

/* ---- pages ---- */

/* What it means to core that a page, or none of them, could be mapped. */
static int meaning(const struct xen_foreign *f, int error)
{
    switch (error) {
    case ESRCH:
        xen_guest_gone(f->guest);
        return ANYHV_E_LOST;
    case ENOMEM:
        anyhv_log(ANYHV_LOG_WARNING, "xen.map",
                  "domain %u: this kernel has no room left to map its pages", f->guest->domid);
        return ANYHV_E_NORES;
    case EPERM:
        anyhv_log(ANYHV_LOG_ERROR, "xen.map", "domain %u: its memory may not be mapped",
                  f->guest->domid);
        return ANYHV_E_BADADDR;
    default:
        return ANYHV_E_BADADDR;
    }
}

/* Maps the pages at c->addr. @errors: of each; NULL: all have to be there. */
static int map_pages(const struct xen_foreign *f, struct xen_chunk *c, int *errors)
{
    xen_pfn_t frames[RING_PAGES];
    uint64_t first = c->addr / XEN_PAGE;

    if (c->pages > RING_PAGES || first >= FRAME_MAX)
        return ANYHV_E_BADADDR;
    for (uint32_t i = 0; i < c->pages; i++)
        frames[i] = first + i;
    c->host = xenforeignmemory_map(f->guest->module->foreignmemory, f->guest->domid,
                                   PROT_READ | PROT_WRITE, c->pages, frames, errors);
    return c->host ? ANYHV_OK : meaning(f, errno);
}

static struct xen_chunk *new_chunk(uint64_t addr, uint32_t pages)
{
    struct xen_chunk *c = calloc(1, sizeof(*c));

    if (c)
        *c = (struct xen_chunk){.addr = addr, .pages = pages};
    return c;
}

/* Nobody uses it, and no list has it. */
static void drop(const struct xen_foreign *f, struct xen_chunk *c)
{
    if (c->host)
        xenforeignmemory_unmap(f->guest->module->foreignmemory, c->host, c->pages);
    free(c);
}

static void append(struct xen_chunks *list, struct xen_chunk *c)
{
    c->next = NULL;
    c->prev = list->last;
    if (c->prev)
        c->prev->next = c;
    else
        list->first = c;
    list->last = c;
}

static void take_out(struct xen_chunks *list, struct xen_chunk *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
}

/* ---- the cache ---- */

static uint64_t page_bit(const struct xen_chunk *c, uint64_t addr)
{
    return UINT64_C(1) << ((addr - c->addr) / XEN_PAGE);
}

/* Bytes from @addr, which is there, to the first hole or the end; at most @len. */
static uint32_t run(const struct xen_chunk *c, uint64_t addr, uint32_t len)
{
    uint64_t end = (addr | (XEN_PAGE - 1)) + 1;

    while (end < c->addr + XEN_CHUNK_BYTES && end - addr < len && (c->there & page_bit(c, end)))
        end += XEN_PAGE;
    return end - addr < len ? (uint32_t)(end - addr) : len;
}

/* Where the chunk around @addr is linked, or would be: points to NULL. */
static struct xen_chunk **place(const struct xen_foreign *f, uint64_t addr)
{
    uint64_t number = addr / XEN_CHUNK_BYTES;
    struct xen_chunk **link = &f->bucket[number % f->capacity];

    while (*link && (*link)->addr / XEN_CHUNK_BYTES != number)
        link = &(*link)->beside;
    return link;
}

/* Takes @c out of the cache: unmapped now, or by its last user. */
static void expel(struct xen_foreign *f, struct xen_chunk *c)
{
    *place(f, c->addr) = c->beside;
    f->cached--;
    c->cached = false;
    if (c->users) {
        f->busy--;
        append(&f->others, c);
    } else {
        take_out(&f->idle, c);
        drop(f, c);
    }
}

/* Takes @c, which nobody uses yet, in; if need be for another: one is always idle. */
static void take_in(struct xen_foreign *f, struct xen_chunk *c)
{
    struct xen_chunk **link;

    if (f->cached == f->capacity)
        expel(f, f->idle.first);
    link = place(f, c->addr);
    *link = c;
    f->cached++;
    c->cached = true;
    append(&f->idle, c);
}

/* Fills @c in: ANYHV_OK if at least the page at @addr is there. */
static int fill(const struct xen_foreign *f, struct xen_chunk *c, uint64_t addr)
{
    int errors[XEN_CHUNK_PAGES] = {0};
    int rc = map_pages(f, c, errors);

    if (rc)
        return rc;
    for (uint32_t i = 0; i < c->pages; i++)
        c->there |= errors[i] ? 0 : UINT64_C(1) << i;
    if (c->there & page_bit(c, addr))
        return ANYHV_OK;
    return meaning(f, abs(errors[(addr - c->addr) / XEN_PAGE]));
}

/* The chunk around @addr, whose page is there. */
static int get(struct xen_foreign *f, uint64_t addr, struct xen_chunk **out)
{
    struct xen_chunk *c = *place(f, addr);
    int rc;

    if (c && !(c->there & page_bit(c, addr))) {
        expel(f, c);
        c = NULL;
    }
    if (!c) {
        c = new_chunk(addr & ~(XEN_CHUNK_BYTES - 1), XEN_CHUNK_PAGES);
        if (!c)
            return ANYHV_E_NORES;
        rc = fill(f, c, addr);
        if (rc) {
            drop(f, c);
            return rc;
        }
        take_in(f, c);
    } else if (!c->users && c != f->idle.last) {
        take_out(&f->idle, c);
        append(&f->idle, c);
    }
    *out = c;
    return ANYHV_OK;
}

static void give_back(struct xen_foreign *f, struct xen_chunk *c)
{
    if (--c->users)
        return;
    if (!c->cached) {
        take_out(&f->others, c);
        drop(f, c);
        return;
    }
    append(&f->idle, c);
    f->busy--;
    if (f->starved) {
        f->starved = false;
        anyhv_mem_room(&f->mem);
    }
}

/* ---- what core asks for ---- */

/* Whole and contiguous: the pages from the one that holds @addr to the one that holds the end. */
static int map_ring(struct xen_foreign *f, uint64_t addr, uint32_t len, struct anyhv_map *out)
{
    uint64_t off = addr % XEN_PAGE;
    struct xen_chunk *c = new_chunk(addr - off, (uint32_t)((off + len + XEN_PAGE - 1) / XEN_PAGE));
    int rc = c ? map_pages(f, c, NULL) : ANYHV_E_NORES;

    if (rc) {
        free(c);
        return rc;
    }
    c->users = 1;
    append(&f->others, c);
    out->ptr = c->host + off;
    out->len = len;
    out->priv = (uintptr_t)c;
    return ANYHV_OK;
}

static int foreign_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                       struct anyhv_map *out)
{
    struct xen_foreign *f = of(mem);
    struct xen_chunk *c;
    int rc;

    if (perm & ANYHV_RING)
        return map_ring(f, addr, len, out);
    rc = get(f, addr, &c);
    if (rc)
        return rc;
    if (!c->users && f->busy + 1 == f->capacity) {
        f->starved = true;
        return ANYHV_E_NORES;
    }
    if (c->users++ == 0) {
        take_out(&f->idle, c);
        f->busy++;
    }
    out->ptr = c->host + (addr - c->addr);
    out->len = run(c, addr, len);
    out->priv = (uintptr_t)c;
    return ANYHV_OK;
}

static void foreign_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    give_back(of(mem), (struct xen_chunk *)map->priv);
}

static int foreign_copy(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len,
                        unsigned perm)
{
    uint8_t *at = buf;

    while (len) {
        struct xen_chunk *c;
        uint32_t n;
        int rc = get(of(mem), addr, &c);

        if (rc)
            return rc;
        n = run(c, addr, len);
        if (perm & ANYHV_W)
            memcpy(c->host + (addr - c->addr), at, n);
        else
            memcpy(at, c->host + (addr - c->addr), n);
        addr += n;
        at += n;
        len -= n;
    }
    return ANYHV_OK;
}

static const struct anyhv_mem_ops foreign_ops = {
    .map = foreign_map, .unmap = foreign_unmap, .copy = foreign_copy};

/* ---- the whole ---- */

int xen_foreign_init(struct xen_foreign *f, struct xen_guest *guest)
{
    f->guest = guest;
    f->capacity = (uint32_t)(((uint64_t)guest->module->options->map_mib << 20) / XEN_CHUNK_BYTES);
    f->bucket = calloc(f->capacity, sizeof(f->bucket[0]));
    anyhv_mem_init(&f->mem, NULL, 0, &foreign_ops, f);
    return f->bucket ? ANYHV_OK : ANYHV_E_NORES;
}

void xen_foreign_invalidate(struct xen_foreign *f)
{
    for (uint32_t i = 0; i < f->capacity && f->cached; i++)
        while (f->bucket[i])
            expel(f, f->bucket[i]);
}

void xen_foreign_fini(struct xen_foreign *f)
{
    if (!f->bucket)
        return;
    xen_foreign_invalidate(f);
    while (f->others.first) {
        struct xen_chunk *c = f->others.first;

        take_out(&f->others, c);
        drop(f, c);
    }
    free(f->bucket);
    f->bucket = NULL;
}

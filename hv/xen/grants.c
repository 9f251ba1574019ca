/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory by grants: the guest shows us the pages of each request and nothing else. What it
 * writes in descriptors is bit 63, the number of a grant, and the offset in its page; pages that
 * follow each other have grants that do.
 *
 * Nothing is kept: a guest that takes a grant back while it is mapped here declares its device
 * broken, so a request's maps end before its answer is visible.
 */
#include "xen.h"

#include <errno.h>
#include <sys/mman.h>

#define GRANT      (UINT64_C(1) << 63)
#define FIRST_MAX  (UINT64_C(1) << 44) /* 32 bits of number, 12 of offset */
#define RING_PAGES 132u                /* 32768 descriptors, and what lies across pages */
#define MAP_PAGES  16u                 /* of a buffer at once */
#define COPY_PARTS 16u                 /* pages in one call */

static struct xen_grants *of(struct anyhv_mem *mem)
{
    return mem->priv;
}

static int meaning(const struct xen_grants *g, int error)
{
    if (error != ENOMEM && error != ENOSPC)
        return ANYHV_E_BADADDR;
    anyhv_log(ANYHV_LOG_WARNING, "xen.grants",
              "domain %u: this kernel has no room left to map its grants", g->guest->domid);
    return ANYHV_E_NORES;
}

/* The grant at @addr, for @pages that follow each other. */
static int first_grant(uint64_t addr, uint32_t pages, uint32_t *first)
{
    uint64_t number = (addr & ~GRANT) / XEN_PAGE;

    if (!(addr & GRANT) || (addr & ~GRANT) >= FIRST_MAX || number + pages - 1 > UINT32_MAX)
        return ANYHV_E_BADADDR;
    *first = (uint32_t)number;
    return ANYHV_OK;
}

static int grants_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                      struct anyhv_map *out)
{
    struct xen_grants *g = of(mem);
    uint32_t refs[RING_PAGES], first, off = (uint32_t)(addr % XEN_PAGE);
    uint32_t most = perm & ANYHV_RING ? RING_PAGES : MAP_PAGES;
    uint64_t pages = ((uint64_t)off + len + XEN_PAGE - 1) / XEN_PAGE;
    uint8_t *at;

    if (pages > most && (perm & ANYHV_RING))
        return ANYHV_E_BADADDR;
    if (pages > most) {
        pages = most;
        len = most * XEN_PAGE - off;
    }
    if (first_grant(addr, (uint32_t)pages, &first))
        return ANYHV_E_BADADDR;
    for (uint32_t i = 0; i < pages; i++)
        refs[i] = first + i;
    /* What the device only reads is granted read-only. */
    at = xengnttab_map_domain_grant_refs(g->gnttab, (uint32_t)pages, g->guest->domid, refs,
                                         perm & (ANYHV_W | ANYHV_RING) ? PROT_READ | PROT_WRITE
                                                                       : PROT_READ);
    if (!at)
        return meaning(g, errno);
    out->ptr = at + off;
    out->len = len;
    out->priv = (uintptr_t)pages;
    return ANYHV_OK;
}

static void grants_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    xengnttab_unmap(of(mem)->gnttab, map->ptr - map->addr % XEN_PAGE, (uint32_t)map->priv);
}

/* One part of a copy, within one granted page. */
static xengnttab_grant_copy_segment_t part(const struct xen_grants *g, uint32_t ref, uint32_t off,
                                           void *buf, uint16_t len, bool to_guest)
{
    xengnttab_grant_copy_segment_t s = {.len = len};
    union xengnttab_copy_ptr theirs = {
        .foreign = {.ref = ref, .offset = (uint16_t)off, .domid = g->guest->domid}};
    union xengnttab_copy_ptr ours = {.virt = buf};

    s.source = to_guest ? ours : theirs;
    s.dest = to_guest ? theirs : ours;
    s.flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    return s;
}

/* Xen copies: cheaper than to map, touch and unmap, and it cannot be seen half done. */
static int grants_copy(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len, unsigned perm)
{
    struct xen_grants *g = of(mem);
    uint8_t *at = buf;

    while (len) {
        xengnttab_grant_copy_segment_t parts[COPY_PARTS];
        uint32_t n = 0, first;

        for (; n < COPY_PARTS && len; n++) {
            uint32_t off = (uint32_t)(addr % XEN_PAGE);
            uint32_t here = XEN_PAGE - off < len ? XEN_PAGE - off : len;

            if (first_grant(addr, 1, &first))
                return ANYHV_E_BADADDR;
            parts[n] = part(g, first, off, at, (uint16_t)here, perm & ANYHV_W);
            addr += here;
            at += here;
            len -= here;
        }
        if (xengnttab_grant_copy(g->gnttab, n, parts) < 0)
            return meaning(g, errno);
        for (uint32_t i = 0; i < n; i++)
            if (parts[i].status != GNTST_okay)
                return ANYHV_E_BADADDR;
    }
    return ANYHV_OK;
}

static const struct anyhv_mem_ops grants_ops = {
    .map = grants_map, .unmap = grants_unmap, .copy = grants_copy};

int xen_grants_init(struct xen_grants *g, struct xen_guest *guest)
{
    if (g->gnttab)
        return ANYHV_OK;
    g->guest = guest;
    g->gnttab = xengnttab_open(NULL, 0);
    if (!g->gnttab)
        return ANYHV_E_IO;
    anyhv_mem_init(&g->mem, NULL, 0, &grants_ops, g);
    return ANYHV_OK;
}

int xen_grants_reopen(struct xen_grants *g)
{
    xengnttab_handle *fresh;

    if (!g->gnttab)
        return ANYHV_OK;
    fresh = xengnttab_open(NULL, 0);
    if (!fresh)
        return ANYHV_E_IO;
    xengnttab_close(g->gnttab);
    g->gnttab = fresh;
    return ANYHV_OK;
}

void xen_grants_fini(struct xen_grants *g)
{
    if (g->gnttab)
        xengnttab_close(g->gnttab);
    g->gnttab = NULL;
}

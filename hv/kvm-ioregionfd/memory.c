/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: files that the VMM hands over, and takes back. */
#include "ior.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void region_free(struct ior_region *region)
{
    anyhv_fdmem_unmap(&region->map);
    free(region);
}

static bool wraps(uint64_t start, uint64_t size)
{
    return start + (size - 1) < start;
}

static enum ior_verdict check(struct ior_connection *c, struct ior_message *m)
{
    uint64_t addr = m->in.u.memory.addr, size = m->in.u.memory.size;

    if (!size || wraps(addr, size) || wraps(m->in.u.memory.offset, size))
        return ior_refused(m, ANYHV_IOR_INVALID,
                           "0x%" PRIx64 " bytes at 0x%" PRIx64 ", offset 0x%" PRIx64
                           ": empty, or an end wraps",
                           size, addr, m->in.u.memory.offset);
    if (c->nregions == ANYHV_IOR_SLOTS)
        return ior_refused(m, ANYHV_IOR_NORES, "all %u slots are taken", ANYHV_IOR_SLOTS);
    return IOR_DONE;
}

static enum ior_verdict map(struct ior_connection *c, struct ior_message *m,
                            struct ior_region *region)
{
    uint64_t offset = m->in.u.memory.offset, size = m->in.u.memory.size;
    struct anyhv_region ours = {.addr = region->addr, .size = size, .perm = ANYHV_R | ANYHV_W};
    int rc = anyhv_fdmem_map(&region->map, m->fds[0], offset, size, false);

    if (rc == ANYHV_E_INVAL)
        return ior_refused(m, ANYHV_IOR_INVALID,
                           "the file is shorter than offset 0x%" PRIx64 " + size 0x%" PRIx64,
                           offset, size);
    if (rc)
        return ior_refused(m, errno == ENOMEM ? ANYHV_IOR_NORES : ANYHV_IOR_INVALID,
                           "it cannot be mapped: %s", strerror(errno));
    ours.host = region->map.host;
    rc = anyhv_mem_add(&c->mem, &ours);
    if (rc)
        return ior_refused(m, ANYHV_IOR_INVALID,
                           "0x%" PRIx64 " bytes at 0x%" PRIx64 " overlap others", size, ours.addr);
    return IOR_DONE;
}

enum ior_verdict ior_memory_add(struct ior_connection *c, struct ior_message *m)
{
    enum ior_verdict verdict = check(c, m);
    struct ior_region *region;

    if (verdict != IOR_DONE)
        return verdict;
    region = calloc(1, sizeof(*region));
    if (!region)
        return ior_refused(m, ANYHV_IOR_NORES, "out of memory");
    region->addr = m->in.u.memory.addr;
    verdict = map(c, m, region);
    if (verdict == IOR_DONE)
        c->regions[c->nregions++] = region;
    else
        region_free(region);
    return verdict;
}

static unsigned find(const struct ior_connection *c, uint64_t addr, uint64_t size)
{
    unsigned i = 0;

    while (i < c->nregions && (c->regions[i]->addr != addr || c->regions[i]->map.size != size))
        i++;
    return i;
}

/*
 * Takes it out of core's table. ANYHV_LATER: a request has a piece of it pinned; the device has
 * been asked to be quiet, and the message will be handled again once it is.
 */
static int unlink_region(struct ior_connection *c, const struct ior_region *region)
{
    int rc = anyhv_mem_del(&c->mem, region->addr, region->map.size);

    if (rc == ANYHV_LATER) {
        c->quiescing = true;
        if (anyhv_ctl_quiesce(&c->mmio.dev) == ANYHV_LATER)
            return ANYHV_LATER;
        rc = anyhv_mem_del(&c->mem, region->addr, region->map.size);
    }
    if (c->quiescing)
        anyhv_ctl_resume(&c->mmio.dev);
    c->quiescing = false;
    return rc;
}

enum ior_verdict ior_memory_remove(struct ior_connection *c, struct ior_message *m)
{
    unsigned i = find(c, m->in.u.memory.addr, m->in.u.memory.size);
    int rc;

    if (i == c->nregions)
        return ior_refused(m, ANYHV_IOR_INVALID, "no region of 0x%" PRIx64 " bytes at 0x%" PRIx64,
                           m->in.u.memory.size, m->in.u.memory.addr);
    rc = unlink_region(c, c->regions[i]);
    if (rc == ANYHV_LATER)
        return IOR_LATER;
    if (rc)
        return ior_refused(m, ANYHV_IOR_NORES, "%s", anyhv_result_name(rc));
    region_free(c->regions[i]);
    c->regions[i] = c->regions[--c->nregions];
    return IOR_DONE;
}

bool ior_memory_lost(const struct ior_connection *c)
{
    for (unsigned i = 0; i < c->nregions; i++) {
        if (!anyhv_fdmem_lost(&c->regions[i]->map))
            continue;
        anyhv_log(ANYHV_LOG_WARNING, "ior.memory", "the file behind 0x%" PRIx64 " has shrunk",
                  c->regions[i]->addr);
        return true;
    }
    return false;
}

void ior_memory_drop(struct ior_connection *c)
{
    while (c->nregions)
        region_free(c->regions[--c->nregions]);
}

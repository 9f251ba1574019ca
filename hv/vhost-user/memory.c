/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the front end gives files and says where each lies in guest space and in its own
 * address space. Core knows guest addresses only; the front end's addresses are needed for the
 * rings alone and are translated here.
 *
 * Every change is all or nothing, and a message that cannot be done now because a request has a
 * piece of memory pinned is simply handled again from the start when the device is quiet.
 */
#include "vu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- one region ---- */

static void region_free(struct vu_region *region)
{
    if (!region)
        return;
    anyhv_fdmem_unmap(&region->map);
    free(region);
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a <= b + (b_size - 1) && b <= a + (a_size - 1); /* neither end wraps, see below */
}

static bool wraps(uint64_t start, uint64_t size)
{
    return start + (size - 1) < start;
}

/* What can be said without looking at anything else. */
static enum vu_verdict check_region(const struct vu_message *m, unsigned i,
                                    const struct vu_wire_region *w)
{
    if (!w->size)
        return vu_refused(m, "region %u: size 0", i);
    if (wraps(w->guest, w->size))
        return vu_refused(m, "region %u: guest address 0x%" PRIx64 " wraps with size 0x%" PRIx64, i,
                          w->guest, w->size);
    if (wraps(w->user, w->size))
        return vu_refused(m, "region %u: user address 0x%" PRIx64 " wraps with size 0x%" PRIx64, i,
                          w->user, w->size);
    if (wraps(w->offset, w->size))
        return vu_refused(m, "region %u: offset 0x%" PRIx64 " wraps with size 0x%" PRIx64, i,
                          w->offset, w->size);
    return VU_DONE;
}

static enum vu_verdict check_overlap(const struct vu_message *m, unsigned i,
                                     const struct vu_wire_region *w, const struct vu_table *others)
{
    for (unsigned k = 0; k < others->count; k++) {
        const struct vu_region *other = others->region[k];

        if (overlap(w->guest, w->size, other->guest, other->size))
            return vu_refused(m, "region %u: guest addresses at 0x%" PRIx64 " overlap region %u", i,
                              w->guest, k);
        if (overlap(w->user, w->size, other->user, other->size))
            return vu_refused(m, "region %u: user addresses at 0x%" PRIx64 " overlap region %u", i,
                              w->user, k);
    }
    return VU_DONE;
}

/* Maps region @i of the message, which must not overlap @others; the descriptor stays there. */
static enum vu_verdict region_map(const struct vu_message *m, unsigned i,
                                  const struct vu_wire_region *w, const struct vu_table *others,
                                  struct vu_region **out)
{
    enum vu_verdict verdict = check_region(m, i, w);
    struct vu_region *region;
    int rc;

    if (verdict == VU_DONE)
        verdict = check_overlap(m, i, w, others);
    if (verdict != VU_DONE)
        return verdict;
    region = calloc(1, sizeof(*region));
    if (!region)
        return vu_refused(m, "region %u: out of memory", i);
    region->guest = w->guest;
    region->size = w->size;
    region->user = w->user;
    rc = anyhv_fdmem_map(&region->map, m->fds[i], w->offset, w->size, false);
    if (rc != ANYHV_OK) {
        int err = errno;

        free(region);
        if (rc == ANYHV_E_INVAL)
            return vu_refused(
                m, "region %u: the file is shorter than offset 0x%" PRIx64 " + size 0x%" PRIx64, i,
                w->offset, w->size);
        return vu_refused(m, "region %u: cannot be mapped: %s", i, strerror(err));
    }
    *out = region;
    return VU_DONE;
}

static struct anyhv_region core_region(const struct vu_region *region)
{
    return (struct anyhv_region){.addr = region->guest,
                                 .size = region->size,
                                 .host = region->map.host,
                                 .perm = ANYHV_R | ANYHV_W};
}

/* ---- changes of the table ---- */

typedef int change_fn(struct vu_connection *c, const void *what);

/*
 * Does @change. ANYHV_LATER: pieces are pinned, the device has been asked to be quiet, and the
 * message will be handled again once it is.
 */
static int change_table(struct vu_connection *c, change_fn *change, const void *what)
{
    int rc = change(c, what);

    if (rc == ANYHV_LATER) {
        c->quiescing = true;
        if (anyhv_ctl_quiesce(&c->dev) == ANYHV_LATER)
            return ANYHV_LATER;
        rc = change(c, what);
        if (rc == ANYHV_LATER)
            rc = ANYHV_E_STATE; /* quiet, and still pinned: nobody would ever call us back */
    }
    if (c->quiescing)
        anyhv_ctl_resume(&c->dev);
    c->quiescing = false;
    return rc;
}

/* After a change: rings may have got other guest addresses. Handled again while one drains. */
static enum vu_verdict rings_follow(struct vu_connection *c, struct vu_message *m)
{
    int rc;

    m->step = 1;
    rc = vu_rings_update(c);
    if (rc == ANYHV_LATER)
        return VU_LATER;
    if (rc != ANYHV_OK)
        return vu_refused(m, "a ring cannot follow: %s", anyhv_result_name(rc));
    return VU_DONE;
}

/*
 * The common end of a change: @rc of its preparation or of itself. After a failure the rings that
 * had made way come back where they were.
 */
static enum vu_verdict table_verdict(struct vu_connection *c, struct vu_message *m, int rc)
{
    if (rc == ANYHV_LATER)
        return VU_LATER;
    vu_rings_update(c);
    return vu_refused(m, "the table cannot be changed: %s", anyhv_result_name(rc));
}

/* ---- SET_MEM_TABLE ---- */

static int replace_table(struct vu_connection *c, const void *what)
{
    const struct vu_table *table = what;
    struct anyhv_region regions[VU_TABLE_REGIONS];

    for (unsigned i = 0; i < table->count; i++)
        regions[i] = core_region(table->region[i]);
    return anyhv_mem_replace(&c->mem, regions, table->count);
}

static enum vu_verdict check_table(const struct vu_message *m)
{
    uint32_t count = m->payload.table.count;

    if (count > VU_TABLE_REGIONS)
        return vu_malformed(m, "%" PRIu32 " regions, at most %u", count, VU_TABLE_REGIONS);
    /* User-Mode Linux sends its whole array, however many regions it says are in it. */
    if (m->header.size < VU_TABLE_HEADER + count * sizeof(struct vu_wire_region))
        return vu_malformed(m, "size %" PRIu32 " is too small for %" PRIu32 " regions",
                            m->header.size, count);
    if (m->nfds != count)
        return vu_malformed(m, "%u descriptors for %" PRIu32 " regions", m->nfds, count);
    return VU_DONE;
}

static enum vu_verdict map_table(const struct vu_message *m, struct vu_table *table)
{
    const struct vu_mem_table *wire = &m->payload.table;
    enum vu_verdict verdict;

    for (table->count = 0; table->count < wire->count; table->count++) {
        verdict = region_map(m, table->count, &wire->region[table->count], table,
                             &table->region[table->count]);
        if (verdict != VU_DONE)
            return verdict;
    }
    return VU_DONE;
}

static void free_table(struct vu_table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        region_free(table->region[i]);
    table->count = 0;
}

enum vu_verdict vu_set_mem_table(struct vu_connection *c, struct vu_message *m)
{
    struct vu_table table;
    enum vu_verdict verdict;
    int rc;

    if (m->step)
        return rings_follow(c, m);
    verdict = check_table(m);
    if (verdict != VU_DONE)
        return verdict;
    verdict = map_table(m, &table);
    if (verdict == VU_DONE) {
        rc = vu_rings_make_way(c, &table);
        if (rc == ANYHV_OK)
            rc = change_table(c, replace_table, &table);
        if (rc != ANYHV_OK)
            verdict = table_verdict(c, m, rc);
    }
    if (verdict != VU_DONE) {
        free_table(&table); /* the old table stands */
        return verdict;
    }
    free_table(&c->memory);
    c->memory = table;
    return rings_follow(c, m);
}

/* ---- slots ---- */

static int add_region(struct vu_connection *c, const void *what)
{
    struct anyhv_region region = core_region(what);

    return anyhv_mem_add(&c->mem, &region);
}

enum vu_verdict vu_add_mem_reg(struct vu_connection *c, struct vu_message *m)
{
    struct vu_table *table = &c->memory;
    enum vu_verdict verdict;
    struct vu_region *region;
    int rc;

    if (m->step)
        return rings_follow(c, m);
    if (table->count == VU_SLOTS)
        return vu_refused(m, "all %u slots are taken", VU_SLOTS);
    verdict = region_map(m, 0, &m->payload.single.region, table, &region);
    if (verdict != VU_DONE)
        return verdict;
    table->region[table->count++] = region;
    rc = vu_rings_make_way(c, table);
    if (rc == ANYHV_OK)
        rc = change_table(c, add_region, region);
    if (rc == ANYHV_OK)
        return rings_follow(c, m);
    table->count--;
    region_free(region);
    return table_verdict(c, m, rc);
}

static int remove_region(struct vu_connection *c, const void *what)
{
    const struct vu_region *region = what;

    return anyhv_mem_del(&c->mem, region->guest, region->size);
}

enum vu_verdict vu_rem_mem_reg(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_wire_region *w = &m->payload.single.region;
    struct vu_table *table = &c->memory;
    unsigned i;
    int rc;

    for (i = 0; i < table->count; i++) {
        if (table->region[i]->guest == w->guest && table->region[i]->size == w->size &&
            table->region[i]->user == w->user)
            break;
    }
    if (i == table->count)
        return vu_refused(m,
                          "no region with guest address 0x%" PRIx64 ", size 0x%" PRIx64
                          ", user address 0x%" PRIx64,
                          w->guest, w->size, w->user);
    rc = change_table(c, remove_region, table->region[i]);
    if (rc != ANYHV_OK)
        return table_verdict(c, m, rc);
    region_free(table->region[i]);
    table->region[i] = table->region[--table->count];
    return VU_DONE; /* rings that were there wait until the guest address comes back */
}

enum vu_verdict vu_get_max_mem_slots(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    return vu_reply_u64(c, VU_SLOTS);
}

/* ---- looking at it ---- */

bool vu_memory_translate(const struct vu_table *table, uint64_t user, uint64_t *guest)
{
    for (unsigned i = 0; i < table->count; i++) {
        const struct vu_region *region = table->region[i];

        if (user >= region->user && user - region->user < region->size) {
            *guest = region->guest + (user - region->user);
            return true;
        }
    }
    return false;
}

bool vu_memory_lost(const struct vu_connection *c)
{
    for (unsigned i = 0; i < c->memory.count; i++) {
        const struct vu_region *region = c->memory.region[i];

        if (anyhv_fdmem_lost(&region->map)) {
            anyhv_log(ANYHV_LOG_WARNING, "vu.memory",
                      "the file behind guest address 0x%" PRIx64 " has shrunk", region->guest);
            return true;
        }
    }
    return false;
}

void vu_memory_drop(struct vu_connection *c)
{
    free_table(&c->memory);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-flight area: which requests the device has taken and not answered yet, in a file that the
 * front end keeps while this process may die. It gets one from us, gives it back before the rings
 * start, and gives it to our successor, who takes the same requests again. The area is a block per
 * ring, and what stands in a block is core's journal.
 *
 * The front end can write there at any time, and give back something else: core believes nothing.
 */
#include "vu.h"

#include <anyhv/port.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct vu_inflight {
    struct anyhv_fdmem map;
    unsigned blocks;
    size_t block_size;
};

/* Journals are words of up to 64 bits. */
#define ALIGNMENT 8u

/* By any ring. */
static unsigned longest_ring(const struct vu_connection *c)
{
    unsigned longest = 0;

    for (unsigned i = 0; i < c->nrings; i++) {
        unsigned max = anyhv_ctl_queue_max(&c->dev, i);

        longest = max > longest ? max : longest;
    }
    return longest;
}

/*
 * Whatever queue_size says: QEMU (10.0) on virtio-mmio asks for an area for 128 and starts a ring
 * of 1024. Nobody but us and our successors looks into a block, so its size is ours to say.
 */
static size_t block_size(const struct vu_connection *c)
{
    return anyhv_journal_size(longest_ring(c), vu_rings_packed(c));
}

static enum vu_verdict check_shape(const struct vu_connection *c, const struct vu_message *m)
{
    const struct vu_wire_inflight *w = &m->payload.inflight;

    if (w->num_queues == 0 || w->num_queues > c->nrings)
        return vu_refused(m, "%u queues, not 1 to %u", w->num_queues, c->nrings);
    if (w->queue_size == 0 || w->queue_size > longest_ring(c))
        return vu_refused(m, "queues of %u, not 1 to %u", w->queue_size, longest_ring(c));
    return VU_DONE;
}

/* An answer without a descriptor says that there is none; the front end goes on without. */
enum vu_verdict vu_get_inflight_fd(struct vu_connection *c, struct vu_message *m)
{
    struct vu_wire_inflight answer = m->payload.inflight;
    enum vu_verdict verdict;
    int fd = -1;

    answer.mmap_size = answer.mmap_offset = 0;
    if (check_shape(c, m) == VU_DONE) {
        answer.mmap_size = answer.num_queues * (uint64_t)block_size(c);
        fd = anyhv_fdmem_create("inflight", answer.mmap_size);
        if (fd < 0) {
            vu_refused(m, "no memory for it: %s", strerror(-fd));
            answer.mmap_size = 0;
        }
    }
    verdict = vu_reply_fd(c, &answer, m->header.size, fd);
    vu_fd_close(&fd);
    return verdict;
}

/* ---- the area in use ---- */

/* Each ring gets its block of @area, or none (NULL). */
static int give(struct vu_connection *c, const struct vu_inflight *area)
{
    size_t size = area ? area->block_size : 0;
    int rc = ANYHV_OK;

    for (unsigned i = 0; i < c->nrings && rc == ANYHV_OK; i++)
        rc = anyhv_ctl_queue_journal(
            &c->dev, i, area && i < area->blocks ? area->map.host + i * size : NULL, size);
    return rc;
}

void vu_inflight_take(struct vu_connection *c)
{
    int rc = give(c, NULL);

    ANYHV_ASSERT(rc == ANYHV_OK);
}

void vu_inflight_give(struct vu_connection *c)
{
    int rc = give(c, c->inflight);

    ANYHV_ASSERT(rc == ANYHV_OK); /* they were right when the area came */
}

/* The area takes the place of an older one. */
static int use(struct vu_connection *c, struct vu_inflight *area)
{
    int rc = give(c, area);

    vu_inflight_drop(c);
    c->inflight = area;
    return rc;
}

enum vu_verdict vu_set_inflight_fd(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_wire_inflight *w = &m->payload.inflight;
    enum vu_verdict verdict = check_shape(c, m);
    struct vu_inflight *area;
    uint64_t total;
    int rc;

    if (verdict != VU_DONE)
        return verdict;
    if (vu_rings_running(c))
        return vu_refused(m, "rings run");
    total = w->num_queues * (uint64_t)block_size(c);
    if (w->mmap_size < total || w->mmap_offset % ALIGNMENT)
        return vu_refused(m,
                          "size 0x%" PRIx64 " at offset 0x%" PRIx64
                          " for %u queues of %u, which take 0x%" PRIx64,
                          w->mmap_size, w->mmap_offset, w->num_queues, w->queue_size, total);
    area = calloc(1, sizeof(*area));
    if (!area)
        return vu_refused(m, "out of memory");
    rc = anyhv_fdmem_map(&area->map, m->fds[0], w->mmap_offset, total, false);
    if (rc != ANYHV_OK) {
        verdict = vu_refused(m, "the file cannot be mapped: %s",
                             rc == ANYHV_E_INVAL ? "it is too short" : strerror(errno));
        free(area);
        return verdict;
    }
    area->blocks = w->num_queues;
    area->block_size = block_size(c);
    rc = use(c, area);
    if (rc != ANYHV_OK)
        return vu_malformed(m, "it cannot be used: %s", anyhv_result_name(rc));
    return VU_DONE;
}

bool vu_inflight_lost(const struct vu_connection *c)
{
    if (!c->inflight || !anyhv_fdmem_lost(&c->inflight->map))
        return false;
    anyhv_log(ANYHV_LOG_WARNING, "vu.memory", "the file behind the in-flight area has shrunk");
    return true;
}

void vu_inflight_drop(struct vu_connection *c)
{
    if (!c->inflight)
        return;
    anyhv_fdmem_unmap(&c->inflight->map);
    free(c->inflight);
    c->inflight = NULL;
}

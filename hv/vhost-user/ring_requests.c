/* SPDX-License-Identifier: Apache-2.0 */
/* The messages about rings. They change wishes; rings.c makes core follow. */
#include "vu.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

static enum vu_verdict update_verdict(struct vu_ring *r, const struct vu_message *m)
{
    bool ran = r->running;
    int rc = vu_ring_update(r);

    if (rc == ANYHV_LATER)
        return VU_LATER;
    if (rc != ANYHV_OK)
        return vu_refused(m, "ring %u cannot %s: %s", r->index, ran ? "stop cleanly" : "start",
                          anyhv_result_name(rc));
    return VU_DONE;
}

/* NULL, with a line in the log: the index is out of range, which ends the connection. */
static struct vu_ring *find_ring(struct vu_connection *c, const struct vu_message *m,
                                 uint64_t index)
{
    if (index < c->nrings)
        return &c->rings[index];
    vu_malformed(m, "ring %" PRIu64 ", the device has %u", index, c->nrings);
    return NULL;
}

enum vu_verdict vu_set_vring_num(struct vu_connection *c, struct vu_message *m)
{
    struct vu_ring *r = find_ring(c, m, m->payload.state.index);
    uint32_t num = m->payload.state.num, max;

    if (!r)
        return VU_END;
    max = anyhv_ctl_queue_max(&c->dev, r->index);
    if (num == 0 || num > max)
        return vu_refused(m, "ring %u: size %" PRIu32 ", not 1 to %" PRIu32, r->index, num, max);
    if (c->features_set && !vu_rings_packed(c) && (num & (num - 1)))
        return vu_refused(m, "ring %u: size %" PRIu32 " is not a power of two", r->index, num);
    if (r->running && num != r->num)
        return vu_refused(m, "ring %u runs with size %u", r->index, r->num);
    r->num = (uint16_t)num;
    return VU_DONE;
}

/* Tells which of the three areas is not in memory. */
static enum vu_verdict check_addr(const struct vu_connection *c, const struct vu_message *m)
{
    const struct vu_vring_addr *a = &m->payload.addr;
    const struct {
        const char *name;
        uint64_t user;
    } areas[] = {{"desc", a->desc}, {"avail", a->avail}, {"used", a->used}};
    uint64_t guest;

    for (unsigned i = 0; i < 3; i++) {
        if (!vu_memory_translate(&c->memory, areas[i].user, &guest))
            return vu_refused(m, "ring %" PRIu32 ": %s at 0x%" PRIx64 " is not in memory", a->index,
                              areas[i].name, areas[i].user);
    }
    return VU_DONE;
}

enum vu_verdict vu_set_vring_addr(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_vring_addr *a = &m->payload.addr;
    struct vu_ring *r = find_ring(c, m, a->index);
    enum vu_verdict verdict;

    if (!r)
        return VU_END;
    if (a->flags & ~((c->protocol & VU_P_LOG_SHMFD) ? VU_VRING_LOG : 0))
        return vu_refused(m, "ring %u: flags 0x%" PRIx32, r->index, a->flags);
    verdict = check_addr(c, m);
    if (verdict != VU_DONE)
        return verdict;
    r->user_desc = a->desc;
    r->user_avail = a->avail;
    r->user_used = a->used;
    r->user_log = (struct vu_ring_log){.on = a->flags & VU_VRING_LOG, .addr = a->log};
    r->has_addr = true;
    return update_verdict(r, m); /* also handled again while a running ring drains */
}

/* Core checks again at the start; here the message can still be named. */
static bool base_fits(const struct vu_ring *r, uint32_t base)
{
    if (!r->connection->features_set)
        return true;
    if (!vu_rings_packed(r->connection))
        return base <= UINT16_MAX;
    return !r->num || ((base & 0x7fff) < r->num && (base >> 16 & 0x7fff) < r->num);
}

enum vu_verdict vu_set_vring_base(struct vu_connection *c, struct vu_message *m)
{
    struct vu_ring *r = find_ring(c, m, m->payload.state.index);
    uint32_t base = m->payload.state.num;

    if (!r)
        return VU_END;
    if (r->running)
        return vu_refused(m, "ring %u runs", r->index);
    if (!base_fits(r, base))
        return vu_refused(m, "ring %u: base 0x%" PRIx32 " is outside a ring of %u", r->index, base,
                          r->num);
    r->base = base;
    r->has_base = true;
    return VU_DONE;
}

enum vu_verdict vu_get_vring_base(struct vu_connection *c, struct vu_message *m)
{
    struct vu_ring *r = find_ring(c, m, m->payload.state.index);
    struct vu_vring_state state;
    int rc;

    if (!r)
        return VU_END;
    r->kicked = false;
    rc = vu_ring_update(r);
    if (rc == ANYHV_LATER)
        return VU_LATER;
    if (rc != ANYHV_OK)
        return vu_malformed(m, "ring %u has answers to give, and its memory is gone", r->index);
    vu_ring_drop_kick(r);
    vu_signal_set(&r->call, -1);
    state = (struct vu_vring_state){.index = r->index, .num = vu_ring_base(r)};
    return vu_reply(c, &state, sizeof(state));
}

/*
 * The common part of kick, call and err: *@ring and *@fd (-1: the message has none; else ours, and
 * still in the message).
 */
static enum vu_verdict ring_fd(struct vu_connection *c, const struct vu_message *m,
                               struct vu_ring **ring, int *fd)
{
    uint64_t value = m->payload.u64;
    bool none = value & VU_VRING_NO_FD;

    if (value & ~(VU_VRING_INDEX_MASK | VU_VRING_NO_FD))
        return vu_malformed(m, "value 0x%" PRIx64 " has unknown bits", value);
    *ring = find_ring(c, m, value & VU_VRING_INDEX_MASK);
    if (!*ring)
        return VU_END;
    if (m->nfds != (none ? 0u : 1u))
        return vu_malformed(m, "%u descriptors with value 0x%" PRIx64, m->nfds, value);
    *fd = none ? -1 : m->fds[0];
    if (*fd >= 0 && vu_event_check(*fd) < 0)
        return vu_refused(m, "ring %u: fd is no eventfd, pipe or socket pair", (*ring)->index);
    return VU_DONE;
}

/* The descriptor in the message, from now on ours; -1: it has none. */
static int take_fd(struct vu_message *m)
{
    return m->nfds ? vu_take_fd(m, 0) : -1;
}

static enum vu_verdict set_kick(struct vu_connection *c, struct vu_message *m)
{
    struct anyhv_loop *loop = c->module->server->loop;
    enum vu_verdict verdict;
    struct vu_ring *r;
    int fd, rc;

    verdict = ring_fd(c, m, &r, &fd);
    if (verdict != VU_DONE)
        return verdict;
    if (fd >= 0 && vu_event_is_semaphore(fd))
        return vu_refused(m, "ring %u: fd is a semaphore", r->index);
    anyhv_watch_del(&r->kick);
    rc = fd < 0 ? 0 : anyhv_watch_add(loop, &r->kick, fd, EPOLLIN);
    if (rc < 0) {
        if (r->kick_fd >= 0)
            anyhv_watch_add(loop, &r->kick, r->kick_fd, EPOLLIN);
        return vu_refused(m, "ring %u: fd cannot be watched: %s", r->index, strerror(-rc));
    }
    vu_fd_close(&r->kick_fd);
    r->kick_fd = take_fd(m);
    r->polled = fd < 0;
    r->kicked = true;
    if (r->running) {
        vu_ring_look(r); /* a kick may have gone into the old descriptor */
        if (r->polled)
            anyhv_timer_set(loop, &c->poll, VU_POLL_NS);
    }
    return VU_DONE;
}

enum vu_verdict vu_set_vring_kick(struct vu_connection *c, struct vu_message *m)
{
    enum vu_verdict verdict;

    if (!m->step) {
        verdict = set_kick(c, m);
        if (verdict != VU_DONE)
            return verdict;
        m->step = 1; /* the descriptor is taken */
    }
    return update_verdict(&c->rings[m->payload.u64 & VU_VRING_INDEX_MASK], m);
}

enum vu_verdict vu_set_vring_call(struct vu_connection *c, struct vu_message *m)
{
    enum vu_verdict verdict;
    struct vu_ring *r;
    int fd;

    verdict = ring_fd(c, m, &r, &fd);
    if (verdict != VU_DONE)
        return verdict;
    vu_signal_set(&r->call, take_fd(m));
    /* What went into the old descriptor a moment ago may never be read: QEMU swaps them live. */
    if (r->running)
        vu_ring_signal(&r->call, r, "call");
    return VU_DONE;
}

enum vu_verdict vu_set_vring_err(struct vu_connection *c, struct vu_message *m)
{
    enum vu_verdict verdict;
    struct vu_ring *r;
    int fd;

    verdict = ring_fd(c, m, &r, &fd);
    if (verdict != VU_DONE)
        return verdict;
    vu_signal_set(&r->err, take_fd(m));
    if (anyhv_ctl_queue_broken(&c->dev, r->index))
        vu_ring_signal(&r->err, r, "errors");
    return VU_DONE;
}

enum vu_verdict vu_set_vring_enable(struct vu_connection *c, struct vu_message *m)
{
    struct vu_ring *r = find_ring(c, m, m->payload.state.index);

    if (!r)
        return VU_END;
    if (m->payload.state.num > 1)
        return vu_refused(m, "ring %u: %" PRIu32 " is neither 0 nor 1", r->index,
                          m->payload.state.num);
    r->enabled = m->payload.state.num;
    return update_verdict(r, m);
}

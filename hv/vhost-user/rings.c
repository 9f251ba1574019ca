/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings. The protocol knows "started" (SET_VRING_KICK came) and "enabled" (SET_VRING_ENABLE); core
 * runs a queue exactly while both are true, so that a ring that is not enabled has no side
 * effects: its requests have been finished or given back before the front end hears "done".
 *
 * Every message changes wishes only; ring_update() then makes core follow.
 */
#include "vu.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#define DRIVER_READY \
    (ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_FEATURES_OK | ANYHV_S_DRIVER_OK)

/* ---- signals ---- */

static void signal_peer(int *fd, const struct vu_ring *r, const char *what)
{
    if (*fd < 0 || vu_event_signal(*fd) == 0)
        return;
    anyhv_log(ANYHV_LOG_INFO, "vu.signal", "ring %u: nobody receives its %s any more", r->index,
              what);
    vu_fd_close(fd);
}

static void kick_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct vu_ring *r = watch->priv;
    int rc = vu_event_drain(r->kick_fd);

    (void)events;
    if (rc < 0) {
        /* Closed at the other end, or nothing that can be read: it would stay ready for ever. */
        anyhv_log(ANYHV_LOG_INFO, "vu.signal", "ring %u: its kick is gone", r->index);
        anyhv_watch_del(&r->kick);
        vu_fd_close(&r->kick_fd);
    }
    /* Core looks at a ring by itself when it starts. */
    if (rc > 0 && r->running)
        anyhv_ctl_kick(&r->connection->dev, r->index);
}

/* Rings without a kick are looked at from time to time. */
static void poll_rings(struct anyhv_timer *timer)
{
    struct vu_connection *c = timer->priv;
    bool again = false;

    for (unsigned i = 0; i < c->nrings; i++) {
        if (!c->rings[i].polled || !c->rings[i].running)
            continue;
        again = true;
        anyhv_ctl_kick(&c->dev, i);
    }
    if (again)
        anyhv_timer_set(c->module->server->loop, &c->poll, VU_POLL_NS);
}

/* ---- the port: what core asks of us ---- */

static void port_notify(struct anyhv_dev *dev, int queue)
{
    struct vu_connection *c = anyhv_dev_port(dev);

    if (!c->open)
        return;
    if (queue == ANYHV_CONFIG)
        vu_backend_config_changed(c);
    else
        signal_peer(&c->rings[queue].call_fd, &c->rings[queue], "call");
}

static void port_work(struct anyhv_dev *dev)
{
    struct vu_connection *c = anyhv_dev_port(dev);

    if (c->open)
        anyhv_task_ready(c->module->server->loop, &c->work);
}

static void port_queue_changed(struct anyhv_dev *dev, unsigned queue)
{
    struct vu_connection *c = anyhv_dev_port(dev);

    if (c->open && anyhv_ctl_queue_broken(dev, queue))
        signal_peer(&c->rings[queue].err_fd, &c->rings[queue], "errors");
}

static void port_quiet(struct anyhv_dev *dev)
{
    struct vu_connection *c = anyhv_dev_port(dev);

    if (c->open)
        anyhv_task_ready(c->module->server->loop, &c->resume);
}

/*
 * Left out: ACCESS_PLATFORM (no IOTLB), NOTIFICATION_DATA (a kick is an event without data),
 * RING_RESET and SUSPEND (no message carries them), ORDER_PLATFORM (both ends share the caches).
 */
const struct anyhv_port_ops vu_port = {
    .notify = port_notify,
    .work = port_work,
    .queue_changed = port_queue_changed,
    .quiet = port_quiet,
    .features = ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_VERSION_1 |
                ANYHV_F_RING_PACKED | ANYHV_F_IN_ORDER,
};

/* ---- wishes -> core ---- */

static bool packed(const struct vu_connection *c)
{
    return c->features & ANYHV_F_RING_PACKED;
}

static uint32_t ring_base(const struct vu_ring *r)
{
    if (r->has_base)
        return r->base;
    return packed(r->connection) ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT;
}

/* Where the ring is in guest addresses, by the table of this moment. False: not in it. */
static bool locate(const struct vu_ring *r, struct anyhv_queue_setup *setup)
{
    const struct vu_connection *c = r->connection;

    return r->has_addr && vu_memory_translate(c, r->user_desc, &setup->desc) &&
           vu_memory_translate(c, r->user_avail, &setup->driver) &&
           vu_memory_translate(c, r->user_used, &setup->device);
}

static bool wanted(const struct vu_ring *r)
{
    return r->kicked && r->enabled && r->has_addr && r->num && vu_negotiated(r->connection);
}

static int ring_stop(struct vu_ring *r)
{
    int rc = anyhv_ctl_queue_stop(&r->connection->dev, r->index, true, &r->base);

    if (rc != ANYHV_OK)
        return rc;
    r->has_base = true;
    r->running = false;
    return ANYHV_OK;
}

static int ring_start(struct vu_ring *r, bool located)
{
    struct vu_connection *c = r->connection;
    int rc = located ? vu_negotiate(c) : ANYHV_E_BADADDR;

    r->setup.size = r->num;
    r->setup.base = ring_base(r);
    if (rc == ANYHV_OK)
        rc = anyhv_ctl_queue_start(&c->dev, r->index, &r->setup);
    if (rc != ANYHV_OK) {
        r->kicked = false; /* not started: tried again when the front end says so again */
        return rc;
    }
    r->running = true;
    /*
     * A ring that is started and enabled is served: the protocol's own rule, which knows no
     * DRIVER_OK. QEMU (10.0) negotiates STATUS and yet never sends DRIVER_OK for an rng device.
     */
    anyhv_ctl_set_status(&c->dev, DRIVER_READY);
    if (r->polled)
        anyhv_timer_set(c->module->server->loop, &c->poll, VU_POLL_NS);
    vu_backend_flush(c);
    return ANYHV_OK;
}

static bool same_place(const struct anyhv_queue_setup *a, const struct anyhv_queue_setup *b)
{
    return a->desc == b->desc && a->driver == b->driver && a->device == b->device;
}

/*
 * ANYHV_LATER: a request has to be finished first, port->quiet tells when.
 *
 * A ring whose memory left the table runs on in core's eyes, without memory, until its guest
 * address comes back; behind which front-end address makes no difference. Only when the
 * front-end address now means another guest address the ring moves.
 */
static int ring_update(struct vu_ring *r)
{
    struct anyhv_queue_setup now = r->setup;
    bool located = locate(r, &now);
    int rc;

    if (r->running && (!wanted(r) || (located && !same_place(&now, &r->setup)))) {
        rc = ring_stop(r);
        if (rc != ANYHV_OK)
            return rc;
    }
    if (!wanted(r) || r->running)
        return ANYHV_OK;
    if (located)
        r->setup = now;
    return ring_start(r, located);
}

int vu_rings_update(struct vu_connection *c)
{
    int result = ANYHV_OK;

    for (unsigned i = 0; i < c->nrings; i++) {
        int rc = ring_update(&c->rings[i]);

        if (rc == ANYHV_LATER)
            return rc;
        if (rc != ANYHV_OK)
            result = rc;
    }
    return result;
}

static enum vu_verdict update_verdict(struct vu_ring *r, const struct vu_message *m)
{
    int rc = ring_update(r);

    if (rc == ANYHV_LATER)
        return VU_LATER;
    if (rc != ANYHV_OK)
        return vu_refused(m, "ring %u cannot start: %s", r->index, anyhv_result_name(rc));
    return VU_DONE;
}

/* ---- all rings ---- */

void vu_rings_init(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        struct vu_ring *r = &c->rings[i];

        *r = (struct vu_ring){.connection = c, .index = i};
        r->kick_fd = r->call_fd = r->err_fd = -1;
        r->kick = (struct anyhv_watch){.ready = kick_ready, .priv = r};
    }
    c->poll = (struct anyhv_timer){.fire = poll_rings, .priv = c};
}

static void drop_kick(struct vu_ring *r)
{
    anyhv_watch_del(&r->kick);
    vu_fd_close(&r->kick_fd);
    r->kicked = r->polled = false;
}

void vu_rings_drop(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        drop_kick(&c->rings[i]);
        vu_fd_close(&c->rings[i].call_fd);
        vu_fd_close(&c->rings[i].err_fd);
        c->rings[i].running = false;
    }
    anyhv_timer_cancel(&c->poll);
}

void vu_rings_reset(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        struct vu_ring *r = &c->rings[i];

        drop_kick(r);
        r->running = r->enabled = r->has_addr = r->has_base = false;
        r->num = 0;
    }
    anyhv_timer_cancel(&c->poll);
}

bool vu_rings_running(const struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        if (c->rings[i].running)
            return true;
    }
    return false;
}

void vu_rings_enable_all(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++)
        c->rings[i].enabled = true;
}

/* ---- messages ---- */

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
    if (c->features_set && !packed(c) && (num & (num - 1)))
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
        if (!vu_memory_translate(c, areas[i].user, &guest))
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
    if (a->flags)
        return vu_refused(m, "ring %u: flags 0x%" PRIx32 ", but no log was offered", r->index,
                          a->flags);
    verdict = check_addr(c, m);
    if (verdict != VU_DONE)
        return verdict;
    r->user_desc = a->desc;
    r->user_avail = a->avail;
    r->user_used = a->used;
    r->has_addr = true;
    return update_verdict(r, m); /* also handled again while a running ring drains */
}

/* Core checks again at the start; here the message can still be named. */
static bool base_fits(const struct vu_ring *r, uint32_t base)
{
    if (!r->connection->features_set)
        return true;
    if (!packed(r->connection))
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

    if (!r)
        return VU_END;
    r->kicked = false;
    if (ring_update(r) == ANYHV_LATER)
        return VU_LATER;
    drop_kick(r);
    vu_fd_close(&r->call_fd);
    state = (struct vu_vring_state){.index = r->index, .num = ring_base(r)};
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
        return vu_refused(m, "ring %u: fd is no eventfd, pipe or socket", (*ring)->index);
    return VU_DONE;
}

/* Replaces one of a ring's descriptors by the one in the message, if any. */
static void replace_fd(int *old, struct vu_message *m)
{
    vu_fd_close(old);
    if (m->nfds)
        *old = vu_take_fd(m, 0);
}

static enum vu_verdict set_kick(struct vu_connection *c, struct vu_message *m)
{
    enum vu_verdict verdict;
    struct vu_ring *r;
    int fd, rc;

    verdict = ring_fd(c, m, &r, &fd);
    if (verdict != VU_DONE)
        return verdict;
    drop_kick(r);
    if (fd >= 0) {
        rc = anyhv_watch_add(c->module->server->loop, &r->kick, fd, EPOLLIN);
        if (rc < 0)
            return vu_refused(m, "ring %u: fd cannot be watched: %s", r->index, strerror(-rc));
    }
    replace_fd(&r->kick_fd, m);
    r->polled = fd < 0;
    r->kicked = true;
    if (r->polled && r->running)
        anyhv_timer_set(c->module->server->loop, &c->poll, VU_POLL_NS);
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
    replace_fd(&r->call_fd, m);
    /* What went into the old descriptor a moment ago may never be read: QEMU swaps them live. */
    if (r->running)
        signal_peer(&r->call_fd, r, "call");
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
    replace_fd(&r->err_fd, m);
    if (anyhv_ctl_queue_broken(&c->dev, r->index))
        signal_peer(&r->err_fd, r, "errors");
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

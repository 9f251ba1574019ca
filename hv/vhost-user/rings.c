/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings. The protocol knows "started" (SET_VRING_KICK came) and "enabled" (SET_VRING_ENABLE); core
 * runs a queue exactly while both are true, so that a ring that is not enabled has no side
 * effects: its requests have been finished or given back before the front end hears "done".
 *
 * Every message changes wishes only; vu_ring_update() then makes core follow.
 */
#include "vu.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#define DRIVER_READY \
    (ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_FEATURES_OK | ANYHV_S_DRIVER_OK)

/* ---- signals ---- */

void vu_ring_signal(struct vu_signal *signal, const struct vu_ring *r, const char *what)
{
    if (signal->fd < 0 || vu_signal_send(signal) == 0)
        return;
    anyhv_log(ANYHV_LOG_INFO, "vu.signal", "ring %u: nobody receives its %s any more", r->index,
              what);
    vu_signal_set(signal, -1);
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

void vu_ring_look(struct vu_ring *r)
{
    anyhv_ctl_queue_pause(&r->connection->dev, r->index, false);
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
        vu_ring_look(&c->rings[i]);
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
        vu_ring_signal(&c->rings[queue].call, &c->rings[queue], "call");
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
        vu_ring_signal(&c->rings[queue].err, &c->rings[queue], "errors");
}

static void port_quiet(struct anyhv_dev *dev)
{
    struct vu_connection *c = anyhv_dev_port(dev);

    if (c->open)
        anyhv_task_ready(c->module->server->loop, &c->resume);
}

const struct anyhv_port_ops vu_port = {
    .notify = port_notify,
    .work = port_work,
    .queue_changed = port_queue_changed,
    .quiet = port_quiet,
    .features = VU_RING_FEATURES,
};

/* ---- wishes -> core ---- */

bool vu_rings_packed(const struct vu_connection *c)
{
    return c->features & ANYHV_F_RING_PACKED;
}

uint32_t vu_ring_base(const struct vu_ring *r)
{
    if (r->has_base)
        return r->base;
    return vu_rings_packed(r->connection) ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT;
}

/* Where the ring is in guest addresses, by a memory table. False: not in it. */
static bool locate(const struct vu_ring *r, const struct vu_table *table,
                   struct anyhv_queue_setup *setup)
{
    return r->has_addr && vu_memory_translate(table, r->user_desc, &setup->desc) &&
           vu_memory_translate(table, r->user_avail, &setup->driver) &&
           vu_memory_translate(table, r->user_used, &setup->device);
}

static bool wanted(const struct vu_ring *r)
{
    return r->kicked && r->enabled && r->has_addr && r->num && vu_negotiated(r->connection);
}

/*
 * ANYHV_LATER: it drains. ANYHV_E_BADADDR: requests are in work and the ring's memory has gone, so
 * nobody can say where it would go on; it has stopped all the same.
 */
static int ring_stop(struct vu_ring *r)
{
    int rc = anyhv_ctl_queue_stop(&r->connection->dev, r->index, true, &r->base);

    if (rc == ANYHV_LATER)
        return rc;
    if (rc != ANYHV_OK) {
        anyhv_ctl_queue_stop(&r->connection->dev, r->index, false, NULL);
        r->kicked = false;
    }
    r->has_base = rc == ANYHV_OK;
    r->running = false;
    return rc;
}

/*
 * Linux's virtio_uml (6.1) begins a new packed ring at base 0, as if it were a split one: wrap
 * counters 0. A ring that has really come to that place has been filled an odd number of times, and
 * its first descriptor shows it: AVAIL since the driver was there last, or USED since it is there
 * again. In a new one it is all zero.
 */
static bool is_new_packed(const struct vu_ring *r)
{
    uint8_t flags[2];

    return vu_rings_packed(r->connection) && r->has_base && r->base == 0 &&
           anyhv_mem_read(&r->connection->mem, r->setup.desc + 14, flags, sizeof(flags)) ==
               ANYHV_OK &&
           flags[0] == 0 && flags[1] == 0;
}

static int ring_start(struct vu_ring *r, bool located)
{
    struct vu_connection *c = r->connection;
    int rc = located ? vu_negotiate(c) : ANYHV_E_BADADDR;

    r->setup.size = r->num;
    r->setup.base = is_new_packed(r) ? ANYHV_BASE_PACKED : vu_ring_base(r);
    if (rc == ANYHV_OK)
        rc = anyhv_ctl_queue_start(&c->dev, r->index, &r->setup);
    if (rc != ANYHV_OK) {
        r->kicked = false; /* not started: tried again when the front end says so again */
        return rc;
    }
    r->running = true;
    /*
     * A ring that is started and enabled is served: the protocol's own rule, which knows no
     * DRIVER_OK. QEMU (10.0) negotiates STATUS and yet never sends DRIVER_OK for an rng device. To
     * one that its driver has suspended, or is about to, DRIVER_OK would say "go on".
     */
    if (!(anyhv_ctl_status(&c->dev) & (ANYHV_S_DRIVER_OK | ANYHV_S_SUSPEND)))
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
 * A ring whose memory left the table runs on in core's eyes, without memory, until its guest
 * address comes back; behind which front-end address makes no difference. Only when the
 * front-end address now means another guest address the ring moves.
 */
int vu_ring_update(struct vu_ring *r)
{
    struct anyhv_queue_setup now = r->setup;
    bool located = locate(r, &r->connection->memory, &now);
    int rc;

    if (r->running && (!wanted(r) || (located && !same_place(&now, &r->setup)))) {
        rc = ring_stop(r);
        if (rc != ANYHV_OK)
            return rc;
    }
    r->log = r->user_log;
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
        int rc = vu_ring_update(&c->rings[i]);

        if (rc == ANYHV_LATER)
            return rc;
        if (rc != ANYHV_OK)
            result = rc;
    }
    return result;
}

int vu_rings_make_way(struct vu_connection *c, const struct vu_table *table)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        struct vu_ring *r = &c->rings[i];
        struct anyhv_queue_setup then = r->setup;
        int rc;

        if (!r->running || !locate(r, table, &then) || same_place(&then, &r->setup))
            continue;
        rc = ring_stop(r);
        if (rc != ANYHV_OK)
            return rc;
    }
    return ANYHV_OK;
}

/* ---- all rings ---- */

void vu_rings_init(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        struct vu_ring *r = &c->rings[i];

        *r = (struct vu_ring){.connection = c, .index = i};
        r->kick_fd = r->call.fd = r->err.fd = -1;
        r->kick = (struct anyhv_watch){.ready = kick_ready, .priv = r};
    }
    c->poll = (struct anyhv_timer){.fire = poll_rings, .priv = c};
}

void vu_ring_drop_kick(struct vu_ring *r)
{
    anyhv_watch_del(&r->kick);
    vu_fd_close(&r->kick_fd);
    r->kicked = r->polled = false;
}

void vu_rings_drop(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        vu_ring_drop_kick(&c->rings[i]);
        vu_signal_set(&c->rings[i].call, -1);
        vu_signal_set(&c->rings[i].err, -1);
        c->rings[i].running = false;
    }
    anyhv_timer_cancel(&c->poll);
}

void vu_rings_reset(struct vu_connection *c)
{
    for (unsigned i = 0; i < c->nrings; i++) {
        struct vu_ring *r = &c->rings[i];

        vu_ring_drop_kick(r);
        r->running = r->enabled = r->has_addr = r->has_base = false;
        r->user_log.on = r->log.on = false;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One front end, from accept to the end: messages are put together byte by byte, checked against
 * the table of requests, handled one at a time in order, and answered.
 *
 * A message that has to wait until the device is quiet stays in c->in, and the socket is not read
 * meanwhile, only watched for the peer's death.
 */
#include "vu.h"

#include <anyhv/port.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what is said about a message ---- */

static const char *message_name(const struct vu_message *m, char *buf, size_t size)
{
    const struct vu_request *row;

    if (m->have < sizeof(m->header))
        return "header";
    row = vu_request_find(m->header.request);
    if (row)
        return row->name;
    snprintf(buf, size, "request %" PRIu32, m->header.request);
    return buf;
}

__attribute__((format(printf, 3, 0))) static void log_message(const struct vu_message *m,
                                                              const char *event, const char *fmt,
                                                              va_list ap)
{
    char name[32], text[256];

    vsnprintf(text, sizeof(text), fmt, ap);
    anyhv_log(ANYHV_LOG_WARNING, event, "%s: %s", message_name(m, name, sizeof(name)), text);
}

enum vu_verdict vu_malformed(const struct vu_message *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_message(m, "vu.malformed", fmt, ap);
    va_end(ap);
    return VU_END;
}

enum vu_verdict vu_refused(const struct vu_message *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_message(m, "vu.refused", fmt, ap);
    va_end(ap);
    return VU_REFUSED;
}

/* ---- answers ---- */

enum vu_verdict vu_reply_fd(struct vu_connection *c, const void *payload, uint32_t size, int fd)
{
    struct vu_header header = {
        .request = c->in.header.request, .flags = VU_VERSION | VU_REPLY_FLAG, .size = size};
    uint8_t buf[sizeof(header) + sizeof(struct vu_config)];
    int rc;

    ANYHV_ASSERT(size <= sizeof(struct vu_config));
    memcpy(buf, &header, sizeof(header));
    memcpy(buf + sizeof(header), payload, size);
    rc = anyhv_socket_send(c->fd, buf, sizeof(header) + size, &fd, fd < 0 ? 0 : 1);
    if (rc == 0)
        return VU_REPLIED;
    if (rc == -EAGAIN)
        return vu_malformed(&c->in, "answer does not fit: the front end does not read its socket");
    return vu_malformed(&c->in, "answer cannot be sent: %s", strerror(-rc));
}

enum vu_verdict vu_reply(struct vu_connection *c, const void *payload, uint32_t size)
{
    return vu_reply_fd(c, payload, size, -1);
}

enum vu_verdict vu_reply_u64(struct vu_connection *c, uint64_t value)
{
    return vu_reply(c, &value, sizeof(value));
}

/*
 * Asked after the message was handled: SET_PROTOCOL_FEATURES may want an answer by virtue of what
 * it has just turned on, and User-Mode Linux does.
 */
static bool wants_ack(const struct vu_connection *c)
{
    return (c->protocol & VU_P_REPLY_ACK) && (c->in.header.flags & VU_NEED_REPLY);
}

static enum vu_verdict answer(struct vu_connection *c, enum vu_verdict verdict)
{
    const struct vu_request *row = vu_request_find(c->in.header.request);

    if (verdict == VU_DONE && wants_ack(c))
        return vu_reply_u64(c, 0);
    if (verdict == VU_REFUSED && wants_ack(c) && !(row && row->answered))
        return vu_reply_u64(c, 1);
    return verdict == VU_REFUSED ? VU_END : verdict;
}

/* ---- messages in ---- */

int vu_take_fd(struct vu_message *m, unsigned i)
{
    int fd = m->fds[i];

    m->fds[i] = -1;
    return fd;
}

static void message_reset(struct vu_message *m)
{
    for (unsigned i = 0; i < m->nfds; i++)
        vu_fd_close(&m->fds[i]);
    m->nfds = m->surplus = m->step = 0;
    m->have = 0;
}

static void keep_fds(struct vu_message *m, const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (m->nfds < VU_MAX_FDS) {
            m->fds[m->nfds++] = fds[i];
        } else {
            m->surplus++;
            close(fds[i]);
        }
    }
}

/* As early as possible: nothing is waited for that would be refused anyway. */
static enum vu_verdict check_header(const struct vu_message *m)
{
    const struct vu_header *h = &m->header;
    const struct vu_request *row = vu_request_find(h->request);

    if ((h->flags & VU_VERSION_MASK) != VU_VERSION)
        return vu_malformed(m, "version %" PRIu32, h->flags & VU_VERSION_MASK);
    if (h->flags & ~(VU_VERSION_MASK | VU_NEED_REPLY))
        return vu_malformed(m, "flags 0x%" PRIx32, h->flags);
    if (h->size > VU_MAX_PAYLOAD)
        return vu_malformed(m, "size %" PRIu32 " is more than %u", h->size, VU_MAX_PAYLOAD);
    if (row && row->handle && (h->size < row->size_min || h->size > row->size_max))
        return vu_malformed(m, "size %" PRIu32 ", not %u to %u", h->size, row->size_min,
                            row->size_max);
    return VU_DONE;
}

static enum vu_verdict peer_gone(const struct vu_message *m, ssize_t n)
{
    if (n < 0)
        return vu_malformed(m, "receive: %s", strerror((int)-n));
    if (m->have)
        return vu_malformed(m, "the front end left after %zu bytes of it", m->have);
    return VU_END;
}

/* VU_DONE: a whole message is there; VU_LATER: not yet. */
static enum vu_verdict receive(struct vu_connection *c)
{
    struct vu_message *m = &c->in;
    int fds[ANYHV_SOCKET_FDS];
    unsigned nfds;
    size_t want;
    uint8_t *to;
    ssize_t n;

    for (;;) {
        if (m->have < sizeof(m->header)) {
            to = (uint8_t *)&m->header + m->have;
            want = sizeof(m->header) - m->have;
        } else {
            to = m->payload.bytes + (m->have - sizeof(m->header));
            want = sizeof(m->header) + m->header.size - m->have;
        }
        if (!want)
            return VU_DONE;
        nfds = 0;
        n = anyhv_socket_recv(c->fd, to, want, fds, &nfds);
        /* Its own end of this very socket may be one of them: kept, it would never close. */
        if (n == -EAGAIN && m->nfds)
            return vu_malformed(m, "descriptors with %zu bytes of it", m->have);
        if (n == -EAGAIN)
            return VU_LATER;
        if (n <= 0)
            return peer_gone(m, n);
        keep_fds(m, fds, nfds);
        m->have += (size_t)n;
        if (m->have == sizeof(m->header) && check_header(m) != VU_DONE)
            return VU_END;
    }
}

/* ---- dispatch ---- */

/* A request that we do not know, or that belongs to a feature that was not offered. */
static enum vu_verdict not_ours(const struct vu_connection *c, const struct vu_message *m,
                                const struct vu_request *row)
{
    char name[32];

    if (row && row->answered)
        return vu_malformed(m, "not offered, and it cannot go without an answer");
    anyhv_log(ANYHV_LOG_INFO, "vu.unsupported", "%s: not offered, left alone",
              message_name(m, name, sizeof(name)));
    return wants_ack(c) ? VU_REFUSED : VU_DONE;
}

static enum vu_verdict dispatch(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_request *row = vu_request_find(m->header.request);
    unsigned nfds = m->nfds + m->surplus;

    if (!row || !row->handle)
        return not_ours(c, m, row);
    if (nfds < row->fds_min || nfds > row->fds_max)
        return vu_malformed(m, "%u descriptors, not %u to %u", nfds, row->fds_min, row->fds_max);
    if ((c->protocol & row->needs) != row->needs)
        return vu_refused(m, "needs protocol features 0x%" PRIx64 ", negotiated are 0x%" PRIx64,
                          row->needs, c->protocol);
    return row->handle(c, m);
}

static void check_memory(struct vu_connection *c)
{
    if (c->open && (vu_memory_lost(c) || vu_log_failed(c) || vu_inflight_lost(c)))
        vu_connection_end(c);
}

/* Handles the message in c->in, or goes on with it. */
static void handle(struct vu_connection *c)
{
    enum vu_verdict verdict = answer(c, dispatch(c, &c->in));

    if (verdict == VU_LATER) {
        if (!c->deferred)
            anyhv_watch_change(&c->watch, 0); /* a hang-up is reported all the same */
        c->deferred = true;
        return;
    }
    if (verdict == VU_END) {
        vu_connection_end(c);
        return;
    }
    message_reset(&c->in);
    if (c->deferred)
        anyhv_watch_change(&c->watch, EPOLLIN);
    c->deferred = false;
    check_memory(c);
}

static void socket_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct vu_connection *c = watch->priv;
    enum vu_verdict verdict;

    if (c->deferred) {
        if (events & (EPOLLHUP | EPOLLERR))
            vu_connection_end(c);
        return;
    }
    verdict = receive(c);
    if (verdict == VU_DONE)
        handle(c);
    else if (verdict == VU_END)
        vu_connection_end(c);
}

/* ---- work ---- */

/* A buffer that lies in many regions takes time for each, so a turn has fewer requests then. */
static unsigned budget(const struct vu_connection *c)
{
    unsigned regions = c->memory.count;

    return regions <= VU_FEW ? VU_BUDGET : VU_BUDGET * VU_FEW / regions;
}

static bool run_rings(struct anyhv_task *task)
{
    struct vu_connection *c = task->priv;
    bool more = anyhv_dev_run(&c->dev, budget(c));

    check_memory(c);
    return c->open && more;
}

static bool resume_message(struct anyhv_task *task)
{
    struct vu_connection *c = task->priv;

    if (c->deferred)
        handle(c);
    return false;
}

/* ---- beginning and end ---- */

static void log_peer(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        peer.pid = 0;
    anyhv_log(ANYHV_LOG_INFO, "vu.connected", "front end connected (process %d)", (int)peer.pid);
}

static void connection_init(struct vu_connection *c, struct vu_module *module, int fd)
{
    struct vu_ring *rings = c->rings;
    unsigned nrings = c->nrings;

    memset(c, 0, sizeof(*c));
    c->module = module;
    c->rings = rings;
    c->nrings = nrings;
    c->fd = fd;
    c->watch = (struct anyhv_watch){.ready = socket_ready, .priv = c};
    c->work = (struct anyhv_task){.run = run_rings, .priv = c};
    c->resume = (struct anyhv_task){.run = resume_message, .priv = c};
    vu_rings_init(c);
    vu_backend_init(c);
    anyhv_mem_init(&c->mem, c->regions, VU_SLOTS, &vu_mem_ops, c);
    vu_log_init(c);
    vu_state_init(c);
}

static int attach(struct vu_connection *c)
{
    struct anyhv_attach how = {.mem = &c->mem, .port = &vu_port, .port_priv = c};
    int rc = anyhv_instance_create(&c->instance, c->module->server, &c->dev, &how);

    if (rc != ANYHV_OK)
        return rc;
    rc = anyhv_dev_attach(&c->dev, &how);
    if (rc != ANYHV_OK)
        anyhv_instance_destroy(&c->instance);
    return rc;
}

int vu_connection_begin(struct vu_module *module, int fd)
{
    struct vu_connection *c = &module->connection;
    int rc;

    connection_init(c, module, fd);
    rc = attach(c);
    if (rc != ANYHV_OK) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.attach", "no device for a new front end: %s",
                  anyhv_result_name(rc));
        vu_fd_close(&c->fd);
        return rc;
    }
    c->open = true;
    rc = anyhv_watch_add(module->server->loop, &c->watch, fd, EPOLLIN);
    if (rc < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.connected", "cannot watch the connection: %s",
                  strerror(-rc));
        anyhv_ctl_lost(&c->dev);
        anyhv_dev_detach(&c->dev);
        anyhv_instance_destroy(&c->instance);
        c->open = false;
        vu_fd_close(&c->fd);
        return ANYHV_E_IO;
    }
    log_peer(fd);
    return ANYHV_OK;
}

void vu_connection_end(struct vu_connection *c)
{
    anyhv_log(ANYHV_LOG_INFO, "vu.closed", "front end disconnected");
    c->open = false; /* the port does nothing from here on */
    anyhv_watch_del(&c->watch);
    anyhv_task_cancel(&c->resume);
    message_reset(&c->in);
    /* First no more guest access, then no more guest memory. */
    anyhv_ctl_lost(&c->dev);
    anyhv_dev_detach(&c->dev);
    anyhv_instance_destroy(&c->instance);
    anyhv_task_cancel(&c->work);
    vu_rings_drop(c);
    vu_backend_drop(c);
    vu_log_drop(c);
    vu_state_drop(c);
    vu_inflight_drop(c);
    vu_memory_drop(c);
    vu_fd_close(&c->fd);
    vu_module_next(c->module);
}

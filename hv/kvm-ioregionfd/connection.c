/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VMM, from accept to the end: messages are put together, checked against the table of
 * requests, handled one at a time in order, and answered.
 */
#include "ior.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void message_reset(struct ior_message *m)
{
    for (unsigned i = 0; i < m->nfds; i++)
        ior_fd_close(&m->fds[i]);
    memset(m, 0, sizeof(*m));
    m->answer_fd = -1;
}

static void keep_fds(struct ior_message *m, const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (m->nfds < IOR_FDS) {
            m->fds[m->nfds++] = fds[i];
        } else {
            m->surplus++;
            close(fds[i]);
        }
    }
}

static enum ior_verdict peer_gone(const struct ior_message *m, ssize_t n)
{
    if (n < 0)
        return ior_malformed(m, "receive: %s", strerror((int)-n));
    if (m->have)
        return ior_malformed(m, "the VMM left after %zu bytes of it", m->have);
    return IOR_END;
}

/* IOR_DONE: a whole message is there; IOR_LATER: not yet. */
static enum ior_verdict receive(struct ior_connection *c)
{
    struct ior_message *m = &c->message;
    int fds[ANYHV_SOCKET_FDS];
    unsigned nfds = 0;
    ssize_t n;

    while (m->have < sizeof(m->in)) {
        n = anyhv_socket_recv(c->fd, (uint8_t *)&m->in + m->have, sizeof(m->in) - m->have, fds,
                              &nfds);
        if (n == -EAGAIN)
            return IOR_LATER;
        if (n <= 0)
            return peer_gone(m, n);
        keep_fds(m, fds, nfds);
        m->have += (size_t)n;
        /* The VMM's end of this very socket may be one of them: kept, it would never close. */
        if (m->nfds && m->have < sizeof(m->in))
            return ior_malformed(m, "descriptors with %zu bytes of it", m->have);
    }
    return IOR_DONE;
}

static enum ior_verdict check(const struct ior_message *m, const struct ior_request *row)
{
    static const uint8_t zero[sizeof(m->in.u)];
    const uint8_t *payload = (const uint8_t *)&m->in.u;
    unsigned nfds = m->nfds + m->surplus;

    if (!row)
        return ior_malformed(m, "no request %" PRIu32, m->in.request);
    if (m->in.result || memcmp(payload + row->size, zero, sizeof(zero) - row->size))
        return ior_malformed(m, "bytes that it does not use are not 0");
    if (nfds < row->fds_min || nfds > row->fds_max)
        return ior_malformed(m, "%u descriptors, not %u to %u", nfds, row->fds_min, row->fds_max);
    return IOR_DONE;
}

static enum ior_verdict dispatch(struct ior_connection *c, struct ior_message *m)
{
    const struct ior_request *row = ior_request_find(m->in.request);
    enum ior_verdict verdict = check(m, row);

    if (verdict != IOR_DONE)
        return verdict;
    m->answer.request = m->in.request;
    if (!c->greeted && m->in.request != ANYHV_IOR_HELLO)
        return ior_refused(m, ANYHV_IOR_MOMENT, "HELLO comes first");
    return row->handle(c, m);
}

static bool answer(struct ior_connection *c)
{
    const struct ior_message *m = &c->message;
    int rc = anyhv_socket_send(c->fd, &m->answer, sizeof(m->answer), &m->answer_fd,
                               m->answer_fd < 0 ? 0 : 1);

    if (rc)
        ior_malformed(m, "its answer cannot be sent: %s", strerror(-rc));
    return rc == 0;
}

/* Handles the message that has come, or goes on with it. */
static void handle(struct ior_connection *c)
{
    enum ior_verdict verdict = dispatch(c, &c->message);

    if (verdict == IOR_LATER) {
        if (!c->deferred)
            anyhv_watch_change(&c->watch, 0); /* a hang-up is reported all the same */
        c->deferred = true;
        return;
    }
    if (verdict == IOR_END || !answer(c)) {
        ior_connection_end(c);
        return;
    }
    message_reset(&c->message);
    if (c->deferred)
        anyhv_watch_change(&c->watch, EPOLLIN);
    c->deferred = false;
}

static void socket_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct ior_connection *c = watch->priv;
    enum ior_verdict verdict;

    if (c->deferred) {
        if (events & (EPOLLHUP | EPOLLERR))
            ior_connection_end(c);
        return;
    }
    verdict = receive(c);
    if (verdict == IOR_DONE)
        handle(c);
    else if (verdict == IOR_END)
        ior_connection_end(c);
}

static bool handle_again(struct anyhv_task *task)
{
    struct ior_connection *c = task->priv;

    if (c->deferred)
        handle(c);
    return false;
}

static bool run_rings(struct anyhv_task *task)
{
    struct ior_connection *c = task->priv;
    bool more = anyhv_dev_run(&c->mmio.dev, IOR_BUDGET);

    if (ior_memory_lost(c)) {
        ior_connection_end(c);
        return false;
    }
    return more;
}

/* ---- beginning and end ---- */

static struct ior_event *new_kicks(unsigned queues)
{
    struct ior_event *kicks = calloc(queues, sizeof(*kicks));

    for (unsigned i = 0; kicks && i < queues; i++)
        kicks[i].fd = -1;
    return kicks;
}

int ior_connection_begin(struct ior_module *module, int fd)
{
    struct ior_connection *c = &module->connection;
    int rc;

    memset(c, 0, sizeof(*c));
    c->module = module;
    c->fd = fd;
    c->irq = c->state_fd = c->wire.fd = c->resample.fd = -1;
    c->watch = (struct anyhv_watch){.ready = socket_ready, .priv = c};
    c->work = (struct anyhv_task){.run = run_rings, .priv = c};
    c->again = (struct anyhv_task){.run = handle_again, .priv = c};
    message_reset(&c->message);
    anyhv_mem_init(&c->mem, c->table, ANYHV_IOR_SLOTS, NULL, c);
    c->kicks = new_kicks(module->server->cls->ops->queues);
    rc = c->kicks ? anyhv_watch_add(module->server->loop, &c->watch, fd, EPOLLIN) : -ENOMEM;
    if (rc) {
        anyhv_log(ANYHV_LOG_ERROR, "ior.connected", "cannot serve a VMM: %s", strerror(-rc));
        free(c->kicks);
        ior_fd_close(&c->fd);
        return ANYHV_E_NORES;
    }
    c->open = true;
    anyhv_log(ANYHV_LOG_INFO, "ior.connected", "a VMM has connected");
    return ANYHV_OK;
}

void ior_connection_end(struct ior_connection *c)
{
    anyhv_log(ANYHV_LOG_INFO, "ior.closed", "the VMM is gone");
    c->open = false;
    anyhv_watch_del(&c->watch);
    anyhv_task_cancel(&c->again);
    message_reset(&c->message);
    ior_wire_end(c);
    for (unsigned i = 0; i < c->module->server->cls->ops->queues; i++)
        ior_event_drop(&c->kicks[i]);
    ior_event_drop(&c->resample);
    /* First no more guest access, then no more guest memory. */
    ior_device_end(c);
    anyhv_task_cancel(&c->work);
    ior_memory_drop(c);
    ior_state_drop(c);
    ior_fd_close(&c->irq);
    free(c->kicks);
    ior_fd_close(&c->fd);
}

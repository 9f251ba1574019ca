/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests, and those that are about the device as a whole. */
#include "ior.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* ---- what is said about a message ---- */

const char *ior_request_name(const struct ior_message *m)
{
    const struct ior_request *row =
        m->have < sizeof(m->in.request) ? NULL : ior_request_find(m->in.request);

    return row ? row->name : "message";
}

__attribute__((format(printf, 3, 0))) static void log_message(const struct ior_message *m,
                                                              const char *event, const char *fmt,
                                                              va_list ap)
{
    char text[192];

    vsnprintf(text, sizeof(text), fmt, ap);
    anyhv_log(ANYHV_LOG_WARNING, event, "%s: %s", ior_request_name(m), text);
}

enum ior_verdict ior_malformed(const struct ior_message *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_message(m, "ior.malformed", fmt, ap);
    va_end(ap);
    return IOR_END;
}

enum ior_verdict ior_refused(struct ior_message *m, enum anyhv_ior_result result, const char *fmt,
                             ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_message(m, "ior.refused", fmt, ap);
    va_end(ap);
    m->answer.result = result;
    return IOR_REFUSED;
}

int ior_take_fd(struct ior_message *m, unsigned i)
{
    int fd = m->fds[i];

    m->fds[i] = -1;
    return fd;
}

/* ---- HELLO ---- */

static enum ior_verdict hello(struct ior_connection *c, struct ior_message *m)
{
    const struct anyhv_device_ops *ops = c->module->server->cls->ops;
    uint32_t layout = m->in.u.hello.layout;

    if (m->in.u.hello.magic != ANYHV_IOR_MAGIC)
        return ior_malformed(m, "magic 0x%08" PRIx32, m->in.u.hello.magic);
    if (m->in.u.hello.zero)
        return ior_malformed(m, "bytes that it does not use are not 0");
    m->answer.u.welcome.version = ANYHV_IOR_VERSION;
    if (c->greeted)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only once");
    if (m->in.u.hello.version != ANYHV_IOR_VERSION)
        return ior_refused(m, ANYHV_IOR_VERSIONS, "version %" PRIu32 ", not %" PRIu32,
                           m->in.u.hello.version, ANYHV_IOR_VERSION);
    if (layout != ANYHV_IOR_LAYOUT_V3 && layout != ANYHV_IOR_LAYOUT_INFO)
        return ior_refused(m, ANYHV_IOR_INVALID, "layout %" PRIu32, layout);
    c->greeted = true;
    c->wire.layout = (enum anyhv_ior_layout)layout;
    m->answer.u.welcome.device_id = ops->id;
    m->answer.u.welcome.queues = ops->queues;
    m->answer.u.welcome.slots = ANYHV_IOR_SLOTS;
    m->answer.u.welcome.features = m->in.u.hello.features & ANYHV_IOR_FEATURES;
    return IOR_DONE;
}

/* ---- descriptors that signal ---- */

static void kicked(struct anyhv_watch *watch, uint32_t events)
{
    struct ior_event *event = watch->priv;
    struct ior_connection *c = event->connection;

    (void)events;
    ior_event_drain(event->fd);
    anyhv_ctl_kick(&c->mmio.dev, (uint32_t)(event - c->kicks));
}

static void resampled(struct anyhv_watch *watch, uint32_t events)
{
    struct ior_event *event = watch->priv;
    struct ior_connection *c = event->connection;

    (void)events;
    ior_event_drain(event->fd);
    if (c->mmio.dev.state->interrupt_status)
        ior_event_signal(c->irq);
}

static enum ior_verdict check_events(const struct ior_connection *c, struct ior_message *m)
{
    if (c->attached)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only before START");
    for (unsigned i = 0; i < m->nfds; i++)
        if (!ior_event_check(m->fds[i]))
            return ior_refused(m, ANYHV_IOR_INVALID, "descriptor %u is no eventfd", i);
    return IOR_DONE;
}

static enum ior_verdict kick(struct ior_connection *c, struct ior_message *m)
{
    uint32_t queue = m->in.u.kick.queue;
    enum ior_verdict verdict = check_events(c, m);

    if (verdict != IOR_DONE)
        return verdict;
    if (queue >= c->module->server->cls->ops->queues || c->kicks[queue].fd >= 0)
        return ior_refused(m, ANYHV_IOR_INVALID, "no queue %" PRIu32 ", or it has one", queue);
    c->kicks[queue].fd = ior_take_fd(m, 0);
    return IOR_DONE;
}

/* -1: it cannot be told. */
static long eventfd_id(int fd)
{
    char path[40], line[80];
    long id = -1;
    FILE *info;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = fopen(path, "re");
    while (info && id < 0 && fgets(line, sizeof(line), info))
        if (sscanf(line, "eventfd-id: %ld", &id) != 1)
            id = -1;
    if (info)
        fclose(info);
    return id;
}

/* Each interrupt would ask for itself again, and the loop would have nothing else to do. */
static bool one_and_the_same(const int fds[2])
{
    long id = eventfd_id(fds[0]);

    return id >= 0 && id == eventfd_id(fds[1]);
}

static enum ior_verdict interrupt(struct ior_connection *c, struct ior_message *m)
{
    uint32_t flags = m->in.u.interrupt.flags;
    enum ior_verdict verdict = check_events(c, m);

    if (verdict != IOR_DONE)
        return verdict;
    if (flags & ~ANYHV_IOR_RESAMPLE || m->nfds != (flags & ANYHV_IOR_RESAMPLE ? 2 : 1))
        return ior_refused(m, ANYHV_IOR_INVALID, "flags 0x%" PRIx32 " with %u descriptors", flags,
                           m->nfds);
    if (c->irq >= 0)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only once");
    if (m->nfds == 2 && one_and_the_same(m->fds))
        return ior_refused(m, ANYHV_IOR_INVALID, "one eventfd for both");
    c->irq = ior_take_fd(m, 0);
    if (flags & ANYHV_IOR_RESAMPLE)
        c->resample.fd = ior_take_fd(m, 1);
    return IOR_DONE;
}

/* ---- START and RESET ---- */

static int watch_events(struct ior_connection *c)
{
    int rc = ior_event_watch(&c->resample, c, resampled);

    for (unsigned i = 0; i < c->module->server->cls->ops->queues && !rc; i++)
        rc = ior_event_watch(&c->kicks[i], c, kicked);
    return rc;
}

static enum ior_verdict start(struct ior_connection *c, struct ior_message *m)
{
    int rc;

    if (c->attached || c->irq < 0)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only once, and after INTERRUPT");
    rc = ior_wire_begin(c, m->fds[0]);
    if (rc)
        return ior_refused(m, ANYHV_IOR_INVALID,
                           "the descriptor is not an end of a UNIX socket pair: %s", strerror(-rc));
    ior_take_fd(m, 0);
    rc = ior_device_begin(c);
    if (rc) /* ours, and half of it is done: nothing that could be tried again */
        return ior_malformed(m, "no device: %s", anyhv_result_name(rc));
    rc = watch_events(c);
    if (rc)
        return ior_malformed(m, "cannot wait for an eventfd: %s", strerror(-rc));
    anyhv_log(ANYHV_LOG_INFO, "ior.started", "serving%s",
              c->resume ? ", where a predecessor was" : "");
    return IOR_DONE;
}

static enum ior_verdict reset(struct ior_connection *c, struct ior_message *m)
{
    if (!c->attached)
        return ior_refused(m, ANYHV_IOR_MOMENT, "only after START");
    anyhv_ctl_set_status(&c->mmio.dev, 0);
    return IOR_DONE;
}

/* ---- the table ---- */

#define PAYLOAD(member) sizeof(((struct anyhv_ior_message *)0)->u.member)

static const struct ior_request requests[ANYHV_IOR_REQUESTS] = {
    [ANYHV_IOR_HELLO] = {"HELLO", hello, PAYLOAD(hello), 0, 0},
    [ANYHV_IOR_MEMORY_ADD] = {"MEMORY_ADD", ior_memory_add, PAYLOAD(memory), 1, 1},
    [ANYHV_IOR_MEMORY_REMOVE] = {"MEMORY_REMOVE", ior_memory_remove, 16, 0, 0},
    [ANYHV_IOR_KICK] = {"KICK", kick, PAYLOAD(kick), 1, 1},
    [ANYHV_IOR_INTERRUPT] = {"INTERRUPT", interrupt, PAYLOAD(interrupt), 1, 2},
    [ANYHV_IOR_STATE] = {"STATE", ior_state, 0, 0, 1},
    [ANYHV_IOR_START] = {"START", start, 0, 1, 1},
    [ANYHV_IOR_RESET] = {"RESET", reset, 0, 0, 0},
};

const struct ior_request *ior_request_find(uint32_t request)
{
    return request < ANYHV_IOR_REQUESTS && requests[request].name ? &requests[request] : NULL;
}

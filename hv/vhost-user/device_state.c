/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's state on its way to another back end: out through a channel that the front end
 * brings, and in through one at the other place. The front end reads and writes its end when it
 * likes, so the bytes move on the loop, as far as they go without waiting, and CHECK_DEVICE_STATE
 * is answered when the last one has. What comes in is somebody's claim: core checks it like any.
 */
#include "vu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define STATE_MAX ((size_t)64 << 20) /* more is not sent, nor waited for; it is all in memory */
#define PIECE     4096u              /* a pipe that is ready takes as much at once */
#define PIECES    16u                /* then others have their turn */

/* ---- the end of a transfer ---- */

static void put_away(struct vu_transfer *t)
{
    anyhv_watch_del(&t->watch);
    vu_fd_close(&t->fd);
    free(t->bytes);
    t->bytes = NULL;
    t->len = t->at = 0;
}

static const char *verb(const struct vu_transfer *t)
{
    return t->load ? "load" : "save";
}

static void finish(struct vu_connection *c, int rc, const char *why)
{
    struct vu_transfer *t = &c->transfer;

    if (rc == ANYHV_OK)
        anyhv_log(ANYHV_LOG_INFO, "vu.state", "%s: %zu bytes", verb(t), t->at);
    else
        anyhv_log(ANYHV_LOG_WARNING, "vu.state", "%s failed after %zu bytes: %s", verb(t), t->at,
                  why);
    put_away(t);
    t->rc = rc;
    if (c->deferred)
        anyhv_task_ready(c->module->server->loop, &c->resume);
}

/* ---- out ---- */

static enum vu_verdict take_state(struct vu_connection *c, const struct vu_message *m)
{
    struct vu_transfer *t = &c->transfer;
    int rc = anyhv_dev_save(&c->dev, NULL, 0, &t->len); /* how much is it? */

    if (rc == ANYHV_E_NORES && t->len > STATE_MAX)
        return vu_refused(m, "the device's state has %zu bytes, more than %zu", t->len, STATE_MAX);
    if (rc == ANYHV_E_NORES) {
        t->bytes = malloc(t->len);
        if (t->bytes)
            rc = anyhv_dev_save(&c->dev, t->bytes, t->len, &t->len);
    }
    if (rc != ANYHV_OK)
        return vu_refused(m, "the device cannot be saved: %s", anyhv_result_name(rc));
    return VU_DONE;
}

static void send_some(struct vu_connection *c)
{
    struct vu_transfer *t = &c->transfer;

    for (unsigned i = 0; i < PIECES && t->at < t->len; i++) {
        size_t rest = t->len - t->at;
        ssize_t n = vu_write_now(t->fd, t->bytes + t->at, rest < PIECE ? rest : PIECE);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            finish(c, ANYHV_E_IO, strerror(errno));
            return;
        }
        t->at += (size_t)n;
    }
    if (t->at == t->len)
        finish(c, ANYHV_OK, NULL);
}

/* ---- in ---- */

/* Room for one more piece. */
static bool make_room(struct vu_transfer *t)
{
    size_t cap = t->len ? 2 * t->len : (size_t)PIECE * PIECES;
    uint8_t *bytes;

    if (t->len - t->at >= PIECE)
        return true;
    bytes = realloc(t->bytes, cap);
    if (!bytes)
        return false;
    t->bytes = bytes;
    t->len = cap;
    return true;
}

/* All of it is there: the device becomes what it says. */
static void become(struct vu_connection *c)
{
    struct vu_transfer *t = &c->transfer;
    int rc = ANYHV_E_STATE;

    if (!vu_rings_running(c)) {
        int followed;

        vu_inflight_take(c);
        anyhv_ctl_set_status(&c->dev, 0);
        rc = anyhv_dev_load(&c->dev, t->bytes, t->at, false);
        vu_inflight_give(c);
        followed = vu_features_loaded(c);
        rc = rc == ANYHV_OK ? followed : rc;
    }
    finish(c, rc, anyhv_result_name(rc));
}

static void receive_some(struct vu_connection *c)
{
    struct vu_transfer *t = &c->transfer;

    for (unsigned i = 0; i < PIECES; i++) {
        ssize_t n;

        if (t->at > STATE_MAX || !make_room(t)) {
            finish(c, ANYHV_E_NORES, "it is too long");
            return;
        }
        n = vu_read_now(t->fd, t->bytes + t->at, PIECE);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            finish(c, ANYHV_E_IO, strerror(errno));
            return;
        }
        if (n == 0) {
            become(c);
            return;
        }
        t->at += (size_t)n;
    }
}

/* ---- its life ---- */

static void channel_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct vu_connection *c = watch->priv;

    (void)events; /* an error shows when it is used */
    if (c->transfer.load)
        receive_some(c);
    else
        send_some(c);
}

void vu_state_init(struct vu_connection *c)
{
    c->transfer = (struct vu_transfer){.fd = -1, .rc = ANYHV_E_STATE};
    c->transfer.watch = (struct anyhv_watch){.ready = channel_ready, .priv = c};
}

void vu_state_drop(struct vu_connection *c)
{
    put_away(&c->transfer);
}

/* ---- messages ---- */

static enum vu_verdict begin(struct vu_connection *c, struct vu_message *m)
{
    const struct vu_state_params *p = &m->payload.state_params;
    struct vu_transfer *t = &c->transfer;
    int rc;

    if (p->direction > VU_STATE_LOAD || p->phase != VU_STATE_STOPPED)
        return vu_refused(m, "direction %" PRIu32 ", phase %" PRIu32, p->direction, p->phase);
    if (vu_rings_running(c))
        return vu_refused(m, "rings run");
    if (t->rc == ANYHV_LATER)
        return vu_refused(m, "a %s is under way", verb(t));
    t->load = p->direction == VU_STATE_LOAD;
    if (vu_channel_check(m->fds[0], !t->load) < 0)
        return vu_refused(m, "fd is not an end of a pipe or socket pair to %s",
                          t->load ? "read" : "write");
    if (!t->load && take_state(c, m) != VU_DONE)
        return VU_REFUSED;
    rc = anyhv_watch_add(c->module->server->loop, &t->watch, m->fds[0],
                         t->load ? EPOLLIN : EPOLLOUT);
    if (rc < 0)
        return vu_refused(m, "fd cannot be watched: %s", strerror(-rc));
    t->fd = vu_take_fd(m, 0);
    t->rc = ANYHV_LATER;
    return VU_DONE;
}

enum vu_verdict vu_set_device_state_fd(struct vu_connection *c, struct vu_message *m)
{
    enum vu_verdict verdict = begin(c, m);

    if (verdict == VU_DONE)
        return vu_reply_u64(c, VU_STATE_NO_FD); /* the front end's channel will do */
    if (c->transfer.rc != ANYHV_LATER)
        put_away(&c->transfer);
    return vu_reply_u64(c, VU_STATE_NO_FD | 1);
}

enum vu_verdict vu_check_device_state(struct vu_connection *c, struct vu_message *m)
{
    (void)m;
    if (c->transfer.rc == ANYHV_LATER)
        return VU_LATER;
    return vu_reply_u64(c, c->transfer.rc == ANYHV_OK ? 0 : 1);
}

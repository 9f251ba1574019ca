/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel on which the back end speaks first. We only ever say that the configuration
 * changed, and ask for no answer. What comes back is thrown away, and when the channel closes the
 * connection goes on.
 */
#include "vu.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void vu_backend_drop(struct vu_connection *c)
{
    anyhv_watch_del(&c->backend);
    vu_fd_close(&c->backend_fd);
}

static void close_channel(struct vu_connection *c, const char *why)
{
    anyhv_log(ANYHV_LOG_DEBUG, "vu.backend_channel", "back-end channel closed: %s", why);
    vu_backend_drop(c);
}

/* Unasked words of the front end, or its end. */
static void channel_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct vu_connection *c = watch->priv;
    int fds[ANYHV_SOCKET_FDS];
    unsigned nfds = 0;
    uint8_t buf[256];
    ssize_t n;

    if (events & EPOLLOUT) {
        anyhv_watch_change(&c->backend, EPOLLIN);
        vu_backend_flush(c);
        if (c->backend_fd < 0)
            return;
    }
    n = anyhv_socket_recv(c->backend_fd, buf, sizeof(buf), fds, &nfds);
    for (unsigned i = 0; i < nfds; i++)
        close(fds[i]);
    if (n == 0)
        close_channel(c, "by the front end");
    else if (n < 0 && n != -EAGAIN && n != -EMSGSIZE)
        close_channel(c, strerror((int)-n));
}

void vu_backend_init(struct vu_connection *c)
{
    c->backend_fd = -1;
    c->backend = (struct anyhv_watch){.ready = channel_ready, .priv = c};
}

/* A pipe is what User-Mode Linux gives. */
static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

enum vu_verdict vu_set_backend_req_fd(struct vu_connection *c, struct vu_message *m)
{
    int rc;

    if (vu_channel_check(m->fds[0], true) < 0)
        return vu_refused(m, "fd is neither one of a socket pair nor the write end of a pipe");
    vu_backend_drop(c);
    c->backend_fd = vu_take_fd(m, 0);
    c->backend_is_pipe = is_pipe(c->backend_fd);
    if (!c->backend_is_pipe) {
        rc = anyhv_watch_add(c->module->server->loop, &c->backend, c->backend_fd, EPOLLIN);
        if (rc < 0) {
            vu_backend_drop(c);
            return vu_refused(m, "fd cannot be watched: %s", strerror(-rc));
        }
    }
    vu_backend_flush(c);
    return VU_DONE;
}

/* Bytes or -errno; a message this small goes in one piece or not at all. */
static int send_message(struct vu_connection *c, uint32_t request)
{
    struct vu_header header = {.request = request, .flags = VU_VERSION, .size = 0};
    ssize_t n;

    if (!c->backend_is_pipe)
        return anyhv_socket_send(c->backend_fd, &header, sizeof(header), NULL, 0);
    n = vu_write_now(c->backend_fd, &header, sizeof(header));
    return n < 0 ? -errno : 0;
}

void vu_backend_flush(struct vu_connection *c)
{
    int rc;

    /*
     * While no ring runs the device is suspended in the protocol's eyes, and has nothing to say.
     */
    if (!c->config_changed || c->backend_fd < 0 || !(c->protocol & VU_P_CONFIG) ||
        !vu_rings_running(c))
        return;
    rc = send_message(c, VU_BACKEND_CONFIG_CHANGE);
    if (rc == -EAGAIN) {
        /* Nobody reads. A full pipe says the same thing many times over already. */
        if (c->backend_is_pipe)
            c->config_changed = false;
        else
            anyhv_watch_change(&c->backend, EPOLLIN | EPOLLOUT);
        return;
    }
    c->config_changed = false;
    if (rc < 0)
        close_channel(c, strerror(-rc));
}

void vu_backend_config_changed(struct vu_connection *c)
{
    c->config_changed = true;
    vu_backend_flush(c);
}

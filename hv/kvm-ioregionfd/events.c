/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eventfds that kick, interrupt and resample. The VMM made them and shares them, so each call
 * asks for itself not to wait: O_NONBLOCK belongs to the open file and can be taken away.
 */
#include "ior.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of the anonymous files only this kind: reading a signalfd, say, would take our own signals. */
bool ior_event_check(int fd)
{
    static const char kind[] = "anon_inode:[eventfd]";
    char path[32], target[sizeof(kind)];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof(target)) == (ssize_t)sizeof(kind) - 1 &&
           memcmp(target, kind, sizeof(kind) - 1) == 0;
}

int ior_event_watch(struct ior_event *event, struct ior_connection *c,
                    void (*ready)(struct anyhv_watch *watch, uint32_t events))
{
    if (event->fd < 0)
        return 0;
    event->connection = c;
    event->watch = (struct anyhv_watch){.ready = ready, .priv = event};
    return anyhv_watch_add(c->module->server->loop, &event->watch, event->fd, EPOLLIN);
}

void ior_event_drop(struct ior_event *event)
{
    anyhv_watch_del(&event->watch);
    ior_fd_close(&event->fd);
}

void ior_event_drain(int fd)
{
    uint64_t count;
    struct iovec iov = {&count, sizeof(count)};

    while (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EINTR)
        ;
}

/* A write to an eventfd knows no RWF_NOWAIT. Full means that nobody has taken the last one. */
void ior_event_signal(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    uint64_t one = 1;

    if (fd < 0 || poll(&room, 1, 0) <= 0)
        return;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void ior_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

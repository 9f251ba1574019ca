/* SPDX-License-Identifier: Apache-2.0 */
/* The eventfds by which the VMM kicks, and asks for interrupts again: they wait on the loop. */
#include "ior.h"

#include <sys/epoll.h>
#include <unistd.h>

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

void ior_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

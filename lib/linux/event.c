/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/linux/event.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of the anonymous files only this kind: reading a signalfd, say, would take our own signals. */
bool anyhv_event_check(int fd)
{
    static const char kind[] = "anon_inode:[eventfd]";
    char path[32], target[sizeof(kind)];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof(target)) == (ssize_t)sizeof(kind) - 1 &&
           memcmp(target, kind, sizeof(kind) - 1) == 0;
}

/* A write to an eventfd knows no RWF_NOWAIT: a look before comes closest. */
void anyhv_event_signal(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    uint64_t one = 1;

    if (poll(&room, 1, 0) <= 0)
        return;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* Older kernels, and QEMU's user mode, know no RWF_NOWAIT for reads either. */
static void look_and_read(int fd, uint64_t *count)
{
    struct pollfd there = {.fd = fd, .events = POLLIN};

    if (poll(&there, 1, 0) <= 0)
        return;
    while (read(fd, count, sizeof(*count)) < 0 && errno == EINTR)
        ;
}

void anyhv_event_drain(int fd)
{
    uint64_t count;
    struct iovec iov = {&count, sizeof(count)};
    ssize_t n;

    do {
        n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        look_and_read(fd, &count);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that carry kicks, calls, errors, or a device's state. They come from the peer, so
 * they may be anything: eventfds, a socket pair with User-Mode Linux, and whatever a hostile front
 * end finds, which is refused. What is taken must not block us, and must not make us spin.
 */
#include "vu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * One end of a nameless pair, as User-Mode Linux makes for its interrupts. The peer's own end of
 * this connection would be kept alive by the very connection that waits for it to go; it is told by
 * its peer's name, which is where we listen.
 */
static bool is_socket_pair(int fd)
{
    struct sockaddr_un peer;
    socklen_t len = sizeof(int), peer_len = sizeof(peer);
    int domain = 0, type = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
        return false;
    return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
           peer_len <= sizeof(sa_family_t);
}

static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -1;
    return 0;
}

/* No files: one on FUSE could keep a write for as long as its owner likes. */
int vu_event_check(int fd)
{
    if (!anyhv_event_check(fd) && !is_socket_pair(fd) && !is_pipe(fd))
        return -1;
    return set_nonblocking(fd);
}

int vu_channel_check(int fd, bool write)
{
    int flags = fcntl(fd, F_GETFL), wrong = write ? O_RDONLY : O_WRONLY;

    if (flags < 0 || (flags & O_ACCMODE) == wrong || (!is_socket_pair(fd) && !is_pipe(fd)))
        return -1;
    return set_nonblocking(fd);
}

/*
 * O_NONBLOCK belongs to the open file, which the peer shares and may change back, so each call asks
 * for itself not to wait. Where the kernel cannot do that for this kind of file (writes to an
 * eventfd), a look before comes closest.
 */
static ssize_t without_waiting(int fd, const struct iovec *iov, bool write)
{
    struct pollfd look = {.fd = fd, .events = write ? POLLOUT : POLLIN};
    ssize_t n;

    do {
        n = write ? pwritev2(fd, iov, 1, -1, RWF_NOWAIT) : preadv2(fd, iov, 1, -1, RWF_NOWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno != EOPNOTSUPP)
        return n;
    if (poll(&look, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    do {
        n = write ? writev(fd, iov, 1) : readv(fd, iov, 1);
    } while (n < 0 && errno == EINTR);
    return n;
}

ssize_t vu_write_now(int fd, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};

    return without_waiting(fd, &iov, true);
}

ssize_t vu_read_now(int fd, void *buf, size_t len)
{
    struct iovec iov = {buf, len};

    return without_waiting(fd, &iov, false);
}

void vu_signal_set(struct vu_signal *signal, int fd)
{
    vu_fd_close(&signal->fd);
    *signal = (struct vu_signal){.fd = fd, .counter = fd >= 0 && anyhv_event_check(fd)};
}

int vu_signal_send(const struct vu_signal *signal)
{
    uint64_t one = 1;

    if (signal->counter) {
        anyhv_event_signal(signal->fd);
        return 0;
    }
    /* Full means that an event is already there that nobody has taken. */
    return vu_write_now(signal->fd, &one, sizeof(one)) >= 0 || errno == EAGAIN ? 0 : -1;
}

int vu_event_drain(int fd)
{
    uint8_t buf[256]; /* a pipe carries 8 bytes per event; what is left makes us ready again */
    ssize_t n = vu_read_now(fd, buf, sizeof(buf));

    if (n > 0)
        return 1;
    return n < 0 && errno == EAGAIN ? 0 : -1;
}

/*
 * The kernel says it in /proc only since 6.5, so it is tried: of two events that are there a
 * semaphore gives one. What else was in it is lost, so the caller looks for itself what it was for.
 */
bool vu_event_is_semaphore(int fd)
{
    uint64_t two = 2, got = 0;

    if (!anyhv_event_check(fd))
        return false;
    vu_event_drain(fd);
    vu_write_now(fd, &two, sizeof(two)); /* if it is full there is more than enough */
    return vu_read_now(fd, &got, sizeof(got)) == sizeof(got) && got == 1;
}

void vu_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

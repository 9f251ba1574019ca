/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that carry kicks, calls and errors. They come from the peer, so they may be
 * anything: mostly eventfds, pipes with User-Mode Linux, and whatever a hostile front end finds.
 * Whatever it is, it must not block us, and it must not make us spin.
 */
#include "vu.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int vu_event_check(int fd)
{
    struct stat st;
    int flags;

    /*
     * Only kinds that honour O_NONBLOCK: eventfds (anonymous inodes have no type), pipes, sockets.
     * A regular file, say on FUSE, could keep a write for as long as its owner likes.
     */
    if (fstat(fd, &st) < 0)
        return -1;
    if ((st.st_mode & S_IFMT) != 0 && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
        return -1;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -1;
    return 0;
}

int vu_event_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* Full means that an event is already there that nobody has taken. */
    return n >= 0 || errno == EAGAIN ? 0 : -1;
}

int vu_event_drain(int fd)
{
    uint8_t buf[256]; /* a pipe carries 8 bytes per event; what is left makes us ready again */
    ssize_t n;

    do {
        n = read(fd, buf, sizeof(buf));
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return 1;
    return n < 0 && errno == EAGAIN ? 0 : -1;
}

void vu_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX stream sockets with descriptors in tow. */
#include <anyhv/linux/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG     16
#define PATIENCE_MS 1000 /* for the rest of a message of which a part was taken */

/* Room for a control message with as many descriptors as we take. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(ANYHV_SOCKET_FDS * sizeof(int))];
};

static int close_with(int fd, int error)
{
    close(fd);
    return -error;
}

/* ---- Connections ---- */

static int address(struct sockaddr_un *addr, const char *path)
{
    size_t len = strlen(path);

    if (len == 0)
        return -EINVAL; /* the kernel would choose a name of its own */
    if (len >= sizeof(addr->sun_path))
        return -ENAMETOOLONG;
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    memcpy(addr->sun_path, path, len);
    return 0;
}

static int connect_to(int fd, const struct sockaddr_un *addr)
{
    while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Removes what keeps us from binding @addr, if it is a socket that nobody listens on. */
static int remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;

    if (lstat(addr->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int result = connect_to(fd, addr);
    close(fd);
    /* Anything but a clear "nobody there" means that somebody is (his queue may be full). */
    if (result != -ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_to(int fd, const struct sockaddr_un *addr)
{
    return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
}

int anyhv_socket_listen(const char *path)
{
    struct sockaddr_un addr;
    int result = address(&addr, path);

    if (result < 0)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    result = bind_to(fd, &addr);
    if (result == -EADDRINUSE) {
        result = remove_stale(&addr);
        if (result == 0)
            result = bind_to(fd, &addr);
    }
    if (result < 0)
        return close_with(fd, -result);
    if (listen(fd, BACKLOG) < 0) {
        int error = errno;
        unlink(path);
        return close_with(fd, error);
    }
    return fd;
}

int anyhv_socket_connect(const char *path)
{
    struct sockaddr_un addr;
    int result = address(&addr, path);

    if (result < 0)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    result = connect_to(fd, &addr);
    if (result < 0)
        return close_with(fd, -result);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return close_with(fd, errno);
    return fd;
}

int anyhv_socket_accept(int listener)
{
    int fd;

    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd < 0 ? -errno : fd;
}

/* ---- Receiving ---- */

static void close_fds(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Moves the descriptors of @msg to @fds, which has room for all that fit a union control. */
static unsigned take_fds(struct msghdr *msg, int *fds)
{
    unsigned count = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
        memcpy(fds + count, CMSG_DATA(cmsg), bytes);
        count += (unsigned)(bytes / sizeof(int));
    }
    return count;
}

ssize_t anyhv_socket_recv(int fd, void *buf, size_t len, int *fds, unsigned *nfds)
{
    union control control;
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t got;

    *nfds = 0;
    if (len == 0)
        return -EINVAL; /* its result would look like the end */
    do {
        got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    unsigned count = take_fds(&msg, fds);
    if (got > 0 && !(msg.msg_flags & MSG_CTRUNC)) {
        *nfds = count;
        return got;
    }
    close_fds(fds, count);
    return got > 0 ? -EMSGSIZE : 0;
}

/* ---- Sending ---- */

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One try. Bytes sent, or -errno. */
static ssize_t send_some(int fd, const void *buf, size_t len, const int *fds, unsigned nfds)
{
    union control control;
    /* sendmsg only reads; its iovec cannot say so */
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (nfds > 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
    }
    do {
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* Waits until @fd takes more, but not beyond @deadline. */
static int wait_for_room(int fd, int64_t deadline)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    int64_t left = deadline - now_ms();

    if (left <= 0)
        return -ETIMEDOUT;
    if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

int anyhv_socket_send(int fd, const void *buf, size_t len, const int *fds, unsigned nfds)
{
    const uint8_t *at = buf;
    int64_t deadline = 0;

    if (len == 0 || nfds > ANYHV_SOCKET_FDS)
        return -EINVAL;
    while (len > 0) {
        ssize_t sent = send_some(fd, at, len, fds, nfds);
        if (sent == -EAGAIN && at != (const uint8_t *)buf) {
            sent = wait_for_room(fd, deadline);
            if (sent < 0)
                return (int)sent;
            continue;
        }
        if (sent < 0)
            return (int)sent;
        /* The peer has the descriptors and a part: from here on it is all or nothing. */
        if (at == (const uint8_t *)buf)
            deadline = now_ms() + PATIENCE_MS;
        nfds = 0;
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

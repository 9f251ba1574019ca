/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake from the VMM's side: one message, one answer. */
#include "vmm_private.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 2

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

static const int results[] = {
    [ANYHV_IOR_OK] = 0,          [ANYHV_IOR_INVALID] = -EINVAL, [ANYHV_IOR_VERSIONS] = -EPROTO,
    [ANYHV_IOR_MOMENT] = -EBUSY, [ANYHV_IOR_NORES] = -ENOSPC,
};

int anyhv_vmm_channel_connect(const struct anyhv_vmm_options *options)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd, rc;

    if (strlen(options->path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, options->path, strlen(options->path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    do {
        rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
    } while (rc == -EINTR);
    if (rc)
        close(fd);
    return rc ? rc : fd;
}

/* All of it. There is room: one message at a time is on its way. */
static int transmit(int socket, const struct anyhv_ior_message *m, const int *fds, unsigned nfds)
{
    union control control;
    size_t sent = 0;

    memset(&control, 0, sizeof(control));
    while (sent < sizeof(*m)) {
        struct iovec iov = {(uint8_t *)(uintptr_t)m + sent, sizeof(*m) - sent};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        struct cmsghdr *cmsg;
        ssize_t n;

        if (nfds && !sent) {
            msg.msg_control = control.bytes;
            msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
            cmsg = CMSG_FIRSTHDR(&msg);
            cmsg->cmsg_level = SOL_SOCKET;
            cmsg->cmsg_type = SCM_RIGHTS;
            cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
            memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
        }
        n = sendmsg(socket, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -ECONNRESET;
        sent += n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* @fd: the descriptor that came along, or -1; others are closed. */
static void take_fd(struct msghdr *msg, int *fd)
{
    int got[MAX_FDS];

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(got, CMSG_DATA(cmsg), count * sizeof(int));
        for (size_t i = 0; i < count; i++) {
            anyhv_vmm_fd_close(fd);
            *fd = got[i];
        }
    }
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Until one of @events is there, or the peer has hung up; neither signals nor bytes that come one
 * by one move the deadline.
 */
static int await(const struct anyhv_vmm *vmm, int socket, short events, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = socket, .events = events}, {.fd = vmm->stop, .events = POLLIN}};
    int n;

    do {
        int64_t left = deadline - now_ms();

        n = left > 0 ? poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left) : 0;
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -ETIMEDOUT;
    return fds[1].revents ? -ECANCELED : 0;
}

static int receive(const struct anyhv_vmm *vmm, int socket, struct anyhv_ior_message *m, int *fd)
{
    int64_t deadline = now_ms() + vmm->options.patience_ms;
    size_t have = 0;

    *fd = -1;
    while (have < sizeof(*m)) {
        union control control;
        struct iovec iov = {(uint8_t *)m + have, sizeof(*m) - have};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
        int rc = await(vmm, socket, POLLIN, deadline);
        ssize_t n = rc ? -1 : recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);

        if (!rc && n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0) {
            anyhv_vmm_fd_close(fd);
            return rc ? rc : -ECONNRESET;
        }
        take_fd(&msg, fd);
        have += (size_t)n;
    }
    return 0;
}

int anyhv_vmm_channel_ended(const struct anyhv_vmm *vmm)
{
    return await(vmm, vmm->socket, 0, now_ms() + vmm->options.patience_ms);
}

/* The answer is in *@m, its descriptor in *@answer_fd unless that is NULL. */
static int talk(const struct anyhv_vmm *vmm, int socket, struct anyhv_ior_message *m,
                const int *fds, unsigned nfds, int *answer_fd)
{
    uint32_t request = m->request;
    int fd = -1, rc = transmit(socket, m, fds, nfds);

    /* One that was turned away finds that said, though nobody heard it. */
    if (!rc || rc == -ECONNRESET)
        rc = receive(vmm, socket, m, &fd);
    if (!rc && (m->request != request || m->result >= sizeof(results) / sizeof(results[0])))
        rc = -EPROTO;
    if (!rc)
        rc = results[m->result];
    if (rc || !answer_fd)
        anyhv_vmm_fd_close(&fd);
    if (answer_fd)
        *answer_fd = fd;
    return rc;
}

static int hand_over(const struct anyhv_vmm *vmm, int socket, enum anyhv_ior_request request,
                     const int *fds, unsigned nfds)
{
    struct anyhv_ior_message m = {.request = request};

    return talk(vmm, socket, &m, fds, nfds, NULL);
}

/* ---- the messages ---- */

int anyhv_vmm_channel_hello(struct anyhv_vmm *vmm, int socket)
{
    struct anyhv_ior_message m = {.request = ANYHV_IOR_HELLO};
    int rc;

    m.u.hello.magic = ANYHV_IOR_MAGIC;
    m.u.hello.version = ANYHV_IOR_VERSION;
    m.u.hello.layout = vmm->options.layout;
    m.u.hello.features = ANYHV_IOR_FEATURES;
    rc = talk(vmm, socket, &m, NULL, 0, NULL);
    if (rc)
        return rc;
    if (!m.u.welcome.queues || m.u.welcome.queues > UINT16_MAX ||
        m.u.welcome.features & ~ANYHV_IOR_FEATURES)
        return -EPROTO;
    /* A successor has to be of the same kind. */
    if (vmm->queues &&
        (vmm->queues != m.u.welcome.queues || vmm->device_id != m.u.welcome.device_id))
        return -EPROTO;
    vmm->device_id = m.u.welcome.device_id;
    vmm->queues = m.u.welcome.queues;
    return 0;
}

int anyhv_vmm_channel_add(const struct anyhv_vmm *vmm, int socket, const struct vmm_memory *memory)
{
    struct anyhv_ior_message m = {.request = ANYHV_IOR_MEMORY_ADD};

    m.u.memory.addr = memory->addr;
    m.u.memory.size = memory->size;
    m.u.memory.offset = memory->offset;
    return talk(vmm, socket, &m, &memory->fd, 1, NULL);
}

int anyhv_vmm_channel_remove(const struct anyhv_vmm *vmm, const struct vmm_memory *memory)
{
    struct anyhv_ior_message m = {.request = ANYHV_IOR_MEMORY_REMOVE};

    m.u.memory.addr = memory->addr;
    m.u.memory.size = memory->size;
    return talk(vmm, vmm->socket, &m, NULL, 0, NULL);
}

int anyhv_vmm_channel_reset(const struct anyhv_vmm *vmm)
{
    return hand_over(vmm, vmm->socket, ANYHV_IOR_RESET, NULL, 0);
}

/*
 * Gives what the predecessor left, and keeps the copy that comes back from now on. The device
 * process changes nothing before START, so until then either would do.
 */
static int exchange_state(struct anyhv_vmm *vmm, int socket)
{
    struct anyhv_ior_message m = {.request = ANYHV_IOR_STATE};
    bool have = vmm->state >= 0 && !vmm->forget;
    int fd, rc = talk(vmm, socket, &m, &vmm->state, have, &fd);

    if (rc)
        return rc;
    if (fd < 0)
        return -EPROTO;
    anyhv_vmm_fd_close(&vmm->state);
    vmm->state = fd;
    vmm->forget = false;
    return 0;
}

static int give_kicks(const struct anyhv_vmm *vmm, int socket)
{
    int rc = 0;

    for (uint32_t i = 0; i < vmm->queues && !rc && !vmm->options.posted; i++) {
        struct anyhv_ior_message m = {.request = ANYHV_IOR_KICK};

        m.u.kick.queue = i;
        rc = talk(vmm, socket, &m, &vmm->kicks[i], 1, NULL);
    }
    return rc;
}

static int give_interrupt(const struct anyhv_vmm *vmm, int socket)
{
    struct anyhv_ior_message m = {.request = ANYHV_IOR_INTERRUPT};
    int fds[2] = {vmm->irq, vmm->resample};

    m.u.interrupt.flags = vmm->options.level ? ANYHV_IOR_RESAMPLE : 0;
    return talk(vmm, socket, &m, fds, vmm->options.level ? 2 : 1, NULL);
}

int anyhv_vmm_channel_start(struct anyhv_vmm *vmm, int socket, int *wire)
{
    int pair[2], rc = exchange_state(vmm, socket);

    for (unsigned i = 0; i < vmm->nmemory && !rc; i++)
        rc = anyhv_vmm_channel_add(vmm, socket, &vmm->memory[i]);
    if (!rc)
        rc = give_kicks(vmm, socket);
    if (!rc)
        rc = give_interrupt(vmm, socket);
    if (rc)
        return rc;
    /* Packets: no command can be torn, and neither can an answer. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    rc = hand_over(vmm, socket, ANYHV_IOR_START, &pair[1], 1);
    close(pair[1]);
    *wire = pair[0];
    if (rc)
        anyhv_vmm_fd_close(wire);
    return rc;
}

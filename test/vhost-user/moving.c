/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/moving.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_BITS 12

/* An answer to @request with a u64 that fits an int, or FE_*. */
static int answer_u64(struct frontend *fe, uint32_t request)
{
    struct fe_message m;
    uint64_t value;
    int rc = fe_receive(fe, &m);

    if (rc)
        return rc;
    memcpy(&value, m.payload, sizeof(value));
    return m.request == request && m.size == 8 && value < 0x1000 ? (int)value : FE_GARBAGE;
}

/* ---- the dirty log ---- */

bool fe_log_new(struct fe_log *log, uint64_t size)
{
    log->size = size;
    log->fd = memfd_create("log", MFD_CLOEXEC);
    if (log->fd < 0 || ftruncate(log->fd, (off_t)size) < 0)
        return false;
    log->bits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
    return log->bits != MAP_FAILED;
}

void fe_log_free(struct fe_log *log)
{
    munmap(log->bits, log->size);
    close(log->fd);
}

int fe_log_base(struct frontend *fe, int fd, uint64_t size, uint64_t offset)
{
    uint64_t base[2] = {size, offset};

    if (!fe_send(fe, FE_SET_LOG_BASE, FE_VERSION, base, sizeof(base), &fd, fd >= 0))
        return FE_CLOSED;
    return answer_u64(fe, FE_SET_LOG_BASE);
}

int fe_log_send(struct frontend *fe, const struct fe_log *log)
{
    return fe_log_base(fe, log->fd, log->size, 0);
}

bool fe_log_has(const struct fe_log *log, uint64_t addr)
{
    uint64_t page = addr >> PAGE_BITS;

    return log->bits[page / 8] >> page % 8 & 1;
}

unsigned fe_log_count(const struct fe_log *log)
{
    unsigned count = 0;

    for (uint64_t i = 0; i < log->size; i++)
        count += (unsigned)__builtin_popcount(log->bits[i]);
    return count;
}

void fe_log_clear(struct fe_log *log)
{
    memset(log->bits, 0, log->size);
}

int fe_ring_addr(struct frontend *fe, unsigned index, uint32_t flags, uint64_t log)
{
    const struct drv_ring *ring = &fe->ring[index].ring;
    struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {
        index, flags, fe_user(fe, ring->desc), fe_user(fe, ring->device), fe_user(fe, ring->driver),
        log};

    return fe_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

/* ---- the device's state ---- */

int fe_state_fd(struct frontend *fe, uint32_t direction, uint32_t phase, int fd)
{
    uint32_t params[2] = {direction, phase};

    if (!fe_send(fe, FE_SET_DEVICE_STATE_FD, FE_VERSION, params, sizeof(params), &fd, 1))
        return FE_CLOSED;
    return answer_u64(fe, FE_SET_DEVICE_STATE_FD);
}

int fe_state_check(struct frontend *fe)
{
    if (!fe_send(fe, FE_CHECK_DEVICE_STATE, FE_VERSION, NULL, 0, NULL, 0))
        return FE_CLOSED;
    return answer_u64(fe, FE_CHECK_DEVICE_STATE);
}

long fe_state_save(struct frontend *fe, uint8_t *bytes, size_t cap)
{
    size_t len = 0;
    int ends[2];
    ssize_t n;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    if (fe_state_fd(fe, FE_SAVE, 0, ends[1]) != FE_STATE_FINE)
        cap = 0;
    close(ends[1]);
    while (len < cap && (n = read(ends[0], bytes + len, cap - len)) > 0)
        len += (size_t)n;
    close(ends[0]);
    return cap && fe_state_check(fe) == 0 ? (long)len : -1;
}

int fe_state_load(struct frontend *fe, const uint8_t *bytes, size_t len)
{
    bool fine;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    fine = fe_state_fd(fe, FE_LOAD, 0, ends[0]) == FE_STATE_FINE;
    close(ends[0]);
    while (fine && len) {
        ssize_t n = write(ends[1], bytes, len);

        fine = n > 0;
        bytes += fine ? n : 0;
        len -= fine ? (size_t)n : 0;
    }
    close(ends[1]);
    return fine ? fe_state_check(fe) : -1;
}

/* ---- the in-flight area ---- */

/* The description as it stands on the wire. */
struct wire {
    uint64_t size, offset;
    uint16_t queues, queue_size;
    uint32_t padding;
};

/* The answer with its descriptor; *fd is -1 if it has none. */
static int receive_inflight(struct frontend *fe, struct wire *wire, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct {
        uint32_t request, flags, size;
        struct wire wire;
    } __attribute__((packed)) m;
    struct iovec iov = {&m, sizeof(m)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    struct pollfd pfd = {.fd = fe->fd, .events = POLLIN};
    ssize_t n;

    *fd = -1;
    if (poll(&pfd, 1, fe->timeout) <= 0)
        return FE_SILENT;
    n = recvmsg(fe->fd, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return FE_CLOSED;
    if (CMSG_FIRSTHDR(&msg))
        memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*fd));
    if (n != sizeof(m) || m.request != FE_GET_INFLIGHT_FD || m.flags != (FE_VERSION | FE_REPLY) ||
        m.size != sizeof(m.wire))
        return FE_GARBAGE;
    *wire = m.wire;
    return 0;
}

int fe_inflight_get(struct frontend *fe, uint16_t queues, uint16_t queue_size,
                    struct fe_inflight *in)
{
    struct wire wire = {.queues = queues, .queue_size = queue_size};
    int rc;

    *in = (struct fe_inflight){.fd = -1};
    if (!fe_send(fe, FE_GET_INFLIGHT_FD, FE_VERSION, &wire, sizeof(wire), NULL, 0))
        return FE_CLOSED;
    rc = receive_inflight(fe, &wire, &in->fd);
    if (rc)
        return rc;
    if (wire.queues != queues || wire.queue_size != queue_size || !wire.size != (in->fd < 0))
        return FE_GARBAGE;
    if (in->fd < 0)
        return 1;
    in->size = wire.size;
    in->offset = wire.offset;
    in->queues = queues;
    in->queue_size = queue_size;
    in->area = mmap(NULL, in->size, PROT_READ | PROT_WRITE, MAP_SHARED, in->fd, (off_t)in->offset);
    return in->area == MAP_FAILED ? FE_GARBAGE : 0;
}

int fe_inflight_send(struct frontend *fe, const struct fe_inflight *in)
{
    struct wire wire = {in->size, in->offset, in->queues, in->queue_size, 0};

    return fe_call(fe, FE_SET_INFLIGHT_FD, &wire, sizeof(wire), &in->fd, in->fd >= 0);
}

void fe_inflight_free(struct fe_inflight *in)
{
    if (in->fd < 0)
        return;
    munmap(in->area, in->size);
    close(in->fd);
    in->fd = -1;
}

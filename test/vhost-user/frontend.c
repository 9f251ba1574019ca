/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Addresses that have nothing to do with each other, so that mixing them up cannot work. */
#define GUEST_BASE UINT64_C(0x40000000)
#define USER_BASE  UINT64_C(0x155500000000)

#define TIMEOUT_MS 10000

/* ---- connection ---- */

void fe_init(struct frontend *fe)
{
    memset(fe, 0, sizeof(*fe));
    fe->fd = fe->memfd = fe->backend = -1;
    fe->timeout = TIMEOUT_MS;
    for (unsigned i = 0; i < FE_RINGS; i++)
        fe->ring[i].kick = fe->ring[i].call = fe->ring[i].err = -1;
}

static void pause_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

bool fe_connect(struct frontend *fe, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
    for (int i = 0; i < 10000; i++) {
        fe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fe->fd < 0)
            return false;
        if (connect(fe->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
            return true;
        close(fe->fd);
        fe->fd = -1;
        pause_ms(1);
    }
    return false;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void fe_disconnect(struct frontend *fe)
{
    close_fd(&fe->fd);
    close_fd(&fe->backend);
}

void fe_fini(struct frontend *fe)
{
    fe_disconnect(fe);
    for (unsigned i = 0; i < FE_RINGS; i++)
        fe_ring_free(fe, i);
    if (fe->host)
        munmap(fe->host, fe->region.size);
    fe->host = NULL;
    close_fd(&fe->memfd);
}

bool fe_closed(struct frontend *fe)
{
    struct pollfd pfd = {.fd = fe->fd, .events = POLLIN};
    uint8_t buf[256];

    while (poll(&pfd, 1, fe->timeout) > 0) {
        ssize_t n = recv(fe->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return true;
        if (n < 0)
            return false;
    }
    return false;
}

/* ---- raw ---- */

bool fe_send_bytes(struct frontend *fe, const void *bytes, size_t len, const int *fds,
                   unsigned nfds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (nfds) {
        struct cmsghdr *cmsg = &control.align;

        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
    }
    do {
        n = sendmsg(fe->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

bool fe_send(struct frontend *fe, uint32_t request, uint32_t flags, const void *payload,
             uint32_t size, const int *fds, unsigned nfds)
{
    struct fe_message m = {.request = request, .flags = flags, .size = size};

    if (size > sizeof(m.payload))
        return false;
    if (size)
        memcpy(m.payload, payload, size);
    return fe_send_bytes(fe, &m, FE_HEADER + size, fds, nfds);
}

static int receive_bytes(struct frontend *fe, void *buf, size_t len)
{
    struct pollfd pfd = {.fd = fe->fd, .events = POLLIN};
    uint8_t *at = buf;

    while (len) {
        ssize_t n;

        if (poll(&pfd, 1, fe->timeout) <= 0)
            return FE_SILENT;
        n = recv(fe->fd, at, len, 0);
        if (n <= 0)
            return FE_CLOSED;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int fe_receive(struct frontend *fe, struct fe_message *m)
{
    int rc = receive_bytes(fe, m, FE_HEADER);

    if (rc)
        return rc;
    if (m->flags != (FE_VERSION | FE_REPLY) || m->size > sizeof(m->payload))
        return FE_GARBAGE;
    return receive_bytes(fe, m->payload, m->size);
}

/* ---- typed ---- */

/* An answer to @request of exactly @size bytes. */
static int answer(struct frontend *fe, uint32_t request, void *buf, uint32_t size)
{
    struct fe_message m;
    int rc = fe_receive(fe, &m);

    if (rc)
        return rc;
    if (m.request != request || m.size != size)
        return FE_GARBAGE;
    memcpy(buf, m.payload, size);
    return 0;
}

int fe_call(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
            const int *fds, unsigned nfds)
{
    uint64_t ack;
    int rc;

    if (!fe_send(fe, request, FE_VERSION | FE_NEED_REPLY, payload, size, fds, nfds))
        return FE_CLOSED;
    rc = answer(fe, request, &ack, sizeof(ack));
    return rc ? rc : ack > 1000 ? FE_GARBAGE : (int)ack;
}

int fe_u64(struct frontend *fe, uint32_t request, uint64_t value)
{
    return fe_call(fe, request, &value, sizeof(value), NULL, 0);
}

int fe_state(struct frontend *fe, uint32_t request, uint32_t index, uint32_t num)
{
    uint32_t state[2] = {index, num};

    return fe_call(fe, request, state, sizeof(state), NULL, 0);
}

int fe_vring_fd(struct frontend *fe, uint32_t request, uint32_t index, int fd)
{
    uint64_t value = index | (fd < 0 ? FE_NO_FD : 0);

    return fe_call(fe, request, &value, sizeof(value), &fd, fd >= 0);
}

int fe_addr(struct frontend *fe, uint32_t index, uint64_t desc, uint64_t avail, uint64_t used)
{
    struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {.index = index, .desc = desc, .used = used, .avail = avail, .log = UINT64_MAX};

    return fe_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

int fe_get(struct frontend *fe, uint32_t request, uint64_t *value)
{
    if (!fe_send(fe, request, FE_VERSION, NULL, 0, NULL, 0))
        return FE_CLOSED;
    return answer(fe, request, value, sizeof(*value));
}

int fe_get_base(struct frontend *fe, uint32_t index, uint32_t *base)
{
    uint32_t state[2] = {index, 0};
    int rc;

    if (!fe_send(fe, FE_GET_VRING_BASE, FE_VERSION, state, sizeof(state), NULL, 0))
        return FE_CLOSED;
    rc = answer(fe, FE_GET_VRING_BASE, state, sizeof(state));
    if (!rc && state[0] != index)
        return FE_GARBAGE;
    *base = state[1];
    return rc;
}

struct config {
    uint32_t off, size, flags;
    uint8_t bytes[256];
};

int fe_get_config(struct frontend *fe, uint32_t off, void *buf, uint32_t len)
{
    struct config config = {.off = off, .size = len};
    struct fe_message m;
    int rc;

    if (!fe_send(fe, FE_GET_CONFIG, FE_VERSION, &config, 12 + len, NULL, 0))
        return FE_CLOSED;
    rc = fe_receive(fe, &m);
    if (rc)
        return rc;
    if (m.request == FE_GET_CONFIG && m.size == 0)
        return 1;
    if (m.request != FE_GET_CONFIG || m.size != 12 + len)
        return FE_GARBAGE;
    memcpy(&config, m.payload, m.size);
    if (config.off != off || config.size != len)
        return FE_GARBAGE;
    memcpy(buf, config.bytes, len);
    return 0;
}

int fe_set_config(struct frontend *fe, uint32_t off, const void *buf, uint32_t len, uint32_t flags)
{
    struct config config = {.off = off, .size = len, .flags = flags};

    memcpy(config.bytes, buf, len);
    return fe_call(fe, FE_SET_CONFIG, &config, 12 + len, NULL, 0);
}

int fe_set_table(struct frontend *fe, const struct fe_region *regions, const int *fds,
                 unsigned count)
{
    struct {
        uint32_t count, padding;
        struct fe_region region[8];
    } table = {.count = count};

    if (count)
        memcpy(table.region, regions, count * sizeof(regions[0]));
    return fe_call(fe, FE_SET_MEM_TABLE, &table, 8 + count * (uint32_t)sizeof(regions[0]), fds,
                   count);
}

int fe_region(struct frontend *fe, uint32_t request, const struct fe_region *region, int fd)
{
    struct {
        uint64_t padding;
        struct fe_region region;
    } single = {.region = *region};

    return fe_call(fe, request, &single, sizeof(single), &fd, fd >= 0);
}

/* ---- a whole set-up ---- */

bool fe_hello(struct frontend *fe, uint64_t protocol)
{
    uint64_t features, offered;

    if (fe_get(fe, FE_GET_FEATURES, &features) || !(features & FE_F_PROTOCOL_FEATURES))
        return false;
    if (fe_get(fe, FE_GET_PROTOCOL_FEATURES, &offered) || (protocol & ~offered))
        return false;
    if (fe_u64(fe, FE_SET_PROTOCOL_FEATURES, protocol | FE_P_REPLY_ACK))
        return false;
    return fe_call(fe, FE_SET_OWNER, NULL, 0, NULL, 0) == 0;
}

bool fe_memory_new(struct frontend *fe, uint64_t size)
{
    fe->memfd = memfd_create("guest", MFD_CLOEXEC);
    if (fe->memfd < 0 || ftruncate(fe->memfd, (off_t)size) < 0)
        return false;
    fe->host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memfd, 0);
    if (fe->host == MAP_FAILED) {
        fe->host = NULL;
        return false;
    }
    fe->region = (struct fe_region){.guest = GUEST_BASE, .size = size, .user = USER_BASE};
    drv_mem_init(&fe->mem, fe->host, GUEST_BASE, size);
    return true;
}

bool fe_memory_send(struct frontend *fe)
{
    return fe_set_table(fe, &fe->region, &fe->memfd, 1) == 0;
}

uint64_t fe_user(const struct frontend *fe, uint64_t guest)
{
    return guest - fe->region.guest + fe->region.user;
}

bool fe_ring_new(struct frontend *fe, unsigned index, uint16_t size, bool packed)
{
    struct fe_ring *r = &fe->ring[index];
    struct drv_ring_config config = {.size = size, .packed = packed, .slots = r->slots};

    fe_ring_free(fe, index);
    if (!drv_ring_init(&r->ring, &fe->mem, &config))
        return false;
    r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r->kick >= 0 && r->call >= 0 && r->err >= 0;
}

void fe_ring_free(struct frontend *fe, unsigned index)
{
    struct fe_ring *r = &fe->ring[index];

    close_fd(&r->kick);
    close_fd(&r->call);
    close_fd(&r->err);
}

bool fe_ring_send(struct frontend *fe, unsigned index, uint32_t base)
{
    struct fe_ring *r = &fe->ring[index];
    const struct drv_ring *ring = &r->ring;

    return fe_state(fe, FE_SET_VRING_NUM, index, ring->size) == 0 &&
           fe_state(fe, FE_SET_VRING_BASE, index, base) == 0 &&
           fe_addr(fe, index, fe_user(fe, ring->desc), fe_user(fe, ring->driver),
                   fe_user(fe, ring->device)) == 0 &&
           fe_vring_fd(fe, FE_SET_VRING_CALL, index, r->call) == 0 &&
           fe_vring_fd(fe, FE_SET_VRING_ERR, index, r->err) == 0 &&
           fe_vring_fd(fe, FE_SET_VRING_KICK, index, r->kick) == 0;
}

bool fe_start(struct frontend *fe, uint64_t protocol, uint64_t features, unsigned rings)
{
    bool packed = features & DRV_F_PACKED;

    features |= DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES;
    if (!fe_hello(fe, protocol) || fe_u64(fe, FE_SET_FEATURES, features))
        return false;
    if ((protocol & FE_P_STATUS) && fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK))
        return false;
    if ((!fe->host && !fe_memory_new(fe, 1 << 20)) || !fe_memory_send(fe))
        return false;
    for (unsigned i = 0; i < rings; i++) {
        if (!fe_ring_new(fe, i, 16, packed) ||
            !fe_ring_send(fe, i, packed ? UINT32_C(0x80008000) : 0) ||
            fe_state(fe, FE_SET_VRING_ENABLE, i, 1))
            return false;
    }
    if (protocol & FE_P_STATUS)
        return fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK | DRV_S_DRIVER_OK) == 0;
    return true;
}

/* ---- requests on a ring ---- */

int fe_submit(struct frontend *fe, unsigned index, const void *out, uint32_t out_len,
              uint32_t in_len, uint8_t **in)
{
    struct drv_ring *ring = &fe->ring[index].ring;
    struct drv_buf obuf = {.addr = drv_alloc(&fe->mem, out_len + in_len + 1, 16), .len = out_len};
    struct drv_buf ibuf = {.addr = obuf.addr + out_len, .len = in_len};
    struct drv_chain chain = {.out = &obuf,
                              .in = &ibuf,
                              .nout = out_len > 0,
                              .nin = in_len > 0,
                              .direct = DRV_DIRECT,
                              .token = obuf.addr};
    int id;

    if (obuf.addr == DRV_NO_ADDR)
        return -1;
    if (out_len)
        memcpy(drv_ptr(&fe->mem, obuf.addr, out_len), out, out_len);
    if (in)
        *in = drv_ptr(&fe->mem, ibuf.addr, in_len ? in_len : 1);
    id = drv_ring_add(ring, &chain);
    drv_ring_publish(ring);
    return id;
}

void fe_kick(struct frontend *fe, unsigned index)
{
    uint64_t one = 1;

    if (write(fe->ring[index].kick, &one, sizeof(one)) != sizeof(one))
        abort();
}

bool fe_event(int fd, int timeout_ms)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    uint64_t count;

    if (poll(&pfd, 1, timeout_ms) <= 0)
        return false;
    return read(fd, &count, sizeof(count)) == sizeof(count);
}

bool fe_wait_used(struct frontend *fe, unsigned index, struct drv_used *used, int timeout_ms)
{
    struct fe_ring *r = &fe->ring[index];

    for (;;) {
        if (drv_ring_get(&r->ring, used))
            return true;
        if (drv_ring_irq_on(&r->ring))
            continue;
        if (!fe_event(r->call, timeout_ms))
            return false; /* an answer without its interrupt is none */
    }
}

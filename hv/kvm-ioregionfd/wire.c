/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register accesses: a command of 32 bytes comes, is performed, and is answered with 32 bytes, in
 * order, one after the other. The rings are served later, so a vCPU never waits for them.
 *
 * The answers carry no number. One that is missing, or one too many, would be taken for another's,
 * so whatever is not exactly right ends the connection.
 */
#include "ior.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A command, whatever its layout was. */
struct access {
    uint8_t command;
    unsigned size;
    bool answer;
};

/* Where the parts of the window begin, and their sizes. */
static const struct {
    uint32_t base, size;
} parts[] = {
    [ANYHV_IOR_LOW] = {0, ANYHV_IOR_NOTIFY},
    [ANYHV_IOR_HIGH] = {ANYHV_IOR_BEHIND, ANYHV_IOR_WINDOW - ANYHV_IOR_BEHIND},
    [ANYHV_IOR_DOORBELL] = {ANYHV_IOR_NOTIFY, ANYHV_IOR_BEHIND - ANYHV_IOR_NOTIFY},
    [ANYHV_IOR_ANY] = {ANYHV_IOR_NOTIFY, ANYHV_IOR_BEHIND - ANYHV_IOR_NOTIFY},
};
_Static_assert((int)ANYHV_IOR_WINDOW == (int)ANYHV_MMIO_SIZE, "one window");
_Static_assert((int)ANYHV_IOR_NOTIFY == (int)ANYHV_MMIO_NOTIFY, "QueueNotify");

__attribute__((format(printf, 2, 3))) static bool wrong(const struct anyhv_ior_command *in,
                                                        const char *fmt, ...)
{
    char text[128];
    uint64_t head;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    memcpy(&head, &in->head, sizeof(head));
    anyhv_log(ANYHV_LOG_WARNING, "ior.command",
              "head 0x%016" PRIx64 " user_data %" PRIu64 " offset 0x%" PRIx64 ": %s", head,
              in->user_data, in->offset, text);
    return false;
}

/* ---- the two layouts ---- */

static bool decode_v3(const struct anyhv_ior_command *in, struct access *out)
{
    static const uint8_t zero[6];

    if (in->head.v3.info & ~0x1f || memcmp(in->head.v3.zero, zero, sizeof(zero)))
        return wrong(in, "this is not the layout v3");
    if ((in->head.v3.info & 0xf) > 3)
        return wrong(in, "size exponent %d", in->head.v3.info & 0xf);
    out->command = in->head.v3.command;
    out->size = 1u << (in->head.v3.info & 0xf);
    out->answer = in->head.v3.info & 0x10;
    return true;
}

static bool decode_info(const struct anyhv_ior_command *in, struct access *out)
{
    uint32_t info = in->head.info.info;

    if (info & ~UINT32_C(0x7f) || in->head.info.zero)
        return wrong(in, "this is not the layout info");
    out->command = info & 0xf;
    out->size = 1u << (info >> 4 & 3);
    out->answer = info & 0x40;
    return true;
}

/* ---- what may be asked ---- */

static bool check(const struct anyhv_ior_command *in, const struct access *access)
{
    bool doorbell;

    if (access->command > ANYHV_IOR_WRITE)
        return wrong(in, "command %d", access->command);
    if (in->user_data >= sizeof(parts) / sizeof(parts[0]))
        return wrong(in, "there is no such part of the window");
    if (in->offset >= parts[in->user_data].size ||
        access->size > parts[in->user_data].size - in->offset)
        return wrong(in, "%u bytes there are outside the part", access->size);
    doorbell = in->user_data >= ANYHV_IOR_DOORBELL;
    if (!access->answer && (access->command == ANYHV_IOR_READ || !doorbell))
        return wrong(in, "it has to want an answer");
    return true;
}

static void kick_all(struct ior_connection *c)
{
    for (unsigned queue = 0; queue < c->mmio.dev.ops->queues; queue++)
        anyhv_ctl_kick(&c->mmio.dev, queue);
}

static uint64_t low_bytes(uint64_t value, unsigned bytes)
{
    return bytes < 8 ? value & ((UINT64_C(1) << (8 * bytes)) - 1) : value;
}

/* What the guest may not do is the registers' business, not an error of this protocol. */
static uint64_t perform(struct ior_connection *c, const struct anyhv_ior_command *in,
                        const struct access *access)
{
    uint32_t off = parts[in->user_data].base + (uint32_t)in->offset;
    bool write = access->command == ANYHV_IOR_WRITE;
    uint64_t value = write ? low_bytes(in->data, access->size) : 0;

    if (write && in->user_data == ANYHV_IOR_ANY)
        kick_all(c);
    else
        anyhv_mmio_access(&c->mmio, off, access->size, write, &value);
    return write ? 0 : low_bytes(value, access->size);
}

static bool answer(const struct ior_connection *c, uint64_t data)
{
    struct anyhv_ior_response response = {.data = data};
    ssize_t n;

    do {
        n = send(c->wire.fd, &response, sizeof(response), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(response))
        return true;
    anyhv_log(ANYHV_LOG_WARNING, "ior.command", "the answer cannot be sent: %s",
              n < 0 ? strerror(errno) : "there is no room");
    return false;
}

enum came {
    NOTHING,
    WHOLE,
    ANSWERED, /* it was served, and none follows before its answer is there */
    BROKEN,   /* said why, if it is not the end */
};

static enum came serve(struct ior_connection *c, const struct anyhv_ior_command *in)
{
    struct access access = {0};
    uint64_t data;

    if (c->wire.layout == ANYHV_IOR_LAYOUT_V3 ? !decode_v3(in, &access) : !decode_info(in, &access))
        return BROKEN;
    if (!check(in, &access))
        return BROKEN;
    data = perform(c, in, &access);
    if (!access.answer)
        return WHOLE;
    return answer(c, data) ? ANSWERED : BROKEN;
}

/* ---- commands in ---- */

static enum came torn(size_t bytes)
{
    anyhv_log(ANYHV_LOG_WARNING, "ior.command", "a command of %zu bytes, not 32", bytes);
    return BROKEN;
}

static enum came receive(struct ior_wire *wire)
{
    size_t want = sizeof(wire->in) - wire->have;
    ssize_t n;

    do {
        n = recv(wire->fd, (uint8_t *)&wire->in + wire->have, want,
                 MSG_DONTWAIT | (wire->packets ? MSG_TRUNC : 0));
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return NOTHING;
    if (n <= 0)
        return wire->have ? torn(wire->have) : BROKEN;
    if (wire->packets && (size_t)n != sizeof(wire->in))
        return torn((size_t)n);
    wire->have += (size_t)n;
    if (wire->have < sizeof(wire->in))
        return NOTHING; /* level triggered: the rest makes us ready again */
    wire->have = 0;
    return WHOLE;
}

static void wire_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct ior_connection *c = watch->priv;
    enum came came = WHOLE;

    (void)events;
    for (unsigned n = 0; n < IOR_COMMANDS && came == WHOLE; n++) {
        came = receive(&c->wire);
        if (came == WHOLE)
            came = serve(c, &c->wire.in);
    }
    if (came == BROKEN || ior_memory_lost(c))
        ior_connection_end(c);
}

/* ---- beginning and end ---- */

/*
 * One end of a nameless pair. The VMM's own end of the connection would keep that open for ever; it
 * is told by its peer's name, which is where we listen.
 */
static bool is_pair(int fd, int *type)
{
    struct sockaddr_un peer;
    socklen_t len = sizeof(int), peer_len = sizeof(peer);
    int domain = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &len) < 0 ||
        (*type != SOCK_STREAM && *type != SOCK_SEQPACKET))
        return false;
    return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
           peer_len <= sizeof(sa_family_t);
}

int ior_wire_begin(struct ior_connection *c, int fd)
{
    int type, rc;

    if (!is_pair(fd, &type))
        return -ENOTSOCK;
    c->wire.packets = type == SOCK_SEQPACKET;
    c->wire.watch = (struct anyhv_watch){.ready = wire_ready, .priv = c};
    rc = anyhv_watch_add(c->module->server->loop, &c->wire.watch, fd, EPOLLIN);
    if (rc == 0)
        c->wire.fd = fd;
    return rc;
}

void ior_wire_end(struct ior_connection *c)
{
    anyhv_watch_del(&c->wire.watch);
    ior_fd_close(&c->wire.fd);
}

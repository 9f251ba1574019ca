/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "kvm-ioregionfd/world.h"

#include <anyhv/linux/log.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct world *heard_by;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the module ---- */

static void hear(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)line;
    if (heard_by && heard_by->nevents < WORLD_LINES)
        snprintf(heard_by->event[heard_by->nevents++], sizeof(heard_by->event[0]), "%s", event);
}

bool world_logged(struct world *w, const char *event)
{
    bool found = false;

    for (unsigned i = 0; i < w->nevents; i++)
        found |= strcmp(w->event[i], event) == 0;
    w->nevents = 0;
    return found;
}

/* Events come by way of descriptors, which epoll may see one round later. */
void world_turn(struct world *w)
{
    while (anyhv_loop_turn(w->server.loop, 0) > 0)
        ;
}

struct anyhv_dev *world_dev(const struct world *w)
{
    return w->server.instances ? w->server.instances->dev : NULL;
}

static void parse(struct world *w)
{
    char name[] = "module";
    char *argv[] = {name, w->option, NULL};

    snprintf(w->option, sizeof(w->option), "--socket-path=%s", w->path);
    assert_int_equal(argp_parse(anyhv_hv_kvm_ioregionfd.args, 2, argv, 0, NULL, w->options), 0);
}

void world_start(struct world *w, const struct anyhv_class *cls)
{
    memset(w, 0, sizeof(*w));
    w->control = w->wire = w->irq = w->resample = w->answer_fd = -1;
    memset(w->kick, 0xff, sizeof(w->kick));
    snprintf(w->dir, sizeof(w->dir), "/tmp/anyhv-ior.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/socket", w->dir);
    w->cls = *cls;
    w->options = calloc(1, anyhv_hv_kvm_ioregionfd.options_size);
    assert_non_null(w->options);
    parse(w);
    heard_by = w;
    anyhv_log_sink(hear, NULL);
    w->server =
        (struct anyhv_server){.loop = anyhv_loop_new(), .cls = &w->cls, .options = w->options};
    assert_non_null(w->server.loop);
    assert_int_equal(anyhv_hv_kvm_ioregionfd.start(&w->server), 0);
    w->up = true;
}

void world_stop(struct world *w)
{
    world_disconnect(w);
    if (w->up) {
        anyhv_hv_kvm_ioregionfd.stop(&w->server);
        assert_null(w->server.instances);
        anyhv_loop_free(w->server.loop);
        free(w->options);
        rmdir(w->dir);
    }
    w->up = false;
    anyhv_log_sink(NULL, NULL);
    heard_by = NULL;
}

/* ---- the handshake ---- */

void world_connect(struct world *w)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", w->path);
    w->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(w->control, (struct sockaddr *)&addr, sizeof(addr)), 0);
    world_turn(w);
}

void world_disconnect(struct world *w)
{
    close_fd(&w->control);
    close_fd(&w->wire);
    close_fd(&w->irq);
    close_fd(&w->resample);
    close_fd(&w->answer_fd);
    for (unsigned i = 0; i < 8; i++)
        close_fd(&w->kick[i]);
    if (w->up)
        world_turn(w);
}

bool world_send(struct world *w, const void *bytes, size_t len, const int *fds, unsigned nfds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    bool ok;

    memset(&control, 0, sizeof(control));
    if (nfds) {
        struct cmsghdr *cmsg;

        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
    }
    ok = sendmsg(w->control, &msg, MSG_NOSIGNAL) == (ssize_t)len;
    world_turn(w);
    return ok;
}

static int take_answer(struct world *w)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {w->answer, sizeof(w->answer)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg;
    uint32_t result;
    ssize_t n = recvmsg(w->control, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0 && errno == EAGAIN)
        return WORLD_SILENT;
    if (n <= 0)
        return WORLD_CLOSED;
    assert_int_equal(n, 64);
    close_fd(&w->answer_fd);
    cmsg = CMSG_FIRSTHDR(&msg);
    if (cmsg)
        memcpy(&w->answer_fd, CMSG_DATA(cmsg), sizeof(int));
    memcpy(&result, w->answer + 4, sizeof(result));
    return (int)result;
}

int world_say(struct world *w, uint32_t request, const void *payload, size_t len, const int *fds,
              unsigned nfds)
{
    uint8_t message[64] = {0};
    uint32_t echoed;
    int result;

    memcpy(message, &request, sizeof(request));
    if (len)
        memcpy(message + 8, payload, len);
    world_send(w, message, sizeof(message), fds, nfds);
    result = take_answer(w);
    if (result >= 0) {
        memcpy(&echoed, w->answer, sizeof(echoed));
        assert_int_equal(echoed, request);
    }
    return result;
}

int world_hello(struct world *w, uint32_t layout)
{
    const uint32_t words[] = {0x524f4941, 1, layout};

    return world_say(w, REQ_HELLO, words, sizeof(words), NULL, 0);
}

int world_add(struct world *w, uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
    const uint64_t words[] = {addr, size, offset};

    return world_say(w, REQ_MEMORY_ADD, words, sizeof(words), &fd, 1);
}

int world_remove(struct world *w, uint64_t addr, uint64_t size)
{
    const uint64_t words[] = {addr, size};

    return world_say(w, REQ_MEMORY_REMOVE, words, sizeof(words), NULL, 0);
}

int world_kick_fd(struct world *w, uint32_t queue)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), result;

    result = world_say(w, REQ_KICK, &queue, sizeof(queue), &fd, 1);
    if (result == RES_OK)
        w->kick[queue] = fd;
    else
        close(fd);
    return result;
}

int world_interrupt(struct world *w, bool level)
{
    uint32_t flags = level;
    int fds[2];

    w->irq = fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (level)
        w->resample = fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return world_say(w, REQ_INTERRUPT, &flags, sizeof(flags), fds, level ? 2 : 1);
}

int world_state(struct world *w, int fd)
{
    return world_say(w, REQ_STATE, NULL, 0, &fd, fd >= 0);
}

int world_start_device(struct world *w, int type)
{
    int pair[2], result;

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    result = world_say(w, REQ_START, NULL, 0, &pair[1], 1);
    close(pair[1]);
    w->wire = pair[0];
    return result;
}

bool world_signalled(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count);
}

void world_signal(int fd)
{
    uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* ---- the kernel ---- */

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

void world_encode(uint8_t out[32], uint32_t layout, const struct command *command)
{
    uint8_t exponent = (uint8_t)(command->size == 8   ? 3
                                 : command->size == 4 ? 2
                                 : command->size == 2 ? 1
                                                      : 0);
    uint32_t info = (uint32_t)(command->write | exponent << 4 | (command->posted ? 0 : 1) << 6);

    memset(out, 0, 32);
    if (layout == LAYOUT_V3) {
        out[0] = command->write;
        out[1] = (uint8_t)(exponent | (command->posted ? 0 : 0x10));
    } else {
        memcpy(out, &info, sizeof(info));
    }
    put64(out + 8, command->user_data);
    put64(out + 16, command->offset);
    put64(out + 24, command->data);
}

void world_put(struct world *w, const void *bytes, size_t len)
{
    assert_int_equal(send(w->wire, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

int world_get(struct world *w, uint64_t *data)
{
    static const uint8_t zero[24];
    uint8_t bytes[64];
    ssize_t n;

    world_turn(w);
    n = recv(w->wire, bytes, sizeof(bytes), 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return WORLD_CLOSED;
    assert_int_equal(n, 32);
    assert_memory_equal(bytes + 8, zero, sizeof(zero));
    memcpy(data, bytes, sizeof(*data));
    return 1;
}

uint64_t world_access(struct world *w, uint32_t layout, const struct command *command)
{
    uint8_t bytes[32];
    uint64_t data = 0;

    world_encode(bytes, layout, command);
    world_put(w, bytes, sizeof(bytes));
    assert_int_equal(world_get(w, &data), command->posted ? 0 : 1);
    return data;
}

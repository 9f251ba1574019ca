/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "kvm-ioregionfd/fake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int mood_of(struct fake *f)
{
    return __atomic_load_n(&f->mood, __ATOMIC_SEQ_CST);
}

void fake_mood(struct fake *f, enum fake_mood mood)
{
    __atomic_store_n(&f->mood, (int)mood, __ATOMIC_SEQ_CST);
}

static bool ended(struct fake *f)
{
    return __atomic_load_n(&f->end, __ATOMIC_SEQ_CST);
}

/* ---- messages ---- */

static ssize_t take(int fd, uint8_t *bytes, int *fds, unsigned *nfds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = {bytes, 64};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    *nfds = 0;
    if (cmsg) {
        *nfds = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(cmsg), *nfds * sizeof(int));
    }
    return n;
}

static void give(int fd, const uint8_t *bytes, int with)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {(void *)(uintptr_t)bytes, 64};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *cmsg;

    memset(&control, 0, sizeof(control));
    if (with >= 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &with, sizeof(int));
    }
    sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void drip(int fd, const uint8_t *bytes)
{
    for (unsigned i = 0; i < 64; i++) {
        send(fd, bytes + i, 1, MSG_NOSIGNAL);
        usleep(5000);
    }
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* False: it hung up. *@wire is set by START. */
static bool answer_message(struct fake *f, int fd, int *wire)
{
    uint8_t in[64] = {0}, out[64] = {0};
    int fds[4], state = -1;
    unsigned nfds;
    uint32_t request;

    if (take(fd, in, fds, &nfds) != 64)
        return false;
    pthread_mutex_lock(&f->lock);
    if (f->nmessages < FAKE_NOTES) {
        memcpy(f->message[f->nmessages], in, 64);
        f->nfds[f->nmessages++] = nfds;
    }
    pthread_mutex_unlock(&f->lock);
    memcpy(&request, in, sizeof(request));
    put32(out, mood_of(f) == FAKE_GARBAGE ? request + 1 : request);
    if (request == 1) {
        put32(out + 4, mood_of(f) == FAKE_OTHER ? 2 : 0);
        put32(out + 8, 1);
        put32(out + 12, 4);
        put32(out + 16, FAKE_QUEUES);
        put32(out + 20, 64);
        put32(out + 24, mood_of(f) == FAKE_BOASTS);
    } else {
        put32(out + 4, mood_of(f) == FAKE_REFUSES);
    }
    if (request == 6)
        state = memfd_create("state", MFD_CLOEXEC);
    if (request == 7 && nfds)
        *wire = dup(fds[0]);
    if (mood_of(f) == FAKE_DRIPS)
        drip(fd, out);
    else if (mood_of(f) != FAKE_SILENT)
        give(fd, out, state);
    if (state >= 0)
        close(state);
    for (unsigned i = 0; i < nfds; i++)
        close(fds[i]);
    return true;
}

/* ---- commands ---- */

static bool wants_answer(const uint8_t *command)
{
    return command[1] ? command[1] & 0x10 : command[0] & 0x40;
}

/* False: it is gone. */
static bool serve(struct fake *f, int *socket)
{
    int wire = *socket;
    uint8_t in[32], out[64] = {0};
    uint64_t number;
    int mood;

    if (recv(wire, in, sizeof(in), 0) != sizeof(in))
        return false;
    pthread_mutex_lock(&f->lock);
    if (f->ncommands < FAKE_NOTES)
        memcpy(f->command[f->ncommands], in, 32);
    number = ++f->ncommands;
    pthread_mutex_unlock(&f->lock);
    if (!wants_answer(in))
        return true;
    memcpy(out, &number, sizeof(number));
    mood = mood_of(f);
    if (mood != FAKE_HANGS && mood != FAKE_LINGERS && mood != FAKE_SILENT)
        fake_mood(f, FAKE_SERVES);
    switch (mood) {
    case FAKE_SHORT:
        send(wire, out, 31, MSG_NOSIGNAL);
        return true;
    case FAKE_LONG:
        send(wire, out, 33, MSG_NOSIGNAL);
        return true;
    case FAKE_TWICE:
        send(wire, out, 32, MSG_NOSIGNAL);
        return send(wire, out, 32, MSG_NOSIGNAL) == 32;
    case FAKE_DROPS:
        close(wire);
        *socket = -1;
        return true;
    case FAKE_DIES:
    case FAKE_SILENT:
        return false;
    case FAKE_HANGS:
        return true;
    case FAKE_LINGERS:
        shutdown(wire, SHUT_RDWR);
        while (mood_of(f) == FAKE_LINGERS)
            usleep(1000);
        return false;
    default:
        return send(wire, out, 32, MSG_NOSIGNAL) == 32;
    }
}

static void live(struct fake *f, int fd)
{
    int wire = -1;
    bool alive = true;

    while (alive && !ended(f)) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wire, .events = POLLIN}};
        bool had = wire >= 0;

        if (poll(fds, 2, 20) <= 0)
            continue;
        if (fds[0].revents)
            alive = answer_message(f, fd, &wire);
        if (alive && had && fds[1].revents)
            alive = serve(f, &wire);
        if (!had && wire >= 0)
            __atomic_add_fetch(&f->lives, 1, __ATOMIC_SEQ_CST);
    }
    if (wire >= 0)
        close(wire);
    close(fd);
}

static void *run(void *arg)
{
    struct fake *f = arg;
    sigset_t all;

    sigfillset(&all); /* signals are for those who wait */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!ended(f)) {
        struct pollfd wait = {.fd = f->listener, .events = POLLIN};
        int fd;

        if (poll(&wait, 1, 20) <= 0)
            continue;
        fd = accept(f->listener, NULL, NULL);
        if (fd >= 0)
            live(f, fd);
    }
    return NULL;
}

void fake_start(struct fake *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    snprintf(f->dir, sizeof(f->dir), "/tmp/anyhv-fake.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

void fake_stop(struct fake *f)
{
    __atomic_store_n(&f->end, true, __ATOMIC_SEQ_CST);
    pthread_join(f->thread, NULL);
    close(f->listener);
    unlink(f->path);
    rmdir(f->dir);
    pthread_mutex_destroy(&f->lock);
}

static unsigned count(struct fake *f, const unsigned *what)
{
    unsigned n;

    pthread_mutex_lock(&f->lock);
    n = *what;
    pthread_mutex_unlock(&f->lock);
    return n;
}

unsigned fake_commands(struct fake *f)
{
    return count(f, &f->ncommands);
}

unsigned fake_lives(struct fake *f)
{
    return __atomic_load_n(&f->lives, __ATOMIC_SEQ_CST);
}

unsigned fake_messages(struct fake *f)
{
    return count(f, &f->nmessages);
}

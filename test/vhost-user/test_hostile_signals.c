/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that do not signal, channels that nobody reads, and everything at random. */
#include "vhost-user/hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- descriptors that signal ---- */

TEST(strange_kick_and_call)
{
    static const uint32_t ids[] = {FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR};
    struct frontend *fe = &h->fe;

    for (unsigned i = 0; i < 3; i++) {
        sigset_t none;
        int files[9];

        begin(h);
        assert_true(fe_start(fe, FE_P_ALL, 0, 1));
        sigemptyset(&none);
        memcpy(files,
               (int[]){
                   open("/dev/null", O_RDWR), open("/", O_RDONLY | O_DIRECTORY),
                   memfd_create("no event", 0), open("/dev/zero", O_RDWR),
                   socket(AF_UNIX, SOCK_STREAM, 0), dup(fe->fd), /* our own end of the connection */
                   timerfd_create(CLOCK_MONOTONIC, 0), epoll_create1(0), signalfd(-1, &none, 0)},
               sizeof(files));

        for (unsigned k = 0; k < sizeof(files) / sizeof(files[0]); k++) {
            assert_true(files[k] >= 0);
            REFUSED(fe_vring_fd(fe, ids[i], 0, files[k]));
            close(files[k]);
        }
        if (i == 0) /* later lines fall to the rate limit */
            assert_true(backend_logged(&h->b, "fd is no eventfd, pipe or socket pair"));
        harness_no_answer(h, 0);
    }
}

/* What passes for an event, but never behaves like one: nothing blocks, nothing spins. */
TEST(useless_kick_and_call)
{
    struct frontend *fe = &h->fe;
    int files[9], pair[2], full[2], epoll = epoll_create1(0);
    uint64_t before;
    unsigned n = 0;
    char byte = 0;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    assert_int_equal(pipe2(full, O_NONBLOCK), 0);
    while (write(full[1], &byte, 1) == 1)
        ;
    assert_int_equal(fcntl(full[1], F_SETFL, 0), 0); /* full, and writing to it blocks */
    files[n++] = full[1];
    assert_int_equal(pipe(pair), 0);
    files[n++] = pair[0]; /* as a call: cannot be written */
    files[n++] = pair[1]; /* as a kick: cannot be read */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    files[n++] = pair[0];                         /* nobody at the other end */
    files[n++] = socket(AF_UNIX, SOCK_STREAM, 0); /* not even connected */
    files[n++] = epoll;
    files[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
    files[n++] = eventfd(0, EFD_SEMAPHORE);
    files[n++] = eventfd(UINT32_MAX, 0);
    for (unsigned i = 0; i < n; i++) {
        (void)fe_vring_fd(fe, FE_SET_VRING_CALL, 0, files[i]); /* whatever it says */
        (void)fe_vring_fd(fe, FE_SET_VRING_KICK, 0, files[i]);
        (void)fe_vring_fd(fe, FE_SET_VRING_ERR, 0, files[i]);
        harness_echo(h, 1);
        close(files[i]);
    }
    close(full[0]);
    before = backend_cpu_ns(&h->b);
    usleep(300000);
    assert_true(backend_cpu_ns(&h->b) - before < 100000000);
    harness_echo(h, 1);
}

/* It would be ready as often as it has been counted up, and that is done with one write. */
TEST(semaphore_as_kick)
{
    static const unsigned counts[] = {0, 1, 2, UINT32_MAX};
    struct frontend *fe = &h->fe;
    uint8_t *answer;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    for (unsigned i = 0; i < 4; i++) {
        int semaphore = eventfd(counts[i], EFD_SEMAPHORE), fd = eventfd(counts[i], 0);
        uint64_t nearly_full = UINT64_MAX - 1 - counts[i];

        REFUSED(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, semaphore));
        OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, semaphore)); /* we only count it up */
        OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, fe->ring[0].call));
        harness_submit(h, 0, PROBE_ECHO, 0, &answer); /* its kick is in the new descriptor */
        if (i == 3)
            assert_int_equal(write(fd, &nearly_full, 8), 8);
        OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fd));
        harness_answer(h, 0, 12);
        close(semaphore);
        close(fe->ring[0].kick);
        fe->ring[0].kick = fd;
        harness_echo(h, 0);
    }
    assert_true(backend_logged(&h->b, "SET_VRING_KICK: ring 0: fd is a semaphore"));
}

TEST(strange_backend_channel)
{
    struct frontend *fe = &h->fe;
    int fds[5], pair[2];

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    assert_int_equal(pipe(pair), 0);
    fds[0] = open("/dev/null", O_RDWR);
    fds[1] = eventfd(0, 0);
    fds[2] = pair[0]; /* the wrong end */
    fds[3] = socket(AF_INET, SOCK_STREAM, 0);
    fds[4] = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (unsigned i = 0; i < 5; i++) {
        REFUSED(fe_call(fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &fds[i], 1));
        close(fds[i]);
    }
    close(pair[1]);
    assert_true(backend_logged(&h->b, "SET_BACKEND_REQ_FD: fd is neither"));
    harness_echo(h, 0);
    /* Its own end: kept, the connection would never close. */
    REFUSED(fe_call(fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &fe->fd, 1));
    fe_fini(fe);
    assert_true(settled(h));
    fe_init(fe);
}

/* A channel that nobody reads, full to the brim. */
TEST(full_backend_channel)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    int pair[2];

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    for (unsigned use_pipe = 0; use_pipe < 2; use_pipe++) {
        char bytes[4096] = {0};

        if (use_pipe)
            assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        while (write(pair[1], bytes, sizeof(bytes)) > 0)
            ;
        OK(fe_call(fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
        for (unsigned i = 0; i < 20; i++) {
            fe->mem.used = 0x8000;
            harness_submit(h, 0, PROBE_CONFIG, i, &answer);
            fe_kick(fe, 0);
            harness_answer(h, 0, 0);
        }
        close(pair[0]);
        close(pair[1]);
        harness_echo(h, 0);
    }
}

/* ---- many ---- */

/* A message of a known kind with values that are sometimes right. */
static void random_message(struct frontend *fe, uint64_t *seed)
{
    const struct request *r = &requests[xorshift(seed) % request_count];
    uint32_t size = xorshift(seed) % 8 ? r->size_min : r->size_max;
    uint32_t flags = FE_VERSION | (xorshift(seed) & FE_NEED_REPLY);
    unsigned nfds = r->fds_max && xorshift(seed) % 4 ? r->fds_min + (r->fds_max == 8) : r->fds_min;
    uint64_t words[FE_PAYLOAD / 8];
    int fds[8];

    for (unsigned i = 0; i < size / 8 + 1; i++) {
        uint64_t any = xorshift(seed);

        switch (any % 6) {
        case 0:
            words[i] = 0;
            break;
        case 1:
            words[i] = any >> 62;
            break;
        case 2:
            words[i] = fe->region.guest + (any >> 44);
            break;
        case 3:
            words[i] = fe->region.user + (any >> 44);
            break;
        case 4:
            words[i] = any >> 62 | UINT64_C(16) << 32;
            break;
        default:
            words[i] = any;
        }
    }
    if (xorshift(seed) % 4 && r->id != FE_SET_FEATURES)
        words[0] &= UINT64_C(0x1f00000001);
    for (unsigned i = 0; i < 8; i++)
        fds[i] = xorshift(seed) & 1 ? fe->memfd : fe->ring[0].kick;
    fe_send(fe, r->id, flags, words, size, fds, nfds);
}

static void drain_answers(struct frontend *fe)
{
    uint8_t bytes[4096];

    while (recv(fe->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

TEST(random_messages)
{
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15), features;

    for (unsigned round = 0; round < 400; round++) {
        struct frontend *fe = &h->fe;
        unsigned count = xorshift(&seed) % 60;

        fe_fini(fe);
        fe_init(fe);
        assert_true(fe_connect(fe, h->b.path));
        if (round & 1)
            assert_true(fe_start(fe, FE_P_ALL, round & 2 ? DRV_F_PACKED : 0, 2));
        else
            assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 1 << 20) &&
                        fe_ring_new(fe, 0, 16, false));
        for (unsigned i = 0; i < count; i++) {
            random_message(fe, &seed);
            drain_answers(fe);
        }
        if (round % 16 == 0)
            assert_true(backend_alive(&h->b));
    }
    fe_fini(&h->fe);
    fe_init(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
}

/* Rings full of noise, in both layouts: whatever they say, only guest memory is touched. */
TEST(random_rings)
{
    uint64_t seed = 77;

    for (unsigned round = 0; round < 200; round++) {
        struct frontend *fe = &h->fe;

        fe_fini(fe);
        fe_init(fe);
        assert_true(fe_connect(fe, h->b.path));
        assert_true(fe_start(fe, FE_P_ALL, round & 1 ? DRV_F_PACKED : 0, 2));
        for (unsigned i = 0; i < 20; i++) {
            for (unsigned k = 0; k < 40; k++) {
                uint64_t any = xorshift(&seed);

                /* Both rings, and what descriptors that are nearly right point at. */
                drv_poke64(&fe->mem, fe->mem.base + (any >> 20 & 0xff8),
                           any & 1 ? fe->mem.base + (any >> 40 & 0xffff) : xorshift(&seed));
                drv_poke16(&fe->mem, fe->ring[i & 1].ring.driver + 2, (uint16_t)(any >> 8 & 31));
            }
            fe_kick(fe, 0);
            fe_kick(fe, 1);
        }
        if (round & 2)
            (void)fe_u64(fe, FE_SET_STATUS, 0);
    }
    fe_fini(&h->fe);
    fe_init(&h->fe);
    assert_true(settled(h));
    assert_true(backend_alive(&h->b));
    assert_true(fe_connect(&h->fe, h->b.path) && fe_start(&h->fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
}

/* Only noise. */
TEST(random_bytes)
{
    uint64_t seed = 42, features;

    for (unsigned round = 0; round < 300; round++) {
        uint64_t words[64];
        int fd = STDERR_FILENO;

        for (unsigned i = 0; i < 64; i++)
            words[i] = xorshift(&seed);
        fe_disconnect(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
        fe_send_bytes(&h->fe, words, 1 + words[0] % sizeof(words), &fd, words[1] & 1);
    }
    fe_disconnect(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
}

static const struct CMUnitTest tests[] = {
    HOSTILE(strange_kick_and_call), HOSTILE(useless_kick_and_call),
    HOSTILE(semaphore_as_kick),     HOSTILE(strange_backend_channel),
    HOSTILE(full_backend_channel),  HOSTILE(random_messages),
    HOSTILE(random_rings),          HOSTILE(random_bytes),
};

HARNESS_MAIN("vhost-user, hostile signals", tests)

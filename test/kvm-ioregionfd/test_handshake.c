/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake: what a VMM says right, what it says wrong, and what stays behind. */
#include "testing.h"

#include "conformance/test_device.h"
#include "kvm-ioregionfd/world.h"

#include <anyhv/linux/fdmem.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MEMORY (UINT64_C(1) << 20)

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct anyhv_class cls = {.ops = &test_device_ops[TEST_PLAIN],
                                    .instance_size = sizeof(struct test_device),
                                    .create = create};

    if (!w)
        return -1;
    world_start(w, &cls);
    world_connect(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_stop(*state);
    free(*state);
    return 0;
}

static int memory_file(void)
{
    int fd = anyhv_fdmem_create("guest", MEMORY);

    assert_true(fd >= 0);
    return fd;
}

static uint32_t word(const struct world *w, unsigned at)
{
    uint32_t value;

    memcpy(&value, w->answer + 8 + 4 * at, sizeof(value));
    return value;
}

/* ---- right ---- */

static void a_device_starts(void **state)
{
    struct world *w = *state;
    int fd = memory_file();
    struct command magic = {.size = 4};

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(word(w, 0), 1);
    assert_int_equal(word(w, 1), TEST_DEVICE_ID);
    assert_int_equal(word(w, 2), TEST_QUEUES);
    assert_int_equal(word(w, 3), 64);
    assert_int_equal(world_add(w, 0, MEMORY, 0, fd), RES_OK);
    for (uint32_t i = 0; i < TEST_QUEUES; i++)
        assert_int_equal(world_kick_fd(w, i), RES_OK);
    assert_int_equal(world_interrupt(w, false), RES_OK);
    assert_int_equal(world_start_device(w, SOCK_SEQPACKET), RES_OK);
    assert_int_equal(world_access(w, LAYOUT_V3, &magic), 0x74726976);
    assert_int_equal(world_say(w, REQ_RESET, NULL, 0, NULL, 0), RES_OK);
    assert_int_equal(world_remove(w, 0, MEMORY), RES_OK);
    assert_int_equal(world_add(w, 4096, MEMORY / 2, MEMORY / 2, fd), RES_OK);
    close(fd);
}

/* A message may come byte by byte. */
static void in_pieces(void **state)
{
    struct world *w = *state;
    const uint32_t hello[16] = {REQ_HELLO, 0, 0x524f4941, 1, LAYOUT_INFO};
    uint8_t answer[64];

    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(recv(w->control, answer, 64, MSG_DONTWAIT), -1);
        assert_true(world_send(w, (const uint8_t *)hello + i, 1, NULL, 0));
    }
    assert_int_equal(recv(w->control, answer, 64, MSG_DONTWAIT), 64);
}

/* ---- refused: an answer that says so, and all goes on ---- */

static void versions(void **state)
{
    struct world *w = *state;
    const uint32_t later[] = {0x524f4941, 2, LAYOUT_V3};

    assert_int_equal(world_say(w, REQ_HELLO, later, sizeof(later), NULL, 0), RES_VERSIONS);
    assert_int_equal(word(w, 0), 1);
    assert_true(world_logged(w, "ior.refused"));
    assert_int_equal(world_hello(w, 0), RES_INVALID);
    assert_int_equal(world_hello(w, 3), RES_INVALID);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_MOMENT);
}

/* Features that it does not know are not taken, and no error. */
static void features(void **state)
{
    struct world *w = *state;
    const uint32_t all[] = {0x524f4941, 1, LAYOUT_V3, 0, UINT32_MAX, UINT32_MAX};

    assert_int_equal(world_say(w, REQ_HELLO, all, sizeof(all), NULL, 0), RES_OK);
    assert_int_equal(word(w, 4), 0);
    assert_int_equal(word(w, 5), 0);
}

static void everything_in_its_time(void **state)
{
    struct world *w = *state;
    int fd = memory_file(), other;

    assert_int_equal(world_add(w, 0, MEMORY, 0, fd), RES_MOMENT);
    assert_int_equal(world_say(w, REQ_RESET, NULL, 0, NULL, 0), RES_MOMENT);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_say(w, REQ_RESET, NULL, 0, NULL, 0), RES_MOMENT);
    assert_int_equal(world_start_device(w, SOCK_STREAM), RES_MOMENT);
    close(w->wire);
    assert_int_equal(world_interrupt(w, true), RES_OK);
    other = w->irq;
    close(w->resample);
    assert_int_equal(world_interrupt(w, false), RES_MOMENT);
    close(other);
    assert_int_equal(world_state(w, -1), RES_OK);
    assert_int_equal(world_state(w, -1), RES_MOMENT);
    assert_int_equal(world_kick_fd(w, 1), RES_OK);
    close(w->kick[1]);
    assert_int_equal(world_kick_fd(w, 1), RES_INVALID);
    assert_int_equal(world_kick_fd(w, TEST_QUEUES), RES_INVALID);
    assert_int_equal(world_kick_fd(w, UINT32_MAX), RES_INVALID);
    w->kick[1] = -1;
    assert_int_equal(world_start_device(w, SOCK_STREAM), RES_OK);
    other = w->wire;
    assert_int_equal(world_start_device(w, SOCK_STREAM), RES_MOMENT);
    close(other);
    assert_int_equal(world_kick_fd(w, 2), WORLD_CLOSED); /* its socket is gone, so are we */
    close(fd);
}

static void after_start(void **state)
{
    struct world *w = *state;
    int irq;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_interrupt(w, false), RES_OK);
    assert_int_equal(world_start_device(w, SOCK_STREAM), RES_OK);
    assert_int_equal(world_kick_fd(w, 0), RES_MOMENT);
    assert_int_equal(world_state(w, -1), RES_MOMENT);
    irq = w->irq;
    assert_int_equal(world_interrupt(w, false), RES_MOMENT);
    close(irq);
}

static void memory(void **state)
{
    struct world *w = *state;
    int fd = memory_file(), other;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_add(w, 0, 0, 0, fd), RES_INVALID);
    assert_int_equal(world_add(w, UINT64_MAX - 4095, 8192, 0, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0, 8192, UINT64_MAX - 4095, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0, MEMORY + 1, 0, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0, MEMORY, 4096, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0x10000, MEMORY / 2, 100, fd), RES_OK);
    assert_int_equal(world_add(w, 0x10000 + MEMORY / 2 - 1, 4096, 0, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0, 0x10001, 0, fd), RES_INVALID);
    assert_int_equal(world_add(w, 0, 0x10000, 0, fd), RES_OK);
    assert_int_equal(world_remove(w, 0, 0xffff), RES_INVALID);
    assert_int_equal(world_remove(w, 1, 0x10000), RES_INVALID);
    assert_int_equal(world_remove(w, 0, 0x10000), RES_OK);
    assert_int_equal(world_remove(w, 0, 0x10000), RES_INVALID);
    other = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(world_add(w, 0, 4096, 0, other), RES_INVALID);
    close(other);
    /* More than there are addresses for in this process: not the VMM's fault. */
    other = memfd_create("huge", MFD_CLOEXEC);
    assert_int_equal(ftruncate(other, (off_t)1 << 60), 0);
    assert_int_equal(world_add(w, 0, UINT64_C(1) << 60, 0, other), RES_NORES);
    close(other);
    for (unsigned i = 0; i < 63; i++)
        assert_int_equal(world_add(w, (i + 16) * MEMORY, 4096, 4096 * i, fd), RES_OK);
    assert_int_equal(world_add(w, 0, 4096, 0, fd), RES_NORES);
    close(fd);
}

/* Descriptors that are not what they are said to be. */
static void descriptors(void **state)
{
    struct world *w = *state;
    uint32_t zero = 0;
    int pipes[2], pair[2], file = memory_file(), listener;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(world_say(w, REQ_KICK, &zero, 4, &pipes[1], 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_KICK, &zero, 4, &file, 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_INTERRUPT, &zero, 4, &pair[0], 1), RES_INVALID);
    assert_int_equal(world_interrupt(w, false), RES_OK);
    assert_int_equal(world_say(w, REQ_START, NULL, 0, &file, 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_START, NULL, 0, &pipes[0], 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_START, NULL, 0, &pair[0], 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_START, NULL, 0, &listener, 1), RES_INVALID);
    /* Our own end of this connection: it would stay open for ever. */
    assert_int_equal(world_say(w, REQ_START, NULL, 0, &w->control, 1), RES_INVALID);
    assert_int_equal(world_start_device(w, SOCK_STREAM), RES_OK);
    close(pipes[0]);
    close(pipes[1]);
    close(pair[0]);
    close(pair[1]);
    close(file);
    close(listener);
}

static void interrupts_and_their_descriptors(void **state)
{
    struct world *w = *state;
    const uint32_t edge = 0, level = 1, more = 2;
    int fds[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_say(w, REQ_INTERRUPT, &edge, 4, fds, 2), RES_INVALID);
    assert_int_equal(world_say(w, REQ_INTERRUPT, &level, 4, fds, 1), RES_INVALID);
    assert_int_equal(world_say(w, REQ_INTERRUPT, &more, 4, fds, 1), RES_INVALID);
    /* One that answers itself would never rest. */
    assert_int_equal(world_say(w, REQ_INTERRUPT, &level, 4, (int[]){fds[0], fds[0]}, 2),
                     RES_INVALID);
    assert_int_equal(world_say(w, REQ_INTERRUPT, &level, 4, fds, 2), RES_OK);
    close(fds[0]);
    close(fds[1]);
}

/* ---- malformed: the connection ends, the next VMM is served ---- */

static void expect_end(struct world *w, const void *bytes, size_t len, const int *fds,
                       unsigned nfds)
{
    uint8_t answer[64];

    world_send(w, bytes, len, fds, nfds);
    assert_true(recv(w->control, answer, sizeof(answer), 0) <= 0);
    world_disconnect(w);
    world_connect(w);
}

static void malformed(void **state)
{
    struct world *w = *state;
    int fds[8];

    for (unsigned i = 0; i < 8; i++)
        fds[i] = memory_file();
    for (uint32_t request = 0; request < 12; request++) {
        for (unsigned at = 1; at < 16; at++) {
            uint32_t m[16] = {request};
            /* Which words a request uses, its number and the magic aside. */
            static const unsigned used[12] = {0, 3, 6, 4, 1, 1, 0, 0, 0};
            static const unsigned nfds[12] = {0, 0, 1, 0, 1, 1, 0, 1, 0};

            if (at >= 2 && at < 2 + used[request])
                continue;
            if (request == REQ_HELLO && at >= 6 && at < 8) /* features */
                continue;
            m[2] = request == REQ_HELLO ? 0x524f4941 : 0;
            m[at] = 0x01000000;
            expect_end(w, m, sizeof(m), fds, nfds[request]);
        }
    }
    for (uint32_t request = 1; request < 9; request++) {
        uint32_t m[16] = {request, 0, request == REQ_HELLO ? 0x524f4941 : 0};

        expect_end(w, m, sizeof(m), fds, 8);
        expect_end(w, m, sizeof(m), fds, 3);
    }
    {
        uint32_t m[16] = {REQ_HELLO, 0, 0x52474f42, 1, LAYOUT_V3};

        expect_end(w, m, sizeof(m), NULL, 0);
        m[0] = UINT32_MAX;
        expect_end(w, m, sizeof(m), NULL, 0);
        m[0] = REQ_START; /* needs a descriptor */
        expect_end(w, m, sizeof(m), NULL, 0);
    }
    for (unsigned i = 0; i < 8; i++)
        close(fds[i]);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
}

static void leaves_in_mid_message(void **state)
{
    struct world *w = *state;

    for (size_t len = 0; len < 64; len++) {
        const uint32_t hello[16] = {REQ_HELLO, 0, 0x524f4941, 1, LAYOUT_V3};

        assert_true(len == 0 || world_send(w, hello, len, NULL, 0));
        world_disconnect(w);
        world_connect(w);
    }
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
}

/* The VMM's own end, in a message that never ends, would keep the connection when it is gone. */
static void its_own_end_in_half_a_message(void **state)
{
    struct world *w = *state;
    const uint32_t kick[16] = {REQ_KICK};

    for (size_t len = 1; len < 64; len++) {
        world_send(w, kick, len, &w->control, 1);
        world_disconnect(w);
        world_connect(w);
        assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    }
}

/* A VMM that comes meanwhile is told so, also if it has not said anything yet. */
static void one_at_a_time(void **state)
{
    struct world *w = *state;
    const uint32_t busy[16] = {REQ_HELLO, RES_MOMENT, 1};
    uint8_t answer[64];
    int first = w->control;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    for (unsigned i = 0; i < 100; i++) {
        world_connect(w);
        assert_int_equal(recv(w->control, answer, sizeof(answer), 0), sizeof(answer));
        assert_memory_equal(answer, busy, sizeof(busy));
        assert_int_equal(recv(w->control, answer, sizeof(answer), 0), 0);
        close(w->control);
    }
    assert_true(world_logged(w, "ior.busy"));
    w->control = first;
    assert_int_equal(world_interrupt(w, false), RES_OK);
    close(first);
    world_turn(w);
    world_connect(w);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
}

/* Whoever waited would not be read, and may carry what keeps the first one's connection open. */
static void its_own_end_in_another_call(void **state)
{
    struct world *w = *state;
    const uint32_t hello[16] = {REQ_HELLO, 0, 0x524f4941, 1, LAYOUT_V3};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int first = w->control;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", w->path);
    w->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(w->control, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_true(world_send(w, hello, sizeof(hello), &first, 1));
    close(first);
    world_disconnect(w);
    world_connect(w);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
}

/* ---- the state ---- */

static void nobody_else_writes_the_state(void **state)
{
    struct world *w = *state;
    struct stat st;
    char byte = 1, path[64];
    int again;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_state(w, -1), RES_OK);
    assert_int_equal(word(w, 0), 0);
    assert_true(w->answer_fd >= 0);
    assert_int_equal(fstat(w->answer_fd, &st), 0);
    assert_true(st.st_size > 0);
    assert_int_equal(pwrite(w->answer_fd, &byte, 1, 0), -1);
    assert_int_equal(ftruncate(w->answer_fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, w->answer_fd, 0),
                     MAP_FAILED);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", w->answer_fd);
    again = open(path, O_RDWR);
    if (again >= 0) {
        assert_int_equal(pwrite(again, &byte, 1, 0), -1);
        close(again);
    }
}

/* What is said to be a predecessor's may be anything. */
static void states_of_strangers(void **state)
{
    struct world *w = *state;
    struct command status = {.user_data = 1, .offset = 0x70 - 0x54, .size = 4};
    struct stat st;
    uint8_t *bytes;
    int pipes[2], fd;

    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(world_state(w, -1), RES_OK);
    assert_int_equal(fstat(w->answer_fd, &st), 0);
    bytes = calloc(1, (size_t)st.st_size);
    assert_non_null(bytes);
    srand(4711);
    for (unsigned round = 0; round < 40; round++) {
        world_disconnect(w);
        world_connect(w);
        assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
        fd = memfd_create("state", 0);
        for (off_t i = 0; i < st.st_size; i++)
            bytes[i] = (uint8_t)rand();
        if (round % 4) /* it begins as a state does */
            memcpy(bytes, "AHVS\1\0\0\0", 8);
        assert_int_equal(write(fd, bytes, (size_t)st.st_size), st.st_size);
        if (round % 5 == 4)
            assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
        assert_int_equal(world_state(w, fd), RES_OK);
        assert_int_equal(word(w, 0), round % 4 && round % 5 != 4);
        assert_int_equal(world_interrupt(w, false), RES_OK);
        assert_int_equal(world_start_device(w, SOCK_STREAM), RES_OK);
        if (round < 2)
            assert_true(world_logged(w, "ior.state"));
        assert_int_equal(world_access(w, LAYOUT_V3, &status), 0);
        close(fd);
    }
    free(bytes);
    world_disconnect(w);
    world_connect(w);
    assert_int_equal(world_hello(w, LAYOUT_V3), RES_OK);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(world_state(w, pipes[0]), RES_OK);
    assert_int_equal(word(w, 0), 0);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- nothing stays behind ---- */

static unsigned open_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void a_life(struct world *w, int fd, unsigned i)
{
    world_hello(w, i % 2 ? LAYOUT_V3 : LAYOUT_INFO);
    if (i % 3)
        world_add(w, 0, MEMORY, 0, fd);
    if (i % 5)
        world_state(w, w->answer_fd);
    if (i % 7)
        world_kick_fd(w, i % TEST_QUEUES);
    if (i % 11)
        world_interrupt(w, i % 2);
    if (i % 13)
        world_start_device(w, i % 2 ? SOCK_STREAM : SOCK_SEQPACKET);
    world_disconnect(w);
    world_connect(w);
}

static void thousand_lives(void **state)
{
    struct world *w = *state;
    int fd = memory_file();
    unsigned before;

    for (unsigned i = 0; i < 20; i++)
        a_life(w, fd, i);
    before = open_fds();
    for (unsigned i = 0; i < 1000; i++)
        a_life(w, fd, i);
    assert_int_equal(open_fds(), before);
    close(fd);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
    UNIT(a_device_starts),
    UNIT(in_pieces),
    UNIT(versions),
    UNIT(features),
    UNIT(everything_in_its_time),
    UNIT(after_start),
    UNIT(memory),
    UNIT(descriptors),
    UNIT(interrupts_and_their_descriptors),
    UNIT(malformed),
    UNIT(leaves_in_mid_message),
    UNIT(its_own_end_in_half_a_message),
    UNIT(one_at_a_time),
    UNIT(its_own_end_in_another_call),
    UNIT(nobody_else_writes_the_state),
    UNIT(states_of_strangers),
    UNIT(thousand_lives),
};

ANYHV_TEST_MAIN("kvm-ioregionfd, handshake", tests)

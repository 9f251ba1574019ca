/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors over UNIX sockets, and peers that do not take what we send. */
#include "linux_test.h"

#include <anyhv/linux/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds_before;
static int fds[ANYHV_SOCKET_FDS];
static unsigned nfds;

static int set_up(void **state)
{
    (void)state;
    fds_before = open_fds();
    return 0;
}

/* No test may leave one open. */
static int tear_down(void **state)
{
    (void)state;
    return open_fds() == fds_before ? 0 : -1;
}

static void pair(int sockets[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
}

static void close_pair(const int sockets[2])
{
    close(sockets[0]);
    close(sockets[1]);
}

/* ---- Descriptors ---- */

static void test_descriptors_arrive(void **state)
{
    int s[2], sent[3];
    char buf[8];
    eventfd_t value;
    (void)state;

    pair(s);
    for (int i = 0; i < 3; i++)
        sent[i] = eventfd(0, 0);
    assert_int_equal(anyhv_socket_send(s[0], "abcd", 4, sent, 3), 0);
    assert_int_equal(anyhv_socket_recv(s[1], buf, 2, fds, &nfds), 2);
    assert_int_equal(nfds, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(eventfd_write(fds[i], (eventfd_t)i + 1), 0);
        assert_int_equal(eventfd_read(sent[i], &value), 0);
        assert_int_equal(value, i + 1);
        close(fds[i]);
        close(sent[i]);
    }
    /* they came with the first byte, and once */
    assert_int_equal(anyhv_socket_recv(s[1], buf, sizeof(buf), fds, &nfds), 2);
    assert_int_equal(nfds, 0);
    close_pair(s);
}

/* Sends @count times @fd, as a peer may that does not use our code. */
static void send_raw(int socket, int fd, unsigned count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(100 * sizeof(int))];
    } control = {0};
    char byte = 'x';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
    int many[100];

    msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; i++)
        many[i] = fd;
    memcpy(CMSG_DATA(cmsg), many, count * sizeof(int));
    assert_int_equal(sendmsg(socket, &msg, 0), 1);
}

static void test_as_many_as_fit(void **state)
{
    int s[2], before;
    char byte;
    (void)state;

    pair(s);
    before = open_fds();
    send_raw(s[0], s[0], ANYHV_SOCKET_FDS);
    assert_int_equal(anyhv_socket_recv(s[1], &byte, 1, fds, &nfds), 1);
    assert_int_equal(nfds, ANYHV_SOCKET_FDS);
    assert_int_equal(open_fds(), before + ANYHV_SOCKET_FDS);
    for (unsigned i = 0; i < nfds; i++)
        close(fds[i]);
    close_pair(s);
}

static void test_too_many_are_all_closed(void **state)
{
    int s[2], before;
    char byte;
    (void)state;

    pair(s);
    before = open_fds();
    for (unsigned count = ANYHV_SOCKET_FDS + 1; count <= 100; count += 13) {
        send_raw(s[0], s[0], count);
        assert_int_equal(anyhv_socket_recv(s[1], &byte, 1, fds, &nfds), -EMSGSIZE);
        assert_int_equal(nfds, 0);
        assert_int_equal(open_fds(), before);
    }
    /* and the connection is not harmed */
    send_raw(s[0], s[0], 1);
    assert_int_equal(anyhv_socket_recv(s[1], &byte, 1, fds, &nfds), 1);
    assert_int_equal(nfds, 1);
    close(fds[0]);
    close_pair(s);
}

/* The process has room for some of what came: nobody gets half a message. */
static void test_out_of_descriptors(void **state)
{
    struct rlimit limit, low;
    int s[2], before;
    char byte;
    (void)state;

    pair(s);
    before = open_fds();
    send_raw(s[0], s[0], 8);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)(s[1] + 4);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    ssize_t got = anyhv_socket_recv(s[1], &byte, 1, fds, &nfds);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(got, -EMSGSIZE);
    assert_int_equal(nfds, 0);
    assert_int_equal(open_fds(), before);
    close_pair(s);
}

static void test_bad_arguments(void **state)
{
    int s[2], many[ANYHV_SOCKET_FDS + 1] = {0};
    char byte;
    (void)state;

    pair(s);
    assert_int_equal(anyhv_socket_recv(s[0], &byte, 0, fds, &nfds), -EINVAL);
    assert_int_equal(anyhv_socket_send(s[0], &byte, 0, NULL, 0), -EINVAL);
    assert_int_equal(anyhv_socket_send(s[0], "x", 1, many, ANYHV_SOCKET_FDS + 1), -EINVAL);
    many[0] = -1;
    assert_int_equal(anyhv_socket_send(s[0], "x", 1, many, 1), -EBADF);
    assert_int_equal(anyhv_socket_recv(s[1], &byte, 1, fds, &nfds), -EAGAIN);
    close_pair(s);
}

/* ---- A peer that does not take what we send ---- */

static char big[1 << 20];

static void test_peer_takes_a_part_only(void **state)
{
    int s[2];
    (void)state;

    pair(s);
    int64_t begin = now_ms();
    assert_int_equal(anyhv_socket_send(s[0], big, sizeof(big), NULL, 0), -ETIMEDOUT);
    assert_in_range(now_ms() - begin, 900, 5000);
    /* Full now, so nothing at all can be sent: at once, and not after a second. */
    begin = now_ms();
    assert_int_equal(anyhv_socket_send(s[0], big, sizeof(big), NULL, 0), -EAGAIN);
    assert_in_range(now_ms() - begin, 0, 500);
    close_pair(s);
}

/* The peer, in a process of its own: slow, but it takes all of it. */
static int receive_all(int socket)
{
    size_t got = 0;
    unsigned with = 0;

    while (got < sizeof(big)) {
        static char buf[50000];
        ssize_t n = anyhv_socket_recv(socket, buf, sizeof(buf), fds, &nfds);
        if (n == -EAGAIN) {
            poll(&(struct pollfd){.fd = socket, .events = POLLIN}, 1, 1000);
            continue;
        }
        if (n <= 0 || memcmp(buf, big + got, (size_t)n) != 0)
            return 1;
        got += (size_t)n;
        with += nfds;
        usleep(1000);
    }
    return with == 2 ? 0 : 2;
}

static void test_slow_peer_gets_all(void **state)
{
    int s[2], status;
    (void)state;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 31 >> 3);
    pair(s);
    pid_t child = fork();
    if (child == 0)
        _exit(receive_all(s[1]));
    assert_int_equal(anyhv_socket_send(s[0], big, sizeof(big), s, 2), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_pair(s);
}

static void test_peer_dies_while_we_wait(void **state)
{
    int s[2], status;
    (void)state;

    pair(s);
    pid_t child = fork();
    if (child == 0) {
        close(s[0]);
        usleep(100000);
        _exit(0);
    }
    close(s[1]);
    int64_t begin = now_ms();
    assert_int_equal(anyhv_socket_send(s[0], big, sizeof(big), NULL, 0), -EPIPE);
    assert_in_range(now_ms() - begin, 0, 900);
    waitpid(child, &status, 0);
    close(s[0]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(test_descriptors_arrive),      TEST(test_as_many_as_fit),
    TEST(test_too_many_are_all_closed), TEST(test_out_of_descriptors),
    TEST(test_bad_arguments),           TEST(test_peer_takes_a_part_only),
    TEST(test_slow_peer_gets_all),      TEST(test_peer_dies_while_we_wait),
};

ANYHV_TEST_MAIN("socket_fds", tests)

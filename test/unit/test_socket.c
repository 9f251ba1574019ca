/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX sockets: what is at the path, and where the descriptors go. No test may leave one open. */
#include "testing.h"

#include <anyhv/linux/socket.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64], path[96];
static int fds_before;
static int fds[ANYHV_SOCKET_FDS];
static unsigned nfds;

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/anyhv-socket-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/s", dir);
    fds_before = open_fds();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(dir);
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

static void assert_tame(int fd)
{
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* ---- Connections ---- */

static void test_connection(void **state)
{
    char buf[16];
    (void)state;

    int listener = anyhv_socket_listen(path);
    assert_tame(listener);
    assert_int_equal(anyhv_socket_accept(listener), -EAGAIN);
    int client = anyhv_socket_connect(path);
    assert_tame(client);
    int server = anyhv_socket_accept(listener);
    assert_tame(server);

    assert_int_equal(anyhv_socket_recv(server, buf, sizeof(buf), fds, &nfds), -EAGAIN);
    assert_int_equal(anyhv_socket_send(client, "hello", 5, NULL, 0), 0);
    assert_int_equal(anyhv_socket_recv(server, buf, 3, fds, &nfds), 3);
    assert_int_equal(anyhv_socket_recv(server, buf + 3, sizeof(buf) - 3, fds, &nfds), 2);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(nfds, 0);
    close(client);
    assert_int_equal(anyhv_socket_recv(server, buf, sizeof(buf), fds, &nfds), 0);
    assert_int_equal(anyhv_socket_send(server, "x", 1, NULL, 0), -EPIPE);
    close(server);
    close(listener);
}

static void test_paths(void **state)
{
    char long_path[300];
    (void)state;

    assert_int_equal(anyhv_socket_listen(""), -EINVAL);
    assert_int_equal(anyhv_socket_connect(""), -EINVAL);
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(anyhv_socket_listen(long_path), -ENAMETOOLONG);
    assert_int_equal(anyhv_socket_connect(long_path), -ENAMETOOLONG);
    assert_int_equal(anyhv_socket_listen("/nonexistent/anyhv/s"), -ENOENT);
    assert_int_equal(anyhv_socket_connect(path), -ENOENT);
}

static void test_stale_socket_is_replaced(void **state)
{
    (void)state;
    int dead = anyhv_socket_listen(path);
    assert_true(dead >= 0);
    close(dead);
    assert_int_equal(anyhv_socket_connect(path), -ECONNREFUSED);
    int listener = anyhv_socket_listen(path);
    assert_true(listener >= 0);
    int client = anyhv_socket_connect(path);
    assert_true(client >= 0);
    close(client);
    close(listener);
}

static void test_live_socket_is_left_alone(void **state)
{
    int clients[64], count = 0;
    (void)state;

    int first = anyhv_socket_listen(path);
    assert_true(first >= 0);
    assert_int_equal(anyhv_socket_listen(path), -EADDRINUSE);
    int server = anyhv_socket_accept(first); /* only the probe of a moment ago */
    assert_true(server >= 0);
    close(server);

    /* also when its queue is full */
    for (; count < 64; count++) {
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        strcpy(addr.sun_path, path);
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(clients[count], (struct sockaddr *)&addr, sizeof(addr)) < 0)
            break;
    }
    assert_in_range(count, 1, 63);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(anyhv_socket_listen(path), -EADDRINUSE);
    for (int i = 0; i <= count; i++)
        close(clients[i]);
    close(first);
}

static void test_live_datagram_socket_is_left_alone(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    (void)state;

    strcpy(addr.sun_path, path);
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(anyhv_socket_listen(path), -EADDRINUSE);
    assert_int_equal(lstat(path, &st), 0);
    close(other);
}

static void test_other_files_are_left_alone(void **state)
{
    char byte = 0;
    (void)state;

    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, "x", 1), 1);
    assert_int_equal(anyhv_socket_listen(path), -EEXIST);
    close(file);
    file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(file, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(file);

    unlink(path);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(anyhv_socket_listen(path), -EEXIST);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(anyhv_socket_listen(path), -EEXIST);
    rmdir(path);
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

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

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
    TEST(test_connection),
    TEST(test_paths),
    TEST(test_stale_socket_is_replaced),
    TEST(test_live_socket_is_left_alone),
    TEST(test_live_datagram_socket_is_left_alone),
    TEST(test_other_files_are_left_alone),
    TEST(test_descriptors_arrive),
    TEST(test_as_many_as_fit),
    TEST(test_too_many_are_all_closed),
    TEST(test_out_of_descriptors),
    TEST(test_bad_arguments),
    TEST(test_peer_takes_a_part_only),
    TEST(test_slow_peer_gets_all),
    TEST(test_peer_dies_while_we_wait),
};

ANYHV_TEST_MAIN("socket", tests)

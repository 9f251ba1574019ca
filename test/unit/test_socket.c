/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNIX sockets: what may be at the path, and what comes out. No test may leave a descriptor open.
 */
#include "linux_test.h"

#include <anyhv/linux/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64], path[96];
static int fds_before;
static int fds[ANYHV_SOCKET_FDS];
static unsigned nfds;

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

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(test_connection),
    TEST(test_paths),
    TEST(test_stale_socket_is_replaced),
    TEST(test_live_socket_is_left_alone),
    TEST(test_live_datagram_socket_is_left_alone),
    TEST(test_other_files_are_left_alone),
};

ANYHV_TEST_MAIN("socket", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* A real back-end program, from its command line to its end, and over a thousand connections. */
#include "vhost-user/harness.h"

/* A device without configuration space is not offered CONFIG. */
#define RNG_PROTOCOL (FE_P_ALL & ~(uint64_t)FE_P_CONFIG)

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CYCLES 1000
#define BYTES  64u

static int program_start(void **state)
{
    struct harness *h = calloc(1, sizeof(*h));

    if (!h)
        return -1;
    backend_exec(&h->b, PROGRAM, NULL);
    fe_init(&h->fe);
    *state = h;
    return 0;
}

static int nothing_started(void **state)
{
    struct harness *h = calloc(1, sizeof(*h));

    if (!h)
        return -1;
    h->ended = true;
    fe_init(&h->fe);
    *state = h;
    return 0;
}

/* The device fills a buffer. */
static void read_bytes(struct harness *h)
{
    uint8_t zeroes[BYTES] = {0}, *bytes;

    h->fe.mem.used = h->fe.ring[0].ring.device - h->fe.mem.base + 4096;
    assert_true(fe_submit(&h->fe, 0, NULL, 0, BYTES, &bytes) >= 0);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, BYTES);
    assert_memory_not_equal(bytes, zeroes, BYTES);
}

TEST(serves)
{
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_start(&h->fe, RNG_PROTOCOL, 0, 1));
    for (unsigned i = 0; i < 100; i++)
        read_bytes(h);
}

/* Connections that come, work or not, and go in different ways. */
static void cycle(struct harness *h, unsigned i)
{
    static const uint64_t protocols[] = {RNG_PROTOCOL, 0, FE_P_STATUS, FE_P_SLOTS | FE_P_BACKEND};
    struct frontend *fe = &h->fe;
    uint32_t header[3] = {99, 0, 0};

    fe_init(fe);
    assert_true(fe_connect(fe, h->b.path));
    if (i % 5 != 4) {
        assert_true(fe_start(fe, protocols[i % 4], 0, i % 3 ? 1 : 0));
        if (i % 3)
            read_bytes(h);
    }
    if (i % 7 == 0)
        fe_send_bytes(fe, header, sizeof(header), &fe->memfd, fe->memfd >= 0);
    fe_fini(fe);
}

static bool back_to(struct harness *h, unsigned fds, unsigned maps)
{
    for (unsigned i = 0; i < 500; i++) {
        if (backend_fds(&h->b) == fds && backend_maps(&h->b) == maps)
            return true;
        usleep(10000);
    }
    print_error("descriptors: %u, were %u; maps: %u, were %u\n", backend_fds(&h->b), fds,
                backend_maps(&h->b), maps);
    return false;
}

TEST(leaves_nothing_behind)
{
    unsigned fds, maps;

    for (unsigned i = 0; i < 100; i++) /* the heap finds its size */
        cycle(h, i);
    usleep(100000);
    fds = backend_fds(&h->b);
    maps = backend_maps(&h->b);
    for (unsigned i = 0; i < CYCLES; i++)
        cycle(h, i);
    assert_true(back_to(h, fds, maps));
    assert_true(backend_alive(&h->b));
}

static void listen_at(struct sockaddr_un *addr, int fd)
{
    assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
    assert_int_equal(listen(fd, 4), 0);
}

/* --fd with a connection: the program serves it and ends with it. */
TEST(serves_a_connection_that_it_is_given)
{
    const char *args[] = {NULL, NULL};
    char option[32];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[1], F_SETFD, 0); /* the program's end; ours must close when we close it */
    snprintf(option, sizeof(option), "--fd=%d", pair[1]);
    args[0] = option;
    backend_exec(&h->b, PROGRAM, args);
    close(pair[1]);
    h->fe.fd = pair[0];
    assert_true(fe_start(&h->fe, RNG_PROTOCOL, 0, 1));
    read_bytes(h);
    fe_disconnect(&h->fe);
    assert_int_equal(backend_wait(&h->b), 0);
}

/* --fd with a listening socket: as --socket-path, but the path is not ours. */
TEST(serves_a_socket_that_it_is_given)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *args[] = {NULL, NULL};
    char option[32];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/anyhv-vu-listener.%d", (int)getpid());
    unlink(addr.sun_path);
    listen_at(&addr, fd);
    snprintf(option, sizeof(option), "--fd=%d", fd);
    args[0] = option;
    backend_exec(&h->b, PROGRAM, args);
    close(fd);
    for (unsigned i = 0; i < 3; i++) {
        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, addr.sun_path));
        assert_true(fe_start(&h->fe, RNG_PROTOCOL, 0, 1));
        read_bytes(h);
    }
    assert_int_equal(backend_stop(&h->b), 0);
    assert_int_equal(unlink(addr.sun_path), 0);
}

static int code_of(const char *const *args, struct harness *h, const char *says)
{
    struct backend copy;
    bool logged;

    backend_exec(&h->b, PROGRAM, args);
    logged = backend_logged(&h->b, says);
    if (!logged)
        backend_show(&h->b);
    assert_true(logged);
    copy = h->b;
    return backend_wait(&copy);
}

TEST(command_line)
{
    const char *const both[] = {"--fd=0", "--socket-path=x", NULL};
    const char *const bad_fd[] = {"--fd=zero", NULL};
    const char *const closed_fd[] = {"--fd=987", NULL};
    const char *const no_socket[] = {"--fd=2", NULL};
    const char *const elsewhere[] = {"--socket-path=/no/such/folder/socket", NULL};
    const char *const help[] = {"--help", NULL};

    assert_int_equal(code_of(both, h, "either --socket-path or --fd"), 64);
    assert_int_equal(code_of(bad_fd, h, "--fd: 'zero' is not a number from 0 to 2147483647"), 64);
    assert_int_equal(code_of(closed_fd, h, "--fd=987: Bad file descriptor"), 1);
    assert_int_equal(code_of(no_socket, h, "--fd=2: Socket operation on non-socket"), 1);
    assert_int_equal(code_of(elsewhere, h, "cannot listen at /no/such/folder/socket"), 1);
    assert_int_equal(code_of(help, h, "--socket-path=PATH"), 0);
}

static void assert_capabilities(struct harness *h, int code, const char *text)
{
    struct backend copy = h->b;
    char *log;

    assert_true(backend_logged(&h->b, text));
    log = backend_log(&h->b);
    if (code == 0) /* nothing else on standard output or error */
        assert_string_equal(log, text);
    free(log);
    assert_int_equal(backend_wait(&copy), code);
}

/* The answer does not depend on the rest of the command line, nor on the host. */
TEST(capabilities)
{
    const char *const alone[] = {"--print-capabilities", NULL};
    const char *const others[] = {"--fd=0", "--socket-path=/no/such/folder/socket",
                                  "--source=/no/such/file", "--print-capabilities", NULL};

    backend_exec(&h->b, PROGRAM, alone);
    assert_capabilities(h, 0, "{\n  \"type\": \"rng\",\n  \"features\": []\n}\n");
    backend_exec(&h->b, PROGRAM, others);
    assert_capabilities(h, 0, "{\n  \"type\": \"rng\",\n  \"features\": []\n}\n");
}

/* Types with options that managers know, and devices for which they have no type. */
TEST(capabilities_of_other_devices)
{
    static const char *const options[] = {"read-only", "blk-file", NULL};
    const char *const args[] = {"--print-capabilities", NULL};
    struct anyhv_class cls = probe_class;

    cls.type = "block";
    cls.type_options = options;
    backend_fork(&h->b, &cls, args);
    assert_capabilities(
        h, 0, "{\n  \"type\": \"block\",\n  \"features\": [\"read-only\", \"blk-file\"]\n}\n");
    backend_fork(&h->b, &probe_class, args);
    assert_capabilities(h, 1, "have no type for the probe device");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(serves, program_start, harness_end),
    cmocka_unit_test_setup_teardown(leaves_nothing_behind, program_start, harness_end),
    cmocka_unit_test_setup_teardown(serves_a_connection_that_it_is_given, nothing_started,
                                    harness_end),
    cmocka_unit_test_setup_teardown(serves_a_socket_that_it_is_given, nothing_started, harness_end),
    cmocka_unit_test_setup_teardown(command_line, nothing_started, harness_end),
    cmocka_unit_test_setup_teardown(capabilities, nothing_started, harness_end),
    cmocka_unit_test_setup_teardown(capabilities_of_other_devices, nothing_started, harness_end),
};

HARNESS_MAIN("vhost-user, program", tests)

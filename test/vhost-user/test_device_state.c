/* SPDX-License-Identifier: Apache-2.0 */
/* The device's state goes out of one back end and into another, at the front end's pace. */
#include "vhost-user/harness.h"
#include "vhost-user/hostile.h"
#include "vhost-user/moving.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CAP (PROBE_STATE_LEN + 10000) /* and what core puts before it */

/* A device with a word to remember, its rings stopped, and the bytes that it was saved as. */
static long saved(struct harness *h, uint8_t *bytes)
{
    uint8_t *answer;
    uint32_t base;
    long len;

    assert_true(fe_start(&h->fe, FE_P_ALL, DRV_F_INDIRECT, 2));
    harness_submit(h, 0, PROBE_REMEMBER, 4711, &answer);
    harness_submit(h, 0, PROBE_CONFIG, 0x55, &answer);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, 0);
    harness_answer(h, 0, 0);
    OK(fe_set_config(&h->fe, PROBE_CONFIG_DRIVER, "driver's", 8, 0));
    OK(fe_get_base(&h->fe, 0, &base));
    OK(fe_get_base(&h->fe, 1, &base));
    len = fe_state_save(&h->fe, bytes, CAP);
    assert_true(len > PROBE_STATE_LEN);
    return len;
}

/* Another back end: the old one must not be there to help. */
static void move(struct harness *h)
{
    fe_disconnect(&h->fe);
    renew(h);
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_hello(&h->fe, FE_P_ALL));
}

/* The front end brings up what only it knows; nobody negotiates anew. */
static void go_on(struct harness *h, unsigned ring, uint32_t base)
{
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_INDIRECT));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0f));
    assert_true(fe_memory_send(&h->fe));
    assert_true(fe_ring_send(&h->fe, ring, base));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, ring, 1));
}

TEST(moves_to_another_back_end)
{
    uint8_t *bytes = malloc(CAP), config[8];
    struct probe_info info;
    uint64_t status;
    long len = saved(h, bytes);

    move(h);
    OK(fe_state_load(&h->fe, bytes, (size_t)len));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x0f);
    go_on(h, 0, 2);
    go_on(h, 1, 0);
    harness_info(h, 0, &info);
    assert_int_equal(info.word, 4711);
    assert_int_equal(info.features, DRV_F_VERSION_1 | DRV_F_INDIRECT);
    assert_int_equal(info.starts, 1);
    assert_int_equal(info.stops, 0); /* not by what came after the state either */
    OK(fe_get_config(&h->fe, PROBE_CONFIG_DRIVER, config, 8));
    assert_memory_equal(config, "driver's", 8);
    harness_echo(h, 0);
    harness_echo(h, 1);
    free(bytes);
}

/* Suspended by its driver here, suspended there; there it is woken. */
TEST(moves_while_suspended)
{
    uint8_t *bytes = malloc(CAP), *answer;
    uint64_t status;
    uint32_t base;
    long len;

    assert_true(fe_start(&h->fe, FE_P_ALL, DRV_F_SUSPEND, 1));
    harness_echo(h, 0);
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x1f));
    OK(fe_get_base(&h->fe, 0, &base));
    len = fe_state_save(&h->fe, bytes, CAP);
    move(h);
    OK(fe_state_load(&h->fe, bytes, (size_t)len));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_SUSPEND));
    assert_true(fe_memory_send(&h->fe));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    assert_true(fe_ring_send(&h->fe, 0, base));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x1b);
    usleep(10000);
    harness_no_answer(h, 0);
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0f));
    harness_answer(h, 0, 12);
    free(bytes);
}

/* A front end may tell features before the state, and status it may leave out. */
TEST(moves_in_another_order)
{
    uint8_t *bytes = malloc(CAP);
    struct probe_info info;
    long len = saved(h, bytes);

    move(h);
    OK(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, (FE_P_ALL & ~FE_P_STATUS)));
    assert_true(fe_memory_send(&h->fe));
    assert_true(fe_ring_send(&h->fe, 0, 2));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    OK(fe_state_load(&h->fe, bytes, (size_t)len));
    harness_info(h, 0, &info); /* the ring has only waited for that */
    assert_int_equal(info.word, 4711);
    move(h);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_INDIRECT));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0b));
    OK(fe_state_load(&h->fe, bytes, (size_t)len));
    go_on(h, 0, 3);
    harness_info(h, 0, &info);
    assert_int_equal(info.word, 4711);
    assert_int_equal(info.starts, 1);
    free(bytes);
}

/* The guest stays after all: the source goes on as if nothing had happened. */
TEST(saving_changes_nothing)
{
    uint8_t *bytes = malloc(CAP), *again = malloc(CAP);
    struct probe_info info;
    long len = saved(h, bytes);

    assert_int_equal(fe_state_save(&h->fe, again, CAP), len);
    assert_memory_equal(bytes, again, len);
    go_on(h, 0, 2);
    harness_info(h, 0, &info);
    assert_int_equal(info.word, 4711);
    assert_int_equal(info.starts, 1);
    harness_echo(h, 0);
    free(bytes);
    free(again);
}

/* The answer to CHECK waits for the last byte, and everybody else does not. */
TEST(check_waits_for_the_end)
{
    uint8_t *bytes = malloc(CAP), piece[1000];
    struct fe_message m;
    size_t got = 0;
    int ends[2];
    ssize_t n;
    long len = saved(h, bytes);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 0, ends[1]), FE_STATE_FINE);
    close(ends[1]);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(fe_send(&h->fe, FE_CHECK_DEVICE_STATE, FE_VERSION, NULL, 0, NULL, 0));
    h->fe.timeout = 50;
    while (got < (size_t)len) {
        if (got % 50000 == 0 && got + 65536 < (size_t)len)
            assert_int_equal(fe_receive(&h->fe, &m), FE_SILENT);
        n = read(ends[0], piece, sizeof(piece));
        if (n > 0)
            assert_memory_equal(piece, bytes + got, n);
        got += n > 0 ? (size_t)n : 0;
    }
    h->fe.timeout = 10000;
    assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
    assert_int_equal(read(ends[0], piece, 1), 0); /* closed: that is all */
    OK(fe_receive(&h->fe, &m));
    assert_int_equal(m.request, FE_CHECK_DEVICE_STATE);
    assert_int_equal(m.payload[0], 0);
    close(ends[0]);
    free(bytes);
}

/* A socket pair will do, too, and one byte after the other. */
TEST(loads_byte_by_byte)
{
    uint8_t *bytes = malloc(CAP);
    long len = saved(h, bytes);
    int ends[2];

    move(h);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[1]), FE_STATE_FINE);
    close(ends[1]);
    for (long i = 0; i < len; i += 1 + i / 64)
        assert_true(
            write(ends[0], bytes + i, (size_t)(1 + i / 64 < len - i ? 1 + i / 64 : len - i)) > 0);
    close(ends[0]);
    OK(fe_state_check(&h->fe));
    free(bytes);
}

/* ---- what cannot be ---- */

TEST(only_while_no_ring_runs)
{
    uint8_t *bytes = malloc(CAP);
    uint32_t base;
    int ends[2];
    long len;

    assert_int_equal(fe_hello(&h->fe, FE_P_ALL), true);
    assert_int_equal(fe_state_check(&h->fe), 1); /* of what? */
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 0, ends[1]), FE_STATE_REFUSED);
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[0]), FE_STATE_REFUSED);
    assert_true(backend_logged(&h->b, "SET_DEVICE_STATE_FD: rings run"));
    harness_echo(h, 0);
    OK(fe_get_base(&h->fe, 0, &base));
    len = fe_state_save(&h->fe, bytes, CAP);
    assert_true(len > 0);
    /* A ring that starts while a state comes in wins. */
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[0]), FE_STATE_FINE);
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[0]),
                     FE_STATE_REFUSED); /* one at a time */
    OK(fe_vring_fd(&h->fe, FE_SET_VRING_KICK, 0, h->fe.ring[0].kick));
    OK(fe_vring_fd(&h->fe, FE_SET_VRING_CALL, 0, h->fe.ring[0].call));
    assert_int_equal(write(ends[1], bytes, 5000), 5000);
    close(ends[1]);
    close(ends[0]);
    assert_int_equal(fe_state_check(&h->fe), 1);
    harness_echo(h, 0);
    free(bytes);
}

TEST(strange_channels)
{
    int files[6], ends[2];
    unsigned n = 0;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 0, ends[0]), FE_STATE_REFUSED); /* wrong ends */
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[1]), FE_STATE_REFUSED);
    assert_int_equal(fe_state_fd(&h->fe, 2, 0, ends[1]), FE_STATE_REFUSED);
    assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 1, ends[1]), FE_STATE_REFUSED);
    files[n++] = open("/dev/null", O_RDWR);
    files[n++] = open("/", O_RDONLY | O_DIRECTORY);
    files[n++] = eventfd(0, 0);
    files[n++] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    files[n++] = socket(AF_INET, SOCK_STREAM, 0);
    files[n++] = dup(h->fe.fd);
    for (unsigned i = 0; i < n; i++) {
        assert_true(files[i] >= 0);
        assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 0, files[i]), FE_STATE_REFUSED);
        assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, files[i]), FE_STATE_REFUSED);
        close(files[i]);
    }
    close(ends[0]);
    close(ends[1]);
}

/* Nobody reads, and then nobody can. */
TEST(save_into_nowhere)
{
    uint8_t *bytes = malloc(CAP);
    uint64_t before;
    int ends[2];
    long len = saved(h, bytes);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_SAVE, 0, ends[1]), FE_STATE_FINE);
    before = backend_cpu_ns(&h->b);
    usleep(200000);
    assert_true(backend_cpu_ns(&h->b) - before < 50000000);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(fe_state_check(&h->fe), 1);
    assert_true(backend_logged(&h->b, "save failed after 65536 bytes"));
    assert_int_equal(fe_state_save(&h->fe, bytes, CAP), len);
    /* The front end goes in the middle of it, and of the other way. */
    for (uint32_t direction = FE_SAVE; direction <= FE_LOAD; direction++) {
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(fe_state_fd(&h->fe, direction, 0, ends[!direction]), FE_STATE_FINE);
        assert_int_equal(write(ends[1], "abc", direction * 3), direction * 3);
        assert_true(fe_send(&h->fe, FE_CHECK_DEVICE_STATE, FE_VERSION, NULL, 0, NULL, 0));
        fe_disconnect(&h->fe);
        close(ends[0]);
        close(ends[1]);
        assert_true(fe_connect(&h->fe, h->b.path));
        assert_true(fe_hello(&h->fe, FE_P_ALL));
    }
    free(bytes);
}

/* Loads @len bytes, which is refused; and then the right ones, which are not. */
static void bad_state(struct harness *h, const uint8_t *bytes, size_t len, const char *says)
{
    uint64_t status;

    backend_log_clear(&h->b);
    assert_int_equal(fe_state_load(&h->fe, bytes, len), 1);
    assert_true(backend_logged(&h->b, "load failed"));
    assert_true(backend_logged(&h->b, says));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0);
}

TEST(states_that_make_no_sense)
{
    uint8_t *bytes = malloc(CAP), *bad = malloc(CAP);
    size_t len = (size_t)saved(h, bytes), own = len - PROBE_STATE_LEN;

    move(h);
    bad_state(h, bytes, 0, "version");
    bad_state(h, bytes, 47, "version");
    bad_state(h, bytes, own, "invalid");
    bad_state(h, bytes, len - 1, "invalid");
    move(h);
    memcpy(bad, bytes, len);
    memset(bad + len, 0, 1);
    bad_state(h, bad, len + 1, "invalid");
    bad[4]++; /* core's version */
    bad_state(h, bad, len, "version");
    bad[4]--;
    bad[own]++; /* the device's version */
    bad_state(h, bad, len, "version");
    bad[own]--;
    bad[len - 1]++; /* its last byte */
    bad_state(h, bad, len, "invalid");
    move(h);
    bad[len - 1]--;
    bad[24 + 7] |= 0x80; /* a feature that nobody has offered */
    bad_state(h, bad, len, "invalid");
    bad[24 + 7] ^= 0x80;
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1)); /* others than the state has */
    bad_state(h, bad, len, "invalid");
    OK(fe_state_load(&h->fe, bad, len));
    go_on(h, 0, 2);
    harness_echo(h, 0);
    free(bytes);
    free(bad);
}

TEST(endless_state)
{
    static uint8_t zeroes[65536];
    size_t total = 0;
    int ends[2];
    ssize_t n;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fe_state_fd(&h->fe, FE_LOAD, 0, ends[0]), FE_STATE_FINE);
    close(ends[0]);
    while ((n = write(ends[1], zeroes, sizeof(zeroes))) > 0)
        total += (size_t)n;
    assert_in_range(total, 64 << 20, (64 << 20) + 3 * 65536);
    close(ends[1]);
    assert_int_equal(fe_state_check(&h->fe), 1);
    assert_true(backend_logged(&h->b, "it is too long"));
}

/* Random bytes in a state that is otherwise right: never a crash, and the next one is taken. */
TEST(random_states)
{
    uint8_t *bytes = malloc(CAP), *bad = malloc(CAP);
    size_t len = (size_t)saved(h, bytes), own = len - PROBE_STATE_LEN;
    uint64_t seed = 31337;

    move(h);
    for (unsigned round = 0; round < 300; round++) {
        memcpy(bad, bytes, len);
        for (unsigned i = 0; i < 1 + round % 5; i++)
            bad[xorshift(&seed) % (own + 8)] = (uint8_t)xorshift(&seed);
        (void)fe_state_load(&h->fe, bad, len);
    }
    assert_true(backend_alive(&h->b));
    OK(fe_state_load(&h->fe, bytes, len));
    free(bytes);
    free(bad);
}

static int ignore_sigpipe(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    return harness_connected(state);
}

static const struct CMUnitTest tests[] = {
    UNIT(moves_to_another_back_end),
    UNIT(moves_while_suspended),
    UNIT(moves_in_another_order),
    UNIT(saving_changes_nothing),
    UNIT(check_waits_for_the_end),
    UNIT(loads_byte_by_byte),
    UNIT(only_while_no_ring_runs),
    UNIT(strange_channels),
    UNIT(save_into_nowhere),
    UNIT(states_that_make_no_sense),
    cmocka_unit_test_setup_teardown(endless_state, ignore_sigpipe, harness_end),
    UNIT(random_states),
};

HARNESS_MAIN("vhost-user device state", tests)

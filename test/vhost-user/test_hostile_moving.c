/* SPDX-License-Identifier: Apache-2.0 */
/* Logs and in-flight areas that make no sense, and files that get shorter. */
#include "vhost-user/hostile.h"
#include "vhost-user/moving.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_BYTES UINT64_C(0x10000)
#define LOGGED    (FE_VERSION_1 | FE_F_LOG_ALL)

/* ---- the dirty log ---- */

TEST(log_that_cannot_be_mapped)
{
    static const struct {
        uint64_t size, offset;
    } bad[] = {
        {0, 0},
        {LOG_BYTES + 1, 0},
        {LOG_BYTES, 1},
        {1, LOG_BYTES},
        {UINT64_MAX, 1}, /* the sum wraps */
        {1, UINT64_MAX},
        {UINT64_MAX - 0xfff, 0x2000},
        {UINT64_C(1) << 62, 0},
        {UINT64_C(1) << 63, UINT64_C(1) << 63},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fe_log log;

        begin(h);
        assert_true(fe_log_new(&log, LOG_BYTES));
        OK(fe_log_send(&h->fe, &log));
        CLOSED(fe_log_base(&h->fe, log.fd, bad[i].size, bad[i].offset));
        fe_log_free(&log);
        expect_end(h, "SET_LOG_BASE");
    }
}

TEST(log_in_a_strange_file)
{
    int files[6], pair[2];
    unsigned n = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    files[n++] = pair[0];
    files[n++] = pair[1];
    files[n++] = open("/dev/zero", O_RDWR);
    files[n++] = open("/", O_RDONLY | O_DIRECTORY);
    files[n++] = eventfd(0, 0);
    files[n++] = open("/proc/self/exe", O_RDONLY); /* cannot be written */
    for (unsigned i = 0; i < n; i++) {
        begin(h);
        CLOSED(fe_log_base(&h->fe, files[i], 4096, 0));
        close(files[i]);
        expect_end(h, "SET_LOG_BASE");
    }
    begin(h);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    n = (unsigned)open("/dev/null", O_RDWR);
    REFUSED(fe_call(&h->fe, FE_SET_LOG_FD, NULL, 0, (int *)&n, 1));
    close((int)n);
    harness_echo(h, 0);
}

/* Without the protocol feature there is no log to speak of. */
TEST(log_that_was_not_negotiated)
{
    struct frontend *fe = &h->fe;
    struct fe_log log;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL & ~FE_P_LOG, 0, 1));
    REFUSED(fe_ring_addr(fe, 0, 1, 0));
    REFUSED(fe_call(fe, FE_SET_LOG_FD, NULL, 0, &fe->ring[0].err, 1));
    harness_echo(h, 0);
    assert_true(fe_log_new(&log, LOG_BYTES));
    CLOSED(fe_log_send(fe, &log));
    fe_log_free(&log);
    expect_end(h, "SET_LOG_BASE: needs protocol features");
}

/* The log ends before the page: nothing behind it is touched, and nobody migrates half a guest. */
TEST(log_that_is_too_short)
{
    static const struct {
        uint64_t size; /* the ring lies at 0x40000000: byte 0x8000 of the log */
        uint32_t flags;
        uint64_t used;
    } bad[] = {
        {1, 0, 0},
        {0x8000, 0, 0},
        {0x8001, 1, UINT64_C(0x8001) << 15},       /* the first byte that is not there */
        {0x8001, 1, (UINT64_C(0x8001) << 15) - 1}, /* begins in the last page, and goes on */
        {0x8001, 1, UINT64_MAX - 1},               /* wraps into page 0 */
        {0x8001, 1, UINT64_C(1) << 63},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct frontend *fe = &h->fe;
        struct fe_log log;
        uint8_t *answer;

        begin(h);
        assert_true(fe_start(fe, FE_P_ALL, 0, 1));
        assert_true(fe_log_new(&log, LOG_BYTES));
        memset(log.bits, 0xee, LOG_BYTES);
        OK(fe_log_base(fe, log.fd, bad[i].size, 0));
        OK(fe_ring_addr(fe, 0, bad[i].flags, bad[i].used));
        OK(fe_u64(fe, FE_SET_FEATURES, LOGGED));
        harness_submit(h, 0, PROBE_ECHO, 0, &answer);
        fe_kick(fe, 0);
        expect_end(h, "has no bits");
        for (uint64_t k = bad[i].size; k < LOG_BYTES; k++)
            assert_int_equal(log.bits[k], 0xee);
        if (bad[i].used == UINT64_MAX - 1)
            assert_int_equal(log.bits[0], 0xee);
        fe_log_free(&log);
    }
}

TEST(log_that_shrinks)
{
    struct frontend *fe = &h->fe;
    struct fe_log log;
    uint8_t *answer;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    assert_true(fe_log_new(&log, LOG_BYTES));
    OK(fe_log_send(fe, &log));
    OK(fe_u64(fe, FE_SET_FEATURES, LOGGED));
    harness_echo(h, 0);
    assert_int_equal(ftruncate(log.fd, 0), 0);
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    expect_end(h, "the file behind the dirty log has shrunk");
    fe_log_free(&log);
}

static const struct CMUnitTest tests[] = {
    HOSTILE(log_that_cannot_be_mapped),
    HOSTILE(log_in_a_strange_file),
    HOSTILE(log_that_was_not_negotiated),
    HOSTILE(log_that_is_too_short),
    HOSTILE(log_that_shrinks),
};

HARNESS_MAIN("vhost-user, hostile moves", tests)

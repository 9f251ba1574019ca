/* SPDX-License-Identifier: Apache-2.0 */
/* Logs and in-flight areas that make no sense, and files that get shorter. */
#include "vhost-user/hostile.h"
#include "vhost-user/moving.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
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

/* ---- the in-flight area ---- */

/* A connection that has an area of one ring of 16, not yet given back. */
static struct fe_inflight with_area(struct harness *h, uint64_t features)
{
    struct fe_inflight in;

    begin(h);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | features));
    OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
    OK(fe_inflight_get(&h->fe, 1, 16, &in));
    return in;
}

/*
 * Sizes that do not fit each other, the file or the device; each is refused and the next is tried.
 */
TEST(area_that_cannot_be)
{
    static const struct {
        uint64_t size, offset;
        uint16_t queues, queue_size;
    } bad[] = {
        {0, 0, 1, 16},
        {319, 0, 1, 16},
        {320, 1, 1, 16}, /* off its alignment */
        {320, 4, 1, 16},
        {320, 8, 1, 16}, /* not in the file */
        {320, 4096, 1, 16},
        {320, UINT64_MAX - 7, 1, 16}, /* the sum wraps */
        {320, UINT64_C(1) << 63, 1, 16},
        {UINT64_MAX, 0, 2, 16}, /* says much, has little */
        {320, 0, 2, 16},
        {320, 0, 1, 20},
        {320, 0, 0, 16},
        {320, 0, 1, 0},
        {UINT64_MAX, 0, 3, 16},
        {UINT64_MAX, 0, 1, 65},
        {UINT64_MAX, 0, UINT16_MAX, UINT16_MAX},
        {65536, 0, 256, 16}, /* 8 bits of it would be 0 */
    };
    struct fe_inflight in = with_area(h, 0), no_file;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fe_inflight spoilt = in;

        spoilt.size = bad[i].size;
        spoilt.offset = bad[i].offset;
        spoilt.queues = bad[i].queues;
        spoilt.queue_size = bad[i].queue_size;
        REFUSED(fe_inflight_send(&h->fe, &spoilt));
    }
    no_file = in;
    no_file.fd = eventfd(0, 0);
    REFUSED(fe_inflight_send(&h->fe, &no_file));
    close(no_file.fd);
    OK(fe_inflight_send(&h->fe, &in));
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    fe_inflight_free(&in);
}

/* A file of the front end's own, which it cuts off under the ring. */
TEST(area_that_shrinks)
{
    struct fe_inflight in = with_area(h, 0), own = in;
    uint8_t *answer;

    own.fd = memfd_create("own", 0);
    assert_int_equal(ftruncate(own.fd, 8192), 0);
    own.offset = 4104;
    OK(fe_inflight_send(&h->fe, &own));
    fe_inflight_free(&in);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    assert_int_equal(ftruncate(own.fd, 0), 0);
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(&h->fe, 0);
    expect_end(h, "the file behind the in-flight area has shrunk");
    close(own.fd);
}

/* A block as a predecessor would have left it, and then some bytes that it would not. */
static void noise(struct fe_inflight *in, bool packed, uint64_t *seed)
{
    uint16_t *words = (uint16_t *)(void *)in->area;
    unsigned entry = packed ? 32 : 16, first = entry;

    memset(in->area, 0, in->size);
    words[4] = 1;  /* version */
    words[5] = 16; /* entries */
    for (unsigned i = 0; packed && i < 16; i++)
        words[(first + i * entry) / 2 + 1] = (uint16_t)(i + 1);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t any = xorshift(seed);

        switch (any % 4) {
        case 0: /* a head that was never offered */
            in->area[first + (any >> 8) % 16 * entry] = 1;
            break;
        case 1: /* a link */
            words[(first + (any >> 8) % 16 * entry) / 2 + (packed ? 1 : 3)] =
                (uint16_t)(any >> 40 & (any >> 60 ? 31 : 0xffff));
            break;
        case 2: /* the header */
            words[4 + (any >> 8) % (packed ? 12 : 4)] =
                (uint16_t)(any >> 40 & (any >> 60 ? 31 : 0xffff));
            break;
        default:
            in->area[(any >> 8) % in->size] = (uint8_t)(any >> 50);
        }
    }
}

/*
 * Whatever stands in the area: nobody crashes, hangs or writes elsewhere, and the next is served.
 */
TEST(random_areas)
{
    uint64_t seed = 20231;
    unsigned ran = 0;

    for (unsigned round = 0; round < 400; round++) {
        bool packed = round & 1;
        struct fe_inflight in;
        uint8_t *answer;

        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
        assert_true(fe_hello(&h->fe, FE_P_ALL));
        OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | (packed ? DRV_F_PACKED : 0)));
        OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
        OK(fe_inflight_get(&h->fe, 1, 16, &in));
        noise(&in, packed, &seed);
        OK(fe_inflight_send(&h->fe, &in));
        /* A ring that does not start is refused; one that does may break later. */
        if (fe_start(&h->fe, FE_P_ALL, packed ? DRV_F_PACKED : 0, 1)) {
            for (unsigned i = 0; i < 3; i++) {
                harness_submit(h, 0, PROBE_ECHO, 0, &answer);
                fe_kick(&h->fe, 0);
                for (unsigned k = 0; k < 100; k++)
                    in.area[xorshift(&seed) % in.size] ^= (uint8_t)xorshift(&seed);
            }
            (void)fe_u64(&h->fe, FE_SET_STATUS, 0);
            ran++;
        }
        fe_inflight_free(&in);
    }
    assert_in_range(ran, 50, 350); /* both kinds were among them */
    fe_fini(&h->fe);
    fe_init(&h->fe);
    assert_true(settled(h));
    assert_true(backend_alive(&h->b));
    assert_true(fe_connect(&h->fe, h->b.path) && fe_start(&h->fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
}

static const struct CMUnitTest tests[] = {
    HOSTILE(log_that_cannot_be_mapped),
    HOSTILE(log_in_a_strange_file),
    HOSTILE(log_that_was_not_negotiated),
    HOSTILE(log_that_is_too_short),
    HOSTILE(log_that_shrinks),
    HOSTILE(area_that_cannot_be),
    HOSTILE(area_that_shrinks),
    HOSTILE(random_areas),
};

HARNESS_MAIN("vhost-user, hostile moves", tests)

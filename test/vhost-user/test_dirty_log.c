/* SPDX-License-Identifier: Apache-2.0 */
/* The dirty log: exactly the pages that the device wrote, where the front end wants them. */
#include "vhost-user/harness.h"
#include "vhost-user/moving.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE      UINT64_C(4096)
#define LOG_BYTES UINT64_C(0x10000)    /* for the first 2 GiB of guest addresses */
#define USED_AT   UINT64_C(0x7ffe1ffc) /* where the used ring is noted: nowhere near the ring */
#define LOGGED    (FE_VERSION_1 | FE_F_LOG_ALL)
#define RING_LOG  1u

/* Connection, running rings, a log, and 12 bytes of room over the edge of a page. */
static struct fe_log up(struct harness *h, uint64_t features, unsigned rings, uint64_t *edge)
{
    struct fe_log log;

    assert_true(fe_start(&h->fe, FE_P_ALL, features, rings));
    assert_true(fe_log_new(&log, LOG_BYTES));
    OK(fe_log_send(&h->fe, &log));
    *edge = drv_alloc(&h->fe.mem, 8 * PAGE, PAGE) + PAGE;
    return log;
}

/* An ECHO of 12 bytes whose answer lies at @in. */
static void echo_to(struct harness *h, uint64_t in)
{
    static const char command[21] = "\1\0\0\0\0\0\0\0hello, ring";
    struct frontend *fe = &h->fe;
    struct drv_buf out = {drv_alloc(&fe->mem, 20, 16), 20}, answer = {in, 12};
    struct drv_chain chain = {&out, &answer, 1, 1, DRV_DIRECT, 0, 1};

    memcpy(drv_ptr(&fe->mem, out.addr, 20), command, 20);
    assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
    drv_ring_publish(&fe->ring[0].ring);
    fe_kick(fe, 0);
    harness_answer(h, 0, 12);
    assert_memory_equal(drv_ptr(&fe->mem, in, 12), "hello, ring", 12);
    /* Logging off again; and with that answer it is certain that the ring's turn is over. */
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1 | (fe->ring[0].ring.packed ? DRV_F_PACKED : 0)));
}

static void log_on(struct harness *h, uint32_t flags)
{
    uint64_t features = LOGGED | (h->fe.ring[0].ring.packed ? DRV_F_PACKED : 0);

    OK(fe_u64(&h->fe, FE_SET_FEATURES, features));
    OK(fe_ring_addr(&h->fe, 0, flags, USED_AT));
}

TEST(pages_of_a_split_ring)
{
    uint64_t edge;
    struct fe_log log = up(h, 0, 1, &edge);

    echo_to(h, edge - 6);
    assert_int_equal(fe_log_count(&log), 0); /* nobody has asked for it */
    log_on(h, RING_LOG);
    echo_to(h, edge - 6);
    assert_true(fe_log_has(&log, edge - 1));
    assert_true(fe_log_has(&log, edge));
    assert_true(fe_log_has(&log, USED_AT));     /* flags and index */
    assert_true(fe_log_has(&log, USED_AT + 4)); /* entries: on the next page */
    assert_int_equal(fe_log_count(&log), 4);
    fe_log_clear(&log);
    echo_to(h, edge - 12);
    assert_int_equal(fe_log_count(&log), 0);
    fe_log_free(&log);
}

TEST(pages_without_the_ring)
{
    uint64_t edge;
    struct fe_log log = up(h, 0, 1, &edge);

    log_on(h, 0);
    echo_to(h, edge);
    assert_true(fe_log_has(&log, edge));
    assert_int_equal(fe_log_count(&log), 1);
    fe_log_free(&log);
}

/* The descriptors of a packed ring are guest memory, only the device area stands elsewhere. */
TEST(pages_of_a_packed_ring)
{
    uint64_t edge;
    struct fe_log log = up(h, DRV_F_PACKED, 1, &edge);

    log_on(h, RING_LOG);
    echo_to(h, edge - 11); /* only the last byte lies behind the edge */
    assert_true(fe_log_has(&log, edge - 1));
    assert_true(fe_log_has(&log, edge));
    assert_true(fe_log_has(&log, h->fe.ring[0].ring.desc));
    assert_true(fe_log_has(&log, USED_AT));
    assert_int_equal(fe_log_count(&log), 4);
    fe_log_free(&log);
}

/* A piece that the device holds is noted when it is given back: what it wrote meanwhile is in. */
TEST(pages_of_a_pinned_piece)
{
    uint8_t *pinned, *answer;
    uint64_t edge;
    struct fe_log log = up(h, 0, 2, &edge);

    OK(fe_ring_addr(&h->fe, 1, RING_LOG, USED_AT));
    h->fe.mem.used = edge - h->fe.mem.base - PAGE; /* the command ends where a page does */
    assert_true(drv_alloc(&h->fe.mem, PAGE - 32, 16) != DRV_NO_ADDR);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &pinned);
    fe_kick(&h->fe, 0);
    harness_held(h, 1, 1);
    log_on(h, 0);
    assert_int_equal(fe_log_count(&log), 0);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(&h->fe, 1);
    harness_answer(h, 0, 64);
    assert_true(fe_log_has(&log, edge - 1));
    assert_true(fe_log_has(&log, edge));
    fe_log_free(&log);
}

/* Only bit 26 changes: a request that is held stays held, and nothing is reset. */
TEST(switching_disturbs_nothing)
{
    struct probe_info info;
    uint8_t *held, *answer;
    uint64_t edge;
    struct fe_log log = up(h, 0, 2, &edge);

    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(&h->fe, 0);
    harness_held(h, 1, 1);
    for (unsigned i = 0; i < 10; i++) {
        OK(fe_u64(&h->fe, FE_SET_FEATURES, i & 1 ? FE_VERSION_1 : LOGGED));
        OK(fe_ring_addr(&h->fe, 0, !(i & 1), USED_AT));
        harness_echo(h, 1);
    }
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, LOGGED | DRV_F_PACKED));
    harness_no_answer(h, 0);
    harness_info(h, 1, &info);
    assert_int_equal(info.held, 1);
    assert_int_equal(info.starts, 1);
    assert_int_equal(info.features, DRV_F_VERSION_1);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(&h->fe, 1);
    harness_answer(h, 0, 12);
    fe_log_free(&log);
}

TEST(a_new_log_takes_over)
{
    struct fe_log second;
    uint64_t edge;
    struct fe_log log = up(h, 0, 1, &edge);
    int poked = eventfd(0, EFD_NONBLOCK);

    OK(fe_call(&h->fe, FE_SET_LOG_FD, NULL, 0, &poked, 1));
    log_on(h, RING_LOG);
    assert_false(fe_event(poked, 0));
    echo_to(h, edge);
    assert_true(fe_event(poked, 1000));
    assert_int_equal(fe_log_count(&log), 3);
    fe_log_clear(&log);
    /* A part of a bigger file, behind what must not be touched. */
    assert_true(fe_log_new(&second, 3 * LOG_BYTES));
    OK(fe_log_base(&h->fe, second.fd, LOG_BYTES, LOG_BYTES));
    log_on(h, RING_LOG);
    echo_to(h, edge);
    assert_int_equal(fe_log_count(&log), 0);
    assert_int_equal(fe_log_count(&second), 3);
    second.bits += LOG_BYTES;
    assert_true(fe_log_has(&second, edge));
    second.bits -= LOG_BYTES;
    close(poked);
    fe_log_free(&second);
    fe_log_free(&log);
}

/* Set by the front end already, and cleared while the device works: bits are never lost. */
TEST(bits_of_others_stay)
{
    uint64_t edge;
    struct fe_log log = up(h, 0, 1, &edge);

    log_on(h, 0);
    memset(log.bits, 0x55, LOG_BYTES);
    edge += (edge / PAGE & 1) ? 0 : PAGE; /* a page whose bit is clear */
    echo_to(h, edge);
    assert_int_equal(fe_log_count(&log), LOG_BYTES * 4 + 1);
    assert_true(fe_log_has(&log, edge));
    fe_log_free(&log);
}

/* A long buffer: whole bytes of the log, and parts at both ends. */
TEST(pages_of_a_long_buffer)
{
    struct frontend *fe = &h->fe;
    uint32_t command[2] = {PROBE_HOLD_PINNED, 0};
    struct drv_buf in = {0, 41 * PAGE}, out = {0, 8};
    struct drv_chain chain = {&out, &in, 1, 1, DRV_DIRECT, 0, 1};
    uint8_t *answer;
    uint64_t edge;
    struct fe_log log = up(h, 0, 2, &edge);

    OK(fe_ring_addr(fe, 1, 0, 0));
    in.addr = drv_alloc(&fe->mem, 50 * PAGE, PAGE) + 3 * PAGE + 5;
    out.addr = drv_alloc(&fe->mem, 8, 16);
    memcpy(drv_ptr(&fe->mem, out.addr, 8), command, 8);
    assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
    drv_ring_publish(&fe->ring[0].ring);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    log_on(h, 0);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 0, 41 * PAGE);
    for (uint64_t i = 0; i < 42; i++)
        assert_true(fe_log_has(&log, in.addr + i * PAGE));
    assert_int_equal(fe_log_count(&log), 42);
    fe_log_free(&log);
}

/* The log outlives a reset of the device, but nothing is noted until somebody asks again. */
TEST(reset_ends_logging)
{
    uint64_t edge;
    struct fe_log log = up(h, 0, 1, &edge);

    log_on(h, RING_LOG);
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
    h->fe.mem.used = 0;
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    edge = drv_alloc(&h->fe.mem, PAGE, PAGE);
    echo_to(h, edge);
    assert_int_equal(fe_log_count(&log), 0);
    log_on(h, 0);
    echo_to(h, edge);
    assert_int_equal(fe_log_count(&log), 1);
    fe_log_free(&log);
}

static const struct CMUnitTest tests[] = {
    UNIT(pages_of_a_split_ring),   UNIT(pages_without_the_ring),     UNIT(pages_of_a_packed_ring),
    UNIT(pages_of_a_pinned_piece), UNIT(switching_disturbs_nothing), UNIT(a_new_log_takes_over),
    UNIT(bits_of_others_stay),     UNIT(pages_of_a_long_buffer),     UNIT(reset_ends_logging),
};

HARNESS_MAIN("vhost-user dirty log", tests)

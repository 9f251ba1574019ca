/* SPDX-License-Identifier: Apache-2.0 */
/* The in-flight area: who makes it, what shape it has, and what keeps or wipes it. */
#include "vhost-user/moving.h"
#include "vhost-user/workload.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Negotiation, up to where an area is asked for. */
static void negotiate(struct harness *h, uint64_t features)
{
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | features));
    OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
}

static bool is_zero(const struct fe_inflight *in)
{
    for (uint64_t i = 0; i < in->size; i++)
        if (in->area[i])
            return false;
    return true;
}

/* For rings of 64 in whole blocks of 64 bytes, empty, and nobody can make it shorter. */
TEST(shape)
{
    static const struct {
        uint64_t features;
        uint16_t queues, size;
        uint64_t bytes;
    } cases[] = {
        {0, 1, 64, 1088},           {0, 2, 64, 2176}, {0, 2, 1, 2176}, {DRV_F_PACKED, 1, 64, 2112},
        {DRV_F_PACKED, 2, 5, 4224},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fe_inflight in;

        negotiate(h, cases[i].features);
        OK(fe_inflight_get(&h->fe, cases[i].queues, cases[i].size, &in));
        assert_int_equal(in.size, cases[i].bytes);
        assert_true(is_zero(&in));
        assert_true(fcntl(in.fd, F_GET_SEALS) & F_SEAL_SHRINK);
        OK(fe_inflight_send(&h->fe, &in));
        fe_inflight_free(&in);
        OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
    }
}

/* What cannot be is answered with an area that is not there. */
TEST(shapes_that_cannot_be)
{
    static const uint16_t cases[][2] = {
        {0, 16}, {3, 16}, {1, 0}, {1, 65}, {UINT16_MAX, UINT16_MAX}, {0x0102, 16}};
    struct fe_inflight in;

    negotiate(h, 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(fe_inflight_get(&h->fe, cases[i][0], cases[i][1], &in), 1);
    assert_true(backend_logged(&h->b, "GET_INFLIGHT_FD: 3 queues, not 1 to 2"));
    assert_true(backend_logged(&h->b, "GET_INFLIGHT_FD: queues of 65, not 1 to 64"));
}

/* As the document has it: without the padding that structures have in C. */
TEST(messages_without_padding)
{
    struct {
        uint64_t size, offset;
        uint16_t queues, queue_size;
    } __attribute__((packed)) wire = {.queues = 1, .queue_size = 16};
    struct fe_inflight in;
    struct fe_message m;

    negotiate(h, 0);
    assert_true(fe_send(&h->fe, FE_GET_INFLIGHT_FD, FE_VERSION, &wire, 20, NULL, 0));
    OK(fe_receive(&h->fe, &m));
    assert_int_equal(m.size, 20);
    memcpy(&wire, m.payload, 20);
    assert_int_equal(wire.size, 1088);
    OK(fe_inflight_get(&h->fe, 1, 16, &in));
    OK(fe_call(&h->fe, FE_SET_INFLIGHT_FD, &wire, 20, &in.fd, 1));
    fe_inflight_free(&in);
}

/* ---- with rings ---- */

static const struct work_ring *split(void)
{
    return &work_rings[0];
}

/* A ring with @count requests that the device holds, and two that it has answered. */
static struct workload begin_some(struct harness *h, struct fe_inflight *in,
                                  const struct work_ring *kind, unsigned count)
{
    struct workload w;

    *in = (struct fe_inflight){.fd = -1};
    work_init(&w, &h->fe, kind, 99);
    assert_true(work_connect(&w, kind, in));
    assert_true(work_submit(&w, PROBE_ECHO));
    fe_kick(&h->fe, 0);
    work_drain(&w);
    while (count--)
        assert_true(work_submit(&w, PROBE_HOLD));
    assert_true(work_submit(&w, PROBE_ECHO)); /* taken after them */
    fe_kick(&h->fe, 0);
    while (!work_collect(&w))
        usleep(200);
    return w;
}

static void release(struct workload *w)
{
    assert_true(work_submit(w, PROBE_RELEASE));
    fe_kick(w->fe, 0);
    work_drain(w);
}

/* The front end comes back to the same process, or to another one that ended in good order. */
static void comes_back(struct harness *h, const struct work_ring *kind, bool other_process)
{
    struct fe_inflight in;
    struct workload w = begin_some(h, &in, kind, 3);

    fe_disconnect(&h->fe);
    if (other_process) {
        struct backend old = h->b;
        static const char *const args[] = {"--features=packed", NULL};

        assert_int_equal(backend_stop(&old), 0);
        backend_fork(&h->b, &probe_class, args);
    }
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(work_connect(&w, kind, &in));
    release(&w);
    assert_int_equal(w.answered, 6);
    fe_inflight_free(&in);
}

TEST(front_end_comes_back)
{
    comes_back(h, split(), false);
}

TEST(front_end_comes_back_packed)
{
    comes_back(h, &work_rings[2], false);
}

TEST(back_end_is_replaced)
{
    comes_back(h, split(), true);
}

TEST(back_end_is_replaced_packed)
{
    comes_back(h, &work_rings[3], true);
}

/* How often @fd is signalled, until it is quiet for a while. */
static uint64_t count_signals(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    uint64_t count, sum = 0;

    for (int wait_ms = 5000; poll(&pfd, 1, wait_ms) > 0; wait_ms = 50) {
        assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
        sum += count;
    }
    return sum;
}

/*
 * An interrupt may have died with the process that owed it, and a kick with the one that heard it.
 */
TEST(all_is_looked_at_and_said_once)
{
    struct fe_inflight in;
    struct workload w = begin_some(h, &in, split(), 0);

    fe_disconnect(&h->fe);
    assert_true(work_submit(&w, PROBE_ECHO)); /* nobody kicks */
    while (fe_event(h->fe.ring[0].call, 0))
        continue;
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(work_connect(&w, split(), &in));
    work_drain(&w);
    fe_disconnect(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_hello(&h->fe, FE_P_ALL)); /* the old connection has said all it had to say */
    while (fe_event(h->fe.ring[0].call, 0))
        continue;
    assert_true(work_connect(&w, split(), &in)); /* nothing was in work, nothing waits */
    assert_int_equal(count_signals(h->fe.ring[0].call), 1);
    fe_inflight_free(&in);
}

/* Stopped in good order: the base counts, whatever the area says. */
TEST(stop_and_start_in_one_connection)
{
    for (unsigned i = 0; i < 4; i += 2) {
        const struct work_ring *kind = &work_rings[i];
        struct work_ring goes_on = *kind;
        struct fe_inflight in;
        struct workload w = begin_some(h, &in, kind, 3);

        for (unsigned round = 0; round < 3; round++) {
            OK(fe_get_base(&h->fe, 0, &goes_on.base));
            work_drain(&w);
            assert_true(work_connect(&w, &goes_on, &in));
            assert_true(work_submit(&w, PROBE_HOLD));
            release(&w);
        }
        fe_inflight_free(&in);
        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
    }
}

/* The driver resets the device: what was in work is forgotten, in the area as well. */
TEST(reset_wipes_it)
{
    for (unsigned i = 0; i < 4; i += 2) {
        struct fe_inflight in;
        struct workload w = begin_some(h, &in, &work_rings[i], 3);

        OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
        fe_fini(&h->fe);
        fe_init(&h->fe);
        work_init(&w, &h->fe, &work_rings[i], 5); /* a new guest, as it were */
        assert_true(fe_connect(&h->fe, h->b.path));
        assert_true(work_connect(&w, &work_rings[i], &in));
        release(&w);
        assert_int_equal(w.answered, 1);
        fe_inflight_free(&in);
        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
    }
}

/* ---- what is left for a ring is there when it starts, whatever came before ---- */

/* Two rings with a request in work on each; the front end comes back, up to where rings begin. */
static void two_come_back(struct harness *h, uint64_t protocol, struct fe_inflight *in)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;

    assert_true(fe_hello(fe, protocol));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_inflight_get(fe, 2, 16, in));
    OK(fe_inflight_send(fe, in));
    assert_true(fe_start(fe, protocol, 0, 2));
    for (unsigned i = 0; i < 2; i++) {
        harness_submit(h, i, PROBE_HOLD, 0, &answer);
        fe_kick(fe, i);
    }
    harness_held(h, 1, 2);
    fe_disconnect(fe);
    assert_true(fe_connect(fe, h->b.path));
    assert_true(fe_hello(fe, protocol) && fe_memory_send(fe));
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_inflight_send(fe, in));
}

/* At a base behind all that it has: only the area tells of requests in work. */
static int start_ring(struct harness *h, unsigned ring)
{
    assert_true(fe_ring_send(&h->fe, ring, h->fe.ring[ring].ring.next_avail));
    return fe_state(&h->fe, FE_SET_VRING_ENABLE, ring, 1);
}

/* The request that was in work on @ring is in work again. */
static void expect_held(struct harness *h, unsigned ring)
{
    uint8_t *answer;

    harness_submit(h, ring, PROBE_RELEASE, 0, &answer);
    fe_kick(&h->fe, ring);
    harness_answer(h, ring, 12);
    harness_answer(h, ring, 0);
}

/* Nor is its own block wiped: it is for the front end to say what becomes of it. */
TEST(ring_that_is_refused_spoils_no_other)
{
    struct fe_inflight in;

    two_come_back(h, FE_P_ALL & ~FE_P_STATUS, &in);
    in.area[8] = 0xee; /* a version that nobody knows */
    REFUSED(start_ring(h, 0));
    OK(start_ring(h, 1));
    expect_held(h, 1);
    assert_int_equal(in.area[8], 0xee);
    fe_inflight_free(&in);
}

TEST(features_that_change_wipe_nothing)
{
    static const uint64_t protocols[] = {FE_P_ALL, FE_P_ALL & ~FE_P_STATUS};

    for (unsigned i = 0; i < 2; i++) {
        struct fe_inflight in;

        two_come_back(h, protocols[i], &in);
        if (protocols[i] & FE_P_STATUS)
            OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
        OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_INDIRECT));
        OK(start_ring(h, 1));
        expect_held(h, 1);
        fe_inflight_free(&in);
        fe_fini(&h->fe);
        fe_init(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
    }
}

/* Neither one that makes no sense nor one that does, and nor that with other features. */
TEST(states_that_come_wipe_nothing)
{
    uint8_t *state = malloc(2 * PROBE_STATE_LEN);
    struct fe_inflight in;
    uint32_t base;
    long len;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    OK(fe_get_base(&h->fe, 0, &base));
    len = fe_state_save(&h->fe, state, 2 * PROBE_STATE_LEN);
    assert_true(len > 0);
    fe_fini(&h->fe);
    fe_init(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    two_come_back(h, FE_P_ALL, &in);
    REFUSED(fe_state_load(&h->fe, state, (size_t)len - 1));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_INDIRECT));
    REFUSED(fe_state_load(&h->fe, state, (size_t)len));
    OK(fe_state_load(&h->fe, state, (size_t)len));
    OK(start_ring(h, 0));
    OK(start_ring(h, 1));
    harness_held(h, 1, 2);
    expect_held(h, 1);
    harness_answer(h, 0, 12);
    fe_inflight_free(&in);
    free(state);
}

/* Rings beyond those that it was made for go without, and another one takes its place. */
TEST(area_for_one_ring_of_two)
{
    struct fe_inflight one, other;

    negotiate(h, 0);
    OK(fe_inflight_get(&h->fe, 1, 16, &one));
    OK(fe_inflight_get(&h->fe, 1, 16, &other));
    OK(fe_inflight_send(&h->fe, &one));
    OK(fe_inflight_send(&h->fe, &other));
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_echo(h, 1);
    assert_true(is_zero(&one));
    assert_false(is_zero(&other));
    REFUSED(fe_inflight_send(&h->fe, &one)); /* not while rings run */
    harness_echo(h, 0);
    fe_inflight_free(&one);
    fe_inflight_free(&other);
}

/*
 * QEMU asks for a disk's area with a number of its own; a driver on virtio-mmio takes longer rings.
 */
TEST(ring_that_is_longer_than_said)
{
    struct frontend *fe = &h->fe;
    struct fe_inflight in;

    negotiate(h, 0);
    OK(fe_inflight_get(fe, 1, 8, &in));
    OK(fe_inflight_send(fe, &in));
    assert_true(fe_memory_new(fe, 1 << 20) && fe_memory_send(fe));
    assert_true(fe_ring_new(fe, 0, 16, false) && fe_ring_send(fe, 0, 0));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_echo(h, 0);
    assert_false(is_zero(&in));
    fe_inflight_free(&in);
}

static const struct CMUnitTest tests[] = {
    UNIT(shape),
    UNIT(shapes_that_cannot_be),
    UNIT(messages_without_padding),
    UNIT(front_end_comes_back),
    UNIT(front_end_comes_back_packed),
    UNIT(back_end_is_replaced),
    UNIT(back_end_is_replaced_packed),
    UNIT(all_is_looked_at_and_said_once),
    UNIT(stop_and_start_in_one_connection),
    UNIT(reset_wipes_it),
    UNIT(ring_that_is_refused_spoils_no_other),
    UNIT(features_that_change_wipe_nothing),
    UNIT(states_that_come_wipe_nothing),
    UNIT(area_for_one_ring_of_two),
    UNIT(ring_that_is_longer_than_said),
};

HARNESS_MAIN("vhost-user in-flight area", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front end that breaks the protocol. After each case the process lives, its log names the
 * request, no descriptor and no map is left behind, and the next front end is served.
 */
#include "vhost-user/harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define VERSION_1 (DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES)

/* Fewer than the lines that the log lets through of one kind in a burst. */
#define CASES_PER_BACKEND 8

/* Every request that is offered: the sizes and descriptors that it may have. */
static const struct request {
    const char *name;
    uint32_t id, size_min, size_max;
    unsigned fds_min, fds_max;
} requests[] = {
    {"GET_FEATURES", FE_GET_FEATURES, 0, 0, 0, 0},
    {"SET_FEATURES", FE_SET_FEATURES, 8, 8, 0, 0},
    {"SET_OWNER", FE_SET_OWNER, 0, 0, 0, 0},
    {"RESET_OWNER", FE_RESET_OWNER, 0, 0, 0, 0},
    {"SET_MEM_TABLE", FE_SET_MEM_TABLE, 8, 264, 0, 8},
    {"SET_VRING_NUM", FE_SET_VRING_NUM, 8, 8, 0, 0},
    {"SET_VRING_ADDR", FE_SET_VRING_ADDR, 40, 40, 0, 0},
    {"SET_VRING_BASE", FE_SET_VRING_BASE, 8, 8, 0, 0},
    {"GET_VRING_BASE", FE_GET_VRING_BASE, 8, 8, 0, 0},
    {"SET_VRING_KICK", FE_SET_VRING_KICK, 8, 8, 1, 1},
    {"SET_VRING_CALL", FE_SET_VRING_CALL, 8, 8, 1, 1},
    {"SET_VRING_ERR", FE_SET_VRING_ERR, 8, 8, 1, 1},
    {"GET_PROTOCOL_FEATURES", FE_GET_PROTOCOL_FEATURES, 0, 0, 0, 0},
    {"SET_PROTOCOL_FEATURES", FE_SET_PROTOCOL_FEATURES, 8, 8, 0, 0},
    {"GET_QUEUE_NUM", FE_GET_QUEUE_NUM, 0, 0, 0, 0},
    {"SET_VRING_ENABLE", FE_SET_VRING_ENABLE, 8, 8, 0, 0},
    {"SET_BACKEND_REQ_FD", FE_SET_BACKEND_REQ_FD, 0, 0, 1, 1},
    {"GET_CONFIG", FE_GET_CONFIG, 12, 268, 0, 0},
    {"SET_CONFIG", FE_SET_CONFIG, 12, 268, 0, 0},
    {"RESET_DEVICE", FE_RESET_DEVICE, 0, 0, 0, 0},
    {"GET_MAX_MEM_SLOTS", FE_GET_MAX_MEM_SLOTS, 0, 0, 0, 0},
    {"ADD_MEM_REG", FE_ADD_MEM_REG, 40, 40, 1, 1},
    {"REM_MEM_REG", FE_REM_MEM_REG, 40, 40, 0, 1},
    {"SET_STATUS", FE_SET_STATUS, 8, 8, 0, 0},
    {"GET_STATUS", FE_GET_STATUS, 0, 0, 0, 0},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* ---- one case after the other ---- */

/* The back end's resources with nobody connected. */
static unsigned idle_fds;
static unsigned cases;

/* Waits until the back end has as many descriptors as that: closing may come after the answer. */
static bool has_fds(struct harness *h, unsigned count)
{
    for (unsigned i = 0; i < 500; i++) {
        if (backend_fds(&h->b) == count)
            return true;
        usleep(2000);
    }
    return false;
}

/* Nobody is connected, and nothing is left of those who were. */
static bool settled(struct harness *h)
{
    return has_fds(h, idle_fds);
}

static void renew(struct harness *h)
{
    struct harness *fresh;
    void *state;

    assert_true(backend_alive(&h->b));
    assert_int_equal(backend_stop(&h->b), 0);
    assert_int_equal(harness_probe(&state), 0);
    fresh = state;
    h->b = fresh->b;
    free(fresh);
}

/* Connects anew, and negotiates everything. */
static void begin(struct harness *h)
{
    fe_fini(&h->fe);
    fe_init(&h->fe);
    if (++cases % CASES_PER_BACKEND == 0)
        renew(h);
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    backend_log_clear(&h->b);
}

/* The back end ends the connection and says @text; it leaks nothing and serves the next one. */
static void expect_end(struct harness *h, const char *text)
{
    uint64_t features;

    if (!fe_closed(&h->fe))
        print_error("still connected: %s\n", text);
    assert_true(fe_closed(&h->fe));
    if (!backend_logged(&h->b, text))
        print_error("not logged: %s\n", text);
    assert_true(backend_logged(&h->b, text));
    fe_fini(&h->fe);
    assert_true(settled(h));
    assert_true(backend_alive(&h->b));
    fe_init(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
}

static int group_setup(void **state)
{
    struct harness *h;

    if (harness_probe(state))
        return -1;
    h = *state;
    /* The socket exists once the process listens. */
    if (!fe_connect(&h->fe, h->b.path))
        return -1;
    fe_disconnect(&h->fe);
    usleep(50000);
    idle_fds = backend_fds(&h->b);
    return 0;
}

#define HOSTILE(name) cmocka_unit_test_setup_teardown(name, group_setup, harness_end)

/* ---- headers ---- */

static void bad_header(struct harness *h, const struct request *r, uint32_t flags, uint32_t size)
{
    uint8_t bytes[FE_HEADER + FE_PAYLOAD] = {0};
    uint32_t header[3] = {r->id, flags, size};

    begin(h);
    memcpy(bytes, header, sizeof(header));
    assert_true(
        fe_send_bytes(&h->fe, bytes, FE_HEADER + (size > FE_PAYLOAD ? FE_PAYLOAD : size), NULL, 0));
    expect_end(h, r->name);
}

TEST(header_flags)
{
    static const uint32_t flags[] = {0, 2, 3, FE_VERSION | FE_REPLY, FE_VERSION | 0x10, 0x80000001};

    for (unsigned i = 0; i < REQUESTS; i++)
        for (unsigned k = 0; k < sizeof(flags) / sizeof(flags[0]); k++)
            bad_header(h, &requests[i], flags[k], requests[i].size_min);
}

TEST(header_size)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        const struct request *r = &requests[i];
        const uint32_t sizes[] = {0,    1,    r->size_min - 1, r->size_max + 1,
                                  4096, 4097, 0x7fffffff,      UINT32_MAX};

        for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
            if (sizes[k] < r->size_min || sizes[k] > r->size_max)
                bad_header(h, r, FE_VERSION, sizes[k]);
    }
}

TEST(unknown_request_sizes)
{
    const struct request unknown = {.name = "request 1000", .id = 1000};

    bad_header(h, &unknown, FE_VERSION, 4097);
    bad_header(h, &unknown, FE_VERSION, UINT32_MAX);
    bad_header(h, &unknown, 2, 0);
}

/* ---- descriptors ---- */

static void bad_fds(struct harness *h, const struct request *r, unsigned nfds)
{
    uint8_t payload[FE_PAYLOAD] = {0};
    int fds[40];

    begin(h);
    for (unsigned i = 0; i < nfds; i++)
        fds[i] = STDERR_FILENO;
    assert_true(fe_send(&h->fe, r->id, FE_VERSION, payload, r->size_min, fds, nfds));
    expect_end(h, nfds > 32 ? "" : r->name);
}

TEST(descriptor_counts)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        const struct request *r = &requests[i];

        for (unsigned n = 0; n < r->fds_min; n++)
            bad_fds(h, r, n);
        bad_fds(h, r, r->fds_max + 1);
        bad_fds(h, r, 32);
        bad_fds(h, r, 33); /* more than a receive takes */
    }
}

/* Requests that are not offered take none either; theirs are closed. */
TEST(descriptors_of_unknown_requests)
{
    unsigned before;
    int fds[8];

    begin(h);
    before = backend_fds(&h->b);
    for (unsigned i = 0; i < 8; i++)
        fds[i] = STDERR_FILENO;
    for (unsigned i = 0; i < 300; i++)
        REFUSED(fe_call(&h->fe, i & 1 ? 77 : FE_SET_LOG_BASE, "12345678", 8, fds, 8));
    assert_true(has_fds(h, before));
}

/* With the "no descriptor" flag, and a descriptor; without, and none; unknown bits. */
TEST(vring_descriptor_flag)
{
    static const uint32_t ids[] = {FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR};
    static const char *const names[] = {"SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"};
    int fd = STDERR_FILENO;

    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t values[] = {0x100, 0x200, UINT64_C(1) << 32, UINT64_MAX};

        for (unsigned k = 0; k < 4; k++) {
            begin(h);
            assert_true(fe_send(&h->fe, ids[i], FE_VERSION, &values[k], 8, &fd, 1));
            expect_end(h, names[i]);
        }
        begin(h);
        assert_true(fe_send(&h->fe, ids[i], FE_VERSION, &(uint64_t){0}, 8, NULL, 0));
        expect_end(h, names[i]);
    }
}

/* ---- indices ---- */

TEST(ring_index)
{
    static const uint32_t indices[] = {PROBE_QUEUES, 255, 256, 0x10000, UINT32_MAX};
    static const unsigned with_u32[] = {5, 6, 7, 8, 15};
    static const unsigned with_u8[] = {9, 10, 11};
    uint8_t payload[64] = {0};
    int fd = STDERR_FILENO;

    for (unsigned i = 0; i < 5; i++) {
        const struct request *r = &requests[with_u32[i]];

        for (unsigned k = 0; k < 5; k++) {
            begin(h);
            memcpy(payload, &indices[k], 4);
            assert_true(fe_send(&h->fe, r->id, FE_VERSION, payload, r->size_min, NULL, 0));
            expect_end(h, r->name);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct request *r = &requests[with_u8[i]];

        for (uint64_t index = PROBE_QUEUES; index <= 255; index += 253 - PROBE_QUEUES) {
            begin(h);
            assert_true(fe_send(&h->fe, r->id, FE_VERSION, &index, 8, &fd, 1));
            expect_end(h, r->name);
        }
    }
}

/* ---- torn messages ---- */

static void send_slowly(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
                        const int *fds, unsigned nfds, size_t with_fds)
{
    struct fe_message m = {.request = request, .flags = FE_VERSION | FE_NEED_REPLY, .size = size};

    memcpy(m.payload, payload, size);
    for (size_t i = 0; i < FE_HEADER + size; i++) {
        assert_true(fe_send_bytes(fe, (uint8_t *)&m + i, 1, fds, i == with_fds ? nfds : 0));
        if (i % 8 == 0)
            usleep(1000);
    }
}

TEST(byte_by_byte)
{
    struct frontend *fe = &h->fe;
    struct fe_message m;
    struct {
        uint32_t count, padding;
        struct fe_region region;
    } table = {.count = 1};

    begin(h);
    assert_true(fe_memory_new(fe, 1 << 20));
    table.region = fe->region;
    for (unsigned i = 0; i < 3; i++) {
        /* The descriptor with the first byte, as it should be, or with any other. */
        static const size_t with[] = {0, 11, 47};

        send_slowly(fe, FE_SET_MEM_TABLE, &table, sizeof(table), &fe->memfd, 1, with[i]);
        OK(fe_receive(fe, &m));
        assert_int_equal(m.payload[0], 0);
    }
    send_slowly(fe, FE_SET_FEATURES, &(uint64_t){VERSION_1}, 8, NULL, 0, 0);
    OK(fe_receive(fe, &m));
    OK(fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
    assert_true(fe_ring_new(fe, 0, 16, false) && fe_ring_send(fe, 0, 0));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_echo(h, 0);
}

/* Many whole messages in one write. */
TEST(all_at_once)
{
    uint8_t bytes[100 * FE_HEADER];
    struct fe_message m;

    begin(h);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t header[3] = {FE_GET_FEATURES, FE_VERSION, 0};

        memcpy(bytes + i * sizeof(header), header, sizeof(header));
    }
    assert_true(fe_send_bytes(&h->fe, bytes, sizeof(bytes), NULL, 0));
    for (unsigned i = 0; i < 100; i++)
        OK(fe_receive(&h->fe, &m));
}

TEST(front_end_leaves_in_the_middle)
{
    struct fe_message m = {.request = FE_SET_VRING_NUM, .flags = FE_VERSION, .size = 8};
    char text[64];

    for (size_t len = 1; len < FE_HEADER + 8; len++) {
        int fds[2] = {STDERR_FILENO, STDERR_FILENO};

        begin(h);
        assert_true(fe_send_bytes(&h->fe, &m, len, fds, 2));
        if (len & 1)
            shutdown(h->fe.fd, SHUT_WR);
        else
            fe_disconnect(&h->fe);
        snprintf(text, sizeof(text), "the front end left after %zu bytes", len);
        assert_true(backend_logged(&h->b, text));
        assert_true(backend_logged(&h->b, len < FE_HEADER ? "header:" : "SET_VRING_NUM:"));
        fe_disconnect(&h->fe);
        assert_true(settled(h));
    }
}

/* Answers that nobody reads: the back end does not wait for such a peer. */
TEST(answers_are_not_read)
{
    uint32_t header[3] = {FE_GET_FEATURES, FE_VERSION, 0};
    uint64_t features;

    begin(h);
    for (unsigned i = 0; i < 1000000; i++)
        if (send(h->fe.fd, header, sizeof(header), MSG_NOSIGNAL) < 0)
            break;
    assert_true(backend_logged(&h->b, "GET_FEATURES: answer does not fit"));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
}

/* ---- memory ---- */

/* Two good regions, of which a case spoils the second. */
struct table {
    uint32_t count, padding;
    struct fe_region region[8];
};

static struct table good_table(const struct frontend *fe)
{
    struct table t = {.count = 2};

    t.region[0] = fe->region;
    t.region[1] = (struct fe_region){.guest = 0x90000000, .size = 0x4000, .user = 0x7700000000};
    return t;
}

static const struct spoilt {
    const char *says;
    uint64_t guest, size, user, offset;
} spoilt[] = {
    {"region 1: size 0", 0x90000000, 0, 0x7700000000, 0},
    {"region 1: guest address 0xfffffffffffff000 wraps", UINT64_MAX - 0xfff, 0x2000, 0x7700000000,
     0},
    {"region 1: user address 0xfffffffffffff000 wraps", 0x90000000, 0x2000, UINT64_MAX - 0xfff, 0},
    {"region 1: offset 0xfffffffffffff000 wraps", 0x90000000, 0x2000, 0x7700000000,
     UINT64_MAX - 0xfff},
    {"region 1: guest address 0x90000000 wraps", 0x90000000, UINT64_MAX, 0x7700000000, 0},
    {"region 1: the file is shorter", 0x90000000, 0x100001, 0x7700000000, 0},
    {"region 1: the file is shorter", 0x90000000, 0x1000, 0x7700000000, 0xff001},
    {"region 1: the file is shorter", 0x90000000, 0x1000, 0x7700000000, UINT64_C(1) << 62},
    {"region 1: the file is shorter", 0x90000000, UINT64_C(1) << 62, 0x2000000000000, 0},
    {"region 1: guest addresses at 0x40000000 overlap", 0x40000000, 0x1000, 0x7700000000, 0},
    {"region 1: guest addresses at 0x400fffff overlap", 0x400fffff, 0x1000, 0x7700000000, 0},
    {"region 1: guest addresses at 0x3ffff001 overlap", 0x3ffff001, 0x1000, 0x7700000000, 0},
    {"region 1: user addresses at 0x155500000000 overlap", 0x90000000, 0x1000, 0x155500000000, 0},
    {"region 1: user addresses at 0x1554fffff001 overlap", 0x90000000, 0x1000, 0x1554fffff001, 0},
};

static void spoil(struct table *t, const struct spoilt *s)
{
    t->region[1] = (struct fe_region){
        .guest = s->guest, .size = s->size, .user = s->user, .offset = s->offset};
}

/* With need_reply a bad table is refused, and the old one stands. */
TEST(bad_regions_are_refused)
{
    struct frontend *fe = &h->fe;

    for (unsigned i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
        struct table t;
        unsigned maps;
        int fds[2];

        fe_fini(fe);
        fe_init(fe);
        renew(h);
        assert_true(fe_connect(fe, h->b.path));
        assert_true(fe_start(fe, FE_P_ALL, 0, 1));
        harness_echo(h, 0);
        fds[0] = fds[1] = fe->memfd;
        t = good_table(fe);
        spoil(&t, &spoilt[i]);
        maps = backend_maps(&h->b);
        REFUSED(fe_set_table(fe, t.region, fds, 2));
        assert_true(backend_logged(&h->b, "SET_MEM_TABLE"));
        assert_true(backend_logged(&h->b, spoilt[i].says));
        REFUSED(fe_region(fe, FE_ADD_MEM_REG, &t.region[1], fe->memfd));
        assert_true(backend_logged(&h->b, "ADD_MEM_REG: region 0:"));
        assert_int_equal(backend_maps(&h->b), maps);
        harness_echo(h, 0);
    }
}

/* Without need_reply nobody would hear "refused": the connection ends. */
TEST(bad_regions_end_the_connection)
{
    for (unsigned i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
        struct table t;
        int fds[2];

        begin(h);
        assert_true(fe_memory_new(&h->fe, 1 << 20));
        fds[0] = fds[1] = h->fe.memfd;
        t = good_table(&h->fe);
        spoil(&t, &spoilt[i]);
        assert_true(fe_send(&h->fe, FE_SET_MEM_TABLE, FE_VERSION, &t, 8 + 2 * 32, fds, 2));
        expect_end(h, spoilt[i].says);
    }
}

TEST(region_counts)
{
    static const struct {
        uint32_t count, regions;
        unsigned fds;
    } bad[] = {{9, 8, 8}, {UINT32_MAX, 8, 8}, {0x8000001, 1, 1}, {2, 1, 2}, {2, 2, 1},
               {2, 2, 3}, {0, 0, 1},          {1, 1, 0},         {8, 7, 8}};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct table t;
        int fds[8];

        begin(h);
        assert_true(fe_memory_new(&h->fe, 1 << 20));
        for (unsigned k = 0; k < 8; k++)
            fds[k] = h->fe.memfd;
        t = good_table(&h->fe);
        t.count = bad[i].count;
        assert_true(fe_send(&h->fe, FE_SET_MEM_TABLE, FE_VERSION, &t, 8 + bad[i].regions * 32, fds,
                            bad[i].fds));
        expect_end(h, "SET_MEM_TABLE");
    }
}

/* Files that are no memory. */
TEST(regions_in_strange_files)
{
    struct frontend *fe = &h->fe;
    int files[8], pair[2];
    unsigned n = 0;

    begin(h);
    assert_true(fe_memory_new(fe, 1 << 20));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    files[n++] = pair[0];
    files[n++] = pair[1];
    assert_int_equal(pipe(pair), 0);
    files[n++] = pair[0];
    files[n++] = pair[1];
    files[n++] = open("/dev/null", O_RDWR);
    files[n++] = open("/", O_RDONLY | O_DIRECTORY);
    files[n++] = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    files[n++] = eventfd(0, 0);
    for (unsigned i = 0; i < n; i++) {
        if (i == n / 2)
            begin(h), assert_true(fe_memory_new(fe, 1 << 20));
        REFUSED(fe_region(fe, FE_ADD_MEM_REG, &fe->region, files[i]));
        close(files[i]);
    }
    /* Memory that may only be read is none for a device. */
    {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fe->memfd);
        fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        REFUSED(fe_region(fe, FE_ADD_MEM_REG, &fe->region, fd));
        close(fd);
    }
    OK(fe_region(fe, FE_ADD_MEM_REG, &fe->region, fe->memfd));
}

/* The file gets shorter under the rings: zero pages, a line in the log, the end of the connection.
 */
TEST(memory_shrinks)
{
    static const off_t sizes[] = {0, 0, 0x60000};

    for (unsigned i = 0; i < 3; i++) {
        uint8_t *answer;

        begin(h);
        assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
        harness_echo(h, 0);
        if (i == 2)
            assert_int_not_equal(drv_alloc(&h->fe.mem, 0x70000, 16), DRV_NO_ADDR);
        harness_submit(h, 0, i == 1 ? PROBE_HOLD_PINNED : PROBE_ECHO, 0, &answer);
        harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
        if (i == 1) {
            fe_kick(&h->fe, 0);
            usleep(20000);
        }
        assert_int_equal(ftruncate(h->fe.memfd, sizes[i]), 0);
        fe_kick(&h->fe, i == 1 ? 1 : 0);
        expect_end(h, "has shrunk");
    }
}

/* Nobody touches it: the map is only noticed when it is used, and unmapped without harm. */
TEST(memory_shrinks_unseen)
{
    begin(h);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    assert_int_equal(ftruncate(h->fe.memfd, 0), 0);
    fe_disconnect(&h->fe);
    assert_true(settled(h));
    assert_true(backend_alive(&h->b));
}

/* ---- configuration ---- */

TEST(config_sizes)
{
    static const struct {
        uint32_t header, size, off;
    } bad[] = {{12, 1, 0},  {13, 0, 0}, {28, 17, 0},   {28, 15, 0},        {28, UINT32_MAX, 0},
               {268, 0, 0}, {12, 4, 0}, {268, 257, 0}, {20, 0x80000008, 8}};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (unsigned set = 0; set < 2; set++) {
            uint32_t config[67] = {bad[i].off, bad[i].size};

            begin(h);
            assert_true(fe_send(&h->fe, set ? FE_SET_CONFIG : FE_GET_CONFIG, FE_VERSION, config,
                                bad[i].header, NULL, 0));
            expect_end(h, set ? "SET_CONFIG" : "GET_CONFIG");
        }
}

/* ---- descriptors that signal ---- */

TEST(strange_kick_and_call)
{
    static const uint32_t ids[] = {FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR};
    struct frontend *fe = &h->fe;

    for (unsigned i = 0; i < 3; i++) {
        int files[4] = {open("/dev/null", O_RDWR), open("/", O_RDONLY | O_DIRECTORY),
                        memfd_create("no event", 0), open("/dev/zero", O_RDWR)};

        begin(h);
        assert_true(fe_start(fe, FE_P_ALL, 0, 1));
        for (unsigned k = 0; k < 4; k++) {
            assert_true(files[k] >= 0);
            REFUSED(fe_vring_fd(fe, ids[i], 0, files[k]));
            close(files[k]);
        }
        assert_true(backend_logged(&h->b, "fd is no eventfd, pipe or socket"));
        harness_no_answer(h, 0);
    }
}

/* What passes for an event, but never behaves like one: nothing blocks, nothing spins. */
TEST(useless_kick_and_call)
{
    struct frontend *fe = &h->fe;
    int files[8], pair[2], epoll = epoll_create1(0);
    uint64_t before;
    unsigned n = 0;
    char byte = 0;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
    while (write(pair[1], &byte, 1) == 1) /* full, and blocking again */
        ;
    assert_int_equal(fcntl(pair[1], F_SETFL, 0), 0);
    files[n++] = pair[0]; /* as a call: cannot be written */
    files[n++] = pair[1]; /* as a kick: cannot be read */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    files[n++] = pair[0];                         /* nobody at the other end */
    files[n++] = socket(AF_UNIX, SOCK_STREAM, 0); /* not even connected */
    files[n++] = epoll;
    files[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
    files[n++] = eventfd(0, EFD_SEMAPHORE);
    files[n++] = eventfd(UINT32_MAX, 0);
    for (unsigned i = 0; i < n; i++) {
        (void)fe_vring_fd(fe, FE_SET_VRING_CALL, 0, files[i]); /* whatever it says */
        (void)fe_vring_fd(fe, FE_SET_VRING_KICK, 0, files[i]);
        (void)fe_vring_fd(fe, FE_SET_VRING_ERR, 0, files[i]);
        harness_echo(h, 1);
        close(files[i]);
    }
    before = backend_cpu_ns(&h->b);
    usleep(300000);
    assert_true(backend_cpu_ns(&h->b) - before < 100000000);
    harness_echo(h, 1);
}

TEST(strange_backend_channel)
{
    struct frontend *fe = &h->fe;
    int fds[5], pair[2];

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    assert_int_equal(pipe(pair), 0);
    fds[0] = open("/dev/null", O_RDWR);
    fds[1] = eventfd(0, 0);
    fds[2] = pair[0]; /* the wrong end */
    fds[3] = socket(AF_INET, SOCK_STREAM, 0);
    fds[4] = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (unsigned i = 0; i < 5; i++) {
        REFUSED(fe_call(fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &fds[i], 1));
        close(fds[i]);
    }
    close(pair[1]);
    assert_true(backend_logged(&h->b, "SET_BACKEND_REQ_FD: fd is neither"));
    harness_echo(h, 0);
}

/* A channel that nobody reads, full to the brim. */
TEST(full_backend_channel)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    int pair[2];

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    for (unsigned use_pipe = 0; use_pipe < 2; use_pipe++) {
        char bytes[4096] = {0};

        if (use_pipe)
            assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        while (write(pair[1], bytes, sizeof(bytes)) > 0)
            ;
        OK(fe_call(fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
        for (unsigned i = 0; i < 20; i++) {
            fe->mem.used = 0x8000;
            harness_submit(h, 0, PROBE_CONFIG, i, &answer);
            fe_kick(fe, 0);
            harness_answer(h, 0, 0);
        }
        close(pair[0]);
        close(pair[1]);
        harness_echo(h, 0);
    }
}

/* ---- many ---- */

static uint64_t xorshift(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* A message of a known kind with values that are sometimes right. */
static void random_message(struct frontend *fe, uint64_t *seed)
{
    const struct request *r = &requests[xorshift(seed) % REQUESTS];
    uint32_t size = xorshift(seed) % 8 ? r->size_min : r->size_max;
    uint32_t flags = FE_VERSION | (xorshift(seed) & FE_NEED_REPLY);
    unsigned nfds = r->fds_max && xorshift(seed) % 4 ? r->fds_min + (r->fds_max == 8) : r->fds_min;
    uint64_t words[FE_PAYLOAD / 8];
    int fds[8];

    for (unsigned i = 0; i < size / 8 + 1; i++) {
        uint64_t any = xorshift(seed);

        switch (any % 6) {
        case 0:
            words[i] = 0;
            break;
        case 1:
            words[i] = any >> 62;
            break;
        case 2:
            words[i] = fe->region.guest + (any >> 44);
            break;
        case 3:
            words[i] = fe->region.user + (any >> 44);
            break;
        case 4:
            words[i] = any >> 62 | UINT64_C(16) << 32;
            break;
        default:
            words[i] = any;
        }
    }
    if (xorshift(seed) % 4 && r->id != FE_SET_FEATURES)
        words[0] &= UINT64_C(0x1f00000001);
    for (unsigned i = 0; i < 8; i++)
        fds[i] = xorshift(seed) & 1 ? fe->memfd : fe->ring[0].kick;
    fe_send(fe, r->id, flags, words, size, fds, nfds);
}

static void drain_answers(struct frontend *fe)
{
    uint8_t bytes[4096];

    while (recv(fe->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

TEST(random_messages)
{
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15), features;

    for (unsigned round = 0; round < 400; round++) {
        struct frontend *fe = &h->fe;
        unsigned count = xorshift(&seed) % 60;

        fe_fini(fe);
        fe_init(fe);
        assert_true(fe_connect(fe, h->b.path));
        if (round & 1)
            assert_true(fe_start(fe, FE_P_ALL, round & 2 ? DRV_F_PACKED : 0, 2));
        else
            assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 1 << 20) &&
                        fe_ring_new(fe, 0, 16, false));
        for (unsigned i = 0; i < count; i++) {
            random_message(fe, &seed);
            drain_answers(fe);
        }
        if (round % 16 == 0)
            assert_true(backend_alive(&h->b));
    }
    fe_fini(&h->fe);
    fe_init(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
}

/* Only noise. */
TEST(random_bytes)
{
    uint64_t seed = 42, features;

    for (unsigned round = 0; round < 300; round++) {
        uint64_t words[64];
        int fd = STDERR_FILENO;

        for (unsigned i = 0; i < 64; i++)
            words[i] = xorshift(&seed);
        fe_disconnect(&h->fe);
        assert_true(fe_connect(&h->fe, h->b.path));
        fe_send_bytes(&h->fe, words, 1 + words[0] % sizeof(words), &fd, words[1] & 1);
    }
    fe_disconnect(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(header_flags),
        HOSTILE(header_size),
        HOSTILE(unknown_request_sizes),
        HOSTILE(descriptor_counts),
        HOSTILE(descriptors_of_unknown_requests),
        HOSTILE(vring_descriptor_flag),
        HOSTILE(ring_index),
        HOSTILE(byte_by_byte),
        HOSTILE(all_at_once),
        HOSTILE(front_end_leaves_in_the_middle),
        HOSTILE(answers_are_not_read),
        HOSTILE(bad_regions_are_refused),
        HOSTILE(bad_regions_end_the_connection),
        HOSTILE(region_counts),
        HOSTILE(regions_in_strange_files),
        HOSTILE(memory_shrinks),
        HOSTILE(memory_shrinks_unseen),
        HOSTILE(config_sizes),
        HOSTILE(strange_kick_and_call),
        HOSTILE(useless_kick_and_call),
        HOSTILE(strange_backend_channel),
        HOSTILE(full_backend_channel),
        HOSTILE(random_messages),
        HOSTILE(random_bytes),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vhost-user, hostile front end", tests, NULL, NULL) != 0;
}

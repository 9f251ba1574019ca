/* SPDX-License-Identifier: Apache-2.0 */
/* Memory tables that make no sense, and files that are no memory. */
#include "vhost-user/hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

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

/*
 * The file gets shorter under the rings: zero pages, a line in the log, the end of the connection.
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

/*
 * Memory in crumbs, and buffers that lie in all of them: each takes long to check. The loop goes on
 * meanwhile: a message is answered when most of it is still to be done, which is seen in the ring
 * or, if this process was slow to look, by the clock.
 */
TEST(crumbs)
{
    enum {
        CRUMBS = 500,
        CRUMB = 512,
        BUFS = 240,
        REQUESTS = 60,
    };
    struct frontend *fe = &h->fe;
    struct fe_region crumb = {.guest = 0x100000, .size = CRUMB, .user = 0x700000};
    struct drv_buf in[BUFS], out = {0, 8};
    uint64_t features, begin_ms, answer_ms;
    struct drv_used used;
    unsigned done;

    begin(h);
    assert_true(fe_start(fe, FE_P_ALL, DRV_F_INDIRECT, 0));
    for (unsigned i = 0; i < CRUMBS; i++) {
        OK(fe_region(fe, FE_ADD_MEM_REG, &crumb, fe->memfd));
        crumb.guest += CRUMB;
        crumb.user += 0x1000;
    }
    assert_true(fe_ring_new(fe, 0, 64, false) && fe_ring_send(fe, 0, 0));
    for (unsigned i = 0; i < BUFS; i++)
        in[i] = (struct drv_buf){0x100000, CRUMBS * CRUMB};
    out.addr = drv_alloc(&fe->mem, 8, 8);
    drv_poke32(&fe->mem, out.addr, PROBE_RELEASE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct drv_chain chain = {&out, in, 1, BUFS, 0, 0, i};

        chain.table = drv_alloc(&fe->mem, (BUFS + 1) * 16, 16);
        assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
    }
    drv_ring_publish(&fe->ring[0].ring);
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    begin_ms = now_ms();
    OK(fe_get(fe, FE_GET_FEATURES, &features));
    done = drv_split_used_idx(&fe->ring[0].ring);
    answer_ms = now_ms() - begin_ms;
    for (unsigned i = 0; i < REQUESTS; i++)
        assert_true(fe_wait_used(fe, 0, &used, 5000));
    assert_true(done < REQUESTS / 2 || answer_ms * 3 < now_ms() - begin_ms);
}

static const struct CMUnitTest tests[] = {
    HOSTILE(crumbs),
    HOSTILE(bad_regions_are_refused),
    HOSTILE(bad_regions_end_the_connection),
    HOSTILE(region_counts),
    HOSTILE(regions_in_strange_files),
    HOSTILE(memory_shrinks),
    HOSTILE(memory_shrinks_unseen),
};

HARNESS_MAIN("vhost-user, hostile memory", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk of the programs: images, memory, what is long, what must reach the medium, what is slow.
 */
#include "blk_bench.h"

#include <anyhv/devices/blk_host.h>
#include <anyhv/linux/log.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1u << 20)

static char folder[] = "/tmp/anyhv-blk-test.XXXXXX";
static char last_event[64], last_line[256];
static unsigned lines;

struct host {
    struct blk_bench *b;
    struct anyhv_loop *loop;
    struct anyhv_blk_linux disk;
    bool open;
    struct anyhv_blk_delay delay;
};

static void remember(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    if (level > ANYHV_LOG_ERROR)
        return;
    snprintf(last_event, sizeof(last_event), "%s", event);
    snprintf(last_line, sizeof(last_line), "%s", line);
    lines++;
}

static int setup(void **state)
{
    struct host *h = calloc(1, sizeof(*h));
    void *bench;

    bench_setup(&bench);
    h->b = bench;
    h->loop = anyhv_loop_new();
    last_event[0] = last_line[0] = '\0';
    lines = 0;
    anyhv_log_sink(remember, NULL);
    *state = h;
    return h->loop ? 0 : -1;
}

static void close_disk(struct host *h)
{
    bench_down(h->b);
    anyhv_blk_delay_fini(&h->delay);
    if (h->open)
        anyhv_blk_linux_close(&h->disk);
    h->open = false;
}

static int teardown(void **state)
{
    struct host *h = *state;
    void *bench = h->b;

    close_disk(h);
    anyhv_log_sink(NULL, NULL);
    anyhv_loop_free(h->loop);
    bench_teardown(&bench);
    free(h);
    return 0;
}

static const char *image_of(uint64_t size)
{
    static char path[64];
    int fd;

    snprintf(path, sizeof(path), "%s/image", folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    return path;
}

static void open_disk(struct host *h, const char *path, uint64_t size, bool read_only)
{
    assert_int_equal(anyhv_blk_linux_open(&h->disk, h->loop, path, size, read_only), ANYHV_OK);
    h->open = true;
}

/* A guest for the disk; @features 0: all. */
static void serve(struct host *h, uint64_t features, uint32_t delay_us)
{
    struct anyhv_blk_store *store = &h->disk.mem.store;

    if (delay_us) {
        anyhv_blk_delay_init(&h->delay, h->loop, store, delay_us);
        store = &h->delay.store;
    }
    bench_up(h->b, &(struct bench_options){.store = store, .features = features});
}

/* Whether the answer comes, however long that takes (but not for ever). */
static bool answered(struct host *h)
{
    for (unsigned i = 0; i < 1000 && !drv_ring_pending(&h->b->ring[0]); i++) {
        assert_true(anyhv_loop_turn(h->loop, 10000) >= 0);
        bench_run(h->b);
    }
    return drv_ring_pending(&h->b->ring[0]);
}

static void finish(struct host *h, const struct bench_request *r, uint8_t status)
{
    assert_true(answered(h));
    bench_expect(h->b, r, r->in + 1);
    assert_int_equal(bench_status(h->b, r), status);
}

static void request(struct host *h, struct bench_request *r, uint8_t status)
{
    bench_prepare(h->b, r);
    bench_send(h->b, r);
    finish(h, r, status);
}

static void clear(struct host *h, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct bench_request r = {.type = type, .out = 16};

    bench_prepare(h->b, &r);
    bench_segment(h->b, &r, 0, sector, sectors, flags);
    bench_send(h->b, &r);
    finish(h, &r, OK);
}

/* ---- open ---- */

/* Proves BLK-WRITE, BLK-READ. */
static void an_image_keeps_what_is_written(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .sector = 3, .out = 1024},
                         in = {.type = IN, .sector = 3, .in = 1024};
    const char *path = image_of(MIB);
    uint8_t byte;
    int fd;

    open_disk(h, path, 0, false);
    assert_int_equal(h->disk.mem.store.sectors, MIB / 512);
    assert_null(h->disk.mem.store.content);
    serve(h, 0, 0);
    request(h, &out, OK);
    fd = open(path, O_RDONLY); /* visible to others at once: so it survives any death of ours */
    assert_int_equal(pread(fd, &byte, 1, 3 * 512 + 1000), 1);
    assert_int_equal(byte, bench_byte(3, 1000));
    close(fd);
    close_disk(h);
    open_disk(h, path, 0, false);
    serve(h, 0, 0);
    request(h, &in, OK);
    bench_in_data(h->b, &in);
}

static void a_disk_in_memory_is_empty_and_its_own(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .sector = 3, .out = 1024},
                         in = {.type = IN, .sector = 2, .in = 512};

    open_disk(h, NULL, MIB, false);
    assert_ptr_equal(h->disk.mem.store.content, h->disk.mem.bytes);
    assert_null(h->disk.worker);
    serve(h, 0, 0);
    request(h, &out, OK);
    request(h, &in, OK);
    assert_int_equal(drv_peek8(&h->b->mem, in.in_at), 0);
    assert_int_equal(h->disk.mem.bytes[3 * 512], bench_byte(3, 0));
}

static void refuses(struct host *h, const char *path, const char *why)
{
    last_event[0] = '\0';
    assert_int_equal(anyhv_blk_linux_open(&h->disk, h->loop, path, 0, false), ANYHV_E_IO);
    assert_string_equal(last_event, "blk.disk");
    assert_non_null(strstr(last_line, why));
    assert_int_equal(h->disk.fd, -1);
}

static void what_cannot_be_an_image_is_refused(void **state)
{
    struct host *h = *state;
    char path[64];

    refuses(h, "/tmp/anyhv-no-such-folder/image", "No such file");
    refuses(h, folder, "Is a directory");
    refuses(h, image_of(0), "multiple of 512");
    refuses(h, image_of(1000), "multiple of 512");
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuses(h, path, "not a regular file");
    assert_non_null(strstr(last_line, path));
}

static void a_read_only_image(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 512}, in = {.type = IN, .in = 512},
                         flush = {.type = FLUSH};

    open_disk(h, image_of(MIB), 0, true);
    serve(h, F_FLUSH, 0);
    request(h, &out, IOERR);
    request(h, &in, OK);
    request(h, &flush, OK);
    assert_null(h->disk.worker);
}

/* ---- long requests ---- */

static void long_requests_take_turns(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 3 * MIB}, in = {.type = IN, .in = 512};

    open_disk(h, NULL, 4 * MIB, false);
    serve(h, 0, 0);
    bench_prepare(h->b, &out);
    bench_send(h->b, &out);
    bench_expect_none(h->b, 0);
    bench_prepare(h->b, &in);
    bench_send(h->b, &in);
    bench_expect(h->b, &in, 513); /* it did not have to wait for the other */
    finish(h, &out, OK);
    for (uint32_t i = 0; i < 3 * MIB; i++)
        assert_int_equal(h->disk.mem.bytes[i], bench_byte(0, i));
}

static void two_long_requests_share_the_loop(void **state)
{
    struct host *h = *state;
    struct bench_request in[2] = {{.type = IN, .in = 2 * MIB}, {.type = IN, .in = 3 * MIB}};

    open_disk(h, NULL, 4 * MIB, false);
    for (uint32_t i = 0; i < 3 * MIB; i++)
        h->disk.mem.bytes[i] = bench_byte(0, i);
    serve(h, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        bench_prepare(h->b, &in[i]);
        bench_send(h->b, &in[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        finish(h, &in[i], OK);
        bench_in_data(h->b, &in[i]);
    }
}

static void a_long_request_goes_back_and_comes_again(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 3 * MIB};

    open_disk(h, NULL, 4 * MIB, false);
    serve(h, 0, 0);
    bench_prepare(h->b, &out);
    bench_send(h->b, &out);
    assert_int_equal(anyhv_ctl_quiesce(h->b->dev), ANYHV_OK);
    assert_null(h->disk.unfinished.first);
    anyhv_loop_turn(h->loop, 0); /* the task finds nothing to do */
    bench_expect_none(h->b, 0);
    anyhv_ctl_resume(h->b->dev);
    bench_run(h->b);
    finish(h, &out, OK);
    assert_int_equal(h->disk.mem.bytes[3 * MIB - 1], bench_byte(0, 3 * MIB - 1));
}

/* ---- what has to reach the medium ---- */

/* Proves BLK-STABLE-FLUSH. */
static void a_flush_does_not_hold_up_the_loop(void **state)
{
    struct host *h = *state;
    struct bench_request flush[3], in = {.type = IN, .in = 512};

    open_disk(h, image_of(MIB), 0, false);
    serve(h, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        flush[i] = (struct bench_request){.type = FLUSH};
        bench_prepare(h->b, &flush[i]);
        bench_send(h->b, &flush[i]);
    }
    bench_expect_none(h->b, 0);
    bench_prepare(h->b, &in);
    bench_send(h->b, &in);
    bench_expect(h->b, &in, 513);
    /* The first has a sync of its own; those that came after it began share the next. */
    assert_non_null(h->disk.syncing.first);
    assert_null(h->disk.syncing.first->next);
    for (unsigned i = 0; i < 3; i++)
        finish(h, &flush[i], OK);
    assert_int_equal(lines, 0);
}

/* Proves BLK-STABLE-FLUSH. */
static void a_flush_that_fails_says_so(void **state)
{
    struct host *h = *state;
    struct bench_request flush = {.type = FLUSH};
    int fds[2], fd;

    open_disk(h, image_of(MIB), 0, false);
    serve(h, 0, 0);
    assert_int_equal(pipe(fds), 0);
    fd = h->disk.fd;
    h->disk.fd = fds[0]; /* nothing that could be synced */
    request(h, &flush, IOERR);
    assert_string_equal(last_event, "blk.disk");
    h->disk.fd = fd;
    close(fds[0]);
    close(fds[1]);
    request(h, &flush, OK);
}

/* Proves BLK-STABLE-WITHOUT-FLUSH. */
static void without_flush_each_write_is_waited_for(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 512}, in = {.type = IN, .in = 512};

    open_disk(h, image_of(MIB), 0, false);
    serve(h, F_WRITE_ZEROES, 0);
    bench_prepare(h->b, &out);
    bench_send(h->b, &out);
    bench_expect_none(h->b, 0);
    assert_true(h->disk.sync_busy);
    finish(h, &out, OK);
    clear(h, WRITE_ZEROES, 0, 1, 1);
    bench_prepare(h->b, &in);
    bench_send(h->b, &in);
    bench_expect(h->b, &in, 513); /* but no read */

    serve(h, F_FLUSH, 0);
    bench_prepare(h->b, &out);
    bench_send(h->b, &out);
    bench_expect(h->b, &out, 1);
}

/* The guest goes while its flush is under way; the disk, too. */
static void nobody_waits_for_a_flush_any_more(void **state)
{
    struct host *h = *state;
    struct bench_request flush[2];

    open_disk(h, image_of(MIB), 0, false);
    serve(h, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        flush[i] = (struct bench_request){.type = FLUSH};
        bench_prepare(h->b, &flush[i]);
        bench_send(h->b, &flush[i]);
    }
    assert_int_equal(anyhv_ctl_quiesce(h->b->dev), ANYHV_OK); /* back to the ring */
    assert_null(h->disk.syncing.first);
    assert_null(h->disk.waiting.first);
    anyhv_ctl_resume(h->b->dev);
    bench_run(h->b);
    finish(h, &flush[0], OK);
    finish(h, &flush[1], OK);
    bench_prepare(h->b, &flush[0]);
    bench_send(h->b, &flush[0]);
    close_disk(h);
    while (anyhv_loop_turn(h->loop, 0) > 0)
        ;
}

/* ---- space ---- */

static int64_t blocks(const struct host *h)
{
    struct stat st;

    assert_int_equal(fstat(h->disk.fd, &st), 0);
    return st.st_blocks;
}

/* Proves BLK-ZEROES, BLK-DISCARD, BLK-ZEROES-UNMAP, BLK-MAY-UNMAP. */
static void discarded_space_is_given_back(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 2 * MIB};
    int64_t full;

    open_disk(h, NULL, 4 * MIB, false); /* a tmpfs, which can make holes */
    serve(h, 0, 0);
    request(h, &out, OK);
    full = blocks(h);
    clear(h, WRITE_ZEROES, 0, 1024, 0);
    assert_int_equal(blocks(h), full);
    assert_int_equal(h->disk.mem.bytes[MIB / 2 - 1], 0);
    assert_int_equal(h->disk.mem.bytes[MIB / 2], bench_byte(0, MIB / 2));
    clear(h, WRITE_ZEROES, 0, 1024, 1);
    assert_true(blocks(h) <= full - 1000);
    clear(h, DISCARD, 1024, 1024, 0);
    assert_true(blocks(h) <= full - 2000);
    assert_int_equal(h->disk.mem.bytes[MIB - 1], 0);
    assert_int_equal(h->disk.mem.bytes[MIB], bench_byte(0, MIB));
    clear(h, DISCARD, 2051, 3, 0); /* less than a page */
    assert_int_equal(h->disk.mem.bytes[2051 * 512 - 1], bench_byte(0, 2051 * 512 - 1));
    assert_int_equal(h->disk.mem.bytes[2051 * 512], 0);
    assert_int_equal(h->disk.mem.bytes[2054 * 512 - 1], 0);
    assert_int_equal(h->disk.mem.bytes[2054 * 512], bench_byte(0, 2054 * 512));
}

/* A descriptor that cannot make holes: some file systems' cannot. */
static void where_there_are_no_holes_zeroes_are_written(void **state)
{
    struct host *h = *state;

    open_disk(h, NULL, 4 * MIB, false);
    h->disk.cannot_punch = true;
    serve(h, 0, 0);
    memset(h->disk.mem.bytes, 0x44, 4 * MIB);
    clear(h, DISCARD, 1, 8190, 0);
    assert_int_equal(h->disk.mem.bytes[511], 0x44);
    for (uint32_t i = 512; i < 8191 * 512; i++)
        assert_int_equal(h->disk.mem.bytes[i], 0);
    assert_int_equal(h->disk.mem.bytes[8191 * 512], 0x44);
}

static void a_hole_that_cannot_be_made_is_an_io_error(void **state)
{
    struct host *h = *state;
    struct bench_request r = {.type = DISCARD, .out = 16};
    int fd = open("/dev/null", O_RDONLY), own;

    open_disk(h, NULL, MIB, false);
    serve(h, 0, 0);
    own = h->disk.fd;
    h->disk.fd = fd; /* not open for writing */
    bench_prepare(h->b, &r);
    bench_segment(h->b, &r, 0, 0, 8, 0);
    bench_send(h->b, &r);
    finish(h, &r, IOERR);
    assert_string_equal(last_event, "blk.disk");
    h->disk.fd = own;
    close(fd);
}

/* What a file that shrank leaves behind is seen in test_fdmem; here is what the guest is told. */
static void a_disk_that_went_away_answers_io_errors(void **state)
{
    struct host *h = *state;
    struct bench_request out = {.type = OUT, .out = 512}, in = {.type = IN, .in = 3 * MIB},
                         flush = {.type = FLUSH};

    open_disk(h, image_of(4 * MIB), 0, false);
    serve(h, 0, 0);
    request(h, &out, OK);
    h->disk.map.lost = 1;
    request(h, &out, IOERR);
    request(h, &in, IOERR); /* all of it is defined: the used length says so */
    request(h, &flush, IOERR);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(last_line, "it shrank"));
}

/* ---- a slow disk ---- */

static void a_slow_disk_answers_out_of_order(void **state)
{
    struct host *h = *state;
    struct bench_request r[10];
    uint64_t begin = anyhv_loop_now(h->loop), order[10];
    unsigned n = 0, moved = 0;

    open_disk(h, NULL, MIB, false);
    for (uint32_t i = 0; i < 10; i++)
        memset(h->disk.mem.bytes + 512 * i, (int)(100 + i), 512);
    serve(h, 0, 40000);
    for (unsigned i = 0; i < 10; i++) {
        r[i] = (struct bench_request){.type = IN, .sector = i, .in = 512};
        bench_prepare(h->b, &r[i]);
        bench_send(h->b, &r[i]);
    }
    bench_expect_none(h->b, 0);
    for (struct anyhv_blk_job *job = h->delay.list.first; job; job = job->next) {
        assert_true(job->due >= begin + 40000000);
        assert_true(job->due <= anyhv_loop_now(h->loop) + 80000000);
        order[n++] = job->range[0].off / 512;
    }
    assert_int_equal(n, 10);
    for (unsigned i = 0; i < 10; i++) {
        finish(h, &r[order[i]], OK);
        assert_int_equal(drv_peek8(&h->b->mem, r[order[i]].in_at), 100 + order[i]);
        moved += order[i] != i;
    }
    assert_true(moved > 2);
    assert_true(anyhv_loop_now(h->loop) - begin >= 40000000);
}

static void a_slow_disk_gives_requests_back(void **state)
{
    struct host *h = *state;
    struct bench_request r = {.type = OUT, .out = 512};

    open_disk(h, NULL, MIB, false);
    serve(h, 0, 30000000); /* half a minute: nobody waits for that */
    bench_prepare(h->b, &r);
    bench_send(h->b, &r);
    assert_int_equal(anyhv_ctl_quiesce(h->b->dev), ANYHV_OK);
    assert_null(h->delay.list.first);
    assert_null(h->delay.timer.loop);
    anyhv_ctl_resume(h->b->dev);
    bench_run(h->b);
    assert_non_null(h->delay.list.first);
    assert_true(h->b->mmio.transport.ops->reset(&h->b->mmio.transport));
    assert_null(h->delay.list.first);
    assert_int_equal(h->disk.mem.bytes[0], 0);
}

/* The delay is over, and the disk behind it takes its time as well. */
static void a_slow_disk_in_front_of_a_busy_one(void **state)
{
    struct host *h = *state;
    struct bench_request flush = {.type = FLUSH}, out = {.type = OUT, .out = 3 * MIB};

    open_disk(h, image_of(4 * MIB), 0, false);
    serve(h, 0, 1000);
    request(h, &flush, OK);
    request(h, &out, OK);
    bench_prepare(h->b, &flush);
    bench_send(h->b, &flush);
    while (h->delay.list.first)
        anyhv_loop_turn(h->loop, 1000);
    assert_int_equal(anyhv_ctl_quiesce(h->b->dev), ANYHV_OK); /* taken back from whoever has it */
    anyhv_ctl_resume(h->b->dev);
    bench_run(h->b);
    finish(h, &flush, OK);
}

/* Whoever has the job, the slow disk or the one behind it, gives it up at once. */
static void a_queue_is_reset_meanwhile(void **state)
{
    struct host *h = *state;
    struct drv_transport *t = &h->b->mmio.transport;
    struct bench_request requests[] = {
        {.type = OUT, .out = 3 * MIB}, {.type = FLUSH}, {.type = IN, .in = 512}};

    open_disk(h, image_of(4 * MIB), 0, false);
    for (unsigned i = 0; i < 3; i++) {
        struct bench_request *r = &requests[i];

        serve(h, F_ALL | DRV_F_RING_RESET, i == 2 ? 1000 : 0);
        bench_prepare(h->b, r);
        bench_send(h->b, r);
        bench_expect_none(h->b, 0);
        assert_true(t->ops->queue_reset(t, 0));
        assert_null(h->disk.unfinished.first);
        assert_null(h->disk.syncing.first);
        assert_null(h->delay.list.first);
        for (unsigned k = 0; k < h->b->blk.njobs; k++)
            assert_false(h->b->jobs[k].used);
        while (h->disk.sync_busy) /* which is for nobody now */
            assert_true(anyhv_loop_turn(h->loop, 1000) >= 0);
        assert_int_equal(bench_status(h->b, r), UNTOUCHED);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(an_image_keeps_what_is_written),
    TEST(a_disk_in_memory_is_empty_and_its_own),
    TEST(what_cannot_be_an_image_is_refused),
    TEST(a_read_only_image),
    TEST(long_requests_take_turns),
    TEST(two_long_requests_share_the_loop),
    TEST(a_long_request_goes_back_and_comes_again),
    TEST(a_flush_does_not_hold_up_the_loop),
    TEST(a_flush_that_fails_says_so),
    TEST(without_flush_each_write_is_waited_for),
    TEST(nobody_waits_for_a_flush_any_more),
    TEST(discarded_space_is_given_back),
    TEST(where_there_are_no_holes_zeroes_are_written),
    TEST(a_hole_that_cannot_be_made_is_an_io_error),
    TEST(a_disk_that_went_away_answers_io_errors),
    TEST(a_slow_disk_answers_out_of_order),
    TEST(a_slow_disk_gives_requests_back),
    TEST(a_slow_disk_in_front_of_a_busy_one),
    TEST(a_queue_is_reset_meanwhile),
};

int main(int argc, char **argv)
{
    char path[64];
    int failed;

    if (!mkdtemp(folder))
        return 1;
    failed = test_run("blk_host", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    snprintf(path, sizeof(path), "%s/image", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    unlink(path);
    rmdir(folder);
    return failed;
}

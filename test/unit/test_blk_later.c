/* SPDX-License-Identifier: Apache-2.0 */
/* Block requests that cannot be answered at once, and what may happen to them meanwhile. */
#include "blk_bench.h"

#include <string.h>

/* Reads of sectors 0, 1, 2 ..., which hold the pattern. */
static void send_reads(struct blk_bench *b, struct bench_request *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bench_fill(b, i, 512);
        r[i] = (struct bench_request){.type = IN, .sector = i, .in = 512};
        bench_prepare(b, &r[i]);
        bench_send(b, &r[i]);
    }
}

static void expect_read(struct blk_bench *b, const struct bench_request *r)
{
    bench_expect(b, r, 513);
    assert_int_equal(bench_status(b, r), OK);
    bench_in_data(b, r);
}

static unsigned jobs_used(const struct blk_bench *b)
{
    unsigned used = 0;

    for (unsigned i = 0; i < b->blk.njobs; i++)
        used += b->blk.jobs[i].used;
    return used;
}

/* ---- a store that answers later ---- */

static void answers_in_any_order(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[3];

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 3);
    bench_expect_none(b, 0);
    bench_release(b, 1, ANYHV_OK);
    expect_read(b, &r[1]);
    bench_release(b, 1, ANYHV_OK);
    expect_read(b, &r[2]);
    bench_release(b, 0, ANYHV_OK);
    expect_read(b, &r[0]);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->held, 3);
    assert_int_equal(jobs_used(b), 0);
}

static void fails_later(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[1];

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 1);
    bench_release(b, 0, ANYHV_E_IO);
    bench_expect(b, &r[0], 513);
    assert_int_equal(bench_status(b, &r[0]), IOERR);
    assert_int_equal(drv_peek8(&b->mem, r[0].in_at), 0);
}

/* What each kind of job was when the store got it is still so when it ends. */
static void every_kind_can_wait(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request out = {.type = OUT, .sector = 9, .out = 1024},
                         clear = {.type = DISCARD, .out = 32}, flush = {.type = FLUSH};

    bench_up(b, NULL);
    b->store.keep = true;
    bench_prepare(b, &out);
    bench_send(b, &out);
    bench_zeroes_on_disk(b, 9, 1024);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &out, 1);
    bench_on_disk(b, 9, 1024);
    bench_prepare(b, &clear);
    bench_segment(b, &clear, 0, 9, 1, 0);
    bench_segment(b, &clear, 1, 10, 1, 0);
    bench_send(b, &clear);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &clear, 1);
    assert_int_equal(bench_status(b, &clear), OK);
    bench_zeroes_on_disk(b, 9, 1024);
    bench_prepare(b, &flush);
    bench_send(b, &flush);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &flush, 1);
    assert_int_equal(bench_status(b, &flush), OK);
}

/* The ring has more than may be in work: nothing is refused, the rest comes when there is room. */
static void as_many_as_fit_are_in_work(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[10];

    bench_up(b, &(struct bench_options){.requests = 4});
    b->store.keep = true;
    send_reads(b, r, 10);
    assert_int_equal(b->store.nkept, 4);
    for (unsigned i = 0; i < 10; i++) {
        bench_release(b, 0, ANYHV_OK);
        expect_read(b, &r[i]);
    }
    assert_int_equal(jobs_used(b), 0);
}

/* ---- guest memory that is not there for a moment ---- */

/* Whichever access it is that cannot be made just now, the request comes out right in the end. */
static void goes_on_where_it_was(void **state)
{
    static const uint32_t types[] = {IN, OUT, GET_ID, DISCARD, FLUSH, 77};
    struct blk_bench *b = *state;

    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        bool through = false;

        for (uint32_t after = 0; !through; after++) {
            struct bench_request r = {.type = types[t], .sector = 1, .cut = 100};

            assert_true(after < 50);
            r.out = r.type == OUT ? 512 : r.type == DISCARD ? 16 : 0;
            r.in = r.type == IN ? 512 : r.type == GET_ID ? 20 : r.type == 77 ? 300 : 0;
            bench_up(b, &(struct bench_options){.bounce = true});
            bench_fill(b, 1, r.type == OUT ? 0 : 512);
            bench_prepare(b, &r);
            if (r.type == DISCARD)
                bench_segment(b, &r, 0, 1, 1, 0);
            b->lb.faults =
                (struct anyhv_loopback_faults){.after = after, .result = ANYHV_E_NORES, .count = 1};
            bench_send(b, &r);
            through = b->lb.faults.count == 1;
            if (!through) {
                bench_expect_none(b, 0);
                assert_int_equal(jobs_used(b), 1);
                anyhv_mem_room(&b->lb.mem);
                bench_run(b);
            }
            bench_expect(b, &r, r.in + 1);
            assert_int_equal(bench_status(b, &r), r.type == 77 ? UNSUPP : OK);
            if (r.type == IN)
                bench_in_data(b, &r);
            if (r.type == OUT)
                bench_on_disk(b, 1, 512);
            if (r.type == DISCARD)
                bench_zeroes_on_disk(b, 1, 512);
            memset(b->disk, 0, 2048);
            assert_int_equal(jobs_used(b), 0);
        }
    }
}

/* Room came, but not enough: it waits again. */
static void waits_as_often_as_it_must(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = OUT, .sector = 1, .out = 512};

    bench_up(b, &(struct bench_options){.bounce = true});
    bench_prepare(b, &r);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 0, .result = ANYHV_E_NORES, .count = 3};
    bench_send(b, &r);
    for (unsigned i = 0; i < 3; i++) {
        bench_expect_none(b, 0);
        anyhv_mem_room(&b->lb.mem);
        bench_run(b);
    }
    bench_expect(b, &r, 1);
    bench_on_disk(b, 1, 512);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 0);
}

/* Each queue's requests are tried when that queue is asked. */
static void both_queues_are_tried_again(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[2] = {{.type = OUT, .sector = 1, .out = 512},
                                 {.type = OUT, .sector = 2, .out = 512, .queue = 1}};

    bench_up(b, &(struct bench_options){.bounce = true, .queues = 2});
    for (unsigned i = 0; i < 2; i++) {
        bench_prepare(b, &r[i]);
        b->lb.faults =
            (struct anyhv_loopback_faults){.after = 0, .result = ANYHV_E_NORES, .count = 1};
        bench_send(b, &r[i]);
        bench_expect_none(b, i);
    }
    anyhv_mem_room(&b->lb.mem);
    bench_run(b);
    bench_expect(b, &r[0], 1);
    bench_expect(b, &r[1], 1);
    bench_on_disk(b, 1, 512);
    bench_on_disk(b, 2, 512);
}

/* ---- queues that stop ---- */

static void a_stop_gives_requests_back(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[3];

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 3);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    assert_int_equal(b->store.drops, 3);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, 3);
    assert_int_equal(jobs_used(b), 0);
    bench_expect_none(b, 0);
    b->store.keep = false;
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    for (unsigned i = 0; i < 3; i++)
        expect_read(b, &r[i]);
}

/* One that lacks guest memory goes back, too, and comes again from its beginning. */
static void a_stop_gives_back_what_was_begun(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = OUT, .sector = 1, .out = 512, .cut = 100};

    bench_up(b, &(struct bench_options){.bounce = true});
    bench_prepare(b, &r);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 3, .result = ANYHV_E_NORES, .count = 1};
    bench_send(b, &r);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    assert_int_equal(anyhv_ctl_counters(b->dev, 0)->returned, 1);
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    bench_expect(b, &r, 1);
    assert_int_equal(bench_status(b, &r), OK);
    bench_on_disk(b, 1, 512);
}

/* What has younger ones behind it that were answered cannot go back: it is waited for. */
static void a_stop_waits_for_the_rest(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[3];

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 3);
    bench_release(b, 1, ANYHV_OK);
    expect_read(b, &r[1]);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_LATER);
    assert_int_equal(b->store.nkept, 1);
    bench_release(b, 0, ANYHV_OK);
    expect_read(b, &r[0]);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    b->store.keep = false;
    anyhv_ctl_resume(b->dev);
    bench_run(b);
    expect_read(b, &r[2]);
}

/* ---- resets ---- */

static void a_reset_forgets_all(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[3], again = {.type = OUT, .sector = 8, .out = 512};

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 3);
    assert_true(b->mmio.transport.ops->reset(&b->mmio.transport));
    assert_int_equal(b->store.nkept, 0);
    assert_int_equal(b->store.drops, 3);
    assert_int_equal(jobs_used(b), 0);
    b->store.keep = false;
    bench_negotiate(b);
    assert_int_equal(bench_do(b, &again), OK);
}

static void a_lost_guest_is_forgotten(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[2];

    bench_up(b, NULL);
    b->store.keep = true;
    send_reads(b, r, 2);
    anyhv_loopback_lose_peer(&b->lb);
    assert_int_equal(b->store.nkept, 0);
    assert_int_equal(jobs_used(b), 0);
}

/* One queue is reset: what it had in work is forgotten at once, and nothing of the other. */
static void a_queue_reset_forgets_its_own(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r[2], other = {.type = FLUSH, .queue = 1};

    bench_up(b, &(struct bench_options){.queues = 2});
    b->store.keep = true;
    send_reads(b, r, 2);
    bench_prepare(b, &other);
    bench_send(b, &other);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, false, NULL), ANYHV_OK);
    assert_int_equal(b->store.drops, 2);
    assert_int_equal(jobs_used(b), 1);
    assert_int_equal(drv_peek8(&b->mem, r[0].in_at), UNTOUCHED);
    assert_int_equal(bench_status(b, &r[1]), UNTOUCHED);
    bench_release(b, 0, ANYHV_OK);
    bench_expect(b, &other, 1);
    assert_int_equal(bench_status(b, &other), OK);
}

/* Whoever does so all the time does not use up what the device has. */
static void many_queue_resets(void **state)
{
    struct blk_bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;
    struct bench_request r[4], flush = {.type = FLUSH};

    bench_up(b, &(struct bench_options){.requests = 4, .features = F_ALL | DRV_F_RING_RESET});
    b->store.keep = true;
    for (unsigned i = 0; i < 100; i++) {
        send_reads(b, r, 1 + i % 4);
        assert_true(t->ops->queue_reset(t, 0));
        b->mem.used = 0;
        bench_start_ring(b, 0);
        assert_int_equal(jobs_used(b), 0);
    }
    assert_int_equal(b->store.drops, 250);
    b->store.keep = false;
    assert_int_equal(bench_do(b, &flush), OK);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(answers_in_any_order),
    BENCH_TEST(fails_later),
    BENCH_TEST(every_kind_can_wait),
    BENCH_TEST(as_many_as_fit_are_in_work),
    BENCH_TEST(goes_on_where_it_was),
    BENCH_TEST(waits_as_often_as_it_must),
    BENCH_TEST(both_queues_are_tried_again),
    BENCH_TEST(a_stop_gives_requests_back),
    BENCH_TEST(a_stop_gives_back_what_was_begun),
    BENCH_TEST(a_stop_waits_for_the_rest),
    BENCH_TEST(a_reset_forgets_all),
    BENCH_TEST(a_lost_guest_is_forgotten),
    BENCH_TEST(a_queue_reset_forgets_its_own),
    BENCH_TEST(many_queue_resets),
};

ANYHV_TEST_MAIN("blk, later", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* How a request lives and ends: hold and handles, done, reject, pinned pieces, back-pressure. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- hold, get ---- */

static void a_handle_finds_its_request_until_it_ends(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint64_t handle;

    bench_up(b, NULL);
    req = bench_held(b, 8, 8);
    handle = b->handle[0];
    assert_true(handle != 0);
    assert_int_equal(anyhv_req_hold(req), handle); /* once more changes nothing */
    assert_int_equal(bench_counters(b, 0)->held, 1);
    assert_ptr_equal(anyhv_queue_held(b->dev, 0), req);
    anyhv_req_done(req);
    assert_null(anyhv_req_get(b->dev, handle)); /* at once, not when it is published */
    assert_null(anyhv_queue_held(b->dev, 0));
    bench_run(b);
    assert_null(anyhv_req_get(b->dev, handle));
    /* The slot serves again, under another name. */
    assert_ptr_equal(bench_held(b, 8, 8), req);
    assert_true(b->handle[1] != handle);
    assert_null(anyhv_req_get(b->dev, handle));
    assert_ptr_equal(anyhv_req_get(b->dev, b->handle[1]), req);
}

static void a_made_up_handle_finds_nothing(void **state)
{
    struct bench *b = *state;
    uint64_t handle;

    bench_up(b, &(struct bench_options){.limits = {.requests = 3}});
    bench_held(b, 8, 0);
    handle = b->handle[0];
    assert_null(anyhv_req_get(b->dev, 0));
    assert_null(anyhv_req_get(b->dev, UINT64_MAX));
    for (unsigned bit = 0; bit < 64; bit++)
        assert_null(anyhv_req_get(b->dev, handle ^ UINT64_C(1) << bit));
    /* A generation that fits a slot that is free. */
    for (uint64_t slot = 0; slot < 16; slot++)
        if ((handle & 0xffff) != slot)
            assert_null(anyhv_req_get(b->dev, (handle & ~UINT64_C(0xffff)) | slot));
    assert_null(anyhv_queue_held(b->dev, BENCH_QUEUES));
    assert_null(anyhv_queue_held(b->dev, UINT32_MAX));
}

static void the_generation_never_makes_a_handle_zero(void **state)
{
    struct bench *b = *state;

    bench_up(b, &(struct bench_options){.limits = {.requests = 1}});
    bench_queue(b, 0)->reqs[0].generation = UINT32_MAX;
    anyhv_req_done(bench_held(b, 8, 0));
    bench_run(b);
    bench_held(b, 8, 0);
    assert_true(b->handle[1] >> 32 != 0);
    assert_non_null(bench_req(b, 1));
}

static void held_requests_are_listed_oldest_first(void **state)
{
    struct bench *b = *state;
    static const unsigned order[] = {2, 0, 4, 1, 3}; /* middle, head, tail, and the rest */

    bench_up(b, NULL);
    for (unsigned i = 0; i < 5; i++)
        bench_held(b, 8, 0);
    for (unsigned i = 0; i < 5; i++) {
        unsigned oldest = 0;

        while (!bench_req(b, oldest))
            oldest++;
        assert_ptr_equal(anyhv_queue_held(b->dev, 0), bench_req(b, oldest));
        anyhv_req_done(bench_req(b, order[i]));
    }
    assert_null(anyhv_queue_held(b->dev, 0));
    bench_run(b);
    for (unsigned i = 0; i < 5; i++) { /* answered in the order of answering */
        struct drv_used used;

        assert_true(drv_ring_get(&b->ring[0], &used));
        assert_int_equal(used.id, order[i]);
    }
}

/* ---- done, reject ---- */

static void a_request_ends_once(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint64_t token;

    bench_up(b, NULL);
    req = bench_held(b, 8, 8);
    token = b->ring[0].slots[0].token;
    assert_int_equal(anyhv_req_write(req, "abc", 3), ANYHV_OK);
    anyhv_req_done(req);
    anyhv_req_done(req);
    anyhv_req_reject(req, 1);
    anyhv_req_hold(req);
    assert_int_equal(anyhv_req_write(req, "abc", 3), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_read(req, &(uint8_t){0}, 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_peek(req, &(uint8_t){0}, 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_skip(req, 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_write_at(req, 0, "a", 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 1, &(struct anyhv_map){0}), ANYHV_E_LOST);
    bench_run(b);
    bench_expect(b, 0, token, 3);
    bench_expect_none(b, 0);
    assert_int_equal(bench_counters(b, 0)->done, 1);
    assert_int_equal(bench_counters(b, 0)->rejected, 0);
    assert_int_equal(bench_counters(b, 0)->held, 1);
    anyhv_req_done(req); /* also when it is published */
    bench_run(b);
    bench_expect_none(b, 0);
    assert_int_equal(bench_inflight(b, 0), 0);
}

static void reject_answers_zero_and_says_why(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint64_t token;

    bench_up(b, NULL);
    bench_held(b, 8, 8);
    req = bench_held(b, 8, 8);
    token = b->ring[0].slots[2].token;
    assert_int_equal(anyhv_req_write(req, "abc", 3), ANYHV_OK);
    anyhv_req_reject(req, 42);
    anyhv_req_reject(req, 42);
    anyhv_req_done(req);
    assert_int_equal(bench_violation.v, ANYHV_V_DEVICE_REJECT);
    assert_int_equal(bench_violation.queue, 0);
    assert_int_equal(bench_violation.a, 2); /* the head */
    assert_int_equal(bench_violation.b, 42);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 1);
    bench_run(b);
    bench_expect(b, 0, token, 0);
    assert_int_equal(bench_counters(b, 0)->rejected, 1);
    assert_int_equal(bench_counters(b, 0)->done, 0);
    assert_int_equal(bench_counters(b, 0)->bytes_out, 0);
    assert_false(anyhv_ctl_queue_broken(b->dev, 0));
}

/* A result code of our own shortcomings is not held against the guest. */
static void only_the_guests_fault_is_counted_as_a_violation(void **state)
{
    static const struct {
        int why;
        bool guest;
    } reasons[] = {
        {ANYHV_E_BADADDR, true},
        {ANYHV_E_PERM, true},
        {ANYHV_E_SHORT, true},
        {ANYHV_E_INVAL, true},
        {0, true},
        {1234567, true},
        {ANYHV_E_NORES, false},
        {ANYHV_E_LOST, false},
        {ANYHV_E_STATE, false},
        {ANYHV_E_IO, false},
    };
    struct bench *b = *state;

    bench_up(b, NULL);
    for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct anyhv_req *req = bench_held(b, 8, 8);

        bench_violation.count = 0;
        anyhv_req_reject(req, reasons[i].why);
        assert_int_equal(bench_violation.count, reasons[i].guest);
        if (reasons[i].guest)
            assert_int_equal((int64_t)bench_violation.b, reasons[i].why);
        bench_run(b);
        assert_int_equal(bench_counters(b, 0)->rejected, i + 1);
        assert_true(drv_ring_get(&b->ring[0], &(struct drv_used){0}));
    }
}

static void a_reset_takes_requests_away_for_good(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *held, *done;

    bench_up(b, NULL);
    held = bench_held(b, 8, 8);
    done = bench_held(b, 8, 8);
    anyhv_req_done(done); /* not yet published */
    anyhv_ctl_set_status(b->dev, 0);
    assert_null(bench_req(b, 0));
    assert_null(anyhv_queue_held(b->dev, 0));
    assert_int_equal(bench_counters(b, 0)->dropped, 2);
    assert_int_equal(anyhv_req_read(held, &(uint8_t){0}, 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_write(held, "a", 1), ANYHV_E_LOST);
    assert_int_equal(anyhv_req_write_at(held, 0, "a", 1), ANYHV_E_LOST);
    anyhv_req_done(held);
    anyhv_req_reject(held, 1);
    anyhv_req_hold(held);
    assert_int_equal(bench_counters(b, 0)->done, 1);
    assert_int_equal(b->dev->violations[ANYHV_V_DEVICE_REJECT], 0);
    bench_run(b);
    assert_int_equal(drv_split_used_idx(&b->ring[0]), 0);

    /* The next driver's requests are not touched by the old names. */
    bench_negotiate(b);
    drv_ring_reset(&b->ring[0]);
    assert_int_equal(bench_start(b, 0, ANYHV_BASE_SPLIT), ANYHV_OK);
    bench_driver_ok(b);
    bench_held(b, 8, 8);
    bench_held(b, 8, 8);
    for (unsigned i = 0; i < 2; i++) {
        assert_null(bench_req(b, i));
        assert_non_null(bench_req(b, 2 + i));
    }
    assert_int_equal(bench_inflight(b, 0), 2);
}

static void forget(struct bench *b, struct anyhv_req *req)
{
    (void)b;
    (void)req;
}

static struct bench *panicking;

static void run_panicking(void)
{
    bench_kick(panicking, 0);
}

static void a_device_that_forgets_a_request_is_stopped(void **state)
{
    panicking = *state;
    panicking->on_request = forget;
    bench_up(panicking, NULL);
    bench_put(panicking, 0, 8, 8);
    expect_assert_failure(run_panicking());
}

/* ---- pinned pieces ---- */

static void pins_are_pieces_of_the_chain(void **state)
{
    struct bench *b = *state;
    uint64_t at;
    struct anyhv_map map;
    struct anyhv_req *req;
    uint8_t byte;

    bench_up(b, NULL);
    at = bench_alloc(b, 64);
    drv_poke8(&b->mem, at + 20, 0x42);
    struct drv_buf out[] = {{at, 10}, {at + 20, 20}}, in[] = {{at + 40, 10}, {at + 50, 10}};
    bench_offer(b, 0, out, 2, in, 2);
    bench_kick(b, 0);
    req = bench_req(b, 0);
    assert_int_equal(anyhv_req_skip(req, 4), ANYHV_OK);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 0, &map), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 100, &map), ANYHV_OK);
    assert_ptr_equal(map.ptr, drv_ptr(&b->mem, at + 4, 6));
    assert_int_equal(map.len, 6);
    assert_int_equal(map.addr, at + 4);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 1, &map), ANYHV_OK);
    assert_int_equal(map.len, 1);
    assert_int_equal(map.ptr[0], 0x42);
    assert_int_equal(anyhv_req_readable(req), 19);
    assert_int_equal(anyhv_req_written(req), 0);
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 100, &map), ANYHV_OK);
    assert_int_equal(map.len, 10);
    memset(map.ptr, 0x55, map.len);
    assert_int_equal(anyhv_req_written(req), 10); /* all of it counts */
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 4, &map), ANYHV_OK);
    memset(map.ptr, 0x66, map.len);
    /* That was the last one for this request; copying goes on where the pieces ended. */
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 4, &map), ANYHV_E_NORES);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 4, &map), ANYHV_E_NORES);
    assert_int_equal(b->lb.mem.pins, ANYHV_REQ_PINS);
    byte = 0x77;
    assert_int_equal(anyhv_req_write(req, &byte, 1), ANYHV_OK);
    assert_int_equal(anyhv_req_skip(req, 19), ANYHV_OK);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 1, &map), ANYHV_E_SHORT);
    anyhv_req_done(req);
    assert_int_equal(b->lb.mem.pins, 0);
    bench_run(b);
    bench_expect(b, 0, at, 15);
    assert_int_equal(drv_peek8(&b->mem, at + 49), 0x55);
    assert_int_equal(drv_peek8(&b->mem, at + 53), 0x66);
    assert_int_equal(drv_peek8(&b->mem, at + 54), 0x77);
    assert_int_equal(drv_peek8(&b->mem, at + 55), 0);
}

/* The loopback's ops, and a note of what the driver can see when a piece of a buffer ends. */
static struct anyhv_mem_ops watched;
static const struct anyhv_mem_ops *unwatched;
static struct bench *watching;

static void note_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    if (!(map->perm & ANYHV_RING)) {
        struct drv_ring *ring = &watching->ring[0];

        bench_note(watching, "unmap:%s", drv_ring_pending(ring) ? "late" : "early");
    }
    unwatched->unmap(mem, map);
}

static void note_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    if (addr >= watching->ring[1].device + 1024) /* behind the rings: a buffer */
        bench_note(watching, "dirty:%u", (unsigned)len);
    unwatched->dirty(mem, addr, len);
}

static void watch_memory(struct bench *b)
{
    watching = b;
    unwatched = b->lb.mem.ops;
    watched = *unwatched;
    watched.unmap = note_unmap;
    watched.dirty = note_dirty;
    b->lb.mem.ops = &watched;
    anyhv_mem_track(&b->lb.mem, true);
    drv_alloc(&b->mem, 4096, 4096);
}

static void pieces_end(struct bench *b, uint64_t features)
{
    struct anyhv_map map;
    struct anyhv_req *req;

    bench_up(b, &(struct bench_options){
                    .features = features, .bounce = true, .map_only = true, .map_max = 100});
    watch_memory(b);
    req = bench_held(b, 50, 300);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 50, &map), ANYHV_OK);
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 300, &map), ANYHV_OK);
    assert_int_equal(map.len, 100); /* as short as it came */
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 300, &map), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), 200);
    bench_expect_trace(b, "");
    anyhv_req_done(req);
    bench_run(b);
    bench_expect_trace(b, "dirty:100 unmap:early dirty:100 unmap:early unmap:early notify:0 ");
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 6); /* the areas of two rings */

    /* Rejected, it is the same. */
    req = bench_held(b, 50, 0);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 50, &map), ANYHV_OK);
    drv_ring_get(&b->ring[0], &(struct drv_used){0});
    anyhv_req_reject(req, 1);
    bench_expect_trace(b, "unmap:early ");
    bench_run(b);
    bench_expect_trace(b, "notify:0 ");
}

static void pieces_end_before_the_used_entry_is_seen_split(void **state)
{
    pieces_end(*state, 0);
}

static void pieces_end_before_the_used_entry_is_seen_packed(void **state)
{
    pieces_end(*state, DRV_F_PACKED);
}

static struct anyhv_req *with_two_pins(struct bench *b)
{
    struct anyhv_map map;
    struct anyhv_req *req;

    bench_up(b, &(struct bench_options){.bounce = true, .map_only = true});
    req = bench_held(b, 50, 50);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 50, &map), ANYHV_OK);
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 50, &map), ANYHV_OK);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 8);
    return req;
}

static void a_reset_ends_pieces_at_once(void **state)
{
    struct bench *b = *state;

    with_two_pins(b);
    anyhv_ctl_set_status(b->dev, 0);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    assert_int_equal(b->lb.mem.pins, 0);
}

static void a_lost_peer_ends_pieces_at_once(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req = with_two_pins(b);

    anyhv_loopback_lose_peer(&b->lb);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    assert_int_equal(b->lb.mem.pins, 0);
    assert_null(bench_req(b, 0));
    assert_int_equal(anyhv_req_read(req, &(uint8_t){0}, 1), ANYHV_E_LOST);
}

static void a_detach_ends_pieces_at_once(void **state)
{
    struct bench *b = *state;

    with_two_pins(b);
    bench_detach(b);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    assert_int_equal(b->lb.mem.pins, 0);
}

static void a_request_that_goes_back_has_no_pieces_left(void **state)
{
    struct bench *b = *state;

    b->on_cancel = bench_return;
    with_two_pins(b);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    assert_int_equal(bench_counters(b, 0)->returned, 1);
    assert_int_equal(b->lb.mem.pins, 0);
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 6);
}

static void a_pin_that_fails_takes_no_place(void **state)
{
    struct bench *b = *state;
    struct anyhv_map map;
    struct anyhv_req *req;

    bench_up(b, &(struct bench_options){.bounce = true, .map_only = true, .map_max = 10});
    req = bench_held(b, 50, 0);
    b->lb.faults = (struct anyhv_loopback_faults){.result = ANYHV_E_NORES, .count = 3};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(anyhv_req_pin(req, ANYHV_R, 50, &map), ANYHV_E_NORES);
    assert_int_equal(b->lb.mem.pins, 0);
    for (unsigned i = 0; i < ANYHV_REQ_PINS; i++) {
        assert_int_equal(anyhv_req_pin(req, ANYHV_R, 50, &map), ANYHV_OK);
        assert_ptr_equal(map.ptr, drv_ptr(&b->mem, b->ring[0].slots[0].token + i * 10, 10));
    }
}

static void a_pin_stops_at_a_region_border(void **state)
{
    struct bench *b = *state;
    uint64_t border = BENCH_BASE + 20 * (BENCH_RAM / 64);
    struct drv_buf out = {border - 10, 30};
    struct anyhv_map map;

    bench_up(b, &(struct bench_options){.regions = 64});
    bench_offer(b, 0, &out, 1, NULL, 0);
    bench_kick(b, 0);
    assert_int_equal(anyhv_req_pin(bench_req(b, 0), ANYHV_R, 30, &map), ANYHV_OK);
    assert_int_equal(map.len, 10);
    assert_int_equal(anyhv_req_pin(bench_req(b, 0), ANYHV_R, 30, &map), ANYHV_OK);
    assert_int_equal(map.len, 20);
    assert_int_equal(map.addr, border);
}

/* ---- a predecessor's requests ---- */

static void go_on_from(struct bench *b, void *journal)
{
    bench_negotiate(b);
    assert_int_equal(anyhv_ctl_queue_journal(b->dev, 0, journal, journal ? 4096 : 0), ANYHV_OK);
    assert_int_equal(bench_start(b, 0, b->ring[0].packed ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT),
                     ANYHV_OK);
    bench_driver_ok(b);
}

/* Only what a predecessor had taken, and only as long as it is about that. */
static void a_request_that_comes_again_says_so(void **state)
{
    static const uint64_t rings[] = {0, DRV_F_PACKED};
    static _Alignas(uint64_t) uint8_t journal[4096];
    struct bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        memset(journal, 0, sizeof(journal));
        bench_detach(b);
        free(b->storage);
        free(b->state);
        free(b->ram);
        b->ram = NULL;
        b->handles = 0;
        bench_attach(b, &(struct bench_options){.features = rings[i], .limits = {.requests = 2}});
        bench_ring(b, 0);
        go_on_from(b, journal);
        assert_false(anyhv_req_replayed(bench_held(b, 8, 8)));
        bench_put(b, 0, 8, 8); /* which the first process never sees */
        assert_int_equal(bench_reattach(b, false), ANYHV_OK);
        b->handles = 0;
        go_on_from(b, journal);
        assert_int_equal(b->handles, 2);
        assert_true(anyhv_req_replayed(bench_req(b, 0)));
        assert_false(anyhv_req_replayed(bench_req(b, 1)));
        anyhv_req_done(bench_req(b, 0));
        bench_run(b);
        assert_false(anyhv_req_replayed(bench_held(b, 8, 8))); /* in the slot of the first */
        /* Both come again. Without a journal nothing does, although the slots are the same. */
        assert_int_equal(bench_reattach(b, false), ANYHV_OK);
        b->handles = 0;
        go_on_from(b, journal);
        assert_true(anyhv_req_replayed(bench_req(b, 0)) && anyhv_req_replayed(bench_req(b, 1)));
        b->handles = 0;
        anyhv_ctl_set_status(b->dev, 0);
        drv_ring_reset(&b->ring[0]);
        anyhv_mem_track(&b->lb.mem, false); /* or every request gets a second look anyway */
        go_on_from(b, NULL);
        assert_false(anyhv_req_replayed(bench_held(b, 8, 8)));
    }
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_handle_finds_its_request_until_it_ends),
    BENCH_TEST(a_made_up_handle_finds_nothing),
    BENCH_TEST(the_generation_never_makes_a_handle_zero),
    BENCH_TEST(held_requests_are_listed_oldest_first),
    BENCH_TEST(a_request_ends_once),
    BENCH_TEST(reject_answers_zero_and_says_why),
    BENCH_TEST(only_the_guests_fault_is_counted_as_a_violation),
    BENCH_TEST(a_reset_takes_requests_away_for_good),
    BENCH_TEST(a_device_that_forgets_a_request_is_stopped),
    BENCH_TEST(pins_are_pieces_of_the_chain),
    BENCH_TEST(pieces_end_before_the_used_entry_is_seen_split),
    BENCH_TEST(pieces_end_before_the_used_entry_is_seen_packed),
    BENCH_TEST(a_reset_ends_pieces_at_once),
    BENCH_TEST(a_lost_peer_ends_pieces_at_once),
    BENCH_TEST(a_detach_ends_pieces_at_once),
    BENCH_TEST(a_request_that_goes_back_has_no_pieces_left),
    BENCH_TEST(a_pin_that_fails_takes_no_place),
    BENCH_TEST(a_pin_stops_at_a_region_border),
    BENCH_TEST(a_request_that_comes_again_says_so),
};

ANYHV_TEST_MAIN("request_end", tests)

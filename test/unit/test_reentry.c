/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls from inside callbacks. One life of a device is played, in which every callback there is
 * comes up (device, port and memory ops), again and again; each time another one of them does
 * something drastic. Memory ops may only mark. Nobody may crash, hang, leak a slot, a map or a pin,
 * and after a reset the device is as good as new.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    KINDS = 5
};

/* ---- what is done in the middle of something ---- */

static unsigned events, chosen;
static bool drastic;
static bool marks_only; /* what a memory op may do as well */
static void (*action)(struct bench *b);

static void do_reset(struct bench *b)
{
    anyhv_ctl_set_status(b->dev, 0);
}

static void bring_up(struct bench *b)
{
    bench_negotiate(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        drv_ring_reset(&b->ring[i]);
        bench_start(b, i, b->options.features & DRV_F_PACKED ? ANYHV_BASE_PACKED : 0);
    }
    anyhv_ctl_set_status(b->dev, 15);
}

static void do_stop(struct bench *b)
{
    for (unsigned i = 0; i < BENCH_QUEUES; i++)
        anyhv_ctl_queue_stop(b->dev, i, false, NULL);
}

static void do_drain(struct bench *b)
{
    uint32_t base;

    for (unsigned i = 0; i < BENCH_QUEUES; i++)
        anyhv_ctl_queue_stop(b->dev, i, true, &base);
}

static void do_restart(struct bench *b)
{
    uint32_t base;

    if (anyhv_ctl_queue_stop(b->dev, 0, true, &base) == ANYHV_OK)
        bench_start(b, 0, base);
}

static void do_quiesce(struct bench *b)
{
    anyhv_ctl_quiesce(b->dev);
}

static void do_quiesce_and_resume(struct bench *b)
{
    anyhv_ctl_quiesce(b->dev);
    anyhv_ctl_resume(b->dev);
}

static void do_lose(struct bench *b)
{
    anyhv_ctl_lost(b->dev);
}

static void do_need_reset(struct bench *b)
{
    anyhv_dev_needs_reset(b->dev);
}

static void do_pause(struct bench *b)
{
    anyhv_ctl_queue_pause(b->dev, 0, true);
}

static void do_config(struct bench *b)
{
    anyhv_config_set(b->dev, 0, "x", 1);
    anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "x", 1);
}

static void do_kick_and_room(struct bench *b)
{
    anyhv_ctl_kick(b->dev, 0);
    anyhv_mem_room(&b->lb.mem);
}

static void do_finish(struct bench *b)
{
    for (unsigned i = 0; i < b->handles; i++) {
        struct anyhv_req *req = bench_req(b, i);

        if (req && i % 2)
            anyhv_req_reject(req, 7);
        else if (req)
            anyhv_req_done(req);
    }
}

static void do_move_memory(struct bench *b)
{
    struct anyhv_region region = {UINT64_C(0x10000000), 4096, b->ram, ANYHV_R | ANYHV_W};

    if (anyhv_mem_add(&b->lb.mem, &region) == ANYHV_OK)
        anyhv_mem_del(&b->lb.mem, region.addr, region.size);
    region = (struct anyhv_region){BENCH_BASE, BENCH_RAM, b->ram, ANYHV_R | ANYHV_W};
    if (anyhv_mem_del(&b->lb.mem, region.addr, region.size) == ANYHV_OK)
        anyhv_mem_add(&b->lb.mem, &region);
}

static void do_migrate(struct bench *b)
{
    uint8_t bytes[512];
    size_t len;

    anyhv_ctl_quiesce(b->dev);
    if (anyhv_dev_save(b->dev, bytes, sizeof(bytes), &len) != ANYHV_OK)
        return;
    anyhv_ctl_set_status(b->dev, 0);
    anyhv_dev_load(b->dev, bytes, len, true);
    anyhv_ctl_resume(b->dev);
}

static void event(struct bench *b)
{
    b->trace[0] = '\0';
    if (drastic || events++ != chosen)
        return;
    drastic = true; /* what it brings about is left in peace */
    action(b);
    drastic = false;
}

/* ---- memory ops that are events ---- */

static struct anyhv_mem_ops watched;
static const struct anyhv_mem_ops *real_ops;

static void memory_event(struct anyhv_mem *mem)
{
    struct anyhv_loopback *lb = mem->priv;

    if (marks_only)
        bench_note((struct bench *)anyhv_dev_priv(&lb->mmio.dev), "memory");
}

static int watch_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                     struct anyhv_map *out)
{
    memory_event(mem);
    return real_ops->map(mem, addr, len, perm, out);
}

static void watch_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    real_ops->unmap(mem, map);
    memory_event(mem);
}

static void watch_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    real_ops->dirty(mem, addr, len);
    memory_event(mem);
}

static void watch_memory(struct bench *b)
{
    real_ops = b->lb.mem.ops;
    watched = *real_ops;
    watched.map = real_ops->map ? watch_map : NULL;
    watched.unmap = real_ops->unmap ? watch_unmap : NULL;
    watched.dirty = watch_dirty;
    b->lb.mem.ops = &watched;
    anyhv_mem_track(&b->lb.mem, true);
}

/* ---- a device that does all a device can do ---- */

static void serve(struct bench *b, struct anyhv_req *req)
{
    struct anyhv_map map;
    uint8_t bytes[16] = {0};
    uint32_t kind;

    bench_note(b, "request");
    if (anyhv_req_peek(req, bytes, 1))
        bytes[0] = 0;
    kind = bytes[0] % KINDS;
    anyhv_req_read(req, bytes, 8);
    if (kind == 1)
        anyhv_req_pin(req, ANYHV_W, 8, &map);
    else
        anyhv_req_write(req, bytes, 8);
    anyhv_req_write_at(req, 15, bytes, 1);
    if (kind < 3 && b->handles < BENCH_MAX_SIZE) {
        uint64_t handle = anyhv_req_hold(req);

        if (anyhv_req_get(b->dev, handle))
            b->handle[b->handles++] = handle;
    } else if (kind == 3) {
        anyhv_req_reject(req, 9);
    } else {
        anyhv_req_done(req);
    }
    anyhv_req_done(anyhv_queue_held(b->dev, 1) ? anyhv_queue_held(b->dev, 1) : req);
}

static bool cancel(struct bench *b, struct anyhv_req *req, bool returnable)
{
    bench_note(b, "cancel");
    if (req->slot % 3 == 0)
        anyhv_req_done(req);
    return returnable;
}

static void pull(struct bench *b, unsigned queue)
{
    struct anyhv_req *req;

    bench_note(b, "buffers");
    while ((req = anyhv_queue_pull(b->dev, queue))) {
        anyhv_req_write(req, "event", 5);
        anyhv_req_done(req);
    }
}

static void retry(struct bench *b, unsigned queue)
{
    struct anyhv_req *req = anyhv_queue_held(b->dev, queue);

    if (req)
        anyhv_req_done(req);
}

/* ---- a life ---- */

static void put(struct bench *b, unsigned queue, uint32_t out, uint32_t in, uint8_t kind)
{
    struct drv_buf buf[2] = {{bench_alloc(b, 16), out}, {bench_alloc(b, 16), in}};
    struct drv_chain chain = {
        .out = buf, .nout = out != 0, .in = buf + 1, .nin = in != 0, .direct = DRV_DIRECT};

    drv_poke8(&b->mem, buf[0].addr, kind);
    if (drv_ring_add(&b->ring[queue], &chain) >= 0)
        drv_ring_publish(&b->ring[queue]);
    anyhv_ctl_kick(b->dev, queue);
}

static void run(struct bench *b)
{
    for (unsigned i = 0; i < 20 && b->lb.work; i++)
        b->lb.work = anyhv_dev_run(b->dev, 4);
    for (unsigned i = 0; i < BENCH_QUEUES; i++)
        while (drv_ring_get(&b->ring[i], &(struct drv_used){0}))
            continue;
}

static void live(struct bench *b)
{
    bring_up(b);
    for (uint8_t i = 0; i < 10; i++) {
        put(b, 0, 8, 16, i);
        put(b, 1, 0, 16, i);
        if (i % 3 == 2)
            run(b);
    }
    anyhv_config_set(b->dev, 1, "y", 1);
    anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "y", 1);
    anyhv_mem_room(&b->lb.mem);
    run(b);
    do_restart(b);
    put(b, 0, 8, 16, 0);
    run(b);
    do_quiesce(b);
    put(b, 0, 8, 16, 4);
    run(b);
    do_finish(b);
    run(b);
    anyhv_ctl_resume(b->dev);
    run(b);
    if (b->options.features & DRV_F_PACKED) /* ends in the middle of a chain */
        drv_packed_desc(&b->mem, b->ring[0].desc, b->ring[0].next_avail, b->ring[0].desc, 1, 0,
                        (uint16_t)(drv_packed_avail_bits(b->ring[0].avail_wrap) | DRV_DESC_NEXT));
    else
        drv_split_set_idx(&b->ring[0], 1000);
    anyhv_ctl_kick(b->dev, 0);
    put(b, 1, 0, 16, 0);
    run(b);
    do_drain(b);
    run(b);
}

/* All slots and chunks are free, nothing is mapped or pinned. */
static void expect_nothing_left(struct bench *b)
{
    anyhv_ctl_resume(b->dev);
    for (unsigned i = 0; i < BENCH_QUEUES; i++)
        anyhv_ctl_queue_pause(b->dev, i, false);
    anyhv_ctl_set_status(b->dev, 0);
    run(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        struct anyhv_queue *q = bench_queue(b, i);
        unsigned slots = 0;

        for (const struct anyhv_req *r = q->free; r && slots <= q->nreqs; r = r->next)
            slots++;
        assert_int_equal(slots, q->nreqs);
        assert_int_equal(q->free_chunks, q->nchunks);
        assert_int_equal(bench_inflight(b, i), 0);
        assert_int_equal(q->ndone, 0);
        assert_null(q->held.head);
    }
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps);
    assert_int_equal(b->lb.mem.pins, 0);
    assert_int_equal(anyhv_ctl_status(b->dev), 0);
}

static void expect_good_as_new(struct bench *b)
{
    b->handles = 0;
    bring_up(b);
    for (unsigned i = 0; i < 3; i++) {
        put(b, 0, 8, 16, 4);
        run(b);
    }
    assert_int_equal(b->ring[0].inflight, 0);
    assert_int_equal(b->ring[0].fault, DRV_FAULT_NONE);
    anyhv_ctl_set_status(b->dev, 0);
}

static void every_moment(struct bench *b, void (*what)(struct bench *b), bool marks)
{
    static const struct bench_options options[] = {
        {.size = 8, .limits = {.requests = 3}},
        {.size = 7, .features = DRV_F_PACKED | DRV_F_EVENT_IDX, .limits = {.requests = 3}},
        {.size = 8, .bounce = true, .map_only = true, .map_max = 6, .limits = {.requests = 3}},
    };
    unsigned last;

    b->ops.pull_queues = 2;
    b->on_request = serve;
    b->on_cancel = cancel;
    b->on_buffers = pull;
    b->on_retry = retry;
    action = what;
    marks_only = marks;
    for (unsigned i = 0; i < 3; i++) {
        if (i == 0)
            bench_attach(b, &options[i]);
        b->options = options[i];
        b->mem.used = 0;
        memset(b->ram, 0, BENCH_RAM);
        assert_int_equal(bench_reattach(b, false), ANYHV_OK);
        watch_memory(b);
        for (unsigned queue = 0; queue < BENCH_QUEUES; queue++)
            bench_ring(b, queue);
        chosen = 0;
        do {
            uint64_t used = b->mem.used;

            b->on_note = event;
            events = 0;
            drastic = false;
            b->handles = 0;
            live(b);
            last = events;
            b->on_note = NULL;
            expect_nothing_left(b);
            expect_good_as_new(b);
            b->trace[0] = '\0';
            b->mem.used = used;
        } while (chosen++ < last && chosen < 2000);
        assert_true(last > 40); /* a life worth the name */
        assert_true(chosen < 2000);
    }
}

#define EVERY_MOMENT(what, marks)             \
    static void what##_anywhere(void **state) \
    {                                         \
        every_moment(*state, what, marks);    \
    }

static void do_reset_and_bring_up(struct bench *b)
{
    bring_up(b);
}

EVERY_MOMENT(do_reset, false)
EVERY_MOMENT(do_reset_and_bring_up, false)
EVERY_MOMENT(do_stop, false)
EVERY_MOMENT(do_drain, false)
EVERY_MOMENT(do_restart, false)
EVERY_MOMENT(do_quiesce, false)
EVERY_MOMENT(do_quiesce_and_resume, false)
EVERY_MOMENT(do_lose, false)
EVERY_MOMENT(do_need_reset, true)
EVERY_MOMENT(do_pause, true)
EVERY_MOMENT(do_config, false)
EVERY_MOMENT(do_kick_and_room, true)
EVERY_MOMENT(do_finish, false)
EVERY_MOMENT(do_move_memory, false)
EVERY_MOMENT(do_migrate, false)

static const struct CMUnitTest tests[] = {
    BENCH_TEST(do_reset_anywhere),
    BENCH_TEST(do_reset_and_bring_up_anywhere),
    BENCH_TEST(do_stop_anywhere),
    BENCH_TEST(do_drain_anywhere),
    BENCH_TEST(do_restart_anywhere),
    BENCH_TEST(do_quiesce_anywhere),
    BENCH_TEST(do_quiesce_and_resume_anywhere),
    BENCH_TEST(do_lose_anywhere),
    BENCH_TEST(do_need_reset_anywhere),
    BENCH_TEST(do_pause_anywhere),
    BENCH_TEST(do_config_anywhere),
    BENCH_TEST(do_kick_and_room_anywhere),
    BENCH_TEST(do_finish_anywhere),
    BENCH_TEST(do_move_memory_anywhere),
    BENCH_TEST(do_migrate_anywhere),
};

ANYHV_TEST_MAIN("reentry", tests)

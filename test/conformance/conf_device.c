/* SPDX-License-Identifier: Apache-2.0 */
/* What a device model can do with a request, seen from the driver: section 2.7.8 and 2.6. */
#include "conformance/suite.h"

/* Proves SPLIT-READABLE-KEPT, PACKED-READABLE-KEPT. */
static void copy(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (uint32_t n = 0; n < 700; n += 13) {
        io_do(s, {.op = TEST_ECHO, .seed = n, .payload = n, .room = n});
        io_do(s, {.op = TEST_ECHO, .seed = n, .payload = n, .room = n / 2});
        io_do(s, {.op = TEST_ECHO, .seed = n, .payload = n / 2, .room = n});
        io_do(s, {.op = TEST_FILL, .seed = n, .arg = n, .room = n});
        io_do(s, {.op = TEST_SUM, .seed = n, .payload = n, .room = 16});
        io_do(s, {.op = TEST_SKIP, .seed = n, .arg = n / 3, .payload = n, .room = n});
    }
}

/* Proves SPLIT-READABLE-KEPT, PACKED-READABLE-KEPT. */
static void pinned(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 128, .without = DRV_F_INDIRECT});
    for (uint32_t n = 0; n < 700; n += 13) {
        for (unsigned pieces = 1; pieces < 12; pieces += 2)
            io_do(s, {.op = TEST_PIN,
                      .seed = n + pieces,
                      .payload = n,
                      .room = n - n / 5,
                      .framing = IO_RANDOM,
                      .pieces = pieces});
    }
}

/*
 * 2.7.8.2: at least `len` bytes from the start were written: holes are zeroed, not left over.
 * Proves SPLIT-USED-BYTES-FIRST.
 */
static void status_last(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 128, .without = DRV_F_INDIRECT});
    for (uint32_t room = 1; room < 300; room += 7) {
        for (uint64_t seed = 0; seed < 4; seed++) {
            io_do(s, {.op = TEST_STATUS, .seed = seed, .arg = 0, .room = room});
            io_do(s, {.op = TEST_STATUS,
                      .seed = seed,
                      .arg = room / 2,
                      .room = room,
                      .framing = IO_RANDOM,
                      .pieces = 9});
            io_do(s, {.op = TEST_STATUS, .seed = seed, .arg = room - 1, .room = room});
        }
        io_recycle(s);
    }
}

/* A refused request comes back with length 0; the queue goes on. */
static void rejected(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 30; i++) {
        struct io *io = io_do(s, {.op = TEST_REJECT, .arg = (uint32_t)ANYHV_E_INVAL, .room = i});

        assert_int_equal(io->len, 0);
        io_alive(s, TEST_QUEUE_A);
    }
    if (suite_has(s, RIG_COUNTERS)) {
        assert_int_equal(suite_violations(s, ANYHV_V_DEVICE_REJECT), 30);
        assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 30);
    }
}

/* A failure of ours is answered the same way, but is not counted against the driver. */
static void rejected_for_our_sake(struct suite *s)
{
    static const int ours[] = {ANYHV_E_NORES, ANYHV_E_LOST, ANYHV_E_STATE, ANYHV_E_IO};

    suite_up(s, &(struct suite_setup){0});
    for (unsigned i = 0; i < 4; i++) {
        struct io *io = io_do(s, {.op = TEST_REJECT, .arg = (uint32_t)ours[i], .room = i});

        assert_int_equal(io->len, 0);
    }
    assert_int_equal(suite_violations(s, ANYHV_V_DEVICE_REJECT), 0);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 4);
    io_alive(s, TEST_QUEUE_A);
}

/* More room asked for than there is: the model's own check, an answer of length 0. */
static void too_little_room(struct suite *s)
{
    suite_up(s, &(struct suite_setup){0});
    assert_int_equal(io_do(s, {.op = TEST_FILL, .arg = 11, .room = 10})->len, 0);
    assert_int_equal(io_do(s, {.op = TEST_SUM, .payload = 5, .room = 15})->len, 0);
    assert_int_equal(io_do(s, {.op = TEST_STATUS, .room = 0})->len, 0);
    assert_int_equal(io_do(s, {.op = TEST_SKIP, .arg = 6, .payload = 5, .room = 9})->len, 0);
    io_alive(s, TEST_QUEUE_A);
}

static struct io *event_buffer(struct suite *s, uint32_t room)
{
    struct io io = {.queue = TEST_QUEUE_EVENT, .room = room};
    struct drv_buf buf;
    struct drv_chain chain = {.in = &buf, .nin = 1, .direct = DRV_DIRECT, .token = s->nios};
    struct io *placed = &s->ios[s->nios];

    io_layout(s, &io);
    *placed = io;
    buf = (struct drv_buf){io.in, room};
    placed->id = drv_ring_add(&s->ring[TEST_QUEUE_EVENT], &chain);
    assert_true(placed->id >= 0);
    s->nios++;
    return placed;
}

/* Buffers of an event queue wait until there is something to tell. */
static void events(struct suite *s)
{
    uint64_t number = 0;
    struct io *buffers[8];

    suite_up(s, &(struct suite_setup){.size = 16});
    for (unsigned round = 0; round < 20; round++) {
        unsigned n = 1 + round % 8;

        for (unsigned i = 0; i < 8; i++)
            buffers[i] = event_buffer(s, TEST_EVENT_BYTES + i);
        io_submit(s, TEST_QUEUE_EVENT);
        io_none(s, TEST_QUEUE_EVENT);
        io_do(s, {.op = TEST_EVENTS, .seed = round, .arg = n});
        for (unsigned i = 0; i < n; i++) {
            io_wait(s, buffers[i]);
            assert_int_equal(buffers[i]->len, TEST_EVENT_BYTES);
            assert_int_equal(io_word(s, buffers[i], 0), number++);
            assert_int_equal(io_word(s, buffers[i], 1), round);
        }
        io_none(s, TEST_QUEUE_EVENT);
        io_do(s, {.op = TEST_EVENTS, .seed = round, .arg = 8 - n});
        io_drain(s, TEST_QUEUE_EVENT);
        number += 8 - n;
    }
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_EVENTS), number);
}

/* Without buffers an event is not raised, and nothing is stuck afterwards. */
static void no_event_buffers(struct suite *s)
{
    struct io *buffer;

    suite_up(s, &(struct suite_setup){.size = 16});
    io_do(s, {.op = TEST_EVENTS, .arg = 5});
    assert_int_equal(io_info(s, TEST_QUEUE_A, TEST_INFO_EVENTS), 0);
    for (unsigned i = 0; i < 5; i++) {
        buffer = event_buffer(s, TEST_EVENT_BYTES);
        drv_ring_publish(&s->ring[TEST_QUEUE_EVENT]); /* no kick: the device looks by itself */
        io_do(s, {.op = TEST_EVENTS, .arg = 2, .seed = i});
        io_wait(s, buffer);
        assert_int_equal(io_word(s, buffer, 0), i);
    }
}

/* An event tells the driver: an interrupt for the event queue. */
static void event_interrupts(struct suite *s)
{
    suite_up(s, &(struct suite_setup){.size = 16});
    event_buffer(s, TEST_EVENT_BYTES);
    io_submit(s, TEST_QUEUE_EVENT);
    drv_ring_irq_off(&s->ring[TEST_QUEUE_A]);
    io_alive(s, TEST_QUEUE_A);
    suite_interrupted(s, TEST_QUEUE_EVENT);
    io_send(s, &(struct io){.op = TEST_EVENTS, .arg = 1});
    assert_true(suite_interrupted(s, TEST_QUEUE_EVENT));
    io_drain(s, TEST_QUEUE_EVENT);
    io_drain(s, TEST_QUEUE_A);
}

/* More requests in work than the library has slots: they wait in the ring, none is lost. */
static void more_than_slots(struct suite *s)
{
    suite_up(s, &(struct suite_setup){
                    .options.limits = {.requests = 4, .segs = 32},
                    .size = 64,
                    .without = DRV_F_INDIRECT,
                });
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 20; i++)
            io_send(
                s,
                &(struct io){
                    .queue = TEST_QUEUE_A, .op = TEST_HOLD, .seed = i, .payload = 30, .room = 30});
        io_none(s, TEST_QUEUE_A);
        while (s->ring[TEST_QUEUE_A].inflight) {
            unsigned before = s->ring[TEST_QUEUE_A].inflight;

            io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_RELEASE, .seed = round});
            suite_settle(s);
            io_collect(s, TEST_QUEUE_A);
            assert_true(s->ring[TEST_QUEUE_A].inflight < before);
        }
        io_recycle(s);
    }
    if (suite_has(s, RIG_COUNTERS)) {
        assert_true(suite_counters(s, TEST_QUEUE_A).stalls > 0);
        assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, 0);
    }
}

/* Chains that are too long for what is left of the segment pool wait as well. */
static void more_than_segments(struct suite *s)
{
    suite_up(s, &(struct suite_setup){
                    .options.limits = {.requests = 8, .segs = 64},
                    .size = 256,
                    .without = DRV_F_INDIRECT,
                });
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 6; i++)
            io_send(s, &(struct io){.queue = TEST_QUEUE_A,
                                    .op = TEST_HOLD,
                                    .seed = i,
                                    .payload = 10,
                                    .room = 10,
                                    .framing = IO_BYTES});
        io_none(s, TEST_QUEUE_A);
        while (s->ring[TEST_QUEUE_A].inflight) {
            unsigned before = s->ring[TEST_QUEUE_A].inflight;

            io_do(s, {.queue = TEST_QUEUE_B, .op = TEST_RELEASE, .seed = round});
            suite_settle(s);
            io_collect(s, TEST_QUEUE_A);
            assert_true(s->ring[TEST_QUEUE_A].inflight < before);
        }
        io_recycle(s);
    }
}

const struct suite_test conf_device_tests[] = {
    {"device.copy", copy, 0, SUITE_ANY},
    {"device.pinned", pinned, 0, SUITE_ANY},
    {"device.status_last", status_last, 0, SUITE_ANY},
    {"device.rejected", rejected, 0, SUITE_ANY},
    {"device.rejected_for_our_sake", rejected_for_our_sake, RIG_COUNTERS, SUITE_ANY},
    {"device.too_little_room", too_little_room, 0, SUITE_ANY},
    {"device.events", events, RIG_FRESH, SUITE_ANY},
    {"device.events.no_buffers", no_event_buffers, RIG_FRESH, SUITE_ANY},
    {"device.events.interrupt", event_interrupts, 0, SUITE_ANY},
    {"device.more_than_slots", more_than_slots, RIG_FRESH, SUITE_ANY},
    {"device.more_than_segments", more_than_segments, RIG_FRESH, SUITE_ANY},
    {0},
};

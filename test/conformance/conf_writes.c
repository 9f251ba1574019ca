/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every single access of the device to guest memory: nothing may be wrong even for a moment, since
 * a driver on another processor can look at any of them.
 * Sections 2.7.5, 2.7.8, 2.7.10, 2.8.14, 2.8.15.
 */
#include "conformance/watch.h"

enum {
    SIZE = 32,
    REQUESTS = 6,
};

static struct drv_ring *ring_a(struct suite *s)
{
    return &s->ring[TEST_QUEUE_A];
}

/* What was wrong first, and which answers were visible already. */
static struct {
    const char *wrong;
    uint16_t index;       /* split: the used index, at the last look */
    bool used[SIZE];      /* packed: this slot was a used descriptor, */
    uint8_t as[SIZE][16]; /* with these bytes */
} look;

static void wrong(const char *what)
{
    if (!look.wrong)
        look.wrong = what;
}

static void all_right(void)
{
    if (!look.wrong)
        return;
    print_error("%s\n", look.wrong);
    fail();
}

/* The request that @id was given to and that is still out. */
static const struct io *request(struct suite *s, uint32_t id)
{
    for (unsigned i = 0; i < s->nios; i++) {
        if (!s->ios[i].used && s->ios[i].id == (int)id)
            return &s->ios[i];
    }
    return NULL;
}

/* An answer became visible: all of it has to be there. */
static void look_at_answer(struct suite *s, uint32_t id, uint32_t len)
{
    const struct io *io = request(s, id);

    if (!io) {
        wrong("an answer without its id");
        return;
    }
    if (len != io->room)
        wrong("an answer without its length");
    for (uint32_t i = 0; i < io->room; i++) {
        uint8_t byte = drv_peek8(s->mem, io->out + TEST_HEADER + i);

        if (drv_peek8(s->mem, io->in + i) != test_transform(io->seed, i, byte))
            wrong("an answer without its bytes");
    }
}

/* ---- split ---- */

static void look_at_used_ring(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);
    uint16_t flags = drv_split_used_flags(ring);

    if (flags > (ring->event_idx ? 0 : 1))
        wrong("flags of the used ring that mean nothing");
    for (; look.index != drv_split_used_idx(ring); look.index++) {
        uint32_t id, len;

        drv_split_used_elem(ring, look.index, &id, &len);
        look_at_answer(s, id, len);
    }
}

/* Nothing of the last lap may pass for an answer. */
static void spoil_used_ring(struct suite *s)
{
    for (uint16_t i = 0; i < SIZE; i++)
        drv_poke64(s->mem, ring_a(s)->device + 4 + 8u * i, UINT64_MAX);
}

/* ---- packed ---- */

/*
 * Whether @flags are those of a used descriptor at @slot, seen from what the driver has collected.
 */
static bool is_used(const struct drv_ring *ring, uint16_t slot, uint16_t flags)
{
    bool lap = slot >= ring->last_used ? ring->used_wrap : !ring->used_wrap;

    return !!(flags & DRV_DESC_AVAIL) == lap && !!(flags & DRV_DESC_USED) == lap;
}

static void look_at_slots(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);

    for (uint16_t i = 0; i < SIZE; i++) {
        const uint8_t *slot = ring->desc_host + 16u * i;
        uint16_t id, flags;
        uint32_t len;
        uint64_t addr;

        drv_packed_read(ring, i, &addr, &len, &id, &flags);
        if (look.used[i] && memcmp(look.as[i], slot, 16) != 0)
            wrong("a used descriptor that changed");
        if (look.used[i] || !is_used(ring, i, flags))
            continue;
        look.used[i] = true;
        memcpy(look.as[i], slot, 16);
        look_at_answer(s, id, flags & DRV_DESC_WRITE ? len : 0);
    }
}

static void look_at_event_area(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);
    uint16_t off_wrap, flags;

    drv_packed_get_event(ring, &off_wrap, &flags);
    if (flags > (ring->event_idx ? DRV_EVENT_DESC : DRV_EVENT_DISABLE))
        wrong("an event area that means nothing");
    if (flags == DRV_EVENT_DESC && (off_wrap & 0x7fff) >= ring->size)
        wrong("an event outside the ring");
}

/* ---- both ---- */

static void written(struct suite *s, uint64_t addr, uint64_t len)
{
    (void)addr;
    (void)len;
    if (suite_packed(s)) {
        look_at_slots(s);
        look_at_event_area(s);
    } else {
        look_at_used_ring(s);
    }
}

static void look_from_here(struct suite *s)
{
    memset(look.used, 0, sizeof(look.used));
    look.index = ring_a(s)->last_used;
    if (!suite_packed(s))
        spoil_used_ring(s);
}

/*
 * Answers at once, later, in any order: a driver never sees half of one, at no moment.
 * Proves SPLIT-USED-LENGTH-FIRST, SPLIT-USED-BYTES-FIRST, SPLIT-FLAGS-0-OR-1, SPLIT-FLAGS-0,
 * PACKED-USED-FINAL, PACKED-DEVICE-AREA.
 */
static void never_half_an_answer(struct suite *s)
{
    static const uint64_t features[] = {0, DRV_F_EVENT_IDX};

    for (unsigned k = 0; k < 2; k++) {
        look.wrong = NULL;
        suite_up(s, &(struct suite_setup){.features = features[k],
                                          .without = DRV_F_EVENT_IDX & ~features[k],
                                          .size = SIZE});
        suite_settle(s);
        watch_memory(s, &(struct watch){.written = written});
        for (unsigned round = 0; round < 40; round++) {
            look_from_here(s);
            for (unsigned i = 0; i < REQUESTS; i++) {
                uint32_t n = 1 + suite_below(s, 40);

                io_add(s, &(struct io){.op = suite_below(s, 2) ? TEST_ECHO : TEST_HOLD,
                                       .seed = i + round,
                                       .payload = n,
                                       .room = n});
            }
            io_submit(s, TEST_QUEUE_A);
            suite_settle(s);
            test_device_release(s->rig->device, round, 0);
            suite_settle(s);
            all_right();
            assert_int_equal(io_collect(s, TEST_QUEUE_A), REQUESTS);
            io_recycle(s);
        }
        s->rig->ops->stop(s->rig);
    }
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

static void accessed(struct suite *s, uint64_t addr, uint32_t len, unsigned perm)
{
    for (unsigned i = 0; i < s->nios; i++) {
        const struct io *io = &s->ios[i];

        if ((perm & ANYHV_W) && overlap(addr, len, io->out, TEST_HEADER + io->payload))
            wrong("device-readable memory was to be written");
        if ((perm & ANYHV_R) && overlap(addr, len, io->in, io->room))
            wrong("device-writable memory was to be read");
    }
}

/*
 * 2.7.5.1, 2.8.15: each buffer is used in its direction alone.
 * Proves SPLIT-READABLE-KEPT, SPLIT-WRITABLE-UNREAD, PACKED-READABLE-KEPT, PACKED-WRITABLE-UNREAD.
 */
static void one_direction_only(struct suite *s)
{
    static const enum test_op ops[] = {TEST_ECHO, TEST_PIN,    TEST_FILL, TEST_STATUS,
                                       TEST_SUM,  TEST_REJECT, TEST_SKIP, TEST_HOLD};

    look.wrong = NULL;
    suite_up(s, &(struct suite_setup){.size = 64});
    watch_memory(s, &(struct watch){.access = accessed});
    for (unsigned i = 0; i < 400; i++) {
        uint32_t n = 16 + suite_below(s, 300);

        io_send(s, &(struct io){.op = ops[i % 8],
                                .seed = i,
                                .arg = n / 2,
                                .payload = n,
                                .room = n,
                                .framing = IO_RANDOM,
                                .pieces = 1 + i % 5});
        suite_settle(s);
        test_device_release(s->rig->device, i, 0);
        io_drain(s, TEST_QUEUE_A);
        all_right();
        io_recycle(s);
    }
}

const struct suite_test conf_writes_tests[] = {
    {"writes.never_half_an_answer", never_half_an_answer, RIG_IN_PROCESS, SUITE_ANY},
    {"writes.one_direction_only", one_direction_only, RIG_OPS, SUITE_ANY},
    {0},
};

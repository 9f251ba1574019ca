/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second vCPU that changes what the device is reading: cases 22, 23, 31. One thread flips words
 * between values that are each harmless or refused; only a device that looks twice at the same word
 * can be tricked into writing outside the one good buffer. How often the flips hit does not matter:
 * the assertions hold for every interleaving.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "hostile/hostile.h"

enum {
    ROUNDS = 2500,
    ROOM = 64,
    STRIP = 256,
    MAX_WORDS = 128,
};

struct word {
    uint64_t addr;
    uint32_t a, b;
    unsigned bytes;
};

/* The one of the running test; it may outlive the test's function when that fails. */
static struct flipper {
    const struct drv_mem *mem;
    struct word word[MAX_WORDS];
    unsigned words;
    atomic_bool stop;
    pthread_t thread;
} flipper;

static void add(uint64_t addr, unsigned bytes, uint32_t a, uint32_t b)
{
    assert_true(flipper.words < MAX_WORDS);
    flipper.word[flipper.words++] = (struct word){addr, a, b, bytes};
}

static void *flip(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load_explicit(&flipper.stop, memory_order_relaxed); i++) {
        for (unsigned k = 0; k < flipper.words; k++) {
            const struct word *word = &flipper.word[k];
            uint32_t value = (i + k) % 3 ? word->a : word->b;

            if (word->bytes == 2)
                drv_poke16(flipper.mem, word->addr, (uint16_t)value);
            else
                drv_poke32(flipper.mem, word->addr, value);
        }
    }
    return NULL;
}

static void stop(struct suite *s)
{
    atomic_store(&flipper.stop, true);
    pthread_join(flipper.thread, NULL);
    s->end = NULL;
}

static void start(struct suite *s)
{
    flipper.mem = s->mem;
    atomic_init(&flipper.stop, false);
    assert_int_equal(pthread_create(&flipper.thread, NULL, flip, NULL), 0);
    s->end = stop;
}

/* The one chain of all rounds: header, room. Addresses stay the same after every reset. */
struct target {
    uint64_t header, room;
};

static struct target lay_out(struct suite *s)
{
    struct target target = {
        .header = drv_alloc(s->mem, TEST_HEADER, 64),
        .room = drv_alloc(s->mem, ROOM, 64),
    };

    s->mem->used += STRIP; /* nobody may touch it */
    return target;
}

static void write_header(struct suite *s, const struct target *target)
{
    drv_poke32(s->mem, target->header, TEST_FILL);
    drv_poke32(s->mem, target->header + 4, ROOM);
}

/* Offers the chain again and again, and starts over when the ring broke. */
static void hammer(struct suite *s, const struct target *target)
{
    const struct raw raw[] = {{target->header, 16, N, 1}, {target->room, ROOM, W, 0}};
    uint64_t features = s->t->features;

    for (unsigned i = 0; i < ROUNDS; i++) {
        write_header(s, target);
        offer(s, raw, 2);
        kick(s);
        if (i % 100 == 0)
            io_alive(s, TEST_QUEUE_B);
        if (!anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A))
            continue;
        assert_true(hostile_status(s) & DRV_S_NEEDS_RESET);
        suite_again(s, &(struct suite_setup){.size = 16,
                                             .features = features & ~DRV_F_VERSION_1,
                                             .without = ~features});
        assert_true(lay_out(s).room == target->room);
    }
}

static void watch(struct suite *s, const struct target *target)
{
    guard_begin(s);
    guard_allow(s, s->mem->base, target->header - s->mem->base); /* the rings, before it */
    guard_allow(s, target->header, TEST_HEADER);
    guard_allow(s, target->room, ROOM);
    /* Queue B's own requests are laid out behind. */
    guard_allow(s, target->room + ROOM + STRIP, 256 << 10);
}

static struct target up(struct suite *s, uint64_t features)
{
    flipper.words = 0;
    hostile_up_with(s, features, 0);
    return lay_out(s);
}

/* ---- 22: fields of a descriptor ---- */

static void add_descriptor(uint64_t desc, const struct target *target)
{
    add(desc, 4, (uint32_t)target->room, (uint32_t)BAD_ADDR);
    add(desc + 8, 4, ROOM, 0xffffffff);
    add(desc + 8, 4, ROOM, 4096);
}

static void descriptor_fields(struct suite *s)
{
    struct target target = up(s, 0);

    for (unsigned slot = 0; slot < 16; slot++) {
        if (ring_a(s)->packed || slot == 1)
            add_descriptor(ring_a(s)->desc + 16 * slot, &target);
    }
    watch(s, &target);
    start(s);
    hammer(s, &target);
    stop(s);
    guard_check(s);
    hostile_up_again(s);
}

static void descriptor_flags(struct suite *s)
{
    struct target target = up(s, 0);
    uint64_t desc = ring_a(s)->desc;

    if (ring_a(s)->packed) {
        for (unsigned slot = 0; slot < 16; slot++)
            add(desc + 16 * slot + 14, 2, DRV_DESC_AVAIL | W, DRV_DESC_USED | N | I);
    } else {
        add(desc + 14, 2, 1, 0xffff);
        add(desc + 16 + 12, 2, W, W | N);
        add(desc + 16 + 12, 2, W, I);
        add(desc + 16 + 14, 2, 0, 17);
    }
    watch(s, &target);
    start(s);
    hammer(s, &target);
    stop(s);
    guard_check(s);
    hostile_up_again(s);
}

static void table_entries(struct suite *s)
{
    struct target target = up(s, DRV_F_INDIRECT);
    uint64_t table = drv_alloc(s->mem, 64, 16);

    put_entry(s, table, 0, (struct raw){target.header, 16, N, 1});
    put_entry(s, table, 1, (struct raw){target.room, ROOM, W, 0});
    add_descriptor(table + 16, &target);
    if (!ring_a(s)->packed) {
        add(table + 14, 2, 1, 2);
        add(table + 14, 2, 1, 0xffff);
    }
    watch(s, &target);
    start(s);
    for (unsigned i = 0; i < ROUNDS; i++) {
        write_header(s, &target);
        offer(s, &(struct raw){table, 32, I, 0}, 1);
        kick(s);
    }
    stop(s);
    guard_check(s);
    assert_false(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A)); /* refused, each alone */
    hostile_up_again(s);
}

/* ---- 23: the index, the head, the header ---- */

static void index_and_head(struct suite *s)
{
    struct target target = up(s, 0);

    for (unsigned slot = 0; slot < 16; slot++)
        add(ring_a(s)->driver + 4 + 2 * slot, 2, 0, 16 + 1000 * slot);
    add(ring_a(s)->driver + 2, 2, 1, 40);
    watch(s, &target);
    start(s);
    hammer(s, &target);
    stop(s);
    guard_check(s);
    hostile_up_again(s);
}

/* The model reads the header once: what it checked is what it does. */
static void request_header(struct suite *s)
{
    struct target target = up(s, 0);

    add(target.header, 4, TEST_FILL, TEST_STATUS);
    add(target.header + 4, 4, ROOM, 200000);
    add(target.header + 4, 4, ROOM - 1, UINT32_MAX);
    watch(s, &target);
    start(s);
    hammer(s, &target);
    stop(s);
    guard_check(s);
    hostile_up_again(s);
}

/* ---- 25: event words while the device decides ---- */

static void event_words(struct suite *s)
{
    struct target target = up(s, DRV_F_EVENT_IDX);

    if (ring_a(s)->packed) {
        add(ring_a(s)->driver, 4, 0x00028003, 0xffffffff);
    } else {
        add(ring_a(s)->driver, 2, 0, 1);
        add(ring_a(s)->driver + 4 + 2 * 16, 2, 3, 0xffff);
    }
    watch(s, &target);
    start(s);
    hammer(s, &target);
    stop(s);
    guard_check(s);
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    hostile_up_again(s);
}

/* ---- 31: the index is one word ---- */

/* A driver that only ever shows as many requests as the ring holds, one after the other. */
static void *count_up(void *arg)
{
    struct suite *s = arg;
    struct drv_ring *ring = ring_a(s);
    uint16_t idx = 0;

    while (!atomic_load_explicit(&flipper.stop, memory_order_relaxed)) {
        if ((uint16_t)(idx - drv_split_used_idx(ring)) < ring->size)
            drv_split_set_idx(ring, ++idx);
    }
    return NULL;
}

/*
 * The index runs through many multiples of 256 while the device reads it: put together from two
 * bytes it would now and then be off by 256, which is more than the ring has.
 */
static void index_in_one_piece(struct suite *s)
{
    uint64_t header;

    suite_up(s, &(struct suite_setup){.size = 64});
    header = good_header(s, TEST_ECHO, 0);
    drv_split_desc(s->mem, ring_a(s)->desc, 0, header, TEST_HEADER, 0, 0);
    atomic_init(&flipper.stop, false);
    assert_int_equal(pthread_create(&flipper.thread, NULL, count_up, s), 0);
    s->end = stop;
    for (unsigned i = 0; i < 20000 && suite_counters(s, TEST_QUEUE_A).done < 40000; i++)
        kick(s);
    stop(s);
    assert_int_equal(suite_violations(s, ANYHV_V_AVAIL_JUMP), 0);
    assert_int_equal(suite_violations(s, ANYHV_V_INFLIGHT), 0);
    assert_false(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    hostile_up_again(s);
}

const struct suite_test hostile_race_tests[] = {
    {"race.descriptor_fields.case-22", descriptor_fields, 0, SUITE_ANY},
    {"race.descriptor_flags.case-22", descriptor_flags, 0, SUITE_ANY},
    {"race.table_entries.case-22", table_entries, 0, SUITE_ANY},
    {"race.index_and_head.case-23", index_and_head, 0, SUITE_SPLIT},
    {"race.request_header.case-23", request_header, 0, SUITE_ANY},
    {"race.event_words.case-25", event_words, 0, SUITE_ANY},
    {"race.index_in_one_piece.case-31", index_in_one_piece, 0, SUITE_SPLIT},
    {0},
};

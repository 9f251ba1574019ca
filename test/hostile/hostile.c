/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile/hostile.h"

#include <stdlib.h>

enum {
    SIZE = 16,
    /* The part of memory that is watched: what is laid out at the start, and its very end. */
    WATCHED = 512 << 10,
    TAIL = 64 << 10,
    BLOCK = 1024,
    MAX_RANGES = 32,
};

void hostile_up_with(struct suite *s, uint64_t features, uint64_t without)
{
    suite_up(s, &(struct suite_setup){.size = SIZE, .features = features, .without = without});
    suite_settle(s); /* DRIVER_OK has every ring looked at */
}

void hostile_up(struct suite *s)
{
    hostile_up_with(s, 0, 0);
}

void both_alive(struct suite *s)
{
    io_alive(s, TEST_QUEUE_B);
    io_alive(s, TEST_QUEUE_A);
}

void hostile_up_again(struct suite *s)
{
    suite_again(s, &(struct suite_setup){.size = SIZE});
    both_alive(s);
}

uint8_t hostile_status(struct suite *s)
{
    return s->t->ops->status(s->t);
}

uint64_t good_header(struct suite *s, enum test_op op, uint32_t arg)
{
    uint64_t addr = drv_alloc(s->mem, TEST_HEADER, 8);

    drv_poke32(s->mem, addr, op);
    drv_poke32(s->mem, addr + 4, arg);
    return addr;
}

uint64_t good_room(struct suite *s, uint32_t len)
{
    return drv_alloc(s->mem, len, 8);
}

enum anyhv_violation bad_address(const struct suite *s)
{
    const struct rig_loopback *how = s->rig->how;

    return how->bounce ? ANYHV_V_DEVICE_REJECT : ANYHV_V_BAD_ADDRESS;
}

void put_entry(struct suite *s, uint64_t table, uint16_t index, struct raw raw)
{
    if (s->t->features & DRV_F_PACKED)
        drv_packed_desc(s->mem, table, index, raw.addr, raw.len, raw.link, raw.flags);
    else
        drv_split_desc(s->mem, table, index, raw.addr, raw.len, raw.flags, raw.link);
}

static void offer_packed(struct suite *s, const struct raw *raw, unsigned n)
{
    struct drv_ring *ring = ring_a(s);
    uint16_t first = ring->next_avail, first_flags = 0;

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = raw[i].flags | drv_packed_avail_bits(ring->avail_wrap);

        if (i == 0)
            first_flags = flags;
        drv_packed_desc(s->mem, ring->desc, ring->next_avail, raw[i].addr, raw[i].len, raw[i].link,
                        i ? flags : 0);
        if (++ring->next_avail == ring->size) {
            ring->next_avail = 0;
            ring->avail_wrap = !ring->avail_wrap;
        }
    }
    drv_poke16(s->mem, ring->desc + 16ul * first + 14, first_flags);
}

void offer(struct suite *s, const struct raw *raw, unsigned n)
{
    struct drv_ring *ring = ring_a(s);

    if (ring->packed) {
        offer_packed(s, raw, n);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        drv_split_desc(s->mem, ring->desc, (uint16_t)i, raw[i].addr, raw[i].len, raw[i].flags,
                       raw[i].link);
    drv_split_push(ring, 0);
}

void offer_linked(struct suite *s, const struct raw *raw, unsigned n)
{
    struct raw linked[64];

    assert_in_range(n, 1, 64);
    for (unsigned i = 0; i < n; i++) {
        linked[i] = raw[i];
        linked[i].flags |= i + 1 < n ? N : 0;
        linked[i].link = ring_a(s)->packed ? 0 : (uint16_t)(i + 1);
    }
    offer(s, linked, n);
}

void kick(struct suite *s)
{
    s->t->ops->kick(s->t, TEST_QUEUE_A, drv_ring_kick_data(ring_a(s), TEST_QUEUE_A));
    suite_settle(s);
}

/* ---- Guard ---- */

static struct guard {
    uint8_t copy[WATCHED + TAIL];
    struct {
        uint64_t from, to;
    } range[MAX_RANGES];
    unsigned ranges;
} guard;

static uint64_t watched_addr(const struct suite *s, uint64_t i)
{
    return s->mem->base + (i < WATCHED ? i : s->mem->size - TAIL + (i - WATCHED));
}

void guard_begin(struct suite *s)
{
    assert_true(s->mem->used < WATCHED);
    memcpy(guard.copy, s->mem->host, WATCHED);
    memcpy(guard.copy + WATCHED, s->mem->host + s->mem->size - TAIL, TAIL);
    guard.ranges = 0;
}

void guard_allow(struct suite *s, uint64_t addr, uint64_t len)
{
    (void)s;
    assert_true(guard.ranges < MAX_RANGES);
    guard.range[guard.ranges].from = addr;
    guard.range[guard.ranges++].to = addr + len;
}

void guard_allow_device_areas(struct suite *s)
{
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++)
        guard_allow(s, s->ring[queue].device, drv_device_bytes(&s->ring[queue]));
}

static bool allowed(uint64_t addr)
{
    for (unsigned i = 0; i < guard.ranges; i++) {
        if (addr >= guard.range[i].from && addr < guard.range[i].to)
            return true;
    }
    return false;
}

void guard_check(struct suite *s)
{
    for (uint64_t i = 0; i < sizeof(guard.copy); i++) {
        uint64_t addr = watched_addr(s, i);

        if (i % BLOCK == 0 &&
            !memcmp(s->mem->host + (addr - s->mem->base), guard.copy + i, BLOCK)) {
            i += BLOCK - 1;
            continue;
        }
        if (s->mem->host[addr - s->mem->base] == guard.copy[i] || allowed(addr))
            continue;
        print_error("guest memory changed at offset 0x%lx\n", (unsigned long)(addr - s->mem->base));
        fail();
    }
}

/* ---- Outcomes ---- */

/* The ring position of the answer that is to come. */
struct place {
    uint16_t slot;
    bool wrap;
};

static struct place before_kick(struct suite *s)
{
    struct drv_ring *ring = ring_a(s);

    guard_begin(s);
    guard_allow_device_areas(s);
    return (struct place){ring->last_used, ring->used_wrap};
}

/* One answer at @place; the driver's notes are brought up to it. */
static uint32_t one_answer(struct suite *s, struct place place)
{
    struct drv_ring *ring = ring_a(s);
    uint32_t id = 0, len = 0;

    if (ring->packed) {
        uint16_t id16, flags;
        uint64_t addr;

        drv_packed_read(ring, place.slot, &addr, &len, &id16, &flags);
        assert_int_equal(!!(flags & DRV_DESC_USED), place.wrap);
        assert_int_equal(!!(flags & DRV_DESC_AVAIL), place.wrap);
        len = flags & DRV_DESC_WRITE ? len : 0;
        ring->last_used = ring->next_avail;
        ring->used_wrap = ring->avail_wrap;
        return len;
    }
    assert_int_equal(drv_split_used_idx(ring), (uint16_t)(place.slot + 1));
    drv_split_used_elem(ring, place.slot, &id, &len);
    assert_int_equal(id, 0);
    ring->last_used++;
    return len;
}

/* A packed answer is 8 bytes of one slot. */
static void allow_answer(struct suite *s, struct place place)
{
    if (ring_a(s)->packed)
        guard_allow(s, ring_a(s)->desc + 16ul * place.slot + 8, 8);
}

void expect_served(struct suite *s, uint64_t room, uint32_t len)
{
    struct place place = before_kick(s);

    allow_answer(s, place);
    guard_allow(s, room, len);
    kick(s);
    assert_int_equal(one_answer(s, place), len);
    guard_check(s);
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    both_alive(s);
}

void expect_rejected(struct suite *s, enum anyhv_violation v)
{
    struct place place = before_kick(s);
    uint32_t before = suite_violations(s, v);
    struct anyhv_queue_counters counters = suite_counters(s, TEST_QUEUE_A);

    assert_int_equal(anyhv_violations[v].outcome, ANYHV_REJECT);
    allow_answer(s, place);
    kick(s);
    assert_int_equal(one_answer(s, place), 0);
    assert_int_equal(suite_violations(s, v), before + 1);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).rejected, counters.rejected + 1);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).requests, counters.requests + 1);
    kick(s); /* consumed once: it is not looked at again */
    assert_int_equal(suite_violations(s, v), before + 1);
    guard_check(s);
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    assert_false(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    both_alive(s);
}

void expect_broken(struct suite *s, enum anyhv_violation v)
{
    uint32_t before = suite_violations(s, v);
    uint64_t features = s->t->features;

    assert_int_equal(anyhv_violations[v].outcome, ANYHV_BREAK);
    before_kick(s);
    kick(s);
    assert_int_equal(suite_violations(s, v), before + 1);
    assert_true(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    assert_true(hostile_status(s) & DRV_S_NEEDS_RESET);
    assert_true(suite_interrupted(s, ANYHV_CONFIG));
    for (unsigned i = 0; i < 5; i++)
        kick(s); /* and stays so, at no cost */
    assert_int_equal(suite_violations(s, v), before + 1);
    guard_check(s);
    io_alive(s, TEST_QUEUE_B);
    suite_again(s, &(struct suite_setup){.size = SIZE,
                                         .features = features & ~DRV_F_VERSION_1,
                                         .without = ~features});
    assert_false(anyhv_ctl_queue_broken(s->rig->dev, TEST_QUEUE_A));
    both_alive(s);
    assert_false(suite_interrupted(s, ANYHV_CONFIG));
}

void expect_nothing(struct suite *s)
{
    struct anyhv_queue_counters before = suite_counters(s, TEST_QUEUE_A);

    before_kick(s);
    kick(s);
    assert_int_equal(suite_counters(s, TEST_QUEUE_A).requests, before.requests);
    guard_check(s);
    assert_false(hostile_status(s) & DRV_S_NEEDS_RESET);
    io_alive(s, TEST_QUEUE_B);
}

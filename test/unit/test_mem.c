/* SPDX-License-Identifier: Apache-2.0 */
/* The region table: what may stand in it, and what is found through it. */
#include "testing.h"

#include <anyhv/mem.h>
#include <stdlib.h>
#include <string.h>

#define RW (ANYHV_R | ANYHV_W)

enum {
    CAPACITY = 64,
    ARENA = 64 * 1024
};

struct table {
    struct anyhv_mem mem;
    struct anyhv_region regions[CAPACITY];
    uint8_t arena[ARENA]; /* byte i is i * 7 */
};

static int setup(void **state)
{
    struct table *t = malloc(sizeof(*t));

    memset(t, 0xee, sizeof(*t));
    for (unsigned i = 0; i < ARENA; i++)
        t->arena[i] = (uint8_t)(i * 7);
    anyhv_mem_init(&t->mem, t->regions, CAPACITY, NULL, NULL);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static int add_as(struct table *t, uint64_t addr, uint64_t size, uint8_t *host, uint32_t perm)
{
    struct anyhv_region region = {addr, size, host, perm};

    return anyhv_mem_add(&t->mem, &region);
}

static int add(struct table *t, uint64_t addr, uint64_t size, unsigned at)
{
    return add_as(t, addr, size, t->arena + at, RW);
}

static void an_empty_table_holds_nothing(void **state)
{
    struct table *t = *state;
    struct anyhv_map map;
    uint8_t byte;

    for (uint64_t addr = 0; addr < 3; addr++) {
        assert_null(anyhv_mem_host(&t->mem, addr, 1, ANYHV_R));
        assert_int_equal(anyhv_mem_check(&t->mem, addr, 1, ANYHV_R), ANYHV_E_BADADDR);
        assert_int_equal(anyhv_mem_read(&t->mem, addr, &byte, 1), ANYHV_E_BADADDR);
        assert_int_equal(anyhv_mem_write(&t->mem, addr, &byte, 1), ANYHV_E_BADADDR);
        assert_int_equal(anyhv_mem_map(&t->mem, addr, 1, ANYHV_R, &map), ANYHV_E_BADADDR);
    }
    assert_int_equal(anyhv_mem_del(&t->mem, 0, 1), ANYHV_E_INVAL);
    anyhv_mem_init(&t->mem, NULL, 0, NULL, NULL);
    assert_int_equal(add(t, 0, 1, 0), ANYHV_E_NORES);
    assert_int_equal(anyhv_mem_replace(&t->mem, NULL, 0), ANYHV_OK);
}

static void senseless_regions_are_refused(void **state)
{
    struct table *t = *state;

    assert_int_equal(add(t, 0x1000, 0, 0), ANYHV_E_INVAL);
    assert_int_equal(add_as(t, 0x1000, 0x1000, NULL, RW), ANYHV_E_INVAL);
    assert_int_equal(add(t, UINT64_MAX, 2, 0), ANYHV_E_INVAL);
    assert_int_equal(add(t, 2, UINT64_MAX, 0), ANYHV_E_INVAL);
    assert_int_equal(t->mem.count, 0);
}

static void the_last_byte_of_the_address_space_can_be_memory(void **state)
{
    struct table *t = *state;
    uint8_t bytes[2] = {0};

    assert_int_equal(add(t, UINT64_MAX - 15, 16, 0), ANYHV_OK);
    assert_ptr_equal(anyhv_mem_host(&t->mem, UINT64_MAX, 1, RW), t->arena + 15);
    assert_null(anyhv_mem_host(&t->mem, UINT64_MAX, 2, RW));
    assert_int_equal(anyhv_mem_check(&t->mem, UINT64_MAX - 15, 16, RW), ANYHV_OK);
    assert_int_equal(anyhv_mem_read(&t->mem, UINT64_MAX, bytes, 1), ANYHV_OK);
    assert_int_equal(bytes[0], 15 * 7);
    /* Memory at 0 does not follow it. */
    assert_int_equal(add(t, 0, 16, 16), ANYHV_OK);
    assert_int_equal(anyhv_mem_check(&t->mem, UINT64_MAX, 2, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_read(&t->mem, UINT64_MAX, bytes, 2), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_write(&t->mem, UINT64_MAX, bytes, 2), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_map(&t->mem, UINT64_MAX, 2, ANYHV_R, &(struct anyhv_map){0}),
                     ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 1, UINT64_MAX, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 2, UINT64_MAX, RW), ANYHV_E_BADADDR);
}

static void regions_never_overlap(void **state)
{
    struct table *t = *state;
    static const struct {
        uint64_t addr, size;
    } over[] = {
        {0x2000, 0x1000}, {0x2000, 1},      {0x2fff, 1},     {0x1fff, 2},      {0x2fff, 2},
        {0x2400, 0x100},  {0x1000, 0x3000}, {0, UINT64_MAX}, {0x1000, 0x1001},
    };

    assert_int_equal(add(t, 0x2000, 0x1000, 0), ANYHV_OK);
    for (unsigned i = 0; i < sizeof(over) / sizeof(over[0]); i++)
        assert_int_equal(add(t, over[i].addr, over[i].size, 0), ANYHV_E_INVAL);
    assert_int_equal(t->mem.count, 1);
    /* Neighbours may touch. */
    assert_int_equal(add(t, 0x1000, 0x1000, 0x1000), ANYHV_OK);
    assert_int_equal(add(t, 0x3000, 0x1000, 0x2000), ANYHV_OK);
    assert_int_equal(t->mem.count, 3);
}

static void a_full_table_takes_no_more(void **state)
{
    struct table *t = *state;

    for (unsigned i = 0; i < CAPACITY; i++)
        assert_int_equal(add(t, i * 0x20u, 0x10, i * 0x10), ANYHV_OK);
    assert_int_equal(add(t, 0x10000, 0x10, 0), ANYHV_E_NORES);
    assert_int_equal(add(t, 0x20, 0x10, 0), ANYHV_E_INVAL); /* the worse fault is told */
    assert_int_equal(anyhv_mem_del(&t->mem, 0x20, 0x10), ANYHV_OK);
    assert_int_equal(add(t, 0x10000, 0x10, 0), ANYHV_OK);
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x10000, 0x10, RW), t->arena);
}

static void the_order_of_adding_does_not_matter(void **state)
{
    struct table *t = *state;
    static const uint8_t order[] = {5, 2, 7, 0, 6, 1, 4, 3};

    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(add(t, order[i] * 0x100u, 0x80, order[i] * 0x100u), ANYHV_OK);
    for (unsigned i = 0; i + 1 < 8; i++)
        assert_true(t->regions[i].addr < t->regions[i + 1].addr);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++) {
            unsigned at = (round == 1 ? 7 - i : i * 5 % 8) * 0x100u;

            assert_ptr_equal(anyhv_mem_host(&t->mem, at, 1, RW), t->arena + at);
            assert_ptr_equal(anyhv_mem_host(&t->mem, at + 0x7f, 1, RW), t->arena + at + 0x7f);
            assert_null(anyhv_mem_host(&t->mem, at + 0x80, 1, RW));
            assert_null(anyhv_mem_host(&t->mem, at + 0xff, 1, RW));
        }
    }
}

static void a_removed_region_is_gone_at_once(void **state)
{
    struct table *t = *state;

    assert_int_equal(add(t, 0x1000, 0x1000, 0), ANYHV_OK);
    assert_int_equal(add(t, 0x2000, 0x1000, 0x1000), ANYHV_OK);
    assert_int_equal(add(t, 0x3000, 0x1000, 0x2000), ANYHV_OK);
    assert_non_null(anyhv_mem_host(&t->mem, 0x2000, 1, RW)); /* it is the hint now */
    /* Exactly a region, or nothing. */
    assert_int_equal(anyhv_mem_del(&t->mem, 0x2000, 0xfff), ANYHV_E_INVAL);
    assert_int_equal(anyhv_mem_del(&t->mem, 0x2001, 0xfff), ANYHV_E_INVAL);
    assert_int_equal(anyhv_mem_del(&t->mem, 0x2000, 0x2000), ANYHV_E_INVAL);
    assert_int_equal(anyhv_mem_del(&t->mem, 0x2000, 0x1000), ANYHV_OK);
    assert_null(anyhv_mem_host(&t->mem, 0x2000, 1, RW));
    assert_int_equal(anyhv_mem_check(&t->mem, 0x1ff0, 0x20, RW), ANYHV_E_BADADDR);
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x1000, 1, RW), t->arena);
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x3fff, 1, RW), t->arena + 0x2fff);
    assert_int_equal(anyhv_mem_del(&t->mem, 0x2000, 0x1000), ANYHV_E_INVAL);
}

static void a_table_is_replaced_whole_or_not_at_all(void **state)
{
    struct table *t = *state;
    struct anyhv_region too_many[CAPACITY + 1] = {{0}};
    struct anyhv_region fresh[] = {{0x9000, 0x1000, t->arena, RW},
                                   {0x5000, 0x1000, t->arena + 0x1000, ANYHV_R}};
    struct anyhv_region bad[2];

    assert_int_equal(add(t, 0x1000, 0x1000, 0), ANYHV_OK);
    for (unsigned i = 0; i <= CAPACITY; i++)
        too_many[i] = (struct anyhv_region){i * 0x100u, 0x100, t->arena, RW};
    assert_int_equal(anyhv_mem_replace(&t->mem, too_many, CAPACITY + 1), ANYHV_E_NORES);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(bad, fresh, sizeof(bad));
        if (i == 0)
            bad[1].size = 0;
        if (i == 1)
            bad[1].host = NULL;
        if (i == 2)
            bad[1].addr = UINT64_MAX - 0xffe;
        if (i == 3)
            bad[1].addr = 0x8001; /* overlaps the other one */
        assert_int_equal(anyhv_mem_replace(&t->mem, bad, 2), ANYHV_E_INVAL);
    }
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x1000, 0x1000, RW), t->arena);

    assert_int_equal(anyhv_mem_replace(&t->mem, fresh, 2), ANYHV_OK);
    assert_null(anyhv_mem_host(&t->mem, 0x1000, 1, ANYHV_R));
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x9000, 1, RW), t->arena);
    assert_ptr_equal(anyhv_mem_host(&t->mem, 0x5000, 1, ANYHV_R), t->arena + 0x1000);
    assert_int_equal(anyhv_mem_replace(&t->mem, too_many, CAPACITY), ANYHV_OK);
    assert_int_equal(anyhv_mem_replace(&t->mem, NULL, 0), ANYHV_OK);
    assert_null(anyhv_mem_host(&t->mem, 0x9000, 1, RW));
}

static void permissions_are_those_of_the_region(void **state)
{
    struct table *t = *state;
    struct anyhv_map map;
    uint8_t bytes[4] = {1, 2, 3, 4};

    assert_int_equal(add_as(t, 0x1000, 0x100, t->arena, ANYHV_R), ANYHV_OK);
    assert_int_equal(add_as(t, 0x1100, 0x100, t->arena + 0x100, ANYHV_W), ANYHV_OK);
    assert_int_equal(add_as(t, 0x1200, 0x100, t->arena + 0x200, RW), ANYHV_OK);
    for (unsigned perm = ANYHV_R; perm <= RW; perm++) {
        for (unsigned have = ANYHV_R; have <= RW; have++) {
            uint64_t addr = 0x1000 + (have - 1) * 0x100;
            bool may = (have & perm) == perm;

            assert_true((anyhv_mem_host(&t->mem, addr, 4, perm) != NULL) == may);
            assert_int_equal(anyhv_mem_check(&t->mem, addr, 4, perm),
                             may ? ANYHV_OK : ANYHV_E_PERM);
            assert_int_equal(anyhv_mem_map(&t->mem, addr, 4, perm, &map),
                             may ? ANYHV_OK : ANYHV_E_PERM);
            assert_int_equal(anyhv_mem_map(&t->mem, addr, 4, perm | ANYHV_RING, &map),
                             may ? ANYHV_OK : ANYHV_E_PERM);
        }
    }
    assert_int_equal(anyhv_mem_write(&t->mem, 0x1000, bytes, 4), ANYHV_E_PERM);
    assert_int_equal(t->arena[0], 0);
    assert_int_equal(anyhv_mem_read(&t->mem, 0x1100, bytes, 4), ANYHV_E_PERM);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(anyhv_mem_write(&t->mem, 0x1100, bytes, 4), ANYHV_OK);
    assert_memory_equal(t->arena + 0x100, bytes, 4);
    /* A buffer that reaches into a region with less is refused as a whole. */
    assert_int_equal(anyhv_mem_check(&t->mem, 0x10ff, 2, ANYHV_R), ANYHV_E_PERM);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x11ff, 2, ANYHV_W), ANYHV_OK);
}

/* Where byte @at of the driver's memory is in the arena. */
static unsigned in_arena(unsigned at)
{
    return at < 0x10 ? 0x300 + at : at < 0x20 ? 0xf0 + at : 0x1e0 + at;
}

/* Neighbours for the driver, in another order here. */
static void three_neighbours(struct table *t)
{
    assert_int_equal(add(t, 0x1000, 0x10, 0x300), ANYHV_OK);
    assert_int_equal(add(t, 0x1010, 0x10, 0x100), ANYHV_OK);
    assert_int_equal(add(t, 0x1020, 0x20, 0x200), ANYHV_OK);
}

static void bytes_are_read_across_region_borders(void **state)
{
    struct table *t = *state;
    uint8_t bytes[0x40], expected[0x40];

    three_neighbours(t);
    for (unsigned from = 0; from < 0x40; from++) {
        for (unsigned len = 1; len <= 0x40 - from; len++) {
            bool one = from / 0x10 == (from + len - 1) / 0x10 || from >= 0x20;

            memset(bytes, 0xee, sizeof(bytes));
            memset(expected, 0xee, sizeof(expected));
            for (unsigned i = 0; i < len; i++)
                expected[i] = (uint8_t)(in_arena(from + i) * 7);
            assert_int_equal(anyhv_mem_read(&t->mem, 0x1000 + from, bytes, len), ANYHV_OK);
            assert_memory_equal(bytes, expected, sizeof(bytes));
            assert_int_equal(anyhv_mem_check(&t->mem, 0x1000 + from, len, RW), ANYHV_OK);
            assert_true((anyhv_mem_host(&t->mem, 0x1000 + from, len, RW) != NULL) == one);
        }
    }
}

static void bytes_are_written_across_region_borders(void **state)
{
    struct table *t = *state;
    uint8_t bytes[0x20], expected[ARENA];

    three_neighbours(t);
    memcpy(expected, t->arena, ARENA);
    memset(bytes, 0x77, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        expected[in_arena(8 + i)] = 0x77;
    assert_int_equal(anyhv_mem_write(&t->mem, 0x1008, bytes, sizeof(bytes)), ANYHV_OK);
    assert_memory_equal(t->arena, expected, ARENA);
}

static void a_gap_is_no_memory(void **state)
{
    struct table *t = *state;
    uint8_t bytes[0x40];

    assert_int_equal(add(t, 0x1000, 0x10, 0), ANYHV_OK);
    assert_int_equal(add(t, 0x1011, 0x10, 0x10), ANYHV_OK);
    assert_int_equal(anyhv_mem_check(&t->mem, 0xfff, 2, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x100f, 3, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x1010, 1, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x1011, 0x11, RW), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_read(&t->mem, 0x100f, bytes, 3), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_write(&t->mem, 0x1011, bytes, 0x11), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x1000, 0x10, RW), ANYHV_OK);
    assert_int_equal(anyhv_mem_check(&t->mem, 0x1010, 0, RW), ANYHV_OK); /* no byte, no address */
    assert_int_equal(anyhv_mem_read(&t->mem, 0x1010, NULL, 0), ANYHV_OK);
}

static void a_map_ends_with_its_region(void **state)
{
    struct table *t = *state;
    struct anyhv_map map;

    assert_int_equal(add(t, 0x1000, 0x100, 0), ANYHV_OK);
    assert_int_equal(add(t, 0x1100, 0x100, 0x100), ANYHV_OK);
    assert_int_equal(anyhv_mem_map(&t->mem, 0x10f0, 0x20, RW, &map), ANYHV_OK);
    assert_ptr_equal(map.ptr, t->arena + 0xf0);
    assert_int_equal(map.len, 0x10);
    assert_int_equal(map.addr, 0x10f0);
    assert_int_equal(map.perm, RW);
    anyhv_mem_unmap(&t->mem, &map); /* needs no ops */
    assert_null(map.ptr);
    /* Ring areas are whole or refused, even where the neighbour's bytes follow in the host. */
    assert_int_equal(anyhv_mem_map(&t->mem, 0x10f0, 0x20, ANYHV_R | ANYHV_RING, &map),
                     ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_map(&t->mem, 0x10f0, 0x10, ANYHV_R | ANYHV_RING, &map), ANYHV_OK);
    assert_int_equal(map.len, 0x10);
    assert_int_equal(anyhv_mem_map(&t->mem, 0x1000, 0, ANYHV_R, &map), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_map(&t->mem, 0x1200, 1, ANYHV_R, &map), ANYHV_E_BADADDR);
}

/* ---- against an oracle ---- */

static uint64_t seed;

static uint64_t random64(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Where the byte at @addr is in the arena, or -1; one look at every region. */
static long oracle(const struct table *t, uint64_t addr, unsigned perm, bool *there)
{
    *there = false;
    for (uint32_t i = 0; i < t->mem.count; i++) {
        const struct anyhv_region *r = &t->regions[i];

        if (addr < r->addr || addr > r->addr + (r->size - 1))
            continue;
        *there = true;
        return (r->perm & perm) == perm ? r->host + (addr - r->addr) - t->arena : -1;
    }
    return -1;
}

static void ask_the_oracle(struct table *t, uint64_t addr, uint32_t len, unsigned perm)
{
    uint8_t bytes[256], expected[256];
    int rc = addr + (len - 1) < addr ? ANYHV_E_BADADDR : ANYHV_OK;
    bool one = true;
    long first = -1;

    for (uint32_t i = 0; i < len && !rc; i++) {
        bool there;
        long at = oracle(t, addr + i, perm, &there);

        if (at < 0)
            rc = there ? ANYHV_E_PERM : ANYHV_E_BADADDR;
        if (i == 0)
            first = at;
        one &= at == first + (long)i; /* no region's neighbour is its neighbour in the arena */
        expected[i] = at < 0 ? 0 : t->arena[at];
    }
    assert_int_equal(anyhv_mem_check(&t->mem, addr, len, perm), rc);
    if (rc == ANYHV_OK && one)
        assert_ptr_equal(anyhv_mem_host(&t->mem, addr, len, perm), t->arena + first);
    else
        assert_null(anyhv_mem_host(&t->mem, addr, len, perm));
    if (perm == ANYHV_R) {
        assert_int_equal(anyhv_mem_read(&t->mem, addr, bytes, len), rc);
        if (!rc)
            assert_memory_equal(bytes, expected, len);
    }
}

/* 64 regions of 1 to 256 bytes at multiples of 256, some of them neighbours; in the arena each has
 * 512 bytes. */
static void fill_at_random(struct table *t, uint64_t base)
{
    while (t->mem.count < CAPACITY) {
        uint64_t addr = base + random64() % 160 * 256;
        uint64_t size = random64() % 4 ? 256 : 1 + random64() % 192;
        uint32_t perm = random64() % 8 ? RW : 1 + (uint32_t)(random64() % 2);

        add_as(t, addr, size, t->arena + t->mem.count * 512u, perm); /* or it overlaps */
    }
}

static void random_tables_answer_like_a_linear_search(void **state)
{
    static const uint64_t bases[] = {0, UINT64_C(0x80000000), UINT64_C(0) - 160 * 256};
    struct table *t = *state;

    for (unsigned round = 0; round < 30; round++) {
        uint64_t base = bases[round % 3];

        seed = round;
        assert_int_equal(anyhv_mem_replace(&t->mem, NULL, 0), ANYHV_OK);
        fill_at_random(t, base);
        for (unsigned i = 0; i < 1500; i++) {
            uint64_t addr = base + random64() % (160 * 256) - random64() % 4;
            uint32_t len = 1 + (uint32_t)(random64() % (i % 2 ? 8 : 256));

            ask_the_oracle(t, addr, len, 1 + (unsigned)(random64() % 3));
            if (i % 100 == 99) { /* the table changes under way */
                struct anyhv_region *r = &t->regions[random64() % t->mem.count];

                assert_int_equal(anyhv_mem_del(&t->mem, r->addr, r->size), ANYHV_OK);
            }
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(an_empty_table_holds_nothing),
    TEST(senseless_regions_are_refused),
    TEST(the_last_byte_of_the_address_space_can_be_memory),
    TEST(regions_never_overlap),
    TEST(a_full_table_takes_no_more),
    TEST(the_order_of_adding_does_not_matter),
    TEST(a_removed_region_is_gone_at_once),
    TEST(a_table_is_replaced_whole_or_not_at_all),
    TEST(permissions_are_those_of_the_region),
    TEST(bytes_are_read_across_region_borders),
    TEST(bytes_are_written_across_region_borders),
    TEST(a_gap_is_no_memory),
    TEST(a_map_ends_with_its_region),
    TEST(random_tables_answer_like_a_linear_search),
};

ANYHV_TEST_MAIN("mem", tests)

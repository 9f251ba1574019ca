/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that no region covers: how ops are asked, and what comes of their answers. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define RW (ANYHV_R | ANYHV_W)

enum {
    ARENA = 4096
};

/* Foreign memory at BENCH_BASE, 4 KiB of it, behind calls that are noted. */
struct foreign {
    struct anyhv_mem mem;
    struct anyhv_region regions[4];
    struct anyhv_mem_ops ops;
    uint8_t arena[ARENA];
    uint8_t own[ARENA]; /* what regions stand for */
    char trace[512];
    uint32_t map_max;     /* 0: no limit */
    unsigned calls, fail; /* the call that fails, from 1; 0: none */
    int result;
    int mapped; /* maps not yet ended */
};

static void note(struct foreign *f, const char *what, uint64_t addr, uint64_t len, unsigned perm)
{
    size_t at = strlen(f->trace);

    snprintf(f->trace + at, sizeof(f->trace) - at, "%s:%x+%u%s%s%s ", what,
             (unsigned)(addr - BENCH_BASE), (unsigned)len, perm & ANYHV_R ? "r" : "",
             perm & ANYHV_W ? "w" : "", perm & ANYHV_RING ? "!" : "");
}

static void expect(struct foreign *f, const char *words)
{
    assert_string_equal(f->trace, words);
    f->trace[0] = '\0';
    assert_int_equal(f->mapped, 0);
}

static int call(struct foreign *f, uint64_t addr, uint32_t len)
{
    if (++f->calls == f->fail)
        return f->result;
    return addr - BENCH_BASE < ARENA && len <= ARENA - (addr - BENCH_BASE) ? ANYHV_OK
                                                                           : ANYHV_E_BADADDR;
}

static int op_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                  struct anyhv_map *out)
{
    struct foreign *f = mem->priv;
    int rc = call(f, addr, len);

    note(f, "map", addr, len, perm);
    out->ptr = f->arena + (addr - BENCH_BASE); /* also when it fails */
    out->addr = 1;                             /* core knows better */
    out->perm = 0;
    if (rc)
        return rc;
    out->len = f->map_max && len > f->map_max && !(perm & ANYHV_RING) ? f->map_max : len;
    out->priv = 77;
    f->mapped++;
    return ANYHV_OK;
}

static void op_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    struct foreign *f = mem->priv;

    note(f, "unmap", map->addr, map->len, 0);
    assert_ptr_equal(map->ptr, f->arena + (map->addr - BENCH_BASE));
    assert_int_equal(map->priv, 77);
    assert_true(map->perm & RW);
    f->mapped--;
}

static int op_copy(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len, unsigned perm)
{
    struct foreign *f = mem->priv;
    int rc = call(f, addr, len);

    note(f, "copy", addr, len, perm);
    if (rc)
        return rc;
    if (perm & ANYHV_W)
        memcpy(f->arena + (addr - BENCH_BASE), buf, len);
    else
        memcpy(buf, f->arena + (addr - BENCH_BASE), len);
    return ANYHV_OK;
}

/* The data is there when its change is told. */
static void op_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    struct foreign *f = mem->priv;
    uint8_t *host = anyhv_mem_host(mem, addr, len, ANYHV_W);

    note(f, "dirty", addr, len, 0);
    for (uint64_t i = 0; i < len; i++)
        assert_int_equal((host ? host : f->arena + (addr - BENCH_BASE))[i], 0xcc);
}

static void use(struct foreign *f, bool map, bool copy, bool dirty)
{
    f->ops = (struct anyhv_mem_ops){.map = map ? op_map : NULL,
                                    .unmap = map ? op_unmap : NULL,
                                    .copy = copy ? op_copy : NULL,
                                    .dirty = dirty ? op_dirty : NULL};
    anyhv_mem_init(&f->mem, f->regions, 4, &f->ops, f);
}

static int setup(void **state)
{
    struct foreign *f = calloc(1, sizeof(*f));

    for (unsigned i = 0; i < ARENA; i++) {
        f->arena[i] = (uint8_t)(i * 7);
        f->own[i] = (uint8_t)(i * 11 + 1);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void add(struct foreign *f, uint32_t off, uint32_t size)
{
    struct anyhv_region region = {BENCH_BASE + off, size, f->own + off, RW};

    assert_int_equal(anyhv_mem_add(&f->mem, &region), ANYHV_OK);
}

static int read_at(struct foreign *f, uint32_t off, uint8_t *bytes, uint32_t len)
{
    return anyhv_mem_read(&f->mem, BENCH_BASE + off, bytes, len);
}

static int write_cc(struct foreign *f, uint32_t off, uint32_t len)
{
    uint8_t bytes[256];

    memset(bytes, 0xcc, sizeof(bytes));
    return anyhv_mem_write(&f->mem, BENCH_BASE + off, bytes, len);
}

static void copying_prefers_the_copy_call(void **state)
{
    struct foreign *f = *state;
    uint8_t bytes[100];

    use(f, true, true, false);
    assert_int_equal(read_at(f, 16, bytes, 100), ANYHV_OK);
    assert_memory_equal(bytes, f->arena + 16, 100);
    assert_int_equal(write_cc(f, 32, 8), ANYHV_OK);
    assert_int_equal(f->arena[31], (uint8_t)(31 * 7));
    assert_int_equal(f->arena[32], 0xcc);
    assert_int_equal(f->arena[39], 0xcc);
    assert_int_equal(f->arena[40], (uint8_t)(40 * 7));
    expect(f, "copy:10+100r copy:20+8w ");
}

static void without_a_copy_call_pieces_are_mapped_as_short_as_they_come(void **state)
{
    struct foreign *f = *state;
    uint8_t bytes[100];

    use(f, true, false, false);
    f->map_max = 40;
    assert_int_equal(read_at(f, 16, bytes, 100), ANYHV_OK);
    assert_memory_equal(bytes, f->arena + 16, 100);
    expect(f, "map:10+100r unmap:10+40 map:38+60r unmap:38+40 map:60+20r unmap:60+20 ");
    assert_int_equal(write_cc(f, 16, 50), ANYHV_OK);
    assert_int_equal(f->arena[15], (uint8_t)(15 * 7));
    for (unsigned i = 16; i < 66; i++)
        assert_int_equal(f->arena[i], 0xcc);
    assert_int_equal(f->arena[66], (uint8_t)(66 * 7));
    expect(f, "map:10+50w unmap:10+40 map:38+10w unmap:38+10 ");
}

static void copy_only_memory_cannot_be_mapped(void **state)
{
    struct foreign *f = *state;
    struct anyhv_map map = {0};
    uint8_t byte;

    use(f, false, true, false);
    assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE, 16, ANYHV_R, &map), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_check(&f->mem, BENCH_BASE, 16, RW), ANYHV_OK);
    assert_null(anyhv_mem_host(&f->mem, BENCH_BASE, 16, ANYHV_R));
    expect(f, "");
    assert_int_equal(read_at(f, 5, &byte, 1), ANYHV_OK);
    assert_int_equal(byte, 5 * 7);
    expect(f, "copy:5+1r ");
}

static void ops_that_only_track_writes_are_no_memory(void **state)
{
    struct foreign *f = *state;
    uint8_t byte;

    use(f, false, false, true);
    assert_int_equal(anyhv_mem_check(&f->mem, BENCH_BASE, 1, ANYHV_R), ANYHV_E_BADADDR);
    assert_int_equal(read_at(f, 0, &byte, 1), ANYHV_E_BADADDR);
    assert_int_equal(write_cc(f, 0, 1), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE, 1, RW, &(struct anyhv_map){0}),
                     ANYHV_E_BADADDR);
    expect(f, "");
}

/* Regions at 0x100 and 0x200, 0x40 long. */
static void ops_are_asked_only_about_the_gaps(void **state)
{
    struct foreign *f = *state;
    uint8_t bytes[0x240];

    use(f, false, true, false);
    add(f, 0x100, 0x40);
    add(f, 0x200, 0x40);
    assert_int_equal(read_at(f, 0xf0, bytes, 0x240), ANYHV_OK);
    expect(f, "copy:f0+16r copy:140+192r copy:240+240r ");
    assert_memory_equal(bytes, f->arena + 0xf0, 0x10);
    assert_memory_equal(bytes + 0x10, f->own + 0x100, 0x40);
    assert_memory_equal(bytes + 0x50, f->arena + 0x140, 0xc0);
    assert_memory_equal(bytes + 0x110, f->own + 0x200, 0x40);
    assert_memory_equal(bytes + 0x150, f->arena + 0x240, 0xf0);
    assert_int_equal(anyhv_mem_check(&f->mem, BENCH_BASE + 0xf0, 0x240, RW), ANYHV_OK);
    /* Inside a region nobody is asked. */
    assert_int_equal(read_at(f, 0x100, bytes, 0x40), ANYHV_OK);
    expect(f, "");
}

static void a_map_ends_where_a_region_begins_but_a_ring_does_not(void **state)
{
    struct foreign *f = *state;
    struct anyhv_map map;

    use(f, true, true, false);
    add(f, 0x100, 0x40);
    assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE + 0xf0, 0x20, ANYHV_W, &map), ANYHV_OK);
    assert_int_equal(map.len, 0x10);
    assert_int_equal(map.addr, BENCH_BASE + 0xf0);
    anyhv_mem_unmap(&f->mem, &map);
    anyhv_mem_unmap(&f->mem, &map); /* the second time it is nothing */
    expect(f, "map:f0+16w unmap:f0+16 ");
    assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE + 0xf0, 0x20, ANYHV_R | ANYHV_RING, &map),
                     ANYHV_OK);
    assert_int_equal(map.len, 0x20);
    anyhv_mem_unmap(&f->mem, &map);
    expect(f, "map:f0+32r! unmap:f0+32 ");
    /* A piece of a region is not ops' business, not even its end. */
    assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE + 0x130, 0x20, RW, &map), ANYHV_OK);
    assert_int_equal(map.len, 0x10);
    anyhv_mem_unmap(&f->mem, &map);
    expect(f, "");
}

static void a_map_says_what_was_asked_for(void **state)
{
    struct foreign *f = *state;
    struct anyhv_map map;

    use(f, true, true, false);
    for (unsigned perm = ANYHV_R; perm <= (RW | ANYHV_RING); perm++) {
        if (!(perm & RW))
            continue;
        assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE, 16, perm, &map), ANYHV_OK);
        assert_int_equal(map.perm & (RW | ANYHV_RING), perm);
        anyhv_mem_unmap(&f->mem, &map);
    }
    assert_int_equal(f->mapped, 0);
}

static void an_error_of_ops_is_the_result(void **state)
{
    static const int results[] = {ANYHV_E_BADADDR, ANYHV_E_PERM, ANYHV_E_NORES, ANYHV_E_LOST};
    struct foreign *f = *state;
    struct anyhv_map map;
    uint8_t bytes[100];

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned by_map = 0; by_map < 2; by_map++) {
            use(f, by_map, !by_map, false);
            f->map_max = 40;
            f->result = results[i];
            f->calls = 0;
            f->fail = by_map ? 2 : 1;
            memset(bytes, 0xee, sizeof(bytes));
            assert_int_equal(read_at(f, 0, bytes, 100), results[i]);
            if (by_map) { /* what came before the error is there */
                assert_memory_equal(bytes, f->arena, 40);
                assert_int_equal(bytes[40], 0xee);
            }
            assert_int_equal(f->mapped, 0);
            f->calls = 0;
            assert_int_equal(write_cc(f, 0x200, 100), results[i]);
            assert_int_equal(f->arena[0x200 + 40], (uint8_t)((0x200 + 40) * 7));
            assert_int_equal(f->mapped, 0);
            f->fail = 0;
        }
        use(f, true, true, false);
        f->calls = 0;
        f->fail = 1;
        assert_int_equal(anyhv_mem_map(&f->mem, BENCH_BASE, 16, ANYHV_R | ANYHV_RING, &map),
                         results[i]);
        assert_null(map.ptr);
        f->fail = 0;
        f->trace[0] = '\0';
        anyhv_mem_unmap(&f->mem, &map); /* there is nothing to end */
        expect(f, "");
    }
}

static void an_error_behind_a_region_is_the_result(void **state)
{
    struct foreign *f = *state;
    uint8_t bytes[0x40];

    use(f, false, true, false);
    add(f, ARENA - 0x20, 0x20);
    assert_int_equal(read_at(f, ARENA - 0x10, bytes, 0x20), ANYHV_E_BADADDR);
    assert_memory_equal(bytes, f->own + ARENA - 0x10, 0x10);
    expect(f, "copy:1000+16r ");
}

static void a_region_takes_an_address_from_ops_and_gives_it_back(void **state)
{
    struct foreign *f = *state;
    uint8_t byte;

    use(f, false, true, false);
    assert_int_equal(read_at(f, 0x100, &byte, 1), ANYHV_OK);
    assert_int_equal(byte, f->arena[0x100]);
    add(f, 0x100, 0x40);
    assert_int_equal(read_at(f, 0x100, &byte, 1), ANYHV_OK);
    assert_int_equal(byte, f->own[0x100]);
    assert_int_equal(anyhv_mem_del(&f->mem, BENCH_BASE + 0x100, 0x40), ANYHV_OK);
    assert_int_equal(read_at(f, 0x100, &byte, 1), ANYHV_OK);
    assert_int_equal(byte, f->arena[0x100]);
    expect(f, "copy:100+1r copy:100+1r ");
}

static void what_was_written_is_told_and_what_was_read_is_not(void **state)
{
    struct foreign *f = *state;
    uint8_t bytes[0x80];

    use(f, false, true, true);
    add(f, 0x100, 0x40);
    assert_int_equal(read_at(f, 0xf0, bytes, 0x60), ANYHV_OK);
    expect(f, "copy:f0+16r copy:140+16r ");
    assert_int_equal(write_cc(f, 0xf0, 0x60), ANYHV_OK);
    expect(f, "copy:f0+16w dirty:f0+16 dirty:100+64 copy:140+16w dirty:140+16 ");
    assert_int_equal(write_cc(f, 0x108, 8), ANYHV_OK);
    expect(f, "dirty:108+8 ");
    assert_int_equal(write_cc(f, 0x100, 0), ANYHV_OK);
    expect(f, "");
}

/* What is written is written, even if the rest cannot be. */
static void a_write_that_fails_half_way_tells_its_first_half(void **state)
{
    struct foreign *f = *state;

    use(f, true, false, true);
    f->map_max = 40;
    f->fail = 3;
    f->result = ANYHV_E_NORES;
    assert_int_equal(write_cc(f, 0, 100), ANYHV_E_NORES);
    assert_int_equal(f->arena[79], 0xcc);
    assert_int_equal(f->arena[80], (uint8_t)(80 * 7));
    assert_non_null(strstr(f->trace, "dirty:0+"));
    assert_true(strstr(f->trace, "dirty:0+80") || strstr(f->trace, "dirty:28+40"));
}

/* ---- pins: pieces that requests hold keep regions in the table ---- */

static void pinned_pieces_keep_the_table_as_it_is(void **state)
{
    struct bench *b = *state;
    struct anyhv_region extra = {UINT64_C(0x10000000), 4096, NULL, RW};
    struct anyhv_region all;
    struct anyhv_map map;
    struct anyhv_req *req;

    bench_up(b, NULL);
    extra.host = b->ram; /* a second name for it */
    all = b->lb.region[0];
    req = bench_held(b, 32, 32);
    assert_int_equal(anyhv_req_pin(req, ANYHV_R, 16, &map), ANYHV_OK);
    assert_int_equal(anyhv_req_pin(req, ANYHV_W, 16, &map), ANYHV_OK);
    assert_int_equal(b->lb.mem.pins, 2);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, all.addr, all.size), ANYHV_LATER);
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &all, 1), ANYHV_LATER);
    assert_int_equal(b->lb.mem.count, 1);
    assert_false(bench_queue(b, 0)->halt & ANYHV_HALT_NO_MEMORY);
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &extra), ANYHV_OK); /* adding disturbs nobody */
    assert_int_equal(anyhv_mem_del(&b->lb.mem, extra.addr, extra.size), ANYHV_LATER);
    /* What makes no sense is refused, not put off. */
    assert_int_equal(anyhv_mem_del(&b->lb.mem, 1, 1), ANYHV_E_INVAL);
    extra.size = 0;
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &extra, 1), ANYHV_E_INVAL);
    anyhv_req_done(req);
    assert_int_equal(b->lb.mem.pins, 0);
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &all, 1), ANYHV_OK);
    bench_run(b);
    assert_true(drv_ring_pending(&b->ring[0]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(copying_prefers_the_copy_call),
    TEST(without_a_copy_call_pieces_are_mapped_as_short_as_they_come),
    TEST(copy_only_memory_cannot_be_mapped),
    TEST(ops_that_only_track_writes_are_no_memory),
    TEST(ops_are_asked_only_about_the_gaps),
    TEST(a_map_ends_where_a_region_begins_but_a_ring_does_not),
    TEST(a_map_says_what_was_asked_for),
    TEST(an_error_of_ops_is_the_result),
    TEST(an_error_behind_a_region_is_the_result),
    TEST(a_region_takes_an_address_from_ops_and_gives_it_back),
    TEST(what_was_written_is_told_and_what_was_read_is_not),
    TEST(a_write_that_fails_half_way_tells_its_first_half),
    BENCH_TEST(pinned_pieces_keep_the_table_as_it_is),
};

ANYHV_TEST_MAIN("mem_ops", tests)

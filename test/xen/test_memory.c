/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory by foreign maps: pages, holes, the bounded cache, and what a guest can do to it. */
#include "xen/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (UINT64_C(64) * FAKE_PAGE)

static int begin_with(void **state, const char *const *args)
{
    struct harness *h;

    if (harness_begin(state))
        return -1;
    h = *state;
    assert_int_equal(backend_start(&h->b, args), 0);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, NULL);
}

/* A cache of four chunks. */
static int begin_small(void **state)
{
    return begin_with(state, (const char *const[]){"--map-cache=1", NULL});
}

#define UNIT(name)  cmocka_unit_test_setup_teardown(name, begin, harness_end)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, begin_small, harness_end)

/* 54: the pages of a buffer follow from where it begins and how long it is. */
static void across_pages_54(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    static const struct {
        uint32_t off, len;
    } cases[] = {{4095, 2}, {4095, 4097}, {1, 4096}, {0, 4096}, {4000, 200}, {1, 8191}};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(
            guest_echo_at(&h->g, at + cases[i].off, at + 0x100000 + cases[i].off, cases[i].len));
}

static void across_chunks_54(void **state)
{
    struct harness *h = *state;
    uint64_t edge = FAKE_RAM_BASE + 32 * CHUNK;

    assert_true(guest_echo_at(&h->g, edge - 1, edge + 4 * CHUNK - 100, 200));
    assert_true(guest_echo_at(&h->g, edge - 5000, edge + 4 * CHUNK - 5000, 10000));
}

static void ends_of_memory(void **state)
{
    struct harness *h = *state;
    uint64_t end = FAKE_RAM_BASE + FAKE_RAM_SIZE;
    uint32_t len;

    assert_true(guest_echo_at(&h->g, end - 128, end - 64, 64));
    guest_submit(&h->g, end - 64, end - 63, 64, TEST_ECHO); /* the last byte is not there */
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(len, 0);
    guest_submit(&h->g, FAKE_RAM_BASE - 1, FAKE_RAM_BASE, 64, TEST_ECHO);
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(len, 0);
    assert_true(guest_echo(&h->g));
}

/* 55: in this mode there are no grants, and no address with bit 63 is memory. */
static void grant_addresses_55(void **state)
{
    struct harness *h = *state;
    static const uint64_t addresses[] = {UINT64_C(1) << 63,
                                         UINT64_C(0x8000000000008000),
                                         UINT64_C(0x8000100000000000),
                                         UINT64_MAX - 0xfff,
                                         UINT64_C(1) << 52,
                                         UINT64_C(1) << 62};

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        uint32_t len;

        guest_submit(&h->g, addresses[i], FAKE_RAM_BASE + 0x900000, 64, TEST_ECHO);
        assert_true(guest_take(&h->g, &len));
        assert_int_equal(len, 0);
    }
    assert_true(guest_echo(&h->g));
}

/* 59: a page that is not there is an error of that request, and can come back. */
static void ballooned_out_59(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    uint32_t len;

    fake_hole(DOM, at + FAKE_PAGE, true);
    assert_true(guest_echo_at(&h->g, at, at + 0x100000, FAKE_PAGE));
    guest_submit(&h->g, at + 100, at + 0x100000, FAKE_PAGE, TEST_ECHO);
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(len, 0);
    fake_hole(DOM, at + FAKE_PAGE, false);
    assert_true(guest_echo_at(&h->g, at + 100, at + 0x100000, FAKE_PAGE));
}

/* The chunk around the hole is in use while it is looked at again. */
static void hole_in_a_chunk_in_use_59(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map;
    uint8_t byte = 7;

    fake_hole(DOM, at + FAKE_PAGE, true);
    assert_int_equal(anyhv_mem_map(mem, at, 64, ANYHV_R, &map), ANYHV_OK);
    assert_int_equal(anyhv_mem_read(mem, at + FAKE_PAGE, &byte, 1), ANYHV_E_BADADDR);
    fake_hole(DOM, at + FAKE_PAGE, false);
    assert_int_equal(anyhv_mem_write(mem, at + FAKE_PAGE, &byte, 1), ANYHV_OK);
    assert_int_equal(fake_ram(DOM)[0x800000 + FAKE_PAGE], 7);
    memset(map.ptr, 9, map.len); /* still ours */
    assert_int_equal(fake_ram(DOM)[0x800000], 9);
    anyhv_mem_unmap(mem, &map);
}

/* A map ends before a hole. */
static void map_ends_before_a_hole(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map;

    fake_hole(DOM, at + 3 * FAKE_PAGE, true);
    assert_int_equal(anyhv_mem_map(mem, at + 10, 1 << 20, ANYHV_R, &map), ANYHV_OK);
    assert_int_equal(map.len, 3 * FAKE_PAGE - 10);
    anyhv_mem_unmap(mem, &map);
}

/* 60: whatever addresses come, what is mapped stays bounded. */
static void cache_is_bounded_60(void **state)
{
    struct harness *h = *state;
    unsigned rings = fake_maps();

    for (uint64_t at = 0; at < FAKE_RAM_SIZE - CHUNK; at += CHUNK) {
        assert_true(guest_echo_at(&h->g, FAKE_RAM_BASE + at + CHUNK / 2,
                                  FAKE_RAM_BASE + FAKE_RAM_SIZE - at - 4096, 64));
        assert_true(fake_maps() <= rings + 4);
    }
}

/* Chunks that lie in one bucket: each is found, whichever of them has gone. */
static void far_apart(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    /* In the order of use; of four the one not used for longest makes way: is it mapped anew? */
    static const struct {
        unsigned chunk;
        bool maps;
    } reads[] = {
        {0, true},  {4, true},   {8, true},  {12, true},  {0, false},  {8, false},
        {4, false}, {12, false}, {16, true}, {8, false},  {12, false}, {4, false},
        {0, true},  {16, true},  {4, false}, {12, false}, {8, true},
    };
    uint8_t byte;

    fake_invalidate(DOM);
    guest_answer(&h->b, DOM, 0);
    for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        uint64_t at = reads[i].chunk * CHUNK + 5;
        unsigned before = fake_count("map");

        fake_ram(DOM)[at] = (uint8_t)(i + 1);
        assert_int_equal(anyhv_mem_read(mem, FAKE_RAM_BASE + at, &byte, 1), ANYHV_OK);
        assert_int_equal(byte, i + 1);
        assert_int_equal(fake_count("map") - before, reads[i].maps);
    }
}

/* 60: a length says nothing about how much is mapped at once. */
static void huge_length_60(void **state)
{
    struct harness *h = *state;
    uint32_t len;

    guest_submit(&h->g, FAKE_RAM_BASE + 0x800000, FAKE_RAM_BASE + 0x900000, 16, TEST_ECHO);
    assert_true(guest_take(&h->g, &len));
    drv_split_desc(&h->g.mem, h->g.ring.desc, 1, FAKE_RAM_BASE, UINT32_MAX, 0, 0);
    drv_split_push(&h->g.ring, 1);
    drv_kick(&h->g.mmio.transport, TEST_QUEUE_A, &h->g.ring);
    backend_turn(&h->b);
    assert_true(fake_mapped_pages() <= 5 * 64 + 8);
}

static void full_of_maps_in_use(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map[4];
    uint8_t byte;

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            anyhv_mem_map(mem, FAKE_RAM_BASE + 0x800000 + i * CHUNK, 64, ANYHV_W, &map[i]),
            ANYHV_OK);
    assert_int_equal(anyhv_mem_map(mem, FAKE_RAM_BASE + 0x800000 + 3 * CHUNK, 64, ANYHV_W, &map[3]),
                     ANYHV_E_NORES);
    /* Copies go on, by the entry that is kept for them; and so do further maps of the same. */
    for (unsigned i = 3; i < 20; i++)
        assert_int_equal(anyhv_mem_read(mem, FAKE_RAM_BASE + 0x800000 + i * CHUNK, &byte, 1),
                         ANYHV_OK);
    assert_int_equal(anyhv_mem_map(mem, FAKE_RAM_BASE + 0x800000 + 64, 64, ANYHV_W, &map[3]),
                     ANYHV_OK);
    anyhv_mem_unmap(mem, &map[3]);
    anyhv_mem_unmap(mem, &map[0]);
    assert_int_equal(anyhv_mem_map(mem, FAKE_RAM_BASE + 0x800000 + 3 * CHUNK, 64, ANYHV_W, &map[3]),
                     ANYHV_OK);
    for (unsigned i = 1; i < 4; i++)
        anyhv_mem_unmap(mem, &map[i]);
}

/* 61: pages in use stay until they are given back, those that are not go at once. */
static void invalidate_in_use_61(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    unsigned rings = fake_maps();
    struct anyhv_map map;
    uint8_t byte;

    assert_int_equal(anyhv_mem_map(mem, FAKE_RAM_BASE + 0x800000, 64, ANYHV_W, &map), ANYHV_OK);
    assert_int_equal(anyhv_mem_read(mem, FAKE_RAM_BASE + 0xa00000, &byte, 1), ANYHV_OK);
    assert_int_equal(fake_maps(), rings + 2);
    fake_invalidate(DOM);
    guest_answer(&h->b, DOM, 0);
    assert_int_equal(fake_maps(), rings + 1);
    memset(map.ptr, 1, map.len);
    anyhv_mem_unmap(mem, &map);
    assert_int_equal(fake_maps(), rings);
}

/* Ours to lack: the guest hears nothing of it, and the request is not lost. */
static void kernel_without_pages(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    uint32_t len;

    fake_invalidate(DOM);
    guest_answer(&h->b, DOM, 0);
    fake_fail("map", 1, ENOMEM);
    guest_submit(&h->g, at, at + 0x100000, 64, TEST_ECHO);
    if (!guest_take(&h->g, &len)) {
        anyhv_mem_room(backend_dev(&h->b)->mem);
        assert_true(guest_take(&h->g, &len));
    }
    assert_int_equal(len, 64);
    assert_true(logged("no room left"));
}

static void ring_without_memory_is_refused(void **state)
{
    struct harness *h = *state;
    struct drv_transport *t = &h->g.mmio.transport;
    const struct drv_queue_setup setup = {.desc = FAKE_RAM_BASE + FAKE_RAM_SIZE - 4096,
                                          .driver = FAKE_RAM_BASE + 0x1000,
                                          .device = FAKE_RAM_BASE + 0x2000,
                                          .size = 256};
    unsigned rings = fake_maps();

    fake_hole(DOM, FAKE_RAM_BASE + FAKE_RAM_SIZE - 4096, true);
    t->ops->queue_setup(t, TEST_QUEUE_B, &setup);
    assert_true(t->ops->status(t) & DRV_S_NEEDS_RESET);
    assert_int_equal(fake_maps(), rings);
}

static void rings_are_unmapped_on_reset(void **state)
{
    struct harness *h = *state;

    assert_true(guest_echo(&h->g));
    h->g.mmio.transport.ops->reset(&h->g.mmio.transport);
    fake_invalidate(DOM);
    guest_answer(&h->b, DOM, 0);
    assert_int_equal(fake_maps(), 0);
}

/* X6: nothing of a guest that died stays mapped, or Xen could not give its memory to others. */
static void unmapped_when_the_guest_dies(void **state)
{
    struct harness *h = *state;

    assert_true(guest_echo(&h->g));
    guest_submit(&h->g, FAKE_RAM_BASE + 0x800000, FAKE_RAM_BASE + 0x900000, 64, TEST_HOLD);
    backend_turn(&h->b);
    assert_true(fake_maps() > 0);
    fake_destroy(DOM);
    anyhv_loop_turn(h->b.server.loop, 0);
    assert_int_equal(fake_maps(), 0);
    assert_null(h->b.server.instances);
}

/* The death shows in a map before xenstore tells of it. */
static void death_seen_in_a_map(void **state)
{
    struct harness *h = *state;

    fake_invalidate(DOM);
    guest_answer(&h->b, DOM, 0);
    fake_fail("map", 1, ESRCH);
    guest_submit(&h->g, FAKE_RAM_BASE + 0x800000, FAKE_RAM_BASE + 0x900000, 64, TEST_ECHO);
    backend_turn(&h->b);
    assert_true(logged("is gone"));
    assert_int_equal(fake_maps(), 0);
}

static const struct CMUnitTest tests[] = {
    UNIT(across_pages_54),
    UNIT(across_chunks_54),
    UNIT(ends_of_memory),
    UNIT(grant_addresses_55),
    UNIT(ballooned_out_59),
    UNIT(hole_in_a_chunk_in_use_59),
    UNIT(map_ends_before_a_hole),
    SMALL(cache_is_bounded_60),
    SMALL(far_apart),
    SMALL(huge_length_60),
    SMALL(full_of_maps_in_use),
    UNIT(invalidate_in_use_61),
    UNIT(kernel_without_pages),
    UNIT(ring_without_memory_is_refused),
    UNIT(rings_are_unmapped_on_reset),
    UNIT(unmapped_when_the_guest_dies),
    UNIT(death_seen_in_a_map),
};

ANYHV_TEST_MAIN("xen-memory", tests)

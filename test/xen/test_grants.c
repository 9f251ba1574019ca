/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory by grants: what is not granted is not touched, and nothing stays mapped. */
#include "xen/harness.h"

#include <errno.h>
#include <string.h>

#define RINGS 3u /* pages: a map for each area of a small ring */

static int begin(void **state)
{
    struct harness *h;

    if (harness_begin(state))
        return -1;
    h = *state;
    fake_store("backend/virtio/3/0/grant_usage", "1");
    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    drv_mem_init(&h->g.mem, fake_ram(DOM), FAKE_GRANT_BASE, FAKE_RAM_SIZE);
    guest_boot(&h->g);
    return 0;
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, begin, harness_end)

static const uint64_t at = FAKE_GRANT_BASE + 0x800000, to = FAKE_GRANT_BASE + 0x900000;

/* The answer to an echo that cannot be served. */
static void rejected(struct harness *h, uint64_t out, uint64_t in, uint32_t len)
{
    uint32_t got;

    guest_submit(&h->g, out, in, len, TEST_ECHO);
    assert_true(guest_take(&h->g, &got));
    assert_int_equal(got, 0);
    assert_int_equal(fake_granted_pages(), RINGS);
}

static void a_driver_gets_on(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 20; i++)
        assert_true(guest_echo(&h->g));
    assert_true(fake_count("map") == 0); /* nothing foreign */
}

/* X10: grants follow each other, the offset runs from page to page. */
static void across_pages_54(void **state)
{
    struct harness *h = *state;
    static const struct {
        uint32_t off, len;
    } cases[] = {{4095, 2}, {4095, 4097}, {1, 4096}, {0, 4096}, {4000, 200}, {1, 8191}, {5, 90000}};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(guest_echo_at(&h->g, at + cases[i].off, to + cases[i].off, cases[i].len));
}

/* X7: by the time the answer can be seen. */
static void nothing_stays_mapped(void **state)
{
    struct harness *h = *state;
    uint32_t len;

    for (int i = 0; i < 10; i++) {
        guest_submit(&h->g, at, to, 20000, i % 2 ? TEST_PIN : TEST_ECHO);
        assert_true(guest_take(&h->g, &len));
        assert_int_equal(len, 20000);
        assert_int_equal(fake_granted_pages(), RINGS);
    }
    h->g.mmio.transport.ops->reset(&h->g.mmio.transport);
    assert_int_equal(fake_granted_pages(), 0);
}

/* 55, X9: plain addresses and impossible grants, by themselves and mixed with good ones. */
static void not_a_grant_55(void **state)
{
    struct harness *h = *state;
    static const uint64_t addresses[] = {FAKE_RAM_BASE,
                                         0,
                                         FAKE_GRANT_BASE | UINT64_C(1) << 44,
                                         FAKE_GRANT_BASE | UINT64_C(1) << 62,
                                         (UINT64_C(1) << 63) | UINT64_C(0xfffffffff000),
                                         UINT64_MAX - 4095,
                                         UINT64_C(1) << 63,
                                         FAKE_GRANT_BASE + FAKE_RAM_SIZE};

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        rejected(h, addresses[i], to, 64);
        rejected(h, at, addresses[i], 64);
    }
    assert_true(guest_echo(&h->g));
}

static void rings_that_are_not_granted_55(void **state)
{
    struct harness *h = *state;
    struct drv_transport *t = &h->g.mmio.transport;
    const struct drv_queue_setup setup = {
        .desc = FAKE_RAM_BASE, .driver = at, .device = to, .size = 64};

    t->ops->queue_setup(t, TEST_QUEUE_B, &setup);
    assert_true(t->ops->status(t) & DRV_S_NEEDS_RESET);
    assert_int_equal(fake_granted_pages(), RINGS);
}

/* 56: the third page of a buffer is not granted: what was mapped of it goes. */
static void partly_granted_56(void **state)
{
    struct harness *h = *state;
    uint32_t len;

    fake_grant(DOM, at + 2 * FAKE_PAGE, FAKE_REVOKED);
    rejected(h, at, to, 4 * FAKE_PAGE);
    guest_submit(&h->g, at, to, 4 * FAKE_PAGE, TEST_PIN);
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(fake_granted_pages(), RINGS);
    fake_grant(DOM, at + 2 * FAKE_PAGE, FAKE_WRITABLE);
    assert_true(guest_echo_at(&h->g, at, to, 4 * FAKE_PAGE));
}

/* 57, X8 */
static void read_only_57(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map;

    fake_grant(DOM, at, FAKE_READ_ONLY);
    assert_true(guest_echo_at(&h->g, at, to, 64)); /* the device only reads there */
    rejected(h, to, at, 64);
    assert_int_equal(anyhv_mem_map(mem, at, 64, ANYHV_R, &map), ANYHV_OK);
    anyhv_mem_unmap(mem, &map);
    assert_int_equal(anyhv_mem_map(mem, at, 64, ANYHV_W, &map), ANYHV_E_BADADDR);
}

/* 58: the guest takes its grants back while we hold the request. */
static void revoked_in_flight_58(void **state)
{
    struct harness *h = *state;
    uint32_t len;

    guest_submit(&h->g, at, to, 64, TEST_HOLD);
    assert_false(guest_take(&h->g, &len));
    fake_grant(DOM, at, FAKE_REVOKED);
    fake_grant(DOM, to, FAKE_REVOKED);
    guest_submit(&h->g, FAKE_GRANT_BASE + 0xa00000, FAKE_GRANT_BASE + 0xb00000, 0, TEST_RELEASE);
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(len, 0);
    assert_true(guest_take(&h->g, &len));
    assert_int_equal(len, 0);
    assert_int_equal(fake_granted_pages(), RINGS);
    assert_true(guest_echo(&h->g));
}

/* A length says nothing about how much is mapped at once. */
static void bounded_60(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map;

    assert_int_equal(anyhv_mem_map(mem, at + 100, 1 << 20, ANYHV_W, &map), ANYHV_OK);
    assert_true(fake_granted_pages() <= RINGS + 16);
    assert_int_equal(map.len, 16 * FAKE_PAGE - 100);
    memset(map.ptr, 1, map.len);
    anyhv_mem_unmap(mem, &map);
}

static void no_room(void **state)
{
    struct harness *h = *state;
    struct anyhv_mem *mem = backend_dev(&h->b)->mem;
    struct anyhv_map map;

    fake_fail("grant_map", 1, ENOSPC);
    assert_int_equal(anyhv_mem_map(mem, at, 64, ANYHV_W, &map), ANYHV_E_NORES);
    assert_true(logged("no room left"));
}

static void cannot_open(void **state)
{
    struct harness *h = *state;

    backend_stop(&h->b);
    fake_store("backend/virtio/3/0/state", "1");
    assert_int_equal(backend_start(&h->b, NULL), 0);
    fake_fail("gnttab_open", 1, ENODEV);
    backend_turn(&h->b);
    assert_true(logged("opening the grant interface: No such device"));
    assert_int_equal(fake_servers(DOM), 0);
}

/* A device with grants and one without, in one guest. */
static void side_by_side(void **state)
{
    struct harness *h = *state;
    struct guest plain;

    fake_node(DOM, 1, TEST_DEVICE_ID, BASE + 0x200, IRQ + 1);
    backend_turn(&h->b);
    guest_init(&plain, &h->b, DOM, BASE + 0x200);
    plain.mem.used = 0xc00000;
    guest_boot(&plain);
    assert_true(guest_echo(&plain));
    assert_true(guest_echo(&h->g));
}

/* 64 bits of the offer: the driver can only get here if it is told that it has to. */
static void platform_is_offered(void **state)
{
    struct harness *h = *state;

    assert_true(h->g.mmio.transport.ops->offered(&h->g.mmio.transport) & DRV_F(33));
}

static void the_guest_dies(void **state)
{
    struct harness *h = *state;
    uint32_t len;

    guest_submit(&h->g, at, to, 64, TEST_HOLD);
    assert_false(guest_take(&h->g, &len));
    fake_destroy(DOM);
    backend_turn(&h->b);
    assert_int_equal(fake_granted_pages(), 0);
}

static const struct CMUnitTest tests[] = {
    UNIT(a_driver_gets_on),
    UNIT(across_pages_54),
    UNIT(nothing_stays_mapped),
    UNIT(not_a_grant_55),
    UNIT(rings_that_are_not_granted_55),
    UNIT(partly_granted_56),
    UNIT(read_only_57),
    UNIT(revoked_in_flight_58),
    UNIT(bounded_60),
    UNIT(no_room),
    UNIT(cannot_open),
    UNIT(side_by_side),
    UNIT(platform_is_offered),
    UNIT(the_guest_dies),
};

ANYHV_TEST_MAIN("xen-grants", tests)

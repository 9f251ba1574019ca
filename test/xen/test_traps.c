/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses of the guest's vCPUs, sensible and not. No vCPU waits for ever, whatever it asks. */
#include "xen/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int begin(void **state)
{
    struct harness *h;

    if (harness_begin(state))
        return -1;
    h = *state;
    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    return 0;
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, begin, harness_end)

static void a_driver_gets_on(void **state)
{
    struct harness *h = *state;

    guest_boot(&h->g);
    for (int i = 0; i < 20; i++)
        assert_true(guest_echo(&h->g));
}

/* The vCPU goes on before any ring is looked at: the answer, then the interrupt. */
static void released_before_ring_work(void **state)
{
    struct harness *h = *state;
    const char *calls, *answer, *irq;
    uint32_t len;

    guest_boot(&h->g);
    backend_turn(&h->b);
    fake_calls();
    guest_submit(&h->g, FAKE_RAM_BASE + 0x800000, FAKE_RAM_BASE + 0x900000, 16, TEST_ECHO);
    assert_true(guest_take(&h->g, &len));
    calls = fake_calls();
    answer = strstr(calls, "notify");
    irq = strstr(calls, "irq(1)");
    assert_true(answer && irq && answer < irq);
}

/* X11: the line falls when the last event is acknowledged. */
static void line_follows_the_events(void **state)
{
    struct harness *h = *state;

    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    assert_true(fake_level(DOM, IRQ));
    assert_int_equal(fake_rises(DOM, IRQ), 1);
    assert_int_equal(guest_read(&h->b, DOM, BASE + DRV_MMIO_INTERRUPT_STATUS, 4), 1);
    guest_write(&h->b, DOM, BASE + DRV_MMIO_INTERRUPT_ACK, 4, 1);
    assert_false(fake_level(DOM, IRQ));
}

static void failing_interrupt_is_said(void **state)
{
    struct harness *h = *state;

    guest_boot(&h->g);
    fake_fail("irq(1)", 1, EINVAL);
    assert_true(guest_echo(&h->g));
    assert_true(logged("interrupt"));
}

/* 62: whatever the access, it is answered: reads with ones. */
static void odd_accesses_62(void **state)
{
    struct harness *h = *state;
    static const struct fake_access odd[] = {
        {.addr = BASE, .count = 1, .size = 0, .type = 1, .read = true},
        {.addr = BASE, .count = 1, .size = 3, .type = 1, .read = true},
        {.addr = BASE, .count = 1, .size = 16, .type = 1, .read = true},
        {.addr = BASE, .count = 1, .size = 0x200, .type = 1, .read = true},
        {.addr = BASE, .count = 2, .size = 4, .type = 1, .read = true},
        {.addr = BASE, .count = UINT32_MAX, .size = 4, .type = 1, .read = true},
        {.addr = BASE, .count = 1, .size = 4, .type = 1, .read = true, .pointer = true},
        {.addr = BASE, .count = 1, .size = 4, .type = 1, .read = true, .down = true},
        {.addr = BASE, .count = 4, .size = 4, .type = 1, .pointer = true, .down = true},
    };

    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_int_equal(fake_trap(DOM, &odd[i]), FAKE_STUCK);
        if (odd[i].read)
            assert_int_equal(guest_answer(&h->b, DOM, 0), UINT64_MAX);
        else
            guest_answer(&h->b, DOM, 0);
    }
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

/* X12: not only memory comes here. */
static void unknown_types_62(void **state)
{
    struct harness *h = *state;

    for (unsigned type = 0; type < 256; type++) {
        const struct fake_access access = {
            .addr = BASE, .count = 1, .size = 4, .type = (uint8_t)type, .read = true};

        if (type == 1 || type == 8)
            continue;
        fake_trap(DOM, &access);
        assert_int_equal(guest_answer(&h->b, DOM, 0), UINT64_MAX);
    }
}

/* Xen sends what lies in a range of the server; the ends of the window are checked again here. */
static void outside_the_window_62(void **state)
{
    struct harness *h = *state;
    uint8_t *slot = fake_slot(DOM, 0);
    const struct fake_access in = {.addr = BASE, .count = 1, .size = 8, .type = 1, .read = true};
    static const uint64_t addresses[] = {BASE - 1,     BASE - 8,   BASE + 0x1fc,   BASE + 0x1ff,
                                         BASE + 0x200, UINT64_MAX, UINT64_MAX - 3, 0};

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        fake_trap(DOM, &in);
        memcpy(slot, &addresses[i], 8);
        assert_int_equal(guest_answer(&h->b, DOM, 0), UINT64_MAX);
    }
}

static void every_register_every_width(void **state)
{
    struct harness *h = *state;

    for (unsigned off = 0; off < 0x200; off++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            if (off + size > 0x200)
                continue;
            guest_read(&h->b, DOM, BASE + off, size);
            guest_write(&h->b, DOM, BASE + off, size, UINT64_C(0xa5a5a5a5a5a5a5a5));
        }
    }
    assert_true(h->g.mmio.transport.ops->reset(&h->g.mmio.transport));
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

/* 61, X13 */
static void invalidate_61(void **state)
{
    struct harness *h = *state;
    unsigned maps;

    guest_boot(&h->g);
    maps = fake_maps();
    assert_true(guest_echo(&h->g));
    assert_true(fake_maps() > maps);
    assert_true(fake_invalidate(DOM));
    guest_answer(&h->b, DOM, 0);
    assert_int_equal(fake_maps(), maps); /* the rings' */
    assert_true(guest_echo(&h->g));
}

/* 63: events without an access, and many of them, cost a look at the slot and nothing else. */
static void storm_63(void **state)
{
    struct harness *h = *state;
    unsigned before = fake_count("notify");

    for (int i = 0; i < 10000; i++) {
        fake_spurious(DOM, 0);
        anyhv_loop_turn(h->b.server.loop, 0);
    }
    assert_int_equal(fake_count("notify"), before);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

/* 66, X14: of the slot only the state and a read's data change. */
static void nothing_else_changes_66(void **state)
{
    struct harness *h = *state;
    const struct fake_access write = {.addr = BASE + DRV_MMIO_QUEUE_SEL,
                                      .data = UINT64_C(0x1122334400000001),
                                      .count = 1,
                                      .size = 4,
                                      .type = 1};
    uint8_t before[32], *slot = fake_slot(DOM, 0);

    fake_trap(DOM, &write);
    memcpy(before, slot, sizeof(before));
    backend_turn(&h->b);
    assert_memory_equal(slot, before, 30);
    assert_int_equal(slot[30], (before[30] & 0xf0) | 3);
    assert_int_equal(slot[31], before[31]);
    guest_answer(&h->b, DOM, 0);
}

/* What the kernel is asked for a trap, with one vCPU: the event, its mask, the answer. */
static void calls_of_a_trap(void **state)
{
    struct harness *h = *state;
    const struct fake_access read = {.addr = BASE, .count = 1, .size = 4, .type = 1, .read = true};

    fake_calls();
    fake_trap(DOM, &read);
    assert_true(anyhv_loop_turn(h->b.server.loop, 0) > 0);
    assert_string_equal(fake_calls(), "pending unmask notify ");
    assert_int_equal(guest_answer(&h->b, DOM, 0), 0x74726976);
}

static void broken_channel_ends_the_guest(void **state)
{
    struct harness *h = *state;
    static const char *const calls[] = {"pending", "unmask", "notify"};

    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const struct fake_access read = {
            .addr = BASE, .count = 1, .size = 4, .type = 1, .read = true};

        fake_fail(calls[i], 1, EINVAL);
        fake_trap(DOM, &read);
        backend_turn(&h->b);
        assert_true(logged("is gone"));
        assert_null(h->b.server.instances);
        backend_stop(&h->b);
        fake_destroy(DOM);
        fake_domain(DOM);
        fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
        assert_int_equal(backend_start(&h->b, NULL), 0);
        backend_turn(&h->b);
    }
}

static const struct CMUnitTest tests[] = {
    UNIT(a_driver_gets_on),
    UNIT(released_before_ring_work),
    UNIT(line_follows_the_events),
    UNIT(failing_interrupt_is_said),
    UNIT(odd_accesses_62),
    UNIT(unknown_types_62),
    UNIT(outside_the_window_62),
    UNIT(every_register_every_width),
    UNIT(invalidate_61),
    UNIT(storm_63),
    UNIT(nothing_else_changes_66),
    UNIT(calls_of_a_trap),
    UNIT(broken_channel_ends_the_guest),
};

ANYHV_TEST_MAIN("xen-traps", tests)

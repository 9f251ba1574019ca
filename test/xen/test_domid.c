/* SPDX-License-Identifier: Apache-2.0 */
/* One process for one guest, that gives up its rights over others. */
#include "xen/harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNIT(name) cmocka_unit_test_setup_teardown(name, harness_begin, harness_end)

static const char *const domid[] = {"--domid=3", NULL};

/* Until the time has come for the loop's timers. */
static void wait_until_over(struct harness *h, int *code)
{
    for (int i = 0; i < 100 && !backend_over(&h->b, code); i++)
        anyhv_loop_turn(h->b.server.loop, 100);
    assert_true(backend_over(&h->b, code));
}

static void restricted_before_it_serves(void **state)
{
    struct harness *h = *state;
    const char *calls, *restrict_at;

    fake_domain(4);
    fake_node(4, 0, TEST_DEVICE_ID, BASE, IRQ);
    assert_int_equal(backend_start(&h->b, domid), 0);
    assert_true(fake_restricted(DOM));
    calls = fake_calls();
    restrict_at = strstr(calls, "restrict");
    assert_non_null(restrict_at);
    assert_null(strstr(restrict_at, "xs_")); /* those handles are dead */
    assert_null(strstr(calls, "notify"));
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    assert_int_equal(fake_servers(4), 0);
    assert_string_equal(fake_stored("backend/virtio/3/0/state"), "2");
}

static void ends_with_its_guest(void **state)
{
    struct harness *h = *state;
    int code = -1;

    assert_int_equal(backend_start(&h->b, domid), 0);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    fake_destroy(DOM);
    wait_until_over(h, &code);
    assert_int_equal(code, 0);
    assert_int_equal(fake_maps(), 0);
}

static void fails_without_the_guest(void **state)
{
    struct harness *h = *state;

    assert_true(backend_start(&h->b, (const char *const[]){"--domid=5", NULL}) < 0);
    assert_true(logged("domain 5 has no device"));
}

/* The restriction takes the handle for grants, so there is a new one before anything is served. */
static void grants_and_restriction(void **state)
{
    struct harness *h = *state;

    fake_store("backend/virtio/3/0/grant_usage", "1");
    assert_int_equal(backend_start(&h->b, domid), 0);
    assert_true(fake_restricted(DOM));
    guest_init(&h->g, &h->b, DOM, BASE);
    drv_mem_init(&h->g.mem, fake_ram(DOM), FAKE_GRANT_BASE, FAKE_RAM_SIZE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

static void fails_without_grants(void **state)
{
    struct harness *h = *state;

    fake_store("backend/virtio/3/0/grant_usage", "1");
    fake_fail("gnttab_open", 2, EACCES);
    assert_true(backend_start(&h->b, domid) < 0);
    assert_true(logged("cannot give up the rights"));
    backend_stop(&h->b);
    assert_int_equal(fake_servers(DOM), 0);
}

static void fails_without_restriction(void **state)
{
    struct harness *h = *state;

    fake_fail("restrict", 1, EOPNOTSUPP);
    assert_true(backend_start(&h->b, domid) < 0);
    assert_true(logged("cannot give up the rights"));
    backend_stop(&h->b);
    assert_int_equal(fake_servers(DOM), 0);
}

/* Where the toolstack knows nothing of virtio. */
static void placed_by_hand(void **state)
{
    struct harness *h = *state;
    char irq[16];

    snprintf(irq, sizeof(irq), "--irq=%d", IRQ);
    fake_fail("xs_open", 1, ENOENT);
    assert_int_equal(
        backend_start(&h->b, (const char *const[]){"--domid=3", "--base=0xfeb00000", irq, NULL}),
        0);
    assert_true(fake_restricted(DOM));
    guest_init(&h->g, &h->b, DOM, 0xfeb00000);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    assert_true(fake_level(DOM, IRQ));
}

static void two_devices_of_one_guest(void **state)
{
    struct harness *h = *state;

    fake_node(DOM, 1, TEST_DEVICE_ID, BASE + 0x200, IRQ + 1);
    assert_int_equal(backend_start(&h->b, domid), 0);
    assert_int_equal(guest_read(&h->b, DOM, BASE + 8, 4), TEST_DEVICE_ID);
    assert_int_equal(guest_read(&h->b, DOM, BASE + 0x208, 4), TEST_DEVICE_ID);
}

static void goes_on_after_a_restart(void **state)
{
    struct harness *h = *state;
    const char *const args[] = {"--domid=3", "--state", h->dir, NULL};

    assert_int_equal(backend_start(&h->b, args), 0);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    backend_stop(&h->b);
    assert_int_equal(backend_start(&h->b, args), 0);
    assert_true(guest_echo(&h->g));
}

/* What the successor maps before it gives up its rights it can still use, and unmap. */
static void grants_go_on_after_a_restart(void **state)
{
    struct harness *h = *state;
    const char *const args[] = {"--domid=3", "--state", h->dir, NULL};

    fake_store("backend/virtio/3/0/grant_usage", "1");
    assert_int_equal(backend_start(&h->b, args), 0);
    guest_init(&h->g, &h->b, DOM, BASE);
    drv_mem_init(&h->g.mem, fake_ram(DOM), FAKE_GRANT_BASE, FAKE_RAM_SIZE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    backend_stop(&h->b);
    assert_int_equal(backend_start(&h->b, args), 0);
    assert_true(guest_echo(&h->g));
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
    backend_stop(&h->b);
    assert_int_equal(fake_maps(), 0);
}

static const struct CMUnitTest tests[] = {
    UNIT(restricted_before_it_serves),
    UNIT(ends_with_its_guest),
    UNIT(fails_without_the_guest),
    UNIT(grants_and_restriction),
    UNIT(fails_without_grants),
    UNIT(fails_without_restriction),
    UNIT(placed_by_hand),
    UNIT(two_devices_of_one_guest),
    UNIT(goes_on_after_a_restart),
    UNIT(grants_go_on_after_a_restart),
};

ANYHV_TEST_MAIN("xen-domid", tests)

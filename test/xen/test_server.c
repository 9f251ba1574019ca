/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a guest's ioreq server up and down: in which order, and from wherever it went wrong. */
#include "xen/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNIT(name) cmocka_unit_test_setup_teardown(name, harness_begin, harness_end)

/* The calls that matter, in order; between them others may stand. */
static void assert_order(const char *calls, const char *const *order)
{
    const char *at = calls;

    for (; *order; order++) {
        const char *found = strstr(at, *order);

        if (!found)
            fail_msg("no '%s' where it belongs in: %s", *order, calls);
        at = found + strlen(*order);
    }
}

static void up_in_order(void **state)
{
    struct harness *h = *state;
    static const char *const order[] = {"devicemodel_open ",
                                        "foreignmemory_open ",
                                        "xs_open ",
                                        "evtchn_open ",
                                        "nr_vcpus ",
                                        "create ",
                                        "map_page ",
                                        "enable ",
                                        "bind ",
                                        "map_range ",
                                        "xs_write ",
                                        NULL};

    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    assert_order(fake_calls(), order);
    assert_string_equal(fake_stored("backend/virtio/3/0/state"), "2");
    assert_true(fake_claimed(DOM, BASE));
    assert_true(fake_claimed(DOM, BASE + 0x1ff)); /* ranges are inclusive */
    assert_false(fake_claimed(DOM, BASE + 0x200));
}

static void down_in_order(void **state)
{
    struct harness *h = *state;
    static const char *const order[] = {"unmap_range ", "disable ", "notify ", "evtchn_close ",
                                        "unmap_page ",  "destroy ", NULL};
    const struct fake_access last = {.addr = BASE, .count = 1, .size = 4, .type = 1, .read = true};
    uint64_t value;

    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    fake_trap(DOM, &last); /* one comes when nobody turns the loop any more */
    fake_calls();
    backend_stop(&h->b);
    assert_order(fake_calls(), order);
    assert_int_equal(fake_servers(DOM), 0);
    assert_string_equal(fake_stored("backend/virtio/3/0/state"), "6");
    (void)value;
}

/*
 * Each call that the way up makes fails once. What came before is undone, and the next look works.
 */
static void fails_at_every_step(void **state)
{
    struct harness *h = *state;
    static const char *const steps[] = {"evtchn_open", "nr_vcpus", "create",   "map_page",
                                        "enable",      "bind",     "map_range"};

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        print_message("# %s\n", steps[i]);
        assert_int_equal(backend_start(&h->b, NULL), 0);
        fake_fail(steps[i], 1, EIO);
        backend_turn(&h->b);
        assert_true(logged("Input/output error"));
        assert_int_equal(fake_servers(DOM), 0);
        assert_string_equal(fake_stored("backend/virtio/3/0/state"), "1");
        fake_store("backend/virtio/3/0/online", "1"); /* something happens in xenstore */
        backend_turn(&h->b);
        assert_true(fake_claimed(DOM, BASE));
        backend_stop(&h->b);
        fake_store("backend/virtio/3/0/state", "1");
    }
}

static void cannot_start(void **state)
{
    struct harness *h = *state;
    static const char *const steps[] = {"devicemodel_open", "foreignmemory_open", "xs_open",
                                        "xs_watch"};

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        fake_fail(steps[i], 1, EACCES);
        assert_true(backend_start(&h->b, NULL) < 0);
        assert_true(logged("Permission denied"));
        backend_stop(&h->b);
    }
}

static void says_what_is_behind(void **state)
{
    struct harness *h = *state;
    static const struct {
        int error;
        const char *hint;
    } hints[] = {{ENOSYS, "IOREQ_SERVER"}, {EPERM, "no right"}, {ENOSPC, "are taken"}};

    for (unsigned i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        assert_int_equal(backend_start(&h->b, NULL), 0);
        fake_fail("create", 1, hints[i].error);
        backend_turn(&h->b);
        assert_true(logged(hints[i].hint));
        backend_stop(&h->b);
    }
}

static void binds_every_vcpu(void **state)
{
    struct harness *h = *state;

    fake_vcpus(DOM, FAKE_VCPUS);
    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    assert_int_equal(fake_count("bind"), FAKE_VCPUS);
    for (unsigned v = 0; v < FAKE_VCPUS; v++) {
        const struct fake_access access = {
            .addr = BASE, .count = 1, .size = 4, .type = 1, .read = true, .vcpu = v};

        fake_trap(DOM, &access);
    }
    for (unsigned v = FAKE_VCPUS; v-- > 0;)
        assert_int_equal((uint32_t)guest_answer(&h->b, DOM, v), 0x74726976);
    /* One alone: nobody waits for the others. */
    assert_int_equal((uint32_t)guest_read(&h->b, DOM, BASE, 4), 0x74726976);
}

static void refuses_too_many_vcpus(void **state)
{
    struct harness *h = *state;

    fake_vcpus(DOM, 129);
    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    assert_true(logged("129 vCPUs"));
    assert_int_equal(fake_servers(DOM), 0);
}

static void one_server_for_all_devices(void **state)
{
    struct harness *h = *state;

    fake_node(DOM, 1, TEST_DEVICE_ID, BASE + 0x200, IRQ + 1);
    fake_node(DOM, 7, TEST_DEVICE_ID, BASE + 0x400, IRQ + 2);
    assert_int_equal(backend_start(&h->b, NULL), 0);
    backend_turn(&h->b);
    assert_int_equal(fake_servers(DOM), 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(guest_read(&h->b, DOM, BASE + 0x200 * i + 8, 4), TEST_DEVICE_ID);
}

static const struct CMUnitTest tests[] = {
    UNIT(up_in_order),
    UNIT(down_in_order),
    UNIT(fails_at_every_step),
    UNIT(cannot_start),
    UNIT(says_what_is_behind),
    UNIT(binds_every_vcpu),
    UNIT(refuses_too_many_vcpus),
    UNIT(one_server_for_all_devices),
};

ANYHV_TEST_MAIN("xen-server", tests)

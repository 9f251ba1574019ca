/* SPDX-License-Identifier: Apache-2.0 */
/* What xenstore says, and what it says wrongly. */
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
    return backend_start(&h->b, NULL);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, begin, harness_end)
#define NODE       "backend/virtio/3/0"

static void found_when_it_was_there_before(void **state)
{
    struct harness *h = *state;

    backend_turn(&h->b);
    assert_true(fake_claimed(DOM, BASE));
}

static void found_when_it_comes(void **state)
{
    struct harness *h = *state;

    backend_turn(&h->b);
    fake_domain(4);
    fake_node(4, 0, TEST_DEVICE_ID, BASE, IRQ);
    backend_turn(&h->b);
    assert_int_equal(guest_read(&h->b, 4, BASE, 4), 0x74726976);
    assert_int_equal(guest_read(&h->b, DOM, BASE, 4), 0x74726976);
}

/* 64: each key with each kind of nonsense. The message names the node and the value. */
static void malformed_64(void **state)
{
    struct harness *h = *state;
    static const struct {
        const char *key, *value, *says;
    } cases[] = {
        {"base", "", "'base' is ''"},
        {"base", "0x2000000 ", "'base' is '0x2000000 '"},
        {"base", " 0x2000000", "'base' is"},
        {"base", "-1", "'base' is '-1'"},
        {"base", "0x2000000~", "'base' cannot be read"},
        {"base", "0x2000010", "not a multiple of 0x200"},
        {"base", "0xffffffffffffff00", "'base' is"},
        {"base", "0x123456789abcdef01", "'base' is"},
        {"base", "0000000000000000000000000000000000000000000000000000000000000000001",
         "'base' cannot be read"},
        {"irq", "0", "'irq' is '0'"},
        {"irq", BAD_IRQ, "'irq' is '" BAD_IRQ "'"},
        {"irq", "1020", "'irq' is '1020'"},
        {"irq", "4294967329", "'irq' is"},
        {"irq", "x", "'irq' is 'x'"},
        {"frontend-id", "4", "'frontend-id' is 4"},
        {"frontend-id", "", "'frontend-id' is ''"},
        {"frontend-id", "32752", "'frontend-id' is '32752'"},
        {"frontend-id", "03", "'frontend-id' is '03'"},
        {"transport", "pci", "'transport' is 'pci'"},
        {"state", "5", ""},
        {"state", "6", ""},
        {"state", "0", "'state' is '0'"},
        {"state", "9", "'state' is '9'"},
        {"state", "two", "'state' is 'two'"},
        {"grant_usage", "2", "'grant_usage' is '2'"},
        {"grant_usage", "yes", "'grant_usage' is 'yes'"},
    };

    fake_store(NODE, NULL);
    backend_turn(&h->b);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[64];

        fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
        snprintf(path, sizeof(path), NODE "/%s", cases[i].key);
        fake_store(path, cases[i].value);
        backend_turn(&h->b);
        if (fake_servers(DOM))
            fail_msg("accepted: %s '%s'", cases[i].key, cases[i].value);
        assert_true(logged(cases[i].says));
        fake_store(NODE, NULL);
        backend_turn(&h->b);
    }
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    backend_turn(&h->b);
    assert_true(fake_claimed(DOM, BASE));
}

/* 64: a key that is missing may still come. */
static void missing_key_64(void **state)
{
    struct harness *h = *state;
    static const char *const keys[] = {"frontend-id", "transport", "base", "irq", "state"};

    fake_store(NODE, NULL);
    backend_turn(&h->b);
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[64], says[64];

        fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
        snprintf(path, sizeof(path), NODE "/%s", keys[i]);
        fake_store(path, NULL);
        backend_turn(&h->b);
        assert_int_equal(fake_servers(DOM), 0);
        snprintf(says, sizeof(says), "there is no '%s'", keys[i]);
        assert_true(logged(says));
        fake_store(NODE, NULL);
    }
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    fake_store(NODE "/base", NULL);
    backend_turn(&h->b);
    fake_store(NODE "/base", "0x2000000");
    backend_turn(&h->b);
    assert_true(fake_claimed(DOM, BASE));
}

static void of_another_kind(void **state)
{
    struct harness *h = *state;
    static const char *const types[] = {"virtio,device",
                                        "virtio,device4",
                                        "virtio,device3",
                                        "pci",
                                        "virtio,device3F",
                                        "virtio,device3f0",
                                        ""};

    fake_store(NODE, NULL);
    backend_turn(&h->b);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        fake_node(DOM, i, TEST_DEVICE_ID, BASE, IRQ);
        char path[64];

        snprintf(path, sizeof(path), "backend/virtio/3/%u/type", i);
        fake_store(path, types[i]);
    }
    fake_store("backend/virtio/3/x/type", "virtio,device3f");
    fake_store("backend/virtio/40000/0/type", "virtio,device3f");
    fake_store("backend/virtio/-1/0/type", "virtio,device3f");
    backend_turn(&h->b);
    assert_int_equal(fake_servers(DOM), 0);
    assert_null(h->b.server.instances);
}

static void windows_that_overlap(void **state)
{
    struct harness *h = *state;

    fake_node(DOM, 1, TEST_DEVICE_ID, BASE, IRQ + 1);
    backend_turn(&h->b);
    assert_true(logged("overlaps device 0"));
    assert_null(h->b.server.instances->next);
    assert_int_equal(guest_read(&h->b, DOM, BASE, 4), 0x74726976);
}

/* 64: the node goes away while its values are being read. */
static void removed_while_it_is_read_64(void **state)
{
    struct harness *h = *state;

    for (unsigned n = 1; n < 9; n++) {
        fake_fail("xs_read", n, ENOENT);
        backend_turn(&h->b);
        fake_store("backend/virtio/3/0/online", "1");
        backend_turn(&h->b);
        assert_true(fake_claimed(DOM, BASE));
        backend_stop(&h->b);
        fake_store(NODE "/state", "1");
        assert_int_equal(backend_start(&h->b, NULL), 0);
    }
}

/* 64: and while ours is being served. The guest is still there and needs its answers. */
static void removed_while_it_is_served_64(void **state)
{
    struct harness *h = *state;

    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    fake_store("backend/virtio/3", NULL);
    backend_turn(&h->b);
    assert_true(guest_echo(&h->g));
    backend_stop(&h->b);
    assert_null(fake_stored(NODE "/state")); /* we do not bring it back to life */
}

/* The toolstack wants the device back, and waits until it has it. */
static void closed_by_the_toolstack(void **state)
{
    struct harness *h = *state;

    fake_node(DOM, 1, TEST_DEVICE_ID, BASE + 0x200, IRQ + 1);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE + 0x200);
    guest_boot(&h->g);
    fake_store(NODE "/state", "5");
    backend_turn(&h->b);
    assert_string_equal(fake_stored(NODE "/state"), "6");
    assert_false(fake_claimed(DOM, BASE));
    assert_true(guest_echo(&h->g)); /* the other one */
    fake_store("backend/virtio/3/1/state", "5");
    backend_turn(&h->b);
    assert_int_equal(fake_servers(DOM), 0);
    assert_int_equal(fake_maps(), 0);
    fake_store(NODE "/state", "1"); /* and again */
    backend_turn(&h->b);
    assert_true(fake_claimed(DOM, BASE));
}

static void busy_transaction_is_repeated(void **state)
{
    struct harness *h = *state;

    fake_fail("xs_transaction_end", 1, EAGAIN);
    backend_turn(&h->b);
    assert_int_equal(fake_count("xs_transaction_end"), 2);
    assert_string_equal(fake_stored(NODE "/state"), "2");
}

static void failing_transaction_is_not(void **state)
{
    struct harness *h = *state;

    fake_fail("xs_transaction_start", 1, EIO);
    backend_turn(&h->b);
    assert_int_equal(fake_count("xs_transaction_start"), 1);
    assert_true(fake_claimed(DOM, BASE));
}

/* 65: the number of a guest that died is another's before we look. */
static void domid_used_again_65(void **state)
{
    struct harness *h = *state;

    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    fake_destroy(DOM);
    fake_domain(DOM);
    fake_store("/local/domain/3/vm", "/vm/another-uuid");
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    backend_turn(&h->b);
    assert_true(logged("is gone"));
    assert_int_equal(guest_read(&h->b, DOM, BASE + DRV_MMIO_STATUS, 4), 0);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

static void one_dies_the_other_goes_on(void **state)
{
    struct harness *h = *state;
    struct guest other;

    fake_domain(4);
    fake_node(4, 0, TEST_DEVICE_ID, BASE, IRQ);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_init(&other, &h->b, 4, BASE);
    guest_boot(&h->g);
    guest_boot(&other);
    assert_true(guest_echo(&h->g));
    assert_true(guest_echo(&other));
    fake_destroy(DOM);
    backend_turn(&h->b);
    assert_true(guest_echo(&other));
    assert_null(h->b.server.instances->next);
}

static void broken_store_ends_the_program(void **state)
{
    struct harness *h = *state;
    int code = 0;

    backend_turn(&h->b);
    fake_fail("xs_check_watch", 1, EBADF);
    fake_store("backend/virtio/3/0/online", "1");
    backend_turn(&h->b);
    assert_true(backend_over(&h->b, &code));
    assert_int_equal(code, 1);
}

static const struct CMUnitTest tests[] = {
    UNIT(found_when_it_was_there_before),
    UNIT(found_when_it_comes),
    UNIT(malformed_64),
    UNIT(missing_key_64),
    UNIT(of_another_kind),
    UNIT(windows_that_overlap),
    UNIT(removed_while_it_is_read_64),
    UNIT(removed_while_it_is_served_64),
    UNIT(closed_by_the_toolstack),
    UNIT(busy_transaction_is_repeated),
    UNIT(failing_transaction_is_not),
    UNIT(domid_used_again_65),
    UNIT(one_dies_the_other_goes_on),
    UNIT(broken_store_ends_the_program),
};

ANYHV_TEST_MAIN("xen-store", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One back end ends, another goes on: the guest notices nothing. That the first one ended by itself
 * or was killed makes no difference to what it leaves: the ioreq server, and the files.
 */
#include "xen/harness.h"

#include <anyhv/linux/state_file.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const *with_state(struct harness *h)
{
    static const char *args[3];

    args[0] = "--state";
    args[1] = h->dir;
    return args;
}

static int begin(void **state)
{
    struct harness *h;

    if (harness_begin(state))
        return -1;
    h = *state;
    assert_int_equal(backend_start(&h->b, with_state(h)), 0);
    backend_turn(&h->b);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    return 0;
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, begin, harness_end)

static void successor(struct harness *h)
{
    assert_int_equal(backend_start(&h->b, with_state(h)), 0);
    backend_turn(&h->b);
}

static void handed_over(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 5; i++) {
        assert_true(guest_echo(&h->g));
        backend_stop(&h->b);
        assert_int_equal(fake_servers(DOM), 1);
        assert_true(fake_claimed(DOM, BASE)); /* accesses wait */
        successor(h);
        assert_true(guest_echo(&h->g));
    }
    assert_int_equal(fake_count("create"), 1);
    assert_int_equal(fake_count("destroy"), 0);
}

/* X15: what waits in the slot is answered once, whatever the predecessor had done of it. */
static void slot_is_answered_once(void **state)
{
    struct harness *h = *state;

    for (uint8_t found = 1; found <= 3; found++) {
        const struct fake_access read = {
            .addr = BASE + 8, .count = 1, .size = 4, .type = 1, .read = true};
        uint8_t *slot = fake_slot(DOM, 0);
        unsigned notified;

        backend_stop(&h->b);
        fake_trap(DOM, &read);
        slot[30] = (uint8_t)((slot[30] & 0xf0) | found);
        if (found == 3)
            slot[8] = TEST_DEVICE_ID;
        notified = fake_count("notify");
        successor(h);
        assert_int_equal((uint32_t)guest_answer(&h->b, DOM, 0), TEST_DEVICE_ID);
        assert_int_equal(fake_count("notify"), notified + 1);
    }
    assert_true(guest_echo(&h->g));
}

/* A kick that nobody answered before the process ended. */
static void kick_between(void **state)
{
    struct harness *h = *state;
    struct fake_access kick = {.addr = BASE + DRV_MMIO_QUEUE_NOTIFY,
                               .data = TEST_QUEUE_A,
                               .count = 1,
                               .size = 4,
                               .type = 1};
    struct drv_buf bufs[2] = {{drv_alloc(&h->g.mem, TEST_HEADER, 16), TEST_HEADER},
                              {drv_alloc(&h->g.mem, 64, 16), 64}};
    struct drv_chain chain = {
        .out = bufs, .nout = 1, .in = &bufs[1], .nin = 1, .direct = DRV_DIRECT};
    uint32_t len;

    drv_poke32(&h->g.mem, bufs[0].addr, TEST_INFO);
    backend_stop(&h->b);
    assert_true(drv_ring_add(&h->g.ring, &chain) >= 0);
    drv_ring_publish(&h->g.ring);
    assert_int_equal(fake_trap(DOM, &kick), FAKE_STUCK);
    successor(h);
    guest_answer(&h->b, DOM, 0);
    assert_true(guest_take(&h->g, &len));
}

/* Requests in work are the successor's, each once. */
static void requests_in_work(void **state)
{
    struct harness *h = *state;
    uint64_t at = FAKE_RAM_BASE + 0x800000;
    unsigned answers = 0;
    uint32_t len;

    for (unsigned i = 0; i < 5; i++)
        guest_submit(&h->g, at + i * 512, at + 0x100000 + i * 512, 64, TEST_HOLD);
    assert_false(guest_take(&h->g, &len));
    backend_stop(&h->b);
    successor(h);
    assert_false(guest_take(&h->g, &len)); /* held again */
    guest_submit(&h->g, at, at + 0x200000, 0, TEST_RELEASE);
    while (guest_take(&h->g, &len))
        answers++;
    assert_int_equal(answers, 6);
    assert_true(guest_echo(&h->g));
}

/* Whether the line was down, or was left up: the guest sees it rise. */
static void interrupt_is_repeated(void **state)
{
    struct harness *h = *state;
    unsigned before;

    for (int up = 0; up < 2; up++) {
        assert_true(guest_echo(&h->g));
        if (!up)
            guest_write(&h->b, DOM, BASE + DRV_MMIO_INTERRUPT_ACK, 4, 1);
        assert_int_equal(fake_level(DOM, IRQ), up);
        before = fake_rises(DOM, IRQ);
        backend_stop(&h->b);
        successor(h);
        assert_true(fake_rises(DOM, IRQ) > before);
    }
}

/* In the middle of a set-up. */
static void half_set_up(void **state)
{
    struct harness *h = *state;

    h->g.mmio.transport.ops->reset(&h->g.mmio.transport);
    guest_write(&h->b, DOM, BASE + DRV_MMIO_QUEUE_SEL, 4, 1);
    guest_write(&h->b, DOM, BASE + DRV_MMIO_DEVICE_FEATURES_SEL, 4, 1);
    backend_stop(&h->b);
    successor(h);
    assert_int_equal(guest_read(&h->b, DOM, BASE + DRV_MMIO_DEVICE_FEATURES, 4) & 1, 1);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

static void files_go_with_the_guest(void **state)
{
    struct harness *h = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/test-3", h->dir);
    assert_int_equal(access(path, F_OK), 0);
    fake_destroy(DOM);
    backend_turn(&h->b);
    assert_int_equal(rmdir(h->dir), 0);
}

/* 65: the files are of a guest that is gone, the number is another's. */
static void files_of_another_guest_65(void **state)
{
    struct harness *h = *state;

    backend_stop(&h->b);
    fake_destroy(DOM);
    fake_domain(DOM);
    fake_store("/local/domain/3/vm", "/vm/another-uuid");
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    successor(h);
    assert_int_equal(fake_count("create"), 2);
    assert_int_equal(guest_read(&h->b, DOM, BASE + DRV_MMIO_STATUS, 4), 0);
}

/* The server that the file tells of is not there: a new one, and the device goes on. */
static void server_is_gone(void **state)
{
    struct harness *h = *state;

    backend_stop(&h->b);
    fake_fail("info", 1, ENOENT);
    successor(h);
    assert_int_equal(fake_count("create"), 2);
    assert_true(logged("of a predecessor"));
    assert_true(guest_echo(&h->g));
}

/* What a predecessor made is not destroyed because we cannot go on with it. */
static void failed_successor_leaves_it(void **state)
{
    struct harness *h = *state;
    static const char *const steps[] = {"map_page", "enable", "bind", "evtchn_open"};

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        backend_stop(&h->b);
        assert_int_equal(backend_start(&h->b, with_state(h)), 0);
        fake_fail(steps[i], 1, EIO);
        backend_turn(&h->b);
        assert_null(h->b.server.instances);
        assert_int_equal(fake_servers(DOM), 1);
        backend_stop(&h->b);
        successor(h);
        assert_true(guest_echo(&h->g));
    }
    assert_int_equal(fake_count("create"), 1);
}

static void scribbled_state_is_refused(void **state)
{
    struct harness *h = *state;
    char path[128];
    FILE *file;

    backend_stop(&h->b);
    snprintf(path, sizeof(path), "%s/test-3-2000000", h->dir);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 256, SEEK_SET), 0);
    for (int i = 0; i < 400; i++)
        fputc(0xa5, file);
    fclose(file);
    successor(h);
    assert_int_equal(guest_read(&h->b, DOM, BASE + DRV_MMIO_STATUS, 4), 0);
    guest_init(&h->g, &h->b, DOM, BASE);
    guest_boot(&h->g);
    assert_true(guest_echo(&h->g));
}

/* Where the state of the device should be, somebody has something else. */
static void somebodys_file_stays(void **state)
{
    struct harness *h = *state;
    char path[128], text[16] = "";
    FILE *file;

    backend_stop(&h->b);
    snprintf(path, sizeof(path), "%s/test-3-2000000", h->dir);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fputs("precious", file) >= 0, 1);
    fclose(file);
    successor(h);
    assert_true(logged("it is no state file"));
    assert_null(h->b.server.instances);
    file = fopen(path, "rb");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "precious");
    unlink(path);
}

static void two_processes_for_one_guest(void **state)
{
    struct harness *h = *state;
    char path[128];
    struct anyhv_state_file file;

    snprintf(path, sizeof(path), "%s/test-3", h->dir);
    assert_int_equal(anyhv_state_file_open(&file, path, "me", 4, NULL), ANYHV_E_STATE);
}

static const struct CMUnitTest tests[] = {
    UNIT(handed_over),
    UNIT(slot_is_answered_once),
    UNIT(kick_between),
    UNIT(requests_in_work),
    UNIT(interrupt_is_repeated),
    UNIT(half_set_up),
    UNIT(files_go_with_the_guest),
    UNIT(files_of_another_guest_65),
    UNIT(server_is_gone),
    UNIT(failed_successor_leaves_it),
    UNIT(scribbled_state_is_refused),
    UNIT(somebodys_file_stays),
    UNIT(two_processes_for_one_guest),
};

ANYHV_TEST_MAIN("xen-state", tests)

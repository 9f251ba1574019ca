/* SPDX-License-Identifier: Apache-2.0 */
/* A memory disk moves to another back-end program: its state is what is longest of all devices. */
#include "vhost-user/harness.h"
#include "vhost-user/moving.h"

#include <stdlib.h>
#include <string.h>

enum {
    T_IN = 0,
    T_OUT = 1,
    SECTOR = 512,
};

struct write {
    uint32_t type, zero;
    uint64_t sector;
    uint8_t bytes[SECTOR];
};

static void start_program(struct harness *h, const char *const *args)
{
    backend_exec(&h->b, PROGRAM, args);
    assert_true(fe_connect(&h->fe, h->b.path));
}

static int begin(void **state)
{
    struct harness *h = calloc(1, sizeof(*h));

    if (!h)
        return -1;
    fe_init(&h->fe);
    *state = h;
    return 0;
}

/* Near the end of a disk of 16 MiB. */
static const struct write something = {.type = T_OUT, .sector = 30000, .bytes = "not to be lost"};

static void write_something(struct harness *h)
{
    uint8_t *status;

    assert_true(fe_submit(&h->fe, 0, &something, sizeof(something), 1, &status) >= 0);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, 1);
    assert_int_equal(*status, 0);
}

static void read_it_back(struct harness *h)
{
    struct write header = {.type = T_IN, .sector = something.sector};
    uint8_t *bytes;

    assert_true(fe_submit(&h->fe, 0, &header, 16, SECTOR + 1, &bytes) >= 0);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, SECTOR + 1);
    assert_memory_equal(bytes, something.bytes, SECTOR);
    assert_int_equal(bytes[SECTOR], 0);
}

/* As it is without options. */
TEST(default_disk_moves)
{
    const size_t cap = (size_t)17 << 20;
    uint8_t *state = malloc(cap);
    uint32_t base;
    long len;

    start_program(h, NULL);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    write_something(h);
    OK(fe_get_base(&h->fe, 0, &base));
    len = fe_state_save(&h->fe, state, cap);
    assert_true(len > 16 << 20);
    fe_disconnect(&h->fe);
    assert_int_equal(backend_stop(&h->b), 0);

    start_program(h, NULL);
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_state_load(&h->fe, state, (size_t)len));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    assert_true(fe_memory_send(&h->fe));
    assert_true(fe_ring_send(&h->fe, 0, base));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    read_it_back(h);
    free(state);
}

/* There is an end to it, and a reason. */
TEST(disk_that_is_too_long_does_not)
{
    static const char *const args[] = {"--size=64M", NULL};
    uint8_t byte;

    start_program(h, args);
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    assert_int_equal(fe_state_save(&h->fe, &byte, 1), -1);
    assert_true(backend_logged(&h->b, "bytes, more than 67108864"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(default_disk_moves, begin, harness_end),
    cmocka_unit_test_setup_teardown(disk_that_is_too_long_does_not, begin, harness_end),
};

HARNESS_MAIN("vhost-user disk", tests)

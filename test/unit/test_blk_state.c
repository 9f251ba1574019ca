/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that moves: what is saved, and what is not believed when it is loaded. */
#include "blk_bench.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT (BENCH_SECTORS * 512u)

/* Saves the device; the device's own part begins at *own. */
static uint8_t *save(struct blk_bench *b, size_t *len, size_t *own)
{
    size_t content = b->blk.store->content ? CONTENT : 0;
    uint8_t *bytes;

    assert_int_equal(anyhv_dev_save(b->dev, NULL, 0, len), ANYHV_E_NORES);
    bytes = malloc(*len);
    assert_int_equal(anyhv_dev_save(b->dev, bytes, *len, len), ANYHV_OK);
    *own = *len - ANYHV_BLK_STATE_LEN - content;
    return bytes;
}

/* A successor that nobody has talked to yet. */
static void fresh(struct blk_bench *b)
{
    assert_true(b->mmio.transport.ops->reset(&b->mmio.transport));
}

static int load(struct blk_bench *b, const uint8_t *bytes, size_t len)
{
    fresh(b);
    return anyhv_dev_load(b->dev, bytes, len, true);
}

static void a_disk_in_memory_takes_its_content_along(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .sector = 17, .in = 1024};
    size_t len, own;
    uint8_t *bytes;

    b->store.mem.store.content = b->disk;
    bench_up(b, NULL);
    bench_fill(b, 17, 1024);
    bytes = save(b, &len, &own);
    memset(b->disk, 0x77, CONTENT);
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    bench_on_disk(b, 17, 1024);
    bench_zeroes_on_disk(b, 0, 17 * 512);
    assert_int_equal(bench_do(b, &r), OK); /* the driver goes on as if nothing had been */
    bench_in_data(b, &r);
    free(bytes);
}

static void a_shared_disk_stays_where_it_is(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = IN, .sector = 17, .in = 512};
    size_t len, own;
    uint8_t *bytes;

    bench_up(b, NULL);
    bytes = save(b, &len, &own);
    bench_fill(b, 17, 512);
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    assert_int_equal(bench_do(b, &r), OK);
    bench_in_data(b, &r);
    free(bytes);
}

/* A queue whose requests wait saves them as not taken; the successor does them. */
static void requests_that_waited_are_done_by_the_successor(void **state)
{
    struct blk_bench *b = *state;
    struct bench_request r = {.type = OUT, .sector = 3, .out = 512};
    size_t len, own;
    uint8_t *bytes;

    bench_up(b, NULL);
    b->store.keep = true;
    bench_prepare(b, &r);
    bench_send(b, &r);
    assert_int_equal(anyhv_ctl_quiesce(b->dev), ANYHV_OK);
    bytes = save(b, &len, &own);
    anyhv_ctl_resume(b->dev);
    b->store.keep = false;
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    bench_run(b);
    bench_expect(b, &r, 1);
    bench_on_disk(b, 3, 512);
    free(bytes);
}

static void another_disk_is_refused(void **state)
{
    struct blk_bench *b = *state;
    size_t len, own;
    uint8_t *bytes;

    bench_up(b, NULL);
    bytes = save(b, &len, &own);
    bench_up(b, &(struct bench_options){.serial = "another"});
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    b->store.mem.store.sectors--;
    bench_up(b, NULL);
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    b->store.mem.store.sectors++;
    b->store.mem.store.content = b->disk;
    bench_up(b, NULL);
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    b->store.mem.store.content = NULL;
    bench_up(b, NULL);
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    free(bytes);
}

/* A guest that believes it can write is not given a disk where it cannot. */
static void a_disk_that_became_read_only_is_refused(void **state)
{
    struct blk_bench *b = *state;
    const uint64_t features = F_FLUSH; /* nothing that the other does not offer */
    size_t len, own;
    uint8_t *bytes;

    bench_up(b, &(struct bench_options){.features = features});
    bytes = save(b, &len, &own);
    bench_up(b, &(struct bench_options){.features = features, .read_only = true});
    assert_int_equal(load(b, bytes, len), ANYHV_E_INVAL);
    free(bytes);
}

/* Nothing on the disk changes before all of the description has been believed. */
static void every_bit_of_the_description_counts(void **state)
{
    struct blk_bench *b = *state;
    size_t len, own;
    uint8_t *bytes;

    b->store.mem.store.content = b->disk;
    bench_up(b, NULL);
    bytes = save(b, &len, &own);
    memset(bytes + own + ANYHV_BLK_STATE_LEN, 0x99, CONTENT);
    for (unsigned bit = 0; bit < ANYHV_BLK_STATE_LEN * 8; bit++) {
        int want = bit < 16 ? ANYHV_E_VERSION : ANYHV_E_INVAL;

        bytes[own + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(load(b, bytes, len), want);
        bytes[own + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bench_zeroes_on_disk(b, 0, CONTENT);
    assert_int_equal(load(b, bytes, len), ANYHV_OK);
    assert_int_equal(b->disk[CONTENT - 1], 0x99);
    free(bytes);
}

/* The core's header says how long the whole is, so it is made to agree with the lie. */
static void set_total(uint8_t *bytes, size_t len)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[12 + i] = (uint8_t)(len >> (8 * i));
}

static void every_length_but_the_right_one_is_refused(void **state)
{
    struct blk_bench *b = *state;
    uint8_t longer[512];
    size_t len, own;
    uint8_t *bytes;

    bench_up(b, NULL);
    bytes = save(b, &len, &own);
    assert_int_equal(len, own + ANYHV_BLK_STATE_LEN);
    memset(longer, 0, sizeof(longer));
    memcpy(longer, bytes, len);
    for (size_t n = own; n < len + 100; n++) {
        uint8_t *exact = malloc(n); /* a look beyond the end is seen */

        memcpy(exact, longer, n);
        set_total(exact, n);
        assert_int_equal(load(b, exact, n), n < own + 2 ? ANYHV_E_VERSION
                                            : n == len  ? ANYHV_OK
                                                        : ANYHV_E_INVAL);
        free(exact);
    }
    free(bytes);
}

static void content_that_is_not_whole_is_refused(void **state)
{
    struct blk_bench *b = *state;
    size_t len, own;
    uint8_t *bytes;

    b->store.mem.store.content = b->disk;
    bench_up(b, NULL);
    bytes = save(b, &len, &own);
    memset(bytes + own + ANYHV_BLK_STATE_LEN, 0x99, CONTENT);
    for (size_t cut = 1; cut <= CONTENT; cut *= 2) {
        set_total(bytes, len - cut);
        assert_int_equal(load(b, bytes, len - cut), ANYHV_E_INVAL);
    }
    bench_zeroes_on_disk(b, 0, CONTENT);
    free(bytes);
}

/* A disk that is longer than a saved state can be says so. */
static void too_much_content_is_not_saved(void **state)
{
    struct blk_bench *b = *state;
    uint8_t buf[512];
    size_t len;

    if (sizeof(size_t) == 4)
        skip();
    b->store.mem.store.content = b->disk;
    b->store.mem.store.sectors = (UINT64_C(4) << 30) / 512;
    bench_up(b, NULL);
    assert_int_equal(anyhv_dev_save(b->dev, buf, sizeof(buf), &len), ANYHV_E_NORES);
    assert_true(len > UINT64_C(4) << 30);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_disk_in_memory_takes_its_content_along),
    BENCH_TEST(a_shared_disk_stays_where_it_is),
    BENCH_TEST(requests_that_waited_are_done_by_the_successor),
    BENCH_TEST(another_disk_is_refused),
    BENCH_TEST(a_disk_that_became_read_only_is_refused),
    BENCH_TEST(every_bit_of_the_description_counts),
    BENCH_TEST(every_length_but_the_right_one_is_refused),
    BENCH_TEST(content_that_is_not_whole_is_refused),
    BENCH_TEST(too_much_content_is_not_saved),
};

ANYHV_TEST_MAIN("blk, state", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy model over the loopback guest, with a source that is dry, slow or broken on command.
 */
#include "testing.h"

#include "devices/rng/rng_record.h"
#include "driver/driver.h"
#include <anyhv/devices/rng.h>
#include <anyhv/loopback.h>
#include <stdlib.h>
#include <string.h>

#define BASE UINT64_C(0x80000000)
#define RAM  (UINT64_C(1) << 20)

/* Hands out 1, 2, 3 ... as long as `left` lasts, then `at_end`. */
struct fake_source {
    struct anyhv_rng_source source;
    uint64_t left, reads;
    uint8_t next;
    int at_end;
    uint32_t most; /* per read; 0: no limit */
};

static int fake_read(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct fake_source *fake = (struct fake_source *)source;

    fake->reads++;
    if (fake->left == 0)
        return fake->at_end;
    if (len > fake->left)
        len = (uint32_t)fake->left;
    if (fake->most && len > fake->most)
        len = fake->most;
    for (uint32_t i = 0; i < len; i++)
        buf[i] = ++fake->next;
    fake->left -= len;
    return (int)len;
}

struct bench {
    struct fake_source fake;
    struct anyhv_rng rng;
    struct anyhv_loopback lb;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[16];
    uint8_t *ram;
    void *storage, *state;
};

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void negotiate(struct bench *b)
{
    struct drv_ring_config config = {.size = 16, .slots = b->slots};

    assert_true(drv_negotiate(&b->mmio.transport, 0));
    assert_true(drv_ring_init(&b->ring, &b->mem, &config));
    assert_true(drv_queue_setup(&b->mmio.transport, 0, &b->ring));
    drv_ready(&b->mmio.transport);
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct anyhv_attach how = {.ops = &anyhv_rng_ops, .priv = &b->rng};
    struct anyhv_loopback_options options = {.base = BASE, .ram_size = RAM};

    b->fake.source.read = fake_read;
    how.storage_size = anyhv_storage_size(how.ops, NULL);
    how.storage = b->storage = malloc(how.storage_size);
    how.state_size = ANYHV_STATE_SIZE(1, 0);
    how.state = b->state = malloc(how.state_size);
    options.ram = b->ram = aligned_alloc(4096, RAM);
    memset(b->ram, 0, RAM);
    anyhv_rng_init(&b->rng, anyhv_loopback_dev(&b->lb), &b->fake.source);
    assert_int_equal(anyhv_loopback_attach(&b->lb, &options, &how), ANYHV_OK);
    drv_mem_init(&b->mem, b->ram, BASE, RAM);
    drv_mmio_init(&b->mmio, access_register, &b->lb);
    assert_int_equal(drv_mmio_probe(&b->mmio), 4);
    negotiate(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    anyhv_loopback_detach(&b->lb);
    anyhv_rng_fini(&b->rng);
    free(b->storage);
    free(b->state);
    free(b->ram);
    free(b);
    return 0;
}

static uint64_t ask(struct bench *b, uint32_t len)
{
    uint64_t addr = drv_alloc(&b->mem, len, 1);
    struct drv_buf in = {addr, len};
    struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = addr};

    assert_true(addr != DRV_NO_ADDR);
    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    drv_ring_publish(&b->ring);
    drv_kick(&b->mmio.transport, 0, &b->ring);
    anyhv_loopback_run(&b->lb, 64);
    return addr;
}

static void expect_answer(struct bench *b, uint64_t token, uint32_t len)
{
    struct drv_used used;

    assert_true(drv_ring_get(&b->ring, &used));
    assert_int_equal(used.token, token);
    assert_int_equal(used.len, len);
}

static void expect_none(struct bench *b)
{
    struct drv_used used;

    assert_false(drv_ring_get(&b->ring, &used));
}

/*
 * 5.4: one queue, no feature bits of its own (0 to 23, 50 and up), no configuration space.
 * Proves RNG-LAYOUT.
 */
static void looks_as_section_5_4_says(void **state)
{
    const uint64_t of_the_type = (DRV_F(24) - 1) | ~(DRV_F(50) - 1);
    struct bench *b = *state;
    struct drv_transport *t = &b->mmio.transport;
    uint8_t byte;

    assert_int_equal(drv_mmio_read(&b->mmio, DRV_MMIO_DEVICE_ID), 4);
    assert_int_not_equal(t->ops->queue_max(t, 0), 0);
    assert_int_equal(t->ops->queue_max(t, 1), 0);
    assert_int_equal(t->ops->offered(t) & of_the_type, 0);
    assert_false(t->ops->config_read(t, 0, &byte, 1));
}

/* Proves RNG-BYTES. */
static void fills_a_buffer_with_the_sources_bytes(void **state)
{
    struct bench *b = *state;
    uint64_t at;

    b->fake.left = 1000;
    at = ask(b, 300);
    expect_answer(b, at, 300);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(drv_peek8(&b->mem, at + i), (uint8_t)(i + 1));
    assert_int_equal(b->fake.left, 700);
}

/* Proves RNG-SHORT. */
static void answers_short_rather_than_waiting(void **state)
{
    struct bench *b = *state;

    b->fake.left = 5;
    expect_answer(b, ask(b, 64), 5);
}

static void gathers_small_reads(void **state)
{
    struct bench *b = *state;

    b->fake.left = 1000;
    b->fake.most = 3;
    expect_answer(b, ask(b, 64), 64);
}

/* Proves RNG-BYTES. */
static void holds_until_there_is_a_byte_and_keeps_order(void **state)
{
    struct bench *b = *state;
    uint64_t first = ask(b, 4), second = ask(b, 4), third = ask(b, 4);

    expect_none(b);
    assert_int_equal(anyhv_ctl_counters(&b->lb.mmio.dev, 0)->held, 3);
    b->fake.left = 6;
    anyhv_rng_ready(&b->fake.source);
    anyhv_loopback_run(&b->lb, 64);
    expect_answer(b, first, 4);
    expect_answer(b, second, 2);
    expect_none(b);
    b->fake.left = 4;
    anyhv_rng_ready(&b->fake.source);
    anyhv_loopback_run(&b->lb, 64);
    expect_answer(b, third, 4);
    assert_int_equal(drv_peek8(&b->mem, third), 7);
}

static void a_new_request_never_overtakes_a_held_one(void **state)
{
    struct bench *b = *state;
    uint64_t first = ask(b, 4), second;

    b->fake.left = 4; /* but nobody said so: the next request finds out */
    second = ask(b, 4);
    expect_answer(b, first, 4);
    expect_none(b);
    b->fake.left = 4;
    anyhv_rng_ready(&b->fake.source);
    anyhv_loopback_run(&b->lb, 64);
    expect_answer(b, second, 4);
}

static void a_huge_buffer_gets_a_bounded_fill(void **state)
{
    struct bench *b = *state;

    b->fake.left = UINT64_MAX;
    expect_answer(b, ask(b, 512 * 1024), 64 * 1024);
    assert_true(b->fake.reads <= 256);
}

static void a_buffer_without_writable_bytes_is_rejected_alone(void **state)
{
    struct bench *b = *state;
    uint64_t addr = drv_alloc(&b->mem, 16, 1);
    struct drv_buf out = {addr, 16};
    struct drv_chain chain = {.out = &out, .nout = 1, .direct = DRV_DIRECT, .token = 1};

    b->fake.left = 100;
    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    expect_answer(b, (ask(b, 8), 1), 0);
    assert_int_equal(b->lb.mmio.dev.violations[ANYHV_V_DEVICE_REJECT], 1);
    assert_int_equal(b->fake.left, 92);
}

static void a_dead_source_shows_needs_reset(void **state)
{
    struct bench *b = *state;

    b->fake.at_end = ANYHV_E_IO;
    expect_answer(b, ask(b, 8), 0);
    assert_true(anyhv_ctl_status(&b->lb.mmio.dev) & ANYHV_S_NEEDS_RESET);
}

static void a_reset_forgets_who_waits(void **state)
{
    struct bench *b = *state;
    uint64_t at;

    ask(b, 8);
    assert_non_null(b->fake.source.waiting);
    assert_true(b->mmio.transport.ops->reset(&b->mmio.transport));
    assert_null(b->fake.source.waiting);
    b->fake.left = 100;
    anyhv_rng_ready(&b->fake.source);
    assert_int_equal(b->fake.left, 100); /* nobody took bytes for a request that is gone */
    negotiate(b);
    at = ask(b, 8);
    expect_answer(b, at, 8);
    assert_int_equal(drv_peek8(&b->mem, at), 1);
}

static void a_stop_gives_held_buffers_back_to_the_ring(void **state)
{
    struct bench *b = *state;
    uint64_t first, second;
    uint32_t base = 99;

    b->fake.left = 4;
    expect_answer(b, ask(b, 4), 4);
    first = ask(b, 4);
    second = ask(b, 4);
    assert_int_equal(anyhv_ctl_quiesce(&b->lb.mmio.dev), ANYHV_OK);
    assert_int_equal(anyhv_ctl_counters(&b->lb.mmio.dev, 0)->returned, 2);
    expect_none(b);
    b->fake.left = 8;
    anyhv_ctl_resume(&b->lb.mmio.dev);
    anyhv_loopback_run(&b->lb, 64);
    expect_answer(b, first, 4);
    expect_answer(b, second, 4);
    assert_int_equal(anyhv_ctl_queue_stop(&b->lb.mmio.dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, 3);
}

static void simulated_records_prove_themselves(void **state)
{
    uint8_t bytes[RNG_RECORD_SIZE * 3];
    struct anyhv_rng_sim sim;
    uint64_t index;

    (void)state;
    anyhv_rng_sim_init(&sim, 42);
    for (unsigned at = 0; at < sizeof(bytes); at += 24) /* cut anywhere */
        assert_int_equal(sim.source.read(&sim.source, bytes + at, 24), 24);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(rng_record_check(bytes + i * RNG_RECORD_SIZE, 42, &index));
        assert_int_equal(index, i);
        assert_false(rng_record_check(bytes + i * RNG_RECORD_SIZE, 43, &index));
    }
    for (unsigned bit = 0; bit < RNG_RECORD_SIZE * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(rng_record_check(bytes, 42, &index));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(looks_as_section_5_4_says),
    TEST(fills_a_buffer_with_the_sources_bytes),
    TEST(answers_short_rather_than_waiting),
    TEST(gathers_small_reads),
    TEST(holds_until_there_is_a_byte_and_keeps_order),
    TEST(a_new_request_never_overtakes_a_held_one),
    TEST(a_huge_buffer_gets_a_bounded_fill),
    TEST(a_buffer_without_writable_bytes_is_rejected_alone),
    TEST(a_dead_source_shows_needs_reset),
    TEST(a_reset_forgets_who_waits),
    TEST(a_stop_gives_held_buffers_back_to_the_ring),
    cmocka_unit_test(simulated_records_prove_themselves),
};

ANYHV_TEST_MAIN("rng", tests)

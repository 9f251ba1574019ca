/* SPDX-License-Identifier: Apache-2.0 */
/* Case 86: requests that a hostile driver sends to the entropy device. */
#include <stdlib.h>
#include <string.h>

#include <anyhv/devices/rng.h>
#include <anyhv/loopback.h>

#include "devices/rng/rng_record.h"
#include "driver/driver.h"
#include "testing.h"

enum {
    RAM = 4 << 20,
    SIZE = 64,
    SEED = 42,
};
#define BASE UINT64_C(0x80000000)

/* A source that says what the test wants it to say; the simulated one behind it. */
struct moody {
    struct anyhv_rng_source source;
    struct anyhv_rng_sim sim;
    int says; /* 1: bytes, 0: none just now, negative: broken */
    uint32_t at_most;
    uint64_t asked;
};

struct rig {
    struct anyhv_loopback lb;
    struct anyhv_rng rng;
    struct moody moody;
    struct drv_mem mem;
    struct drv_mmio mmio;
    struct drv_ring ring;
    struct drv_slot slots[SIZE];
    uint8_t *ram;
    void *storage, *state;
};

static int moody_read(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct moody *moody = (struct moody *)(void *)source;

    moody->asked++;
    if (moody->says <= 0)
        return moody->says;
    if (moody->at_most && len > moody->at_most)
        len = moody->at_most;
    return moody->sim.source.read(&moody->sim.source, buf, len);
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void connect(struct rig *r)
{
    struct drv_ring_config config = {.size = SIZE, .slots = r->slots};

    assert_true(drv_negotiate(&r->mmio.transport, 0));
    r->mem.used = 0;
    assert_true(drv_ring_init(&r->ring, &r->mem, &config));
    assert_true(drv_queue_setup(&r->mmio.transport, 0, &r->ring));
    drv_ready(&r->mmio.transport);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct anyhv_loopback_options options = {.base = BASE, .ram_size = RAM};
    struct anyhv_attach attach = {.ops = &anyhv_rng_ops};

    assert_non_null(r);
    r->moody.source.read = moody_read;
    r->moody.says = 1;
    anyhv_rng_sim_init(&r->moody.sim, SEED);
    attach.priv = &r->rng;
    attach.storage_size = anyhv_storage_size(&anyhv_rng_ops, &attach.limits);
    attach.storage = r->storage = malloc(attach.storage_size);
    attach.state_size = ANYHV_STATE_SIZE(1, 0);
    attach.state = r->state = calloc(1, attach.state_size);
    options.ram = r->ram = aligned_alloc(4096, RAM);
    assert_non_null(r->ram);
    memset(r->ram, 0, RAM);
    anyhv_rng_init(&r->rng, anyhv_loopback_dev(&r->lb), &r->moody.source);
    assert_int_equal(anyhv_loopback_attach(&r->lb, &options, &attach), ANYHV_OK);
    drv_mem_init(&r->mem, r->ram, BASE, RAM);
    drv_mmio_init(&r->mmio, access_register, &r->lb);
    assert_int_equal(drv_mmio_probe(&r->mmio), 4);
    connect(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    anyhv_rng_fini(&r->rng);
    anyhv_loopback_detach(&r->lb);
    free(r->storage);
    free(r->state);
    free(r->ram);
    free(r);
    return 0;
}

static void send(struct rig *r, uint64_t out, uint32_t out_len, uint64_t in, uint32_t in_len)
{
    struct drv_buf readable = {out, out_len}, writable = {in, in_len};
    struct drv_chain chain = {.out = &readable,
                              .nout = out_len != 0,
                              .in = &writable,
                              .nin = in != 0,
                              .direct = DRV_DIRECT};

    assert_true(drv_ring_add(&r->ring, &chain) >= 0);
    drv_submit(&r->mmio.transport, 0, &r->ring);
    anyhv_loopback_run(&r->lb, 100);
}

static uint32_t answer(struct rig *r)
{
    struct drv_used used;

    assert_true(drv_ring_get(&r->ring, &used));
    return used.len;
}

static void waits(struct rig *r)
{
    struct drv_used used;

    assert_false(drv_ring_get(&r->ring, &used));
}

static void record_at(struct rig *r, uint64_t addr)
{
    uint64_t index;

    assert_true(rng_record_check(drv_ptr(&r->mem, addr, RNG_RECORD_SIZE), SEED, &index));
}

static void alive(struct rig *r)
{
    uint64_t room = drv_alloc(&r->mem, 64, 64);

    send(r, 0, 0, room, 64);
    assert_int_equal(answer(r), 64);
    for (uint64_t i = 0; i < 64; i++) {
        if (drv_peek8(&r->mem, room + i))
            return;
    }
    fail();
}

/* A buffer of megabytes must not keep the loop busy; what was written is what is reported. */
static void huge_buffer(void **state)
{
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 2 << 20, 64);
    uint32_t len;

    send(r, 0, 0, room, 2 << 20);
    len = answer(r);
    assert_in_range(len, 64, 1 << 17);
    record_at(r, room);
    record_at(r, room + len / 64 * 64 - 64);
    for (uint64_t i = len; i < 2 << 20; i++)
        assert_int_equal(drv_peek8(&r->mem, room + i), 0);
    assert_in_range(r->moody.asked, 1, 1 << 13);
    alive(r);
}

static void lengths_outside_memory(void **state)
{
    static const uint32_t lens[] = {0x80000000, 0xfffffff0, 0xffffffff, RAM};
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 64, 64);

    for (unsigned i = 0; i < 4; i++) {
        send(r, 0, 0, room, lens[i]);
        assert_int_equal(answer(r), 0);
        assert_int_equal(anyhv_loopback_dev(&r->lb)->violations[ANYHV_V_BAD_ADDRESS], i + 1);
    }
    assert_int_equal(r->moody.asked, 0);
    assert_int_equal(drv_peek64(&r->mem, room), 0);
    alive(r);
}

static void nothing_writable(void **state)
{
    struct rig *r = *state;
    uint64_t out = drv_alloc(&r->mem, 64, 64);

    send(r, out, 64, 0, 0);
    assert_int_equal(answer(r), 0);
    send(r, 0, 0, out, 0);
    assert_int_equal(answer(r), 0);
    assert_int_equal(r->moody.asked, 0);
    alive(r);
}

/* A readable part has no meaning here; it is not touched. */
static void readable_part(void **state)
{
    struct rig *r = *state;
    uint64_t out = drv_alloc(&r->mem, 64, 64), in = drv_alloc(&r->mem, 64, 64);

    memset(drv_ptr(&r->mem, out, 64), 0x77, 64);
    send(r, out, 64, in, 64);
    assert_int_equal(answer(r), 64);
    record_at(r, in);
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(drv_peek8(&r->mem, out + i), 0x77);
}

/* A buffer of one byte each time, and a source that gives a byte at a time. Proves RNG-BYTES. */
static void single_bytes(void **state)
{
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 256, 64);

    r->moody.at_most = 1;
    for (uint64_t i = 0; i < 64; i++) {
        send(r, 0, 0, room + i, 1);
        assert_int_equal(answer(r), 1);
    }
    record_at(r, room);
    send(r, 0, 0, room, 200);
    assert_in_range(answer(r), 1, 200);
    alive(r);
}

/* A dry source: requests wait, as many as there are; a reset forgets them. */
static void dry_source(void **state)
{
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 64 * 64, 64);

    r->moody.says = 0;
    for (unsigned i = 0; i < SIZE; i++)
        send(r, 0, 0, room + 64 * i, 64);
    waits(r);
    r->moody.says = 1;
    anyhv_rng_ready(&r->moody.source);
    anyhv_loopback_run(&r->lb, 100);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(answer(r), 64);
    for (unsigned i = 0; i < SIZE; i++)
        record_at(r, room + 64 * i);

    r->moody.says = 0;
    memset(drv_ptr(&r->mem, room, 64), 0, 64);
    send(r, 0, 0, room, 64);
    assert_true(r->mmio.transport.ops->reset(&r->mmio.transport));
    r->moody.says = 1;
    anyhv_rng_ready(&r->moody.source);
    anyhv_loopback_run(&r->lb, 100);
    assert_int_equal(drv_peek64(&r->mem, room), 0);
    connect(r);
    alive(r);
}

/* Requests that wait while the driver kicks like mad: the source is not asked for ever. */
static void kicks_while_dry(void **state)
{
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 64, 64), asked;

    r->moody.says = 0;
    send(r, 0, 0, room, 64);
    asked = r->moody.asked;
    for (unsigned i = 0; i < 1000; i++) {
        drv_kick(&r->mmio.transport, 0, &r->ring);
        anyhv_loopback_run(&r->lb, 100);
    }
    assert_in_range(r->moody.asked - asked, 0, 1000);
    r->moody.says = 1;
    anyhv_rng_ready(&r->moody.source);
    anyhv_loopback_run(&r->lb, 100);
    assert_int_equal(answer(r), 64);
}

/* The host's own failure is not the guest's fault, and shows. */
static void broken_source(void **state)
{
    struct rig *r = *state;
    uint64_t room = drv_alloc(&r->mem, 64, 64);

    r->moody.says = ANYHV_E_IO;
    send(r, 0, 0, room, 64);
    assert_true(r->mmio.transport.ops->status(&r->mmio.transport) & DRV_S_NEEDS_RESET);
    assert_int_equal(drv_peek64(&r->mem, room), 0);
    r->moody.says = 1;
    connect(r);
    assert_false(r->mmio.transport.ops->status(&r->mmio.transport) & DRV_S_NEEDS_RESET);
    alive(r);
}

#define RNG_TEST(function, test_name)                                      \
    {                                                                      \
        .name = (test_name), .test_func = (function), .setup_func = setup, \
        .teardown_func = teardown                                          \
    }

static const struct CMUnitTest tests[] = {
    RNG_TEST(huge_buffer, "rng/huge_buffer.case-86"),
    RNG_TEST(lengths_outside_memory, "rng/lengths_outside_memory.case-86"),
    RNG_TEST(nothing_writable, "rng/nothing_writable.case-86"),
    RNG_TEST(readable_part, "rng/readable_part.case-86"),
    RNG_TEST(single_bytes, "rng/single_bytes.case-86"),
    RNG_TEST(dry_source, "rng/dry_source.case-86"),
    RNG_TEST(kicks_while_dry, "rng/kicks_while_dry.case-86"),
    RNG_TEST(broken_source, "rng/broken_source.case-86"),
};

ANYHV_TEST_MAIN("rng-hostile", tests)

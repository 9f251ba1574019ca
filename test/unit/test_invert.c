/* SPDX-License-Identifier: Apache-2.0 */
/* The device of docs/writing-a-device.md, and the shortest way to test a device. */
#include "testing.h"

#include "driver/driver.h"
#include "examples/01-hello-device/invert.h"
#include <anyhv/loopback.h>

#define BASE UINT64_C(0x40000000)

static _Alignas(4096) uint8_t ram[1 << 18];
static uint8_t storage[ANYHV_STORAGE_SIZE(1, 4, 8, 0)];
static _Alignas(8) uint8_t block[ANYHV_STATE_SIZE(1, 0)];
static struct anyhv_loopback guest;

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void every_bit_is_turned(void **state)
{
    const struct anyhv_loopback_options machine = {
        .base = BASE, .ram = ram, .ram_size = sizeof(ram)};
    const struct anyhv_attach how = {.ops = &invert_ops,
                                     .storage = storage,
                                     .storage_size = sizeof(storage),
                                     .limits = {.requests = 4, .segs = 8},
                                     .state = block,
                                     .state_size = sizeof(block)};
    static struct drv_slot slots[16];
    struct drv_ring_config config = {.size = 16, .slots = slots};
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_used used;
    struct drv_buf out, in;

    (void)state;
    assert_int_equal(anyhv_loopback_attach(&guest, &machine, &how), ANYHV_OK);
    drv_mem_init(&mem, ram, BASE, sizeof(ram));
    drv_mmio_init(&mmio, access_register, &guest);
    assert_int_equal(drv_mmio_probe(&mmio), 63);
    assert_true(drv_negotiate(&mmio.transport, 0) && drv_ring_init(&ring, &mem, &config) &&
                drv_queue_setup(&mmio.transport, 0, &ring));
    drv_ready(&mmio.transport);

    out = (struct drv_buf){drv_alloc(&mem, 100, 1), 100};
    in = (struct drv_buf){drv_alloc(&mem, 70, 1), 70};
    for (uint64_t i = 0; i < 100; i++)
        drv_poke8(&mem, out.addr + i, (uint8_t)i);
    assert_true(
        drv_ring_add(&ring,
                     &(struct drv_chain){
                         .out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT}) >= 0);
    drv_submit(&mmio.transport, 0, &ring);
    anyhv_loopback_run(&guest, 16);
    assert_true(drv_ring_get(&ring, &used));
    assert_int_equal(used.len, 70);
    for (uint64_t i = 0; i < 70; i++)
        assert_int_equal(drv_peek8(&mem, in.addr + i), (uint8_t)~i);
    anyhv_loopback_detach(&guest);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_is_turned),
};

ANYHV_TEST_MAIN("invert", tests)

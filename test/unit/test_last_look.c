/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The race at the end of a queue's turn, without a second thread: at the moment in which the device
 * stores "tell me of the next one", the driver (here: the dirty callback) makes a chain available
 * that it will not tell of, since it has not seen that wish yet. The device has to look once more.
 */
#include "testing.h"

#include "driver/driver.h"
#include <anyhv/control.h>
#include <string.h>

#define BASE UINT64_C(0x40000000)

static _Alignas(4096) uint8_t ram[1 << 16];
static uint8_t storage[ANYHV_STORAGE_SIZE(1, 8, 8, 0)];
static _Alignas(8) uint8_t block[ANYHV_STATE_SIZE(1, 0)];

static struct anyhv_dev dev;
static struct anyhv_mem mem;
static struct anyhv_region region;
static struct drv_mem window;
static struct drv_ring ring;
static struct drv_slot slots[16];
static bool work;
static unsigned late; /* chains still to be slipped in */

static void add_chain(void)
{
    struct drv_buf in = {drv_alloc(&window, 4, 4), 4};

    assert_true(
        drv_ring_add(&ring, &(struct drv_chain){.in = &in, .nin = 1, .direct = DRV_DIRECT}) >= 0);
    drv_ring_publish(&ring);
}

/* The words by which the device asks for kicks: the tail of the used ring or its flags (split), the
 * device event area (packed). */
static bool asks_for_kicks(uint64_t addr, uint64_t len)
{
    uint64_t end = ring.device + drv_device_bytes(&ring);

    if (ring.packed)
        return addr == ring.device;
    return (addr == ring.device && len == 2) || (addr == end - 2 && len == 2);
}

static void wrote(struct anyhv_mem *m, uint64_t addr, uint64_t len)
{
    (void)m;
    if (late && asks_for_kicks(addr, len)) {
        late--;
        add_chain();
    }
}

static void notify(struct anyhv_dev *d, int queue)
{
    (void)d;
    (void)queue;
}

static void wants_run(struct anyhv_dev *d)
{
    (void)d;
    work = true;
}

static void request(struct anyhv_dev *d, unsigned queue, struct anyhv_req *req)
{
    (void)d;
    (void)queue;
    assert_int_equal(anyhv_req_write(req, "here", 4), ANYHV_OK);
    anyhv_req_done(req);
}

static const struct anyhv_mem_ops mem_ops = {.dirty = wrote};
static const struct anyhv_port_ops port = {
    .notify = notify, .work = wants_run, .features = ANYHV_F_EVENT_IDX | ANYHV_F_RING_PACKED};
static const struct anyhv_device_ops ops = {
    .name = "last-look", .id = 63, .queues = 1, .request = request};

static void start(uint64_t features)
{
    const struct anyhv_attach how = {.ops = &ops,
                                     .mem = &mem,
                                     .port = &port,
                                     .storage = storage,
                                     .storage_size = sizeof(storage),
                                     .limits = {.requests = 8, .segs = 8},
                                     .state = block,
                                     .state_size = sizeof(block)};
    const struct drv_ring_config config = {.size = 16,
                                           .packed = features & ANYHV_F_RING_PACKED,
                                           .event_idx = features & ANYHV_F_EVENT_IDX,
                                           .slots = slots};
    struct anyhv_queue_setup setup = {.size = 16};

    memset(ram, 0, sizeof(ram));
    anyhv_mem_init(&mem, &region, 1, &mem_ops, NULL);
    assert_int_equal(
        anyhv_mem_add(&mem, &(struct anyhv_region){BASE, sizeof(ram), ram, ANYHV_R | ANYHV_W}),
        ANYHV_OK);
    assert_int_equal(anyhv_dev_attach(&dev, &how), ANYHV_OK);
    drv_mem_init(&window, ram, BASE, sizeof(ram));
    assert_true(drv_ring_init(&ring, &window, &config));
    anyhv_ctl_set_status(&dev, 3);
    anyhv_ctl_set_features(&dev, features | ANYHV_F_VERSION_1);
    anyhv_ctl_set_status(&dev, 11);
    setup.desc = ring.desc;
    setup.driver = ring.driver;
    setup.device = ring.device;
    setup.base = config.packed ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT;
    assert_int_equal(anyhv_ctl_queue_start(&dev, 0, &setup), ANYHV_OK);
    anyhv_ctl_set_status(&dev, 15);
}

static void run(void)
{
    for (unsigned turns = 0; work; turns++) {
        assert_true(turns < 100); /* and it ends */
        work = false;
        work |= anyhv_dev_run(&dev, 64);
    }
}

static void nothing_is_forgotten(uint64_t features)
{
    struct drv_used used;

    start(features);
    late = 3;
    add_chain();
    anyhv_ctl_kick(&dev, 0);
    run();
    assert_int_equal(late, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_true(drv_ring_get(&ring, &used));
    assert_false(drv_ring_get(&ring, &used));
    anyhv_dev_detach(&dev);
}

static void split(void **state)
{
    (void)state;
    nothing_is_forgotten(0);
}

static void split_event_idx(void **state)
{
    (void)state;
    nothing_is_forgotten(ANYHV_F_EVENT_IDX);
}

static void packed(void **state)
{
    (void)state;
    nothing_is_forgotten(ANYHV_F_RING_PACKED);
}

static void packed_event_idx(void **state)
{
    (void)state;
    nothing_is_forgotten(ANYHV_F_RING_PACKED | ANYHV_F_EVENT_IDX);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(split),
    cmocka_unit_test(split_event_idx),
    cmocka_unit_test(packed),
    cmocka_unit_test(packed_event_idx),
};

ANYHV_TEST_MAIN("last look", tests)

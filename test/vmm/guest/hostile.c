/* SPDX-License-Identifier: Apache-2.0 */
/* What no driver does; after each of it the device works for who brings it up again. */
#include "vmm/guest/guest.h"

static void alive(void)
{
    guest_bring_up(NULL);
    guest_batch(3, true);
}

/* Every offset and width, in and around the window, straddling all borders. */
static void odd_accesses(void)
{
    for (uint32_t off = 0; off < 0x204; off++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            cpu_read(off, size);
            guest_report.accesses++;
            if (off != DRV_MMIO_STATUS || size != 4) /* that one would be a reset, or DRIVER_OK */
                cpu_write(off, size, 0xffffffff);
#if MODE == 64
            if (size == 4) {
                cpu_read64(off);
                cpu_write64(off, UINT64_MAX);
            }
#endif
        }
    }
}

static void kick_storm(void)
{
    guest_bring_up(NULL);
    for (uint32_t i = 0; i < 2000; i++)
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, i % 7 ? 0 : i);
    guest_batch(BATCH, true);
    for (uint32_t size = 1; size <= 2; size++)
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, size, 0);
    guest_batch(BATCH, false);
}

/* Rings in no memory, in the registers, at odd places, of odd sizes. */
static void bad_queues(void)
{
    static const struct drv_queue_setup setups[] = {
        {0xfffffffffffff000, 0xfffffffffffff000, 0xfffffffffffff000, 32},
        {GUEST_DEVICE, GUEST_DEVICE, GUEST_DEVICE, 32},
        {GUEST_WINDOW + 1, GUEST_WINDOW + 0x1001, GUEST_WINDOW + 0x2001, 32},
        {GUEST_MEMORY - 16, GUEST_WINDOW, GUEST_WINDOW, 32},
        {GUEST_WINDOW, GUEST_WINDOW, GUEST_WINDOW, 0},
        {GUEST_WINDOW, GUEST_WINDOW, GUEST_WINDOW, 65535},
    };

    for (unsigned i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
        CHECK(drv_negotiate(&guest_mmio.transport, 0), i);
        CHECK(!guest_mmio.transport.ops->queue_setup(&guest_mmio.transport, 0, &setups[i]), i);
        drv_ready(&guest_mmio.transport);
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, 0);
    }
    CHECK(drv_negotiate(&guest_mmio.transport, 0), 0);
    CHECK(!guest_mmio.transport.ops->queue_setup(&guest_mmio.transport, 1, &setups[0]), 0);
}

/* Descriptors that are loops, lead nowhere, or stand outside the table. Split rings only. */
static void bad_descriptors(void)
{
    if (guest_orders.packed)
        return;
    for (uint16_t i = 0; i < 8; i++) {
        guest_bring_up(NULL);
        drv_split_desc(&guest_mem, guest_ring.desc, 0, i & 1 ? 0xfffffffffffffff0 : GUEST_DEVICE,
                       64, DRV_DESC_WRITE | (i & 2 ? DRV_DESC_NEXT : 0), i & 4 ? 0 : 0xffff);
        drv_split_avail(&guest_ring, 0, i == 7 ? 0x8000 : 0);
        drv_split_set_idx(&guest_ring, i == 6 ? 0x7fff : 1);
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, 0);
    }
}

static void resets(void)
{
    for (uint32_t i = 0; i < 50; i++) {
        guest_bring_up(NULL);
        for (uint32_t k = 0; k < BATCH; k++)
            guest_offer(k);
        drv_submit(&guest_mmio.transport, 0, &guest_ring);
    }
}

void guest_hostile(void)
{
    static void (*const programs[])(void) = {odd_accesses, kick_storm, bad_queues, bad_descriptors,
                                             resets};

    alive();
    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        programs[i]();
        alive();
    }
}

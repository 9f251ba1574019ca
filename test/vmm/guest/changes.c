/* SPDX-License-Identifier: Apache-2.0 */
/* What the VMM changes under a running guest: its memory, and who serves its device. */
#include "vmm/guest/guest.h"

#include "devices/rng/rng_record.h"

#define MAGIC 0x74726976u
#define PAUSE 20000u /* spins, in which an answer would have come */

/* ---- memory ---- */

static struct drv_mem plug;

static void set_plug(enum guest_plug what)
{
    cpu_out(GUEST_PORT_PLUG, (uint8_t)what);
}

static void offer_in_plug(void)
{
    const struct drv_buf in = {GUEST_PLUG, RNG_RECORD_SIZE};
    const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT};

    CHECK(drv_ring_add(&guest_ring, &chain) >= 0, 0);
    drv_ring_publish(&guest_ring);
}

/* The answer to it: so many bytes. */
static void expect_answer(uint32_t before, uint32_t len)
{
    struct drv_used used;

    guest_wait_interrupt(before);
    CHECK(drv_ring_get(&guest_ring, &used), 0);
    CHECK(used.len == len, used.len);
}

static void read_into_plug(uint32_t len)
{
    uint32_t before = guest_interrupts;

    offer_in_plug();
    drv_kick(&guest_mmio.transport, 0, &guest_ring);
    expect_answer(before, len);
}

/* A buffer in memory that has just come, and one in memory that has left. */
static void under_buffers(void)
{
    const uint8_t *record = (const uint8_t *)GUEST_PLUG;

    guest_bring_up(NULL);
    set_plug(GUEST_PLUG_NEW);
    CHECK(drv_peek64(&plug, GUEST_PLUG) == 0, drv_peek64(&plug, GUEST_PLUG));
    read_into_plug(RNG_RECORD_SIZE);
    guest_check_record(record, true);
    set_plug(GUEST_PLUG_NONE);
    read_into_plug(0);
    set_plug(GUEST_PLUG_SAME);
    read_into_plug(RNG_RECORD_SIZE);
    guest_check_record(record, true);
    set_plug(GUEST_PLUG_NONE);
}

/* A request in a ring that has left is answered when it is there again. */
static void under_a_ring(void)
{
    uint32_t before;

    set_plug(GUEST_PLUG_NEW);
    drv_mem_init(&plug, (void *)(uintptr_t)GUEST_PLUG, GUEST_PLUG, GUEST_PLUG_SIZE);
    plug.used = RNG_RECORD_SIZE;
    guest_bring_up(&plug);
    read_into_plug(RNG_RECORD_SIZE);
    guest_check_record((const uint8_t *)GUEST_PLUG, true);
    before = guest_interrupts;
    offer_in_plug();
    set_plug(GUEST_PLUG_NONE);
    drv_kick(&guest_mmio.transport, 0, &guest_ring);
    for (uint32_t i = 0; i < PAUSE; i++)
        cpu_pause();
    CHECK(guest_interrupts == before, guest_interrupts - before);
    set_plug(GUEST_PLUG_SAME);
    expect_answer(before, RNG_RECORD_SIZE);
    guest_check_record((const uint8_t *)GUEST_PLUG, true);
    set_plug(GUEST_PLUG_NONE);
}

void guest_plugs(void)
{
    drv_mem_init(&plug, (void *)(uintptr_t)GUEST_PLUG, GUEST_PLUG, GUEST_PLUG_SIZE);
    for (uint32_t i = 0; i < guest_orders.rounds; i++) {
        under_buffers();
        under_a_ring();
        guest_report.requests += 5;
    }
}

/* ---- who serves ---- */

/* Whatever happens there, a register reads as what it is, or as ones. */
void guest_watches(void)
{
    guest_bring_up(NULL);
    guest_batch(BATCH, true);
    while (cpu_in(GUEST_PORT_REVIVALS) < guest_orders.rounds) {
        uint32_t value = cpu_read(DRV_MMIO_MAGIC, 4);

        CHECK(value == MAGIC || value == UINT32_MAX, value);
        guest_report.ones += value == UINT32_MAX;
        guest_report.accesses++;
    }
    guest_batch(BATCH, false);
}

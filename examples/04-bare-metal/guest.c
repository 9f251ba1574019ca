/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of main.c: test/driver, which knows nothing of the library. */
#include "guest.h"

#include "devices/rng/rng_record.h"

enum {
    SIZE = 8,
    ENTROPY = 4
};

static struct drv_mem mem;
static struct drv_mmio mmio;
static struct drv_ring ring;
static struct drv_slot slots[SIZE];
static uint64_t buffers, next_record;
static unsigned asked, answered;
static bool content = true; /* until an answer is wrong */

bool guest_start(drv_mmio_access access, void *ctx, void *window, uint32_t size, bool packed)
{
    const struct drv_ring_config config = {.size = SIZE, .packed = packed, .slots = slots};

    asked = answered = 0;
    drv_mem_init(&mem, window, (uintptr_t)window, size);
    drv_mmio_init(&mmio, access, ctx);
    if (drv_mmio_probe(&mmio) != ENTROPY ||
        !drv_negotiate(&mmio.transport, packed ? DRV_F_PACKED : 0) ||
        !drv_ring_init(&ring, &mem, &config) || !drv_queue_setup(&mmio.transport, 0, &ring))
        return false;
    drv_ready(&mmio.transport);
    buffers = drv_alloc(&mem, 1 + GUEST_DEPTH * RNG_RECORD_SIZE, 2);
    return buffers != DRV_NO_ADDR;
}

/* At odd addresses: a device that writes words there dies on a Cortex-M0. */
static uint64_t buffer(unsigned number)
{
    return buffers + 1 + (uint64_t)(number % GUEST_DEPTH) * RNG_RECORD_SIZE;
}

void guest_ask(void)
{
    for (; ring.inflight < GUEST_DEPTH && asked < GUEST_REQUESTS; asked++) {
        const struct drv_buf in = {buffer(asked), RNG_RECORD_SIZE};
        const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = asked};

        drv_ring_add(&ring, &chain);
    }
    drv_submit(&mmio.transport, 0, &ring);
}

/* The simulated source numbers its records: none may be torn, lost or repeated. */
static bool is_right(const struct drv_used *used)
{
    const uint8_t *record = drv_ptr(&mem, buffer((unsigned)used->token), RNG_RECORD_SIZE);
    uint64_t index;

    return used->len == RNG_RECORD_SIZE && rng_record_check(record, GUEST_SEED, &index) &&
           index == next_record++;
}

bool guest_take(void)
{
    struct drv_used used;

    content &= mmio.transport.ops->interrupts(&mmio.transport) == DRV_IRQ_USED; /* acknowledges */
    for (; drv_ring_get(&ring, &used); answered++)
        content &= is_right(&used);
    content &= ring.fault == DRV_FAULT_NONE;
    return content;
}

bool guest_finished(void)
{
    return answered == GUEST_REQUESTS;
}

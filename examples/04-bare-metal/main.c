/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device without C library, OS or heap: core, the virtio-mmio registers and the model,
 * and in the same image a driver that stands for the guest and checks every byte, over a split ring
 * and over a packed one. The exit status of QEMU is the verdict.
 *
 *   examples/04-bare-metal/run mps2-an385        Cortex-M3
 *   examples/04-bare-metal/run microbit          Cortex-M0: no unaligned access
 *   examples/04-bare-metal/run virt              Armv8-A, MMU off: none either
 *
 * In a product, trap() is called by whoever sees the driver's register accesses, irq() drives a
 * line, and the window is memory that both sides reach. The library is called from one context: an
 * interrupt handler leaves word for the main loop.
 */
#include "board.h"
#include "guest.h"
#include <anyhv/devices/rng.h>
#include <anyhv/transport/mmio.h>

static _Alignas(16) uint8_t window[1024];

static struct anyhv_region table[1];
static struct anyhv_mem mem;
static struct anyhv_mmio mmio;
static uint8_t storage[ANYHV_STORAGE_SIZE(1, GUEST_DEPTH, ANYHV_CHUNK_SEGS, 0)];
static _Alignas(8) uint8_t state[ANYHV_STATE_SIZE(1, 0)];
static struct anyhv_rng rng;
static struct anyhv_rng_sim entropy;
static bool work, line;

static int trap(void *device, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_mmio_access(device, off, size, write, value);
}

static void irq(struct anyhv_mmio *device, bool level)
{
    (void)device;
    line = level;
}

static void work_wanted(struct anyhv_mmio *device)
{
    (void)device;
    work = true; /* not from in here: the driver's access returns first */
}

static bool attach(void)
{
    static const struct anyhv_mmio_ops ops = {.irq = irq, .work = work_wanted};
    const struct anyhv_region all = {(uintptr_t)window, sizeof(window), window, ANYHV_R | ANYHV_W};
    const struct anyhv_attach how = {.ops = &anyhv_rng_ops,
                                     .priv = &rng,
                                     .mem = &mem,
                                     .storage = storage,
                                     .storage_size = sizeof(storage),
                                     .limits = {.requests = GUEST_DEPTH, .segs = ANYHV_CHUNK_SEGS},
                                     .state = state,
                                     .state_size = sizeof(state)};

    anyhv_rng_sim_init(&entropy, GUEST_SEED);
    anyhv_rng_init(&rng, &mmio.dev, &entropy.source);
    anyhv_mem_init(&mem, table, 1, NULL, NULL);
    return anyhv_mem_add(&mem, &all) == ANYHV_OK &&
           anyhv_mmio_attach(&mmio, &ops, NULL, &how, false) == ANYHV_OK;
}

/*
 * A product's main loop goes on for ever, and sleeps where this one lets the guest have its turn.
 */
static bool serve(bool packed)
{
    if (!guest_start(trap, &mmio, window, sizeof(window), packed))
        return false;
    while (!guest_finished()) {
        guest_ask();
        while (work) {
            work = false;
            work |= anyhv_dev_run(&mmio.dev, 16);
        }
        if (!line || !guest_take())
            return false;
    }
    return true;
}

int board_main(void)
{
    if (!attach())
        return 1;
    for (unsigned packed = 0; packed < 2; packed++) {
        board_print(packed ? "packed ring: " : "split ring: ");
        if (!serve(packed)) {
            board_print("the guest is not content\n");
            return 1;
        }
        board_print("300 requests, every record whole and in order\n");
    }
    return 0;
}

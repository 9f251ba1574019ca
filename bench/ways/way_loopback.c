/* SPDX-License-Identifier: Apache-2.0 */
/* Device and driver are one program: a register is a function call. */
#include "ways.h"

#include <anyhv/devices/rng.h>
#include <anyhv/loopback.h>
#include <stdlib.h>

struct loopback {
    struct anyhv_loopback lb;
    struct anyhv_rng rng;
    struct anyhv_rng_sim sim;
    struct drv_mmio mmio;
    void *storage, *state;
    uint8_t *ram;
};

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void attach(struct loopback *l)
{
    const struct anyhv_limits limits = {0};
    const struct anyhv_loopback_options options = {
        .base = WAYS_BASE, .ram = l->ram, .ram_size = WAYS_RAM};
    struct anyhv_attach how = {
        .ops = &anyhv_rng_ops,
        .priv = &l->rng,
        .storage_size = anyhv_storage_size(&anyhv_rng_ops, &limits),
        .state_size = ANYHV_STATE_SIZE(anyhv_rng_ops.queues, anyhv_rng_ops.config_len),
    };

    how.storage = l->storage = calloc(1, how.storage_size);
    how.state = l->state = calloc(1, how.state_size);
    way_need(how.storage && how.state, "out of memory");
    anyhv_rng_sim_init(&l->sim, WAYS_SEED);
    anyhv_rng_init(&l->rng, anyhv_loopback_dev(&l->lb), &l->sim.source);
    way_need(anyhv_loopback_attach(&l->lb, &options, &how) == ANYHV_OK, "attach");
}

static void loopback_open(struct way_device *device)
{
    struct loopback *l = device->priv = calloc(1, sizeof(*l));

    way_need(l, "out of memory");
    l->ram = aligned_alloc(4096, WAYS_RAM);
    way_need(l->ram, "out of memory");
    attach(l);
    drv_mem_init(&device->mem, l->ram, WAYS_BASE, WAYS_RAM);
    drv_mmio_init(&l->mmio, access_register, &l->lb);
    way_need(drv_mmio_probe(&l->mmio) == anyhv_rng_ops.id, "no entropy device");
    way_need(drv_negotiate(&l->mmio.transport, 0), "features");
    way_ring(device);
    way_need(drv_queue_setup(&l->mmio.transport, 0, &device->ring), "queue");
    drv_ready(&l->mmio.transport);
}

static void loopback_access(struct way_device *device)
{
    struct loopback *l = device->priv;

    way_need(drv_mmio_read(&l->mmio, DRV_MMIO_DEVICE_ID) == anyhv_rng_ops.id, "a wrong answer");
}

static void loopback_kick(struct way_device *device)
{
    struct loopback *l = device->priv;

    drv_kick(&l->mmio.transport, 0, &device->ring);
}

static void loopback_run(struct way_device *device)
{
    anyhv_loopback_run(&((struct loopback *)device->priv)->lb, 256);
}

static void loopback_close(struct way_device *device)
{
    struct loopback *l = device->priv;

    anyhv_loopback_detach(&l->lb);
    free(l->storage);
    free(l->state);
    free(l->ram);
    free(l);
}

const struct way way_loopback = {
    .name = "loopback",
    .open = loopback_open,
    .access = loopback_access,
    .kick = loopback_kick,
    .run = loopback_run,
    .close = loopback_close,
};

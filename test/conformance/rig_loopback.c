/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/rig_loopback.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BUDGET = 7, /* small and odd: batches end in the middle of everything */
    PAGE = 4096,
};

struct native {
    struct drv_transport transport;
    struct rig *rig;
};

/* The rig's own while it runs. */
struct running {
    struct anyhv_loopback lb;
    struct test_device device;
    struct drv_mem mem;
    struct drv_mmio mmio;
    struct native native;
    struct rig_options options;
    uint8_t *ram;
    void *storage, *state;
    size_t storage_size, state_size;
    bool attached;
    bool irq_used, irq_config;
};

static struct running *running(const struct rig *rig)
{
    return rig->priv;
}

struct anyhv_loopback *rig_loopback_of(const struct rig *rig)
{
    return &running(rig)->lb;
}

/* ---- The native control plane, as a driver's transport ---- */

static struct anyhv_dev *native_dev(struct drv_transport *t)
{
    return ((struct native *)(void *)t)->rig->dev;
}

static bool native_reset(struct drv_transport *t)
{
    anyhv_ctl_set_status(native_dev(t), 0);
    return anyhv_ctl_status(native_dev(t)) == 0;
}

static uint8_t native_status(struct drv_transport *t)
{
    return anyhv_ctl_status(native_dev(t));
}

static void native_set_status(struct drv_transport *t, uint8_t status)
{
    anyhv_ctl_set_status(native_dev(t), status);
}

static uint64_t native_offered(struct drv_transport *t)
{
    return anyhv_ctl_features(native_dev(t));
}

static void native_set_features(struct drv_transport *t, uint64_t features)
{
    anyhv_ctl_set_features(native_dev(t), features);
}

static uint16_t native_queue_max(struct drv_transport *t, unsigned queue)
{
    return anyhv_ctl_queue_max(native_dev(t), queue);
}

static bool native_queue_setup(struct drv_transport *t, unsigned queue,
                               const struct drv_queue_setup *setup)
{
    struct anyhv_queue_setup start = {
        .desc = setup->desc,
        .driver = setup->driver,
        .device = setup->device,
        .base = t->features & DRV_F_PACKED ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT,
        .size = setup->size,
    };

    return anyhv_ctl_queue_start(native_dev(t), queue, &start) == ANYHV_OK;
}

static bool native_queue_reset(struct drv_transport *t, unsigned queue)
{
    uint32_t base;

    return anyhv_ctl_queue_stop(native_dev(t), queue, false, &base) == ANYHV_OK;
}

static void native_kick(struct drv_transport *t, unsigned queue, uint32_t data)
{
    (void)data;
    anyhv_ctl_kick(native_dev(t), queue);
}

static bool native_config_read(struct drv_transport *t, uint32_t off, void *buf, uint32_t len)
{
    return anyhv_ctl_config_read(native_dev(t), off, buf, len) == ANYHV_OK;
}

static bool native_config_write(struct drv_transport *t, uint32_t off, const void *buf,
                                uint32_t len)
{
    return anyhv_ctl_config_write(native_dev(t), off, buf, len) == ANYHV_OK;
}

static uint32_t native_generation(struct drv_transport *t)
{
    return anyhv_ctl_generation(native_dev(t));
}

static uint32_t native_interrupts(struct drv_transport *t)
{
    struct anyhv_loopback *lb = &running(((struct native *)(void *)t)->rig)->lb;
    uint64_t queues = lb->irq_queues;

    lb->irq_queues = 0;
    return (queues << 1 ? DRV_IRQ_USED : 0u) | (queues >> 63 ? DRV_IRQ_CONFIG : 0u);
}

static const struct drv_transport_ops native_ops = {
    .name = "native",
    .reset = native_reset,
    .status = native_status,
    .set_status = native_set_status,
    .offered = native_offered,
    .set_features = native_set_features,
    .queue_max = native_queue_max,
    .queue_setup = native_queue_setup,
    .queue_reset = native_queue_reset,
    .kick = native_kick,
    .config_read = native_config_read,
    .config_write = native_config_write,
    .generation = native_generation,
    .interrupts = native_interrupts,
};

/* ---- The rig ---- */

static int mmio_access(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static bool attach(struct rig *rig, bool resume)
{
    const struct rig_loopback *how = rig->how;
    struct running *r = running(rig);
    const struct anyhv_loopback_options options = {
        .native = how->native,
        .bounce = how->bounce,
        .track = how->track,
        .map_only = how->map_only,
        .map_max = how->map_max,
        .regions = how->regions,
        .base = RIG_LOOPBACK_BASE,
        .ram = r->ram,
        .ram_size = RIG_LOOPBACK_SIZE,
    };
    const struct anyhv_attach attach = {
        .ops = &test_device_ops[r->options.variant],
        .priv = &r->device,
        .storage = r->storage,
        .storage_size = r->storage_size,
        .limits = r->options.limits,
        .state = r->state,
        .state_size = r->state_size,
        .resume = resume,
        .withhold = r->options.withhold,
    };

    memset(&r->lb, 0, sizeof(r->lb));
    memset(&r->device, 0, sizeof(r->device));
    memset(r->storage, 0xa5, r->storage_size);
    test_device_init(&r->device, anyhv_loopback_dev(&r->lb));
    r->attached = anyhv_loopback_attach(&r->lb, &options, &attach) == ANYHV_OK;
    rig->dev = anyhv_loopback_dev(&r->lb);
    rig->device = &r->device;
    return r->attached;
}

static void detach(struct running *r)
{
    if (r->attached)
        anyhv_loopback_detach(&r->lb);
    r->attached = false;
}

static bool loopback_start(struct rig *rig, const struct rig_options *options)
{
    const struct rig_loopback *how = rig->how;
    const struct anyhv_device_ops *ops = &test_device_ops[options->variant];
    struct running *r = calloc(1, sizeof(*r));

    if (!r)
        return false;
    rig->priv = r;
    r->options = *options;
    r->storage_size = anyhv_storage_size(ops, &options->limits);
    r->state_size = ANYHV_STATE_SIZE(ops->queues, ops->config_len);
    r->storage = malloc(r->storage_size);
    r->state = calloc(1, r->state_size);
    /* Nothing is mapped right before and behind it: a step outside is a crash. */
    r->ram =
        mmap(NULL, RIG_LOOPBACK_SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!r->storage || !r->state || r->ram == MAP_FAILED)
        return false;
    r->ram += PAGE;
    if (mprotect(r->ram, RIG_LOOPBACK_SIZE, PROT_READ | PROT_WRITE))
        return false;
    drv_mem_init(&r->mem, r->ram, RIG_LOOPBACK_BASE, RIG_LOOPBACK_SIZE);
    drv_mmio_init(&r->mmio, mmio_access, &r->lb);
    r->native = (struct native){.transport.ops = &native_ops, .rig = rig};
    rig->mem = &r->mem;
    rig->transport = how->native ? &r->native.transport : &r->mmio.transport;
    return attach(rig, false);
}

static void loopback_stop(struct rig *rig)
{
    struct running *r = running(rig);

    if (!r)
        return;
    detach(r);
    if (r->ram && r->ram != MAP_FAILED)
        munmap(r->ram - PAGE, RIG_LOOPBACK_SIZE + 2 * PAGE);
    free(r->storage);
    free(r->state);
    free(r);
    rig->priv = NULL;
    rig->dev = NULL;
    rig->device = NULL;
    rig->transport = NULL;
    rig->mem = NULL;
}

static void look(struct rig *rig)
{
    struct running *r = running(rig);
    uint32_t pending = rig->transport->ops->interrupts(rig->transport);

    r->irq_used |= (pending & DRV_IRQ_USED) != 0;
    r->irq_config |= (pending & DRV_IRQ_CONFIG) != 0;
}

static void loopback_settle(struct rig *rig)
{
    anyhv_loopback_run(&running(rig)->lb, BUDGET);
}

static bool loopback_wait(struct rig *rig, int queue, unsigned timeout_ms)
{
    struct running *r = running(rig);
    bool *flag = queue == ANYHV_CONFIG ? &r->irq_config : &r->irq_used;
    bool was;

    (void)timeout_ms; /* nothing comes by itself */
    loopback_settle(rig);
    look(rig);
    was = *flag;
    *flag = false;
    return was;
}

static bool loopback_counters(struct rig *rig, unsigned queue, struct anyhv_queue_counters *out)
{
    const struct anyhv_queue_counters *counters = anyhv_ctl_counters(rig->dev, queue);

    if (counters)
        *out = *counters;
    return counters;
}

static void loopback_violations(struct rig *rig, uint32_t *out)
{
    memcpy(out, rig->dev->violations, sizeof(rig->dev->violations));
}

static bool loopback_quiesce(struct rig *rig)
{
    struct anyhv_loopback *lb = &running(rig)->lb;
    int result;

    lb->quiet = false;
    result = anyhv_ctl_quiesce(rig->dev);
    loopback_settle(rig);
    return result == ANYHV_OK || (result == ANYHV_LATER && lb->quiet);
}

static void loopback_resume(struct rig *rig)
{
    anyhv_ctl_resume(rig->dev);
    loopback_settle(rig);
}

static bool loopback_migrate(struct rig *rig)
{
    struct running *r = running(rig);
    size_t len = 0;
    bool done = false;
    uint8_t *saved;

    if (!loopback_quiesce(rig))
        return false;
    look(rig);
    if (anyhv_dev_save(rig->dev, NULL, 0, &len) != ANYHV_E_NORES || !len)
        return false;
    saved = malloc(len);
    if (saved && anyhv_dev_save(rig->dev, saved, len, &len) == ANYHV_OK) {
        detach(r);
        memset(r->state, 0, r->state_size);
        done = attach(rig, false) && anyhv_dev_load(rig->dev, saved, len, true) == ANYHV_OK;
    }
    free(saved);
    if (done)
        loopback_settle(rig);
    return done;
}

static bool loopback_crash(struct rig *rig)
{
    struct running *r = running(rig);
    void *left = malloc(r->state_size);
    bool done;

    if (!left)
        return false;
    memcpy(left, r->state, r->state_size);
    look(rig);
    detach(r);
    memcpy(r->state, left, r->state_size);
    free(left);
    done = attach(rig, true);
    if (done)
        loopback_settle(rig);
    return done;
}

const struct rig_ops rig_loopback_ops = {
    .start = loopback_start,
    .stop = loopback_stop,
    .settle = loopback_settle,
    .wait = loopback_wait,
    .counters = loopback_counters,
    .violations = loopback_violations,
    .quiesce = loopback_quiesce,
    .resume = loopback_resume,
    .migrate = loopback_migrate,
    .crash = loopback_crash,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of the virtio-mmio registers, section 4.2. */
#include "driver/driver.h"

enum {
    MAGIC = 0x74726976, /* "virt" */
    VERSION = 2,
    MAX_POLLS = 100000,
};

static struct drv_mmio *mmio_of(struct drv_transport *t)
{
    return (struct drv_mmio *)(void *)t; /* its first member */
}

uint32_t drv_mmio_read(struct drv_mmio *mmio, uint32_t off)
{
    uint64_t value = 0;

    mmio->access(mmio->ctx, off, 4, false, &value);
    return (uint32_t)value;
}

void drv_mmio_write(struct drv_mmio *mmio, uint32_t off, uint32_t value)
{
    uint64_t wide = value;

    mmio->access(mmio->ctx, off, 4, true, &wide);
}

uint32_t drv_mmio_probe(struct drv_mmio *mmio)
{
    if (drv_mmio_read(mmio, DRV_MMIO_MAGIC) != MAGIC ||
        drv_mmio_read(mmio, DRV_MMIO_VERSION) != VERSION)
        return 0;
    return drv_mmio_read(mmio, DRV_MMIO_DEVICE_ID);
}

static uint8_t mmio_status(struct drv_transport *t)
{
    return (uint8_t)drv_mmio_read(mmio_of(t), DRV_MMIO_STATUS);
}

static bool mmio_reset(struct drv_transport *t)
{
    drv_mmio_write(mmio_of(t), DRV_MMIO_STATUS, 0);
    return mmio_status(t) == 0; /* at once: Linux does not poll either */
}

static void mmio_set_status(struct drv_transport *t, uint8_t status)
{
    drv_mmio_write(mmio_of(t), DRV_MMIO_STATUS, status);
}

static uint64_t mmio_offered(struct drv_transport *t)
{
    struct drv_mmio *mmio = mmio_of(t);
    uint64_t features;

    drv_mmio_write(mmio, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
    features = (uint64_t)drv_mmio_read(mmio, DRV_MMIO_DEVICE_FEATURES) << 32;
    drv_mmio_write(mmio, DRV_MMIO_DEVICE_FEATURES_SEL, 0);
    return features | drv_mmio_read(mmio, DRV_MMIO_DEVICE_FEATURES);
}

static void mmio_set_features(struct drv_transport *t, uint64_t features)
{
    struct drv_mmio *mmio = mmio_of(t);

    drv_mmio_write(mmio, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
    drv_mmio_write(mmio, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    drv_mmio_write(mmio, DRV_MMIO_DRIVER_FEATURES_SEL, 0);
    drv_mmio_write(mmio, DRV_MMIO_DRIVER_FEATURES, (uint32_t)features);
}

static uint16_t mmio_queue_max(struct drv_transport *t, unsigned queue)
{
    uint32_t max;

    drv_mmio_write(mmio_of(t), DRV_MMIO_QUEUE_SEL, queue);
    max = drv_mmio_read(mmio_of(t), DRV_MMIO_QUEUE_SIZE_MAX);
    return (uint16_t)(max <= UINT16_MAX ? max : 0);
}

static void write_addr(struct drv_mmio *mmio, uint32_t off, uint64_t addr)
{
    drv_mmio_write(mmio, off, (uint32_t)addr);
    drv_mmio_write(mmio, off + 4, (uint32_t)(addr >> 32));
}

static bool mmio_queue_setup(struct drv_transport *t, unsigned queue,
                             const struct drv_queue_setup *setup)
{
    struct drv_mmio *mmio = mmio_of(t);

    drv_mmio_write(mmio, DRV_MMIO_QUEUE_SEL, queue);
    if (drv_mmio_read(mmio, DRV_MMIO_QUEUE_READY))
        return false;
    drv_mmio_write(mmio, DRV_MMIO_QUEUE_SIZE, setup->size);
    write_addr(mmio, DRV_MMIO_QUEUE_DESC, setup->desc);
    write_addr(mmio, DRV_MMIO_QUEUE_DRIVER, setup->driver);
    write_addr(mmio, DRV_MMIO_QUEUE_DEVICE, setup->device);
    drv_mmio_write(mmio, DRV_MMIO_QUEUE_READY, 1);
    return drv_mmio_read(mmio, DRV_MMIO_QUEUE_READY) == 1;
}

static bool mmio_queue_reset(struct drv_transport *t, unsigned queue)
{
    struct drv_mmio *mmio = mmio_of(t);

    if (!(t->features & DRV_F_RING_RESET))
        return false;
    drv_mmio_write(mmio, DRV_MMIO_QUEUE_SEL, queue);
    drv_mmio_write(mmio, DRV_MMIO_QUEUE_RESET, 1);
    for (unsigned i = 0; i < MAX_POLLS; i++) {
        if (!drv_mmio_read(mmio, DRV_MMIO_QUEUE_RESET))
            return drv_mmio_read(mmio, DRV_MMIO_QUEUE_READY) == 0;
    }
    return false;
}

static void mmio_kick(struct drv_transport *t, unsigned queue, uint32_t data)
{
    drv_mmio_write(mmio_of(t), DRV_MMIO_QUEUE_NOTIFY,
                   t->features & DRV_F_NOTIFICATION_DATA ? data : queue);
}

/* The widest access that the address and the rest of the bytes allow, as for a field that size. */
static unsigned config_width(uint32_t off, uint32_t len)
{
    if (len >= 4 && off % 4 == 0)
        return 4;
    return len >= 2 && off % 2 == 0 ? 2 : 1;
}

static bool mmio_config_read(struct drv_transport *t, uint32_t off, void *buf, uint32_t len)
{
    struct drv_mmio *mmio = mmio_of(t);
    uint8_t *to = buf;

    for (unsigned width; len; off += width, to += width, len -= width) {
        uint64_t value = 0;

        width = config_width(off, len);
        if (mmio->access(mmio->ctx, DRV_MMIO_CONFIG + off, width, false, &value))
            return false;
        for (unsigned i = 0; i < width; i++)
            to[i] = (uint8_t)(value >> (8 * i));
    }
    return true;
}

static bool mmio_config_write(struct drv_transport *t, uint32_t off, const void *buf, uint32_t len)
{
    struct drv_mmio *mmio = mmio_of(t);
    const uint8_t *from = buf;

    for (unsigned width; len; off += width, from += width, len -= width) {
        uint64_t value = 0;

        width = config_width(off, len);
        for (unsigned i = 0; i < width; i++)
            value |= (uint64_t)from[i] << (8 * i);
        if (mmio->access(mmio->ctx, DRV_MMIO_CONFIG + off, width, true, &value))
            return false;
    }
    return true;
}

static uint32_t mmio_generation(struct drv_transport *t)
{
    return drv_mmio_read(mmio_of(t), DRV_MMIO_GENERATION);
}

static uint32_t mmio_interrupts(struct drv_transport *t)
{
    uint32_t pending = drv_mmio_read(mmio_of(t), DRV_MMIO_INTERRUPT_STATUS);

    if (pending)
        drv_mmio_write(mmio_of(t), DRV_MMIO_INTERRUPT_ACK, pending);
    return pending;
}

static const struct drv_transport_ops mmio_ops = {
    .name = "mmio",
    .reset = mmio_reset,
    .status = mmio_status,
    .set_status = mmio_set_status,
    .offered = mmio_offered,
    .set_features = mmio_set_features,
    .queue_max = mmio_queue_max,
    .queue_setup = mmio_queue_setup,
    .queue_reset = mmio_queue_reset,
    .kick = mmio_kick,
    .config_read = mmio_config_read,
    .config_write = mmio_config_write,
    .generation = mmio_generation,
    .interrupts = mmio_interrupts,
};

void drv_mmio_init(struct drv_mmio *mmio, drv_mmio_access access, void *ctx)
{
    *mmio = (struct drv_mmio){.transport.ops = &mmio_ops, .access = access, .ctx = ctx};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mmio version 2, section 4.2: a register access becomes a control call. One function for
 * reads, one for writes; each guest-chosen index is bounded where it is decoded.
 *
 * What the driver wrote before it matters (selectors, sizes, addresses) stands in the state block,
 * so that a successor process can go on in the middle of a set-up.
 */
#include <anyhv/port.h>
#include <anyhv/transport/mmio.h>

enum reg {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_VENDOR_ID = 0x00c,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_SIZE_MAX = 0x034,
    REG_QUEUE_SIZE = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = ANYHV_MMIO_NOTIFY,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC_LOW = 0x080,
    REG_QUEUE_DESC_HIGH = 0x084,
    REG_QUEUE_DRIVER_LOW = 0x090,
    REG_QUEUE_DRIVER_HIGH = 0x094,
    REG_QUEUE_DEVICE_LOW = 0x0a0,
    REG_QUEUE_DEVICE_HIGH = 0x0a4,
    REG_SHM_SEL = 0x0ac,
    REG_SHM_LEN_LOW = 0x0b0,
    REG_SHM_LEN_HIGH = 0x0b4,
    REG_SHM_BASE_LOW = 0x0b8,
    REG_SHM_BASE_HIGH = 0x0bc,
    REG_QUEUE_RESET = 0x0c0,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

#define MAGIC      0x74726976u /* "virt" */
#define VERSION    2u

#define IRQ_USED   1u
#define IRQ_CONFIG 2u

/* ---- the port: what core tells the driver ---- */

static void port_notify(struct anyhv_dev *dev, int queue)
{
    struct anyhv_mmio *mmio = anyhv_dev_port(dev);

    /* The bit before the line: a driver that reads 0 takes the interrupt for a stray one. */
    dev->state->interrupt_status |= queue == ANYHV_CONFIG ? IRQ_CONFIG : IRQ_USED;
    mmio->ops->irq(mmio, true);
}

static void port_work(struct anyhv_dev *dev)
{
    struct anyhv_mmio *mmio = anyhv_dev_port(dev);

    mmio->ops->work(mmio);
}

static void port_queue_changed(struct anyhv_dev *dev, unsigned queue)
{
    struct anyhv_mmio *mmio = anyhv_dev_port(dev);

    if (mmio->ops->queue_changed)
        mmio->ops->queue_changed(mmio, queue);
}

static void port_quiet(struct anyhv_dev *dev)
{
    struct anyhv_mmio *mmio = anyhv_dev_port(dev);

    if (mmio->ops->quiet)
        mmio->ops->quiet(mmio);
}

static void port_reset(struct anyhv_dev *dev)
{
    struct anyhv_mmio *mmio = anyhv_dev_port(dev);

    mmio->ops->irq(mmio, false);
}

#define MMIO_FEATURES                                                                      \
    (ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_VERSION_1 | ANYHV_F_RING_PACKED | \
     ANYHV_F_IN_ORDER | ANYHV_F_NOTIFICATION_DATA | ANYHV_F_RING_RESET | ANYHV_F_SUSPEND)

const struct anyhv_port_ops anyhv_mmio_port = {
    .notify = port_notify,
    .work = port_work,
    .queue_changed = port_queue_changed,
    .quiet = port_quiet,
    .reset = port_reset,
    .features = MMIO_FEATURES,
};

const struct anyhv_port_ops anyhv_mmio_port_platform = {
    .notify = port_notify,
    .work = port_work,
    .queue_changed = port_queue_changed,
    .quiet = port_quiet,
    .reset = port_reset,
    .features = MMIO_FEATURES | ANYHV_F_ACCESS_PLATFORM,
};

int anyhv_mmio_attach(struct anyhv_mmio *mmio, const struct anyhv_mmio_ops *ops, void *priv,
                      const struct anyhv_attach *how, bool platform)
{
    struct anyhv_attach with_port = *how;

    if (!ops->irq || !ops->work)
        return ANYHV_E_INVAL;
    mmio->ops = ops;
    mmio->priv = priv;
    if (!mmio->vendor)
        mmio->vendor = ANYHV_MMIO_VENDOR;
    with_port.port = platform ? &anyhv_mmio_port_platform : &anyhv_mmio_port;
    with_port.port_priv = mmio;
    return anyhv_dev_attach(&mmio->dev, &with_port);
}

/* ---- small helpers ---- */

static int violation(struct anyhv_mmio *mmio, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    mmio->dev.violations[v]++;
    anyhv_port_violation(&mmio->dev, ANYHV_CONFIG, v, a, b);
    return ANYHV_E_INVAL;
}

static uint32_t word(uint64_t value, uint32_t which)
{
    return which == 0 ? (uint32_t)value : which == 1 ? (uint32_t)(value >> 32) : 0;
}

static void set_word(uint64_t *value, uint32_t which, uint32_t to)
{
    unsigned shift = 32 * which;

    *value = (*value & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)to << shift;
}

/* The selected queue's state, or NULL when there is no such queue. */
static struct anyhv_queue_state *selected(struct anyhv_mmio *mmio)
{
    struct anyhv_state *st = mmio->dev.state;

    return st->queue_sel < st->queues ? &st->queue[st->queue_sel] : NULL;
}

static const struct anyhv_shm *shm(const struct anyhv_mmio *mmio)
{
    static const struct anyhv_shm none = {UINT64_MAX, UINT64_MAX};
    uint32_t id = mmio->dev.state->shm_sel;

    return mmio->shm && id < mmio->shm_count ? &mmio->shm[id] : &none;
}

/* ---- reads ---- */

static int read_reg(struct anyhv_mmio *mmio, uint32_t off, uint32_t *value)
{
    const struct anyhv_state *st = mmio->dev.state;
    const struct anyhv_queue_state *q = selected(mmio);

    switch (off) {
    case REG_MAGIC:
        *value = MAGIC;
        break;
    case REG_VERSION:
        *value = VERSION;
        break;
    case REG_DEVICE_ID:
        *value = st->device_id;
        break;
    case REG_VENDOR_ID:
        *value = mmio->vendor;
        break;
    case REG_DEVICE_FEATURES:
        *value = word(anyhv_ctl_features(&mmio->dev), st->device_features_sel);
        break;
    case REG_QUEUE_SIZE_MAX:
        *value = q ? anyhv_ctl_queue_max(&mmio->dev, st->queue_sel) : 0;
        break;
    case REG_QUEUE_READY:
        *value = q && q->enabled;
        break;
    case REG_INTERRUPT_STATUS:
        *value = st->interrupt_status;
        break;
    case REG_STATUS:
        *value = anyhv_ctl_status(&mmio->dev);
        break;
    case REG_SHM_LEN_LOW:
        *value = word(shm(mmio)->length, 0);
        break;
    case REG_SHM_LEN_HIGH:
        *value = word(shm(mmio)->length, 1);
        break;
    case REG_SHM_BASE_LOW:
        *value = word(shm(mmio)->base, 0);
        break;
    case REG_SHM_BASE_HIGH:
        *value = word(shm(mmio)->base, 1);
        break;
    case REG_QUEUE_RESET: /* a queue reset is finished when the write returns */
        *value = 0;
        break;
    case REG_CONFIG_GENERATION:
        *value = anyhv_ctl_generation(&mmio->dev);
        break;
    case REG_DEVICE_FEATURES_SEL:
    case REG_DRIVER_FEATURES:
    case REG_DRIVER_FEATURES_SEL:
    case REG_QUEUE_SEL:
    case REG_QUEUE_SIZE:
    case REG_QUEUE_NOTIFY:
    case REG_INTERRUPT_ACK:
    case REG_QUEUE_DESC_LOW:
    case REG_QUEUE_DESC_HIGH:
    case REG_QUEUE_DRIVER_LOW:
    case REG_QUEUE_DRIVER_HIGH:
    case REG_QUEUE_DEVICE_LOW:
    case REG_QUEUE_DEVICE_HIGH:
    case REG_SHM_SEL:
        return violation(mmio, ANYHV_V_REG_DIRECTION, off, 0);
    default:
        return violation(mmio, ANYHV_V_REG_UNKNOWN, off, 0);
    }
    return ANYHV_OK;
}

/* ---- writes ---- */

static int write_driver_features(struct anyhv_mmio *mmio, uint32_t value)
{
    struct anyhv_state *st = mmio->dev.state;
    uint64_t features = st->driver_features;

    if (st->driver_features_sel > 1)
        return ANYHV_OK; /* words beyond ours: there is nothing to accept in them */
    set_word(&features, st->driver_features_sel, value);
    anyhv_ctl_set_features(&mmio->dev, features);
    return ANYHV_OK;
}

/* Rises for a new event while the line is up, falls at the last acknowledgement. */
static int acknowledge(struct anyhv_mmio *mmio, uint32_t bits)
{
    struct anyhv_state *st = mmio->dev.state;
    uint8_t before = st->interrupt_status;

    st->interrupt_status &= (uint8_t)~bits;
    if (!before)
        return ANYHV_OK;
    mmio->ops->irq(mmio, false);
    if (st->interrupt_status)
        mmio->ops->irq(mmio, true);
    return ANYHV_OK;
}

static int write_status(struct anyhv_mmio *mmio, uint32_t value)
{
    anyhv_ctl_set_status(&mmio->dev, (uint8_t)value);
    return ANYHV_OK;
}

static int write_ready(struct anyhv_mmio *mmio, const struct anyhv_queue_state *q, uint32_t value)
{
    struct anyhv_dev *dev = &mmio->dev;
    uint32_t queue = dev->state->queue_sel;
    struct anyhv_queue_setup setup;

    if (value == 0)
        return anyhv_ctl_queue_stop(dev, queue, false, NULL);
    if (value != 1 || q->enabled)
        return violation(mmio, ANYHV_V_REG_STATE, REG_QUEUE_READY, value);
    setup = (struct anyhv_queue_setup){.desc = q->desc,
                                       .driver = q->driver,
                                       .device = q->device,
                                       .size = q->size,
                                       .base = dev->state->driver_features & ANYHV_F_RING_PACKED
                                                   ? ANYHV_BASE_PACKED
                                                   : ANYHV_BASE_SPLIT};
    return anyhv_ctl_queue_start(dev, queue, &setup) ? ANYHV_E_INVAL : ANYHV_OK;
}

static int write_queue_reset(struct anyhv_mmio *mmio, uint32_t value)
{
    struct anyhv_dev *dev = &mmio->dev;

    if (value != 1 || !(anyhv_dev_features(dev) & ANYHV_F_RING_RESET))
        return violation(mmio, ANYHV_V_REG_STATE, REG_QUEUE_RESET, value);
    return anyhv_ctl_queue_stop(dev, dev->state->queue_sel, false, NULL);
}

/* Registers of the selected queue. */
static int write_queue(struct anyhv_mmio *mmio, uint32_t off, uint32_t value)
{
    struct anyhv_queue_state *q = selected(mmio);

    if (!q)
        return violation(mmio, ANYHV_V_QUEUE_SELECT, off, mmio->dev.state->queue_sel);
    if (off == REG_QUEUE_READY)
        return write_ready(mmio, q, value);
    if (off == REG_QUEUE_RESET)
        return write_queue_reset(mmio, value);
    if (q->enabled) /* section 4.2.2.2: frozen while the queue is ready */
        return violation(mmio, ANYHV_V_REG_STATE, off, value);
    switch (off) {
    case REG_QUEUE_SIZE:
        q->size = value > UINT16_MAX ? UINT16_MAX : (uint16_t)value; /* refused when made ready */
        break;
    case REG_QUEUE_DESC_LOW:
    case REG_QUEUE_DESC_HIGH:
        set_word(&q->desc, off == REG_QUEUE_DESC_HIGH, value);
        break;
    case REG_QUEUE_DRIVER_LOW:
    case REG_QUEUE_DRIVER_HIGH:
        set_word(&q->driver, off == REG_QUEUE_DRIVER_HIGH, value);
        break;
    default:
        set_word(&q->device, off == REG_QUEUE_DEVICE_HIGH, value);
        break;
    }
    return ANYHV_OK;
}

static int write_reg(struct anyhv_mmio *mmio, uint32_t off, uint32_t value)
{
    struct anyhv_state *st = mmio->dev.state;

    switch (off) {
    case REG_DEVICE_FEATURES_SEL:
        st->device_features_sel = value;
        return ANYHV_OK;
    case REG_DRIVER_FEATURES_SEL:
        st->driver_features_sel = value;
        return ANYHV_OK;
    case REG_DRIVER_FEATURES:
        return write_driver_features(mmio, value);
    case REG_QUEUE_SEL:
        st->queue_sel = value;
        return ANYHV_OK;
    case REG_SHM_SEL:
        st->shm_sel = value;
        return ANYHV_OK;
    case REG_QUEUE_NOTIFY: /* with NOTIFICATION_DATA the upper half is a hint we do not need */
        anyhv_ctl_kick(&mmio->dev, anyhv_dev_features(&mmio->dev) & ANYHV_F_NOTIFICATION_DATA
                                       ? value & 0xffff
                                       : value);
        return ANYHV_OK;
    case REG_INTERRUPT_ACK:
        return acknowledge(mmio, value);
    case REG_STATUS:
        return write_status(mmio, value);
    case REG_QUEUE_SIZE:
    case REG_QUEUE_READY:
    case REG_QUEUE_RESET:
    case REG_QUEUE_DESC_LOW:
    case REG_QUEUE_DESC_HIGH:
    case REG_QUEUE_DRIVER_LOW:
    case REG_QUEUE_DRIVER_HIGH:
    case REG_QUEUE_DEVICE_LOW:
    case REG_QUEUE_DEVICE_HIGH:
        return write_queue(mmio, off, value);
    case REG_MAGIC:
    case REG_VERSION:
    case REG_DEVICE_ID:
    case REG_VENDOR_ID:
    case REG_DEVICE_FEATURES:
    case REG_QUEUE_SIZE_MAX:
    case REG_INTERRUPT_STATUS:
    case REG_SHM_LEN_LOW:
    case REG_SHM_LEN_HIGH:
    case REG_SHM_BASE_LOW:
    case REG_SHM_BASE_HIGH:
    case REG_CONFIG_GENERATION:
        return violation(mmio, ANYHV_V_REG_DIRECTION, off, value);
    default:
        return violation(mmio, ANYHV_V_REG_UNKNOWN, off, value);
    }
}

/* ---- the window ---- */

/* Configuration fields are little endian, whatever the width of the access. */
static int access_config(struct anyhv_mmio *mmio, uint32_t off, unsigned size, bool write,
                         uint64_t *value)
{
    uint8_t bytes[8] = {0};
    int rc;

    if (write) {
        for (unsigned i = 0; i < size; i++)
            bytes[i] = (uint8_t)(*value >> (8 * i));
        return anyhv_ctl_config_write(&mmio->dev, off, bytes, size);
    }
    rc = anyhv_ctl_config_read(&mmio->dev, off, bytes, size);
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)bytes[i] << (8 * i);
    return rc;
}

int anyhv_mmio_access(struct anyhv_mmio *mmio, uint32_t off, unsigned size, bool write,
                      uint64_t *value)
{
    bool power = size == 1 || size == 2 || size == 4 || size == 8;
    uint32_t reg = 0;
    int rc;

    if (!write)
        *value = 0;
    if (off >= REG_CONFIG && power)
        return access_config(mmio, off - REG_CONFIG, size, write, value);
    if (size != 4 || off % 4)
        return violation(mmio, ANYHV_V_REG_WIDTH, off, size);
    if (write)
        return write_reg(mmio, off, (uint32_t)*value);
    rc = read_reg(mmio, off, &reg);
    *value = reg;
    return rc;
}

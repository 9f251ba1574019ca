/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space, section 2.5: core owns the bytes, so reads never reach the device. */
#include "core.h"

static bool inside(uint32_t off, uint32_t len, uint32_t start, uint32_t size)
{
    return off >= start && off - start <= size && len <= size - (off - start);
}

/* Bytes @from to @to as the device type starts with them. */
static void fresh(struct anyhv_dev *dev, uint32_t from, uint32_t to)
{
    const uint8_t *initial = dev->ops->config;

    if (to <= from)
        return;
    if (initial)
        memcpy(dev->config + from, initial + from, to - from);
    else
        memset(dev->config + from, 0, to - from);
}

void anyhv_core_config_fresh(struct anyhv_dev *dev)
{
    fresh(dev, 0, dev->ops->config_len);
}

void anyhv_core_config_reset(struct anyhv_dev *dev)
{
    fresh(dev, dev->ops->config_w_off, (uint32_t)dev->ops->config_w_off + dev->ops->config_w_len);
}

void anyhv_core_config_written(struct anyhv_dev *dev, const uint8_t *from)
{
    const struct anyhv_device_ops *ops = dev->ops;

    if (ops->config_w_len == 0)
        return;
    memmove(dev->config + ops->config_w_off, from + ops->config_w_off, ops->config_w_len);
    if (ops->config_written)
        ops->config_written(dev, ops->config_w_off, ops->config_w_len);
}

void anyhv_core_config_keep_written(struct anyhv_dev *dev)
{
    const struct anyhv_device_ops *ops = dev->ops;

    fresh(dev, 0, ops->config_w_len ? ops->config_w_off : ops->config_len);
    fresh(dev, (uint32_t)ops->config_w_off + ops->config_w_len, ops->config_len);
    anyhv_core_config_written(dev, dev->config);
}

const uint8_t *anyhv_config(const struct anyhv_dev *dev)
{
    return dev->config;
}

void anyhv_core_config_freeze(struct anyhv_dev *dev)
{
    memcpy(dev->config_next, dev->config, dev->ops->config_len);
    dev->config_changed = false;
}

void anyhv_core_config_thaw(struct anyhv_dev *dev)
{
    if (!dev->config_changed)
        return;
    dev->config_changed = false;
    memcpy(dev->config, dev->config_next, dev->ops->config_len);
    dev->state->generation++;
    dev->announce = true;
}

int anyhv_config_set(struct anyhv_dev *dev, unsigned off, const void *buf, unsigned len)
{
    if (!inside(off, len, 0, dev->ops->config_len))
        return ANYHV_E_INVAL;
    if (dev->halt & ANYHV_HALT_SUSPENDED) {
        memcpy(dev->config_next + off, buf, len);
        dev->config_changed = true;
        return ANYHV_OK;
    }
    memcpy(dev->config + off, buf, len);
    dev->state->generation++;
    if (core_status_has(dev, ANYHV_S_DRIVER_OK) && !(dev->halt & ANYHV_HALT_LOST))
        dev->port->notify(dev, ANYHV_CONFIG);
    return ANYHV_OK;
}

int anyhv_ctl_config_read(struct anyhv_dev *dev, uint32_t off, void *buf, uint32_t len)
{
    if (!inside(off, len, 0, dev->ops->config_len)) {
        memset(buf, 0, len);
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_CONFIG_RANGE, off, len);
        return ANYHV_E_INVAL;
    }
    memcpy(buf, dev->config + off, len);
    return ANYHV_OK;
}

int anyhv_ctl_config_write(struct anyhv_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
    const struct anyhv_device_ops *ops = dev->ops;

    if (!inside(off, len, 0, ops->config_len)) {
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_CONFIG_RANGE, off, len);
        return ANYHV_E_INVAL;
    }
    if (!inside(off, len, ops->config_w_off, ops->config_w_len)) {
        anyhv_core_violation(dev, ANYHV_CONFIG, ANYHV_V_CONFIG_READ_ONLY, off, len);
        return ANYHV_E_INVAL;
    }
    if (dev->halt & ANYHV_HALT_SUSPENDED) /* section 2.1: ignored */
        return ANYHV_OK;
    memcpy(dev->config + off, buf, len);
    if (ops->config_written)
        ops->config_written(dev, off, len);
    return ANYHV_OK;
}

uint32_t anyhv_ctl_generation(const struct anyhv_dev *dev)
{
    return dev->state->generation;
}

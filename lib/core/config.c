/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space, section 2.5: core owns the bytes, so reads never reach the device. */
#include "core.h"

static bool inside(uint32_t off, uint32_t len, uint32_t start, uint32_t size)
{
    return off >= start && off - start <= size && len <= size - (off - start);
}

/* Back to what the device type starts with, where the driver may have written. */
void anyhv_core_config_reset(struct anyhv_dev *dev)
{
    const struct anyhv_device_ops *ops = dev->ops;

    if (!ops->config_w_len)
        return;
    if (ops->config)
        memcpy(dev->config + ops->config_w_off, (const uint8_t *)ops->config + ops->config_w_off,
               ops->config_w_len);
    else
        memset(dev->config + ops->config_w_off, 0, ops->config_w_len);
}

const uint8_t *anyhv_config(const struct anyhv_dev *dev)
{
    return dev->config;
}

int anyhv_config_set(struct anyhv_dev *dev, unsigned off, const void *buf, unsigned len)
{
    if (!inside(off, len, 0, dev->ops->config_len))
        return ANYHV_E_INVAL;
    memcpy(dev->config + off, buf, len);
    dev->state->generation++;
    if (core_status_has(dev, ANYHV_S_DRIVER_OK) && !dev->lost)
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
    memcpy(dev->config + off, buf, len);
    if (ops->config_written)
        ops->config_written(dev, off, len);
    return ANYHV_OK;
}

uint32_t anyhv_ctl_generation(const struct anyhv_dev *dev)
{
    return dev->state->generation;
}

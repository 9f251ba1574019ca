/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state block: saved as portable bytes, loaded from them, or adopted in place after a restart.
 * Everything that is read here may have been written by somebody hostile. docs/adr/0004-state.md.
 *
 * Saved form, little endian: a header of 48 bytes, 32 bytes per queue, the configuration space, the
 * device's own bytes to the end.
 *
 *    0 magic u32      4 version u16     6 device id u16    8 queues u16    10 config_len u16
 *   12 total u32     16 status u8      17 interrupt u8    18 zero u16     20 generation u32
 *   24 features u64  32 device_features_sel, 36 driver_features_sel, 40 queue_sel, 44 shm_sel u32
 *
 *    0 desc u64       8 driver u64     16 device u64
 *   24 size u16      26 next_avail u16 28 next_used u16   30 enabled u8    31 wraps u8
 */
#include "core.h"

#define SAVED_HEADER 48u
#define SAVED_QUEUE  32u

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static size_t saved_size(const struct anyhv_dev *dev)
{
    return SAVED_HEADER + SAVED_QUEUE * (size_t)dev->ops->queues + dev->ops->config_len;
}

/* ---- save ---- */

static void save_header(const struct anyhv_dev *dev, uint8_t *at, size_t total)
{
    const struct anyhv_state *st = dev->state;

    put(at, ANYHV_STATE_MAGIC, 4);
    put(at + 4, ANYHV_STATE_VERSION, 2);
    put(at + 6, st->device_id, 2);
    put(at + 8, st->queues, 2);
    put(at + 10, st->config_len, 2);
    put(at + 12, total, 4);
    put(at + 16, st->status, 1);
    put(at + 17, st->interrupt_status, 1);
    put(at + 18, 0, 2);
    put(at + 20, st->generation, 4);
    put(at + 24, st->driver_features, 8);
    put(at + 32, st->device_features_sel, 4);
    put(at + 36, st->driver_features_sel, 4);
    put(at + 40, st->queue_sel, 4);
    put(at + 44, st->shm_sel, 4);
}

static void save_queue(const struct anyhv_queue_state *st, uint8_t *at)
{
    put(at, st->desc, 8);
    put(at + 8, st->driver, 8);
    put(at + 16, st->device, 8);
    put(at + 24, st->size, 2);
    put(at + 26, st->next_avail, 2);
    put(at + 28, st->next_used, 2);
    put(at + 30, st->enabled, 1);
    put(at + 31, st->wraps, 1);
}

int anyhv_dev_save(struct anyhv_dev *dev, void *buf, size_t cap, size_t *len)
{
    size_t own = saved_size(dev), extra;
    uint8_t *at = buf;

    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (core_inflight(&dev->queues[i]) || dev->queues[i].journal.replay)
            return ANYHV_E_STATE;
    extra = dev->ops->save ? dev->ops->save(dev, NULL, 0) : 0;
    *len = own + extra;
    if (cap < *len || *len > UINT32_MAX)
        return ANYHV_E_NORES;
    save_header(dev, at, *len);
    at += SAVED_HEADER;
    for (unsigned i = 0; i < dev->ops->queues; i++, at += SAVED_QUEUE)
        save_queue(dev->queues[i].state, at);
    memcpy(at, dev->config, dev->ops->config_len);
    if (extra)
        dev->ops->save(dev, at + dev->ops->config_len, extra);
    return ANYHV_OK;
}

/* ---- adopt: the state block holds what somebody says a device was ---- */

static int check_status(const struct anyhv_dev *dev)
{
    const struct anyhv_state *st = dev->state;
    uint8_t known = ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_DRIVER_OK | ANYHV_S_FEATURES_OK |
                    ANYHV_S_SUSPEND | ANYHV_S_NEEDS_RESET | ANYHV_S_FAILED;
    bool features_ok = core_status_has(dev, ANYHV_S_FEATURES_OK);

    if (st->status & ~known || st->interrupt_status & ~3)
        return ANYHV_E_INVAL;
    if (features_ok && !anyhv_core_features_valid(dev, st->driver_features))
        return ANYHV_E_INVAL;
    if (core_status_has(dev, ANYHV_S_DRIVER_OK) && !features_ok)
        return ANYHV_E_INVAL;
    if (core_status_has(dev, ANYHV_S_SUSPEND) && (!features_ok || !core_has(dev, ANYHV_F_SUSPEND)))
        return ANYHV_E_INVAL;
    return ANYHV_OK;
}

/* A ring can go on only where all that was taken had been used. */
static bool queue_was_quiet(const struct anyhv_queue_state *st)
{
    bool avail_wrap = st->wraps & 1, used_wrap = st->wraps >> 1 & 1;

    return st->next_avail == st->next_used && avail_wrap == used_wrap;
}

static int check_queue(const struct anyhv_queue *q)
{
    const struct anyhv_queue_state *st = q->state;

    if (st->enabled > 1 || st->wraps > 3)
        return ANYHV_E_INVAL;
    return st->enabled && !queue_was_quiet(st) && !anyhv_journal_used(q) ? ANYHV_E_STATE : ANYHV_OK;
}

static int restart_queue(struct anyhv_dev *dev, unsigned i)
{
    struct anyhv_queue *q = &dev->queues[i];
    struct anyhv_queue_setup setup = {.desc = q->state->desc,
                                      .driver = q->state->driver,
                                      .device = q->state->device,
                                      .base = anyhv_core_queue_base(q),
                                      .size = q->state->size};

    return anyhv_ctl_queue_start(dev, i, &setup);
}

static int restart_queues(struct anyhv_dev *dev)
{
    int rc = ANYHV_OK;

    for (unsigned i = 0; i < dev->ops->queues && !rc; i++)
        if (dev->queues[i].state->enabled)
            rc = restart_queue(dev, i);
    return rc;
}

/*
 * An interrupt may have got lost with the process that owed it, so each ring and the configuration
 * interrupt once. Drivers expect stray ones.
 */
static void go_on(struct anyhv_dev *dev)
{
    for (unsigned i = 0; i < dev->ops->queues; i++)
        dev->queues[i].unnotified = core_started(&dev->queues[i]);
    anyhv_core_driver_ok(dev);
}

/* SUSPEND with DRIVER_OK is a wish that was not fulfilled yet. */
static bool asleep(uint8_t status)
{
    return (status & ANYHV_S_SUSPEND) && !(status & ANYHV_S_DRIVER_OK);
}

/* What the block says the device was, it becomes; @queues: with its rings running. */
static int adopt(struct anyhv_dev *dev, bool queues)
{
    struct anyhv_state *st = dev->state;
    uint8_t status = st->status;
    int rc = check_status(dev);

    for (unsigned i = 0; i < dev->ops->queues && !rc; i++)
        rc = check_queue(&dev->queues[i]);
    if (rc)
        return rc;
    dev->announce = (status & (ANYHV_S_DRIVER_OK | ANYHV_S_SUSPEND)) != 0;
    if (asleep(status))
        anyhv_core_sleep(dev);
    if (status & ANYHV_S_NEEDS_RESET) { /* it still does: nothing runs, but the driver is told */
        core_work(dev);
        return ANYHV_OK;
    }
    for (unsigned i = 0; i < dev->ops->queues && !queues; i++)
        dev->queues[i].state->enabled = 0;
    dev->adopting = true;
    rc = restart_queues(dev);
    dev->adopting = false;
    if (rc) {
        st->status = status;
        return rc;
    }
    if (status & (ANYHV_S_DRIVER_OK | ANYHV_S_SUSPEND))
        go_on(dev);
    if ((status & ANYHV_S_SUSPEND) && !asleep(status)) /* it was on its way there */
        anyhv_core_suspend(dev);
    return ANYHV_OK;
}

int anyhv_core_resume(struct anyhv_dev *dev)
{
    const struct anyhv_state *st = dev->state;
    const struct anyhv_device_ops *ops = dev->ops;

    if (st->magic != ANYHV_STATE_MAGIC || st->version != ANYHV_STATE_VERSION)
        return ANYHV_E_VERSION;
    if (st->size != ANYHV_STATE_SIZE(ops->queues, ops->config_len) || st->device_id != ops->id ||
        st->queues != ops->queues || st->config_len != ops->config_len)
        return ANYHV_E_VERSION;
    anyhv_core_config_keep_written(dev);
    return adopt(dev, true);
}

/* ---- load ---- */

static int check_header(const struct anyhv_dev *dev, const uint8_t *at, size_t len)
{
    const struct anyhv_device_ops *ops = dev->ops;

    if (len < SAVED_HEADER || get(at, 4) != ANYHV_STATE_MAGIC ||
        get(at + 4, 2) != ANYHV_STATE_VERSION)
        return ANYHV_E_VERSION;
    if (get(at + 6, 2) != ops->id || get(at + 8, 2) != ops->queues ||
        get(at + 10, 2) != ops->config_len)
        return ANYHV_E_VERSION;
    if (get(at + 12, 4) != len || len < saved_size(dev) || get(at + 18, 2) != 0)
        return ANYHV_E_INVAL;
    return ANYHV_OK;
}

static void load_header(struct anyhv_state *st, const uint8_t *at)
{
    st->status = at[16];
    st->interrupt_status = at[17];
    st->generation = (uint32_t)get(at + 20, 4);
    st->driver_features = get(at + 24, 8);
    st->device_features_sel = (uint32_t)get(at + 32, 4);
    st->driver_features_sel = (uint32_t)get(at + 36, 4);
    st->queue_sel = (uint32_t)get(at + 40, 4);
    st->shm_sel = (uint32_t)get(at + 44, 4);
}

static void load_queue(struct anyhv_queue_state *st, const uint8_t *at)
{
    st->desc = get(at, 8);
    st->driver = get(at + 8, 8);
    st->device = get(at + 16, 8);
    st->size = (uint16_t)get(at + 24, 2);
    st->next_avail = (uint16_t)get(at + 26, 2);
    st->next_used = (uint16_t)get(at + 28, 2);
    st->enabled = at[30];
    st->wraps = at[31];
}

static int load_device(struct anyhv_dev *dev, const uint8_t *at, size_t len)
{
    if (dev->ops->load)
        return dev->ops->load(dev, at, len);
    return len ? ANYHV_E_INVAL : ANYHV_OK;
}

int anyhv_dev_load(struct anyhv_dev *dev, const void *buf, size_t len, bool queues)
{
    const uint8_t *at = buf;
    uint32_t generation = dev->state->generation;
    int rc;

    if (dev->state->status)
        return ANYHV_E_STATE;
    rc = check_header(dev, at, len);
    if (rc)
        return rc;
    load_header(dev->state, at);
    at += SAVED_HEADER;
    for (unsigned i = 0; i < dev->ops->queues; i++, at += SAVED_QUEUE)
        load_queue(dev->queues[i].state, at);
    anyhv_core_config_written(dev, at);
    rc = load_device(dev, at + dev->ops->config_len, len - saved_size(dev));
    if (!rc) {
        rc = adopt(dev, queues);
        if (rc && dev->ops->stop)
            dev->ops->stop(dev); /* what it loaded is void */
    }
    if (rc) {
        dev->state->generation = generation;
        anyhv_core_reset(dev);
    }
    return rc;
}

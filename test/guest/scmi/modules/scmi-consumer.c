/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * A module of the guest's kernel: a consumer of clocks, reset lines and trip points, for want of
 * one that a kernel brings along and a script can tell what to do. It is a driver of the sensor
 * protocol; the protocol's node in the device tree has the clock and the reset line. In
 * /sys/kernel/debug/scmi-consumer:
 *
 *   rate    of the clock: read, or set
 *   enable  the clock is wanted
 *   reset   1: asserts the line, 0: deasserts it, 2: an autonomous reset
 *   trip    sets the first trip point of the first sensor, for both directions
 *   tripped how many notifications came, times 2, and 1 more if the last one was upwards
 */
#include <linux/clk.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reset.h>
#include <linux/scmi_protocol.h>

struct consumer {
    struct clk *clk;
    struct reset_control *reset;
    const struct scmi_sensor_proto_ops *sensors;
    struct scmi_protocol_handle *protocol;
    struct notifier_block notifier;
    struct dentry *folder;
    u64 trips;
    bool enabled, up;
};

static int rate_get(void *data, u64 *value)
{
    struct consumer *c = data;

    *value = clk_get_rate(c->clk);
    return 0;
}

static int rate_set(void *data, u64 value)
{
    struct consumer *c = data;

    return clk_set_rate(c->clk, value);
}
DEFINE_DEBUGFS_ATTRIBUTE(rate_file, rate_get, rate_set, "%llu\n");

static int enable_set(void *data, u64 value)
{
    struct consumer *c = data;
    int rc = 0;

    if (value && !c->enabled)
        rc = clk_prepare_enable(c->clk);
    else if (!value && c->enabled)
        clk_disable_unprepare(c->clk);
    if (!rc)
        c->enabled = value;
    return rc;
}
DEFINE_DEBUGFS_ATTRIBUTE(enable_file, NULL, enable_set, "%llu\n");

static int reset_set(void *data, u64 value)
{
    struct consumer *c = data;

    switch (value) {
    case 0:
        return reset_control_deassert(c->reset);
    case 1:
        return reset_control_assert(c->reset);
    default:
        return reset_control_reset(c->reset);
    }
}
DEFINE_DEBUGFS_ATTRIBUTE(reset_file, NULL, reset_set, "%llu\n");

static int trip_set(void *data, u64 value)
{
    struct consumer *c = data;

    return c->sensors->trip_point_config(c->protocol, 0, 0, value);
}
DEFINE_DEBUGFS_ATTRIBUTE(trip_file, NULL, trip_set, "%llu\n");

static int tripped_get(void *data, u64 *value)
{
    struct consumer *c = data;

    *value = READ_ONCE(c->trips) * 2 + READ_ONCE(c->up);
    return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(tripped_file, tripped_get, NULL, "%llu\n");

static int tripped(struct notifier_block *notifier, unsigned long event, void *data)
{
    struct consumer *c = container_of(notifier, struct consumer, notifier);
    struct scmi_sensor_trip_point_report *report = data;

    WRITE_ONCE(c->up, report->trip_point_desc >> 16 & 1);
    WRITE_ONCE(c->trips, c->trips + 1);
    return NOTIFY_OK;
}

static int listen(struct scmi_device *sdev, struct consumer *c)
{
    static const u32 first = 0;

    c->notifier.notifier_call = tripped;
    return sdev->handle->notify_ops->devm_event_notifier_register(
        sdev, SCMI_PROTOCOL_SENSOR, SCMI_EVENT_SENSOR_TRIP_POINT_EVENT, &first, &c->notifier);
}

static void show(struct consumer *c)
{
    c->folder = debugfs_create_dir("scmi-consumer", NULL);
    debugfs_create_file_unsafe("rate", 0600, c->folder, c, &rate_file);
    debugfs_create_file_unsafe("enable", 0200, c->folder, c, &enable_file);
    debugfs_create_file_unsafe("reset", 0200, c->folder, c, &reset_file);
    debugfs_create_file_unsafe("trip", 0200, c->folder, c, &trip_file);
    debugfs_create_file_unsafe("tripped", 0400, c->folder, c, &tripped_file);
}

static int probe(struct scmi_device *sdev)
{
    struct consumer *c = devm_kzalloc(&sdev->dev, sizeof(*c), GFP_KERNEL);
    int rc;

    if (!c)
        return -ENOMEM;
    c->clk = devm_clk_get(&sdev->dev, NULL);
    if (IS_ERR(c->clk))
        return dev_err_probe(&sdev->dev, PTR_ERR(c->clk), "no clock\n");
    c->reset = devm_reset_control_get_exclusive(&sdev->dev, NULL);
    if (IS_ERR(c->reset))
        return dev_err_probe(&sdev->dev, PTR_ERR(c->reset), "no reset line\n");
    c->sensors = sdev->handle->devm_protocol_get(sdev, SCMI_PROTOCOL_SENSOR, &c->protocol);
    if (IS_ERR(c->sensors))
        return dev_err_probe(&sdev->dev, PTR_ERR(c->sensors), "no sensors\n");
    rc = listen(sdev, c);
    if (rc)
        return dev_err_probe(&sdev->dev, rc, "no notifications\n");
    dev_set_drvdata(&sdev->dev, c);
    show(c);
    return 0;
}

static void leave(struct scmi_device *sdev)
{
    struct consumer *c = dev_get_drvdata(&sdev->dev);

    debugfs_remove(c->folder);
}

static const struct scmi_device_id ids[] = {{SCMI_PROTOCOL_SENSOR, "anyhv-consumer"}, {}};
MODULE_DEVICE_TABLE(scmi, ids);

static struct scmi_driver consumer_driver = {
    .name = "anyhv-consumer",
    .probe = probe,
    .remove = leave,
    .id_table = ids,
};
module_scmi_driver(consumer_driver);

MODULE_DESCRIPTION("A consumer of SCMI clocks, reset lines and trip points, for tests");
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARK_H
#define MARK_H

#include <anyhv/device.h>

/* One guest's device. */
struct mark {
    uint8_t byte;
};

extern const struct anyhv_device_ops mark_ops;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INVERT_H
#define INVERT_H

#include <anyhv/device.h>

extern const struct anyhv_device_ops invert_ops;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What sysfs says of the adapters of this machine. */
#ifndef ANYHV_DEVICES_I2C_SYSFS_H
#define ANYHV_DEVICES_I2C_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define I2C_SYSFS_CLASS "/sys/class/i2c-dev"
#define I2C_SYSFS_CHAR  "/sys/dev/char"

/* Which adapter it is, whatever number it has: numbers are given to others when it is gone. */
struct i2c_identity {
    char name[128];
    char place[384]; /* the device that it is a part of */
};

/*
 * Who is behind the node @dev; @folder: sysfs's dev/char. False, and nothing in *@who: nobody,
 * or sysfs is not there.
 */
bool anyhv_i2c_sysfs_identify(const char *folder, dev_t dev, struct i2c_identity *who);

#endif

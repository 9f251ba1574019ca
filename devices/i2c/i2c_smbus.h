/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters that know no I2C messages, only the fixed forms of SMBus: a transfer that looks like one
 * of them on the wires is done as that, and any other cannot be done.
 */
#ifndef ANYHV_DEVICES_I2C_SMBUS_H
#define ANYHV_DEVICES_I2C_SMBUS_H

#include <anyhv/devices/i2c.h>
#include <linux/i2c.h>

/* One call of I2C_SMBUS. */
struct i2c_smbus {
    uint32_t size; /* the form: I2C_SMBUS_QUICK ... */
    uint8_t read_write, command;
    union i2c_smbus_data data;
};

/* False: there is no such form, or not among @functions (I2C_FUNCS). */
bool anyhv_i2c_smbus_make(struct i2c_smbus *call, const struct anyhv_i2c_message *message,
                          unsigned messages, unsigned long functions);
/* What was read, to where it belongs. False: the target had less to say than was asked for. */
bool anyhv_i2c_smbus_take(const struct i2c_smbus *call, const struct anyhv_i2c_message *message,
                          unsigned messages);

#endif

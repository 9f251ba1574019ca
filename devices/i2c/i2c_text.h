/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as people write them, on command lines and in files. */
#ifndef ANYHV_DEVICES_I2C_TEXT_H
#define ANYHV_DEVICES_I2C_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* For messages: what an address may be. Those with 10 bits are as Linux writes them. */
#define I2C_ADDRESSES "0x00 to 0x77, or 0xa000 to 0xa3ff for one of 10 bits"

/* False: @text is none. */
bool anyhv_i2c_address(const char *text, uint16_t *addr);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "i2c_text.h"

#include <anyhv/devices/i2c.h>
#include <anyhv/linux/args.h>

bool anyhv_i2c_address(const char *text, uint16_t *addr)
{
    uint64_t value;

    if (!anyhv_parse_number(text, 0, 0xa3ff, &value) || (value > 0x77 && value < 0xa000))
        return false;
    *addr = (uint16_t)(value < 0xa000 ? value : ANYHV_I2C_TEN_BIT | (value & 0x3ff));
    return true;
}

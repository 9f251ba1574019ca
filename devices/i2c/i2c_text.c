/* SPDX-License-Identifier: Apache-2.0 */
#include "i2c_text.h"

#include <anyhv/devices/i2c.h>
#include <errno.h>
#include <stdlib.h>

bool anyhv_i2c_number(const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
    char *end;

    errno = 0;
    *value = strtoul(text, &end, 0);
    return !errno && end != text && !*end && text[0] != '-' && *value >= min && *value <= max;
}

bool anyhv_i2c_address(const char *text, uint16_t *addr)
{
    unsigned long value;

    if (!anyhv_i2c_number(text, 0, 0xa3ff, &value) || (value > 0x77 && value < 0xa000))
        return false;
    *addr = (uint16_t)(value < 0xa000 ? value : ANYHV_I2C_TEN_BIT | (value & 0x3ff));
    return true;
}

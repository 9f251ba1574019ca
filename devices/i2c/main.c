/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/devices/i2c_host.h>

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &anyhv_i2c_class, &ANYHV_HV);
}

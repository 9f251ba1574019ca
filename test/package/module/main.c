/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/devices/rng_host.h>

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &anyhv_rng_class, &ANYHV_HV);
}

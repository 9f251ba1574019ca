/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/devices/scmi_host.h>

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &anyhv_scmi_class, &ANYHV_HV);
}

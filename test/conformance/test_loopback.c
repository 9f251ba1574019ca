/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/rig_loopback.h"

int main(int argc, char **argv)
{
    return conformance_main("conformance-loopback", loopback_rigs, loopback_rig_count, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm-ioregionfd/rig_kvm.h"

int main(int argc, char **argv)
{
    return conformance_main("conformance-kvm-ioregionfd", kvm_rigs, kvm_rig_count, argc, argv);
}

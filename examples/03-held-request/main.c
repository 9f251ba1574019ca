/* SPDX-License-Identifier: Apache-2.0 */
#include "slow.h"

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &slow_class, &ANYHV_HV);
}

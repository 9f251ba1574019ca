/* SPDX-License-Identifier: Apache-2.0 */
#include "invert.h"
#include <anyhv/hv.h>

/* No options, no host object, no state per guest: every other field may stay empty. */
static const struct anyhv_class invert_class = {.ops = &invert_ops};

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &invert_class, &ANYHV_HV);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLOW_H
#define SLOW_H

#include <anyhv/hv.h>

#define SLOW_OPERATION_NS UINT64_C(2000000)

/* One guest's device. */
struct slow {
    struct anyhv_dev *dev;
    struct anyhv_loop *loop;
    struct anyhv_timer timer; /* stands for the hardware: fires when the operation is over */
    bool busy;
    uint64_t handle;     /* of the request that the operation is for */
    uint32_t operations; /* finished, whether or not anybody wanted the answer */
};

extern const struct anyhv_class slow_class;

#endif

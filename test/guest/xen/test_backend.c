/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test device as a back end for guests of Xen: what the conformance suite in a guest talks to.
 */
#include "conformance/test_device.h"

#include <anyhv/hv.h>

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

static const struct anyhv_class test_class = {
    .ops = &test_device_ops[TEST_PLAIN],
    .instance_size = sizeof(struct test_device),
    .create = create,
};

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &test_class, &ANYHV_HV);
}

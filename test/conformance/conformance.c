/* SPDX-License-Identifier: Apache-2.0 */
/* The suite: which lists it consists of. */
#include "conformance/suite.h"

extern const struct suite_test conf_status_tests[], conf_features_tests[], conf_config_tests[],
    conf_queue_tests[], conf_split_tests[], conf_packed_tests[], conf_indirect_tests[],
    conf_events_tests[], conf_order_tests[], conf_framing_tests[], conf_device_tests[],
    conf_lifecycle_tests[], conf_meanwhile_tests[], conf_load_tests[], conf_writes_tests[],
    conf_mmio_tests[], conf_suspend_tests[];

static const struct suite_test *const lists[] = {
    conf_status_tests,    conf_features_tests, conf_config_tests,
    conf_queue_tests,     conf_split_tests,    conf_packed_tests,
    conf_indirect_tests,  conf_events_tests,   conf_order_tests,
    conf_framing_tests,   conf_device_tests,   conf_lifecycle_tests,
    conf_meanwhile_tests, conf_load_tests,     conf_writes_tests,
    conf_mmio_tests,      conf_suspend_tests,  NULL,
};

void conformance_left_out(const struct rig *rigs, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        suite_left_out(&rigs[i], lists);
}

int conformance_main(const char *group, struct rig *rigs, unsigned count, int argc, char **argv)
{
    return suite_main(group, rigs, count, lists, argc, argv);
}

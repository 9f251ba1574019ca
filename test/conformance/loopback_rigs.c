/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix: both control planes, each kind of memory, both ring layouts, with and without the
 * optional ring features.
 */
#include "conformance/rig_loopback.h"

#define ALL   (DRV_F_INDIRECT | DRV_F_EVENT_IDX)
#define PLAIN UINT64_C(0)

static const struct rig_loopback mmio = {0};
static const struct rig_loopback mmio_regions = {.regions = 64};
static const struct rig_loopback mmio_bounce = {.bounce = true};
static const struct rig_loopback mmio_maps = {.bounce = true, .map_only = true, .map_max = 24};
static const struct rig_loopback native = {.native = true};
static const struct rig_loopback native_regions = {.native = true, .regions = 64};
static const struct rig_loopback native_tracked = {.native = true, .track = true};
static const struct rig_loopback native_bounce = {.native = true, .bounce = true};
static const struct rig_loopback native_maps = {
    .native = true, .bounce = true, .map_only = true, .map_max = 4096};

#define RIG(rig_name, parameters, more_caps, ring_features)                                        \
    {                                                                                              \
        .name = "loopback-" rig_name, .ops = &rig_loopback_ops,                                    \
        .caps = RIG_LOOPBACK_CAPS | (more_caps), .features = (ring_features), .how = &(parameters) \
    }
#define WHOLE  RIG_LARGE_AREAS
#define REGS   (RIG_REGISTERS | RIG_KICK_DATA)
#define MANY   RIG_LB_REGIONS
#define FAULTS (RIG_LB_FAULTS | RIG_OPS)

struct rig loopback_rigs[] = {
    RIG("mmio-split", mmio, REGS | WHOLE, ALL),
    RIG("mmio-packed", mmio, REGS | WHOLE, ALL | DRV_F_PACKED),
    RIG("mmio-split-plain", mmio_regions, REGS | MANY, PLAIN),
    RIG("mmio-packed-plain", mmio_regions, REGS | MANY, PLAIN | DRV_F_PACKED),
    RIG("mmio-split-bounce", mmio_bounce, REGS | WHOLE | FAULTS, ALL),
    RIG("mmio-packed-bounce", mmio_bounce, REGS | WHOLE | FAULTS, ALL | DRV_F_PACKED),
    RIG("mmio-split-maps", mmio_maps, REGS | WHOLE | FAULTS, ALL),
    RIG("mmio-packed-maps", mmio_maps, REGS | WHOLE | FAULTS, ALL | DRV_F_PACKED),
    RIG("native-split", native, WHOLE, PLAIN),
    RIG("native-packed", native, WHOLE, PLAIN | DRV_F_PACKED),
    RIG("native-split-regions", native_regions, MANY, ALL),
    RIG("native-packed-regions", native_regions, MANY, ALL | DRV_F_PACKED),
    RIG("native-split-tracked", native_tracked, WHOLE, ALL),
    RIG("native-packed-tracked", native_tracked, WHOLE, ALL | DRV_F_PACKED),
    RIG("native-split-bounce", native_bounce, WHOLE | FAULTS, ALL),
    RIG("native-packed-bounce", native_bounce, WHOLE | FAULTS, ALL | DRV_F_PACKED),
    RIG("native-split-maps", native_maps, WHOLE | FAULTS, PLAIN),
    RIG("native-packed-maps", native_maps, WHOLE | FAULTS, PLAIN | DRV_F_PACKED),
};

const unsigned loopback_rig_count = sizeof(loopback_rigs) / sizeof(loopback_rigs[0]);

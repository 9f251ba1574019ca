/* SPDX-License-Identifier: Apache-2.0 */
/* Rigs over hv/loopback: device and driver in one process, one thread. */
#ifndef ANYHV_TEST_RIG_LOOPBACK_H
#define ANYHV_TEST_RIG_LOOPBACK_H

#include <anyhv/loopback.h>

#include "conformance/rig.h"

/* What `how` points to. */
struct rig_loopback {
    bool native;
    bool bounce, map_only;
    uint32_t map_max, regions;
    bool track; /* writes are reported: the long way for every request */
};

extern const struct rig_ops rig_loopback_ops;

#define RIG_LOOPBACK_CAPS                                                                       \
    (RIG_COUNTERS | RIG_IN_PROCESS | RIG_QUIESCE | RIG_MIGRATE | RIG_CRASH | RIG_QUEUE_RESET |  \
     RIG_CONFIG | RIG_CONFIG_IRQ | RIG_STATUS | RIG_GENERATION | RIG_QUEUE_MAX | RIG_KICK_ANY | \
     RIG_SUSPEND | RIG_FRESH)

/* Caps of some loopback rigs, for test/hostile. */
enum {
    RIG_LB_REGIONS = 1 << 24, /* 64 regions of RIG_REGION bytes */
    RIG_LB_FAULTS = 1 << 25,  /* every access goes through ops, which can be made to fail */
};

/* The matrix of loopback_rigs.c. */
extern struct rig loopback_rigs[];
extern const unsigned loopback_rig_count;

/* Between start and stop. */
struct anyhv_loopback *rig_loopback_of(const struct rig *rig);

/* The first byte of guest memory, and how much of it there is; a page behind it is not mapped. */
#define RIG_LOOPBACK_BASE UINT64_C(0x40000000)
#define RIG_LOOPBACK_SIZE RIG_MEMORY

#endif

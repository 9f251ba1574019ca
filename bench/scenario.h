/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver does and what memory looks like, as one name:
 *
 *   b16-c3-64-ind-ev-copy-r64s   one thread: post 16 requests, let the device answer them, repeat
 *     b16   requests per batch, 1..256
 *     c3    descriptors per request, 1..3 (see work.h)
 *     64    bytes of the data descriptor, 4..4096
 *     ind   requests are indirect tables
 *     ev    EVENT_IDX; the driver wants one notification per batch. Without: it wants none
 *     copy  the device moves all the data, not only header and answer
 *     r64s  regions of guest memory, 1..64; with s each descriptor is in another one
 *
 *   2t-d256-p64-c3               two threads: 256 requests outstanding, posted 64 at a time
 */
#ifndef ANYHV_BENCH_SCENARIO_H
#define ANYHV_BENCH_SCENARIO_H

#include <stdbool.h>

enum {
    SCENARIO_NAME_MAX = 48,
    SCENARIO_DEPTH_MAX = 256,
    SCENARIO_CHAIN_MAX = 3,
    SCENARIO_BYTES_MAX = 4096,
    SCENARIO_REGIONS_MAX = 64,
};

struct scenario {
    char name[SCENARIO_NAME_MAX];
    unsigned depth; /* requests outstanding at most */
    unsigned post;  /* requests that are made visible at once; one thread: all */
    unsigned chain; /* descriptors per request */
    unsigned bytes; /* of the data descriptor */
    unsigned regions;
    bool indirect, event_idx, copy, scattered;
    bool threads; /* driver and device on two cores */
};

/* What is measured unless the command line says otherwise; ends with NULL. */
extern const char *const scenario_names[];

/* The scenario that @name describes. False: it is not a scenario's name. */
bool scenario_parse(struct scenario *scenario, const char *name);

#endif

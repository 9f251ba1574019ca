/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

enum {
    SAMPLES = 1000,
    CALIBRATE_NS = 20000000,
};

static uint64_t least_overhead(void)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < SAMPLES; i++) {
        uint64_t begin = clock_ticks(), ticks = clock_ticks() - begin;

        least = ticks < least ? ticks : least;
    }
    return least;
}

struct clock_rate clock_calibrate(void)
{
    uint64_t ns = clock_ns(), ticks = clock_ticks();

    while (clock_ns() - ns < CALIBRATE_NS)
        ;
    ticks = clock_ticks() - ticks;
    ns = clock_ns() - ns;
    return (struct clock_rate){.ns_per_tick = (double)ns / (double)ticks,
                               .overhead = least_overhead()};
}

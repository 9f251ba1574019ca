/* SPDX-License-Identifier: Apache-2.0 */
/* The finest clock of the machine, in ticks: reads in order with the work around them. */
#ifndef ANYHV_BENCH_CLOCK_H
#define ANYHV_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high;

    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t ticks;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks)::"memory");
    return ticks;
#else
    return clock_ns();
#endif
}

struct clock_rate {
    double ns_per_tick;
    uint64_t overhead; /* ticks between two reads with nothing in between */
};

/* Takes some milliseconds. */
struct clock_rate clock_calibrate(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device's host side on Linux: sources that read the kernel or a file, a rate limit,
 * and the class that programs serve.
 */
#ifndef ANYHV_DEVICES_RNG_HOST_H
#define ANYHV_DEVICES_RNG_HOST_H

#include <anyhv/devices/rng.h>
#include <anyhv/hv.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Serves guests from getrandom, a file, or a simulation, with or without a limit. */
extern const struct anyhv_class anyhv_rng_class;

/* getrandom(2), or the bytes of a file, a FIFO or a character device. */
struct anyhv_rng_linux {
    struct anyhv_rng_source source;
    struct anyhv_loop *loop;
    int fd; /* -1: getrandom */
    const char *path;
    struct anyhv_watch watch; /* armed while fd has nothing */
    struct anyhv_timer retry; /* armed while the kernel's pool is not ready yet */
};

/*
 * Opens @path, which is kept, not copied (NULL: getrandom). Says what is wrong itself. 0 or
 * ANYHV_E_IO.
 */
int anyhv_rng_linux_open(struct anyhv_rng_linux *linux_source, struct anyhv_loop *loop,
                         const char *path);
void anyhv_rng_linux_close(struct anyhv_rng_linux *linux_source);

/* Lets at most `max_bytes` through in each period; the rest waits for the next. Never sleeps. */
struct anyhv_rng_limit {
    struct anyhv_rng_source source;
    struct anyhv_rng_source *inner;
    struct anyhv_loop *loop;
    struct anyhv_timer timer;
    uint64_t period_ns, started; /* ns, CLOCK_MONOTONIC */
    uint32_t max_bytes, passed;
};

/* @max_bytes and @period_ms at least 1. */
void anyhv_rng_limit_init(struct anyhv_rng_limit *limit, struct anyhv_loop *loop,
                          struct anyhv_rng_source *inner, uint32_t max_bytes, uint32_t period_ms);
void anyhv_rng_limit_fini(struct anyhv_rng_limit *limit);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that touches memory shared with the device, besides memset on areas that the
 * device does not look at yet. Little endian on every host; 8, 16 and 32 bits, each one access.
 *
 * Orders: acquire and release pair with the device's own; where more is needed, drv_full_barrier.
 */
#ifndef ANYHV_TEST_DRIVER_SHARED_H
#define ANYHV_TEST_DRIVER_SHARED_H

#include <stddef.h>
#include <stdint.h>

/* All that is called from outside; where there is no C library there is no string.h. */
void *memset(void *to, int byte, size_t len);

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define DRV_LE16(x) __builtin_bswap16(x)
#define DRV_LE32(x) __builtin_bswap32(x)
#else
#define DRV_LE16(x) ((uint16_t)(x))
#define DRV_LE32(x) ((uint32_t)(x))
#endif

static inline uint16_t *drv_p16(uint8_t *at)
{
    return (uint16_t *)(void *)at;
}

static inline uint32_t *drv_p32(uint8_t *at)
{
    return (uint32_t *)(void *)at;
}

static inline uint16_t drv_get16(uint8_t *at)
{
    return DRV_LE16(__atomic_load_n(drv_p16(at), __ATOMIC_RELAXED));
}

static inline uint16_t drv_get16_acquire(uint8_t *at)
{
    return DRV_LE16(__atomic_load_n(drv_p16(at), __ATOMIC_ACQUIRE));
}

static inline uint32_t drv_get32(uint8_t *at)
{
    return DRV_LE32(__atomic_load_n(drv_p32(at), __ATOMIC_RELAXED));
}

static inline void drv_put16(uint8_t *at, uint16_t value)
{
    __atomic_store_n(drv_p16(at), DRV_LE16(value), __ATOMIC_RELAXED);
}

static inline void drv_put16_release(uint8_t *at, uint16_t value)
{
    __atomic_store_n(drv_p16(at), DRV_LE16(value), __ATOMIC_RELEASE);
}

static inline void drv_put32(uint8_t *at, uint32_t value)
{
    __atomic_store_n(drv_p32(at), DRV_LE32(value), __ATOMIC_RELAXED);
}

/* Two accesses: only for words that a later release makes visible. */
static inline void drv_put64(uint8_t *at, uint64_t value)
{
    drv_put32(at, (uint32_t)value);
    drv_put32(at + 4, (uint32_t)(value >> 32));
}

static inline uint64_t drv_get64(uint8_t *at)
{
    return drv_get32(at) | ((uint64_t)drv_get32(at + 4) << 32);
}

/*
 * A store before it is visible to the device before a load after it reads: nothing less does that.
 */
static inline void drv_full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way this library touches memory that a driver can change at the same moment: loads and
 * stores of 8, 16 and 32 bits (64 where the machine has them), little endian, each exactly once,
 * plus acquire, release and one full fence. No read-modify-write: a Cortex-M0 has none.
 *
 * What pairs with what is said where it is used.
 */
#ifndef ANYHV_CORE_SHM_H
#define ANYHV_CORE_SHM_H

#include <anyhv/port.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define SHM_LE16(v) __builtin_bswap16(v)
#define SHM_LE32(v) __builtin_bswap32(v)
#define SHM_LE64(v) __builtin_bswap64(v)
#else
#define SHM_LE16(v) (v)
#define SHM_LE32(v) (v)
#define SHM_LE64(v) (v)
#endif

static inline uint16_t shm_load16(const void *at)
{
    return SHM_LE16(__atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED));
}

static inline uint16_t shm_load16_acquire(const void *at)
{
    return SHM_LE16(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static inline uint32_t shm_load32(const void *at)
{
    return SHM_LE32(__atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED));
}

static inline uint32_t shm_load32_acquire(const void *at)
{
    return SHM_LE32(__atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE));
}

static inline void shm_store16(void *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)at, SHM_LE16(value), __ATOMIC_RELAXED);
}

static inline void shm_store16_release(void *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)at, SHM_LE16(value), __ATOMIC_RELEASE);
}

static inline void shm_store32(void *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)at, SHM_LE32(value), __ATOMIC_RELAXED);
}

/* Store before, load after: neither acquire nor release keeps that order. */
static inline void shm_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * One descriptor as 16 bytes: addr, len, and two 16-bit words whose meaning differs between the
 * layouts (split: flags, next; packed: id, flags).
 */
struct shm_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t lo, hi; /* at byte 12 and 14 */
};

/* The same with the two words in one, `lo` below and `hi` above. */
struct shm_raw {
    uint64_t addr;
    uint32_t len;
    uint32_t words;
};

/*
 * Takes a copy of an aligned descriptor. The half with len and flags is loaded first and with
 * acquire: a packed ring hands over ownership through the flags.
 */
static inline struct shm_raw shm_load_raw(const void *at)
{
    const uint8_t *byte = at;
    struct shm_raw raw;

#if UINTPTR_MAX > 0xffffffffu
    const void *high = byte + 8;
    uint64_t word = SHM_LE64(__atomic_load_n((const uint64_t *)high, __ATOMIC_ACQUIRE));

    raw.len = (uint32_t)word;
    raw.words = (uint32_t)(word >> 32);
    raw.addr = SHM_LE64(__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED));
#else
    raw.words = shm_load32_acquire(byte + 12);
    raw.len = shm_load32(byte + 8);
    raw.addr = shm_load32(byte) | (uint64_t)shm_load32(byte + 4) << 32;
#endif
    return raw;
}

static inline struct shm_desc shm_load_desc(const void *at)
{
    struct shm_raw raw = shm_load_raw(at);

    return (struct shm_desc){raw.addr, raw.len, (uint16_t)raw.words, (uint16_t)(raw.words >> 16)};
}

/*
 * Copies out of shared memory at any alignment. The barrier ends the copy: the compiler may not
 * fetch a value a second time after it was checked.
 */
static inline void shm_copy_out(void *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    __asm__ volatile("" ::: "memory");
}

/*
 * A descriptor at @from in private memory, any alignment (an entry of an indirect table). Without a
 * C library memcpy is a call, whatever the length; the compiler's own is a load.
 */
static inline struct shm_desc shm_parse_desc(const uint8_t *from)
{
    uint64_t addr;
    uint32_t len;
    uint16_t lo, hi;

    __builtin_memcpy(&addr, from, 8);
    __builtin_memcpy(&len, from + 8, 4);
    __builtin_memcpy(&lo, from + 12, 2);
    __builtin_memcpy(&hi, from + 14, 2);
    return (struct shm_desc){SHM_LE64(addr), SHM_LE32(len), SHM_LE16(lo), SHM_LE16(hi)};
}

#endif

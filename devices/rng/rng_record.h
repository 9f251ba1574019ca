/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated entropy stream: numbered 64-byte records that prove themselves.
 *
 *   offset  0  seed   u64 LE   the stream this record belongs to
 *   offset  8  index  u64 LE   0, 1, 2 ... in the order the device handed them out
 *   offset 16  body   5 x u64  a function of (seed, index)
 *   offset 56  check  u64 LE   a function of the 56 bytes before it
 *
 * A guest that reads multiples of 64 bytes can tell a record that is torn, stale, repeated or
 * made up. It is test data, not entropy: nothing here is fit for cryptography.
 *
 * Freestanding, and shared by the simulated source, the tests and the checker inside the guests.
 */
#ifndef ANYHV_DEVICES_RNG_RECORD_H
#define ANYHV_DEVICES_RNG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RNG_RECORD_SIZE     64u
#define RNG_RECORD_CHECK_AT 56u

/* One round of the splitmix64 output function: cheap, and every input bit moves the result. */
static inline uint64_t rng_record_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline void rng_record_put64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t rng_record_get64(const uint8_t *at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline uint64_t rng_record_checksum(const uint8_t *record)
{
    uint64_t sum = 0;

    for (unsigned at = 0; at < RNG_RECORD_CHECK_AT; at += 8)
        sum = rng_record_mix(sum ^ rng_record_get64(record + at));
    return sum;
}

/* Writes record @index of the stream @seed; @record has RNG_RECORD_SIZE bytes. */
static inline void rng_record_make(uint8_t *record, uint64_t seed, uint64_t index)
{
    rng_record_put64(record, seed);
    rng_record_put64(record + 8, index);
    for (unsigned i = 0; i < 5; i++)
        rng_record_put64(record + 16 + 8 * i, rng_record_mix(seed ^ rng_record_mix(index * 5 + i)));
    rng_record_put64(record + RNG_RECORD_CHECK_AT, rng_record_checksum(record));
}

/* True if @record is a whole, untouched record of the stream @seed; its index goes to *@index. */
static inline bool rng_record_check(const uint8_t *record, uint64_t seed, uint64_t *index)
{
    uint8_t want[RNG_RECORD_SIZE];
    unsigned differ = 0;

    *index = rng_record_get64(record + 8);
    rng_record_make(want, seed, *index);
    for (unsigned i = 0; i < RNG_RECORD_SIZE; i++)
        differ |= (unsigned)(want[i] ^ record[i]);
    return differ == 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ring layouts as C structures, section 2.7 and 2.8: for the bench's driver and for the loops
 * that mark the limit. Words that the other side writes are read and written with the helpers.
 */
#ifndef ANYHV_BENCH_RING_H
#define ANYHV_BENCH_RING_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the bench's driver writes guest memory in host order: little-endian machines only"
#endif

enum {
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,
    DESC_AVAIL = 1 << 7,
    DESC_USED = 1 << 15,
    AVAIL_NO_INTERRUPT = 1,
    EVENT_DISABLE = 1, /* packed */
    EVENT_DESC = 2,
    EVENT_WRAP = 1 << 15,
};

struct split_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct split_avail {
    uint16_t flags, idx;
    uint16_t ring[]; /* size entries, then used_event */
};

struct split_elem {
    uint32_t id, len;
};

struct split_used {
    uint16_t flags, idx;
    struct split_elem ring[]; /* size entries, then avail_event */
};

struct packed_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

struct packed_event {
    uint16_t off_wrap, flags;
};

static inline uint16_t ring_load(const uint16_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static inline uint16_t ring_load_acquire(const uint16_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void ring_store(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static inline void ring_store_release(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* Section 2.7.10: did an index that went from @old to @now step over @event? */
static inline int ring_need_event(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/* AVAIL and USED bits of a descriptor that is available, or used, in lap @wrap. */
static inline uint16_t ring_avail_bits(unsigned wrap)
{
    return wrap ? DESC_AVAIL : DESC_USED;
}

static inline uint16_t ring_used_bits(unsigned wrap)
{
    return wrap ? DESC_AVAIL | DESC_USED : 0;
}

#endif

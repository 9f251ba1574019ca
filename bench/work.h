/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device does with a request; the same for every peer, so that peers differ only in how they
 * get at it.
 *
 *   c1   one writable descriptor. The device writes the next word of a counter, as an entropy
 *        device fills a buffer; with -copy: all of it, the word first.
 *   c2   a readable header of 16 bytes, a writable descriptor. The device reads the header and
 *        writes one word that follows from it; with -copy: fills the buffer, the word first.
 *   c3   a readable header, readable data, a writable answer of 4 bytes. The device reads the
 *        header and writes the answer; with -copy: reads the data too, and its last word is part of
 *        the answer.
 *
 * Without -copy the data are only described and translated, as for a device that hands them on.
 */
#ifndef ANYHV_BENCH_WORK_H
#define ANYHV_BENCH_WORK_H

#include "scenario.h"

#include <stdint.h>
#include <string.h>

enum {
    WORK_HEADER = 16, /* bytes; the first word is the token that the driver chose */
    WORK_ANSWER = 4,
    WORK_PAGE = 4096,
    WORK_FILL = 0xa5, /* what -copy fills buffers with, behind the word */
};

/* The device's own memory. On pages of its own, so that how copies fall together with the guest's
 * buffers in the cache is the same for every peer. */
struct work {
    _Alignas(WORK_PAGE) uint8_t in[SCENARIO_BYTES_MAX]; /* data that was read */
    uint8_t out[SCENARIO_BYTES_MAX];                    /* what buffers are filled with */
    uint8_t header[WORK_HEADER];
    uint32_t counter;
    bool copy;
};

static inline void work_init(struct work *work, bool copy)
{
    memset(work, 0, sizeof(*work));
    memset(work->out, WORK_FILL, sizeof(work->out));
    work->copy = copy;
}

static inline uint32_t work_word(const void *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Never 0, which is what an untouched buffer has. */
static inline uint32_t work_count(uint32_t n)
{
    return 2 * n + 1;
}

/* The answer to a header with @token, and data that end in @tail (0 if they were not read). */
static inline uint32_t work_answer(uint32_t token, uint32_t tail)
{
    return token ^ tail ^ UINT32_C(0x5bd1e995);
}

/* For peers that see bytes where they are: readable descriptor @i of a request ... */
static inline void work_read(struct work *work, unsigned i, const void *at, uint32_t len)
{
    if (i == 0)
        memcpy(work->header, at, WORK_HEADER);
    else if (work->copy)
        memcpy(work->in, at, len);
}

/* ... and, after @readable of those, the last @len of which were data, the writable one. Returns
 * the used length. */
static inline uint32_t work_write(struct work *work, unsigned readable, uint32_t data, void *at,
                                  uint32_t len)
{
    uint32_t word, tail = 0;

    if (readable > 1 && work->copy)
        tail = work_word(work->in + data - sizeof(tail));
    word = readable ? work_answer(work_word(work->header), tail) : work_count(work->counter++);
    if (!work->copy) {
        memcpy(at, &word, sizeof(word));
        return WORK_ANSWER;
    }
    memcpy(work->out, &word, sizeof(word));
    memcpy(at, work->out, len);
    return len;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target stands on: fuzz_one() gets an input of any length and takes from it what it
 * needs; behind its end there are zeroes. fuzz.c makes a libFuzzer program of it.
 */
#ifndef ANYHV_TEST_FUZZ_H
#define ANYHV_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* The target's. Leaves nothing behind: the next input must find the same. */
void fuzz_one(struct fuzz_input *in);

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint32_t fuzz_word(struct fuzz_input *in)
{
    uint32_t low = fuzz_byte(in), mid = fuzz_byte(in);

    return low | mid << 8 | (uint32_t)fuzz_byte(in) << 16;
}

/* Something that must hold, whatever the input is. */
static inline void fuzz_assert(bool holds)
{
    if (!holds)
        abort();
}

static inline void *fuzz_alloc(size_t size)
{
    void *p = calloc(1, size);

    fuzz_assert(p != NULL);
    return p;
}

/* Reads it, whatever the optimiser thinks of that. */
static inline void fuzz_use(uint8_t byte)
{
    __asm__ volatile("" : : "r"(byte));
}

#endif

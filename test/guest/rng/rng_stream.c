/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes COUNT records of the simulated entropy stream SEED to standard output, from record FIRST
 * on:
 *
 *     rng_stream SEED FIRST COUNT
 *
 * It feeds the tests of rng_check, and guests that are to be shown a broken stream.
 */
#include <stdio.h>
#include <stdlib.h>

#include "devices/rng/rng_record.h"

int main(int argc, char **argv)
{
    uint64_t seed, first, count;

    if (argc != 4) {
        fprintf(stderr, "usage: rng_stream SEED FIRST COUNT\n");
        return 2;
    }
    seed = strtoull(argv[1], NULL, 0);
    first = strtoull(argv[2], NULL, 0);
    count = strtoull(argv[3], NULL, 0);

    for (uint64_t i = 0; i < count; i++) {
        uint8_t record[RNG_RECORD_SIZE];

        rng_record_make(record, seed, first + i);
        if (fwrite(record, sizeof(record), 1, stdout) != 1)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

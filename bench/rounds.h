/* SPDX-License-Identifier: Apache-2.0 */
/* Times: rounds in which the peers of a scenario take turns, and what they amount to. */
#ifndef ANYHV_BENCH_ROUNDS_H
#define ANYHV_BENCH_ROUNDS_H

#include "report.h"

enum {
    ROUNDS_MAX = 9999,
};

/*
 * Takes up to @rounds rounds, not 0, of one scenario: that of @results, one per peer, @peers of
 * them. Fills in their times; a ratio where the limit of the same layout is among them.
 */
void rounds_measure(struct result *results, size_t peers, unsigned rounds,
                    const struct clock_rate *rate);

#endif

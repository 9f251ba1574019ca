/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions per request, inclusive of everything below the peer's poll: counted by callgrind,
 * which runs this program once more. The same build gives the same numbers, whatever the load.
 */
#ifndef ANYHV_BENCH_COUNT_H
#define ANYHV_BENCH_COUNT_H

#include "run.h"

/* The hidden option that makes this program the one that is counted. */
#define COUNT_OPTION "count-me"

/*
 * In the process that callgrind watches: serves a fixed number of requests, one part of the
 * profile.
 */
void count_serve(const struct scenario *scenario, const struct peer *peer);

/*
 * Runs callgrind on this program with the same arguments and COUNT_OPTION. That process has to call
 * count_serve once for each number that the caller then takes, in the same order.
 */
void count_begin(int argc, char *argv[]);
/* The next number. */
double count_next(const struct scenario *scenario);
void count_end(void);

#endif

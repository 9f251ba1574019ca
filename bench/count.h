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

/* In the process that callgrind watches: serves a fixed number of requests, one part of the
 * profile. */
void count_serve(const struct scenario *scenario, const struct peer *peer);

/* How many that is. */
unsigned count_requests(const struct scenario *scenario);

/*
 * Runs callgrind on this program with the same arguments and COUNT_OPTION. That process has to call
 * count_serve @parts times; the instructions of each part go to @totals. Ends the program on
 * failure.
 */
void count_parts(int argc, char *argv[], uint64_t *totals, unsigned parts);

#endif

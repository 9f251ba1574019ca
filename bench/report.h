/* SPDX-License-Identifier: Apache-2.0 */
/* What was measured, and how it is shown. */
#ifndef ANYHV_BENCH_REPORT_H
#define ANYHV_BENCH_REPORT_H

#include "run.h"

#include <stdio.h>

/* Times in ns per request; a number that was not measured is NAN. */
struct result {
    const struct scenario *scenario;
    const struct peer *peer;
    double med, p10, min; /* inside the peer, over the rounds */
    double loop;          /* median of the whole loop, driver included */
    double ratio;         /* this / the limit of the same layout: median over the rounds of the
                             quotients; two threads: quotient of the p10 */
    double instr;         /* instructions per request */
};

void report_header(void);
void report_row(const struct result *result);

/* All results and the machine, as one JSON object. */
void report_json(FILE *out, const struct result *results, size_t count, unsigned rounds);

#endif

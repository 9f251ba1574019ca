/* SPDX-License-Identifier: Apache-2.0 */
#include "rounds.h"

#include <stdlib.h>
#include <string.h>

enum {
    WARM_UP = 2,
    LEAST = 3,
    SECONDS = 3, /* after these no more are begun: two threads that are not scheduled together can
                    wait for each other very long */
};

/* The rounds of one peer. */
struct column {
    struct run run;
    double device[ROUNDS_MAX], loop[ROUNDS_MAX], ratio[ROUNDS_MAX];
};

static int by_value(const void *a, const void *b)
{
    double x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Sorts; the value below which @part of the values are. */
static double quantile(double *values, unsigned count, double part)
{
    qsort(values, count, sizeof(*values), by_value);
    return values[(unsigned)(part * (count - 1))];
}

/* Round number @at of every peer. */
static void take_round(struct column *columns, size_t peers, unsigned at,
                       const struct clock_rate *rate)
{
    for (size_t i = 0; i < peers; i++) {
        struct run *run = &columns[i].run;
        struct round round = run->scenario->threads ? run_round_threads(run) : run_round(run, rate);

        columns[i].device[at] = round.device;
        columns[i].loop[at] = round.loop;
    }
}

/* How many were taken. */
static unsigned take_rounds(struct column *columns, size_t peers, unsigned rounds,
                            const struct clock_rate *rate)
{
    uint64_t end = clock_ns() + SECONDS * UINT64_C(1000000000);
    unsigned taken = 0;

    for (unsigned i = 0; i < WARM_UP; i++)
        take_round(columns, peers, 0, rate);
    while (taken < rounds && (taken < LEAST || clock_ns() < end))
        take_round(columns, peers, taken++, rate);
    return taken;
}

/* What the peer of @column is compared with, or NULL. */
static struct column *limit_of(struct column *columns, size_t peers, const struct column *column)
{
    for (size_t i = 0; i < peers; i++) {
        const struct peer *peer = columns[i].run.peer;

        if (peer->limit && peer->packed == column->run.peer->packed)
            return &columns[i];
    }
    return NULL;
}

/* Round by round, since what disturbs one disturbs its neighbour; the median. */
static double compare(struct column *column, const struct column *limit, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        column->ratio[i] = column->device[i] / limit->device[i];
    return quantile(column->ratio, rounds, 0.5);
}

/*
 * Two threads are disturbed for long by being scheduled apart: the rounds in which they were not.
 */
static double compare_threads(struct column *column, struct column *limit, unsigned rounds)
{
    return quantile(column->device, rounds, 0.1) / quantile(limit->device, rounds, 0.1);
}

static void sum_up(struct result *result, struct column *column, unsigned rounds)
{
    result->med = quantile(column->device, rounds, 0.5);
    result->p10 = quantile(column->device, rounds, 0.1);
    result->min = quantile(column->device, rounds, 0);
    result->loop = quantile(column->loop, rounds, 0.5);
}

void rounds_measure(struct result *results, size_t peers, unsigned rounds,
                    const struct clock_rate *rate)
{
    struct column *columns = peer_alloc(peers * sizeof(*columns));

    for (size_t i = 0; i < peers; i++)
        run_start(&columns[i].run, results[i].scenario, results[i].peer);
    rounds = take_rounds(columns, peers, rounds, rate);
    for (size_t i = 0; i < peers; i++) { /* round by round: before anything sorts them */
        struct column *limit = limit_of(columns, peers, &columns[i]);

        if (limit)
            results[i].ratio = results[i].scenario->threads
                                   ? compare_threads(&columns[i], limit, rounds)
                                   : compare(&columns[i], limit, rounds);
    }
    for (size_t i = 0; i < peers; i++) {
        sum_up(&results[i], &columns[i], rounds);
        run_stop(&columns[i].run);
    }
    free(columns);
}

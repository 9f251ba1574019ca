/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anyhv-bench-ways: what a register access, a kick and a request cost over each way to a device, in
 * one run. The ways take turns, round by round; shown are the medians of the rounds.
 *
 *   anyhv-bench-ways                 a table
 *   anyhv-bench-ways --json          the same for programs
 *   anyhv-bench-ways --self-check    does each way answer rightly? TAP
 */
#include "ways.h"

#include "../clock.h"

#include <devices/rng/rng_record.h>
#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS = 11,
    COUNT = 2000,       /* of each, in a round */
    SPINS = 1000000000, /* an answer that does not come by then is lost */
};

static const struct way *const ways[] = {&way_loopback, &way_wire, &way_wire_posted,
                                         &way_vhost_user, &way_guest};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

void way_need(bool ok, const char *what)
{
    if (!ok)
        errx(1, "%s", what);
}

void way_ring(struct way_device *device)
{
    const struct drv_ring_config config = {.size = WAYS_RING, .slots = device->slots};

    way_need(drv_ring_init(&device->ring, &device->mem, &config), "ring");
}

/* ---- one round of one way ---- */

/* From the kick until the driver sees the answer, for which it looks all the time. */
static void request(const struct way *way, struct way_device *device, uint64_t buffer)
{
    const struct drv_buf in = {buffer, RNG_RECORD_SIZE};
    const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;
    unsigned spins = 0;

    way_need(drv_ring_add(&device->ring, &chain) >= 0, "the ring is full");
    drv_ring_publish(&device->ring);
    way->kick(device);
    if (way->run)
        way->run(device);
    while (!drv_ring_get(&device->ring, &used))
        way_need(spins++ < SPINS, "a request is not answered");
    way_need(used.len == RNG_RECORD_SIZE, "a short answer");
}

static void check_record(const struct way_device *device, uint64_t buffer)
{
    uint64_t index;

    way_need(rng_record_check(drv_ptr(&device->mem, buffer, RNG_RECORD_SIZE), WAYS_SEED, &index),
             "a wrong record");
}

static void serve_requests(const struct way *way, struct way_device *device, unsigned count)
{
    uint64_t buffer = drv_alloc(&device->mem, RNG_RECORD_SIZE, 64);

    way_need(buffer != DRV_NO_ADDR, "no memory");
    for (unsigned i = 0; i < count; i++)
        request(way, device, buffer);
    check_record(device, buffer);
}

static double each(struct way_device *device, unsigned count,
                   void (*what)(struct way_device *device))
{
    uint64_t began = clock_ns();

    for (unsigned i = 0; i < count; i++)
        what(device);
    return (double)(clock_ns() - began) / count;
}

static void measure(const struct way *way, unsigned count, struct way_times *times)
{
    struct way_device device = {0};
    uint64_t began;

    process_together(false);
    way->open(&device);
    serve_requests(way, &device, 16); /* all is in the caches */
    process_together(true);
    times->ns[WAY_TOGETHER] = each(&device, count, way->access);
    process_together(false);
    times->ns[WAY_ACCESS] = each(&device, count, way->access);
    times->ns[WAY_KICK] = each(&device, count, way->kick);
    began = clock_ns();
    serve_requests(way, &device, count);
    times->ns[WAY_REQUEST] = (double)(clock_ns() - began) / count;
    way->close(&device);
}

/* ---- all of them ---- */

static const char *const laps[WAY_LAPS] = {"together", "access", "kick", "request"};

struct row {
    const char *why; /* not measured; NULL: it was */
    struct way_times rounds[ROUNDS], median;
};

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void take_median(struct row *row, unsigned rounds, enum way_lap lap)
{
    double values[ROUNDS];

    for (unsigned i = 0; i < rounds; i++)
        values[i] = row->rounds[i].ns[lap];
    qsort(values, rounds, sizeof(values[0]), compare);
    row->median.ns[lap] = values[rounds / 2];
}

static void measure_all(struct row *rows, unsigned rounds, unsigned count)
{
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < WAYS; i++) {
            if (!ways[i]->measure)
                measure(ways[i], count, &rows[i].rounds[round]);
            else if (!rows[i].why)
                ways[i]->measure(count, &rows[i].rounds[round], &rows[i].why);
        }
    for (unsigned i = 0; i < WAYS; i++)
        for (unsigned lap = 0; lap < WAY_LAPS; lap++)
            take_median(&rows[i], rounds, lap);
}

static void show(const struct row *rows)
{
    printf("%-18s", "ns");
    for (unsigned lap = 0; lap < WAY_LAPS; lap++)
        printf(" %9s", laps[lap]);
    for (unsigned i = 0; i < WAYS; i++) {
        printf("\n%-18s", ways[i]->name);
        if (rows[i].why)
            printf(" SKIPPED: %s", rows[i].why);
        for (unsigned lap = 0; lap < WAY_LAPS && !rows[i].why; lap++)
            printf(isnan(rows[i].median.ns[lap]) ? "         -" : " %9.0f", rows[i].median.ns[lap]);
    }
    putchar('\n');
}

/* What was not measured is not there. */
static void show_json(const struct row *rows)
{
    for (unsigned i = 0; i < WAYS; i++) {
        printf("%s\n {\"way\": \"%s\"", i ? "," : "[", ways[i]->name);
        for (unsigned lap = 0; lap < WAY_LAPS && !rows[i].why; lap++)
            if (!isnan(rows[i].median.ns[lap]))
                printf(", \"%s\": %.0f", laps[lap], rows[i].median.ns[lap]);
        putchar('}');
    }
    puts("\n]");
}

/* TAP, and no times. */
static void self_check(struct row *rows)
{
    measure_all(rows, 1, 100);
    for (unsigned i = 0; i < WAYS; i++)
        printf("ok %u - %s answers rightly%s%s\n", i + 1, ways[i]->name,
               rows[i].why ? " # SKIP " : "", rows[i].why ? rows[i].why : "");
    printf("1..%zu\n", WAYS);
}

int main(int argc, char **argv)
{
    static struct row rows[WAYS];

    const char *option = argc == 2 ? argv[1] : "";
    bool json = strcmp(option, "--json") == 0;

    if (strcmp(option, "--self-check") == 0) {
        self_check(rows);
        return 0;
    }
    if (argc > 1 && !json)
        errx(64, "usage: anyhv-bench-ways [--json | --self-check]");
    measure_all(rows, ROUNDS, COUNT);
    if (json)
        show_json(rows);
    else
        show(rows);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <err.h>
#include <stdio.h>

enum {
    ROUND_REQUESTS = 8192,
    CHECK_LAPS = 3,
};

void run_start(struct run *run, const struct scenario *scenario, const struct peer *peer)
{
    run->scenario = scenario;
    run->peer = peer;
    guest_start(&run->guest, scenario, peer->packed);
    run->ctx = peer->setup(&run->guest);
}

uint64_t run_stop(struct run *run)
{
    uint64_t notified = run->peer->teardown(run->ctx);

    guest_stop(&run->guest);
    return notified;
}

_Noreturn void run_fail(const struct run *run)
{
    errx(1, "%s %s: %s", run->scenario->name, run->peer->name, run->guest.fault);
}

/* All of a batch has to be answered when the peer returns. */
static bool reap_batch(struct run *run)
{
    struct guest *guest = &run->guest;
    unsigned n = guest_reap(guest);

    if (!guest->fault[0] && n != run->scenario->depth)
        snprintf(guest->fault, sizeof(guest->fault), "%u of %u requests were answered", n,
                 run->scenario->depth);
    return !guest->fault[0];
}

bool run_batches(struct run *run, unsigned batches)
{
    while (batches--) {
        guest_post(&run->guest, run->scenario->depth);
        run->peer->poll(run->ctx);
        if (!reap_batch(run))
            return false;
    }
    return true;
}

bool run_self_check(const struct scenario *scenario, const struct peer *peer, char *why,
                    size_t why_size)
{
    struct run run;
    unsigned batches;
    uint64_t notified, wanted;

    run_start(&run, scenario, peer);
    run.guest.thorough = true;
    batches = CHECK_LAPS * run.guest.size / scenario->depth + 1;
    wanted = scenario->event_idx ? batches : 0;
    run_batches(&run, batches);
    snprintf(why, why_size, "%s", run.guest.fault);
    notified = run_stop(&run);
    if (!why[0] && notified != wanted)
        snprintf(why, why_size, "%llu notifications for %u batches, the driver wanted %llu",
                 (unsigned long long)notified, batches, (unsigned long long)wanted);
    return !why[0];
}

struct round run_round(struct run *run, const struct clock_rate *rate)
{
    unsigned depth = run->scenario->depth, batches = ROUND_REQUESTS / depth;
    double requests = (double)batches * depth;
    uint64_t begin = clock_ticks(), device = 0;

    for (unsigned i = 0; i < batches; i++) {
        uint64_t ticks;

        guest_post(&run->guest, depth);
        ticks = clock_ticks();
        run->peer->poll(run->ctx);
        ticks = clock_ticks() - ticks;
        device += ticks > rate->overhead ? ticks - rate->overhead : 0;
        if (!reap_batch(run))
            run_fail(run);
    }
    return (struct round){
        .device = (double)device * rate->ns_per_tick / requests,
        .loop = (double)(clock_ticks() - begin) * rate->ns_per_tick / requests,
    };
}

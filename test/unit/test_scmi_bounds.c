/* SPDX-License-Identifier: Apache-2.0 */
/* A platform whose tables would make the model count or divide wrongly is refused. */
#include "scmi_bench.h"

static const uint64_t descending[] = {2, 1}, with_zero[] = {0, 1}, enormous[] = {1, UINT64_MAX},
                      no_step[] = {1, 2, 0}, backwards[] = {5, 1, 1}, to_zero[] = {0, 2, 1},
                      one_rate[] = {1000000000000}, one_point[] = {5, 5, 1};
static const uint16_t twice[] = {10, 10}, at_once[] = {0, 10};
static struct anyhv_scmi_clock stranger = {.resource = {"stranger", 0}};

#define CASE(name, ...)                          \
    static void name(struct scmi_bench *b)       \
    {                                            \
        struct anyhv_scmi_clock *c = b->clock;   \
        struct anyhv_scmi_sensor *s = b->sensor; \
                                                 \
        (void)c;                                 \
        (void)s;                                 \
        __VA_ARGS__;                             \
    }

CASE(no_rates, c->nrates = 0)
CASE(rates_null, c->rates = NULL)
CASE(rates_down, c->rates = descending; c->nrates = 2; c->rate = 1)
CASE(rate_zero, c->rates = with_zero; c->nrates = 2; c->rate = 1)
CASE(rate_enormous, c->rates = enormous; c->nrates = 2; c->rate = 1)
CASE(rate_of_none, c->rate = 600000000)
CASE(range_of_two, c[BUS].nrates = 2)
CASE(range_without_step, c[BUS].rates = no_step; c[BUS].rate = 1)
CASE(range_backwards, c[BUS].rates = backwards; c[BUS].rate = 3)
CASE(range_from_zero, c[BUS].rates = to_zero; c[BUS].rate = 1)
CASE(rate_outside, c[BUS].rate = 100000001)
CASE(no_name, c->resource.name = NULL)
CASE(empty_name, s->resource.name = "")
CASE(long_name, b->reset[NIC].resource.name = "sixteen-letters-")
CASE(four_axes, s->axes = 4)
CASE(five_trips, s->trips = 5)
CASE(scale_too_small, s->scale = -17)
CASE(scale_too_large, s->scale = 16)
CASE(base_too_large, s->base[0] = INT64_MAX)
CASE(per_mhz_too_large, s->per_mhz = INT64_MIN)
CASE(speed_too_large, s->speed = INT64_MAX)
CASE(speed_negative, s->speed = -1)
CASE(min_above_max, s[ACCEL].min = 2001)
CASE(intervals_equal, s->intervals_ms = twice; s->nintervals = 2)
CASE(interval_zero, s->intervals_ms = at_once; s->nintervals = 2)
CASE(intervals_null, s->intervals_ms = NULL; s->nintervals = 1)
CASE(follows_a_stranger, s->follows = &stranger)
CASE(no_agents, b->platform.nagents = 0)
CASE(many_agents, b->platform.nagents = 256)
CASE(agents_null, b->platform.agents = NULL)
CASE(agent_without_name, b->agent[1].name = NULL)
CASE(no_sub_vendor, b->platform.sub_vendor = NULL)
CASE(no_sampling, b->platform.sample_ms = 0)
CASE(clocks_null, b->platform.clocks = NULL)
CASE(grant_of_nothing, b->agent_clock[0][0].grant.resource = NULL)
CASE(grant_of_a_stranger, b->agent_clock[0][0].grant.resource = &stranger.resource)
CASE(grant_of_another_kind, b->agent_reset[1][0].grant.resource = &c->resource)
CASE(grants_null, b->agent[1].clocks = NULL)

CASE(as_it_was, (void)0)
CASE(highest_rate, c->rates = one_rate; c->nrates = 1; c->rate = one_rate[0])
CASE(range_of_one, c[BUS].rates = one_point; c[BUS].rate = 5)
CASE(most_of_a_sensor, s->axes = 3; s->trips = 4; s->scale = -16; s->base[0] = -1000000000000;
     s->per_mhz = 1000000000000; s->speed = 1000000000000)
CASE(longest_name, c->resource.name = "fifteen-letters")
CASE(nothing_at_all, b->agent[0].nclocks = b->agent[0].nsensors = b->agent[0].nresets = 0;
     b->agent[0].clocks = NULL)

struct change {
    const char *name;
    void (*make)(struct scmi_bench *b);
};
#define CHANGE(f) \
    {             \
#f, f     \
    }

static void try_all(struct scmi_bench *b, const struct change *changes, unsigned n, int result)
{
    for (unsigned i = 0; i < n; i++) {
        struct scmi_bench before = *b;

        changes[i].make(b);
        if (anyhv_scmi_platform_init(&b->platform) != result)
            fail_msg("%s: not %d", changes[i].name, result);
        *b = before;
    }
}

static void out_of_bounds(void **state)
{
    static const struct change changes[] = {
        CHANGE(no_rates),
        CHANGE(rates_null),
        CHANGE(rates_down),
        CHANGE(rate_zero),
        CHANGE(rate_enormous),
        CHANGE(rate_of_none),
        CHANGE(range_of_two),
        CHANGE(range_without_step),
        CHANGE(range_backwards),
        CHANGE(range_from_zero),
        CHANGE(rate_outside),
        CHANGE(no_name),
        CHANGE(empty_name),
        CHANGE(long_name),
        CHANGE(four_axes),
        CHANGE(five_trips),
        CHANGE(scale_too_small),
        CHANGE(scale_too_large),
        CHANGE(base_too_large),
        CHANGE(per_mhz_too_large),
        CHANGE(speed_too_large),
        CHANGE(speed_negative),
        CHANGE(min_above_max),
        CHANGE(intervals_equal),
        CHANGE(interval_zero),
        CHANGE(intervals_null),
        CHANGE(follows_a_stranger),
        CHANGE(no_agents),
        CHANGE(many_agents),
        CHANGE(agents_null),
        CHANGE(agent_without_name),
        CHANGE(no_sub_vendor),
        CHANGE(no_sampling),
        CHANGE(clocks_null),
        CHANGE(grant_of_nothing),
        CHANGE(grant_of_a_stranger),
        CHANGE(grant_of_another_kind),
        CHANGE(grants_null),
    };

    try_all(*state, changes, sizeof(changes) / sizeof(changes[0]), ANYHV_E_INVAL);
}

static void just_within_bounds(void **state)
{
    static const struct change changes[] = {
        CHANGE(as_it_was),        CHANGE(highest_rate), CHANGE(range_of_one),
        CHANGE(most_of_a_sensor), CHANGE(longest_name), CHANGE(nothing_at_all),
    };

    try_all(*state, changes, sizeof(changes) / sizeof(changes[0]), ANYHV_OK);
}

static const struct CMUnitTest tests[] = {
    SCMI_TEST(out_of_bounds),
    SCMI_TEST(just_within_bounds),
};

ANYHV_TEST_MAIN("scmi-bounds", tests)

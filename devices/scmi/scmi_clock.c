/* SPDX-License-Identifier: Apache-2.0 */
/* The clock protocol, and how the wishes of several agents become one rate. DEN0056, "Clock". */
#include "scmi_protocol.h"

#include <anyhv/port.h>

enum {
    ID = 0x14,
    RATE_CHANGED = 0,
    RATE_CHANGE_REQUESTED = 1
};

/* CLOCK_ATTRIBUTES */
#define ENABLED            1u
#define NOTIFIES_CHANGE    (UINT32_C(1) << 31)
#define NOTIFIES_REQUESTED (UINT32_C(1) << 30)

/* CLOCK_RATE_SET */
enum {
    ASYNC = 1,
    SILENT = 2,
    ROUND_UP = 4,
    ROUND_AUTO = 8,
    RATE_FLAGS = 15
};

#define RANGE (UINT32_C(1) << 12) /* CLOCK_DESCRIBE_RATES */

static struct anyhv_scmi_clock *of(const struct anyhv_scmi_grant *grant)
{
    return (void *)grant->resource;
}

static struct anyhv_scmi_agent_clock *own(const struct scmi_call *call)
{
    return (void *)call->grant;
}

static unsigned count(const struct anyhv_scmi_agent *agent)
{
    return agent->nclocks;
}

static struct anyhv_scmi_grant *grant(struct anyhv_scmi_agent *agent, uint32_t number)
{
    return number < agent->nclocks ? &agent->clocks[number].grant : NULL;
}

/* ---- rates ---- */

static uint64_t round_to_range(const uint64_t *range, uint64_t rate, uint32_t flags)
{
    uint64_t low = range[0], high = range[1], step = range[2], below, above;

    if (rate < low)
        return flags & (ROUND_UP | ROUND_AUTO) ? low : 0;
    if (rate > high)
        return flags & ROUND_UP && !(flags & ROUND_AUTO) ? 0 : high;
    below = rate - (rate - low) % step;
    if (below == rate)
        return rate;
    above = step > high - below ? high : below + step;
    if (flags & ROUND_AUTO)
        return above - rate < rate - below ? above : below;
    return flags & ROUND_UP ? above : below;
}

static uint64_t round_to_list(const struct anyhv_scmi_clock *clock, uint64_t rate, uint32_t flags)
{
    uint64_t below = 0, above = 0;

    for (unsigned i = 0; i < clock->nrates && !above; i++) {
        if (clock->rates[i] <= rate)
            below = clock->rates[i];
        if (clock->rates[i] >= rate)
            above = clock->rates[i];
    }
    if (flags & ROUND_AUTO)
        return !below || (above && above - rate < rate - below) ? above : below;
    return flags & ROUND_UP ? above : below;
}

/* 0: there is none in that direction. */
static uint64_t round_rate(const struct anyhv_scmi_clock *clock, uint64_t rate, uint32_t flags)
{
    return clock->range ? round_to_range(clock->rates, rate, flags)
                        : round_to_list(clock, rate, flags);
}

/* ---- policy ---- */

struct wishes {
    uint64_t rate; /* the highest; 0: none */
    bool on;
};

static struct wishes all_wishes(const struct anyhv_scmi_platform *platform,
                                const struct anyhv_scmi_clock *clock)
{
    struct wishes all = {0, clock->always_on};

    for (unsigned i = 0; i < platform->nagents; i++) {
        const struct anyhv_scmi_agent *agent = &platform->agents[i];

        for (unsigned k = 0; k < agent->nclocks; k++) {
            const struct anyhv_scmi_agent_clock *c = &agent->clocks[k];

            if (of(&c->grant) != clock || !c->on)
                continue;
            all.on = true;
            if (c->wish > all.rate)
                all.rate = c->wish;
        }
    }
    return all;
}

static void notify(struct anyhv_scmi_platform *platform, const struct anyhv_scmi_clock *clock,
                   uint32_t by, unsigned message, uint64_t rate)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];

        for (unsigned k = 0; k < agent->nclocks; k++) {
            struct anyhv_scmi_agent_clock *c = &agent->clocks[k];
            bool wanted = message == RATE_CHANGED ? c->notify_changed : c->notify_requested;
            struct anyhv_scmi_event *event;

            if (of(&c->grant) != clock || !wanted ||
                anyhv_scmi_denied(agent, clock->resource.device, ID))
                continue;
            event = anyhv_scmi_notice(agent, ID, message);
            if (!event)
                continue;
            anyhv_scmi_event_put(event, by);
            anyhv_scmi_event_put(event, k);
            anyhv_scmi_event_put64(event, rate);
            anyhv_scmi_send(agent->scmi);
        }
    }
}

/*
 * Sensors that follow it are where they got with the old rate, before it changes. False: it does
 * not.
 */
static bool change(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                   uint64_t rate, bool on, uint32_t by)
{
    uint64_t now = platform->ops->now(platform);
    bool changed = clock->rate != rate;

    if (!changed && clock->on == on)
        return true;
    if (platform->ops->set_clock && !platform->ops->set_clock(platform, clock, rate, on, by))
        return false;
    for (unsigned i = 0; i < platform->nsensors; i++)
        anyhv_scmi_sensor_advance(&platform->sensors[i], now);
    clock->rate = rate;
    clock->on = on;
    anyhv_scmi_schedule(platform);
    if (changed)
        notify(platform, clock, by, RATE_CHANGED, rate);
    return true;
}

bool anyhv_scmi_clock_settle(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                             uint32_t by)
{
    struct wishes all = all_wishes(platform, clock);

    return change(platform, clock, all.rate ? all.rate : clock->rate, all.on, by);
}

/* Who does not have it on decides only while nobody who has it on has asked for a rate. */
static bool wish(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent,
                 uint32_t number, uint64_t rate)
{
    struct anyhv_scmi_agent_clock *c = &agent->clocks[number];
    struct anyhv_scmi_clock *clock = of(&c->grant);
    uint64_t before = c->wish;
    struct wishes all;

    c->wish = rate;
    all = all_wishes(platform, clock);
    if (change(platform, clock, all.rate ? all.rate : rate, all.on, agent->id))
        return true;
    c->wish = before;
    return false;
}

/* It is as if the agent asked once more. */
static void state(struct scmi_state *state, struct anyhv_scmi_agent *agent, uint32_t number)
{
    struct anyhv_scmi_agent_clock copy = agent->clocks[number];
    struct anyhv_scmi_clock *clock = of(&copy.grant);

    anyhv_scmi_state_flag(state, &copy.on);
    anyhv_scmi_state_flag(state, &copy.notify_changed);
    anyhv_scmi_state_flag(state, &copy.notify_requested);
    anyhv_scmi_state_word64(state, &copy.wish);
    if (copy.wish && round_rate(clock, copy.wish, 0) != copy.wish)
        state->bad = true;
    if (!copy.grant.write && (copy.on || copy.wish))
        state->bad = true;
    if (!state->load)
        return;
    agent->clocks[number] = copy;
    if (copy.wish)
        wish(agent->platform, agent, number, copy.wish);
    else
        anyhv_scmi_clock_settle(agent->platform, clock, agent->id);
}

/* ---- commands ---- */

/* Drivers ask for all clocks asynchronously when they can for one. */
static bool can_async(const struct scmi_call *call)
{
    const struct anyhv_scmi_agent *agent = call->agent;

    for (unsigned i = 0; i < agent->nclocks && call->events; i++) {
        if (of(&agent->clocks[i].grant)->settle_ms)
            return true;
    }
    return false;
}

static void attributes(struct scmi_call *call)
{
    anyhv_scmi_put(call, call->agent->nclocks | (can_async(call) ? ANYHV_SCMI_DELAYED << 16 : 0));
}

/* Drivers that know only the first version have no room for the last word. */
static enum scmi_status clock_attributes(struct scmi_call *call)
{
    const struct anyhv_scmi_clock *clock = of(call->grant);

    anyhv_scmi_put(call, (clock->on ? ENABLED : 0) |
                             (call->events ? NOTIFIES_CHANGE | NOTIFIES_REQUESTED : 0));
    anyhv_scmi_put_name(call, clock->resource.name);
    if (scmi_room(call) >= 4)
        anyhv_scmi_put(call, clock->enable_us);
    return SCMI_SUCCESS;
}

static enum scmi_status describe_range(struct scmi_call *call, const struct anyhv_scmi_clock *clock)
{
    if (call->param[1])
        return SCMI_OUT_OF_RANGE;
    anyhv_scmi_put(call, 3 | RANGE);
    for (unsigned i = 0; i < 3; i++)
        anyhv_scmi_put64(call, clock->rates[i]);
    return SCMI_SUCCESS;
}

static enum scmi_status describe_rates(struct scmi_call *call)
{
    const struct anyhv_scmi_clock *clock = of(call->grant);
    uint32_t first = call->param[1], n;

    if (clock->range)
        return describe_range(call, clock);
    if (first >= clock->nrates)
        return SCMI_OUT_OF_RANGE;
    n = anyhv_scmi_page(call, 4, 8, clock->nrates - first);
    anyhv_scmi_put(call, n | (clock->nrates - first - n) << 16);
    for (uint32_t i = 0; i < n; i++)
        anyhv_scmi_put64(call, clock->rates[first + i]);
    return SCMI_SUCCESS;
}

static void rate_is_set(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event)
{
    const struct anyhv_scmi_clock *clock = of(&scmi->agent->clocks[event->number].grant);

    if (!wish(scmi->platform, scmi->agent, event->number, event->argument)) {
        anyhv_scmi_event_put(event, (uint32_t)SCMI_HARDWARE_ERROR);
        return;
    }
    anyhv_scmi_event_put(event, SCMI_SUCCESS);
    anyhv_scmi_event_put(event, event->number);
    anyhv_scmi_event_put64(event, clock->rate);
}

static enum scmi_status rate_set(struct scmi_call *call)
{
    uint32_t flags = call->param[0];
    struct anyhv_scmi_clock *clock = of(call->grant);
    uint64_t rate = call->param[2] | (uint64_t)call->param[3] << 32;

    if (flags & ~(uint32_t)RATE_FLAGS)
        return SCMI_INVALID_PARAMETERS;
    if (flags & ASYNC && !can_async(call))
        return SCMI_NOT_SUPPORTED;
    if (flags & ASYNC && anyhv_scmi_busy(call->scmi))
        return SCMI_BUSY;
    rate = round_rate(clock, rate, flags);
    if (!rate)
        return SCMI_INVALID_PARAMETERS;
    notify(call->platform, clock, call->agent->id, RATE_CHANGE_REQUESTED, rate);
    if (flags & ASYNC)
        anyhv_scmi_delay(call, clock->settle_ms, rate, flags & SILENT, rate_is_set);
    else if (!wish(call->platform, call->agent, call->number, rate))
        return SCMI_HARDWARE_ERROR;
    return SCMI_SUCCESS;
}

static enum scmi_status rate_get(struct scmi_call *call)
{
    anyhv_scmi_put64(call, of(call->grant)->rate);
    return SCMI_SUCCESS;
}

static enum scmi_status config_set(struct scmi_call *call)
{
    bool before = own(call)->on;

    if (call->param[1] & ~ENABLED)
        return SCMI_INVALID_PARAMETERS;
    own(call)->on = call->param[1];
    if (anyhv_scmi_clock_settle(call->platform, of(call->grant), call->agent->id))
        return SCMI_SUCCESS;
    own(call)->on = before;
    return SCMI_HARDWARE_ERROR;
}

static enum scmi_status notify_set(struct scmi_call *call, bool *wanted)
{
    if (call->param[1] & ~1u)
        return SCMI_INVALID_PARAMETERS;
    *wanted = call->param[1];
    return SCMI_SUCCESS;
}

static enum scmi_status rate_notify(struct scmi_call *call)
{
    return notify_set(call, &own(call)->notify_changed);
}

static enum scmi_status rate_change_requested_notify(struct scmi_call *call)
{
    return notify_set(call, &own(call)->notify_requested);
}

static const struct scmi_command commands[] = {
    [3] = {clock_attributes, .params = 1, .resource = 1},
    [4] = {describe_rates, .params = 2, .resource = 1},
    [5] = {rate_set, .params = 4, .resource = 2, .flags = SCMI_WRITE},
    [6] = {rate_get, .params = 1, .resource = 1},
    [7] = {config_set, .params = 2, .resource = 1, .flags = SCMI_WRITE},
    [9] = {rate_notify, .params = 2, .resource = 1, .flags = SCMI_EVENTS},
    [10] = {rate_change_requested_notify, .params = 2, .resource = 1, .flags = SCMI_EVENTS},
};

const struct scmi_protocol anyhv_scmi_clock = {
    .id = ID,
    .version = 0x20000,
    .commands = commands,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .attributes = attributes,
    .count = count,
    .grant = grant,
    .state = state,
};

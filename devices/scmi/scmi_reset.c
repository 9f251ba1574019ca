/* SPDX-License-Identifier: Apache-2.0 */
/* The reset domain protocol: lines that are asserted while anybody asserts them. DEN0056, "Reset".
 */
#include "scmi_protocol.h"

enum {
    ID = 0x16,
    RESET_ISSUED = 0
};

/* RESET_DOMAIN_ATTRIBUTES */
#define CAN_ASYNC (UINT32_C(1) << 31)
#define NOTIFIES  (UINT32_C(1) << 30)

enum {
    AUTONOMOUS = 1,
    ASSERT = 2,
    ASYNC = 4,
    RESET_FLAGS = 7
};
#define COLD_RESET 0u /* the only state there is: architectural, everything is lost */

static struct anyhv_scmi_reset *of(const struct anyhv_scmi_grant *grant)
{
    return (void *)grant->resource;
}

static struct anyhv_scmi_agent_reset *own(const struct scmi_call *call)
{
    return (void *)call->grant;
}

static unsigned count(const struct anyhv_scmi_agent *agent)
{
    return agent->nresets;
}

static struct anyhv_scmi_grant *grant(struct anyhv_scmi_agent *agent, uint32_t number)
{
    return number < agent->nresets ? &agent->resets[number].grant : NULL;
}

/* ---- policy ---- */

static bool wanted(const struct anyhv_scmi_platform *platform, const struct anyhv_scmi_reset *reset)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        const struct anyhv_scmi_agent *agent = &platform->agents[i];

        for (unsigned k = 0; k < agent->nresets; k++) {
            if (of(&agent->resets[k].grant) == reset && agent->resets[k].asserted)
                return true;
        }
    }
    return reset->holds;
}

bool anyhv_scmi_reset_settle(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset)
{
    bool asserted = wanted(platform, reset);

    if (asserted == reset->asserted)
        return true;
    if (platform->ops->reset_line && !platform->ops->reset_line(platform, reset, asserted))
        return false;
    reset->asserted = asserted;
    return true;
}

static void notify(struct anyhv_scmi_platform *platform, const struct anyhv_scmi_reset *reset,
                   uint32_t by)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];

        for (unsigned k = 0; k < agent->nresets; k++) {
            struct anyhv_scmi_event *event = NULL;

            if (of(&agent->resets[k].grant) == reset && agent->resets[k].notify &&
                !anyhv_scmi_denied(agent, reset->resource.device, ID))
                event = anyhv_scmi_notice(agent, ID, RESET_ISSUED);
            if (!event)
                continue;
            anyhv_scmi_event_put(event, by);
            anyhv_scmi_event_put(event, k);
            anyhv_scmi_event_put(event, COLD_RESET);
            anyhv_scmi_send(agent->scmi);
        }
    }
}

static void state(struct scmi_state *state, struct anyhv_scmi_agent *agent, uint32_t number)
{
    struct anyhv_scmi_agent_reset copy = agent->resets[number];

    anyhv_scmi_state_flag(state, &copy.asserted);
    anyhv_scmi_state_flag(state, &copy.notify);
    if (!copy.grant.write && copy.asserted)
        state->bad = true;
    if (!state->load)
        return;
    agent->resets[number] = copy;
    anyhv_scmi_reset_settle(agent->platform, of(&copy.grant));
}

/* ---- commands ---- */

static void attributes(struct scmi_call *call)
{
    anyhv_scmi_put(call, call->agent->nresets);
}

static enum scmi_status domain_attributes(struct scmi_call *call)
{
    const struct anyhv_scmi_reset *reset = of(call->grant);
    uint32_t flags = call->events ? NOTIFIES | (reset->hold_ms ? CAN_ASYNC : 0) : 0;

    anyhv_scmi_put(call, flags);
    anyhv_scmi_put(call, reset->latency_us);
    anyhv_scmi_put_name(call, reset->resource.name);
    return SCMI_SUCCESS;
}

/* Asserts the line on top of what agents assert. */
static bool begin(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset)
{
    reset->holds++;
    if (anyhv_scmi_reset_settle(platform, reset)) {
        reset->pulses++;
        return true;
    }
    reset->holds--;
    return false;
}

static bool end(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset)
{
    reset->holds--;
    return anyhv_scmi_reset_settle(platform, reset);
}

static void is_over(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event)
{
    bool ok = end(scmi->platform, of(&scmi->agent->resets[event->number].grant));

    anyhv_scmi_event_put(event, (uint32_t)(ok ? SCMI_SUCCESS : SCMI_HARDWARE_ERROR));
    if (ok)
        anyhv_scmi_event_put(event, event->number);
}

static enum scmi_status pulse(struct scmi_call *call, bool async)
{
    struct anyhv_scmi_reset *reset = of(call->grant);

    if (call->again)
        return SCMI_GENERIC_ERROR; /* it may have happened; once more would be a second reset */
    if (async && anyhv_scmi_busy(call->scmi))
        return SCMI_BUSY;
    if (!begin(call->platform, reset))
        return SCMI_HARDWARE_ERROR;
    notify(call->platform, reset, call->agent->id);
    if (async)
        anyhv_scmi_delay(call, reset->hold_ms, 0, false, is_over);
    else if (!end(call->platform, reset))
        return SCMI_HARDWARE_ERROR;
    return SCMI_SUCCESS;
}

static enum scmi_status hold(struct scmi_call *call, bool asserted)
{
    struct anyhv_scmi_reset *reset = of(call->grant);
    bool before = own(call)->asserted;

    own(call)->asserted = asserted;
    if (!anyhv_scmi_reset_settle(call->platform, reset)) {
        own(call)->asserted = before;
        return SCMI_HARDWARE_ERROR;
    }
    if (asserted && !before)
        notify(call->platform, reset, call->agent->id);
    return SCMI_SUCCESS;
}

static enum scmi_status reset_domain(struct scmi_call *call)
{
    uint32_t flags = call->param[1];

    if (flags & ~(uint32_t)RESET_FLAGS || call->param[2] != COLD_RESET)
        return SCMI_INVALID_PARAMETERS;
    if (flags & ASYNC && (!call->events || !of(call->grant)->hold_ms))
        return SCMI_NOT_SUPPORTED;
    return flags & AUTONOMOUS ? pulse(call, flags & ASYNC) : hold(call, flags & ASSERT);
}

static enum scmi_status reset_notify(struct scmi_call *call)
{
    if (call->param[1] & ~1u)
        return SCMI_INVALID_PARAMETERS;
    own(call)->notify = call->param[1];
    return SCMI_SUCCESS;
}

static const struct scmi_command commands[] = {
    [3] = {domain_attributes, .params = 1, .resource = 1},
    [4] = {reset_domain, .params = 3, .resource = 1, .flags = SCMI_WRITE},
    [5] = {reset_notify, .params = 2, .resource = 1, .flags = SCMI_EVENTS},
};

const struct scmi_protocol anyhv_scmi_reset = {
    .id = ID,
    .version = 0x10000,
    .commands = commands,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .attributes = attributes,
    .count = count,
    .grant = grant,
    .state = state,
};

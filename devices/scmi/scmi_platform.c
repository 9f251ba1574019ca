/* SPDX-License-Identifier: Apache-2.0 */
/* The platform that agents share: permissions, and the one clock tick. Freestanding. */
#include "scmi_protocol.h"

#include <anyhv/port.h>

/* ---- permissions ---- */

int anyhv_scmi_device(const struct anyhv_scmi_platform *platform, uint32_t device)
{
    for (unsigned i = 0; i < platform->ndevices; i++) {
        if (platform->device[i] == device)
            return (int)i;
    }
    return -1;
}

static bool add_device(struct anyhv_scmi_platform *platform,
                       const struct anyhv_scmi_resource *resource)
{
    if (!resource->device || anyhv_scmi_device(platform, resource->device) >= 0)
        return true;
    if (platform->ndevices == ANYHV_SCMI_DEVICES)
        return false;
    platform->device[platform->ndevices++] = resource->device;
    return true;
}

bool anyhv_scmi_denied(const struct anyhv_scmi_agent *agent, uint32_t device, unsigned protocol)
{
    int at = device ? anyhv_scmi_device(agent->platform, device) : -1;

    return at >= 0 && agent->denied[at] >> (protocol - 0x10) & 1;
}

/* ---- coming up ---- */

int anyhv_scmi_platform_init(struct anyhv_scmi_platform *platform)
{
    uint64_t now;
    bool fits = true;

    if (!anyhv_scmi_within_bounds(platform))
        return ANYHV_E_INVAL;
    now = platform->ops->now(platform);
    platform->ndevices = 0;
    for (unsigned i = 0; i < platform->nclocks; i++) {
        platform->clocks[i].on = platform->clocks[i].always_on;
        fits &= add_device(platform, &platform->clocks[i].resource);
    }
    for (unsigned i = 0; i < platform->nsensors; i++) {
        struct anyhv_scmi_sensor *sensor = &platform->sensors[i];

        sensor->failed = sensor->external;
        sensor->taken = now;
        memcpy(sensor->value, sensor->base, sizeof(sensor->value));
        fits &= add_device(platform, &sensor->resource);
    }
    for (unsigned i = 0; i < platform->nresets; i++)
        fits &= add_device(platform, &platform->resets[i].resource);
    for (unsigned i = 0; i < platform->nagents; i++) {
        platform->agents[i].id = i + 1;
        platform->agents[i].platform = platform;
    }
    return fits ? ANYHV_OK : ANYHV_E_INVAL;
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void anyhv_scmi_tick(struct anyhv_scmi_platform *platform)
{
    uint64_t now = platform->ops->now(platform), next = ANYHV_SCMI_NEVER;

    platform->ticking = true; /* what happens below is looked at below */
    for (unsigned i = 0; i < platform->nsensors; i++)
        anyhv_scmi_sensor_advance(&platform->sensors[i], now);
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];

        if (!agent->scmi)
            continue;
        next = earlier(next, anyhv_scmi_finish_due(agent->scmi, now));
        next = earlier(next, anyhv_scmi_sensor_due(platform, agent, now));
    }
    platform->ticking = false;
    platform->ops->wake(platform, next);
}

/* A tick too many does no harm. */
void anyhv_scmi_schedule(struct anyhv_scmi_platform *platform)
{
    if (!platform->ticking)
        platform->ops->wake(platform, platform->ops->now(platform));
}

/* ---- agents ---- */

static void reset_clocks(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent)
{
    for (unsigned i = 0; i < agent->nclocks; i++) {
        struct anyhv_scmi_agent_clock *own = &agent->clocks[i];

        *own = (struct anyhv_scmi_agent_clock){.grant = own->grant};
        anyhv_scmi_clock_settle(platform, (void *)own->grant.resource, agent->id);
    }
}

static void reset_lines(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent)
{
    for (unsigned i = 0; i < agent->nresets; i++) {
        struct anyhv_scmi_agent_reset *own = &agent->resets[i];

        *own = (struct anyhv_scmi_agent_reset){.grant = own->grant};
        anyhv_scmi_reset_settle(platform, (void *)own->grant.resource);
    }
}

void anyhv_scmi_agent_reset(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent)
{
    agent->notify_errors = false;
    for (unsigned i = 0; i < agent->nsensors; i++) {
        struct anyhv_scmi_agent_sensor *own = &agent->sensors[i];

        *own = (struct anyhv_scmi_agent_sensor){.grant = own->grant};
    }
    reset_clocks(platform, agent);
    reset_lines(platform, agent);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The base protocol: who is there, what there is, and who may. DEN0056, "Base protocol". */
#include "scmi_protocol.h"

#include <anyhv/port.h>
#include <anyhv/version.h>

#define SELF        UINT32_MAX
#define FATAL       (UINT32_C(1) << 31)
#define PERMISSIONS 1u

enum {
    ID = 0x10,
    ERRORS = 0
};

static void attributes(struct scmi_call *call)
{
    anyhv_scmi_put(call, anyhv_scmi_protocols(call->agent, NULL, 0) |
                             (uint32_t)call->platform->nagents << 8);
}

static enum scmi_status vendor(struct scmi_call *call)
{
    anyhv_scmi_put_name(call, "anyhv");
    return SCMI_SUCCESS;
}

static enum scmi_status sub_vendor(struct scmi_call *call)
{
    anyhv_scmi_put_name(call, call->platform->sub_vendor);
    return SCMI_SUCCESS;
}

static enum scmi_status implementation_version(struct scmi_call *call)
{
    anyhv_scmi_put(call,
                   ANYHV_VERSION_MAJOR << 16 | ANYHV_VERSION_MINOR << 8 | ANYHV_VERSION_PATCH);
    return SCMI_SUCCESS;
}

static enum scmi_status list_protocols(struct scmi_call *call)
{
    uint8_t ids[16];
    unsigned n = anyhv_scmi_protocols(call->agent, ids, sizeof(ids)), skip = call->param[0], page;

    if (call->param[0] > n)
        return SCMI_INVALID_PARAMETERS;
    page = anyhv_scmi_page(call, 4, 4, (n - skip + 3) / 4) * 4;
    if (page > n - skip)
        page = n - skip;
    anyhv_scmi_put(call, page);
    for (unsigned i = 0; i < page; i += 4) {
        uint32_t word = 0;

        for (unsigned k = 0; k < 4 && i + k < page; k++)
            word |= (uint32_t)ids[skip + i + k] << (8 * k);
        anyhv_scmi_put(call, word);
    }
    return SCMI_SUCCESS;
}

/* NULL: there is no such agent, or it is the platform. */
static struct anyhv_scmi_agent *find_agent(const struct scmi_call *call, uint32_t id)
{
    return id - 1 < call->platform->nagents ? &call->platform->agents[id - 1] : NULL;
}

static enum scmi_status discover_agent(struct scmi_call *call)
{
    uint32_t id = call->param[0] == SELF ? call->agent->id : call->param[0];
    const struct anyhv_scmi_agent *agent = find_agent(call, id);

    if (id && !agent)
        return SCMI_NOT_FOUND;
    anyhv_scmi_put(call, id);
    anyhv_scmi_put_name(call, agent ? agent->name : "platform");
    return SCMI_SUCCESS;
}

static enum scmi_status notify_errors(struct scmi_call *call)
{
    if (call->param[0] & ~1u)
        return SCMI_INVALID_PARAMETERS;
    call->agent->notify_errors = call->param[0];
    return SCMI_SUCCESS;
}

static void deny(struct anyhv_scmi_agent *agent, int device, uint16_t protocols, bool denied)
{
    if (denied)
        agent->denied[device] |= protocols;
    else
        agent->denied[device] &= (uint16_t)~protocols;
}

/* What the two commands have in common. @flags: bit 0: access is allowed. */
static enum scmi_status set_permissions(struct scmi_call *call, uint16_t protocols, uint32_t flags)
{
    struct anyhv_scmi_agent *agent = find_agent(call, call->param[0]);
    int device = anyhv_scmi_device(call->platform, call->param[1]);

    if (!call->agent->trusted)
        return SCMI_DENIED;
    if (!agent || device < 0)
        return SCMI_NOT_FOUND;
    if (flags & ~PERMISSIONS)
        return SCMI_INVALID_PARAMETERS;
    deny(agent, device, protocols, !flags);
    return SCMI_SUCCESS;
}

static enum scmi_status set_device_permissions(struct scmi_call *call)
{
    return set_permissions(call, UINT16_MAX, call->param[2]);
}

/* Nobody can be kept from the base protocol. */
static enum scmi_status set_protocol_permissions(struct scmi_call *call)
{
    uint32_t protocol = call->param[2];

    if (!call->agent->trusted)
        return SCMI_DENIED;
    if (protocol <= ID || protocol > 0x1f)
        return SCMI_INVALID_PARAMETERS;
    return set_permissions(call, (uint16_t)(1u << (protocol - ID)), call->param[3]);
}

/* An agent may begin anew itself, but keeps the permissions that it was left. */
static enum scmi_status reset_agent_configuration(struct scmi_call *call)
{
    struct anyhv_scmi_agent *agent = find_agent(call, call->param[0]);
    uint32_t flags = call->param[1];

    if (!call->agent->trusted && (agent != call->agent || flags & PERMISSIONS))
        return SCMI_DENIED;
    if (!agent)
        return SCMI_NOT_FOUND;
    if (flags & ~PERMISSIONS)
        return SCMI_INVALID_PARAMETERS;
    if (agent->scmi) /* what is in work ends, or it would be asked for later */
        anyhv_scmi_finish_due(agent->scmi, ANYHV_SCMI_NEVER);
    anyhv_scmi_agent_reset(call->platform, agent);
    if (flags)
        memset(agent->denied, 0, sizeof(agent->denied));
    return SCMI_SUCCESS;
}

/* Of no commands: what fails in one is said in its answer. */
void anyhv_scmi_error(struct anyhv_scmi_platform *platform, bool fatal)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];
        struct anyhv_scmi_event *event =
            agent->notify_errors ? anyhv_scmi_notice(agent, ID, ERRORS) : NULL;

        if (!event)
            continue;
        anyhv_scmi_event_put(event, 0); /* the platform */
        anyhv_scmi_event_put(event, fatal ? FATAL : 0);
        anyhv_scmi_send(agent->scmi);
    }
}

static const struct scmi_command commands[] = {
    [3] = {vendor, .params = 0},
    [4] = {sub_vendor, .params = 0},
    [5] = {implementation_version, .params = 0},
    [6] = {list_protocols, .params = 1},
    [7] = {discover_agent, .params = 1},
    [8] = {notify_errors, .params = 1, .flags = SCMI_EVENTS},
    [9] = {set_device_permissions, .params = 3},
    [10] = {set_protocol_permissions, .params = 4},
    [11] = {reset_agent_configuration, .params = 2},
};

const struct scmi_protocol anyhv_scmi_base = {
    .id = ID,
    .version = 0x20000,
    .commands = commands,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .attributes = attributes,
};

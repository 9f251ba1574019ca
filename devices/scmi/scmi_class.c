/* SPDX-License-Identifier: Apache-2.0 */
/* The SCMI device as a program serves it: options, the shared platform, one agent per guest. */
#include <anyhv/devices/scmi_host.h>
#include <anyhv/linux/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *file;
    const char *agent;
    bool by_arrival;
};

/* What all guests of the process share. */
struct host {
    struct anyhv_scmi_board *board;
    const char *agent; /* the only one that guests can be, or NULL: by arrival */
};

enum {
    OPT_PLATFORM = 0x100,
    OPT_AGENT,
    OPT_BY_ARRIVAL,
};

static const struct argp_option argp_options[] = {
    {"platform", OPT_PLATFORM, "FILE", 0,
     "The clocks, sensors, resets and agents that FILE describes", 10},
    {"agent", OPT_AGENT, "NAME", 0,
     "The guest is this agent of the platform; needed when FILE has several", 10},
    {"agents-by-arrival", OPT_BY_ARRIVAL, NULL, 0,
     "Instead: each guest is the first agent of FILE that no other guest is, whoever it is", 10},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_PLATFORM:
        o->file = arg;
        return 0;
    case OPT_AGENT:
        o->agent = arg;
        return 0;
    case OPT_BY_ARRIVAL:
        o->by_arrival = true;
        return 0;
    case ARGP_KEY_END:
        if (!o->file)
            argp_error(state, "there is no platform: give --platform");
        if (o->agent && o->by_arrival)
            argp_error(state, "--agent and --agents-by-arrival exclude each other");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = argp_options, .parser = parse};

/* ---- the platform ---- */

static struct anyhv_scmi_board *read_file(const char *file)
{
    FILE *stream = fopen(file, "re");
    struct anyhv_scmi_board *board;
    char why[ANYHV_SCMI_WHY];

    if (!stream) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.file", "%s: %s", file, strerror(errno));
        return NULL;
    }
    board = anyhv_scmi_board_read(stream, why);
    fclose(stream);
    if (!board)
        anyhv_log(ANYHV_LOG_ERROR, "scmi.file", "%s:%s", file, why);
    return board;
}

/* The one with this name, or, NULL, the first of all: if no other guest is it. */
static struct anyhv_scmi_agent *free_agent(struct anyhv_scmi_platform *platform, const char *name)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];

        if ((!name || strcmp(agent->name, name) == 0) && !agent->scmi)
            return agent;
    }
    return NULL;
}

/*
 * Modules do not tell the class which guest it is that comes. So nobody is given an agent of
 * several, least of all a trusted one, unless the operator has said how.
 */
static bool choose_agent(const struct options *o, const struct anyhv_scmi_platform *platform)
{
    char names[160] = "";
    size_t len = 0;

    for (unsigned i = 0; i < platform->nagents; i++) {
        const char *name = platform->agents[i].name;

        if (o->agent && strcmp(name, o->agent) == 0)
            return true;
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "", name);
    }
    if (o->agent) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.agent", "%s: there is no [agent %s], only %s", o->file,
                  o->agent, names);
        return false;
    }
    if (platform->nagents == 1)
        return true;
    anyhv_log(o->by_arrival ? ANYHV_LOG_WARNING : ANYHV_LOG_ERROR, "scmi.agent",
              o->by_arrival ? "%s: whoever comes first is the first that is free of the agents %s"
                            : "%s: has several agents; say which one the guest is, --agent=NAME: "
                              "%s; or --agents-by-arrival",
              o->file, names);
    return o->by_arrival;
}

static void scmi_close(void *opened)
{
    struct host *host = opened;

    if (host->board)
        anyhv_scmi_board_free(host->board);
    free(host);
}

static int scmi_open(struct anyhv_loop *loop, const void *options, void **out)
{
    const struct options *o = options;
    struct host *host = calloc(1, sizeof(*host));
    int rc = ANYHV_E_INVAL;

    if (!host)
        return ANYHV_E_NORES;
    host->agent = o->agent;
    host->board = read_file(o->file);
    if (host->board && choose_agent(o, anyhv_scmi_board_platform(host->board)))
        rc = anyhv_scmi_board_start(host->board, loop);
    if (rc)
        scmi_close(host);
    else
        *out = host;
    return rc;
}

/* ---- one guest ---- */

static int scmi_create(void *opened, struct anyhv_dev *dev, void *instance)
{
    struct host *host = opened;
    struct anyhv_scmi_platform *platform = anyhv_scmi_board_platform(host->board);
    struct anyhv_scmi_agent *agent = free_agent(platform, host->agent);

    if (!agent) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.agent", "a guest too many: no agent is left for it");
        return ANYHV_E_NORES;
    }
    anyhv_log(ANYHV_LOG_INFO, "scmi.agent", "a guest is agent %s%s", agent->name,
              agent->trusted ? ", which is trusted" : "");
    anyhv_scmi_init(instance, dev, platform, agent);
    return ANYHV_OK;
}

static void scmi_destroy(void *host, void *instance)
{
    (void)host;
    anyhv_scmi_fini(instance);
}

const struct anyhv_class anyhv_scmi_class = {
    .ops = &anyhv_scmi_ops,
    .args = &argp,
    .options_size = sizeof(struct options),
    .open = scmi_open,
    .close = scmi_close,
    .instance_size = sizeof(struct anyhv_scmi),
    .create = scmi_create,
    .destroy = scmi_destroy,
};

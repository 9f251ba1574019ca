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
};

/* What all guests of the process share. */
struct host {
    struct anyhv_scmi_board *board;
    const char *agent; /* the only one that guests can be, or NULL */
};

enum {
    OPT_PLATFORM = 0x100,
    OPT_AGENT
};

static const struct argp_option argp_options[] = {
    {"platform", OPT_PLATFORM, "FILE", 0,
     "The clocks, sensors, resets and agents that FILE describes", 10},
    {"agent", OPT_AGENT, "NAME", 0,
     "Guests are this agent of the platform (default: the first one that no other guest is)", 10},
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
    case ARGP_KEY_END:
        if (!o->file)
            argp_error(state, "there is no platform: give --platform");
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

/* @name: NULL: whichever is free. */
static struct anyhv_scmi_agent *find_agent(struct anyhv_scmi_platform *platform, const char *name,
                                           bool free_only)
{
    for (unsigned i = 0; i < platform->nagents; i++) {
        struct anyhv_scmi_agent *agent = &platform->agents[i];

        if ((!name || strcmp(agent->name, name) == 0) && !(free_only && agent->scmi))
            return agent;
    }
    return NULL;
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
    if (host->board && o->agent &&
        !find_agent(anyhv_scmi_board_platform(host->board), o->agent, false))
        anyhv_log(ANYHV_LOG_ERROR, "scmi.agent", "%s: there is no [agent %s]", o->file, o->agent);
    else if (host->board)
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
    struct anyhv_scmi_agent *agent = find_agent(platform, host->agent, true);

    if (!agent) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.agent", "a guest too many: no agent is left for it");
        return ANYHV_E_NORES;
    }
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device as a program serves it: options, the shared source, one model per guest. */
#include <anyhv/devices/rng_host.h>
#include <anyhv/linux/args.h>
#include <stdlib.h>

struct options {
    const char *path;
    uint64_t seed;
    uint32_t max_bytes, period_ms;
    bool simulate;
};

/* What all guests of the process share. */
struct host {
    struct anyhv_rng_linux kernel;
    struct anyhv_rng_sim sim;
    struct anyhv_rng_limit limit;
    struct anyhv_rng_source *source; /* the outermost */
};

enum {
    OPT_SOURCE = 'r',
    OPT_SIMULATE = 0x100,
    OPT_MAX_BYTES,
    OPT_PERIOD,
};

static const struct argp_option argp_options[] = {
    {"source", OPT_SOURCE, "FILE", 0,
     "Read entropy from FILE (a file, a FIFO or a character device) instead of getrandom(2)", 10},
    {"simulate", OPT_SIMULATE, "SEED", 0,
     "Hand out numbered test records of the stream SEED: for tests, not random at all", 10},
    {"max-bytes", OPT_MAX_BYTES, "N", 0, "Hand out at most N bytes per period", 10},
    {"period", OPT_PERIOD, "MS", 0, "Length of a period, in milliseconds (default 1000)", 10},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_SOURCE:
        o->path = arg;
        return 0;
    case OPT_SIMULATE:
        o->simulate = true;
        o->seed = anyhv_arg_number(state, "simulate", arg, 0, UINT64_MAX);
        return 0;
    case OPT_MAX_BYTES:
        o->max_bytes = (uint32_t)anyhv_arg_number(state, "max-bytes", arg, 1, UINT32_MAX);
        return 0;
    case OPT_PERIOD:
        o->period_ms = (uint32_t)anyhv_arg_number(state, "period", arg, 1, 3600000);
        return 0;
    case ARGP_KEY_END:
        if (o->simulate && o->path)
            argp_error(state, "--source and --simulate exclude each other");
        if (o->period_ms && !o->max_bytes)
            argp_error(state, "--period means nothing without --max-bytes");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = argp_options, .parser = parse};

static int open_source(struct host *host, struct anyhv_loop *loop, const struct options *o)
{
    if (o->simulate) {
        anyhv_rng_sim_init(&host->sim, o->seed);
        host->source = &host->sim.source;
        return ANYHV_OK;
    }
    host->source = &host->kernel.source;
    return anyhv_rng_linux_open(&host->kernel, loop, o->path);
}

static int rng_open(struct anyhv_loop *loop, const void *options, void **out)
{
    const struct options *o = options;
    struct host *host = calloc(1, sizeof(*host));
    int rc;

    if (!host)
        return ANYHV_E_NORES;
    rc = open_source(host, loop, o);
    if (rc) {
        free(host);
        return rc;
    }
    if (o->max_bytes) {
        anyhv_rng_limit_init(&host->limit, loop, host->source, o->max_bytes,
                             o->period_ms ? o->period_ms : 1000);
        host->source = &host->limit.source;
    }
    *out = host;
    return ANYHV_OK;
}

static void rng_close(void *opened)
{
    struct host *host = opened;

    if (host->limit.loop)
        anyhv_rng_limit_fini(&host->limit);
    if (host->kernel.loop)
        anyhv_rng_linux_close(&host->kernel);
    free(host);
}

static int rng_create(void *host, struct anyhv_dev *dev, void *instance)
{
    anyhv_rng_init(instance, dev, ((struct host *)host)->source);
    return ANYHV_OK;
}

static void rng_destroy(void *host, void *instance)
{
    (void)host;
    anyhv_rng_fini(instance);
}

const struct anyhv_class anyhv_rng_class = {
    .ops = &anyhv_rng_ops,
    .type = "rng",
    .args = &argp,
    .options_size = sizeof(struct options),
    .open = rng_open,
    .close = rng_close,
    .instance_size = sizeof(struct anyhv_rng),
    .create = rng_create,
    .destroy = rng_destroy,
};

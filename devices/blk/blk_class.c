/* SPDX-License-Identifier: Apache-2.0 */
/* The block device as a program serves it: options, the disk, one model per guest. */
#include <anyhv/devices/blk_host.h>
#include <anyhv/linux/args.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SIZE   (UINT64_C(16) << 20)
#define DEFAULT_SERIAL "anyhv-blk"
#define REQUESTS       128u /* per queue in work: what front ends offer by default */
#define MAX_QUEUES     64u
#define MAX_DELAY_US   60000000u

struct options {
    const char *image, *serial;
    uint64_t size;
    uint32_t delay_us;
    uint16_t queues;
    bool read_only;
};

/* What all guests of the process share. */
struct host {
    struct anyhv_blk_linux disk;
    struct anyhv_loop *loop;
    const char *serial;
    uint32_t delay_us;
    unsigned njobs;
};

struct guest {
    struct anyhv_blk blk; /* first: the model finds itself behind anyhv_dev_priv */
    struct anyhv_blk_delay delay;
    struct anyhv_blk_job *jobs;
};

/* A class has one table, and what a disk offers is known when it is opened: one at a time. */
static struct anyhv_blk_offer served = {.ops = {.name = "block", .id = 2, .queues = 1}};

enum {
    OPT_SIZE = 0x100,
    OPT_IMAGE,
    OPT_READ_ONLY,
    OPT_SERIAL,
    OPT_QUEUES,
    OPT_DELAY,
};

static const struct argp_option argp_options[] = {
    {"size", OPT_SIZE, "BYTES", 0,
     "An empty disk in memory, gone with the program (K, M, G or T behind it; default 16M)", 10},
    {"image", OPT_IMAGE, "FILE", 0, "The disk is FILE, which keeps what is written", 10},
    {"blk-file", 0, NULL, OPTION_ALIAS, NULL, 10},
    {"read-only", OPT_READ_ONLY, NULL, 0, "Let guests read only", 10},
    {"serial", OPT_SERIAL, "TEXT", 0,
     "What guests are told the disk is called, at most 20 characters (default " DEFAULT_SERIAL ")",
     10},
    {"queues", OPT_QUEUES, "N", 0, "Number of request queues (default 1)", 10},
    {"delay-us", OPT_DELAY, "N", 0,
     "Begin each request N to 2 N microseconds after it came, out of order: for tests", 10},
    {0},
};

static uint64_t parse_size(struct argp_state *state, const char *text)
{
    uint64_t size = anyhv_arg_size(state, "size", text, ANYHV_BLK_SECTOR, INT64_MAX);

    if (size % ANYHV_BLK_SECTOR)
        argp_error(state, "--size: '%s' is not a size in whole sectors of 512 bytes", text);
    return size;
}

static const char *parse_serial(struct argp_state *state, const char *text)
{
    size_t len = strlen(text);

    if (len > ANYHV_BLK_SERIAL)
        argp_error(state, "--serial: '%s' has %zu characters, more than %u", text, len,
                   ANYHV_BLK_SERIAL);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~')
            argp_error(state, "--serial: character %zu is not printable ASCII", i + 1);
    }
    return text;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_SIZE:
        o->size = parse_size(state, arg);
        return 0;
    case OPT_IMAGE:
        o->image = arg;
        return 0;
    case OPT_READ_ONLY:
        o->read_only = true;
        return 0;
    case OPT_SERIAL:
        o->serial = parse_serial(state, arg);
        return 0;
    case OPT_QUEUES:
        o->queues = (uint16_t)anyhv_arg_number(state, "queues", arg, 1, MAX_QUEUES);
        return 0;
    case OPT_DELAY:
        o->delay_us = (uint32_t)anyhv_arg_number(state, "delay-us", arg, 0, MAX_DELAY_US);
        return 0;
    case ARGP_KEY_END:
        if (o->image && o->size)
            argp_error(state, "--image and --size exclude each other: FILE has a size");
        if (o->read_only && !o->image)
            argp_error(state, "--read-only means nothing without --image");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = argp_options, .parser = parse};

static int blk_open(struct anyhv_loop *loop, const void *options, void **out)
{
    const struct options *o = options;
    uint16_t queues = o->queues ? o->queues : 1;
    struct host *host = calloc(1, sizeof(*host));
    int rc;

    if (!host)
        return ANYHV_E_NORES;
    rc = anyhv_blk_linux_open(&host->disk, loop, o->image, o->size ? o->size : DEFAULT_SIZE,
                              o->read_only);
    if (rc) {
        free(host);
        return rc;
    }
    host->loop = loop;
    host->serial = o->serial ? o->serial : DEFAULT_SERIAL;
    host->delay_us = o->delay_us;
    host->njobs = queues * REQUESTS;
    anyhv_blk_offer_init(&served, &host->disk.mem.store, queues);
    *out = host;
    return ANYHV_OK;
}

static void blk_close(void *opened)
{
    struct host *host = opened;

    anyhv_blk_linux_close(&host->disk);
    free(host);
}

static int blk_create(void *opened, struct anyhv_dev *dev, void *instance)
{
    struct host *host = opened;
    struct guest *guest = instance;
    struct anyhv_blk_store *store = &host->disk.mem.store;

    guest->jobs = calloc(host->njobs, sizeof(*guest->jobs));
    if (!guest->jobs)
        return ANYHV_E_NORES;
    if (host->delay_us) {
        anyhv_blk_delay_init(&guest->delay, host->loop, store, host->delay_us);
        store = &guest->delay.store;
    }
    anyhv_blk_init(&guest->blk, dev, store, host->serial, guest->jobs, host->njobs);
    return ANYHV_OK;
}

static void blk_destroy(void *opened, void *instance)
{
    struct guest *guest = instance;

    (void)opened;
    anyhv_blk_delay_fini(&guest->delay);
    free(guest->jobs);
}

/* Of the options that QEMU's descriptors of back ends know. */
static const char *const known_options[] = {"read-only", "blk-file", NULL};

const struct anyhv_class anyhv_blk_class = {
    .ops = &served.ops,
    .type = "block",
    .type_options = known_options,
    .limits = {.requests = REQUESTS},
    .args = &argp,
    .options_size = sizeof(struct options),
    .open = blk_open,
    .close = blk_close,
    .instance_size = sizeof(struct guest),
    .create = blk_create,
    .destroy = blk_destroy,
};

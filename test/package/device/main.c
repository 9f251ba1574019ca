/* SPDX-License-Identifier: Apache-2.0 */
/* The program: an option, and a model for each guest. */
#include "mark.h"

#include <anyhv/hv.h>
#include <anyhv/linux/args.h>
#include <stdlib.h>

static const struct argp_option argp_options[] = {
    {"byte", 'b', "N", 0, "The byte to fill buffers with", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct mark *options = state->input;

    if (key != 'b')
        return ARGP_ERR_UNKNOWN;
    options->byte = (uint8_t)anyhv_arg_number(state, "byte", arg, 0, 255);
    return 0;
}

static const struct argp argp = {.options = argp_options, .parser = parse};

/* What all guests share: here, the options. */
static int mark_open(struct anyhv_loop *loop, const void *options, void **host)
{
    struct mark *mark = malloc(sizeof(*mark));

    (void)loop;
    if (!mark)
        return ANYHV_E_NORES;
    *mark = *(const struct mark *)options;
    *host = mark;
    return ANYHV_OK;
}

static int mark_create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)dev;
    *(struct mark *)instance = *(struct mark *)host;
    return ANYHV_OK;
}

static const struct anyhv_class mark_class = {
    .ops = &mark_ops,
    .args = &argp,
    .options_size = sizeof(struct mark),
    .open = mark_open,
    .close = free,
    .instance_size = sizeof(struct mark),
    .create = mark_create,
};

int main(int argc, char **argv)
{
    return anyhv_main(argc, argv, &mark_class, &ANYHV_HV);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's way in: command line, connections to Xen, and whom to serve. Without --domid it
 * serves every guest that the toolstack gives a device of our kind. With --domid it serves that one
 * and, before it looks at anything that the guest can write, gives up all rights over others.
 */
#include "xen.h"

#include <anyhv/linux/args.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xentoolcore.h>

enum {
    OPT_DOMID = 0x300,
    OPT_BASE,
    OPT_IRQ,
    OPT_STATE,
    OPT_MAP_CACHE,
};

static const struct argp_option option_list[] = {
    {"domid", OPT_DOMID, "N", 0,
     "Serve only the guest N, which has to exist, and give up all rights over others", 30},
    {"base", OPT_BASE, "ADDRESS", 0,
     "With --domid, where xenstore has no node: the guest address of the device's registers", 30},
    {"irq", OPT_IRQ, "N", 0, "With --base: the interrupt that the guest expects", 30},
    {"state", OPT_STATE, "DIR", 0,
     "Keep what is needed to go on in files in DIR (best on a tmpfs): a process that is killed and "
     "started again carries on with its guests, and one that ends leaves them waiting for it",
     30},
    {"map-cache", OPT_MAP_CACHE, "MIB", 0,
     "Guest memory that is mapped at once, for each guest (default 32)", 30},
    {0},
};

static void check_options(const struct xen_options *o, struct argp_state *state)
{
    if (o->base_given != o->irq_given)
        argp_error(state, "--base and --irq belong together");
    if (o->base_given && !o->domid_given)
        argp_error(state, "--base means nothing without --domid");
    if (o->base % ANYHV_MMIO_SIZE)
        argp_error(state, "--base: 0x%" PRIx64 " is not a multiple of 0x%x", o->base,
                   ANYHV_MMIO_SIZE);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct xen_options *o = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        o->map_mib = 32;
        return 0;
    case OPT_DOMID:
        o->domid = (uint32_t)anyhv_arg_number(state, "domid", arg, 1, XEN_DOMID_MAX);
        o->domid_given = true;
        return 0;
    case OPT_BASE:
        o->base = anyhv_arg_number(state, "base", arg, 0, UINT64_MAX - ANYHV_MMIO_SIZE);
        o->base_given = true;
        return 0;
    case OPT_IRQ:
        o->irq = (uint32_t)anyhv_arg_number(state, "irq", arg, XEN_IRQ_MIN, XEN_IRQ_MAX);
        o->irq_given = true;
        return 0;
    case OPT_STATE:
        o->state_dir = arg;
        return 0;
    case OPT_MAP_CACHE:
        o->map_mib = (uint32_t)anyhv_arg_number(state, "map-cache", arg, 1, 4096);
        return 0;
    case ARGP_KEY_END:
        check_options(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp args = {.options = option_list, .parser = parse_option};

/* ---- the end of guests ---- */

void xen_module_guest_ended(struct xen_module *module)
{
    if (module->options->domid_given)
        anyhv_loop_stop(module->server->loop, 0);
}

/* Nobody tells a process without xenstore that its guest died. */
static void is_alive(struct anyhv_timer *timer)
{
    struct xen_module *module = timer->priv;

    if (module->guests && !module->guests->gone && !xen_server_alive(module->guests))
        xen_guest_gone(module->guests);
    anyhv_timer_set(module->server->loop, timer, XEN_ALIVE_NS);
}

/* ---- the one guest of --domid ---- */

static int take_explicit(struct xen_module *module)
{
    const struct xen_options *o = module->options;
    struct xen_place place = {.domid = (domid_t)o->domid, .base = o->base, .irq = o->irq};
    struct xen_guest *guest = xen_guest_get(module, place.domid);

    return guest ? xen_device_begin(guest, &place) : ANYHV_E_IO;
}

static int take_by_nodes(struct xen_module *module)
{
    const struct anyhv_device_ops *ops = module->server->cls->ops;
    domid_t domid = (domid_t)module->options->domid;

    xen_discovery_once(module, domid);
    if (module->guests && module->guests->devices)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "xen.domid",
              "domain %u has no device that can be served with \"type=virtio,device%x,"
              "transport=mmio\" in xenstore, and there is no --base",
              domid, ops->id);
    return ANYHV_E_INVAL;
}

/* Before the guest is answered for the first time. The libraries know all their open handles. */
static int give_up_rights(struct xen_module *module)
{
    domid_t domid = (domid_t)module->options->domid;

    if (module->store)
        xs_close(module->store);
    module->store = NULL;
    if (xentoolcore_restrict_all(domid) == 0 &&
        xen_grants_reopen(&module->guests->grants) == ANYHV_OK)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "xen.restrict",
              "domain %u: cannot give up the rights over others: %s", domid, strerror(errno));
    return ANYHV_E_IO;
}

static int start_one(struct xen_module *module)
{
    int rc = module->options->base_given ? take_explicit(module) : take_by_nodes(module);

    if (!rc)
        rc = give_up_rights(module);
    if (!rc)
        rc = xen_guest_serve(module->guests);
    if (!rc)
        anyhv_timer_set(module->server->loop, &module->alive, XEN_ALIVE_NS);
    return rc;
}

/* ---- start and stop ---- */

static int failed(const char *what)
{
    anyhv_log(ANYHV_LOG_ERROR, "xen.start", "%s: %s; is this a domain of Xen, and are we root?",
              what, strerror(errno));
    return ANYHV_E_IO;
}

static int connect(struct xen_module *module)
{
    module->devicemodel = xendevicemodel_open(NULL, 0);
    if (!module->devicemodel)
        return failed("opening the device-model interface");
    module->foreignmemory = xenforeignmemory_open(NULL, 0);
    if (!module->foreignmemory)
        return failed("opening the foreign-memory interface");
    module->store = xs_open(0);
    if (!module->store && !module->options->base_given)
        return failed("opening xenstore");
    return ANYHV_OK;
}

static int module_start(struct anyhv_server *server)
{
    struct xen_module *module = calloc(1, sizeof(*module));
    int rc;

    server->module = module;
    if (!module) {
        anyhv_log(ANYHV_LOG_ERROR, "xen.start", "out of memory");
        return ANYHV_E_NORES;
    }
    module->server = server;
    module->options = server->options;
    module->alive = (struct anyhv_timer){.fire = is_alive, .priv = module};
    rc = connect(module);
    if (rc)
        return rc;
    return module->options->domid_given ? start_one(module) : xen_discovery_begin(module);
}

static void module_stop(struct anyhv_server *server)
{
    struct xen_module *module = server->module;

    if (!module)
        return;
    while (module->guests)
        xen_guest_end(module->guests, module->options->state_dir ? XEN_END_LEAVE : XEN_END_RELEASE);
    anyhv_timer_cancel(&module->alive);
    xen_discovery_end(module);
    if (module->store)
        xs_close(module->store);
    if (module->foreignmemory)
        xenforeignmemory_close(module->foreignmemory);
    if (module->devicemodel)
        xendevicemodel_close(module->devicemodel);
    free(module);
    server->module = NULL;
}

const struct anyhv_hv anyhv_hv_xen = {
    .name = "xen",
    .args = &args,
    .options_size = sizeof(struct xen_options),
    .start = module_start,
    .stop = module_stop,
};

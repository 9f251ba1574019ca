/* SPDX-License-Identifier: Apache-2.0 */
/* The I2C adapter as a program serves it: options, the buses, one model per guest. */
#include "i2c_text.h"

#include <anyhv/devices/i2c_host.h>
#include <anyhv/linux/args.h>
#include <anyhv/linux/log.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BUSES      16u
#define MAX_ADDRS      128u
#define NAME_LEN       128u
#define MAX_TIMEOUT_MS 3600000u
#define NS_PER_MS      UINT64_C(1000000)

/* One --device or --simulate. */
struct bus_option {
    const char *file;    /* NULL: an adapter of this machine */
    char name[NAME_LEN]; /* which one */
    uint16_t addr[MAX_ADDRS];
    unsigned addrs;
};

struct options {
    struct bus_option bus[MAX_BUSES];
    unsigned buses;
    unsigned timeout_ms;
};

/* What all guests of the process share. */
struct host {
    struct anyhv_loop *loop;
    struct anyhv_i2c_adapter *adapter[MAX_BUSES];
    unsigned adapters;
    struct anyhv_i2c_target *target, **allowed;
    unsigned targets;
};

struct guest {
    struct anyhv_i2c i2c; /* first: the model finds itself behind anyhv_dev_priv */
    struct anyhv_loop *loop;
    struct anyhv_timer linger;
    uint8_t data[ANYHV_I2C_BYTES];
};

/* ---- options ---- */

enum {
    OPT_DEVICE = 0x100,
    OPT_SIMULATE,
    OPT_TIMEOUT,
};

static const struct argp_option argp_options[] = {
    {"device", OPT_DEVICE, "ADAPTER:ADDR,...", 0,
     "Let guests use these targets of an adapter of this machine: /dev/i2c-1, its number, or its "
     "name in sysfs. ADDR: " I2C_ADDRESSES ". Several adapters become one bus for the guest",
     10},
    {"simulate", OPT_SIMULATE, "FILE", 0, "A simulated bus, described by FILE", 10},
    {"timeout-ms", OPT_TIMEOUT, "N", 0, "A transfer fails that takes longer (default 5000)", 10},
    {0},
};

static void add_address(struct argp_state *state, struct bus_option *bus, const char *text)
{
    uint16_t addr;

    if (!anyhv_i2c_address(text, &addr))
        argp_error(state, "--device: '%s' is not an address: " I2C_ADDRESSES, text);
    if (bus->addrs == MAX_ADDRS)
        argp_error(state, "--device: more than %u addresses", MAX_ADDRS);
    bus->addr[bus->addrs++] = addr;
}

static struct bus_option *add_bus(struct argp_state *state, struct options *o)
{
    if (o->buses == MAX_BUSES)
        argp_error(state, "more than %u times --device or --simulate", MAX_BUSES);
    return &o->bus[o->buses++];
}

/* A name may have colons in it; addresses have none. */
static void parse_device(struct argp_state *state, struct options *o, const char *text)
{
    struct bus_option *bus = add_bus(state, o);
    const char *colon = strrchr(text, ':');
    char *list, *rest, *word;

    if (!colon || colon == text)
        argp_error(state, "--device: '%s' is not ADAPTER:ADDR,...", text);
    if (colon - text >= (long)NAME_LEN)
        argp_error(state, "--device: the name of the adapter is longer than %u", NAME_LEN - 1);
    memcpy(bus->name, text, (size_t)(colon - text));
    list = rest = strdup(colon + 1);
    while (list && (word = strsep(&rest, ",")))
        add_address(state, bus, word);
    free(list);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_DEVICE:
        parse_device(state, o, arg);
        return 0;
    case OPT_SIMULATE:
        add_bus(state, o)->file = arg;
        return 0;
    case OPT_TIMEOUT:
        o->timeout_ms = (unsigned)anyhv_arg_number(state, "timeout-ms", arg, 1, MAX_TIMEOUT_MS);
        return 0;
    case ARGP_KEY_END:
        if (!o->buses)
            argp_error(state, "there is no bus: give --device or --simulate");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = argp_options, .parser = parse};

/* ---- the buses ---- */

static struct anyhv_i2c_adapter *open_bus(struct anyhv_loop *loop, const struct bus_option *bus,
                                          unsigned timeout_ms)
{
    if (bus->file)
        return anyhv_i2c_sim_open(loop, bus->file, timeout_ms);
    return anyhv_i2c_linux_open(loop, bus->name, bus->addr, bus->addrs, timeout_ms);
}

static int open_buses(struct host *host, const struct options *o)
{
    unsigned timeout_ms = o->timeout_ms ? o->timeout_ms : ANYHV_I2C_TIMEOUT_MS;

    for (unsigned i = 0; i < o->buses; i++) {
        struct anyhv_i2c_adapter *adapter = open_bus(host->loop, &o->bus[i], timeout_ms);

        if (!adapter)
            return ANYHV_E_IO;
        host->adapter[host->adapters++] = adapter;
        host->targets += adapter->addrs;
    }
    return ANYHV_OK;
}

/* A guest sees one bus: an address on two adapters would be a question without an answer. */
static int add_target(struct host *host, unsigned n, struct anyhv_i2c_adapter *adapter,
                      uint16_t addr)
{
    for (unsigned i = 0; i < n; i++) {
        if (host->target[i].addr != addr)
            continue;
        anyhv_log(ANYHV_LOG_ERROR, "i2c.target", "adapter %s: 0x%02x is there twice", adapter->name,
                  addr & ~ANYHV_I2C_TEN_BIT);
        return ANYHV_E_INVAL;
    }
    host->target[n] = (struct anyhv_i2c_target){.bus = &adapter->bus, .addr = addr};
    host->allowed[n] = &host->target[n];
    return ANYHV_OK;
}

static int add_targets(struct host *host)
{
    unsigned n = 0;
    int rc = ANYHV_OK;

    host->target = calloc(host->targets, sizeof(*host->target));
    host->allowed = calloc(host->targets, sizeof(*host->allowed));
    if (!host->target || !host->allowed)
        return ANYHV_E_NORES;
    for (unsigned i = 0; i < host->adapters; i++) {
        for (unsigned k = 0; k < host->adapter[i]->addrs && !rc; k++)
            rc = add_target(host, n++, host->adapter[i], host->adapter[i]->addr[k]);
    }
    return rc;
}

/* ---- the class ---- */

static void i2c_close(void *opened)
{
    struct host *host = opened;

    for (unsigned i = 0; i < host->adapters; i++)
        host->adapter[i]->ops->close(host->adapter[i]);
    free(host->allowed);
    free(host->target);
    free(host);
}

static int i2c_open(struct anyhv_loop *loop, const void *options, void **out)
{
    struct host *host = calloc(1, sizeof(*host));
    int rc;

    if (!host)
        return ANYHV_E_NORES;
    host->loop = loop;
    rc = open_buses(host, options);
    if (!rc)
        rc = add_targets(host);
    if (rc)
        i2c_close(host);
    else
        *out = host;
    return rc;
}

static void linger_is_over(struct anyhv_timer *timer)
{
    anyhv_i2c_flush(timer->priv);
}

static void incomplete(struct anyhv_i2c *i2c, bool waits)
{
    struct guest *guest = (void *)i2c;

    if (waits)
        anyhv_timer_set(guest->loop, &guest->linger, ANYHV_I2C_LINGER_MS * NS_PER_MS);
    else
        anyhv_timer_cancel(&guest->linger);
}

static int i2c_create(void *opened, struct anyhv_dev *dev, void *instance)
{
    struct host *host = opened;
    struct guest *guest = instance;
    struct anyhv_i2c_setup setup = {.targets = host->allowed,
                                    .ntargets = host->targets,
                                    .data = guest->data,
                                    .data_len = sizeof(guest->data),
                                    .incomplete = incomplete};

    guest->loop = host->loop;
    guest->linger = (struct anyhv_timer){.fire = linger_is_over, .priv = &guest->i2c};
    anyhv_i2c_init(&guest->i2c, dev, &setup);
    return ANYHV_OK;
}

static void i2c_destroy(void *opened, void *instance)
{
    struct guest *guest = instance;

    (void)opened;
    anyhv_timer_cancel(&guest->linger);
    anyhv_i2c_fini(&guest->i2c);
}

const struct anyhv_class anyhv_i2c_class = {
    .ops = &anyhv_i2c_ops,
    .limits = {.requests = ANYHV_I2C_REQUESTS},
    .args = &argp,
    .options_size = sizeof(struct options),
    .open = i2c_open,
    .close = i2c_close,
    .instance_size = sizeof(struct guest),
    .create = i2c_create,
    .destroy = i2c_destroy,
};

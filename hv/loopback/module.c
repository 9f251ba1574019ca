/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module: a built-in guest that knows no device. It offers buffers to one queue through the
 * MMIO registers until it has had its answers, and says what flowed. Good for a first run on a
 * machine without a hypervisor.
 */
#include <anyhv/hv.h>
#include <anyhv/linux/args.h>
#include <anyhv/linux/log.h>
#include <anyhv/loopback.h>
#include <driver/driver.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_BASE  UINT64_C(0x40000000)
#define RAM_SIZE  (UINT64_C(16) << 20)

#define RING_SIZE 64

#define GUEST_FEATURES \
    (DRV_F_INDIRECT | DRV_F_EVENT_IDX | DRV_F_PACKED | DRV_F_IN_ORDER | DRV_F_NOTIFICATION_DATA)

struct options {
    uint32_t requests, in, out, queue, depth;
    const char *output;
    bool bounce;
};

/* The guest, and the machine it runs on. */
struct guest {
    struct anyhv_server *server;
    const struct options *options;
    struct anyhv_loopback lb;
    struct anyhv_instance instance;
    bool attached;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot *slots;
    uint8_t *ram;
    uint64_t *buffers; /* guest address of each buffer, by token */
    uint16_t *idle;    /* tokens without a request */
    uint16_t nidle;
    struct anyhv_task task;
    FILE *output;
    uint64_t started_ns, sent, answered, bytes;
    bool output_failed;
};

/* ---- options ---- */

enum {
    OPT_REQUESTS = 0x200,
    OPT_IN,
    OPT_OUT,
    OPT_QUEUE,
    OPT_DEPTH,
    OPT_OUTPUT,
    OPT_BOUNCE,
};

static const struct argp_option argp_options[] = {
    {"requests", OPT_REQUESTS, "N", 0, "Requests the built-in guest makes (default 1000)", 20},
    {"in", OPT_IN, "BYTES", 0, "Bytes the device may write per request (default 64)", 20},
    {"out", OPT_OUT, "BYTES", 0, "Zero bytes the device can read per request (default 0)", 20},
    {"queue", OPT_QUEUE, "INDEX", 0, "The queue to use (default 0)", 20},
    {"depth", OPT_DEPTH, "N", 0, "Requests outstanding at once (default 16)", 20},
    {"output", OPT_OUTPUT, "FILE", 0, "Write what the device wrote to FILE", 20},
    {"bounce", OPT_BOUNCE, NULL, 0, "Share no memory with the device: copy every buffer", 20},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        *o = (struct options){.requests = 1000, .in = 64, .depth = 16};
        return 0;
    case OPT_REQUESTS:
        o->requests = (uint32_t)anyhv_arg_number(state, "requests", arg, 1, UINT32_MAX);
        return 0;
    case OPT_IN:
        o->in = (uint32_t)anyhv_arg_number(state, "in", arg, 0, 1 << 16);
        return 0;
    case OPT_OUT:
        o->out = (uint32_t)anyhv_arg_number(state, "out", arg, 0, 1 << 16);
        return 0;
    case OPT_QUEUE:
        o->queue = (uint32_t)anyhv_arg_number(state, "queue", arg, 0, 65535);
        return 0;
    case OPT_DEPTH:
        o->depth = (uint32_t)anyhv_arg_number(state, "depth", arg, 1, 64);
        return 0;
    case OPT_OUTPUT:
        o->output = arg;
        return 0;
    case OPT_BOUNCE:
        o->bounce = true;
        return 0;
    case ARGP_KEY_END:
        if (o->in + o->out == 0)
            argp_error(state, "--in and --out are both 0: there is nothing to ask for");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = argp_options, .parser = parse};

/* ---- the guest's driver ---- */

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct guest *guest = ctx;

    return anyhv_loopback_access(&guest->lb, off, size, write, value);
}

static void submit(struct guest *guest)
{
    const struct options *o = guest->options;

    while (guest->nidle && guest->sent < o->requests) {
        uint16_t token = guest->idle[guest->nidle - 1];
        uint64_t at = guest->buffers[token];
        struct drv_buf out = {at, o->out}, in = {at + o->out, o->in};
        struct drv_chain chain = {.out = &out,
                                  .in = &in,
                                  .nout = o->out ? 1 : 0,
                                  .nin = o->in ? 1 : 0,
                                  .direct = DRV_DIRECT,
                                  .token = token};

        if (drv_ring_add(&guest->ring, &chain) < 0)
            break;
        guest->nidle--;
        guest->sent++;
    }
    drv_submit(&guest->mmio.transport, o->queue, &guest->ring);
}

static void take_answer(struct guest *guest, const struct drv_used *used)
{
    const void *bytes =
        drv_ptr(&guest->mem, guest->buffers[used->token] + guest->options->out, used->len);

    if (guest->output && used->len && fwrite(bytes, 1, used->len, guest->output) != used->len)
        guest->output_failed = true;
    guest->bytes += used->len;
    guest->answered++;
    guest->idle[guest->nidle++] = (uint16_t)used->token;
}

/* What an interrupt handler does: acknowledge, then look at the ring. */
static void collect(struct guest *guest)
{
    struct drv_used used;

    guest->mmio.transport.ops->interrupts(&guest->mmio.transport);
    do {
        drv_ring_irq_off(&guest->ring);
        while (drv_ring_get(&guest->ring, &used))
            take_answer(guest, &used);
    } while (drv_ring_irq_on(&guest->ring));
}

static void finish(struct guest *guest, int exit_code)
{
    const struct anyhv_loopback_seen *seen = &guest->lb.seen;
    uint64_t ns = anyhv_loop_now(guest->server->loop) - guest->started_ns;

    printf("loopback guest: %llu requests, %llu bytes in, %llu kicks, %llu interrupts, "
           "%s ring, %llu.%03llu ms\n",
           (unsigned long long)guest->answered, (unsigned long long)guest->bytes,
           (unsigned long long)seen->kicks, (unsigned long long)seen->interrupts,
           guest->ring.packed ? "packed" : "split", (unsigned long long)(ns / 1000000),
           (unsigned long long)(ns / 1000 % 1000));
    if (guest->output && (fflush(guest->output) || guest->output_failed)) {
        anyhv_log(ANYHV_LOG_ERROR, "loopback.output", "%s: %s", guest->options->output,
                  strerror(errno));
        exit_code = 1;
    }
    anyhv_loop_stop(guest->server->loop, exit_code);
}

/* One slice of the guest's time and one of the device's. */
static bool step(struct anyhv_task *task)
{
    struct guest *guest = task->priv;
    uint64_t before = guest->answered;

    submit(guest);
    anyhv_loopback_run(&guest->lb, 256);
    collect(guest);
    if (guest->answered == guest->options->requests) {
        finish(guest, 0);
        return false;
    }
    if (guest->ring.fault ||
        guest->mmio.transport.ops->status(&guest->mmio.transport) & DRV_S_NEEDS_RESET) {
        anyhv_log(ANYHV_LOG_ERROR, "loopback.device", "the device failed after %llu requests",
                  (unsigned long long)guest->answered);
        finish(guest, 1);
        return false;
    }
    return guest->answered != before; /* else the device's next work wakes us */
}

static void wake(struct anyhv_loopback *lb)
{
    struct guest *guest = lb->options.priv;

    anyhv_task_ready(guest->server->loop, &guest->task);
}

/* ---- bringing it up ---- */

static int fail(const char *what)
{
    anyhv_log(ANYHV_LOG_ERROR, "loopback.start", "%s", what);
    return ANYHV_E_INVAL;
}

static int boot(struct guest *guest)
{
    const struct options *o = guest->options;
    struct drv_transport *t = &guest->mmio.transport;
    struct drv_ring_config config = {.slots = guest->slots};
    uint16_t most;

    drv_mem_init(&guest->mem, guest->ram, RAM_BASE, RAM_SIZE);
    drv_mmio_init(&guest->mmio, access_register, guest);
    /* It knows no device, but takes what the device insists on. */
    if (!drv_mmio_probe(&guest->mmio) ||
        !drv_negotiate(t, GUEST_FEATURES | guest->server->cls->ops->required))
        return fail("the guest's driver and the device do not agree on features");
    most = t->ops->queue_max(t, o->queue);
    if (most == 0)
        return fail("--queue: the device has no such queue");
    config.size = most < RING_SIZE ? most : RING_SIZE;
    config.packed = t->features & DRV_F_PACKED;
    config.event_idx = t->features & DRV_F_EVENT_IDX;
    config.in_order = t->features & DRV_F_IN_ORDER;
    if (!drv_ring_init(&guest->ring, &guest->mem, &config) ||
        !drv_queue_setup(t, o->queue, &guest->ring))
        return fail("the device refused the guest's queue");
    for (uint16_t i = 0; i < o->depth; i++) {
        guest->buffers[i] = drv_alloc(&guest->mem, o->in + o->out, 16);
        if (guest->buffers[i] == DRV_NO_ADDR)
            return fail("--depth times --in does not fit into the guest's memory");
        guest->idle[guest->nidle++] = i;
    }
    drv_ready(t);
    return ANYHV_OK;
}

static int attach(struct guest *guest)
{
    struct anyhv_loopback_options how = {.bounce = guest->options->bounce,
                                         .base = RAM_BASE,
                                         .ram = guest->ram,
                                         .ram_size = RAM_SIZE,
                                         .work = wake,
                                         .priv = guest};
    struct anyhv_attach attach = {0};
    int rc = anyhv_instance_create(&guest->instance, guest->server, anyhv_loopback_dev(&guest->lb),
                                   &attach);

    if (!rc)
        rc = anyhv_loopback_attach(&guest->lb, &how, &attach);
    guest->attached = rc == ANYHV_OK;
    return rc;
}

static int open_output(struct guest *guest)
{
    if (!guest->options->output)
        return ANYHV_OK;
    guest->output = fopen(guest->options->output, "wb");
    if (guest->output)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "loopback.output", "--output %s: %s", guest->options->output,
              strerror(errno));
    return ANYHV_E_IO;
}

static int start(struct anyhv_server *server)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    int rc;

    if (!guest)
        return ANYHV_E_NORES;
    server->module = guest;
    guest->server = server;
    guest->options = server->options;
    guest->task = (struct anyhv_task){.run = step, .priv = guest};
    guest->slots = calloc(RING_SIZE, sizeof(*guest->slots));
    guest->buffers = calloc(guest->options->depth, sizeof(*guest->buffers));
    guest->idle = calloc(guest->options->depth, sizeof(*guest->idle));
    guest->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guest->ram == MAP_FAILED)
        guest->ram = NULL;
    if (!guest->slots || !guest->buffers || !guest->idle || !guest->ram)
        return ANYHV_E_NORES;
    rc = open_output(guest);
    if (!rc)
        rc = attach(guest);
    if (!rc)
        rc = boot(guest);
    guest->started_ns = anyhv_loop_now(server->loop);
    if (!rc)
        anyhv_task_ready(server->loop, &guest->task);
    return rc;
}

static void stop(struct anyhv_server *server)
{
    struct guest *guest = server->module;

    if (!guest)
        return;
    if (guest->attached)
        anyhv_loopback_detach(&guest->lb);
    anyhv_task_cancel(&guest->task);
    anyhv_instance_destroy(&guest->instance);
    if (guest->output && fclose(guest->output))
        anyhv_log(ANYHV_LOG_ERROR, "loopback.output", "%s: %s", guest->options->output,
                  strerror(errno));
    if (guest->ram)
        munmap(guest->ram, RAM_SIZE);
    free(guest->slots);
    free(guest->buffers);
    free(guest->idle);
    free(guest);
    server->module = NULL;
}

const struct anyhv_hv anyhv_hv_loopback = {
    .name = "loopback",
    .args = &argp,
    .options_size = sizeof(struct options),
    .start = start,
    .stop = stop,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

struct bench_violation bench_violation;

/* ---- what the freestanding parts call ---- */

void anyhv_port_violation(const struct anyhv_dev *dev, int queue, enum anyhv_violation v,
                          uint64_t a, uint64_t b)
{
    (void)dev;
    bench_violation.v = v;
    bench_violation.queue = queue;
    bench_violation.a = a;
    bench_violation.b = b;
    bench_violation.count++;
}

void anyhv_port_panic(const char *file, int line, const char *what)
{
    mock_assert(0, what, file, line); /* goes back to expect_assert_failure */
    abort();
}

/* ---- the trace ---- */

void bench_note(struct bench *b, const char *format, ...)
{
    size_t len = strlen(b->trace);
    va_list args;

    va_start(args, format);
    vsnprintf(b->trace + len, sizeof(b->trace) - len, format, args);
    va_end(args);
    len = strlen(b->trace);
    snprintf(b->trace + len, sizeof(b->trace) - len, " ");
    if (b->on_note)
        b->on_note(b);
}

void bench_expect_trace(struct bench *b, const char *words)
{
    assert_string_equal(b->trace, words);
    b->trace[0] = '\0';
}

/* ---- the device model ---- */

static void op_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct bench *b = anyhv_dev_priv(dev);

    assert_int_equal(anyhv_req_queue(req), queue);
    if (b->on_request) {
        b->on_request(b, req);
        return;
    }
    assert_true(b->handles < BENCH_MAX_SIZE);
    b->handle[b->handles++] = anyhv_req_hold(req);
}

static bool op_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct bench *b = anyhv_dev_priv(dev);

    if (b->on_cancel)
        return b->on_cancel(b, req, returnable);
    anyhv_req_done(req);
    return false;
}

static void op_buffers(struct anyhv_dev *dev, unsigned queue)
{
    struct bench *b = anyhv_dev_priv(dev);

    if (b->on_buffers)
        b->on_buffers(b, queue);
}

static void op_start(struct anyhv_dev *dev)
{
    bench_note(anyhv_dev_priv(dev), "start");
}

static void op_stop(struct anyhv_dev *dev)
{
    struct bench *b = anyhv_dev_priv(dev);

    for (unsigned i = 0; i < b->handles; i++)
        assert_null(anyhv_req_get(dev, b->handle[i])); /* as device.h promises */
    bench_note(b, "stop");
}

static void op_retry(struct anyhv_dev *dev, unsigned queue)
{
    struct bench *b = anyhv_dev_priv(dev);

    bench_note(b, "retry:%u", queue);
    if (b->on_retry)
        b->on_retry(b, queue);
}

static void op_config_written(struct anyhv_dev *dev, unsigned off, unsigned len)
{
    bench_note(anyhv_dev_priv(dev), "config:%u+%u", off, len);
}

static size_t op_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    struct bench *b = anyhv_dev_priv(dev);
    uint8_t *at = buf;

    if (cap < BENCH_SAVED)
        return BENCH_SAVED;
    at[0] = 1;
    at[1] = 0;
    for (unsigned i = 0; i < 4; i++)
        at[2 + i] = (uint8_t)(b->value >> (8 * i));
    return BENCH_SAVED;
}

static int op_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    struct bench *b = anyhv_dev_priv(dev);
    const uint8_t *at = buf;
    uint32_t value = 0;

    if (len < 2 || at[0] != 1 || at[1] != 0)
        return ANYHV_E_VERSION;
    if (len != BENCH_SAVED)
        return ANYHV_E_INVAL;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)at[2 + i] << (8 * i);
    if (value > BENCH_VALUE_MAX)
        return ANYHV_E_INVAL;
    b->value = value;
    return ANYHV_OK;
}

static const uint8_t config_bytes[BENCH_CONFIG] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                                   0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
                                                   0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27};

static const struct anyhv_device_ops device_ops = {
    .name = "bench",
    .id = BENCH_ID,
    .queues = BENCH_QUEUES,
    .max_size = BENCH_MAX_SIZE,
    .features = ANYHV_F(5) | ANYHV_F(55),
    .config = config_bytes,
    .config_len = BENCH_CONFIG,
    .config_w_off = BENCH_CONFIG_W,
    .config_w_len = BENCH_CONFIG_W_LEN,
    .request = op_request,
    .buffers = op_buffers,
    .retry = op_retry,
    .start = op_start,
    .stop = op_stop,
    .cancel = op_cancel,
    .config_written = op_config_written,
    .save = op_save,
    .load = op_load,
};

/* ---- the port: the loopback's own, with notes ---- */

static struct bench *of_dev(struct anyhv_dev *dev)
{
    return anyhv_dev_priv(dev);
}

static void port_notify(struct anyhv_dev *dev, int queue)
{
    bench_note(of_dev(dev), "notify:%s", queue == ANYHV_CONFIG ? "config" : queue ? "1" : "0");
    of_dev(dev)->real_port->notify(dev, queue);
}

static void port_queue_changed(struct anyhv_dev *dev, unsigned queue)
{
    bench_note(of_dev(dev), "changed:%u", queue);
}

static void port_quiet(struct anyhv_dev *dev)
{
    bench_note(of_dev(dev), "quiet");
    of_dev(dev)->real_port->quiet(dev);
}

static void port_reset(struct anyhv_dev *dev)
{
    bench_note(of_dev(dev), "reset");
    if (of_dev(dev)->real_port->reset)
        of_dev(dev)->real_port->reset(dev);
}

static void watch_port(struct bench *b)
{
    b->real_port = b->dev->port;
    b->port = *b->real_port;
    b->port.notify = port_notify;
    b->port.queue_changed = port_queue_changed;
    b->port.quiet = port_quiet;
    b->port.reset = port_reset;
    b->dev->port = &b->port;
}

/* ---- coming up ---- */

int bench_setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    b->ops = device_ops;
    bench_violation = (struct bench_violation){0};
    *state = b;
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *b = *state;

    bench_detach(b);
    free(b->storage);
    free(b->state);
    free(b->ram);
    free(b);
    return 0;
}

void bench_detach(struct bench *b)
{
    if (b->attached) {
        b->dev->running = false; /* a test may have left a callback by failing */
        anyhv_loopback_detach(&b->lb);
    }
    b->attached = false;
}

int bench_reattach(struct bench *b, bool resume)
{
    const struct bench_options *o = &b->options;
    struct anyhv_loopback_options options = {
        .native = !o->registers,
        .bounce = o->bounce,
        .map_only = o->map_only,
        .map_max = o->map_max,
        .regions = o->regions,
        .base = BENCH_BASE,
        .ram = b->ram,
        .ram_size = BENCH_RAM,
    };
    struct anyhv_attach how = {
        .ops = &b->ops,
        .priv = b,
        .storage = b->storage,
        .storage_size = b->storage_size,
        .limits = o->limits,
        .state = b->state,
        .state_size = b->state_size,
        .resume = resume,
        .withhold = o->withhold,
    };
    int rc;

    bench_detach(b);
    rc = anyhv_loopback_attach(&b->lb, &options, &how);
    if (rc)
        return rc;
    b->attached = true;
    watch_port(b);
    return ANYHV_OK;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

void bench_attach(struct bench *b, const struct bench_options *options)
{
    assert_null(b->ram);
    if (options)
        b->options = *options;
    if (!b->options.size)
        b->options.size = 16;
    b->dev = anyhv_loopback_dev(&b->lb);
    b->storage_size = anyhv_storage_size(&b->ops, &b->options.limits);
    b->storage = malloc(b->storage_size);
    b->state_size = ANYHV_STATE_SIZE(b->ops.queues, b->ops.config_len);
    b->state = malloc(b->state_size);
    b->ram = aligned_alloc(4096, BENCH_RAM);
    assert_true(b->storage && b->state && b->ram);
    memset(b->ram, 0, BENCH_RAM);
    memset(b->state, 0xff, b->state_size);
    memset(b->storage, 0xff, b->storage_size);
    drv_mem_init(&b->mem, b->ram, BENCH_BASE, BENCH_RAM);
    drv_mmio_init(&b->mmio, access_register, &b->lb);
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
}

void bench_negotiate(struct bench *b)
{
    anyhv_ctl_set_status(b->dev, 0);
    anyhv_ctl_set_status(b->dev, ANYHV_S_ACKNOWLEDGE);
    anyhv_ctl_set_status(b->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER);
    anyhv_ctl_set_features(b->dev, b->options.features | ANYHV_F_VERSION_1);
    anyhv_ctl_set_status(b->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_FEATURES_OK);
    assert_true(anyhv_ctl_status(b->dev) & ANYHV_S_FEATURES_OK);
}

void bench_ring(struct bench *b, unsigned queue)
{
    struct drv_ring_config config = {
        .size = b->options.size,
        .packed = b->options.features & DRV_F_PACKED,
        .event_idx = b->options.features & DRV_F_EVENT_IDX,
        .in_order = b->options.features & DRV_F_IN_ORDER,
        .slots = b->slots[queue],
    };

    assert_true(config.size <= BENCH_MAX_SIZE);
    assert_true(drv_ring_init(&b->ring[queue], &b->mem, &config));
}

struct anyhv_queue_setup bench_queue_setup(const struct bench *b, unsigned queue, uint32_t base)
{
    const struct drv_ring *ring = &b->ring[queue];

    return (struct anyhv_queue_setup){.desc = ring->desc,
                                      .driver = ring->driver,
                                      .device = ring->device,
                                      .base = base,
                                      .size = ring->size};
}

int bench_start(struct bench *b, unsigned queue, uint32_t base)
{
    struct anyhv_queue_setup setup = bench_queue_setup(b, queue, base);

    return anyhv_ctl_queue_start(b->dev, queue, &setup);
}

void bench_driver_ok(struct bench *b)
{
    anyhv_ctl_set_status(b->dev, anyhv_ctl_status(b->dev) | ANYHV_S_DRIVER_OK);
    bench_run(b);
}

static uint32_t fresh_base(const struct bench *b)
{
    return b->options.features & DRV_F_PACKED ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT;
}

void bench_up(struct bench *b, const struct bench_options *options)
{
    bench_attach(b, options);
    bench_negotiate(b);
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        bench_ring(b, i);
        assert_int_equal(bench_start(b, i, fresh_base(b)), ANYHV_OK);
    }
    bench_driver_ok(b);
    b->trace[0] = '\0';
}

void bench_up_again(struct bench *b)
{
    bench_negotiate(b);
    b->handles = 0;
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        drv_ring_reset(&b->ring[i]);
        assert_int_equal(bench_start(b, i, fresh_base(b)), ANYHV_OK);
    }
    bench_driver_ok(b);
    b->trace[0] = '\0';
}

/* ---- the driver ---- */

uint64_t bench_offer(struct bench *b, unsigned queue, const struct drv_buf *out, unsigned nout,
                     const struct drv_buf *in, unsigned nin)
{
    struct drv_chain chain = {.out = out,
                              .nout = nout,
                              .in = in,
                              .nin = nin,
                              .direct = DRV_DIRECT,
                              .token = nout ? out[0].addr : in[0].addr};

    assert_true(drv_ring_add(&b->ring[queue], &chain) >= 0);
    drv_ring_publish(&b->ring[queue]);
    return chain.token;
}

uint64_t bench_alloc(struct bench *b, uint32_t len)
{
    uint64_t addr = drv_alloc(&b->mem, len, 16);

    assert_true(addr != DRV_NO_ADDR);
    return addr;
}

uint64_t bench_put(struct bench *b, unsigned queue, uint32_t out, uint32_t in)
{
    struct drv_buf readable = {.len = out}, writable = {.len = in};

    if (out)
        readable.addr = bench_alloc(b, out);
    for (uint32_t i = 0; i < out; i++)
        drv_poke8(&b->mem, readable.addr + i, bench_byte(i));
    if (in)
        writable.addr = bench_alloc(b, in);
    return bench_offer(b, queue, &readable, out != 0, &writable, in != 0);
}

void bench_run(struct bench *b)
{
    anyhv_loopback_run(&b->lb, 1024);
}

void bench_kick(struct bench *b, unsigned queue)
{
    anyhv_ctl_kick(b->dev, queue);
    bench_run(b);
}

void bench_expect(struct bench *b, unsigned queue, uint64_t token, uint32_t len)
{
    struct drv_used used;

    if (!drv_ring_get(&b->ring[queue], &used))
        fail_msg("no answer; the driver's fault code is %d", b->ring[queue].fault);
    assert_int_equal(used.token, token);
    assert_int_equal(used.len, len);
}

void bench_expect_none(struct bench *b, unsigned queue)
{
    assert_false(drv_ring_pending(&b->ring[queue]));
}

/* ---- the device ---- */

struct anyhv_queue *bench_queue(struct bench *b, unsigned queue)
{
    return &b->dev->queues[queue];
}

unsigned bench_inflight(struct bench *b, unsigned queue)
{
    const struct anyhv_queue *q = bench_queue(b, queue);

    return (uint16_t)(q->seq_next - q->seq_used);
}

const struct anyhv_queue_counters *bench_counters(struct bench *b, unsigned queue)
{
    return anyhv_ctl_counters(b->dev, queue);
}

struct anyhv_req *bench_req(struct bench *b, unsigned i)
{
    assert_true(i < b->handles);
    return anyhv_req_get(b->dev, b->handle[i]);
}

struct anyhv_req *bench_held(struct bench *b, uint32_t out, uint32_t in)
{
    unsigned before = b->handles;

    bench_put(b, 0, out, in);
    bench_kick(b, 0);
    assert_int_equal(b->handles, before + 1);
    assert_non_null(bench_req(b, before));
    return bench_req(b, before);
}

void bench_answer(struct bench *b, struct anyhv_req *req)
{
    (void)b;
    anyhv_req_done(req);
}

void bench_echo(struct bench *b, struct anyhv_req *req)
{
    uint8_t byte;

    (void)b;
    while (anyhv_req_readable(req) && anyhv_req_writable(req)) {
        assert_int_equal(anyhv_req_read(req, &byte, 1), ANYHV_OK);
        assert_int_equal(anyhv_req_write(req, &byte, 1), ANYHV_OK);
    }
    anyhv_req_done(req);
}

bool bench_return(struct bench *b, struct anyhv_req *req, bool returnable)
{
    (void)b;
    if (!returnable)
        anyhv_req_done(req);
    return returnable;
}

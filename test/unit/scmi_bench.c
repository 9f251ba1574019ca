/* SPDX-License-Identifier: Apache-2.0 */
#include "scmi_bench.h"

#include <stdlib.h>

/* ---- the platform ---- */

static struct scmi_bench *of(struct anyhv_scmi_platform *platform)
{
    return (void *)platform;
}

static uint64_t bench_now(struct anyhv_scmi_platform *platform)
{
    return of(platform)->now;
}

static void bench_wake(struct anyhv_scmi_platform *platform, uint64_t at)
{
    of(platform)->wake = at;
}

static void bench_refused(struct anyhv_scmi_platform *platform,
                          const struct anyhv_scmi_agent *agent, unsigned protocol, unsigned message,
                          uint32_t number)
{
    assert_non_null(agent->name);
    assert_in_range(protocol, BASE, RESET);
    (void)message;
    (void)number;
    of(platform)->refused++;
}

static bool bench_reset_line(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset,
                             bool asserted)
{
    assert_int_not_equal(reset->asserted, asserted);
    if (of(platform)->broken_line)
        return false;
    of(platform)->edges++;
    return true;
}

static bool bench_set_clock(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                            uint64_t rate, bool on, uint32_t by)
{
    assert_true(clock->rate != rate || clock->on != on);
    assert_in_range(by, 1, platform->nagents);
    if (of(platform)->broken_clock)
        return false;
    of(platform)->clock_changes++;
    return true;
}

static const struct anyhv_scmi_platform_ops ops = {
    .now = bench_now,
    .wake = bench_wake,
    .refused = bench_refused,
    .set_clock = bench_set_clock,
    .reset_line = bench_reset_line,
};

static const uint64_t cpu_rates[] = {500000000, 1000000000, 1500000000};
static const uint64_t bus_range[] = {10000000, 100000000, 4000000};
static const uint16_t intervals[] = {20, 100, 1000};

static void describe(struct scmi_bench *b)
{
    static const char *const many[] = {"s3", "s4", "s5", "s6", "s7", "s8"};

    b->clock[CPU] = (struct anyhv_scmi_clock){.resource = {"cpu", DEVICE_CPU},
                                              .rates = cpu_rates,
                                              .nrates = 3,
                                              .enable_us = 150,
                                              .settle_ms = 20,
                                              .rate = 500000000};
    b->clock[BUS] = (struct anyhv_scmi_clock){.resource = {"bus", 0},
                                              .rates = bus_range,
                                              .nrates = 3,
                                              .range = true,
                                              .always_on = true,
                                              .rate = 10000000};
    b->sensor[TEMP] = (struct anyhv_scmi_sensor){.resource = {"cpu-temp", DEVICE_CPU},
                                                 .type = 2,
                                                 .scale = -3,
                                                 .trips = 2,
                                                 .timestamps = true,
                                                 .base = {30000},
                                                 .follows = &b->clock[CPU],
                                                 .per_mhz = 20,
                                                 .speed = 10000};
    b->sensor[ACCEL] = (struct anyhv_scmi_sensor){.resource = {"accel", 0},
                                                  .type = 89,
                                                  .scale = -2,
                                                  .axes = 3,
                                                  .timestamps = true,
                                                  .bounded = true,
                                                  .min = -2000,
                                                  .max = 2000,
                                                  .intervals_ms = intervals,
                                                  .nintervals = 3,
                                                  .base = {1, -2, 981}};
    b->sensor[BOARD_TEMP] = (struct anyhv_scmi_sensor){.resource = {"board", 0},
                                                       .type = 2,
                                                       .bounded = true,
                                                       .min = -40,
                                                       .max = 125,
                                                       .read_ms = 5,
                                                       .trips = 1,
                                                       .external = true};
    for (unsigned i = MANY; i < NSENSORS; i++)
        b->sensor[i] = (struct anyhv_scmi_sensor){
            .resource = {many[i - MANY], 0}, .type = 5, .base = {100 * (int)i}};
    b->reset[USB] = (struct anyhv_scmi_reset){
        .resource = {"usb", DEVICE_USB}, .latency_us = 100, .hold_ms = 10};
    b->reset[NIC] = (struct anyhv_scmi_reset){.resource = {"nic", 0}, .latency_us = UINT32_MAX};
}

/* Agent 1 sees everything; agent 2 only looks at the first clock, shares the first reset line. */
static void share(struct scmi_bench *b)
{
    for (unsigned i = 0; i < NCLOCKS; i++)
        b->agent_clock[0][i].grant = (struct anyhv_scmi_grant){&b->clock[i].resource, true};
    for (unsigned i = 0; i < NSENSORS; i++)
        b->agent_sensor[0][i].grant = (struct anyhv_scmi_grant){&b->sensor[i].resource, true};
    for (unsigned i = 0; i < NRESETS; i++)
        b->agent_reset[0][i].grant = (struct anyhv_scmi_grant){&b->reset[i].resource, true};
    b->agent_clock[1][0].grant = (struct anyhv_scmi_grant){&b->clock[BUS].resource, true};
    b->agent_clock[1][1].grant = (struct anyhv_scmi_grant){&b->clock[CPU].resource, false};
    b->agent_reset[1][0].grant = (struct anyhv_scmi_grant){&b->reset[USB].resource, true};
    b->agent[0] = (struct anyhv_scmi_agent){.name = "first",
                                            .trusted = true,
                                            .clocks = b->agent_clock[0],
                                            .sensors = b->agent_sensor[0],
                                            .resets = b->agent_reset[0],
                                            .nclocks = NCLOCKS,
                                            .nsensors = NSENSORS,
                                            .nresets = NRESETS};
    b->agent[1] = (struct anyhv_scmi_agent){.name = "second",
                                            .clocks = b->agent_clock[1],
                                            .sensors = b->agent_sensor[1],
                                            .resets = b->agent_reset[1],
                                            .nclocks = 2,
                                            .nresets = 1};
}

static void build_platform(struct scmi_bench *b)
{
    describe(b);
    share(b);
    b->now = 1000;
    b->wake = ANYHV_SCMI_NEVER;
    b->platform = (struct anyhv_scmi_platform){.ops = &ops,
                                               .sub_vendor = "bench",
                                               .clocks = b->clock,
                                               .sensors = b->sensor,
                                               .resets = b->reset,
                                               .agents = b->agent,
                                               .nclocks = NCLOCKS,
                                               .nsensors = NSENSORS,
                                               .nresets = NRESETS,
                                               .nagents = 2,
                                               .sample_ms = 10};
    assert_int_equal(anyhv_scmi_platform_init(&b->platform), ANYHV_OK);
}

/* ---- guests ---- */

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void attach(struct bench_guest *g, bool resume)
{
    struct anyhv_loopback_options machine = {.base = BENCH_BASE,
                                             .ram = g->ram,
                                             .ram_size = BENCH_RAM,
                                             .bounce = g->bench->options.bounce};
    struct anyhv_attach how = {.ops = &anyhv_scmi_ops,
                               .priv = &g->scmi,
                               .storage = g->storage,
                               .storage_size =
                                   anyhv_storage_size(&anyhv_scmi_ops, &(struct anyhv_limits){0}),
                               .state = g->state,
                               .state_size = ANYHV_STATE_SIZE(2, 0),
                               .journal = g->journal,
                               .journal_size = g->journal ? ANYHV_JOURNAL_SIZE(2, 1024) : 0,
                               .resume = resume};

    anyhv_scmi_init(&g->scmi, g->dev, &g->bench->platform, &g->bench->agent[g - g->bench->guest]);
    assert_int_equal(anyhv_loopback_attach(&g->lb, &machine, &how), ANYHV_OK);
    g->attached = true;
}

void bench_leave(struct bench_guest *g)
{
    if (!g->attached)
        return;
    anyhv_loopback_detach(&g->lb);
    anyhv_scmi_fini(&g->scmi);
    g->attached = false;
}

void bench_succeed(struct bench_guest *g)
{
    bench_leave(g); /* which a killed process does not; state block and journal do not hear of it */
    attach(g, true);
    bench_run(g->bench);
}

void bench_move(struct bench_guest *g)
{
    bench_leave(g);
    describe(g->bench);
    assert_int_equal(anyhv_scmi_platform_init(&g->bench->platform), ANYHV_OK);
    memset(g->bench->agent[g - g->bench->guest].denied, 0, sizeof(g->bench->agent[0].denied));
    attach(g, false);
}

static void start_ring(struct bench_guest *g, unsigned queue)
{
    struct drv_ring_config config = {.size = BENCH_RING, .slots = g->slots[queue]};

    assert_true(drv_ring_init(&g->ring[queue], &g->mem, &config));
    assert_true(drv_queue_setup(&g->mmio.transport, queue, &g->ring[queue]));
}

void bench_negotiate(struct bench_guest *g)
{
    bool events = !g->bench->options.no_events;

    drv_mem_init(&g->mem, g->ram, BENCH_BASE, BENCH_RAM);
    assert_true(drv_negotiate(&g->mmio.transport, events ? F_P2A : 0));
    start_ring(g, 0);
    if (events)
        start_ring(g, 1);
    drv_ready(&g->mmio.transport);
    g->out_at = drv_alloc(&g->mem, 4096, 8);
    g->in_at = drv_alloc(&g->mem, 8192, 8);
    g->rewind = g->mem.used;
    g->room = 128; /* what Linux has for replies whose length it does not know */
}

static void arrive(struct scmi_bench *b, struct bench_guest *g)
{
    g->bench = b;
    g->dev = anyhv_loopback_dev(&g->lb);
    g->ram = aligned_alloc(4096, BENCH_RAM);
    assert_non_null(g->ram);
    memset(g->ram, 0, BENCH_RAM);
    g->storage = malloc(anyhv_storage_size(&anyhv_scmi_ops, &(struct anyhv_limits){0}));
    g->state = calloc(1, ANYHV_STATE_SIZE(2, 0));
    g->journal = b->options.journal ? calloc(1, ANYHV_JOURNAL_SIZE(2, 1024)) : NULL;
    attach(g, false);
    drv_mmio_init(&g->mmio, access_register, &g->lb);
    assert_int_equal(drv_mmio_probe(&g->mmio), 32);
    bench_negotiate(g);
}

static int set_up(void **state, struct bench_options options)
{
    struct scmi_bench *b = calloc(1, sizeof(*b));

    b->options = options;
    build_platform(b);
    arrive(b, &b->guest[0]);
    arrive(b, &b->guest[1]);
    *state = b;
    return 0;
}

int bench_setup(void **state)
{
    return set_up(state, (struct bench_options){0});
}

int bench_setup_plain(void **state)
{
    return set_up(state, (struct bench_options){.no_events = true});
}

int bench_setup_bounce(void **state)
{
    return set_up(state, (struct bench_options){.bounce = true});
}

int bench_setup_journal(void **state)
{
    return set_up(state, (struct bench_options){.bounce = true, .journal = true});
}

int bench_teardown(void **state)
{
    struct scmi_bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        bench_leave(&b->guest[i]);
        free(b->guest[i].ram);
        free(b->guest[i].storage);
        free(b->guest[i].state);
        free(b->guest[i].journal);
    }
    free(b);
    return 0;
}

void bench_run(struct scmi_bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        if (b->guest[i].attached)
            anyhv_loopback_run(&b->guest[i].lb, 64);
    }
}

void bench_pass(struct scmi_bench *b, uint64_t ms)
{
    uint64_t end = b->now + ms;

    while (b->wake <= end) {
        if (b->wake > b->now)
            b->now = b->wake;
        b->wake = ANYHV_SCMI_NEVER;
        anyhv_scmi_tick(&b->platform);
    }
    b->now = end;
    bench_run(b);
}

/* ---- commands ---- */

void bench_post(struct bench_guest *g, const void *bytes, uint32_t len, uint32_t room)
{
    struct drv_buf out = {g->out_at, len}, in = {g->in_at, room};
    struct drv_chain chain = {
        .out = &out, .nout = len != 0, .in = &in, .nin = room != 0, .direct = DRV_DIRECT};

    if (len)
        memcpy(drv_ptr(&g->mem, g->out_at, len), bytes, len);
    memset(drv_ptr(&g->mem, g->in_at, 8192), 0xee, 8192);
    assert_true(drv_ring_add(&g->ring[0], &chain) >= 0);
    drv_ring_publish(&g->ring[0]);
    drv_kick(&g->mmio.transport, 0, &g->ring[0]);
}

uint32_t bench_answer(struct bench_guest *g)
{
    struct drv_used used;

    if (!drv_ring_get(&g->ring[0], &used))
        fail_msg("no answer; the driver's fault code is %d", g->ring[0].fault);
    /* What is not counted as used was not touched. */
    for (uint64_t i = used.len; i < 8192; i++)
        assert_int_equal(drv_peek8(&g->mem, g->in_at + i), 0xee);
    return used.len;
}

uint32_t bench_send_raw(struct bench_guest *g, const void *bytes, uint32_t len, uint32_t room)
{
    bench_post(g, bytes, len, room);
    bench_run(g->bench);
    return bench_answer(g);
}

static void to_bytes(uint8_t *bytes, const uint32_t *words, unsigned n)
{
    for (unsigned i = 0; i < 4 * n; i++)
        bytes[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
}

int32_t bench_ask(struct bench_guest *g, const uint32_t *words, unsigned n)
{
    uint32_t message[16], len;
    uint8_t bytes[64];
    int32_t status;

    g->token = (g->token + 1) & 0x3ff;
    message[0] = bench_header(words[0], words[1], 0, g->token);
    memcpy(message + 1, words + 2, (n - 2) * sizeof(*words));
    to_bytes(bytes, message, n - 1);
    len = bench_send_raw(g, bytes, 4 * (n - 1), 8 + g->room);
    assert_true(len >= 8 && len % 4 == 0);
    assert_int_equal(drv_peek32(&g->mem, g->in_at), message[0]);
    status = (int32_t)drv_peek32(&g->mem, g->in_at + 4);
    if (status != OK)
        assert_int_equal(len, 8);
    g->nreply = len / 4 - 2;
    for (unsigned i = 0; i < g->nreply; i++)
        g->reply[i] = drv_peek32(&g->mem, g->in_at + 8 + 4 * i);
    return status;
}

static void expect_words(const uint32_t *got, unsigned ngot, const uint32_t *words, unsigned n)
{
    for (unsigned i = 0; i < n && i < ngot; i++) {
        if (got[i] != words[i])
            fail_msg("word %u is 0x%x, not 0x%x", i, got[i], words[i]);
    }
    assert_int_equal(ngot, n);
}

void bench_expect_reply(struct bench_guest *g, const uint32_t *words, unsigned n)
{
    expect_words(g->reply, g->nreply, words, n);
}

void bench_expect_name(const struct bench_guest *g, unsigned at, const char *name)
{
    char got[ANYHV_SCMI_NAME], want[ANYHV_SCMI_NAME] = {0};

    assert_true(at + 4 <= g->nreply);
    for (unsigned i = 0; i < ANYHV_SCMI_NAME; i++)
        got[i] = (char)(g->reply[at + i / 4] >> (8 * (i % 4)));
    memcpy(want, name, strlen(name));
    assert_memory_equal(got, want, ANYHV_SCMI_NAME);
}

/* ---- events ---- */

void bench_buffers(struct bench_guest *g, unsigned n, uint32_t size)
{
    while (n--) {
        struct drv_buf in = {drv_alloc(&g->mem, size, 8), size};
        struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = in.addr};

        assert_true(in.addr != DRV_NO_ADDR);
        assert_true(drv_ring_add(&g->ring[1], &chain) >= 0);
    }
    drv_ring_publish(&g->ring[1]);
    drv_kick(&g->mmio.transport, 1, &g->ring[1]);
    bench_run(g->bench);
}

bool bench_event(struct bench_guest *g)
{
    struct drv_used used;

    bench_run(g->bench);
    if (!drv_ring_get(&g->ring[1], &used))
        return false;
    assert_true(used.len % 4 == 0 && used.len <= sizeof(g->event));
    g->nevent = used.len / 4;
    for (unsigned i = 0; i < g->nevent; i++)
        g->event[i] = drv_peek32(&g->mem, used.token + 4 * i);
    return true;
}

void bench_expect_event(struct bench_guest *g, const uint32_t *words, unsigned n)
{
    if (!bench_event(g))
        fail_msg("%s", "no event");
    expect_words(g->event, g->nevent, words, n);
}

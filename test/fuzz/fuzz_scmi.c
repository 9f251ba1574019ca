/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCMI device, driven by bytes: two guests on one platform, messages of any kind, and all that
 * can happen between them. An input is options (power_on), then steps (the table of them, below).
 * Besides what the sanitizers see:
 *
 * - every command is answered: not at all, or with a header and a status, and within its room;
 * - a status other than SUCCESS comes alone;
 * - when both guests have gone, nothing that they asked for is left.
 */
#include "driver/driver.h"
#include "fuzz/fuzz.h"

#include <anyhv/devices/scmi.h>
#include <anyhv/loopback.h>
#include <string.h>

#define BASE UINT64_C(0x80000000)
#define RAM  (1u << 17)
#define RING 32u

struct guest {
    struct anyhv_scmi scmi;
    struct anyhv_loopback lb;
    struct anyhv_loopback_options options;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring[2];
    struct drv_slot slots[2][RING];
    uint8_t *ram;
    void *storage, *state;
    bool events;
};

struct machine {
    struct anyhv_scmi_platform platform; /* first: found behind its address */
    struct fuzz_input *in;
    struct anyhv_scmi_clock clock[2];
    struct anyhv_scmi_sensor sensor[3];
    struct anyhv_scmi_reset reset[2];
    struct anyhv_scmi_agent agent[2];
    struct anyhv_scmi_agent_clock agent_clock[2][2];
    struct anyhv_scmi_agent_sensor agent_sensor[2][3];
    struct anyhv_scmi_agent_reset agent_reset[2][2];
    struct guest guest[2];
    uint64_t now, wake;
};

/* ---- the platform ---- */

static uint64_t now(struct anyhv_scmi_platform *platform)
{
    return ((struct machine *)(void *)platform)->now;
}

static void wake(struct anyhv_scmi_platform *platform, uint64_t at)
{
    ((struct machine *)(void *)platform)->wake = at;
}

static const struct anyhv_scmi_platform_ops ops = {.now = now, .wake = wake};
static const uint64_t rates[] = {500000000, 1000000000, 1500000000}, range[] = {1000, 100000000, 7};
static const uint16_t intervals[] = {5, 100};

static void build_platform(struct machine *m)
{
    m->clock[0] = (struct anyhv_scmi_clock){
        .resource = {"list", 1}, .rates = rates, .nrates = 3, .settle_ms = 5, .rate = 500000000};
    m->clock[1] = (struct anyhv_scmi_clock){
        .resource = {"range", 2}, .rates = range, .nrates = 3, .range = true, .rate = 1000};
    m->sensor[0] = (struct anyhv_scmi_sensor){.resource = {"temp", 1},
                                              .type = 2,
                                              .trips = 2,
                                              .timestamps = true,
                                              .follows = &m->clock[0],
                                              .per_mhz = 20,
                                              .speed = 5000};
    m->sensor[1] = (struct anyhv_scmi_sensor){.resource = {"axes", 0},
                                              .type = 89,
                                              .axes = 3,
                                              .bounded = true,
                                              .max = 10,
                                              .intervals_ms = intervals,
                                              .nintervals = 2};
    m->sensor[2] = (struct anyhv_scmi_sensor){
        .resource = {"file", 3}, .type = 5, .external = true, .read_ms = 3, .trips = 1};
    m->reset[0] = (struct anyhv_scmi_reset){.resource = {"slow", 1}, .hold_ms = 4};
    m->reset[1] = (struct anyhv_scmi_reset){.resource = {"fast", 0}};
    for (unsigned a = 0; a < 2; a++) {
        for (unsigned i = 0; i < 2; i++) {
            m->agent_clock[a][i].grant = (struct anyhv_scmi_grant){&m->clock[i].resource, !a || i};
            m->agent_reset[a][i].grant = (struct anyhv_scmi_grant){&m->reset[i].resource, !a || i};
        }
        for (unsigned i = 0; i < 3; i++)
            m->agent_sensor[a][i].grant = (struct anyhv_scmi_grant){&m->sensor[i].resource, true};
        m->agent[a] = (struct anyhv_scmi_agent){.name = "agent",
                                                .trusted = !a,
                                                .clocks = m->agent_clock[a],
                                                .sensors = m->agent_sensor[a],
                                                .resets = m->agent_reset[a],
                                                .nclocks = 2,
                                                .nsensors = 3,
                                                .nresets = 2};
    }
    m->wake = ANYHV_SCMI_NEVER;
    m->platform = (struct anyhv_scmi_platform){.ops = &ops,
                                               .sub_vendor = "fuzz",
                                               .clocks = m->clock,
                                               .sensors = m->sensor,
                                               .resets = m->reset,
                                               .agents = m->agent,
                                               .nclocks = 2,
                                               .nsensors = 3,
                                               .nresets = 2,
                                               .nagents = 2,
                                               .sample_ms = 10};
    fuzz_assert(anyhv_scmi_platform_init(&m->platform) == ANYHV_OK);
}

/* ---- guests ---- */

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void start_ring(struct guest *g, unsigned queue)
{
    struct drv_ring_config config = {.size = RING,
                                     .packed = g->mmio.transport.features & DRV_F_PACKED,
                                     .slots = g->slots[queue]};

    fuzz_assert(drv_ring_init(&g->ring[queue], &g->mem, &config));
    fuzz_assert(drv_queue_setup(&g->mmio.transport, queue, &g->ring[queue]));
}

static void negotiate(struct guest *g, uint64_t ring)
{
    g->lb.faults.result = 0; /* or the ring could not be mapped */
    drv_mem_init(&g->mem, g->ram, BASE, RAM);
    fuzz_assert(drv_negotiate(&g->mmio.transport, ring | (g->events ? DRV_F(0) : 0)));
    start_ring(g, 0);
    if (g->events)
        start_ring(g, 1);
    drv_ready(&g->mmio.transport);
}

static void arrive(struct machine *m, unsigned i, uint8_t options)
{
    struct guest *g = &m->guest[i];
    struct anyhv_attach how = {.ops = &anyhv_scmi_ops, .priv = &g->scmi};

    how.storage_size = anyhv_storage_size(&anyhv_scmi_ops, &how.limits);
    how.storage = g->storage = fuzz_alloc(how.storage_size);
    how.state_size = ANYHV_STATE_SIZE(2, 0);
    how.state = g->state = fuzz_alloc(how.state_size);
    g->options = (struct anyhv_loopback_options){.base = BASE, .ram_size = RAM};
    g->options.bounce = options & 4;
    g->options.ram = g->ram = fuzz_alloc(RAM);
    g->events = options & 1;
    g->dev = anyhv_loopback_dev(&g->lb);
    anyhv_scmi_init(&g->scmi, g->dev, &m->platform, &m->agent[i]);
    fuzz_assert(anyhv_loopback_attach(&g->lb, &g->options, &how) == ANYHV_OK);
    drv_mmio_init(&g->mmio, access_register, &g->lb);
    negotiate(g, options & 2 ? DRV_F_PACKED : 0);
}

static void power_on(struct machine *m)
{
    build_platform(m);
    for (unsigned i = 0; i < 2; i++)
        arrive(m, i, fuzz_byte(m->in));
}

/* ---- what must hold ---- */

/* A token is where the answer is; the room is known to the ring. */
static void take_answers(struct guest *g)
{
    struct drv_used used;

    anyhv_loopback_run(&g->lb, 64);
    while (drv_ring_get(&g->ring[0], &used)) {
        fuzz_assert(used.len == 0 || used.len >= 8);
        fuzz_assert(used.len == 8 || !used.len || drv_peek32(&g->mem, used.token + 4) == 0);
        fuzz_assert(!used.len || -(int32_t)drv_peek32(&g->mem, used.token + 4) <= 10);
    }
    while (g->events && drv_ring_get(&g->ring[1], &used))
        fuzz_assert(used.len == 0 || used.len >= 8);
    fuzz_assert(g->ring[0].fault == DRV_FAULT_NONE);
    fuzz_assert(!g->events || g->ring[1].fault == DRV_FAULT_NONE);
}

/* ---- steps ---- */

/* Small numbers mostly: those of resources, flags and rates that mean something. */
static uint32_t any_word(struct fuzz_input *in)
{
    uint8_t n = fuzz_byte(in);

    if (n < 0x40)
        return n;
    if (n < 0x50)
        return (n & 0xfu) * 100000000;
    return n < 0x60 ? 1u << (n & 0xf) : fuzz_word(in) << (n & 0xf);
}

static void step_command(struct machine *m, struct guest *g)
{
    static const uint8_t protocols[] = {0x10, 0x14, 0x15, 0x16};
    uint8_t message = fuzz_byte(m->in), shape = fuzz_byte(m->in), words = shape & 7;
    uint8_t room = fuzz_byte(m->in);
    uint32_t protocol = protocols[message >> 4 & 3];
    uint64_t out_at = drv_alloc(&g->mem, 64, 4), in_at = drv_alloc(&g->mem, 256, 4);
    struct drv_buf out = {out_at, 4u + 4u * words - (shape >> 6)}, in = {in_at, room};
    struct drv_chain chain = {
        .out = &out, .nout = 1, .in = &in, .nin = room != 0, .direct = DRV_DIRECT, .token = in_at};

    if (out_at == DRV_NO_ADDR || in_at == DRV_NO_ADDR)
        return;
    if (shape & 8)
        protocol = fuzz_byte(m->in);
    drv_poke32(&g->mem, out_at,
               (message & 0xfu) | (shape & 0x30u) << 4 | protocol << 10 | (uint32_t)shape << 18);
    for (unsigned i = 0; i < words; i++)
        drv_poke32(&g->mem, out_at + 4 + 4 * i, any_word(m->in));
    if (drv_ring_add(&g->ring[0], &chain) < 0)
        return;
    drv_ring_publish(&g->ring[0]);
    drv_kick(&g->mmio.transport, 0, &g->ring[0]);
}

static void step_buffers(struct machine *m, struct guest *g)
{
    uint8_t size = fuzz_byte(m->in), count = fuzz_byte(m->in) % 8;

    for (unsigned i = 0; g->events && size && i < count; i++) {
        struct drv_buf in = {drv_alloc(&g->mem, size, 1), size};
        struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT};

        if (in.addr == DRV_NO_ADDR || drv_ring_add(&g->ring[1], &chain) < 0)
            return;
        drv_ring_publish(&g->ring[1]);
        drv_kick(&g->mmio.transport, 1, &g->ring[1]);
    }
}

static void step_pass(struct machine *m, struct guest *g)
{
    uint64_t end = m->now + fuzz_byte(m->in);

    (void)g;
    while (m->wake <= end) {
        if (m->wake > m->now)
            m->now = m->wake;
        m->wake = ANYHV_SCMI_NEVER;
        anyhv_scmi_tick(&m->platform);
    }
    m->now = end;
}

static void step_reset(struct machine *m, struct guest *g)
{
    (void)m;
    negotiate(g, 0);
}

static void step_sensor(struct machine *m, struct guest *g)
{
    uint8_t byte = fuzz_byte(m->in);
    int64_t value = byte == 254 ? INT64_MIN : byte; /* any number may stand in a file */

    (void)g;
    anyhv_scmi_sensor_set(&m->platform, &m->sensor[2], byte == 255 ? NULL : &value);
}

static void step_error(struct machine *m, struct guest *g)
{
    (void)g;
    anyhv_scmi_error(&m->platform, fuzz_byte(m->in) & 1);
}

static void step_fault(struct machine *m, struct guest *g)
{
    g->lb.faults = (struct anyhv_loopback_faults){
        .after = fuzz_byte(m->in) % 16, .result = ANYHV_E_NORES, .count = 1};
}

static void step_room(struct machine *m, struct guest *g)
{
    (void)m;
    anyhv_mem_room(&g->lb.mem);
}

static void step_quiesce(struct machine *m, struct guest *g)
{
    (void)m;
    anyhv_ctl_quiesce(g->dev);
}

static void step_resume(struct machine *m, struct guest *g)
{
    (void)m;
    anyhv_ctl_resume(g->dev);
}

/* By the low bits of a byte, modulo how many there are; bit 7 says which guest. */
static void (*const steps[])(struct machine *, struct guest *) = {
    step_command, /* 0: message and protocol, shape, room, words */
    step_buffers, /* 1: size, how many */
    step_pass,    /* 2: milliseconds */
    step_reset,   /* 3 */
    step_sensor,  /* 4: value */
    step_error,   /* 5: fatal */
    step_fault,   /* 6: after how many accesses */
    step_room,    /* 7 */
    step_quiesce, /* 8 */
    step_resume,  /* 9 */
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* Nothing is held back any more: every command is answered. */
static void settle(struct guest *g)
{
    g->lb.faults.result = 0;
    anyhv_ctl_resume(g->dev);
    for (unsigned i = 0; i < 4 && g->ring[0].inflight; i++) {
        anyhv_mem_room(&g->lb.mem);
        take_answers(g);
    }
    fuzz_assert(g->ring[0].inflight == 0);
}

static void power_off(struct machine *m)
{
    for (unsigned i = 0; i < 2; i++) {
        struct guest *g = &m->guest[i];

        settle(g);
        anyhv_loopback_detach(&g->lb);
        anyhv_scmi_fini(&g->scmi);
        free(g->ram);
        free(g->storage);
        free(g->state);
    }
    for (unsigned i = 0; i < 2; i++)
        fuzz_assert(!m->clock[i].on && !m->reset[i].asserted && !m->reset[i].holds);
}

void fuzz_one(struct fuzz_input *in)
{
    static struct machine m;

    m = (struct machine){.in = in};
    power_on(&m);
    while (in->left) {
        uint8_t step = fuzz_byte(in);

        steps[(step & 0x7f) % STEPS](&m, &m.guest[step >> 7]);
        take_answers(&m.guest[0]);
        take_answers(&m.guest[1]);
    }
    power_off(&m);
}

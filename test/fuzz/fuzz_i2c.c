/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I2C adapter, driven by bytes: requests of any shape, and all that can happen between them. An
 * input is options (power_on), then steps (the table of them, below). Besides what the sanitizers
 * see:
 *
 * - what reaches the bus is within all limits, and is addressed to targets of this guest;
 * - every request is answered, with a status, and with no more bytes than it has room for,
 *   unless the driver itself has ruined its ring.
 */
#include "driver/driver.h"
#include "fuzz/fuzz.h"

#include <anyhv/devices/i2c.h>
#include <anyhv/loopback.h>

#define BASE     UINT64_C(0x80000000)
#define RAM      (1u << 18)
#define RING     128u
#define DATA     2048u
#define REQUESTS ANYHV_I2C_REQUESTS

static const uint16_t addrs[] = {0x20, 0x50, ANYHV_I2C_TEN_BIT | 0x150, 0x60};
#define TARGETS (sizeof(addrs) / sizeof(addrs[0]))

struct machine {
    struct fuzz_input *in;
    struct anyhv_i2c_bus bus[2]; /* the last target is on the second */
    struct anyhv_i2c_transfer *queue[2];
    struct anyhv_i2c_target target[TARGETS], *allowed[TARGETS];
    struct anyhv_i2c i2c;
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[RING];
    struct anyhv_loopback_options options;
    uint64_t features;
    uint8_t *ram, *data;
    void *storage, *state, *journal;
    size_t storage_size, state_size, journal_size;
    bool wild; /* the driver has written where it should not */
};

/* ---- the bus ---- */

static bool is_ours(uint16_t addr)
{
    for (unsigned i = 0; i < TARGETS; i++) {
        if (addrs[i] == addr)
            return true;
    }
    return false;
}

/* Each byte is touched, so that the sanitizer says whose it is. */
static void look_at(const struct anyhv_i2c_message *m)
{
    fuzz_assert(is_ours(m->addr) && m->len <= ANYHV_I2C_MESSAGE_BYTES);
    for (unsigned i = 0; i < m->len; i++) {
        if (m->read)
            m->data[i] = (uint8_t)i;
        else
            fuzz_use(m->data[i]);
    }
}

static struct anyhv_i2c_transfer **queue_of(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct machine *m = (void *)((char *)t->guest - offsetof(struct machine, i2c));

    return &m->queue[bus - m->bus];
}

static void bus_submit(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct anyhv_i2c_transfer **queue = queue_of(bus, t);

    fuzz_assert(!*queue && t->messages >= 1 && t->messages <= ANYHV_I2C_MESSAGES);
    for (unsigned i = 0; i < t->messages; i++)
        look_at(&t->message[i]);
    *queue = t;
}

static void bus_drop(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct anyhv_i2c_transfer **queue = queue_of(bus, t);

    fuzz_assert(*queue == t);
    *queue = NULL;
}

static const struct anyhv_i2c_bus_ops bus_ops = {.submit = bus_submit, .drop = bus_drop};

/* What is on a bus ends, after a part of it. */
static bool end_transfer(struct machine *m, unsigned part)
{
    for (unsigned i = 0; i < 2; i++) {
        struct anyhv_i2c_transfer *t = m->queue[i];

        if (!t)
            continue;
        m->queue[i] = NULL;
        anyhv_i2c_done(t, part % (t->messages + 1));
        return true;
    }
    return false;
}

/* ---- coming up ---- */

static void incomplete(struct anyhv_i2c *i2c, bool waits)
{
    (void)i2c;
    (void)waits;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static void attach(struct machine *m, bool resume)
{
    struct anyhv_i2c_setup setup = {.targets = m->allowed,
                                    .ntargets = TARGETS,
                                    .data = m->data,
                                    .data_len = DATA,
                                    .incomplete = incomplete};
    struct anyhv_attach how = {.ops = &anyhv_i2c_ops,
                               .priv = &m->i2c,
                               .limits = {.requests = REQUESTS},
                               .storage = m->storage,
                               .storage_size = m->storage_size,
                               .state = m->state,
                               .state_size = m->state_size,
                               .journal = m->journal,
                               .journal_size = m->journal_size,
                               .resume = resume};

    anyhv_i2c_init(&m->i2c, m->dev, &setup);
    if (anyhv_loopback_attach(&m->lb, &m->options, &how) == ANYHV_OK)
        return;
    fuzz_assert(resume && m->wild); /* the journal is in the guest's hands, too */
    how.resume = false;
    fuzz_assert(anyhv_loopback_attach(&m->lb, &m->options, &how) == ANYHV_OK);
}

static void start_ring(struct machine *m)
{
    struct drv_ring_config config = {.size = RING,
                                     .packed = m->features & DRV_F_PACKED,
                                     .in_order = m->features & DRV_F_IN_ORDER,
                                     .table_entries = 8,
                                     .slots = m->slots};

    m->lb.faults.result = 0; /* or the ring could not be mapped */
    drv_mem_init(&m->mem, m->ram, BASE, RAM);
    fuzz_assert(drv_ring_init(&m->ring, &m->mem, &config));
    fuzz_assert(drv_queue_setup(&m->mmio.transport, 0, &m->ring));
}

static void negotiate(struct machine *m)
{
    uint64_t ring_reset = DRV_F_RING_RESET | DRV_F_INDIRECT;

    fuzz_assert(drv_negotiate(&m->mmio.transport, m->features | ring_reset | DRV_F(0)));
    start_ring(m);
    drv_ready(&m->mmio.transport);
    m->wild = false;
}

static void power_on(struct machine *m)
{
    struct anyhv_limits limits = {.requests = REQUESTS};
    uint8_t options = fuzz_byte(m->in);

    m->features = (options & 1 ? DRV_F_PACKED : 0) | (options & 2 ? DRV_F_IN_ORDER : 0);
    m->options = (struct anyhv_loopback_options){.base = BASE, .ram_size = RAM};
    m->options.bounce = options & 4;
    m->options.ram = m->ram = fuzz_alloc(RAM);
    m->data = fuzz_alloc(DATA);
    m->storage_size = anyhv_storage_size(&anyhv_i2c_ops, &limits);
    m->storage = fuzz_alloc(m->storage_size);
    m->state_size = ANYHV_STATE_SIZE(1, 0);
    m->state = fuzz_alloc(m->state_size);
    m->journal_size = options & 8 ? ANYHV_JOURNAL_SIZE(1, 1024) : 0;
    m->journal = options & 8 ? fuzz_alloc(m->journal_size) : NULL;
    m->dev = anyhv_loopback_dev(&m->lb);
    for (unsigned i = 0; i < TARGETS; i++) {
        m->bus[i / 3].ops = &bus_ops;
        m->target[i] = (struct anyhv_i2c_target){.bus = &m->bus[i / 3], .addr = addrs[i]};
        m->allowed[i] = &m->target[i];
    }
    attach(m, false);
    drv_mmio_init(&m->mmio, access_register, &m->lb);
    negotiate(m);
}

/* ---- steps ---- */

static uint32_t any_length(struct fuzz_input *in)
{
    uint8_t n = fuzz_byte(in);

    return n < 0xf0 ? n % 64u : fuzz_word(in);
}

static uint16_t any_address(struct fuzz_input *in)
{
    static const uint16_t good[] = {0x40, 0xa0, 0x50f2, 0xc0};
    uint8_t n = fuzz_byte(in);

    return n < 0xf0 ? good[n % 4] : (uint16_t)fuzz_word(in);
}

static unsigned cut(struct drv_buf *buf, uint64_t addr, uint32_t len, uint32_t piece)
{
    unsigned n = 0;

    while (len) {
        uint32_t now = n == 7 || !piece || piece > len ? len : piece;

        buf[n++] = (struct drv_buf){addr, now};
        addr += now;
        len -= now;
    }
    return n;
}

/* Its token is where its status is, or 0 if it has none. */
static void step_request(struct machine *m)
{
    uint16_t addr = any_address(m->in);
    uint8_t flags = fuzz_byte(m->in), piece = fuzz_byte(m->in);
    uint32_t out = any_length(m->in), in = any_length(m->in);
    uint64_t out_at = drv_alloc(&m->mem, out + 8, 1), in_at = drv_alloc(&m->mem, in + 1, 1);
    struct drv_buf outs[8], ins[8];
    struct drv_chain chain = {.out = outs, .in = ins, .direct = DRV_DIRECT};

    if (out_at == DRV_NO_ADDR || in_at == DRV_NO_ADDR)
        return;
    drv_poke16(&m->mem, out_at, addr);
    drv_poke32(&m->mem, out_at + 4, flags < 0xf0 ? flags & 3 : flags);
    /* Mostly a whole header and a status; of what is left out, bits of `flags` decide. */
    out = flags & 0x40 ? out : flags & 2 ? 8 : out + 8;
    in = flags & 0x20 ? in : flags & 2 ? in + 1 : 1;
    chain.nout = cut(outs, out_at, out, piece);
    chain.nin = cut(ins, in_at, in, piece);
    chain.token = in ? in_at + in - 1 : 0;
    if (flags & 0x10)
        chain.direct = 0;
    if (in)
        drv_poke8(&m->mem, chain.token, 0xee);
    drv_ring_add(&m->ring, &chain);
}

/* The same one, so many times. */
static void step_requests(struct machine *m)
{
    unsigned count = fuzz_byte(m->in) % 64u;
    struct fuzz_input from = *m->in;

    for (unsigned i = 0; i < count; i++) {
        *m->in = from;
        step_request(m);
    }
}

static void step_kick(struct machine *m)
{
    drv_ring_publish(&m->ring);
    drv_kick(&m->mmio.transport, 0, &m->ring);
}

static void step_end(struct machine *m)
{
    end_transfer(m, fuzz_byte(m->in));
}

static void step_begin(struct machine *m)
{
    for (unsigned i = 0; i < 2; i++) {
        if (m->queue[i])
            m->queue[i]->begun = true;
    }
}

static void step_flush(struct machine *m)
{
    anyhv_i2c_flush(&m->i2c);
}

static void step_quiesce(struct machine *m)
{
    anyhv_ctl_quiesce(m->dev);
}

static void step_resume(struct machine *m)
{
    anyhv_ctl_resume(m->dev);
}

static void step_reset(struct machine *m)
{
    negotiate(m);
}

static void step_queue_reset(struct machine *m)
{
    if (m->mmio.transport.ops->queue_reset(&m->mmio.transport, 0) && !m->wild)
        start_ring(m);
}

/* The process dies and another one goes on, if there is something to go on from. */
static void step_succeed(struct machine *m)
{
    if (!m->journal)
        return;
    anyhv_loopback_detach(&m->lb);
    anyhv_i2c_fini(&m->i2c);
    attach(m, true);
}

static void step_fault(struct machine *m)
{
    m->lb.faults = (struct anyhv_loopback_faults){
        .after = fuzz_byte(m->in) % 16, .result = ANYHV_E_NORES, .count = 1};
}

static void step_room(struct machine *m)
{
    anyhv_mem_room(&m->lb.mem);
}

static void step_poke(struct machine *m)
{
    uint32_t at = fuzz_word(m->in) % RAM;

    m->ram[at] = fuzz_byte(m->in);
    m->wild = true;
}

/* By number, modulo how many there are. */
static void (*const steps[])(struct machine *) = {
    step_request,     /* 0: address, flags, cut, bytes to read, bytes to write */
    step_requests,    /* 1: how many, then as above */
    step_kick,        /* 2 */
    step_end,         /* 3: how much of it went well */
    step_begin,       /* 4 */
    step_flush,       /* 5 */
    step_quiesce,     /* 6 */
    step_resume,      /* 7 */
    step_reset,       /* 8 */
    step_queue_reset, /* 9 */
    step_succeed,     /* 10 */
    step_fault,       /* 11: after how many accesses */
    step_room,        /* 12 */
    step_poke,        /* 13: where (3 bytes), what */
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- what must hold ---- */

static void take_answers(struct machine *m)
{
    struct drv_used used;

    anyhv_loopback_run(&m->lb, 64);
    while (drv_ring_get(&m->ring, &used)) {
        if (used.token && used.len && !m->wild)
            fuzz_assert(drv_peek8(&m->mem, used.token) <= 1);
    }
    fuzz_assert(m->wild || m->ring.fault == DRV_FAULT_NONE);
}

/* Nothing is held back any more: everything that is in work ends. */
static void settle(struct machine *m)
{
    m->lb.faults.result = 0;
    anyhv_ctl_resume(m->dev);
    step_kick(m);
    for (unsigned i = 0; i < 4 * RING && (m->ring.inflight || m->i2c.held); i++) {
        anyhv_mem_room(&m->lb.mem);
        take_answers(m);
        if (!end_transfer(m, i))
            anyhv_i2c_flush(&m->i2c);
    }
    fuzz_assert(m->wild || m->ring.inflight == 0);
}

static void power_off(struct machine *m)
{
    anyhv_loopback_detach(&m->lb);
    fuzz_assert(!m->queue[0] && !m->queue[1]);
    anyhv_i2c_fini(&m->i2c);
    for (unsigned i = 0; i < TARGETS; i++)
        fuzz_assert(!m->target[i].owner);
    free(m->ram);
    free(m->data);
    free(m->storage);
    free(m->state);
    free(m->journal);
}

void fuzz_one(struct fuzz_input *in)
{
    static struct machine m;

    m = (struct machine){.in = in};
    power_on(&m);
    while (in->left) {
        steps[fuzz_byte(in) % STEPS](&m);
        take_answers(&m);
    }
    settle(&m);
    power_off(&m);
}

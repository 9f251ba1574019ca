/* SPDX-License-Identifier: Apache-2.0 */
#include "i2c_bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- the bus ---- */

static void bus_submit(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct bench_bus *own = (void *)bus;

    assert_true(own->queued < sizeof(own->queue) / sizeof(own->queue[0]));
    assert_false(t->begun);
    assert_in_range(t->messages, 1, ANYHV_I2C_MESSAGES);
    own->queue[own->queued++] = t;
    own->submits++;
    t->begun = own->begins;
}

static void take_out(struct bench_bus *own, unsigned i)
{
    own->queued--;
    memmove(&own->queue[i], &own->queue[i + 1], (own->queued - i) * sizeof(own->queue[0]));
}

static void bus_drop(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct bench_bus *own = (void *)bus;
    unsigned i = 0;

    while (i < own->queued && own->queue[i] != t)
        i++;
    assert_true(i < own->queued); /* only what it has is taken back */
    take_out(own, i);
    own->drops++;
}

static const struct anyhv_i2c_bus_ops bus_ops = {.submit = bus_submit, .drop = bus_drop};

struct anyhv_i2c_transfer *bench_transfer(struct i2c_bench *b, unsigned bus)
{
    assert_true(b->board->bus[bus].queued);
    return b->board->bus[bus].queue[0];
}

/* An address as it was sent. */
static uint16_t wire(uint16_t addr)
{
    return addr & ANYHV_I2C_TEN_BIT ? A10(addr & 0x3ff) : A7(addr);
}

void bench_end(struct i2c_bench *b, unsigned bus, unsigned done)
{
    struct anyhv_i2c_transfer *t = bench_transfer(b, bus);

    for (unsigned i = 0; i < done; i++) {
        struct anyhv_i2c_message *m = &t->message[i];

        for (unsigned k = 0; k < m->len && m->read; k++)
            m->data[k] = bench_byte(wire(m->addr), k);
    }
    take_out(&b->board->bus[bus], 0);
    anyhv_i2c_done(t, done);
    bench_run(b);
}

void bench_is(struct i2c_bench *b, unsigned bus, const struct bench_request *r, unsigned n)
{
    struct anyhv_i2c_transfer *t = bench_transfer(b, bus);

    assert_int_equal(t->messages, n);
    for (unsigned i = 0; i < n; i++) {
        const struct anyhv_i2c_message *m = &t->message[i];

        assert_int_equal(wire(m->addr), r[i].addr);
        assert_int_equal(m->read, (r[i].flags & RD) != 0);
        assert_int_equal(m->len, m->read ? r[i].in : r[i].out);
        for (unsigned k = 0; k < m->len && !m->read; k++)
            assert_int_equal(m->data[k], bench_byte(r[i].addr, k));
    }
}

/* ---- coming up ---- */

static void incomplete(struct anyhv_i2c *i2c, bool waits)
{
    struct i2c_bench *b = (void *)((char *)i2c - offsetof(struct i2c_bench, i2c));

    b->waits = waits;
    b->moments += waits;
}

static struct bench_board *new_board(void)
{
    static const uint16_t addrs[BENCH_TARGETS] = {0x20, 0x50, ANYHV_I2C_TEN_BIT | 0x150, 0x77,
                                                  0x60};
    struct bench_board *board = calloc(1, sizeof(*board));

    board->bus[0].bus.ops = board->bus[1].bus.ops = &bus_ops;
    for (unsigned i = 0; i < BENCH_TARGETS; i++) {
        board->target[i].bus = &board->bus[i == BENCH_ON_BUS_1].bus;
        board->target[i].addr = addrs[i];
        board->allowed[i] = &board->target[i];
    }
    return board;
}

struct i2c_bench *bench_new(struct bench_board *board)
{
    struct i2c_bench *b = calloc(1, sizeof(*b));

    b->board = board;
    b->ram = aligned_alloc(4096, BENCH_RAM);
    assert_non_null(b->ram);
    memset(b->ram, 0, BENCH_RAM);
    b->dev = anyhv_loopback_dev(&b->lb);
    return b;
}

void bench_free(struct i2c_bench *b)
{
    bench_down(b);
    free(b->ram);
    free(b);
}

int bench_setup(void **state)
{
    *state = bench_new(new_board());
    return 0;
}

int bench_teardown(void **state)
{
    struct i2c_bench *b = *state;
    struct bench_board *board = b->board;

    bench_free(b);
    free(board);
    return 0;
}

static void detach(struct i2c_bench *b)
{
    if (!b->attached)
        return;
    anyhv_loopback_detach(&b->lb);
    assert_false(b->waits);
    anyhv_i2c_fini(&b->i2c);
    b->attached = false;
}

void bench_down(struct i2c_bench *b)
{
    detach(b);
    free(b->storage);
    free(b->state);
    free(b->journal);
    free(b->data);
    b->storage = b->state = b->journal = b->data = NULL;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

/* In exactly as much memory as it asks for. */
static void allocate(struct i2c_bench *b)
{
    struct anyhv_limits limits = {.requests = b->options.requests};

    b->storage_size = anyhv_storage_size(&anyhv_i2c_ops, &limits);
    b->storage = malloc(b->storage_size);
    b->state_size = ANYHV_STATE_SIZE(1, 0);
    b->state = malloc(b->state_size);
    b->data = malloc(b->options.data_len);
    b->journal_size = b->options.journal ? ANYHV_JOURNAL_SIZE(1, 1024) : 0;
    b->journal = b->options.journal ? calloc(1, b->journal_size) : NULL;
}

static void attach(struct i2c_bench *b, bool resume)
{
    const struct bench_options *o = &b->options;
    struct anyhv_loopback_options machine = {
        .base = BENCH_BASE, .ram = b->ram, .ram_size = BENCH_RAM, .bounce = o->bounce};
    struct anyhv_attach how = {.ops = &anyhv_i2c_ops,
                               .priv = &b->i2c,
                               .limits = {.requests = o->requests},
                               .storage = b->storage,
                               .storage_size = b->storage_size,
                               .state = b->state,
                               .state_size = b->state_size,
                               .journal = b->journal,
                               .journal_size = b->journal_size,
                               .resume = resume};
    struct anyhv_i2c_setup setup = {.targets = b->board->allowed,
                                    .ntargets = o->targets,
                                    .data = b->data,
                                    .data_len = o->data_len,
                                    .incomplete = incomplete};

    anyhv_i2c_init(&b->i2c, b->dev, &setup);
    assert_int_equal(anyhv_loopback_attach(&b->lb, &machine, &how), ANYHV_OK);
    b->attached = true;
}

void bench_start_ring(struct i2c_bench *b)
{
    struct drv_ring_config config = {.size = BENCH_RING,
                                     .packed = b->mmio.transport.features & DRV_F_PACKED,
                                     .in_order = b->mmio.transport.features & DRV_F_IN_ORDER,
                                     .table_entries = 16,
                                     .slots = b->slots};

    assert_true(drv_ring_init(&b->ring, &b->mem, &config));
    assert_true(drv_queue_setup(&b->mmio.transport, 0, &b->ring));
}

void bench_negotiate(struct i2c_bench *b)
{
    drv_mem_init(&b->mem, b->ram, BENCH_BASE, BENCH_RAM);
    assert_true(drv_negotiate(&b->mmio.transport, b->options.features | F_ZERO_LENGTH));
    bench_start_ring(b);
    drv_ready(&b->mmio.transport);
}

void bench_up(struct i2c_bench *b, const struct bench_options *options)
{
    bench_down(b);
    b->options = options ? *options : (struct bench_options){0};
    if (!b->options.requests)
        b->options.requests = ANYHV_I2C_REQUESTS;
    if (!b->options.data_len)
        b->options.data_len = BENCH_DATA;
    if (!b->options.targets)
        b->options.targets = BENCH_TARGETS;
    allocate(b);
    attach(b, false);
    drv_mmio_init(&b->mmio, access_register, &b->lb);
    assert_int_equal(drv_mmio_probe(&b->mmio), 34);
    bench_negotiate(b);
}

void bench_succeed(struct i2c_bench *b)
{
    detach(b); /* which a killed process does not; state block and journal do not hear of it */
    attach(b, true);
    bench_run(b);
}

/* ---- requests ---- */

static uint64_t place(struct i2c_bench *b, uint32_t len)
{
    uint64_t at = drv_alloc(&b->mem, len ? len : 1, 1);

    assert_true(at != DRV_NO_ADDR);
    return at;
}

void bench_prepare(struct i2c_bench *b, struct bench_request *r)
{
    r->out_len = 8 + r->out;
    r->in_len = r->in + 1;
    r->out_at = place(b, r->out_len);
    r->in_at = place(b, r->in_len);
    drv_poke16(&b->mem, r->out_at, r->addr);
    drv_poke16(&b->mem, r->out_at + 2, 0xffff); /* padding: nobody looks at it */
    drv_poke32(&b->mem, r->out_at + 4, r->flags);
    for (uint32_t i = 0; i < r->out; i++)
        drv_poke8(&b->mem, r->out_at + 8 + i, bench_byte(r->addr, i));
    for (uint32_t i = 0; i < r->in_len; i++)
        drv_poke8(&b->mem, r->in_at + i, UNTOUCHED);
}

/* Descriptors for @len bytes at @addr: the first of @head bytes, then @cut each. */
static unsigned cut(struct drv_buf *buf, uint64_t addr, uint32_t len, uint32_t head, uint32_t cut)
{
    unsigned n = 0;

    while (len) {
        uint32_t piece = n == 0 && head ? head : cut;

        if (!piece || piece > len)
            piece = len;
        assert_true(n < BENCH_RING);
        buf[n++] = (struct drv_buf){addr, piece};
        addr += piece;
        len -= piece;
    }
    return n;
}

void bench_add(struct i2c_bench *b, const struct bench_request *r)
{
    static struct drv_buf out[BENCH_RING], in[BENCH_RING];
    struct drv_chain chain = {
        .out = out, .in = in, .direct = r->indirect ? 0 : DRV_DIRECT, .token = r->out_at};

    chain.nout = cut(out, r->out_at, r->out_len, r->cut ? 0 : 8, r->cut);
    chain.nin = cut(in, r->in_at, r->in_len, r->cut || r->in_len < 2 ? 0 : r->in_len - 1, r->cut);
    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
}

void bench_kick(struct i2c_bench *b)
{
    drv_ring_publish(&b->ring);
    drv_kick(&b->mmio.transport, 0, &b->ring);
    bench_run(b);
}

void bench_send(struct i2c_bench *b, const struct bench_request *r)
{
    bench_add(b, r);
    bench_kick(b);
}

void bench_send_all(struct i2c_bench *b, struct bench_request *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        bench_prepare(b, &r[i]);
        bench_add(b, &r[i]);
    }
    bench_kick(b);
}

void bench_run(struct i2c_bench *b)
{
    anyhv_loopback_run(&b->lb, 256);
}

void bench_expect(struct i2c_bench *b, const struct bench_request *r, uint32_t used_len)
{
    struct drv_used used;

    if (!drv_ring_get(&b->ring, &used))
        fail_msg("no answer; the driver's fault code is %d", b->ring.fault);
    assert_int_equal(used.token, r->out_at);
    assert_int_equal(used.len, used_len);
}

void bench_expect_none(struct i2c_bench *b)
{
    assert_false(drv_ring_pending(&b->ring));
}

uint8_t bench_status(struct i2c_bench *b, const struct bench_request *r)
{
    return drv_peek8(&b->mem, r->in_at + r->in_len - 1);
}

void bench_expect_all(struct i2c_bench *b, const struct bench_request *r, unsigned n,
                      uint8_t status)
{
    for (unsigned i = 0; i < n; i++) {
        bench_expect(b, &r[i], r[i].in_len);
        assert_int_equal(bench_status(b, &r[i]), status);
        if (status == OK && r[i].flags & RD)
            bench_has_read(b, &r[i]);
        for (uint32_t k = 0; k < r[i].in && status == ERR; k++)
            assert_int_equal(drv_peek8(&b->mem, r[i].in_at + k), 0);
    }
}

void bench_has_read(struct i2c_bench *b, const struct bench_request *r)
{
    for (uint32_t i = 0; i < r->in; i++)
        assert_int_equal(drv_peek8(&b->mem, r->in_at + i), bench_byte(r->addr, i));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- the store ---- */

static int do_job(struct bench_store *s, struct anyhv_blk_job *job, struct anyhv_req *req)
{
    if (job->kind == ANYHV_BLK_FLUSH)
        return ANYHV_OK;
    return anyhv_blk_mem_move(&s->mem, job, req, UINT32_MAX);
}

static int store_start(struct anyhv_blk_store *store, struct anyhv_blk_job *job,
                       struct anyhv_req *req)
{
    struct bench_store *s = (void *)store;

    s->starts++;
    s->last = *job;
    if (s->fails)
        return s->fails;
    if (!s->keep)
        return do_job(s, job, req);
    assert_true(s->nkept < sizeof(s->kept) / sizeof(s->kept[0]));
    s->kept[s->nkept++] = job;
    return ANYHV_LATER;
}

static void take_out(struct bench_store *s, unsigned i)
{
    s->nkept--;
    memmove(&s->kept[i], &s->kept[i + 1], (s->nkept - i) * sizeof(s->kept[0]));
}

static void store_drop(struct anyhv_blk_store *store, struct anyhv_blk_job *job)
{
    struct bench_store *s = (void *)store;

    unsigned i = 0;

    while (i < s->nkept && s->kept[i] != job)
        i++;
    assert_true(i < s->nkept); /* only what it has is taken back */
    take_out(s, i);
    s->drops++;
}

static const struct anyhv_blk_store_ops store_ops = {.start = store_start, .drop = store_drop};

void bench_release(struct blk_bench *b, unsigned kept, int result)
{
    struct bench_store *s = &b->store;
    struct anyhv_blk_job *job = s->kept[kept];

    assert_true(kept < s->nkept);
    take_out(s, kept);
    if (result == ANYHV_OK)
        result = do_job(s, job, anyhv_blk_req(job));
    anyhv_blk_answer(job, result);
    bench_run(b);
}

/* ---- coming up ---- */

int bench_setup(void **state)
{
    struct blk_bench *b = calloc(1, sizeof(*b));

    b->disk = calloc(BENCH_SECTORS, ANYHV_BLK_SECTOR);
    b->ram = aligned_alloc(4096, BENCH_RAM);
    assert_non_null(b->ram);
    memset(b->ram, 0, BENCH_RAM);
    b->dev = anyhv_loopback_dev(&b->lb);
    anyhv_blk_mem_init(&b->store.mem, b->disk, BENCH_SECTORS);
    b->store.mem.store.ops = &store_ops;
    *state = b;
    return 0;
}

int bench_teardown(void **state)
{
    struct blk_bench *b = *state;

    bench_down(b);
    free(b->disk);
    free(b->ram);
    free(b);
    return 0;
}

void bench_down(struct blk_bench *b)
{
    if (b->attached)
        anyhv_loopback_detach(&b->lb);
    b->attached = false;
    free(b->storage);
    free(b->state);
    free(b->jobs);
    b->storage = b->state = NULL;
    b->jobs = NULL;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    return anyhv_loopback_access(ctx, off, size, write, value);
}

static uint16_t queues(const struct blk_bench *b)
{
    return b->options.queues ? b->options.queues : 1;
}

static void attach(struct blk_bench *b)
{
    const struct bench_options *o = &b->options;
    struct anyhv_loopback_options machine = {
        .base = BENCH_BASE, .ram = b->ram, .ram_size = BENCH_RAM, .bounce = o->bounce};
    struct anyhv_attach how = {
        .ops = &b->offer.ops, .priv = &b->blk, .limits = {.requests = o->requests}};
    unsigned njobs = queues(b) * (o->requests ? o->requests : 32u);
    struct anyhv_blk_store *store = o->store ? o->store : &b->store.mem.store;

    b->store.mem.store.read_only = o->read_only;
    anyhv_blk_offer_init(&b->offer, store, queues(b));
    b->jobs = calloc(njobs, sizeof(*b->jobs));
    anyhv_blk_init(&b->blk, b->dev, store, o->serial ? o->serial : "serial", b->jobs, njobs);
    how.storage_size = anyhv_storage_size(how.ops, &how.limits);
    how.storage = b->storage = malloc(how.storage_size);
    how.state_size = ANYHV_STATE_SIZE(queues(b), ANYHV_BLK_CONFIG_LEN);
    how.state = b->state = malloc(how.state_size);
    assert_int_equal(anyhv_loopback_attach(&b->lb, &machine, &how), ANYHV_OK);
    b->attached = true;
}

void bench_start_ring(struct blk_bench *b, unsigned queue)
{
    struct drv_ring_config config = {.size = BENCH_RING,
                                     .packed = b->mmio.transport.features & DRV_F_PACKED,
                                     .slots = b->slots[queue]};

    assert_true(drv_ring_init(&b->ring[queue], &b->mem, &config));
    assert_true(drv_queue_setup(&b->mmio.transport, queue, &b->ring[queue]));
}

void bench_negotiate(struct blk_bench *b)
{
    uint64_t features = b->options.features ? b->options.features : F_ALL | F_RO;

    drv_mem_init(&b->mem, b->ram, BENCH_BASE, BENCH_RAM);
    assert_true(drv_negotiate(&b->mmio.transport, features));
    for (unsigned i = 0; i < queues(b); i++)
        bench_start_ring(b, i);
    drv_ready(&b->mmio.transport);
}

void bench_up(struct blk_bench *b, const struct bench_options *options)
{
    bench_down(b);
    b->options = options ? *options : (struct bench_options){0};
    attach(b);
    drv_mmio_init(&b->mmio, access_register, &b->lb);
    assert_int_equal(drv_mmio_probe(&b->mmio), 2);
    bench_negotiate(b);
}

/* ---- requests ---- */

static uint64_t place(struct blk_bench *b, uint32_t len)
{
    uint64_t at = drv_alloc(&b->mem, len ? len : 1, 1);

    assert_true(at != DRV_NO_ADDR);
    return at;
}

void bench_prepare(struct blk_bench *b, struct bench_request *r)
{
    r->out_len = 16 + r->out;
    r->in_len = r->in + 1;
    r->out_at = place(b, r->out_len);
    r->in_at = place(b, r->in_len);
    drv_poke32(&b->mem, r->out_at, r->type);
    drv_poke32(&b->mem, r->out_at + 4, 0xffffffff); /* reserved: nobody looks at it */
    drv_poke64(&b->mem, r->out_at + 8, r->sector);
    for (uint32_t i = 0; i < r->out; i++)
        drv_poke8(&b->mem, r->out_at + 16 + i, bench_byte(r->sector, i));
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

void bench_send(struct blk_bench *b, const struct bench_request *r)
{
    static struct drv_buf out[BENCH_RING], in[BENCH_RING];
    struct drv_chain chain = {.out = out, .in = in, .direct = DRV_DIRECT, .token = r->out_at};
    struct drv_ring *ring = &b->ring[r->queue];

    chain.nout = cut(out, r->out_at, r->out_len, r->cut ? 0 : 16, r->cut);
    chain.nin = cut(in, r->in_at, r->in_len, r->cut || r->in_len < 2 ? 0 : r->in_len - 1, r->cut);
    assert_true(drv_ring_add(ring, &chain) >= 0);
    drv_ring_publish(ring);
    drv_kick(&b->mmio.transport, r->queue, ring);
    bench_run(b);
}

void bench_run(struct blk_bench *b)
{
    anyhv_loopback_run(&b->lb, 256);
}

void bench_expect(struct blk_bench *b, const struct bench_request *r, uint32_t used_len)
{
    struct drv_used used;

    if (!drv_ring_get(&b->ring[r->queue], &used))
        fail_msg("no answer; the driver's fault code is %d", b->ring[r->queue].fault);
    assert_int_equal(used.token, r->out_at);
    assert_int_equal(used.len, used_len);
}

void bench_expect_none(struct blk_bench *b, unsigned queue)
{
    assert_false(drv_ring_pending(&b->ring[queue]));
}

uint8_t bench_status(struct blk_bench *b, const struct bench_request *r)
{
    return drv_peek8(&b->mem, r->in_at + r->in_len - 1);
}

uint8_t bench_do(struct blk_bench *b, struct bench_request *r)
{
    struct drv_used used;

    bench_prepare(b, r);
    bench_send(b, r);
    assert_true(drv_ring_get(&b->ring[r->queue], &used));
    assert_int_equal(used.token, r->out_at);
    return bench_status(b, r);
}

void bench_segment(struct blk_bench *b, const struct bench_request *r, unsigned i, uint64_t sector,
                   uint32_t sectors, uint32_t flags)
{
    uint64_t at = r->out_at + 16 + 16 * i;

    drv_poke64(&b->mem, at, sector);
    drv_poke32(&b->mem, at + 8, sectors);
    drv_poke32(&b->mem, at + 12, flags);
}

/* ---- data ---- */

void bench_fill(struct blk_bench *b, uint64_t sector, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        b->disk[sector * ANYHV_BLK_SECTOR + i] = bench_byte(sector, i);
}

void bench_on_disk(struct blk_bench *b, uint64_t sector, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(b->disk[sector * ANYHV_BLK_SECTOR + i], bench_byte(sector, i));
}

void bench_zeroes_on_disk(struct blk_bench *b, uint64_t sector, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(b->disk[sector * ANYHV_BLK_SECTOR + i], 0);
}

void bench_in_data(struct blk_bench *b, const struct bench_request *r)
{
    for (uint32_t i = 0; i < r->in; i++)
        assert_int_equal(drv_peek8(&b->mem, r->in_at + i), bench_byte(r->sector, i));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A request's bytes: the two cursors, holes, long chains, memory that moves or fails. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 4096
}; /* guest memory for buffers, at one address each way */

/* Readable bytes 1, 2, 3... at *out, writable 0xee at *in. */
static void room(struct bench *b, uint64_t *out, uint64_t *in)
{
    *out = bench_alloc(b, ROOM);
    *in = bench_alloc(b, ROOM);
    for (uint32_t i = 0; i < ROOM; i++) {
        drv_poke8(&b->mem, *out + i, bench_byte(i));
        drv_poke8(&b->mem, *in + i, 0xee);
    }
}

/* @n buffers of @len bytes each, one behind the other. */
static void cut(struct drv_buf *buf, unsigned n, uint64_t addr, uint32_t len)
{
    for (unsigned i = 0; i < n; i++)
        buf[i] = (struct drv_buf){addr + i * len, len};
}

static struct anyhv_req *take(struct bench *b, const struct drv_buf *out, unsigned nout,
                              const struct drv_buf *in, unsigned nin)
{
    bench_offer(b, 0, out, nout, in, nin);
    bench_kick(b, 0);
    assert_true(b->handles > 0);
    return bench_req(b, b->handles - 1);
}

static void expect_bytes(const uint8_t *bytes, uint32_t from, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], bench_byte(from + i));
}

/* More than any request here has; the compiler is not to know that the arrays are smaller. */
static volatile const uint32_t too_much = UINT32_MAX;

static void reads_go_through_the_segments_in_order(void **state)
{
    struct bench *b = *state;
    uint64_t at, unused;
    uint8_t bytes[32];
    uint32_t from = 0;

    bench_up(b, NULL);
    room(b, &at, &unused);
    struct drv_buf out[] = {{at, 1}, {at + 1, 5}, {at + 6, 10}, {at + 16, 16}};
    struct anyhv_req *req = take(b, out, 4, NULL, 0);

    assert_int_equal(anyhv_req_readable(req), 32);
    assert_int_equal(anyhv_req_writable(req), 0);
    for (uint32_t len = 0; len < 8; len++) {
        memset(bytes, 0, sizeof(bytes));
        assert_int_equal(anyhv_req_read(req, bytes, len), ANYHV_OK);
        expect_bytes(bytes, from, len);
        assert_int_equal(bytes[len], 0);
        from += len;
        assert_int_equal(anyhv_req_readable(req), 32 - from);
    }
    assert_int_equal(anyhv_req_read(req, bytes, 5), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_read(req, bytes, too_much), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_readable(req), 4);
    assert_int_equal(anyhv_req_read(req, bytes, 4), ANYHV_OK);
    expect_bytes(bytes, 28, 4);
    assert_int_equal(anyhv_req_read(req, bytes, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_read(req, bytes, 0), ANYHV_OK);
    anyhv_req_done(req);
    assert_int_equal(bench_counters(b, 0)->bytes_in, 32);
}

static void peek_stays_and_skip_moves(void **state)
{
    struct bench *b = *state;
    uint64_t at, unused;
    uint8_t bytes[32] = {0};

    bench_up(b, NULL);
    room(b, &at, &unused);
    struct drv_buf out[] = {{at, 3}, {at + 3, 4}, {at + 7, 9}};
    struct anyhv_req *req = take(b, out, 3, NULL, 0);

    assert_int_equal(anyhv_req_peek(req, bytes, 16), ANYHV_OK);
    expect_bytes(bytes, 0, 16);
    assert_int_equal(anyhv_req_peek(req, bytes, 17), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_readable(req), 16);
    assert_int_equal(anyhv_req_skip(req, 5), ANYHV_OK);
    assert_int_equal(anyhv_req_peek(req, bytes, 3), ANYHV_OK);
    expect_bytes(bytes, 5, 3);
    assert_int_equal(anyhv_req_skip(req, 0), ANYHV_OK);
    assert_int_equal(anyhv_req_skip(req, 12), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_readable(req), 11);
    assert_int_equal(anyhv_req_read(req, bytes, 2), ANYHV_OK);
    expect_bytes(bytes, 5, 2);
    assert_int_equal(anyhv_req_skip(req, 9), ANYHV_OK); /* to the very end */
    assert_int_equal(anyhv_req_readable(req), 0);
    assert_int_equal(anyhv_req_skip(req, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_peek(req, bytes, 1), ANYHV_E_SHORT);
    anyhv_req_done(req);
    assert_int_equal(bench_counters(b, 0)->bytes_in, 16); /* read or skipped, each byte once */
}

static void the_used_length_is_what_was_written(void **state)
{
    struct bench *b = *state;
    uint64_t unused, at;
    uint8_t bytes[16];

    bench_up(b, NULL);
    room(b, &unused, &at);
    struct drv_buf in[] = {{at, 3}, {at + 100, 4}, {at + 200, 9}};
    struct anyhv_req *req = take(b, NULL, 0, in, 3);

    memset(bytes, 0x11, sizeof(bytes));
    assert_int_equal(anyhv_req_write(req, bytes, too_much), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_written(req), 0);
    assert_int_equal(anyhv_req_write(req, bytes, 0), ANYHV_OK);
    assert_int_equal(anyhv_req_write(req, bytes, 5), ANYHV_OK);
    assert_int_equal(anyhv_req_write(req, bytes, 4), ANYHV_OK);
    assert_int_equal(anyhv_req_writable(req), 7);
    assert_int_equal(anyhv_req_written(req), 9);
    anyhv_req_done(req);
    bench_run(b);
    bench_expect(b, 0, at, 9);
    assert_int_equal(bench_counters(b, 0)->bytes_out, 9);
    assert_int_equal(drv_peek8(&b->mem, at + 2), 0x11);
    assert_int_equal(drv_peek8(&b->mem, at + 3), 0xee);
    assert_int_equal(drv_peek32(&b->mem, at + 100), 0x11111111);
    assert_int_equal(drv_peek8(&b->mem, at + 104), 0xee);
    assert_int_equal(drv_peek16(&b->mem, at + 200), 0x1111);
    assert_int_equal(drv_peek8(&b->mem, at + 202), 0xee);
}

static void a_hole_before_a_status_is_zeroed(void **state)
{
    struct bench *b = *state;
    uint64_t unused, at;
    uint8_t status = 0xa5, word[4] = {1, 2, 3, 4};

    bench_up(b, NULL);
    room(b, &unused, &at);
    struct drv_buf in[] = {{at, 7}, {at + 7, 150}, {at + 157, 3}, {at + 160, 100}, {at + 260, 1}};
    struct anyhv_req *req = take(b, NULL, 0, in, 5); /* the last one is in a chunk */

    assert_int_equal(anyhv_req_write(req, word, 4), ANYHV_OK);
    assert_int_equal(anyhv_req_write_at(req, 260, &status, 1), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), 261);
    assert_int_equal(anyhv_req_writable(req), 257); /* the cursor stays */
    assert_int_equal(drv_peek32(&b->mem, at), 0x04030201);
    for (unsigned i = 4; i < 260; i++)
        assert_int_equal(drv_peek8(&b->mem, at + i), 0);
    assert_int_equal(drv_peek8(&b->mem, at + 260), status);
    /* Data that comes after the status goes where the cursor is, and the hole is closed. */
    assert_int_equal(anyhv_req_write(req, word, 4), ANYHV_OK);
    assert_int_equal(drv_peek32(&b->mem, at + 4), 0x04030201);
    assert_int_equal(anyhv_req_write_at(req, 256, word, 4), ANYHV_OK);
    assert_int_equal(drv_peek8(&b->mem, at + 255), 0);
    assert_int_equal(drv_peek32(&b->mem, at + 256), 0x04030201);
    assert_int_equal(drv_peek8(&b->mem, at + 260), status);
    assert_int_equal(anyhv_req_written(req), 261);
    anyhv_req_done(req);
    bench_run(b);
    bench_expect(b, 0, at, 261);
}

static void writing_at_an_offset_is_bounded(void **state)
{
    struct bench *b = *state;
    uint64_t unused, at;
    uint8_t byte = 1;

    bench_up(b, NULL);
    room(b, &unused, &at);
    struct drv_buf in[] = {{at, 10}, {at + 10, 10}};
    struct anyhv_req *req = take(b, NULL, 0, in, 2);

    assert_int_equal(anyhv_req_write_at(req, 20, &byte, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, 21, &byte, 0), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, UINT32_MAX, &byte, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, 1, &byte, UINT32_MAX), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, 20, &byte, 0), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), 0); /* no byte written: nothing to zero */
    assert_int_equal(drv_peek8(&b->mem, at), 0xee);
    assert_int_equal(anyhv_req_write_at(req, 19, &byte, 1), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), 20);
    assert_int_equal(drv_peek8(&b->mem, at + 19), 1);
    assert_int_equal(drv_peek8(&b->mem, at + 20), 0xee);
}

/* A driver can offer the same page a thousand times: what it makes us zero is bounded. */
static void a_hole_has_a_largest_size(void **state)
{
    enum {
        PAGES = 9,
        LEN = 128 * 1024
    };
    struct bench *b = *state;
    struct drv_buf in[PAGES];
    struct anyhv_req *req;
    uint64_t at;

    bench_up(b, NULL);
    at = bench_alloc(b, LEN);
    for (unsigned i = 0; i < PAGES; i++)
        in[i] = (struct drv_buf){at, LEN};
    req = take(b, NULL, 0, in, PAGES);
    assert_int_equal(anyhv_req_write_at(req, ANYHV_REQ_HOLE_MAX + 1, "x", 1), ANYHV_E_INVAL);
    assert_int_equal(anyhv_req_written(req), 0);
    assert_int_equal(anyhv_req_write_at(req, ANYHV_REQ_HOLE_MAX, "x", 1), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), ANYHV_REQ_HOLE_MAX + 1);
    /* Measured from what is written, and not from the start. */
    assert_int_equal(anyhv_req_write_at(req, PAGES * LEN - 1, "x", 1), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), PAGES * LEN);
}

static void empty_buffers_carry_nothing(void **state)
{
    struct bench *b = *state;
    uint64_t out_at, in_at;
    uint8_t bytes[8];

    bench_up(b, NULL);
    room(b, &out_at, &in_at);
    struct drv_buf out[] = {{BENCH_NOWHERE, 0}, {out_at, 4}, {0, 0}, {out_at + 4, 4}};
    struct drv_buf in[] = {{0, 0}, {in_at, 4}, {in_at, 0}};
    struct anyhv_req *req = take(b, out, 4, in, 3);

    assert_int_equal(b->dev->violations[ANYHV_V_ZERO_LENGTH], 4);
    assert_int_equal(anyhv_req_readable(req), 8);
    assert_int_equal(anyhv_req_writable(req), 4);
    assert_int_equal(anyhv_req_read(req, bytes, 8), ANYHV_OK);
    expect_bytes(bytes, 0, 8);
    assert_int_equal(anyhv_req_write(req, bytes, 4), ANYHV_OK);
    anyhv_req_done(req);
    /* A chain of nothing else is a request all the same. */
    req = take(b, &(struct drv_buf){0, 0}, 1, NULL, 0);
    assert_int_equal(anyhv_req_readable(req), 0);
    assert_int_equal(anyhv_req_writable(req), 0);
    assert_int_equal(anyhv_req_read(req, bytes, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write(req, bytes, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, 0, bytes, 1), ANYHV_E_SHORT);
    assert_int_equal(anyhv_req_write_at(req, 0, bytes, 0), ANYHV_OK);
    anyhv_req_done(req);
    bench_run(b);
    bench_expect(b, 0, out[0].addr, 4);
    bench_expect(b, 0, 0, 0);
}

/* The device side of the next test: what is read is written, in steps that do not fit segments. */
static void echo_by_fives(struct bench *b, struct anyhv_req *req)
{
    uint32_t total = anyhv_req_readable(req);
    uint8_t bytes[ROOM];

    (void)b;
    assert_int_equal(anyhv_req_peek(req, bytes, total), ANYHV_OK);
    expect_bytes(bytes, 0, total);
    for (uint32_t at = 0; at < total; at += 5) {
        uint32_t n = total - at < 5 ? total - at : 5;

        assert_int_equal(anyhv_req_read(req, bytes, n), ANYHV_OK);
        expect_bytes(bytes, at, n);
    }
    memset(bytes, 0, sizeof(bytes));
    for (uint32_t at = 0; anyhv_req_writable(req); at++) {
        uint8_t byte = bench_byte(at);

        assert_int_equal(anyhv_req_write(req, &byte, 1), ANYHV_OK);
    }
    anyhv_req_done(req);
}

/* Every split of up to 24 descriptors into readable and writable ones: inline, at the border of a
 * chunk, over several chunks. */
static void chains_of_any_length(struct bench *b, const struct bench_options *options, bool tracked)
{
    struct drv_buf out[24], in[24];
    uint64_t out_at, in_at;
    uint16_t chunks;

    b->on_request = echo_by_fives;
    bench_up(b, options);
    b->lb.mem.tracked = tracked;
    room(b, &out_at, &in_at);
    chunks = bench_queue(b, 0)->free_chunks;
    assert_int_equal(chunks, BENCH_MAX_SIZE / ANYHV_CHUNK_SEGS);
    for (unsigned nout = 0; nout <= 24; nout++) {
        for (unsigned nin = nout ? 0 : 1; nout + nin <= 24; nin++) {
            cut(out, nout, out_at, 7);
            cut(in, nin, in_at, 3);
            memset(drv_ptr(&b->mem, in_at, ROOM), 0xee, ROOM);
            bench_offer(b, 0, out, nout, in, nin);
            bench_kick(b, 0);
            bench_expect(b, 0, nout ? out_at : in_at, nin * 3);
            expect_bytes(drv_ptr(&b->mem, in_at, ROOM), 0, nin * 3);
            assert_int_equal(drv_peek8(&b->mem, in_at + nin * 3), 0xee);
            assert_int_equal(bench_queue(b, 0)->free_chunks, chunks);
        }
    }
}

static void chains_of_any_length_split(void **state)
{
    chains_of_any_length(*state, &(struct bench_options){.size = 32}, true);
}

static void chains_of_any_length_packed(void **state)
{
    chains_of_any_length(*state, &(struct bench_options){.size = 29, .features = DRV_F_PACKED},
                         false);
}

static void chains_of_any_length_over_short_maps(void **state)
{
    chains_of_any_length(
        *state, &(struct bench_options){.size = 32, .bounce = true, .map_only = true, .map_max = 2},
        true);
}

/* RAM cut into 64 regions of 8 KiB: buffers that lie in several. */
static void buffers_over_region_borders(void **state)
{
    struct bench *b = *state;
    uint64_t border = BENCH_BASE + 10 * (BENCH_RAM / 64);
    struct drv_buf out[] = {{border - 100, 200}, {border - 3, 6}}, in[] = {{border + 8000, 400}};
    uint8_t bytes[400];
    struct anyhv_req *req;

    bench_up(b, &(struct bench_options){.regions = 64});
    assert_int_equal(b->lb.mem.count, 64);
    assert_null(anyhv_mem_host(&b->lb.mem, border - 3, 6, ANYHV_R));
    for (unsigned i = 0; i < 200; i++)
        drv_poke8(&b->mem, border - 100 + i, bench_byte(i));
    req = take(b, out, 2, in, 1);
    assert_int_equal(anyhv_req_read(req, bytes, 150), ANYHV_OK);
    expect_bytes(bytes, 0, 150);
    assert_int_equal(anyhv_req_skip(req, 40), ANYHV_OK);
    assert_int_equal(anyhv_req_read(req, bytes, 16), ANYHV_OK);
    expect_bytes(bytes, 190, 10);
    expect_bytes(bytes + 10, 97, 6);
    memset(bytes, 0x33, sizeof(bytes));
    assert_int_equal(anyhv_req_write(req, bytes, 100), ANYHV_OK);
    assert_int_equal(anyhv_req_write(req, bytes, 300), ANYHV_OK);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(drv_peek8(&b->mem, border + 8000 + i), 0x33);
    assert_int_equal(drv_peek8(&b->mem, border + 8400), 0);
}

/* ---- memory that changes under a held request ---- */

/* All of guest memory moves to another place in the process; its content comes along. */
static uint8_t *move_memory(struct bench *b)
{
    struct anyhv_region region = b->lb.region[0];
    uint8_t *to = malloc(BENCH_RAM);

    assert_non_null(to);
    memcpy(to, b->ram, BENCH_RAM);
    memset(b->ram, 0xdd, BENCH_RAM); /* whoever still looks there is found out */
    region.host = to;
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &region, 1), ANYHV_OK);
    return to;
}

static void a_held_request_finds_its_buffers_in_the_new_table(void **state)
{
    struct bench *b = *state;
    struct drv_buf out[9], in[9];
    uint64_t out_at, in_at;
    uint8_t bytes[90], *moved;
    struct anyhv_req *req;

    bench_up(b, NULL);
    room(b, &out_at, &in_at);
    cut(out, 7, out_at, 10);
    cut(in, 9, in_at, 10);
    req = take(b, out, 7, in, 9);
    assert_int_equal(anyhv_req_read(req, bytes, 25), ANYHV_OK); /* both cursors inside a segment */
    assert_int_equal(anyhv_req_write(req, bytes, 15), ANYHV_OK);
    moved = move_memory(b);
    assert_int_equal(anyhv_req_read(req, bytes, 45), ANYHV_OK);
    expect_bytes(bytes, 25, 45);
    assert_int_equal(anyhv_req_write(req, bytes, 70), ANYHV_OK);
    expect_bytes(moved + (in_at - BENCH_BASE) + 15, 25, 45);
    /* Behind the cursor too: an offset may be before it. */
    assert_int_equal(anyhv_req_write_at(req, 0, "z", 1), ANYHV_OK);
    assert_int_equal(moved[in_at - BENCH_BASE], 'z');
    assert_int_equal(anyhv_req_write_at(req, 89, "z", 1), ANYHV_OK);
    assert_int_equal(moved[in_at - BENCH_BASE + 89], 'z');
    for (unsigned i = 0; i < BENCH_RAM; i += 61)
        assert_int_equal(b->ram[i], 0xdd);
    anyhv_mem_replace(&b->lb.mem, NULL, 0);
    free(moved);
}

static void a_held_request_fails_while_its_memory_is_gone(void **state)
{
    struct bench *b = *state;
    struct anyhv_region region;
    struct anyhv_req *req;
    uint8_t bytes[8] = {0};

    bench_up(b, NULL);
    region = b->lb.region[0];
    req = bench_held(b, 8, 8);
    assert_int_equal(anyhv_mem_del(&b->lb.mem, region.addr, region.size), ANYHV_OK);
    assert_int_equal(anyhv_req_read(req, bytes, 8), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_req_peek(req, bytes, 8), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_req_write(req, bytes, 8), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_req_write_at(req, 4, bytes, 4), ANYHV_E_BADADDR);
    assert_int_equal(anyhv_req_readable(req), 8); /* nothing moved */
    assert_int_equal(anyhv_req_written(req), 0);
    region.perm = ANYHV_W;
    assert_int_equal(anyhv_mem_add(&b->lb.mem, &region), ANYHV_OK);
    assert_int_equal(anyhv_req_read(req, bytes, 8), ANYHV_E_PERM);
    assert_int_equal(anyhv_req_write(req, bytes, 8), ANYHV_OK);
    region.perm = ANYHV_R;
    assert_int_equal(anyhv_mem_replace(&b->lb.mem, &region, 1), ANYHV_OK);
    assert_int_equal(anyhv_req_write_at(req, 0, bytes, 1), ANYHV_E_PERM);
    assert_int_equal(anyhv_req_read(req, bytes, 8), ANYHV_OK);
    expect_bytes(bytes, 0, 8);
}

static void a_shortage_of_maps_is_an_error_to_retry(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint8_t bytes[300];

    bench_up(b, &(struct bench_options){.bounce = true, .map_only = true, .map_max = 100});
    req = bench_held(b, 300, 300);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 2, .result = ANYHV_E_NORES, .count = 1};
    assert_int_equal(anyhv_req_read(req, bytes, 300), ANYHV_E_NORES);
    assert_int_equal(anyhv_req_readable(req), 300);
    assert_int_equal(bench_counters(b, 0)->bytes_in, 0);
    assert_int_equal(anyhv_req_read(req, bytes, 300), ANYHV_OK);
    expect_bytes(bytes, 0, 300);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 2, .result = ANYHV_E_PERM, .count = 1};
    assert_int_equal(anyhv_req_write(req, bytes, 300), ANYHV_E_PERM);
    assert_int_equal(anyhv_req_written(req), 0);
    b->lb.faults = (struct anyhv_loopback_faults){.after = 1, .result = ANYHV_E_NORES, .count = 1};
    assert_int_equal(anyhv_req_write_at(req, 200, bytes, 100), ANYHV_E_NORES);
    assert_true(anyhv_req_written(req) <= 200);
    assert_int_equal(anyhv_req_write_at(req, 200, bytes, 100), ANYHV_OK);
    assert_int_equal(anyhv_req_written(req), 300);
    anyhv_req_done(req);
    bench_run(b);
    assert_int_equal(drv_peek8(&b->mem, b->ring[0].slots[0].token), bench_byte(0));
    assert_int_equal(b->lb.seen.maps, b->lb.seen.unmaps + 6); /* the areas of two rings */
}

static void every_byte_written_is_told_once(void **state)
{
    struct bench *b = *state;
    struct anyhv_req *req;
    uint64_t before;
    uint8_t byte = 1;

    bench_up(b, NULL);
    anyhv_mem_track(&b->lb.mem, true);
    req = bench_held(b, 8, 100);
    before = b->lb.seen.dirty_bytes;
    assert_int_equal(anyhv_req_read(req, &byte, 1), ANYHV_OK);
    assert_int_equal(b->lb.seen.dirty_bytes, before);
    assert_int_equal(anyhv_req_write(req, &byte, 1), ANYHV_OK);
    assert_int_equal(b->lb.seen.dirty_bytes, before + 1);
    assert_int_equal(anyhv_req_write_at(req, 99, &byte, 1), ANYHV_OK);
    assert_int_equal(b->lb.seen.dirty_bytes, before + 100); /* the zeroes too */
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(reads_go_through_the_segments_in_order),
    BENCH_TEST(peek_stays_and_skip_moves),
    BENCH_TEST(the_used_length_is_what_was_written),
    BENCH_TEST(a_hole_before_a_status_is_zeroed),
    BENCH_TEST(writing_at_an_offset_is_bounded),
    BENCH_TEST(a_hole_has_a_largest_size),
    BENCH_TEST(empty_buffers_carry_nothing),
    BENCH_TEST(chains_of_any_length_split),
    BENCH_TEST(chains_of_any_length_packed),
    BENCH_TEST(chains_of_any_length_over_short_maps),
    BENCH_TEST(buffers_over_region_borders),
    BENCH_TEST(a_held_request_finds_its_buffers_in_the_new_table),
    BENCH_TEST(a_held_request_fails_while_its_memory_is_gone),
    BENCH_TEST(a_shortage_of_maps_is_an_error_to_retry),
    BENCH_TEST(every_byte_written_is_told_once),
};

ANYHV_TEST_MAIN("request", tests)

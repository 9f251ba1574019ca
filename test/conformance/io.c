/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that know what their answer has to be. */
#include <stdlib.h>
#include <time.h>

#include "conformance/suite.h"

enum {
    GUARD = 16,
    GUARD_BYTE = 0xc5,
    ROOM_BYTE = 0xee,
    WAIT_MS = 20,
    WAIT_SECONDS = 10,
    WAIT_ROUNDS = 20, /* where a round is all that can be done */
};

static uint8_t *at(struct suite *s, uint64_t addr, uint64_t len)
{
    uint8_t *p = drv_ptr(s->mem, addr, len);

    assert_non_null(p);
    return p;
}

/* ---- Layout ---- */

static uint8_t out_byte(const struct io *io, uint32_t i)
{
    if (i < 4)
        return (uint8_t)((uint32_t)io->op >> (8 * i));
    if (i < 8)
        return (uint8_t)(io->arg >> (8 * (i - 4)));
    if (i < TEST_HEADER)
        return (uint8_t)(io->seed >> (8 * (i - 8)));
    return test_pattern(io->seed * 3 + 1, i - TEST_HEADER);
}

void io_layout(struct suite *s, struct io *io)
{
    uint32_t out = TEST_HEADER + io->payload, odd = (uint32_t)io->seed & 7;
    uint64_t addr = drv_alloc(s->mem, out + io->room + 3ull * GUARD + odd, 1);
    uint8_t *p;

    assert_true(addr != DRV_NO_ADDR);
    io->out = addr + odd + GUARD;
    io->in = io->out + out + GUARD;
    p = at(s, addr, out + io->room + 3ull * GUARD + odd);
    memset(p, GUARD_BYTE, out + io->room + 3ul * GUARD + odd);
    p = at(s, io->out, out);
    for (uint32_t i = 0; i < out; i++)
        p[i] = out_byte(io, i);
    memset(at(s, io->in, io->room), ROOM_BYTE, io->room);
}

static unsigned cut(struct suite *s, const struct io *io, struct drv_buf *bufs, uint64_t addr,
                    uint32_t len)
{
    uint32_t header = len < TEST_HEADER ? len : TEST_HEADER;
    unsigned n = 0;

    switch (io->framing) {
    case IO_BYTES:
        for (; n < len; n++)
            bufs[n] = (struct drv_buf){addr + n, 1};
        return n;
    case IO_RANDOM:
        for (uint32_t done = 0; done < len;) {
            uint32_t piece = n + 1 < io->pieces ? suite_below(s, len - done + 1) : len - done;

            bufs[n++] = (struct drv_buf){addr + done, piece};
            done += piece;
        }
        return n;
    case IO_ZEROES:
        bufs[n++] = (struct drv_buf){0, 0};
        bufs[n++] = (struct drv_buf){addr, header};
        bufs[n++] = (struct drv_buf){addr, 0};
        bufs[n++] = (struct drv_buf){addr + header, len - header};
        bufs[n++] = (struct drv_buf){UINT64_MAX, 0};
        return n;
    default:
        if (len)
            bufs[n++] = (struct drv_buf){addr, len};
        return n;
    }
}

static unsigned cut_out(struct suite *s, const struct io *io, struct drv_buf *bufs)
{
    unsigned n = 0;

    if (io->framing != IO_SEPARATE)
        return cut(s, io, bufs, io->out, TEST_HEADER + io->payload);
    bufs[n++] = (struct drv_buf){io->out, TEST_HEADER};
    if (io->payload)
        bufs[n++] = (struct drv_buf){io->out + TEST_HEADER, io->payload};
    return n;
}

struct io *io_try(struct suite *s, const struct io *what)
{
    uint64_t used = s->mem->used;
    struct drv_chain chain = {.out = s->bufs, .direct = DRV_DIRECT};
    struct io *io;

    assert_true(s->nios < SUITE_IOS);
    io = &s->ios[s->nios];
    *io = *what;
    io_layout(s, io);
    chain.nout = cut_out(s, io, s->bufs);
    chain.in = s->bufs + chain.nout;
    chain.nin = cut(s, io, s->bufs + chain.nout, io->in, io->room);
    chain.token = s->nios;
    if (io->shape == IO_INDIRECT)
        chain.direct = 0;
    if (io->shape == IO_MIXED)
        chain.direct = io->direct;
    io->id = drv_ring_add(&s->ring[io->queue], &chain);
    if (io->id < 0) {
        s->mem->used = used;
        return NULL;
    }
    s->nios++;
    return io;
}

struct io *io_add(struct suite *s, const struct io *what)
{
    struct io *io = io_try(s, what);

    assert_non_null(io);
    return io;
}

void io_submit(struct suite *s, unsigned queue)
{
    drv_submit(s->t, queue, &s->ring[queue]);
}

struct io *io_send(struct suite *s, const struct io *what)
{
    struct io *io = io_add(s, what);

    io_submit(s, io->queue);
    return io;
}

void io_recycle(struct suite *s)
{
    for (unsigned queue = 0; queue < TEST_QUEUES; queue++)
        assert_int_equal(s->ring[queue].inflight, 0);
    s->nios = 0;
    s->mem->used = s->mark;
}

/* ---- Answers ---- */

static void put64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t want_echo(const struct io *io, uint8_t *want, uint32_t skip)
{
    uint32_t n = io->payload - skip < io->room ? io->payload - skip : io->room;

    if (skip > io->payload)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        want[i] = test_transform(io->seed, i, out_byte(io, TEST_HEADER + skip + i));
    return n;
}

/* The bytes that the device has to write. */
static uint32_t want_answer(const struct io *io, uint8_t *want)
{
    uint64_t sum = 0;

    switch (io->op) {
    case TEST_ECHO:
    case TEST_PIN:
    case TEST_HOLD:
    case TEST_HOLD_RETURNABLE:
        return want_echo(io, want, 0);
    case TEST_SKIP:
        return want_echo(io, want, io->arg);
    case TEST_FILL:
        for (uint32_t i = 0; i < io->arg && io->arg <= io->room; i++)
            want[i] = test_pattern(io->seed, i);
        return io->arg <= io->room ? io->arg : 0;
    case TEST_STATUS:
        if (!io->room || io->arg > io->room - 1)
            return 0;
        memset(want, 0, io->room);
        for (uint32_t i = 0; i < io->arg; i++)
            want[i] = test_pattern(io->seed, i);
        want[io->room - 1] = TEST_STATUS_BYTE;
        return io->room;
    case TEST_SUM:
        if (io->room < 16)
            return 0;
        for (uint32_t i = 0; i < io->payload; i++)
            sum = test_sum(sum, out_byte(io, TEST_HEADER + i));
        put64(want, io->payload);
        put64(want + 8, sum);
        return 16;
    default:
        return 0;
    }
}

/* True: the event queue's buffers and TEST_INFO are checked by the tests themselves. */
static bool unpredictable(const struct io *io)
{
    return io->queue == TEST_QUEUE_EVENT || io->op == TEST_INFO;
}

static bool all_bytes(const uint8_t *p, uint64_t n, uint8_t byte)
{
    for (uint64_t i = 0; i < n; i++) {
        if (p[i] != byte)
            return false;
    }
    return true;
}

static const char *surroundings(struct suite *s, const struct io *io)
{
    uint32_t out = TEST_HEADER + io->payload;
    const uint8_t *p = at(s, io->out, out);

    for (uint32_t i = 0; i < out; i++) {
        if (p[i] != out_byte(io, i))
            return "wrote to device-readable memory";
    }
    if (!all_bytes(at(s, io->out - GUARD, GUARD), GUARD, GUARD_BYTE) ||
        !all_bytes(at(s, io->in - GUARD, GUARD), GUARD, GUARD_BYTE) ||
        !all_bytes(at(s, io->in + io->room, GUARD), GUARD, GUARD_BYTE))
        return "wrote outside the buffers";
    return NULL;
}

static const char *verdict(struct suite *s, const struct io *io)
{
    const char *wrong = surroundings(s, io);
    const uint8_t *in = at(s, io->in, io->room);
    uint8_t *want;
    uint32_t len;

    if (wrong || unpredictable(io))
        return wrong;
    want = malloc(io->room + 16ul);
    assert_non_null(want);
    len = want_answer(io, want);
    if (io->len != len)
        wrong = "wrong used length";
    else if (memcmp(in, want, len) != 0)
        wrong = "wrong bytes";
    else if (!all_bytes(in + len, io->room - len, ROOM_BYTE))
        wrong = "wrote more than the used length";
    free(want);
    return wrong;
}

static void check(struct suite *s, const struct io *io)
{
    const char *wrong = verdict(s, io);

    if (!wrong)
        return;
    print_error("request %u on queue %u, op %u arg %u payload %u room %u framing %u shape %u: %s "
                "(used length %u)\n",
                (unsigned)(io - s->ios), io->queue, io->op, io->arg, io->payload, io->room,
                io->framing, io->shape, wrong, io->len);
    fail();
}

unsigned io_collect(struct suite *s, unsigned queue)
{
    struct drv_used used;
    unsigned n = 0;

    while (drv_ring_get(&s->ring[queue], &used)) {
        struct io *io = &s->ios[used.token];

        assert_in_range(used.token, 0, s->nios - 1);
        assert_false(io->used);
        assert_int_equal(io->queue, queue);
        io->used = true;
        io->len = used.len;
        io->turn = s->turns++;
        check(s, io);
        n++;
    }
    if (s->ring[queue].fault != DRV_FAULT_NONE) {
        print_error("queue %u: the device broke the ring, fault %u\n", queue, s->ring[queue].fault);
        fail();
    }
    return n;
}

/* ---- Waiting ---- */

static void give_up(const char *what, const char *file, int line)
{
    print_error("%s:%d: %s\n", file, line, what);
    fail();
}

/* False once it makes no sense to wait any longer. */
static bool patient(struct suite *s, unsigned queue, unsigned *rounds, time_t *until)
{
    struct timespec now;

    s->rig->ops->wait(s->rig, (int)queue, WAIT_MS);
    if (suite_has(s, RIG_IN_PROCESS))
        return ++*rounds < WAIT_ROUNDS;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!*until)
        *until = now.tv_sec + WAIT_SECONDS;
    return now.tv_sec < *until;
}

void io_wait_at(struct suite *s, const struct io *io, const char *file, int line)
{
    unsigned rounds = 0;
    time_t until = 0;

    while (io_collect(s, io->queue), !io->used) {
        if (!patient(s, io->queue, &rounds, &until))
            give_up("no answer", file, line);
    }
}

void io_drain_at(struct suite *s, unsigned queue, const char *file, int line)
{
    unsigned rounds = 0;
    time_t until = 0;

    for (;;) {
        if (io_collect(s, queue))
            rounds = 0;
        if (!s->ring[queue].inflight)
            return;
        if (!patient(s, queue, &rounds, &until))
            give_up("answers are missing", file, line);
    }
}

struct io *io_do_at(struct suite *s, const struct io *what, const char *file, int line)
{
    struct io *io = io_send(s, what);

    io_wait_at(s, io, file, line);
    return io;
}

void io_none_at(struct suite *s, unsigned queue, const char *file, int line)
{
    suite_settle(s);
    if (io_collect(s, queue))
        give_up("an answer that should not be there", file, line);
}

/* ---- Looking ---- */

const uint8_t *io_bytes(struct suite *s, const struct io *io)
{
    return at(s, io->in, io->room);
}

uint64_t io_word(struct suite *s, const struct io *io, unsigned index)
{
    assert_true(8ul * (index + 1) <= io->len);
    return drv_peek64(s->mem, io->in + 8ul * index);
}

void io_untouched(struct suite *s, const struct io *io)
{
    const char *wrong = surroundings(s, io);

    if (!wrong && !all_bytes(at(s, io->in, io->room), io->room, ROOM_BYTE))
        wrong = "wrote to a buffer that it should not have";
    if (!wrong)
        return;
    print_error("%s\n", wrong);
    fail();
}

uint64_t io_info(struct suite *s, unsigned queue, enum test_info word)
{
    struct io *io =
        io_do(s, {.queue = queue, .op = TEST_INFO, .seed = 8, .room = 8 * TEST_INFO_WORDS});

    assert_int_equal(io->len, 8 * TEST_INFO_WORDS);
    return io_word(s, io, word);
}

void io_alive(struct suite *s, unsigned queue)
{
    io_do(s, {.queue = queue, .op = TEST_ECHO, .seed = suite_random(s), .payload = 75, .room = 75});
}

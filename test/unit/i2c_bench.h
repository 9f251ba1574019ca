/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for the I2C adapter: the model over the loopback guest, on a bus of the test's, with a
 * driver that can cut and break requests in any way.
 */
#ifndef ANYHV_UNIT_I2C_BENCH_H
#define ANYHV_UNIT_I2C_BENCH_H

#include "testing.h"

#include "driver/driver.h"
#include <anyhv/devices/i2c.h>
#include <anyhv/loopback.h>

#define BENCH_BASE UINT64_C(0x80000000)
#define BENCH_RAM  (UINT64_C(4) << 20)
#define BENCH_RING 256u
#define BENCH_DATA 16384u /* bytes of one transfer, when the test does not say otherwise */

/* Section 5.16.6, as the driver reads it. */
enum {
    FAIL_NEXT = 1,
    RD = 2,
    OK = 0,
    ERR = 1,
    UNTOUCHED = 0xee, /* what stands in the writable part before */
};
#define F_ZERO_LENGTH DRV_F(0)

#define A7(addr)      ((uint16_t)((addr) << 1)) /* as they are sent */
#define A10(addr)     ((uint16_t)(((addr)&0xff) << 8 | 0xf0 | ((addr) >> 7 & 6)))

/* A bus that keeps what it gets until the test lets it end. */
struct bench_bus {
    struct anyhv_i2c_bus bus;
    struct anyhv_i2c_transfer *queue[8]; /* oldest first */
    unsigned queued, submits, drops;
    bool begins; /* what is submitted is begun at once */
};

#define BENCH_TARGETS  5u /* 0x20, 0x50, ten-bit 0x150 and 0x77 on bus 0; 0x60 on bus 1 */
#define BENCH_ON_BUS_1 4u /* which of them that is */

/* What several guests share. */
struct bench_board {
    struct bench_bus bus[2];
    struct anyhv_i2c_target target[BENCH_TARGETS];
    struct anyhv_i2c_target *allowed[BENCH_TARGETS];
};

struct bench_options {
    uint64_t features; /* the driver wants, besides ZERO_LENGTH_REQUEST */
    uint16_t requests; /* in work; 0: ANYHV_I2C_REQUESTS */
    uint32_t data_len; /* 0: BENCH_DATA */
    unsigned targets;  /* the guest may use the first so many; 0: all */
    bool bounce, journal;
};

struct i2c_bench {
    struct bench_options options;
    struct bench_board *board;
    struct anyhv_i2c i2c; /* first of what belongs to the guest */
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[BENCH_RING];
    uint8_t *ram, *data;
    void *storage, *state, *journal;
    size_t storage_size, state_size, journal_size;
    bool attached, waits; /* waits: the model's word */
    unsigned moments;     /* how often it began to wait */
};

/* One request: what it says, and where its parts stand in guest memory. */
struct bench_request {
    uint16_t addr; /* as it is sent: A7, A10 */
    uint32_t flags;
    uint32_t out, in; /* bytes of data behind the header and before the status */
    uint32_t cut;     /* bytes per descriptor; 0: header, data and status have one each */
    bool indirect;
    /* bench_prepare's */
    uint64_t out_at, in_at; /* of the header; of the first writable byte */
    uint32_t out_len, in_len;
};

/* cmocka fixtures: *state is the bench, with a board; nothing is attached yet. */
int bench_setup(void **state);
int bench_teardown(void **state);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
/* Another guest on the same board. */
struct i2c_bench *bench_new(struct bench_board *board);
void bench_free(struct i2c_bench *b);

/* Attaches and negotiates, once more if it was before. NULL: nothing special. */
void bench_up(struct i2c_bench *b, const struct bench_options *options);
void bench_down(struct i2c_bench *b);
/* The driver starts over: reset, negotiation, an empty ring. */
void bench_negotiate(struct i2c_bench *b);
void bench_start_ring(struct i2c_bench *b);
/*
 * The process is killed and a successor takes over, with state block and journal; transfers that
 * were on the bus are nobody's any more.
 */
void bench_succeed(struct i2c_bench *b);

/* Lays out header, pattern and status byte; the test may change lengths and bytes afterwards. */
void bench_prepare(struct i2c_bench *b, struct bench_request *r);
/* Puts it on the ring; bench_send: and kicks, and lets the device run. */
void bench_add(struct i2c_bench *b, const struct bench_request *r);
void bench_kick(struct i2c_bench *b);
void bench_send(struct i2c_bench *b, const struct bench_request *r);
/* Prepares and sends @n, with one kick. */
void bench_send_all(struct i2c_bench *b, struct bench_request *r, unsigned n);
/* The next answer is for @r and has this used length. */
void bench_expect(struct i2c_bench *b, const struct bench_request *r, uint32_t used);
void bench_expect_none(struct i2c_bench *b);
/* The last writable byte. */
uint8_t bench_status(struct i2c_bench *b, const struct bench_request *r);
/*
 * The next answers are for these requests, with this status and the used lengths that go with it.
 */
void bench_expect_all(struct i2c_bench *b, const struct bench_request *r, unsigned n,
                      uint8_t status);
void bench_run(struct i2c_bench *b);

/* The oldest transfer of bus @bus. */
struct anyhv_i2c_transfer *bench_transfer(struct i2c_bench *b, unsigned bus);
/* Lets it end, with @done messages; reads get the pattern of their address. */
void bench_end(struct i2c_bench *b, unsigned bus, unsigned done);
/* It holds what @r[] says, in order. */
void bench_is(struct i2c_bench *b, unsigned bus, const struct bench_request *r, unsigned n);
/* What was read is where it belongs. */
void bench_has_read(struct i2c_bench *b, const struct bench_request *r);

/* Byte @i of what @addr (as sent) is written, or gives. */
static inline uint8_t bench_byte(uint16_t addr, uint32_t i)
{
    return (uint8_t)(i * 7 + i / 256 + addr * 31u + 1);
}

#endif

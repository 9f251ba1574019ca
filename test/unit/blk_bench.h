/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for the block device: the model over the loopback guest, on a store of the test's, with
 * a driver that can cut and break requests in any way.
 */
#ifndef ANYHV_UNIT_BLK_BENCH_H
#define ANYHV_UNIT_BLK_BENCH_H

#include "testing.h"

#include "driver/driver.h"
#include <anyhv/devices/blk.h>
#include <anyhv/loopback.h>

#define BENCH_BASE    UINT64_C(0x80000000)
#define BENCH_RAM     (UINT64_C(8) << 20)
#define BENCH_SECTORS 4096u /* of bench_disk: 2 MiB */
#define BENCH_RING    1024u
#define BENCH_QUEUES  2u

/* Section 5.2.3 and 5.2.6, as the driver reads them. */
enum {
    IN = 0,
    OUT = 1,
    FLUSH = 4,
    GET_ID = 8,
    DISCARD = 11,
    WRITE_ZEROES = 13,
    OK = 0,
    IOERR = 1,
    UNSUPP = 2,
    UNTOUCHED = 0xee, /* what stands in the status byte before */
};
#define F_SEG_MAX      DRV_F(2)
#define F_RO           DRV_F(5)
#define F_BLK_SIZE     DRV_F(6)
#define F_FLUSH        DRV_F(9)
#define F_MQ           DRV_F(12)
#define F_DISCARD      DRV_F(13)
#define F_WRITE_ZEROES DRV_F(14)
#define F_ALL          (F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_MQ | F_DISCARD | F_WRITE_ZEROES)

/* A store that does as it is told: at once, later, or not at all; on a disk in memory. */
struct bench_store {
    struct anyhv_blk_mem mem;
    int fails; /* a result: what start says instead of doing anything */
    bool keep; /* start answers ANYHV_LATER */
    struct anyhv_blk_job *kept[512];
    unsigned nkept, starts, drops;
    struct anyhv_blk_job last; /* as start got it */
};

struct bench_options {
    uint64_t features;             /* the driver wants; 0: F_ALL */
    struct anyhv_blk_store *store; /* 0: bench->store */
    const char *serial;            /* 0: "serial" */
    uint16_t queues;               /* 0: 1 */
    uint16_t requests;             /* in work per queue; 0: 32 */
    bool read_only, bounce;
};

struct blk_bench {
    struct bench_options options;
    struct bench_store store;
    struct anyhv_blk_offer offer;
    struct anyhv_blk blk;
    struct anyhv_blk_job *jobs;
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring[BENCH_QUEUES];
    struct drv_slot slots[BENCH_QUEUES][BENCH_RING];
    uint8_t *ram, *disk;
    void *storage, *state;
    bool attached;
};

/* One request: what it says, and where its parts stand in guest memory. */
struct bench_request {
    uint32_t type;
    uint64_t sector;
    uint32_t out, in; /* bytes of data behind the header and before the status */
    uint32_t cut;     /* bytes per descriptor; 0: header, data and status have one each */
    unsigned queue;
    /* bench_prepare's */
    uint64_t out_at, in_at; /* of the header; of the first writable byte */
    uint32_t out_len, in_len;
};

/* cmocka fixtures: *state is the bench; nothing is attached yet. */
int bench_setup(void **state);
int bench_teardown(void **state);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

/* Attaches and negotiates, once more if it was before. NULL: nothing special. */
void bench_up(struct blk_bench *b, const struct bench_options *options);
void bench_down(struct blk_bench *b);
/* The driver starts over: reset, negotiation, empty rings. */
void bench_negotiate(struct blk_bench *b);
void bench_start_ring(struct blk_bench *b, unsigned queue);

/* Lays out header, pattern and status byte; the test may change lengths and bytes afterwards. */
void bench_prepare(struct blk_bench *b, struct bench_request *r);
/* Offers it and lets the device run. Zero lengths: no such part. */
void bench_send(struct blk_bench *b, const struct bench_request *r);
/* The next answer of the queue is for @r and has this used length. */
void bench_expect(struct blk_bench *b, const struct bench_request *r, uint32_t used);
void bench_expect_none(struct blk_bench *b, unsigned queue);
/* The last writable byte. */
uint8_t bench_status(struct blk_bench *b, const struct bench_request *r);
/* All of it; the used length is whatever; returns the status. */
uint8_t bench_do(struct blk_bench *b, struct bench_request *r);
void bench_run(struct blk_bench *b);
/* Lets the @kept-th job that bench->store keeps end: as @result; ANYHV_OK: does it first. */
void bench_release(struct blk_bench *b, unsigned kept, int result);

/* Writes segment @i of a DISCARD or WRITE_ZEROES that is prepared. */
void bench_segment(struct blk_bench *b, const struct bench_request *r, unsigned i, uint64_t sector,
                   uint32_t sectors, uint32_t flags);

/* Byte @i of the data that bench_prepare puts into a request for @sector. */
static inline uint8_t bench_byte(uint64_t sector, uint32_t i)
{
    return (uint8_t)(i * 7 + i / 256 + sector * 31 + 1);
}

/* Puts the same pattern on the disk / asks that it is there / that there are zeroes. */
void bench_fill(struct blk_bench *b, uint64_t sector, uint32_t len);
void bench_on_disk(struct blk_bench *b, uint64_t sector, uint32_t len);
void bench_zeroes_on_disk(struct blk_bench *b, uint64_t sector, uint32_t len);
/* The pattern is in the writable part of a read. */
void bench_in_data(struct blk_bench *b, const struct bench_request *r);

#endif

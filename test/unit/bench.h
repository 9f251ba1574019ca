/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for lib/core: one device over the loopback guest, native control plane, with a device
 * model that does what the test says. The rings are driven by test/driver. What happens is written
 * down as words in a trace, so that a test can ask for an order of events.
 */
#ifndef ANYHV_UNIT_BENCH_H
#define ANYHV_UNIT_BENCH_H

#include "testing.h"

#include "driver/driver.h"
#include <anyhv/loopback.h>
#include <anyhv/port.h>

enum {
    BENCH_ID = 0x3f,
    BENCH_QUEUES = 2,
    BENCH_MAX_SIZE = 64,
    BENCH_CONFIG = 24,
    BENCH_CONFIG_W = 8, /* the driver may write bytes 8..15 */
    BENCH_CONFIG_W_LEN = 8,
    BENCH_SAVED = 6, /* the device's own part of a saved state: u16 version, u32 value */
    BENCH_VALUE_MAX = 1000,
};

#define BENCH_BASE     UINT64_C(0x80000000)
#define BENCH_RAM      (UINT64_C(512) << 10)
#define BENCH_NOWHERE  (BENCH_BASE + BENCH_RAM) /* no memory from here on */
#define BENCH_FEATURES DRV_F_INDIRECT

struct bench_options {
    uint64_t features; /* ring features that the driver wants, besides VERSION_1 */
    uint16_t size;     /* of the rings; 0: 16 */
    struct anyhv_limits limits;
    uint64_t withhold;
    bool bounce, map_only; /* as in struct anyhv_loopback_options */
    uint32_t map_max, regions;
    bool registers; /* the control plane is the MMIO registers */
};

struct bench {
    struct anyhv_device_ops ops; /* a copy; change it before the device is attached */
    struct bench_options options;
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct anyhv_port_ops port; /* the loopback's, and notes in the trace */
    const struct anyhv_port_ops *real_port;
    struct drv_mmio mmio; /* registers only */
    struct drv_mem mem;
    struct drv_ring ring[BENCH_QUEUES];
    struct drv_slot slots[BENCH_QUEUES][BENCH_MAX_SIZE];
    uint8_t *ram;
    void *storage, *state; /* exactly as long as they have to be */
    size_t storage_size, state_size;
    bool attached;

    /*
     * What the device model does. NULL: requests are held, cancel answers, no buffers are pulled.
     */
    void (*on_request)(struct bench *b, struct anyhv_req *req);
    bool (*on_cancel)(struct bench *b, struct anyhv_req *req, bool returnable);
    void (*on_buffers)(struct bench *b, unsigned queue);
    void (*on_retry)(struct bench *b, unsigned queue);
    uint64_t handle[BENCH_MAX_SIZE]; /* of what on_request == NULL held, oldest first */
    unsigned handles;
    uint32_t value; /* what it saves and loads */

    char trace[1024];
    void (*on_note)(struct bench *b); /* after each word */
};

/* The latest violation of any device, and how many there were; cleared by bench_setup. */
struct bench_violation {
    enum anyhv_violation v;
    int queue;
    uint64_t a, b;
    unsigned count;
};
extern struct bench_violation bench_violation;

/* cmocka fixtures: *state is the bench; nothing is attached yet. */
int bench_setup(void **state);
int bench_teardown(void **state);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

/* ---- Coming up, step by step or at once ---- */

/* Fresh memory and device. */
void bench_attach(struct bench *b, const struct bench_options *options);
/* The device again, in the memory that is there: what a successor process does. Its result. */
int bench_reattach(struct bench *b, bool resume);
void bench_detach(struct bench *b);
/* Reset to FEATURES_OK, through control calls. */
void bench_negotiate(struct bench *b);
/* A new ring for @queue, in guest memory. */
void bench_ring(struct bench *b, unsigned queue);
struct anyhv_queue_setup bench_queue_setup(const struct bench *b, unsigned queue, uint32_t base);
int bench_start(struct bench *b, unsigned queue, uint32_t base);
void bench_driver_ok(struct bench *b);
/* All of it, with both queues. NULL: a split ring, nothing special. */
void bench_up(struct bench *b, const struct bench_options *options);
/* Reset, and all of it once more with empty rings. */
void bench_up_again(struct bench *b);

/* ---- The driver ---- */

/* A chain with these buffers, token = address of the first one. Made visible, no kick. */
uint64_t bench_offer(struct bench *b, unsigned queue, const struct drv_buf *out, unsigned nout,
                     const struct drv_buf *in, unsigned nin);
/* One readable buffer of @out bytes (1, 2, 3...) and one writable of @in bytes; 0: none. */
uint64_t bench_put(struct bench *b, unsigned queue, uint32_t out, uint32_t in);
/* Kicks, and lets the device run. */
void bench_kick(struct bench *b, unsigned queue);
void bench_run(struct bench *b);
/* The next answer is @token's with @len; there is none. */
void bench_expect(struct bench *b, unsigned queue, uint64_t token, uint32_t len);
void bench_expect_none(struct bench *b, unsigned queue);
/* Room in guest memory, aligned to 16. */
uint64_t bench_alloc(struct bench *b, uint32_t len);

/* ---- The device ---- */

struct anyhv_queue *bench_queue(struct bench *b, unsigned queue);
/* Requests that were taken from the ring and are not used. */
unsigned bench_inflight(struct bench *b, unsigned queue);
const struct anyhv_queue_counters *bench_counters(struct bench *b, unsigned queue);
/* bench_put, kick, and the request, which is held. */
struct anyhv_req *bench_held(struct bench *b, uint32_t out, uint32_t in);
/* The @i-th request that was held; NULL if it is gone. */
struct anyhv_req *bench_req(struct bench *b, unsigned i);
/* on_request: answers without writing; copies what is readable to what is writable. */
void bench_answer(struct bench *b, struct anyhv_req *req);
void bench_echo(struct bench *b, struct anyhv_req *req);
/* on_cancel: gives back what can be given back, answers the rest. */
bool bench_return(struct bench *b, struct anyhv_req *req, bool returnable);

/* Byte @i of what bench_put filled in. */
static inline uint8_t bench_byte(uint32_t i)
{
    return (uint8_t)(i + 1);
}

/* ---- The trace: words, each followed by a space ---- */

void bench_note(struct bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The trace is exactly this; then it is empty. */
void bench_expect_trace(struct bench *b, const char *words);

#endif

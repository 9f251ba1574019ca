/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for the SCMI device: two guests in one process, agents 1 and 2 of one platform, whose
 * time passes when the test says so. What messages mean is read here from DEN0056 once more, not
 * from the device's headers.
 */
#ifndef ANYHV_UNIT_SCMI_BENCH_H
#define ANYHV_UNIT_SCMI_BENCH_H

#include "testing.h"

#include "driver/driver.h"
#include <anyhv/devices/scmi.h>
#include <anyhv/loopback.h>

#define BENCH_BASE UINT64_C(0x80000000)
#define BENCH_RAM  (UINT64_C(1) << 20)
#define BENCH_RING 64u
#define F_P2A      DRV_F(0)

enum {
    BASE = 0x10,
    CLOCK = 0x14,
    SENSOR = 0x15,
    RESET = 0x16
};
enum {
    OK = 0,
    NOT_SUPPORTED = -1,
    INVALID_PARAMETERS = -2,
    DENIED = -3,
    NOT_FOUND = -4,
    OUT_OF_RANGE = -5,
    BUSY = -6,
    COMMS_ERROR = -7,
    GENERIC_ERROR = -8,
    HARDWARE_ERROR = -9,
    PROTOCOL_ERROR = -10,
};

/* Indices on the platform, and the numbers under which agent 1 sees the same. */
enum {
    CPU,
    BUS,
    NCLOCKS
};
enum {
    TEMP,
    ACCEL,
    BOARD_TEMP,
    MANY,
    NSENSORS = MANY + 6
};
enum {
    USB,
    NIC,
    NRESETS
};
enum {
    DEVICE_CPU = 7,
    DEVICE_USB = 9
};

struct scmi_bench;

struct bench_guest {
    struct scmi_bench *bench;
    struct anyhv_scmi scmi;
    struct anyhv_loopback lb;
    struct anyhv_dev *dev;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring[2]; /* commands, events */
    struct drv_slot slots[2][BENCH_RING];
    uint8_t *ram;
    void *storage, *state, *journal;
    bool attached;
    uint32_t token;
    uint32_t room; /* bytes behind the status, for the next replies */
    uint64_t out_at, in_at, rewind;
    /* the latest reply: its words behind the status; the latest event: its words, header first */
    uint32_t reply[128], nreply;
    uint32_t event[32], nevent;
};

struct bench_options {
    bool no_events; /* the driver does not take P2A_CHANNELS */
    bool bounce, journal;
};

struct scmi_bench {
    struct anyhv_scmi_platform platform;
    struct anyhv_scmi_clock clock[NCLOCKS];
    struct anyhv_scmi_sensor sensor[NSENSORS];
    struct anyhv_scmi_reset reset[NRESETS];
    struct anyhv_scmi_agent agent[2];
    struct anyhv_scmi_agent_clock agent_clock[2][NCLOCKS];
    struct anyhv_scmi_agent_sensor agent_sensor[2][NSENSORS];
    struct anyhv_scmi_agent_reset agent_reset[2][NRESETS];
    struct bench_guest guest[2];
    struct bench_options options;
    uint64_t now, wake;
    unsigned refused, edges; /* edges: of reset lines */
    bool broken_line;        /* edges fail */
    bool broken_clock;       /* clocks do not change */
    unsigned clock_changes;
};

/* cmocka fixtures: both guests are up. _plain: without an event queue; _journal: with journals. */
int bench_setup(void **state);
int bench_setup_plain(void **state);
int bench_setup_bounce(void **state);
int bench_setup_journal(void **state);
int bench_teardown(void **state);
#define SCMI_TEST(f)         cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define SCMI_TEST_PLAIN(f)   cmocka_unit_test_setup_teardown(f, bench_setup_plain, bench_teardown)
#define SCMI_TEST_BOUNCE(f)  cmocka_unit_test_setup_teardown(f, bench_setup_bounce, bench_teardown)
#define SCMI_TEST_JOURNAL(f) cmocka_unit_test_setup_teardown(f, bench_setup_journal, bench_teardown)

/* The driver starts over. */
void bench_negotiate(struct bench_guest *g);
/* The guest's device goes; its process is killed and a successor takes over. */
void bench_leave(struct bench_guest *g);
void bench_succeed(struct bench_guest *g);
/* The guest's device goes; the platform is as a file describes it, and a new device comes. */
void bench_move(struct bench_guest *g);

/*
 * Sends a command: words are protocol, message and parameters. The status; the header is checked,
 * and that an error comes alone.
 */
#define ASK(g, ...)                               \
    bench_ask(g, (const uint32_t[]){__VA_ARGS__}, \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
int32_t bench_ask(struct bench_guest *g, const uint32_t *words, unsigned n);
/* Any bytes, into any room; the used length. What came stands at g->in_at. */
uint32_t bench_send_raw(struct bench_guest *g, const void *bytes, uint32_t len, uint32_t room);
/* Without waiting for the answer, which bench_answer takes. */
void bench_post(struct bench_guest *g, const void *bytes, uint32_t len, uint32_t room);
uint32_t bench_answer(struct bench_guest *g);

/* @n buffers of @size bytes for events. */
void bench_buffers(struct bench_guest *g, unsigned n, uint32_t size);
/* The next event, if there is one: it is in g->event. */
bool bench_event(struct bench_guest *g);
/* The next event has this header and these words. */
#define EXPECT_EVENT(g, ...)                               \
    bench_expect_event(g, (const uint32_t[]){__VA_ARGS__}, \
                       sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void bench_expect_event(struct bench_guest *g, const uint32_t *words, unsigned n);
#define EXPECT_REPLY(g, ...)                               \
    bench_expect_reply(g, (const uint32_t[]){__VA_ARGS__}, \
                       sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void bench_expect_reply(struct bench_guest *g, const uint32_t *words, unsigned n);
/* The 16 bytes from word @at of the reply are @name. */
void bench_expect_name(const struct bench_guest *g, unsigned at, const char *name);

/* Time passes, in both guests. */
void bench_pass(struct scmi_bench *b, uint64_t ms);
void bench_run(struct scmi_bench *b);

static inline uint32_t bench_header(unsigned protocol, unsigned message, unsigned type,
                                    uint32_t token)
{
    return message | type << 8 | (uint32_t)protocol << 10 | token << 18;
}
#define NOTIFICATION(protocol, message) bench_header(protocol, message, 3, 0)
/* The delayed response to the latest command. */
#define DELAYED(g, protocol, message) bench_header(protocol, message, 2, (g)->token)

#endif

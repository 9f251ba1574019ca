/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device behind the protocol tests: two queues of commands that answer, wait, or hold memory.
 * A command is u32 op, u32 arg, then a payload. What is held ends by RELEASE, or PROBE_DELAY_MS
 * after somebody wants the queue quiet: long enough for a test to see that it was waited for.
 */
#ifndef ANYHV_TEST_PROBE_DEVICE_H
#define ANYHV_TEST_PROBE_DEVICE_H

#include <anyhv/hv.h>

enum probe_op {
    PROBE_ECHO = 1,    /* payload to the writable part */
    PROBE_HOLD,        /* ECHO, later */
    PROBE_HOLD_PINNED, /* PROBE_BYTE over the writable part, later, through a pinned piece */
    PROBE_RETURN,      /* held, and goes back to the ring when the queue is to be quiet */
    PROBE_STUCK,       /* held, and only RELEASE ends it: a device that breaks its promise */
    PROBE_LATER,       /* ECHO, after some fraction of a millisecond, in any order */
    PROBE_RELEASE,     /* ends all that is held, then itself */
    PROBE_CONFIG,      /* arg goes to the device's word of the configuration space */
    PROBE_CONFIG_LATE, /* the same, PROBE_DELAY_MS after it was answered */
    PROBE_INFO,        /* struct probe_info to the writable part */
    PROBE_REMEMBER,    /* arg becomes part of the device's state */
};

struct probe_info {
    uint64_t features;
    uint32_t starts, stops, held, config_writes;
    uint32_t word, padding; /* of the last REMEMBER */
};

enum {
    PROBE_QUEUES = 2,
    PROBE_HEADER = 8,
    PROBE_BYTE = 0x6b,
    PROBE_DELAY_MS = 40,
    /* Its own state: u32 version | u32 word | the word again and again; more than a pipe holds. */
    PROBE_STATE_LEN = 200000,
    PROBE_STATE_VERSION = 7,
    /* u32 magic | u32 the device's | 8 bytes that the driver may write */
    PROBE_CONFIG_LEN = 16,
    PROBE_CONFIG_VALUE = 4,
    PROBE_CONFIG_DRIVER = 8,
};

#define PROBE_MAGIC UINT32_C(0x45424f52)

/* The second one ends what is held one after the other, each in a batch of its own. */
extern const struct anyhv_class probe_class, probe_slow_class;

#endif

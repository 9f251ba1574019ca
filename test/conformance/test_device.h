/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that the conformance and hostile suites drive. It does nothing useful and everything
 * that a device model can do: answers at once or later, in any order, by copy or by pin, writes a
 * status last, rejects, changes its configuration, fails, raises events on a queue it pulls.
 *
 * Two queues take commands; the third is an event queue. A command is a header in the first 16
 * readable bytes, little endian:
 *
 *   0 op u32 | 4 arg u32 | 8 seed u64
 *
 * followed by a payload. Usable in a separate back-end process: nothing here knows a rig.
 */
#ifndef ANYHV_TEST_DEVICE_H
#define ANYHV_TEST_DEVICE_H

#include <anyhv/device.h>

enum {
    TEST_DEVICE_ID = 0x3f,
    TEST_QUEUE_A = 0,
    TEST_QUEUE_B = 1,
    TEST_QUEUE_EVENT = 2,
    TEST_QUEUES = 3,
    TEST_QUEUE_SIZE = 256, /* entries offered, except in the LARGE variant */
    TEST_HEADER = 16,
    TEST_HELD_MAX = 512,
};

enum test_op {
    /* Payload, each byte transformed, to the writable part, as far as both go. */
    TEST_ECHO = 1,
    /* arg pattern bytes to the writable part. */
    TEST_FILL,
    /* As ECHO, but later: TEST_RELEASE finishes it; or cancel does, in a quiesce. */
    TEST_HOLD,
    /* As HOLD; cancel hands it back to the ring. */
    TEST_HOLD_RETURNABLE,
    /*
     * Finishes held requests of all queues, then itself (used length 0). seed: 0 oldest first,
     * 1 newest first, else a shuffle with that seed. arg: how many at most, 0: all.
     */
    TEST_RELEASE,
    /*
     * arg pattern bytes from the start, TEST_STATUS_BYTE as the last writable byte, zeroes between.
     * seed odd: the status is written first.
     */
    TEST_STATUS,
    /* Is rejected with reason arg. */
    TEST_REJECT,
    /* As ECHO, through pinned pieces as far as they go, then by copy. */
    TEST_PIN,
    /* Reads all of the payload; writes u64 bytes, u64 checksum. */
    TEST_SUM,
    /* Raises arg events (struct below) on the event queue, as far as there are buffers. */
    TEST_EVENTS,
    /* Writes seed to the device's part of the configuration space: 8 bytes, one change. */
    TEST_CONFIG,
    /* Gives up: NEEDS_RESET. Whether the command is still answered is open. */
    TEST_FAIL,
    /* Writes struct test_info. */
    TEST_INFO,
    /*
     * Peeks, reads and skips its way through: the first arg payload bytes are skipped, then ECHO.
     */
    TEST_SKIP,
};

#define TEST_STATUS_BYTE 0xa5

/* TEST_INFO's answer; u64 little endian each. */
enum test_info {
    TEST_INFO_FEATURES, /* in force */
    TEST_INFO_STARTS,
    TEST_INFO_STOPS,
    TEST_INFO_REQUESTS,      /* commands seen by request() */
    TEST_INFO_HELD,          /* right now */
    TEST_INFO_CANCELLED,     /* calls of cancel() */
    TEST_INFO_CONFIG_WRITES, /* calls of config_written() */
    TEST_INFO_CONFIG_OFF,    /* of the latest */
    TEST_INFO_CONFIG_LEN,
    TEST_INFO_EVENTS, /* raised so far; survives save and load, as does the next one */
    TEST_INFO_TOTAL,  /* ECHO, PIN, SKIP and HOLD answered */
    TEST_INFO_WORDS,
};

/* One event: u64 number (from 0), u64 seed of the command. */
#define TEST_EVENT_BYTES 16

/*
 * Configuration space, 48 bytes: u64 magic | u64 of the device's (TEST_CONFIG) | 16 bytes that the
 * driver may write | u32 variant | u32 zero | u64 that exists with TEST_F_HIGH, the magic again.
 */
enum {
    TEST_CONFIG_LEN = 48,
    TEST_CONFIG_MAGIC = 0,
    TEST_CONFIG_VALUE = 8,
    TEST_CONFIG_DRIVER = 16,
    TEST_CONFIG_DRIVER_LEN = 16,
    TEST_CONFIG_VARIANT = 32,
    TEST_CONFIG_OPTIONAL = 40,
};
#define TEST_CONFIG_MAGIC_VALUE UINT64_C(0x8070605040302010)

/* Device-type feature bits that it offers: one in each 32-bit word. */
#define TEST_F_LOW  ANYHV_F(3)
#define TEST_F_HIGH ANYHV_F(55)

enum test_variant {
    TEST_PLAIN,
    TEST_ORDERED, /* declares `ordered`: IN_ORDER is offered */
    TEST_LARGE,   /* queues of 32768 entries */
    TEST_VARIANTS,
};

/* By variant. */
extern const struct anyhv_device_ops test_device_ops[TEST_VARIANTS];

/* One device; the priv of attach. Zeroed, then test_device_init before attach. */
struct test_device {
    struct anyhv_dev *dev;
    uint64_t info[TEST_INFO_WORDS];
    struct test_held {
        uint64_t handle, seed;
        bool returnable;
        bool short_of_memory; /* not held by the driver's wish */
        bool unread;          /* not even the header could be read */
    } held[TEST_HELD_MAX];    /* oldest first */
    unsigned nheld;
    /* Called for every command before it is looked at: the driver's chance to do something just
     * then. */
    void (*meanwhile)(void *arg);
    void *meanwhile_arg;
};

void test_device_init(struct test_device *device, struct anyhv_dev *dev);

/* Finishes held requests as TEST_RELEASE does; for tests in the same process. */
unsigned test_device_release(struct test_device *device, uint64_t order, unsigned max);

/* ---- What the driver expects ---- */

/* Byte @i of a pattern. */
static inline uint8_t test_pattern(uint64_t seed, uint32_t i)
{
    uint64_t x = seed + (i >> 3) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 31)) * UINT64_C(0xd6e8feb86659fd93);
    return (uint8_t)(x >> (8 * (i & 7)));
}

/* What ECHO makes of byte @i of a payload. */
static inline uint8_t test_transform(uint64_t seed, uint32_t i, uint8_t byte)
{
    return (uint8_t)(byte ^ test_pattern(~seed, i) ^ 0x5a);
}

/* TEST_SUM's checksum, one byte further. */
static inline uint64_t test_sum(uint64_t sum, uint8_t byte)
{
    return (sum ^ byte) * UINT64_C(0x100000001b3);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "conformance/test_device.h"

enum {
    SAVE_VERSION = 1,
    SAVED = 28,
};

struct command {
    uint32_t op, arg;
    uint64_t seed;
};

static uint64_t get_le(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static struct test_device *device_of(const struct anyhv_dev *dev)
{
    return anyhv_dev_priv(dev);
}

/* Done, or rejected with the reason. */
static void end(struct anyhv_req *req, int result)
{
    if (result == ANYHV_OK)
        anyhv_req_done(req);
    else
        anyhv_req_reject(req, result);
}

/*
 * Goes on where it stopped: what was written says how far it got. Peek, write, skip, so that a
 * failure in between leaves both cursors at the same byte.
 */
static int echo(struct anyhv_req *req, uint64_t seed)
{
    uint8_t buf[200];

    while (anyhv_req_readable(req) && anyhv_req_writable(req)) {
        uint32_t at = anyhv_req_written(req), n = sizeof(buf);
        int result;

        if (n > anyhv_req_readable(req))
            n = anyhv_req_readable(req);
        if (n > anyhv_req_writable(req))
            n = anyhv_req_writable(req);
        result = anyhv_req_peek(req, buf, n);
        for (uint32_t i = 0; i < n && result == ANYHV_OK; i++)
            buf[i] = test_transform(seed, at + i, buf[i]);
        if (result == ANYHV_OK)
            result = anyhv_req_write(req, buf, n);
        if (result == ANYHV_OK)
            result = anyhv_req_skip(req, n);
        if (result != ANYHV_OK)
            return result;
    }
    return ANYHV_OK;
}

/* One pinned piece of the readable part to the writable part; pinned too while that works. */
static int echo_piece(struct anyhv_req *req, uint64_t seed, const struct anyhv_map *from)
{
    uint32_t off = 0, at = anyhv_req_written(req);

    while (off < from->len && anyhv_req_writable(req)) {
        struct anyhv_map to;
        int result = anyhv_req_pin(req, ANYHV_W, from->len - off, &to);
        uint8_t byte;

        if (result == ANYHV_OK) {
            for (uint32_t i = 0; i < to.len; i++)
                to.ptr[i] = test_transform(seed, at + off + i, from->ptr[off + i]);
            off += to.len;
            continue;
        }
        if (result != ANYHV_E_NORES)
            return result;
        byte = test_transform(seed, at + off, from->ptr[off]);
        result = anyhv_req_write(req, &byte, 1);
        if (result != ANYHV_OK)
            return result;
        off++;
    }
    return ANYHV_OK;
}

static int echo_pinned(struct anyhv_req *req, uint64_t seed)
{
    while (anyhv_req_readable(req) && anyhv_req_writable(req)) {
        struct anyhv_map from;
        int result = anyhv_req_pin(req, ANYHV_R, anyhv_req_readable(req), &from);

        if (result == ANYHV_E_NORES)
            return echo(req, seed);
        if (result == ANYHV_OK)
            result = echo_piece(req, seed, &from);
        if (result != ANYHV_OK)
            return result;
    }
    return ANYHV_OK;
}

static int fill(struct anyhv_req *req, uint64_t seed, uint32_t total)
{
    uint8_t buf[200];

    if (total > anyhv_req_writable(req))
        return ANYHV_E_SHORT;
    for (uint32_t at = 0; at < total;) {
        uint32_t n = total - at < sizeof(buf) ? total - at : (uint32_t)sizeof(buf);
        int result;

        for (uint32_t i = 0; i < n; i++)
            buf[i] = test_pattern(seed, at + i);
        result = anyhv_req_write(req, buf, n);
        if (result != ANYHV_OK)
            return result;
        at += n;
    }
    return ANYHV_OK;
}

static int with_status(struct anyhv_req *req, uint64_t seed, uint32_t total)
{
    uint32_t writable = anyhv_req_writable(req);
    uint8_t status = TEST_STATUS_BYTE;
    int result = ANYHV_OK;

    if (!writable || total > writable - 1)
        return ANYHV_E_SHORT;
    if (seed & 1)
        result = anyhv_req_write_at(req, writable - 1, &status, 1);
    if (result == ANYHV_OK)
        result = fill(req, seed, total);
    if (result == ANYHV_OK && !(seed & 1))
        result = anyhv_req_write_at(req, writable - 1, &status, 1);
    return result;
}

static int sum(struct anyhv_req *req)
{
    uint8_t buf[97], out[16];
    uint64_t bytes = 0, checksum = 0;

    if (anyhv_req_writable(req) < sizeof(out))
        return ANYHV_E_SHORT;
    while (anyhv_req_readable(req)) {
        uint32_t n = anyhv_req_readable(req);
        int result;

        if (n > sizeof(buf))
            n = sizeof(buf);
        result = anyhv_req_read(req, buf, n);
        if (result != ANYHV_OK)
            return result;
        for (uint32_t i = 0; i < n; i++)
            checksum = test_sum(checksum, buf[i]);
        bytes += n;
    }
    put_le(out, bytes, 8);
    put_le(out + 8, checksum, 8);
    return anyhv_req_write(req, out, sizeof(out));
}

static void raise_events(struct test_device *device, uint64_t seed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct anyhv_req *req = anyhv_queue_pull(device->dev, TEST_QUEUE_EVENT);
        uint8_t event[TEST_EVENT_BYTES];

        if (!req)
            return;
        put_le(event, device->info[TEST_INFO_EVENTS], 8);
        put_le(event + 8, seed, 8);
        if (anyhv_req_writable(req) < sizeof(event)) {
            anyhv_req_reject(req, ANYHV_E_SHORT);
            continue;
        }
        device->info[TEST_INFO_EVENTS]++;
        end(req, anyhv_req_write(req, event, sizeof(event)));
    }
}

static int answer_info(struct test_device *device, struct anyhv_req *req)
{
    uint8_t out[8 * TEST_INFO_WORDS];

    device->info[TEST_INFO_FEATURES] = anyhv_dev_features(device->dev);
    device->info[TEST_INFO_HELD] = device->nheld;
    for (unsigned i = 0; i < TEST_INFO_WORDS; i++)
        put_le(out + 8 * (size_t)i, device->info[i], 8);
    return anyhv_req_write(req, out, sizeof(out));
}

/* ---- Held requests ---- */

static void hold(struct test_device *device, struct anyhv_req *req, struct test_held held)
{
    if (device->nheld == TEST_HELD_MAX) {
        anyhv_req_reject(req, ANYHV_E_NORES);
        return;
    }
    held.handle = anyhv_req_hold(req);
    device->held[device->nheld++] = held;
}

static void forget(struct test_device *device, unsigned i)
{
    device->nheld--;
    memmove(&device->held[i], &device->held[i + 1], (device->nheld - i) * sizeof(device->held[0]));
}

/* False: we lack something, it stays held. */
static bool finish(struct test_device *device, struct anyhv_req *req, uint64_t seed)
{
    int result = echo(req, seed);

    if (result == ANYHV_E_NORES)
        return false;
    device->info[TEST_INFO_TOTAL]++;
    end(req, result);
    return true;
}

static void handle(struct test_device *device, struct anyhv_req *req);

/* Goes on with held request @i; false: it is still held at that place. */
static bool go_on(struct test_device *device, unsigned i)
{
    struct test_held held = device->held[i];
    struct anyhv_req *req = anyhv_req_get(device->dev, held.handle);

    if (req && !held.unread && !finish(device, req, held.seed))
        return false;
    if (i < device->nheld && device->held[i].handle == held.handle) /* no reset came meanwhile */
        forget(device, i);
    if (req && held.unread)
        handle(device, req); /* which may hold it again, as the newest */
    return true;
}

unsigned test_device_release(struct test_device *device, uint64_t order, unsigned max)
{
    unsigned released = 0, rest = device->nheld;
    uint64_t random = order;

    while (rest && (!max || released < max)) {
        unsigned i = 0;

        if (order == 1) {
            i = rest - 1;
        } else if (order) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            i = (unsigned)(random >> 33) % rest;
        }
        if (!go_on(device, i))
            break;
        released++;
        rest--;
    }
    return released;
}

/* ---- The ops ---- */

static int perform(struct test_device *device, struct anyhv_req *req, const struct command *command)
{
    uint8_t bytes[8];
    int result;

    switch (command->op) {
    case TEST_PIN:
        return echo_pinned(req, command->seed);
    case TEST_FILL:
        return fill(req, command->seed, command->arg);
    case TEST_STATUS:
        return with_status(req, command->seed, command->arg);
    case TEST_SUM:
        return sum(req);
    case TEST_INFO:
        return answer_info(device, req);
    case TEST_SKIP:
        result = anyhv_req_skip(req, command->arg);
        return result == ANYHV_OK ? echo(req, command->seed) : result;
    case TEST_RELEASE:
        test_device_release(device, command->seed, command->arg);
        return ANYHV_OK;
    case TEST_EVENTS:
        raise_events(device, command->seed, command->arg);
        return ANYHV_OK;
    case TEST_CONFIG:
        put_le(bytes, command->seed, 8);
        return anyhv_config_set(device->dev, TEST_CONFIG_VALUE, bytes, 8);
    case TEST_REJECT:
        return (int)command->arg;
    default:
        return ANYHV_E_INVAL;
    }
}

static void handle(struct test_device *device, struct anyhv_req *req)
{
    uint8_t header[TEST_HEADER];
    struct command command;
    int result = anyhv_req_read(req, header, sizeof(header));

    if (result == ANYHV_E_NORES) {
        hold(device, req, (struct test_held){.short_of_memory = true, .unread = true});
        return;
    }
    if (result != ANYHV_OK) {
        anyhv_req_reject(req, result);
        return;
    }
    command = (struct command){
        .op = (uint32_t)get_le(header, 4),
        .arg = (uint32_t)get_le(header + 4, 4),
        .seed = get_le(header + 8, 8),
    };
    switch (command.op) {
    case TEST_ECHO:
        if (!finish(device, req, command.seed))
            hold(device, req, (struct test_held){.seed = command.seed, .short_of_memory = true});
        return;
    case TEST_HOLD:
    case TEST_HOLD_RETURNABLE:
        hold(device, req,
             (struct test_held){.seed = command.seed,
                                .returnable = command.op == TEST_HOLD_RETURNABLE});
        return;
    case TEST_FAIL:
        anyhv_req_done(req);
        anyhv_dev_needs_reset(device->dev);
        return;
    case TEST_PIN:
    case TEST_SKIP:
        device->info[TEST_INFO_TOTAL]++;
        break;
    default:
        break;
    }
    end(req, perform(device, req, &command));
}

static void test_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct test_device *device = device_of(dev);

    (void)queue;
    if (device->meanwhile)
        device->meanwhile(device->meanwhile_arg);
    device->info[TEST_INFO_REQUESTS]++;
    handle(device, req);
}

static bool test_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct test_device *device = device_of(dev);

    device->info[TEST_INFO_CANCELLED]++;
    for (unsigned i = 0; i < device->nheld; i++) {
        struct test_held held = device->held[i];

        if (anyhv_req_get(dev, held.handle) != req)
            continue;
        if ((held.returnable || held.unread) && returnable) {
            forget(device, i);
            return true;
        }
        go_on(device, i);
        return false;
    }
    return false;
}

/* Only what lacked memory is tried again; what the driver wants held stays held. */
static void test_retry(struct anyhv_dev *dev, unsigned queue)
{
    struct test_device *device = device_of(dev);
    unsigned i = 0;

    for (unsigned n = device->nheld; n; n--) {
        const struct test_held *held = &device->held[i];
        struct anyhv_req *req = anyhv_req_get(dev, held->handle);

        if (!held->short_of_memory || (req && anyhv_req_queue(req) != queue) || !go_on(device, i))
            i++;
    }
}

static void test_start(struct anyhv_dev *dev)
{
    device_of(dev)->info[TEST_INFO_STARTS]++;
}

static void test_stop(struct anyhv_dev *dev)
{
    device_of(dev)->info[TEST_INFO_STOPS]++;
    device_of(dev)->nheld = 0;
}

static void test_config_written(struct anyhv_dev *dev, unsigned off, unsigned len)
{
    struct test_device *device = device_of(dev);

    device->info[TEST_INFO_CONFIG_WRITES]++;
    device->info[TEST_INFO_CONFIG_OFF] = off;
    device->info[TEST_INFO_CONFIG_LEN] = len;
}

static size_t test_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    const struct test_device *device = device_of(dev);
    uint8_t *to = buf;

    if (cap >= SAVED) {
        put_le(to, SAVE_VERSION, 4);
        put_le(to + 4, device->info[TEST_INFO_EVENTS], 8);
        put_le(to + 12, device->info[TEST_INFO_TOTAL], 8);
        memcpy(to + 20, anyhv_config(dev) + TEST_CONFIG_VALUE, 8);
    }
    return SAVED;
}

static int test_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    struct test_device *device = device_of(dev);
    const uint8_t *from = buf;

    if (len < 4)
        return ANYHV_E_INVAL;
    if (get_le(from, 4) != SAVE_VERSION)
        return ANYHV_E_VERSION;
    if (len != SAVED)
        return ANYHV_E_INVAL;
    device->info[TEST_INFO_EVENTS] = get_le(from + 4, 8);
    device->info[TEST_INFO_TOTAL] = get_le(from + 12, 8);
    return anyhv_config_set(dev, TEST_CONFIG_VALUE, from + 20, 8);
}

#define MAGIC_BYTES 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80

#define CONFIG(variant)                                                                       \
    {                                                                                         \
        MAGIC_BYTES, [TEST_CONFIG_VARIANT] = (variant), [TEST_CONFIG_OPTIONAL] = MAGIC_BYTES, \
    }

static const uint8_t initial_config[TEST_VARIANTS][TEST_CONFIG_LEN] = {
    [TEST_PLAIN] = CONFIG(TEST_PLAIN),
    [TEST_ORDERED] = CONFIG(TEST_ORDERED),
    [TEST_LARGE] = CONFIG(TEST_LARGE),
};

#define TEST_OPS(variant, entries, in_order)                                                  \
    {                                                                                         \
        .name = "test", .id = TEST_DEVICE_ID, .queues = TEST_QUEUES, .max_size = (entries),   \
        .features = TEST_F_LOW | TEST_F_HIGH, .ordered = (in_order),                          \
        .pull_queues = 1u << TEST_QUEUE_EVENT, .config = initial_config[variant],             \
        .config_len = TEST_CONFIG_LEN, .config_w_off = TEST_CONFIG_DRIVER,                    \
        .config_w_len = TEST_CONFIG_DRIVER_LEN, .request = test_request, .retry = test_retry, \
        .start = test_start, .stop = test_stop, .cancel = test_cancel,                        \
        .config_written = test_config_written, .save = test_save, .load = test_load,          \
    }

const struct anyhv_device_ops test_device_ops[TEST_VARIANTS] = {
    [TEST_PLAIN] = TEST_OPS(TEST_PLAIN, TEST_QUEUE_SIZE, false),
    [TEST_ORDERED] = TEST_OPS(TEST_ORDERED, TEST_QUEUE_SIZE, true),
    [TEST_LARGE] = TEST_OPS(TEST_LARGE, ANYHV_QUEUE_SIZE_MAX, false),
};

void test_device_init(struct test_device *device, struct anyhv_dev *dev)
{
    device->dev = dev;
}

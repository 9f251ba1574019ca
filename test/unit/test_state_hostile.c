/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States that somebody tampered with, in both forms, and attachments that make no sense. Whatever
 * the bytes say: they are refused and nothing has changed, or the device runs within guest memory.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 48,
    QUEUE = 32,
    SAVED = HEADER + BENCH_QUEUES * QUEUE + BENCH_CONFIG + BENCH_SAVED
};

/* A device that ran a little, saved; its memory and its state block as they were then. */
struct before {
    uint8_t saved[SAVED], block[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];
    uint8_t fresh[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];
    uint8_t ram[BENCH_RAM];
};

static struct before *ran(struct bench *b, uint64_t features)
{
    struct before *before = malloc(sizeof(*before));
    size_t len;

    b->on_request = bench_answer;
    bench_up(b, &(struct bench_options){.size = 8, .features = features});
    for (unsigned i = 0; i < 11; i++) {
        bench_put(b, i % 2, 8, 8);
        bench_kick(b, i % 2);
        drv_ring_get(&b->ring[i % 2], &(struct drv_used){0});
    }
    bench_put(b, 0, 8, 8); /* not yet taken */
    assert_int_equal(anyhv_dev_save(b->dev, before->saved, SAVED, &len), ANYHV_OK);
    memcpy(before->block, b->state, b->state_size);
    memcpy(before->ram, b->ram, BENCH_RAM);
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    memcpy(before->fresh, b->state, b->state_size);
    return before;
}

static bool is_refusal(int rc)
{
    return rc == ANYHV_E_VERSION || rc == ANYHV_E_INVAL || rc == ANYHV_E_STATE ||
           rc == ANYHV_E_BADADDR || rc == ANYHV_E_PERM;
}

/* Bounded: a used ring that lies in an available ring may feed itself. */
static void let_it_run(struct bench *b)
{
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned queue = 0; queue < BENCH_QUEUES; queue++)
            anyhv_ctl_kick(b->dev, queue);
        anyhv_dev_run(b->dev, 64);
    }
    b->trace[0] = '\0';
}

/* @len bytes, exactly as many as there are, into a device that is fresh before and after. */
static int try_to_load(struct bench *b, const struct before *before, const uint8_t *bytes,
                       size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    int rc;

    memcpy(exact, bytes, len);
    rc = anyhv_dev_load(b->dev, exact, len, true);
    free(exact);
    if (rc) {
        assert_true(is_refusal(rc));
        assert_memory_equal(b->state, before->fresh, b->state_size);
        for (unsigned i = 0; i < BENCH_QUEUES; i++)
            assert_false(anyhv_ctl_queue_started(b->dev, i));
    } else {
        let_it_run(b);
        memcpy(b->ram, before->ram, BENCH_RAM);
    }
    anyhv_ctl_set_status(b->dev, 0);
    b->dev->state->generation = 0; /* which no reset does */
    b->trace[0] = '\0';
    return rc;
}

/* What a change of byte @at must lead to; 1: that depends. */
static int must_be(unsigned at)
{
    unsigned field = at < HEADER ? at : HEADER + (at - HEADER) % QUEUE;

    if (at >= HEADER + BENCH_QUEUES * QUEUE)
        return 1;
    if (field < 12)
        return ANYHV_E_VERSION;
    if (field < 16 || field == 18 || field == 19)
        return ANYHV_E_INVAL;
    if (field >= HEADER + 26 && field < HEADER + 30) /* positions apart: in work */
        return ANYHV_E_STATE;
    return 1;
}

static void every_byte_of_a_saved_state(struct bench *b, uint64_t features)
{
    struct before *before = ran(b, features);
    unsigned accepted = 0;
    uint8_t bytes[SAVED];

    for (unsigned at = 0; at < SAVED; at++) {
        for (unsigned bit = 0; bit < 9; bit++) { /* each, and all of them */
            int rc, must = must_be(at);

            memcpy(bytes, before->saved, SAVED);
            bytes[at] ^= (uint8_t)(bit == 8 ? 0xff : 1u << bit);
            rc = try_to_load(b, before, bytes, SAVED);
            if (must != 1)
                assert_int_equal(rc, must);
            accepted += rc == ANYHV_OK;
        }
    }
    assert_true(accepted > 0 && accepted < SAVED * 9);
    assert_int_equal(try_to_load(b, before, before->saved, SAVED), ANYHV_OK);
    free(before);
}

static void every_byte_of_a_saved_split_state(void **state)
{
    every_byte_of_a_saved_state(*state, DRV_F_EVENT_IDX);
}

static void every_byte_of_a_saved_packed_state(void **state)
{
    every_byte_of_a_saved_state(*state, DRV_F_PACKED);
}

static void single_bits_that_make_no_sense(void **state)
{
    static const struct {
        uint8_t at, flip;
        int rc;
    } cases[] = {
        {16, ANYHV_S_SUSPEND, ANYHV_E_INVAL},     /* not a state we can be in */
        {16, 0x20, ANYHV_E_INVAL},                /* no such bit */
        {16, ANYHV_S_FEATURES_OK, ANYHV_E_INVAL}, /* DRIVER_OK without it */
        {16, ANYHV_S_FAILED, ANYHV_OK},
        {17, 4, ANYHV_E_INVAL},
        {17, 3, ANYHV_OK},
        {28, 1, ANYHV_E_INVAL}, /* VERSION_1 away */
        {24, 1, ANYHV_E_INVAL}, /* a feature that is not offered */
        {24, 0x20, ANYHV_OK},   /* one that is */
        {30, 0x80, ANYHV_OK},
        {HEADER + 0, 1, ANYHV_E_INVAL}, /* alignment */
        {HEADER + 8, 1, ANYHV_E_INVAL},
        {HEADER + 16, 2, ANYHV_E_INVAL},
        {HEADER + 7, 1, ANYHV_E_BADADDR},
        {HEADER + 24, 1, ANYHV_E_INVAL}, /* size 9 */
        {HEADER + 24, 8, ANYHV_E_INVAL}, /* size 0 */
        {HEADER + 25, 1, ANYHV_E_INVAL}, /* size 264 */
        {HEADER + 30, 2, ANYHV_E_INVAL}, /* enabled: 3 */
        {HEADER + 31, 4, ANYHV_E_INVAL}, /* wraps: no such bit */
        {HEADER + 31, 3, ANYHV_OK},      /* a split ring has none */
        {HEADER + 30, 1, ANYHV_OK},      /* not running is a state too */
    };
    struct bench *b = *state;
    struct before *before = ran(b, DRV_F_EVENT_IDX);

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[SAVED];
        int rc;

        memcpy(bytes, before->saved, SAVED);
        bytes[cases[i].at] ^= cases[i].flip;
        rc = try_to_load(b, before, bytes, SAVED);
        if (rc != cases[i].rc)
            fail_msg("byte %u ^ 0x%x: %d", cases[i].at, cases[i].flip, rc);
    }
    free(before);
}

static void a_saved_state_of_any_other_length(void **state)
{
    struct bench *b = *state;
    struct before *before = ran(b, 0);
    uint8_t bytes[SAVED + 64] = {0};

    memcpy(bytes, before->saved, SAVED);
    for (unsigned len = 0; len < sizeof(bytes); len++) {
        int rc = try_to_load(b, before, bytes, len);

        if (len == SAVED)
            assert_int_equal(rc, ANYHV_OK);
        else
            assert_int_equal(rc, len < HEADER ? ANYHV_E_VERSION : ANYHV_E_INVAL);
    }
    for (unsigned len = HEADER; len < sizeof(bytes); len++) { /* and it says so itself */
        bytes[12] = (uint8_t)len;
        bytes[13] = (uint8_t)(len >> 8);
        if (len == SAVED - BENCH_SAVED || len == SAVED - BENCH_SAVED + 1) /* no version in it */
            assert_int_equal(try_to_load(b, before, bytes, len), ANYHV_E_VERSION);
        else
            assert_int_equal(try_to_load(b, before, bytes, len),
                             len == SAVED ? ANYHV_OK : ANYHV_E_INVAL);
    }
    free(before);
}

static uint64_t seed;

static uint32_t random32(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33);
}

/* Several bytes at once, behind the part that is only compared. */
static void random_changes_of_a_saved_state(void **state)
{
    struct bench *b = *state;
    struct before *before = ran(b, DRV_F_EVENT_IDX);

    for (seed = 1; seed <= 1000;) {
        uint64_t next = seed + 1;
        uint8_t bytes[SAVED];

        memcpy(bytes, before->saved, SAVED);
        for (unsigned i = 0; i < 1 + random32() % 4; i++)
            bytes[16 + random32() % (SAVED - 16)] = (uint8_t)random32();
        try_to_load(b, before, bytes, SAVED);
        seed = next;
    }
    free(before);
}

/* ---- the live form ---- */

static int try_to_resume(struct bench *b, const struct before *before)
{
    int rc;

    bench_detach(b);
    rc = bench_reattach(b, true);
    if (rc) {
        assert_true(is_refusal(rc));
        assert_null(b->lb.mem.devs);
        assert_int_equal(b->lb.mem.pins, 0);
    } else {
        let_it_run(b);
        bench_detach(b);
        memcpy(b->ram, before->ram, BENCH_RAM);
    }
    b->trace[0] = '\0';
    return rc;
}

static void every_byte_of_a_state_block(struct bench *b, uint64_t features)
{
    struct before *before = ran(b, features);
    uint8_t *block = b->state;
    unsigned accepted = 0;

    bench_detach(b);
    for (unsigned at = 0; at < b->state_size; at++) {
        for (unsigned bit = 0; bit < 9; bit++) {
            memcpy(block, before->block, b->state_size);
            block[at] ^= (uint8_t)(bit == 8 ? 0xff : 1u << bit);
            if (at < 18) { /* magic, version, size, device, queues, config_len */
                assert_int_equal(try_to_resume(b, before), ANYHV_E_VERSION);
                assert_int_equal(block[at] ^ before->block[at], bit == 8 ? 0xff : 1u << bit);
            } else {
                accepted += try_to_resume(b, before) == ANYHV_OK;
            }
        }
    }
    assert_true(accepted > 0);
    memcpy(block, before->block, b->state_size);
    assert_int_equal(try_to_resume(b, before), ANYHV_OK);
    free(before);
}

static void every_byte_of_a_split_state_block(void **state)
{
    every_byte_of_a_state_block(*state, DRV_F_EVENT_IDX);
}

static void every_byte_of_a_packed_state_block(void **state)
{
    every_byte_of_a_state_block(*state, DRV_F_PACKED);
}

/* Another device type, or another build of it. */
static void a_block_of_another_shape_is_refused(void **state)
{
    struct bench *b = *state;
    struct before *before = ran(b, 0);

    bench_detach(b);
    for (unsigned i = 0; i < 4; i++) {
        struct anyhv_device_ops ops = b->ops;

        memcpy(b->state, before->block, b->state_size);
        if (i == 0)
            b->ops.id++;
        if (i == 1)
            b->ops.queues = 1;
        if (i == 2)
            b->ops.config_len = BENCH_CONFIG - 1;
        assert_int_equal(bench_reattach(b, true), i < 3 ? ANYHV_E_VERSION : ANYHV_OK);
        b->ops = ops;
    }
    free(before);
}

/* Configuration bytes that are not the driver's come from the device and nowhere else. */
static void a_block_cannot_change_what_the_driver_may_not(void **state)
{
    struct bench *b = *state;
    struct before *before = ran(b, 0);

    memcpy(b->state, before->block, b->state_size);
    memset((uint8_t *)b->state + b->state_size - BENCH_CONFIG, 0xbb, BENCH_CONFIG);
    assert_int_equal(bench_reattach(b, true), ANYHV_OK);
    for (unsigned i = 0; i < BENCH_CONFIG; i++)
        assert_int_equal(anyhv_config(b->dev)[i],
                         i - BENCH_CONFIG_W < BENCH_CONFIG_W_LEN ? 0xbb : 0x10 + i);
    free(before);
}

/* A block in which a feature stands that is withheld now. */
static void a_block_that_promises_too_much_is_refused(void **state)
{
    struct bench *b = *state;
    struct before *before = ran(b, DRV_F_EVENT_IDX);

    memcpy(b->state, before->block, b->state_size);
    b->options.withhold = DRV_F_EVENT_IDX;
    assert_int_equal(bench_reattach(b, true), ANYHV_E_INVAL);
    b->options.withhold = 0;
    assert_int_equal(bench_reattach(b, true), ANYHV_OK);
    free(before);
}

/* ---- attach ---- */

static struct anyhv_attach attachment(struct bench *b)
{
    return (struct anyhv_attach){.ops = &b->ops,
                                 .priv = b,
                                 .mem = &b->lb.mem,
                                 .port = b->real_port,
                                 .port_priv = &b->lb,
                                 .storage = b->storage,
                                 .storage_size = b->storage_size,
                                 .state = b->state,
                                 .state_size = b->state_size};
}

static int attach(struct bench *b, const struct anyhv_attach *how)
{
    struct anyhv_dev dev;
    int rc = anyhv_dev_attach(&dev, how);

    if (rc == ANYHV_OK)
        anyhv_dev_detach(&dev);
    assert_null(b->lb.mem.devs);
    return rc;
}

static void an_attachment_lacks_something(void **state)
{
    struct bench *b = *state;
    struct anyhv_port_ops port;
    struct anyhv_attach how;

    bench_attach(b, NULL);
    bench_detach(b);
    for (unsigned i = 0; i < 12; i++) {
        how = attachment(b);
        port = *b->real_port;
        how.port = &port;
        switch (i) {
        case 0:
            how.ops = NULL;
            break;
        case 1:
            how.mem = NULL;
            break;
        case 2:
            how.port = NULL;
            break;
        case 3:
            how.storage = NULL;
            break;
        case 4:
            how.state = NULL;
            break;
        case 5:
            port.notify = NULL;
            break;
        case 6:
            port.work = NULL;
            break;
        case 7:
            how.state = (uint8_t *)b->state + 4;
            break;
        case 8:
            how.storage_size--;
            break;
        case 9:
            how.state_size--;
            break;
        case 10:
            how.limits.requests = 33;
            break;
        case 11:
            break;
        }
        assert_int_equal(attach(b, &how), i < 8    ? ANYHV_E_INVAL
                                          : i < 11 ? ANYHV_E_NORES
                                                   : ANYHV_OK);
    }
}

static void a_device_table_makes_no_sense(void **state)
{
    struct bench *b = *state;
    struct anyhv_device_ops good = b->ops;
    struct anyhv_attach how;

    bench_attach(b, NULL);
    bench_detach(b);
    how = attachment(b);
    for (unsigned i = 0; i < 12; i++) {
        b->ops = good;
        switch (i) {
        case 0:
            b->ops.id = 0;
            break;
        case 1:
            b->ops.queues = 0;
            break;
        case 2:
            b->ops.max_size = 48;
            break;
        case 3:
            b->ops.max_size = 0xffff;
            break;
        case 4:
            b->ops.request = NULL;
            break;
        case 5:
            b->ops.config_w_off = BENCH_CONFIG;
            break;
        case 6:
            b->ops.config_w_len = BENCH_CONFIG;
            break;
        case 7:
            b->ops.config_w_off = b->ops.config_w_len = 0xffff;
            break;
        case 8:
            b->ops.save = NULL;
            break;
        case 9:
            b->ops.load = NULL;
            break;
        case 10:
            b->ops.request = NULL;
            b->ops.pull_queues = 1;
            break;
        case 11:
            b->ops.request = NULL;
            b->ops.pull_queues = 3;
            break;
        }
        assert_int_equal(attach(b, &how), i < 11 ? ANYHV_E_INVAL : ANYHV_OK);
    }
    b->ops = good;
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(every_byte_of_a_saved_split_state),
    BENCH_TEST(every_byte_of_a_saved_packed_state),
    BENCH_TEST(single_bits_that_make_no_sense),
    BENCH_TEST(a_saved_state_of_any_other_length),
    BENCH_TEST(random_changes_of_a_saved_state),
    BENCH_TEST(every_byte_of_a_split_state_block),
    BENCH_TEST(every_byte_of_a_packed_state_block),
    BENCH_TEST(a_block_of_another_shape_is_refused),
    BENCH_TEST(a_block_cannot_change_what_the_driver_may_not),
    BENCH_TEST(a_block_that_promises_too_much_is_refused),
    BENCH_TEST(an_attachment_lacks_something),
    BENCH_TEST(a_device_table_makes_no_sense),
};

ANYHV_TEST_MAIN("state_hostile", tests)

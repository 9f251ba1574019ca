/* SPDX-License-Identifier: Apache-2.0 */
/* A device is saved, loaded, resumed: what survives, what is refused, and what the bytes are. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 48,
    QUEUE = 32,
    SAVED = HEADER + BENCH_QUEUES * QUEUE + BENCH_CONFIG + BENCH_SAVED
};

static void save(struct bench *b, uint8_t *bytes)
{
    size_t len = 0;

    assert_int_equal(anyhv_dev_save(b->dev, bytes, SAVED, &len), ANYHV_OK);
    assert_int_equal(len, SAVED);
}

/* Saved, destroyed, made anew, loaded. */
static void migrate(struct bench *b)
{
    uint8_t *bytes = malloc(SAVED); /* exactly, so that a byte too many is noticed */

    save(b, bytes);
    memset(b->state, 0xff, b->state_size);
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    b->trace[0] = '\0';
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_OK);
    free(bytes);
}

static void crash(struct bench *b)
{
    bench_detach(b);
    b->trace[0] = '\0';
    assert_int_equal(bench_reattach(b, true), ANYHV_OK);
}

/* Some requests before, and some after: the driver notices nothing. */
static void goes_on(struct bench *b, const struct bench_options *options,
                    void (*change)(struct bench *))
{
    const char *told = change == migrate ? "config:8+8 changed:0 changed:1 start "
                                         : "config:8+8 start "; /* its port is not watched yet */

    b->on_request = bench_echo;
    bench_up(b, options);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i <= round % 5; i++) {
            uint64_t token = bench_put(b, 0, 5, 9);

            bench_kick(b, 0);
            bench_expect(b, 0, token, 5);
        }
        bench_put(b, 1, 5, 9); /* not even looked at yet */
        change(b);
        bench_expect_trace(b, told);
        assert_int_equal(anyhv_ctl_status(b->dev), 15);
        assert_int_equal(anyhv_dev_features(b->dev), options->features | ANYHV_F_VERSION_1);
        for (unsigned i = 0; i < BENCH_QUEUES; i++)
            assert_true(anyhv_ctl_queue_started(b->dev, i));
        bench_run(b);
        /* An interrupt may be owed from before: everyone is told once. */
        assert_non_null(strstr(b->trace, "notify:config "));
        assert_non_null(strstr(b->trace, "notify:0 "));
        assert_non_null(strstr(b->trace, "notify:1 "));
        assert_true(drv_ring_get(&b->ring[1], &(struct drv_used){0}));
        b->trace[0] = '\0';
        bench_kick(b, 0);
        bench_expect_trace(b, ""); /* once */
    }
    assert_int_equal(b->ring[0].fault, DRV_FAULT_NONE);
}

static const struct bench_options split = {.size = 8};
static const struct bench_options split_event = {.size = 8, .features = DRV_F_EVENT_IDX};
static const struct bench_options packed = {.size = 7, .features = DRV_F_PACKED};
static const struct bench_options packed_event = {.size = 7,
                                                  .features = DRV_F_PACKED | DRV_F_EVENT_IDX};

#define GOES_ON(name, options, change)     \
    static void name(void **state)         \
    {                                      \
        goes_on(*state, &options, change); \
    }

GOES_ON(a_split_device_migrates, split, migrate)
GOES_ON(a_split_event_device_migrates, split_event, migrate)
GOES_ON(a_packed_device_migrates, packed, migrate)
GOES_ON(a_packed_event_device_migrates, packed_event, migrate)
GOES_ON(a_split_device_resumes_in_place, split_event, crash)
GOES_ON(a_packed_device_resumes_in_place, packed_event, crash)

static uint64_t word(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

/* The format is a promise to other builds and other machines. */
static void the_saved_bytes_are_as_documented(void **state)
{
    static const uint8_t magic_version_id[] = {0x41, 0x48, 0x56, 0x53, 1, 0, BENCH_ID, 0};
    struct bench *b = *state;
    uint8_t bytes[SAVED], *q = bytes + HEADER;

    bench_up(b, &(struct bench_options){.features = DRV_F_PACKED, .size = 5});
    for (unsigned i = 0; i < 7; i++) {
        anyhv_req_done(bench_held(b, 8, 8));
        bench_run(b);
        drv_ring_get(&b->ring[0], &(struct drv_used){0});
    }
    b->value = 0x123;
    b->dev->state->interrupt_status = 3;
    b->dev->state->generation = 0x01020304;
    b->dev->state->device_features_sel = 0x11121314;
    b->dev->state->driver_features_sel = 0x21222324;
    b->dev->state->queue_sel = 0x31323334;
    b->dev->state->shm_sel = 0x41424344;
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "driver's", 8), ANYHV_OK);
    save(b, bytes);
    assert_memory_equal(bytes, magic_version_id, sizeof(magic_version_id));
    assert_int_equal(word(bytes + 8, 2), BENCH_QUEUES);
    assert_int_equal(word(bytes + 10, 2), BENCH_CONFIG);
    assert_int_equal(word(bytes + 12, 4), SAVED);
    assert_int_equal(bytes[16], 15);
    assert_int_equal(bytes[17], 3);
    assert_int_equal(word(bytes + 18, 2), 0);
    assert_int_equal(word(bytes + 20, 4), 0x01020304);
    assert_int_equal(word(bytes + 24, 8), ANYHV_F_VERSION_1 | DRV_F_PACKED);
    assert_int_equal(word(bytes + 32, 4), 0x11121314);
    assert_int_equal(word(bytes + 36, 4), 0x21222324);
    assert_int_equal(word(bytes + 40, 4), 0x31323334);
    assert_int_equal(word(bytes + 44, 4), 0x41424344);
    assert_int_equal(word(q, 8), b->ring[0].desc);
    assert_int_equal(word(q + 8, 8), b->ring[0].driver);
    assert_int_equal(word(q + 16, 8), b->ring[0].device);
    assert_int_equal(word(q + 24, 2), 5);
    assert_int_equal(word(q + 26, 2), 4); /* seven chains of two slots: the third lap */
    assert_int_equal(word(q + 28, 2), 4);
    assert_int_equal(q[30], 1);
    assert_int_equal(q[31], 3);
    assert_int_equal(word(q + QUEUE + 26, 2), 0); /* the other one is where it began */
    assert_int_equal(q[QUEUE + 31], 3);
    q += 2 * QUEUE;
    assert_int_equal(q[0], 0x10);
    assert_memory_equal(q + BENCH_CONFIG_W, "driver's", 8);
    assert_int_equal(q[BENCH_CONFIG - 1], 0x27);
    assert_memory_equal(q + BENCH_CONFIG, "\1\0\x23\1\0\0", BENCH_SAVED);
}

static void everything_is_there_after_a_load(void **state)
{
    struct bench *b = *state;
    struct anyhv_state *st;

    bench_up(b, &split);
    b->value = 77;
    assert_int_equal(anyhv_ctl_config_write(b->dev, BENCH_CONFIG_W, "driver's", 8), ANYHV_OK);
    st = b->dev->state;
    st->generation = 9;
    st->queue_sel = 1;
    st->shm_sel = 2;
    st->device_features_sel = 3;
    st->driver_features_sel = 4;
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0)
            migrate(b);
        else
            crash(b);
        st = b->dev->state;
        assert_int_equal(b->value, 77);
        assert_memory_equal(anyhv_config(b->dev) + BENCH_CONFIG_W, "driver's", 8);
        assert_int_equal(anyhv_config(b->dev)[0], 0x10);
        assert_int_equal(anyhv_ctl_generation(b->dev), 9);
        assert_int_equal(st->queue_sel, 1);
        assert_int_equal(st->shm_sel, 2);
        assert_int_equal(st->device_features_sel, 3);
        assert_int_equal(st->driver_features_sel, 4);
        bench_run(b);
    }
}

/* Between two register writes, or before anything: what is half made stays half made. */
static void a_set_up_under_way_survives(void **state)
{
    struct bench *b = *state;

    bench_attach(b, &split);
    anyhv_ctl_set_status(b->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER);
    anyhv_ctl_set_features(b->dev, UINT64_C(0x123456789));
    b->dev->state->queue[1].desc = 0x1234;
    b->dev->state->queue[1].size = 99;
    migrate(b);
    crash(b);
    bench_run(b);
    bench_expect_trace(b, "config:8+8 ");
    assert_int_equal(anyhv_ctl_status(b->dev), 3);
    assert_int_equal(b->dev->state->driver_features, UINT64_C(0x123456789));
    assert_int_equal(b->dev->state->queue[1].desc, 0x1234);
    assert_int_equal(b->dev->state->queue[1].size, 99);
    assert_false(anyhv_ctl_queue_started(b->dev, 1));
}

static void a_queue_that_was_stopped_stays_so(void **state)
{
    struct bench *b = *state;
    uint32_t base;

    bench_up(b, &split);
    anyhv_req_done(bench_held(b, 8, 0));
    bench_run(b);
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    migrate(b);
    crash(b);
    assert_false(anyhv_ctl_queue_started(b->dev, 0));
    assert_true(anyhv_ctl_queue_started(b->dev, 1));
    assert_int_equal(anyhv_ctl_queue_stop(b->dev, 0, true, &base), ANYHV_OK);
    assert_int_equal(base, 1);
}

static void with_requests_in_work_nothing_is_saved_or_resumed(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];
    size_t len = 5;

    bench_up(b, &split);
    bench_held(b, 8, 8);
    assert_int_equal(anyhv_dev_save(b->dev, bytes, SAVED, &len), ANYHV_E_STATE);
    anyhv_req_done(bench_req(b, 0)); /* not published is in work too */
    assert_int_equal(anyhv_dev_save(b->dev, bytes, SAVED, &len), ANYHV_E_STATE);
    assert_int_equal(bench_reattach(b, true), ANYHV_E_STATE);
    assert_null(b->lb.mem.devs);
    assert_int_equal(bench_reattach(b, true), ANYHV_E_STATE); /* as often as it is tried */
}

static void a_buffer_that_is_too_small_is_told_its_size(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];
    size_t len;

    bench_up(b, &split);
    for (size_t cap = 0; cap < SAVED; cap++) {
        len = 0;
        memset(bytes, 0xee, sizeof(bytes));
        assert_int_equal(anyhv_dev_save(b->dev, bytes, cap, &len), ANYHV_E_NORES);
        assert_int_equal(len, SAVED);
        assert_int_equal(bytes[cap], 0xee);
    }
    assert_int_equal(anyhv_dev_save(b->dev, NULL, 0, &len), ANYHV_E_NORES);
}

static void only_a_fresh_device_can_be_loaded(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];

    bench_up(b, &split);
    save(b, bytes);
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_E_STATE);
    assert_true(anyhv_ctl_queue_started(b->dev, 0)); /* and it runs on */
    anyhv_ctl_set_status(b->dev, 0);
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_OK);
}

/* For whoever sets up the queues by other means: vhost-user does. */
static void a_load_can_leave_the_queues_alone(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];

    bench_up(b, &split);
    for (unsigned i = 0; i < 3; i++)
        anyhv_req_done(bench_held(b, 8, 0));
    bench_run(b);
    save(b, bytes);
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, false), ANYHV_OK);
    assert_int_equal(anyhv_ctl_status(b->dev), 15);
    b->handles = 0;
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        uint32_t base;

        assert_false(anyhv_ctl_queue_started(b->dev, i));
        assert_int_equal(b->dev->state->queue[i].desc, b->ring[i].desc);
        assert_int_equal(anyhv_ctl_queue_stop(b->dev, i, true, &base), ANYHV_OK);
        assert_int_equal(base, i == 0 ? 3 : 0); /* where it would go on */
        assert_int_equal(bench_start(b, i, base), ANYHV_OK);
    }
    bench_run(b);
    bench_held(b, 8, 0);
}

static void a_device_that_wants_a_reset_still_does(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        if (i == 0)
            bench_up(b, &split);
        else
            bench_up_again(b);
        anyhv_dev_needs_reset(b->dev);
        if (i == 0)
            migrate(b);
        else
            crash(b);
        assert_true(anyhv_ctl_status(b->dev) & ANYHV_S_NEEDS_RESET);
        for (unsigned k = 0; k < BENCH_QUEUES; k++)
            assert_false(anyhv_ctl_queue_started(b->dev, k));
        bench_put(b, 0, 8, 8);
        anyhv_ctl_kick(b->dev, 0);
        bench_run(b);
        assert_int_equal(b->handles, 0);
        assert_non_null(strstr(b->trace, "notify:config ")); /* and says so again */
        assert_null(strstr(b->trace, "start"));
        assert_null(strstr(b->trace, "changed"));
        b->trace[0] = '\0';
    }
    bench_up_again(b); /* and can have it */
    bench_held(b, 8, 8);
}

/* ---- what goes wrong ---- */

static void a_failed_load_leaves_a_fresh_device(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED], fresh[SAVED];
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    bench_up(b, &split);
    b->value = 5;
    save(b, bytes);
    memset(bytes + HEADER + 2 * QUEUE, 0xbb, BENCH_CONFIG);
    bytes[HEADER + QUEUE + 24] = 3; /* the second queue's size: the first one runs by then */
    bytes[20] = 200;
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    memcpy(before, b->state, b->state_size);
    b->trace[0] = '\0';
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_E_INVAL);
    assert_memory_equal(b->state, before, b->state_size);
    bench_run(b);
    /* No start; but what the device has loaded is void. */
    bench_expect_trace(b, "config:8+8 changed:0 stop changed:0 reset ");
    assert_int_equal(b->lb.seen.interrupts, 0);
    save(b, fresh);
    assert_int_equal(fresh[16], 0);
    bench_up_again(b);
    bench_held(b, 8, 8);
}

static void a_device_that_refuses_its_part_refuses_all(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED + 1];

    bench_up(b, &split);
    save(b, bytes);
    anyhv_ctl_set_status(b->dev, 0);
    bytes[SAVED - BENCH_SAVED] = 2;
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_E_VERSION);
    bytes[SAVED - BENCH_SAVED] = 1;
    bytes[SAVED - 1] = 1; /* a value that is too large */
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_E_INVAL);
    bytes[SAVED - 1] = 0;
    bytes[12]++; /* one byte more than it has */
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED + 1, true), ANYHV_E_INVAL);
    bytes[12]--;
    assert_int_equal(anyhv_ctl_status(b->dev), 0);
    assert_false(anyhv_ctl_queue_started(b->dev, 0));
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_OK);
}

static void a_device_without_a_part_takes_none(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];
    size_t len;

    b->ops.save = NULL;
    b->ops.load = NULL;
    bench_up(b, &split);
    assert_int_equal(anyhv_dev_save(b->dev, bytes, SAVED, &len), ANYHV_OK);
    assert_int_equal(len, SAVED - BENCH_SAVED);
    anyhv_ctl_set_status(b->dev, 0);
    bytes[12]++;
    assert_int_equal(anyhv_dev_load(b->dev, bytes, len + 1, true), ANYHV_E_INVAL);
    bytes[12]--;
    assert_int_equal(anyhv_dev_load(b->dev, bytes, len, true), ANYHV_OK);
}

/* A successor that comes before the memory does may try again. */
static void a_resume_that_fails_spoils_nothing(void **state)
{
    struct bench *b = *state;
    struct anyhv_region keep;
    uint8_t before[ANYHV_STATE_SIZE(BENCH_QUEUES, BENCH_CONFIG)];

    bench_up(b, &split);
    anyhv_req_done(bench_held(b, 8, 0));
    bench_run(b);
    bench_detach(b);
    memcpy(before, b->state, b->state_size);
    /* The rings are at the start of RAM: without it, attach by hand. */
    keep = (struct anyhv_region){BENCH_BASE, BENCH_RAM, b->ram, ANYHV_R | ANYHV_W};
    for (unsigned i = 0; i < 2; i++) {
        struct anyhv_attach how = {.ops = &b->ops,
                                   .priv = b,
                                   .mem = &b->lb.mem,
                                   .port = b->real_port,
                                   .port_priv = &b->lb,
                                   .storage = b->storage,
                                   .storage_size = b->storage_size,
                                   .state = b->state,
                                   .state_size = b->state_size,
                                   .resume = true};

        assert_int_equal(anyhv_mem_replace(&b->lb.mem, &keep, i), ANYHV_OK);
        assert_int_equal(anyhv_dev_attach(b->dev, &how), i ? ANYHV_OK : ANYHV_E_BADADDR);
        assert_memory_equal(b->state, before, b->state_size);
    }
    assert_true(anyhv_ctl_queue_started(b->dev, 0));
    anyhv_dev_detach(b->dev);
}

/* What the device says of itself in its configuration is its own business, before and after. */
static void a_load_keeps_the_devices_configuration(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SAVED];

    bench_up(b, &split);
    save(b, bytes);
    memset(bytes + HEADER + 2 * QUEUE, 0xbb, BENCH_CONFIG);
    assert_int_equal(bench_reattach(b, false), ANYHV_OK);
    assert_int_equal(anyhv_config_set(b->dev, 0, "size", 4), ANYHV_OK); /* as it is on this host */
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_OK);
    assert_int_equal(anyhv_config(b->dev)[BENCH_CONFIG_W], 0xbb);
    assert_int_equal(anyhv_config(b->dev)[BENCH_CONFIG_W + BENCH_CONFIG_W_LEN], 0x20);
    assert_memory_equal(anyhv_config(b->dev), "size", 4);
    assert_int_equal(anyhv_config(b->dev)[4], 0x14);
    bytes[HEADER + QUEUE + 24] = 3; /* also when it fails */
    anyhv_ctl_set_status(b->dev, 0);
    assert_int_equal(anyhv_dev_load(b->dev, bytes, SAVED, true), ANYHV_E_INVAL);
    assert_memory_equal(anyhv_config(b->dev), "size", 4);
    assert_int_equal(anyhv_config(b->dev)[BENCH_CONFIG_W], 0x18);
}

static const struct CMUnitTest tests[] = {
    BENCH_TEST(a_split_device_migrates),
    BENCH_TEST(a_split_event_device_migrates),
    BENCH_TEST(a_packed_device_migrates),
    BENCH_TEST(a_packed_event_device_migrates),
    BENCH_TEST(a_split_device_resumes_in_place),
    BENCH_TEST(a_packed_device_resumes_in_place),
    BENCH_TEST(the_saved_bytes_are_as_documented),
    BENCH_TEST(everything_is_there_after_a_load),
    BENCH_TEST(a_set_up_under_way_survives),
    BENCH_TEST(a_queue_that_was_stopped_stays_so),
    BENCH_TEST(with_requests_in_work_nothing_is_saved_or_resumed),
    BENCH_TEST(a_buffer_that_is_too_small_is_told_its_size),
    BENCH_TEST(only_a_fresh_device_can_be_loaded),
    BENCH_TEST(a_load_can_leave_the_queues_alone),
    BENCH_TEST(a_device_that_wants_a_reset_still_does),
    BENCH_TEST(a_failed_load_leaves_a_fresh_device),
    BENCH_TEST(a_device_that_refuses_its_part_refuses_all),
    BENCH_TEST(a_device_without_a_part_takes_none),
    BENCH_TEST(a_resume_that_fails_spoils_nothing),
    BENCH_TEST(a_load_keeps_the_devices_configuration),
};

ANYHV_TEST_MAIN("state", tests)

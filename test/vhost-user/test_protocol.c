/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiation, status, configuration, connections: every request on its good path. */
#include "vhost-user/harness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- negotiation ---- */

TEST(offers)
{
    uint64_t value;

    OK(fe_get(&h->fe, FE_GET_FEATURES, &value));
    assert_true(value & FE_F_PROTOCOL_FEATURES);
    assert_true(value & DRV_F_VERSION_1);
    assert_true(value & DRV_F_PACKED);
    assert_true(value & DRV_F_INDIRECT);
    assert_false(value & (DRV_F(33) | DRV_F_NOTIFICATION_DATA | DRV_F_RING_RESET | DRV_F_SUSPEND));
    OK(fe_get(&h->fe, FE_GET_PROTOCOL_FEATURES, &value));
    assert_int_equal(value, 0x9b22b);
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &value));
    assert_true(value & DRV_F_SUSPEND); /* it is asked for through the status */
    OK(fe_get(&h->fe, FE_GET_QUEUE_NUM, &value));
    assert_int_equal(value, PROBE_QUEUES);
    OK(fe_get(&h->fe, FE_GET_MAX_MEM_SLOTS, &value));
    assert_int_equal(value, 512);
    OK(fe_get(&h->fe, FE_GET_STATUS, &value));
    assert_int_equal(value, 0);
    OK(fe_call(&h->fe, FE_SET_OWNER, NULL, 0, NULL, 0));
    OK(fe_call(&h->fe, FE_RESET_OWNER, NULL, 0, NULL, 0));
    OK(fe_call(&h->fe, FE_RESET_DEVICE, NULL, 0, NULL, 0));
}

TEST(need_reply_needs_the_feature)
{
    uint64_t value = 0;

    assert_true(fe_send(&h->fe, FE_SET_OWNER, FE_VERSION | FE_NEED_REPLY, NULL, 0, NULL, 0));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &value)); /* the next answer is this one's */
    OK(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_REPLY_ACK)); /* and it speaks for itself */
    OK(fe_call(&h->fe, FE_SET_OWNER, NULL, 0, NULL, 0));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    value = FE_VERSION_1;
    assert_true(fe_send(&h->fe, FE_SET_FEATURES, FE_VERSION, &value, 8, NULL, 0));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &value)); /* not asked for: no answer */
}

TEST(unknown_requests)
{
    uint64_t value = 0;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    REFUSED(fe_u64(&h->fe, 99, 0));
    REFUSED(fe_u64(&h->fe, 0, 0));
    REFUSED(fe_u64(&h->fe, UINT32_MAX, 0));
    REFUSED(fe_state(&h->fe, FE_SET_VRING_ENDIAN, 0, 0)); /* known, but not offered */
    REFUSED(fe_state(&h->fe, FE_VRING_KICK, 0, 0));
    assert_true(fe_send(&h->fe, 99, FE_VERSION, &value, 8, NULL, 0));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &value)); /* left alone */
    assert_true(backend_logged(&h->b, "request 99"));
    assert_true(backend_logged(&h->b, "SET_VRING_ENDIAN"));
    CLOSED(fe_get(&h->fe, FE_IOTLB_MSG, &value)); /* its answer cannot be made up */
    assert_true(backend_logged(&h->b, "IOTLB_MSG"));
}

TEST(requests_need_their_feature)
{
    uint64_t value;
    uint8_t byte;

    assert_true(fe_hello(&h->fe, 0));
    REFUSED(fe_u64(&h->fe, FE_SET_STATUS, 3));
    REFUSED(fe_call(&h->fe, FE_RESET_DEVICE, NULL, 0, NULL, 0));
    REFUSED(fe_region(&h->fe, FE_REM_MEM_REG, &h->fe.region, -1));
    REFUSED(fe_set_config(&h->fe, 0, "", 1, 0));
    CLOSED(fe_get_config(&h->fe, 0, &byte, 1)); /* an answer that says "refused" does not exist */
    assert_true(backend_logged(&h->b, "GET_CONFIG: needs protocol features"));
    fe_disconnect(&h->fe);
    assert_true(fe_connect(&h->fe, h->b.path));
    assert_true(fe_hello(&h->fe, FE_P_MQ));
    CLOSED(fe_get(&h->fe, FE_GET_STATUS, &value));
}

TEST(features_that_were_not_offered)
{
    assert_true(fe_hello(&h->fe, FE_P_ALL));
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F(33)));
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F(27)));
    REFUSED(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_ALL | FE_P(2)));
    REFUSED(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P(63)));
    OK(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_ALL & ~FE_P_STATUS));
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_SUSPEND));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    assert_true(backend_logged(&h->b, "SET_FEATURES: features 0x200000000 were not offered"));
}

/* ---- status ---- */

TEST(status_refuses_features)
{
    uint64_t status;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_ACKNOWLEDGE));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_ACKNOWLEDGE);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_F_PROTOCOL_FEATURES)); /* no FE_VERSION_1 */
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0b));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 3);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0b));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x0b);
    REFUSED(fe_u64(&h->fe, FE_SET_STATUS, 0x100));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0);
}

/*
 * QEMU negotiates STATUS and leaves DRIVER_OK out for some devices: started and enabled is enough.
 */
TEST(status_without_driver_ok)
{
    struct probe_info info;
    uint8_t *answer;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
    assert_true(fe_memory_new(&h->fe, 1 << 20) && fe_memory_send(&h->fe));
    assert_true(fe_ring_new(&h->fe, 0, 16, false) && fe_ring_send(&h->fe, 0, 0));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(&h->fe, 0);
    assert_false(fe_event(h->fe.ring[0].call, 50));
    harness_no_answer(h, 0); /* started, but not enabled */
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 12);
    harness_info(h, 0, &info);
    assert_int_equal(info.features, DRV_F_VERSION_1);
    assert_int_equal(info.starts, 1);
}

/* Rings that wait for FEATURES_OK start with it. */
TEST(ring_waits_for_features_ok)
{
    uint8_t *answer;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    assert_true(fe_memory_new(&h->fe, 1 << 20) && fe_memory_send(&h->fe));
    assert_true(fe_ring_new(&h->fe, 0, 16, false) && fe_ring_send(&h->fe, 0, 0));
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(&h->fe, 0);
    assert_false(fe_event(h->fe.ring[0].call, 50));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0f));
    harness_answer(h, 0, 12);
    harness_echo(h, 0);
}

static void expect_status(struct harness *h, uint64_t want)
{
    uint64_t status = 0;

    for (unsigned i = 0; i < 1000 && status != want; i++) {
        OK(fe_get(&h->fe, FE_GET_STATUS, &status));
        usleep(1000);
    }
    assert_int_equal(status, want);
}

/*
 * SUSPEND shows when the device is quiet, DRIVER_OK ends it; what the VMM does to rings does not.
 */
TEST(suspend)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *answer;
    uint64_t status;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, DRV_F_SUSPEND, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_u64(fe, FE_SET_STATUS, 0x1f));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x0f); /* not yet: a request is in work */
    expect_status(h, 0x1b);
    harness_answer(h, 0, 12);
    harness_submit(h, 1, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 1);
    OK(fe_get_base(fe, 0, &base));
    assert_true(fe_ring_send(fe, 0, base)); /* the machine was stopped and goes on */
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x1b);
    usleep(10000);
    harness_no_answer(h, 1);
    OK(fe_u64(fe, FE_SET_STATUS, 0x0f));
    harness_answer(h, 1, 12);
    harness_echo(h, 0);
    /* A driver that thinks better of it. */
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_held(h, 1, 1);
    OK(fe_u64(fe, FE_SET_STATUS, 0x1f));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 0));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 1));
    OK(fe_u64(fe, FE_SET_STATUS, 0x0f));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x0f);
    harness_answer(h, 0, 12);
    harness_echo(h, 1);
    OK(fe_u64(fe, FE_SET_STATUS, 0x1f));
    OK(fe_u64(fe, FE_SET_STATUS, 0));
    expect_status(h, 0);
}

static void hold_some(struct harness *h)
{
    uint8_t *answer;

    harness_submit(h, 0, PROBE_HOLD, 0, &answer);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &answer);
    fe_kick(&h->fe, 0);
    harness_held(h, 1, 2);
}

TEST(reset_by_status)
{
    struct probe_info info;
    uint64_t status;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    hold_some(h);
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0);
    usleep(2000 * PROBE_DELAY_MS);
    harness_no_answer(h, 0);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    harness_info(h, 0, &info);
    assert_int_equal(info.starts, 2);
    assert_int_equal(info.stops, 1);
    assert_int_equal(info.held, 0);
}

TEST(reset_by_message)
{
    struct probe_info info;

    assert_true(fe_start(&h->fe, FE_P_RESET, 0, 2));
    hold_some(h);
    OK(fe_call(&h->fe, FE_RESET_DEVICE, NULL, 0, NULL, 0));
    assert_true(fe_start(&h->fe, FE_P_RESET, 0, 2));
    harness_info(h, 0, &info);
    assert_int_equal(info.starts, 2);
    harness_echo(h, 1);
}

TEST(features_again_while_running)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1));
    OK(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_ALL));
    harness_echo(h, 0);
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_PACKED));
    REFUSED(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, 0));
    harness_echo(h, 0);
    harness_echo(h, 1);
}

TEST(features_change_between_runs)
{
    struct frontend *fe = &h->fe;
    struct probe_info info;
    uint32_t base;

    assert_true(fe_start(fe, 0, 0, 1));
    harness_echo(h, 0);
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 1);
    OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1 | DRV_F_PACKED));
    assert_true(fe_ring_new(fe, 0, 24, true) && fe_ring_send(fe, 0, 0x80008000));
    harness_info(h, 0, &info);
    assert_int_equal(info.features, DRV_F_VERSION_1 | DRV_F_PACKED);
    assert_int_equal(info.starts, 2);
}

/* ---- configuration ---- */

TEST(config_space)
{
    struct frontend *fe = &h->fe;
    uint8_t bytes[256] = {0}, mine[8] = "driver", back[8];
    struct probe_info info;
    uint32_t magic;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    OK(fe_get_config(fe, 0, &magic, 4));
    assert_int_equal(magic, PROBE_MAGIC);
    OK(fe_get_config(fe, 0, bytes, PROBE_CONFIG_LEN));
    OK(fe_get_config(fe, PROBE_CONFIG_LEN - 1, bytes, 1));
    assert_int_equal(fe_get_config(fe, 0, bytes, PROBE_CONFIG_LEN + 1), 1);
    assert_int_equal(fe_get_config(fe, PROBE_CONFIG_LEN, bytes, 1), 1);
    assert_int_equal(fe_get_config(fe, UINT32_MAX, bytes, 2), 1); /* the sum wraps */
    assert_int_equal(fe_get_config(fe, 0, bytes, 256), 1);
    OK(fe_set_config(fe, PROBE_CONFIG_DRIVER, mine, 8, 0));
    OK(fe_get_config(fe, PROBE_CONFIG_DRIVER, back, 8));
    assert_memory_equal(mine, back, 8);
    REFUSED(fe_set_config(fe, 0, mine, 4, 0));
    REFUSED(fe_set_config(fe, PROBE_CONFIG_DRIVER - 1, mine, 4, 0));
    REFUSED(fe_set_config(fe, PROBE_CONFIG_LEN - 4, mine, 5, 0));
    REFUSED(fe_set_config(fe, UINT32_MAX - 1, mine, 4, 0));
    REFUSED(fe_set_config(fe, PROBE_CONFIG_DRIVER, mine, 8, 2));
    harness_info(h, 0, &info);
    assert_int_equal(info.config_writes, 1);
}

TEST(config_of_a_migration)
{
    uint8_t bytes[PROBE_CONFIG_LEN];

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_get_config(&h->fe, 0, bytes, sizeof(bytes)));
    OK(fe_set_config(&h->fe, 0, bytes, sizeof(bytes), 1)); /* the same device */
    bytes[0] ^= 1;
    REFUSED(fe_set_config(&h->fe, 0, bytes, sizeof(bytes), 1)); /* another one */
    OK(fe_set_config(&h->fe, PROBE_CONFIG_DRIVER, "migrated", 8, 1));
}

/* A CONFIG_CHANGE on @fd. */
static void expect_config_change(int fd)
{
    uint32_t header[3] = {0};

    assert_int_equal(read(fd, header, sizeof(header)), sizeof(header));
    assert_int_equal(header[0], 2);
    assert_int_equal(header[1], FE_VERSION);
    assert_int_equal(header[2], 0);
}

static void change_config(struct harness *h, uint32_t value)
{
    uint8_t *answer;

    harness_submit(h, 0, PROBE_CONFIG, value, &answer);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, 0);
}

TEST(config_change_over_a_socket)
{
    uint64_t ack[2] = {0};
    uint32_t value;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    change_config(h, 1); /* nobody to tell yet; it is not lost */
    OK(fe_call(&h->fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
    close(pair[1]);
    expect_config_change(pair[0]);
    change_config(h, 77);
    expect_config_change(pair[0]);
    OK(fe_get_config(&h->fe, PROBE_CONFIG_VALUE, &value, 4));
    assert_int_equal(value, 77);
    /* Answers that nobody asked for, and the end of the channel, are no reason to end. */
    assert_int_equal(write(pair[0], ack, sizeof(ack)), sizeof(ack));
    harness_echo(h, 0);
    close(pair[0]);
    assert_true(backend_logged(&h->b, "back-end channel closed"));
    change_config(h, 78);
    harness_echo(h, 0);
}

TEST(config_change_over_a_pipe)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 1));
    OK(fe_call(&h->fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &fds[1], 1));
    change_config(h, 5);
    expect_config_change(fds[0]);
    close(fds[0]);
    close(fds[1]);
    change_config(h, 6); /* a broken pipe */
    harness_echo(h, 0);
    assert_true(backend_logged(&h->b, "back-end channel closed"));
}

/* While all rings are stopped there is nothing to say; it is said afterwards. */
TEST(config_change_waits_for_a_ring)
{
    uint32_t header[3], value;
    uint8_t *answer;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(fe_start(&h->fe, FE_P_CONFIG | FE_P_BACKEND, 0, 1));
    OK(fe_call(&h->fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
    harness_submit(h, 0, PROBE_CONFIG_LATE, 9, &answer);
    fe_kick(&h->fe, 0);
    harness_answer(h, 0, 0);
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 0));
    for (value = 0; value != 9;) /* until it has happened */
        OK(fe_get_config(&h->fe, PROBE_CONFIG_VALUE, &value, 4));
    assert_int_equal(read(pair[0], header, sizeof(header)), -1);
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    expect_config_change(pair[0]);
    close(pair[0]);
    close(pair[1]);
}

/* ---- the way of a whole front end ---- */

/*
 * As User-Mode Linux does it: no STATUS, a table with room to spare, pipes, and no word at rebind.
 */
TEST(like_user_mode_linux)
{
    const uint64_t protocol = FE_P_REPLY_ACK | FE_P_BACKEND | FE_P_CONFIG;
    struct frontend *fe = &h->fe;
    struct {
        uint32_t count, padding;
        struct fe_region region[2];
    } table = {.count = 1};
    int call[2];

    assert_true(fe_memory_new(fe, 1 << 20));
    table.region[0] = fe->region;
    assert_true(fe_hello(fe, protocol));
    for (unsigned bound = 0; bound < 3; bound++) {
        fe->mem.used = 0;
        OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1 | (bound == 2 ? DRV_F_EVENT_IDX : 0)));
        OK(fe_call(fe, FE_SET_MEM_TABLE, &table, sizeof(table), &fe->memfd, 1));
        assert_true(fe_ring_new(fe, 0, 64, false));
        fe->ring[0].ring.event_idx = bound == 2;
        close(fe->ring[0].call);
        assert_int_equal(pipe(call), 0);
        fe->ring[0].call = call[0];
        OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, call[1]));
        close(call[1]);
        OK(fe_state(fe, FE_SET_VRING_NUM, 0, 64));
        OK(fe_state(fe, FE_SET_VRING_BASE, 0, 0));
        OK(fe_addr(fe, 0, fe_user(fe, fe->ring[0].ring.desc), fe_user(fe, fe->ring[0].ring.driver),
                   fe_user(fe, fe->ring[0].ring.device)));
        OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
        for (unsigned i = 0; i < 5; i++)
            harness_echo(h, 0);
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
    }
}

/* As QEMU does it: stop and start again in one connection, with the base that it was told. */
TEST(like_a_pause_of_the_machine)
{
    struct frontend *fe = &h->fe;
    uint32_t base[2];

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    for (unsigned round = 0; round < 4; round++) {
        harness_echo(h, 0);
        harness_echo(h, 1);
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 0));
        OK(fe_get_base(fe, 0, &base[0]));
        OK(fe_get_base(fe, 1, &base[1]));
        OK(fe_u64(fe, FE_SET_STATUS, 0));
        OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1));
        OK(fe_u64(fe, FE_SET_FEATURES, FE_VERSION_1)); /* it does that twice */
        OK(fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
        assert_true(fe_memory_send(fe));
        assert_true(fe_ring_send(fe, 0, base[0]) && fe_ring_send(fe, 1, base[1]));
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
        OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 1));
        OK(fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK | DRV_S_DRIVER_OK));
    }
    harness_echo(h, 0);
}

/* ---- connections ---- */

TEST(one_front_end_after_the_other)
{
    struct frontend second;
    struct fe_message late;
    uint64_t value;
    uint8_t *answer;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &answer);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &answer);
    fe_kick(&h->fe, 0);
    harness_held(h, 1, 2);
    fe_init(&second);
    assert_true(fe_connect(&second, h->b.path)); /* in the queue */
    second.timeout = 50;
    assert_int_equal(fe_get(&second, FE_GET_FEATURES, &value), FE_SILENT);
    harness_echo(h, 1);
    fe_disconnect(&h->fe);
    second.timeout = 10000;
    OK(fe_receive(&second, &late)); /* the answer from before */
    assert_true(fe_start(&second, FE_P_ALL, 0, 1));
    fe_fini(&second);
}

TEST(ends_cleanly)
{
    char path[sizeof(h->b.path)];

    memcpy(path, h->b.path, sizeof(path));
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    assert_int_equal(access(path, F_OK), 0);
    h->ended = true;
    assert_int_equal(backend_stop(&h->b), 0); /* SIGTERM with a guest at work */
    assert_int_not_equal(access(path, F_OK), 0);
    assert_true(fe_closed(&h->fe));
}

static const struct CMUnitTest tests[] = {
    UNIT(offers),
    UNIT(need_reply_needs_the_feature),
    UNIT(unknown_requests),
    UNIT(requests_need_their_feature),
    UNIT(features_that_were_not_offered),
    UNIT(status_refuses_features),
    UNIT(status_without_driver_ok),
    UNIT(ring_waits_for_features_ok),
    UNIT(suspend),
    UNIT(reset_by_status),
    UNIT(reset_by_message),
    UNIT(features_again_while_running),
    UNIT(features_change_between_runs),
    UNIT(config_space),
    UNIT(config_of_a_migration),
    UNIT(config_change_over_a_socket),
    UNIT(config_change_over_a_pipe),
    UNIT(config_change_waits_for_a_ring),
    UNIT(like_user_mode_linux),
    UNIT(like_a_pause_of_the_machine),
    UNIT(one_front_end_after_the_other),
    UNIT(ends_cleanly),
};

HARNESS_MAIN("vhost-user protocol", tests)

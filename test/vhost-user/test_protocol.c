/* SPDX-License-Identifier: Apache-2.0 */
/* Every request of the protocol on its good path, and what the rings do meanwhile. */
#include "vhost-user/harness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION_1 (DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES)

/* ---- negotiation ---- */

TEST(offers)
{
    uint64_t value;

    OK(fe_get(&h->fe, FE_GET_FEATURES, &value));
    assert_true(value & FE_F_PROTOCOL_FEATURES);
    assert_true(value & DRV_F_VERSION_1);
    assert_true(value & DRV_F_PACKED);
    assert_true(value & DRV_F_INDIRECT);
    assert_false(value & (DRV_F(33) | DRV_F_NOTIFICATION_DATA | DRV_F_RING_RESET | DRV_F(43)));
    OK(fe_get(&h->fe, FE_GET_PROTOCOL_FEATURES, &value));
    assert_int_equal(value, 0x1a229);
    assert_true(fe_hello(&h->fe, FE_P_ALL));
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
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
    value = VERSION_1;
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
    CLOSED(fe_get(&h->fe, FE_GET_INFLIGHT_FD, &value)); /* its answer cannot be made up */
    assert_true(backend_logged(&h->b, "GET_INFLIGHT_FD"));
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
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1 | DRV_F(33)));
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1 | DRV_F(26)));
    REFUSED(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_ALL | FE_P(1)));
    REFUSED(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P(63)));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
    assert_true(backend_logged(&h->b, "SET_FEATURES: features 0x200000000 were not offered"));
}

/* ---- rings, in all the ways they can come up ---- */

TEST(echo_with_status)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    for (unsigned i = 0; i < 40; i++) {
        harness_echo(h, 0);
        harness_echo(h, 1);
    }
}

TEST(echo_without_status)
{
    assert_true(fe_start(&h->fe, 0, 0, 2));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, i & 1);
}

TEST(echo_packed)
{
    assert_true(fe_start(&h->fe, FE_P_ALL, DRV_F_PACKED, 2));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, i & 1);
}

TEST(echo_packed_without_status)
{
    assert_true(fe_start(&h->fe, 0, DRV_F_PACKED, 1));
    for (unsigned i = 0; i < 40; i++)
        harness_echo(h, 0);
}

/* Without bit 30 every ring is enabled. */
TEST(echo_without_protocol_features)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;
    uint64_t features = DRV_F_VERSION_1, value = 0;
    struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {0};
    struct {
        uint32_t count, padding;
        struct fe_region region;
    } table = {.count = 1};
    uint32_t num[2] = {0, 16}, base[2] = {0, 0};

    assert_true(fe_memory_new(fe, 1 << 20) && fe_ring_new(fe, 0, 16, false));
    table.region = fe->region;
    addr.desc = fe_user(fe, ring->desc);
    addr.used = fe_user(fe, ring->device);
    addr.avail = fe_user(fe, ring->driver);
    assert_true(fe_send(fe, FE_SET_OWNER, FE_VERSION, NULL, 0, NULL, 0));
    assert_true(fe_send(fe, FE_SET_FEATURES, FE_VERSION, &features, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_MEM_TABLE, FE_VERSION, &table, sizeof(table), &fe->memfd, 1));
    assert_true(fe_send(fe, FE_SET_VRING_NUM, FE_VERSION, num, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_BASE, FE_VERSION, base, 8, NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_ADDR, FE_VERSION, &addr, sizeof(addr), NULL, 0));
    assert_true(fe_send(fe, FE_SET_VRING_KICK, FE_VERSION, &value, 8, &fe->ring[0].kick, 1));
    assert_true(fe_send(fe, FE_SET_VRING_CALL, FE_VERSION, &value, 8, &fe->ring[0].call, 1));
    harness_echo(h, 0);
}

TEST(work_that_was_there_before)
{
    uint8_t *answer;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 0));
    assert_true(fe_ring_new(&h->fe, 0, 16, false));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    assert_true(fe_ring_send(&h->fe, 0, 0));
    harness_no_answer(h, 0); /* not enabled */
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 12); /* nobody has kicked */
}

/* ENABLE, KICK, ADDR and NUM in an order that no document suggests. */
TEST(ring_messages_in_any_order)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;

    assert_true(fe_hello(fe, 0) && fe_memory_new(fe, 1 << 20) && fe_ring_new(fe, 0, 16, false));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, fe->ring[0].call));
    assert_true(fe_memory_send(fe));
    OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc), fe_user(fe, ring->driver),
               fe_user(fe, ring->device)));
    harness_echo(h, 0);
}

TEST(ring_values_are_checked)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 1 << 20) && fe_memory_send(fe));
    OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 0));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 48));  /* no power of two */
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 128)); /* the device has 64 */
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 0x10010));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x10000));
    OK(fe_state(fe, FE_SET_VRING_BASE, 0, 0xffff));
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0xffff);
    REFUSED(fe_state(fe, FE_SET_VRING_ENABLE, 0, 2));
    REFUSED(fe_addr(fe, 0, fe->region.user - 16, fe->region.user, fe->region.user));
    REFUSED(fe_addr(fe, 0, fe->region.user, fe->region.user + fe->region.size, fe->region.user));
    REFUSED(fe_addr(fe, 0, fe->region.user, fe->region.user, fe->region.guest));
    assert_true(backend_logged(&h->b, "SET_VRING_ADDR: ring 0: used at 0x40000000"));
    OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1 | DRV_F_PACKED));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 48));
    OK(fe_state(fe, FE_SET_VRING_BASE, 0, 0x802f802f));
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0x802f802f);
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x80008030)); /* 48 is outside a ring of 48 */
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 0x80308000));
    OK(fe_get_base(fe, 1, &base)); /* never set: fresh */
    assert_int_equal(base, 0x80008000);
}

TEST(ring_that_cannot_start)
{
    struct frontend *fe = &h->fe;
    uint64_t user, status;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    user = fe->region.user;
    OK(fe_state(fe, FE_SET_VRING_NUM, 1, 16));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 1, 1));
    OK(fe_addr(fe, 1, user + 8, user + 0x1000, user + 0x2000)); /* off its alignment */
    REFUSED(fe_vring_fd(fe, FE_SET_VRING_KICK, 1, -1));
    OK(fe_addr(fe, 1, user + fe->region.size - 16, user, user)); /* sticks out */
    REFUSED(fe_vring_fd(fe, FE_SET_VRING_KICK, 1, -1));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_NEEDS_RESET);
    assert_true(backend_logged(&h->b, "SET_VRING_KICK: ring 1 cannot start"));
}

/* ---- status ---- */

TEST(status_refuses_features)
{
    uint64_t status;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_STATUS, DRV_S_ACKNOWLEDGE));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_ACKNOWLEDGE);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, FE_F_PROTOCOL_FEATURES)); /* no VERSION_1 */
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0b));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 3);
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0x0b));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0x0b);
    REFUSED(fe_u64(&h->fe, FE_SET_STATUS, 0x100));
    OK(fe_u64(&h->fe, FE_SET_STATUS, 0));
    OK(fe_get(&h->fe, FE_GET_STATUS, &status));
    assert_int_equal(status, 0);
}

/* QEMU negotiates STATUS and leaves DRIVER_OK out for some devices: started and enabled is enough.
 */
TEST(status_without_driver_ok)
{
    struct probe_info info;
    uint8_t *answer;

    assert_true(fe_hello(&h->fe, FE_P_ALL));
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
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
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
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

static void again_after_reset(struct harness *h)
{
    struct probe_info info;
    uint8_t *answer;

    harness_submit(h, 0, PROBE_HOLD, 0, &answer);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &answer);
    fe_kick(&h->fe, 0);
    harness_echo(h, 1);
    harness_info(h, 1, &info);
    assert_int_equal(info.held, 2);
}

TEST(reset_by_status)
{
    struct probe_info info;
    uint64_t status;

    assert_true(fe_start(&h->fe, FE_P_ALL, 0, 2));
    again_after_reset(h);
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
    again_after_reset(h);
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
    OK(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1));
    OK(fe_u64(&h->fe, FE_SET_PROTOCOL_FEATURES, FE_P_ALL));
    harness_echo(h, 0);
    REFUSED(fe_u64(&h->fe, FE_SET_FEATURES, VERSION_1 | DRV_F_PACKED));
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
    OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1 | DRV_F_PACKED));
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
    uint8_t *answer;
    uint32_t header[3];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(fe_start(&h->fe, FE_P_CONFIG | FE_P_BACKEND, 0, 1));
    OK(fe_call(&h->fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
    harness_submit(h, 0, PROBE_CONFIG, 9, &answer);
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 0));
    fe_kick(&h->fe, 0);
    usleep(20000);
    assert_int_equal(read(pair[0], header, sizeof(header)), -1);
    OK(fe_state(&h->fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 0);
    expect_config_change(pair[0]);
    close(pair[0]);
    close(pair[1]);
}

/* ---- rings stop, pause, move ---- */

TEST(base_waits_for_a_held_request)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *pinned, *answer;
    uint64_t before;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &pinned);
    fe_kick(fe, 0);
    harness_echo(h, 1); /* so the two have been taken */
    harness_no_answer(h, 0);
    before = now_ms();
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 3);
    assert_in_range(now_ms() - before, PROBE_DELAY_MS / 2, 5000);
    assert_int_equal(drv_split_used_idx(&fe->ring[0].ring), 3);
    harness_answer(h, 0, 12);
    harness_answer(h, 0, 64);
    assert_string_equal((char *)held, "hello, ring");
    assert_int_equal(pinned[63], PROBE_BYTE);
    /* Stopped: a kick has no effect. And it goes on where it stood. */
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    harness_no_answer(h, 0);
    assert_true(fe_ring_send(fe, 0, base));
    harness_answer(h, 0, 12);
}

TEST(base_without_what_was_returned)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_RETURN, 0, &answer);
    harness_submit(h, 0, PROBE_RETURN, 0, &answer);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 1);
    assert_true(fe_ring_send(fe, 0, base)); /* they come again, and are held again */
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    usleep(20000);
    fe_kick(fe, 1);
    harness_answer(h, 0, 12);
    harness_answer(h, 0, 12);
}

TEST(base_of_a_packed_ring)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_start(fe, FE_P_ALL, DRV_F_PACKED, 1));
    for (unsigned i = 0; i < 11; i++) /* of two slots each, in a ring of 16 */
        harness_echo(h, 0);
    OK(fe_get_base(fe, 0, &base));
    assert_int_equal(base, 0x00060006); /* slot 6, second lap */
    assert_true(fe_ring_send(fe, 0, base));
    harness_echo(h, 0);
}

TEST(disabled_ring_has_no_side_effects)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0)); /* returns when all is done */
    harness_answer(h, 0, 12);
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    usleep(20000);
    harness_echo(h, 1);
    harness_no_answer(h, 0);
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_answer(h, 0, 12); /* the kick was not lost */
    harness_echo(h, 0);
}

TEST(running_ring_keeps_its_shape)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    OK(fe_state(fe, FE_SET_VRING_NUM, 0, 16));
    REFUSED(fe_state(fe, FE_SET_VRING_NUM, 0, 32));
    REFUSED(fe_state(fe, FE_SET_VRING_BASE, 0, 7));
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc), fe_user(fe, ring->driver),
               fe_user(fe, ring->device)));
    harness_echo(h, 0);
}

/* The same ring @off bytes further on, where its contents have been copied already. */
static void shift_ring(struct frontend *fe, uint64_t off)
{
    struct drv_ring *ring = &fe->ring[0].ring;

    ring->desc += off;
    ring->driver += off;
    ring->device += off;
    ring->desc_host += off;
    ring->driver_host += off;
    ring->device_host += off;
}

TEST(running_ring_moves)
{
    struct frontend *fe = &h->fe;
    struct drv_ring *ring = &fe->ring[0].ring;
    uint8_t *held;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    /* The move finishes what is held, into the old place. */
    memcpy(ring->desc_host + 0x20000, ring->desc_host, 4096);
    OK(fe_addr(fe, 0, fe_user(fe, ring->desc) + 0x20000, fe_user(fe, ring->driver) + 0x20000,
               fe_user(fe, ring->device) + 0x20000));
    harness_answer(h, 0, 12);
    memcpy(ring->device_host + 0x20000, ring->device_host, drv_device_bytes(ring));
    shift_ring(fe, 0x20000);
    harness_echo(h, 0);
    harness_echo(h, 0);
}

/* ---- kick, call, err ---- */

TEST(new_call_is_signalled_once)
{
    struct frontend *fe = &h->fe;
    int old = fe->ring[0].call;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    old = fe->ring[0].call;
    harness_echo(h, 0);
    while (fe_event(old, 0))
        ;
    fe->ring[0].call = dup(fe->ring[0].err); /* any other eventfd */
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, fe->ring[0].call));
    assert_true(fe_event(fe->ring[0].call, 1000));
    assert_false(fe_event(fe->ring[0].call, 20));
    harness_echo(h, 0);
    assert_false(fe_event(old, 0));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, -1)); /* nobody wants to know */
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, old));
    harness_echo(h, 0);
    close(fe->ring[0].call);
    fe->ring[0].call = old;
}

TEST(new_kick_takes_over)
{
    struct frontend *fe = &h->fe;
    int old;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    old = fe->ring[0].kick;
    fe->ring[0].kick = dup(fe->ring[0].err);
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    close(old);
    harness_echo(h, 0);
}

TEST(pipes_instead_of_eventfds)
{
    struct frontend *fe = &h->fe;
    int kick[2], call[2];
    uint64_t before;
    uint8_t *answer;

    assert_int_equal(pipe(kick), 0);
    assert_int_equal(pipe(call), 0);
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    fe_ring_free(fe, 0);
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, kick[0]));
    OK(fe_vring_fd(fe, FE_SET_VRING_CALL, 0, call[1]));
    fe->ring[0].kick = kick[1];
    fe->ring[0].call = call[0];
    assert_true(fe_event(call[0], 1000)); /* the new one's signal */
    harness_echo(h, 0);
    /* Both ends go away: no signal kills, nothing spins. */
    close(kick[0]);
    close(call[1]);
    fe_ring_free(fe, 0);
    assert_true(backend_logged(&h->b, "ring 0: its kick is gone"));
    harness_submit(h, 0, PROBE_HOLD, 0, &answer);
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, -1)); /* polled: the ring is looked at */
    usleep(20000);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 1, 0);
    assert_true(backend_logged(&h->b, "ring 0: nobody receives its call"));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 0));
    before = backend_cpu_ns(&h->b);
    usleep(200000);
    assert_true(backend_cpu_ns(&h->b) - before < 50000000);
}

TEST(ring_without_kick_is_polled)
{
    struct frontend *fe = &h->fe;
    uint8_t *answer;
    uint64_t before;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, -1));
    for (unsigned i = 0; i < 5; i++) {
        harness_submit(h, 0, PROBE_ECHO, 0, &answer);
        harness_answer(h, 0, 12); /* nobody kicks */
    }
    before = backend_cpu_ns(&h->b);
    usleep(500000);
    assert_true(backend_cpu_ns(&h->b) - before < 250000000); /* and nobody spins */
    OK(fe_vring_fd(fe, FE_SET_VRING_KICK, 0, fe->ring[0].kick));
    harness_echo(h, 0);
}

TEST(broken_ring_is_reported)
{
    struct frontend *fe = &h->fe;
    uint64_t status;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    drv_split_push(&fe->ring[0].ring, 500); /* no such descriptor */
    fe_kick(fe, 0);
    assert_true(fe_event(fe->ring[0].err, 5000));
    OK(fe_get(fe, FE_GET_STATUS, &status));
    assert_true(status & DRV_S_NEEDS_RESET);
    harness_echo(h, 1); /* the other queue lives */
    OK(fe_vring_fd(fe, FE_SET_VRING_ERR, 0, fe->ring[1].err));
    assert_true(fe_event(fe->ring[1].err, 1000)); /* a late err fd hears of it, too */
    OK(fe_u64(fe, FE_SET_STATUS, 0));
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
}

/* Without STATUS nobody says "reset": rings that stop and start afresh mean it. */
TEST(broken_ring_starts_over_without_status)
{
    struct frontend *fe = &h->fe;
    uint32_t base;

    assert_true(fe_start(fe, 0, 0, 2));
    drv_split_push(&fe->ring[0].ring, 500);
    fe_kick(fe, 0);
    assert_true(fe_event(fe->ring[0].err, 5000));
    OK(fe_get_base(fe, 0, &base));
    OK(fe_get_base(fe, 1, &base));
    assert_true(fe_start(fe, 0, 0, 2));
    harness_echo(h, 0);
    harness_echo(h, 1);
}

/* ---- memory ---- */

TEST(table_changes_under_a_held_request)
{
    struct frontend *fe = &h->fe;
    struct fe_region halves[2];
    int fds[2] = {fe->memfd, fe->memfd};
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    fds[0] = fds[1] = fe->memfd;
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    halves[0] = halves[1] = fe->region;
    halves[0].size = halves[1].size = fe->region.size / 2;
    halves[1].guest += halves[0].size;
    halves[1].user += halves[0].size;
    halves[1].offset += halves[0].size;
    OK(fe_set_table(fe, halves, fds, 2));
    harness_no_answer(h, 0); /* still held */
    harness_echo(h, 1);
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    harness_answer(h, 0, 12);
    assert_string_equal((char *)held, "hello, ring");
    harness_echo(h, 0);
}

TEST(table_change_waits_for_a_pin)
{
    struct frontend *fe = &h->fe;
    uint8_t *pinned;
    uint64_t before;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    for (unsigned i = 0; i < 3; i++) {
        harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &pinned);
        fe_kick(fe, 0);
        harness_echo(h, 1);
        harness_no_answer(h, 0);
        before = now_ms();
        assert_true(fe_memory_send(fe));
        assert_in_range(now_ms() - before, PROBE_DELAY_MS / 2, 5000);
        harness_answer(h, 0, 64);
        assert_int_equal(pinned[0], PROBE_BYTE);
        harness_echo(h, 0);
    }
}

/* The front end goes while its message waits. */
TEST(disconnect_while_a_message_waits)
{
    struct frontend *fe = &h->fe;
    uint32_t state[2] = {0, 0};
    uint8_t *answer;

    for (unsigned i = 0; i < 5; i++) {
        assert_true(fe_start(fe, FE_P_ALL, 0, 2));
        harness_submit(h, 0, PROBE_HOLD_PINNED, 0, &answer);
        fe_kick(fe, 0);
        harness_echo(h, 1);
        assert_true(fe_send(fe, FE_GET_VRING_BASE, FE_VERSION, state, sizeof(state), NULL, 0));
        usleep(1000);
        fe_disconnect(fe);
        assert_true(fe_connect(fe, h->b.path));
        fe->mem.used = 0;
    }
    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
}

TEST(slots)
{
    struct frontend *fe = &h->fe;
    struct fe_region extra, wrong;
    uint8_t *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    /* A second window on the same file, whose offset is on no page. */
    extra = (struct fe_region){.guest = 0x9000000100, .size = 0x1000, .user = 0x77770000100};
    extra.offset = 0x80100;
    OK(fe_region(fe, FE_ADD_MEM_REG, &extra, fe->memfd));
    {
        struct drv_buf in = {extra.guest + 0x10, 64};
        uint32_t command[2] = {PROBE_INFO, 0};
        struct drv_buf out = {drv_alloc(&fe->mem, 8, 8), 8};
        struct drv_chain chain = {&out, &in, 1, 1, DRV_DIRECT, 0, 1};

        memcpy(drv_ptr(&fe->mem, out.addr, 8), command, 8);
        assert_true(drv_ring_add(&fe->ring[0].ring, &chain) >= 0);
        drv_ring_publish(&fe->ring[0].ring);
        fe_kick(fe, 0);
        harness_answer(h, 0, sizeof(struct probe_info));
        assert_true(fe->host[0x80110 + offsetof(struct probe_info, starts)] == 1);
    }
    wrong = extra;
    wrong.guest += 0x1000;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.size /= 2;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.user++;
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &wrong, -1));
    wrong = extra;
    wrong.offset = 0;                                     /* means nothing here */
    OK(fe_region(fe, FE_REM_MEM_REG, &wrong, fe->memfd)); /* nor does a descriptor */
    REFUSED(fe_region(fe, FE_REM_MEM_REG, &extra, -1));
    harness_submit(h, 0, PROBE_ECHO, 0, &answer);
    fe_kick(fe, 0);
    harness_answer(h, 0, 12);
}

TEST(all_slots)
{
    struct frontend *fe = &h->fe;
    struct fe_region region = {.guest = 0x100000, .size = 0x1000, .user = 0x700000};

    assert_true(fe_hello(fe, FE_P_ALL) && fe_memory_new(fe, 0x1000));
    for (unsigned i = 0; i < 512; i++) {
        OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
        region.guest += 0x2000;
        region.user += 0x1000;
    }
    REFUSED(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
    region.guest -= 0x2000;
    region.user -= 0x1000;
    OK(fe_region(fe, FE_REM_MEM_REG, &region, -1));
    OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
    OK(fe_set_table(fe, NULL, NULL, 0)); /* replaces all of it by nothing */
    OK(fe_region(fe, FE_ADD_MEM_REG, &region, fe->memfd));
}

/* The rings' memory goes and comes back behind another user address: same guest, same ring. */
TEST(memory_of_a_ring_goes_and_comes_back)
{
    struct frontend *fe = &h->fe;
    uint8_t *held, *answer;

    assert_true(fe_start(fe, FE_P_ALL, 0, 2));
    harness_echo(h, 0);
    harness_submit(h, 0, PROBE_HOLD, 0, &held);
    fe_kick(fe, 0);
    harness_echo(h, 1);
    OK(fe_region(fe, FE_REM_MEM_REG, &fe->region, -1));
    harness_submit(h, 1, PROBE_RELEASE, 0, &answer);
    fe_kick(fe, 1);
    usleep(20000);
    harness_no_answer(h, 0);
    harness_no_answer(h, 1); /* there is no ring to read that from */
    fe->region.user += 0x10000000;
    OK(fe_region(fe, FE_ADD_MEM_REG, &fe->region, fe->memfd));
    harness_answer(h, 1, 0); /* it was in the ring all the time */
    harness_answer(h, 0, 12);
    harness_echo(h, 0);
}

/* The user addresses of the rings come to mean other guest addresses: the rings are there now. */
TEST(table_moves_a_ring)
{
    struct frontend *fe = &h->fe;
    uint64_t delta = UINT64_C(0x100000000);

    assert_true(fe_start(fe, FE_P_ALL, 0, 1));
    harness_echo(h, 0);
    fe->region.guest += delta;
    assert_true(fe_memory_send(fe));
    fe->mem.base += delta;
    fe->ring[0].ring.desc += delta;
    fe->ring[0].ring.driver += delta;
    fe->ring[0].ring.device += delta;
    harness_echo(h, 0);
    harness_echo(h, 0);
}

/* ---- the way of a whole front end ---- */

/* As User-Mode Linux does it: no STATUS, a table with room to spare, pipes, and no word at rebind.
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
        OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1 | (bound == 2 ? DRV_F_EVENT_IDX : 0)));
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
        OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1));
        OK(fe_u64(fe, FE_SET_FEATURES, VERSION_1)); /* it does that twice */
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
    harness_echo(h, 1);
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

/* With an argument: only the tests whose name matches (* and ?). */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT(offers),
        UNIT(need_reply_needs_the_feature),
        UNIT(unknown_requests),
        UNIT(requests_need_their_feature),
        UNIT(features_that_were_not_offered),
        UNIT(echo_with_status),
        UNIT(echo_without_status),
        UNIT(echo_packed),
        UNIT(echo_packed_without_status),
        UNIT(echo_without_protocol_features),
        UNIT(work_that_was_there_before),
        UNIT(ring_messages_in_any_order),
        UNIT(ring_values_are_checked),
        UNIT(ring_that_cannot_start),
        UNIT(status_refuses_features),
        UNIT(status_without_driver_ok),
        UNIT(ring_waits_for_features_ok),
        UNIT(reset_by_status),
        UNIT(reset_by_message),
        UNIT(features_again_while_running),
        UNIT(features_change_between_runs),
        UNIT(config_space),
        UNIT(config_of_a_migration),
        UNIT(config_change_over_a_socket),
        UNIT(config_change_over_a_pipe),
        UNIT(config_change_waits_for_a_ring),
        UNIT(base_waits_for_a_held_request),
        UNIT(base_without_what_was_returned),
        UNIT(base_of_a_packed_ring),
        UNIT(disabled_ring_has_no_side_effects),
        UNIT(running_ring_keeps_its_shape),
        UNIT(running_ring_moves),
        UNIT(new_call_is_signalled_once),
        UNIT(new_kick_takes_over),
        UNIT(pipes_instead_of_eventfds),
        UNIT(ring_without_kick_is_polled),
        UNIT(broken_ring_is_reported),
        UNIT(broken_ring_starts_over_without_status),
        UNIT(table_changes_under_a_held_request),
        UNIT(table_change_waits_for_a_pin),
        UNIT(disconnect_while_a_message_waits),
        UNIT(slots),
        UNIT(all_slots),
        UNIT(memory_of_a_ring_goes_and_comes_back),
        UNIT(table_moves_a_ring),
        UNIT(like_user_mode_linux),
        UNIT(like_a_pause_of_the_machine),
        UNIT(one_front_end_after_the_other),
        UNIT(ends_cleanly),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vhost-user protocol", tests, NULL, NULL) != 0;
}

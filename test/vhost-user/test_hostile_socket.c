/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are wrong in themselves: headers, sizes, descriptors, indices, torn ones, noise. */
#include "vhost-user/hostile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- headers ---- */

static void bad_header(struct harness *h, const struct request *r, uint32_t flags, uint32_t size)
{
    uint8_t bytes[FE_HEADER + FE_PAYLOAD] = {0};
    uint32_t header[3] = {r->id, flags, size};

    begin(h);
    memcpy(bytes, header, sizeof(header));
    assert_true(
        fe_send_bytes(&h->fe, bytes, FE_HEADER + (size > FE_PAYLOAD ? FE_PAYLOAD : size), NULL, 0));
    expect_end(h, r->name);
}

TEST(header_flags)
{
    static const uint32_t flags[] = {0, 2, 3, FE_VERSION | FE_REPLY, FE_VERSION | 0x10, 0x80000001};

    for (unsigned i = 0; i < request_count; i++)
        for (unsigned k = 0; k < sizeof(flags) / sizeof(flags[0]); k++)
            bad_header(h, &requests[i], flags[k], requests[i].size_min);
}

TEST(header_size)
{
    for (unsigned i = 0; i < request_count; i++) {
        const struct request *r = &requests[i];
        const uint32_t sizes[] = {0,    1,    r->size_min - 1, r->size_max + 1,
                                  4096, 4097, 0x7fffffff,      UINT32_MAX};

        for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
            if (sizes[k] < r->size_min || sizes[k] > r->size_max)
                bad_header(h, r, FE_VERSION, sizes[k]);
    }
}

TEST(unknown_request_sizes)
{
    const struct request unknown = {.name = "request 1000", .id = 1000};

    bad_header(h, &unknown, FE_VERSION, 4097);
    bad_header(h, &unknown, FE_VERSION, UINT32_MAX);
    bad_header(h, &unknown, 2, 0);
}

/* ---- descriptors ---- */

static void bad_fds(struct harness *h, const struct request *r, unsigned nfds)
{
    uint8_t payload[FE_PAYLOAD] = {0};
    int fds[40];

    begin(h);
    for (unsigned i = 0; i < nfds; i++)
        fds[i] = STDERR_FILENO;
    assert_true(fe_send(&h->fe, r->id, FE_VERSION, payload, r->size_min, fds, nfds));
    expect_end(h, nfds > 32 ? "" : r->name);
}

TEST(descriptor_counts)
{
    for (unsigned i = 0; i < request_count; i++) {
        const struct request *r = &requests[i];

        for (unsigned n = 0; n < r->fds_min; n++)
            bad_fds(h, r, n);
        bad_fds(h, r, r->fds_max + 1);
        bad_fds(h, r, 32);
        bad_fds(h, r, 33); /* more than a receive takes */
    }
}

/* Requests that are not offered take none either; theirs are closed. */
TEST(descriptors_of_unknown_requests)
{
    unsigned before;
    int fds[8];

    begin(h);
    before = backend_fds(&h->b);
    for (unsigned i = 0; i < 8; i++)
        fds[i] = STDERR_FILENO;
    for (unsigned i = 0; i < 300; i++)
        REFUSED(fe_call(&h->fe, i & 1 ? 77 : FE_VRING_KICK, "12345678", 8, fds, 8));
    assert_true(has_fds(h, before));
}

/* With the "no descriptor" flag, and a descriptor; without, and none; unknown bits. */
TEST(vring_descriptor_flag)
{
    static const uint32_t ids[] = {FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR};
    static const char *const names[] = {"SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"};
    int fd = STDERR_FILENO;

    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t values[] = {0x100, 0x200, UINT64_C(1) << 32, UINT64_MAX};

        for (unsigned k = 0; k < 4; k++) {
            begin(h);
            assert_true(fe_send(&h->fe, ids[i], FE_VERSION, &values[k], 8, &fd, 1));
            expect_end(h, names[i]);
        }
        begin(h);
        assert_true(fe_send(&h->fe, ids[i], FE_VERSION, &(uint64_t){0}, 8, NULL, 0));
        expect_end(h, names[i]);
    }
}

/* ---- indices ---- */

TEST(ring_index)
{
    static const uint32_t indices[] = {PROBE_QUEUES, 255, 256, 0x10000, UINT32_MAX};
    static const unsigned with_u32[] = {5, 6, 7, 8, 15};
    static const unsigned with_u8[] = {9, 10, 11};
    uint8_t payload[64] = {0};
    int fd = STDERR_FILENO;

    for (unsigned i = 0; i < 5; i++) {
        const struct request *r = &requests[with_u32[i]];

        for (unsigned k = 0; k < 5; k++) {
            begin(h);
            memcpy(payload, &indices[k], 4);
            assert_true(fe_send(&h->fe, r->id, FE_VERSION, payload, r->size_min, NULL, 0));
            expect_end(h, r->name);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct request *r = &requests[with_u8[i]];

        for (uint64_t index = PROBE_QUEUES; index <= 255; index += 253 - PROBE_QUEUES) {
            begin(h);
            assert_true(fe_send(&h->fe, r->id, FE_VERSION, &index, 8, &fd, 1));
            expect_end(h, r->name);
        }
    }
}

/* ---- torn messages ---- */

static void send_slowly(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
                        const int *fds, unsigned nfds, size_t with_fds)
{
    struct fe_message m = {.request = request, .flags = FE_VERSION | FE_NEED_REPLY, .size = size};

    memcpy(m.payload, payload, size);
    for (size_t i = 0; i < FE_HEADER + size; i++) {
        assert_true(fe_send_bytes(fe, (uint8_t *)&m + i, 1, fds, i == with_fds ? nfds : 0));
        if (i % 8 == 0)
            usleep(1000);
    }
}

TEST(byte_by_byte)
{
    struct frontend *fe = &h->fe;
    struct fe_message m;
    struct {
        uint32_t count, padding;
        struct fe_region region;
    } table = {.count = 1};

    begin(h);
    assert_true(fe_memory_new(fe, 1 << 20));
    table.region = fe->region;
    for (unsigned i = 0; i < 3; i++) {
        /* A descriptor comes with the whole message, or what is left of it. */
        send_slowly(fe, FE_SET_MEM_TABLE, &table, sizeof(table), &fe->memfd, 1,
                    FE_HEADER + sizeof(table) - 1);
        OK(fe_receive(fe, &m));
        assert_int_equal(m.payload[0], 0);
    }
    send_slowly(fe, FE_SET_FEATURES, &(uint64_t){FE_VERSION_1}, 8, NULL, 0, 0);
    OK(fe_receive(fe, &m));
    OK(fe_u64(fe, FE_SET_STATUS, DRV_S_FEATURES_OK));
    assert_true(fe_ring_new(fe, 0, 16, false) && fe_ring_send(fe, 0, 0));
    OK(fe_state(fe, FE_SET_VRING_ENABLE, 0, 1));
    harness_echo(h, 0);
}

/* Many whole messages in one write. */
TEST(all_at_once)
{
    uint8_t bytes[100 * FE_HEADER];
    struct fe_message m;

    begin(h);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t header[3] = {FE_GET_FEATURES, FE_VERSION, 0};

        memcpy(bytes + i * sizeof(header), header, sizeof(header));
    }
    assert_true(fe_send_bytes(&h->fe, bytes, sizeof(bytes), NULL, 0));
    for (unsigned i = 0; i < 100; i++)
        OK(fe_receive(&h->fe, &m));
}

TEST(front_end_leaves_in_the_middle)
{
    struct fe_message m = {.request = FE_SET_VRING_NUM, .flags = FE_VERSION, .size = 8};
    char text[64];

    for (size_t len = 1; len < FE_HEADER + 8; len++) {
        begin(h);
        assert_true(fe_send_bytes(&h->fe, &m, len, NULL, 0));
        if (len & 1)
            shutdown(h->fe.fd, SHUT_WR);
        else
            fe_disconnect(&h->fe);
        snprintf(text, sizeof(text), "the front end left after %zu bytes", len);
        assert_true(backend_logged(&h->b, text));
        assert_true(backend_logged(&h->b, len < FE_HEADER ? "header:" : "SET_VRING_NUM:"));
        fe_disconnect(&h->fe);
        assert_true(settled(h));
    }
}

/* The front end's own end, in a message that never ends, would keep the connection when it is gone.
 */
TEST(its_own_end_in_half_a_message)
{
    struct fe_message m = {.request = FE_SET_VRING_KICK, .flags = FE_VERSION, .size = 8};
    char text[64];

    for (size_t len = 1; len < FE_HEADER + 8; len++) {
        begin(h);
        assert_true(fe_send_bytes(&h->fe, &m, len, &h->fe.fd, 1));
        snprintf(text, sizeof(text), "descriptors with %zu bytes", len);
        fe_disconnect(&h->fe);
        assert_true(backend_logged(&h->b, text));
        assert_true(settled(h));
    }
}

/* Answers that nobody reads: the back end does not wait for such a peer. */
TEST(answers_are_not_read)
{
    uint32_t header[3] = {FE_GET_FEATURES, FE_VERSION, 0};
    uint64_t features;

    begin(h);
    for (unsigned i = 0; i < 1000000; i++)
        if (send(h->fe.fd, header, sizeof(header), MSG_NOSIGNAL) < 0)
            break;
    assert_true(backend_logged(&h->b, "GET_FEATURES: answer does not fit"));
    fe_disconnect(&h->fe);
    assert_true(settled(h));
    assert_true(fe_connect(&h->fe, h->b.path));
    OK(fe_get(&h->fe, FE_GET_FEATURES, &features));
}

/* ---- configuration ---- */

TEST(config_sizes)
{
    static const struct {
        uint32_t header, size, off;
    } bad[] = {{12, 1, 0},  {13, 0, 0}, {28, 17, 0},   {28, 15, 0},        {28, UINT32_MAX, 0},
               {268, 0, 0}, {12, 4, 0}, {268, 257, 0}, {20, 0x80000008, 8}};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (unsigned set = 0; set < 2; set++) {
            uint32_t config[67] = {bad[i].off, bad[i].size};

            begin(h);
            assert_true(fe_send(&h->fe, set ? FE_SET_CONFIG : FE_GET_CONFIG, FE_VERSION, config,
                                bad[i].header, NULL, 0));
            expect_end(h, set ? "SET_CONFIG" : "GET_CONFIG");
        }
}

static const struct CMUnitTest tests[] = {
    HOSTILE(header_flags),
    HOSTILE(header_size),
    HOSTILE(unknown_request_sizes),
    HOSTILE(descriptor_counts),
    HOSTILE(descriptors_of_unknown_requests),
    HOSTILE(vring_descriptor_flag),
    HOSTILE(ring_index),
    HOSTILE(byte_by_byte),
    HOSTILE(all_at_once),
    HOSTILE(front_end_leaves_in_the_middle),
    HOSTILE(its_own_end_in_half_a_message),
    HOSTILE(answers_are_not_read),
    HOSTILE(config_sizes),
};

HARNESS_MAIN("vhost-user, hostile messages", tests)

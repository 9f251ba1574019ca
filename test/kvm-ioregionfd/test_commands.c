/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands, as a kernel would send them: both layouts, every width, posted doorbells, torn and
 * wrong ones. What is right gets exactly one answer, or none if it is posted; what is wrong ends
 * the connection.
 */
#include "testing.h"

#include "conformance/test_device.h"
#include "driver/driver.h"
#include "kvm-ioregionfd/world.h"

#include <anyhv/linux/fdmem.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY (UINT64_C(1) << 20)

enum {
    LOW,
    HIGH,
    DOORBELL,
    ANY,
};

/* A device that is up, with a ring, reached by one layout over one kind of socket. */
struct bench {
    struct world w;
    uint32_t layout;
    int type;
    struct drv_mmio mmio;
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[16];
    int fd;
    uint8_t *ram;
};

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

/* Splits the window as KVM's regions do. */
static struct command command_at(uint32_t off, unsigned size, bool write, uint64_t data)
{
    struct command c = {.write = write, .size = size, .data = data, .offset = off};

    if (off >= 0x54) {
        c.user_data = HIGH;
        c.offset = off - 0x54;
    } else if (off >= 0x50) {
        c.user_data = DOORBELL;
        c.offset = off - 0x50;
    }
    return c;
}

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct bench *b = ctx;
    struct command c = command_at(off, size, write, write ? *value : 0);
    uint64_t data = world_access(&b->w, b->layout, &c);

    if (!write)
        *value = data;
    return 0;
}

static void connect_device(struct bench *b, bool level)
{
    world_connect(&b->w);
    assert_int_equal(world_hello(&b->w, b->layout), RES_OK);
    assert_int_equal(world_add(&b->w, 0, MEMORY, 0, b->fd), RES_OK);
    assert_int_equal(world_interrupt(&b->w, level), RES_OK);
    assert_int_equal(world_start_device(&b->w, b->type), RES_OK);
}

static void bring_up(struct bench *b, bool level)
{
    connect_device(b, level);
    drv_mem_init(&b->mem, b->ram, 0, MEMORY);
    drv_mmio_init(&b->mmio, access_register, b);
    assert_int_equal(drv_mmio_probe(&b->mmio), TEST_DEVICE_ID);
    assert_true(drv_negotiate(&b->mmio.transport, 0));
    assert_true(
        drv_ring_init(&b->ring, &b->mem, &(struct drv_ring_config){.size = 16, .slots = b->slots}));
    assert_true(drv_queue_setup(&b->mmio.transport, 0, &b->ring));
    drv_ready(&b->mmio.transport);
    world_turn(&b->w);
}

static struct bench *bench_new(uint32_t layout, int type)
{
    const struct anyhv_class cls = {.ops = &test_device_ops[TEST_PLAIN],
                                    .instance_size = sizeof(struct test_device),
                                    .create = create};
    struct bench *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    b->layout = layout;
    b->type = type;
    b->fd = anyhv_fdmem_create("guest", MEMORY);
    b->ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    assert_ptr_not_equal(b->ram, MAP_FAILED);
    world_start(&b->w, &cls);
    return b;
}

static void bench_free(struct bench *b)
{
    world_stop(&b->w);
    munmap(b->ram, MEMORY);
    close(b->fd);
    free(b);
}

/* Each test, with both layouts and both kinds of socket. */
typedef void test_fn(struct bench *b);
static void each(test_fn *test)
{
    static const struct {
        uint32_t layout;
        int type;
    } kinds[] = {{LAYOUT_V3, SOCK_SEQPACKET},
                 {LAYOUT_INFO, SOCK_SEQPACKET},
                 {LAYOUT_V3, SOCK_STREAM},
                 {LAYOUT_INFO, SOCK_STREAM}};

    for (unsigned i = 0; i < 4; i++) {
        struct bench *b = bench_new(kinds[i].layout, kinds[i].type);

        test(b);
        bench_free(b);
    }
}
#define TEST(name)                            \
    static void name##_body(struct bench *b); \
    static void name(void **state)            \
    {                                         \
        (void)state;                          \
        each(name##_body);                    \
    }                                         \
    static void name##_body(struct bench *b)

/* One ECHO is offered, not kicked. */
static void offer(struct bench *b)
{
    uint64_t at = 0x8000;
    const struct drv_buf out = {at, 20}, in = {at + 32, 4};
    const struct drv_chain chain = {
        .out = &out, .in = &in, .nout = 1, .nin = 1, .direct = DRV_DIRECT};

    drv_poke32(&b->mem, at, TEST_ECHO);
    drv_poke32(&b->mem, at + 4, 0);
    drv_poke64(&b->mem, at + 8, 0);
    assert_true(drv_ring_add(&b->ring, &chain) >= 0);
    drv_ring_publish(&b->ring);
}

static bool answered(struct bench *b)
{
    struct drv_used used;

    world_turn(&b->w);
    return drv_ring_get(&b->ring, &used);
}

/* ---- what is right ---- */

TEST(every_width)
{
    static const uint64_t magic = TEST_CONFIG_MAGIC_VALUE;

    bring_up(b, false);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned off = 0; off + size <= 8; off++) {
            struct command c = command_at(0x100 + off, size, false, 0);
            uint64_t want = magic >> (8 * off);

            if (size < 8)
                want &= (UINT64_C(1) << (8 * size)) - 1;
            assert_true(world_access(&b->w, b->layout, &c) == want);
        }
    }
}

/* Upper bits of a narrow write are not there; the answer of a write says nothing. */
TEST(only_the_low_bytes_count)
{
    struct command c;

    bring_up(b, false);
    c = command_at(0x100 + TEST_CONFIG_DRIVER, 4, true, 0x1122334455667788);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0);
    c = command_at(0x100 + TEST_CONFIG_DRIVER, 8, false, 0xffffffffffffffff);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0x55667788);
    c = command_at(0x100 + TEST_CONFIG_DRIVER, 1, true, 0xffffffffffffff99);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0);
    c = command_at(0x100 + TEST_CONFIG_DRIVER, 8, false, 0);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0x55667799);
}

/* What the registers do not have reads as 0, what they do not take is dropped; all is answered. */
TEST(guests_that_err_are_answered)
{
    bring_up(b, false);
    for (uint32_t off = 0; off < 0x200; off++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            uint32_t end = off < 0x50 ? 0x50 : off < 0x54 ? 0x54 : 0x200;
            struct command c = command_at(off, size, false, 0);

            if (off + size > end)
                continue;
            world_access(&b->w, b->layout, &c);
            if (off % 4 == 0 && size == 4 && off < 0x100)
                continue;
            c = command_at(off, size, true, 0xffffffffffffffff);
            assert_int_equal(world_access(&b->w, b->layout, &c), 0);
        }
    }
    offer(b);
    drv_kick(&b->mmio.transport, 0, &b->ring);
    assert_true(answered(b));
}

TEST(a_doorbell_may_be_posted)
{
    bring_up(b, false);
    for (unsigned i = 0; i < 100; i++) {
        struct command c = command_at(0x50, 4, true, 0);
        uint64_t data;

        c.posted = true;
        offer(b);
        world_access(&b->w, b->layout, &c);
        assert_int_equal(world_get(&b->w, &data), 0);
        assert_true(answered(b));
        assert_true(world_signalled(b->w.irq));
    }
}

/* A region of no size says nothing of what was written: any queue may be meant. */
TEST(a_doorbell_without_a_value)
{
    struct command c = {.write = true, .posted = true, .size = 1, .user_data = ANY, .data = 77};

    bring_up(b, false);
    offer(b);
    world_access(&b->w, b->layout, &c);
    assert_true(answered(b));
    c.posted = false;
    offer(b);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0);
    assert_true(answered(b));
}

/* The vCPU is let go before the ring is looked at. */
TEST(the_answer_comes_before_the_work)
{
    struct command c = command_at(0x50, 4, true, 0);
    struct drv_used used;
    uint8_t bytes[32];

    bring_up(b, false);
    offer(b);
    world_encode(bytes, b->layout, &c);
    world_put(&b->w, bytes, 32);
    while (recv(b->w.wire, bytes, sizeof(bytes), MSG_PEEK) < 0) {
        assert_false(drv_ring_get(&b->ring, &used));
        anyhv_loop_turn(b->w.server.loop, 0);
    }
    assert_true(answered(b));
}

/* Posted ones may be on their way when the next command comes; the order stays. */
TEST(a_storm_of_posted_kicks)
{
    struct command kick = command_at(0x50, 4, true, 0), status = command_at(0x70, 4, false, 0);
    uint8_t bytes[32];
    uint64_t data = 0;

    kick.posted = true;
    bring_up(b, false);
    for (unsigned round = 0; round < 50; round++) {
        world_encode(bytes, b->layout, &kick);
        for (unsigned i = 0; i < 100; i++)
            world_put(&b->w, bytes, 32);
        world_encode(bytes, b->layout, &status);
        world_put(&b->w, bytes, 32);
        assert_int_equal(world_get(&b->w, &data), 1);
        assert_int_equal(data, 15);
    }
}

/* ---- interrupts ---- */

/* An event is a signal; with resampling the line is asked for again until the guest has seen all.
 */
TEST(a_level_is_raised_again)
{
    bring_up(b, true);
    offer(b);
    drv_kick(&b->mmio.transport, 0, &b->ring);
    assert_true(answered(b));
    assert_true(world_signalled(b->w.irq));
    for (unsigned i = 0; i < 3; i++) {
        world_signal(b->w.resample);
        world_turn(&b->w);
        assert_true(world_signalled(b->w.irq));
    }
    drv_mmio_write(&b->mmio, DRV_MMIO_INTERRUPT_ACK, 1);
    world_signal(b->w.resample);
    world_turn(&b->w);
    assert_false(world_signalled(b->w.irq));
    assert_false(world_signalled(b->w.resample));
}

/* ---- memory that comes and goes under a running device ---- */

TEST(memory_leaves_and_returns)
{
    bring_up(b, false);
    assert_int_equal(world_remove(&b->w, 0, MEMORY), RES_OK);
    offer(b);
    drv_kick(&b->mmio.transport, 0, &b->ring);
    assert_false(answered(b));
    assert_int_equal(world_add(&b->w, 0, MEMORY, 0, b->fd), RES_OK);
    assert_true(answered(b));
}

TEST(a_reset_of_the_machine)
{
    struct command status = command_at(0x70, 4, false, 0);

    bring_up(b, false);
    assert_int_equal(world_access(&b->w, b->layout, &status), 15);
    assert_int_equal(world_say(&b->w, REQ_RESET, NULL, 0, NULL, 0), RES_OK);
    assert_int_equal(world_access(&b->w, b->layout, &status), 0);
}

/* ---- what is wrong ---- */

static void expect_end(struct bench *b, const uint8_t *bytes, size_t len)
{
    uint64_t data;

    connect_device(b, false);
    world_put(&b->w, bytes, len);
    world_turn(&b->w);
    assert_int_equal(world_get(&b->w, &data), WORLD_CLOSED);
    assert_null(world_dev(&b->w));
    world_disconnect(&b->w);
}

static void wrong(struct bench *b, const struct command *c)
{
    uint8_t bytes[32];

    world_encode(bytes, b->layout, c);
    expect_end(b, bytes, 32);
}

TEST(places_that_are_not_there)
{
    static const uint32_t sizes[] = {0x50, 0x200 - 0x54, 4, 4};
    struct command c = {.size = 4};

    for (uint64_t part = 0; part < 4; part++) {
        c.user_data = part;
        for (c.size = 1; c.size <= 8; c.size *= 2) {
            c.offset = sizes[part] - c.size + 1;
            wrong(b, &c);
        }
        c.size = 4;
        c.offset = sizes[part];
        wrong(b, &c);
        c.offset = UINT64_MAX;
        wrong(b, &c);
        c.offset = UINT64_C(1) << 32;
        wrong(b, &c);
    }
    c = (struct command){.size = 4, .user_data = 4};
    wrong(b, &c);
    c.user_data = UINT64_MAX;
    wrong(b, &c);
    c.user_data = UINT64_C(1) << 32;
    wrong(b, &c);
}

/* Reset must be done when the write has returned, so registers are never posted; reads neither. */
TEST(only_a_doorbell_is_posted)
{
    struct command c = command_at(0x70, 4, true, 0);

    c.posted = true;
    wrong(b, &c);
    c = command_at(0x14, 4, true, 1);
    c.posted = true;
    wrong(b, &c);
    c = command_at(0x50, 4, false, 0);
    c.posted = true;
    wrong(b, &c);
    c = command_at(0, 4, false, 0);
    c.posted = true;
    wrong(b, &c);
}

/* A read of the first register, with every value that a byte of its head can have. */
static bool head_is_right(const struct bench *b, unsigned at, uint8_t byte)
{
    uint8_t exponent, limit = 0x10;

    if (b->layout == LAYOUT_INFO)
        return at == 0 && ((byte & 0x8e) == 0) && (byte & 0x40);
    if (at == 0)
        return byte <= 1;
    exponent = byte & 0xf;
    return at == 1 && exponent <= 3 && (byte & 0xf0) == limit;
}

TEST(every_head)
{
    struct command c = {.size = 4};

    for (unsigned at = 0; at < 8; at++) {
        for (unsigned byte = 0; byte < 256; byte += at < 2 || byte < 16 ? 1 : 37) {
            uint8_t bytes[32];
            uint64_t data;

            world_encode(bytes, b->layout, &c);
            if (bytes[at] == byte)
                continue;
            bytes[at] = (uint8_t)byte;
            if (!head_is_right(b, at, (uint8_t)byte)) {
                expect_end(b, bytes, 32);
                continue;
            }
            connect_device(b, false);
            world_put(&b->w, bytes, 32);
            assert_int_equal(world_get(&b->w, &data), 1);
            world_disconnect(&b->w);
        }
    }
}

/* Of the other layout; a posted write of one byte is the same in both. */
TEST(the_other_layout)
{
    struct command c = {.size = 4};
    uint8_t bytes[32];

    world_encode(bytes, b->layout == LAYOUT_V3 ? LAYOUT_INFO : LAYOUT_V3, &c);
    expect_end(b, bytes, 32);
    c.write = true;
    world_encode(bytes, b->layout == LAYOUT_V3 ? LAYOUT_INFO : LAYOUT_V3, &c);
    expect_end(b, bytes, 32);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A right command, of which up to two bytes are then something else. */
static void some_command(const struct bench *b, uint32_t *random, uint8_t bytes[32])
{
    struct command c = {.size = 1u << next_random(random) % 4,
                        .write = next_random(random) % 2,
                        .user_data = next_random(random) % 2,
                        .data = next_random(random)};

    c.offset = next_random(random) % (0x50 - c.size);
    world_encode(bytes, b->layout, &c);
    for (unsigned left = next_random(random) % 3; left; left--)
        bytes[next_random(random) % 32] = (uint8_t)next_random(random);
}

/* Whatever comes is answered if it says that it wants that, or is the end; nothing else happens. */
TEST(any_bytes)
{
    uint32_t random = 0x2545f491;
    unsigned answered_ones = 0, ends = 0;

    connect_device(b, false);
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t bytes[32];
        uint64_t data;
        int got;

        some_command(b, &random, bytes);
        world_put(&b->w, bytes, sizeof(bytes));
        world_turn(&b->w);
        got = world_get(&b->w, &data);
        if (got == WORLD_CLOSED) {
            assert_null(world_dev(&b->w));
            world_disconnect(&b->w);
            connect_device(b, false);
            ends++;
        } else {
            assert_int_equal(got == 1,
                             (b->layout == LAYOUT_V3 ? bytes[1] & 0x10 : bytes[0] & 0x40) != 0);
            answered_ones += got == 1;
        }
    }
    assert_true(answered_ones > 500 && ends > 300);
    world_disconnect(&b->w);
}

static void torn(struct bench *b, size_t len)
{
    uint8_t bytes[64] = {0};
    struct command c = {.size = 4};
    uint64_t data;

    connect_device(b, false);
    world_encode(bytes, b->layout, &c);
    world_put(&b->w, bytes, len);
    if (b->type == SOCK_SEQPACKET) { /* a packet is a command */
        assert_int_equal(world_get(&b->w, &data), WORLD_CLOSED);
    } else { /* the rest may come */
        assert_int_equal(world_get(&b->w, &data), 0);
        assert_non_null(world_dev(&b->w));
        world_put(&b->w, bytes + len, 32 - len);
        assert_int_equal(world_get(&b->w, &data), 1);
        assert_int_equal(data, 0x74726976);
        world_put(&b->w, bytes, len);
        shutdown(b->w.wire, SHUT_WR);
        assert_int_equal(world_get(&b->w, &data), WORLD_CLOSED);
    }
    assert_null(world_dev(&b->w));
    world_disconnect(&b->w);
}

TEST(torn_commands)
{
    for (size_t len = 1; len < 32; len++)
        torn(b, len);
    if (b->type == SOCK_SEQPACKET)
        torn(b, 33);
    if (b->type == SOCK_SEQPACKET)
        torn(b, 64);
}

/* A kernel that does not take its answers: they cannot be kept for it. */
TEST(nobody_takes_the_answers)
{
    struct command c = {.size = 4};
    uint8_t bytes[32];

    connect_device(b, false);
    world_encode(bytes, b->layout, &c);
    for (unsigned i = 0; i < 100000 && world_dev(&b->w); i++) {
        if (send(b->w.wire, bytes, 32, MSG_NOSIGNAL) < 0)
            break;
        world_turn(&b->w);
    }
    assert_null(world_dev(&b->w));
    world_disconnect(&b->w);
    connect_device(b, false);
    assert_int_equal(world_access(&b->w, b->layout, &c), 0x74726976);
}

/* The command's socket ends, the other one does not: nobody could reach the device any more. */
TEST(the_commands_end)
{
    connect_device(b, false);
    close(b->w.wire);
    b->w.wire = -1;
    world_turn(&b->w);
    assert_null(world_dev(&b->w));
    world_disconnect(&b->w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_width),
    cmocka_unit_test(only_the_low_bytes_count),
    cmocka_unit_test(guests_that_err_are_answered),
    cmocka_unit_test(a_doorbell_may_be_posted),
    cmocka_unit_test(a_doorbell_without_a_value),
    cmocka_unit_test(the_answer_comes_before_the_work),
    cmocka_unit_test(a_storm_of_posted_kicks),
    cmocka_unit_test(a_level_is_raised_again),
    cmocka_unit_test(memory_leaves_and_returns),
    cmocka_unit_test(a_reset_of_the_machine),
    cmocka_unit_test(places_that_are_not_there),
    cmocka_unit_test(only_a_doorbell_is_posted),
    cmocka_unit_test(every_head),
    cmocka_unit_test(the_other_layout),
    cmocka_unit_test(any_bytes),
    cmocka_unit_test(torn_commands),
    cmocka_unit_test(nobody_takes_the_answers),
    cmocka_unit_test(the_commands_end),
};

ANYHV_TEST_MAIN("kvm-ioregionfd, commands", tests)

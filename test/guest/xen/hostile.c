/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in a guest that drives an entropy device itself, and badly:
 *
 *     hostile BASE SEED
 *
 * BASE is the guest-physical address of its registers, which no driver may hold. After each thing
 * that a driver must not do the device is reset and asked for a record of the stream SEED, which
 * has to come and be right. Of a device that wants grants it gets no record, for it has no memory
 * to show; there each ring that it invents has to be refused.
 *
 * Prints what it did; exit code 0 if the device stood it all.
 */
#include "devices/rng/rng_record.h"
#include "devmem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING 16u

static uint64_t seed, window;
static struct drv_mmio mmio;
static struct drv_mem mem;
static struct drv_ring ring;
static struct drv_slot slots[RING];
static unsigned cases;

static bool wait_for_answer(void)
{
    for (int ms = 0; ms < 5000; ms++) {
        if (drv_ring_pending(&ring))
            return true;
        usleep(1000);
    }
    return false;
}

/* ---- a driver that behaves ---- */

static void boot(void)
{
    const struct drv_ring_config config = {.size = RING, .slots = slots};

    mem.used = 0;
    memset(mem.host, 0, mem.size);
    if (!mmio.transport.ops->reset(&mmio.transport) || !drv_negotiate(&mmio.transport, 0) ||
        !drv_ring_init(&ring, &mem, &config) || !drv_queue_setup(&mmio.transport, 0, &ring)) {
        printf("hostile: FAILED after case %u: no set-up, status 0x%x\n", cases,
               mmio.transport.ops->status(&mmio.transport));
        exit(1);
    }
    drv_ready(&mmio.transport);
}

static uint64_t buffer(void)
{
    return drv_alloc(&mem, RNG_RECORD_SIZE, 64);
}

static void expect_record(const char *after)
{
    struct drv_buf in = {buffer(), RNG_RECORD_SIZE};
    struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;
    uint64_t index;

    drv_ring_add(&ring, &chain);
    drv_submit(&mmio.transport, 0, &ring);
    if (!wait_for_answer() || !drv_ring_get(&ring, &used) || used.len != RNG_RECORD_SIZE ||
        !rng_record_check(drv_ptr(&mem, in.addr, RNG_RECORD_SIZE), seed, &index)) {
        printf("hostile: FAILED: no record after case %u, %s\n", cases, after);
        exit(1);
    }
}

/* ---- drivers that do not; each begins with a device that works ---- */

static void misuse(uint32_t off, unsigned size)
{
    mmio.access(mmio.ctx, off, size, true, &(uint64_t){UINT64_C(0xa5a5a5a5a5a5a5a5)});
    mmio.access(mmio.ctx, off, size, false, &(uint64_t){0});
}

/* An access takes milliseconds here, so the widths that no register has come at every eighth. */
static void every_register(void)
{
    for (uint32_t off = 0; off < 0x200; off += 4)
        misuse(off, 4);
    for (uint32_t off = 0; off < 0x200; off += 32) {
        misuse(off + 1, 1);
        misuse(off + 2, 2);
        misuse(off + 8, 8);
    }
}

/* Addresses where there is nothing, or what is no memory: our registers, the interrupt controller.
 */
static uint64_t nowhere(unsigned i)
{
    static const uint64_t list[] = {0,
                                    0x1000,
                                    0x03001000,
                                    0x3ffff000,
                                    0x7ffff000,
                                    1ull << 40,
                                    1ull << 52,
                                    1ull << 63,
                                    (1ull << 63) | 0x8000,
                                    0xfffffffffffff000u,
                                    UINT64_MAX - 15};

    return i ? list[(i - 1) % (sizeof(list) / sizeof(list[0]))] : window;
}

static void rings_nowhere(unsigned area, unsigned i)
{
    struct drv_queue_setup setup = {ring.desc, ring.driver, ring.device, RING};
    uint64_t *which[] = {&setup.desc, &setup.driver, &setup.device};

    mmio.transport.ops->reset(&mmio.transport);
    drv_negotiate(&mmio.transport, 0);
    *which[area] = nowhere(i) & ~15ull;
    mmio.transport.ops->queue_setup(&mmio.transport, 0, &setup);
    drv_ready(&mmio.transport);
    drv_kick(&mmio.transport, 0, &ring);
}

static void offer(uint16_t head)
{
    drv_split_push(&ring, head);
    drv_kick(&mmio.transport, 0, &ring);
    usleep(2000);
}

static void buffer_nowhere(unsigned i, uint32_t len)
{
    drv_split_desc(&mem, ring.desc, 0, nowhere(i), len, DRV_DESC_WRITE, 0);
    offer(0);
}

static void chain_that_loops(void)
{
    drv_split_desc(&mem, ring.desc, 0, mem.base, 16, DRV_DESC_WRITE | DRV_DESC_NEXT, 1);
    drv_split_desc(&mem, ring.desc, 1, mem.base, 0, DRV_DESC_WRITE | DRV_DESC_NEXT, 0);
    offer(0);
}

static void numbers_out_of_range(void)
{
    drv_split_desc(&mem, ring.desc, 0, mem.base, 16, DRV_DESC_WRITE | DRV_DESC_NEXT, RING);
    offer(0);
    offer(RING);
    offer(UINT16_MAX);
}

static void index_that_jumps(void)
{
    drv_split_set_idx(&ring, 0x8000);
    drv_kick(&mmio.transport, 0, &ring);
    usleep(2000);
}

/* The device writes into its own rings. */
static void buffer_is_the_ring(void)
{
    drv_split_desc(&mem, ring.desc, 0, ring.desc, 256, DRV_DESC_WRITE, 0);
    offer(0);
    offer(0);
}

static void kicks_of_anything(void)
{
    for (uint32_t i = 0; i < 100; i++)
        drv_mmio_write(&mmio, DRV_MMIO_QUEUE_NOTIFY, i * 0x01000193u);
}

static void resets_in_between(void)
{
    for (int i = 0; i < 20; i++) {
        struct drv_buf in = {mem.base + 2048, 1024};
        struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT};

        drv_ring_add(&ring, &chain);
        drv_submit(&mmio.transport, 0, &ring);
        boot();
    }
}

/* ---- all of them ---- */

#define CASE(name, call)                                 \
    do {                                                 \
        printf("hostile: case %u: %s\n", ++cases, name); \
        call;                                            \
        boot();                                          \
        expect_record(name);                             \
    } while (0)

static void misuse_all(void)
{
    boot();
    CASE("nothing bad", (void)0);
    CASE("every register", every_register());
    for (unsigned i = 0; i < 12; i++) {
        CASE("a ring nowhere", rings_nowhere(i % 3, i));
        CASE("a buffer nowhere", buffer_nowhere(i, 64));
        CASE("a huge buffer nowhere", buffer_nowhere(i, UINT32_MAX));
    }
    CASE("a chain that loops", chain_that_loops());
    CASE("numbers out of range", numbers_out_of_range());
    CASE("an index that jumps", index_that_jumps());
    CASE("a buffer in the ring", buffer_is_the_ring());
    CASE("kicks of anything", kicks_of_anything());
    CASE("resets in between", resets_in_between());
}

/* ---- a device that wants grants ---- */

static void expect_refusal(uint64_t desc, uint64_t driver, uint64_t device)
{
    const struct drv_queue_setup setup = {desc, driver, device, RING};
    struct drv_transport *t = &mmio.transport;

    printf("hostile: case %u: rings at 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 "\n", ++cases,
           desc, driver, device);
    if (!drv_negotiate(t, DRV_F_ACCESS_PLATFORM)) {
        printf("hostile: FAILED: no set-up, status 0x%x\n", t->ops->status(t));
        exit(1);
    }
    t->ops->queue_setup(t, 0, &setup);
    drv_ready(t);
    t->ops->kick(t, 0, 0);
    if (t->ops->status(t) & DRV_S_NEEDS_RESET)
        return;
    printf("hostile: FAILED: not refused\n");
    exit(1);
}

/* Numbers of grants that nobody gave, that there cannot be, and addresses that are no grants. */
static void invent_grants(void)
{
    static const uint64_t numbers[] = {1000,       0xffff,     0x7fffffff,
                                       0xffffffff, 1ull << 32, 1ull << 50};

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t at = (1ull << 63) | numbers[i] << 12;

        expect_refusal(at, at + 1024, at + 2048);
        expect_refusal(at + 4080, at + 4096, at + 8192);
    }
    for (unsigned i = 0; i < 8; i++)
        expect_refusal(nowhere(i) & ~15ull, nowhere(i) & ~15ull, nowhere(i) & ~15ull);
    expect_refusal(0x40000000, 0x40001000, 0x40002000); /* memory, but of the guest alone */
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: hostile BASE SEED\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said last, if this is the end of us */
    seed = strtoull(argv[2], NULL, 0);
    window = strtoull(argv[1], NULL, 0);
    devmem_registers(&mmio, window);
    if (drv_mmio_probe(&mmio) != 4) {
        printf("hostile: FAILED: no entropy device at %s\n", argv[1]);
        return 1;
    }
    if (mmio.transport.ops->offered(&mmio.transport) & DRV_F_ACCESS_PLATFORM) {
        invent_grants();
    } else {
        devmem_memory(&mem, DEVMEM_PAGE);
        misuse_all();
    }
    mmio.transport.ops->reset(&mmio.transport);
    printf("hostile: ok %u cases\n", cases);
    return 0;
}

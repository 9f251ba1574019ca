/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The micro-guest: the test driver on a processor without anything else. It reads numbered records
 * in batches, waits for the interrupt of each, and checks every byte; or it does what no driver
 * does, and then reads on.
 */
#include "devices/rng/rng_record.h"
#include "driver/driver.h"
#include "vmm/guest/cpu.h"

#define BATCH      16u
#define RING       32u
#define SPINS      4000000u /* without an interrupt: it is lost */

#define FAIL(what) fail(__LINE__, (uint32_t)(what))
#define CHECK(condition, what) \
    do {                       \
        if (!(condition))      \
            FAIL(what);        \
    } while (0)

static volatile uint32_t interrupts, strange;

static struct drv_mmio mmio;
static struct drv_mem mem;
static struct drv_ring ring;
static struct drv_slot slots[RING];
static uint64_t next_record;
static uint64_t buffers;

/* At GUEST_ORDERS and GUEST_REPORT, says the linker script. */
extern const volatile struct guest_orders guest_orders;
extern volatile struct guest_report guest_report;

static void end(enum guest_verdict verdict)
{
    guest_report.interrupts = interrupts;
    guest_report.strange = strange;
    guest_report.verdict = verdict;
    for (;;)
        cpu_out(GUEST_PORT_END, (uint8_t)verdict);
}

static void fail(uint32_t line, uint32_t detail)
{
    guest_report.line = line;
    guest_report.detail = detail;
    end(GUEST_FAILED);
}

void *memset(void *to, int byte, size_t len);
void *memset(void *to, int byte, size_t len)
{
    volatile uint8_t *at = to;

    while (len--)
        *at++ = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t len);
void *memcpy(void *to, const void *from, size_t len)
{
    volatile uint8_t *at = to;
    const uint8_t *source = from;

    while (len--)
        *at++ = *source++;
    return to;
}

/* ---- interrupts ---- */

/* The pair of 8259s of every PC. */
static void controllers(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } steps[] = {{0x20, 0x11},
                 {0xa0, 0x11},
                 {0x21, GUEST_VECTOR},
                 {0xa1, GUEST_VECTOR + 8},
                 {0x21, 4},
                 {0xa1, 2},
                 {0x21, 1},
                 {0xa1, 1},
                 {0xa1, 0xff}};

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        cpu_out(steps[i].port, steps[i].value);
    cpu_out(0x21, (uint8_t) ~(1 << GUEST_IRQ));
}

void guest_interrupt(void);
void guest_interrupt(void)
{
    uint32_t pending = cpu_read(DRV_MMIO_INTERRUPT_STATUS, 4);

    if (pending)
        cpu_write(DRV_MMIO_INTERRUPT_ACK, 4, pending);
    else
        strange++;
    interrupts++;
    cpu_out(0x20, 0x20);
}

static void wait_interrupt(uint32_t before)
{
    uint32_t spins = 0;

    while (interrupts == before) {
        CHECK(spins++ < SPINS, cpu_read(DRV_MMIO_INTERRUPT_STATUS, 4));
        cpu_pause();
    }
}

/* ---- the device ---- */

static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    (void)ctx;
    if (write)
        cpu_write(off, size, (uint32_t)*value);
    else
        *value = cpu_read(off, size);
    return 0;
}

static void bring_up(void)
{
    struct drv_ring_config config = {.size = RING, .slots = slots};
    uint64_t features = guest_orders.packed ? DRV_F_PACKED : 0;

    drv_mem_init(&mem, (void *)(uintptr_t)GUEST_WINDOW, GUEST_WINDOW,
                 GUEST_WINDOW_END - GUEST_WINDOW);
    drv_mmio_init(&mmio, access_register, NULL);
    CHECK(drv_mmio_probe(&mmio) == 4, drv_mmio_read(&mmio, DRV_MMIO_DEVICE_ID));
    CHECK(drv_negotiate(&mmio.transport, features), 0);
    CHECK((mmio.transport.features & features) == features, 0);
    config.packed = guest_orders.packed;
    CHECK(drv_ring_init(&ring, &mem, &config), 0);
    buffers = drv_alloc(&mem, (uint64_t)BATCH * RNG_RECORD_SIZE, 64);
    CHECK(buffers != DRV_NO_ADDR, 0);
    CHECK(drv_queue_setup(&mmio.transport, 0, &ring), 0);
    drv_ready(&mmio.transport);
}

static void offer(uint32_t token)
{
    const struct drv_buf in = {buffers + token * RNG_RECORD_SIZE, RNG_RECORD_SIZE};
    const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = token};

    CHECK(drv_ring_add(&ring, &chain) >= 0, token);
}

/*
 * Records come in the order of the requests, and none twice. What a reset dropped may be missing
 * before the first, and what a killed device process had read and not answered, anywhere.
 */
static void check_record(const struct drv_used *used, bool first)
{
    const uint8_t *record = drv_ptr(&mem, buffers + used->token * RNG_RECORD_SIZE, RNG_RECORD_SIZE);
    uint64_t index;

    CHECK(used->len == RNG_RECORD_SIZE, used->len);
    CHECK(rng_record_check(record, guest_orders.seed, &index), index);
    CHECK(index >= next_record, index);
    if (!first)
        guest_report.missing += (uint32_t)(index - next_record);
    CHECK(guest_report.missing <= guest_orders.gaps, index);
    next_record = index + 1;
}

/* @count requests, one kick, one interrupt. */
static void batch(uint32_t count, bool first)
{
    uint32_t before = interrupts, got = 0;
    struct drv_used used;

    for (uint32_t i = 0; i < count; i++)
        offer(i);
    CHECK(drv_submit(&mmio.transport, 0, &ring), 0);
    while (got < count) {
        wait_interrupt(before);
        before = interrupts;
        while (drv_ring_get(&ring, &used)) {
            check_record(&used, first);
            first = false;
            got++;
        }
    }
    CHECK(ring.fault == DRV_FAULT_NONE, ring.fault);
    guest_report.requests += count;
    guest_report.batches++;
}

static void reads(void)
{
    bring_up();
    for (uint32_t done = 0; done < guest_orders.requests;) {
        uint32_t left = guest_orders.requests - done, count = left < BATCH ? left : BATCH;

        batch(count, done == 0);
        done += count;
    }
}

/* ---- what no driver does ---- */

/* After each of these the device works for who brings it up again. */
static void alive(void)
{
    bring_up();
    batch(3, true);
}

/* Every offset and width, in and around the window, straddling all borders. */
static void odd_accesses(void)
{
    for (uint32_t off = 0; off < 0x204; off++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            cpu_read(off, size);
            guest_report.accesses++;
            if (off != DRV_MMIO_STATUS || size != 4) /* that one would be a reset, or DRIVER_OK */
                cpu_write(off, size, 0xffffffff);
#if MODE == 64
            if (size == 4) {
                cpu_read64(off);
                cpu_write64(off, UINT64_MAX);
            }
#endif
        }
    }
}

static void kick_storm(void)
{
    bring_up();
    for (uint32_t i = 0; i < 2000; i++)
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, i % 7 ? 0 : i);
    batch(BATCH, true);
    for (uint32_t size = 1; size <= 2; size++)
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, size, 0);
    batch(BATCH, false);
}

/* Rings in no memory, in the registers, at odd places, of odd sizes. */
static void bad_queues(void)
{
    static const struct drv_queue_setup setups[] = {
        {0xfffffffffffff000, 0xfffffffffffff000, 0xfffffffffffff000, 32},
        {GUEST_DEVICE, GUEST_DEVICE, GUEST_DEVICE, 32},
        {GUEST_WINDOW + 1, GUEST_WINDOW + 0x1001, GUEST_WINDOW + 0x2001, 32},
        {GUEST_MEMORY - 16, GUEST_WINDOW, GUEST_WINDOW, 32},
        {GUEST_WINDOW, GUEST_WINDOW, GUEST_WINDOW, 0},
        {GUEST_WINDOW, GUEST_WINDOW, GUEST_WINDOW, 65535},
    };

    for (unsigned i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
        CHECK(drv_negotiate(&mmio.transport, 0), i);
        CHECK(!mmio.transport.ops->queue_setup(&mmio.transport, 0, &setups[i]), i);
        drv_ready(&mmio.transport);
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, 0);
    }
    CHECK(drv_negotiate(&mmio.transport, 0), 0);
    CHECK(!mmio.transport.ops->queue_setup(&mmio.transport, 1, &setups[0]), 0);
}

/* Descriptors that are loops, lead nowhere, or stand outside the table. Split rings only. */
static void bad_descriptors(void)
{
    if (guest_orders.packed)
        return;
    for (uint16_t i = 0; i < 8; i++) {
        bring_up();
        drv_split_desc(&mem, ring.desc, 0, i & 1 ? 0xfffffffffffffff0 : GUEST_DEVICE, 64,
                       DRV_DESC_WRITE | (i & 2 ? DRV_DESC_NEXT : 0), i & 4 ? 0 : 0xffff);
        drv_split_avail(&ring, 0, i == 7 ? 0x8000 : 0);
        drv_split_set_idx(&ring, i == 6 ? 0x7fff : 1);
        cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, 0);
    }
}

static void resets(void)
{
    for (uint32_t i = 0; i < 50; i++) {
        bring_up();
        for (uint32_t k = 0; k < BATCH; k++)
            offer(k);
        drv_submit(&mmio.transport, 0, &ring);
    }
}

static void hostile(void)
{
    static void (*const programs[])(void) = {odd_accesses, kick_storm, bad_queues, bad_descriptors,
                                             resets};

    alive();
    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        programs[i]();
        alive();
    }
}

void guest_main(void);
void guest_main(void)
{
    controllers();
    cpu_interrupts_on();
    if (guest_orders.program == GUEST_READS)
        reads();
    else
        hostile();
    end(GUEST_DONE);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The micro-guest: the test driver on a processor without anything else. It reads numbered records
 * in batches, waits for the interrupt of each, and checks every byte; the other programs have a
 * file each.
 */
#include "vmm/guest/guest.h"

#include "devices/rng/rng_record.h"

#define SPINS 4000000u /* without an interrupt: it is lost */

volatile uint32_t guest_interrupts;
struct drv_mmio guest_mmio;
struct drv_mem guest_mem;
struct drv_ring guest_ring;

static volatile uint32_t strange;
static struct drv_slot slots[RING];
static uint64_t next_record;
static uint64_t buffers;

static void end(enum guest_verdict verdict)
{
    guest_report.interrupts = guest_interrupts;
    guest_report.strange = strange;
    guest_report.verdict = verdict;
    for (;;)
        cpu_out(GUEST_PORT_END, (uint8_t)verdict);
}

void guest_fail(const char *file, uint32_t line, uint32_t detail)
{
    const char *name = file;

    for (; *file; file++)
        if (*file == '/')
            name = file + 1;
    for (unsigned i = 0; name[i] && i < sizeof(guest_report.file) - 1; i++)
        guest_report.file[i] = name[i];
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
    guest_interrupts++;
    cpu_out(0x20, 0x20);
}

void guest_wait_interrupt(uint32_t before)
{
    uint32_t spins = 0;

    while (guest_interrupts == before) {
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

void guest_bring_up(struct drv_mem *rings)
{
    struct drv_ring_config config = {.size = RING, .slots = slots};
    uint64_t features = guest_orders.packed ? DRV_F_PACKED : 0;

    drv_mem_init(&guest_mem, (void *)(uintptr_t)GUEST_WINDOW, GUEST_WINDOW,
                 GUEST_WINDOW_END - GUEST_WINDOW);
    drv_mmio_init(&guest_mmio, access_register, NULL);
    CHECK(drv_mmio_probe(&guest_mmio) == 4, drv_mmio_read(&guest_mmio, DRV_MMIO_DEVICE_ID));
    CHECK(drv_negotiate(&guest_mmio.transport, features), 0);
    CHECK((guest_mmio.transport.features & features) == features, 0);
    config.packed = guest_orders.packed;
    CHECK(drv_ring_init(&guest_ring, rings ? rings : &guest_mem, &config), 0);
    buffers = drv_alloc(&guest_mem, (uint64_t)BATCH * RNG_RECORD_SIZE, 64);
    CHECK(buffers != DRV_NO_ADDR, 0);
    CHECK(drv_queue_setup(&guest_mmio.transport, 0, &guest_ring), 0);
    drv_ready(&guest_mmio.transport);
}

void guest_offer(uint32_t token)
{
    const struct drv_buf in = {buffers + token * RNG_RECORD_SIZE, RNG_RECORD_SIZE};
    const struct drv_chain chain = {.in = &in, .nin = 1, .direct = DRV_DIRECT, .token = token};

    CHECK(drv_ring_add(&guest_ring, &chain) >= 0, token);
}

void guest_check_record(const uint8_t *record, bool first)
{
    uint64_t index;

    CHECK(rng_record_check(record, guest_orders.seed, &index), index);
    CHECK(index >= next_record, index);
    if (!first)
        guest_report.missing += (uint32_t)(index - next_record);
    CHECK(guest_report.missing <= guest_orders.gaps, index);
    next_record = index + 1;
}

static void check_answer(const struct drv_used *used, bool first)
{
    CHECK(used->len == RNG_RECORD_SIZE, used->len);
    guest_check_record(
        drv_ptr(&guest_mem, buffers + used->token * RNG_RECORD_SIZE, RNG_RECORD_SIZE), first);
}

void guest_batch(uint32_t count, bool first)
{
    uint32_t before = guest_interrupts, got = 0;
    struct drv_used used;

    for (uint32_t i = 0; i < count; i++)
        guest_offer(i);
    CHECK(drv_submit(&guest_mmio.transport, 0, &guest_ring), 0);
    while (got < count) {
        guest_wait_interrupt(before);
        before = guest_interrupts;
        while (drv_ring_get(&guest_ring, &used)) {
            check_answer(&used, first);
            first = false;
            got++;
        }
    }
    CHECK(guest_ring.fault == DRV_FAULT_NONE, guest_ring.fault);
    guest_report.requests += count;
    guest_report.batches++;
}

static void reads(void)
{
    guest_bring_up(NULL);
    for (uint32_t done = 0; done < guest_orders.requests;) {
        uint32_t left = guest_orders.requests - done, count = left < BATCH ? left : BATCH;

        guest_batch(count, done == 0);
        done += count;
    }
}

void guest_main(void);
void guest_main(void)
{
    static void (*const programs[])(void) = {
        [GUEST_READS] = reads,       [GUEST_HOSTILE] = guest_hostile,
        [GUEST_PLUGS] = guest_plugs, [GUEST_WATCHES] = guest_watches,
        [GUEST_TIMES] = guest_times,
    };

    controllers();
    cpu_interrupts_on();
    programs[guest_orders.program]();
    end(GUEST_DONE);
}

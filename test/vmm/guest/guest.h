/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the micro-guest share. */
#ifndef ANYHV_TEST_VMM_GUEST_H
#define ANYHV_TEST_VMM_GUEST_H

#include "driver/driver.h"
#include "vmm/guest/cpu.h"
#include "vmm/guest/report.h"

#define BATCH 16u
#define RING  32u

#define CHECK(condition, what)                                           \
    do {                                                                 \
        if (!(condition))                                                \
            guest_fail(__FILE__, __LINE__, (uint32_t)(uintptr_t)(what)); \
    } while (0)

/* At GUEST_ORDERS and GUEST_REPORT, says the linker script. */
extern const volatile struct guest_orders guest_orders;
extern volatile struct guest_report guest_report;

extern volatile uint32_t guest_interrupts;
extern struct drv_mmio guest_mmio;
extern struct drv_mem guest_mem; /* what the driver shares with the device */
extern struct drv_ring guest_ring;

void guest_fail(const char *file, uint32_t line, uint32_t detail);

/* The device works, with a new ring in @rings; NULL: in guest_mem. */
void guest_bring_up(struct drv_mem *rings);
/* One request, not yet visible; its buffer is the @token-th. */
void guest_offer(uint32_t token);
/* Until there is an interrupt that was not there @before. */
void guest_wait_interrupt(uint32_t before);
/*
 * A record that a request brought. They come in the order of the requests, and none twice. What a
 * reset dropped may be missing before the @first, and what a killed device process had read and not
 * answered, anywhere.
 */
void guest_check_record(const uint8_t *record, bool first);
/* @count requests, one kick, one interrupt. */
void guest_batch(uint32_t count, bool first);

/* ---- the programs ---- */
void guest_hostile(void);
void guest_plugs(void);
void guest_watches(void);
void guest_times(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The few instructions that C does not have. */
#ifndef ANYHV_TEST_VMM_CPU_H
#define ANYHV_TEST_VMM_CPU_H

#include "vmm/guest/report.h"

#include <stdint.h>

static inline void cpu_out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t cpu_in(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* Ring 3, where 64 bits run, has them from the beginning. */
static inline void cpu_interrupts_on(void)
{
#if MODE != 64
    __asm__ volatile("sti");
#endif
}

/* In 16 bits the registers are beyond what an address can say; %fs begins there. */
#if MODE == 16
#define AT         "%%fs:(%1)"
#define PLACE(off) ((uintptr_t)(off))
#else
#define AT         "(%1)"
#define PLACE(off) ((uintptr_t)GUEST_DEVICE + (off))
#endif

static inline uint32_t cpu_read(uint32_t off, unsigned size)
{
    uint32_t value = 0;

    if (size == 1)
        __asm__ volatile("movb " AT ", %b0" : "+q"(value) : "r"(PLACE(off)) : "memory");
    else if (size == 2)
        __asm__ volatile("movw " AT ", %w0" : "+r"(value) : "r"(PLACE(off)) : "memory");
    else
        __asm__ volatile("movl " AT ", %k0" : "+r"(value) : "r"(PLACE(off)) : "memory");
    return value;
}

static inline void cpu_write(uint32_t off, unsigned size, uint32_t value)
{
    if (size == 1)
        __asm__ volatile("movb %b0, " AT : : "q"(value), "r"(PLACE(off)) : "memory");
    else if (size == 2)
        __asm__ volatile("movw %w0, " AT : : "r"(value), "r"(PLACE(off)) : "memory");
    else
        __asm__ volatile("movl %k0, " AT : : "r"(value), "r"(PLACE(off)) : "memory");
}

#if MODE == 64
static inline uint64_t cpu_read64(uint32_t off)
{
    uint64_t value;

    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(PLACE(off)) : "memory");
    return value;
}

static inline void cpu_write64(uint32_t off, uint64_t value)
{
    __asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(PLACE(off)) : "memory");
}
#endif

#endif

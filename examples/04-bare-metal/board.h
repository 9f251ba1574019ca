/* SPDX-License-Identifier: Apache-2.0 */
/* What this example wants of a board: text and an end, both through the debugger (semihosting). */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* One call to whoever debugs the machine, here QEMU. */
static inline void board_semihost(uintptr_t call, const void *argument)
{
#if defined(__aarch64__)
    register uintptr_t op __asm__("x0") = call;
    register const void *arg __asm__("x1") = argument;

    __asm__ volatile("hlt #0xf000" : "+r"(op) : "r"(arg) : "memory");
#else
    register uintptr_t op __asm__("r0") = call;
    register const void *arg __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xab" : "+r"(op) : "r"(arg) : "memory");
#endif
}

static inline void board_print(const char *text)
{
    board_semihost(0x04, text); /* SYS_WRITE0 */
}

/* Ends QEMU with this exit status. */
__attribute__((noreturn)) static inline void board_exit(int status)
{
    const uintptr_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, (uintptr_t)status};

    board_semihost(0x20, block); /* SYS_EXIT_EXTENDED */
    for (;;)
        ;
}

/* main.c: returns the exit status. */
int board_main(void);

#endif

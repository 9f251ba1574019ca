/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From reset to board_main() on QEMU's aarch64 machine "virt". The MMU stays off, so all memory is
 * device memory, where unaligned accesses fault; QEMU 7.2 overlooks that unless it is told to
 * check.
 */
#include "board.h"
#include <anyhv/port.h>

extern uint8_t bss_start[], bss_end[];

__asm__(".section .start, \"ax\"\n"
        ".global _start\n"
        "_start:\n"
        "    ldr x0, =stack_top\n"
        "    mov sp, x0\n"
        "    ldr x0, =vectors\n"
        "    msr vbar_el1, x0\n"
        "    mrs x0, sctlr_el1\n"
        "    orr x0, x0, #2\n" /* A: check alignment */
        "    msr sctlr_el1, x0\n"
        "    isb\n"
        "    b start\n"
        ".balign 2048\n"
        "vectors:\n"
        "    .rept 16\n"
        "    b fault\n"
        "    .balign 128\n"
        "    .endr\n");

void start(void);
void fault(void);

void start(void)
{
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    board_exit(board_main());
}

void fault(void)
{
    board_print("fault\n");
    board_exit(4);
}

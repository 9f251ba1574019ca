/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to board_main() on a Cortex-M. */
#include "board.h"
#include <anyhv/port.h>

extern uint8_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

static void reset(void)
{
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    board_exit(board_main());
}

static void fault(void)
{
    board_print("fault\n");
    board_exit(4);
}

__attribute__((section(".vectors"))) const struct {
    void *stack;
    void (*handlers[6])(void); /* reset, NMI, HardFault; the rest a Cortex-M0 does not have */
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};

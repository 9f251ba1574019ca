/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes: into C, and the interrupt's way there. The VMM has set the processor's mode up,
 * and the tables. Byte 16 is where interrupts come.
 */
#if MODE == 16
    .code16gcc
#elif MODE == 32
    .code32
#else
    .code64
#endif
    .section .entry, "ax"
    .globl entry
entry:
    call guest_main
1:  jmp 1b

    .org 16
#if MODE == 64
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    call guest_interrupt
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    iretq
#elif MODE == 32
    pushal
    cld
    call guest_interrupt
    popal
    /* KVMs that emulate the kernel's mode know no iret here; without a change of ring this is one. */
    pushl 8(%esp)
    popfl
    ret $8
#else
    pushal
    cld
    call guest_interrupt
    popal
    iretw
#endif

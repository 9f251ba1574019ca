/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of this machine in the hands of a program: its registers through /dev/mem, and memory of
 * the program whose guest-physical address is known. No driver may hold the device. What fails is
 * said, and ends the program.
 */
#ifndef DEVMEM_H
#define DEVMEM_H

#include "driver/driver.h"

/* The registers at guest-physical @base. */
void devmem_registers(struct drv_mmio *mmio, uint64_t base);

/*
 * @size bytes that follow each other in the machine, too. Up to DEVMEM_PAGE they are an ordinary
 * page; more come from a huge one, which the kernel has to have (hugepagesz=32M hugepages=1).
 */
#define DEVMEM_PAGE 4096u
void devmem_memory(struct drv_mem *mem, uint64_t size);

#endif

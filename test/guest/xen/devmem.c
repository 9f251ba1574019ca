/* SPDX-License-Identifier: Apache-2.0 */
#include "devmem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* 32 MiB: on Arm64 16 page-table entries of 2 MiB each, which belong together. */
#define HUGE_SHIFT 25

static void give_up(const char *what)
{
    perror(what);
    exit(2);
}

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0)
        give_up(path);
    return fd;
}

/* ---- registers ---- */

/*
 * Not inline: in a loop the compiler would take instructions that also move the address on, and
 * those the hypervisor cannot decode.
 */
static __attribute__((noinline)) int access_register(void *ctx, uint32_t off, unsigned size,
                                                     bool write, uint64_t *value)
{
    volatile uint8_t *at = (volatile uint8_t *)ctx + off;

#define ACCESS(type)                             \
    do {                                         \
        if (write)                               \
            *(volatile type *)at = (type)*value; \
        else                                     \
            *value = *(volatile type *)at;       \
    } while (0)
    switch (size) {
    case 1:
        ACCESS(uint8_t);
        break;
    case 2:
        ACCESS(uint16_t);
        break;
    case 4:
        ACCESS(uint32_t);
        break;
    default:
        ACCESS(uint64_t);
        break;
    }
    return 0;
}

void devmem_registers(struct drv_mmio *mmio, uint64_t base)
{
    int fd = open_file("/dev/mem", O_RDWR | O_SYNC);
    uint8_t *page = mmap(NULL, DEVMEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                         (off_t)(base / DEVMEM_PAGE * DEVMEM_PAGE));

    if (page == MAP_FAILED)
        give_up("mapping the registers");
    drv_mmio_init(mmio, access_register, page + base % DEVMEM_PAGE);
}

/* ---- memory ---- */

/* The kernel tells it to those who may know. */
static uint64_t physical(const void *host)
{
    int fd = open_file("/proc/self/pagemap", O_RDONLY);
    uint64_t entry = 0;

    if (pread(fd, &entry, 8, (off_t)((uintptr_t)host / DEVMEM_PAGE * 8)) != 8 || !(entry >> 63))
        give_up("pagemap");
    close(fd);
    return (entry & ((1ull << 55) - 1)) * DEVMEM_PAGE;
}

void devmem_memory(struct drv_mem *mem, uint64_t size)
{
    int huge = size > DEVMEM_PAGE ? MAP_HUGETLB | HUGE_SHIFT << MAP_HUGE_SHIFT : 0;
    uint64_t page = huge ? 1ull << HUGE_SHIFT : DEVMEM_PAGE;
    uint8_t *host = mmap(NULL, page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | huge, -1, 0);

    if (host == MAP_FAILED)
        give_up("memory");
    host[0] = 1; /* now it is there */
    drv_mem_init(mem, host, physical(host), size);
}

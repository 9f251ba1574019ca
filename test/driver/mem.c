/* SPDX-License-Identifier: Apache-2.0 */
/* The window of guest memory. */
#include "driver/driver.h"
#include "driver/shared.h"

void drv_mem_init(struct drv_mem *mem, void *host, uint64_t base, uint64_t size)
{
    *mem = (struct drv_mem){.host = host, .base = base, .size = size};
}

uint64_t drv_alloc(struct drv_mem *mem, uint64_t size, uint64_t align)
{
    uint64_t addr = (mem->base + mem->used + align - 1) & ~(align - 1);
    uint64_t off = addr - mem->base;

    if (off > mem->size || size > mem->size - off)
        return DRV_NO_ADDR;
    mem->used = off + size;
    memset(mem->host + off, 0, (size_t)size);
    return addr;
}

void *drv_ptr(const struct drv_mem *mem, uint64_t addr, uint64_t len)
{
    uint64_t off = addr - mem->base;

    if (addr < mem->base || off > mem->size || len > mem->size - off)
        return NULL;
    return mem->host + off;
}

static bool aligned(const uint8_t *at, unsigned bytes)
{
    return ((uintptr_t)at & (bytes - 1)) == 0;
}

/* Aligned words in one access, as the device may look at the same time; others byte by byte. */
static void poke(const struct drv_mem *mem, uint64_t addr, uint64_t value, unsigned bytes)
{
    uint8_t *at = drv_ptr(mem, addr, bytes);

    if (!at)
        return;
    if (bytes == 2 && aligned(at, 2)) {
        drv_put16(at, (uint16_t)value);
    } else if (bytes == 4 && aligned(at, 4)) {
        drv_put32(at, (uint32_t)value);
    } else if (bytes == 8 && aligned(at, 4)) {
        drv_put64(at, value);
    } else {
        for (unsigned i = 0; i < bytes; i++)
            __atomic_store_n(at + i, (uint8_t)(value >> (8 * i)), __ATOMIC_RELAXED);
    }
}

static uint64_t peek(const struct drv_mem *mem, uint64_t addr, unsigned bytes)
{
    uint8_t *at = drv_ptr(mem, addr, bytes);
    uint64_t value = 0;

    if (!at)
        return 0;
    if (bytes == 2 && aligned(at, 2))
        return drv_get16(at);
    if (bytes == 4 && aligned(at, 4))
        return drv_get32(at);
    if (bytes == 8 && aligned(at, 4))
        return drv_get64(at);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)__atomic_load_n(at + i, __ATOMIC_RELAXED) << (8 * i);
    return value;
}

void drv_poke8(const struct drv_mem *mem, uint64_t addr, uint8_t value)
{
    poke(mem, addr, value, 1);
}

void drv_poke16(const struct drv_mem *mem, uint64_t addr, uint16_t value)
{
    poke(mem, addr, value, 2);
}

void drv_poke32(const struct drv_mem *mem, uint64_t addr, uint32_t value)
{
    poke(mem, addr, value, 4);
}

void drv_poke64(const struct drv_mem *mem, uint64_t addr, uint64_t value)
{
    poke(mem, addr, value, 8);
}

uint8_t drv_peek8(const struct drv_mem *mem, uint64_t addr)
{
    return (uint8_t)peek(mem, addr, 1);
}

uint16_t drv_peek16(const struct drv_mem *mem, uint64_t addr)
{
    return (uint16_t)peek(mem, addr, 2);
}

uint32_t drv_peek32(const struct drv_mem *mem, uint64_t addr)
{
    return (uint32_t)peek(mem, addr, 4);
}

uint64_t drv_peek64(const struct drv_mem *mem, uint64_t addr)
{
    return peek(mem, addr, 8);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* All that core, transports and models ask of their surroundings: <anyhv/port.h>. */
#include <anyhv/port.h>

#include "board.h"

void *memcpy(void *to, const void *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memmove(void *to, const void *from, size_t len)
{
    if ((uintptr_t)to <= (uintptr_t)from)
        return memcpy(to, from, len);
    while (len--)
        ((uint8_t *)to)[len] = ((const uint8_t *)from)[len];
    return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i])
            return ((const uint8_t *)a)[i] - ((const uint8_t *)b)[i];
    return 0;
}

/* A guest decides how often this is called. Here the driver behaves, so one is too many. */
void anyhv_port_violation(const struct anyhv_dev *dev, int queue, enum anyhv_violation v,
                          uint64_t a, uint64_t b)
{
    (void)dev, (void)queue, (void)a, (void)b;
    board_print(anyhv_violations[v].name);
    board_print("\n");
    board_exit(2);
}

void anyhv_port_panic(const char *file, int line, const char *what)
{
    (void)file, (void)line;
    board_print(what);
    board_print("\n");
    board_exit(3);
}

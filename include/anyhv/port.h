/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of what the freestanding parts (lib/core, lib/transport, device models) need from
 * outside besides memcpy, memmove, memset and memcmp. lib/linux supplies these on Linux; a
 * bare-metal product writes its own, in about ten lines.
 */
#ifndef ANYHV_PORT_H
#define ANYHV_PORT_H

#include <anyhv/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_dev;

#ifndef __cplusplus
/* The four that every compiler calls anyway; there may be no string.h. */
void *memcpy(void *to, const void *from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
#endif

/*
 * A driver broke rule @v on @queue (ANYHV_CONFIG when no queue is meant). Called for every
 * violation, so a guest decides how often: limit the rate before printing. @a and @b fill the
 * text's %a and %b. Must not block and must not call back into @dev.
 */
void anyhv_port_violation(const struct anyhv_dev *dev, int queue, enum anyhv_violation v,
                          uint64_t a, uint64_t b);

/* A bug of ours or of the program that embeds us. Must not return. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void anyhv_port_panic(const char *file, int line, const char *what);

#define ANYHV_ASSERT(cond)                               \
    do {                                                 \
        if (!(cond))                                     \
            anyhv_port_panic(__FILE__, __LINE__, #cond); \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif

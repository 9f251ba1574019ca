/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that a peer hands over as a file descriptor, mapped so that nothing it does with the file
 * can hurt the process.
 */
#ifndef ANYHV_LINUX_FDMEM_H
#define ANYHV_LINUX_FDMEM_H

#include <anyhv/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; in place until anyhv_fdmem_unmap. */
struct anyhv_fdmem {
    uint8_t *host; /* byte @offset of the file */
    uint64_t size; /* bytes at host */
    /* private */
    void *base;
    size_t length;
    volatile int lost; /* the file shrank under the map */
    struct anyhv_fdmem *next;
};

/*
 * Maps @size bytes at @offset (any byte) of @fd, shared, readable and (unless @read_only)
 * writable. The fd can be closed afterwards; it stays the caller's. ANYHV_E_INVAL: size 0, the sum
 * wraps, or the file is shorter than offset + size; ANYHV_E_IO: fstat or mmap failed (errno).
 */
int anyhv_fdmem_map(struct anyhv_fdmem *mem, int fd, uint64_t offset, uint64_t size,
                    bool read_only);
void anyhv_fdmem_unmap(struct anyhv_fdmem *mem);

/*
 * The owner of the file can shrink it later, and a touch then is SIGBUS. With the guard installed
 * (once per process; anyhv_main does it) such a map is replaced by zero pages on the spot, and
 * anyhv_fdmem_lost tells. Other SIGBUS keep their meaning. Returns 0 or -errno.
 */
int anyhv_fdmem_guard(void);
bool anyhv_fdmem_lost(const struct anyhv_fdmem *mem);

/* An anonymous memory file of @size bytes (memfd, sealed against shrinking); fd or -errno. */
int anyhv_fdmem_create(const char *name, uint64_t size);

#ifdef __cplusplus
}
#endif
#endif

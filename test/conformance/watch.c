/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/watch.h"

/* The memory's ops are replaced by these, which go on to the real ones. One suite at a time. */
static struct {
    struct anyhv_mem_ops ops;
    const struct anyhv_mem_ops *real;
    struct watch watch;
    struct suite *s;
} watched;

static void tell_access(uint64_t addr, uint32_t len, unsigned perm)
{
    if (watched.watch.access && !(perm & ANYHV_RING))
        watched.watch.access(watched.s, addr, len, perm);
}

static int watched_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                       struct anyhv_map *out)
{
    tell_access(addr, len, perm);
    return watched.real->map(mem, addr, len, perm, out);
}

static int watched_copy(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len,
                        unsigned perm)
{
    tell_access(addr, len, perm);
    return watched.real->copy(mem, addr, buf, len, perm);
}

static void watched_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    if (watched.real && watched.real->dirty)
        watched.real->dirty(mem, addr, len);
    if (watched.watch.written)
        watched.watch.written(watched.s, addr, len);
}

void watch_memory(struct suite *s, const struct watch *watch)
{
    struct anyhv_mem *mem = s->rig->dev->mem;

    if (mem->ops != &watched.ops) {
        watched.real = mem->ops;
        watched.ops = mem->ops ? *mem->ops : (struct anyhv_mem_ops){0};
        watched.ops.map = watched.ops.map ? watched_map : NULL;
        watched.ops.copy = watched.ops.copy ? watched_copy : NULL;
        watched.ops.dirty = watched_dirty;
        mem->ops = &watched.ops;
        anyhv_mem_track(mem, true);
    }
    watched.watch = *watch;
    watched.s = s;
}

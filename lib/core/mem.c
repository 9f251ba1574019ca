/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: the region table, and ops for what it does not cover. */
#include "core.h"
#include "shm.h"

#define RW (ANYHV_R | ANYHV_W)

void anyhv_mem_init(struct anyhv_mem *mem, struct anyhv_region *regions, uint32_t capacity,
                    const struct anyhv_mem_ops *ops, void *priv)
{
    memset(mem, 0, sizeof(*mem));
    mem->regions = regions;
    mem->capacity = capacity;
    mem->ops = ops;
    mem->priv = priv;
    mem->tracked = ops && ops->dirty;
    ANYHV_ASSERT(!ops || !ops->map == !ops->unmap);
}

static bool wraps(uint64_t addr, uint64_t len)
{
    return len != 0 && addr + (len - 1) < addr;
}

/* The last region that begins at or below @addr; if none does, the first. There is at least one. No
 * branch to mispredict: the addresses of a random workload follow no pattern. */
static const struct anyhv_region *search(const struct anyhv_mem *mem, uint64_t addr)
{
    const struct anyhv_region *base = mem->regions;

    for (size_t n = mem->count, half; n > 1; n -= half) {
        const struct anyhv_region *middle;

        half = n / 2;
        middle = base + half;
        base = middle->addr <= addr ? middle : base;
    }
    return base;
}

/* The region that holds @addr, or NULL. */
static inline const struct anyhv_region *find_other(struct anyhv_mem *mem, uint64_t addr)
{
    const struct anyhv_region *region;

    if (mem->count == 0)
        return NULL;
    region = search(mem, addr);
    if (addr - region->addr >= region->size)
        return NULL;
    if ((region->perm & RW) == RW)
        mem->last = *region;
    return region;
}

/* The same; most likely it is the one that answered last. */
static const struct anyhv_region *find(struct anyhv_mem *mem, uint64_t addr)
{
    return addr - mem->last.addr < mem->last.size ? &mem->last : find_other(mem, addr);
}

/* Bytes from @addr, which no region holds, to the next region; at most @len. */
static uint64_t gap(const struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    const struct anyhv_region *end = mem->regions + mem->count;
    const struct anyhv_region *next = mem->count ? search(mem, addr) : end;

    while (next < end && next->addr <= addr)
        next++;
    return next < end && next->addr - addr < len ? next->addr - addr : len;
}

static inline uint8_t *host_in(const struct anyhv_region *region, uint64_t addr, uint64_t len,
                               unsigned perm)
{
    uint64_t off;

    if (!region)
        return NULL;
    off = addr - region->addr;
    if (len > region->size - off || (region->perm & perm & RW) != (perm & RW))
        return NULL;
    return region->host + off;
}

uint8_t *anyhv_mem_host(struct anyhv_mem *mem, uint64_t addr, uint64_t len, unsigned perm)
{
    return host_in(find(mem, addr), addr, len, perm);
}

uint8_t *anyhv_core_host(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm)
{
    return len ? host_in(find_other(mem, addr), addr, len, perm) : NULL;
}

int anyhv_mem_check(struct anyhv_mem *mem, uint64_t addr, uint64_t len, unsigned perm)
{
    bool can_map = mem->ops && (mem->ops->map || mem->ops->copy);

    if (wraps(addr, len))
        return ANYHV_E_BADADDR;
    while (len) {
        const struct anyhv_region *region = find(mem, addr);
        uint64_t n;

        mem->toil++;
        if (region) {
            if ((region->perm & perm & RW) != (perm & RW))
                return ANYHV_E_PERM;
            n = region->size - (addr - region->addr);
        } else if (can_map) {
            n = gap(mem, addr, len);
        } else {
            return ANYHV_E_BADADDR;
        }
        if (n >= len)
            break;
        addr += n;
        len -= n;
    }
    return ANYHV_OK;
}

/* What an op answered: a guest that is gone is remembered. */
static int noted(struct anyhv_mem *mem, int rc)
{
    if (rc == ANYHV_E_LOST && !mem->lost) {
        mem->lost = true;
        for (struct anyhv_dev *dev = mem->devs; dev; dev = dev->next_in_mem)
            dev->halt |= ANYHV_HALT_FORSAKEN;
    }
    return rc;
}

static int map_by_ops(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                      struct anyhv_map *out)
{
    int rc;

    *out = (struct anyhv_map){.perm = perm, .addr = addr};
    rc = noted(mem, mem->ops->map(mem, addr, len, perm, out));
    if (rc) {
        out->ptr = NULL;
        return rc;
    }
    ANYHV_ASSERT(out->ptr && out->len && out->len <= len); /* the module's promise */
    out->perm = perm | MAP_BY_OPS;
    out->addr = addr;
    return ANYHV_OK;
}

static int copy_by_copy(struct anyhv_mem *mem, uint64_t addr, uint8_t *buf, uint32_t len,
                        unsigned perm)
{
    int rc = noted(mem, mem->ops->copy(mem, addr, buf, len, perm));

    if (rc == ANYHV_OK && (perm & ANYHV_W))
        core_dirty(mem, addr, len);
    return rc;
}

/*
 * Copies at addresses outside all regions, by whatever the module has. Each piece is reported as
 * dirty by itself: the next one may fail.
 */
static int copy_by_ops(struct anyhv_mem *mem, uint64_t addr, uint8_t *buf, uint32_t len,
                       unsigned perm)
{
    if (!mem->ops)
        return ANYHV_E_BADADDR;
    if (mem->ops->copy)
        return copy_by_copy(mem, addr, buf, len, perm);
    if (!mem->ops->map)
        return ANYHV_E_BADADDR;
    while (len) {
        struct anyhv_map map;
        int rc = map_by_ops(mem, addr, len, perm, &map);

        if (rc)
            return rc;
        if (perm & ANYHV_W) {
            memcpy(map.ptr, buf, map.len);
            core_dirty(mem, addr, map.len);
        } else {
            shm_copy_out(buf, map.ptr, map.len);
        }
        addr += map.len;
        buf += map.len;
        len -= map.len;
        anyhv_mem_unmap(mem, &map);
    }
    return ANYHV_OK;
}

static int copy_one(struct anyhv_mem *mem, uint64_t addr, uint8_t *buf, uint32_t *len,
                    unsigned perm)
{
    const struct anyhv_region *region = find(mem, addr);
    uint64_t off;

    if (!region) {
        *len = (uint32_t)gap(mem, addr, *len);
        return copy_by_ops(mem, addr, buf, *len, perm);
    }
    if (!(region->perm & perm))
        return ANYHV_E_PERM;
    off = addr - region->addr;
    if (*len > region->size - off)
        *len = (uint32_t)(region->size - off);
    if (perm & ANYHV_W) {
        memcpy(region->host + off, buf, *len);
        core_dirty(mem, addr, *len);
    } else {
        shm_copy_out(buf, region->host + off, *len);
    }
    return ANYHV_OK;
}

static int copy(struct anyhv_mem *mem, uint64_t addr, uint8_t *buf, uint32_t len, unsigned perm)
{
    if (wraps(addr, len))
        return ANYHV_E_BADADDR;
    while (len) {
        uint32_t n = len;
        int rc = copy_one(mem, addr, buf, &n, perm);

        mem->toil++;
        if (rc)
            return rc;
        addr += n;
        buf += n;
        len -= n;
    }
    return ANYHV_OK;
}

int anyhv_mem_read(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len)
{
    return copy(mem, addr, buf, len, ANYHV_R);
}

int anyhv_mem_write(struct anyhv_mem *mem, uint64_t addr, const void *buf, uint32_t len)
{
    /* One function copies both ways; for ANYHV_W it only reads *buf. */
    return copy(mem, addr, (uint8_t *)(uintptr_t)buf, len, ANYHV_W);
}

int anyhv_mem_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                  struct anyhv_map *out)
{
    const struct anyhv_region *region;

    if (len == 0 || wraps(addr, len))
        return ANYHV_E_BADADDR;
    region = find(mem, addr);
    if (region) {
        uint64_t off = addr - region->addr, rest = region->size - off;

        if ((region->perm & perm & RW) != (perm & RW))
            return ANYHV_E_PERM;
        if ((perm & ANYHV_RING) && len > rest)
            return ANYHV_E_BADADDR;
        *out = (struct anyhv_map){.ptr = region->host + off,
                                  .len = len > rest ? (uint32_t)rest : len,
                                  .perm = perm,
                                  .addr = addr};
        return ANYHV_OK;
    }
    if (!mem->ops || !mem->ops->map)
        return ANYHV_E_BADADDR;
    if (!(perm & ANYHV_RING))
        len = (uint32_t)gap(mem, addr, len);
    return map_by_ops(mem, addr, len, perm, out);
}

void anyhv_mem_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    if (map->ptr && (map->perm & MAP_BY_OPS))
        mem->ops->unmap(mem, map);
    map->ptr = NULL;
}

static int region_valid(const struct anyhv_region *region)
{
    if (region->size == 0 || wraps(region->addr, region->size) || !region->host)
        return ANYHV_E_INVAL;
    return ANYHV_OK;
}

static bool overlap(const struct anyhv_region *a, const struct anyhv_region *b)
{
    return a->addr <= b->addr + (b->size - 1) && b->addr <= a->addr + (a->size - 1);
}

static void insert(struct anyhv_mem *mem, const struct anyhv_region *region)
{
    uint32_t i = mem->count++;

    for (; i > 0 && mem->regions[i - 1].addr > region->addr; i--)
        mem->regions[i] = mem->regions[i - 1];
    mem->regions[i] = *region;
}

/* Nothing in core may still believe the old table when this returns. */
static void table_changed(struct anyhv_mem *mem)
{
    mem->last.size = 0; /* holds no address */
    for (struct anyhv_dev *dev = mem->devs; dev; dev = dev->next_in_mem)
        anyhv_core_remap(dev);
}

int anyhv_mem_add(struct anyhv_mem *mem, const struct anyhv_region *region)
{
    int rc = region_valid(region);

    if (rc)
        return rc;
    for (uint32_t i = 0; i < mem->count; i++)
        if (overlap(region, &mem->regions[i]))
            return ANYHV_E_INVAL;
    if (mem->count == mem->capacity)
        return ANYHV_E_NORES;
    insert(mem, region);
    table_changed(mem);
    return ANYHV_OK;
}

int anyhv_mem_del(struct anyhv_mem *mem, uint64_t addr, uint64_t size)
{
    uint32_t i = 0;

    while (i < mem->count && (mem->regions[i].addr != addr || mem->regions[i].size != size))
        i++;
    if (i == mem->count)
        return ANYHV_E_INVAL;
    if (mem->pins)
        return ANYHV_LATER;
    mem->count--;
    for (; i < mem->count; i++)
        mem->regions[i] = mem->regions[i + 1];
    table_changed(mem);
    return ANYHV_OK;
}

int anyhv_mem_replace(struct anyhv_mem *mem, const struct anyhv_region *regions, uint32_t count)
{
    if (count > mem->capacity)
        return ANYHV_E_NORES;
    for (uint32_t i = 0; i < count; i++) {
        int rc = region_valid(&regions[i]);

        if (rc)
            return rc;
        for (uint32_t k = 0; k < i; k++)
            if (overlap(&regions[i], &regions[k]))
                return ANYHV_E_INVAL;
    }
    if (mem->pins)
        return ANYHV_LATER;
    mem->count = 0;
    for (uint32_t i = 0; i < count; i++)
        insert(mem, &regions[i]);
    table_changed(mem);
    return ANYHV_OK;
}

void anyhv_mem_track(struct anyhv_mem *mem, bool on)
{
    mem->tracked = on && mem->ops && mem->ops->dirty;
    for (struct anyhv_dev *dev = mem->devs; dev; dev = dev->next_in_mem) {
        for (unsigned i = 0; i < dev->ops->queues; i++) {
            anyhv_core_reqs_stale(&dev->queues[i]); /* requests in work write the other way now */
            core_queue_watch(&dev->queues[i]);
        }
    }
}

void anyhv_mem_room(struct anyhv_mem *mem)
{
    for (struct anyhv_dev *dev = mem->devs; dev; dev = dev->next_in_mem)
        anyhv_core_room(dev);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-process guest: memory, both control planes, faults on command. The reference for what a
 * module does: memory ops, port ops, and the order of things when the peer is lost.
 */
#include <anyhv/loopback.h>
#include <string.h>

static struct anyhv_loopback *of_mem(struct anyhv_mem *mem)
{
    return mem->priv;
}

/* ---- memory without regions: bounce mode ---- */

/* The result to fail with, if a fault is due now. */
static int fault(struct anyhv_loopback *lb)
{
    struct anyhv_loopback_faults *f = &lb->faults;

    if (!f->result)
        return ANYHV_OK;
    if (f->after) {
        f->after--;
        return ANYHV_OK;
    }
    if (f->count == 0) {
        f->result = ANYHV_OK;
        return ANYHV_OK;
    }
    f->count--;
    return f->result;
}

static uint8_t *translate(struct anyhv_loopback *lb, uint64_t addr, uint32_t len)
{
    uint64_t off = addr - lb->options.base;

    if (off >= lb->options.ram_size || len > lb->options.ram_size - off)
        return NULL;
    return lb->options.ram + off;
}

static int bounce_map(struct anyhv_mem *mem, uint64_t addr, uint32_t len, unsigned perm,
                      struct anyhv_map *out)
{
    struct anyhv_loopback *lb = of_mem(mem);
    uint32_t max = lb->options.map_max;
    int rc = fault(lb);

    if (rc)
        return rc;
    out->ptr = translate(lb, addr, len);
    if (!out->ptr)
        return ANYHV_E_BADADDR;
    out->len = max && len > max && !(perm & ANYHV_RING) ? max : len;
    lb->seen.maps++;
    return ANYHV_OK;
}

static void bounce_unmap(struct anyhv_mem *mem, struct anyhv_map *map)
{
    (void)map;
    of_mem(mem)->seen.unmaps++;
}

static int bounce_copy(struct anyhv_mem *mem, uint64_t addr, void *buf, uint32_t len, unsigned perm)
{
    struct anyhv_loopback *lb = of_mem(mem);
    uint8_t *at = translate(lb, addr, len);
    int rc = fault(lb);

    if (rc)
        return rc;
    if (!at)
        return ANYHV_E_BADADDR;
    if (perm & ANYHV_W)
        memcpy(at, buf, len);
    else
        memcpy(buf, at, len);
    lb->seen.copies++;
    return ANYHV_OK;
}

static void count_dirty(struct anyhv_mem *mem, uint64_t addr, uint64_t len)
{
    (void)addr;
    of_mem(mem)->seen.dirty_bytes += len;
}

static const struct anyhv_mem_ops region_ops = {.dirty = count_dirty};
static const struct anyhv_mem_ops copy_ops = {
    .map = bounce_map, .unmap = bounce_unmap, .copy = bounce_copy, .dirty = count_dirty};
static const struct anyhv_mem_ops map_ops = {
    .map = bounce_map, .unmap = bounce_unmap, .dirty = count_dirty};

/* Cuts RAM into equal regions, whole pages each, the last takes the rest. */
static int add_regions(struct anyhv_loopback *lb)
{
    const struct anyhv_loopback_options *o = &lb->options;
    uint64_t n = o->regions ? o->regions : 1;
    uint64_t size = o->ram_size / n & ~UINT64_C(4095);
    int rc = ANYHV_OK;

    if (n > ANYHV_LOOPBACK_REGIONS || size == 0)
        return ANYHV_E_INVAL;
    for (uint64_t i = 0; i < n && !rc; i++) {
        struct anyhv_region region = {.addr = o->base + i * size,
                                      .size = i + 1 < n ? size : o->ram_size - i * size,
                                      .host = o->ram + i * size,
                                      .perm = ANYHV_R | ANYHV_W};

        rc = anyhv_mem_add(&lb->mem, &region);
    }
    return rc;
}

static int lay_out(struct anyhv_loopback *lb)
{
    const struct anyhv_mem_ops *ops = &region_ops;

    if (lb->options.bounce)
        ops = lb->options.map_only ? &map_ops : &copy_ops;
    anyhv_mem_init(&lb->mem, lb->region, ANYHV_LOOPBACK_REGIONS, ops, lb);
    anyhv_mem_track(&lb->mem, lb->options.track || lb->options.bounce);
    return lb->options.bounce ? ANYHV_OK : add_regions(lb);
}

static void ask_for_run(struct anyhv_loopback *lb)
{
    lb->work = true;
    if (lb->options.work)
        lb->options.work(lb);
}

/* ---- MMIO plane ---- */

static void mmio_irq(struct anyhv_mmio *mmio, bool level)
{
    struct anyhv_loopback *lb = mmio->priv;

    lb->level = level;
    if (level)
        lb->seen.interrupts++;
}

static void mmio_work(struct anyhv_mmio *mmio)
{
    ask_for_run(mmio->priv);
}

static void mmio_quiet(struct anyhv_mmio *mmio)
{
    struct anyhv_loopback *lb = mmio->priv;

    lb->quiet = true;
}

static const struct anyhv_mmio_ops mmio_ops = {
    .irq = mmio_irq, .work = mmio_work, .quiet = mmio_quiet};

/* ---- native plane ---- */

static void native_notify(struct anyhv_dev *dev, int queue)
{
    struct anyhv_loopback *lb = anyhv_dev_port(dev);

    lb->seen.interrupts++;
    if (queue == ANYHV_CONFIG) {
        lb->seen.config_interrupts++;
        lb->irq_queues |= UINT64_C(1) << 63;
    } else {
        lb->irq_queues |= UINT64_C(1) << (queue & 63);
    }
}

static void native_work(struct anyhv_dev *dev)
{
    ask_for_run(anyhv_dev_port(dev));
}

static void native_quiet(struct anyhv_dev *dev)
{
    struct anyhv_loopback *lb = anyhv_dev_port(dev);

    lb->quiet = true;
}

static const struct anyhv_port_ops native_port = {
    .notify = native_notify,
    .work = native_work,
    .quiet = native_quiet,
    .features = ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_RING_PACKED | ANYHV_F_IN_ORDER |
                ANYHV_F_RING_RESET | ANYHV_F_SUSPEND,
};

/* ---- the guest's life ---- */

int anyhv_loopback_attach(struct anyhv_loopback *lb, const struct anyhv_loopback_options *options,
                          const struct anyhv_attach *how)
{
    struct anyhv_attach ours = *how;
    int rc;

    memset(lb, 0, sizeof(*lb));
    lb->options = *options;
    rc = lay_out(lb);
    if (rc)
        return rc;
    ours.mem = &lb->mem;
    if (!options->native)
        return anyhv_mmio_attach(&lb->mmio, &mmio_ops, lb, &ours, options->bounce);
    ours.port = &native_port;
    ours.port_priv = lb;
    return anyhv_dev_attach(&lb->mmio.dev, &ours);
}

void anyhv_loopback_detach(struct anyhv_loopback *lb)
{
    anyhv_dev_detach(&lb->mmio.dev);
}

struct anyhv_dev *anyhv_loopback_dev(struct anyhv_loopback *lb)
{
    return &lb->mmio.dev;
}

int anyhv_loopback_access(struct anyhv_loopback *lb, uint32_t off, unsigned size, bool write,
                          uint64_t *value)
{
    if (write && off == ANYHV_MMIO_NOTIFY)
        lb->seen.kicks++;
    return anyhv_mmio_access(&lb->mmio, off, size, write, value);
}

void anyhv_loopback_run(struct anyhv_loopback *lb, unsigned budget)
{
    while (lb->work) {
        lb->work = false;
        if (anyhv_dev_run(&lb->mmio.dev, budget))
            lb->work = true;
        lb->seen.runs++;
    }
}

/* A dead guest's pages go back to the hypervisor: first nothing points at them, then they go. */
void anyhv_loopback_lose_peer(struct anyhv_loopback *lb)
{
    anyhv_ctl_lost(&lb->mmio.dev);
    anyhv_mem_replace(&lb->mem, NULL, 0);
    lb->options.ram_size = 0;
    lb->work = false;
}

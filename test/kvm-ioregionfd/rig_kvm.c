/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm-ioregionfd/rig_kvm.h"

#include "testing.h"

#include "kvm-ioregionfd/world.h"

#include <anyhv/linux/fdmem.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The rig's own while it runs. */
struct running {
    const struct rig_kvm *how;
    struct world w;
    struct anyhv_device_ops ops;
    struct rig_options options;
    struct drv_mem mem;
    struct drv_mmio mmio;
    int fd;       /* guest memory */
    int state;    /* what the module left with us */
    bool resumed; /* it goes on where another was */
    uint8_t *ram;
    bool irq_used, irq_config;
};

static struct running *running(const struct rig *rig)
{
    return rig->priv;
}

static struct anyhv_dev *dev_of(const struct rig *rig)
{
    return world_dev(&running(rig)->w);
}

/* ---- Registers ---- */

static uint32_t violations(const struct anyhv_dev *dev)
{
    uint32_t sum = 0;

    for (unsigned v = 0; v < ANYHV_V_COUNT; v++)
        sum += dev->violations[v];
    return sum;
}

/* An ioeventfd takes four bytes that name its queue, and nothing else. */
static bool kicked(struct running *r, uint32_t off, unsigned size, uint64_t value)
{
    if (r->how->posted || off != 0x50 || size != 4 || value >= TEST_QUEUES)
        return false;
    world_signal(r->w.kick[value]);
    return true;
}

static struct command command_at(const struct running *r, uint32_t off, unsigned size, bool write)
{
    struct command c = {.write = write, .size = size, .offset = off};

    if (off >= 0x54) {
        c.user_data = 1;
        c.offset = off - 0x54;
    } else if (off >= 0x50) {
        c.user_data = 2;
        c.offset = off - 0x50;
        c.posted = write && r->how->posted;
    }
    return c;
}

/* One that straddles two of KVM's regions comes to none. The tests want to know what was wrong. */
static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct rig *rig = ctx;
    struct running *r = running(rig);
    struct command c = command_at(r, off, size, write);
    uint32_t before = violations(dev_of(rig));
    uint64_t data;

    if (write && kicked(r, off, size, *value))
        return ANYHV_OK;
    if ((off < 0x50 && off + size > 0x50) || (off < 0x54 && off + size > 0x54)) {
        *value = write ? *value : 0;
        return ANYHV_E_INVAL;
    }
    c.data = write ? *value : 0;
    data = world_access(&r->w, r->how->layout, &c);
    if (!write)
        *value = data;
    return violations(dev_of(rig)) == before ? ANYHV_OK : ANYHV_E_INVAL;
}

/* ---- Up and down ---- */

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

static bool add_memory(struct running *r)
{
    unsigned count = r->how->regions ? r->how->regions : 1;
    uint64_t size = RIG_MEMORY / count;
    bool ok = true;

    for (unsigned i = 0; i < count && ok; i++)
        ok = world_add(&r->w, i * size, size, i * size, r->fd) == RES_OK;
    return ok;
}

/* As a VMM does, the second time as well. */
static bool connect_vmm(struct rig *rig)
{
    struct running *r = running(rig);
    struct world *w = &r->w;
    bool ok;

    world_connect(w);
    ok = world_hello(w, r->how->layout) == RES_OK && world_state(w, r->state) == RES_OK;
    if (!ok)
        return false;
    if (r->state >= 0)
        close(r->state);
    r->state = dup(w->answer_fd);
    ok = add_memory(r);
    for (uint32_t i = 0; i < TEST_QUEUES && ok && !r->how->posted; i++)
        ok = world_kick_fd(w, i) == RES_OK;
    ok = ok && world_interrupt(w, r->how->level) == RES_OK &&
         world_start_device(w, r->how->stream ? SOCK_STREAM : SOCK_SEQPACKET) == RES_OK;
    r->resumed = w->answer[8];
    return ok;
}

static void start_module(struct running *r)
{
    const struct anyhv_class cls = {.ops = &r->ops,
                                    .limits = r->options.limits,
                                    .instance_size = sizeof(struct test_device),
                                    .create = create};

    world_start(&r->w, &cls);
    r->w.server.withhold = r->options.withhold;
}

static bool rig_start(struct rig *rig, const struct rig_options *options)
{
    struct running *r = calloc(1, sizeof(*r));

    if (!r)
        return false;
    rig->priv = r;
    r->how = rig->how;
    r->options = *options;
    r->ops = test_device_ops[options->variant];
    r->state = -1;
    r->fd = anyhv_fdmem_create("guest", RIG_MEMORY);
    r->ram = mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
    start_module(r);
    drv_mem_init(&r->mem, r->ram, 0, RIG_MEMORY);
    drv_mmio_init(&r->mmio, access_register, rig);
    rig->mem = &r->mem;
    rig->transport = &r->mmio.transport;
    return r->ram != MAP_FAILED && connect_vmm(rig);
}

static void rig_stop(struct rig *rig)
{
    struct running *r = running(rig);

    if (!r)
        return;
    world_stop(&r->w);
    if (r->ram != MAP_FAILED)
        munmap(r->ram, RIG_MEMORY);
    close(r->fd);
    if (r->state >= 0)
        close(r->state);
    free(r);
    rig->priv = NULL;
    rig->transport = NULL;
    rig->mem = NULL;
}

/* ---- Looking ---- */

static void rig_settle(struct rig *rig)
{
    world_turn(&running(rig)->w);
}

/* As a guest's handler: acknowledges, and ends the interrupt, on which KVM asks again. */
static void look(struct rig *rig)
{
    struct running *r = running(rig);
    uint32_t pending;

    world_turn(&r->w);
    while (world_signalled(r->w.irq)) {
        pending = rig->transport->ops->interrupts(rig->transport);
        r->irq_used |= (pending & DRV_IRQ_USED) != 0;
        r->irq_config |= (pending & DRV_IRQ_CONFIG) != 0;
        if (r->how->level)
            world_signal(r->w.resample);
        world_turn(&r->w);
    }
}

static bool rig_wait(struct rig *rig, int queue, unsigned timeout_ms)
{
    struct running *r = running(rig);
    bool *flag = queue == ANYHV_CONFIG ? &r->irq_config : &r->irq_used;
    bool was;

    (void)timeout_ms; /* nothing comes by itself */
    look(rig);
    was = *flag;
    *flag = false;
    return was;
}

static bool rig_counters(struct rig *rig, unsigned queue, struct anyhv_queue_counters *out)
{
    const struct anyhv_queue_counters *counters = anyhv_ctl_counters(dev_of(rig), queue);

    if (counters)
        *out = *counters;
    return counters;
}

static void rig_violations(struct rig *rig, uint32_t *out)
{
    memcpy(out, dev_of(rig)->violations, sizeof(dev_of(rig)->violations));
}

static bool rig_quiesce(struct rig *rig)
{
    int rc = anyhv_ctl_quiesce(dev_of(rig));

    rig_settle(rig);
    return rc == ANYHV_OK || (rc == ANYHV_LATER && anyhv_ctl_quiesce(dev_of(rig)) == ANYHV_OK);
}

static void rig_resume(struct rig *rig)
{
    anyhv_ctl_resume(dev_of(rig));
    rig_settle(rig);
}

/* The process is gone, and another one has what we kept. */
static bool rig_crash(struct rig *rig)
{
    struct running *r = running(rig);
    bool up;

    look(rig);
    world_stop(&r->w);
    start_module(r);
    up = connect_vmm(rig);
    rig_settle(rig);
    return up && r->resumed;
}

static const struct rig_ops ops = {
    .start = rig_start,
    .stop = rig_stop,
    .settle = rig_settle,
    .wait = rig_wait,
    .counters = rig_counters,
    .violations = rig_violations,
    .quiesce = rig_quiesce,
    .resume = rig_resume,
    .crash = rig_crash,
};

/* ---- The matrix ---- */

#define ALL   (DRV_F_INDIRECT | DRV_F_EVENT_IDX)
#define PLAIN UINT64_C(0)
#define CAPS                                                                                     \
    (RIG_REGISTERS | RIG_COUNTERS | RIG_QUIESCE | RIG_CRASH | RIG_QUEUE_RESET | RIG_CONFIG |     \
     RIG_CONFIG_IRQ | RIG_STATUS | RIG_GENERATION | RIG_QUEUE_MAX | RIG_KICK_ANY | RIG_SUSPEND | \
     RIG_FRESH)
#define WHOLE RIG_LARGE_AREAS

static const struct rig_kvm usual = {.layout = LAYOUT_V3};
static const struct rig_kvm info = {.layout = LAYOUT_INFO, .level = true, .regions = 64};
static const struct rig_kvm posted = {.layout = LAYOUT_V3, .posted = true, .stream = true};
static const struct rig_kvm posted_info = {.layout = LAYOUT_INFO, .posted = true};

#define RIG(rig_name, parameters, more_caps, ring_features)                          \
    {                                                                                \
        .name = "kvm-ioregionfd-" rig_name, .ops = &ops, .caps = CAPS | (more_caps), \
        .features = (ring_features), .how = &(parameters)                            \
    }

struct rig kvm_rigs[] = {
    RIG("split", usual, WHOLE, ALL),
    RIG("packed", usual, WHOLE, ALL | DRV_F_PACKED),
    RIG("split-info", info, 0, PLAIN),
    RIG("packed-info", info, 0, PLAIN | DRV_F_PACKED),
    RIG("split-posted", posted, WHOLE | RIG_KICK_DATA, ALL),
    RIG("packed-posted", posted, WHOLE | RIG_KICK_DATA, ALL | DRV_F_PACKED),
    RIG("split-posted-info", posted_info, WHOLE | RIG_KICK_DATA, PLAIN),
};

const unsigned kvm_rig_count = sizeof(kvm_rigs) / sizeof(kvm_rigs[0]);

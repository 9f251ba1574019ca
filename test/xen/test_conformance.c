/* SPDX-License-Identifier: Apache-2.0 */
/* A device behind the module: each register access is a trap, memory is foreign or granted. */
#include "conformance/rig.h"
#include "xen/harness.h"

#include <stdlib.h>
#include <string.h>

struct running {
    struct backend b;
    struct guest g;
    struct rig_options options;
    bool irq_used, irq_config;
};

static const bool by_grants; /* the address says it */

static unsigned violations(const struct anyhv_dev *dev)
{
    unsigned sum = 0;

    for (unsigned v = 0; v < ANYHV_V_COUNT; v++)
        sum += dev->violations[v];
    return sum;
}

/* A guest is not told what became of its access; the device counts what it had no business with. */
static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct rig *rig = ctx;
    struct running *r = rig->priv;
    unsigned before = violations(rig->dev);

    if (write)
        guest_write(&r->b, DOM, BASE + off, size, *value);
    else
        *value = guest_read(&r->b, DOM, BASE + off, size);
    return violations(rig->dev) == before ? ANYHV_OK : ANYHV_E_INVAL;
}

static bool rig_start(struct rig *rig, const struct rig_options *options)
{
    struct running *r = calloc(1, sizeof(*r));

    rig->priv = r;
    r->options = *options;
    fake_begin();
    fake_domain(DOM);
    fake_node(DOM, 0, TEST_DEVICE_ID, BASE, IRQ);
    if (rig->how == &by_grants)
        fake_store("backend/virtio/3/0/grant_usage", "1");
    backend_start_variant(&r->b, options->variant, &options->limits, options->withhold);
    guest_init(&r->g, &r->b, DOM, BASE);
    if (rig->how == &by_grants)
        drv_mem_init(&r->g.mem, fake_ram(DOM), FAKE_GRANT_BASE, FAKE_RAM_SIZE);
    drv_mmio_init(&r->g.mmio, access_register, rig);
    rig->transport = &r->g.mmio.transport;
    rig->mem = &r->g.mem;
    rig->dev = backend_dev(&r->b);
    rig->device = r->b.server.instances->priv;
    return true;
}

static void rig_stop(struct rig *rig)
{
    struct running *r = rig->priv;

    if (!r)
        return;
    backend_stop(&r->b);
    fake_end();
    free(r);
    rig->priv = NULL;
    rig->dev = NULL;
    rig->device = NULL;
    rig->transport = NULL;
    rig->mem = NULL;
}

static void rig_settle(struct rig *rig)
{
    struct running *r = rig->priv;

    backend_turn(&r->b);
}

static bool rig_wait(struct rig *rig, int queue, unsigned timeout_ms)
{
    struct running *r = rig->priv;
    bool *flag = queue == ANYHV_CONFIG ? &r->irq_config : &r->irq_used;
    uint32_t pending;
    bool was;

    (void)timeout_ms; /* nothing comes by itself */
    rig_settle(rig);
    pending = rig->transport->ops->interrupts(rig->transport);
    r->irq_used |= (pending & DRV_IRQ_USED) != 0;
    r->irq_config |= (pending & DRV_IRQ_CONFIG) != 0;
    was = *flag;
    *flag = false;
    return was;
}

static bool rig_counters(struct rig *rig, unsigned queue, struct anyhv_queue_counters *out)
{
    const struct anyhv_queue_counters *counters = anyhv_ctl_counters(rig->dev, queue);

    if (counters)
        *out = *counters;
    return counters;
}

static void rig_violations(struct rig *rig, uint32_t *out)
{
    memcpy(out, rig->dev->violations, sizeof(rig->dev->violations));
}

static const struct rig_ops ops = {
    .start = rig_start,
    .stop = rig_stop,
    .settle = rig_settle,
    .wait = rig_wait,
    .counters = rig_counters,
    .violations = rig_violations,
};

#define ALL (DRV_F_INDIRECT | DRV_F_EVENT_IDX)
/*
 * Without RIG_SUSPEND: its tests access registers inside a request, where no trap can be answered.
 */
#define CAPS                                                                        \
    (RIG_REGISTERS | RIG_COUNTERS | RIG_IN_PROCESS | RIG_QUEUE_RESET | RIG_CONFIG | \
     RIG_CONFIG_IRQ | RIG_STATUS | RIG_GENERATION | RIG_QUEUE_MAX | RIG_KICK_ANY |  \
     RIG_LARGE_AREAS | RIG_KICK_DATA | RIG_FRESH)

static struct rig rigs[] = {
    {.name = "xen-split", .ops = &ops, .caps = CAPS, .features = ALL},
    {.name = "xen-packed", .ops = &ops, .caps = CAPS, .features = ALL | DRV_F_PACKED},
    {.name = "xen-grants-split", .ops = &ops, .caps = CAPS, .features = ALL, .how = &by_grants},
    {.name = "xen-grants-packed",
     .ops = &ops,
     .caps = CAPS,
     .features = ALL | DRV_F_PACKED,
     .how = &by_grants},
};

int main(int argc, char **argv)
{
    return conformance_main("conformance-xen", rigs, sizeof(rigs) / sizeof(rigs[0]), argc, argv);
}

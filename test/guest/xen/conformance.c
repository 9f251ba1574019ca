/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance suite as a program in a guest, whose device is the test device of a back end:
 *
 *     conformance BASE [PATTERN]
 *
 * BASE is the guest-physical address of its registers. The back end is in another domain, so what
 * looks into the device, or makes a new one for each test, is left out; the program says how much
 * that is. Interrupts are seen in the register that tells why one came.
 */
#include "conformance/rig.h"
#include "devmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The one device, of all rigs. */
static struct {
    struct drv_mmio mmio;
    struct drv_mem mem;
    bool irq_used, irq_config;
} machine;

static bool rig_start(struct rig *rig, const struct rig_options *options)
{
    static const struct rig_options none;

    if (memcmp(options, &none, sizeof(none)) != 0)
        return false; /* the test should say RIG_FRESH */
    rig->transport = &machine.mmio.transport;
    rig->mem = &machine.mem;
    machine.irq_used = machine.irq_config = false;
    if (!rig->transport->ops->reset(rig->transport))
        return false;
    machine.mem.used = 0;
    memset(machine.mem.host, 0, machine.mem.size);
    return true;
}

static void rig_stop(struct rig *rig)
{
    if (rig->transport)
        rig->transport->ops->reset(rig->transport);
    rig->transport = NULL;
    rig->mem = NULL;
}

/*
 * A back end answers an access first and does its work then, so much of it at a time; after some
 * answers none is left.
 */
static void rig_settle(struct rig *rig)
{
    for (unsigned i = 0; i < 4; i++)
        rig->transport->ops->status(rig->transport);
}

static bool look(struct rig *rig, bool *flag)
{
    uint32_t pending = rig->transport->ops->interrupts(rig->transport);
    bool was;

    machine.irq_used |= (pending & DRV_IRQ_USED) != 0;
    machine.irq_config |= (pending & DRV_IRQ_CONFIG) != 0;
    was = *flag;
    *flag = false;
    return was;
}

static bool rig_wait(struct rig *rig, int queue, unsigned timeout_ms)
{
    bool *flag = queue == ANYHV_CONFIG ? &machine.irq_config : &machine.irq_used;

    for (unsigned ms = 0; !look(rig, flag); ms++) {
        if (ms == timeout_ms)
            return false;
        usleep(1000);
    }
    return true;
}

static const struct rig_ops ops = {
    .start = rig_start,
    .stop = rig_stop,
    .settle = rig_settle,
    .wait = rig_wait,
};

#define ALL (DRV_F_INDIRECT | DRV_F_EVENT_IDX)
#define CAPS                                                                                       \
    (RIG_REGISTERS | RIG_QUEUE_RESET | RIG_CONFIG | RIG_CONFIG_IRQ | RIG_STATUS | RIG_GENERATION | \
     RIG_QUEUE_MAX | RIG_KICK_ANY | RIG_LARGE_AREAS | RIG_SUSPEND | RIG_KICK_DATA)

static struct rig rigs[] = {
    {.name = "devmem-split", .ops = &ops, .caps = CAPS, .features = ALL},
    {.name = "devmem-packed", .ops = &ops, .caps = CAPS, .features = ALL | DRV_F_PACKED},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: conformance BASE [PATTERN]\n");
        return 2;
    }
    conformance_left_out(rigs, sizeof(rigs) / sizeof(rigs[0]));
    devmem_registers(&machine.mmio, strtoull(argv[1], NULL, 0));
    devmem_memory(&machine.mem, RIG_MEMORY);
    if (drv_mmio_probe(&machine.mmio) != TEST_DEVICE_ID) {
        fprintf(stderr, "conformance: no test device at %s\n", argv[1]);
        return 2;
    }
    return conformance_main("conformance-guest", rigs, sizeof(rigs) / sizeof(rigs[0]), argc - 1,
                            argv + 1);
}

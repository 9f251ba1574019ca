/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trapping module: each register access of the guest goes to anyhv's virtio-mmio model, and the
 * model's interrupt line back to the guest. What a hypervisor would send through descriptors, the
 * script of guest.c says at once.
 */
#include "guest.h"

#include <anyhv/hv.h>
#include <anyhv/linux/log.h>
#include <anyhv/transport/mmio.h>
#include <stdlib.h>

struct machine {
    struct guest guest;
    struct anyhv_server *server;
    struct anyhv_instance instance;
    struct anyhv_mmio mmio;
    bool attached;
    struct anyhv_mem mem;
    struct anyhv_region region;
    struct anyhv_task run, interrupt;
};

/* ---- from the model ---- */

static void work_to_do(struct anyhv_mmio *mmio)
{
    struct machine *machine = mmio->priv;

    anyhv_task_ready(machine->server->loop, &machine->run);
}

static void set_line(struct anyhv_mmio *mmio, bool level)
{
    struct machine *machine = mmio->priv;

    if (level)
        anyhv_task_ready(machine->server->loop, &machine->interrupt);
}

static const struct anyhv_mmio_ops mmio_ops = {.irq = set_line, .work = work_to_do};

/* ---- on the loop ---- */

static bool run(struct anyhv_task *task)
{
    struct machine *machine = task->priv;

    return anyhv_dev_run(&machine->mmio.dev, 256);
}

static bool interrupt(struct anyhv_task *task)
{
    struct machine *machine = task->priv;
    uint32_t len;
    const uint8_t *bytes = guest_interrupted(&machine->guest, &len);

    if (!bytes)
        return false;
    for (uint32_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    printf("\n");
    anyhv_loop_stop(machine->server->loop, 0);
    return false;
}

/* ---- begin and end ---- */

static int attach(struct machine *machine)
{
    struct anyhv_attach how = {0};
    int rc;

    anyhv_mem_init(&machine->mem, &machine->region, 1, NULL, machine);
    rc = anyhv_mem_add(&machine->mem, &(struct anyhv_region){.addr = GUEST_RAM_BASE,
                                                             .size = GUEST_RAM_SIZE,
                                                             .host = machine->guest.ram,
                                                             .perm = ANYHV_R | ANYHV_W});
    if (!rc)
        rc = anyhv_instance_create(&machine->instance, machine->server, &machine->mmio.dev, &how);
    how.mem = &machine->mem;
    if (!rc)
        rc = anyhv_mmio_attach(&machine->mmio, &mmio_ops, machine, &how, false);
    machine->attached = rc == ANYHV_OK;
    return rc;
}

static int start(struct anyhv_server *server)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    uint32_t offset;
    uint64_t value;

    server->module = machine;
    if (!machine)
        return ANYHV_E_NORES;
    machine->server = server;
    machine->run = (struct anyhv_task){.run = run, .priv = machine};
    machine->interrupt = (struct anyhv_task){.run = interrupt, .priv = machine};
    int rc = attach(machine);
    if (rc) {
        anyhv_log(ANYHV_LOG_ERROR, "scripted.attach", "%s", anyhv_result_name(rc));
        return rc;
    }
    guest_boot(&machine->guest);
    while (guest_write(&machine->guest, &offset, &value))
        anyhv_mmio_access(&machine->mmio, offset, 4, true, &value);
    return ANYHV_OK;
}

static void stop(struct anyhv_server *server)
{
    struct machine *machine = server->module;

    if (!machine)
        return;
    if (machine->attached)
        anyhv_dev_detach(&machine->mmio.dev);
    anyhv_task_cancel(&machine->run);
    anyhv_task_cancel(&machine->interrupt);
    anyhv_instance_destroy(&machine->instance);
    free(machine);
    server->module = NULL;
}

const struct anyhv_hv anyhv_hv_scripted = {.name = "scripted", .start = start, .stop = stop};

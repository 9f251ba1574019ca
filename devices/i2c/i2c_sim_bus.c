/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated bus. What a transfer does is done when it starts; when it ends is a matter of the
 * loop's timers, so a clock that is stretched, and a bus that is wedged, cost no thread.
 */
#include "i2c_sim.h"

#include <anyhv/linux/log.h>
#include <stdlib.h>
#include <string.h>

static struct i2c_sim *of_adapter(struct anyhv_i2c_adapter *adapter)
{
    return (void *)adapter;
}

static struct sim_target *find(struct i2c_sim *sim, uint16_t addr)
{
    for (unsigned i = 0; i < sim->targets; i++) {
        if (sim->target[i].addr == addr)
            return &sim->target[i];
    }
    return NULL;
}

/* Nobody answers at an address that nobody has. */
static bool do_message(struct i2c_sim *sim, const struct anyhv_i2c_message *m)
{
    struct sim_target *target = find(sim, m->addr);

    if (!target || !target->type->address(target, m->read))
        return false;
    target->addressed = true;
    for (unsigned i = 0; i < m->len; i++) {
        if (m->read)
            m->data[i] = target->type->read(target);
        else if (!target->type->write(target, m->data[i]))
            return false;
    }
    return true;
}

static void stop(struct i2c_sim *sim)
{
    for (unsigned i = 0; i < sim->targets; i++) {
        struct sim_target *target = &sim->target[i];

        if (target->addressed && target->type->stop)
            target->type->stop(target);
        target->addressed = false;
    }
}

static void sim_start(struct anyhv_i2c_adapter *adapter)
{
    struct i2c_sim *sim = of_adapter(adapter);

    sim->delay_ns = 0;
    sim->done = 0;
    while (sim->done < adapter->messages && do_message(sim, &adapter->message[sim->done]))
        sim->done++;
    stop(sim);
    if (sim->delay_ns != SIM_FOREVER)
        anyhv_timer_set(adapter->loop, &sim->timer, sim->delay_ns);
}

static void ended(struct anyhv_timer *timer)
{
    struct i2c_sim *sim = timer->priv;

    anyhv_i2c_adapter_done(&sim->adapter, sim->done);
}

static void sim_close(struct anyhv_i2c_adapter *adapter)
{
    struct i2c_sim *sim = of_adapter(adapter);

    anyhv_timer_cancel(&sim->timer);
    anyhv_i2c_adapter_fini(adapter);
    free(sim->name);
    free(sim);
}

static const struct anyhv_i2c_adapter_ops sim_ops = {.start = sim_start, .close = sim_close};

struct anyhv_i2c_adapter *anyhv_i2c_sim_open(struct anyhv_loop *loop, const char *file,
                                             unsigned timeout_ms)
{
    struct i2c_sim *sim = calloc(1, sizeof(*sim));

    if (!sim)
        return NULL;
    sim->name = strdup(file);
    sim->timer = (struct anyhv_timer){.fire = ended, .priv = sim};
    anyhv_i2c_adapter_init(&sim->adapter, &sim_ops, loop, sim->name, timeout_ms);
    if (!sim->name || !anyhv_i2c_sim_read(sim, file)) {
        anyhv_log(ANYHV_LOG_ERROR, "i2c.file", "%s", sim->why);
        sim_close(&sim->adapter);
        return NULL;
    }
    for (unsigned i = 0; i < sim->targets; i++)
        sim->addr[i] = sim->target[i].addr;
    sim->adapter.addr = sim->addr;
    sim->adapter.addrs = sim->targets;
    return &sim->adapter;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What real and simulated adapters have in common: guests' transfers one after the other, each with
 * a deadline.
 *
 * A transfer that hangs makes the adapter stuck: it has failed, and so has everything that comes,
 * at once, until the call returns. Nobody else waits for it: not its guest, and no other adapter.
 */
#include <anyhv/devices/i2c_host.h>
#include <anyhv/linux/log.h>
#include <anyhv/port.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static struct anyhv_i2c_adapter *of_bus(struct anyhv_i2c_bus *bus)
{
    return (void *)bus;
}

/* The oldest of those that wait, or NULL. */
static struct anyhv_i2c_transfer *take(struct anyhv_i2c_adapter *adapter)
{
    struct anyhv_i2c_transfer *t = adapter->waiting;

    if (t)
        adapter->waiting = t->next;
    return t;
}

static void copy_in(struct anyhv_i2c_adapter *adapter, const struct anyhv_i2c_transfer *t)
{
    uint8_t *at = adapter->data;

    adapter->messages = t->messages;
    for (unsigned i = 0; i < t->messages; i++) {
        const struct anyhv_i2c_message *from = &t->message[i];

        ANYHV_ASSERT(from->len <=
                     adapter->data + ANYHV_I2C_BYTES - at); /* anyhv_i2c_setup.data_len */
        adapter->message[i] = *from;
        adapter->message[i].data = at;
        if (from->read)
            memset(at, 0, from->len);
        else
            memcpy(at, from->data, from->len);
        at += from->len;
    }
}

static void copy_out(const struct anyhv_i2c_adapter *adapter, struct anyhv_i2c_transfer *t,
                     unsigned done)
{
    for (unsigned i = 0; i < done; i++) {
        if (t->message[i].read)
            memcpy(t->message[i].data, adapter->message[i].data, t->message[i].len);
    }
}

static void start_next(struct anyhv_i2c_adapter *adapter)
{
    struct anyhv_i2c_transfer *t = adapter->busy ? NULL : take(adapter);

    if (!t)
        return;
    copy_in(adapter, t);
    t->begun = true;
    adapter->running = t;
    adapter->busy = true;
    adapter->counters.begun++;
    anyhv_timer_set(adapter->loop, &adapter->deadline, adapter->timeout_ms * NS_PER_MS);
    adapter->ops->start(adapter);
}

/* ---- a call that hangs ---- */

/* What came while the adapter was stuck, or waited when it got stuck. */
static bool refuse_waiting(struct anyhv_task *task)
{
    struct anyhv_i2c_adapter *adapter = task->priv;
    struct anyhv_i2c_transfer *t = adapter->stuck ? take(adapter) : NULL;

    if (!t)
        return false;
    adapter->counters.refused++;
    anyhv_i2c_done(t, 0); /* which may submit the next */
    return true;
}

static void deadline_passed(struct anyhv_timer *timer)
{
    struct anyhv_i2c_adapter *adapter = timer->priv;
    struct anyhv_i2c_transfer *t = adapter->running;

    adapter->stuck = true;
    adapter->running = NULL;
    adapter->counters.timeouts++;
    anyhv_log(ANYHV_LOG_WARNING, "i2c.stuck",
              "adapter %s: a transfer to 0x%02x has not ended after %u ms; requests fail until it "
              "does",
              adapter->name, adapter->message[0].addr & ~ANYHV_I2C_TEN_BIT, adapter->timeout_ms);
    anyhv_task_ready(adapter->loop, &adapter->refuse);
    if (t)
        anyhv_i2c_done(t, 0);
}

/* ---- what models ask ---- */

static void adapter_submit(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct anyhv_i2c_adapter *adapter = of_bus(bus);
    struct anyhv_i2c_transfer **link = &adapter->waiting;

    while (*link)
        link = &(*link)->next;
    t->next = NULL;
    *link = t;
    if (adapter->stuck)
        anyhv_task_ready(adapter->loop, &adapter->refuse);
    else
        start_next(adapter);
}

static void adapter_drop(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t)
{
    struct anyhv_i2c_adapter *adapter = of_bus(bus);
    struct anyhv_i2c_transfer **link = &adapter->waiting;

    if (adapter->running == t) {
        adapter->running = NULL; /* what is on the wires goes on, and is waited for */
        return;
    }
    while (*link && *link != t)
        link = &(*link)->next;
    ANYHV_ASSERT(*link);
    *link = t->next;
}

static const struct anyhv_i2c_bus_ops bus_ops = {.submit = adapter_submit, .drop = adapter_drop};

/* ---- what adapters say ---- */

void anyhv_i2c_adapter_done(struct anyhv_i2c_adapter *adapter, unsigned done)
{
    struct anyhv_i2c_transfer *t = adapter->running;

    ANYHV_ASSERT(adapter->busy && done <= adapter->messages);
    anyhv_timer_cancel(&adapter->deadline);
    if (adapter->stuck)
        anyhv_log(ANYHV_LOG_INFO, "i2c.stuck",
                  "adapter %s: the transfer has ended, requests are "
                  "served again",
                  adapter->name);
    adapter->stuck = false;
    adapter->counters.failed += done < adapter->messages;
    adapter->running = NULL;
    adapter->busy = false;
    if (t)
        copy_out(adapter, t, done);
    start_next(adapter);
    if (t)
        anyhv_i2c_done(t, done);
}

void anyhv_i2c_adapter_init(struct anyhv_i2c_adapter *adapter,
                            const struct anyhv_i2c_adapter_ops *ops, struct anyhv_loop *loop,
                            const char *name, unsigned timeout_ms)
{
    adapter->bus.ops = &bus_ops;
    adapter->ops = ops;
    adapter->loop = loop;
    adapter->name = name;
    adapter->timeout_ms = timeout_ms;
    adapter->deadline = (struct anyhv_timer){.fire = deadline_passed, .priv = adapter};
    adapter->refuse = (struct anyhv_task){.run = refuse_waiting, .priv = adapter};
}

void anyhv_i2c_adapter_fini(struct anyhv_i2c_adapter *adapter)
{
    ANYHV_ASSERT(!adapter->waiting && !adapter->running);
    anyhv_timer_cancel(&adapter->deadline);
    anyhv_task_cancel(&adapter->refuse);
}

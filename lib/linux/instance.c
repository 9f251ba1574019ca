/* SPDX-License-Identifier: Apache-2.0 */
/* One guest's device: its heap storage, its place in the server's list, its counters in print. */
#include <anyhv/hv.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Storage ---- */

/* calloc, but 0 bytes are no failure. */
static bool allocate(void **p, size_t size)
{
    *p = calloc(1, size ? size : 1);
    return *p != NULL;
}

static void free_storage(struct anyhv_instance *instance)
{
    free(instance->priv);
    free(instance->state);
    free(instance->storage);
    memset(instance, 0, sizeof(*instance));
}

/* At the end: reports number the devices in the order they came. */
static void link_instance(struct anyhv_instance *instance)
{
    struct anyhv_instance **link = &instance->server->instances;

    while (*link)
        link = &(*link)->next;
    *link = instance;
}

static void unlink_instance(struct anyhv_instance *instance)
{
    struct anyhv_instance **link = &instance->server->instances;

    while (*link != instance)
        link = &(*link)->next;
    *link = instance->next;
}

int anyhv_instance_create(struct anyhv_instance *instance, struct anyhv_server *server,
                          struct anyhv_dev *dev, struct anyhv_attach *how)
{
    const struct anyhv_class *cls = server->cls;

    how->ops = cls->ops;
    how->limits = cls->limits;
    how->withhold = server->withhold;
    how->storage_size = anyhv_storage_size(cls->ops, &cls->limits);
    how->state_size = ANYHV_STATE_SIZE(cls->ops->queues, cls->ops->config_len);
    if (!allocate(&instance->storage, how->storage_size) ||
        !allocate(&instance->state, how->state_size) ||
        !allocate(&instance->priv, cls->instance_size)) {
        free_storage(instance);
        return ANYHV_E_NORES;
    }
    how->storage = instance->storage;
    how->state = instance->state;
    how->priv = instance->priv;

    int result = cls->create ? cls->create(server->host, dev, instance->priv) : 0;
    if (result < 0) {
        free_storage(instance);
        return result;
    }
    instance->server = server;
    instance->dev = dev;
    instance->next = NULL;
    link_instance(instance);
    return ANYHV_OK;
}

void anyhv_instance_destroy(struct anyhv_instance *instance)
{
    struct anyhv_server *server = instance->server;

    if (!server)
        return;
    unlink_instance(instance);
    if (server->cls->destroy)
        server->cls->destroy(server->host, instance->priv);
    free_storage(instance);
}

/* ---- Report ---- */

static void put(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, " %s=%" PRIu64, name, value);
}

static void report_queue(const struct anyhv_dev *dev, const char *name, unsigned queue, FILE *out)
{
    const struct anyhv_queue_counters *counters = anyhv_ctl_counters(dev, queue);
    const char *state = "stopped";

    if (!counters)
        return;
    if (anyhv_ctl_queue_broken(dev, queue))
        state = "broken";
    else if (anyhv_ctl_queue_started(dev, queue))
        state = "running";
    fprintf(out, "%s queue %u: %s", name, queue, state);
#define PUT(field) put(out, #field, counters->field)
    PUT(kicks);
    PUT(requests);
    PUT(held);
    PUT(done);
    PUT(rejected);
    PUT(returned);
    PUT(dropped);
    PUT(bytes_in);
    PUT(bytes_out);
    PUT(publishes);
    PUT(notifies);
    PUT(suppressed);
    PUT(stalls);
#undef PUT
    fputc('\n', out);
}

static void report_device(const struct anyhv_dev *dev, const char *name, FILE *out)
{
    for (unsigned queue = 0; queue < dev->ops->queues; queue++)
        report_queue(dev, name, queue, out);
    for (unsigned v = 0; v < ANYHV_V_COUNT; v++) {
        if (dev->violations[v])
            fprintf(out, "%s violation %s: %" PRIu32 "\n", name, anyhv_violations[v].name,
                    dev->violations[v]);
    }
}

void anyhv_server_report(const struct anyhv_server *server, FILE *out)
{
    unsigned number = 0;
    char name[64];

    if (!server->instances)
        fprintf(out, "%s: no device in use\n", server->cls->ops->name);
    for (struct anyhv_instance *i = server->instances; i; i = i->next, number++) {
        snprintf(name, sizeof(name), "%s %u", server->cls->ops->name, number);
        if (i->dev->ops)
            report_device(i->dev, name, out);
        else
            fprintf(out, "%s: not attached\n", name);
    }
    fflush(out);
}

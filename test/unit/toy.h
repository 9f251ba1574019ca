/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest device, and a guest for it that never says anything. */
#ifndef ANYHV_UNIT_TOY_H
#define ANYHV_UNIT_TOY_H

#include <anyhv/hv.h>
#include <string.h>

static void request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    (void)dev;
    (void)queue;
    anyhv_req_done(req);
}

static const struct anyhv_device_ops toy_ops = {
    .name = "toy", .id = 4, .queues = 2, .config_len = 8, .ordered = true, .request = request};

struct guest {
    struct anyhv_instance instance;
    struct anyhv_dev dev;
    struct anyhv_mem mem;
};

static void notify(struct anyhv_dev *dev, int queue)
{
    (void)dev;
    (void)queue;
}

static void work(struct anyhv_dev *dev)
{
    (void)dev;
}

static const struct anyhv_port_ops port = {
    .notify = notify, .work = work, .features = ANYHV_F_RING_BITS};

static inline int guest_arrives(struct guest *guest, struct anyhv_server *server)
{
    struct anyhv_attach how = {.mem = &guest->mem, .port = &port};

    memset(guest, 0, sizeof(*guest));
    anyhv_mem_init(&guest->mem, NULL, 0, NULL, NULL);
    int result = anyhv_instance_create(&guest->instance, server, &guest->dev, &how);
    if (result < 0)
        return result;
    return anyhv_dev_attach(&guest->dev, &how);
}

static inline void guest_goes(struct guest *guest)
{
    anyhv_dev_detach(&guest->dev);
    anyhv_instance_destroy(&guest->instance);
}

#endif

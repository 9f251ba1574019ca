/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user module's process, with the tests' front end. Registers are the front end's own
 * there, so the question is the shortest message that is answered: GET_FEATURES.
 */
#include "ways.h"

#include <stdlib.h>
#include <vhost-user/frontend.h>

struct vu {
    struct process process;
    struct frontend fe;
    uint64_t features;
};

static void vu_open(struct way_device *device)
{
    struct vu *v = device->priv = calloc(1, sizeof(*v));

    way_need(v, "out of memory");
    process_begin(&v->process, &anyhv_hv_vhost_user);
    fe_init(&v->fe);
    way_need(fe_connect(&v->fe, v->process.socket), "connect");
    way_need(fe_memory_new(&v->fe, WAYS_RAM), "no memory");
    way_need(fe_start(&v->fe, FE_P_REPLY_ACK, 0, 1), "the back end does not start");
    way_need(fe_get(&v->fe, FE_GET_FEATURES, &v->features) == 0, "GET_FEATURES");
    device->mem = v->fe.mem;
    device->ring = v->fe.ring[0].ring;
    device->ring.mem = &device->mem;
}

static void vu_access(struct way_device *device)
{
    struct vu *v = device->priv;
    uint64_t features;

    way_need(fe_get(&v->fe, FE_GET_FEATURES, &features) == 0 && features == v->features,
             "a wrong answer");
}

static void vu_kick(struct way_device *device)
{
    fe_kick(&((struct vu *)device->priv)->fe, 0);
}

static void vu_close(struct way_device *device)
{
    struct vu *v = device->priv;

    fe_fini(&v->fe);
    process_end(&v->process);
    free(v);
}

const struct way way_vhost_user = {
    .name = "vhost-user",
    .open = vu_open,
    .access = vu_access,
    .kick = vu_kick,
    .close = vu_close,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library, used as its users use it: a device model on include/anyhv/device.h and request.h,
 * brought up as a module with a control plane of its own would, memory as a table of regions.
 */
#include "peer.h"
#include "work.h"

#include <anyhv/control.h>
#include <err.h>
#include <stdlib.h>

enum {
    BUDGET = 256, /* requests per run, as the modules have it */
    DEVICE_ID = 63,
};

struct ctx {
    struct anyhv_dev dev;
    struct anyhv_mem mem;
    struct anyhv_region region[SCENARIO_REGIONS_MAX];
    struct work work;
    uint64_t notified;
    void *storage;
    uint64_t state[(ANYHV_STATE_SIZE(1, 0) + 7) / 8];
};

/* ---- the device: one request callback per shape of request, see work.h ---- */

static void end(struct anyhv_req *req, int rc)
{
    if (rc)
        anyhv_req_reject(req, rc);
    else
        anyhv_req_done(req);
}

/* Fills the writable part, @word first. */
static int fill(struct work *work, struct anyhv_req *req, uint32_t word)
{
    memcpy(work->out, &word, sizeof(word));
    return anyhv_req_write(req, work->out, anyhv_req_writable(req));
}

static void request_c1(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct work *work = anyhv_dev_priv(dev);
    uint32_t word = work_count(work->counter++);

    (void)queue;
    end(req, work->copy ? fill(work, req, word) : anyhv_req_write(req, &word, sizeof(word)));
}

static void request_c2(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct work *work = anyhv_dev_priv(dev);
    uint8_t header[WORK_HEADER];
    int rc = anyhv_req_read(req, header, sizeof(header));
    uint32_t word = work_answer(work_word(header), 0);

    (void)queue;
    if (!rc)
        rc = work->copy ? fill(work, req, word) : anyhv_req_write_at(req, 0, &word, sizeof(word));
    end(req, rc);
}

static void request_c3(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct work *work = anyhv_dev_priv(dev);
    uint8_t header[WORK_HEADER];
    int rc = anyhv_req_read(req, header, sizeof(header));
    uint32_t tail = 0, word;

    (void)queue;
    if (!rc && work->copy) {
        uint32_t bytes = anyhv_req_readable(req);

        rc = anyhv_req_read(req, work->in, bytes);
        tail = work_word(work->in + bytes - sizeof(tail));
    }
    word = work_answer(work_word(header), tail);
    if (!rc)
        rc = anyhv_req_write(req, &word, sizeof(word));
    end(req, rc);
}

#define DEVICE(callback)                                                   \
    {                                                                      \
        .name = "bench", .id = DEVICE_ID, .queues = 1, .request = callback \
    }

static const struct anyhv_device_ops devices[] = {DEVICE(request_c1), DEVICE(request_c2),
                                                  DEVICE(request_c3)};

/* ---- the module ---- */

static void notify(struct anyhv_dev *dev, int queue)
{
    struct ctx *ctx = anyhv_dev_port(dev);

    (void)queue;
    ctx->notified++;
}

/* Nothing to arrange: whoever polls runs the device anyway. */
static void work_marked(struct anyhv_dev *dev)
{
    (void)dev;
}

static const struct anyhv_port_ops port = {
    .notify = notify,
    .work = work_marked,
    .features = ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX | ANYHV_F_RING_PACKED,
};

static void need(int rc, const char *what)
{
    if (rc)
        errx(1, "%s: %s", what, anyhv_result_name(rc));
}

static void add_memory(struct ctx *ctx, const struct guest *guest)
{
    anyhv_mem_init(&ctx->mem, ctx->region, SCENARIO_REGIONS_MAX, NULL, NULL);
    for (unsigned i = 0; i < guest->scenario->regions; i++) {
        const struct guest_region *r = &guest->region[i];
        struct anyhv_region region = {r->addr, r->size, r->host, ANYHV_R | ANYHV_W};

        need(anyhv_mem_add(&ctx->mem, &region), "anyhv_mem_add");
    }
}

static void attach(struct ctx *ctx, const struct guest *guest)
{
    const struct anyhv_device_ops *ops = &devices[guest->scenario->chain - 1];
    const struct anyhv_limits limits = {0};
    size_t size = anyhv_storage_size(ops, &limits);
    struct anyhv_attach how = {
        .ops = ops,
        .priv = &ctx->work,
        .mem = &ctx->mem,
        .port = &port,
        .port_priv = ctx,
        .storage_size = size,
        .state = ctx->state,
        .state_size = sizeof(ctx->state),
    };

    how.storage = ctx->storage = peer_alloc(size);
    need(anyhv_dev_attach(&ctx->dev, &how), "anyhv_dev_attach");
}

/* What the driver of the guest has negotiated. */
static void negotiate(struct ctx *ctx, const struct guest *guest)
{
    const struct anyhv_queue_setup setup = {
        .desc = guest->desc,
        .driver = guest->driver,
        .device = guest->device,
        .base = guest->packed ? ANYHV_BASE_PACKED : ANYHV_BASE_SPLIT,
        .size = guest->size,
    };
    uint64_t features = ANYHV_F_VERSION_1 | (guest->packed ? ANYHV_F_RING_PACKED : 0) |
                        (guest->scenario->event_idx ? ANYHV_F_EVENT_IDX : 0) |
                        (guest->scenario->indirect ? ANYHV_F_INDIRECT_DESC : 0);
    uint8_t status = ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER;

    anyhv_ctl_set_status(&ctx->dev, status);
    anyhv_ctl_set_features(&ctx->dev, features);
    anyhv_ctl_set_status(&ctx->dev, status |= ANYHV_S_FEATURES_OK);
    need(anyhv_ctl_queue_start(&ctx->dev, 0, &setup), "anyhv_ctl_queue_start");
    anyhv_ctl_set_status(&ctx->dev, status |= ANYHV_S_DRIVER_OK);
    if (anyhv_ctl_status(&ctx->dev) != status)
        errx(1, "the device did not start: status %#x", anyhv_ctl_status(&ctx->dev));
}

static void *setup(const struct guest *guest)
{
    struct ctx *ctx = peer_alloc(sizeof(*ctx));

    work_init(&ctx->work, guest->scenario->copy);
    add_memory(ctx, guest);
    attach(ctx, guest);
    negotiate(ctx, guest);
    return ctx;
}

static void poll(void *priv)
{
    struct ctx *ctx = priv;

    anyhv_ctl_kick(&ctx->dev, 0);
    while (anyhv_dev_run(&ctx->dev, BUDGET))
        ;
}

static uint64_t teardown(void *priv)
{
    struct ctx *ctx = priv;
    uint64_t notified = ctx->notified;

    anyhv_dev_detach(&ctx->dev);
    free(ctx->storage);
    free(ctx);
    return notified;
}

const struct peer peer_anyhv_split = {
    .name = "anyhv-split", .setup = setup, .poll = poll, .teardown = teardown};
const struct peer peer_anyhv_packed = {
    .name = "anyhv-packed", .packed = true, .setup = setup, .poll = poll, .teardown = teardown};

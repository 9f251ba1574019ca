/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_world.h"

#include <string.h>

enum {
    ROOM = 80,              /* bytes of memory for one request: token, answer, table */
    ROOMS = 2 * WORLD_SIZE, /* more than can be in flight */
    ANSWER = 16,
    TABLE = 32,
};

/* ---- the device ---- */

static void notify(struct anyhv_dev *dev, int queue)
{
    struct world *w = anyhv_dev_priv(dev);

    w->notified += queue == 0;
}

static void work(struct anyhv_dev *dev)
{
    (void)dev;
}

static uint32_t answer_to(uint32_t token)
{
    return token * 2654435761u;
}

/* Reads the token, writes what follows from it; both little endian. */
void world_answer_one(struct world *w, struct anyhv_req *req)
{
    uint8_t bytes[4];
    uint32_t token = 0;

    assert_int_equal(anyhv_req_read(req, bytes, sizeof(bytes)), ANYHV_OK);
    for (unsigned i = 0; i < 4; i++)
        token |= (uint32_t)bytes[i] << (8 * i);
    if (w->norder < WORLD_TOKENS)
        w->order[w->norder++] = token;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(answer_to(token) >> (8 * i));
    assert_int_equal(anyhv_req_write(req, bytes, sizeof(bytes)), ANYHV_OK);
    anyhv_req_done(req);
}

static void request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct world *w = anyhv_dev_priv(dev);

    (void)queue;
    w->replayed += anyhv_req_replayed(req);
    if (w->lenient) {
        anyhv_req_done(req);
        return;
    }
    if (w->hold_every && w->taken++ % w->hold_every == 0)
        w->held[w->nheld++] = anyhv_req_hold(req);
    else
        world_answer_one(w, req);
}

static bool cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct world *w = anyhv_dev_priv(dev);

    w->cancelled++;
    if (!returnable)
        world_answer_one(w, req);
    return returnable;
}

static const struct anyhv_port_ops port = {.notify = notify,
                                           .work = work,
                                           .features = ANYHV_F_INDIRECT_DESC | ANYHV_F_EVENT_IDX |
                                                       ANYHV_F_RING_PACKED | ANYHV_F_IN_ORDER |
                                                       ANYHV_F_SUSPEND};

static const struct anyhv_device_ops ops = {.name = "world",
                                            .id = 63,
                                            .queues = 1,
                                            .max_size = WORLD_SIZE,
                                            .ordered = true,
                                            .request = request,
                                            .cancel = cancel};

static int attach(struct world *w, bool resume, bool journal)
{
    const struct anyhv_attach how = {.ops = &ops,
                                     .priv = w,
                                     .mem = &w->mem,
                                     .port = &port,
                                     .storage = w->storage,
                                     .storage_size = sizeof(w->storage),
                                     .limits = {.requests = WORLD_REQUESTS, .segs = 64},
                                     .state = w->shared->state,
                                     .state_size = sizeof(w->shared->state),
                                     .resume = resume,
                                     .journal = journal ? w->shared->journal : NULL,
                                     .journal_size = sizeof(w->shared->journal)};

    anyhv_mem_init(&w->mem, &w->region, 1, NULL, NULL);
    assert_int_equal(
        anyhv_mem_add(&w->mem, &(struct anyhv_region){WORLD_BASE, WORLD_RAM, w->shared->ram,
                                                      ANYHV_R | ANYHV_W}),
        ANYHV_OK);
    return anyhv_dev_attach(&w->dev, &how);
}

static void bring_up(struct world *w)
{
    struct anyhv_queue_setup setup = {.desc = w->ring.desc,
                                      .driver = w->ring.driver,
                                      .device = w->ring.device,
                                      .base = w->ring.packed ? ANYHV_BASE_PACKED : 0,
                                      .size = WORLD_SIZE};

    anyhv_ctl_set_status(&w->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER);
    anyhv_ctl_set_features(&w->dev, w->features | ANYHV_F_VERSION_1);
    anyhv_ctl_set_status(&w->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_FEATURES_OK);
    assert_int_equal(anyhv_ctl_queue_start(&w->dev, 0, &setup), ANYHV_OK);
    anyhv_ctl_set_status(&w->dev, ANYHV_S_ACKNOWLEDGE | ANYHV_S_DRIVER | ANYHV_S_FEATURES_OK |
                                      ANYHV_S_DRIVER_OK);
}

void world_start(struct world *w, struct world_shared *shared, uint64_t features)
{
    struct drv_ring_config config = {.size = WORLD_SIZE,
                                     .packed = features & DRV_F_PACKED,
                                     .event_idx = features & DRV_F_EVENT_IDX,
                                     .in_order = features & DRV_F_IN_ORDER,
                                     .slots = w->slots};

    memset(w, 0, sizeof(*w));
    memset(shared, 0, sizeof(*shared));
    w->shared = shared;
    w->features = features;
    drv_mem_init(&w->window, shared->ram, WORLD_BASE, WORLD_RAM);
    assert_true(drv_ring_init(&w->ring, &w->window, &config));
    assert_int_equal(attach(w, false, true), ANYHV_OK);
    bring_up(w);
}

static uint8_t *moved(const struct world *from, const struct world *w, const uint8_t *at)
{
    return w->shared->ram + (at - from->shared->ram);
}

static void inherit(struct world *w, const struct world *from, struct world_shared *shared)
{
    memset(w, 0, sizeof(*w));
    w->shared = shared;
    w->features = from->features;
    w->posted = from->posted;
    memcpy(w->answers, from->answers, sizeof(w->answers));
    memcpy(w->slots, from->slots, sizeof(w->slots));
    w->window = from->window;
    w->window.host = moved(from, w, from->window.host);
    w->ring = from->ring;
    w->ring.mem = &w->window;
    w->ring.slots = w->slots;
    w->ring.desc_host = moved(from, w, from->ring.desc_host);
    w->ring.driver_host = moved(from, w, from->ring.driver_host);
    w->ring.device_host = moved(from, w, from->ring.device_host);
}

int world_succeed(struct world *w, const struct world *from, struct world_shared *shared)
{
    inherit(w, from, shared);
    return attach(w, true, true);
}

int world_succeed_without(struct world *w, const struct world *from, struct world_shared *shared)
{
    inherit(w, from, shared);
    return attach(w, true, false);
}

void world_end(struct world *w)
{
    anyhv_dev_detach(&w->dev);
}

void world_run(struct world *w)
{
    unsigned turns = 0;

    while (anyhv_dev_run(&w->dev, 5)) /* in small portions */
        assert_true(++turns < 1000);
}

void world_answer(struct world *w)
{
    while (w->nheld) {
        struct anyhv_req *req = anyhv_req_get(&w->dev, w->held[--w->nheld]);

        assert_true(req || w->cancelled); /* a drain may have ended it */
        if (req)
            world_answer_one(w, req);
    }
}

/* ---- the driver ---- */

static uint64_t room_of(uint32_t token)
{
    return WORLD_BASE + WORLD_RAM - (ROOMS - token % ROOMS) * ROOM;
}

/* The token in one or two pieces, a place for the answer; every fourth time in a table. */
static void post(struct world *w, uint32_t token)
{
    uint64_t room = room_of(token);
    bool table = (w->features & DRV_F_INDIRECT) && token % 4 == 3;
    struct drv_buf out[] = {{room, token % 3 == 0 ? 4 : 1}, {room + 1, 3}};
    struct drv_buf in = {room + ANSWER, 4};
    struct drv_chain chain = {.out = out,
                              .nout = token % 3 == 0 ? 1 : 2,
                              .in = &in,
                              .nin = 1,
                              .direct = table ? 0 : DRV_DIRECT,
                              .table = room + TABLE,
                              .token = token};

    for (unsigned i = 0; i < 4; i++)
        drv_poke8(&w->window, room + i, (uint8_t)(token >> (8 * i)));
    assert_true(drv_ring_add(&w->ring, &chain) >= 0);
    drv_ring_publish(&w->ring);
}

void world_post(struct world *w, unsigned n)
{
    while (n--) {
        assert_true(w->posted < WORLD_TOKENS);
        post(w, w->posted++);
    }
    anyhv_ctl_kick(&w->dev, 0);
}

void world_collect(struct world *w)
{
    struct drv_used used;

    while (drv_ring_get(&w->ring, &used)) {
        uint32_t token = (uint32_t)used.token, value = 0;

        assert_true(token < w->posted);
        assert_int_equal(used.len, 4);
        for (unsigned i = 0; i < 4; i++)
            value |= (uint32_t)drv_peek8(&w->window, room_of(token) + ANSWER + i) << (8 * i);
        assert_int_equal(value, answer_to(token));
        assert_int_equal(w->answers[token]++, 0); /* once */
    }
    assert_int_equal(w->ring.fault, DRV_FAULT_NONE);
}

void world_check_all(struct world *w)
{
    for (unsigned i = 0; i < 8; i++) {
        world_run(w);
        world_collect(w);
        world_answer(w);
        world_run(w);
        world_collect(w);
        for (uint32_t token = 0; token < w->posted; token++)
            assert_int_equal(w->answers[token], 1);
        assert_int_equal(w->ring.inflight, 0);
        world_post(w, 4);
    }
}

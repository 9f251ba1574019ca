/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/probe_device.h"

#include <string.h>

#define HELD_MAX 64
#define LATER_NS UINT64_C(50000) /* between requests that are answered later */

struct held {
    uint64_t handle;
    uint32_t pinned; /* bytes at `at` */
    uint8_t *at;
    bool returnable, stuck, later;
};

struct probe {
    struct anyhv_dev *dev;
    struct anyhv_loop *loop;
    struct anyhv_timer timer, later_timer, config_timer;
    uint32_t random;
    bool slow;
    uint32_t config_value;
    struct held held[HELD_MAX];
    unsigned nheld;
    struct probe_info info;
};

static void echo(struct anyhv_req *req)
{
    uint8_t byte;

    /* Neither may be there any more: its memory may have left meanwhile. */
    while (anyhv_req_readable(req) && anyhv_req_writable(req))
        if (anyhv_req_read(req, &byte, 1) || anyhv_req_write(req, &byte, 1))
            break;
    anyhv_req_done(req);
}

static void finish(struct probe *p, const struct held *h)
{
    struct anyhv_req *req = anyhv_req_get(p->dev, h->handle);

    if (!req)
        return;
    if (h->pinned) {
        memset(h->at, PROBE_BYTE, h->pinned);
        anyhv_req_done(req);
    } else {
        echo(req);
    }
}

static void release(struct probe *p)
{
    unsigned count = p->nheld;

    if (p->slow) {
        for (unsigned i = 0; i < count; i++)
            p->held[i].later = true;
        anyhv_timer_set(p->loop, &p->later_timer, 0);
        return;
    }
    p->nheld = 0;
    for (unsigned i = 0; i < count; i++)
        finish(p, &p->held[i]);
}

/* Any one of those that are to be answered later, or -1. */
static int some_later(struct probe *p)
{
    p->random = p->random * 1103515245 + 12345;
    for (unsigned i = 0; i < p->nheld; i++) {
        unsigned at = (i + p->random / 65536) % p->nheld;

        if (p->held[at].later)
            return (int)at;
    }
    return -1;
}

static void end_some(struct anyhv_timer *timer)
{
    struct probe *p = timer->priv;
    unsigned n = p->slow ? 1 : 3;
    int at;

    while ((at = some_later(p)) >= 0 && n--) {
        struct held h = p->held[at];

        p->held[at] = p->held[--p->nheld];
        finish(p, &h);
    }
    if (at >= 0)
        anyhv_timer_set(p->loop, timer, p->slow ? 0 : LATER_NS);
}

static void hold(struct probe *p, struct anyhv_req *req, enum probe_op op)
{
    struct held *h = &p->held[p->nheld];
    struct anyhv_map map;

    if (p->nheld == HELD_MAX) {
        anyhv_req_reject(req, ANYHV_E_NORES);
        return;
    }
    *h = (struct held){
        .returnable = op == PROBE_RETURN, .stuck = op == PROBE_STUCK, .later = op == PROBE_LATER};
    if (h->later && !p->later_timer.loop)
        anyhv_timer_set(p->loop, &p->later_timer, LATER_NS);
    if (op == PROBE_HOLD_PINNED && anyhv_req_pin(req, ANYHV_W, UINT32_MAX, &map) == ANYHV_OK) {
        h->at = map.ptr;
        h->pinned = map.len;
    }
    h->handle = anyhv_req_hold(req);
    p->nheld++;
}

static void info(struct probe *p, struct anyhv_req *req)
{
    p->info.features = anyhv_dev_features(p->dev);
    p->info.held = p->nheld;
    anyhv_req_write(req, &p->info, sizeof(p->info));
    anyhv_req_done(req);
}

static void probe_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct probe *p = anyhv_dev_priv(dev);
    uint32_t command[2];

    (void)queue;
    if (anyhv_req_read(req, command, sizeof(command)) != ANYHV_OK) {
        anyhv_req_reject(req, ANYHV_E_SHORT);
        return;
    }
    switch (command[0]) {
    case PROBE_ECHO:
        echo(req);
        return;
    case PROBE_HOLD:
    case PROBE_HOLD_PINNED:
    case PROBE_RETURN:
    case PROBE_STUCK:
    case PROBE_LATER:
        hold(p, req, command[0]);
        return;
    case PROBE_RELEASE:
        release(p);
        anyhv_req_done(req);
        return;
    case PROBE_CONFIG:
        anyhv_config_set(dev, PROBE_CONFIG_VALUE, &command[1], sizeof(command[1]));
        anyhv_req_done(req);
        return;
    case PROBE_CONFIG_LATE:
        p->config_value = command[1];
        anyhv_timer_set(p->loop, &p->config_timer, PROBE_DELAY_MS * UINT64_C(1000000));
        anyhv_req_done(req);
        return;
    case PROBE_INFO:
        info(p, req);
        return;
    case PROBE_REMEMBER:
        p->info.word = command[1];
        anyhv_req_done(req);
        return;
    default:
        anyhv_req_reject(req, ANYHV_E_INVAL);
    }
}

static void late(struct anyhv_timer *timer)
{
    release(timer->priv);
}

static void late_config(struct anyhv_timer *timer)
{
    struct probe *p = timer->priv;

    anyhv_config_set(p->dev, PROBE_CONFIG_VALUE, &p->config_value, sizeof(p->config_value));
}

static bool probe_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct probe *p = anyhv_dev_priv(dev);

    for (unsigned i = 0; i < p->nheld; i++) {
        if (anyhv_req_get(dev, p->held[i].handle) != req)
            continue;
        if (p->held[i].stuck)
            return false;
        if (returnable && p->held[i].returnable) {
            p->held[i] = p->held[--p->nheld];
            return true;
        }
    }
    anyhv_timer_set(p->loop, &p->timer, PROBE_DELAY_MS * UINT64_C(1000000));
    return false;
}

static void probe_start(struct anyhv_dev *dev)
{
    struct probe *p = anyhv_dev_priv(dev);

    p->info.starts++;
}

static void probe_stop(struct anyhv_dev *dev)
{
    struct probe *p = anyhv_dev_priv(dev);

    p->info.stops++;
    p->nheld = 0;
    anyhv_timer_cancel(&p->timer);
    anyhv_timer_cancel(&p->later_timer);
}

static void probe_config_written(struct anyhv_dev *dev, unsigned off, unsigned len)
{
    struct probe *p = anyhv_dev_priv(dev);

    (void)off;
    (void)len;
    p->info.config_writes++;
}

static size_t probe_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    const struct probe *p = anyhv_dev_priv(dev);
    uint32_t *words = buf;

    if (cap < PROBE_STATE_LEN)
        return PROBE_STATE_LEN;
    for (unsigned i = 0; i < PROBE_STATE_LEN / 4; i++)
        memcpy(&words[i], i ? &p->info.word : &(uint32_t){PROBE_STATE_VERSION}, 4);
    return PROBE_STATE_LEN;
}

static int probe_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    struct probe *p = anyhv_dev_priv(dev);
    const uint8_t *bytes = buf;
    uint32_t version, word;

    if (len != PROBE_STATE_LEN)
        return ANYHV_E_INVAL;
    memcpy(&version, bytes, 4);
    memcpy(&word, bytes + 4, 4);
    if (version != PROBE_STATE_VERSION)
        return ANYHV_E_VERSION;
    for (size_t i = 8; i < len; i += 4) {
        if (memcmp(bytes + i, &word, 4) != 0)
            return ANYHV_E_INVAL;
    }
    p->info.word = word;
    return ANYHV_OK;
}

static const uint32_t initial_config[PROBE_CONFIG_LEN / 4] = {PROBE_MAGIC};

static const struct anyhv_device_ops probe_ops = {
    .name = "probe",
    .id = 0x3e,
    .queues = PROBE_QUEUES,
    .max_size = 64,
    .config = initial_config,
    .config_len = PROBE_CONFIG_LEN,
    .config_w_off = PROBE_CONFIG_DRIVER,
    .config_w_len = PROBE_CONFIG_LEN - PROBE_CONFIG_DRIVER,
    .request = probe_request,
    .cancel = probe_cancel,
    .start = probe_start,
    .stop = probe_stop,
    .config_written = probe_config_written,
    .save = probe_save,
    .load = probe_load,
};

static int probe_open(struct anyhv_loop *loop, const void *options, void **host)
{
    (void)options;
    *host = loop;
    return ANYHV_OK;
}

static int probe_create(void *host, struct anyhv_dev *dev, void *instance)
{
    struct probe *p = instance;

    p->dev = dev;
    p->loop = host;
    p->timer = (struct anyhv_timer){.fire = late, .priv = p};
    p->later_timer = (struct anyhv_timer){.fire = end_some, .priv = p};
    p->config_timer = (struct anyhv_timer){.fire = late_config, .priv = p};
    return ANYHV_OK;
}

static int probe_create_slow(void *host, struct anyhv_dev *dev, void *instance)
{
    struct probe *p = instance;

    p->slow = true;
    return probe_create(host, dev, instance);
}

static void probe_destroy(void *host, void *instance)
{
    struct probe *p = instance;

    (void)host;
    anyhv_timer_cancel(&p->timer);
    anyhv_timer_cancel(&p->later_timer);
    anyhv_timer_cancel(&p->config_timer);
}

const struct anyhv_class probe_class = {
    .ops = &probe_ops,
    .limits = {.segs = 256}, /* so that a ring full of long chains can be held */
    .open = probe_open,
    .instance_size = sizeof(struct probe),
    .create = probe_create,
    .destroy = probe_destroy,
};

const struct anyhv_class probe_slow_class = {
    .ops = &probe_ops,
    .limits = {.segs = 256},
    .open = probe_open,
    .instance_size = sizeof(struct probe),
    .create = probe_create_slow,
    .destroy = probe_destroy,
};

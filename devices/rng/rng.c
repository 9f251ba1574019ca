/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device model, section 5.4. Freestanding. */
#include <anyhv/devices/rng.h>

#define CHUNK    256u
#define MAX_FILL 65536u /* a short fill is legal; a huge buffer must not occupy the loop */

/*
 * Fills the request with what the source has. ANYHV_OK: something was written; ANYHV_LATER: the
 * source is dry; otherwise why it cannot be done.
 */
static int fill(struct anyhv_rng *rng, struct anyhv_req *req)
{
    uint8_t buf[CHUNK];

    while (anyhv_req_writable(req) && anyhv_req_written(req) < MAX_FILL) {
        uint32_t want = anyhv_req_writable(req) < CHUNK ? anyhv_req_writable(req) : CHUNK;
        int n = rng->source->read(rng->source, buf, want);
        int rc = n > 0 ? anyhv_req_write(req, buf, (uint32_t)n) : n;

        if (rc < 0 && !anyhv_req_written(req))
            return rc;
        if (n == 0 || rc < 0)
            break;
    }
    return anyhv_req_written(req) ? ANYHV_OK : ANYHV_LATER;
}

static void wait_for_source(struct anyhv_rng *rng)
{
    struct anyhv_rng **link = &rng->source->waiting;

    if (rng->waits)
        return;
    while (*link)
        link = &(*link)->next;
    *link = rng;
    rng->next = NULL;
    rng->waits = true;
}

/* True if the request is answered; false: it has to wait, and so do all behind it. */
static bool answer(struct anyhv_rng *rng, struct anyhv_req *req)
{
    int rc = fill(rng, req);

    if (rc == ANYHV_OK) {
        anyhv_req_done(req);
        return true;
    }
    if (rc == ANYHV_LATER) {
        wait_for_source(rng);
        return false;
    }
    if (rc == ANYHV_E_NORES)
        return false; /* guest memory cannot be mapped just now: rng_retry follows */
    if (rc == ANYHV_E_IO)
        anyhv_dev_needs_reset(rng->dev);
    anyhv_req_reject(req, rc);
    return true;
}

static void answer_held(struct anyhv_rng *rng)
{
    struct anyhv_req *req;

    while ((req = anyhv_queue_held(rng->dev, 0)) && answer(rng, req))
        ;
}

/* A buffer of length 0 back would stop Linux for good, so a request waits for its first byte. */
static void rng_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct anyhv_rng *rng = anyhv_dev_priv(dev);

    (void)queue;
    if (anyhv_req_writable(req) == 0) {
        anyhv_req_reject(req, ANYHV_E_SHORT);
        return;
    }
    answer_held(rng);
    if (anyhv_queue_held(dev, 0) || !answer(rng, req))
        anyhv_req_hold(req);
}

static void rng_retry(struct anyhv_dev *dev, unsigned queue)
{
    (void)queue;
    answer_held(anyhv_dev_priv(dev));
}

/* Nothing is written into a request that waits, and they wait in order: all can go back. */
static bool rng_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    (void)dev;
    if (!returnable)
        anyhv_req_reject(req, ANYHV_E_STATE);
    return returnable;
}

static void stop_waiting(struct anyhv_rng *rng)
{
    struct anyhv_rng **link = &rng->source->waiting;

    while (*link && *link != rng)
        link = &(*link)->next;
    if (*link)
        *link = rng->next;
    rng->waits = false;
}

static void rng_stop(struct anyhv_dev *dev)
{
    stop_waiting(anyhv_dev_priv(dev));
}

const struct anyhv_device_ops anyhv_rng_ops = {
    .name = "rng",
    .id = 4,
    .queues = 1,
    .ordered = true,
    .request = rng_request,
    .retry = rng_retry,
    .cancel = rng_cancel,
    .stop = rng_stop,
};

void anyhv_rng_init(struct anyhv_rng *rng, struct anyhv_dev *dev, struct anyhv_rng_source *source)
{
    *rng = (struct anyhv_rng){.dev = dev, .source = source};
}

void anyhv_rng_fini(struct anyhv_rng *rng)
{
    if (rng->source)
        stop_waiting(rng);
}

void anyhv_rng_ready(struct anyhv_rng_source *source)
{
    struct anyhv_rng *rng;

    while (source->outer)
        source = source->outer;
    rng = source->waiting;
    source->waiting = NULL;
    for (struct anyhv_rng *next; rng; rng = next) {
        next = rng->next;
        rng->waits = false;
        answer_held(rng);
    }
}

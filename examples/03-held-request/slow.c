/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device whose hardware needs a while and can do one thing at a time. Requests are held, so that
 * nobody sleeps; what waits with the timer is a handle, not a request. A driver may reset the
 * device at any moment: the hardware goes on, and its late answer finds nothing.
 *
 *   build/dev/bin/anyhv-slow-loopback --in 4 --requests 100
 *   build/dev/bin/anyhv-slow-vhost-user --socket-path=/tmp/slow.sock
 *   build/dev/bin/test/examples/test_held_request        resets and stops at the wrong moment
 *
 * (A model that shall run without an OS gets its timer through a struct of callbacks, as
 * devices/rng gets its bytes.)
 */
#include "slow.h"

/* Sets the hardware to work on the oldest request. */
static void begin(struct slow *slow)
{
    struct anyhv_req *req = anyhv_queue_held(slow->dev, 0);

    if (slow->busy || !req)
        return;
    slow->busy = true;
    slow->handle = anyhv_req_hold(req); /* it is held already: this only tells the handle */
    anyhv_timer_set(slow->loop, &slow->timer, SLOW_OPERATION_NS);
}

static void slow_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    (void)queue;
    anyhv_req_hold(req);
    begin(anyhv_dev_priv(dev));
}

/* The answer is the number of the operation, little endian. */
static void answer(struct anyhv_req *req, uint32_t number)
{
    const uint8_t bytes[] = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 24)};
    int rc = anyhv_req_write(req, bytes, sizeof(bytes));

    if (rc)
        anyhv_req_reject(req, rc);
    else
        anyhv_req_done(req);
}

static void operation_finished(struct anyhv_timer *timer)
{
    struct slow *slow = timer->priv;
    struct anyhv_req *req = anyhv_req_get(slow->dev, slow->handle);

    slow->busy = false;
    slow->operations++;
    if (req) /* NULL: a reset took it away, and what is held now came after the reset */
        answer(req, slow->operations);
    begin(slow);
}

/*
 * The queue is to become quiet. What the hardware has not seen goes back to the ring and comes
 * again later; what it works on is answered when it is through, soon.
 */
static bool slow_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct slow *slow = anyhv_dev_priv(dev);

    return returnable && !(slow->busy && req == anyhv_req_get(dev, slow->handle));
}

static const struct anyhv_device_ops slow_ops = {
    .name = "slow",
    .id = 63,
    .queues = 1,
    .ordered = true,
    .request = slow_request,
    .cancel = slow_cancel,
};

static int slow_open(struct anyhv_loop *loop, const void *options, void **host)
{
    (void)options;
    *host = loop; /* all that the instances share */
    return ANYHV_OK;
}

static int slow_create(void *host, struct anyhv_dev *dev, void *instance)
{
    struct slow *slow = instance;

    slow->dev = dev;
    slow->loop = host;
    slow->timer = (struct anyhv_timer){.fire = operation_finished, .priv = slow};
    return ANYHV_OK;
}

/* Handles do not outlive the device. */
static void slow_destroy(void *host, void *instance)
{
    struct slow *slow = instance;

    (void)host;
    anyhv_timer_cancel(&slow->timer);
}

const struct anyhv_class slow_class = {
    .ops = &slow_ops,
    .open = slow_open,
    .instance_size = sizeof(struct slow),
    .create = slow_create,
    .destroy = slow_destroy,
};

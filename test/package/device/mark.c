/* SPDX-License-Identifier: Apache-2.0 */
/* The model: it fills whatever the guest offers with one byte. */
#include "mark.h"

static void mark_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    const struct mark *mark = anyhv_dev_priv(dev);
    int rc = ANYHV_OK;

    (void)queue;
    while (!rc && anyhv_req_writable(req))
        rc = anyhv_req_write(req, &mark->byte, 1);
    if (rc)
        anyhv_req_reject(req, rc);
    else
        anyhv_req_done(req);
}

const struct anyhv_device_ops mark_ops = {
    .name = "mark",
    .id = 63,
    .queues = 1,
    .request = mark_request,
    .ordered = true,
};

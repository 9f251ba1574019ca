/* SPDX-License-Identifier: Apache-2.0 */
/* A whole device model: it gives back what it reads, every bit turned. */
#include "invert.h"

static void invert_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    uint8_t buf[64];

    (void)dev;
    (void)queue;
    while (anyhv_req_readable(req) && anyhv_req_writable(req)) {
        uint32_t n = anyhv_req_readable(req);
        int rc;

        if (n > anyhv_req_writable(req))
            n = anyhv_req_writable(req);
        if (n > sizeof(buf))
            n = sizeof(buf);
        rc = anyhv_req_read(req, buf, n);
        for (uint32_t i = 0; i < n && !rc; i++)
            buf[i] ^= 0xff;
        if (!rc)
            rc = anyhv_req_write(req, buf, n);
        if (rc) {
            anyhv_req_reject(req, rc);
            return;
        }
    }
    anyhv_req_done(req);
}

const struct anyhv_device_ops invert_ops = {
    .name = "invert",
    .id = 63,
    .queues = 1,
    .request = invert_request,
    .ordered = true,
};

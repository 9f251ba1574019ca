/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory. Freestanding. */
#include <anyhv/devices/blk.h>
#include <anyhv/port.h>

static int move_piece(const struct anyhv_blk_mem *mem, const struct anyhv_blk_job *job,
                      struct anyhv_req *req, uint32_t len)
{
    uint8_t *at = mem->bytes + job->range[job->at].off;

    switch (job->kind) {
    case ANYHV_BLK_READ:
        return anyhv_req_write(req, at, len);
    case ANYHV_BLK_WRITE:
        return anyhv_req_read(req, at, len);
    default:
        memset(at, 0, len);
        return ANYHV_OK;
    }
}

int anyhv_blk_mem_move(struct anyhv_blk_mem *mem, struct anyhv_blk_job *job, struct anyhv_req *req,
                       uint32_t budget)
{
    while (job->at < job->ranges) {
        struct anyhv_blk_range *range = &job->range[job->at];
        uint32_t len = range->len < budget ? range->len : budget;
        int rc;

        if (!budget)
            return ANYHV_LATER;
        rc = move_piece(mem, job, req, len);
        if (rc)
            return rc;
        range->off += len;
        range->len -= len;
        budget -= len;
        job->at += range->len == 0;
    }
    return ANYHV_OK;
}

/* Memory is as stable as it gets: a flush has nothing to do. */
static int mem_start(struct anyhv_blk_store *store, struct anyhv_blk_job *job,
                     struct anyhv_req *req)
{
    if (job->kind == ANYHV_BLK_FLUSH)
        return ANYHV_OK;
    return anyhv_blk_mem_move((void *)store, job, req, UINT32_MAX);
}

static const struct anyhv_blk_store_ops mem_ops = {.start = mem_start};

void anyhv_blk_mem_init(struct anyhv_blk_mem *mem, uint8_t *bytes, uint64_t sectors)
{
    *mem = (struct anyhv_blk_mem){.store = {.ops = &mem_ops, .sectors = sectors}, .bytes = bytes};
}

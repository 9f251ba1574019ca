/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device, section 5.2. The model is freestanding: it takes requests apart, checks them
 * and answers them; the bytes are moved by whoever keeps them, behind struct blk_store.
 *
 *   request -> struct blk_job (what to do, checked) -> the store -> status byte
 */
#ifndef ANYHV_DEVICES_BLK_H
#define ANYHV_DEVICES_BLK_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BLK_SECTOR        512u  /* the protocol's unit, whatever the medium's is */
#define BLK_SERIAL        20u   /* bytes of the name that GET_ID tells */
#define BLK_RANGES        8u    /* segments of one DISCARD or WRITE_ZEROES */
#define BLK_RANGE_SECTORS 8192u /* sectors of one such segment: 4 MiB */
#define BLK_SEGMENTS      126u  /* descriptors with data that fit any ring of 128 */
#define BLK_CONFIG_LEN    96u   /* all of struct virtio_blk_config, section 5.2.4 */
#define BLK_STATE_LEN     40u   /* of a saved state, before the content (if any) */

struct blk;

/* ---- A request, as the store sees it ---- */

enum blk_kind {
    BLK_READ,  /* range[0] -> the request's writable part (anyhv_req_write) */
    BLK_WRITE, /* the request's readable part (anyhv_req_read) -> range[0] */
    BLK_CLEAR, /* all ranges read as zeroes from now on */
    BLK_FLUSH, /* what was answered before becomes stable; no range */
};

/* Bytes of the disk. */
struct blk_range {
    uint64_t off;
    uint32_t len;
};

struct blk_job {
    struct blk *blk;
    enum blk_kind kind;
    bool unmap;  /* BLK_CLEAR: the space may be given up */
    bool stable; /* BLK_WRITE, BLK_CLEAR: not done before it would survive a power failure */
    /* Inside the disk, whole sectors. A store that goes piece by piece moves them on. */
    unsigned ranges; /* of range[]; may be 0 */
    unsigned at;     /* the first that is not finished */
    struct blk_range range[BLK_RANGES];
    /* The store's, while it has the job; due is 0 at first */
    struct blk_job *next;
    uint64_t due;
    /* The model's */
    uint64_t handle; /* of its request while that is held */
    uint32_t status_at;
    uint8_t status, phase;
    bool used, parked, with_store;
};

/* ---- The store ---- */

struct blk_store;

struct blk_store_ops {
    /*
     * Does @job for @req. ANYHV_OK: done. ANYHV_LATER: the store keeps the job and ends it with
     * anyhv_blk_answer; the request is found by anyhv_blk_req until then. Otherwise why it failed:
     * ANYHV_E_IO for the store's own reasons, or what anyhv_req_read or _write said; the model
     * comes back after ANYHV_E_NORES with the job as the store left it. Never blocks.
     *
     * What was begun may be dropped or begin again from the start at any time: a restart, or a
     * queue that stops. So doing a job twice must be the same as doing it once.
     */
    int (*start)(struct blk_store *store, struct blk_job *job, struct anyhv_req *req);
    /*
     * Forgets a job that was answered by ANYHV_LATER: it is not the store's any more. NULL: there
     * never is one.
     */
    void (*drop)(struct blk_store *store, struct blk_job *job);
};

/* Embed it at the start of the store's own struct. */
struct blk_store {
    const struct blk_store_ops *ops;
    uint64_t sectors; /* of 512 bytes */
    bool read_only;
    /*
     * All bytes of the disk, if nobody but this process keeps them: then they are part of the
     * device's state and are saved and loaded with it. NULL: a successor finds them by itself.
     */
    uint8_t *content;
};

/* The request of a job that the store keeps. */
struct anyhv_req *anyhv_blk_req(const struct blk_job *job);

/* Ends a job that the store kept. @result as start may give it, except ANYHV_LATER. */
void anyhv_blk_answer(struct blk_job *job, int result);

/* ---- The device ---- */

/* What a guest is offered: attach with ops = &offer->ops. Caller's storage, kept until detach. */
struct blk_offer {
    struct anyhv_device_ops ops;
    uint8_t config[BLK_CONFIG_LEN];
};

/* @queues at least 1. A read-only store offers neither DISCARD nor WRITE_ZEROES. */
void anyhv_blk_offer(struct blk_offer *offer, const struct blk_store *store, uint16_t queues);

/* One guest's device. Caller's storage, passed as priv at attach. */
struct blk {
    struct anyhv_dev *dev;
    struct blk_store *store;
    uint8_t serial[BLK_SERIAL];
    struct blk_job *jobs, *free;
    unsigned njobs;
};

/*
 * Ties the model to its device and its store, before attach. @serial: at most BLK_SERIAL bytes are
 * taken. @jobs: one for each request that can be in work, so @njobs is queues times
 * anyhv_limits.requests (32 if that is 0).
 */
void anyhv_blk_init(struct blk *blk, struct anyhv_dev *dev, struct blk_store *store,
                    const char *serial, struct blk_job *jobs, unsigned njobs);

/* ---- A store in memory ---- */

struct blk_mem {
    struct blk_store store;
    uint8_t *bytes;
};

/*
 * A disk of @sectors at @bytes, all of each job at once. Its content is not saved with the device
 * unless the caller sets store.content.
 */
void anyhv_blk_mem_init(struct blk_mem *mem, uint8_t *bytes, uint64_t sectors);

/*
 * For stores that stand on this one: moves at most @budget bytes, for any job but BLK_FLUSH.
 * ANYHV_LATER: some are left, call again.
 */
int anyhv_blk_mem_move(struct blk_mem *mem, struct blk_job *job, struct anyhv_req *req,
                       uint32_t budget);

#ifdef __cplusplus
}
#endif
#endif

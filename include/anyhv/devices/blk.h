/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device, section 5.2. The model is freestanding: it takes requests apart, checks them
 * and answers them; the bytes are moved by whoever keeps them, behind struct anyhv_blk_store.
 *
 *   request -> struct anyhv_blk_job (what to do, checked) -> the store -> status byte
 */
#ifndef ANYHV_DEVICES_BLK_H
#define ANYHV_DEVICES_BLK_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_BLK_SECTOR        512u  /* the protocol's unit, whatever the medium's is */
#define ANYHV_BLK_SERIAL        20u   /* bytes of the name that GET_ID tells */
#define ANYHV_BLK_RANGES        8u    /* segments of one DISCARD or WRITE_ZEROES */
#define ANYHV_BLK_RANGE_SECTORS 8192u /* sectors of one such segment: 4 MiB */
#define ANYHV_BLK_SEGMENTS      126u  /* descriptors with data that fit any ring of 128 */
#define ANYHV_BLK_CONFIG_LEN    96u   /* all of struct virtio_blk_config, section 5.2.4 */
#define ANYHV_BLK_STATE_LEN     40u   /* of a saved state, before the content (if any) */

struct anyhv_blk;

/* ---- A request, as the store sees it ---- */

enum anyhv_blk_kind {
    ANYHV_BLK_READ,  /* range[0] -> the request's writable part (anyhv_req_write) */
    ANYHV_BLK_WRITE, /* the request's readable part (anyhv_req_read) -> range[0] */
    ANYHV_BLK_CLEAR, /* all ranges read as zeroes from now on */
    ANYHV_BLK_FLUSH, /* what was answered before becomes stable; no range */
};

/* Bytes of the disk. */
struct anyhv_blk_range {
    uint64_t off;
    uint32_t len;
};

struct anyhv_blk_job {
    struct anyhv_blk *blk;
    enum anyhv_blk_kind kind;
    bool unmap;  /* CLEAR: the space may be given up */
    bool stable; /* WRITE, CLEAR: not done before it would survive a power failure */
    /* Inside the disk, whole sectors. A store that goes piece by piece moves them on. */
    unsigned ranges; /* of range[]; may be 0 */
    unsigned at;     /* the first that is not finished */
    struct anyhv_blk_range range[ANYHV_BLK_RANGES];
    /* The store's, while it has the job; due is 0 at first */
    struct anyhv_blk_job *next;
    uint64_t due;
    /* The model's */
    uint64_t handle; /* of its request while that is held */
    uint32_t status_at;
    uint8_t status, phase;
    bool used, parked, with_store;
};

/* ---- The store ---- */

struct anyhv_blk_store;

struct anyhv_blk_store_ops {
    /*
     * Does @job for @req. ANYHV_OK: done. ANYHV_LATER: the store keeps the job and ends it with
     * anyhv_blk_answer; the request is found by anyhv_blk_req until then. Otherwise why it failed:
     * ANYHV_E_IO for the store's own reasons, or what anyhv_req_read or _write said; the model
     * comes back after ANYHV_E_NORES with the job as the store left it. Never blocks.
     *
     * What was begun may be dropped or begin again from the start at any time: a restart, or a
     * queue that stops. So doing a job twice must be the same as doing it once.
     */
    int (*start)(struct anyhv_blk_store *store, struct anyhv_blk_job *job, struct anyhv_req *req);
    /*
     * Forgets a job that was answered by ANYHV_LATER: it is not the store's any more. NULL: there
     * never is one.
     */
    void (*drop)(struct anyhv_blk_store *store, struct anyhv_blk_job *job);
};

/* Embed it at the start of the store's own struct. */
struct anyhv_blk_store {
    const struct anyhv_blk_store_ops *ops;
    uint64_t sectors; /* of 512 bytes */
    bool read_only;
    /*
     * All bytes of the disk, if nobody but this process keeps them: then they are part of the
     * device's state and are saved and loaded with it. NULL: a successor finds them by itself.
     */
    uint8_t *content;
};

/* The request of a job that the store keeps. */
struct anyhv_req *anyhv_blk_req(const struct anyhv_blk_job *job);

/* Ends a job that the store kept. @result as start may give it, except ANYHV_LATER. */
void anyhv_blk_answer(struct anyhv_blk_job *job, int result);

/* ---- The device ---- */

/* What a guest is offered: attach with ops = &offer->ops. Caller's storage, kept until detach. */
struct anyhv_blk_offer {
    struct anyhv_device_ops ops;
    uint8_t config[ANYHV_BLK_CONFIG_LEN];
};

/* @queues at least 1. A read-only store offers neither DISCARD nor WRITE_ZEROES. */
void anyhv_blk_offer_init(struct anyhv_blk_offer *offer, const struct anyhv_blk_store *store,
                          uint16_t queues);

/* One guest's device. Caller's storage, passed as priv at attach. */
struct anyhv_blk {
    struct anyhv_dev *dev;
    struct anyhv_blk_store *store;
    uint8_t serial[ANYHV_BLK_SERIAL];
    struct anyhv_blk_job *jobs, *free;
    unsigned njobs;
};

/*
 * Ties the model to its device and its store, before attach. @serial: at most ANYHV_BLK_SERIAL
 * bytes are taken. @jobs: one for each request that can be in work, so @njobs is queues times
 * anyhv_limits.requests (32 if that is 0).
 */
void anyhv_blk_init(struct anyhv_blk *blk, struct anyhv_dev *dev, struct anyhv_blk_store *store,
                    const char *serial, struct anyhv_blk_job *jobs, unsigned njobs);

/* ---- A store in memory ---- */

struct anyhv_blk_mem {
    struct anyhv_blk_store store;
    uint8_t *bytes;
};

/*
 * A disk of @sectors at @bytes, all of each job at once. Its content is not saved with the device
 * unless the caller sets store.content.
 */
void anyhv_blk_mem_init(struct anyhv_blk_mem *mem, uint8_t *bytes, uint64_t sectors);

/*
 * For stores that stand on this one: moves at most @budget bytes, for any job but ANYHV_BLK_FLUSH.
 * ANYHV_LATER: some are left, call again.
 */
int anyhv_blk_mem_move(struct anyhv_blk_mem *mem, struct anyhv_blk_job *job, struct anyhv_req *req,
                       uint32_t budget);

#ifdef __cplusplus
}
#endif
#endif

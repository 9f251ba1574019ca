/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For device authors: a device is one const table of callbacks and whatever state it needs.
 * docs/writing-a-device.md walks through one.
 *
 * Freestanding. All callbacks come from the guest's thread, never nested, and must not block.
 */
#ifndef ANYHV_DEVICE_H
#define ANYHV_DEVICE_H

#include <anyhv/request.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_dev;

struct anyhv_device_ops {
    const char *name;  /* "rng": for logs and programs */
    uint16_t id;       /* device id, section 5; not 0 */
    uint16_t queues;   /* number of queues, at least 1 */
    uint16_t max_size; /* entries per queue that are offered; a power of two; 0 = 1024 */
    uint64_t features; /* device-type feature bits that are offered */
    uint64_t required; /* of these: a driver that does not accept them gets no FEATURES_OK */
    /*
     * Every queue completes its requests in the order they came: VIRTIO_F_IN_ORDER may be
     * offered. Core keeps the promise even if the device slips.
     */
    bool ordered;
    uint64_t pull_queues; /* bit per queue: no request() call, the device pulls (event queues) */

    const void *config;  /* initial configuration bytes, little endian; NULL = zeroes */
    uint16_t config_len; /* bytes of configuration space, 0 = none */
    uint16_t config_w_off, config_w_len; /* the part that the driver may write; length 0: none */

    /* Takes one request; ends it in done, reject or hold. Mandatory unless all queues pull. */
    void (*request)(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req);
    /* Buffers arrived on a queue that is pulled. Optional. */
    void (*buffers)(struct anyhv_dev *dev, unsigned queue);
    /* What failed with ANYHV_E_NORES may succeed now: try the held requests of @queue. Optional. */
    void (*retry)(struct anyhv_dev *dev, unsigned queue);
    /*
     * The driver is ready (DRIVER_OK) / the device was reset or its peer is lost: held requests
     * are gone, their handles find nothing. Both optional; stop follows every start, and a load
     * that went well here but not in core: what was loaded is void.
     */
    void (*start)(struct anyhv_dev *dev);
    void (*stop)(struct anyhv_dev *dev);
    /*
     * The driver reset @queue alone, section 2.6.1: what it held is gone. For devices that remember
     * something from one request to the next. Optional.
     */
    void (*queue_reset)(struct anyhv_dev *dev, unsigned queue);
    /*
     * A queue is to become quiet; @req is held. Return true if @returnable is set and @req can be
     * begun again without harm: it goes back to the ring and comes again later. Otherwise finish
     * it, now or within bounded time, and return false. NULL: the device always finishes.
     */
    bool (*cancel)(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable);
    /*
     * The driver wrote @len bytes at @off, or had written them before a resume or load; core's copy
     * has them already. Optional.
     */
    void (*config_written)(struct anyhv_dev *dev, unsigned off, unsigned len);
    /*
     * The device's own state as versioned little-endian bytes, while quiet. save returns the
     * bytes it needs, and writes them if @cap is enough. load returns ANYHV_OK, or
     * ANYHV_E_INVAL / _VERSION and changes nothing: the bytes are hostile input. Both or neither.
     */
    size_t (*save)(struct anyhv_dev *dev, void *buf, size_t cap);
    int (*load)(struct anyhv_dev *dev, const void *buf, size_t len);
};

/* The pointer that was given at attach. */
void *anyhv_dev_priv(const struct anyhv_dev *dev);

/* Feature bits in force; 0 before FEATURES_OK. */
uint64_t anyhv_dev_features(const struct anyhv_dev *dev);

/*
 * The held request behind @handle, or NULL when a reset, a lost peer or an answer took it away:
 * how a late answer from a worker or a timer finds its request. Handles do not outlive a detach:
 * end the jobs that carry them before.
 */
struct anyhv_req *anyhv_req_get(struct anyhv_dev *dev, uint64_t handle);

/* The request of @queue that is held longest, or NULL: for devices that answer in order. */
struct anyhv_req *anyhv_queue_held(struct anyhv_dev *dev, unsigned queue);

/*
 * Takes the next buffer of a pulled queue, or NULL: none, not running, or no free slot. End it
 * like any request.
 */
struct anyhv_req *anyhv_queue_pull(struct anyhv_dev *dev, unsigned queue);

/* Core's copy of the configuration space. */
const uint8_t *anyhv_config(const struct anyhv_dev *dev);

/*
 * Changes @len configuration bytes at @off, moves the generation on and tells the driver. While the
 * driver has suspended the device it sees nothing of it (section 3.4.2): all that happens when it
 * comes back. ANYHV_E_INVAL: outside the space.
 */
int anyhv_config_set(struct anyhv_dev *dev, unsigned off, const void *buf, unsigned len);

/* The host side failed for good: shows NEEDS_RESET and tells the driver, section 2.1.2. */
void anyhv_dev_needs_reset(struct anyhv_dev *dev);

#ifdef __cplusplus
}
#endif
#endif

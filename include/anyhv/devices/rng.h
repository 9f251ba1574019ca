/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device, section 5.4: one queue of device-writable buffers, filled with random bytes.
 * The model is freestanding; where the bytes come from is behind struct anyhv_rng_source.
 */
#ifndef ANYHV_DEVICES_RNG_H
#define ANYHV_DEVICES_RNG_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyhv_rng;

/* Where entropy comes from. Embed it at the start of the source's own struct. */
struct anyhv_rng_source {
    /*
     * Fills up to @len (>= 1) bytes and returns how many; 0: nothing just now, and the source
     * promises to call anyhv_rng_ready once it has some; negative result: failed for good.
     * Never blocks.
     */
    int (*read)(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len);
    struct anyhv_rng_source *outer; /* the source that wraps this one (a rate limit), or NULL */
    struct anyhv_rng *waiting;      /* the models that wait for bytes, oldest first */
};

/* One guest's device. Caller's storage, zeroed, passed as priv at attach. */
struct anyhv_rng {
    struct anyhv_dev *dev;
    struct anyhv_rng_source *source;
    struct anyhv_rng *next; /* in source->waiting */
    bool waits;
};

extern const struct anyhv_device_ops anyhv_rng_ops;

/* Ties the model to its device and its source, before attach. */
void anyhv_rng_init(struct anyhv_rng *rng, struct anyhv_dev *dev, struct anyhv_rng_source *source);
/* Forgets the source, before its memory goes. */
void anyhv_rng_fini(struct anyhv_rng *rng);
/* The source has bytes (or failed) after a read that gave 0: the waiting models ask again. */
void anyhv_rng_ready(struct anyhv_rng_source *source);

/*
 * A simulated source for tests: the numbered records of devices/rng/rng_record.h, without end.
 * Anything but random.
 */
struct anyhv_rng_sim {
    struct anyhv_rng_source source;
    uint64_t seed, index; /* index: of the next record */
    uint32_t used;        /* bytes of record[] handed out */
    uint8_t record[64];
};

void anyhv_rng_sim_init(struct anyhv_rng_sim *sim, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif

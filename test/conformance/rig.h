/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the conformance suite needs from a way to reach a device: a rig. The tests are written once
 * against this header; a rig brings one device (test_device.h) up behind some control plane and
 * memory, and hands the test the driver's end of both.
 *
 * A rig is an entry of a table: the same ops appear several times with other parameters (`how`)
 * and other ring features. Tests that a rig cannot run (caps, features) are not listed for it.
 */
#ifndef ANYHV_TEST_RIG_H
#define ANYHV_TEST_RIG_H

#include <anyhv/control.h>

#include "conformance/test_device.h"
#include "driver/driver.h"

enum rig_caps {
    RIG_REGISTERS = 1 << 0,   /* rig->transport is a struct drv_mmio */
    RIG_COUNTERS = 1 << 1,    /* ops->counters and ops->violations work */
    RIG_IN_PROCESS = 1 << 2,  /* rig->dev and rig->device are set, the test's thread owns them */
    RIG_QUIESCE = 1 << 3,     /* ops->quiesce and ops->resume work */
    RIG_MIGRATE = 1 << 4,     /* ops->migrate works */
    RIG_CRASH = 1 << 5,       /* ops->crash works */
    RIG_QUEUE_RESET = 1 << 6, /* transport->queue_reset works (RING_RESET, or a stop of the ring) */
    RIG_CONFIG = 1 << 7,      /* the transport reaches the configuration space */
    RIG_CONFIG_IRQ = 1 << 8,  /* ops->wait works for ANYHV_CONFIG */
    RIG_STATUS = 1 << 9,      /* the device's own status is visible: FEATURES_OK, NEEDS_RESET */
    RIG_GENERATION = 1 << 10, /* the generation of the configuration is visible */
    RIG_QUEUE_MAX = 1 << 11,  /* queue_max tells 0 for a queue that does not exist */
    RIG_KICK_ANY = 1 << 12,   /* a kick of a queue that is absent or not set up is possible */
    RIG_LARGE_AREAS = 1 << 13, /* a ring area of 512 KiB fits into one region */
    RIG_OPS = 1 << 14, /* RIG_IN_PROCESS, and every access to a buffer goes through memory ops */
    RIG_SUSPEND = 1 << 15,   /* SUSPEND is offered */
    RIG_KICK_DATA = 1 << 16, /* NOTIFICATION_DATA is offered */
    RIG_FRESH = 1 << 17,     /* start makes a new device, of the kind that its options say */
};

struct rig_options {
    enum test_variant variant;
    struct anyhv_limits limits; /* 0: defaults */
    uint64_t withhold;          /* feature bits that shall not be offered */
};

struct rig;

struct rig_ops {
    /*
     * A fresh device (without RIG_FRESH: one that was reset) and at least RIG_MEMORY bytes of
     * zeroed guest memory; nothing negotiated yet. Fills transport, mem and (RIG_IN_PROCESS) dev
     * and device. False: could not (test fails).
     */
    bool (*start)(struct rig *rig, const struct rig_options *options);
    /* The end of whatever start left behind, also after a false start. */
    void (*stop)(struct rig *rig);
    /*
     * Returns when the device has done everything that was asked of it, so that a test may say
     * "nothing more will happen". A rig that cannot know waits long enough.
     */
    void (*settle)(struct rig *rig);
    /*
     * True if an interrupt for @queue (ANYHV_CONFIG: for the configuration) came since the last
     * time this said so, or comes within @timeout_ms. Several merge into one. Where all queues
     * share a line, @queue only tells used buffers from configuration. Lets the device run.
     */
    bool (*wait)(struct rig *rig, int queue, unsigned timeout_ms);
    /* RIG_COUNTERS. False: no such queue. @violations has ANYHV_V_COUNT entries. */
    bool (*counters)(struct rig *rig, unsigned queue, struct anyhv_queue_counters *out);
    void (*violations)(struct rig *rig, uint32_t *out);
    /* RIG_QUIESCE: returns when quiet: nothing is in work, nothing is taken until resume. */
    bool (*quiesce)(struct rig *rig);
    void (*resume)(struct rig *rig);
    /*
     * RIG_MIGRATE: quiesces, saves the device, destroys it, makes a new one, loads, resumes. The
     * driver notices nothing; transport and mem stay valid.
     */
    bool (*migrate)(struct rig *rig);
    /*
     * RIG_CRASH: the device ends without a word and a new one goes on from what is left (the state
     * block). Only while nothing is in work. transport and mem stay valid.
     */
    bool (*crash)(struct rig *rig);
};

struct rig {
    const char *name; /* "loopback-mmio-split": tests are called <name>/<id> */
    const struct rig_ops *ops;
    unsigned caps;
    uint64_t features; /* ring features that the tests negotiate on this rig (DRV_F_*) */
    const void *how;   /* the rig's own parameters */
    /* between start and stop */
    struct drv_transport *transport;
    struct drv_mem *mem;
    struct anyhv_dev *dev;
    struct test_device *device;
    void *priv;
};

/*
 * Guest memory that tests count on. It may consist of several regions, none smaller than
 * RIG_REGION and cut at multiples of it; ring areas are laid out within one.
 */
#define RIG_MEMORY (UINT64_C(8) << 20)
#define RIG_REGION (UINT64_C(128) << 10)

/* Prints, for each rig, how many tests it cannot run, and for want of which caps. */
void conformance_left_out(const struct rig *rigs, unsigned count);

/*
 * Runs the whole suite over @count rigs as one cmocka group; what main() returns. With arguments:
 * only tests whose name matches the first one (cmocka pattern: * and ?).
 */
int conformance_main(const char *group, struct rig *rigs, unsigned count, int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the rig share: rig_transport.c is what the driver sees of the device. */
#ifndef ANYHV_TEST_RIG_PRIVATE_H
#define ANYHV_TEST_RIG_PRIVATE_H

#include "vhost-user/backend.h"
#include "vhost-user/moving.h"
#include "vhost-user/rig_vhost_user.h"

/* A signal and its two ends, which are the same for an eventfd. */
struct signal_fds {
    int ours, theirs;
};

struct queue {
    struct drv_queue_setup setup;
    struct signal_fds kick, call;
    uint32_t base;
    bool set;     /* the back end knows it */
    bool stopped; /* by quiesce */
    bool waits;   /* to be enabled, until resume */
    bool irq;
};

/* The rig's own while it runs. */
struct running {
    struct drv_transport transport;
    const struct rig_vhost_user *how;
    struct rig_options options;
    struct backend b;
    struct frontend fe;
    struct anyhv_device_ops ops;
    struct anyhv_class cls;
    struct queue queue[TEST_QUEUES];
    struct fe_inflight area;
    bool uses_area;     /* it was given to the back end */
    uint64_t features;  /* as the driver wrote them */
    int channel;        /* our end of the back-end channel */
    uint8_t status;     /* as the driver wrote it */
    bool features_set;  /* and were taken */
    bool refused_queue; /* which a driver sees as NEEDS_RESET */
    bool config_irq;
    bool quiesced;
};

extern const struct drv_transport_ops rig_transport_ops;

/* Front-end address of a guest address; outside of memory one that the back end does not know. */
uint64_t rig_user(const struct running *r, uint64_t guest);
/* Collects interrupts that have come. */
void rig_look(struct running *r);
/* Tells the back end where the ring goes on, and how it is notified. */
bool rig_send_ring(struct running *r, unsigned queue);
/* The same, and where it is. */
bool rig_send_queue(struct running *r, unsigned queue);
/* Gives the back end the in-flight area, a new one if there is none. Before the first ring. */
bool rig_send_area(struct running *r);
/* Enables it, or remembers to. */
void rig_enable(struct running *r, unsigned queue);

#endif

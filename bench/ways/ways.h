/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to reach a device: the same entropy device behind each module, its driver here. A
 * way is a table of functions; a further one is one file and one line in ways.c.
 */
#ifndef ANYHV_BENCH_WAYS_H
#define ANYHV_BENCH_WAYS_H

#include <anyhv/hv.h>
#include <driver/driver.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    WAYS_SEED = 7,         /* of the stream that every device has */
    WAYS_RAM = 1 << 20,    /* bytes of guest memory */
    WAYS_BASE = 0x1000000, /* its guest address */
    WAYS_RING = 16,
};

/* What is measured. */
enum way_lap {
    WAY_TOGETHER, /* an access, driver and device on one processor */
    WAY_ACCESS,   /* the same on two, like all the others */
    WAY_KICK,
    WAY_REQUEST,
    WAY_LAPS,
};

/* In ns, of one round; NAN: not measured. */
struct way_times {
    double ns[WAY_LAPS];
};

/* A device with which a driver of ours speaks. */
struct way_device {
    void *priv; /* the way's own */
    struct drv_mem mem;
    struct drv_ring ring;
    struct drv_slot slots[WAYS_RING];
};

struct way {
    const char *name;
    /* Brings the device to life, up to DRIVER_OK; ends the program if that fails. */
    void (*open)(struct way_device *device);
    /* The cheapest question that has an answer. */
    void (*access)(struct way_device *device);
    void (*kick)(struct way_device *device);
    /* Does the device's work if nobody else does; or NULL. */
    void (*run)(struct way_device *device);
    void (*close)(struct way_device *device);
    /* For a guest that is timed by somebody else: one round. False: cannot be had here, *@why. */
    bool (*measure)(unsigned count, struct way_times *times, const char **why);
};

extern const struct way way_loopback, way_wire, way_wire_posted, way_vhost_user, way_guest;

/* ---- process.c: the device's process ---- */
struct process {
    pid_t pid;
    char dir[64], socket[96];
};

/* The driver moves to the devices' processor, or to another one if there is one. */
void process_together(bool together);
/* An entropy device behind @hv in a process of its own, which listens at ->socket. */
void process_begin(struct process *process, const struct anyhv_hv *hv);
void process_end(struct process *process);

/* ---- ways.c ---- */
/* The ring of a device whose memory is ready: empty, split. */
void way_ring(struct way_device *device);
void way_need(bool ok, const char *what);

#endif

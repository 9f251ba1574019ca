/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device with a journal, and a driver that knows what it asked for: shared by the tests of the
 * journal. What outlives a device stands in one block, so that it can be copied as a whole.
 */
#ifndef ANYHV_UNIT_JOURNAL_WORLD_H
#define ANYHV_UNIT_JOURNAL_WORLD_H

#include "testing.h"

#include "driver/driver.h"
#include <anyhv/control.h>

#define WORLD_BASE UINT64_C(0x40000000)

enum {
    WORLD_SIZE = 16, /* of the ring */
    WORLD_RAM = 12 << 10,
    WORLD_REQUESTS = 12, /* that the device can have in work */
    WORLD_TOKENS = 256,
};

/* What outlives the device. */
struct world_shared {
    _Alignas(4096) uint8_t ram[WORLD_RAM];
    uint64_t state[(ANYHV_STATE_SIZE(1, 0) + 7) / 8];
    uint64_t journal[(ANYHV_JOURNAL_SIZE(1, WORLD_SIZE) + 7) / 8];
};

struct world {
    struct world_shared *shared;
    /* the device */
    struct anyhv_dev dev;
    struct anyhv_mem mem;
    struct anyhv_region region;
    uint64_t held[WORLD_REQUESTS]; /* handles */
    unsigned nheld, taken;
    unsigned hold_every; /* each so manieth request is held; 0: none */
    bool lenient;        /* a request may be of any shape */
    unsigned notified, cancelled;
    unsigned replayed;            /* requests that a predecessor had taken */
    uint32_t order[WORLD_TOKENS]; /* tokens as they came to the device */
    unsigned norder;
    uint8_t storage[ANYHV_STORAGE_SIZE(1, WORLD_REQUESTS, 64, 0)];
    /* the driver */
    struct drv_mem window;
    struct drv_ring ring;
    struct drv_slot slots[WORLD_SIZE];
    uint64_t features;
    uint32_t posted; /* tokens 0 to posted - 1 */
    uint8_t answers[WORLD_TOKENS];
};

/* A fresh device and ring in @shared, ready, with these ring features besides VERSION_1. */
void world_start(struct world *w, struct world_shared *shared, uint64_t features);
/* What starts after @from died, on @shared, a copy of the other's. The result of the attach. */
int world_succeed(struct world *w, const struct world *from, struct world_shared *shared);
/* The same with the state block alone. */
int world_succeed_without(struct world *w, const struct world *from, struct world_shared *shared);
void world_end(struct world *w);

/* The driver makes @n requests available: of one, two or three descriptors, some of them tables. */
void world_post(struct world *w, unsigned n);
/* The device works until there is nothing to do. */
void world_run(struct world *w);
void world_answer_one(struct world *w, struct anyhv_req *req);
/* Answers what is held, newest first. */
void world_answer(struct world *w);
/* The driver takes what was answered; each has the right bytes and comes once. */
void world_collect(struct world *w);
/* Every request is answered once, and so are some laps of further ones. */
void world_check_all(struct world *w);

#endif

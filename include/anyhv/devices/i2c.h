/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I2C adapter, section 5.16. The model is freestanding: it gathers the requests that belong
 * together, checks them and answers them; the transfer itself is done by whoever has the wires,
 * behind struct anyhv_i2c_bus.
 *
 *   requests joined by FAIL_NEXT -> struct anyhv_i2c_transfer -> the bus -> data, status bytes
 */
#ifndef ANYHV_DEVICES_I2C_H
#define ANYHV_DEVICES_I2C_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_I2C_MESSAGES      42u   /* of one transfer: as many as Linux takes at a time */
#define ANYHV_I2C_MESSAGE_BYTES 8192u /* of one message: the same */
#define ANYHV_I2C_REQUESTS      64u   /* in work per guest: anyhv_limits.requests may not be more */
#define ANYHV_I2C_HEADER        8u    /* bytes in front of what a request writes */

/* An address: 7 bits, or 10 bits and this one. */
#define ANYHV_I2C_TEN_BIT 0x8000u

struct anyhv_i2c;
struct anyhv_i2c_bus;

/* ---- A transfer, as the bus sees it ---- */

struct anyhv_i2c_message {
    uint8_t *data;
    uint16_t addr;
    uint16_t len; /* may be 0: only the address and the direction are sent */
    bool read;
};

/* START, message, START, message ... STOP: nobody comes in between. */
struct anyhv_i2c_transfer {
    struct anyhv_i2c_message message[ANYHV_I2C_MESSAGES];
    unsigned messages; /* at least 1 */
    /* The bus's, while it has the transfer */
    bool begun; /* something of it may be on the wires: it cannot be taken back */
    struct anyhv_i2c_transfer *next;
    /* The model's */
    struct anyhv_i2c *guest;
};

/* ---- The bus ---- */

struct anyhv_i2c_bus_ops {
    /*
     * Takes @t, does it in its turn and ends it with anyhv_i2c_done: later, never from in here, on
     * the guest's thread, and within bounded time whatever hangs on the wires. Never blocks.
     */
    void (*submit)(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t);
    /*
     * Forgets a transfer that was submitted, begun or not: there is no anyhv_i2c_done, and on
     * return nothing touches *@t or its data any more.
     */
    void (*drop)(struct anyhv_i2c_bus *bus, struct anyhv_i2c_transfer *t);
};

/* Embed it at the start of the bus's own struct. */
struct anyhv_i2c_bus {
    const struct anyhv_i2c_bus_ops *ops;
};

/*
 * Ends a transfer. Its first @done messages went well (what they read is in their data); if these
 * are not all, the next one failed and nothing behind it was tried.
 */
void anyhv_i2c_done(struct anyhv_i2c_transfer *t, unsigned done);

/* ---- Who may reach what ---- */

/*
 * Something on a bus that guests can be given. Several guests may be allowed to use it: it belongs
 * to the first whose transfer with it is submitted, until anyhv_i2c_fini of that guest, whatever it
 * resets meanwhile. The others get errors. A group that is refused takes nothing.
 */
struct anyhv_i2c_target {
    struct anyhv_i2c_bus *bus;
    uint16_t addr;
    struct anyhv_i2c *owner; /* NULL: nobody yet */
};

/* ---- The device ---- */

extern const struct anyhv_device_ops anyhv_i2c_ops;

struct anyhv_i2c_setup {
    /*
     * What the guest may address: every other address is as if nothing were there. They may be on
     * several buses, but an address on one only.
     */
    struct anyhv_i2c_target *const *targets;
    unsigned ntargets;
    /* For the bytes of one transfer, and ANYHV_I2C_HEADER for each message that writes. */
    uint8_t *data;
    uint32_t data_len;
    /*
     * @waits: the requests that came so far go on behind FAIL_NEXT, and nothing has come behind
     * them yet. Call anyhv_i2c_flush in a moment, unless it is called with false, or again with
     * true: then the moment begins anew. A driver whose ring is full cannot send the rest.
     */
    void (*incomplete)(struct anyhv_i2c *i2c, bool waits);
};

/* What it did since it was made; never reset by the guest. */
struct anyhv_i2c_counters {
    uint64_t transfers; /* that a bus has ended */
    uint64_t failed;    /* of these: not all of it went well */
    uint64_t refused;   /* groups of requests that no bus has seen: something was wrong with them */
};

/* One guest's device. Caller's storage, passed as priv at attach. */
struct anyhv_i2c {
    struct anyhv_dev *dev;
    struct anyhv_i2c_setup setup;
    struct anyhv_i2c_counters counters;
    uint64_t handle[ANYHV_I2C_REQUESTS]; /* of the requests that are held, oldest first */
    unsigned held;
    unsigned grouped; /* of these: looked at, and to be answered together */
    struct anyhv_i2c_transfer transfer;
    struct anyhv_i2c_bus *bus; /* the transfer's */
    uint32_t used;             /* bytes of setup.data */
    unsigned done;             /* of the group's requests: went well */
    unsigned answered;         /* of the group's requests, counted from its first */
    uint8_t phase;
    bool more;    /* the group's latest request had FAIL_NEXT */
    bool failing; /* the request in front had FAIL_NEXT and failed: so does the next */
    bool waits;   /* what setup.incomplete was told */
};

/* Ties the model to its device, before attach. *@setup is copied, what it points to is not. */
void anyhv_i2c_init(struct anyhv_i2c *i2c, struct anyhv_dev *dev,
                    const struct anyhv_i2c_setup *setup);
/* After detach: its targets are free for others. */
void anyhv_i2c_fini(struct anyhv_i2c *i2c);
/* Nothing more is to be waited for: what came of the group is done now. */
void anyhv_i2c_flush(struct anyhv_i2c *i2c);

#ifdef __cplusplus
}
#endif
#endif

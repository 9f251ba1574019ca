/* SPDX-License-Identifier: Apache-2.0 */
/* The I2C adapter in Linux programs: real and simulated buses, and the whole class. */
#ifndef ANYHV_DEVICES_I2C_HOST_H
#define ANYHV_DEVICES_I2C_HOST_H

#include <anyhv/devices/i2c.h>
#include <anyhv/hv.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_I2C_BYTES 32768u /* anyhv_i2c_setup.data_len of guests on these buses, at most */

/* ---- An adapter: one transfer at a time, each with a deadline ---- */

struct anyhv_i2c_adapter;

struct anyhv_i2c_adapter_ops {
    /*
     * Does adapter->message[], and ends with anyhv_i2c_adapter_done: later, never from in here, on
     * the loop's thread. It may hang for ever. Never blocks. Until then messages and data are the
     * adapter's alone.
     */
    void (*start)(struct anyhv_i2c_adapter *adapter);
    /*
     * Calls anyhv_i2c_adapter_fini and frees the adapter. Called once, on the loop's thread, when
     * no guest is left; what is under way is waited for, but for timeout_ms at most (not at all
     * when stuck), and may be left where it is.
     */
    void (*close)(struct anyhv_i2c_adapter *adapter);
};

/* What it did since it was opened. */
struct anyhv_i2c_adapter_counters {
    uint64_t begun;    /* transfers that were started */
    uint64_t failed;   /* of these: ended, but not all of it went well */
    uint64_t timeouts; /* of these: had not ended by their deadline */
    uint64_t refused;  /* not started, because an earlier one hangs */
};

/*
 * Embed it at the start of the adapter's own struct. Zeroed before init. Whoever opens an adapter
 * sets addr and addrs, before it hands the adapter out; they are the adapter's, as name is, and
 * neither changes nor goes away before close.
 */
struct anyhv_i2c_adapter {
    struct anyhv_i2c_bus bus;
    const struct anyhv_i2c_adapter_ops *ops;
    struct anyhv_loop *loop;
    const char *name;
    const uint16_t *addr; /* what is on the bus, or may be used of it */
    unsigned addrs;
    struct anyhv_i2c_adapter_counters counters;
    /* The transfer that is done: a copy, since its guest may be gone before it ends */
    struct anyhv_i2c_message message[ANYHV_I2C_MESSAGES];
    unsigned messages;
    uint8_t data[ANYHV_I2C_BYTES];
    /* private */
    struct anyhv_i2c_transfer *waiting; /* oldest first */
    struct anyhv_i2c_transfer *running; /* whose copy that is; NULL: nobody waits for it any more */
    struct anyhv_timer deadline;
    struct anyhv_task refuse;
    unsigned timeout_ms;
    bool busy;  /* start was called, and adapter_done was not */
    bool stuck; /* the deadline has passed meanwhile */
};

/*
 * @name: for the log; kept, not copied. @timeout_ms: of one transfer, from the moment when it is
 * started; at least 1, the program takes up to an hour.
 */
void anyhv_i2c_adapter_init(struct anyhv_i2c_adapter *adapter,
                            const struct anyhv_i2c_adapter_ops *ops, struct anyhv_loop *loop,
                            const char *name, unsigned timeout_ms);
/* The first @done messages went well. */
void anyhv_i2c_adapter_done(struct anyhv_i2c_adapter *adapter, unsigned done);
/* From close: nothing waits any more, what is under way gets no anyhv_i2c_adapter_done. */
void anyhv_i2c_adapter_fini(struct anyhv_i2c_adapter *adapter);

/*
 * ---- Adapters. NULL: it was said why ----
 *
 * What they are given (names, addresses) is copied. ops->close frees them.
 */

/*
 * An adapter of this machine: @adapter is a path (/dev/i2c-1), a number (1) or a name, as sysfs has
 * it. Guests can use the @addrs addresses @addr; none of them may be a driver's. Its close can take
 * @timeout_ms, and leaves behind a thread whose call hangs for longer.
 */
struct anyhv_i2c_adapter *anyhv_i2c_linux_open(struct anyhv_loop *loop, const char *adapter,
                                               const uint16_t *addr, unsigned addrs,
                                               unsigned timeout_ms);

/* Writes the path of the adapter called @name; @folder: sysfs's class/i2c-dev. NULL, or why not. */
const char *anyhv_i2c_linux_find(const char *folder, const char *name, char *path, size_t size);

/* A bus that is described by a file, see the README. */
struct anyhv_i2c_adapter *anyhv_i2c_sim_open(struct anyhv_loop *loop, const char *file,
                                             unsigned timeout_ms);

/* ---- The class ---- */

#define ANYHV_I2C_TIMEOUT_MS 5000u /* enough for ANYHV_I2C_BYTES at 100 kHz, clock stretched */
#define ANYHV_I2C_LINGER_MS  10u   /* how long the rest of a group may take to come */

extern const struct anyhv_class anyhv_i2c_class;

#ifdef __cplusplus
}
#endif
#endif

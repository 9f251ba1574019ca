/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated bus: what its files share. */
#ifndef ANYHV_DEVICES_I2C_SIM_H
#define ANYHV_DEVICES_I2C_SIM_H

#include <anyhv/devices/i2c_host.h>
#include <stdio.h>

#define SIM_TARGETS 128u
#define SIM_FOREVER UINT64_MAX
#define SIM_MS      UINT64_C(1000000) /* in ns */

struct sim_target;

/* A line of a section of the file. */
struct sim_key {
    const char *name;
    /* Takes @value; NULL, or what it should be. */
    const char *(*set)(struct sim_target *target, const char *value);
};

/* What a kind of target does when its pins see something. */
struct sim_type {
    const char *name;
    void (*init)(struct sim_target *target); /* what the file may change; optional */
    /* START and its address: does it acknowledge? */
    bool (*address)(struct sim_target *target, bool read);
    bool (*write)(struct sim_target *target, uint8_t byte); /* the same question */
    uint8_t (*read)(struct sim_target *target);
    /* STOP, of a transfer in which it was addressed; optional */
    void (*stop)(struct sim_target *target);
    struct sim_key keys[3]; /* ended by one without name */
};

extern const struct sim_type anyhv_i2c_sim_eeprom, anyhv_i2c_sim_lm75, anyhv_i2c_sim_nack,
    anyhv_i2c_sim_stretch, anyhv_i2c_sim_wedge;

struct sim_eeprom {
    uint64_t cycle_ns, busy_until;
    uint8_t data[256], page[8];
    uint8_t pending; /* bytes of page[] that were sent, a bit each */
    uint8_t at;      /* the word address */
    bool pointed;    /* it was sent in this message */
};

struct sim_lm75 {
    uint16_t reg[4];
    uint8_t at, byte;
    bool pointed;
};

struct sim_nack {
    unsigned after, sent; /* bytes that it acknowledges; that came */
};

struct sim_stretch {
    uint64_t ns;
    uint8_t latest;
};

struct sim_wedge {
    uint64_t ns;
};

struct i2c_sim;

struct sim_target {
    const struct sim_type *type;
    struct i2c_sim *sim;
    uint16_t addr;
    bool addressed; /* in this transfer */
    union {
        struct sim_eeprom eeprom;
        struct sim_lm75 lm75;
        struct sim_nack nack;
        struct sim_stretch stretch;
        struct sim_wedge wedge;
    };
};

struct i2c_sim {
    struct anyhv_i2c_adapter adapter;
    struct sim_target target[SIM_TARGETS];
    uint16_t addr[SIM_TARGETS];
    unsigned targets;
    struct anyhv_timer timer;
    uint64_t delay_ns; /* by which the transfer that is done ends later; SIM_FOREVER: it does not */
    unsigned done;
    char *name;
    char why[400]; /* what is wrong with the file, and where */
};

static inline uint64_t sim_now(const struct sim_target *target)
{
    return anyhv_loop_now(target->sim->adapter.loop);
}

/* Holds the clock line. */
static inline void sim_delay(struct sim_target *target, uint64_t ns)
{
    uint64_t *delay = &target->sim->delay_ns;

    *delay = ns > SIM_FOREVER - *delay ? SIM_FOREVER : *delay + ns;
}

/* Fills sim->target[] from the file; false: sim->why says why not. */
bool anyhv_i2c_sim_read(struct i2c_sim *sim, const char *file);
/* The same of a stream; @name: what it is called in sim->why. */
bool anyhv_i2c_sim_parse(struct i2c_sim *sim, const char *name, FILE *stream);

#endif

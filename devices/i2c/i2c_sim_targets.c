/* SPDX-License-Identifier: Apache-2.0 */
/* What can be on a simulated bus. */
#include "i2c_sim.h"

#include <anyhv/linux/args.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MS 3600000u

static const char *set_ms(uint64_t *ns, const char *value)
{
    uint64_t ms;

    if (!anyhv_parse_number(value, 0, MAX_MS, &ms))
        return "a number of milliseconds, 0 to 3600000";
    *ns = ms * SIM_MS;
    return NULL;
}

/* ---- 24c02: 256 bytes in pages of 8 ---- */

#define PAGE 8u

static void eeprom_init(struct sim_target *t)
{
    memset(t->eeprom.data, 0xff, sizeof(t->eeprom.data));
    t->eeprom.cycle_ns = 5 * SIM_MS;
}

static const char *eeprom_cycle(struct sim_target *t, const char *value)
{
    return set_ms(&t->eeprom.cycle_ns, value);
}

static const char *eeprom_fill(struct sim_target *t, const char *value)
{
    uint64_t byte;

    if (!anyhv_parse_number(value, 0, 255, &byte))
        return "a byte, 0 to 255";
    memset(t->eeprom.data, (int)byte, sizeof(t->eeprom.data));
    return NULL;
}

/* While it writes it is as if it were not there. A page that is not ended by STOP is forgotten. */
static bool eeprom_address(struct sim_target *t, bool read)
{
    (void)read;
    t->eeprom.pointed = false;
    t->eeprom.pending = 0;
    return sim_now(t) >= t->eeprom.busy_until;
}

/* The address stays within its page, so a ninth byte replaces the first. */
static bool eeprom_write(struct sim_target *t, uint8_t byte)
{
    struct sim_eeprom *e = &t->eeprom;
    unsigned i = e->at % PAGE;

    if (!e->pointed) {
        e->pointed = true;
        e->at = byte;
        return true;
    }
    e->page[i] = byte;
    e->pending |= (uint8_t)(1u << i);
    e->at = (uint8_t)(e->at - i + (i + 1) % PAGE);
    return true;
}

static uint8_t eeprom_read(struct sim_target *t)
{
    return t->eeprom.data[t->eeprom.at++];
}

static void eeprom_stop(struct sim_target *t)
{
    struct sim_eeprom *e = &t->eeprom;
    uint8_t *page = e->data + e->at / PAGE * PAGE;

    if (!e->pending)
        return;
    for (unsigned i = 0; i < PAGE; i++) {
        if (e->pending & 1u << i)
            page[i] = e->page[i];
    }
    e->pending = 0;
    e->busy_until = sim_now(t) + e->cycle_ns;
}

const struct sim_type anyhv_i2c_sim_eeprom = {
    .name = "24c02",
    .init = eeprom_init,
    .address = eeprom_address,
    .write = eeprom_write,
    .read = eeprom_read,
    .stop = eeprom_stop,
    .keys = {{"write-cycle-ms", eeprom_cycle}, {"fill", eeprom_fill}},
};

/* ---- lm75: a thermometer, four registers, the higher byte first ---- */

enum {
    LM75_TEMPERATURE,
    LM75_CONFIGURATION, /* the only one of 8 bits */
    LM75_HYSTERESIS,
    LM75_OVERTEMPERATURE,
};

static uint16_t lm75_degrees(double degrees)
{
    return (uint16_t)((int)(degrees * 2) * 128); /* nine bits, half a degree each */
}

static void lm75_init(struct sim_target *t)
{
    t->lm75.reg[LM75_TEMPERATURE] = lm75_degrees(25);
    t->lm75.reg[LM75_HYSTERESIS] = lm75_degrees(75);
    t->lm75.reg[LM75_OVERTEMPERATURE] = lm75_degrees(80);
}

static const char *lm75_temperature(struct sim_target *t, const char *value)
{
    char *end;
    double degrees = strtod(value, &end);

    if (end == value || *end || !(degrees >= -55 && degrees <= 125))
        return "a temperature in degrees Celsius, -55 to 125";
    t->lm75.reg[LM75_TEMPERATURE] = lm75_degrees(degrees);
    return NULL;
}

static bool lm75_address(struct sim_target *t, bool read)
{
    (void)read;
    t->lm75.pointed = false;
    t->lm75.byte = 0;
    return true;
}

/* The bits of a register that the next byte is about; then the one behind it is next. */
static unsigned lm75_shift(struct sim_lm75 *lm75)
{
    bool low = lm75->at == LM75_CONFIGURATION || lm75->byte;

    lm75->byte = !low;
    return low ? 0 : 8;
}

static bool lm75_write(struct sim_target *t, uint8_t byte)
{
    struct sim_lm75 *lm75 = &t->lm75;
    unsigned shift;

    if (!lm75->pointed) {
        lm75->pointed = true;
        lm75->at = byte & 3;
        return true;
    }
    shift = lm75_shift(lm75);
    if (lm75->at != LM75_TEMPERATURE)
        lm75->reg[lm75->at] = (uint16_t)((lm75->reg[lm75->at] & 0xff00 >> shift) | byte << shift);
    return true;
}

static uint8_t lm75_read(struct sim_target *t)
{
    return (uint8_t)(t->lm75.reg[t->lm75.at] >> lm75_shift(&t->lm75));
}

const struct sim_type anyhv_i2c_sim_lm75 = {
    .name = "lm75",
    .init = lm75_init,
    .address = lm75_address,
    .write = lm75_write,
    .read = lm75_read,
    .keys = {{"temperature", lm75_temperature}},
};

/* ---- nack: takes so many bytes and no more ---- */

static const char *nack_after(struct sim_target *t, const char *value)
{
    uint64_t bytes;

    if (!anyhv_parse_number(value, 0, 8192, &bytes))
        return "a number of bytes, 0 to 8192";
    t->nack.after = (unsigned)bytes;
    return NULL;
}

static bool nack_address(struct sim_target *t, bool read)
{
    t->nack.sent = 0;
    return t->nack.after && !read;
}

static bool nack_write(struct sim_target *t, uint8_t byte)
{
    (void)byte;
    return ++t->nack.sent <= t->nack.after;
}

static uint8_t nothing_read(struct sim_target *t)
{
    (void)t;
    return 0xff; /* nobody pulls the line */
}

const struct sim_type anyhv_i2c_sim_nack = {
    .name = "nack",
    .address = nack_address,
    .write = nack_write,
    .read = nothing_read,
    .keys = {{"after", nack_after}},
};

/* ---- stretch: remembers a byte, and takes its time ---- */

static void stretch_init(struct sim_target *t)
{
    t->stretch.ns = 100 * SIM_MS;
}

static const char *stretch_ms(struct sim_target *t, const char *value)
{
    return set_ms(&t->stretch.ns, value);
}

static bool stretch_address(struct sim_target *t, bool read)
{
    (void)read;
    sim_delay(t, t->stretch.ns);
    return true;
}

static bool stretch_write(struct sim_target *t, uint8_t byte)
{
    t->stretch.latest = byte;
    return true;
}

static uint8_t stretch_read(struct sim_target *t)
{
    return t->stretch.latest;
}

const struct sim_type anyhv_i2c_sim_stretch = {
    .name = "stretch",
    .init = stretch_init,
    .address = stretch_address,
    .write = stretch_write,
    .read = stretch_read,
    .keys = {{"stretch-ms", stretch_ms}},
};

/* ---- wedge: pulls the data line down and leaves it there ---- */

static void wedge_init(struct sim_target *t)
{
    t->wedge.ns = SIM_FOREVER;
}

static const char *wedge_ms(struct sim_target *t, const char *value)
{
    return set_ms(&t->wedge.ns, value);
}

static bool wedge_address(struct sim_target *t, bool read)
{
    (void)read;
    sim_delay(t, t->wedge.ns);
    return false;
}

static bool wedge_write(struct sim_target *t, uint8_t byte)
{
    (void)t;
    (void)byte;
    return false;
}

const struct sim_type anyhv_i2c_sim_wedge = {
    .name = "wedge",
    .init = wedge_init,
    .address = wedge_address,
    .write = wedge_write,
    .read = nothing_read,
    .keys = {{"wedge-ms", wedge_ms}},
};

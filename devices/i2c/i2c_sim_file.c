/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that describes a simulated bus: a section for each target, called by its address. Read
 * with libinih, which takes lines apart; what they may say is in the tables of i2c_sim_targets.c.
 */
#include "i2c_sim.h"
#include "i2c_text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct sim_type *const types[] = {
    &anyhv_i2c_sim_eeprom,  &anyhv_i2c_sim_lm75,  &anyhv_i2c_sim_nack,
    &anyhv_i2c_sim_stretch, &anyhv_i2c_sim_wedge,
};
#define TYPES      "24c02, lm75, nack, stretch, wedge"
#define MAX_BYTES  (1u << 20) /* of a file: a board has a few hundred */
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

struct reader {
    struct i2c_sim *sim;
    FILE *file;
    int line;
    size_t bytes;
    bool section; /* a section has begun, and no line of it has come */
    bool given[sizeof(((struct sim_type *)NULL)->keys) / sizeof(struct sim_key)];
    int bad_line; /* the first that is wrong; 0: none is */
    char why[300];
};

/* Only the first error counts: what follows may come from it. */
__attribute__((format(printf, 2, 3))) static int bad(struct reader *r, const char *fmt, ...)
{
    va_list args;

    if (r->bad_line)
        return 0;
    r->bad_line = r->line;
    va_start(args, fmt);
    vsnprintf(r->why, sizeof(r->why), fmt, args);
    va_end(args);
    return 0;
}

/* ---- one section ---- */

static bool known(const struct i2c_sim *sim, uint16_t addr)
{
    for (unsigned i = 0; i < sim->targets; i++) {
        if (sim->target[i].addr == addr)
            return true;
    }
    return false;
}

static int begin_target(struct reader *r, const char *section, const char *key, const char *value)
{
    struct i2c_sim *sim = r->sim;
    struct sim_target *target = &sim->target[sim->targets];
    uint16_t addr;

    if (!anyhv_i2c_address(section, &addr))
        return bad(r, "[%s] is not an address: " I2C_ADDRESSES, section);
    if (known(sim, addr))
        return bad(r, "[%s] is there twice", section);
    if (sim->targets == SIM_TARGETS)
        return bad(r, "[%s] is one target too many, there can be %u", section, SIM_TARGETS);
    if (strcmp(key, "type") != 0)
        return bad(r, "[%s] %s: the type has to come first", section, key);
    for (unsigned i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(types[i]->name, value) == 0)
            target->type = types[i];
    }
    if (!target->type)
        return bad(r, "[%s] type: there is no '%s', only " TYPES, section, value);
    target->addr = addr;
    target->sim = sim;
    if (target->type->init)
        target->type->init(target);
    memset(r->given, 0, sizeof(r->given));
    sim->targets++;
    return 1;
}

static int set_key(struct reader *r, const char *section, const char *key, const char *value)
{
    struct sim_target *target = &r->sim->target[r->sim->targets - 1];
    const struct sim_key *keys = target->type->keys;
    const char *wanted;
    unsigned i = 0;

    while (keys[i].name && strcmp(keys[i].name, key) != 0)
        i++;
    if (!keys[i].name)
        return bad(r, "[%s] %s: a %s has no such key", section, key, target->type->name);
    if (r->given[i])
        return bad(r, "[%s] %s: is there twice", section, key);
    wanted = keys[i].set(target, value);
    if (wanted)
        return bad(r, "[%s] %s: '%s' is not %s", section, key, value, wanted);
    r->given[i] = true;
    return 1;
}

static int on_key(void *user, const char *section, const char *key, const char *value)
{
    struct reader *r = user;
    bool first = r->section;

    if (r->bad_line)
        return 0;
    /*
     * libinih passes over more in front of a "[" than blanks: its section need not be one of ours.
     */
    if (!*section || (!first && !r->sim->targets))
        return bad(r, "%s: stands before the first [address]", key);
    r->section = false;
    return first ? begin_target(r, section, key, value) : set_key(r, section, key, value);
}

/* ---- lines ---- */

/*
 * libinih tells neither the number of a line nor that a section has begun, and reads on behind an
 * error: a file need not have an end.
 */
static char *next_line(char *line, int size, void *user)
{
    struct reader *r = user;
    char *got = r->bad_line ? NULL : fgets(line, size, r->file);

    if (r->section && (!got || line[strspn(line, " \t")] == '['))
        bad(r, "the section is empty");
    if (!got)
        return NULL;
    r->line++;
    r->bytes += strlen(line);
    if (r->bytes > MAX_BYTES)
        bad(r, "the file is longer than %u bytes", MAX_BYTES);
    if (!strchr(line, '\n') && !feof(r->file))
        bad(r, "the line is longer than %d characters", size - 2);
    r->section |= line[strspn(line, " \t")] == '[';
    return got;
}

/* A line that libinih could not take apart may come before the first that makes no sense. */
static void check_syntax(struct reader *r, int first_bad)
{
    if (first_bad <= 0 || (r->bad_line && r->bad_line <= first_bad))
        return;
    r->bad_line = first_bad;
    snprintf(r->why, sizeof(r->why), "neither [address] nor key = value");
}

bool anyhv_i2c_sim_parse(struct i2c_sim *sim, const char *name, FILE *stream)
{
    struct reader r = {.sim = sim, .file = stream};

    check_syntax(&r, ini_parse_stream(next_line, &r, on_key, &r));
    if (ferror(stream))
        snprintf(sim->why, sizeof(sim->why), "%s: it cannot be read", name);
    else if (r.bad_line)
        snprintf(sim->why, sizeof(sim->why), "%s:%d: %s", name, r.bad_line, r.why);
    else if (!sim->targets)
        snprintf(sim->why, sizeof(sim->why), "%s: there is no target in it", name);
    return !sim->why[0];
}

bool anyhv_i2c_sim_read(struct i2c_sim *sim, const char *file)
{
    FILE *stream = fopen(file, "re");
    bool good;

    if (!stream) {
        snprintf(sim->why, sizeof(sim->why), "%s: %s", file, strerror(errno));
        return false;
    }
    good = anyhv_i2c_sim_parse(sim, file, stream);
    fclose(stream);
    return good;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a simulated bus: any bytes. What is read without complaint is a bus that can
 * be used; what is not comes with a name and a reason.
 */
#include "fuzz/fuzz.h"

#include "devices/i2c/i2c_sim.h"

#include <string.h>

/* An address of seven bits or ten, and nobody else's. */
static void check_address(const struct i2c_sim *sim, unsigned n)
{
    uint16_t addr = sim->target[n].addr;

    fuzz_assert(addr <= 0x77 || (addr & ~0x3ff) == ANYHV_I2C_TEN_BIT);
    for (unsigned i = 0; i < n; i++)
        fuzz_assert(sim->target[i].addr != addr);
}

static void check_bus(struct i2c_sim *sim)
{
    fuzz_assert(sim->targets >= 1 && sim->targets <= SIM_TARGETS);
    for (unsigned i = 0; i < sim->targets; i++) {
        struct sim_target *target = &sim->target[i];

        check_address(sim, i);
        fuzz_assert(target->sim == sim && target->type && target->type->name);
        fuzz_assert(!target->addressed);
    }
}

void fuzz_one(struct fuzz_input *in)
{
    struct i2c_sim *sim = fuzz_alloc(sizeof(*sim));
    uint8_t *text = fuzz_alloc(in->left + 1);
    FILE *stream;

    memcpy(text, in->at, in->left);
    stream = fmemopen(text, in->left + 1, "r"); /* a 0 at the end, at least */
    fuzz_assert(stream != NULL);
    if (anyhv_i2c_sim_parse(sim, "bus", stream))
        check_bus(sim);
    else
        fuzz_assert(memchr(sim->why, 0, sizeof(sim->why)) && !strncmp(sim->why, "bus:", 4));
    fclose(stream);
    free(text);
    free(sim);
}

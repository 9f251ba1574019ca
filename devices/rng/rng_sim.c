/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated source: numbered records, cut wherever the guest's buffers end. Freestanding. */
#include "rng_record.h"
#include <anyhv/devices/rng.h>
#include <anyhv/port.h>

static int sim_read(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct anyhv_rng_sim *sim = (void *)source;
    uint32_t done = 0;

    while (done < len) {
        uint32_t n = len - done;

        if (sim->used == RNG_RECORD_SIZE) {
            rng_record_make(sim->record, sim->seed, sim->index++);
            sim->used = 0;
        }
        if (n > RNG_RECORD_SIZE - sim->used)
            n = RNG_RECORD_SIZE - sim->used;
        memcpy(buf + done, sim->record + sim->used, n);
        sim->used += n;
        done += n;
    }
    return (int)done;
}

void anyhv_rng_sim_init(struct anyhv_rng_sim *sim, uint64_t seed)
{
    *sim =
        (struct anyhv_rng_sim){.source = {.read = sim_read}, .seed = seed, .used = RNG_RECORD_SIZE};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The same thing again and again, for the VMM's clock. */
#include "vmm/guest/guest.h"

static void access(void)
{
    cpu_read(DRV_MMIO_MAGIC, 4);
}

static void kick(void)
{
    cpu_write(DRV_MMIO_QUEUE_NOTIFY, 4, 0);
}

static void request(void)
{
    guest_batch(1, false);
}

void guest_times(void)
{
    static void (*const laps[GUEST_LAPS])(void) = {
        [GUEST_LAP_ACCESS] = access, [GUEST_LAP_KICK] = kick, [GUEST_LAP_REQUEST] = request};

    guest_bring_up(NULL);
    guest_batch(BATCH, true);
    for (unsigned lap = 0; lap < GUEST_LAPS; lap++) {
        cpu_out(GUEST_PORT_LAP, (uint8_t)lap);
        for (uint32_t i = 0; i < guest_orders.rounds; i++)
            laps[lap]();
    }
    cpu_out(GUEST_PORT_LAP, GUEST_LAPS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of main.c: test/driver in a thread. It knows nothing of the library. */
#include "guest.h"
#include <sys/eventfd.h>

bool guest_init(struct guest *guest, void *ram, uint64_t base, uint64_t size)
{
    const struct drv_ring_config config = {.size = GUEST_RING, .slots = guest->slots};

    drv_mem_init(&guest->mem, ram, base, size);
    return drv_ring_init(&guest->ring, &guest->mem, &config);
}

void *guest_run(void *arg)
{
    struct guest *g = arg;
    struct drv_buf out = {drv_alloc(&g->mem, 4, 4), 4}, in = {drv_alloc(&g->mem, 4, 4), 4};
    struct drv_chain chain = {.out = &out, .nout = 1, .in = &in, .nin = 1, .direct = DRV_DIRECT};
    struct drv_used used;
    eventfd_t count;

    for (uint32_t i = 0; i < GUEST_REQUESTS; i++) {
        drv_poke32(&g->mem, out.addr, i);
        drv_ring_add(&g->ring, &chain);
        drv_ring_publish(&g->ring);
        if (drv_ring_need_kick(&g->ring))
            eventfd_write(g->kick, 1);
        while (!drv_ring_get(&g->ring, &used))
            eventfd_read(g->interrupt, &count); /* sleeps until it comes */
        g->right += used.len == 4 && drv_peek32(&g->mem, in.addr) == ~i;
    }
    return NULL;
}

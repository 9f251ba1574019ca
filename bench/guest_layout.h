/* SPDX-License-Identifier: Apache-2.0 */
/* What both ring layouts need of guest.c, and guest.c of them. */
#ifndef ANYHV_BENCH_GUEST_LAYOUT_H
#define ANYHV_BENCH_GUEST_LAYOUT_H

#include "guest.h"
#include "work.h"

void guest_split_start(struct guest *guest);
void guest_split_post(struct guest *guest, unsigned n);
unsigned guest_split_reap(struct guest *guest);

void guest_packed_start(struct guest *guest);
void guest_packed_post(struct guest *guest, unsigned n);
unsigned guest_packed_reap(struct guest *guest);

/* The chain of the next request, its header filled in. */
static inline unsigned guest_prepare(struct guest *guest)
{
    uint32_t token = guest->posted++;
    unsigned index = token % guest->chains;
    struct guest_chain *chain = &guest->chain[index];

    if (chain->header)
        memcpy(chain->header, &token, sizeof(token));
    if (guest->thorough)
        memset(chain->in, 0, guest->in_bytes);
    return index;
}

/* Is this the right answer to the oldest request? False: the fault says what is wrong. */
bool guest_check(struct guest *guest, uint32_t id, uint32_t expected_id, uint32_t len);

#endif

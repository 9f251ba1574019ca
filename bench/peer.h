/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer: some device side that answers a guest's ring. Adding one means one file with this table
 * in it and one line in peer.c.
 */
#ifndef ANYHV_BENCH_PEER_H
#define ANYHV_BENCH_PEER_H

#include "guest.h"

struct peer {
    const char *name;
    bool packed; /* the ring's layout */
    bool limit;  /* what the others of this layout are compared with */
    /* Serves @guest's ring, which is empty and ready. What is returned goes to the other two. */
    void *(*setup)(const struct guest *guest);
    /* Answers what is available; may return before all is answered, but not wait for more. */
    void (*poll)(void *ctx);
    /* Ends it. How often it told the driver of answers. */
    uint64_t (*teardown)(void *ctx);
};

/* Every peer that was built, each limit before what is compared with it; ends with NULL. */
extern const struct peer *const all_peers[];

extern const struct peer peer_limit_split, peer_limit_api, peer_anyhv_split;
extern const struct peer peer_limit_packed, peer_anyhv_packed;

/* Zeroed pages, to be freed with free(); or the end of the program. */
void *peer_alloc(size_t size);

#endif

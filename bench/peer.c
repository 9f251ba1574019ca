/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <err.h>
#include <stdlib.h>

const struct peer *const peers[] = {
    &peer_limit_split, &peer_anyhv_split, &peer_limit_packed, &peer_anyhv_packed, NULL,
};

void *peer_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        err(1, "%zu bytes for a peer", size);
    return memory;
}

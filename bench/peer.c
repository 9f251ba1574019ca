/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"
#include "work.h"

#include <err.h>
#include <stdlib.h>

const struct peer *const all_peers[] = {
    &peer_limit_split,  &peer_limit_api,    &peer_anyhv_split,
    &peer_limit_packed, &peer_anyhv_packed, NULL,
};

void *peer_alloc(size_t size)
{
    size_t pages = (size + WORK_PAGE - 1) / WORK_PAGE * WORK_PAGE;
    void *memory = aligned_alloc(WORK_PAGE, pages);

    if (!memory)
        err(1, "%zu bytes for a peer", size);
    return memset(memory, 0, pages);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_H
#define GUEST_H

#include "driver/driver.h"

enum {
    GUEST_DEPTH = 3,
    GUEST_REQUESTS = 300,
    GUEST_SEED = 2026
};

/* Brings the device behind @access up with a ring in @window. False: it did not go along. */
bool guest_start(drv_mmio_access access, void *ctx, void *window, uint32_t size, bool packed);
/* Asks for entropy, GUEST_DEPTH times at most before an answer. */
void guest_ask(void);
/* An interrupt came: takes the answers. False: one was wrong. */
bool guest_take(void);
/* All its requests were answered. */
bool guest_finished(void);

#endif

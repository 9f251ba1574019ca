/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device does to guest memory, access by access: for tests that look, or let the driver do
 * something, in between. RIG_IN_PROCESS only.
 *
 * An assertion that fails in a callback would leave the device in the middle of its work: what is
 * wrong is noted there, and asserted afterwards.
 */
#ifndef ANYHV_TEST_WATCH_H
#define ANYHV_TEST_WATCH_H

#include "conformance/suite.h"

struct watch {
    /* After each write, wherever it went. */
    void (*written)(struct suite *s, uint64_t addr, uint64_t len);
    /* RIG_OPS: before each access that goes through memory ops, rings excepted. */
    void (*access)(struct suite *s, uint64_t addr, uint32_t len, unsigned perm);
};

/* From now until the rig stops; again: with other callbacks. */
void watch_memory(struct suite *s, const struct watch *watch);

#endif

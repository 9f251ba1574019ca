/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front ends that break the protocol. After each case the process lives, its log names the
 * request, no descriptor and no map is left behind, and the next front end is served.
 */
#ifndef ANYHV_TEST_HOSTILE_FRONT_END_H
#define ANYHV_TEST_HOSTILE_FRONT_END_H

#include "vhost-user/harness.h"

/* A request that is offered: the sizes and descriptors that it may have. */
struct request {
    const char *name;
    uint32_t id, size_min, size_max;
    unsigned fds_min, fds_max;
};

extern const struct request requests[];
extern const unsigned request_count;

/* Per test. */
int hostile_setup(void **state);
#define HOSTILE(name) cmocka_unit_test_setup_teardown(name, hostile_setup, harness_end)

/* A back end whose log has printed nothing yet. */
void renew(struct harness *h);
/* Connects anew, and negotiates everything. */
void begin(struct harness *h);
/* The back end ends the connection and says @text; it leaks nothing and serves the next one. */
void expect_end(struct harness *h, const char *text);
/* Waits until the back end has as many descriptors as that: closing may come after the answer. */
bool has_fds(struct harness *h, unsigned count);
/* Nobody is connected, and nothing is left of those who were. */
bool settled(struct harness *h);

uint64_t xorshift(uint64_t *state);

#endif

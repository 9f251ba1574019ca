/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rigs over the vhost-user module in another process: the driver, and a front end that does for it
 * what a VMM does. Rings are told to the back end when the driver sets them up, and enabled when it
 * says DRIVER_OK, as real front ends do.
 */
#ifndef ANYHV_TEST_RIG_VHOST_USER_H
#define ANYHV_TEST_RIG_VHOST_USER_H

#include "conformance/rig.h"

/* What `how` points to. */
struct rig_vhost_user {
    bool no_status;   /* STATUS is not negotiated */
    bool slots;       /* memory by ADD_MEM_REG instead of SET_MEM_TABLE */
    unsigned regions; /* memory is cut into so many; 0: one */
    bool pipes;       /* pipes instead of eventfds and of the channel's socket */
    bool area;        /* there is an in-flight area */
};

extern struct rig vhost_user_rigs[];
extern const unsigned vhost_user_rig_count;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Rigs over the module: the driver's registers are commands, kicks what KVM would make of them. */
#ifndef ANYHV_TEST_RIG_KVM_H
#define ANYHV_TEST_RIG_KVM_H

#include "conformance/rig.h"

/* What `how` points to. */
struct rig_kvm {
    uint32_t layout;
    bool stream;      /* the socket for commands; else it keeps packets */
    bool posted;      /* kicks are posted writes; else eventfds */
    bool level;       /* the interrupt is resampled */
    unsigned regions; /* memory is cut into so many; 0: one */
};

extern struct rig kvm_rigs[];
extern const unsigned kvm_rig_count;

#endif

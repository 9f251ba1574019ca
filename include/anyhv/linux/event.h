/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eventfds that a peer made and shares with us. What is in one can change at any time, and so can
 * whether it makes callers wait, since that belongs to the open file. So each call here sees for
 * itself to it that it does not.
 */
#ifndef ANYHV_LINUX_EVENT_H
#define ANYHV_LINUX_EVENT_H

#include <anyhv/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether @fd, which may be anything, is one. */
bool anyhv_event_check(int fd);

/*
 * Adds one event, unless so many are there already that nobody takes them. What a blocking one
 * leaves is a peer that fills it between the look here and the write.
 */
void anyhv_event_signal(int fd);

/* Takes what is there. */
void anyhv_event_drain(int fd);

#ifdef __cplusplus
}
#endif
#endif

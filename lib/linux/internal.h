/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/linux share with each other and with nobody else. */
#ifndef ANYHV_LINUX_INTERNAL_H
#define ANYHV_LINUX_INTERNAL_H

#include <anyhv/linux/log.h>
#include <anyhv/linux/loop.h>

/*
 * Takes back a post that has not arrived; true if it was still in the loop. Loop's thread only,
 * since anywhere else it could be arriving at this moment.
 */
bool anyhv_loop_unpost(struct anyhv_loop *loop, struct anyhv_post *post);

/* Would a line of @level be printed at all? */
bool anyhv_log_wanted(enum anyhv_log_level level);

/*
 * Counts one occurrence of @event. True: it may be printed, and *@left_out have not been since the
 * last one that was.
 */
bool anyhv_log_admit(const char *event, uint64_t *left_out);

/* Prints, whatever level and rate say. */
__attribute__((format(printf, 4, 5))) void anyhv_log_emit(enum anyhv_log_level level,
                                                          const char *event, uint64_t left_out,
                                                          const char *fmt, ...);

#endif

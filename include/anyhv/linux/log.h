/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for the operator, one line each on standard error:
 *
 *   anyhv-rng: warning: vu.region: SET_MEM_TABLE region 2: size 0
 *
 * The second word group is a stable event id: scripts may match it, the text behind it may change.
 * Errors, warnings and infos are limited in rate per event id (10 in 5 seconds), and so is, at any
 * level, what a guest causes; the next line that passes tells how many were left out. Control
 * characters become '?'. Not thread-safe: the loop's thread only.
 */
#ifndef ANYHV_LINUX_LOG_H
#define ANYHV_LINUX_LOG_H

#include <anyhv/types.h>
#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

enum anyhv_log_level {
    ANYHV_LOG_ERROR,
    ANYHV_LOG_WARNING,
    ANYHV_LOG_INFO,
    ANYHV_LOG_DEBUG,
};

/* Levels above @level are not printed (default ANYHV_LOG_INFO). */
void anyhv_log_level(enum anyhv_log_level level);
/* The program's name at the start of each line; kept, not copied. */
void anyhv_log_name(const char *name);
/* Takes lines instead of standard error (NULL: standard error again). @line has no newline. */
void anyhv_log_sink(void (*sink)(void *priv, enum anyhv_log_level level, const char *event,
                                 const char *line),
                    void *priv);

/* @event: stable id, dotted lower case ("vu.request"). @fmt as for printf. */
__attribute__((format(printf, 3, 4))) void anyhv_log(enum anyhv_log_level level, const char *event,
                                                     const char *fmt, ...);
__attribute__((format(printf, 3, 0))) void anyhv_vlog(enum anyhv_log_level level, const char *event,
                                                      const char *fmt, va_list ap);

/*
 * The library's own events: violations of the guest appear as "guest.<name in lower case>", sent
 * through anyhv_port_violation, which lib/linux implements.
 */

#ifdef __cplusplus
}
#endif
#endif

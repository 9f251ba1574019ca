/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines and their rate limit: of one event id at most BURST lines in WINDOW_NS are printed.
 * Counting comes before formatting, so that a flood costs its sender's guest more than us.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BURST     10u
#define WINDOW_NS UINT64_C(5000000000)
#define EVENTS    256u /* a power of two, well above the number of ids in any program */
#define LINE      1024u

struct limit {
    uint64_t hash; /* of the event id, 0: free */
    uint64_t begin;
    uint64_t left_out;
    uint32_t printed;
};

static struct {
    enum anyhv_log_level level;
    const char *name;
    void (*sink)(void *priv, enum anyhv_log_level level, const char *event, const char *line);
    void *priv;
    struct limit limits[EVENTS];
} logger = {.level = ANYHV_LOG_INFO};

void anyhv_log_level(enum anyhv_log_level level)
{
    logger.level = level;
}

void anyhv_log_name(const char *name)
{
    logger.name = name;
}

void anyhv_log_sink(void (*sink)(void *priv, enum anyhv_log_level level, const char *event,
                                 const char *line),
                    void *priv)
{
    logger.sink = sink;
    logger.priv = priv;
}

bool anyhv_log_wanted(enum anyhv_log_level level)
{
    return level <= logger.level;
}

/* ---- Rate ---- */

/* FNV-1a, never 0. Two ids with the same hash would only share their limit. */
static uint64_t hash_of(const char *event)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *event; event++)
        hash = (hash ^ (uint8_t)*event) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

/* The event's entry. With a full table, one that it shares with others. */
static struct limit *limit_of(uint64_t hash)
{
    for (uint64_t i = 0; i < EVENTS; i++) {
        struct limit *limit = &logger.limits[(hash + i) % EVENTS];
        if (limit->hash == hash)
            return limit;
        if (limit->hash == 0) {
            limit->hash = hash;
            return limit;
        }
    }
    return &logger.limits[hash % EVENTS];
}

bool anyhv_log_admit(const char *event, uint64_t *left_out)
{
    struct limit *limit = limit_of(hash_of(event));
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
    if (limit->printed == 0 || now - limit->begin >= WINDOW_NS) {
        limit->begin = now;
        limit->printed = 0;
    }
    if (limit->printed == BURST) {
        limit->left_out++;
        return false;
    }
    limit->printed++;
    *left_out = limit->left_out;
    limit->left_out = 0;
    return true;
}

/* ---- Lines ---- */

/* Appends to the line, which keeps room for a newline; what does not fit is cut off. */
__attribute__((format(printf, 3, 0))) static size_t vadd(char *line, size_t len, const char *fmt,
                                                         va_list ap)
{
    size_t room = LINE - 1 - len;
    int added = vsnprintf(line + len, room, fmt, ap);

    if (added < 0)
        return len;
    return (size_t)added < room ? len + (size_t)added : len + room - 1;
}

__attribute__((format(printf, 3, 4))) static size_t add(char *line, size_t len, const char *fmt,
                                                        ...)
{
    va_list ap;

    va_start(ap, fmt);
    len = vadd(line, len, fmt, ap);
    va_end(ap);
    return len;
}

/* One call, so that lines of several programs on one terminal stay whole. */
static void to_stderr(char *line, size_t len)
{
    line[len] = '\n';
    /* With standard error gone there is nobody to tell. */
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written;
}

__attribute__((format(printf, 4, 0))) static void emit(enum anyhv_log_level level,
                                                       const char *event, uint64_t left_out,
                                                       const char *fmt, va_list ap)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    char line[LINE];
    int saved = errno;

    /* The count stands before the text: a long text cannot push it off the line. */
    size_t len =
        add(line, 0, "%s: %s: %s: ", logger.name ? logger.name : program_invocation_short_name,
            levels[level <= ANYHV_LOG_DEBUG ? level : ANYHV_LOG_DEBUG], event);
    if (left_out)
        len = add(line, len, "(%llu like this left out) ", (unsigned long long)left_out);
    len = vadd(line, len, fmt, ap);
    /* A peer's string must not be able to forge a line or to talk to the terminal. */
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    if (logger.sink)
        logger.sink(logger.priv, level, event, line);
    else
        to_stderr(line, len);
    errno = saved;
}

void anyhv_log_emit(enum anyhv_log_level level, const char *event, uint64_t left_out,
                    const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    emit(level, event, left_out, fmt, ap);
    va_end(ap);
}

void anyhv_vlog(enum anyhv_log_level level, const char *event, const char *fmt, va_list ap)
{
    uint64_t left_out = 0;

    if (!anyhv_log_wanted(level))
        return;
    /* Who asks for debug lines wants all of them. */
    if (level < ANYHV_LOG_DEBUG && !anyhv_log_admit(event, &left_out))
        return;
    emit(level, event, left_out, fmt, ap);
}

void anyhv_log(enum anyhv_log_level level, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    anyhv_vlog(level, event, fmt, ap);
    va_end(ap);
}

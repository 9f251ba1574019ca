/* SPDX-License-Identifier: Apache-2.0 */
/* What the freestanding parts ask of their surroundings: <anyhv/port.h> on Linux. */
#include <anyhv/port.h>

#include "internal.h"

#include <anyhv/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Violations that end the service for this guest, or a request, are news; the rest is detail. */
static enum anyhv_log_level level_of(enum anyhv_outcome outcome)
{
    switch (outcome) {
    case ANYHV_ACCEPT:
        return ANYHV_LOG_DEBUG;
    case ANYHV_IGNORE:
        return ANYHV_LOG_INFO;
    default:
        return ANYHV_LOG_WARNING;
    }
}

/* Counts in decimal, addresses and feature words in hex: told apart by their size. */
static int put_value(char *out, size_t room, enum anyhv_violation v, uint64_t value, bool is_b)
{
    if (v == ANYHV_V_DEVICE_REJECT && is_b)
        return snprintf(out, room, "%s", anyhv_result_name((int)(int64_t)value));
    if (value < 0x10000)
        return snprintf(out, room, "%u", (unsigned)value);
    return snprintf(out, room, "0x%llx", (unsigned long long)value);
}

/* @text with %a and %b replaced; cut off when @out is full. */
static void fill_in(char *out, size_t size, enum anyhv_violation v, uint64_t a, uint64_t b)
{
    const char *text = anyhv_violations[v].text;
    size_t len = 0;

    while (*text && len + 1 < size) {
        bool is_a = strncmp(text, "%a", 2) == 0;
        bool is_b = strncmp(text, "%b", 2) == 0;
        if (!is_a && !is_b) {
            out[len++] = *text++;
            continue;
        }
        int added = put_value(out + len, size - len, v, is_a ? a : b, is_b);
        len = (size_t)added < size - len ? len + (size_t)added : size - 1;
        text += 2;
    }
    out[len] = '\0';
}

/* "guest.head_range" */
static void event_name(char *out, size_t size, enum anyhv_violation v)
{
    snprintf(out, size, "guest.%s", anyhv_violations[v].name);
    for (; *out; out++) {
        if (*out >= 'A' && *out <= 'Z')
            *out = (char)(*out - 'A' + 'a');
    }
}

void anyhv_port_violation(const struct anyhv_dev *dev, int queue, enum anyhv_violation v,
                          uint64_t a, uint64_t b)
{
    enum anyhv_log_level level = level_of(anyhv_violations[v].outcome);
    char event[48], text[256], where[32] = "";
    uint64_t left_out;

    if (!anyhv_log_wanted(level))
        return;
    event_name(event, sizeof(event), v);
    if (!anyhv_log_admit(event, &left_out))
        return;
    fill_in(text, sizeof(text), v, a, b);
    if (queue != ANYHV_CONFIG)
        snprintf(where, sizeof(where), " queue %d", queue);
    anyhv_log_emit(level, event, left_out, "%s%s: %s", dev && dev->ops ? dev->ops->name : "device",
                   where, text);
}

void anyhv_port_panic(const char *file, int line, const char *what)
{
    anyhv_log_emit(ANYHV_LOG_ERROR, "anyhv.bug", 0, "%s:%d: %s", file, line, what);
    abort();
}

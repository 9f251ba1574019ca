/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/linux/args.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Reads @text, of whose end any of the letters @units may be one; each stands for 1024 times what
 * the one before it does. False: it is no such number, or one beyond 64 bits.
 */
static bool parse(const char *text, const char *units, uint64_t *value)
{
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *unit;
    char *end;

    if (!isdigit((unsigned char)text[0])) /* strtoull would take blanks and signs */
        return false;
    errno = 0;
    *value = strtoull(text, &end, base);
    if (errno)
        return false;
    if (*end == '\0')
        return true;
    unit = strchr(units, *end);
    if (!unit || end[1] != '\0')
        return false;
    for (; unit >= units; unit--) {
        if (*value > UINT64_MAX / 1024)
            return false;
        *value *= 1024;
    }
    return true;
}

uint64_t anyhv_arg_number(const struct argp_state *state, const char *option, const char *text,
                          uint64_t min, uint64_t max)
{
    uint64_t value;

    if (parse(text, "", &value) && value >= min && value <= max)
        return value;
    argp_error(state, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text, min,
               max);
    return min;
}

uint64_t anyhv_arg_size(const struct argp_state *state, const char *option, const char *text,
                        uint64_t min, uint64_t max)
{
    uint64_t value;

    if (parse(text, "KMGT", &value) && value >= min && value <= max)
        return value;
    argp_error(state,
               "--%s: '%s' is not a size from %" PRIu64 " to %" PRIu64
               " bytes (K, M, G and T may follow the number)",
               option, text, min, max);
    return min;
}

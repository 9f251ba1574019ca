/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/linux/args.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The digits that @text begins with; @end: what stands behind them. False: none, or too many. */
static bool digits(const char *text, const char **end, uint64_t *value)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *behind;

    if (!isdigit((unsigned char)text[0])) /* strtoull would take blanks and signs */
        return false;
    if (text[0] == '0' && isdigit((unsigned char)text[1])) /* eight or ten? */
        return false;
    errno = 0;
    *value = strtoull(text, &behind, hex ? 16 : 10);
    *end = behind;
    return !errno;
}

bool anyhv_parse_scaled(const char *text, const char *units, unsigned step, uint64_t min,
                        uint64_t max, uint64_t *value)
{
    const char *end, *unit;
    uint64_t n;

    if (!digits(text, &end, &n))
        return false;
    unit = *end ? strchr(units, *end) : NULL;
    if (unit)
        end++;
    for (; unit && unit >= units; unit--) {
        if (n > UINT64_MAX / step)
            return false;
        n *= step;
    }
    if (*end || n < min || n > max)
        return false;
    *value = n;
    return true;
}

bool anyhv_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    return anyhv_parse_scaled(text, "", 1, min, max, value);
}

bool anyhv_parse_signed(const char *text, int64_t min, int64_t max, int64_t *value)
{
    bool negative = text[0] == '-';
    uint64_t n;
    int64_t number;

    if (!anyhv_parse_number(text + negative, 0, (uint64_t)INT64_MAX + negative, &n))
        return false;
    number = negative && n ? -(int64_t)(n - 1) - 1 : (int64_t)n;
    if (number < min || number > max)
        return false;
    *value = number;
    return true;
}

uint64_t anyhv_arg_number(const struct argp_state *state, const char *option, const char *text,
                          uint64_t min, uint64_t max)
{
    uint64_t value;

    if (anyhv_parse_number(text, min, max, &value))
        return value;
    argp_error(state, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text, min,
               max);
    return min;
}

uint64_t anyhv_arg_size(const struct argp_state *state, const char *option, const char *text,
                        uint64_t min, uint64_t max)
{
    uint64_t value;

    if (anyhv_parse_scaled(text, "KMGT", 1024, min, max, &value))
        return value;
    argp_error(state,
               "--%s: '%s' is not a size from %" PRIu64 " to %" PRIu64
               " bytes (K, M, G and T may follow the number)",
               option, text, min, max);
    return min;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const scenario_names[] = {
    /* the cost of a request, a descriptor, a batch */
    "b1-c1-4-r1",
    "b16-c1-4-r1",
    "b256-c1-4-r1",
    "b16-c2-64-r1",
    "b1-c3-64-r1",
    "b16-c3-64-r1",
    "b256-c3-64-r1",
    /* ring features */
    "b16-c1-4-ev-r1",
    "b16-c3-64-ev-r1",
    "b16-c3-64-ind-r1",
    /* moving data */
    "b16-c1-64-copy-r1",
    "b16-c1-4096-copy-r1",
    "b16-c3-64-copy-r1",
    "b16-c3-4096-copy-r1",
    /* finding memory */
    "b16-c3-64-r8",
    "b16-c3-64-r8s",
    "b16-c3-64-r64",
    "b16-c3-64-r64s",
    "b16-c3-64-ind-r64s",
    /* two cores */
    "2t-d1-p1-c1",
    "2t-d16-p4-c1",
    "2t-d256-p1-c1",
    "2t-d256-p16-c1",
    "2t-d256-p64-c1",
    "2t-d256-p64-c3",
    NULL,
};

/* Takes @prefix and a number from @min to @max off the front of *@at. */
static bool take_number(const char **at, const char *prefix, unsigned min, unsigned max,
                        unsigned *value)
{
    size_t skip = strlen(prefix);
    unsigned long number;
    char *end;

    if (strncmp(*at, prefix, skip) || (*at)[skip] < '1' || (*at)[skip] > '9')
        return false;
    number = strtoul(*at + skip, &end, 10);
    if (number < min || number > max)
        return false;
    *value = (unsigned)number;
    *at = end;
    return true;
}

/* Takes @word off the front of *@at if it stands there. */
static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*at, word, len))
        return false;
    *at += len;
    return true;
}

static bool parse_one_thread(struct scenario *s, const char *at)
{
    if (!take_number(&at, "b", 1, SCENARIO_DEPTH_MAX, &s->depth) ||
        !take_number(&at, "-c", 1, SCENARIO_CHAIN_MAX, &s->chain) ||
        !take_number(&at, "-", 4, SCENARIO_BYTES_MAX, &s->bytes))
        return false;
    s->post = s->depth;
    s->indirect = take_word(&at, "-ind");
    s->event_idx = take_word(&at, "-ev");
    s->copy = take_word(&at, "-copy");
    if (!take_number(&at, "-r", 1, SCENARIO_REGIONS_MAX, &s->regions))
        return false;
    s->scattered = take_word(&at, "s");
    return *at == '\0' && (!s->scattered || s->regions > 1);
}

static bool parse_two_threads(struct scenario *s, const char *at)
{
    s->threads = true;
    s->bytes = 64;
    s->regions = 1;
    return take_number(&at, "2t-d", 1, SCENARIO_DEPTH_MAX, &s->depth) &&
           take_number(&at, "-p", 1, s->depth, &s->post) &&
           take_number(&at, "-c", 1, SCENARIO_CHAIN_MAX, &s->chain) && *at == '\0';
}

bool scenario_parse(struct scenario *scenario, const char *name)
{
    *scenario = (struct scenario){0};
    if (snprintf(scenario->name, sizeof(scenario->name), "%s", name) >= (int)sizeof(scenario->name))
        return false;
    return name[0] == '2' ? parse_two_threads(scenario, name) : parse_one_thread(scenario, name);
}

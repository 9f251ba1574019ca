/* SPDX-License-Identifier: Apache-2.0 */
/* anyhv-bench: what the library costs per request, beside what a machine allows. */
#include "count.h"
#include "rounds.h"

#include <anyhv/linux/args.h>
#include <argp.h>
#include <err.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCENARIOS_MAX = 128,
    PEERS_MAX = 16,
    ROUNDS_DEFAULT = 41,
};

struct options {
    struct scenario scenario[SCENARIOS_MAX];
    size_t scenarios;
    const struct peer *peer[PEERS_MAX];
    size_t peers;
    unsigned rounds;
    const char *json;
    bool list, self_check, instructions, count_me;
};

/* ---- the command line ---- */

enum {
    OPT_LIST = 0x100,
    OPT_SELF_CHECK,
    OPT_INSTRUCTIONS,
    OPT_COUNT,
};

static const struct argp_option argp_options[] = {
    {"list", OPT_LIST, NULL, 0, "Show scenarios and peers", 0},
    {"scenario", 's', "PATTERN", 0,
     "Only these: a pattern like 'b16-*' for those of --list, or any scenario's name", 0},
    {"peer", 'p', "PATTERN", 0, "Only these peers", 0},
    {"rounds", 'r', "N", 0, "Rounds per scenario (default 41); 0: no times", 0},
    {"json", 'j', "FILE", 0, "Also write what was measured to FILE", 0},
    {"self-check", OPT_SELF_CHECK, NULL, 0,
     "Only check that every peer answers rightly, and report that as TAP", 0},
    {"instructions", OPT_INSTRUCTIONS, NULL, 0,
     "Also count instructions per request (needs valgrind)", 0},
    {COUNT_OPTION, OPT_COUNT, NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

static void add_scenario(struct argp_state *state, struct options *o, const char *name)
{
    if (o->scenarios == SCENARIOS_MAX)
        argp_error(state, "more than %d scenarios", SCENARIOS_MAX);
    if (!scenario_parse(&o->scenario[o->scenarios++], name))
        argp_error(state, "--scenario: '%s' is no scenario's name and matches none of --list",
                   name);
}

static void add_scenarios(struct argp_state *state, struct options *o, const char *pattern)
{
    size_t before = o->scenarios;

    for (size_t i = 0; scenario_names[i]; i++)
        if (fnmatch(pattern, scenario_names[i], 0) == 0)
            add_scenario(state, o, scenario_names[i]);
    if (o->scenarios == before)
        add_scenario(state, o, pattern);
}

static bool has_peer(const struct options *o, const struct peer *peer)
{
    for (size_t i = 0; i < o->peers; i++)
        if (o->peer[i] == peer)
            return true;
    return false;
}

static void add_peers(struct argp_state *state, struct options *o, const char *pattern)
{
    size_t before = o->peers;

    for (size_t i = 0; all_peers[i]; i++)
        if (fnmatch(pattern, all_peers[i]->name, 0) == 0 && !has_peer(o, all_peers[i]))
            o->peer[o->peers++] = all_peers[i];
    if (o->peers == before)
        argp_error(state, "--peer: '%s' matches none of --list that was not chosen already",
                   pattern);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_LIST:
        o->list = true;
        return 0;
    case OPT_SELF_CHECK:
        o->self_check = true;
        return 0;
    case OPT_INSTRUCTIONS:
        o->instructions = true;
        return 0;
    case OPT_COUNT:
        o->count_me = true;
        return 0;
    case 's':
        add_scenarios(state, o, arg);
        return 0;
    case 'p':
        add_peers(state, o, arg);
        return 0;
    case 'r':
        o->rounds = (unsigned)anyhv_arg_number(state, "rounds", arg, 0, ROUNDS_MAX);
        return 0;
    case 'j':
        o->json = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->scenarios)
            add_scenarios(state, o, "*");
        if (!o->peers)
            add_peers(state, o, "*");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = argp_options,
    .parser = parse,
    .doc = "What a request costs: the library and the limit of the machine, side by side.",
};

/* ---- what it does ---- */

static void list(const struct options *o)
{
    for (size_t i = 0; i < o->scenarios; i++)
        printf("scenario %s\n", o->scenario[i].name);
    for (size_t i = 0; i < o->peers; i++)
        printf("peer     %s\n", o->peer[i]->name);
}

/* TAP; the exit status. */
static int self_check(const struct options *o)
{
    char why[128];
    unsigned n = 0, bad = 0;

    for (size_t i = 0; i < o->scenarios; i++)
        for (size_t k = 0; k < o->peers; k++) {
            bool ok = run_self_check(&o->scenario[i], o->peer[k], why, sizeof(why));

            printf("%sok %u - %s %s answers rightly\n", ok ? "" : "not ", ++n, o->scenario[i].name,
                   o->peer[k]->name);
            if (!ok)
                printf("# %s\n", why);
            bad += !ok;
        }
    printf("1..%u\n", n);
    return bad != 0;
}

/* ---- instructions: parts of one profile, in the order of the results ---- */

static bool is_counted(const struct scenario *scenario)
{
    return !scenario->threads; /* how often a device looks in vain is chance */
}

static void serve_counted(const struct options *o)
{
    for (size_t i = 0; i < o->scenarios; i++)
        for (size_t k = 0; k < o->peers && is_counted(&o->scenario[i]); k++)
            count_serve(&o->scenario[i], o->peer[k]);
}

static void count_instructions(int argc, char *argv[], struct result *results, size_t count)
{
    uint64_t *totals = peer_alloc(count * sizeof(*totals));
    unsigned parts = 0, part = 0;

    for (size_t i = 0; i < count; i++)
        parts += is_counted(results[i].scenario);
    count_parts(argc, argv, totals, parts);
    for (size_t i = 0; i < count; i++)
        if (is_counted(results[i].scenario))
            results[i].instr = (double)totals[part++] / count_requests(results[i].scenario);
    free(totals);
}

/* ---- times ---- */

/* The first thing for every scenario: a peer that answers wrongly has no speed. */
static void check_scenario(const struct options *o, const struct scenario *scenario)
{
    char why[128];

    for (size_t k = 0; k < o->peers; k++)
        if (!run_self_check(scenario, o->peer[k], why, sizeof(why)))
            errx(1, "%s %s: %s", scenario->name, o->peer[k]->name, why);
}

static void write_json(const struct options *o, const struct result *results, size_t count)
{
    FILE *out = fopen(o->json, "w");

    if (!out)
        err(1, "%s", o->json);
    report_json(out, results, count, o->rounds);
    if (ferror(out) | fclose(out))
        err(1, "%s", o->json);
}

/* One for each scenario and peer, nothing measured yet. */
static struct result *make_results(const struct options *o)
{
    struct result *results = peer_alloc(o->scenarios * o->peers * sizeof(*results));

    for (size_t i = 0; i < o->scenarios; i++)
        for (size_t k = 0; k < o->peers; k++)
            results[i * o->peers + k] =
                (struct result){&o->scenario[i], o->peer[k], NAN, NAN, NAN, NAN, NAN, NAN};
    return results;
}

static void measure(const struct options *o, int argc, char *argv[])
{
    struct clock_rate rate = clock_calibrate();
    size_t count = o->scenarios * o->peers;
    struct result *results = make_results(o);

    if (o->instructions)
        count_instructions(argc, argv, results, count);
    report_header();
    for (size_t i = 0; i < o->scenarios; i++) {
        struct result *rows = &results[i * o->peers];

        if (o->scenario[i].threads && !run_has_two_cores()) {
            printf("%-20s SKIPPED: needs two processors, this process may use one\n",
                   o->scenario[i].name);
            continue;
        }
        check_scenario(o, &o->scenario[i]);
        if (o->rounds)
            rounds_measure(rows, o->peers, o->rounds, &rate);
        for (size_t k = 0; k < o->peers; k++)
            report_row(&rows[k]);
    }
    if (o->json)
        write_json(o, results, count);
    free(results);
}

int main(int argc, char *argv[])
{
    static struct options options = {.rounds = ROUNDS_DEFAULT};

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (options.list)
        list(&options);
    else if (options.self_check)
        return self_check(&options);
    else if (options.count_me)
        serve_counted(&options);
    else
        measure(&options, argc, argv);
    return 0;
}

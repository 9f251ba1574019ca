/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum {
    MODEL_MAX = 128,
};

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* ---- for people ---- */

void report_header(void)
{
    printf("%-20s %-13s %8s %8s %8s %8s %8s %8s\n", "scenario", "peer", "med ns", "p10", "min",
           "loop", "x limit", "instr");
}

/* A dash for what was not measured. */
static void column(double value, int digits)
{
    if (isnan(value))
        printf(" %8s", "-");
    else
        printf(" %8.*f", digits, value);
}

void report_row(const struct result *result)
{
    printf("%-20s %-13s", result->scenario->name, result->peer->name);
    column(result->med, 1);
    column(result->p10, 1);
    column(result->min, 1);
    column(result->loop, 1);
    column(result->ratio, 2);
    column(result->instr, 0);
    putchar('\n');
    fflush(stdout);
}

/* ---- for programs ---- */

/* As Linux names the processor; only what can stand in a JSON string. */
static void cpu_model(char *model)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    strcpy(model, "unknown");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "model name : %127[^\n\"\\]", model) == 1)
            break;
    if (file)
        fclose(file);
}

static void json_number(FILE *out, const char *name, double value)
{
    if (isnan(value))
        fprintf(out, ", \"%s\": null", name);
    else
        fprintf(out, ", \"%s\": %.3f", name, value);
}

static void json_result(FILE *out, const struct result *result)
{
    fprintf(out, "  {\"scenario\": \"%s\", \"peer\": \"%s\"", result->scenario->name,
            result->peer->name);
    json_number(out, "med", result->med);
    json_number(out, "p10", result->p10);
    json_number(out, "min", result->min);
    json_number(out, "loop", result->loop);
    json_number(out, "ratio", result->ratio);
    json_number(out, "instr", result->instr);
    fputc('}', out);
}

void report_json(FILE *out, const struct result *results, size_t count, unsigned rounds)
{
    char model[MODEL_MAX];

    cpu_model(model);
    fprintf(out, "{\"machine\": {\"cpu\": \"%s\", \"cores\": %ld, \"compiler\": \"%s\"},\n", model,
            sysconf(_SC_NPROCESSORS_ONLN), COMPILER);
    fprintf(out, " \"rounds\": %u,\n \"results\": [\n", rounds);
    for (size_t i = 0; i < count; i++) {
        json_result(out, &results[i]);
        fputs(i + 1 < count ? ",\n" : "\n", out);
    }
    fputs(" ]}\n", out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that describes a platform. libinih takes its lines apart; what they may say is in the
 * tables of scmi_file_keys.c.
 */
#include "scmi_file.h"

#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Only the first error counts: what follows may come from it. */
__attribute__((format(printf, 3, 4))) static int bad(struct file_reader *r, int line,
                                                     const char *fmt, ...)
{
    va_list args;

    if (r->bad_line)
        return 0;
    r->bad_line = line;
    va_start(args, fmt);
    vsnprintf(r->why, sizeof(r->why), fmt, args);
    va_end(args);
    return 0;
}

/* ---- sections ---- */

static int end_section(struct file_reader *r)
{
    const char *lack = r->kind && r->kind->end && !r->bad_line ? r->kind->end(r) : NULL;

    r->kind = NULL;
    return lack ? bad(r, r->section_line, "[%s]: %s", r->section, lack) : 1;
}

static int begin_section(struct file_reader *r)
{
    size_t len = strcspn(r->section, " \t");
    const char *name = r->section + len + strspn(r->section + len, " \t"), *why = NULL;
    const struct file_kind *kind = anyhv_scmi_file_kinds;

    while (kind->name && (strlen(kind->name) != len || memcmp(kind->name, r->section, len) != 0))
        kind++;
    if (!kind->name)
        why = "sections are [platform], [clock NAME], [sensor NAME], [reset NAME], [agent NAME]";
    else if (kind->single && *name)
        why = "it has no name";
    else if (!kind->single && !anyhv_scmi_is_name(name))
        why = "it needs a name: " FILE_NAME;
    else if (kind->begin)
        why = kind->begin(r, name);
    if (why)
        return bad(r, r->line, "[%s]: %s", r->section, why);
    memset(r->given, 0, sizeof(r->given));
    r->kind = kind;
    return 1;
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
    struct file_reader *r = user;
    const struct file_key *key;
    const char *wanted;

    (void)section; /* the reader knows better where it begins */
    if (r->bad_line)
        return 0;
    if (!r->kind)
        return bad(r, r->line, "%s: stands before the first [section]", name);
    for (key = r->kind->key; key->name && strcmp(key->name, name) != 0; key++)
        ;
    if (!key->name)
        return bad(r, r->line, "[%s] %s: a %s has no such key", r->section, name, r->kind->name);
    if (r->given[key - r->kind->key] && !key->again)
        return bad(r, r->line, "[%s] %s: is there twice", r->section, name);
    r->given[key - r->kind->key] = true;
    wanted = key->set(r, value);
    return wanted ? bad(r, r->line, "[%s] %s: '%s' is not %s", r->section, name, value, wanted) : 1;
}

/* ---- lines ---- */

#define BLANKS " \t\v\f\r" /* what libinih passes over: both have to see the same sections */

/* libinih tells neither the number of a line nor where a section begins and ends. */
static void header_line(struct file_reader *r, const char *line)
{
    const char *name = line + strspn(line, BLANKS) + 1;
    int len = (int)strcspn(name, "]");

    end_section(r);
    r->section_line = r->line;
    snprintf(r->section, sizeof(r->section), "%.*s", len, name);
    if (name[len] && !r->bad_line)
        begin_section(r);
}

static char *next_line(char *line, int size, void *user)
{
    struct file_reader *r = user;
    char *got = fgets(line, size, r->stream);

    if (!got) {
        end_section(r);
        return NULL;
    }
    r->line++;
    if (!strchr(line, '\n') && !feof(r->stream))
        bad(r, r->line, "the line is longer than %d characters", size - 2);
    if (line[strspn(line, BLANKS)] == '[')
        header_line(r, line);
    return got;
}

/* A line that libinih could not take apart may come before the first that makes no sense. */
static void check_syntax(struct file_reader *r, int first_bad)
{
    if (first_bad <= 0 || (r->bad_line && r->bad_line <= first_bad))
        return;
    r->bad_line = first_bad;
    snprintf(r->why, sizeof(r->why), "neither [section] nor key = value");
}

static void connect(struct anyhv_scmi_board *board)
{
    struct anyhv_scmi_platform *p = &board->platform;

    p->ops = &anyhv_scmi_board_ops;
    p->sub_vendor = strcpy(board->sub_vendor, "simulated");
    p->clocks = board->clock;
    p->sensors = board->sensor;
    p->resets = board->reset;
    p->agents = board->agent;
    p->sample_ms = 100;
}

struct anyhv_scmi_board *anyhv_scmi_board_read(FILE *stream, char why[ANYHV_SCMI_WHY])
{
    struct anyhv_scmi_board *board = calloc(1, sizeof(*board));
    struct file_reader r = {.board = board, .stream = stream};

    if (!board) {
        snprintf(why, ANYHV_SCMI_WHY, "0: there is no memory for it");
        return NULL;
    }
    connect(board);
    check_syntax(&r, ini_parse_stream(next_line, &r, on_key, &r));
    if (!r.bad_line && ferror(stream))
        bad(&r, r.line + 1, "it cannot be read");
    if (!r.bad_line && !board->platform.nagents)
        bad(&r, r.line ? r.line : 1, "there is no [agent NAME], so nobody could use it");
    if (!r.bad_line && anyhv_scmi_platform_init(&board->platform))
        bad(&r, r.line, "resources belong to more than %u devices", ANYHV_SCMI_DEVICES);
    if (!r.bad_line)
        return board;
    snprintf(why, ANYHV_SCMI_WHY, "%d: %s", r.bad_line, r.why);
    free(board);
    return NULL;
}

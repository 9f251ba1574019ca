/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of platform files and its tables of sections and keys share. */
#ifndef ANYHV_DEVICES_SCMI_FILE_H
#define ANYHV_DEVICES_SCMI_FILE_H

#include "scmi_board.h"

enum {
    FILE_KEYS = 16,
    FILE_SECTION = 64
};

struct file_kind;

struct file_reader {
    struct anyhv_scmi_board *board;
    FILE *stream;
    const struct file_kind *kind; /* of the section under way, or NULL */
    char section[FILE_SECTION];
    int line, section_line, bad_line;
    bool given[FILE_KEYS];
    char why[300];
    /* what the section describes */
    struct anyhv_scmi_clock *clock;
    struct anyhv_scmi_sensor *sensor;
    bool has_min, has_max; /* said of it */
    struct anyhv_scmi_reset *reset;
    struct anyhv_scmi_agent *agent;
};

struct file_key {
    const char *name;
    /* NULL, or what the value should have been. */
    const char *(*set)(struct file_reader *r, const char *value);
    bool again; /* may be there several times */
};

struct file_kind {
    const char *name;
    bool single; /* the section has no name */
    /* Makes room for what the section describes. NULL, or why there is none. */
    const char *(*begin)(struct file_reader *r, const char *name);
    /* The section is complete. NULL, or what it lacks. */
    const char *(*end)(struct file_reader *r);
    struct file_key key[FILE_KEYS]; /* ended by one without a name */
};

/* Ended by one without a name. */
extern const struct file_kind anyhv_scmi_file_kinds[];

/* For messages: what a name is. */
#define FILE_NAME "1 to 15 letters, digits, dashes or underscores"
bool anyhv_scmi_is_name(const char *text);

#endif

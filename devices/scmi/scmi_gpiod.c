/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset lines that are GPIO lines of this machine, through libgpiod. Setting one is a system call
 * on the loop's thread: short where lines are registers, as long as a transfer behind a bus.
 */
#include "scmi_board.h"

#include <anyhv/linux/log.h>
#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>
#include <string.h>

/* A line has a name, or is the n-th of its chip. */
static struct gpiod_line *find(struct gpiod_chip *chip, const char *name)
{
    char *end;
    unsigned long n;

    if (name[0] < '0' || name[0] > '9')
        return gpiod_chip_find_line(chip, name);
    n = strtoul(name, &end, 10);
    if (*end || n >= gpiod_chip_num_lines(chip)) {
        errno = ENOENT;
        return NULL;
    }
    return gpiod_chip_get_line(chip, (unsigned)n);
}

/* As an output that is not asserted. NULL: it cannot be had, and errno says why. */
static struct gpiod_line *request(const struct board_line *line)
{
    struct gpiod_chip *chip = gpiod_chip_open_lookup(line->chip);
    struct gpiod_line *found = chip ? find(chip, line->name) : NULL;
    int flags = line->active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0, why;

    if (found && gpiod_line_request_output_flags(found, "anyhv-scmi", flags, 0) == 0)
        return found;
    why = errno;
    if (chip)
        gpiod_chip_close(chip);
    errno = why;
    return NULL;
}

static int start(struct board_line *line, const char *reset)
{
    line->host = request(line);
    if (line->host)
        return ANYHV_OK;
    anyhv_log(ANYHV_LOG_ERROR, "scmi.line", "reset %s: line %s of %s: %s", reset, line->name,
              line->chip, strerror(errno));
    return ANYHV_E_IO;
}

static bool set(struct board_line *line, const char *reset, bool asserted)
{
    if (gpiod_line_set_value(line->host, asserted) == 0)
        return true;
    anyhv_log(ANYHV_LOG_ERROR, "scmi.line", "reset %s: line %s of %s cannot be %s: %s", reset,
              line->name, line->chip, asserted ? "asserted" : "deasserted", strerror(errno));
    return false;
}

static void stop(struct board_line *line)
{
    gpiod_line_close_chip(line->host);
}

const struct board_lines anyhv_scmi_gpiod = {.start = start, .set = set, .stop = stop};

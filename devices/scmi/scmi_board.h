/* SPDX-License-Identifier: Apache-2.0 */
/* A platform as a file describes it, with room for all that it can have. */
#ifndef ANYHV_DEVICES_SCMI_BOARD_H
#define ANYHV_DEVICES_SCMI_BOARD_H

#include <anyhv/devices/scmi_host.h>
#include <anyhv/linux/worker.h>

/* Macros, not an enum: messages have them in their text. */
#define BOARD_CLOCKS    32
#define BOARD_SENSORS   32
#define BOARD_RESETS    32
#define BOARD_AGENTS    8
#define BOARD_RATES     64 /* of one clock */
#define BOARD_INTERVALS 16 /* of one sensor */

enum {
    BOARD_PATH = 160,
    BOARD_LINE = 32,
};

/* One clock, sensor ... as the model wants it, and what it points to. */
struct board_clock {
    char name[ANYHV_SCMI_NAME];
    uint64_t rate[BOARD_RATES];
};

struct board_sensor {
    char name[ANYHV_SCMI_NAME];
    uint16_t interval_ms[BOARD_INTERVALS];
    char path[BOARD_PATH]; /* a file of this machine; empty: simulated */
};

/* A reset line that is a line of this machine. */
struct board_line {
    char chip[BOARD_PATH]; /* empty: simulated */
    char name[BOARD_LINE];
    bool active_low;
    void *host; /* while it is ours */
};

/* Who knows such lines. What goes wrong it says itself. */
struct board_lines {
    int (*start)(struct board_line *line, const char *reset); /* 0 or a negative result */
    bool (*set)(struct board_line *line, const char *reset, bool asserted);
    void (*stop)(struct board_line *line);
};

extern const struct board_lines anyhv_scmi_gpiod;

/* NULL: nobody, this was built without libgpiod. */
extern const struct board_lines *const anyhv_scmi_lines;

struct board_agent {
    char name[ANYHV_SCMI_NAME];
    struct anyhv_scmi_agent_clock clock[BOARD_CLOCKS];
    struct anyhv_scmi_agent_sensor sensor[BOARD_SENSORS];
    struct anyhv_scmi_agent_reset reset[BOARD_RESETS];
};

struct anyhv_scmi_board;

/* A file of this machine that is read again and again, on a thread of its own: one may hang. */
struct board_sampler {
    struct anyhv_scmi_board *board;
    struct anyhv_scmi_sensor *sensor;
    const char *path;
    struct anyhv_worker *worker;
    struct anyhv_job job;
    int64_t value;
    bool ok;
    /* the loop's */
    struct anyhv_timer timer; /* the next reading, or the deadline of this one */
    bool reading;
    bool lost; /* it was said */
};

struct anyhv_scmi_board {
    struct anyhv_scmi_platform platform; /* first: the model hands it to our callbacks */
    struct anyhv_scmi_clock clock[BOARD_CLOCKS];
    struct anyhv_scmi_sensor sensor[BOARD_SENSORS];
    struct anyhv_scmi_reset reset[BOARD_RESETS];
    struct anyhv_scmi_agent agent[BOARD_AGENTS];
    struct board_clock own_clock[BOARD_CLOCKS];
    struct board_sensor own_sensor[BOARD_SENSORS];
    struct board_line line[BOARD_RESETS];
    char reset_name[BOARD_RESETS][ANYHV_SCMI_NAME];
    struct board_agent own_agent[BOARD_AGENTS];
    char sub_vendor[ANYHV_SCMI_NAME];
    struct anyhv_loop *loop;
    struct anyhv_timer timer;
    struct board_sampler sampler[BOARD_SENSORS];
    unsigned nsamplers;
};

extern const struct anyhv_scmi_platform_ops anyhv_scmi_board_ops;

/* Sensors that are files of this machine: begins to read them. 0 or a negative result. */
int anyhv_scmi_sampler_start(struct anyhv_scmi_board *board);
/* False: a reading hangs, and the board has to stay where it is. */
bool anyhv_scmi_sampler_stop(struct anyhv_scmi_board *board);

#endif

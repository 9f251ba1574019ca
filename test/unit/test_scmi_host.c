/* SPDX-License-Identifier: Apache-2.0 */
/* The platform file: what it describes, and what is said about one that makes no sense. */
#include "testing.h"

#include <anyhv/devices/scmi_host.h>
#include <anyhv/linux/log.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[ANYHV_SCMI_WHY], logged[512];

static void keep_line(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    snprintf(logged, sizeof(logged), "%s", line);
}

static struct anyhv_scmi_board *read_text(const char *text)
{
    FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    struct anyhv_scmi_board *board;

    assert_non_null(stream);
    why[0] = 0;
    board = anyhv_scmi_board_read(stream, why);
    fclose(stream);
    return board;
}

static const char whole[] = "[platform]\n"
                            "sub-vendor = bench\n"
                            "sample-ms = 20\n"
                            "[clock cpu]\n"
                            "rates = 500M 1G  ; as it is sold\n"
                            "rates = 1500000k\n"
                            "rate = 1000M\n"
                            "on = yes\n"
                            "enable-us = 12\n"
                            "settle-ms = 5\n"
                            "device = 3\n"
                            "# a comment\n"
                            "[clock bus]\n"
                            "range = 10M 100M 1k\n"
                            "[sensor temp]\n"
                            "type = temperature\n"
                            "scale = -3\n"
                            "value = -30000\n"
                            "min = -40000\n"
                            "max = 125000\n"
                            "follows = cpu\n"
                            "per-mhz = 20\n"
                            "speed = 1000\n"
                            "trips = 2\n"
                            "read-ms = 3\n"
                            "timestamps = yes\n"
                            "device = 0x10\n"
                            "[sensor accel]\n"
                            "type = 89\n"
                            "value = 0 0 981\n"
                            "intervals-ms = 10 100\n"
                            "[reset usb]\n"
                            "[reset nic]\n"
                            "latency-us = 7\n"
                            "hold-ms = 8\n"
                            "[agent one]\n"
                            "trusted = yes\n"
                            "clocks = bus cpu\n"
                            "sensors = accel temp\n"
                            "resets = nic\n"
                            "[agent two]\n"
                            "clocks = cpu:read\n";

static void everything(void **state)
{
    struct anyhv_scmi_board *board = read_text(whole);
    struct anyhv_scmi_platform *p;

    (void)state;
    if (!board)
        fail_msg("%s", why);
    p = anyhv_scmi_board_platform(board);
    assert_string_equal(p->sub_vendor, "bench");
    assert_int_equal(p->sample_ms, 20);
    assert_int_equal(p->nclocks, 2);
    assert_int_equal(p->clocks[0].nrates, 3);
    assert_int_equal(p->clocks[0].rates[2], 1500000000);
    assert_int_equal(p->clocks[0].rate, 1000000000);
    assert_true(p->clocks[0].on);
    assert_int_equal(p->clocks[0].enable_us, 12);
    assert_int_equal(p->clocks[0].settle_ms, 5);
    assert_true(p->clocks[1].range);
    assert_int_equal(p->clocks[1].rates[2], 1000);
    assert_int_equal(p->clocks[1].rate, 10000000);
    assert_int_equal(p->nsensors, 2);
    assert_ptr_equal(p->sensors[0].follows, &p->clocks[0]);
    assert_int_equal(p->sensors[0].base[0], -30000);
    assert_true(p->sensors[0].bounded);
    assert_int_equal(p->sensors[0].trips, 2);
    assert_int_equal(p->sensors[1].axes, 3);
    assert_int_equal(p->sensors[1].base[2], 981);
    assert_int_equal(p->sensors[1].nintervals, 2);
    assert_int_equal(p->nresets, 2);
    assert_string_equal(p->resets[0].resource.name, "usb");
    assert_int_equal(p->resets[1].hold_ms, 8);
    assert_int_equal(p->nagents, 2);
    assert_true(p->agents[0].trusted);
    assert_int_equal(p->agents[0].nclocks, 2);
    assert_ptr_equal(p->agents[0].clocks[1].grant.resource, &p->clocks[0].resource);
    assert_true(p->agents[0].clocks[1].grant.write);
    assert_false(p->agents[1].trusted);
    assert_false(p->agents[1].clocks[0].grant.write);
    assert_int_equal(p->agents[1].nresets, 0);
    assert_int_equal(p->ndevices, 2);
    anyhv_scmi_board_free(board);
}

/* Each wrong file, and what the message has to begin with: where, and which key. */
static void wrong_files(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\n", "1: there is no [agent NAME]"},
        {"", "1: there is no [agent NAME]"},
        {"x = 1\n", "1: x: stands before"},
        {"[clock]\n", "1: [clock]: it needs a name"},
        {"[clock a b]\n", "1: [clock a b]: it needs a name"},
        {"[clock 1234567890123456]\n", "1: [clock 1234567890123456]: it needs a name"},
        {"[platform x]\n", "1: [platform x]: it has no name"},
        {"[cloc a]\n", "1: [cloc a]: sections are"},
        {"\n[clock a]\nrates = 1M\n[clock a]\n", "4: [clock a]: it is there twice"},
        {"[clock a]\nrates = 1M\n\nfoo = 1\n", "4: [clock a] foo: a clock has no such key"},
        {"[clock a]\nrate = 1M\nrate = 1M\n", "3: [clock a] rate: is there twice"},
        {"[clock a]\n[agent x]\n", "1: [clock a]: rates or range are missing"},
        {"[agent x]\n[clock a]\n", "2: [clock a]: rates or range are missing"},
        {"[clock a]\nrates = 2M 1M\n", "2: [clock a] rates: '2M 1M' is not"},
        {"[clock a]\nrates = 1X\n", "2: [clock a] rates: '1X' is not"},
        {"[clock a]\nrates = 0\n", "2: [clock a] rates: '0' is not"},
        {"[clock a]\nrates = -1\n", "2: [clock a] rates: '-1' is not"},
        {"[clock a]\nrates = 010\n", "2: [clock a] rates: '010' is not"},
        {"[clock a]\nrates = 1\ndevice = +1\n", "3: [clock a] device: '+1' is not"},
        {"[sensor a]\ntype = 2\nscale = -010\n", "3: [sensor a] scale: '-010' is not"},
        {"[clock a]\nrates = 99999999999999999999\n", "2: [clock a] rates:"},
        {"[clock a]\nrates = 2000G\n", "2: [clock a] rates:"},
        {"[clock a]\nrates = 1M\nrange = 1 2 1\n", "3: [clock a] range: '1 2 1' is not possible"},
        {"[clock a]\nrange = 1 2 1\nrates = 1M\n", "3: [clock a] rates: '1M' is not possible"},
        {"[clock a]\nrange = 5 1 1\n", "2: [clock a] range:"},
        {"[clock a]\nrange = 1 5\n", "2: [clock a] range:"},
        {"[clock a]\nrange = 1 5 5\n", "2: [clock a] range:"},
        {"[clock a]\nrange = 1 5 1 1\n", "2: [clock a] range:"},
        {"[clock a]\nrates = 1M\nrate = 2M\n[agent x]\n", "1: [clock a]: rate is none"},
        {"[clock a]\nrange = 5 10 1\nrate = 4\n[agent x]\n", "1: [clock a]: rate is none"},
        {"[clock a]\non = maybe\n", "2: [clock a] on: 'maybe' is not yes or no"},
        {"[clock a]\nsettle-ms = 0\n", "2: [clock a] settle-ms: '0' is not"},
        {"[clock a]\nenable-us = 1.5\n", "2: [clock a] enable-us: '1.5' is not"},
        {"[clock a]\ndevice = 0\n", "2: [clock a] device: '0' is not"},
        {"[sensor s]\nvalue = 1\n[agent x]\n", "1: [sensor s]: type is missing"},
        {"[sensor s]\ntype = smell\n", "2: [sensor s] type: 'smell' is not temperature"},
        {"[sensor s]\ntype = 256\n", "2: [sensor s] type: '256' is not"},
        {"[sensor s]\nscale = 16\n", "2: [sensor s] scale:"},
        {"[sensor s]\nvalue = 1 2 3 4\n", "2: [sensor s] value:"},
        {"[sensor s]\nvalue = 99999999999999\n", "2: [sensor s] value:"},
        {"[sensor s]\nfollows = cpu\n", "2: [sensor s] follows: 'cpu' is not a clock that"},
        {"[sensor s]\ntrips = 5\n", "2: [sensor s] trips:"},
        {"[sensor s]\nspeed = 0\n", "2: [sensor s] speed:"},
        {"[sensor s]\nintervals-ms = 10 10\n", "2: [sensor s] intervals-ms:"},
        {"[sensor s]\nfile = temp\n", "2: [sensor s] file: 'temp' is not the whole path"},
        {"[sensor s]\ntype=2\nvalue=1 2\ntrips=1\n[agent x]\n", "1: [sensor s]: trips are for"},
        {"[sensor s]\ntype=2\nmin=2\nmax=1\n[agent x]\n", "1: [sensor s]: min is higher"},
        {"[sensor s]\ntype=2\nmin=-2\n[agent x]\n", "1: [sensor s]: min and max: both"},
        {"[sensor s]\ntype=2\nmax=2\n[agent x]\n", "1: [sensor s]: min and max: both"},
        {"[sensor s]\ntype=2\nper-mhz=2\n[agent x]\n", "1: [sensor s]: per-mhz is for"},
        {"[sensor s]\ntype=2\nfile=/x\nvalue=1 2\n[agent x]\n", "1: [sensor s]: a sensor that is"},
        {"[agent x]\nclocks = a\n", "2: [agent x] clocks: 'a' is not clocks that are"},
        {"[clock a]\nrates=1\n[agent x]\nclocks = a a\n", "4: [agent x] clocks:"},
        {"[clock a]\nrates=1\n[clock b]\nrates=1\n[agent x]\nclocks = a a\n",
         "6: [agent x] clocks:"},
        {"[clock a]\nrates=1\n[agent x]\nclocks = a:write\n", "4: [agent x] clocks:"},
        {"[reset a]\n[agent x]\nresets = a a\n", "3: [agent x] resets:"},
        {"[reset a]\n[agent x]\nresets = b\n", "3: [agent x] resets:"},
        {"[sensor a]\ntype=2\n[agent x]\nsensors = a:read\n", "4: [agent x] sensors:"},
        {"[agent x]\ntrusted = 1\n", "2: [agent x] trusted:"},
        {"[agent x]\n[agent x]\n", "2: [agent x]: it is there twice"},
        {"[agent x]\nclocks\n", "2: neither [section] nor key = value"},
        {"[agent x\n", "1: neither [section] nor key = value"},
        {"[platform]\nsub-vendor = a b\n", "2: [platform] sub-vendor:"},
        {"[platform]\nsample-ms = 0\n", "2: [platform] sample-ms:"},
        {"[clock a]\nrates = 18446744074G\n", "2: [clock a] rates:"}, /* 2^64 and a little */
        {"[clock a]\nrates = 00000000000000000000000000000001000\n", "2: [clock a] rates:"},
        {"[agent x]\n\f[agent y]\ntrusted = 1\n", "3: [agent y] trusted:"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct anyhv_scmi_board *board = read_text(cases[i].text);

        if (board)
            fail_msg("case %u: accepts: %s", i, cases[i].text);
        if (strncmp(why, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("case %u: says '%s', not '%s'", i, why, cases[i].says);
    }
}

/* One of each more than there can be. */
static void too_many(void **state)
{
    static const struct {
        const char *section;
        unsigned most;
    } kinds[] = {{"[clock c%u]\nrates = 1\n", 32},
                 {"[sensor c%u]\ntype = 2\n", 32},
                 {"[reset c%u]\nlatency-us = 1\n", 32},
                 {"[agent c%u]\ntrusted = no\n", 8}};
    char text[2000], says[32];

    (void)state;
    for (unsigned k = 0; k < 4; k++) {
        int at = 0;

        for (unsigned i = 0; i <= kinds[k].most; i++) {
            char section[64];
            const char *number = strstr(kinds[k].section, "%u");

            snprintf(section, sizeof(section), "%.*s%u%s", (int)(number - kinds[k].section),
                     kinds[k].section, i, number + 2);
            at += snprintf(text + at, sizeof(text) - (size_t)at, "%s", section);
        }
        assert_null(read_text(text));
        snprintf(says, sizeof(says), "there can be %u ", kinds[k].most);
        assert_non_null(strstr(why, says));
    }
}

static void long_lines(void **state)
{
    char text[400];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "[agent a]\nclocks = ", 19);
    text[398] = '\n';
    text[399] = 0;
    assert_null(read_text(text));
    assert_non_null(strstr(why, "2: the line is longer than"));
}

/* ---- at work ---- */

static struct anyhv_scmi_board *started(struct anyhv_loop *loop, const char *text)
{
    struct anyhv_scmi_board *board = read_text(text);

    if (!board)
        fail_msg("%s", why);
    assert_int_equal(anyhv_scmi_board_start(board, loop), ANYHV_OK);
    return board;
}

/* A sensor that is a file: its number is read again and again, and its loss is noticed. */
static void sensor_file(void **state)
{
    char path[] = "/tmp/anyhv-scmi-XXXXXX", text[200];
    struct anyhv_loop *loop = anyhv_loop_new();
    int fd = mkstemp(path);
    struct anyhv_scmi_board *board;
    struct anyhv_scmi_sensor *sensor;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "41500\n", 6), 6);
    snprintf(text, sizeof(text),
             "[platform]\nsample-ms = 1\n[sensor t]\ntype = 2\nfile = %s\n[agent a]\nsensors = t\n",
             path);
    board = started(loop, text);
    sensor = &anyhv_scmi_board_platform(board)->sensors[0];
    assert_true(sensor->failed);
    while (sensor->failed)
        anyhv_loop_turn(loop, -1);
    assert_int_equal(sensor->value[0], 41500);
    assert_int_equal(pwrite(fd, "-7\n   ", 6, 0), 6);
    while (sensor->value[0] != -7 && !sensor->failed)
        anyhv_loop_turn(loop, -1);
    assert_int_equal(sensor->value[0], -7);
    anyhv_log_sink(keep_line, NULL);
    assert_int_equal(unlink(path), 0);
    while (!sensor->failed)
        anyhv_loop_turn(loop, -1);
    anyhv_log_sink(NULL, NULL);
    assert_non_null(strstr(logged, "sensor t: no number can be read from /tmp/anyhv-scmi-"));
    close(fd);
    anyhv_scmi_board_free(board);
    anyhv_loop_free(loop);
}

/* A program, up to its first guest: scmi with the platform of @text and one option, or NULL. */
struct program {
    char path[32];
    struct anyhv_loop *loop;
    void *options, *host;
};

static int open_program(struct program *p, const char *text, const char *option)
{
    const struct anyhv_class *cls = &anyhv_scmi_class;
    char platform[64], name[] = "test", *argv[] = {name, platform, (char *)(uintptr_t)option, NULL};
    int fd;

    strcpy(p->path, "/tmp/anyhv-scmi-XXXXXX");
    fd = mkstemp(p->path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    snprintf(platform, sizeof(platform), "--platform=%s", p->path);
    p->loop = anyhv_loop_new();
    p->options = calloc(1, cls->options_size);
    assert_int_equal(argp_parse(cls->args, option ? 3 : 2, argv, 0, NULL, p->options), 0);
    logged[0] = 0;
    return cls->open(p->loop, p->options, &p->host);
}

static void close_program(struct program *p, bool opened)
{
    if (opened)
        anyhv_scmi_class.close(p->host);
    free(p->options);
    unlink(p->path);
    anyhv_loop_free(p->loop);
}

/* Guests are agents in the order of the file, or the one that was named; none is two guests. */
static void agents_of_guests(void **state)
{
    static const char *const options[] = {"--agents-by-arrival", "--agent=two"};
    const struct anyhv_class *cls = &anyhv_scmi_class;

    (void)state;
    anyhv_log_sink(keep_line, NULL);
    for (unsigned named = 0; named < 2; named++) {
        struct anyhv_scmi guest[3] = {0};
        struct program p;

        assert_int_equal(open_program(&p, whole, options[named]), ANYHV_OK);
        if (!named)
            assert_non_null(strstr(logged, "whoever comes first is the first that is free of the "
                                           "agents one, two"));
        assert_int_equal(cls->create(p.host, NULL, &guest[0]), ANYHV_OK);
        assert_string_equal(guest[0].agent->name, named ? "two" : "one");
        assert_non_null(strstr(logged, named ? "agent two" : "agent one, which is trusted"));
        if (!named) {
            assert_int_equal(cls->create(p.host, NULL, &guest[1]), ANYHV_OK);
            assert_string_equal(guest[1].agent->name, "two");
        }
        assert_int_equal(cls->create(p.host, NULL, &guest[2]), ANYHV_E_NORES);
        cls->destroy(p.host, &guest[0]);
        assert_int_equal(cls->create(p.host, NULL, &guest[0]), ANYHV_OK);
        cls->destroy(p.host, &guest[0]);
        if (!named)
            cls->destroy(p.host, &guest[1]);
        close_program(&p, true);
    }
    anyhv_log_sink(NULL, NULL);
}

/* Nobody becomes one agent of several by coming first, unless the operator wants it so. */
static void agent_has_to_be_said(void **state)
{
    struct anyhv_scmi guest = {0};
    struct program p;

    (void)state;
    anyhv_log_sink(keep_line, NULL);
    assert_int_equal(open_program(&p, whole, NULL), ANYHV_E_INVAL);
    assert_non_null(strstr(logged, "has several agents; say which one the guest is, --agent=NAME: "
                                   "one, two; or --agents-by-arrival"));
    close_program(&p, false);
    assert_int_equal(open_program(&p, whole, "--agent=three"), ANYHV_E_INVAL);
    assert_non_null(strstr(logged, "there is no [agent three], only one, two"));
    close_program(&p, false);
    assert_int_equal(open_program(&p, "[agent alone]\n", NULL), ANYHV_OK);
    assert_int_equal(anyhv_scmi_class.create(p.host, NULL, &guest), ANYHV_OK);
    assert_string_equal(guest.agent->name, "alone");
    anyhv_scmi_class.destroy(p.host, &guest);
    close_program(&p, true);
    anyhv_log_sink(NULL, NULL);
}

/* A path that is wrong from the beginning is said, once. */
static void sensor_file_that_never_was(void **state)
{
    struct anyhv_loop *loop = anyhv_loop_new();
    struct anyhv_scmi_board *board;

    (void)state;
    logged[0] = 0;
    anyhv_log_sink(keep_line, NULL);
    board = started(loop, "[platform]\nsample-ms = 1\n[sensor t]\ntype = 2\n"
                          "file = /tmp/anyhv-scmi-never\n[agent a]\n");
    for (unsigned turns = 0; turns < 20 && !logged[0]; turns++)
        anyhv_loop_turn(loop, -1);
    assert_non_null(strstr(logged, "sensor t: no number can be read from /tmp/anyhv-scmi-never"));
    logged[0] = 0;
    for (unsigned turns = 0; turns < 20; turns++)
        anyhv_loop_turn(loop, -1);
    assert_int_equal(logged[0], 0);
    anyhv_log_sink(NULL, NULL);
    anyhv_scmi_board_free(board);
    anyhv_loop_free(loop);
}

/* ---- a sysfs of the test's ---- */

static char sysfs[] = "/tmp/anyhv-sysfs-XXXXXX";

static void sysfs_file(const char *name, const char *text)
{
    char path[64];
    FILE *stream;

    snprintf(path, sizeof(path), "%s/%s", sysfs, name);
    stream = fopen(path, "we");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

/* What hwmon says is taken as it is; IIO's raw values are made values of the sensor's unit and
 * scale. */
static void sensors_of_sysfs(void **state)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"temp1_input", "41500\n"},     {"in_temp_raw", "1024\n"},
        {"in_temp_offset", "-274.5\n"}, {"in_temp_scale", "31.25\n"},
        {"in_voltage3_raw", "-2000\n"}, {"in_voltage_scale", "0.805664062\n"},
        {"in_accel_x_raw", "-1000\n"},  {"in_accel_scale", "0.009582\n"},
        {"in_accel_x_offset", "0\n"},   {"in_current0_raw", "7\n"},
    };
    static const struct {
        const char *type, *scale, *file;
        int64_t value;
    } sensors[] = {
        {"temperature", "-3", "temp1_input", 41500},
        {"temperature", "-3", "in_temp_raw", 23422}, /* 749.5 * 31.25, in thousandths */
        {"temperature", "0", "in_temp_raw", 23},
        {"voltage", "-6", "in_voltage3_raw", -1611328},
        {"acceleration", "-3", "in_accel_x_raw", -9582}, /* of m/s^2, which IIO does not divide */
        {"current", "-3", "in_current0_raw", 7},
    };
    enum {
        SENSORS = sizeof(sensors) / sizeof(sensors[0])
    };
    struct anyhv_loop *loop = anyhv_loop_new();
    struct anyhv_scmi_board *board;
    char text[2000] = "[platform]\nsample-ms = 1\n";

    (void)state;
    assert_non_null(mkdtemp(sysfs));
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        sysfs_file(files[i].name, files[i].text);
    for (unsigned i = 0; i < SENSORS; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "[sensor s%u]\ntype = %s\nscale = %s\nfile = %s/%s\n", i, sensors[i].type,
                 sensors[i].scale, sysfs, sensors[i].file);
    strcat(text, "[agent a]\n");
    board = started(loop, text);
    for (unsigned i = 0; i < SENSORS; i++) {
        const struct anyhv_scmi_sensor *sensor = &anyhv_scmi_board_platform(board)->sensors[i];

        while (sensor->failed)
            anyhv_loop_turn(loop, -1);
        if (sensor->value[0] != sensors[i].value)
            fail_msg("sensor %u is %lld", i, (long long)sensor->value[0]);
    }
    sysfs_file("in_temp_raw", "1e300\n"); /* a number, but no value */
    anyhv_log_sink(keep_line, NULL);
    while (!anyhv_scmi_board_platform(board)->sensors[1].failed)
        anyhv_loop_turn(loop, -1);
    anyhv_log_sink(NULL, NULL);
    assert_non_null(strstr(logged, "no number can be read from"));
    anyhv_scmi_board_free(board);
    anyhv_loop_free(loop);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64];

        snprintf(path, sizeof(path), "%s/%s", sysfs, files[i].name);
        unlink(path);
    }
    rmdir(sysfs);
}

/* ---- a file that hangs ---- */

static pthread_t loop_thread;
static int gate = -1,
           entered = -1; /* eventfds: who reads a character device, beside the loop, waits there */

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
    struct pollfd at_the_gate = {.fd = gate, .events = POLLIN};
    struct stat st;

    if (gate >= 0 && !pthread_equal(pthread_self(), loop_thread) && fstat(fd, &st) == 0 &&
        S_ISCHR(st.st_mode)) {
        eventfd_write(entered, 1);
        poll(&at_the_gate, 1, 20000);
    }
    return __real_read(fd, buf, len);
}

/* @path is there all the time. */
static void point_to(const char *file, const char *path)
{
    char aside[64];

    snprintf(aside, sizeof(aside), "%s-new", path);
    assert_int_equal(symlink(file, aside), 0);
    assert_int_equal(rename(aside, path), 0);
}

/*
 * What was read before does not count for ever: after two seconds the sensor has no value, until
 * there is one again. Others go on.
 */
static void a_file_hangs(void **state)
{
    char good[] = "/tmp/anyhv-scmi-XXXXXX", bad[] = "/tmp/anyhv-scmi-XXXXXX", text[300];
    struct anyhv_loop *loop = anyhv_loop_new();
    struct anyhv_scmi_sensor *sensor;
    struct anyhv_scmi_board *board;
    uint64_t before, passed;
    int fd = mkstemp(good), other = mkstemp(bad);

    (void)state;
    assert_true(fd >= 0 && other >= 0);
    assert_int_equal(write(fd, "1\n", 2), 2);
    assert_int_equal(write(other, "7\n", 2), 2);
    loop_thread = pthread_self();
    entered = eventfd(0, EFD_CLOEXEC);
    gate = eventfd(0, EFD_CLOEXEC);
    snprintf(text, sizeof(text),
             "[platform]\nsample-ms = 1\n[sensor t]\ntype = 2\nfile = %s\n"
             "[sensor u]\ntype = 2\nfile = %s\n[agent a]\n",
             bad, good);
    board = started(loop, text);
    sensor = anyhv_scmi_board_platform(board)->sensors;
    while (sensor[0].failed || sensor[1].failed)
        anyhv_loop_turn(loop, -1);
    anyhv_log_sink(keep_line, NULL);
    before = anyhv_loop_now(loop);
    point_to("/dev/zero", bad);
    while (!strstr(logged, "sensor t: no end of reading /tmp/"))
        anyhv_loop_turn(loop, -1);
    passed = anyhv_loop_now(loop) - before;
    assert_true(passed >= UINT64_C(1900000000) && passed < UINT64_C(15000000000));
    assert_true(sensor[0].failed);
    assert_int_equal(pwrite(fd, "2\n", 2, 0), 2);
    while (sensor[1].value[0] != 2)
        anyhv_loop_turn(loop, -1);
    assert_false(sensor[1].failed);

    point_to(good, bad);
    eventfd_write(gate, 1);
    while (sensor[0].failed)
        anyhv_loop_turn(loop, -1);
    assert_int_equal(sensor[0].value[0], 2);
    anyhv_log_sink(NULL, NULL);
    anyhv_scmi_board_free(board);
    anyhv_loop_free(loop);
    close(gate);
    close(entered);
    gate = entered = -1;
    close(fd);
    close(other);
    unlink(good);
    unlink(bad);
}

/* Nobody can free it, and a leak checker need not know. */
static struct anyhv_scmi_board *volatile left;

/* The program ends although the file does not. */
static void the_end_while_a_file_hangs(void **state)
{
    struct anyhv_loop *loop = anyhv_loop_new();
    eventfd_t value;

    (void)state;
    loop_thread = pthread_self();
    entered = eventfd(0, EFD_CLOEXEC);
    gate = eventfd(0, EFD_CLOEXEC);
    anyhv_log_sink(keep_line, NULL);
    left = started(loop, "[sensor t]\ntype = 2\nfile = /dev/zero\n[agent a]\n");
    assert_int_equal(eventfd_read(entered, &value), 0);
    anyhv_scmi_board_free(left);
    assert_non_null(strstr(logged, "left while the reading of /dev/zero hangs"));
    anyhv_log_sink(NULL, NULL);
    eventfd_write(gate, 1); /* the thread ends */
    anyhv_loop_free(loop);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(everything),
    cmocka_unit_test(wrong_files),
    cmocka_unit_test(too_many),
    cmocka_unit_test(long_lines),
    cmocka_unit_test(sensor_file),
    cmocka_unit_test(agents_of_guests),
    cmocka_unit_test(agent_has_to_be_said),
    cmocka_unit_test(sensor_file_that_never_was),
    cmocka_unit_test(sensors_of_sysfs),
    cmocka_unit_test(a_file_hangs),
    cmocka_unit_test(the_end_while_a_file_hangs),
};

ANYHV_TEST_MAIN("scmi-host", tests)

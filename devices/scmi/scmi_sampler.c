/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sensors that are files of this machine with a number in them, as hwmon and IIO have them in
 * sysfs. Reading one may wait for a bus, and for ever for one that is stuck, so each has a thread.
 */
#include "scmi_board.h"

#include <anyhv/linux/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS   UINT64_C(1000000)
#define READ_MS     2000 /* then what was read before does not count any more */
#define END_WAIT_MS 1000 /* for a file that is being read when the program ends */

static bool read_number(const char *path, double *value)
{
    char text[32], *end;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    *value = strtod(text, &end);
    return end != text && (!*end || *end == '\n') && *value > -1e18 && *value < 1e18;
}

/* ---- IIO: beside in_temp_raw there are in_temp_offset and in_temp_scale ---- */

static bool is_raw(const char *path)
{
    size_t len = strlen(path);

    return len > 4 && strcmp(path + len - 4, "_raw") == 0;
}

/* What stands beside @raw under its name with @what at the end, or that of its kind. */
static double beside(const char *raw, const char *what, double otherwise)
{
    char path[BOARD_PATH + 8];
    int len = (int)strlen(raw) - 4;
    double value;

    snprintf(path, sizeof(path), "%.*s%s", len, raw, what);
    if (read_number(path, &value))
        return value;
    if (len > 2 && raw[len - 2] == '_') /* in_accel_x */
        len -= 2;
    while (len && raw[len - 1] >= '0' && raw[len - 1] <= '9') /* in_voltage0 */
        len--;
    snprintf(path, sizeof(path), "%.*s%s", len, raw, what);
    return read_number(path, &value) ? value : otherwise;
}

/* In units of the sensor. IIO has millivolts, milliamperes, milliwatts, thousandths of degrees. */
static double from_iio(const char *path, double raw, const struct anyhv_scmi_sensor *sensor)
{
    static const uint8_t milli[] = {2, 5, 6, 7};
    int power = -sensor->scale - (memchr(milli, sensor->type, sizeof(milli)) ? 3 : 0);
    double value = (raw + beside(path, "_offset", 0)) * beside(path, "_scale", 1);

    for (; power > 0; power--)
        value *= 10;
    for (; power < 0; power++)
        value /= 10;
    return value;
}

/* ---- sensors ---- */

/* What the thread knows of a sensor does not change. */
static bool read_sensor(const char *path, const struct anyhv_scmi_sensor *sensor, int64_t *value)
{
    double n;

    if (!read_number(path, &n))
        return false;
    if (is_raw(path))
        n = from_iio(path, n, sensor);
    *value = n > -1e18 && n < 1e18 ? (int64_t)(n + (n < 0 ? -0.5 : 0.5)) : 0;
    return n > -1e18 && n < 1e18;
}

/* On the worker's thread: value and ok are its own until this returns. */
static void sample(struct anyhv_job *job)
{
    struct board_sampler *s = job->priv;

    s->ok = read_sensor(s->path, s->sensor, &s->value);
}

/* Said once, until there is a value again. */
static void lose(struct board_sampler *s, const char *why)
{
    if (!s->lost)
        anyhv_log(ANYHV_LOG_ERROR, "scmi.sensor", "sensor %s: %s %s", s->sensor->resource.name, why,
                  s->path);
    s->lost = true;
    anyhv_scmi_sensor_set(&s->board->platform, s->sensor, NULL);
}

static void sampled(struct anyhv_job *job, bool ran)
{
    struct board_sampler *s = job->priv;

    if (!ran)
        return;
    s->reading = false;
    anyhv_timer_set(s->board->loop, &s->timer, s->board->platform.sample_ms * NS_PER_MS);
    if (!s->ok) {
        lose(s, "no number can be read from");
        return;
    }
    s->lost = false;
    anyhv_scmi_sensor_set(&s->board->platform, s->sensor, &s->value);
}

static void begin(struct board_sampler *s)
{
    s->reading = true;
    anyhv_timer_set(s->board->loop, &s->timer, READ_MS * NS_PER_MS);
    anyhv_worker_submit(s->worker, &s->job);
}

/* A reading that takes so long may still end well: then the sensor is back. */
static void due(struct anyhv_timer *timer)
{
    struct board_sampler *s = timer->priv;

    if (s->reading)
        lose(s, "no end of reading");
    else
        begin(s);
}

static int start(struct anyhv_scmi_board *board, unsigned i)
{
    struct board_sampler *s = &board->sampler[board->nsamplers];

    *s = (struct board_sampler){.board = board,
                                .sensor = &board->sensor[i],
                                .path = board->own_sensor[i].path,
                                .worker = anyhv_worker_new(board->loop, "scmi-sensor"),
                                .job = {.work = sample, .done = sampled, .priv = s},
                                .timer = {.fire = due, .priv = s}};
    if (!s->worker) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.sensor", "no thread for sensor %s: %s",
                  s->sensor->resource.name, strerror(errno));
        return ANYHV_E_IO;
    }
    board->nsamplers++;
    begin(s);
    return ANYHV_OK;
}

int anyhv_scmi_sampler_start(struct anyhv_scmi_board *board)
{
    int rc = ANYHV_OK;

    for (unsigned i = 0; i < board->platform.nsensors && !rc; i++) {
        if (board->sensor[i].external)
            rc = start(board, i);
    }
    return rc;
}

/* One wait for all: after a file that hangs nothing is gained by patience with others. */
bool anyhv_scmi_sampler_stop(struct anyhv_scmi_board *board)
{
    bool ended = true;

    for (unsigned i = 0; i < board->nsamplers; i++) {
        struct board_sampler *s = &board->sampler[i];

        if (!anyhv_worker_abandon(s->worker, ended ? END_WAIT_MS : 0)) {
            anyhv_log(ANYHV_LOG_WARNING, "scmi.sensor", "left while the reading of %s hangs",
                      s->path);
            ended = false;
        }
        anyhv_timer_cancel(&s->timer);
    }
    return ended;
}

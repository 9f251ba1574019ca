/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sensors that are files of this machine with a number in them, as hwmon and IIO have them in
 * sysfs. Reading one may wait for a bus, so a thread does it, once a period for all of them.
 */
#include "scmi_board.h"

#include <anyhv/linux/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS   UINT64_C(1000000)
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

/* On the worker's thread: the sampler is its own until this returns. */
static void sample(struct anyhv_job *job)
{
    const struct anyhv_scmi_board *board = job->priv;
    struct board_sampler *s = &((struct anyhv_scmi_board *)job->priv)->sampler;

    for (unsigned i = 0; i < s->n; i++)
        s->ok[i] = read_sensor(s->path[i], &board->sensor[s->sensor[i]], &s->value[i]);
}

static void sampled(struct anyhv_job *job, bool ran)
{
    struct anyhv_scmi_board *board = job->priv;
    struct board_sampler *s = &board->sampler;

    for (unsigned i = 0; i < s->n && ran; i++) {
        struct anyhv_scmi_sensor *sensor = &board->sensor[s->sensor[i]];

        if (!s->ok[i] && !s->lost[i])
            anyhv_log(ANYHV_LOG_ERROR, "scmi.sensor", "sensor %s: no number can be read from %s",
                      sensor->resource.name, s->path[i]);
        s->lost[i] = !s->ok[i];
        anyhv_scmi_sensor_set(&board->platform, sensor, s->ok[i] ? &s->value[i] : NULL);
    }
    if (ran)
        anyhv_timer_set(board->loop, &s->timer, board->platform.sample_ms * NS_PER_MS);
}

static void again(struct anyhv_timer *timer)
{
    struct anyhv_scmi_board *board = timer->priv;

    anyhv_worker_submit(board->sampler.worker, &board->sampler.job);
}

int anyhv_scmi_sampler_start(struct anyhv_scmi_board *board)
{
    struct board_sampler *s = &board->sampler;

    for (unsigned i = 0; i < board->platform.nsensors; i++) {
        if (!board->sensor[i].external)
            continue;
        s->sensor[s->n] = (uint8_t)i;
        s->path[s->n++] = board->own_sensor[i].path;
    }
    if (!s->n)
        return ANYHV_OK;
    s->worker = anyhv_worker_new(board->loop, "scmi-sensors");
    if (!s->worker) {
        anyhv_log(ANYHV_LOG_ERROR, "scmi.sensor", "no thread for sensors: %s", strerror(errno));
        return ANYHV_E_IO;
    }
    s->timer = (struct anyhv_timer){.fire = again, .priv = board};
    s->job = (struct anyhv_job){.work = sample, .done = sampled, .priv = board};
    anyhv_worker_submit(s->worker, &s->job);
    return ANYHV_OK;
}

bool anyhv_scmi_sampler_stop(struct anyhv_scmi_board *board)
{
    bool ended = !board->sampler.worker || anyhv_worker_abandon(board->sampler.worker, END_WAIT_MS);

    if (!ended)
        anyhv_log(ANYHV_LOG_WARNING, "scmi.sensor", "left while the reading of a file hangs");
    anyhv_timer_cancel(&board->sampler.timer);
    return ended;
}

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

static bool read_number(const char *path, int64_t *value)
{
    char text[32], *end;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return !errno && end != text && (!*end || *end == '\n');
}

/* On the worker's thread: the sampler is its own until this returns. */
static void sample(struct anyhv_job *job)
{
    struct board_sampler *s = &((struct anyhv_scmi_board *)job->priv)->sampler;

    for (unsigned i = 0; i < s->n; i++)
        s->ok[i] = read_number(s->path[i], &s->value[i]);
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

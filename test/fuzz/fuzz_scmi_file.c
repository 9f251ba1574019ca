/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform file: any bytes. What is read without complaint is a platform that can be used; what
 * is not comes with a line and a reason.
 */
#include "fuzz/fuzz.h"

#include <anyhv/devices/scmi_host.h>
#include <string.h>

static void use_clock(const struct anyhv_scmi_clock *clock)
{
    fuzz_assert(clock->nrates >= 1 && clock->rate >= clock->rates[0]);
    fuzz_assert(!clock->range || (clock->nrates == 3 && clock->rates[2] >= 1));
    for (unsigned i = 1; i < clock->nrates && !clock->range; i++)
        fuzz_assert(clock->rates[i] > clock->rates[i - 1]);
    fuzz_assert(strlen(clock->resource.name) < ANYHV_SCMI_NAME);
}

static void use_sensor(const struct anyhv_scmi_sensor *sensor)
{
    fuzz_assert(sensor->type && sensor->axes <= ANYHV_SCMI_AXES && sensor->axes != 1);
    fuzz_assert(sensor->trips <= ANYHV_SCMI_TRIPS && !(sensor->axes && sensor->trips));
    for (unsigned i = 0; i < sensor->nintervals; i++)
        fuzz_use((uint8_t)sensor->intervals_ms[i]);
}

static void use_agent(const struct anyhv_scmi_agent *agent)
{
    for (unsigned i = 0; i < agent->nclocks; i++)
        fuzz_assert(agent->clocks[i].grant.resource != NULL);
    for (unsigned i = 0; i < agent->nsensors; i++)
        fuzz_assert(agent->sensors[i].grant.resource != NULL);
    for (unsigned i = 0; i < agent->nresets; i++)
        fuzz_assert(agent->resets[i].grant.resource != NULL);
}

static void use(struct anyhv_scmi_board *board)
{
    struct anyhv_scmi_platform *p = anyhv_scmi_board_platform(board);

    fuzz_assert(p->nagents >= 1 && p->sample_ms >= 1);
    for (unsigned i = 0; i < p->nclocks; i++)
        use_clock(&p->clocks[i]);
    for (unsigned i = 0; i < p->nsensors; i++)
        use_sensor(&p->sensors[i]);
    for (unsigned i = 0; i < p->nagents; i++)
        use_agent(&p->agents[i]);
    anyhv_scmi_board_free(board);
}

void fuzz_one(struct fuzz_input *in)
{
    uint8_t *text = fuzz_alloc(in->left + 1);
    char why[ANYHV_SCMI_WHY];
    struct anyhv_scmi_board *board;
    FILE *stream;

    memcpy(text, in->at, in->left);
    stream = fmemopen(text, in->left + 1, "r"); /* a 0 at the end, at least */
    fuzz_assert(stream != NULL);
    memset(why, 0xff, sizeof(why));
    board = anyhv_scmi_board_read(stream, why);
    fclose(stream);
    if (board)
        use(board);
    else
        fuzz_assert(memchr(why, 0, sizeof(why)) != NULL && why[0] >= '0' && why[0] <= '9');
    free(text);
}

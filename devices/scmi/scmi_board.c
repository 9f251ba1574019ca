/* SPDX-License-Identifier: Apache-2.0 */
/* A platform at work: its time is the loop's, and the operator hears what happens. */
#include "scmi_board.h"

#include <anyhv/linux/log.h>
#include <inttypes.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

#ifdef ANYHV_SCMI_GPIOD
const struct board_lines *const anyhv_scmi_lines = &anyhv_scmi_gpiod;
#else
const struct board_lines *const anyhv_scmi_lines = NULL;
#endif

static struct anyhv_scmi_board *of(struct anyhv_scmi_platform *platform)
{
    return (void *)platform;
}

/* Before it runs, nothing happens: it is always the same time. */
static uint64_t board_now(struct anyhv_scmi_platform *platform)
{
    struct anyhv_scmi_board *board = of(platform);

    return board->loop ? anyhv_loop_now(board->loop) / NS_PER_MS : 0;
}

static void board_wake(struct anyhv_scmi_platform *platform, uint64_t at)
{
    struct anyhv_scmi_board *board = of(platform);
    uint64_t now = board_now(platform);

    if (at == ANYHV_SCMI_NEVER)
        anyhv_timer_cancel(&board->timer);
    else
        anyhv_timer_set(board->loop, &board->timer, at > now ? (at - now) * NS_PER_MS : 0);
}

static void board_refused(struct anyhv_scmi_platform *platform,
                          const struct anyhv_scmi_agent *agent, unsigned protocol, unsigned message,
                          uint32_t number)
{
    (void)platform;
    anyhv_log(ANYHV_LOG_WARNING, "scmi.refused",
              "agent %s may not send message 0x%x of protocol 0x%x for resource %" PRIu32,
              agent->name, message, protocol, number);
}

static bool board_set_clock(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                            uint64_t rate, bool on, uint32_t by)
{
    anyhv_log(ANYHV_LOG_INFO, "scmi.clock", "clock %s: %" PRIu64 " Hz, %s, by agent %s",
              clock->resource.name, rate, on ? "on" : "off", platform->agents[by - 1].name);
    return true;
}

static bool board_reset_line(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset,
                             bool asserted)
{
    struct board_line *line = &of(platform)->line[reset - platform->resets];

    if (line->host && !anyhv_scmi_lines->set(line, reset->resource.name, asserted))
        return false;
    anyhv_log(ANYHV_LOG_INFO, "scmi.reset", "reset %s: %s", reset->resource.name,
              asserted ? "asserted" : "deasserted");
    return true;
}

const struct anyhv_scmi_platform_ops anyhv_scmi_board_ops = {
    .now = board_now,
    .wake = board_wake,
    .refused = board_refused,
    .set_clock = board_set_clock,
    .reset_line = board_reset_line,
};

static void due(struct anyhv_timer *timer)
{
    anyhv_scmi_tick(timer->priv);
}

static void release_lines(struct anyhv_scmi_board *board)
{
    for (unsigned i = 0; i < board->platform.nresets; i++) {
        if (board->line[i].host)
            anyhv_scmi_lines->stop(&board->line[i]);
    }
}

static int take_lines(struct anyhv_scmi_board *board)
{
    for (unsigned i = 0; i < board->platform.nresets; i++) {
        struct board_line *line = &board->line[i];
        int rc = line->chip[0] ? anyhv_scmi_lines->start(line, board->reset[i].resource.name) : 0;

        if (rc)
            return rc;
    }
    return ANYHV_OK;
}

int anyhv_scmi_board_start(struct anyhv_scmi_board *board, struct anyhv_loop *loop)
{
    int rc = take_lines(board);

    if (rc)
        return rc;
    board->loop = loop;
    board->timer = (struct anyhv_timer){.fire = due, .priv = &board->platform};
    rc = anyhv_scmi_platform_init(&board->platform); /* from now on there is time */
    return rc ? rc : anyhv_scmi_sampler_start(board);
}

void anyhv_scmi_board_free(struct anyhv_scmi_board *board)
{
    bool ended = true;

    if (board->loop) {
        ended = anyhv_scmi_sampler_stop(board);
        anyhv_timer_cancel(&board->timer);
    }
    release_lines(board);
    if (ended)
        free(board);
}

struct anyhv_scmi_platform *anyhv_scmi_board_platform(struct anyhv_scmi_board *board)
{
    return &board->platform;
}

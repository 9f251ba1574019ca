/* SPDX-License-Identifier: Apache-2.0 */
/* A rate limit around any source: a quota per period, and a timer instead of a sleep. */
#include <anyhv/devices/rng_host.h>

#define NS_PER_MS UINT64_C(1000000)

static int limit_read(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct anyhv_rng_limit *limit = (void *)source;
    uint64_t now = anyhv_loop_now(limit->loop), elapsed = now - limit->started;
    int n;

    if (elapsed >= limit->period_ns) {
        limit->started = now;
        limit->passed = 0;
        elapsed = 0;
    }
    if (limit->passed == limit->max_bytes) {
        anyhv_timer_set(limit->loop, &limit->timer, limit->period_ns - elapsed);
        return 0;
    }
    if (len > limit->max_bytes - limit->passed)
        len = limit->max_bytes - limit->passed;
    n = limit->inner->read(limit->inner, buf, len);
    if (n > 0)
        limit->passed += (uint32_t)n;
    return n;
}

static void next_period(struct anyhv_timer *timer)
{
    struct anyhv_rng_limit *limit = timer->priv;

    anyhv_rng_ready(&limit->source);
}

void anyhv_rng_limit_init(struct anyhv_rng_limit *limit, struct anyhv_loop *loop,
                          struct anyhv_rng_source *inner, uint32_t max_bytes, uint32_t period_ms)
{
    *limit = (struct anyhv_rng_limit){
        .source = {.read = limit_read},
        .inner = inner,
        .loop = loop,
        .timer = {.fire = next_period, .priv = limit},
        .period_ns = period_ms * NS_PER_MS,
        .started = anyhv_loop_now(loop),
        .max_bytes = max_bytes,
    };
    inner->outer = &limit->source;
}

void anyhv_rng_limit_fini(struct anyhv_rng_limit *limit)
{
    anyhv_timer_cancel(&limit->timer);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the caller fills in is looked at once, before a guest's message can make the model count or
 * divide by it. The header says the same bounds. Freestanding.
 */
#include "scmi_protocol.h"

struct bound {
    uint16_t offset;
    uint8_t size;
    int64_t min, max; /* min below 0: a signed member */
};

#define MEMBER(type, member, low, high)                                                 \
    {                                                                                   \
        offsetof(struct type, member), sizeof(((struct type *)NULL)->member), low, high \
    }
#define END       \
    {             \
        .size = 0 \
    }
#define RATE_MAX INT64_C(1000000000000)
#define VALUE    INT64_C(1000000000000)

static const struct bound platform_bounds[] = {
    MEMBER(anyhv_scmi_platform, nagents, 1, 255), /* eight bits of the base protocol */
    MEMBER(anyhv_scmi_platform, sample_ms, 1, UINT32_MAX),
    END,
};

static const struct bound clock_bounds[] = {
    MEMBER(anyhv_scmi_clock, nrates, 1, UINT16_MAX),
    MEMBER(anyhv_scmi_clock, rate, 1, RATE_MAX),
    END,
};

static const struct bound sensor_bounds[] = {
    MEMBER(anyhv_scmi_sensor, scale, -16, 15), /* five bits with a sign */
    MEMBER(anyhv_scmi_sensor, axes, 0, ANYHV_SCMI_AXES),
    MEMBER(anyhv_scmi_sensor, trips, 0, ANYHV_SCMI_TRIPS),
    MEMBER(anyhv_scmi_sensor, base[0], -VALUE, VALUE), /* the other axes only stay */
    MEMBER(anyhv_scmi_sensor, per_mhz, -VALUE, VALUE), /* at 10^6 MHz: below 2^63 */
    MEMBER(anyhv_scmi_sensor, speed, 0, VALUE),
    END,
};

static const struct bound no_bounds[] = {END};

/* ---- members ---- */

static int64_t value_of(const void *element, const struct bound *b)
{
    const char *at = (const char *)element + b->offset;

    switch (b->size) {
    case 1:
        return b->min < 0 ? *(const int8_t *)at : *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)(const void *)at;
    case 4:
        return *(const uint32_t *)(const void *)at;
    default:
        return *(const int64_t *)(const void *)at; /* above 2^63 is below every bound */
    }
}

static bool within(const void *element, const struct bound *bounds)
{
    bool ok = true;

    for (; bounds->size; bounds++) {
        int64_t value = value_of(element, bounds);

        ok &= value >= bounds->min && value <= bounds->max;
    }
    return ok;
}

static bool is_name(const char *name)
{
    unsigned len = 0;

    while (name && len < ANYHV_SCMI_NAME && name[len])
        len++;
    return len && len < ANYHV_SCMI_NAME;
}

/* ---- elements ---- */

/* Ascending, and the rate at first is one of them. */
static bool good_list(const struct anyhv_scmi_clock *clock)
{
    bool among = false;

    for (unsigned i = 0; i < clock->nrates; i++) {
        if (!clock->rates[i] || clock->rates[i] > RATE_MAX ||
            (i && clock->rates[i] <= clock->rates[i - 1]))
            return false;
        among |= clock->rates[i] == clock->rate;
    }
    return among;
}

static bool good_range(const struct anyhv_scmi_clock *clock)
{
    const uint64_t *range = clock->rates;

    return clock->nrates == 3 && range[0] && range[0] <= clock->rate && clock->rate <= range[1] &&
           range[1] <= RATE_MAX && range[2] && range[2] <= RATE_MAX;
}

static bool good_clock(const struct anyhv_scmi_platform *platform, const void *element)
{
    const struct anyhv_scmi_clock *clock = element;

    (void)platform;
    return clock->rates && (clock->range ? good_range(clock) : good_list(clock));
}

static bool good_intervals(const struct anyhv_scmi_sensor *sensor)
{
    for (unsigned i = 0; i < sensor->nintervals; i++) {
        if (!sensor->intervals_ms || !sensor->intervals_ms[i] ||
            (i && sensor->intervals_ms[i] <= sensor->intervals_ms[i - 1]))
            return false;
    }
    return true;
}

/* @one is an element of the @n of @size bytes that begin with @first. */
static bool is_among(const void *one, const void *first, unsigned n, size_t size)
{
    for (unsigned i = 0; i < n; i++) {
        if (one == (const char *)first + i * size)
            return true;
    }
    return false;
}

static bool good_sensor(const struct anyhv_scmi_platform *platform, const void *element)
{
    const struct anyhv_scmi_sensor *sensor = element;

    return good_intervals(sensor) && (!sensor->bounded || sensor->min <= sensor->max) &&
           (!sensor->follows || is_among(sensor->follows, platform->clocks, platform->nclocks,
                                         sizeof(*platform->clocks)));
}

static bool good_reset(const struct anyhv_scmi_platform *platform, const void *element)
{
    (void)platform;
    (void)element;
    return true;
}

/* An array of the platform. All clocks, sensors and resets begin with a resource. */
struct kind {
    const void *first;
    unsigned n;
    size_t size;
    const struct bound *bounds;
    bool (*good)(const struct anyhv_scmi_platform *platform, const void *element);
};

static bool good_kind(const struct anyhv_scmi_platform *platform, const struct kind *kind)
{
    if (kind->n && !kind->first)
        return false;
    for (unsigned i = 0; i < kind->n; i++) {
        const void *element = (const char *)kind->first + i * kind->size;
        const struct anyhv_scmi_resource *resource = element;

        if (!is_name(resource->name) || !within(element, kind->bounds) ||
            !kind->good(platform, element))
            return false;
    }
    return true;
}

/* Each of @n entries of @size bytes is of a resource of this kind. */
static bool good_grants(const void *entries, unsigned n, size_t size, const struct kind *kind)
{
    if (n && !entries)
        return false;
    for (unsigned i = 0; i < n; i++) {
        const struct anyhv_scmi_grant *grant = (const void *)((const char *)entries + i * size);

        if (!is_among(grant->resource, kind->first, kind->n, kind->size))
            return false;
    }
    return true;
}

bool anyhv_scmi_within_bounds(const struct anyhv_scmi_platform *p)
{
    const struct kind clocks = {p->clocks, p->nclocks, sizeof(*p->clocks), clock_bounds,
                                good_clock},
                      sensors = {p->sensors, p->nsensors, sizeof(*p->sensors), sensor_bounds,
                                 good_sensor},
                      resets = {p->resets, p->nresets, sizeof(*p->resets), no_bounds, good_reset};

    if (!within(p, platform_bounds) || !p->agents || !is_name(p->sub_vendor) ||
        !good_kind(p, &clocks) || !good_kind(p, &sensors) || !good_kind(p, &resets))
        return false;
    for (unsigned i = 0; i < p->nagents; i++) {
        const struct anyhv_scmi_agent *a = &p->agents[i];

        if (!is_name(a->name) || !good_grants(a->clocks, a->nclocks, sizeof(*a->clocks), &clocks) ||
            !good_grants(a->sensors, a->nsensors, sizeof(*a->sensors), &sensors) ||
            !good_grants(a->resets, a->nresets, sizeof(*a->resets), &resets))
            return false;
    }
    return true;
}

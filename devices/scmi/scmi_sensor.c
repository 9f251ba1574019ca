/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor protocol: descriptions, readings, trip points and updates, and the simulation of a
 * value that follows a clock. DEN0056, "Sensor".
 */
#include "scmi_protocol.h"

#include <anyhv/port.h>

enum {
    ID = 0x15,
    TRIPPED = 0,
    UPDATED = 1
};

/* SENSOR_DESCRIPTION_GET: attributes, low and high word; the latter also of axes */
#define CAN_ASYNC    (UINT32_C(1) << 31)
#define UPDATES      (UINT32_C(1) << 30)
#define STAMP_SHIFT  10
#define STAMPS       (1u << 9)
#define EXTENDED     (1u << 8)
#define AXES_SHIFT   16
#define HAS_AXES     (1u << 8)
#define SCALE_SHIFT  11
#define MILLISECONDS (-3) /* exponent of time stamps and intervals */

/* SENSOR_TRIP_POINT_CONFIG */
enum {
    UPWARDS = 1,
    DOWNWARDS = 2,
    TRIP_MODES = 3
};
#define TRIP_ID(control) ((control) >> 4 & 0xff)
#define TRIP_CONTROL     0xff3u
#define WENT_UP          (1u << 16)

#define READ_ASYNC       1u /* SENSOR_READING_GET */

/* SENSOR_CONFIG_SET */
#define ENABLE        1u
#define WANT_STAMPS   2u
#define CONFIG_UNUSED 0x1fcu

static struct anyhv_scmi_sensor *of(const struct anyhv_scmi_grant *grant)
{
    return (void *)grant->resource;
}

static struct anyhv_scmi_agent_sensor *own(const struct scmi_call *call)
{
    return (void *)call->grant;
}

static unsigned count(const struct anyhv_scmi_agent *agent)
{
    return agent->nsensors;
}

static struct anyhv_scmi_grant *grant(struct anyhv_scmi_agent *agent, uint32_t number)
{
    return number < agent->nsensors ? &agent->sensors[number].grant : NULL;
}

/* A signed exponent of five bits. */
static uint32_t exponent(int value)
{
    return (uint32_t)value & 0x1f;
}

/* ---- values ---- */

static int64_t target(const struct anyhv_scmi_sensor *sensor)
{
    const struct anyhv_scmi_clock *clock = sensor->follows;

    return sensor->base[0] +
           (clock && clock->on ? (int64_t)(clock->rate / 1000000) * sensor->per_mhz : 0);
}

void anyhv_scmi_sensor_advance(struct anyhv_scmi_sensor *sensor, uint64_t now)
{
    uint64_t passed = now - sensor->taken;
    int64_t way, step;

    if (sensor->external) /* its values may be any */
        return;
    way = target(sensor) - sensor->value[0];
    if (passed > 1000000)
        passed = 1000000; /* a quarter of an hour: it is there */
    step = sensor->speed * (int64_t)passed / 1000;
    if (!sensor->speed || (way < 0 ? -way : way) <= step) {
        sensor->value[0] += way;
        sensor->taken = now;
    } else if (step) {
        sensor->value[0] += way < 0 ? -step : step;
        sensor->taken += (uint64_t)(step * 1000 / sensor->speed);
    }
}

void anyhv_scmi_sensor_set(struct anyhv_scmi_platform *platform, struct anyhv_scmi_sensor *sensor,
                           const int64_t *values)
{
    bool failed = !values;

    if (values) {
        memcpy(sensor->value, values, sizeof(*values) * (sensor->axes ? sensor->axes : 1u));
        sensor->taken = platform->ops->now(platform);
    }
    if (failed && !sensor->failed)
        anyhv_scmi_error(platform, false);
    sensor->failed = failed;
    anyhv_scmi_schedule(platform);
}

static uint64_t stamp_of(struct anyhv_scmi_platform *platform,
                         const struct anyhv_scmi_agent_sensor *view)
{
    const struct anyhv_scmi_sensor *sensor = of(&view->grant);

    if (!view->stamp)
        return 0;
    return sensor->external ? sensor->taken : platform->ops->now(platform);
}

static unsigned values_of(const struct anyhv_scmi_sensor *sensor)
{
    return sensor->axes ? sensor->axes : 1;
}

static void event_readings(struct anyhv_scmi_platform *platform,
                           const struct anyhv_scmi_agent_sensor *view,
                           struct anyhv_scmi_event *event)
{
    const struct anyhv_scmi_sensor *sensor = of(&view->grant);

    for (unsigned i = 0; i < values_of(sensor); i++) {
        anyhv_scmi_event_put64(event, (uint64_t)sensor->value[i]);
        anyhv_scmi_event_put64(event, stamp_of(platform, view));
    }
}

/* ---- what happens by itself ---- */

/* Who may not ask for the value any more is not told of it either. */
static struct anyhv_scmi_event *notice(struct anyhv_scmi_agent *agent, uint32_t number,
                                       unsigned message)
{
    const struct anyhv_scmi_resource *resource = agent->sensors[number].grant.resource;

    return anyhv_scmi_denied(agent, resource->device, ID) ? NULL
                                                          : anyhv_scmi_notice(agent, ID, message);
}

static void send_tripped(struct anyhv_scmi_agent *agent, uint32_t number, unsigned trip, bool up)
{
    struct anyhv_scmi_event *event = notice(agent, number, TRIPPED);

    if (!event)
        return;
    anyhv_scmi_event_put(event, 0); /* nobody's doing */
    anyhv_scmi_event_put(event, number);
    anyhv_scmi_event_put(event, (up ? WENT_UP : 0) | trip);
    anyhv_scmi_send(agent->scmi);
}

/* True if there are trip points to look at again: somebody wants to be told. */
static bool look_at_trips(struct anyhv_scmi_agent *agent, uint32_t number)
{
    struct anyhv_scmi_agent_sensor *view = &agent->sensors[number];
    const struct anyhv_scmi_sensor *sensor = of(&view->grant);
    bool any = false;

    for (unsigned i = 0; i < sensor->trips && !sensor->failed && !view->off; i++) {
        struct anyhv_scmi_trip *trip = &view->trip[i];
        bool above = sensor->value[0] >= trip->value;

        if (!trip->mode)
            continue;
        any = view->notify_trip;
        if (above != trip->above && view->notify_trip && trip->mode & (above ? UPWARDS : DOWNWARDS))
            send_tripped(agent, number, i, above);
        trip->above = above;
    }
    return any;
}

static void send_update(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent,
                        uint32_t number)
{
    struct anyhv_scmi_agent_sensor *view = &agent->sensors[number];
    struct anyhv_scmi_event *event =
        of(&view->grant)->failed ? NULL : notice(agent, number, UPDATED);

    if (!event)
        return;
    anyhv_scmi_event_put(event, 0);
    anyhv_scmi_event_put(event, number);
    event_readings(platform, view, event);
    anyhv_scmi_send(agent->scmi);
}

/* Updates that were missed are not made up for. */
static uint64_t look_at_update(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent,
                               uint32_t number, uint64_t now)
{
    struct anyhv_scmi_agent_sensor *view = &agent->sensors[number];

    if (!view->notify_update || view->off)
        return ANYHV_SCMI_NEVER;
    if (view->next_update <= now) {
        send_update(platform, agent, number);
        view->next_update += view->interval_ms;
        if (view->next_update <= now)
            view->next_update = now + view->interval_ms;
    }
    return view->next_update;
}

uint64_t anyhv_scmi_sensor_due(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent,
                               uint64_t now)
{
    uint64_t next = ANYHV_SCMI_NEVER;

    for (uint32_t i = 0; i < agent->nsensors; i++) {
        uint64_t update = look_at_update(platform, agent, i, now);

        if (update < next)
            next = update;
        if (look_at_trips(agent, i) && now + platform->sample_ms < next)
            next = now + platform->sample_ms;
    }
    return next;
}

/* ---- descriptions ---- */

static bool has_async(const struct scmi_call *call, const struct anyhv_scmi_sensor *sensor)
{
    return call->events && sensor->read_ms;
}

/* No register page; the second word has room for what is not there. */
static void attributes(struct scmi_call *call)
{
    bool async = false;

    for (unsigned i = 0; i < call->agent->nsensors; i++)
        async |= has_async(call, of(&call->agent->sensors[i].grant));
    anyhv_scmi_put(call, call->agent->nsensors | (async ? ANYHV_SCMI_DELAYED << 16 : 0));
    anyhv_scmi_put64(call, 0);
    anyhv_scmi_put(call, 0);
}

static unsigned description_bytes(const struct anyhv_scmi_sensor *sensor)
{
    if (!sensor->bounded)
        return 28;
    return sensor->axes ? 32 : 52;
}

/* A resolution of one unit. */
static void put_limits(struct scmi_call *call, const struct anyhv_scmi_sensor *sensor)
{
    anyhv_scmi_put(call, exponent(sensor->scale) << 27 | 1);
    anyhv_scmi_put64(call, (uint64_t)sensor->min);
    anyhv_scmi_put64(call, (uint64_t)sensor->max);
}

static void put_description(struct scmi_call *call, uint32_t number)
{
    const struct anyhv_scmi_sensor *sensor = of(&call->agent->sensors[number].grant);
    uint32_t low = sensor->bounded ? EXTENDED : 0;

    if (call->events)
        low |= (has_async(call, sensor) ? CAN_ASYNC : 0) | (sensor->nintervals ? UPDATES : 0) |
               sensor->trips;
    if (sensor->timestamps)
        low |= STAMPS | exponent(MILLISECONDS) << STAMP_SHIFT;
    anyhv_scmi_put(call, number);
    anyhv_scmi_put(call, low);
    anyhv_scmi_put(call, (uint32_t)sensor->axes << AXES_SHIFT | (sensor->axes ? HAS_AXES : 0) |
                             exponent(sensor->scale) << SCALE_SHIFT | sensor->type);
    anyhv_scmi_put_name(call, sensor->resource.name);
    if (sensor->bounded)
        anyhv_scmi_put(call, 0); /* the power it takes: unknown */
    if (sensor->bounded && !sensor->axes)
        put_limits(call, sensor);
}

static enum scmi_status description_get(struct scmi_call *call)
{
    uint32_t first = call->param[0], n = 0, left;
    unsigned room = scmi_room(call) < 4 ? 0 : scmi_room(call) - 4, bytes = 0;

    if (first >= call->agent->nsensors)
        return SCMI_OUT_OF_RANGE;
    left = call->agent->nsensors - first;
    while (n < left) {
        bytes += description_bytes(of(&call->agent->sensors[first + n].grant));
        if (n && bytes > room)
            break;
        n++;
    }
    anyhv_scmi_put(call, n | (left - n) << 16);
    for (uint32_t i = 0; i < n; i++)
        put_description(call, first + i);
    return SCMI_SUCCESS;
}

static void put_axis(struct scmi_call *call, const struct anyhv_scmi_sensor *sensor, uint32_t axis)
{
    /* Linux looks for what stands behind the underscore. */
    static const char *const names[ANYHV_SCMI_AXES] = {"axis_X", "axis_Y", "axis_Z"};

    anyhv_scmi_put(call, axis);
    anyhv_scmi_put(call, sensor->bounded ? EXTENDED : 0);
    anyhv_scmi_put(call, exponent(sensor->scale) << SCALE_SHIFT | sensor->type);
    anyhv_scmi_put_name(call, names[axis]);
    if (sensor->bounded)
        put_limits(call, sensor);
}

static enum scmi_status axis_description_get(struct scmi_call *call)
{
    const struct anyhv_scmi_sensor *sensor = of(call->grant);
    uint32_t first = call->param[1], n;

    if (!sensor->axes)
        return SCMI_NOT_SUPPORTED;
    if (first >= sensor->axes)
        return SCMI_OUT_OF_RANGE;
    n = anyhv_scmi_page(call, 4, sensor->bounded ? 48 : 28, sensor->axes - first);
    anyhv_scmi_put(call, n | (sensor->axes - first - n) << 26);
    for (uint32_t i = 0; i < n; i++)
        put_axis(call, sensor, first + i);
    return SCMI_SUCCESS;
}

/* Intervals: 20:5 a number, 4:0 its power of ten, in seconds. */
static enum scmi_status list_update_intervals(struct scmi_call *call)
{
    const struct anyhv_scmi_sensor *sensor = of(call->grant);
    uint32_t first = call->param[1], n;

    if (!sensor->nintervals)
        return SCMI_NOT_SUPPORTED;
    if (first >= sensor->nintervals)
        return SCMI_OUT_OF_RANGE;
    n = anyhv_scmi_page(call, 4, 4, sensor->nintervals - first);
    anyhv_scmi_put(call, n | (sensor->nintervals - first - n) << 16);
    for (uint32_t i = 0; i < n; i++)
        anyhv_scmi_put(call,
                       (uint32_t)sensor->intervals_ms[first + i] << 5 | exponent(MILLISECONDS));
    return SCMI_SUCCESS;
}

/* ---- readings ---- */

static void was_read(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event)
{
    struct anyhv_scmi_agent_sensor *view = &scmi->agent->sensors[event->number];
    struct anyhv_scmi_sensor *sensor = of(&view->grant);

    anyhv_scmi_sensor_advance(sensor, scmi->platform->ops->now(scmi->platform));
    if (sensor->failed) {
        anyhv_scmi_event_put(event, (uint32_t)SCMI_HARDWARE_ERROR);
        return;
    }
    anyhv_scmi_event_put(event, SCMI_SUCCESS);
    anyhv_scmi_event_put(event, event->number);
    event_readings(scmi->platform, view, event);
}

static enum scmi_status read_async(struct scmi_call *call, const struct anyhv_scmi_sensor *sensor)
{
    if (!has_async(call, sensor))
        return SCMI_NOT_SUPPORTED;
    if (anyhv_scmi_busy(call->scmi))
        return SCMI_BUSY;
    anyhv_scmi_delay(call, sensor->read_ms, 0, false, was_read);
    return SCMI_SUCCESS;
}

/* A sensor that the agent has switched off is not there for it. */
static enum scmi_status reading_get(struct scmi_call *call)
{
    struct anyhv_scmi_sensor *sensor = of(call->grant);

    if (call->param[1] & ~READ_ASYNC)
        return SCMI_INVALID_PARAMETERS;
    if (own(call)->off)
        return SCMI_NOT_SUPPORTED;
    if (call->param[1])
        return read_async(call, sensor);
    anyhv_scmi_sensor_advance(sensor, call->platform->ops->now(call->platform));
    if (sensor->failed)
        return SCMI_HARDWARE_ERROR;
    for (unsigned i = 0; i < values_of(sensor); i++) {
        anyhv_scmi_put64(call, (uint64_t)sensor->value[i]);
        anyhv_scmi_put64(call, stamp_of(call->platform, own(call)));
    }
    return SCMI_SUCCESS;
}

/* ---- settings ---- */

/* What crossed a trip point while nobody wanted to know is not told later. */
static void begin_to_look(struct anyhv_scmi_platform *platform,
                          struct anyhv_scmi_agent_sensor *view)
{
    struct anyhv_scmi_sensor *sensor = of(&view->grant);

    anyhv_scmi_sensor_advance(sensor, platform->ops->now(platform));
    for (unsigned i = 0; i < sensor->trips; i++)
        view->trip[i].above = sensor->value[0] >= view->trip[i].value;
    anyhv_scmi_schedule(platform);
}

static enum scmi_status trip_point_notify(struct scmi_call *call)
{
    if (!of(call->grant)->trips)
        return SCMI_NOT_SUPPORTED;
    if (call->param[1] & ~1u)
        return SCMI_INVALID_PARAMETERS;
    if (call->param[1] && !own(call)->notify_trip)
        begin_to_look(call->platform, own(call));
    own(call)->notify_trip = call->param[1];
    return SCMI_SUCCESS;
}

static enum scmi_status trip_point_config(struct scmi_call *call)
{
    struct anyhv_scmi_sensor *sensor = of(call->grant);
    uint32_t control = call->param[1];
    int64_t value = (int64_t)(call->param[2] | (uint64_t)call->param[3] << 32);

    if (!sensor->trips)
        return SCMI_NOT_SUPPORTED;
    if (control & ~TRIP_CONTROL || TRIP_ID(control) >= sensor->trips)
        return SCMI_INVALID_PARAMETERS;
    anyhv_scmi_sensor_advance(sensor, call->platform->ops->now(call->platform));
    own(call)->trip[TRIP_ID(control)] = (struct anyhv_scmi_trip){
        .value = value,
        .mode = control & TRIP_MODES,
        .above = sensor->value[0] >= value,
    };
    anyhv_scmi_schedule(call->platform);
    return SCMI_SUCCESS;
}

static uint16_t interval_of(const struct anyhv_scmi_agent_sensor *view)
{
    const struct anyhv_scmi_sensor *sensor = of(&view->grant);

    return view->interval_ms || !sensor->nintervals ? view->interval_ms : sensor->intervals_ms[0];
}

/* The interval is always said in milliseconds. */
static enum scmi_status config_get(struct scmi_call *call)
{
    const struct anyhv_scmi_agent_sensor *view = own(call);

    anyhv_scmi_put(call, (uint32_t)interval_of(view) << 16 | exponent(MILLISECONDS) << 11 |
                             (view->stamp ? WANT_STAMPS : 0) | (view->off ? 0 : ENABLE));
    return SCMI_SUCCESS;
}

/* The number and its exponent as milliseconds; UINT64_MAX: more than there can be. */
static uint64_t to_ms(uint32_t number, uint32_t power)
{
    uint64_t ms = number * UINT64_C(1000);
    int e = power & 0x10 ? (int)power - 32 : (int)power;

    for (; e < 0; e++)
        ms /= 10;
    for (; e > 0; e--) {
        if (ms > UINT32_MAX)
            return UINT64_MAX;
        ms *= 10;
    }
    return ms;
}

/* Rounding: 0 down, 1 up, 2 whichever is nearer. 0: there is none in that direction. */
static uint16_t round_interval(const struct anyhv_scmi_sensor *sensor, uint64_t ms,
                               unsigned rounding)
{
    uint16_t below = 0, above = 0;

    for (unsigned i = 0; i < sensor->nintervals && !above; i++) {
        if (sensor->intervals_ms[i] <= ms)
            below = sensor->intervals_ms[i];
        if (sensor->intervals_ms[i] >= ms)
            above = sensor->intervals_ms[i];
    }
    if (rounding == 2)
        return !below || (above && above - ms < ms - below) ? above : below;
    return rounding ? above : below;
}

static enum scmi_status config_set(struct scmi_call *call)
{
    struct anyhv_scmi_agent_sensor *view = own(call);
    const struct anyhv_scmi_sensor *sensor = of(call->grant);
    uint32_t config = call->param[1], number = config >> 16, rounding = config >> 9 & 3;
    uint16_t interval = interval_of(view);

    if (config & CONFIG_UNUSED || rounding == 3 || (config & WANT_STAMPS && !sensor->timestamps))
        return SCMI_INVALID_PARAMETERS;
    if (number) {
        interval = round_interval(sensor, to_ms(number, config >> 11 & 0x1f), rounding);
        if (!interval)
            return SCMI_INVALID_PARAMETERS;
    }
    view->off = !(config & ENABLE);
    view->stamp = config & WANT_STAMPS;
    view->interval_ms = interval;
    view->next_update = call->platform->ops->now(call->platform) + interval;
    anyhv_scmi_schedule(call->platform);
    return SCMI_SUCCESS;
}

static enum scmi_status continuous_update_notify(struct scmi_call *call)
{
    struct anyhv_scmi_agent_sensor *view = own(call);

    if (!of(call->grant)->nintervals)
        return SCMI_NOT_SUPPORTED;
    if (call->param[1] & ~1u)
        return SCMI_INVALID_PARAMETERS;
    view->notify_update = call->param[1];
    view->interval_ms = interval_of(view);
    view->next_update = call->platform->ops->now(call->platform) + view->interval_ms;
    anyhv_scmi_schedule(call->platform);
    return SCMI_SUCCESS;
}

/* ---- state ---- */

static void trip_state(struct scmi_state *state, struct anyhv_scmi_trip *trip)
{
    uint64_t value = (uint64_t)trip->value;
    uint32_t mode = trip->mode;

    anyhv_scmi_state_word64(state, &value);
    anyhv_scmi_state_word(state, &mode, TRIP_MODES);
    anyhv_scmi_state_flag(state, &trip->above);
    trip->value = (int64_t)value;
    trip->mode = (uint8_t)mode;
}

/* Which side of a trip point the value was on goes along: what crosses it meanwhile is told. */
static void state(struct scmi_state *state, struct anyhv_scmi_agent *agent, uint32_t number)
{
    struct anyhv_scmi_agent_sensor copy = agent->sensors[number];
    const struct anyhv_scmi_sensor *sensor = of(&copy.grant);
    uint32_t interval = copy.interval_ms;

    anyhv_scmi_state_flag(state, &copy.off);
    anyhv_scmi_state_flag(state, &copy.stamp);
    anyhv_scmi_state_flag(state, &copy.notify_trip);
    anyhv_scmi_state_flag(state, &copy.notify_update);
    anyhv_scmi_state_word(state, &interval, UINT16_MAX);
    for (unsigned i = 0; i < sensor->trips; i++)
        trip_state(state, &copy.trip[i]);
    if (copy.stamp > sensor->timestamps || copy.notify_trip > !!sensor->trips ||
        copy.notify_update > !!interval ||
        (interval && round_interval(sensor, interval, 0) != interval))
        state->bad = true;
    if (!state->load)
        return;
    copy.interval_ms = (uint16_t)interval;
    copy.next_update = agent->platform->ops->now(agent->platform) + interval;
    agent->sensors[number] = copy;
    anyhv_scmi_schedule(agent->platform);
}

static const struct scmi_command commands[] = {
    [3] = {description_get, .params = 1},
    [4] = {trip_point_notify, .params = 2, .resource = 1, .flags = SCMI_EVENTS},
    [5] = {trip_point_config, .params = 4, .resource = 1, .flags = SCMI_EVENTS},
    [6] = {reading_get, .params = 2, .resource = 1},
    [7] = {axis_description_get, .params = 2, .resource = 1},
    [8] = {list_update_intervals, .params = 2, .resource = 1},
    [9] = {config_get, .params = 1, .resource = 1},
    [10] = {config_set, .params = 2, .resource = 1},
    [11] = {continuous_update_notify, .params = 2, .resource = 1, .flags = SCMI_EVENTS},
};

const struct scmi_protocol anyhv_scmi_sensor = {
    .id = ID,
    .version = 0x20000,
    .commands = commands,
    .ncommands = sizeof(commands) / sizeof(commands[0]),
    .attributes = attributes,
    .count = count,
    .grant = grant,
    .state = state,
};

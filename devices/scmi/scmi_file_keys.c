/* SPDX-License-Identifier: Apache-2.0 */
/* What a platform file may say: its sections, their keys, and the values of these. */
#include "scmi_file.h"

#include <anyhv/linux/args.h>
#include <string.h>

/* ---- values ---- */

static bool number32(const char *text, uint32_t min, uint32_t max, uint32_t *value)
{
    uint64_t n;
    bool ok = anyhv_parse_number(text, min, max, &n);

    if (ok)
        *value = (uint32_t)n;
    return ok;
}

/* Hz, with k, M or G behind it for powers of 1000. */
static bool frequency(const char *text, uint64_t *value)
{
    return anyhv_parse_scaled(text, "kMG", 1000, 1, UINT64_C(1000000000000), value);
}
#define FREQUENCY "a number of Hz from 1 to 1000G"

static bool yes_or_no(const char *text, bool *value)
{
    *value = strcmp(text, "yes") == 0;
    return *value || strcmp(text, "no") == 0;
}
#define YES_OR_NO "yes or no"

/* Names have letters, digits and dashes, so that lists of them need no quotes. */
bool anyhv_scmi_is_name(const char *text)
{
    size_t len = strlen(text);

    return len && len < ANYHV_SCMI_NAME &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

/*
 * The next word of a list, in @word; false: there is none. One that is too long is empty: neither a
 * name nor a number.
 */
static bool next_word(const char **text, char word[32])
{
    size_t blank = strspn(*text, " \t"), len = strcspn(*text + blank, " \t");
    size_t kept = len < 32 ? len : 0;

    memcpy(word, *text + blank, kept);
    word[kept] = 0;
    *text += blank + len;
    return len;
}

static const char *set_device(const char *value, struct anyhv_scmi_resource *resource)
{
    return number32(value, 1, UINT32_MAX, &resource->device) ? NULL
                                                             : "a number from 1 to 4294967295";
}

static const char *set_ms(const char *value, uint32_t *ms)
{
    return number32(value, 1, 3600000, ms) ? NULL : "a number of milliseconds from 1 to 3600000";
}

/* ---- what there can be several of ---- */

#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)

/*
 * An array of clocks, sensors ... All of these begin with a pointer to their name, which is kept at
 * the begin of an element of another array.
 */
struct list {
    void *first;
    size_t size;
    void *names;
    size_t name_size;
    uint16_t *n;
    unsigned max;
    const char *full; /* said when there are so many */
};

#define LIST(array, names, count, limit, what)                                            \
    ((struct list){array, sizeof((array)[0]), names, sizeof((names)[0]), &(count), limit, \
                   "there can be " STRING(limit) " " what})

static struct list clocks(struct anyhv_scmi_board *b)
{
    return LIST(b->clock, b->own_clock, b->platform.nclocks, BOARD_CLOCKS, "clocks");
}

static struct list sensors(struct anyhv_scmi_board *b)
{
    return LIST(b->sensor, b->own_sensor, b->platform.nsensors, BOARD_SENSORS, "sensors");
}

static struct list resets(struct anyhv_scmi_board *b)
{
    return LIST(b->reset, b->reset_name, b->platform.nresets, BOARD_RESETS, "resets");
}

static struct list agents(struct anyhv_scmi_board *b)
{
    return LIST(b->agent, b->own_agent, b->platform.nagents, BOARD_AGENTS, "agents");
}

static void *at(void *first, size_t size, unsigned i)
{
    return (char *)first + i * size;
}

static void *find(struct list list, const char *name)
{
    for (unsigned i = 0; i < *list.n; i++) {
        const char **element = at(list.first, list.size, i);

        if (strcmp(*element, name) == 0)
            return element;
    }
    return NULL;
}

/* One more at the end, called @name. NULL, or why there is none. */
static const char *add(struct list list, const char *name)
{
    const char **element = at(list.first, list.size, *list.n);

    if (*list.n == list.max)
        return list.full;
    if (find(list, name))
        return "it is there twice";
    *element = strcpy(at(list.names, list.name_size, *list.n), name);
    ++*list.n;
    return NULL;
}

/* ---- [platform] ---- */

static const char *platform_sub_vendor(struct file_reader *r, const char *value)
{
    if (!anyhv_scmi_is_name(value))
        return FILE_NAME;
    strcpy(r->board->sub_vendor, value);
    return NULL;
}

static const char *platform_sample_ms(struct file_reader *r, const char *value)
{
    return set_ms(value, &r->board->platform.sample_ms);
}

/* ---- [clock NAME] ---- */

static const char *clock_begin(struct file_reader *r, const char *name)
{
    unsigned i = r->board->platform.nclocks;
    const char *why = add(clocks(r->board), name);

    if (why)
        return why;
    r->clock = &r->board->clock[i];
    r->clock->rates = r->board->own_clock[i].rate;
    return NULL;
}

static const char *clock_end(struct file_reader *r)
{
    struct anyhv_scmi_clock *clock = r->clock;

    if (!clock->nrates)
        return "rates or range are missing";
    if (!clock->rate)
        clock->rate = clock->rates[0];
    for (unsigned i = 0; !clock->range && i < clock->nrates; i++) {
        if (clock->rates[i] == clock->rate)
            return NULL;
    }
    if (clock->range && clock->rate >= clock->rates[0] && clock->rate <= clock->rates[1])
        return NULL;
    return "rate is none of its rates";
}

static uint64_t *clock_rates_of(struct file_reader *r)
{
    return r->board->own_clock[r->clock - r->board->clock].rate;
}

static const char *clock_rates(struct file_reader *r, const char *value)
{
    uint64_t *rates = clock_rates_of(r), rate;
    char word[32];

    if (r->clock->range)
        return "possible beside range";
    while (next_word(&value, word)) {
        uint16_t n = r->clock->nrates;

        if (n == BOARD_RATES || !frequency(word, &rate) || (n && rate <= rates[n - 1]))
            return "at most " STRING(
                BOARD_RATES) " numbers of Hz, from 1 to 1000G, each higher than the one before";
        rates[n] = rate;
        r->clock->nrates++;
    }
    return NULL;
}

static const char *clock_range(struct file_reader *r, const char *value)
{
    uint64_t *rates = clock_rates_of(r);
    char word[32];

    if (r->clock->nrates)
        return "possible beside rates";
    for (unsigned i = 0; i < 3; i++) {
        if (!next_word(&value, word) || !frequency(word, &rates[i]))
            return "lowest, highest and step in Hz, from 1 to 1000G";
    }
    if (next_word(&value, word) || rates[0] >= rates[1] || rates[2] > rates[1] - rates[0])
        return "lowest, highest and step in Hz, from 1 to 1000G";
    r->clock->nrates = 3;
    r->clock->range = true;
    return NULL;
}

static const char *clock_rate(struct file_reader *r, const char *value)
{
    return frequency(value, &r->clock->rate) ? NULL : FREQUENCY;
}

static const char *clock_on(struct file_reader *r, const char *value)
{
    return yes_or_no(value, &r->clock->always_on) ? NULL : YES_OR_NO;
}

static const char *clock_enable_us(struct file_reader *r, const char *value)
{
    return number32(value, 0, 60000000, &r->clock->enable_us)
               ? NULL
               : "a number of microseconds from 0 to 60000000";
}

static const char *clock_settle_ms(struct file_reader *r, const char *value)
{
    return set_ms(value, &r->clock->settle_ms);
}

static const char *clock_device(struct file_reader *r, const char *value)
{
    return set_device(value, &r->clock->resource);
}

/* ---- [sensor NAME] ---- */

static const char *sensor_begin(struct file_reader *r, const char *name)
{
    unsigned i = r->board->platform.nsensors;
    const char *why = add(sensors(r->board), name);

    if (why)
        return why;
    r->sensor = &r->board->sensor[i];
    r->sensor->intervals_ms = r->board->own_sensor[i].interval_ms;
    r->has_min = r->has_max = false;
    return NULL;
}

static const char *sensor_end(struct file_reader *r)
{
    struct anyhv_scmi_sensor *sensor = r->sensor;

    if (!sensor->type)
        return "type is missing";
    if (sensor->axes && sensor->trips)
        return "trips are for sensors with a single value";
    if (r->has_min != r->has_max)
        return "min and max: both or none";
    if (sensor->min > sensor->max)
        return "min is higher than max";
    sensor->bounded = r->has_min;
    if (sensor->per_mhz && !sensor->follows)
        return "per-mhz is for a sensor that follows a clock";
    if (sensor->external && (sensor->axes || sensor->follows))
        return "a sensor that is a file has a single value and follows no clock";
    return NULL;
}

#define SENSOR_TYPES                                                                   \
    "temperature, voltage, current, power, energy, angular-velocity, acceleration or " \
    "a number from 1 to 255"

static const char *sensor_type(struct file_reader *r, const char *value)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {
        {"temperature", 2}, {"voltage", 5},           {"current", 6},       {"power", 7},
        {"energy", 8},      {"angular-velocity", 87}, {"acceleration", 89},
    };
    uint32_t n;

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, value) == 0) {
            r->sensor->type = types[i].type;
            return NULL;
        }
    }
    if (!number32(value, 1, 255, &n))
        return SENSOR_TYPES;
    r->sensor->type = (uint8_t)n;
    return NULL;
}

static const char *sensor_scale(struct file_reader *r, const char *value)
{
    int64_t n;

    if (!anyhv_parse_signed(value, -16, 15, &n))
        return "a power of ten from -16 to 15";
    r->sensor->scale = (int8_t)n;
    return NULL;
}

#define VALUE_MAX INT64_C(1000000000000)
#define VALUE     "a number from -10^12 to 10^12"

static const char *sensor_value(struct file_reader *r, const char *value)
{
    char word[32];
    uint8_t n = 0;

    while (next_word(&value, word)) {
        if (n == ANYHV_SCMI_AXES ||
            !anyhv_parse_signed(word, -VALUE_MAX, VALUE_MAX, &r->sensor->base[n]))
            return "one number, or two or three for as many axes";
        n++;
    }
    r->sensor->axes = n > 1 ? n : 0;
    return NULL;
}

static const char *sensor_min(struct file_reader *r, const char *value)
{
    r->has_min = true;
    return anyhv_parse_signed(value, -VALUE_MAX, VALUE_MAX, &r->sensor->min) ? NULL : VALUE;
}

static const char *sensor_max(struct file_reader *r, const char *value)
{
    r->has_max = true;
    return anyhv_parse_signed(value, -VALUE_MAX, VALUE_MAX, &r->sensor->max) ? NULL : VALUE;
}

static const char *sensor_follows(struct file_reader *r, const char *value)
{
    r->sensor->follows = find(clocks(r->board), value);
    return r->sensor->follows ? NULL : "a clock that is described above";
}

static const char *sensor_per_mhz(struct file_reader *r, const char *value)
{
    return anyhv_parse_signed(value, -1000000, 1000000, &r->sensor->per_mhz)
               ? NULL
               : "a number from -1000000 to 1000000";
}

static const char *sensor_speed(struct file_reader *r, const char *value)
{
    return anyhv_parse_signed(value, 1, VALUE_MAX, &r->sensor->speed) ? NULL
                                                                      : "a number from 1 to 10^12";
}

static const char *sensor_trips(struct file_reader *r, const char *value)
{
    uint32_t n;

    if (!number32(value, 1, ANYHV_SCMI_TRIPS, &n))
        return "a number from 1 to 4";
    r->sensor->trips = (uint8_t)n;
    return NULL;
}

static const char *sensor_read_ms(struct file_reader *r, const char *value)
{
    return set_ms(value, &r->sensor->read_ms);
}

static const char *sensor_intervals_ms(struct file_reader *r, const char *value)
{
    uint16_t *interval = r->board->own_sensor[r->sensor - r->board->sensor].interval_ms;
    char word[32];

    while (next_word(&value, word)) {
        uint16_t n = r->sensor->nintervals;
        uint32_t ms;

        if (n == BOARD_INTERVALS || !number32(word, 1, 65535, &ms) || (n && ms <= interval[n - 1]))
            return "at most " STRING(BOARD_INTERVALS) " numbers of milliseconds, from 1 to 65535, "
                                                      "each higher than the one "
                                                      "before";
        interval[n] = (uint16_t)ms;
        r->sensor->nintervals++;
    }
    return NULL;
}

static const char *sensor_timestamps(struct file_reader *r, const char *value)
{
    return yes_or_no(value, &r->sensor->timestamps) ? NULL : YES_OR_NO;
}

static const char *sensor_file(struct file_reader *r, const char *value)
{
    if (value[0] != '/' || strlen(value) >= BOARD_PATH)
        return "the whole path of a file, at most 159 characters";
    strcpy(r->board->own_sensor[r->sensor - r->board->sensor].path, value);
    r->sensor->external = true;
    return NULL;
}

static const char *sensor_device(struct file_reader *r, const char *value)
{
    return set_device(value, &r->sensor->resource);
}

/* ---- [reset NAME] ---- */

static const char *reset_begin(struct file_reader *r, const char *name)
{
    unsigned i = r->board->platform.nresets;
    const char *why = add(resets(r->board), name);

    if (why)
        return why;
    r->reset = &r->board->reset[i];
    r->reset->latency_us = UINT32_MAX;
    return NULL;
}

static const char *reset_latency_us(struct file_reader *r, const char *value)
{
    return number32(value, 0, 60000000, &r->reset->latency_us)
               ? NULL
               : "a number of microseconds from 0 to 60000000";
}

static const char *reset_hold_ms(struct file_reader *r, const char *value)
{
    return set_ms(value, &r->reset->hold_ms);
}

static struct board_line *line_of(struct file_reader *r)
{
    return &r->board->line[r->reset - r->board->reset];
}

static const char *reset_line(struct file_reader *r, const char *value)
{
    struct board_line *line = line_of(r);
    size_t chip = strcspn(value, " \t"), blank = strspn(value + chip, " \t");
    const char *name = value + chip + blank;

    if (!anyhv_scmi_lines)
        return "possible: this program was built without libgpiod";
    if (!*name || name[strcspn(name, " \t")] || chip >= sizeof(line->chip) ||
        strlen(name) >= sizeof(line->name))
        return "a GPIO chip, and a line of it: its number or its name, at most 31 characters";
    memcpy(line->chip, value, chip);
    strcpy(line->name, name);
    return NULL;
}

static const char *reset_active_low(struct file_reader *r, const char *value)
{
    return yes_or_no(value, &line_of(r)->active_low) ? NULL : YES_OR_NO;
}

static const char *reset_end(struct file_reader *r)
{
    const struct board_line *line = line_of(r);

    return line->active_low && !line->chip[0] ? "active-low means nothing without line" : NULL;
}

static const char *reset_device(struct file_reader *r, const char *value)
{
    return set_device(value, &r->reset->resource);
}

/* ---- [agent NAME] ---- */

static const char *agent_begin(struct file_reader *r, const char *name)
{
    unsigned i = r->board->platform.nagents;
    const char *why = add(agents(r->board), name);
    struct board_agent *own = &r->board->own_agent[i];

    if (why)
        return why;
    r->agent = &r->board->agent[i];
    r->agent->clocks = own->clock;
    r->agent->sensors = own->sensor;
    r->agent->resets = own->reset;
    return NULL;
}

static const char *agent_trusted(struct file_reader *r, const char *value)
{
    return yes_or_no(value, &r->agent->trusted) ? NULL : YES_OR_NO;
}

/* Cuts `:read` off @word; false: it is followed by something else. */
static bool take_access(char *word, bool *write)
{
    char *colon = strchr(word, ':');

    *write = !colon;
    if (!colon)
        return true;
    *colon = 0;
    return strcmp(colon + 1, "read") == 0;
}

/*
 * The agent is given what the words of @value name of @list: one more of the @n elements at @first,
 * which begin with a grant. NULL, or @wanted.
 */
static const char *add_grants(const char *value, struct list list, void *first, size_t size,
                              uint16_t *n, const char *wanted)
{
    char word[32];

    while (next_word(&value, word)) {
        struct anyhv_scmi_grant *grant = at(first, size, *n);

        if (*n == *list.n || !take_access(word, &grant->write))
            return wanted;
        grant->resource = find(list, word);
        if (!grant->resource)
            return wanted;
        for (unsigned i = 0; i < *n; i++) {
            const struct anyhv_scmi_grant *other = at(first, size, i);

            if (other->resource == grant->resource)
                return wanted;
        }
        ++*n;
    }
    return NULL;
}

#define GRANTS(what)                                                                          \
    what " that are described above, each at most once, with :read behind those that it may " \
         "only look at"

static const char *agent_clocks(struct file_reader *r, const char *value)
{
    struct anyhv_scmi_agent *a = r->agent;

    return add_grants(value, clocks(r->board), a->clocks, sizeof(a->clocks[0]), &a->nclocks,
                      GRANTS("clocks"));
}

static const char *agent_sensors(struct file_reader *r, const char *value)
{
    static const char wanted[] = "sensors that are described above, each at most once";
    struct anyhv_scmi_agent *a = r->agent;

    if (strchr(value, ':'))
        return wanted;
    return add_grants(value, sensors(r->board), a->sensors, sizeof(a->sensors[0]), &a->nsensors,
                      wanted);
}

static const char *agent_resets(struct file_reader *r, const char *value)
{
    struct anyhv_scmi_agent *a = r->agent;

    return add_grants(value, resets(r->board), a->resets, sizeof(a->resets[0]), &a->nresets,
                      GRANTS("resets"));
}

/* ---- all of them ---- */

const struct file_kind anyhv_scmi_file_kinds[] = {
    {
        .name = "platform",
        .single = true,
        .key = {{"sub-vendor", platform_sub_vendor, false},
                {"sample-ms", platform_sample_ms, false}},
    },
    {
        .name = "clock",
        .begin = clock_begin,
        .end = clock_end,
        .key = {{"rates", clock_rates, true},
                {"range", clock_range, false},
                {"rate", clock_rate, false},
                {"on", clock_on, false},
                {"enable-us", clock_enable_us, false},
                {"settle-ms", clock_settle_ms, false},
                {"device", clock_device, false}},
    },
    {
        .name = "sensor",
        .begin = sensor_begin,
        .end = sensor_end,
        .key = {{"type", sensor_type, false},
                {"scale", sensor_scale, false},
                {"value", sensor_value, false},
                {"min", sensor_min, false},
                {"max", sensor_max, false},
                {"follows", sensor_follows, false},
                {"per-mhz", sensor_per_mhz, false},
                {"speed", sensor_speed, false},
                {"trips", sensor_trips, false},
                {"read-ms", sensor_read_ms, false},
                {"intervals-ms", sensor_intervals_ms, false},
                {"timestamps", sensor_timestamps, false},
                {"file", sensor_file, false},
                {"device", sensor_device, false}},
    },
    {
        .name = "reset",
        .begin = reset_begin,
        .end = reset_end,
        .key = {{"latency-us", reset_latency_us, false},
                {"hold-ms", reset_hold_ms, false},
                {"line", reset_line, false},
                {"active-low", reset_active_low, false},
                {"device", reset_device, false}},
    },
    {
        .name = "agent",
        .begin = agent_begin,
        .key = {{"trusted", agent_trusted, false},
                {"clocks", agent_clocks, true},
                {"sensors", agent_sensors, true},
                {"resets", agent_resets, true}},
    },
    {.name = NULL},
};

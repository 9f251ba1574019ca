/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCMI device, section 5.17, and the platform behind it (Arm DEN0056): clocks, sensors and
 * reset lines that guests, called agents, use through messages.
 *
 * One platform serves several agents. Each sees only what it was given, under numbers of its own
 * that begin with 0, and may use it or only look at it. What they share follows one policy:
 *
 *   a clock        is on while any agent has it on; its rate is the highest that was asked for by
 *                  those who have it on; when none of them has asked, it stays where it is, or
 *                  follows who asks while having it off
 *   a reset line   is asserted while any agent asserts it
 *   a sensor       is everybody's; trip points, configuration and updates are each agent's own
 *
 * An agent whose driver resets its device, or whose guest goes away, takes back all that it asked
 * for.
 *
 * Freestanding. A platform and all its agents belong to one thread. Time is in milliseconds.
 */
#ifndef ANYHV_DEVICES_SCMI_H
#define ANYHV_DEVICES_SCMI_H

#include <anyhv/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANYHV_SCMI_NAME    16u  /* bytes of a name, the 0 behind it included */
#define ANYHV_SCMI_AXES    3u   /* of a sensor, at most */
#define ANYHV_SCMI_TRIPS   4u   /* trip points of a sensor for each agent, at most */
#define ANYHV_SCMI_DEVICES 32u  /* that permissions can be set for, at most */
#define ANYHV_SCMI_DELAYED 8u   /* asynchronous commands of one agent in work at once */
#define ANYHV_SCMI_NOTICES 16u  /* notifications that wait; then the oldest has to go */
#define ANYHV_SCMI_REPLY   512u /* bytes of the longest answer */
#define ANYHV_SCMI_NEVER   UINT64_MAX

struct anyhv_scmi;
struct anyhv_scmi_agent;
struct anyhv_scmi_platform;

/*
 * ---- What the platform has: filled in by the caller, all but the last part of each ----
 *
 * Names have 1 to 15 characters. What else is bounded says so; anyhv_scmi_platform_init refuses
 * the rest.
 */

struct anyhv_scmi_resource {
    const char *name;
    uint32_t device; /* it belongs to, for SET_DEVICE_PERMISSIONS; 0: to none */
};

struct anyhv_scmi_clock {
    struct anyhv_scmi_resource resource;
    /* Hz, ascending: `nrates` of them, or lowest, highest and step of a range. 1 to 10^12. */
    const uint64_t *rates;
    uint16_t nrates; /* at least 1; of a range 3 */
    bool range;
    bool always_on;     /* whatever agents say */
    uint32_t enable_us; /* how long it takes to start, for agents to know */
    uint32_t settle_ms; /* how long an asynchronous change takes; 0: there are only others */
    uint64_t rate;      /* at first one of the list, or within the range; and from then on */
    /* the platform's */
    bool on;
};

struct anyhv_scmi_sensor {
    struct anyhv_scmi_resource resource;
    uint8_t type;  /* as in SENSOR_DESCRIPTION_GET: 2 degrees Celsius, 5 volts, 6 amperes ... */
    int8_t scale;  /* values are in units of 10^scale, -16 to 15 */
    uint8_t axes;  /* 0: a single value; otherwise up to ANYHV_SCMI_AXES, axis_X, axis_Y, axis_Z */
    uint8_t trips; /* trip points that each agent can set, up to ANYHV_SCMI_TRIPS */
    bool timestamps;
    bool bounded;                 /* the next two are known */
    int64_t min, max;             /* of what it can measure, min not above max */
    uint32_t read_ms;             /* how long an asynchronous one takes; 0: there are only others */
    const uint16_t *intervals_ms; /* of updates, ascending, from 1; none: no updates */
    uint16_t nintervals;
    bool external; /* values come from anyhv_scmi_sensor_set; what follows is not used */
    /*
     * The simulation: base[0] + per_mhz * the rate of `follows` in MHz while that is on, approached
     * at `speed` per second (0: at once). Other axes keep their base. base[0] and per_mhz are
     * from -10^12 to 10^12, speed from 0 to 10^12; `follows` is one of the platform's, or NULL.
     */
    int64_t base[ANYHV_SCMI_AXES];
    struct anyhv_scmi_clock *follows;
    int64_t per_mhz, speed;
    /* the platform's */
    int64_t value[ANYHV_SCMI_AXES];
    uint64_t taken; /* external: when it was read; simulated: when it last moved */
    bool failed;    /* external: there is no value, or none any more */
};

struct anyhv_scmi_reset {
    struct anyhv_scmi_resource resource;
    uint32_t latency_us; /* how long a reset takes, for agents to know; UINT32_MAX: unknown */
    uint32_t hold_ms;    /* an autonomous reset; 0: it is over at once, and never asynchronous */
    /* the platform's */
    bool asserted;
    uint32_t holds;  /* autonomous resets in work */
    uint32_t pulses; /* and so far */
};

/* ---- Who may use it: one element per resource that an agent sees. Its number is the index ---- */

struct anyhv_scmi_grant {
    struct anyhv_scmi_resource *resource; /* in the platform's array of this kind */
    bool write;                           /* may change something that others notice */
};

struct anyhv_scmi_agent_clock {
    struct anyhv_scmi_grant grant; /* of a struct anyhv_scmi_clock */
    /* the platform's */
    bool on, notify_changed, notify_requested;
    uint64_t wish; /* the rate that was asked for; 0: none */
};

struct anyhv_scmi_trip {
    int64_t value;
    uint8_t mode; /* bits: 1 upwards, 2 downwards */
    bool above;
};

struct anyhv_scmi_agent_sensor {
    struct anyhv_scmi_grant grant; /* of a struct anyhv_scmi_sensor */
    /* the platform's */
    bool off, stamp, notify_trip, notify_update;
    uint16_t interval_ms;
    uint64_t next_update;
    struct anyhv_scmi_trip trip[ANYHV_SCMI_TRIPS];
};

struct anyhv_scmi_agent_reset {
    struct anyhv_scmi_grant grant; /* of a struct anyhv_scmi_reset */
    /* the platform's */
    bool asserted, notify;
};

struct anyhv_scmi_agent {
    const char *name;
    bool trusted; /* may set permissions, and reset the configuration of others */
    struct anyhv_scmi_agent_clock *clocks;
    struct anyhv_scmi_agent_sensor *sensors;
    struct anyhv_scmi_agent_reset *resets;
    uint16_t nclocks, nsensors, nresets;
    /* the platform's */
    struct anyhv_scmi_platform *platform;
    uint32_t id;             /* from 1; 0 is the platform itself */
    struct anyhv_scmi *scmi; /* the guest that is this agent, or NULL */
    bool notify_errors;
    uint16_t denied[ANYHV_SCMI_DEVICES]; /* per device, a bit for each protocol from 0x10 */
};

/* What the platform needs from outside. */
struct anyhv_scmi_platform_ops {
    uint64_t (*now)(struct anyhv_scmi_platform *platform);
    /*
     * Call anyhv_scmi_tick at the time @at; replaces the call before. ANYHV_SCMI_NEVER: not at all.
     */
    void (*wake)(struct anyhv_scmi_platform *platform, uint64_t at);
    /* An agent was refused something: tell the operator. Optional. */
    void (*refused)(struct anyhv_scmi_platform *platform, const struct anyhv_scmi_agent *agent,
                    unsigned protocol, unsigned message, uint32_t number);
    /*
     * The two below move what is real; both are optional, what is simulated needs nothing. They
     * must not block: all agents wait meanwhile. False: it did not move. The agent that asked gets
     * HARDWARE_ERROR, and its wish is forgotten; what should have moved because a reset is over, an
     * agent leaves or a saved state is loaded stays as it is until somebody asks again.
     *
     * @clock, still with the rate and state that it had, goes to @rate and @on, because of the
     * agent with the id @by.
     */
    bool (*set_clock)(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                      uint64_t rate, bool on, uint32_t by);
    /* A line changes, which is not yet so in @reset. */
    bool (*reset_line)(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset,
                       bool asserted);
};

struct anyhv_scmi_platform {
    const struct anyhv_scmi_platform_ops *ops;
    const char *sub_vendor;
    struct anyhv_scmi_clock *clocks;
    struct anyhv_scmi_sensor *sensors;
    struct anyhv_scmi_reset *resets;
    struct anyhv_scmi_agent *agents;
    uint16_t nclocks, nsensors, nresets, nagents; /* nagents: 1 to 255 */
    uint32_t sample_ms; /* how often trip points are looked at that somebody waits for; from 1 */
    /* the platform's */
    uint32_t device[ANYHV_SCMI_DEVICES];
    unsigned ndevices;
    bool ticking;
};

/*
 * ANYHV_E_INVAL: something is out of the bounds above, or belongs to one more than
 * ANYHV_SCMI_DEVICES devices; then no device may be made an agent. The arrays are the caller's and
 * stay.
 */
int anyhv_scmi_platform_init(struct anyhv_scmi_platform *platform);

/* What is due: the simulation, trip points, updates, delayed responses. Asks to be woken again. */
void anyhv_scmi_tick(struct anyhv_scmi_platform *platform);

/* An external sensor was read: one value per axis, or NULL: that failed. */
void anyhv_scmi_sensor_set(struct anyhv_scmi_platform *platform, struct anyhv_scmi_sensor *sensor,
                           const int64_t *values);

/* Something broke that no command is to blame for: agents that asked are told. */
void anyhv_scmi_error(struct anyhv_scmi_platform *platform, bool fatal);

/* ---- One guest's device ---- */

/* What waits for a buffer of the event queue, or for its time. */
struct anyhv_scmi_event {
    enum {
        ANYHV_SCMI_EVENT_FREE,
        ANYHV_SCMI_EVENT_WORK,  /* a delayed response whose command is still in work */
        ANYHV_SCMI_EVENT_READY, /* complete */
    } state;
    uint32_t order; /* READY: in which they became so */
    uint32_t header;
    uint32_t number; /* of the resource */
    uint64_t due, argument;
    bool silent; /* WORK: nobody waits for the response */
    void (*finish)(struct anyhv_scmi *scmi,
                   struct anyhv_scmi_event *event); /* when due: fills in data */
    uint8_t len, data[60];
};

struct anyhv_scmi_counters {
    uint64_t commands, refused; /* refused: for want of permission */
    uint64_t delayed, notices;  /* sent */
    uint64_t lost;              /* notifications: no buffer for long, or only too small ones */
};

/* Caller's storage, zeroed, passed as priv at attach. */
struct anyhv_scmi {
    struct anyhv_dev *dev;
    struct anyhv_scmi_platform *platform;
    struct anyhv_scmi_agent *agent;
    uint32_t order;
    bool started;
    bool behind; /* events and buffers are left: the next tick goes on */
    /* A command that was carried out while its answer could not be written: it waits here. */
    uint64_t unanswered; /* handle */
    uint16_t answer_len;
    uint8_t answer[ANYHV_SCMI_REPLY];
    struct anyhv_scmi_event delayed[ANYHV_SCMI_DELAYED], notice[ANYHV_SCMI_NOTICES];
    struct anyhv_scmi_counters counters;
};

extern const struct anyhv_device_ops anyhv_scmi_ops;

/* Makes @dev the agent @agent, which no other device is, before attach. */
void anyhv_scmi_init(struct anyhv_scmi *scmi, struct anyhv_dev *dev,
                     struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent);
/* Takes back what the agent asked for, before the memory goes. */
void anyhv_scmi_fini(struct anyhv_scmi *scmi);

#ifdef __cplusplus
}
#endif
#endif

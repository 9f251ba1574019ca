/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a protocol is to the transport: a const table of commands. A new one is a file with such a
 * table, and a line in the list of scmi.c. VERSION, PROTOCOL_ATTRIBUTES and MESSAGE_ATTRIBUTES
 * follow from the table; lengths, numbers of resources and permissions are checked before a command
 * runs.
 */
#ifndef ANYHV_DEVICES_SCMI_PROTOCOL_H
#define ANYHV_DEVICES_SCMI_PROTOCOL_H

#include <anyhv/devices/scmi.h>

enum scmi_status {
    SCMI_SUCCESS = 0,
    SCMI_NOT_SUPPORTED = -1,
    SCMI_INVALID_PARAMETERS = -2,
    SCMI_DENIED = -3,
    SCMI_NOT_FOUND = -4,
    SCMI_OUT_OF_RANGE = -5,
    SCMI_BUSY = -6,
    SCMI_COMMS_ERROR = -7,
    SCMI_GENERIC_ERROR = -8,
    SCMI_HARDWARE_ERROR = -9,
    SCMI_PROTOCOL_ERROR = -10,
};

enum {
    SCMI_PARAMS = 4,                   /* words of the longest command */
    SCMI_REPLY = ANYHV_SCMI_REPLY - 8, /* bytes of the longest reply behind the status */
};

/* Header: 7:0 message, 9:8 type, 17:10 protocol, 27:18 token. */
enum scmi_type {
    SCMI_COMMAND,
    SCMI_DELAYED_RESPONSE = 2,
    SCMI_NOTIFICATION
};

static inline uint32_t scmi_header(unsigned message, enum scmi_type type, unsigned protocol)
{
    return message | (uint32_t)type << 8 | (uint32_t)protocol << 10;
}

static inline void scmi_put_word(uint8_t *at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(word >> (8 * i));
}

static inline uint32_t scmi_get_word(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One command while it is answered. */
struct scmi_call {
    struct anyhv_scmi *scmi;
    struct anyhv_scmi_platform *platform;
    struct anyhv_scmi_agent *agent;
    struct anyhv_scmi_grant *grant; /* of the resource that the command names, if it does */
    uint32_t number;                /* which one it is */
    uint32_t header;
    uint32_t param[SCMI_PARAMS];
    bool events; /* P2A_CHANNELS was negotiated: there are notifications and delayed responses */
    bool again;  /* it may have been carried out by a predecessor */
    uint16_t room, len;
    bool cut; /* something did not fit */
    uint8_t out[8 + SCMI_REPLY];
};

enum scmi_command_flags {
    SCMI_WRITE = 1,  /* changes a resource for others */
    SCMI_EVENTS = 2, /* makes no sense without an event queue */
};

struct scmi_command {
    enum scmi_status (*run)(struct scmi_call *call);
    uint8_t params;   /* words, exactly */
    uint8_t resource; /* which of them, from 1, is the number of a resource; 0: none */
    uint8_t flags;
};

struct scmi_state;

struct scmi_protocol {
    uint8_t id;
    uint32_t version;
    const struct scmi_command *commands; /* by message number; without run: not there */
    unsigned ncommands;
    void (*attributes)(struct scmi_call *call);
    /* The resources of an agent. NULL, 0 of it: for base, which every agent has. */
    unsigned (*count)(const struct anyhv_scmi_agent *agent);
    struct anyhv_scmi_grant *(*grant)(struct anyhv_scmi_agent *agent, uint32_t number);
    /* What the agent asked for of this resource goes through a saved state, either way. */
    void (*state)(struct scmi_state *state, struct anyhv_scmi_agent *agent, uint32_t number);
};

extern const struct scmi_protocol anyhv_scmi_base, anyhv_scmi_clock, anyhv_scmi_sensor,
    anyhv_scmi_reset;

/* All of them, base first, ended by NULL. */
extern const struct scmi_protocol *const anyhv_scmi_table[];

/* ---- scmi.c, for protocols ---- */

/* The protocols of @agent beyond base, in the order of their numbers: writes up to @max, tells how
 * many. */
unsigned anyhv_scmi_protocols(const struct anyhv_scmi_agent *agent, uint8_t *ids, unsigned max);

/* Bytes of the reply, little endian. What does not fit makes the answer COMMS_ERROR. */
void anyhv_scmi_put(struct scmi_call *call, uint32_t word);
void anyhv_scmi_put64(struct scmi_call *call, uint64_t value);
void anyhv_scmi_put_name(struct scmi_call *call, const char *name);

static inline unsigned scmi_room(const struct scmi_call *call)
{
    return call->room - call->len;
}

/*
 * How many of @left elements of @size bytes fit behind @before bytes; 0 only if none is left. When
 * not even one fits, the reply will be cut.
 */
unsigned anyhv_scmi_page(const struct scmi_call *call, unsigned before, unsigned size,
                         unsigned left);

/* Bytes of an event. */
void anyhv_scmi_event_put(struct anyhv_scmi_event *event, uint32_t word);
void anyhv_scmi_event_put64(struct anyhv_scmi_event *event, uint64_t value);

/* So many commands are in work that there is no place for another. */
bool anyhv_scmi_busy(struct anyhv_scmi *scmi);
/*
 * The command, when not busy, gets a delayed response in @ms, made by @finish; earlier if the guest
 * goes away. @silent: nobody wants to hear of it.
 */
void anyhv_scmi_delay(struct scmi_call *call, uint32_t ms, uint64_t argument, bool silent,
                      void (*finish)(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event));

/* A notification for @agent: fill it in, then send it. NULL: its guest gets none. */
struct anyhv_scmi_event *anyhv_scmi_notice(struct anyhv_scmi_agent *agent, unsigned protocol,
                                           unsigned message);
void anyhv_scmi_send(struct anyhv_scmi *scmi);

/* Completes delayed responses that are due; the time of the next. */
uint64_t anyhv_scmi_finish_due(struct anyhv_scmi *scmi, uint64_t now);

/* ---- scmi_state.c ---- */

/*
 * A saved state while it is written or read: one description serves both ways. It is walked through
 * on copies; what was read counts only with `load`, and then all of it has been checked before.
 */
struct scmi_state {
    uint8_t *to;         /* written here, as far as there is room */
    const uint8_t *from; /* or read from here */
    size_t at, size;
    bool load;
    bool bad; /* read: something cannot be */
};

/* Writes the value, or reads it. What is read is at most @max, or else the state is bad. */
void anyhv_scmi_state_word(struct scmi_state *state, uint32_t *word, uint32_t max);
void anyhv_scmi_state_flag(struct scmi_state *state, bool *flag);
void anyhv_scmi_state_word64(struct scmi_state *state, uint64_t *word);

size_t anyhv_scmi_save(struct anyhv_dev *dev, void *buf, size_t cap);
int anyhv_scmi_load(struct anyhv_dev *dev, const void *buf, size_t len);

/* ---- scmi_bounds.c ---- */

/* What the caller filled in is as scmi.h says. */
bool anyhv_scmi_within_bounds(const struct anyhv_scmi_platform *platform);

/* ---- scmi_platform.c ---- */

/* When something changed that may be due earlier than what was. */
void anyhv_scmi_schedule(struct anyhv_scmi_platform *platform);

/* @device has been denied to @agent, for @protocol. */
bool anyhv_scmi_denied(const struct anyhv_scmi_agent *agent, uint32_t device, unsigned protocol);
/* Its index, or -1. */
int anyhv_scmi_device(const struct anyhv_scmi_platform *platform, uint32_t device);

/* All that the agent asked for is taken back. */
void anyhv_scmi_agent_reset(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent);

/* ---- scmi_clock.c, scmi_sensor.c, scmi_reset.c: policy, and what is due ---- */

/* What the agents want is compared with what is; @by is who caused it. False: it did not move. */
bool anyhv_scmi_clock_settle(struct anyhv_scmi_platform *platform, struct anyhv_scmi_clock *clock,
                             uint32_t by);
/* Moves a simulated value on to @now. */
void anyhv_scmi_sensor_advance(struct anyhv_scmi_sensor *sensor, uint64_t now);
/* Trip points and updates of one agent; the time when to look again. */
uint64_t anyhv_scmi_sensor_due(struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent,
                               uint64_t now);
bool anyhv_scmi_reset_settle(struct anyhv_scmi_platform *platform, struct anyhv_scmi_reset *reset);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCMI device model, section 5.17: messages of an agent are checked, carried out by the tables
 * of the protocols, and answered; delayed responses and notifications wait here for buffers.
 * Freestanding.
 */
#include "scmi_protocol.h"

#include <anyhv/port.h>

#define F_P2A_CHANNELS  ANYHV_F(0)
#define USELESS_BUFFERS 16u /* of the event queue, refused without a pause */

enum {
    CMDQ,
    EVENTQ
};
enum {
    VERSION,
    ATTRIBUTES,
    MESSAGE_ATTRIBUTES
};

const struct scmi_protocol *const anyhv_scmi_table[] = {
    &anyhv_scmi_base, &anyhv_scmi_clock, &anyhv_scmi_sensor, &anyhv_scmi_reset, NULL,
};

/* ---- replies ---- */

static uint8_t *more(struct scmi_call *call, unsigned bytes)
{
    uint8_t *at = call->out + 8 + call->len;

    if (call->cut || bytes > scmi_room(call)) {
        call->cut = true;
        return NULL;
    }
    call->len = (uint16_t)(call->len + bytes);
    return at;
}

void anyhv_scmi_put(struct scmi_call *call, uint32_t word)
{
    uint8_t *at = more(call, 4);

    if (at)
        scmi_put_word(at, word);
}

void anyhv_scmi_put64(struct scmi_call *call, uint64_t value)
{
    anyhv_scmi_put(call, (uint32_t)value);
    anyhv_scmi_put(call, (uint32_t)(value >> 32));
}

void anyhv_scmi_put_name(struct scmi_call *call, const char *name)
{
    uint8_t *at = more(call, ANYHV_SCMI_NAME);

    if (!at)
        return;
    memset(at, 0, ANYHV_SCMI_NAME);
    for (unsigned i = 0; i < ANYHV_SCMI_NAME - 1 && name[i]; i++)
        at[i] = (uint8_t)name[i];
}

unsigned anyhv_scmi_page(const struct scmi_call *call, unsigned before, unsigned size,
                         unsigned left)
{
    unsigned room = scmi_room(call), fit = room > before ? (room - before) / size : 0;

    if (!fit)
        fit = 1;
    return left < fit ? left : fit;
}

/* ---- who may what ---- */

static bool has(const struct anyhv_scmi_agent *agent, const struct scmi_protocol *protocol)
{
    return !protocol->count || protocol->count(agent);
}

unsigned anyhv_scmi_protocols(const struct anyhv_scmi_agent *agent, uint8_t *ids, unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 1; anyhv_scmi_table[i]; i++) {
        if (!has(agent, anyhv_scmi_table[i]))
            continue;
        if (n < max)
            ids[n] = anyhv_scmi_table[i]->id;
        n++;
    }
    return n;
}

static const struct scmi_protocol *find_protocol(const struct anyhv_scmi_agent *agent, unsigned id)
{
    for (unsigned i = 0; anyhv_scmi_table[i]; i++) {
        if (anyhv_scmi_table[i]->id == id && has(agent, anyhv_scmi_table[i]))
            return anyhv_scmi_table[i];
    }
    return NULL;
}

/* Without an event queue there is nothing that needs one. */
static const struct scmi_command *find_command(const struct scmi_call *call,
                                               const struct scmi_protocol *protocol, uint32_t id)
{
    const struct scmi_command *command;

    if (id >= protocol->ncommands)
        return NULL;
    command = &protocol->commands[id];
    return command->run && (call->events || !(command->flags & SCMI_EVENTS)) ? command : NULL;
}

static void tell_refused(struct scmi_call *call)
{
    const struct anyhv_scmi_platform_ops *ops = call->platform->ops;

    call->scmi->counters.refused++;
    if (ops->refused)
        ops->refused(call->platform, call->agent, call->header >> 10 & 0xff, call->header & 0xff,
                     call->number);
}

static enum scmi_status check_resource(struct scmi_call *call, const struct scmi_protocol *protocol,
                                       const struct scmi_command *command)
{
    if (!command->resource)
        return SCMI_SUCCESS;
    call->number = call->param[command->resource - 1];
    call->grant = protocol->grant(call->agent, call->number);
    if (!call->grant)
        return SCMI_NOT_FOUND;
    if (anyhv_scmi_denied(call->agent, call->grant->resource->device, protocol->id) ||
        (command->flags & SCMI_WRITE && !call->grant->write))
        return SCMI_DENIED;
    return SCMI_SUCCESS;
}

/* ---- commands ---- */

static enum scmi_status message_attributes(struct scmi_call *call,
                                           const struct scmi_protocol *protocol)
{
    uint32_t id = call->param[0];

    if (id > MESSAGE_ATTRIBUTES && !find_command(call, protocol, id))
        return SCMI_NOT_FOUND;
    anyhv_scmi_put(call, 0); /* no fast channels */
    return SCMI_SUCCESS;
}

static enum scmi_status run_common(struct scmi_call *call, const struct scmi_protocol *protocol,
                                   unsigned message)
{
    if (message == MESSAGE_ATTRIBUTES)
        return message_attributes(call, protocol);
    if (message == VERSION)
        anyhv_scmi_put(call, protocol->version);
    else
        protocol->attributes(call);
    return SCMI_SUCCESS;
}

static uint32_t delayed_header(const struct scmi_call *call)
{
    return (call->header & 0x0ffffcff) | (uint32_t)SCMI_DELAYED_RESPONSE << 8;
}

static enum scmi_status run(struct scmi_call *call, unsigned bytes)
{
    const struct scmi_protocol *protocol = find_protocol(call->agent, call->header >> 10 & 0xff);
    const struct scmi_command *command;
    unsigned message = call->header & 0xff;
    enum scmi_status status;

    if ((call->header >> 8 & 3) != SCMI_COMMAND)
        return SCMI_PROTOCOL_ERROR;
    if (!protocol)
        return SCMI_NOT_SUPPORTED;
    if (message <= MESSAGE_ATTRIBUTES) {
        if (bytes != (message == MESSAGE_ATTRIBUTES ? 4 : 0))
            return SCMI_PROTOCOL_ERROR;
        return run_common(call, protocol, message);
    }
    command = find_command(call, protocol, message);
    if (!command)
        return SCMI_NOT_SUPPORTED;
    if (bytes != 4u * command->params)
        return SCMI_PROTOCOL_ERROR;
    status = check_resource(call, protocol, command);
    if (status == SCMI_SUCCESS)
        status = command->run(call);
    if (status == SCMI_DENIED)
        tell_refused(call);
    return status;
}

static uint32_t answer(struct scmi_call *call, unsigned bytes)
{
    enum scmi_status status = run(call, bytes);

    if (status == SCMI_SUCCESS && call->cut)
        status = SCMI_COMMS_ERROR;
    scmi_put_word(call->out, call->header);
    scmi_put_word(call->out + 4, (uint32_t)status);
    return status == SCMI_SUCCESS ? 8u + call->len : 8u;
}

/* Takes the message apart, without moving on: it may have to be done again. */
static int open_call(struct anyhv_scmi *scmi, struct anyhv_req *req, struct scmi_call *call)
{
    uint32_t room = anyhv_req_writable(req), bytes = anyhv_req_readable(req);
    uint8_t in[4 + 4 * SCMI_PARAMS];
    int rc;

    if (room < 8 || bytes < 4)
        return ANYHV_E_SHORT;
    if (bytes > sizeof(in))
        bytes = sizeof(in);
    rc = anyhv_req_peek(req, in, bytes);
    if (rc)
        return rc;
    call->scmi = scmi;
    call->platform = scmi->platform;
    call->agent = scmi->agent;
    call->grant = NULL;
    call->number = 0;
    call->events = anyhv_dev_features(scmi->dev) & F_P2A_CHANNELS;
    call->header = scmi_get_word(in);
    call->room = (uint16_t)(room - 8 < SCMI_REPLY ? room - 8 : SCMI_REPLY);
    call->len = 0;
    call->cut = false;
    call->again = anyhv_req_replayed(req);
    for (unsigned i = 0; i < SCMI_PARAMS; i++)
        call->param[i] = 4 * i + 8 <= bytes ? scmi_get_word(in + 4 + 4 * i) : 0;
    return ANYHV_OK;
}

static bool is_carried_out(const struct anyhv_scmi *scmi, const struct anyhv_req *req)
{
    return scmi->unanswered && anyhv_req_get(scmi->dev, scmi->unanswered) == req;
}

/* Once: an answer that cannot be written just now is kept. */
static int carry_out(struct anyhv_scmi *scmi, struct anyhv_req *req)
{
    struct scmi_call call;
    uint32_t len;
    int rc = open_call(scmi, req, &call);

    if (rc)
        return rc;
    len = answer(&call, anyhv_req_readable(req) - 4);
    rc = anyhv_req_write(req, call.out, len);
    if (rc == ANYHV_E_NORES) {
        scmi->unanswered = anyhv_req_hold(req);
        scmi->answer_len = (uint16_t)len;
        memcpy(scmi->answer, call.out, len);
    }
    return rc;
}

/* False: guest memory cannot be reached just now, so it has to be tried again. */
static bool command(struct anyhv_scmi *scmi, struct anyhv_req *req)
{
    int rc = is_carried_out(scmi, req) ? anyhv_req_write(req, scmi->answer, scmi->answer_len)
                                       : carry_out(scmi, req);

    if (rc == ANYHV_E_NORES)
        return false;
    if (rc) {
        anyhv_req_reject(req, rc);
    } else {
        scmi->counters.commands++;
        anyhv_req_done(req);
    }
    return true;
}

static void scmi_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct anyhv_scmi *scmi = anyhv_dev_priv(dev);

    (void)queue;
    if (anyhv_queue_held(dev, CMDQ) || !command(scmi, req))
        anyhv_req_hold(req);
}

/* ---- events ---- */

static uint8_t *event_more(struct anyhv_scmi_event *event, unsigned bytes)
{
    uint8_t *at = event->data + event->len;

    ANYHV_ASSERT(event->len + bytes <= sizeof(event->data));
    event->len = (uint8_t)(event->len + bytes);
    return at;
}

void anyhv_scmi_event_put(struct anyhv_scmi_event *event, uint32_t word)
{
    scmi_put_word(event_more(event, 4), word);
}

void anyhv_scmi_event_put64(struct anyhv_scmi_event *event, uint64_t value)
{
    anyhv_scmi_event_put(event, (uint32_t)value);
    anyhv_scmi_event_put(event, (uint32_t)(value >> 32));
}

static void ready(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event)
{
    event->state = ANYHV_SCMI_EVENT_READY;
    event->order = scmi->order++;
}

/* The one that was ready first, of @n; @best: of others, or NULL. */
static struct anyhv_scmi_event *oldest(struct anyhv_scmi_event *event, unsigned n,
                                       struct anyhv_scmi_event *best)
{
    for (unsigned i = 0; i < n; i++) {
        if (event[i].state == ANYHV_SCMI_EVENT_READY &&
            (!best || (int32_t)(event[i].order - best->order) < 0))
            best = &event[i];
    }
    return best;
}

static bool is_delayed(const struct anyhv_scmi_event *event)
{
    return (event->header >> 8 & 3) == SCMI_DELAYED_RESPONSE;
}

/*
 * The event goes into @req. False: not now. A notification that is larger than the buffer is left
 * out, a delayed response says that it did not fit: its agent waits for it.
 */
static int fill(struct anyhv_scmi_event *event, struct anyhv_req *req)
{
    uint8_t out[4 + sizeof(event->data)];

    if (anyhv_req_writable(req) < 4u + event->len) {
        if (!is_delayed(event))
            return ANYHV_LATER;
        scmi_put_word(event->data, (uint32_t)SCMI_COMMS_ERROR);
        event->len = 4;
    }
    scmi_put_word(out, event->header);
    memcpy(out + 4, event->data, event->len);
    return anyhv_req_write(req, out, 4u + event->len);
}

static void sent(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event, int rc)
{
    event->state = ANYHV_SCMI_EVENT_FREE;
    if (rc)
        scmi->counters.lost++;
    else if (is_delayed(event))
        scmi->counters.delayed++;
    else
        scmi->counters.notices++;
}

/*
 * Buffers in their order, events in theirs. A driver may offer useless buffers as fast as they are
 * refused: after some the others have their turn, and the next tick goes on.
 */
void anyhv_scmi_send(struct anyhv_scmi *scmi)
{
    struct anyhv_scmi_event *event;
    unsigned useless = 0;

    scmi->behind = false;
    while (scmi->started && (event = oldest(scmi->notice, ANYHV_SCMI_NOTICES,
                                            oldest(scmi->delayed, ANYHV_SCMI_DELAYED, NULL)))) {
        struct anyhv_req *req = anyhv_queue_held(scmi->dev, EVENTQ);
        bool held = req;
        int rc;

        if (useless == USELESS_BUFFERS) {
            scmi->behind = true;
            anyhv_scmi_schedule(scmi->platform);
            return;
        }
        if (!req)
            req = anyhv_queue_pull(scmi->dev, EVENTQ);
        if (!req)
            return;
        rc = anyhv_req_writable(req) < 8 ? ANYHV_E_SHORT : fill(event, req);
        if (rc >= 0)
            sent(scmi, event, rc);
        if (rc == ANYHV_OK) {
            anyhv_req_done(req);
        } else if (rc != ANYHV_LATER && rc != ANYHV_E_NORES) {
            anyhv_req_reject(req, rc);
            useless++;
        } else if (!held) {
            anyhv_req_hold(req);
        }
        if (rc == ANYHV_E_NORES)
            return;
    }
}

struct anyhv_scmi_event *anyhv_scmi_notice(struct anyhv_scmi_agent *agent, unsigned protocol,
                                           unsigned message)
{
    struct anyhv_scmi *scmi = agent->scmi;
    struct anyhv_scmi_event *event = NULL;

    if (!scmi || !scmi->started || !(anyhv_dev_features(scmi->dev) & F_P2A_CHANNELS))
        return NULL;
    for (unsigned i = 0; i < ANYHV_SCMI_NOTICES && !event; i++) {
        if (scmi->notice[i].state == ANYHV_SCMI_EVENT_FREE)
            event = &scmi->notice[i];
    }
    if (!event) {
        event = oldest(scmi->notice, ANYHV_SCMI_NOTICES, NULL);
        scmi->counters.lost++;
    }
    event->header = scmi_header(message, SCMI_NOTIFICATION, protocol);
    event->len = 0;
    ready(scmi, event);
    return event;
}

static struct anyhv_scmi_event *free_delayed(struct anyhv_scmi *scmi)
{
    for (unsigned i = 0; i < ANYHV_SCMI_DELAYED; i++) {
        if (scmi->delayed[i].state == ANYHV_SCMI_EVENT_FREE)
            return &scmi->delayed[i];
    }
    return NULL;
}

bool anyhv_scmi_busy(struct anyhv_scmi *scmi)
{
    return !free_delayed(scmi);
}

void anyhv_scmi_delay(struct scmi_call *call, uint32_t ms, uint64_t argument, bool silent,
                      void (*finish)(struct anyhv_scmi *scmi, struct anyhv_scmi_event *event))
{
    struct anyhv_scmi_platform *platform = call->platform;
    struct anyhv_scmi_event *event = free_delayed(call->scmi);

    ANYHV_ASSERT(event);
    *event = (struct anyhv_scmi_event){
        .state = ANYHV_SCMI_EVENT_WORK,
        .header = delayed_header(call),
        .number = call->number,
        .due = platform->ops->now(platform) + ms,
        .argument = argument,
        .silent = silent,
        .finish = finish,
    };
    anyhv_scmi_schedule(platform);
}

static struct anyhv_scmi_event *next_due(struct anyhv_scmi *scmi)
{
    struct anyhv_scmi_event *best = NULL;

    for (unsigned i = 0; i < ANYHV_SCMI_DELAYED; i++) {
        struct anyhv_scmi_event *event = &scmi->delayed[i];

        if (event->state == ANYHV_SCMI_EVENT_WORK && (!best || event->due < best->due))
            best = event;
    }
    return best;
}

uint64_t anyhv_scmi_finish_due(struct anyhv_scmi *scmi, uint64_t now)
{
    struct anyhv_scmi_event *event;

    while ((event = next_due(scmi)) && event->due <= now) {
        event->finish(scmi, event);
        if (event->silent)
            event->state = ANYHV_SCMI_EVENT_FREE;
        else
            ready(scmi, event);
    }
    anyhv_scmi_send(scmi);
    if (scmi->behind)
        return now;
    return event ? event->due : ANYHV_SCMI_NEVER;
}

static void scmi_buffers(struct anyhv_dev *dev, unsigned queue)
{
    (void)queue;
    anyhv_scmi_send(anyhv_dev_priv(dev));
}

/* ---- the life of a device ---- */

static void scmi_retry(struct anyhv_dev *dev, unsigned queue)
{
    struct anyhv_scmi *scmi = anyhv_dev_priv(dev);
    struct anyhv_req *req;

    if (queue == EVENTQ)
        anyhv_scmi_send(scmi);
    while (queue == CMDQ && (req = anyhv_queue_held(dev, CMDQ)) && command(scmi, req))
        ;
}

/*
 * From the ring a command would come as a new one: what is carried out is answered now, or not at
 * all.
 */
static bool scmi_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct anyhv_scmi *scmi = anyhv_dev_priv(dev);
    bool carried_out = is_carried_out(scmi, req);

    if (returnable && !carried_out)
        return true;
    if (!carried_out)
        anyhv_req_reject(req, ANYHV_E_STATE);
    else if (!command(scmi, req))
        anyhv_req_reject(req, ANYHV_E_NORES);
    return false;
}

static void scmi_start(struct anyhv_dev *dev)
{
    struct anyhv_scmi *scmi = anyhv_dev_priv(dev);

    scmi->started = true;
}

/* Nothing may stay on for a guest that is not there to switch it off; what is in work ends here. */
static void forget(struct anyhv_scmi *scmi)
{
    scmi->started = false;
    anyhv_scmi_finish_due(scmi, ANYHV_SCMI_NEVER);
    memset(scmi->delayed, 0, sizeof(scmi->delayed));
    memset(scmi->notice, 0, sizeof(scmi->notice));
    anyhv_scmi_agent_reset(scmi->platform, scmi->agent);
}

static void scmi_stop(struct anyhv_dev *dev)
{
    forget(anyhv_dev_priv(dev));
}

const struct anyhv_device_ops anyhv_scmi_ops = {
    .name = "scmi",
    .id = 32,
    .queues = 2,
    .features = F_P2A_CHANNELS,
    .ordered = true,
    .pull_queues = 1u << EVENTQ,
    .request = scmi_request,
    .buffers = scmi_buffers,
    .retry = scmi_retry,
    .cancel = scmi_cancel,
    .start = scmi_start,
    .stop = scmi_stop,
    .save = anyhv_scmi_save,
    .load = anyhv_scmi_load,
};

void anyhv_scmi_init(struct anyhv_scmi *scmi, struct anyhv_dev *dev,
                     struct anyhv_scmi_platform *platform, struct anyhv_scmi_agent *agent)
{
    ANYHV_ASSERT(!agent->scmi);
    *scmi = (struct anyhv_scmi){.dev = dev, .platform = platform, .agent = agent};
    agent->scmi = scmi;
}

void anyhv_scmi_fini(struct anyhv_scmi *scmi)
{
    if (!scmi->agent)
        return;
    forget(scmi);
    scmi->agent->scmi = NULL;
}

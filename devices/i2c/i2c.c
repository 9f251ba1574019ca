/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I2C adapter model, section 5.16. Freestanding.
 *
 * Requests are held in the order they come. The oldest of them are gathered into a group, as far as
 * FAIL_NEXT joins them; the group becomes one transfer, and when that has ended they are answered.
 * One group at a time: requests of one queue are processed in order, section 5.16.6.4, and what a
 * guest can keep busy is bounded by one transfer and ANYHV_I2C_REQUESTS.
 *
 * All or nothing: if anything is wrong with a request, no request of its group reaches the bus.
 */
#include <anyhv/devices/i2c.h>
#include <anyhv/port.h>

#define F_ZERO_LENGTH_REQUEST ANYHV_F(0) /* section 5.16.3: mandatory */

/* Section 5.16.6. */
enum {
    FLAG_FAIL_NEXT = 1,
    FLAG_M_RD = 2,
};

enum {
    MSG_OK = 0,
    MSG_ERR = 1,
};

enum phase {
    GATHER, /* requests into the group */
    ON_BUS,
    ANSWER, /* the group's requests, as far as guest memory is there */
};

static uint32_t get(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

/* ---- what a request wants ---- */

/*
 * 7 bits: A6..A0, 0 in the lower byte, 0 in the upper. 10 bits: 1 1 1 1 0 A9 A8 0 in the lower,
 * A7..A0 in the upper. What looks like both is 10 bits: 7-bit addresses that begin with 11110 are
 * reserved for that.
 */
static bool decode_address(uint32_t wire, uint16_t *addr)
{
    if ((wire & 0xf9) == 0xf0)
        *addr = (uint16_t)(ANYHV_I2C_TEN_BIT | (wire & 6) << 7 | wire >> 8);
    else
        *addr = (uint16_t)(wire >> 1);
    return *addr & ANYHV_I2C_TEN_BIT || !(wire & 0xff01);
}

/* The target at @addr if it is allowed to this guest and nobody else's. */
static struct anyhv_i2c_target *usable(const struct anyhv_i2c *i2c, uint16_t addr)
{
    for (unsigned i = 0; i < i2c->setup.ntargets; i++) {
        struct anyhv_i2c_target *target = i2c->setup.targets[i];

        if (target->addr == addr)
            return !target->owner || target->owner == i2c ? target : NULL;
    }
    return NULL;
}

/* What the transfer addresses is this guest's from now on: all of it, or nothing. */
static bool claim(struct anyhv_i2c *i2c)
{
    const struct anyhv_i2c_transfer *t = &i2c->transfer;

    for (unsigned i = 0; i < t->messages; i++) {
        if (!usable(i2c, t->message[i].addr))
            return false;
    }
    for (unsigned i = 0; i < t->messages; i++)
        usable(i2c, t->message[i].addr)->owner = i2c;
    return true;
}

/* What may have happened cannot be done once more, unless it was only looking. */
static bool repeatable(const struct anyhv_i2c_message *m)
{
    return m->read && m->len;
}

/*
 * Direction and lengths of @req, whose header is @header. A flag that nobody has told us of may
 * change what is meant, so it is not passed over.
 */
static int parse(const struct anyhv_req *req, const uint8_t *header, struct anyhv_i2c_message *m)
{
    uint32_t out = anyhv_req_readable(req), in = anyhv_req_writable(req), len;
    uint32_t flags = get(header + 4, 4);

    if (in == 0)
        return ANYHV_E_SHORT; /* there is no place for a status */
    m->read = flags & FLAG_M_RD;
    if (flags & ~(uint32_t)(FLAG_FAIL_NEXT | FLAG_M_RD) ||
        (m->read ? out != ANYHV_I2C_HEADER : in != 1))
        return ANYHV_E_INVAL;
    len = m->read ? in - 1 : out - ANYHV_I2C_HEADER;
    if (len > ANYHV_I2C_MESSAGE_BYTES || !decode_address(get(header, 2), &m->addr))
        return ANYHV_E_INVAL;
    m->len = (uint16_t)len;
    return anyhv_req_replayed(req) && !repeatable(m) ? ANYHV_E_STATE : ANYHV_OK;
}

/* Room for the message's bytes; what is written is read with the header in front of it. */
static int place(struct anyhv_i2c *i2c, struct anyhv_req *req, struct anyhv_i2c_message *m)
{
    uint8_t *at = i2c->setup.data + i2c->used;
    uint32_t len = m->read ? m->len : ANYHV_I2C_HEADER + m->len;
    int rc = ANYHV_OK;

    if (len > i2c->setup.data_len - i2c->used)
        return ANYHV_E_INVAL;
    m->data = m->read ? at : at + ANYHV_I2C_HEADER;
    if (!m->read)
        rc = anyhv_req_read(req, at, len); /* the header has been decoded: its bytes do not count */
    if (!rc)
        i2c->used += len;
    return rc;
}

/* Adds @req to the transfer. ANYHV_E_NORES: not just now; else what is wrong with it. */
static int add_message(struct anyhv_i2c *i2c, struct anyhv_req *req, const uint8_t *header)
{
    struct anyhv_i2c_transfer *t = &i2c->transfer;
    struct anyhv_i2c_target *target;
    struct anyhv_i2c_message *m;
    int rc;

    if (t->messages == ANYHV_I2C_MESSAGES)
        return ANYHV_E_INVAL;
    m = &t->message[t->messages];
    rc = parse(req, header, m);
    if (rc)
        return rc;
    target = usable(i2c, m->addr);
    if (!target || (t->messages && target->bus != i2c->bus))
        return ANYHV_E_PERM;
    rc = place(i2c, req, m);
    if (rc)
        return rc;
    i2c->bus = target->bus;
    t->messages++;
    return ANYHV_OK;
}

/* ---- groups ---- */

static struct anyhv_req *held(const struct anyhv_i2c *i2c, unsigned i)
{
    return anyhv_req_get(i2c->dev, i2c->handle[i]);
}

static void begin_answers(struct anyhv_i2c *i2c, unsigned done)
{
    i2c->done = done;
    i2c->answered = 0;
    i2c->phase = ANSWER;
}

static void refuse(struct anyhv_i2c *i2c)
{
    i2c->counters.refused++;
    begin_answers(i2c, 0);
}

/* Another guest may have been faster while the group was incomplete. */
static void submit(struct anyhv_i2c *i2c)
{
    if (!claim(i2c)) {
        refuse(i2c);
        return;
    }
    i2c->phase = ON_BUS;
    i2c->transfer.begun = false;
    i2c->bus->ops->submit(i2c->bus, &i2c->transfer);
}

/* Takes one more request into the group. False: there is none, or its memory is not there now. */
static bool gather(struct anyhv_i2c *i2c)
{
    uint8_t header[ANYHV_I2C_HEADER];
    struct anyhv_req *req;
    bool good = !i2c->failing, more;
    int rc;

    if (i2c->grouped == i2c->held)
        return false;
    req = held(i2c, i2c->grouped);
    rc = req ? anyhv_req_peek(req, header, ANYHV_I2C_HEADER) : ANYHV_E_LOST;
    more = !rc && get(header + 4, 4) & FLAG_FAIL_NEXT;
    if (!rc && good)
        rc = add_message(i2c, req, header);
    if (rc == ANYHV_E_NORES)
        return false;
    i2c->grouped++;
    i2c->more = more;
    if (!good)
        begin_answers(i2c, 0);
    else if (rc)
        refuse(i2c);
    else if (!more)
        submit(i2c);
    return true;
}

/*
 * The status is the last byte of the writable part, however that is cut. Behind data that was not
 * written, zeroes are put first: what is reported as used must be defined, section 2.7.8.2.
 */
static int write_answer(const struct anyhv_i2c_message *m, struct anyhv_req *req, bool good)
{
    uint32_t room = anyhv_req_writable(req);
    uint8_t status = good ? MSG_OK : MSG_ERR;

    if (room == 0)
        return ANYHV_E_SHORT;
    if (good && m->read && room > 1) { /* else it was written, and the status could not be */
        int rc = anyhv_req_write(req, m->data, m->len);

        if (rc)
            return rc;
        room = 1;
    }
    return room == 1 ? anyhv_req_write(req, &status, 1)
                     : anyhv_req_write_at(req, room - 1, &status, 1);
}

/* False: guest memory is not there for a moment. */
static bool answer_oldest(struct anyhv_i2c *i2c)
{
    struct anyhv_req *req = held(i2c, 0);
    int rc = ANYHV_OK;

    if (req)
        rc = write_answer(&i2c->transfer.message[i2c->answered], req, i2c->answered < i2c->done);
    if (rc == ANYHV_E_NORES)
        return false;
    if (req && rc)
        anyhv_req_reject(req, rc);
    else if (req)
        anyhv_req_done(req);
    i2c->answered++;
    i2c->grouped--;
    i2c->held--;
    memmove(i2c->handle, i2c->handle + 1, i2c->held * sizeof(i2c->handle[0]));
    return true;
}

static void clear_group(struct anyhv_i2c *i2c)
{
    i2c->phase = GATHER;
    i2c->grouped = 0;
    i2c->transfer.messages = 0;
    i2c->used = 0;
}

static bool answer(struct anyhv_i2c *i2c)
{
    while (i2c->grouped) {
        if (!answer_oldest(i2c))
            return false;
    }
    i2c->failing = i2c->more && i2c->done < i2c->answered;
    clear_group(i2c);
    return true;
}

static void tell_waits(struct anyhv_i2c *i2c)
{
    bool waits = i2c->phase == GATHER && i2c->grouped && i2c->grouped == i2c->held;

    if (waits || i2c->waits)
        i2c->setup.incomplete(i2c, waits);
    i2c->waits = waits;
}

/* As far as it goes. */
static void advance(struct anyhv_i2c *i2c)
{
    bool moved = true;

    while (moved && i2c->phase != ON_BUS)
        moved = i2c->phase == GATHER ? gather(i2c) : answer(i2c);
    tell_waits(i2c);
}

void anyhv_i2c_flush(struct anyhv_i2c *i2c)
{
    if (i2c->waits)
        submit(i2c);
    advance(i2c);
}

void anyhv_i2c_done(struct anyhv_i2c_transfer *t, unsigned done)
{
    struct anyhv_i2c *i2c = t->guest;

    ANYHV_ASSERT(i2c->phase == ON_BUS && done <= t->messages);
    i2c->counters.transfers++;
    i2c->counters.failed += done < t->messages;
    begin_answers(i2c, done);
    advance(i2c);
}

/* ---- what core asks ---- */

static void i2c_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct anyhv_i2c *i2c = anyhv_dev_priv(dev);

    (void)queue;
    ANYHV_ASSERT(i2c->held < ANYHV_I2C_REQUESTS); /* the program gave core room for more */
    i2c->handle[i2c->held++] = anyhv_req_hold(req);
    advance(i2c);
}

static void i2c_retry(struct anyhv_dev *dev, unsigned queue)
{
    (void)queue;
    advance(anyhv_dev_priv(dev));
}

/* The newest request leaves the group, which nobody has seen on the wires. */
static void ungroup_last(struct anyhv_i2c *i2c)
{
    const struct anyhv_i2c_message *m;

    if (i2c->phase == ON_BUS)
        i2c->bus->ops->drop(i2c->bus, &i2c->transfer);
    i2c->phase = GATHER;
    i2c->grouped--;
    i2c->more = true; /* who is the latest now had one behind it */
    m = &i2c->transfer.message[--i2c->transfer.messages];
    i2c->used -= m->read ? m->len : ANYHV_I2C_HEADER + m->len;
}

/* A transfer that was begun ends in bounded time, and so do those that wait for it. */
static bool i2c_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct anyhv_i2c *i2c = anyhv_dev_priv(dev);

    if (!returnable)
        return false;
    ANYHV_ASSERT(i2c->held && i2c->handle[i2c->held - 1] == anyhv_req_hold(req));
    if (i2c->grouped == i2c->held) {
        if (i2c->phase == ANSWER || (i2c->phase == ON_BUS && i2c->transfer.begun))
            return false;
        ungroup_last(i2c);
    }
    i2c->held--;
    tell_waits(i2c);
    return true;
}

static void forget(struct anyhv_i2c *i2c)
{
    if (i2c->phase == ON_BUS)
        i2c->bus->ops->drop(i2c->bus, &i2c->transfer);
    clear_group(i2c);
    i2c->held = 0;
    i2c->failing = false;
    tell_waits(i2c);
}

static void i2c_stop(struct anyhv_dev *dev)
{
    forget(anyhv_dev_priv(dev));
}

static void i2c_queue_reset(struct anyhv_dev *dev, unsigned queue)
{
    (void)queue;
    forget(anyhv_dev_priv(dev));
}

/* ---- state ---- */

#define STATE_VERSION 1u
#define STATE_LEN     4u /* version u16, failing u16 */

static size_t i2c_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    const struct anyhv_i2c *i2c = anyhv_dev_priv(dev);
    uint8_t *at = buf;

    if (cap < STATE_LEN)
        return STATE_LEN;
    at[0] = STATE_VERSION;
    at[2] = i2c->failing;
    at[1] = at[3] = 0;
    return STATE_LEN;
}

static int i2c_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    struct anyhv_i2c *i2c = anyhv_dev_priv(dev);

    if (len < 2 || get(buf, 2) != STATE_VERSION)
        return ANYHV_E_VERSION;
    if (len != STATE_LEN || get((const uint8_t *)buf + 2, 2) > 1)
        return ANYHV_E_INVAL;
    i2c->failing = ((const uint8_t *)buf)[2];
    return ANYHV_OK;
}

/* ---- the device ---- */

const struct anyhv_device_ops anyhv_i2c_ops = {
    .name = "i2c",
    .id = 34,
    .queues = 1,
    .features = F_ZERO_LENGTH_REQUEST,
    .required = F_ZERO_LENGTH_REQUEST,
    .ordered = true,
    .request = i2c_request,
    .retry = i2c_retry,
    .cancel = i2c_cancel,
    .stop = i2c_stop,
    .queue_reset = i2c_queue_reset,
    .save = i2c_save,
    .load = i2c_load,
};

void anyhv_i2c_init(struct anyhv_i2c *i2c, struct anyhv_dev *dev,
                    const struct anyhv_i2c_setup *setup)
{
    *i2c = (struct anyhv_i2c){.dev = dev, .setup = *setup};
    i2c->transfer.guest = i2c;
}

void anyhv_i2c_fini(struct anyhv_i2c *i2c)
{
    for (unsigned i = 0; i < i2c->setup.ntargets; i++) {
        if (i2c->setup.targets[i]->owner == i2c)
            i2c->setup.targets[i]->owner = NULL;
    }
}

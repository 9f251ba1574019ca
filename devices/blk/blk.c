/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device model, section 5.2. Freestanding.
 *
 * A request becomes a job: parsed and checked, run by the store, answered. Each step can find that
 * something of ours is missing (guest memory cannot be mapped just now, the store answers later);
 * then the request is held and the job goes on from there. Every request can be done twice with the
 * same outcome, so one that was begun may still go back to the ring.
 */
#include <anyhv/devices/blk.h>
#include <anyhv/port.h>

/* Feature bits, section 5.2.3. Not offered: CONFIG_WCE, which not every transport can carry. */
#define F_SEG_MAX      ANYHV_F(2)
#define F_RO           ANYHV_F(5)
#define F_BLK_SIZE     ANYHV_F(6)
#define F_FLUSH        ANYHV_F(9)
#define F_MQ           ANYHV_F(12)
#define F_DISCARD      ANYHV_F(13)
#define F_WRITE_ZEROES ANYHV_F(14)

/* Section 5.2.6. */
enum {
    T_IN = 0,
    T_OUT = 1,
    T_FLUSH = 4,
    T_GET_ID = 8,
    T_DISCARD = 11,
    T_WRITE_ZEROES = 13,
};

enum {
    S_OK = 0,
    S_IOERR = 1,
    S_UNSUPP = 2,
};

#define HEADER        16u /* type, reserved, sector */
#define SEGMENT       16u /* sector, num_sectors, flags */

#define SEGMENT_UNMAP 1u

/* How far a job has come. */
enum phase {
    PARSE,
    RUN,
    ANSWER,
};

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* ---- what a request wants ---- */

struct header {
    uint32_t type;
    uint64_t sector;
};

/* The rest of the request is not looked at; its last byte says why. */
static int conclude(struct anyhv_blk_job *job, uint8_t status)
{
    job->status = status;
    job->phase = ANSWER;
    return ANYHV_OK;
}

/* Sums of what the guest says could wrap; differences from the capacity cannot. */
static bool inside(const struct anyhv_blk *blk, uint64_t sector, uint64_t sectors)
{
    uint64_t capacity = blk->store->sectors;

    return sector <= capacity && sectors <= capacity - sector;
}

static void add_range(struct anyhv_blk_job *job, uint64_t sector, uint32_t len)
{
    if (len)
        job->range[job->ranges++] = (struct anyhv_blk_range){sector * ANYHV_BLK_SECTOR, len};
}

static int transfer(struct anyhv_blk_job *job, enum anyhv_blk_kind kind, uint64_t sector,
                    uint32_t len)
{
    if (len % ANYHV_BLK_SECTOR || !inside(job->blk, sector, len / ANYHV_BLK_SECTOR))
        return conclude(job, S_IOERR);
    add_range(job, sector, len);
    job->kind = kind;
    job->phase = RUN;
    return ANYHV_OK;
}

static int parse_in(struct anyhv_blk_job *job, struct anyhv_req *req, const struct header *header)
{
    (void)req;
    return transfer(job, ANYHV_BLK_READ, header->sector, job->status_at);
}

static int parse_out(struct anyhv_blk_job *job, struct anyhv_req *req, const struct header *header)
{
    int rc;

    if (job->blk->store->read_only)
        return conclude(job, S_IOERR);
    rc = anyhv_req_skip(req, HEADER);
    return rc ? rc : transfer(job, ANYHV_BLK_WRITE, header->sector, anyhv_req_readable(req));
}

static int parse_flush(struct anyhv_blk_job *job, struct anyhv_req *req,
                       const struct header *header)
{
    (void)req;
    (void)header;
    job->kind = ANYHV_BLK_FLUSH;
    job->phase = RUN;
    return ANYHV_OK;
}

static int parse_get_id(struct anyhv_blk_job *job, struct anyhv_req *req,
                        const struct header *header)
{
    int rc;

    (void)header;
    if (job->status_at != ANYHV_BLK_SERIAL)
        return conclude(job, S_IOERR);
    rc = anyhv_req_write(req, job->blk->serial, ANYHV_BLK_SERIAL);
    return rc ? rc : conclude(job, S_OK);
}

static uint8_t check_segment(const struct anyhv_blk *blk, const uint8_t *at, uint32_t allowed_flags)
{
    uint64_t sector = get(at, 8), sectors = get(at + 8, 4);

    if (get(at + 12, 4) & ~(uint64_t)allowed_flags)
        return S_UNSUPP;
    return sectors <= ANYHV_BLK_RANGE_SECTORS && inside(blk, sector, sectors) ? S_OK : S_IOERR;
}

/* All segments are checked before the first is touched. */
static int parse_clear(struct anyhv_blk_job *job, struct anyhv_req *req,
                       const struct header *header)
{
    uint8_t buf[HEADER + ANYHV_BLK_RANGES * SEGMENT];
    uint32_t len = anyhv_req_readable(req) - HEADER;
    uint32_t allowed_flags = header->type == T_WRITE_ZEROES ? SEGMENT_UNMAP : 0;
    int rc;

    if (len == 0 || len % SEGMENT || len > ANYHV_BLK_RANGES * SEGMENT)
        return conclude(job, S_IOERR);
    rc = anyhv_req_peek(req, buf, HEADER + len);
    if (rc)
        return rc;
    job->unmap = true;
    for (const uint8_t *at = buf + HEADER; at < buf + HEADER + len; at += SEGMENT) {
        uint8_t status = check_segment(job->blk, at, allowed_flags);

        if (status != S_OK)
            return conclude(job, status);
        add_range(job, get(at, 8), (uint32_t)get(at + 8, 4) * ANYHV_BLK_SECTOR);
        if (header->type == T_WRITE_ZEROES && !(get(at + 12, 4) & SEGMENT_UNMAP))
            job->unmap = false;
    }
    job->kind = ANYHV_BLK_CLEAR;
    job->phase = RUN;
    return ANYHV_OK;
}

static const struct {
    uint32_t type;
    uint64_t needs; /* features: what was not negotiated is not there */
    int (*parse)(struct anyhv_blk_job *job, struct anyhv_req *req, const struct header *header);
} types[] = {
    {T_IN, 0, parse_in},
    {T_OUT, 0, parse_out},
    {T_FLUSH, F_FLUSH, parse_flush},
    {T_GET_ID, 0, parse_get_id},
    {T_DISCARD, F_DISCARD, parse_clear},
    {T_WRITE_ZEROES, F_WRITE_ZEROES, parse_clear},
};

/*
 * Peeks, so that it can begin again when guest memory is not there for a moment. ANYHV_OK: the job
 * is to be run or answered.
 */
static int parse(struct anyhv_blk_job *job, struct anyhv_req *req)
{
    uint64_t features = anyhv_dev_features(job->blk->dev);
    struct header header;
    uint8_t buf[HEADER];
    int rc = anyhv_req_peek(req, buf, HEADER);

    if (rc)
        return rc;
    header = (struct header){.type = (uint32_t)get(buf, 4), .sector = get(buf + 8, 8)};
    job->ranges = 0;
    job->stable = !(features & F_FLUSH); /* a driver that cannot flush need not, section 5.2.6.2 */
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].type == header.type && (features & types[i].needs) == types[i].needs)
            return types[i].parse(job, req, &header);
    }
    return conclude(job, S_UNSUPP);
}

/* ---- jobs ---- */

static void free_job(struct anyhv_blk_job *job)
{
    job->used = false;
    job->next = job->blk->free;
    job->blk->free = job;
}

static void take_back(struct anyhv_blk_job *job)
{
    if (job->with_store)
        job->blk->store->ops->drop(job->blk->store, job);
    free_job(job);
}

static struct anyhv_blk_job *new_job(struct anyhv_blk *blk)
{
    struct anyhv_blk_job *job;

    ANYHV_ASSERT(blk->free); /* there are as many as core has room for requests */
    job = blk->free;
    blk->free = job->next;
    job->blk = blk;
    job->phase = PARSE;
    job->handle = job->due = 0;
    job->at = 0;
    job->used = true;
    job->parked = job->with_store = false;
    return job;
}

/*
 * The status is the last byte of the writable part, however that is cut. Behind data that was not
 * written, zeroes are put first: what is reported as used must be defined, section 2.7.8.2.
 */
static int write_status(const struct anyhv_blk_job *job, struct anyhv_req *req)
{
    if (anyhv_req_writable(req) == 1) /* so the cursor stands there already */
        return anyhv_req_write(req, &job->status, 1);
    return anyhv_req_write_at(req, job->status_at, &job->status, 1);
}

/* A step of @job came to @result: answers the request, or holds it. */
static void settle(struct anyhv_blk_job *job, struct anyhv_req *req, int result)
{
    if (result < 0 && result != ANYHV_E_NORES)
        result = conclude(job, S_IOERR);
    if (result == ANYHV_OK)
        result = write_status(job, req);
    job->with_store = result == ANYHV_LATER;
    job->parked = result == ANYHV_E_NORES;
    if (job->with_store || job->parked) {
        job->handle = anyhv_req_hold(req);
        return;
    }
    if (result == ANYHV_OK)
        anyhv_req_done(req);
    else
        anyhv_req_reject(req, result); /* not even the status can be told */
    free_job(job);
}

static void advance(struct anyhv_blk_job *job, struct anyhv_req *req)
{
    struct anyhv_blk_store *store = job->blk->store;
    int rc = job->phase == PARSE ? parse(job, req) : ANYHV_OK;

    if (!rc && job->phase == RUN) {
        rc = store->ops->start(store, job, req);
        if (!rc)
            conclude(job, S_OK);
    }
    settle(job, req, rc);
}

struct anyhv_req *anyhv_blk_req(const struct anyhv_blk_job *job)
{
    return anyhv_req_get(job->blk->dev, job->handle);
}

void anyhv_blk_answer(struct anyhv_blk_job *job, int result)
{
    struct anyhv_req *req = anyhv_blk_req(job);

    ANYHV_ASSERT(req); /* or the job would have been dropped */
    if (result == ANYHV_OK)
        conclude(job, S_OK);
    settle(job, req, result);
}

/* ---- what core asks ---- */

static void blk_request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    struct anyhv_blk_job *job;

    (void)queue;
    if (anyhv_req_writable(req) == 0) {
        anyhv_req_reject(req, ANYHV_E_SHORT); /* there is no place for a status */
        return;
    }
    job = new_job(anyhv_dev_priv(dev));
    job->status_at = anyhv_req_writable(req) - 1;
    advance(job, req);
}

static void blk_retry(struct anyhv_dev *dev, unsigned queue)
{
    struct anyhv_blk *blk = anyhv_dev_priv(dev);

    for (unsigned i = 0; i < blk->njobs; i++) {
        struct anyhv_blk_job *job = &blk->jobs[i];
        struct anyhv_req *req = job->used && job->parked ? anyhv_blk_req(job) : NULL;

        if (req && anyhv_req_queue(req) == queue)
            advance(job, req);
    }
}

static struct anyhv_blk_job *find(struct anyhv_blk *blk, uint64_t handle)
{
    for (unsigned i = 0; i < blk->njobs; i++) {
        if (blk->jobs[i].used && blk->jobs[i].handle == handle)
            return &blk->jobs[i];
    }
    return NULL;
}

/* Goes back to the ring, however far it has got: it does no harm to begin it again. */
static bool blk_cancel(struct anyhv_dev *dev, struct anyhv_req *req, bool returnable)
{
    struct anyhv_blk_job *job = find(anyhv_dev_priv(dev), anyhv_req_hold(req));

    ANYHV_ASSERT(job);
    if (returnable)
        take_back(job);
    return returnable;
}

/* Requests are gone, of one queue or of all: so are their jobs. */
static void forget(struct anyhv_blk *blk)
{
    for (unsigned i = 0; i < blk->njobs; i++) {
        if (blk->jobs[i].used && !anyhv_blk_req(&blk->jobs[i]))
            take_back(&blk->jobs[i]);
    }
}

static void blk_stop(struct anyhv_dev *dev)
{
    forget(anyhv_dev_priv(dev));
}

static void blk_queue_reset(struct anyhv_dev *dev, unsigned queue)
{
    (void)queue;
    forget(anyhv_dev_priv(dev));
}

/* ---- state ---- */

#define STATE_VERSION 1u

enum {
    STATE_READ_ONLY = 1,
    STATE_CONTENT = 2,
};

/*
 *   0 version u16    2 flags u16    4 zero u32    8 sectors u64    16 serial    36 zero u32
 *  40 the content, with STATE_CONTENT
 *
 * The guest knows this disk: a successor has to have the same one.
 */
static void describe(const struct anyhv_blk *blk, uint8_t *at)
{
    const struct anyhv_blk_store *store = blk->store;

    put(at, STATE_VERSION, 2);
    put(at + 2, (store->read_only ? STATE_READ_ONLY : 0u) | (store->content ? STATE_CONTENT : 0u),
        2);
    put(at + 4, 0, 4);
    put(at + 8, store->sectors, 8);
    memcpy(at + 16, blk->serial, ANYHV_BLK_SERIAL);
    put(at + 36, 0, 4);
}

static size_t content_len(const struct anyhv_blk *blk)
{
    return blk->store->content ? (size_t)(blk->store->sectors * ANYHV_BLK_SECTOR) : 0;
}

static size_t blk_save(struct anyhv_dev *dev, void *buf, size_t cap)
{
    const struct anyhv_blk *blk = anyhv_dev_priv(dev);
    size_t len = ANYHV_BLK_STATE_LEN + content_len(blk);
    uint8_t *at = buf;

    if (cap < len)
        return len;
    describe(blk, at);
    if (blk->store->content)
        memcpy(at + ANYHV_BLK_STATE_LEN, blk->store->content, content_len(blk));
    return len;
}

static int blk_load(struct anyhv_dev *dev, const void *buf, size_t len)
{
    const struct anyhv_blk *blk = anyhv_dev_priv(dev);
    uint8_t mine[ANYHV_BLK_STATE_LEN];
    const uint8_t *at = buf;

    if (len < 2 || get(at, 2) != STATE_VERSION)
        return ANYHV_E_VERSION;
    describe(blk, mine);
    if (len != ANYHV_BLK_STATE_LEN + content_len(blk) || memcmp(at, mine, ANYHV_BLK_STATE_LEN) != 0)
        return ANYHV_E_INVAL;
    if (blk->store->content)
        memcpy(blk->store->content, at + ANYHV_BLK_STATE_LEN, content_len(blk));
    return ANYHV_OK;
}

/* ---- the device ---- */

static const struct anyhv_device_ops blk_ops = {
    .name = "block",
    .id = 2,
    .config_len = ANYHV_BLK_CONFIG_LEN,
    .request = blk_request,
    .retry = blk_retry,
    .cancel = blk_cancel,
    .stop = blk_stop,
    .queue_reset = blk_queue_reset,
    .save = blk_save,
    .load = blk_load,
};

/* Section 5.2.4. Fields that belong to a feature that is not offered stay zero. */
void anyhv_blk_offer_init(struct anyhv_blk_offer *offer, const struct anyhv_blk_store *store,
                          uint16_t queues)
{
    uint8_t *config = offer->config;

    *offer = (struct anyhv_blk_offer){.ops = blk_ops};
    offer->ops.queues = queues;
    offer->ops.config = config;
    offer->ops.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (queues > 1 ? F_MQ : 0) |
                          (store->read_only ? F_RO : F_DISCARD | F_WRITE_ZEROES);
    put(config, store->sectors, 8);
    put(config + 12, ANYHV_BLK_SEGMENTS, 4);
    put(config + 20, ANYHV_BLK_SECTOR, 4);
    put(config + 34, queues > 1 ? queues : 0, 2);
    if (store->read_only)
        return;
    put(config + 36, ANYHV_BLK_RANGE_SECTORS, 4);
    put(config + 40, ANYHV_BLK_RANGES, 4);
    put(config + 44, 1, 4); /* discard_sector_alignment */
    put(config + 48, ANYHV_BLK_RANGE_SECTORS, 4);
    put(config + 52, ANYHV_BLK_RANGES, 4);
    put(config + 56, 1, 1); /* write_zeroes_may_unmap */
}

void anyhv_blk_init(struct anyhv_blk *blk, struct anyhv_dev *dev, struct anyhv_blk_store *store,
                    const char *serial, struct anyhv_blk_job *jobs, unsigned njobs)
{
    *blk = (struct anyhv_blk){.dev = dev, .store = store, .jobs = jobs, .njobs = njobs};
    for (unsigned i = 0; i < ANYHV_BLK_SERIAL && serial[i]; i++)
        blk->serial[i] = (uint8_t)serial[i];
    for (unsigned i = 0; i < njobs; i++) {
        jobs[i].blk = blk;
        free_job(&jobs[i]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/suite.h"
#include "vhost-user/rig_private.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUDGET = 64, /* requests that the module serves at least in a turn of its loop */
};

static struct running *running(const struct rig *rig)
{
    return rig->priv;
}

/* ---- Memory ---- */

static unsigned region_count(const struct running *r)
{
    return r->how->regions ? r->how->regions : 1;
}

/* User addresses run against guest addresses, with gaps. */
static struct fe_region region(const struct running *r, unsigned i)
{
    unsigned count = region_count(r);
    struct fe_region region = r->fe.region;

    region.size /= count;
    region.guest += i * region.size;
    region.offset = i * region.size;
    region.user += (count - 1 - i) * 2 * region.size;
    return region;
}

uint64_t rig_user(const struct running *r, uint64_t guest)
{
    for (unsigned i = 0; i < region_count(r); i++) {
        struct fe_region at = region(r, i);

        if (guest >= at.guest && guest - at.guest < at.size)
            return guest - at.guest + at.user;
    }
    return 0x10; /* nowhere */
}

static bool send_memory(struct running *r)
{
    struct fe_region regions[8];
    int fds[8];
    unsigned count = region_count(r);

    for (unsigned i = 0; i < count; i++) {
        struct fe_region at = region(r, i);

        if (r->how->slots) {
            if (fe_region(&r->fe, FE_ADD_MEM_REG, &at, r->fe.memfd))
                return false;
            continue;
        }
        regions[i] = at;
        fds[i] = r->fe.memfd;
    }
    return r->how->slots || fe_set_table(&r->fe, regions, fds, count) == 0;
}

/* ---- Signals ---- */

/* @writes: we write, they read. */
static bool signal_new(const struct running *r, struct signal_fds *s, bool writes)
{
    int fds[2];

    if (!r->how->pipes) {
        s->ours = s->theirs = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return s->ours >= 0;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    s->ours = fds[writes];
    s->theirs = fds[!writes];
    return true;
}

static void signal_free(struct signal_fds *s)
{
    if (s->theirs >= 0 && s->theirs != s->ours)
        close(s->theirs);
    if (s->ours >= 0)
        close(s->ours);
}

static bool channel_new(struct running *r)
{
    int fds[2];
    bool ok;

    if (r->how->pipes ? pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0
                      : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return false;
    r->channel = fds[0];
    ok = fe_call(&r->fe, FE_SET_BACKEND_REQ_FD, NULL, 0, &fds[1], 1) == 0;
    close(fds[1]);
    return ok;
}

/* ---- The rig ---- */

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    test_device_init(instance, dev);
    return ANYHV_OK;
}

/* The command line's words for the ring features that shall be withheld. */
static void features_option(char *out, size_t size, uint64_t withhold)
{
    snprintf(out, size, "--features=%spacked%s%s%s", withhold & DRV_F_PACKED ? "-" : "",
             withhold & DRV_F_INDIRECT ? ",-indirect_desc" : "",
             withhold & DRV_F_EVENT_IDX ? ",-event_idx" : "",
             withhold & DRV_F_IN_ORDER ? ",-in_order" : "");
}

/* A process, a connection to it, and what the device needs besides queues. */
static bool start_backend(struct running *r)
{
    const struct rig_options *options = &r->options;
    uint64_t protocol = r->how->no_status ? FE_P_ALL & ~FE_P_STATUS : FE_P_ALL;
    char features[128];
    const char *args[] = {features, "--log-level=error", NULL};

    r->ops = test_device_ops[options->variant];
    r->ops.features &= ~options->withhold;
    r->cls = (struct anyhv_class){.ops = &r->ops,
                                  .limits = options->limits,
                                  .instance_size = sizeof(struct test_device),
                                  .create = create};
    features_option(features, sizeof(features), options->withhold);
    backend_fork(&r->b, &r->cls, args);
    return fe_connect(&r->fe, r->b.path) && fe_hello(&r->fe, protocol) && channel_new(r);
}

/* Ends it without a word. */
static bool kill_backend(struct running *r)
{
    rig_look(r);
    fe_disconnect(&r->fe);
    close(r->channel);
    r->channel = -1;
    kill(r->b.pid, SIGKILL);
    return backend_wait(&r->b) == -SIGKILL;
}

static bool rig_start(struct rig *rig, const struct rig_options *options)
{
    struct running *r = calloc(1, sizeof(*r));

    if (!r)
        return false;
    rig->priv = r;
    r->how = rig->how;
    r->transport.ops = &rig_transport_ops;
    r->options = *options;
    r->channel = -1;
    r->area.fd = -1;
    fe_init(&r->fe);
    for (unsigned i = 0; i < TEST_QUEUES; i++)
        r->queue[i].kick = r->queue[i].call = (struct signal_fds){-1, -1};
    if (!start_backend(r) || !fe_memory_new(&r->fe, RIG_MEMORY) || !send_memory(r))
        return false;
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        if (!signal_new(r, &r->queue[i].kick, true) || !signal_new(r, &r->queue[i].call, false))
            return false;
    }
    rig->mem = &r->fe.mem;
    rig->transport = &r->transport;
    return true;
}

static void rig_stop(struct rig *rig)
{
    struct running *r = running(rig);
    int code = 0;

    if (!r)
        return;
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        signal_free(&r->queue[i].kick);
        signal_free(&r->queue[i].call);
    }
    if (r->channel >= 0)
        close(r->channel);
    fe_inflight_free(&r->area);
    fe_fini(&r->fe);
    if (r->b.pid) {
        bool alive = backend_alive(&r->b);

        if (!alive)
            backend_show(&r->b);
        code = backend_stop(&r->b);
        code = alive ? code : -1;
    }
    free(r);
    rig->priv = NULL;
    rig->transport = NULL;
    rig->mem = NULL;
    assert_int_equal(code, 0);
}

/*
 * A kick is seen by the back end in the turn of its loop that sees a message sent after it, or
 * earlier; the rings are served at the end of that turn. So after the answer to one more message
 * everything that fits into one turn's budget has been done.
 */
static void rig_settle(struct rig *rig)
{
    struct running *r = running(rig);
    unsigned turns = 3;
    uint64_t features;

    for (unsigned i = 0; i < TEST_QUEUES; i++)
        turns += r->queue[i].set ? r->queue[i].setup.size / BUDGET + 1u : 0;
    for (unsigned i = 0; i < turns; i++)
        fe_get(&r->fe, FE_GET_FEATURES, &features);
}

static bool rig_wait(struct rig *rig, int queue, unsigned timeout_ms)
{
    struct running *r = running(rig);
    bool *flag = queue == ANYHV_CONFIG ? &r->config_irq : &r->queue[queue].irq;
    bool was;

    (void)timeout_ms; /* once it has settled, nothing comes by itself */
    rig_look(r);
    if (!*flag) {
        rig_settle(rig);
        rig_look(r);
    }
    was = *flag;
    *flag = false;
    return was;
}

/* ---- Counters: the report that a program writes on SIGUSR1 ---- */

static char *report(struct running *r)
{
    uint64_t features;

    backend_log_clear(&r->b);
    kill(r->b.pid, SIGUSR1);
    /* Signals come through the loop, too, and this one before the messages. */
    fe_get(&r->fe, FE_GET_FEATURES, &features);
    fe_get(&r->fe, FE_GET_FEATURES, &features);
    return backend_log(&r->b);
}

/* The number behind " @name=" in the line that @line begins. */
static uint64_t field(const char *line, const char *name)
{
    char key[32];
    const char *at;

    snprintf(key, sizeof(key), " %s=", name);
    at = strstr(line, key);
    return at && at < line + strcspn(line, "\n") ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static bool rig_counters(struct rig *rig, unsigned queue, struct anyhv_queue_counters *out)
{
    char *text = report(running(rig)), key[32];
    const char *line;

    snprintf(key, sizeof(key), " queue %u: ", queue);
    line = strstr(text, key);
    if (line)
        *out = (struct anyhv_queue_counters){
            .kicks = field(line, "kicks"),
            .requests = field(line, "requests"),
            .held = field(line, "held"),
            .done = field(line, "done"),
            .rejected = field(line, "rejected"),
            .returned = field(line, "returned"),
            .dropped = field(line, "dropped"),
            .bytes_in = field(line, "bytes_in"),
            .bytes_out = field(line, "bytes_out"),
            .publishes = field(line, "publishes"),
            .notifies = field(line, "notifies"),
            .suppressed = field(line, "suppressed"),
            .stalls = field(line, "stalls"),
        };
    free(text);
    return line;
}

static void rig_violations(struct rig *rig, uint32_t *out)
{
    char *text = report(running(rig)), key[64];

    memset(out, 0, ANYHV_V_COUNT * sizeof(*out));
    for (unsigned v = 0; v < ANYHV_V_COUNT; v++) {
        const char *line;

        snprintf(key, sizeof(key), " violation %s: ", anyhv_violations[v].name);
        line = strstr(text, key);
        if (line)
            out[v] = (uint32_t)strtoul(line + strlen(key), NULL, 10);
    }
    free(text);
}

/* ---- Quiet: all rings are stopped, which waits for what is in work; then started again ---- */

static bool rig_quiesce(struct rig *rig)
{
    struct running *r = running(rig);

    r->quiesced = true;
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        struct queue *q = &r->queue[i];

        if (!q->set)
            continue;
        if (fe_get_base(&r->fe, i, &q->base))
            return false;
        q->stopped = true;
    }
    return true;
}

static void rig_resume(struct rig *rig)
{
    struct running *r = running(rig);

    r->quiesced = false;
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        struct queue *q = &r->queue[i];

        if (q->stopped)
            assert_true(rig_send_ring(r, i));
        if (q->waits)
            rig_enable(r, i);
        q->stopped = q->waits = false;
    }
}

/* ---- Another process goes on ---- */

/* What the front end knows, @status among it. */
static bool tell_successor(struct running *r, uint64_t status)
{
    if ((r->features_set && fe_u64(&r->fe, FE_SET_FEATURES, r->features)) ||
        (status && !r->how->no_status && fe_u64(&r->fe, FE_SET_STATUS, status)) ||
        !send_memory(r) || (r->uses_area && !rig_send_area(r)))
        return false;
    for (unsigned i = 0; i < TEST_QUEUES; i++) {
        if (!r->queue[i].set)
            continue;
        if (!rig_send_queue(r, i))
            return false;
        if (r->status & DRV_S_DRIVER_OK)
            rig_enable(r, i);
        r->queue[i].stopped = false;
    }
    return true;
}

/* The area stays behind: nothing is in work. */
static bool rig_migrate(struct rig *rig)
{
    static uint8_t state[65536];
    struct running *r = running(rig);
    uint64_t status = 0;
    long len;

    if (!rig_quiesce(rig) || (!r->how->no_status && fe_get(&r->fe, FE_GET_STATUS, &status)))
        return false;
    r->quiesced = false;
    len = fe_state_save(&r->fe, state, sizeof(state));
    if (len < 0 || !kill_backend(r) || !start_backend(r))
        return false;
    fe_inflight_free(&r->area);
    return fe_state_load(&r->fe, state, (size_t)len) == 0 && tell_successor(r, status);
}

/* The base is the one from the beginning: where the ring is only the area knows. */
static bool rig_crash(struct rig *rig)
{
    struct running *r = running(rig);

    return kill_backend(r) && start_backend(r) && tell_successor(r, r->status);
}

static const struct rig_ops ops = {
    .start = rig_start,
    .stop = rig_stop,
    .settle = rig_settle,
    .wait = rig_wait,
    .counters = rig_counters,
    .violations = rig_violations,
    .quiesce = rig_quiesce,
    .resume = rig_resume,
    .migrate = rig_migrate,
    .crash = rig_crash,
};

/* ---- The matrix ---- */

#define ALL   (DRV_F_INDIRECT | DRV_F_EVENT_IDX)
#define PLAIN UINT64_C(0)
#define CAPS                                                                                  \
    (RIG_COUNTERS | RIG_QUIESCE | RIG_MIGRATE | RIG_CONFIG | RIG_CONFIG_IRQ | RIG_QUEUE_MAX | \
     RIG_KICK_ANY | RIG_FRESH)
#define WHOLE RIG_LARGE_AREAS

static const struct rig_vhost_user usual = {.area = true};
static const struct rig_vhost_user no_status = {.no_status = true, .regions = 8, .area = true};
static const struct rig_vhost_user slots = {.slots = true, .regions = 64, .area = true};
static const struct rig_vhost_user uml = {.no_status = true, .pipes = true};

#define RIG(rig_name, parameters, more_caps, ring_features)                      \
    {                                                                            \
        .name = "vhost-user-" rig_name, .ops = &ops, .caps = CAPS | (more_caps), \
        .features = (ring_features), .how = &(parameters)                        \
    }

struct rig vhost_user_rigs[] = {
    RIG("split", usual, WHOLE | RIG_STATUS | RIG_SUSPEND | RIG_CRASH, ALL),
    RIG("packed", usual, WHOLE | RIG_STATUS | RIG_SUSPEND | RIG_CRASH, ALL | DRV_F_PACKED),
    RIG("split-no-status", no_status, RIG_CRASH, PLAIN),
    RIG("packed-no-status", no_status, RIG_CRASH, PLAIN | DRV_F_PACKED),
    RIG("split-slots", slots, RIG_STATUS | RIG_SUSPEND | RIG_CRASH, ALL),
    RIG("packed-slots", slots, RIG_STATUS | RIG_SUSPEND | RIG_CRASH, ALL | DRV_F_PACKED),
    RIG("split-pipes", uml, WHOLE, ALL),
};

const unsigned vhost_user_rig_count = sizeof(vhost_user_rigs) / sizeof(vhost_user_rigs[0]);

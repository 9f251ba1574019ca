/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill between any two instructions. What survives a back end is what it shares with the front
 * end: guest memory and the in-flight area. So the back end is run one instruction at a time, by
 * ptrace, from a kick until it is idle again, and each time that one of the two has changed, both
 * are put aside. Then, one after the other, they are what a process has left that died at that very
 * instruction, and a fresh back end goes on from there.
 *
 * That is done for the way of some requests from the ring and back, and once more for what a
 * successor does when it takes over.
 */
#include "vhost-user/workload.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS     20   /* an instruction that takes longer may be one that waits for events */
#define MOMENTS_MAX 4000 /* different ones that are put aside */
#define RECOVERIES  3u   /* successors that are watched as well */

/* What a process has left behind, and what the driver knew. */
struct moment {
    uint8_t *memory, *area;
};

struct world {
    const struct work_ring *kind;
    struct backend b;
    struct frontend fe;
    struct workload w;
    struct fe_inflight in;
    /* the driver's side at the kick, to which each moment belongs */
    struct frontend fe_then;
    struct workload w_then;
    struct moment *moment;
    unsigned moments;
    unsigned points; /* all that were tried */
};

/* ---- moments ---- */

static bool has_changed(const struct world *o)
{
    const struct moment *last = &o->moment[o->moments - 1];

    return memcmp(last->memory, o->fe.host, o->fe.region.size) != 0 ||
           memcmp(last->area, o->in.area, o->in.size) != 0;
}

static void put_aside(struct world *o)
{
    struct moment *m = &o->moment[o->moments++];

    assert_true(o->moments < MOMENTS_MAX);
    m->memory = malloc(o->fe.region.size);
    m->area = malloc(o->in.size);
    memcpy(m->memory, o->fe.host, o->fe.region.size);
    memcpy(m->area, o->in.area, o->in.size);
}

static void forget(struct moment *moment, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(moment[i].memory);
        free(moment[i].area);
    }
    free(moment);
}

/* What was said to the process that died is lost with it. */
static void go_back_to(struct world *o, const struct moment *m)
{
    memcpy(o->fe.host, m->memory, o->fe.region.size);
    memcpy(o->in.area, m->area, o->in.size);
    o->fe.ring[0].ring = o->fe_then.ring[0].ring;
    memcpy(o->fe.ring[0].slots, o->fe_then.ring[0].slots, sizeof(o->fe.ring[0].slots));
    o->fe.mem = o->fe_then.mem;
    o->w = o->w_then;
    o->w.fe = &o->fe;
    while (fe_event(o->fe.ring[0].kick, 0) || fe_event(o->fe.ring[0].call, 0))
        continue;
}

static void driver_is_here(struct world *o)
{
    o->fe_then = o->fe;
    o->w_then = o->w;
}

/* ---- instruction by instruction ---- */

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Waits for events, and not only for a processor? */
static bool sleeps(pid_t pid)
{
    char path[64], text[128] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return strstr(text, ") S ");
}

/* False: it does not stop, because it waits. */
static bool stopped(pid_t pid)
{
    uint64_t until = now_ns() + IDLE_MS * UINT64_C(1000000);
    int status;
    pid_t got;

    do {
        got = waitpid(pid, &status, WNOHANG | __WALL);
    } while (got == 0 && (now_ns() < until || !sleeps(pid)));
    if (got == 0)
        return false;
    assert_int_equal(got, pid);
    assert_true(WIFSTOPPED(status));
    return true;
}

static void halt(struct world *o)
{
    assert_int_equal(ptrace(PTRACE_SEIZE, o->b.pid, 0, 0), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, o->b.pid, 0, 0), 0);
    assert_true(stopped(o->b.pid));
}

/* From a halt until it is idle; puts every moment aside. Then it dies. */
static void step_through(struct world *o)
{
    o->moment = calloc(MOMENTS_MAX, sizeof(o->moment[0]));
    o->moments = 0;
    put_aside(o);
    do {
        if (has_changed(o))
            put_aside(o);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, o->b.pid, 0, 0), 0);
    } while (stopped(o->b.pid));
    kill(o->b.pid, SIGKILL);
    assert_int_equal(backend_wait(&o->b), -SIGKILL);
    fe_disconnect(&o->fe);
}

static void start(struct world *o, const struct anyhv_class *cls)
{
    static const char *const args[] = {"--features=packed", "--log-level=error", NULL};

    backend_fork(&o->b, cls, args);
}

static void connect_to(struct world *o)
{
    assert_true(fe_connect(&o->fe, o->b.path));
}

/* ---- what a successor makes of it ---- */

/* All that was begun is answered once, and then the ring goes on for more than a lap. */
static void finish(struct world *o)
{
    for (unsigned i = 0; !work_submit(&o->w, PROBE_RELEASE); i++) { /* of what is held again */
        assert_true(i < 10000);                                     /* the ring was full */
        usleep(500);
        work_collect(&o->w);
    }
    fe_kick(&o->fe, 0);
    work_drain(&o->w);
    for (unsigned i = 0; i < o->kind->size; i += 4) {
        for (unsigned n = 0; n < 4 && work_submit(&o->w, PROBE_ECHO);)
            n++;
        fe_kick(&o->fe, 0);
        work_drain(&o->w);
    }
}

/*
 * One process serves all successors: what it knows of a front end is gone when that leaves. It
 * answers in other batches than its predecessor: nothing may be left that only fits those.
 */
static void try_all(struct world *o, struct moment *moment, unsigned moments)
{
    start(o, &probe_slow_class);
    for (unsigned i = 0; i < moments; i++) {
        go_back_to(o, &moment[i]);
        connect_to(o);
        assert_true(work_connect(&o->w, o->kind, &o->in));
        assert_true(fe_event(o->fe.ring[0].call, 1000)); /* the dead may not have come to it */
        finish(o);
        fe_disconnect(&o->fe);
        o->points++;
    }
    assert_int_equal(backend_stop(&o->b), 0);
}

/* A successor that takes over at @m, step by step as well. */
static void step_through_recovery(struct world *o, const struct moment *m)
{
    uint64_t features = o->kind->features | DRV_F_VERSION_1 | FE_F_PROTOCOL_FEATURES;
    uint32_t enable[2] = {0, 1};

    start(o, &probe_class);
    go_back_to(o, m);
    connect_to(o);
    assert_true(fe_hello(&o->fe, 0));
    OK(fe_u64(&o->fe, FE_SET_PROTOCOL_FEATURES, FE_P_INFLIGHT | FE_P_REPLY_ACK));
    OK(fe_u64(&o->fe, FE_SET_FEATURES, features));
    assert_true(fe_memory_send(&o->fe));
    OK(fe_inflight_send(&o->fe, &o->in));
    assert_true(fe_ring_send(&o->fe, 0, o->kind->base));
    halt(o);
    assert_true(fe_send(&o->fe, FE_SET_VRING_ENABLE, FE_VERSION, enable, sizeof(enable), NULL, 0));
    step_through(o);
}

/* ---- the tests ---- */

/* A first life: the ring is somewhere in its lap, and some requests are held. */
static void first_life(struct world *o, uint64_t seed)
{
    fe_init(&o->fe);
    o->in.fd = -1;
    work_init(&o->w, &o->fe, o->kind, seed);
    start(o, &probe_class);
    connect_to(o);
    assert_true(work_connect(&o->w, o->kind, &o->in));
    for (unsigned i = 0; i < o->kind->size / 3u; i++) {
        assert_true(work_submit(&o->w, i % 5 ? PROBE_ECHO : PROBE_HOLD));
        if (i == o->kind->size / 6u)
            assert_true(work_submit(&o->w, PROBE_RELEASE));
        fe_kick(&o->fe, 0);
        while (i % 5 && !work_collect(&o->w))
            usleep(100);
    }
}

/* Answered at once, held, refused, and what was held ends out of order in one batch. */
static void a_bit_of_everything(struct world *o)
{
    static const enum probe_op ops[] = {PROBE_ECHO, PROBE_HOLD,    PROBE_INFO + 90,
                                        PROBE_HOLD, PROBE_RELEASE, PROBE_HOLD};

    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        assert_true(work_submit(&o->w, ops[i]));
}

/* A batch that is as long as the ring: it ends where it began. */
static void a_whole_lap(struct world *o)
{
    o->w.indirect = 4; /* one slot each */
    while (o->fe.ring[0].ring.nfree > 1)
        assert_true(work_submit(&o->w, PROBE_HOLD));
    assert_true(work_submit(&o->w, PROBE_RELEASE));
}

static void every_point(const struct work_ring *kind, uint64_t seed)
{
    struct world o = {.kind = kind};
    struct moment *moment;
    unsigned moments, deeper = 0;

    first_life(&o, seed);
    usleep(5000);
    work_collect(&o.w);
    halt(&o);
    if (kind->features & DRV_F_INDIRECT)
        a_whole_lap(&o);
    else
        a_bit_of_everything(&o);
    driver_is_here(&o);
    fe_kick(&o.fe, 0);
    step_through(&o);
    moment = o.moment;
    moments = o.moments;
    try_all(&o, moment, moments);
    for (unsigned i = 0; i < RECOVERIES; i++) {
        step_through_recovery(&o, &moment[(2 * i + 1) * moments / (2 * RECOVERIES)]);
        deeper += o.moments;
        try_all(&o, o.moment, o.moments);
        forget(o.moment, o.moments);
    }
    print_message("%s: %u moments, and %u in recoveries\n", kind->name, moments, deeper);
    assert_true(moments > 100 && deeper > 30);
    forget(moment, moments);
    fe_inflight_free(&o.in);
    fe_fini(&o.fe);
}

static void dies_at_every_instruction(void **state)
{
    (void)state;
    for (unsigned i = 0; i < work_ring_count; i++)
        every_point(&work_rings[i], 7919 * (i + 1));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(dies_at_every_instruction),
};

HARNESS_MAIN("vhost-user crash points", tests)

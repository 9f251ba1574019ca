/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest moves to another machine while its device is at work: its memory is copied by what the
 * dirty log says, the device's state goes through a pipe into another process, and its requests go
 * on there. What the driver writes is the hypervisor's to know; here it is whatever changed while
 * the back end had nothing to do with it.
 */
#include "vhost-user/workload.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE      4096u
#define LOG_BYTES 0x10000u
#define ROUNDS    20
#define STATE_CAP (PROBE_STATE_LEN + 10000)

struct migration {
    const struct work_ring *kind;
    struct backend source, target;
    struct frontend fe;
    struct workload w;
    struct fe_log log;
    int memfd; /* the memory of the other machine */
    uint8_t *memory;
};

static void start(struct backend *b)
{
    static const char *const args[] = {"--features=packed", "--log-level=error", NULL};

    backend_fork(b, &probe_class, args);
}

/* ---- memory ---- */

static void copy_page(struct migration *m, uint64_t off)
{
    memcpy(m->memory + off, m->fe.host + off, PAGE);
}

/* Pages that the back end has noted since the last time; how many. */
static unsigned copy_dirty(struct migration *m)
{
    unsigned count = 0;

    for (uint64_t off = 0; off < m->fe.region.size; off += PAGE) {
        uint64_t page = (m->fe.region.guest + off) / PAGE;
        uint8_t bit = (uint8_t)(1u << page % 8);

        /* First the bit, then the page. */
        if (!(__atomic_fetch_and(&m->log.bits[page / 8], (uint8_t)~bit, __ATOMIC_SEQ_CST) & bit))
            continue;
        copy_page(m, off);
        count++;
    }
    return count;
}

static void copy_all(struct migration *m)
{
    for (uint64_t off = 0; off < m->fe.region.size; off += PAGE)
        copy_page(m, off);
}

/* Copies what is noted until the device has come to rest: then nothing may be different. */
static void expect_same(struct migration *m)
{
    uint64_t i = 0;

    for (unsigned n = 0; n < 200; n++) {
        copy_dirty(m);
        for (i = 0; i < m->fe.region.size && m->memory[i] == m->fe.host[i];)
            i++;
        if (i == m->fe.region.size)
            return;
        usleep(500);
    }
    fail_msg("%s: byte 0x%llx changed, and its page is clean", m->kind->name,
             (unsigned long long)i);
}

/* ---- work ---- */

static void some_work(struct migration *m, unsigned n)
{
    static const enum probe_op ops[] = {PROBE_ECHO, PROBE_LATER, PROBE_LATER, PROBE_LATER};

    while (n-- && work_submit(&m->w, ops[work_random(&m->w, 4)]))
        continue;
    fe_kick(&m->fe, 0);
    work_collect(&m->w);
}

/* All of it is answered; nobody waits for interrupts. */
static void settle(struct migration *m)
{
    while (work_collect(&m->w), m->w.submitted != m->w.answered)
        usleep(100);
}

/* The driver stops, and leaves requests of all kinds behind. */
static void fill_up(struct migration *m)
{
    static const enum probe_op ops[] = {PROBE_LATER, PROBE_HOLD, PROBE_LATER, PROBE_ECHO};

    for (unsigned i = 0; work_submit(&m->w, i < 8 ? ops[i % 4] : PROBE_RETURN);)
        i++;
    fe_kick(&m->fe, 0);
}

/* ---- the move ---- */

static void begin(struct migration *m)
{
    uint64_t features = m->kind->features | FE_VERSION_1 | FE_F_LOG_ALL;

    fe_init(&m->fe);
    work_init(&m->w, &m->fe, m->kind, 4242);
    m->memfd = memfd_create("target", MFD_CLOEXEC);
    assert_int_equal(ftruncate(m->memfd, (off_t)m->fe.region.size), 0);
    m->memory = mmap(NULL, m->fe.region.size, PROT_READ | PROT_WRITE, MAP_SHARED, m->memfd, 0);
    assert_true(m->memory != MAP_FAILED);
    start(&m->source);
    assert_true(fe_connect(&m->fe, m->source.path));
    assert_true(work_connect(&m->w, m->kind, NULL));
    assert_true(work_submit(&m->w, PROBE_REMEMBER));
    for (unsigned i = 0; i < 50; i++) {
        some_work(m, 4);
        settle(m);
    }
    assert_true(fe_log_new(&m->log, LOG_BYTES));
    OK(fe_log_send(&m->fe, &m->log));
    OK(fe_u64(&m->fe, FE_SET_FEATURES, features));
    OK(fe_ring_addr(&m->fe, 0, 1, m->fe.ring[0].ring.device));
}

/* The driver is stopped: from here on every change of memory is the back end's. */
static uint32_t stop_and_copy(struct migration *m)
{
    unsigned count;
    uint32_t base;

    settle(m);
    fill_up(m);
    memset(m->log.bits, 0, LOG_BYTES);
    copy_all(m);
    usleep(2000); /* it takes them, answers some, holds others */
    count = copy_dirty(m);
    OK(fe_get_base(&m->fe, 0, &base)); /* what is held ends, or goes back to the ring */
    count += copy_dirty(m);
    print_message("%s: %u requests, %u of them not answered, %u pages at the end\n", m->kind->name,
                  m->w.submitted, m->fe.ring[0].ring.inflight, count);
    assert_true(count > 0);
    expect_same(m);
    return base;
}

/* The same addresses, and what the other machine has there. */
static void change_memory(struct migration *m)
{
    munmap(m->memory, m->fe.region.size);
    assert_true(mmap(m->fe.host, m->fe.region.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     m->memfd, 0) == m->fe.host);
    close(m->fe.memfd);
    m->fe.memfd = m->memfd;
}

static void arrive(struct migration *m, const uint8_t *state, size_t len, uint32_t base)
{
    struct work_ring goes_on = *m->kind;

    fe_disconnect(&m->fe);
    kill(m->source.pid, SIGKILL);
    assert_int_equal(backend_wait(&m->source), -SIGKILL);
    start(&m->target);
    assert_true(fe_connect(&m->fe, m->target.path));
    assert_true(fe_hello(&m->fe, FE_P_ALL));
    OK(fe_state_load(&m->fe, state, len));
    goes_on.base = base;
    assert_true(work_connect(&m->w, &goes_on, NULL));
}

static void finish(struct migration *m)
{
    while (!work_submit(&m->w, PROBE_RELEASE)) { /* what came back to the ring is held again */
        work_collect(&m->w);
        usleep(500);
    }
    fe_kick(&m->fe, 0);
    work_drain(&m->w);
    for (unsigned i = 0; i < 100; i++) {
        some_work(m, 4);
        settle(m);
    }
    work_drain(&m->w);
    fe_disconnect(&m->fe);
    assert_int_equal(backend_stop(&m->target), 0);
    fe_log_free(&m->log);
    fe_fini(&m->fe);
}

/* The driver pauses, the device does not: what it writes during the copy comes after it. */
static void copy_while_it_works(struct migration *m)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        some_work(m, 1 + work_random(&m->w, 6));
        memset(m->log.bits, 0, LOG_BYTES);
        copy_all(m);
        expect_same(m);
        settle(m);
    }
}

static void moves_in_mid_load(void **state)
{
    uint8_t *bytes = malloc(STATE_CAP);

    (void)state;
    for (unsigned i = 0; i < work_ring_count; i++) {
        struct migration m = {.kind = &work_rings[i]};
        uint32_t base;
        long len;

        begin(&m);
        copy_while_it_works(&m);
        base = stop_and_copy(&m);
        len = fe_state_save(&m.fe, bytes, STATE_CAP);
        assert_true(len > PROBE_STATE_LEN);
        assert_memory_equal(m.memory, m.fe.host, m.fe.region.size); /* nothing runs */
        change_memory(&m);
        arrive(&m, bytes, (size_t)len, base);
        finish(&m);
    }
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(moves_in_mid_load),
};

HARNESS_MAIN("vhost-user migration", tests)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device process is killed at any moment, and another one goes on with what the VMM's library
 * has kept: every request is answered with its own bytes, and none twice. The driver knows nothing
 * of it; its register accesses wait.
 */
#include "testing.h"

#include "driver/driver.h"
#include "vhost-user/probe_device.h"

#include <anyhv/linux/fdmem.h>
#include <anyhv/vmm.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY     (UINT64_C(1) << 20)
#define BASE       UINT64_C(0xd0000000)
#define JOBS       32u
#define KILLS      60u
#define RUN_MAX_US 3000u
#define ANSWER_MS  10000

enum {
    HEADER = 8,
    PAYLOAD = 16,
    IN_AT = 32,
    IN_LEN = 40,
    JOB_BYTES = 128,
    UNTOUCHED = 0xee,
};

struct job {
    bool busy;
    uint64_t at;
    uint32_t number;
};

struct scene {
    char dir[64], path[96];
    pid_t pid;
    struct anyhv_vmm *vmm;
    pthread_t tender;
    int fd;
    struct drv_mem mem;
    struct drv_mmio mmio;
    struct drv_ring ring;
    struct drv_slot slots[64];
    struct job job[JOBS];
    uint64_t random;
    uint32_t submitted, answered;
};

/* ---- the device process: this program, under another name ---- */

static void start_process(struct scene *s)
{
    char option[128];

    snprintf(option, sizeof(option), "--socket-path=%s", s->path);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/proc/self/exe", "device", option, "--features=packed", "--log-level=error",
          (char *)NULL);
    _exit(127);
}

static void end_process(struct scene *s, int sig)
{
    int status;

    kill(s->pid, sig);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_int_equal(status, sig == SIGKILL ? SIGKILL : 0); /* an exit with 0 */
}

/* ---- the guest ---- */

static void notify(int fd)
{
    uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* What KVM does with an ioeventfd; all else leaves the guest. */
static int access_register(void *ctx, uint32_t off, unsigned size, bool write, uint64_t *value)
{
    struct scene *s = ctx;
    uint64_t data = write ? *value : 0;

    if (write && off == 0x50 && size == 4 && *value < PROBE_QUEUES) {
        notify(anyhv_vmm_kick_fd(s->vmm, (uint32_t)*value));
        return 0;
    }
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + off, &data, size, write), 1);
    if (!write)
        *value = data;
    return 0;
}

static uint32_t any(struct scene *s, uint32_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)(s->random >> 20) % below;
}

static uint8_t payload(uint32_t number, unsigned i)
{
    return (uint8_t)(number * 2654435761u >> (i % 4 * 8)) ^ (uint8_t)(i * 37);
}

static bool submit(struct scene *s, struct job *job)
{
    const struct drv_buf out[2] = {{job->at, HEADER}, {job->at + HEADER, PAYLOAD}};
    const struct drv_buf in = {job->at + IN_AT, IN_LEN};
    const struct drv_chain chain = {.out = out,
                                    .in = &in,
                                    .nout = 2,
                                    .nin = 1,
                                    .direct = DRV_DIRECT,
                                    .token = (uint64_t)(job - s->job)};
    uint8_t *bytes = drv_ptr(&s->mem, job->at, JOB_BYTES);

    job->number = s->submitted;
    drv_poke32(&s->mem, job->at, any(s, 3) ? PROBE_LATER : PROBE_ECHO);
    for (unsigned i = 0; i < PAYLOAD; i++)
        bytes[HEADER + i] = payload(job->number, i);
    memset(bytes + IN_AT, UNTOUCHED, IN_LEN);
    if (drv_ring_add(&s->ring, &chain) < 0)
        return false;
    job->busy = true;
    s->submitted++;
    return true;
}

static void check(struct scene *s, const struct drv_used *used)
{
    struct job *job = &s->job[used->token];
    const uint8_t *bytes = drv_ptr(&s->mem, job->at, JOB_BYTES);

    assert_true(used->token < JOBS && job->busy);
    assert_int_equal(used->len, PAYLOAD);
    for (unsigned i = 0; i < PAYLOAD; i++)
        assert_int_equal(bytes[IN_AT + i], payload(job->number, i));
    for (unsigned i = PAYLOAD; i < IN_LEN; i++)
        assert_int_equal(bytes[IN_AT + i], UNTOUCHED);
    job->busy = false;
    s->answered++;
}

static void collect(struct scene *s)
{
    struct drv_used used;

    while (drv_ring_get(&s->ring, &used))
        check(s, &used);
    assert_int_equal(s->ring.fault, DRV_FAULT_NONE);
}

static bool interrupted(struct scene *s, int ms)
{
    struct pollfd irq = {.fd = anyhv_vmm_interrupt_fd(s->vmm), .events = POLLIN};
    uint64_t count;

    return poll(&irq, 1, ms) > 0 && read(irq.fd, &count, sizeof(count)) == sizeof(count);
}

static void some_work(struct scene *s)
{
    unsigned n = any(s, 8);

    for (unsigned i = 0; i < JOBS && n; i++)
        if (!s->job[i].busy && submit(s, &s->job[i]))
            n--;
    drv_submit(&s->mmio.transport, 0, &s->ring);
    if (interrupted(s, 0))
        s->mmio.transport.ops->interrupts(&s->mmio.transport);
    collect(s);
}

/* Every answer is announced, or is there already when the driver looks. */
static void drain(struct scene *s)
{
    while (s->answered < s->submitted) {
        bool more = drv_ring_irq_on(&s->ring);

        if (!more)
            assert_true(interrupted(s, ANSWER_MS));
        s->mmio.transport.ops->interrupts(&s->mmio.transport);
        collect(s);
    }
}

/* ---- a life ---- */

static void *tend(void *vmm)
{
    anyhv_vmm_tend(vmm);
    return NULL;
}

static void start(struct scene *s, uint64_t features)
{
    struct anyhv_vmm_options options = {
        .size = sizeof(options), .path = s->path, .vm = -1, .base = BASE};
    struct drv_ring_config config = {.size = 64,
                                     .packed = features & DRV_F_PACKED,
                                     .event_idx = features & DRV_F_EVENT_IDX,
                                     .slots = s->slots};
    unsigned tries = 1000;

    snprintf(s->dir, sizeof(s->dir), "/tmp/anyhv-restart.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof(s->path), "%s/socket", s->dir);
    start_process(s);
    while (anyhv_vmm_open(&s->vmm, &options) && tries--)
        usleep(5000);
    assert_non_null(s->vmm);
    s->fd = anyhv_fdmem_create("guest", MEMORY);
    drv_mem_init(&s->mem, mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0), 0,
                 MEMORY);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0, MEMORY, s->fd, 0), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    assert_int_equal(pthread_create(&s->tender, NULL, tend, s->vmm), 0);
    drv_mmio_init(&s->mmio, access_register, s);
    assert_true(drv_negotiate(&s->mmio.transport, features));
    assert_true((s->mmio.transport.features & features) == features);
    assert_true(drv_ring_init(&s->ring, &s->mem, &config));
    for (unsigned i = 0; i < JOBS; i++)
        s->job[i].at = drv_alloc(&s->mem, JOB_BYTES, 64);
    assert_true(drv_queue_setup(&s->mmio.transport, 0, &s->ring));
    drv_ready(&s->mmio.transport);
}

static void end(struct scene *s)
{
    drv_mmio_read(&s->mmio,
                  DRV_MMIO_STATUS); /* one that was just started serves now, and can be ended */
    anyhv_vmm_stop(s->vmm);
    pthread_join(s->tender, NULL);
    anyhv_vmm_close(s->vmm);
    end_process(s, SIGTERM);
    munmap(s->mem.host, MEMORY);
    close(s->fd);
    rmdir(s->dir);
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void killed(uint64_t features)
{
    const char *given = getenv("ANYHV_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : now_us();
    struct scene s = {.random = seed | 1};
    unsigned in_work = 0;

    print_message("ANYHV_TEST_SEED=0x%llx\n", (unsigned long long)seed);
    start(&s, features);
    for (unsigned i = 0; i < KILLS; i++) {
        uint64_t until = now_us() + any(&s, RUN_MAX_US);

        while (now_us() < until)
            some_work(&s);
        end_process(&s, SIGKILL);
        in_work += s.submitted - s.answered;
        start_process(&s);
        if (i % 3 == 0) /* in the middle of an access, and with kicks that nobody hears */
            some_work(&s);
        if (i % 2 == 0)
            drain(&s);
    }
    drain(&s);
    print_message("%u requests, %u in work when it was killed, %u revivals\n", s.submitted, in_work,
                  anyhv_vmm_revivals(s.vmm));
    assert_true(in_work > KILLS);
    assert_true(anyhv_vmm_revivals(s.vmm) > KILLS / 4);
    end(&s);
}

static void split(void **state)
{
    (void)state;
    killed(DRV_F_EVENT_IDX);
}

static void packed(void **state)
{
    (void)state;
    killed(DRV_F_PACKED);
}

/* SIGTERM in between loses nothing either, and the machine may be reset while it is gone. */
static void ended_and_reset(void **state)
{
    struct scene s = {.random = 99};

    (void)state;
    start(&s, 0);
    some_work(&s);
    end_process(&s, SIGTERM);
    assert_true(submit(&s, &s.job[JOBS - 1]));
    drv_submit(&s.mmio.transport, 0, &s.ring); /* nobody hears it, and it is not lost */
    start_process(&s);
    drain(&s);
    end_process(&s, SIGKILL);
    assert_int_equal(anyhv_vmm_reset(s.vmm), 0);
    start_process(&s);
    assert_int_equal(drv_mmio_read(&s.mmio, DRV_MMIO_STATUS), 0);
    end(&s);
}

/*
 * Memory in which a request has a piece pinned leaves only when that request is answered, and the
 * VMM's call does not return before.
 */
static void pinned_memory_is_waited_for(void **state)
{
    struct scene s = {.random = 99};
    struct job *job = &s.job[0];
    struct drv_used used;
    const uint8_t *in;
    uint64_t begin;

    (void)state;
    start(&s, 0);
    assert_true(submit(&s, job));
    drv_poke32(&s.mem, job->at, PROBE_HOLD_PINNED);
    drv_submit(&s.mmio.transport, 0, &s.ring);
    usleep(100000);
    assert_false(drv_ring_get(&s.ring, &used));
    begin = now_us();
    assert_int_equal(anyhv_vmm_memory_remove(s.vmm, 0, MEMORY), 0);
    assert_true(now_us() - begin > PROBE_DELAY_MS * 1000 / 2);
    in = drv_ptr(&s.mem, job->at + IN_AT, IN_LEN);
    for (unsigned i = 0; i < IN_LEN; i++)
        assert_int_equal(in[i], PROBE_BYTE);
    assert_true(drv_ring_get(&s.ring, &used));
    assert_int_equal(used.len, IN_LEN);
    job->busy = false;
    s.answered++;
    assert_int_equal(anyhv_vmm_memory_add(s.vmm, 0, MEMORY, s.fd, 0), 0);
    some_work(&s);
    drain(&s);
    end(&s);
}

/* One VMM at a time: another hears at once that there is one, and may come when that has left. */
static void another_vmm(void **state)
{
    struct scene s = {.random = 99};
    struct anyhv_vmm_options options = {
        .size = sizeof(options), .path = s.path, .vm = -1, .base = BASE};
    struct anyhv_vmm *other;

    (void)state;
    start(&s, 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(anyhv_vmm_open(&other, &options), -EBUSY);
    some_work(&s);
    drain(&s);
    end(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(split),           cmocka_unit_test(packed),
    cmocka_unit_test(ended_and_reset), cmocka_unit_test(pinned_memory_is_waited_for),
    cmocka_unit_test(another_vmm),
};

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "device") == 0)
        return anyhv_main(argc, argv, &probe_class, &anyhv_hv_kvm_ioregionfd);
    return test_run("kvm-ioregionfd, restart", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCMI device in a process of its own: a driver behind the VMM's library sets a clock, and
 * hears of it on the event queue. Nothing of the device knows how its guest is reached; here it is
 * this way.
 */
#include "testing.h"

#include "driver/driver.h"

#include <anyhv/devices/scmi_host.h>
#include <anyhv/vmm.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY (UINT64_C(1) << 20)
#define BASE   UINT64_C(0xd0000000)

enum {
    CMDQ,
    EVENTQ,
    QUEUES,
    RING = 16,
    WAIT_MS = 10000,
};

static const char platform[] = "[clock cpu]\n"
                               "rates = 500M 1000M\n"
                               "settle-ms = 1\n"
                               "[agent one]\n"
                               "clocks = cpu\n";

struct scene {
    char dir[64], path[96], file[96];
    pid_t pid;
    struct anyhv_vmm *vmm;
    struct drv_mem mem;
    struct drv_mmio mmio;
    struct drv_ring ring[QUEUES];
    struct drv_slot slots[QUEUES][RING];
};

/* ---- the device process: this program, under another name ---- */

static void start_process(struct scene *s)
{
    char socket[128], file[128];

    snprintf(socket, sizeof(socket), "--socket-path=%s", s->path);
    snprintf(file, sizeof(file), "--platform=%s", s->file);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/proc/self/exe", "device", socket, file, "--log-level=error", (char *)NULL);
    _exit(127);
}

static void end_process(struct scene *s)
{
    int status;

    kill(s->pid, SIGTERM);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void connect_to(struct scene *s)
{
    struct anyhv_vmm_options options = {
        .size = sizeof(options), .path = s->path, .vm = -1, .base = BASE};
    int fd = memfd_create("guest", MFD_CLOEXEC), tries = WAIT_MS;
    void *host;

    while (anyhv_vmm_open(&s->vmm, &options) && tries--)
        usleep(1000);
    assert_non_null(s->vmm);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)MEMORY), 0);
    host = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(host, MAP_FAILED);
    drv_mem_init(&s->mem, host, 0, MEMORY);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0, MEMORY, fd, 0), 0);
    close(fd);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
}

/* ---- the guest ---- */

/* What KVM does with an ioeventfd; all else leaves the guest. */
static int access_register(void *ctx, uint32_t off, unsigned size, bool writes, uint64_t *value)
{
    struct scene *s = ctx;
    uint64_t data = writes ? *value : 0;

    if (writes && off == 0x50 && *value < QUEUES) {
        assert_int_equal(eventfd_write(anyhv_vmm_kick_fd(s->vmm, (uint32_t)*value), 1), 0);
        return 0;
    }
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + off, &data, size, writes), 1);
    if (!writes)
        *value = data;
    return 0;
}

static void boot(struct scene *s)
{
    drv_mmio_init(&s->mmio, access_register, s);
    assert_int_equal(drv_mmio_probe(&s->mmio), 32);
    assert_true(drv_negotiate(&s->mmio.transport, DRV_F(0)));
    for (unsigned i = 0; i < QUEUES; i++) {
        struct drv_ring_config config = {.size = RING, .slots = s->slots[i]};

        assert_true(drv_ring_init(&s->ring[i], &s->mem, &config));
        assert_true(drv_queue_setup(&s->mmio.transport, i, &s->ring[i]));
    }
    drv_ready(&s->mmio.transport);
}

/* The next used buffer of @queue, whose number of words is returned; they begin at *@at. */
static uint32_t used_words(struct scene *s, unsigned queue, uint64_t *at)
{
    struct pollfd irq = {.fd = anyhv_vmm_interrupt_fd(s->vmm), .events = POLLIN};
    struct drv_used used;
    eventfd_t count;

    while (!drv_ring_get(&s->ring[queue], &used)) {
        assert_int_equal(poll(&irq, 1, WAIT_MS), 1);
        assert_int_equal(eventfd_read(irq.fd, &count), 0);
        s->mmio.transport.ops->interrupts(&s->mmio.transport);
    }
    *at = used.token;
    return used.len / 4;
}

static void give(struct scene *s, unsigned queue, const struct drv_buf *out, uint32_t room)
{
    struct drv_buf in = {drv_alloc(&s->mem, room, 8), room};
    struct drv_chain chain = {.out = out,
                              .nout = out != NULL,
                              .in = &in,
                              .nin = 1,
                              .direct = DRV_DIRECT,
                              .token = in.addr};

    assert_true(drv_ring_add(&s->ring[queue], &chain) >= 0);
    drv_submit(&s->mmio.transport, queue, &s->ring[queue]);
}

/* Sends @n words; the answer has @words, header first. */
static void ask(struct scene *s, const uint32_t *message, unsigned n, const uint32_t *answer,
                uint32_t words)
{
    struct drv_buf out = {drv_alloc(&s->mem, 4 * n, 8), 4 * n};
    uint64_t at;

    for (unsigned i = 0; i < n; i++)
        drv_poke32(&s->mem, out.addr + 4 * i, message[i]);
    give(s, CMDQ, &out, 64);
    assert_int_equal(used_words(s, CMDQ, &at), words);
    for (unsigned i = 0; i < words; i++)
        assert_int_equal(drv_peek32(&s->mem, at + 4 * i), answer[i]);
}

/* ---- tests ---- */

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    FILE *file;

    strcpy(s->dir, "/tmp/anyhv-kvm-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    snprintf(s->path, sizeof(s->path), "%s/socket", s->dir);
    snprintf(s->file, sizeof(s->file), "%s/platform", s->dir);
    file = fopen(s->file, "we");
    if (!file || fputs(platform, file) < 0 || fclose(file))
        return -1;
    *state = s;
    start_process(s);
    connect_to(s);
    boot(s);
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    anyhv_vmm_close(s->vmm);
    end_process(s);
    munmap(s->mem.host, MEMORY);
    unlink(s->file);
    unlink(s->path);
    rmdir(s->dir);
    free(s);
    return 0;
}

/* Headers: message 5, 6 or 9 of protocol 0x14; 2 << 8 a delayed response, 3 << 8 a notification. */
static void a_clock_is_set(void **state)
{
    static const uint32_t want[] = {0x5009, 0, 1}, set[] = {0x105005, 1, 0, 1000000000, 0},
                          get[] = {0x5006, 0}, wanted[] = {0x5009, 0}, accepted[] = {0x105005, 0},
                          got[] = {0x5006, 0, 1000000000, 0},
                          events[2][5] = {{0x5300, 1, 0, 1000000000, 0},
                                          {0x105205, 0, 0, 1000000000, 0}};
    struct scene *s = *state;
    uint64_t at;

    give(s, EVENTQ, NULL, 64);
    give(s, EVENTQ, NULL, 64);
    ask(s, want, 3, wanted, 2);
    ask(s, set, 5, accepted, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(used_words(s, EVENTQ, &at), 5);
        for (unsigned k = 0; k < 5; k++)
            assert_int_equal(drv_peek32(&s->mem, at + 4 * k), events[i][k]);
    }
    ask(s, get, 2, got, 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_clock_is_set, setup, teardown),
};

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "device") == 0)
        return anyhv_main(argc, argv, &anyhv_scmi_class, &anyhv_hv_kvm_ioregionfd);
    return test_run("kvm-ioregionfd, scmi", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}

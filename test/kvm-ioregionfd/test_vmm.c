/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's library by itself: what it says to the device process and to KVM, and what it endures.
 */
#include "testing.h"

#include "kvm-ioregionfd/fake.h"

#include <anyhv/vmm.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BASE         UINT64_C(0xd0000000)
#define VM           77 /* stands for KVM's descriptor; ioctl below knows it */
#define SET_IOREGION UINT64_C(0x4040ae49)

/* ---- KVM ---- */

struct call {
    unsigned long request;
    uint8_t bytes[64];
};
static struct call calls[64];
static unsigned ncalls;
static int kvm_errno; /* of every call from now on; 0: fine */

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    const void *arg;

    va_start(ap, request);
    arg = va_arg(ap, const void *);
    va_end(ap);
    assert_int_equal(fd, VM);
    assert_true(ncalls < 64);
    calls[ncalls].request = request;
    memcpy(calls[ncalls++].bytes, arg, _IOC_SIZE(request));
    errno = kvm_errno;
    return kvm_errno ? -1 : 0;
}

/* ---- time ---- */

static bool dawdles;     /* the tender, whenever it has given up a lock */
static pthread_t tender; /* when dawdles is set */

static bool is_set(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag, bool value)
{
    __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int rc = __real_pthread_mutex_unlock(mutex);

    if (is_set(&dawdles) && pthread_equal(pthread_self(), tender))
        usleep(50000);
    return rc;
}

/* ---- up and down ---- */

struct scene {
    struct fake fake;
    struct anyhv_vmm *vmm;
    struct anyhv_vmm_options options;
    pthread_t tender;
    bool tended;
    int tend_result;
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    if (!s)
        return -1;
    ncalls = 0;
    kvm_errno = 0;
    set(&dawdles, false);
    fake_start(&s->fake);
    s->options = (struct anyhv_vmm_options){
        .size = sizeof(s->options), .path = s->fake.path, .vm = -1, .base = BASE};
    *state = s;
    return 0;
}

static void *tend(void *arg)
{
    struct scene *s = arg;

    s->tend_result = anyhv_vmm_tend(s->vmm);
    return NULL;
}

static void bring_up(struct scene *s)
{
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
}

static int teardown(void **state)
{
    struct scene *s = *state;

    set(&dawdles, false);
    if (s->tended) {
        anyhv_vmm_stop(s->vmm);
        pthread_join(s->tender, NULL);
    }
    anyhv_vmm_close(s->vmm);
    fake_stop(&s->fake);
    free(s);
    return 0;
}

static uint64_t word(const uint8_t *bytes, unsigned at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + at, size);
    return value;
}

static void revived(struct scene *s, uint32_t times)
{
    for (unsigned i = 0; i < 2000 && anyhv_vmm_revivals(s->vmm) < times; i++)
        usleep(1000);
    assert_int_equal(anyhv_vmm_revivals(s->vmm), times);
}

static uint32_t read32(struct scene *s, uint64_t off)
{
    uint32_t value = 0x55555555;

    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + off, &value, 4, false), 1);
    return value;
}

/* ---- what is said ---- */

static void handshake(void **state)
{
    struct scene *s = *state;
    static const uint32_t order[] = {1, 6, 2, 4, 4, 5, 7};
    static const unsigned nfds[] = {0, 0, 1, 1, 1, 2, 1};
    int fd = memfd_create("guest", 0);

    s->options.level = true;
    s->options.layout = ANYHV_IOR_LAYOUT_INFO;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_device_id(s->vmm), 4);
    assert_int_equal(anyhv_vmm_queues(s->vmm), FAKE_QUEUES);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x2000, fd, 0x3000), 0);
    close(fd);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), -EBUSY);
    assert_int_equal(fake_messages(&s->fake), 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(word(s->fake.message[i], 0, 4), order[i]);
        assert_int_equal(word(s->fake.message[i], 4, 4), 0);
        assert_int_equal(s->fake.nfds[i], nfds[i]);
    }
    assert_int_equal(word(s->fake.message[0], 8, 4), 0x524f4941);
    assert_int_equal(word(s->fake.message[0], 12, 4), 1);
    assert_int_equal(word(s->fake.message[0], 16, 4), 2);
    assert_int_equal(word(s->fake.message[2], 8, 8), 0x1000);
    assert_int_equal(word(s->fake.message[2], 16, 8), 0x2000);
    assert_int_equal(word(s->fake.message[2], 24, 8), 0x3000);
    assert_int_equal(word(s->fake.message[4], 8, 4), 1);
    assert_int_equal(word(s->fake.message[5], 8, 4), 1);
    assert_int_equal(anyhv_vmm_reset(s->vmm), 0);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x1000), -ENOENT);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x2000), 0);
    assert_int_equal(word(s->fake.message[7], 0, 4), 8);
    assert_int_equal(word(s->fake.message[8], 0, 4), 3);
}

static void options_that_make_no_sense(void **state)
{
    struct scene *s = *state;
    const struct anyhv_vmm_options right = s->options;
    struct anyhv_vmm_options wrong[7];

    for (unsigned i = 0; i < 7; i++)
        wrong[i] = right;
    wrong[0].size = 0;
    wrong[1].size++;
    wrong[2].path = NULL;
    wrong[3].vm = 0;
    wrong[4].vm = -2;
    wrong[5].base = UINT64_MAX - 0x1ff;
    wrong[6].base = UINT64_MAX;
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(anyhv_vmm_open(&s->vmm, &wrong[i]), -EINVAL);
    assert_int_equal(fake_messages(&s->fake), 0);
    s->options.base = UINT64_MAX - 0x200; /* the last one */
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
}

static void partners_that_are_none(void **state)
{
    struct scene *s = *state;

    fake_mood(&s->fake, FAKE_OTHER);
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -EPROTO);
    fake_mood(&s->fake, FAKE_GARBAGE);
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -EPROTO);
    fake_mood(&s->fake, FAKE_BOASTS);
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -EPROTO);
    s->options.path = "/no/such/path";
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -ENOENT);
    s->options.path = s->fake.path;
    fake_mood(&s->fake, FAKE_SERVES);
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
}

/* Half of it may have been done, so it is not tried again, and nobody waits for what never comes.
 */
static void start_fails_once(void **state)
{
    struct scene *s = *state;

    for (unsigned kvm = 0; kvm < 2; kvm++) {
        s->options.vm = kvm ? VM : -1;
        fake_mood(&s->fake, FAKE_SERVES);
        assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
        kvm_errno = kvm ? ENOSPC : 0;
        fake_mood(&s->fake, kvm ? FAKE_SERVES : FAKE_REFUSES);
        assert_int_equal(anyhv_vmm_start(s->vmm), kvm ? -ENOSPC : -EINVAL);
        fake_mood(&s->fake, FAKE_SERVES);
        kvm_errno = 0;
        assert_int_equal(anyhv_vmm_start(s->vmm), -EBUSY);
        assert_int_equal(read32(s, 0), UINT32_MAX);
        assert_int_equal(anyhv_vmm_tend(s->vmm), 0);
        anyhv_vmm_close(s->vmm);
        s->vmm = NULL;
    }
}

static void commands_of(struct scene *s, enum anyhv_ior_layout layout)
{
    static const struct {
        uint32_t off, size;
        bool write;
        uint64_t part, offset;
        uint8_t v3[2], info;
    } rows[] = {
        {0x00, 4, false, 0, 0x00, {0, 0x12}, 0x60},  {0x4f, 1, false, 0, 0x4f, {0, 0x10}, 0x40},
        {0x50, 4, true, 2, 0x00, {1, 0x12}, 0x61},   {0x52, 2, true, 2, 0x02, {1, 0x11}, 0x51},
        {0x54, 4, true, 1, 0x00, {1, 0x12}, 0x61},   {0x100, 8, false, 1, 0xac, {0, 0x13}, 0x70},
        {0x1ff, 1, false, 1, 0x1ab, {0, 0x10}, 0x40}};
    uint64_t data;

    s->options.layout = layout;
    bring_up(s);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint8_t *command = s->fake.command[i];

        data = UINT64_C(0x1122334455667788);
        assert_int_equal(
            anyhv_vmm_mmio(s->vmm, BASE + rows[i].off, &data, rows[i].size, rows[i].write), 1);
        assert_int_equal(fake_commands(&s->fake), i + 1);
        if (layout == ANYHV_IOR_LAYOUT_V3)
            assert_memory_equal(command, rows[i].v3, 2);
        else
            assert_int_equal(word(command, 0, 4), rows[i].info);
        assert_int_equal(word(command, 2, 6) & ~UINT64_C(0xff), 0);
        assert_true(word(command, 8, 8) == rows[i].part);
        assert_true(word(command, 16, 8) == rows[i].offset);
        if (rows[i].write)
            assert_true(word(command, 24, 8) ==
                        (UINT64_C(0x1122334455667788) & ((UINT64_C(1) << 8 * rows[i].size) - 1)));
        else
            assert_true(word((uint8_t *)&data, 0, rows[i].size) == i + 1);
    }
}

static void commands_v3(void **state)
{
    commands_of(*state, ANYHV_IOR_LAYOUT_V3);
}

static void commands_info(void **state)
{
    commands_of(*state, ANYHV_IOR_LAYOUT_INFO);
}

/* Lengths that cannot be said, and accesses that straddle: nobody's, and nobody hears of them. */
static void odd_accesses(void **state)
{
    struct scene *s = *state;
    uint8_t data[8];

    bring_up(s);
    for (uint32_t len = 0; len <= 8; len++) {
        for (uint32_t off = 0; off < 0x210; off++) {
            bool inside = off < 0x200 && off + len <= 0x200;
            bool straddles = (off < 0x50 && off + len > 0x50) || (off < 0x54 && off + len > 0x54);
            bool said = (len == 1 || len == 2 || len == 4 || len == 8) && !straddles;
            unsigned before = fake_commands(&s->fake);

            if (inside && said && off > 0x60 && off < 0x1f0)
                continue;
            memset(data, 0x77, sizeof(data));
            assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + off, data, len, false), inside);
            assert_int_equal(fake_commands(&s->fake) - before, inside && said);
            if (inside && !said)
                for (uint32_t i = 0; i < 8; i++)
                    assert_int_equal(data[i], i < len ? 0 : 0x77);
            if (inside && !said) {
                assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + off, data, len, true), 1);
                assert_int_equal(fake_commands(&s->fake), before);
            }
        }
    }
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE - 1, data, 4, false), 0);
    assert_int_equal(anyhv_vmm_mmio(s->vmm, 0, data, 4, false), 0);
    assert_int_equal(anyhv_vmm_mmio(s->vmm, UINT64_MAX, data, 4, false), 0);
}

static void posted_kicks(void **state)
{
    struct scene *s = *state;
    uint32_t queue = 1;

    s->options.posted = true;
    bring_up(s);
    for (unsigned i = 0; i < fake_messages(&s->fake); i++)
        assert_int_not_equal(word(s->fake.message[i], 0, 4), 4); /* no KICK */
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + 0x50, &queue, 4, true), 1);
    assert_int_equal(read32(s, 0), 2);
    assert_int_equal(s->fake.command[0][0], 1);
    assert_int_equal(s->fake.command[0][1], 2);
    assert_int_equal(word(s->fake.command[0], 24, 8), 1);
}

/* ---- what KVM is told ---- */

static void ioeventfds_and_irqfd(void **state)
{
    struct scene *s = *state;
    struct kvm_ioeventfd io;
    struct kvm_irqfd irq;

    s->options.vm = VM;
    s->options.gsi = 9;
    s->options.level = true;
    bring_up(s);
    assert_int_equal(ncalls, 1 + FAKE_QUEUES);
    assert_int_equal(calls[0].request, KVM_IRQFD);
    memcpy(&irq, calls[0].bytes, sizeof(irq));
    assert_int_equal(irq.gsi, 9);
    assert_int_equal(irq.fd, anyhv_vmm_interrupt_fd(s->vmm));
    assert_int_equal(irq.flags, KVM_IRQFD_FLAG_RESAMPLE);
    assert_int_equal(irq.resamplefd, anyhv_vmm_resample_fd(s->vmm));
    for (uint32_t i = 0; i < FAKE_QUEUES; i++) {
        assert_int_equal(calls[1 + i].request, KVM_IOEVENTFD);
        memcpy(&io, calls[1 + i].bytes, sizeof(io));
        assert_int_equal(io.addr, BASE + 0x50);
        assert_int_equal(io.len, 4);
        assert_int_equal(io.datamatch, i);
        assert_int_equal(io.flags, KVM_IOEVENTFD_FLAG_DATAMATCH);
        assert_int_equal(io.fd, anyhv_vmm_kick_fd(s->vmm, i));
    }
    assert_int_equal(anyhv_vmm_kick_fd(s->vmm, FAKE_QUEUES), -1);
    anyhv_vmm_close(s->vmm);
    s->vmm = NULL;
    assert_int_equal(ncalls, 2 * (1 + FAKE_QUEUES));
    memcpy(&irq, calls[3].bytes, sizeof(irq));
    assert_int_equal(irq.flags, KVM_IRQFD_FLAG_DEASSIGN);
    memcpy(&io, calls[4].bytes, sizeof(io));
    assert_int_equal(io.flags, KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/* Around the doorbell; both ends of each region are one socket. */
static void ioregions(void **state)
{
    struct scene *s = *state;
    static const struct {
        uint64_t paddr, size, user_data;
        uint32_t flags;
    } rows[] = {{BASE, 0x50, 0, 0}, {BASE + 0x54, 0x1ac, 1, 0}, {BASE + 0x50, 4, 2, 2}};
    uint32_t value = 0x77;

    s->options.vm = VM;
    s->options.set_ioregion = SET_IOREGION;
    s->options.posted = true;
    bring_up(s);
    assert_int_equal(ncalls, 4);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *bytes = calls[1 + i].bytes;

        assert_int_equal(calls[1 + i].request, SET_IOREGION);
        assert_int_equal(word(bytes, 0, 8), rows[i].paddr);
        assert_int_equal(word(bytes, 8, 8), rows[i].size);
        assert_int_equal(word(bytes, 16, 8), rows[i].user_data);
        assert_int_equal(word(bytes, 24, 4), word(bytes, 28, 4));
        assert_int_equal(word(bytes, 32, 4), rows[i].flags);
    }
    /* KVM has the registers: what comes all the same is nobody's. */
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + 0x50, &value, 4, false), 1);
    assert_int_equal(value, 0);
    assert_int_equal(fake_commands(&s->fake), 0);
}

static void no_ioregionfd_here(void **state)
{
    struct scene *s = *state;

    s->options.vm = VM;
    s->options.set_ioregion = SET_IOREGION;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    kvm_errno = ENOTTY;
    assert_int_equal(anyhv_vmm_start(s->vmm), -ENOTTY);
}

/* ---- signals ---- */

static volatile sig_atomic_t signals;

static void on_alarm(int sig)
{
    (void)sig;
    signals++;
}

/* Each answer is the one to its own command, however often the wait is interrupted. */
static void signals_in_the_wait(void **state)
{
    struct scene *s = *state;
    const struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
    const struct itimerval fast = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
    uint32_t i = 0;

    bring_up(s);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    signals = 0;
    assert_int_equal(setitimer(ITIMER_REAL, &fast, NULL), 0);
    while (signals < 300 && i < 1000000)
        assert_int_equal(read32(s, 0x70), ++i);
    setitimer(ITIMER_REAL, &off, NULL);
    assert_true(signals >= 300);
}

/* ---- a device process that goes ---- */

static void ones(void **state)
{
    struct scene *s = *state;
    uint64_t wide = 0;
    uint8_t narrow = 0;

    s->options.gone = ANYHV_VMM_ONES;
    bring_up(s);
    fake_mood(&s->fake, FAKE_DIES);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + 0x100, &wide, 8, false), 1);
    assert_true(wide == UINT64_MAX);
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + 0x100, &narrow, 1, false), 1);
    assert_int_equal(narrow, 0xff);
    assert_int_equal(anyhv_vmm_mmio(s->vmm, BASE + 0x100, &narrow, 1, true), 1);
    assert_int_equal(fake_commands(&s->fake), 1);
}

/* The command that was not answered is given to the successor, and so is all that it needs. */
static void waits_for_a_successor(void **state)
{
    static const enum fake_mood moods[] = {FAKE_DIES, FAKE_SHORT, FAKE_LONG};
    struct scene *s = *state;
    int fd = memfd_create("guest", 0);
    unsigned messages;

    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x2000, fd, 0), 0);
    close(fd);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    messages = fake_messages(&s->fake);
    assert_int_equal(pthread_create(&s->tender, NULL, tend, s), 0);
    s->tended = true;
    for (uint32_t i = 0; i < 3; i++) {
        fake_mood(&s->fake, moods[i]);
        assert_int_equal(read32(s, 0x70), 2 * i + 2);
        revived(s, i + 1);
        assert_memory_equal(s->fake.command[2 * i], s->fake.command[2 * i + 1], 32);
        assert_int_equal(fake_messages(&s->fake), (i + 2) * messages);
    }
    /* STATE goes with what the predecessor left; memory comes again. */
    assert_int_equal(word(s->fake.message[1], 0, 4), 6);
    assert_int_equal(s->fake.nfds[1], 0);
    assert_int_equal(word(s->fake.message[messages + 1], 0, 4), 6);
    assert_int_equal(s->fake.nfds[messages + 1], 1);
    assert_int_equal(word(s->fake.message[messages + 2], 0, 4), 2);
}

/* While it is gone nothing can be said; a successor is told all that is true by then. */
static void changes_meanwhile(void **state)
{
    struct scene *s = *state;
    int fd = memfd_create("guest", 0);
    unsigned messages;

    s->options.gone = ANYHV_VMM_ONES;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x1000, fd, 0), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    fake_mood(&s->fake, FAKE_DIES);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    messages = fake_messages(&s->fake);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x5000, 0x1000, fd, 0), 0);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x1000), 0);
    assert_int_equal(anyhv_vmm_reset(s->vmm), 0);
    assert_int_equal(fake_messages(&s->fake), messages);
    close(fd);
    assert_int_equal(pthread_create(&s->tender, NULL, tend, s), 0);
    s->tended = true;
    revived(s, 1);
    /* HELLO, STATE without the old one as the machine was reset, one region. */
    assert_int_equal(s->fake.nfds[messages + 1], 0);
    assert_int_equal(word(s->fake.message[messages + 2], 0, 4), 2);
    assert_int_equal(word(s->fake.message[messages + 2], 8, 8), 0x5000);
    assert_int_equal(word(s->fake.message[messages + 3], 0, 4), 4);
    assert_int_equal(read32(s, 0), 2);
}

/*
 * A process that does not answer, or nonsense, may still have the memory, so that is no success;
 * both ends of the connection are let go, and from then on it is as if it had died.
 */
static void no_answer_to_a_message(void **state)
{
    static const struct {
        enum fake_mood mood;
        int result;
    } rows[] = {{FAKE_SILENT, -ETIMEDOUT}, {FAKE_GARBAGE, -EPROTO}};
    struct scene *s = *state;
    int fd = memfd_create("guest", 0);

    s->options.patience_ms = 200;
    s->options.gone = ANYHV_VMM_WAIT;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    assert_int_equal(pthread_create(&s->tender, NULL, tend, s), 0);
    s->tended = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x2000, fd, 0), 0);
        fake_mood(&s->fake, rows[i].mood);
        assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x2000), rows[i].result);
        fake_mood(&s->fake, FAKE_SERVES);
        revived(s, i + 1);
        read32(s, 0);
        assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x2000), 0);
    }
    close(fd);
}

/* It has left the commands alone and does not end: nobody may take its memory for free. */
static void memory_of_one_that_lingers(void **state)
{
    struct scene *s = *state;
    int fd = memfd_create("guest", 0);

    s->options.patience_ms = 200;
    s->options.gone = ANYHV_VMM_ONES;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x2000, fd, 0), 0);
    assert_int_equal(anyhv_vmm_start(s->vmm), 0);
    fake_mood(&s->fake, FAKE_LINGERS);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x2000), -ETIMEDOUT);
    fake_mood(&s->fake, FAKE_SERVES);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x2000), 0);
    close(fd);
}

static void *stop_soon(void *arg)
{
    struct scene *s = arg;

    usleep(20000);
    anyhv_vmm_stop(s->vmm);
    return NULL;
}

/* Whoever waits, for an answer that does not come or for a successor, is let go. */
static void stop_ends_all_waits(void **state)
{
    struct scene *s = *state;
    pthread_t stopper;

    bring_up(s);
    fake_mood(&s->fake, FAKE_HANGS);
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, s), 0);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    pthread_join(stopper, NULL);
    assert_int_equal(anyhv_vmm_tend(s->vmm), 0);
    anyhv_vmm_close(s->vmm);
    fake_mood(&s->fake, FAKE_SERVES);
    bring_up(s);
    fake_mood(&s->fake, FAKE_DIES);
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, s), 0);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    pthread_join(stopper, NULL);
}

static void tend_it(struct scene *s)
{
    assert_int_equal(pthread_create(&s->tender, NULL, tend, s), 0);
    tender = s->tender;
    s->tended = true;
}

/* What is said while a successor begins reaches either it or the list that it is told of. */
static void changes_just_then(void **state)
{
    static const uint32_t requests[] = {2, 3, 8};
    struct scene *s = *state;
    int fd = memfd_create("guest", MFD_CLOEXEC), rc = -1;

    s->options.gone = ANYHV_VMM_ONES;
    bring_up(s);
    while (!fake_lives(&s->fake)) /* it counts when it has answered */
        usleep(100);
    tend_it(s);
    set(&dawdles, true);
    for (uint32_t i = 0; i < 3; i++) {
        unsigned lives = fake_lives(&s->fake);

        fake_mood(&s->fake, FAKE_DIES);
        assert_int_equal(read32(s, 0), UINT32_MAX);
        for (unsigned n = 0; n < 20000 && fake_lives(&s->fake) == lives; n++)
            usleep(100);
        if (requests[i] == 2)
            rc = anyhv_vmm_memory_add(s->vmm, 0x1000, 0x1000, fd, 0);
        else if (requests[i] == 3)
            rc = anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x1000);
        else
            rc = anyhv_vmm_reset(s->vmm);
        assert_int_equal(rc, 0);
        assert_int_equal(word(s->fake.message[fake_messages(&s->fake) - 1], 0, 4), requests[i]);
        revived(s, i + 1);
    }
    close(fd);
}

/* An answer that nobody asked for is not the next command's. */
static void answers_nobody_asked_for(void **state)
{
    struct scene *s = *state;

    s->options.gone = ANYHV_VMM_ONES;
    bring_up(s);
    fake_mood(&s->fake, FAKE_TWICE);
    assert_int_equal(read32(s, 0x70), 1);
    usleep(50000);
    assert_int_equal(read32(s, 0x70), UINT32_MAX);
    tend_it(s);
    revived(s, 1);
    assert_int_equal(read32(s, 0x70), 2);
}

/* The commands end and the handshake's socket does not: that is an end all the same. */
static void half_an_end(void **state)
{
    struct scene *s = *state;

    s->options.gone = ANYHV_VMM_ONES;
    bring_up(s);
    tend_it(s);
    fake_mood(&s->fake, FAKE_DROPS);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    revived(s, 1);
    assert_int_equal(read32(s, 0), 2);
}

/* Patience is for a message, not for each of its bytes. */
static void answers_byte_by_byte(void **state)
{
    struct scene *s = *state;

    s->options.patience_ms = 100; /* of three times as many that the answer takes */
    fake_mood(&s->fake, FAKE_DRIPS);
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -ETIMEDOUT);
}

/* Nobody is asked any more, so nobody can say that the memory is free. */
static void memory_after_stop(void **state)
{
    struct scene *s = *state;
    int fd = memfd_create("guest", MFD_CLOEXEC);

    bring_up(s);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x1000, fd, 0), 0);
    close(fd);
    anyhv_vmm_stop(s->vmm);
    assert_int_equal(anyhv_vmm_memory_remove(s->vmm, 0x1000, 0x1000), -ECANCELED);
}

/* ---- threads ---- */

#define VCPUS  4
#define DEATHS 20

struct worker {
    struct scene *s;
    pthread_t thread;
    unsigned done, wrong;
};

static bool over;

/* The number of each answer is greater than that of the one before: none is another vCPU's. */
static void *be_a_vcpu(void *arg)
{
    struct worker *w = arg;
    uint32_t value, last = 0;

    for (; !is_set(&over); w->done++, last = value) {
        value = 0;
        if (anyhv_vmm_mmio(w->s->vmm, BASE + 0x70, &value, 4, false) != 1 || value <= last)
            w->wrong++;
    }
    return NULL;
}

static void *change_memory(void *arg)
{
    struct worker *w = arg;
    int fd = memfd_create("guest", MFD_CLOEXEC);

    for (; !is_set(&over); w->done++) {
        if (anyhv_vmm_memory_add(w->s->vmm, 0x1000, 0x2000, fd, 0) ||
            anyhv_vmm_memory_remove(w->s->vmm, 0x1000, 0x2000))
            w->wrong++;
    }
    close(fd);
    return NULL;
}

/* vCPUs, memory that comes and goes, a tender, and a device process that dies again and again. */
static void many_at_once(void **state)
{
    struct scene *s = *state;
    struct worker worker[VCPUS + 1];

    set(&over, false);
    bring_up(s);
    tend_it(s);
    for (unsigned i = 0; i <= VCPUS; i++) {
        worker[i] = (struct worker){.s = s};
        assert_int_equal(pthread_create(&worker[i].thread, NULL,
                                        i < VCPUS ? be_a_vcpu : change_memory, &worker[i]),
                         0);
    }
    for (uint32_t i = 0; i < DEATHS; i++) {
        usleep(1000);
        fake_mood(&s->fake, FAKE_DIES);
        revived(s, i + 1);
    }
    set(&over, true);
    for (unsigned i = 0; i <= VCPUS; i++)
        pthread_join(worker[i].thread, NULL);
    for (unsigned i = 0; i <= VCPUS; i++) {
        assert_int_equal(worker[i].wrong, 0);
        assert_true(worker[i].done);
    }
}

/* A successor that says nothing, as it may have another VMM, keeps nobody from stopping. */
static void stop_in_the_handshake(void **state)
{
    struct scene *s = *state;
    struct timespec begin, end;
    unsigned messages;

    s->options.gone = ANYHV_VMM_ONES;
    bring_up(s);
    tend_it(s);
    messages = fake_messages(&s->fake);
    fake_mood(&s->fake, FAKE_SILENT);
    assert_int_equal(read32(s, 0), UINT32_MAX);
    for (unsigned i = 0; i < 2000 && fake_messages(&s->fake) == messages; i++)
        usleep(1000);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    anyhv_vmm_stop(s->vmm);
    pthread_join(s->tender, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    s->tended = false;
    assert_int_equal(s->tend_result, 0);
    assert_true(end.tv_sec - begin.tv_sec < 10);
}

/* Where more wait than can, connecting would wait, too, and nothing could end that. */
static void too_many_wait_there(void **state)
{
    struct scene *s = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[8];
    unsigned n = 0;

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/full", s->fake.dir);
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 0), 0);
    do {
        fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(fds[n++], (struct sockaddr *)&addr, sizeof(addr)) == 0 && n < 8);
    s->options.path = addr.sun_path;
    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), -EAGAIN);
    while (n)
        close(fds[--n]);
    close(listener);
    unlink(addr.sun_path);
}

/* What the VMM executes does not get the guest's memory. */
static void children_get_nothing(void **state)
{
    struct scene *s = *state;
    int fd = memfd_create("guest", MFD_CLOEXEC);
    unsigned found = 0;

    assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
    assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0x1000, 0x1000, fd, 0), 0);
    close(fd);
    for (fd = 0; fd < 256; fd++) {
        char path[32], target[64] = "";

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof(target) - 1) < 0 || !strstr(target, "memfd:guest"))
            continue;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        found++;
    }
    assert_int_equal(found, 1);
}

/* In a kernel with ioregionfd the vCPU gets an error: there is nothing to go on with. */
static void ioregionfd_and_death(void **state)
{
    struct scene *s = *state;

    s->options.vm = VM;
    s->options.set_ioregion = SET_IOREGION;
    bring_up(s);
    fake_stop(&s->fake);
    assert_int_equal(anyhv_vmm_tend(s->vmm), -ECONNRESET);
    fake_start(&s->fake);
}

static unsigned open_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void no_descriptor_stays(void **state)
{
    struct scene *s = *state;
    unsigned before;

    bring_up(s);
    anyhv_vmm_close(s->vmm);
    usleep(50000);
    before = open_fds();
    for (unsigned i = 0; i < 100; i++) {
        int fd = memfd_create("guest", MFD_CLOEXEC);

        s->options.level = i % 2;
        assert_int_equal(anyhv_vmm_open(&s->vmm, &s->options), 0);
        assert_int_equal(anyhv_vmm_memory_add(s->vmm, 0, 4096, fd, 0), 0);
        if (i % 3)
            assert_int_equal(anyhv_vmm_start(s->vmm), 0);
        anyhv_vmm_close(s->vmm);
        close(fd);
    }
    s->vmm = NULL;
    usleep(50000);
    assert_int_equal(open_fds(), before);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
    UNIT(handshake),
    UNIT(options_that_make_no_sense),
    UNIT(partners_that_are_none),
    UNIT(start_fails_once),
    UNIT(commands_v3),
    UNIT(commands_info),
    UNIT(odd_accesses),
    UNIT(posted_kicks),
    UNIT(ioeventfds_and_irqfd),
    UNIT(ioregions),
    UNIT(no_ioregionfd_here),
    UNIT(signals_in_the_wait),
    UNIT(ones),
    UNIT(waits_for_a_successor),
    UNIT(changes_meanwhile),
    UNIT(no_answer_to_a_message),
    UNIT(memory_of_one_that_lingers),
    UNIT(stop_ends_all_waits),
    UNIT(changes_just_then),
    UNIT(answers_nobody_asked_for),
    UNIT(half_an_end),
    UNIT(answers_byte_by_byte),
    UNIT(memory_after_stop),
    UNIT(many_at_once),
    UNIT(stop_in_the_handshake),
    UNIT(too_many_wait_there),
    UNIT(children_get_nothing),
    UNIT(ioregionfd_and_death),
    UNIT(no_descriptor_stays),
};

ANYHV_TEST_MAIN("kvm-ioregionfd, the VMM's library", tests)

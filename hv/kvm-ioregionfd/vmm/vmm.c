/* SPDX-License-Identifier: Apache-2.0 */
/* A device from the VMM's side: its life, and the accesses that vCPUs leave the guest for. */
#include "vmm_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MS    10    /* between looks for a successor */
#define PATIENCE_MS 30000 /* a device may have to finish what it has in work */

void anyhv_vmm_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- beginning and end ---- */

static int event(int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd < 0 ? -errno : 0;
}

/* They stay the same for as long as the guest lives, so nothing that they carry is ever lost. */
static int events(struct anyhv_vmm *vmm)
{
    int rc = event(&vmm->irq);

    if (!rc)
        rc = event(&vmm->stop);
    if (!rc && vmm->options.level)
        rc = event(&vmm->resample);
    vmm->kicks = malloc(vmm->queues * sizeof(*vmm->kicks));
    if (!vmm->kicks)
        return -ENOMEM;
    memset(vmm->kicks, 0xff, vmm->queues * sizeof(*vmm->kicks));
    for (uint32_t i = 0; i < vmm->queues && !rc; i++)
        rc = event(&vmm->kicks[i]);
    return rc;
}

static int meet(struct anyhv_vmm *vmm)
{
    int rc;

    vmm->socket = anyhv_vmm_channel_connect(&vmm->options);
    if (vmm->socket < 0)
        return vmm->socket;
    rc = anyhv_vmm_channel_hello(vmm, vmm->socket);
    return rc ? rc : events(vmm);
}

static bool valid(const struct anyhv_vmm_options *options)
{
    return options->size == sizeof(*options) && options->path && options->vm && options->vm >= -1 &&
           options->base <= UINT64_MAX - ANYHV_IOR_WINDOW;
}

int anyhv_vmm_open(struct anyhv_vmm **out, const struct anyhv_vmm_options *options)
{
    struct anyhv_vmm *vmm;
    int rc;

    if (!valid(options))
        return -EINVAL;
    vmm = calloc(1, sizeof(*vmm));
    if (!vmm)
        return -ENOMEM;
    vmm->options = *options;
    if (!vmm->options.layout)
        vmm->options.layout = ANYHV_IOR_LAYOUT_V3;
    if (!vmm->options.patience_ms)
        vmm->options.patience_ms = PATIENCE_MS;
    vmm->socket = vmm->state = vmm->wire = vmm->irq = vmm->resample = vmm->stop = -1;
    pthread_mutex_init(&vmm->control, NULL);
    pthread_mutex_init(&vmm->lock, NULL);
    pthread_cond_init(&vmm->changed, NULL);
    vmm->options.path = strdup(options->path);
    rc = vmm->options.path ? meet(vmm) : -ENOMEM;
    if (rc)
        anyhv_vmm_close(vmm);
    else
        *out = vmm;
    return rc;
}

void anyhv_vmm_close(struct anyhv_vmm *vmm)
{
    if (!vmm)
        return;
    anyhv_vmm_kvm_unwire(vmm);
    anyhv_vmm_fd_close(&vmm->socket);
    anyhv_vmm_fd_close(&vmm->wire);
    anyhv_vmm_fd_close(&vmm->state);
    anyhv_vmm_fd_close(&vmm->irq);
    anyhv_vmm_fd_close(&vmm->resample);
    anyhv_vmm_fd_close(&vmm->stop);
    for (uint32_t i = 0; vmm->kicks && i < vmm->queues; i++)
        anyhv_vmm_fd_close(&vmm->kicks[i]);
    for (unsigned i = 0; i < vmm->nmemory; i++)
        anyhv_vmm_fd_close(&vmm->memory[i].fd);
    pthread_cond_destroy(&vmm->changed);
    pthread_mutex_destroy(&vmm->lock);
    pthread_mutex_destroy(&vmm->control);
    free(vmm->kicks);
    free((char *)(uintptr_t)vmm->options.path);
    free(vmm);
}

uint32_t anyhv_vmm_device_id(const struct anyhv_vmm *vmm)
{
    return vmm->device_id;
}

uint32_t anyhv_vmm_queues(const struct anyhv_vmm *vmm)
{
    return vmm->queues;
}

int anyhv_vmm_interrupt_fd(const struct anyhv_vmm *vmm)
{
    return vmm->irq;
}

int anyhv_vmm_resample_fd(const struct anyhv_vmm *vmm)
{
    return vmm->resample;
}

int anyhv_vmm_kick_fd(const struct anyhv_vmm *vmm, uint32_t queue)
{
    return queue < vmm->queues ? vmm->kicks[queue] : -1;
}

/* ---- life ---- */

static enum vmm_life life_of(struct anyhv_vmm *vmm)
{
    enum vmm_life life;

    pthread_mutex_lock(&vmm->lock);
    life = vmm->life;
    pthread_mutex_unlock(&vmm->lock);
    return life;
}

/* With the lock. */
static void gone(struct anyhv_vmm *vmm)
{
    if (vmm->life == VMM_SERVED)
        vmm->life = VMM_GONE;
}

/*
 * With control, or by the one who tends. The end of one socket is that of both, so that the device
 * process notices if it lives.
 */
static void leave(struct anyhv_vmm *vmm)
{
    /* Only our half: its own tells when it has let go. */
    shutdown(vmm->socket, SHUT_WR);
    /* Without the lock: a vCPU that waits for an answer has it. */
    shutdown(vmm->wire, SHUT_RDWR);
    pthread_mutex_lock(&vmm->lock);
    gone(vmm);
    pthread_mutex_unlock(&vmm->lock);
}

/* The device serves from now on; @wire becomes ours. With control: it knows all the memory. */
static void served(struct anyhv_vmm *vmm, int wire)
{
    pthread_mutex_lock(&vmm->lock);
    anyhv_vmm_fd_close(&vmm->wire);
    vmm->wire = wire;
    if (vmm->life != VMM_STOPPED)
        vmm->life = VMM_SERVED;
    pthread_cond_broadcast(&vmm->changed);
    pthread_mutex_unlock(&vmm->lock);
}

void anyhv_vmm_stop(struct anyhv_vmm *vmm)
{
    uint64_t one = 1;

    /* First, and without the lock: a vCPU that waits for an answer has it. */
    while (write(vmm->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&vmm->lock);
    vmm->life = VMM_STOPPED;
    pthread_cond_broadcast(&vmm->changed);
    pthread_mutex_unlock(&vmm->lock);
}

static int start(struct anyhv_vmm *vmm)
{
    int wire, rc = anyhv_vmm_channel_start(vmm, vmm->socket, &wire);

    if (rc)
        return rc;
    served(vmm, wire);
    return anyhv_vmm_kvm_wire(vmm);
}

int anyhv_vmm_start(struct anyhv_vmm *vmm)
{
    int rc;

    pthread_mutex_lock(&vmm->control);
    if (life_of(vmm) != VMM_NEW) {
        rc = -EBUSY;
    } else {
        rc = start(vmm);
        /* Half of it may be done: nothing that could be tried again. */
        if (rc)
            anyhv_vmm_stop(vmm);
    }
    pthread_mutex_unlock(&vmm->control);
    return rc;
}

/* ---- a successor ---- */

/* True: stop was called, within @ms. */
static bool stopped(const struct anyhv_vmm *vmm, int ms)
{
    struct pollfd stop = {.fd = vmm->stop, .events = POLLIN};

    return poll(&stop, 1, ms) > 0;
}

static int revive(struct anyhv_vmm *vmm)
{
    int socket = anyhv_vmm_channel_connect(&vmm->options), wire, rc;

    if (socket < 0)
        return socket;
    rc = anyhv_vmm_channel_hello(vmm, socket);
    pthread_mutex_lock(&vmm->control);
    if (!rc)
        rc = anyhv_vmm_channel_start(vmm, socket, &wire);
    if (rc) {
        close(socket);
    } else {
        anyhv_vmm_fd_close(&vmm->socket);
        vmm->socket = socket;
        served(vmm, wire);
        __atomic_add_fetch(&vmm->revivals, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&vmm->control);
    return rc;
}

uint32_t anyhv_vmm_revivals(struct anyhv_vmm *vmm)
{
    return __atomic_load_n(&vmm->revivals, __ATOMIC_RELAXED);
}

/* Returns when the device process has left, or stop was called. */
static void watch(struct anyhv_vmm *vmm)
{
    struct pollfd fds[3] = {
        {.fd = vmm->stop, .events = POLLIN}, {.fd = vmm->socket}, {.fd = vmm->wire}};

    while (poll(fds, 3, -1) < 0 && errno == EINTR)
        ;
    if (fds[1].revents || fds[2].revents)
        leave(vmm);
}

int anyhv_vmm_tend(struct anyhv_vmm *vmm)
{
    while (!stopped(vmm, 0)) {
        watch(vmm);
        if (stopped(vmm, 0))
            break;
        if (vmm->options.set_ioregion)
            return -ECONNRESET;
        while (revive(vmm) && !stopped(vmm, AGAIN_MS))
            ;
    }
    return 0;
}

/* ---- memory and reset ---- */

/*
 * What became of a message. If the sockets are good for nothing more, both end; whoever comes next
 * is told all that there is. That is as good as having been delivered where the process was gone
 * already.
 */
static int unless_gone(struct anyhv_vmm *vmm, int rc)
{
    if (rc != -ECONNRESET && rc != -ETIMEDOUT && rc != -EPROTO)
        return rc;
    leave(vmm);
    return rc == -ECONNRESET ? 0 : rc;
}

static int add(struct anyhv_vmm *vmm, const struct vmm_memory *memory)
{
    int rc = 0;

    if (vmm->nmemory == ANYHV_IOR_SLOTS)
        return -ENOSPC;
    if (life_of(vmm) == VMM_SERVED)
        rc = unless_gone(vmm, anyhv_vmm_channel_add(vmm, vmm->socket, memory));
    if (!rc)
        vmm->memory[vmm->nmemory++] = *memory;
    return rc;
}

int anyhv_vmm_memory_add(struct anyhv_vmm *vmm, uint64_t addr, uint64_t size, int fd,
                         uint64_t offset)
{
    struct vmm_memory memory = {
        .addr = addr, .size = size, .offset = offset, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    int rc;

    if (memory.fd < 0)
        return -errno;
    pthread_mutex_lock(&vmm->control);
    rc = add(vmm, &memory);
    pthread_mutex_unlock(&vmm->control);
    if (rc)
        close(memory.fd);
    return rc;
}

static int drop(struct anyhv_vmm *vmm, uint64_t addr, uint64_t size)
{
    unsigned i = 0;
    int rc = 0;

    while (i < vmm->nmemory && (vmm->memory[i].addr != addr || vmm->memory[i].size != size))
        i++;
    if (i == vmm->nmemory)
        return -ENOENT;
    if (life_of(vmm) == VMM_SERVED)
        rc = unless_gone(vmm, anyhv_vmm_channel_remove(vmm, &vmm->memory[i]));
    else if (life_of(vmm) == VMM_GONE)
        rc = anyhv_vmm_channel_ended(vmm);
    else if (life_of(vmm) == VMM_STOPPED)
        rc = -ECANCELED; /* nobody can be told, and it may be in use */
    if (rc)
        return rc;
    close(vmm->memory[i].fd);
    vmm->memory[i] = vmm->memory[--vmm->nmemory];
    return 0;
}

int anyhv_vmm_memory_remove(struct anyhv_vmm *vmm, uint64_t addr, uint64_t size)
{
    int rc;

    pthread_mutex_lock(&vmm->control);
    rc = drop(vmm, addr, size);
    pthread_mutex_unlock(&vmm->control);
    return rc;
}

int anyhv_vmm_reset(struct anyhv_vmm *vmm)
{
    int rc = 0;

    pthread_mutex_lock(&vmm->control);
    /* If the device process dies before it has done it, the state is still that of before. */
    vmm->forget = true;
    if (life_of(vmm) == VMM_SERVED)
        rc = anyhv_vmm_channel_reset(vmm);
    if (!rc && life_of(vmm) == VMM_SERVED)
        vmm->forget = false;
    rc = unless_gone(vmm, rc);
    pthread_mutex_unlock(&vmm->control);
    return rc;
}

/* ---- accesses ---- */

/* Which part of the window holds all of it. False: none, as it straddles two. */
static bool locate(uint64_t off, struct vmm_access *access)
{
    static const struct {
        uint64_t begin, end;
        enum anyhv_ior_part part;
    } parts[] = {
        {0, ANYHV_IOR_NOTIFY, ANYHV_IOR_LOW},
        {ANYHV_IOR_NOTIFY, ANYHV_IOR_BEHIND, ANYHV_IOR_DOORBELL},
        {ANYHV_IOR_BEHIND, ANYHV_IOR_WINDOW, ANYHV_IOR_HIGH},
    };

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (off < parts[i].begin || off + access->size > parts[i].end)
            continue;
        access->part = parts[i].part;
        access->offset = off - parts[i].begin;
        return true;
    }
    return false;
}

/* A number as the guest's processor, which is this one, has it in memory. */
static uint64_t load(const void *from, uint32_t len)
{
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } value = {.u64 = 0};

    memcpy(&value, from, len);
    return len == 1 ? value.u8 : len == 2 ? value.u16 : len == 4 ? value.u32 : value.u64;
}

static void store(void *to, uint32_t len, uint64_t data)
{
    uint8_t u8 = (uint8_t)data;
    uint16_t u16 = (uint16_t)data;
    uint32_t u32 = (uint32_t)data;

    memcpy(to,
           len == 1   ? (void *)&u8
           : len == 2 ? (void *)&u16
           : len == 4 ? (void *)&u32
                      : &data,
           len);
}

/*
 * With the lock, so that there is one command at a time. One that a predecessor did not answer is
 * given to its successor, though it may have been performed: all that the registers know can be
 * done twice.
 */
static uint64_t forward(struct anyhv_vmm *vmm, const struct vmm_access *access, uint64_t data)
{
    const struct anyhv_vmm_options *options = &vmm->options;

    for (;;) {
        while (vmm->life == VMM_GONE && options->gone == ANYHV_VMM_WAIT)
            pthread_cond_wait(&vmm->changed, &vmm->lock);
        if (vmm->life != VMM_SERVED)
            return UINT64_MAX;
        if (anyhv_vmm_command(vmm, access, &data))
            return data;
        gone(vmm);
        /* So that the process that broke the protocol, if it lives, notices as well. */
        shutdown(vmm->wire, SHUT_RDWR);
    }
}

int anyhv_vmm_mmio(struct anyhv_vmm *vmm, uint64_t addr, void *data, uint32_t len, bool write)
{
    uint64_t off = addr - vmm->options.base, value;
    struct vmm_access access = {.size = len, .write = write};

    if (addr < vmm->options.base || off >= ANYHV_IOR_WINDOW || len > ANYHV_IOR_WINDOW - off)
        return 0;
    if ((len != 1 && len != 2 && len != 4 && len != 8) || !locate(off, &access) ||
        vmm->options.set_ioregion) {
        /*
         * Nobody's, as the registers answer it: zeroes, and writes that do nothing. Where KVM has
         * the registers, that is all that comes here, as it shares their socket with nobody.
         */
        if (!write)
            memset(data, 0, len);
        return 1;
    }
    access.posted = write && vmm->options.posted && access.part == ANYHV_IOR_DOORBELL;
    value = write ? load(data, len) : 0;
    pthread_mutex_lock(&vmm->lock);
    value = forward(vmm, &access, value);
    pthread_mutex_unlock(&vmm->lock);
    if (!write)
        store(data, len, value);
    return 1;
}

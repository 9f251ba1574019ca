/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An adapter of this machine, through i2c-dev. Its calls block, so they are made by a worker: one
 * per adapter, since a bus that hangs must not keep others waiting.
 *
 * The adapter may be unplugged. The kernel lets go of it only when nobody has it open, so it is
 * closed at the first sign, and looked for again with each transfer. Its number is then free for
 * another one, on whose bus the guest's addresses would be somebody else's.
 */
#include "i2c_smbus.h"
#include "i2c_sysfs.h"

#include <anyhv/devices/i2c_host.h>
#include <anyhv/linux/log.h>
#include <anyhv/linux/worker.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LEN 300

/* The worse, the greater. */
enum presence {
    THERE,
    GONE,
    ANOTHERS, /* there is one, but not the one that it was */
};

struct i2c_linux {
    struct anyhv_i2c_adapter adapter;
    char *name;
    uint16_t *addr;
    struct anyhv_worker *worker;
    struct anyhv_job job;
    enum presence told; /* to the log */
    /* The worker's, while the job is with it */
    enum presence presence;
    int fd; /* -1 unless it is there */
    unsigned long functions;
    unsigned done;
    struct i2c_identity first; /* who it was when it was opened; no place: sysfs could not say */
    char why[500];             /* why it is gone, or cannot be used */
};

static struct i2c_linux *of_adapter(struct anyhv_i2c_adapter *adapter)
{
    return (void *)adapter;
}

/* ---- opening: also in the worker, which may not write to the log ---- */

__attribute__((format(printf, 2, 3))) static bool trouble(struct i2c_linux *own, const char *fmt,
                                                          ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(own->why, sizeof(own->why), fmt, args);
    va_end(args);
    return false;
}

/* Is it named by what it is called, not by where it is? */
static bool is_called(const char *name)
{
    return name[0] != '/' && name[strspn(name, "0123456789")];
}

static const char *path_of(const char *name, char *path, size_t size)
{
    if (is_called(name))
        return anyhv_i2c_linux_find(I2C_SYSFS_CLASS, name, path, size);
    snprintf(path, size, "%s%s", name[0] == '/' ? "" : "/dev/i2c-", name);
    return NULL;
}

/*
 * May guests use it? A target that has a driver of this machine is refused: I2C_RDWR itself would
 * not care. Of 10-bit addresses i2c-dev cannot tell.
 */
static bool check_address(struct i2c_linux *own, uint16_t addr)
{
    if (addr & ANYHV_I2C_TEN_BIT) {
        if (own->functions & I2C_FUNC_I2C && own->functions & I2C_FUNC_10BIT_ADDR)
            return true;
        return trouble(own, "it cannot send 10-bit addresses");
    }
    if (ioctl(own->fd, I2C_SLAVE, (unsigned long)addr) == 0)
        return true;
    if (errno == EBUSY)
        return trouble(own, "0x%02x belongs to a driver of this machine", addr);
    return trouble(own, "0x%02x: %s", addr, strerror(errno));
}

static bool identify(const struct i2c_linux *own, struct i2c_identity *who)
{
    struct stat st;

    return fstat(own->fd, &st) == 0 && anyhv_i2c_sysfs_identify(I2C_SYSFS_CHAR, st.st_rdev, who);
}

static bool same(const struct i2c_identity *a, const struct i2c_identity *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->place, b->place) == 0;
}

/* Who is found by its name is who was meant, wherever it is plugged in. */
static bool check_identity(struct i2c_linux *own)
{
    struct i2c_identity now;
    bool known = identify(own, &now);

    if (!own->first.place[0] || (known && is_called(own->name)))
        own->first = now;
    if (same(&now, &own->first))
        return true;
    if (!known)
        return trouble(own, "sysfs does not know it any more");
    own->presence = ANOTHERS;
    return trouble(own, "it is now '%.60s' of %.150s, and was '%.60s' of %.150s", now.name,
                   now.place, own->first.name, own->first.place);
}

static bool check_adapter(struct i2c_linux *own)
{
    if (ioctl(own->fd, I2C_FUNCS, &own->functions) < 0)
        return trouble(own, "not an I2C adapter (%s)", strerror(errno));
    if (!(own->functions & (I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL_ALL)))
        return trouble(own, "it can do neither I2C nor SMBus transfers");
    if (!check_identity(own))
        return false;
    for (unsigned i = 0; i < own->adapter.addrs; i++) {
        if (!check_address(own, own->addr[i]))
            return false;
    }
    return true;
}

static void close_fd(struct i2c_linux *own)
{
    if (own->fd >= 0)
        close(own->fd);
    own->fd = -1;
}

static bool open_fd(struct i2c_linux *own)
{
    char path[PATH_LEN];
    const char *why = path_of(own->name, path, sizeof(path));

    own->presence = GONE;
    if (why)
        return trouble(own, "%s", why);
    own->fd = open(path, O_RDWR | O_CLOEXEC);
    if (own->fd < 0)
        return trouble(own, "%s: %s", path, strerror(errno));
    if (!check_adapter(own)) {
        close_fd(own);
        return false;
    }
    own->presence = THERE;
    return true;
}

/* ---- transfers: in the worker ---- */

static unsigned messages_done(struct i2c_linux *own)
{
    struct i2c_msg msgs[ANYHV_I2C_MESSAGES];
    struct i2c_rdwr_ioctl_data all = {.msgs = msgs, .nmsgs = own->adapter.messages};
    int n;

    for (unsigned i = 0; i < all.nmsgs; i++) {
        const struct anyhv_i2c_message *m = &own->adapter.message[i];

        msgs[i].addr = m->addr & (uint16_t)~ANYHV_I2C_TEN_BIT;
        msgs[i].flags = (m->addr & ANYHV_I2C_TEN_BIT ? I2C_M_TEN : 0) | (m->read ? I2C_M_RD : 0);
        msgs[i].len = m->len;
        msgs[i].buf = m->data;
    }
    n = ioctl(own->fd, I2C_RDWR, &all);
    if (n < 0)
        return 0;
    return (unsigned)n < all.nmsgs ? (unsigned)n : all.nmsgs; /* there are drivers that miscount */
}

static unsigned smbus_done(struct i2c_linux *own)
{
    const struct anyhv_i2c_message *m = own->adapter.message;
    unsigned messages = own->adapter.messages;
    struct i2c_smbus call;
    struct i2c_smbus_ioctl_data args = {.data = &call.data};

    errno = EOPNOTSUPP;
    if (!anyhv_i2c_smbus_make(&call, m, messages, own->functions))
        return 0;
    args.read_write = call.read_write;
    args.command = call.command;
    args.size = call.size;
    if (ioctl(own->fd, I2C_SLAVE, (unsigned long)m->addr) < 0 ||
        ioctl(own->fd, I2C_SMBUS, &args) < 0)
        return 0;
    return anyhv_i2c_smbus_take(&call, m, messages) ? messages : 0;
}

/* Only the address, and nothing else on the way: newer kernels want that said in SMBus's words. */
static bool is_quick(const struct i2c_linux *own)
{
    const struct anyhv_i2c_message *m = own->adapter.message;

    return own->adapter.messages == 1 && m->len == 0 && !(m->addr & ANYHV_I2C_TEN_BIT) &&
           own->functions & I2C_FUNC_SMBUS_QUICK;
}

/*
 * Some drivers say the same of a chip that is not there. When it is the adapter, the kernel has
 * taken it out of sysfs, or is about to: the next transfer will see that.
 */
static bool is_gone(const struct i2c_linux *own, int error)
{
    struct i2c_identity now;

    if (error != ENODEV && error != ESHUTDOWN)
        return false;
    return !identify(own, &now) || !same(&now, &own->first);
}

static void transfer(struct anyhv_job *job)
{
    struct i2c_linux *own = job->priv;
    int error;

    own->done = 0;
    errno = 0;
    if (own->fd < 0 && !open_fd(own))
        return;
    if (own->functions & I2C_FUNC_I2C && !is_quick(own))
        own->done = messages_done(own);
    else
        own->done = smbus_done(own);
    error = errno;
    if (own->done < own->adapter.messages && is_gone(own, error)) {
        trouble(own, "%s", strerror(error));
        own->presence = GONE;
        close_fd(own);
    }
}

/* ---- on the loop's thread ---- */

static void tell(struct i2c_linux *own)
{
    if (own->presence > own->told)
        anyhv_log(ANYHV_LOG_WARNING, "i2c.gone", "adapter %s: %s; requests fail until it is back",
                  own->name, own->why);
    if (own->presence == THERE && own->told != THERE)
        anyhv_log(ANYHV_LOG_INFO, "i2c.gone", "adapter %s: it is back", own->name);
    if (own->presence == THERE || own->presence > own->told)
        own->told = own->presence;
}

static void transferred(struct anyhv_job *job, bool ran)
{
    struct i2c_linux *own = job->priv;

    tell(own);
    anyhv_i2c_adapter_done(&own->adapter, ran ? own->done : 0);
}

static void linux_start(struct anyhv_i2c_adapter *adapter)
{
    struct i2c_linux *own = of_adapter(adapter);

    anyhv_worker_submit(own->worker, &own->job);
}

/* What a call that hangs may still touch stays where it is: the program is about to end. */
static void linux_close(struct anyhv_i2c_adapter *adapter)
{
    struct i2c_linux *own = of_adapter(adapter);

    if (own->worker &&
        !anyhv_worker_abandon(own->worker, adapter->stuck ? 0 : adapter->timeout_ms)) {
        anyhv_log(ANYHV_LOG_WARNING, "i2c.stuck", "adapter %s: left while a transfer hangs",
                  own->name);
        anyhv_i2c_adapter_fini(adapter);
        return;
    }
    anyhv_i2c_adapter_fini(adapter);
    close_fd(own);
    free(own->addr);
    free(own->name);
    free(own);
}

static const struct anyhv_i2c_adapter_ops linux_ops = {.start = linux_start, .close = linux_close};

static bool start_worker(struct i2c_linux *own, struct anyhv_loop *loop)
{
    own->worker = anyhv_worker_new(loop, "i2c");
    return own->worker || trouble(own, "no thread: %s", strerror(errno));
}

struct anyhv_i2c_adapter *anyhv_i2c_linux_open(struct anyhv_loop *loop, const char *adapter,
                                               const uint16_t *addr, unsigned addrs,
                                               unsigned timeout_ms)
{
    struct i2c_linux *own = calloc(1, sizeof(*own));

    if (!own)
        return NULL;
    trouble(own, "out of memory");
    own->fd = -1;
    own->name = strdup(adapter);
    own->addr = calloc(addrs, sizeof(*addr));
    own->job = (struct anyhv_job){.work = transfer, .done = transferred, .priv = own};
    anyhv_i2c_adapter_init(&own->adapter, &linux_ops, loop, own->name, timeout_ms);
    if (own->name && own->addr) {
        memcpy(own->addr, addr, addrs * sizeof(*addr));
        own->adapter.addr = own->addr;
        own->adapter.addrs = addrs;
        if (open_fd(own) && start_worker(own, loop))
            return &own->adapter;
    }
    anyhv_log(ANYHV_LOG_ERROR, "i2c.adapter", "adapter %s: %s", adapter, own->why);
    linux_close(&own->adapter);
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy from the Linux kernel, or from a file, a FIFO or a character device. */
#include <anyhv/devices/rng_host.h>
#include <anyhv/linux/log.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_NS UINT64_C(100000000) /* how often to look whether the kernel's pool is ready */

static struct anyhv_rng_linux *of_source(struct anyhv_rng_source *source)
{
    return (void *)source;
}

static void fd_ready(struct anyhv_watch *watch, uint32_t events)
{
    struct anyhv_rng_linux *own = watch->priv;

    (void)events;
    anyhv_watch_del(watch);
    anyhv_rng_ready(&own->source);
}

static void retry(struct anyhv_timer *timer)
{
    struct anyhv_rng_linux *own = timer->priv;

    anyhv_rng_ready(&own->source);
}

static int failed(const char *what, const char *why)
{
    anyhv_log(ANYHV_LOG_ERROR, "rng.source", "entropy source %s: %s", what, why);
    return ANYHV_E_IO;
}

static int read_kernel(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct anyhv_rng_linux *own = of_source(source);
    ssize_t n = getrandom(buf, len, GRND_NONBLOCK);

    if (n >= 0)
        return (int)n;
    if (errno != EAGAIN && errno != EINTR)
        return failed("getrandom", strerror(errno));
    anyhv_timer_set(own->loop, &own->retry, RETRY_NS);
    return 0;
}

static int read_file(struct anyhv_rng_source *source, uint8_t *buf, uint32_t len)
{
    struct anyhv_rng_linux *own = of_source(source);
    ssize_t n;
    int rc;

    do
        n = read(own->fd, buf, len);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return (int)n;
    if (n == 0)
        return failed(own->path, "it has ended");
    if (errno != EAGAIN)
        return failed(own->path, strerror(errno));
    rc = own->watch.loop ? 0 : anyhv_watch_add(own->loop, &own->watch, own->fd, EPOLLIN);
    return rc ? failed(own->path, strerror(-rc)) : 0;
}

static int open_path(struct anyhv_rng_linux *own)
{
    struct stat st;

    own->fd = open(own->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (own->fd < 0)
        return failed(own->path, strerror(errno));
    if (fstat(own->fd, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        return ANYHV_OK;
    close(own->fd);
    own->fd = -1;
    return failed(own->path, "neither a file nor a FIFO nor a character device");
}

int anyhv_rng_linux_open(struct anyhv_rng_linux *own, struct anyhv_loop *loop, const char *path)
{
    *own = (struct anyhv_rng_linux){
        .source = {.read = path ? read_file : read_kernel},
        .loop = loop,
        .fd = -1,
        .path = path,
        .watch = {.ready = fd_ready, .priv = own},
        .retry = {.fire = retry, .priv = own},
    };
    return path ? open_path(own) : ANYHV_OK;
}

void anyhv_rng_linux_close(struct anyhv_rng_linux *own)
{
    anyhv_timer_cancel(&own->retry);
    anyhv_watch_del(&own->watch);
    if (own->fd >= 0)
        close(own->fd);
    own->fd = -1;
}

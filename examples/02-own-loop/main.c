/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A product with an event loop of its own that serves a guest besides its other work, in one
 * thread. There is no anyhv_main: the product starts the module that it was built for, and anyhv's
 * whole loop is one more descriptor in its poll(). Here the other work is a clock that ticks.
 *
 *   build/dev/bin/anyhv-own-loop-loopback --out 64 --in 64 --requests 1000000
 *   build/dev/bin/anyhv-own-loop-vhost-user --socket-path=/tmp/own-loop.sock
 */
#include "../01-hello-device/invert.h"
#include <anyhv/hv.h>
#include <anyhv/linux/fdmem.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const struct anyhv_class invert_class = {.ops = &invert_ops};

/* ---- What the product had before ---- */

static int signal_fd(void)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

static int clock_fd(void)
{
    const struct itimerspec tick = {.it_value.tv_nsec = 10000000, .it_interval.tv_nsec = 10000000};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    return fd < 0 || timerfd_settime(fd, 0, &tick, NULL) < 0 ? -1 : fd;
}

/* Until a signal asks for the end or the module is through. Returns the exit code. */
static int product_loop(struct anyhv_loop *guest, int ends, int clock)
{
    struct pollfd fds[] = {{.fd = anyhv_loop_fd(guest), .events = POLLIN},
                           {.fd = clock, .events = POLLIN},
                           {.fd = ends, .events = POLLIN}};
    uint64_t ticks, work = 0;
    int code = 0;

    while (!fds[2].revents && !anyhv_loop_stopped(guest, &code)) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return 1;
        if (fds[0].revents && anyhv_loop_turn(guest, 0) < 0) /* what is due, once */
            return 1;
        if (fds[1].revents && read(clock, &ticks, sizeof(ticks)) == sizeof(ticks))
            work += ticks;
    }
    printf("own loop: %llu ticks of other work\n", (unsigned long long)work);
    return code;
}

/* ---- What anyhv_main would have done ---- */

static int serve(struct anyhv_server *server, int argc, char **argv)
{
    void *options = calloc(1, ANYHV_HV.options_size);
    int ends = signal_fd(), clock = clock_fd(), code = 1;

    server->options = options;
    if (options && ends >= 0 && clock >= 0 &&
        argp_parse(ANYHV_HV.args, argc, argv, 0, NULL, options) == 0) {
        if (ANYHV_HV.start(server) == ANYHV_OK)
            code = product_loop(server->loop, ends, clock);
        ANYHV_HV.stop(server); /* also after a failed start */
    }
    free(options);
    return code;
}

int main(int argc, char **argv)
{
    struct anyhv_server server = {.cls = &invert_class, .loop = anyhv_loop_new()};
    int code;

    if (!server.loop || anyhv_fdmem_guard() < 0) /* a front end may shrink a file that we mapped */
        return 1;
    code = serve(&server, argc, argv);
    anyhv_loop_free(server.loop);
    return code;
}

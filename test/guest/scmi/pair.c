/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair PLATFORM SOCKET...: one process, one platform, a vhost-user socket for each of its agents,
 * in the order of the platform file. For guests that are to meet there.
 */
#include <anyhv/devices/scmi_host.h>
#include <anyhv/hv.h>
#include <anyhv/linux/log.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    SOCKETS = 4
};

/* One agent, and where its guest comes in. */
struct seat {
    struct anyhv_scmi_platform *platform;
    struct anyhv_scmi_agent *agent;
    struct anyhv_server server;
};

static int create(void *host, struct anyhv_dev *dev, void *instance)
{
    struct seat *seat = host;

    anyhv_scmi_init(instance, dev, seat->platform, seat->agent);
    return ANYHV_OK;
}

static void destroy(void *host, void *instance)
{
    (void)host;
    anyhv_scmi_fini(instance);
}

static const struct anyhv_class class = {
    .ops = &anyhv_scmi_ops,
    .instance_size = sizeof(struct anyhv_scmi),
    .create = create,
    .destroy = destroy,
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "pair: %s: %s\n", what, why);
    exit(1);
}

static struct anyhv_scmi_board *read_platform(const char *file)
{
    FILE *stream = fopen(file, "re");
    char why[ANYHV_SCMI_WHY];
    struct anyhv_scmi_board *board;

    if (!stream)
        die(file, strerror(errno));
    board = anyhv_scmi_board_read(stream, why);
    if (!board)
        die(file, why);
    fclose(stream);
    return board;
}

static void listen_at(struct seat *seat, struct anyhv_loop *loop, char *socket)
{
    char name[] = "pair", option[] = "--socket-path";
    char *arguments[] = {name, option, socket, NULL};
    void *options = calloc(1, anyhv_hv_vhost_user.options_size);

    if (!options || argp_parse(anyhv_hv_vhost_user.args, 3, arguments, 0, NULL, options))
        die(socket, "not accepted");
    seat->server = (struct anyhv_server){.loop = loop,
                                         .cls = &class,
                                         .host = seat,
                                         .withhold = ANYHV_F_RING_PACKED,
                                         .options = options};
    if (anyhv_hv_vhost_user.start(&seat->server))
        die(socket, "cannot be served");
}

static void asked_to_end(struct anyhv_watch *watch, uint32_t events)
{
    (void)events;
    anyhv_loop_stop(watch->loop, 0);
}

static void end_when_asked(struct anyhv_loop *loop, struct anyhv_watch *watch)
{
    sigset_t mask;
    int fd;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    watch->ready = asked_to_end;
    if (fd < 0 || anyhv_watch_add(loop, watch, fd, EPOLLIN))
        die("signals", strerror(errno));
}

int main(int argc, char **argv)
{
    static struct seat seats[SOCKETS];
    static struct anyhv_watch watch;
    struct anyhv_loop *loop = anyhv_loop_new();
    struct anyhv_scmi_board *board;
    struct anyhv_scmi_platform *platform;
    unsigned n = argc > 2 ? (unsigned)argc - 2 : 0;

    if (!loop || !n || n > SOCKETS)
        die("usage", "pair PLATFORM SOCKET... (up to 4)");
    end_when_asked(loop, &watch);
    board = read_platform(argv[1]);
    platform = anyhv_scmi_board_platform(board);
    if (n > platform->nagents)
        die(argv[1], "has fewer agents than there are sockets");
    if (anyhv_scmi_board_start(board, loop))
        return 1;
    for (unsigned i = 0; i < n; i++) {
        seats[i].platform = platform;
        seats[i].agent = &platform->agents[i];
        listen_at(&seats[i], loop, argv[2 + i]);
    }
    anyhv_loop_run(loop);
    for (unsigned i = 0; i < n; i++) {
        anyhv_hv_vhost_user.stop(&seats[i].server);
        free((void *)(uintptr_t)seats[i].server.options);
    }
    anyhv_scmi_board_free(board);
    anyhv_watch_del(&watch);
    anyhv_loop_free(loop);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's way in: command line, listening socket, one front end after the other.
 */
#include "vu.h"

#include <anyhv/linux/args.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    OPT_SOCKET_PATH = 0x100,
    OPT_FD,
};

static const struct argp_option option_list[] = {
    {"socket-path", OPT_SOCKET_PATH, "PATH", 0, "listen at PATH for front ends, one at a time", 0},
    {"fd", OPT_FD, "FD", 0,
     "serve the open socket FD: a connection (the program ends with it) or a listening one", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct vu_options *options = state->input;

    switch (key) {
    case OPT_SOCKET_PATH:
        options->path = arg;
        return 0;
    case OPT_FD:
        options->fd = (int)anyhv_arg_number(state, "fd", arg, 0, INT32_MAX);
        options->fd_given = true;
        return 0;
    case ARGP_KEY_END:
        if (!options->path == !options->fd_given)
            argp_error(state, "give either --socket-path or --fd");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp args = {.options = option_list, .parser = parse_option};

static void listen_again(struct anyhv_timer *timer)
{
    vu_module_next(timer->priv);
}

static void front_end_waits(struct anyhv_watch *watch, uint32_t events)
{
    struct vu_module *module = watch->priv;
    int fd = anyhv_socket_accept(module->listener);

    (void)events;
    if (fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED)
        return;
    anyhv_watch_del(&module->accept); /* the next one waits until this one has left */
    if (fd < 0) {
        /* Out of descriptors or memory: the listener stays readable, so do not look for a while. */
        anyhv_log(ANYHV_LOG_ERROR, "vu.accept", "accept: %s", strerror(-fd));
        anyhv_timer_set(module->server->loop, &module->pause, VU_PAUSE_NS);
        return;
    }
    if (vu_connection_begin(module, fd) != ANYHV_OK)
        anyhv_timer_set(module->server->loop, &module->pause, VU_PAUSE_NS);
}

void vu_module_next(struct vu_module *module)
{
    int rc;

    if (module->listener < 0) {
        anyhv_task_ready(module->server->loop, &module->last);
        return;
    }
    rc = anyhv_watch_add(module->server->loop, &module->accept, module->listener, EPOLLIN);
    if (rc < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.listen", "cannot watch the socket: %s", strerror(-rc));
        anyhv_timer_set(module->server->loop, &module->pause, VU_PAUSE_NS);
    }
}

static bool leave(struct anyhv_task *task)
{
    struct vu_module *module = task->priv;

    anyhv_loop_stop(module->server->loop, 0);
    return false;
}

/*
 * A call or kick descriptor may be a pipe whose other end is closed at any time. That must be an
 * error of one write, not the end of the process; whoever embeds us and has a handler keeps it.
 */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
        !(now.sa_flags & SA_SIGINFO))
        signal(SIGPIPE, SIG_IGN);
}

static int start_path(struct vu_module *module)
{
    int fd = anyhv_socket_listen(module->options->path);

    if (fd < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.listen", "cannot listen at %s: %s", module->options->path,
                  strerror(-fd));
        return ANYHV_E_IO;
    }
    module->listener = fd;
    module->bound = true;
    anyhv_log(ANYHV_LOG_INFO, "vu.listening", "waiting for a front end at %s",
              module->options->path);
    vu_module_next(module);
    return ANYHV_OK;
}

static int start_fd(struct vu_module *module)
{
    int fd = module->options->fd, listening = 0, flags = fcntl(fd, F_GETFL);
    socklen_t len = sizeof(listening);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.fd", "--fd=%d: %s", fd, strerror(errno));
        return ANYHV_E_IO;
    }
    if (listening) {
        module->listener = fd;
        vu_module_next(module);
        return ANYHV_OK;
    }
    return vu_connection_begin(module, fd);
}

static int module_start(struct anyhv_server *server)
{
    struct vu_module *module = calloc(1, sizeof(*module));

    server->module = module;
    if (!module) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.start", "out of memory");
        return ANYHV_E_NORES;
    }
    module->server = server;
    module->options = server->options;
    module->listener = -1;
    module->accept = (struct anyhv_watch){.ready = front_end_waits, .priv = module};
    module->pause = (struct anyhv_timer){.fire = listen_again, .priv = module};
    module->last = (struct anyhv_task){.run = leave, .priv = module};
    if (server->cls->ops->queues > VU_MAX_QUEUES) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.start", "vhost-user carries %u queues, the device has %u",
                  VU_MAX_QUEUES, server->cls->ops->queues);
        return ANYHV_E_INVAL;
    }
    module->connection.rings =
        calloc(server->cls->ops->queues, sizeof(module->connection.rings[0]));
    if (!module->connection.rings) {
        anyhv_log(ANYHV_LOG_ERROR, "vu.start", "out of memory");
        return ANYHV_E_NORES;
    }
    module->connection.nrings = server->cls->ops->queues;
    ignore_sigpipe();
    return module->options->fd_given ? start_fd(module) : start_path(module);
}

static void module_stop(struct anyhv_server *server)
{
    struct vu_module *module = server->module;

    if (!module)
        return;
    if (module->connection.open)
        vu_connection_end(&module->connection);
    anyhv_watch_del(&module->accept);
    anyhv_timer_cancel(&module->pause);
    anyhv_task_cancel(&module->last);
    vu_fd_close(&module->listener);
    if (module->bound)
        unlink(module->options->path);
    free(module->connection.rings);
    free(module);
    server->module = NULL;
}

const struct anyhv_hv anyhv_hv_vhost_user = {
    .name = "vhost-user",
    .features = VU_RING_FEATURES,
    .args = &args,
    .options_size = sizeof(struct vu_options),
    .start = module_start,
    .stop = module_stop,
};

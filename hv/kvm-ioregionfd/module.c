/* SPDX-License-Identifier: Apache-2.0 */
/* The module's way in: command line, listening socket, one VMM after the other. */
#include "ior.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    OPT_SOCKET_PATH = 0x100,
};

static const struct argp_option option_list[] = {
    {"socket-path", OPT_SOCKET_PATH, "PATH", 0, "listen at PATH for VMMs, one at a time", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct ior_options *options = state->input;

    switch (key) {
    case OPT_SOCKET_PATH:
        options->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (!options->path)
            argp_error(state, "give --socket-path");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp args = {.options = option_list, .parser = parse_option};

/*
 * There is one already. Nobody is left waiting: what waits is not read, and in it may be the end of
 * the one that is served, which would then never close.
 */
static void turn_away(int fd)
{
    const struct anyhv_ior_message busy = {
        .request = ANYHV_IOR_HELLO,
        .result = ANYHV_IOR_MOMENT,
        .u.welcome.version = ANYHV_IOR_VERSION,
    };

    anyhv_socket_send(fd, &busy, sizeof(busy), NULL, 0);
    close(fd);
    anyhv_log(ANYHV_LOG_INFO, "ior.busy", "another VMM was turned away");
}

static void vmm_calls(struct anyhv_watch *watch, uint32_t events)
{
    struct ior_module *module = watch->priv;
    int fd = anyhv_socket_accept(module->listener);

    (void)events;
    if (fd == -EAGAIN)
        return;
    if (fd >= 0 && module->connection.open) {
        turn_away(fd);
        return;
    }
    if (fd < 0)
        anyhv_log(ANYHV_LOG_ERROR, "ior.accept", "accept: %s", strerror(-fd));
    /* Out of descriptors or memory: the listener stays readable, so do not look for a while. */
    if (fd < 0 || ior_connection_begin(module, fd) != ANYHV_OK) {
        anyhv_watch_del(&module->accept);
        anyhv_timer_set(module->server->loop, &module->pause, IOR_PAUSE_NS);
    }
}

static void look_out(struct ior_module *module)
{
    int rc = anyhv_watch_add(module->server->loop, &module->accept, module->listener, EPOLLIN);

    if (rc < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "ior.listen", "cannot watch the socket: %s", strerror(-rc));
        anyhv_timer_set(module->server->loop, &module->pause, IOR_PAUSE_NS);
    }
}

static void listen_again(struct anyhv_timer *timer)
{
    look_out(timer->priv);
}

static int module_start(struct anyhv_server *server)
{
    struct ior_module *module = calloc(1, sizeof(*module));

    server->module = module;
    if (!module) {
        anyhv_log(ANYHV_LOG_ERROR, "ior.start", "out of memory");
        return ANYHV_E_NORES;
    }
    module->server = server;
    module->options = server->options;
    module->accept = (struct anyhv_watch){.ready = vmm_calls, .priv = module};
    module->pause = (struct anyhv_timer){.fire = listen_again, .priv = module};
    module->listener = anyhv_socket_listen(module->options->path);
    if (module->listener < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "ior.listen", "cannot listen at %s: %s", module->options->path,
                  strerror(-module->listener));
        return ANYHV_E_IO;
    }
    anyhv_log(ANYHV_LOG_INFO, "ior.listening", "waiting for a VMM at %s", module->options->path);
    look_out(module);
    return ANYHV_OK;
}

static void module_stop(struct anyhv_server *server)
{
    struct ior_module *module = server->module;

    if (!module)
        return;
    if (module->connection.open)
        ior_connection_end(&module->connection);
    anyhv_watch_del(&module->accept);
    anyhv_timer_cancel(&module->pause);
    if (module->listener >= 0)
        unlink(module->options->path);
    ior_fd_close(&module->listener);
    free(module);
    server->module = NULL;
}

const struct anyhv_hv anyhv_hv_kvm_ioregionfd = {
    .name = "kvm-ioregionfd",
    .args = &args,
    .options_size = sizeof(struct ior_options),
    .start = module_start,
    .stop = module_stop,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* anyhv_main: from the command line to a running loop, and back in the reverse order. */
#include <anyhv/hv.h>

#include "internal.h"

#include <anyhv/linux/fdmem.h>
#include <anyhv/port.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  64 /* what argp uses, too */

struct program {
    struct anyhv_server server;
    const struct anyhv_hv *hv;
    enum anyhv_log_level log_level;
    void *class_options, *hv_options;
    void *child_inputs[2];
    unsigned children;
    /* while it runs */
    struct anyhv_watch signals;
    sigset_t mask_before;
};

/* ---- Command line ---- */

/* Long options only: every letter is left to classes and modules. */
enum option_key {
    OPT_FEATURES = 0x1000,
    OPT_LOG_LEVEL,
    OPT_PRINT_CAPABILITIES,
    OPT_VERSION,
};

static const struct {
    const char *name;
    uint64_t bit;
} feature_names[] = {
    {"indirect_desc", ANYHV_F_INDIRECT_DESC},
    {"event_idx", ANYHV_F_EVENT_IDX},
    {"packed", ANYHV_F_RING_PACKED},
    {"in_order", ANYHV_F_IN_ORDER},
    {"ring_reset", ANYHV_F_RING_RESET},
    {"notification_data", ANYHV_F_NOTIFICATION_DATA},
    {"suspend", ANYHV_F_SUSPEND},
};
#define FEATURE_NAMES \
    "indirect_desc, event_idx, packed, in_order, ring_reset, notification_data, suspend"

/*
 * Packed rings have to be asked for: a driver that is offered both takes them, and split is the
 * ring that every driver has been tried with.
 */
#define WITHHELD_BY_DEFAULT ANYHV_F_RING_PACKED

static const char *const level_names[] = {"error", "warning", "info", "debug"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The bit of the @len characters at @name, 0: there is no such feature. */
static uint64_t feature_bit(const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT_OF(feature_names); i++) {
        if (strlen(feature_names[i].name) == len && !memcmp(feature_names[i].name, name, len))
            return feature_names[i].bit;
    }
    return 0;
}

/* Why @bit can never be offered here; NULL: it can. */
static const char *why_never(const struct program *program, uint64_t bit)
{
    if (program->hv->features && !(program->hv->features & bit))
        return "this program's way to the guest cannot carry it";
    if (bit == ANYHV_F_IN_ORDER && !program->server.cls->ops->ordered)
        return "the device does not answer in order";
    return NULL;
}

static error_t parse_features(struct program *program, const char *list,
                              const struct argp_state *state)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        bool off = list[0] == '-';
        uint64_t bit = feature_bit(list + off, len - off);
        const char *never = off ? NULL : why_never(program, bit);
        if (bit == 0) {
            argp_error(state, "unknown feature '%.*s'; there are: " FEATURE_NAMES, (int)(len - off),
                       list + off);
            return EINVAL;
        }
        if (never) {
            argp_error(state, "--features: no '%.*s': %s", (int)len, list, never);
            return EINVAL;
        }
        if (off)
            program->server.withhold |= bit;
        else
            program->server.withhold &= ~bit;
        list += len;
        list += *list == ',';
    }
    return 0;
}

static error_t parse_level(struct program *program, const char *name,
                           const struct argp_state *state)
{
    for (unsigned i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            program->log_level = (enum anyhv_log_level)i;
            return 0;
        }
    }
    argp_error(state, "unknown log level '%s'; there are: error, warning, info, debug", name);
    return EINVAL;
}

/* In the words of QEMU's docs/interop/vhost-user.json. */
static void print_capabilities(const struct anyhv_class *cls, const struct argp_state *state)
{
    const char *const *option = cls->type_options;

    if (!cls->type)
        argp_failure(state, EXIT_FAILED, 0,
                     "tools that manage back ends have no type for the %s device", cls->ops->name);
    printf("{\n  \"type\": \"%s\",\n  \"features\": [", cls->type);
    for (; option && *option; option++)
        printf("%s\"%s\"", option == cls->type_options ? "" : ", ", *option);
    printf("]\n}\n");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct program *program = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        for (unsigned i = 0; i < program->children; i++)
            state->child_inputs[i] = program->child_inputs[i];
        return 0;
    case OPT_FEATURES:
        return parse_features(program, arg, state);
    case OPT_LOG_LEVEL:
        return parse_level(program, arg, state);
    case OPT_PRINT_CAPABILITIES: /* whatever else the command line asks for, or lacks */
        print_capabilities(program->server.cls, state);
        exit(EXIT_SUCCESS);
    case OPT_VERSION:
        printf("%s (anyhv) %s\n", program_invocation_short_name, ANYHV_VERSION);
        exit(EXIT_SUCCESS);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option common_options[] = {
    {NULL, 0, NULL, 0, "Options:", 0},
    {"features", OPT_FEATURES, "LIST", 0,
     "Ring features, comma-separated: NAME offers one, -NAME withholds it; by default all but "
     "packed are offered that device and module can do. NAMEs: " FEATURE_NAMES,
     0},
    {"log-level", OPT_LOG_LEVEL, "LEVEL", 0,
     "What to report: error, warning, info (the default) or debug", 0},
    {NULL, 0, NULL, 0, "Instead of serving guests:", -1},
    {"print-capabilities", OPT_PRINT_CAPABILITIES, NULL, 0,
     "Tell tools that manage back ends, in JSON, what type of device this is, and exit", -1},
    {"version", OPT_VERSION, NULL, 0, "Print the version and exit", -1},
    {0},
};

/* Fills *@program from the arguments, or tells what is wrong with them and ends the process. */
static error_t parse_arguments(struct program *program, int argc, char **argv)
{
    const struct anyhv_class *cls = program->server.cls;
    char doc[128], class_header[64], hv_header[64];
    struct argp_child children[3] = {{0}};

    snprintf(doc, sizeof(doc), "The virtio %s device, for guests reached through %s.",
             cls->ops->name, program->hv->name);
    snprintf(class_header, sizeof(class_header), "The %s device:", cls->ops->name);
    snprintf(hv_header, sizeof(hv_header), "%s:", program->hv->name);
    if (cls->args) {
        program->child_inputs[program->children] = program->class_options;
        children[program->children++] = (struct argp_child){cls->args, 0, class_header, 1};
    }
    if (program->hv->args) {
        program->child_inputs[program->children] = program->hv_options;
        children[program->children++] = (struct argp_child){program->hv->args, 0, hv_header, 2};
    }
    const struct argp argp = {
        .options = common_options, .parser = parse_option, .doc = doc, .children = children};
    return argp_parse(&argp, argc, argv, 0, NULL, program);
}

/* ---- Process ---- */

/* Without this, a guest's connection could become descriptor 2 and receive our messages. */
static void fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void on_signal(struct anyhv_watch *watch, uint32_t events)
{
    struct program *program = watch->priv;
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGUSR1)
        anyhv_server_report(&program->server, stderr);
    else
        anyhv_loop_stop(program->server.loop, EXIT_SUCCESS);
}

/*
 * From here on the signals come through the loop. Before any thread is made: threads inherit the
 * mask.
 */
static int watch_signals(struct program *program)
{
    sigset_t ours;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGUSR1);
    int fd = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    program->signals = (struct anyhv_watch){.ready = on_signal, .priv = program};
    int result = anyhv_watch_add(program->server.loop, &program->signals, fd, EPOLLIN);
    if (result < 0) {
        close(fd);
        return result;
    }
    sigprocmask(SIG_BLOCK, &ours, &program->mask_before);
    return 0;
}

static void unwatch_signals(struct program *program)
{
    struct signalfd_siginfo info;
    int fd = program->signals.fd;

    anyhv_watch_del(&program->signals);
    /* An impatient second SIGTERM must not turn a clean end into a death by signal. */
    while (read(fd, &info, sizeof(info)) > 0)
        ;
    close(fd);
    sigprocmask(SIG_SETMASK, &program->mask_before, NULL);
}

/* ---- From the loop inwards; each level undoes what it did ---- */

static int run_module(struct program *program)
{
    int code = -1;

    if (program->hv->start(&program->server) >= 0) {
        code = anyhv_loop_run(program->server.loop);
        if (code < 0)
            anyhv_log(ANYHV_LOG_ERROR, "main.loop", "the event loop failed: %s", strerror(errno));
    }
    program->hv->stop(&program->server);
    return code;
}

static int run_class(struct program *program)
{
    struct anyhv_server *server = &program->server;
    const struct anyhv_class *cls = server->cls;

    if (cls->open && cls->open(server->loop, program->class_options, &server->host) < 0)
        return -1;
    int code = run_module(program);
    ANYHV_ASSERT(!server->instances);
    if (cls->close)
        cls->close(server->host);
    return code;
}

static int run_program(struct program *program)
{
    int code = -1;

    fill_standard_fds();
    program->server.loop = anyhv_loop_new();
    if (!program->server.loop) {
        anyhv_log(ANYHV_LOG_ERROR, "main.loop", "no event loop: %s", strerror(errno));
        return -1;
    }
    int result = anyhv_fdmem_guard();
    if (result == 0)
        result = watch_signals(program);
    if (result < 0) {
        anyhv_log(ANYHV_LOG_ERROR, "main.signals", "no signals: %s", strerror(-result));
    } else {
        code = run_class(program);
        unwatch_signals(program);
    }
    anyhv_loop_free(program->server.loop);
    return code;
}

static void *options_of(size_t size)
{
    return calloc(1, size ? size : 1);
}

int anyhv_main(int argc, char **argv, const struct anyhv_class *cls, const struct anyhv_hv *hv)
{
    struct program program = {.server = {.cls = cls, .withhold = WITHHELD_BY_DEFAULT},
                              .hv = hv,
                              .log_level = ANYHV_LOG_INFO};
    int code = EXIT_FAILED;

    ANYHV_ASSERT(cls && cls->ops && hv && hv->start && hv->stop);
    program.class_options = options_of(cls->options_size);
    program.hv_options = options_of(hv->options_size);
    program.server.options = program.hv_options;
    if (!program.class_options || !program.hv_options) {
        anyhv_log(ANYHV_LOG_ERROR, "main.memory", "out of memory");
    } else if (parse_arguments(&program, argc, argv) != 0) {
        code = EXIT_USAGE;
    } else {
        anyhv_log_level(program.log_level);
        code = run_program(&program) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
    }
    free(program.hv_options);
    free(program.class_options);
    return code;
}

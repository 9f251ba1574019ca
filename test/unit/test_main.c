/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anyhv_main and the instances, with a class and a module of our own. Each program runs in a child
 * process and says on standard error what happens to it; the parent reads that.
 */
#include "testing.h"

#include <anyhv/hv.h>
#include <anyhv/linux/log.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The device ---- */

static void request(struct anyhv_dev *dev, unsigned queue, struct anyhv_req *req)
{
    (void)dev;
    (void)queue;
    anyhv_req_done(req);
}

static const struct anyhv_device_ops device = {
    .name = "toy", .id = 4, .queues = 2, .config_len = 8, .ordered = true, .request = request};

struct toy_options {
    int rate;
    bool refuse_open;
};

static int create_result;
static int creations;

static error_t parse_toy(int key, char *arg, struct argp_state *state)
{
    struct toy_options *options = state->input;

    switch (key) {
    case 'r':
        options->rate = atoi(arg);
        return 0;
    case 'x':
        options->refuse_open = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option toy_option_list[] = {
    {"rate", 'r', "N", 0, "Bytes per second", 0},
    {"refuse-open", 'x', NULL, 0, "Fail", 0},
    {0},
};
static const struct argp toy_args = {.options = toy_option_list, .parser = parse_toy};

static int toy_open(struct anyhv_loop *loop, const void *opts, void **host)
{
    const struct toy_options *options = opts;

    fprintf(stderr, "open rate=%d loop=%d\n", options->rate, loop != NULL);
    if (options->refuse_open)
        return ANYHV_E_IO;
    *host = malloc(10);
    return *host ? 0 : ANYHV_E_NORES;
}

static void toy_close(void *host)
{
    free(host);
    fprintf(stderr, "close\n");
}

static int toy_create(void *host, struct anyhv_dev *dev, void *instance)
{
    (void)host;
    *(struct anyhv_dev **)instance = dev;
    creations += create_result == 0;
    return create_result;
}

static void toy_destroy(void *host, void *instance)
{
    (void)host;
    assert_non_null(*(struct anyhv_dev **)instance);
    creations--;
}

static const struct anyhv_class toy = {
    .ops = &device,
    .limits = {.requests = 4, .segs = 16},
    .args = &toy_args,
    .options_size = sizeof(struct toy_options),
    .open = toy_open,
    .close = toy_close,
    .instance_size = sizeof(struct anyhv_dev *),
    .create = toy_create,
    .destroy = toy_destroy,
};

/* ---- The module: a guest that does not exist ---- */

struct guest {
    struct anyhv_instance instance;
    struct anyhv_dev dev;
    struct anyhv_mem mem;
};

static void notify(struct anyhv_dev *dev, int queue)
{
    (void)dev;
    (void)queue;
}

static void work(struct anyhv_dev *dev)
{
    (void)dev;
}

static const struct anyhv_port_ops port = {
    .notify = notify, .work = work, .features = ANYHV_F_RING_BITS};

static int guest_arrives(struct guest *guest, struct anyhv_server *server)
{
    struct anyhv_attach how = {.mem = &guest->mem, .port = &port};

    memset(guest, 0, sizeof(*guest));
    anyhv_mem_init(&guest->mem, NULL, 0, NULL, NULL);
    int result = anyhv_instance_create(&guest->instance, server, &guest->dev, &how);
    if (result < 0)
        return result;
    return anyhv_dev_attach(&guest->dev, &how);
}

static void guest_goes(struct guest *guest)
{
    anyhv_dev_detach(&guest->dev);
    anyhv_instance_destroy(&guest->instance);
}

struct fake_options {
    const char *act;
};

static error_t parse_fake(int key, char *arg, struct argp_state *state)
{
    struct fake_options *options = state->input;

    if (key == 'a') {
        options->act = arg;
        return 0;
    }
    if (key == ARGP_KEY_END && !options->act) {
        argp_error(state, "--act is missing");
        return EINVAL;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option fake_option_list[] = {
    {"act", 'a', "WHAT", 0, "What to do", 0},
    {0},
};
static const struct argp fake_args = {.options = fake_option_list, .parser = parse_fake};

static struct guest guest;

static int fake_start(struct anyhv_server *server)
{
    const char *act = ((const struct fake_options *)server->options)->act;
    int pipe_fds[2];

    fprintf(stderr, "start withhold=%llx loopfd=%d\n", (unsigned long long)server->withhold,
            anyhv_loop_fd(server->loop));
    anyhv_log(ANYHV_LOG_DEBUG, "fake.debug", "shown");
    anyhv_log(ANYHV_LOG_INFO, "fake.info", "shown");
    if (strcmp(act, "fail") == 0)
        return ANYHV_E_IO;
    if (guest_arrives(&guest, server) < 0)
        return ANYHV_E_NORES;
    if (strcmp(act, "end") == 0)
        anyhv_loop_stop(server->loop, 0);
    if (strcmp(act, "end-badly") == 0)
        anyhv_loop_stop(server->loop, 9);
    if (strcmp(act, "pipe") == 0 && pipe(pipe_fds) == 0) {
        close(pipe_fds[0]);
        fprintf(stderr, "write=%d\n", write(pipe_fds[1], "x", 1) < 0 ? errno : 0);
        close(pipe_fds[1]);
        anyhv_loop_stop(server->loop, 0);
    }
    fprintf(stderr, "ready\n");
    return 0;
}

static void fake_stop(struct anyhv_server *server)
{
    (void)server;
    if (guest.instance.server)
        guest_goes(&guest);
    fprintf(stderr, "stop\n");
}

static const struct anyhv_hv fake = {.name = "fake",
                                     .args = &fake_args,
                                     .options_size = sizeof(struct fake_options),
                                     .start = fake_start,
                                     .stop = fake_stop};

/* No arguments, and nothing optional. */
static const struct anyhv_class bare_toy = {.ops = &device};

static int bare_start(struct anyhv_server *server)
{
    anyhv_loop_stop(server->loop, 0);
    return guest_arrives(&guest, server);
}

static const struct anyhv_hv bare = {.name = "bare", .start = bare_start, .stop = fake_stop};

/* ---- Programs in children ---- */

static struct {
    pid_t pid;
    bool without_input; /* start it with descriptor 0 closed */
    int out;            /* its standard output and error */
    char text[16384];
    size_t len;
} child;

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* In the child: exit() and not _exit(), so that a leak checker has its say. */
static void run(char **argv, const struct anyhv_class *cls, const struct anyhv_hv *hv)
{
    int argc = 0;
    sigset_t before, after;

    while (argv[argc])
        argc++;
    int fds = open_fds();
    sigprocmask(SIG_BLOCK, NULL, &before);
    int code = anyhv_main(argc, argv, cls, hv);
    sigprocmask(SIG_BLOCK, NULL, &after);
    if (open_fds() != fds)
        fprintf(stderr, "LEAK of descriptors\n");
    for (int sig = 1; sig < SIGRTMAX; sig++) {
        if (sigismember(&before, sig) != sigismember(&after, sig))
            fprintf(stderr, "LEAK of signal %d\n", sig);
    }
    exit(code);
}

static void launch(const struct anyhv_class *cls, const struct anyhv_hv *hv, char **argv)
{
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    fflush(NULL);
    child.len = 0;
    child.text[0] = '\0';
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        dup2(pipe_fds[1], STDOUT_FILENO);
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        if (child.without_input)
            close(STDIN_FILENO);
        alarm(60);
        run(argv, cls, hv);
    }
    close(pipe_fds[1]);
    child.out = pipe_fds[0];
}

/* Reads until @what was said; false: it never is. */
static bool wait_for(const char *what)
{
    while (!strstr(child.text, what)) {
        ssize_t n = read(child.out, child.text + child.len, sizeof(child.text) - 1 - child.len);
        if (n <= 0)
            return false;
        child.len += (size_t)n;
        child.text[child.len] = '\0';
    }
    return true;
}

static int exit_code(void)
{
    int status;

    wait_for("\x01"); /* to the end */
    close(child.out);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_null(strstr(child.text, "LEAK"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define ARGS(...) ((char *[]){(char[]){"toy-fake"}, __VA_ARGS__, NULL})
#define ARG(text) ((char[]){text})

static int run_to_end(char **argv)
{
    launch(&toy, &fake, argv);
    return exit_code();
}

static bool said(const char *what)
{
    return strstr(child.text, what) != NULL;
}

static bool said_in_order(const char *first, const char *second)
{
    const char *at = strstr(child.text, first);

    return at && strstr(at, second);
}

static void test_module_ends(void **state)
{
    (void)state;
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--rate=5"))), 0);
    assert_true(said("open rate=5 loop=1\n"));
    assert_true(said_in_order("open", "start"));
    assert_true(said_in_order("start", "stop"));
    assert_true(said_in_order("stop", "close"));
    assert_int_equal(run_to_end(ARGS(ARG("--act=end-badly"))), 1);
    assert_true(said_in_order("stop", "close"));
}

static void test_failures(void **state)
{
    (void)state;
    assert_int_equal(run_to_end(ARGS(ARG("--act=fail"))), 1);
    assert_true(said_in_order("start", "stop"));
    assert_true(said_in_order("stop", "close"));
    assert_false(said("ready"));

    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--refuse-open"))), 1);
    assert_false(said("start"));
    assert_false(said("close"));
}

static void test_signals_end_it(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    (void)state;

    for (int i = 0; i < 2; i++) {
        launch(&toy, &fake, ARGS(ARG("--act=wait")));
        assert_true(wait_for("ready\n"));
        assert_int_equal(kill(child.pid, signals[i]), 0);
        assert_int_equal(exit_code(), 0);
        assert_true(said_in_order("stop", "close"));
    }
}

static void test_sigusr1_reports(void **state)
{
    (void)state;
    launch(&toy, &fake, ARGS(ARG("--act=wait")));
    assert_true(wait_for("ready\n"));
    for (int i = 0; i < 2; i++) {
        child.len = 0;
        child.text[0] = '\0';
        assert_int_equal(kill(child.pid, SIGUSR1), 0);
        assert_true(wait_for("toy 0 queue 1: stopped kicks=0 requests=0"));
        assert_true(wait_for("stalls=0\n"));
        assert_true(said("toy 0 queue 0: "));
    }
    kill(child.pid, SIGTERM);
    assert_int_equal(exit_code(), 0);
}

static void test_sigpipe_is_an_error_code(void **state)
{
    char expected[32];
    (void)state;

    snprintf(expected, sizeof(expected), "write=%d\n", EPIPE);
    assert_int_equal(run_to_end(ARGS(ARG("--act=pipe"))), 0);
    assert_true(said(expected));
}

static void test_wrong_usage(void **state)
{
    (void)state;
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--nonsense"))), 64);
    assert_true(said("nonsense"));
    assert_false(said("open"));
    assert_int_equal(run_to_end(ARGS(ARG("--rate=1"))), 64);
    assert_true(said("--act is missing"));
    assert_int_equal(run_to_end(ARGS(ARG("--act"))), 64);
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("surplus"))), 64);
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--log-level=loud"))), 64);
    assert_true(said("error, warning, info, debug"));
}

static void test_help_and_version(void **state)
{
    (void)state;
    assert_int_equal(run_to_end(ARGS(ARG("--version"))), 0);
    assert_true(strspn(strrchr(child.text, ' ') + 1, "0123456789.\n") >= 6);
    assert_int_equal(run_to_end(ARGS(ARG("--help"))), 0);
    assert_true(said("toy device"));
    assert_true(said("--rate=N"));
    assert_true(said("--act=WHAT"));
    assert_true(said("--features=LIST"));
    assert_true(said("notification_data"));
    assert_true(said("--log-level=LEVEL"));
}

static void assert_withheld(const char *list, uint64_t bits)
{
    char expected[64], option[128];

    snprintf(option, sizeof(option), "--features=%s", list);
    snprintf(expected, sizeof(expected), "withhold=%llx ", (unsigned long long)bits);
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), option)), 0);
    if (!said(expected))
        print_error("expected %s got:\n%s", expected, child.text);
    assert_true(said(expected));
}

static void test_features(void **state)
{
    const uint64_t packed = ANYHV_F_RING_PACKED;
    (void)state;

    assert_withheld("", packed);
    assert_withheld("event_idx", packed);
    assert_withheld("packed", 0);
    assert_withheld("-packed", packed);
    assert_withheld("packed,-event_idx", ANYHV_F_EVENT_IDX);
    assert_withheld("-indirect_desc,-in_order", packed | ANYHV_F_INDIRECT_DESC | ANYHV_F_IN_ORDER);
    assert_withheld("-ring_reset,packed,-notification_data",
                    ANYHV_F_RING_RESET | ANYHV_F_NOTIFICATION_DATA);
    assert_withheld("-event_idx,event_idx,", packed);

    static const char *const wrong[] = {"warp",    "event_id",           "event_idxx", "-",
                                        ",packed", "packed,,-event_idx", "--packed",   "PACKED"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char option[64];
        snprintf(option, sizeof(option), "--features=%s", wrong[i]);
        assert_int_equal(run_to_end(ARGS(ARG("--act=end"), option)), 64);
        assert_true(said("indirect_desc, event_idx, packed, in_order, ring_reset, "
                         "notification_data"));
    }
}

static void test_log_level(void **state)
{
    (void)state;
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"))), 0);
    assert_true(said(": info: fake.info: shown\n"));
    assert_false(said("fake.debug"));
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--log-level=debug"))), 0);
    assert_true(said(": debug: fake.debug: shown\n"));
    assert_int_equal(run_to_end(ARGS(ARG("--act=end"), ARG("--log-level=error"))), 0);
    assert_false(said("fake.info"));
}

static void test_bare_class_and_module(void **state)
{
    (void)state;
    launch(&bare_toy, &bare, ARGS(NULL));
    assert_int_equal(exit_code(), 0);
    launch(&bare_toy, &bare, ARGS(ARG("--act=end")));
    assert_int_equal(exit_code(), 64);
}

/* Started without standard input, it must not use 0 for something of its own. */
static void test_closed_standard_input(void **state)
{
    (void)state;
    child.without_input = true;
    launch(&toy, &fake, ARGS(ARG("--act=wait")));
    child.without_input = false;
    assert_true(wait_for("ready\n"));
    assert_false(said("loopfd=0"));
    kill(child.pid, SIGTERM);
    wait_for("\x01");
    close(child.out);
    waitpid(child.pid, NULL, 0);
}

/* ---- Instances ---- */

static char *report(const struct anyhv_server *server)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    anyhv_server_report(server, out);
    fclose(out);
    return text;
}

static void quiet(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    (void)line;
}

static void test_instances(void **state)
{
    struct anyhv_server server = {.cls = &toy, .withhold = ANYHV_F_EVENT_IDX};
    struct guest a, b, c;
    (void)state;

    create_result = creations = 0;
    assert_int_equal(guest_arrives(&a, &server), ANYHV_OK);
    assert_int_equal(guest_arrives(&b, &server), ANYHV_OK);
    assert_int_equal(guest_arrives(&c, &server), ANYHV_OK);
    assert_int_equal(creations, 3);
    assert_ptr_equal(*(struct anyhv_dev **)anyhv_dev_priv(&b.dev), &b.dev);
    assert_false(anyhv_ctl_features(&b.dev) & ANYHV_F_EVENT_IDX);
    assert_true(anyhv_ctl_features(&b.dev) & ANYHV_F_INDIRECT_DESC);

    guest_goes(&b);
    anyhv_instance_destroy(&b.instance); /* nothing */
    assert_int_equal(creations, 2);
    guest_goes(&a);
    guest_goes(&c);
    assert_int_equal(creations, 0);
    assert_null(server.instances);
}

static void test_create_fails(void **state)
{
    struct anyhv_server server = {.cls = &toy};
    struct guest g;
    (void)state;

    create_result = ANYHV_E_IO;
    assert_int_equal(guest_arrives(&g, &server), ANYHV_E_IO);
    assert_null(server.instances);
    anyhv_instance_destroy(&g.instance);
    create_result = 0;
}

static void test_report(void **state)
{
    struct anyhv_server server = {.cls = &toy};
    struct anyhv_attach how = {0};
    struct anyhv_instance early = {0};
    struct anyhv_dev not_yet = {0};
    struct guest g;
    (void)state;

    anyhv_log_sink(quiet, NULL);
    char *text = report(&server);
    assert_string_equal(text, "toy: no device in use\n");
    free(text);

    assert_int_equal(guest_arrives(&g, &server), ANYHV_OK);
    assert_int_equal(anyhv_instance_create(&early, &server, &not_yet, &how), ANYHV_OK);
    anyhv_ctl_kick(&g.dev, 0);
    anyhv_ctl_kick(&g.dev, 77);
    anyhv_ctl_kick(&g.dev, 77);
    text = report(&server);
    assert_non_null(strstr(text, "toy 0 queue 0: stopped kicks="));
    assert_non_null(strstr(text, "toy 0 queue 1: stopped kicks=0 requests=0 held=0 done=0 "
                                 "rejected=0 returned=0 dropped=0 bytes_in=0 bytes_out=0 "
                                 "publishes=0 notifies=0 suppressed=0 stalls=0\n"));
    assert_non_null(strstr(text, "toy 0 violation KICK_"));
    assert_null(strstr(text, "HEAD_RANGE"));
    assert_non_null(strstr(text, "toy 1: not attached\n"));
    free(text);
    anyhv_instance_destroy(&early);
    guest_goes(&g);
    anyhv_log_sink(NULL, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_module_ends),
    cmocka_unit_test(test_failures),
    cmocka_unit_test(test_signals_end_it),
    cmocka_unit_test(test_sigusr1_reports),
    cmocka_unit_test(test_sigpipe_is_an_error_code),
    cmocka_unit_test(test_wrong_usage),
    cmocka_unit_test(test_help_and_version),
    cmocka_unit_test(test_features),
    cmocka_unit_test(test_log_level),
    cmocka_unit_test(test_bare_class_and_module),
    cmocka_unit_test(test_closed_standard_input),
    cmocka_unit_test(test_instances),
    cmocka_unit_test(test_create_fails),
    cmocka_unit_test(test_report),
};

ANYHV_TEST_MAIN("main", tests)

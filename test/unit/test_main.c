/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anyhv_main, with a class and a module of our own. Each program runs in a child process and says
 * on standard error what happens to it; the parent reads that.
 */
#include "child.h"
#include "linux_test.h"
#include "toy.h"

#include <anyhv/linux/log.h>
#include <errno.h>

/* ---- The class ---- */

struct toy_options {
    int rate;
    bool refuse_open;
};

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
    {"rate", 'r', "N", 0, "Bytes per second", 0}, {"refuse-open", 'x', NULL, 0, "Fail", 0}, {0}};
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

static const struct anyhv_class toy = {
    .ops = &toy_ops,
    .args = &toy_args,
    .options_size = sizeof(struct toy_options),
    .open = toy_open,
    .close = toy_close,
};

/* ---- The module ---- */

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

static const struct argp_option fake_option_list[] = {{"act", 'a', "WHAT", 0, "What to do", 0},
                                                      {0}};
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
static const struct anyhv_class bare_toy = {.ops = &toy_ops};

static int bare_start(struct anyhv_server *server)
{
    anyhv_loop_stop(server->loop, 0);
    return guest_arrives(&guest, server);
}

static const struct anyhv_hv bare = {.name = "bare", .start = bare_start, .stop = fake_stop};

/* ---- Programs ---- */

static struct child child;

static struct {
    char **argv;
    const struct anyhv_class *cls;
    const struct anyhv_hv *hv;
    bool without_input; /* started with descriptor 0 closed */
} program;

/* In the child. */
static void run(void *arg)
{
    int argc = 0;
    sigset_t before, after;

    (void)arg;
    while (program.argv[argc])
        argc++;
    if (program.without_input)
        close(STDIN_FILENO);
    int fds = open_fds() + program.without_input; /* which is open afterwards */
    sigprocmask(SIG_BLOCK, NULL, &before);
    int code = anyhv_main(argc, program.argv, program.cls, program.hv);
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
    program.cls = cls;
    program.hv = hv;
    program.argv = argv;
    child_start(&child, run, NULL);
}

static int exit_code(void)
{
    int code = child_end(&child);

    assert_null(strstr(child.text, "LEAK"));
    return code;
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
        assert_true(child_says(&child, "ready\n"));
        assert_int_equal(kill(child.pid, signals[i]), 0);
        assert_int_equal(exit_code(), 0);
        assert_true(said_in_order("stop", "close"));
    }
}

static void test_sigusr1_reports(void **state)
{
    (void)state;
    launch(&toy, &fake, ARGS(ARG("--act=wait")));
    assert_true(child_says(&child, "ready\n"));
    for (int i = 0; i < 2; i++) {
        child.len = 0;
        child.text[0] = '\0';
        assert_int_equal(kill(child.pid, SIGUSR1), 0);
        assert_true(child_says(&child, "toy 0 queue 1: stopped kicks=0 requests=0"));
        assert_true(child_says(&child, "stalls=0\n"));
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
    assert_withheld("-ring_reset,packed,-notification_data,-suspend",
                    ANYHV_F_RING_RESET | ANYHV_F_NOTIFICATION_DATA | ANYHV_F_SUSPEND);
    assert_withheld("-event_idx,event_idx,", packed);

    static const char *const wrong[] = {"warp",    "event_id",           "event_idxx", "-",
                                        ",packed", "packed,,-event_idx", "--packed",   "PACKED"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char option[64];
        snprintf(option, sizeof(option), "--features=%s", wrong[i]);
        assert_int_equal(run_to_end(ARGS(ARG("--act=end"), option)), 64);
        assert_true(said("indirect_desc, event_idx, packed, in_order, ring_reset, "
                         "notification_data, suspend"));
    }
}

static void assert_never(const struct anyhv_class *cls, const struct anyhv_hv *hv, const char *list,
                         const char *why)
{
    char option[64];

    snprintf(option, sizeof(option), "--features=%s", list);
    launch(cls, hv, ARGS(ARG("--act=end"), option));
    assert_int_equal(exit_code(), why ? 64 : 0);
    assert_true(!why || said(why));
}

/* What can never be offered is not silently left out. */
static void test_impossible_features(void **state)
{
    struct anyhv_device_ops unordered_ops = toy_ops;
    struct anyhv_class unordered = toy;
    struct anyhv_hv narrow = fake;
    (void)state;

    narrow.features = ANYHV_F_EVENT_IDX | ANYHV_F_IN_ORDER;
    assert_never(&toy, &narrow, "event_idx,in_order", NULL);
    assert_never(&toy, &narrow, "-ring_reset,-packed", NULL);
    assert_never(&toy, &narrow, "event_idx,ring_reset",
                 "--features: no 'ring_reset': this program's way to the guest cannot carry it");
    assert_never(&toy, &narrow, "packed,event_idx", "no 'packed'");

    unordered_ops.ordered = false;
    unordered.ops = &unordered_ops;
    assert_never(&unordered, &fake, "-in_order,packed", NULL);
    assert_never(&unordered, &fake, "in_order", "no 'in_order': the device does not answer");
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
    program.without_input = true;
    launch(&toy, &fake, ARGS(ARG("--act=wait")));
    program.without_input = false;
    assert_true(child_says(&child, "ready\n"));
    assert_false(said("loopfd=0"));
    kill(child.pid, SIGTERM);
    assert_int_equal(exit_code(), 0);
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
    cmocka_unit_test(test_impossible_features),
    cmocka_unit_test(test_log_level),
    cmocka_unit_test(test_bare_class_and_module),
    cmocka_unit_test(test_closed_standard_input),
};

ANYHV_TEST_MAIN("main", tests)

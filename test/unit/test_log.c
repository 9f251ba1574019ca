/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines, their rate limit (on a clock of our own) and the reports of violations. */
#include "child.h"

#include <anyhv/control.h>
#include <anyhv/linux/log.h>
#include <anyhv/port.h>
#include <errno.h>
#include <time.h>

static time_t now_s = 1000;

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    (void)id;
    *ts = (struct timespec){.tv_sec = now_s};
    return 0;
}

/* The last line that came, and how many. */
static struct {
    char line[2048], event[64];
    enum anyhv_log_level level;
    int count;
} got;

static void take(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    assert_ptr_equal(priv, &got);
    snprintf(got.line, sizeof(got.line), "%s", line);
    snprintf(got.event, sizeof(got.event), "%s", event);
    got.level = level;
    got.count++;
}

static int set_up(void **state)
{
    (void)state;
    memset(&got, 0, sizeof(got));
    now_s += 1000; /* every limit starts anew */
    anyhv_log_level(ANYHV_LOG_INFO);
    anyhv_log_name("prog");
    anyhv_log_sink(take, &got);
    return 0;
}

static void test_line(void **state)
{
    (void)state;
    anyhv_log(ANYHV_LOG_WARNING, "test.line", "region %d: size %u", 2, 0u);
    assert_string_equal(got.line, "prog: warning: test.line: region 2: size 0");
    assert_string_equal(got.event, "test.line");
    assert_int_equal(got.level, ANYHV_LOG_WARNING);
}

static void test_levels(void **state)
{
    (void)state;
    anyhv_log(ANYHV_LOG_DEBUG, "test.levels", "not by default");
    assert_int_equal(got.count, 0);
    anyhv_log(ANYHV_LOG_INFO, "test.levels", "by default");
    assert_int_equal(got.count, 1);
    anyhv_log_level(ANYHV_LOG_ERROR);
    anyhv_log(ANYHV_LOG_WARNING, "test.levels", "not now");
    assert_int_equal(got.count, 1);
    anyhv_log(ANYHV_LOG_ERROR, "test.levels", "always");
    assert_string_equal(got.line, "prog: error: test.levels: always");
}

static void test_rate_is_limited_per_event(void **state)
{
    (void)state;
    for (int i = 0; i < 35; i++)
        anyhv_log(ANYHV_LOG_INFO, "test.flood", "line %d", i);
    assert_int_equal(got.count, 10);
    assert_string_equal(got.line, "prog: info: test.flood: line 9");
    anyhv_log(ANYHV_LOG_INFO, "test.other", "not its fault");
    assert_int_equal(got.count, 11);

    now_s += 4;
    anyhv_log(ANYHV_LOG_INFO, "test.flood", "too early");
    assert_int_equal(got.count, 11);
    now_s += 1;
    anyhv_log(ANYHV_LOG_INFO, "test.flood", "again");
    assert_string_equal(got.line, "prog: info: test.flood: (26 like this left out) again");
    anyhv_log(ANYHV_LOG_INFO, "test.flood", "and again");
    assert_string_equal(got.line, "prog: info: test.flood: and again");
}

static void test_debug_is_not_limited(void **state)
{
    (void)state;
    anyhv_log_level(ANYHV_LOG_DEBUG);
    for (int i = 0; i < 35; i++)
        anyhv_log(ANYHV_LOG_DEBUG, "test.trace", "line %d", i);
    assert_int_equal(got.count, 35);
}

/* More ids than the table holds share limits, and nothing worse. */
static void test_many_events(void **state)
{
    char event[32];
    (void)state;

    for (int i = 0; i < 1000; i++) {
        snprintf(event, sizeof(event), "test.many.%d", i);
        anyhv_log(ANYHV_LOG_INFO, event, "x");
    }
    assert_in_range(got.count, 200, 1000);
}

static void test_text_cannot_forge_lines(void **state)
{
    char text[5000];
    (void)state;

    anyhv_log(ANYHV_LOG_INFO, "test.forge", "%s", "a\nprog: error: b\x1b[2J\x7f \xc3\xa9");
    assert_string_equal(got.line, "prog: info: test.forge: a?prog: error: b?[2J? \xc3\xa9");

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    anyhv_log(ANYHV_LOG_INFO, "test.forge", "%s", text);
    assert_in_range(strlen(got.line), 1000, 1023);
}

static struct child child;

static void log_one(void *arg)
{
    (void)arg;
    anyhv_log_sink(NULL, NULL);
    errno = ENOENT;
    anyhv_log(ANYHV_LOG_INFO, "test.stderr", "hello");
    if (errno != ENOENT)
        _exit(1);
}

static void test_standard_error(void **state)
{
    (void)state;
    child_start(&child, log_one, NULL);
    assert_int_equal(child_end(&child), 0);
    assert_string_equal(child.text, "prog: info: test.stderr: hello\n");
}

static void panic(void *arg)
{
    (void)arg;
    anyhv_log_sink(NULL, NULL);
    anyhv_log_level(ANYHV_LOG_ERROR);
    anyhv_port_panic("queue.c", 12, "index < size");
}

static void test_panic_tells_and_aborts(void **state)
{
    (void)state;
    child_start(&child, panic, NULL);
    assert_int_equal(child_end(&child), -SIGABRT);
    assert_non_null(strstr(child.text, "prog: error: anyhv.bug: queue.c:12: index < size\n"));
}

/* ---- Violations ---- */

static const struct anyhv_device_ops rng_ops = {.name = "rng", .id = 4, .queues = 1};
static const struct anyhv_dev dev = {.ops = &rng_ops};

static void test_violation(void **state)
{
    (void)state;
    anyhv_port_violation(&dev, 0, ANYHV_V_HEAD_RANGE, 300, 256);
    assert_string_equal(got.event, "guest.head_range");
    assert_int_equal(got.level, ANYHV_LOG_WARNING);
    assert_string_equal(got.line, "prog: warning: guest.head_range: rng queue 0: "
                                  "head 300 is not below the queue size 256");

    /* %b before %a, a large value, no queue */
    anyhv_port_violation(&dev, ANYHV_CONFIG, ANYHV_V_INDIRECT_LEN, 7, 0xfffffff0);
    assert_string_equal(got.line, "prog: warning: guest.indirect_len: rng: "
                                  "indirect table of 0xfffffff0 bytes, head 7");
    anyhv_port_violation(NULL, 3, ANYHV_V_KICK_EARLY, 3, 0);
    assert_int_equal(got.level, ANYHV_LOG_INFO);
    assert_non_null(strstr(got.line, "guest.kick_early: device queue 3: notification of queue 3"));
    anyhv_port_violation(&dev, 0, ANYHV_V_DEVICE_REJECT, 5, (uint64_t)(int64_t)ANYHV_E_SHORT);
    assert_non_null(strstr(got.line, anyhv_result_name(ANYHV_E_SHORT)));
}

/* Every line of the table can be printed: no %a or %b is left, and the largest values fit. */
static void test_all_violations(void **state)
{
    (void)state;
    anyhv_log_level(ANYHV_LOG_DEBUG);
    for (int v = 0; v < ANYHV_V_COUNT; v++) {
        anyhv_port_violation(&dev, 65535, (enum anyhv_violation)v, UINT64_MAX, UINT64_MAX);
        assert_int_equal(got.count, v + 1);
        assert_null(strchr(got.line, '%'));
        assert_true(strlen(got.line) > 40);
    }
}

static void test_violations_are_limited_at_any_level(void **state)
{
    (void)state;
    anyhv_log_level(ANYHV_LOG_DEBUG);
    for (int i = 0; i < 100000; i++) {
        anyhv_port_violation(&dev, 0, ANYHV_V_ZERO_LENGTH, 1, 0);
        anyhv_port_violation(&dev, 0, ANYHV_V_KICK_QUEUE, 1, 0);
    }
    assert_int_equal(got.count, 20);
    now_s += 5;
    anyhv_port_violation(&dev, 0, ANYHV_V_ZERO_LENGTH, 1, 0);
    assert_non_null(strstr(got.line, "(99990 like this left out)"));
}

#define WITH_SINK(test) cmocka_unit_test_setup(test, set_up)

static const struct CMUnitTest tests[] = {
    WITH_SINK(test_line),
    WITH_SINK(test_levels),
    WITH_SINK(test_rate_is_limited_per_event),
    WITH_SINK(test_debug_is_not_limited),
    WITH_SINK(test_text_cannot_forge_lines),
    WITH_SINK(test_standard_error),
    WITH_SINK(test_panic_tells_and_aborts),
    WITH_SINK(test_violation),
    WITH_SINK(test_all_violations),
    WITH_SINK(test_violations_are_limited_at_any_level),
    WITH_SINK(test_many_events), /* last: it fills the table */
};

ANYHV_TEST_MAIN("log", tests)

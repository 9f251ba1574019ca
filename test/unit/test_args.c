/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: what is one, and what is said of the rest. */
#include "child.h"

#include <anyhv/linux/args.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- A program with one option ---- */

static struct {
    uint64_t (*value)(const struct argp_state *state, const char *option, const char *text,
                      uint64_t min, uint64_t max);
    const char *text;
    uint64_t min, max;
    unsigned flags; /* of argp_parse */
} given;

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
    if (key != 'v')
        return ARGP_ERR_UNKNOWN;
    printf("=%" PRIu64 "\n", given.value(state, "value", arg, given.min, given.max));
    return 0;
}

static void run(void *arg)
{
    static const struct argp_option options[] = {{"value", 'v', "N", 0, "A value", 0}, {0}};
    static const struct argp argp = {.options = options, .parser = parse_one};
    char option[128];
    char *argv[] = {(char[]){"program"}, option, NULL};

    (void)arg;
    snprintf(option, sizeof(option), "--value=%s", given.text);
    argp_parse(&argp, 2, argv, given.flags, NULL, NULL);
}

static struct child child;

static int code_of(const char *text)
{
    given.text = text;
    child_start(&child, run, NULL);
    return child_end(&child);
}

static void assert_value(const char *text, uint64_t value)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "=%" PRIu64 "\n", value);
    assert_int_equal(code_of(text), 0);
    assert_string_equal(child.text, expected);
}

static void assert_refused(const char *text, const char *why)
{
    char expected[128];

    snprintf(expected, sizeof(expected), "program: --value: '%s' %s\n", text, why);
    assert_int_equal(code_of(text), 64);
    if (!strstr(child.text, expected))
        print_error("expected %sgot %s", expected, child.text);
    assert_non_null(strstr(child.text, expected));
}

/* ---- Tests ---- */

static void test_numbers(void **state)
{
    (void)state;
    given.value = anyhv_arg_number;
    given.min = 0;
    given.max = UINT64_MAX;
    assert_value("0", 0);
    assert_value("12", 12);
    assert_value("0x1f", 31);
    assert_value("0X1F", 31);
    assert_value("18446744073709551615", UINT64_MAX);
    assert_value("0xffffffffffffffff", UINT64_MAX);
}

static void test_numbers_refused(void **state)
{
    static const char *const wrong[] = {
        "",     "x",  "-1",  "+1",  " 1", "1 ", "1.5", "010",
        "0010", "0x", "0xg", "1 2", "1K", "4",  "201", "18446744073709551616"};
    (void)state;

    given.value = anyhv_arg_number;
    given.min = 5;
    given.max = 200;
    assert_value("5", 5);
    assert_value("200", 200);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(wrong[i], "is not a number from 5 to 200");
}

static void test_sizes(void **state)
{
    (void)state;
    given.value = anyhv_arg_size;
    given.min = 0;
    given.max = UINT64_MAX;
    assert_value("512", 512);
    assert_value("3K", 3072);
    assert_value("16M", UINT64_C(16) << 20);
    assert_value("2G", UINT64_C(2) << 30);
    assert_value("8T", UINT64_C(8) << 40);
    assert_value("0x10K", 16384);
    assert_value("0G", 0);
    assert_value("17179869183G", UINT64_MAX - ((UINT64_C(1) << 30) - 1));
}

static void test_sizes_refused(void **state)
{
    /* The last is 2^64 + 1K. */
    static const char *const wrong[] = {"",
                                        "K",
                                        "-1K",
                                        "1k",
                                        "1KB",
                                        "1P",
                                        "1 K",
                                        "1KK",
                                        "511",
                                        "1025K",
                                        "16777216T",
                                        "18446744073709551616K",
                                        "18014398509481985K"};
    (void)state;

    given.value = anyhv_arg_size;
    given.min = 512;
    given.max = UINT64_C(1) << 20;
    assert_value("512", 512);
    assert_value("1M", UINT64_C(1) << 20);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(wrong[i], "is not a size from 512 to 1048576 bytes "
                                 "(K, M, G and T may follow the number)");
}

/* Without argp: what files have in them. */
static void test_parsed(void **state)
{
    uint64_t number = 99;

    (void)state;
    assert_false(anyhv_parse_number("010", 0, UINT64_MAX, &number)); /* eight or ten? */
    assert_false(anyhv_parse_number("18446744073709551616", 0, UINT64_MAX, &number));
    assert_false(anyhv_parse_number("4", 5, 6, &number));
    assert_false(anyhv_parse_scaled("20G", "kMG", 1000, 1, UINT64_C(10000000000), &number));
    assert_int_equal(number, 99); /* as it was */
    assert_true(anyhv_parse_number("0x48", 0, UINT64_MAX, &number));
    assert_int_equal(number, 0x48);
    assert_true(anyhv_parse_scaled("10G", "kMG", 1000, 1, UINT64_C(10000000000), &number));
    assert_int_equal(number, 10000000000);
}

static void test_parsed_signed(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } right[] = {
        {"0", 0},
        {"-0", 0},
        {"-1", -1},
        {"-0x10", -16},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const wrong[] = {"",
                                        "-",
                                        "--1",
                                        "+1",
                                        "- 1",
                                        " -1",
                                        "-010",
                                        "-1 ",
                                        "-1.5",
                                        "9223372036854775808",
                                        "-9223372036854775809"};
    int64_t value = 99;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(anyhv_parse_signed(wrong[i], INT64_MIN, INT64_MAX, &value));
    assert_false(anyhv_parse_signed("-17", -16, 15, &value));
    assert_false(anyhv_parse_signed("16", -16, 15, &value));
    assert_int_equal(value, 99);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(anyhv_parse_signed(right[i].text, INT64_MIN, INT64_MAX, &value));
        assert_int_equal(value, right[i].value);
    }
}

/* Embedded in a program that must not end, a parser goes on with a legal value. */
static void test_going_on(void **state)
{
    (void)state;
    given.min = 7;
    given.max = 8;
    given.flags = ARGP_NO_EXIT | ARGP_NO_ERRS;
    given.value = anyhv_arg_number;
    assert_value("9", 7);
    given.value = anyhv_arg_size;
    assert_value("1K", 7);
    given.flags = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_numbers),  cmocka_unit_test(test_numbers_refused),
    cmocka_unit_test(test_sizes),    cmocka_unit_test(test_sizes_refused),
    cmocka_unit_test(test_parsed),   cmocka_unit_test(test_parsed_signed),
    cmocka_unit_test(test_going_on),
};

ANYHV_TEST_MAIN("args", tests)

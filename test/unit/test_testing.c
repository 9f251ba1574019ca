/* SPDX-License-Identifier: Apache-2.0 */
/* The main() of every program of tests: what its argument makes it do. */
#include "child.h"

static void nothing(void **state)
{
    (void)state;
}

/* A program with two tests, and at most one argument. */
static void program(void *arg)
{
    static const struct CMUnitTest tests[] = {
        {"first/of-two", nothing, NULL, NULL, NULL},
        {"second/of-two", nothing, NULL, NULL, NULL},
    };
    const char *const *word = arg;
    char name[] = "program", copy[16] = "", *argv[] = {name, copy, NULL};

    if (*word)
        strcpy(copy, *word);
    exit(test_run("toys", tests, 2, *word ? 2 : 1, argv));
}

static void expect(const char *word, int code, const char *says, const char *says_not)
{
    struct child child;

    child_start(&child, program, &word);
    assert_int_equal(child_end(&child), code);
    if (!strstr(child.text, says) || strstr(child.text, says_not))
        print_error("%s\n", child.text);
    assert_non_null(strstr(child.text, says));
    assert_null(strstr(child.text, says_not));
}

static void patterns_choose(void **state)
{
    (void)state;
    expect(NULL, 0, "second/of-two", "no test");
    expect("first*", 0, "first/of-two", "second/of-two");
    expect("second?of-two", 0, "second/of-two", "first/of-two");
    expect("*two", 0, "second/of-two", "no test");
}

static void a_pattern_for_no_test_is_an_error(void **state)
{
    (void)state;
    expect("third*", 1, "toys: no test matches 'third*'", "of-two");
    expect("first", 1, "toys: no test matches 'first'", "of-two");
    expect("", 1, "toys: no test matches ''", "of-two");
}

static void list_only_lists(void **state)
{
    (void)state;
    expect("--list", 0, "first/of-two\nsecond/of-two\n", "RUN");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(patterns_choose),
    cmocka_unit_test(a_pattern_for_no_test_is_an_error),
    cmocka_unit_test(list_only_lists),
};

ANYHV_TEST_MAIN("testing", tests)

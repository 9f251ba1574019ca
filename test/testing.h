/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers it wants before it, and the main() of a program of tests. */
#ifndef ANYHV_TESTING_H
#define ANYHV_TESTING_H

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As cmocka's own filter has it. */
static inline bool test_matches(const struct CMUnitTest *tests, size_t count, const char *pattern)
{
    for (size_t i = 0; i < count; i++) {
        if (fnmatch(pattern, tests[i].name, FNM_NOESCAPE) == 0)
            return true;
    }
    return false;
}

/*
 * What main() returns. With --list the group's names are printed and nothing runs; any other
 * argument is a pattern (* and ?) for the names that shall run. One that stands for none is an
 * error: a test that has been renamed must not look as if it had passed.
 *
 * Line buffering: what a test printed is there when a later one crashes, and not twice after fork.
 */
static inline int test_run(const char *group, const struct CMUnitTest *tests, size_t count,
                           int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < count; i++)
            puts(tests[i].name);
        return 0;
    }
    if (argc > 1 && !test_matches(tests, count, argv[1])) {
        fprintf(stderr, "%s: no test matches '%s'; --list tells which there are\n", group, argv[1]);
        return 1;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL) != 0;
}

#define ANYHV_TEST_MAIN(group, tests)                                                  \
    int main(int argc, char **argv)                                                    \
    {                                                                                  \
        return test_run(group, tests, sizeof(tests) / sizeof((tests)[0]), argc, argv); \
    }

#endif

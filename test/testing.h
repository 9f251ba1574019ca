/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers it wants before it, and the main() of a program of tests. */
#ifndef ANYHV_TESTING_H
#define ANYHV_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/*
 * What main() returns. With --list the group's names are printed and nothing runs; any other
 * argument is a pattern (* and ?) for the names that shall run.
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

/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers it wants before it, and a main() for a file of tests. */
#ifndef ANYHV_TESTING_H
#define ANYHV_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Line buffering: what a test printed is there when a later one crashes, and not twice after fork.
 */
#define ANYHV_TEST_MAIN(group_name, tests_array)                                      \
    int main(void)                                                                    \
    {                                                                                 \
        setvbuf(stdout, NULL, _IOLBF, 0);                                             \
        return cmocka_run_group_tests_name(group_name, tests_array, NULL, NULL) != 0; \
    }

#endif

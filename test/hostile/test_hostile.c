/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile/hostile.h"

extern const struct suite_test hostile_chain_tests[], hostile_table_tests[],
    hostile_address_tests[], hostile_word_tests[], hostile_packed_tests[], hostile_register_tests[],
    hostile_lifetime_tests[], hostile_race_tests[];

int main(int argc, char **argv)
{
    static const struct suite_test *const lists[] = {
        hostile_chain_tests,    hostile_table_tests,  hostile_address_tests,
        hostile_word_tests,     hostile_packed_tests, hostile_register_tests,
        hostile_lifetime_tests, hostile_race_tests,   NULL,
    };

    return suite_main("hostile", loopback_rigs, loopback_rig_count, lists, argc, argv);
}

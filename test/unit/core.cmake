# SPDX-License-Identifier: Apache-2.0
# lib/core and lib/transport. bench.c: one device over the loopback guest.

if(TARGET anyhv_loopback)
    foreach(name mem mem_ops dirty chain request request_end queue queue_run queue_life queue_order queue_drain
                 state state_hostile status config mmio mmio_live reentry)
        anyhv_add_test(test_${name} SOURCES test_${name}.c bench.c
                       LIBRARIES anyhv_loopback anyhv_driver)
    endforeach()
endif()
anyhv_add_test(test_journal SOURCES test_journal.c journal_world.c LIBRARIES anyhv_driver)
anyhv_add_test(test_journal_steps SOURCES test_journal_steps.c journal_world.c LIBRARIES anyhv_driver)
anyhv_add_test(test_last_look SOURCES test_last_look.c LIBRARIES anyhv_driver)

# SPDX-License-Identifier: Apache-2.0
# devices/blk. blk_bench.c: the model over the loopback guest, on a store of the test's.

if(TARGET anyhv_blk AND TARGET anyhv_loopback)
    foreach(name blk blk_later blk_state)
        anyhv_add_test(test_${name} SOURCES test_${name}.c blk_bench.c
                       LIBRARIES anyhv_blk anyhv_loopback anyhv_driver)
    endforeach()
endif()
if(TARGET anyhv_blk_host AND TARGET anyhv_loopback)
    anyhv_add_test(test_blk_host SOURCES test_blk_host.c blk_bench.c
                   LIBRARIES anyhv_blk_host anyhv_loopback anyhv_driver)
    anyhv_add_test(test_blk_program SOURCES test_blk_program.c
                   LIBRARIES anyhv_blk_host anyhv::hv-loopback)
endif()

# SPDX-License-Identifier: Apache-2.0
# lib/linux

foreach(name args event loop timer task worker log fdmem socket socket_fds state_file instance main)
    anyhv_add_test(test_${name} SOURCES test_${name}.c)
endforeach()
# These two stop or turn the clock.
target_link_options(test_log PRIVATE -Wl,--wrap=clock_gettime)
target_link_options(test_timer PRIVATE -Wl,--wrap=clock_gettime)

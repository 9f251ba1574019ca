# SPDX-License-Identifier: Apache-2.0
# lib/linux

anyhv_add_test(test_loop SOURCES test_loop.c)
anyhv_add_test(test_worker SOURCES test_worker.c)
anyhv_add_test(test_log SOURCES test_log.c)
target_link_options(test_log PRIVATE -Wl,--wrap=clock_gettime) # the test's own clock
anyhv_add_test(test_fdmem SOURCES test_fdmem.c)
anyhv_add_test(test_socket SOURCES test_socket.c)
anyhv_add_test(test_main SOURCES test_main.c)

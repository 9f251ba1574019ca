# SPDX-License-Identifier: Apache-2.0
if(TARGET anyhv_loopback)
    anyhv_add_test(test_rng SOURCES test_rng.c LIBRARIES anyhv_rng anyhv_loopback anyhv_driver)
endif()
if(TARGET anyhv_rng_host)
    anyhv_add_test(test_rng_host SOURCES test_rng_host.c LIBRARIES anyhv_rng_host)
endif()

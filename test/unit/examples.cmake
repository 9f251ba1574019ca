# SPDX-License-Identifier: Apache-2.0
if(TARGET anyhv_loopback AND TARGET invert)
    anyhv_add_test(test_invert SOURCES test_invert.c LIBRARIES invert anyhv_loopback anyhv_driver)
endif()

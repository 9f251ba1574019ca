# SPDX-License-Identifier: Apache-2.0
# devices/i2c. i2c_bench.c: the model over the loopback guest, on a bus of the test's.

if(TARGET anyhv_i2c AND TARGET anyhv_loopback)
    foreach(name i2c i2c_group i2c_later)
        anyhv_add_test(test_${name} SOURCES test_${name}.c i2c_bench.c
                       LIBRARIES anyhv_i2c anyhv_loopback anyhv_driver)
    endforeach()
endif()

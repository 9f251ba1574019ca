# SPDX-License-Identifier: Apache-2.0
# devices/i2c. i2c_bench.c: the model over the loopback guest, on a bus of the test's.

if(TARGET anyhv_i2c AND TARGET anyhv_loopback)
    foreach(name i2c i2c_group i2c_later)
        anyhv_add_test(test_${name} SOURCES test_${name}.c i2c_bench.c
                       LIBRARIES anyhv_i2c anyhv_loopback anyhv_driver)
    endforeach()
endif()
if(TARGET anyhv_i2c_host AND TARGET anyhv_loopback)
    foreach(name i2c_adapter i2c_linux i2c_sim i2c_smbus)
        anyhv_add_test(test_${name} SOURCES test_${name}.c i2c_bench.c
                       LIBRARIES anyhv_i2c_host anyhv_loopback anyhv_driver)
    endforeach()
    # Its kernel is the test's.
    target_link_options(test_i2c_linux PRIVATE -Wl,--wrap=ioctl,--wrap=anyhv_i2c_sysfs_identify)
    anyhv_add_test(test_i2c_program SOURCES test_i2c_program.c
                   LIBRARIES anyhv_i2c_host anyhv::hv-loopback)
endif()

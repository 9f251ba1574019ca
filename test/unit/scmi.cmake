# SPDX-License-Identifier: Apache-2.0
# devices/scmi. scmi_bench.c: two guests over the loopback module, agents of one platform.

if(TARGET anyhv_scmi AND TARGET anyhv_loopback)
    foreach(name scmi scmi_base scmi_bounds scmi_clock scmi_reset scmi_sensor scmi_events scmi_state)
        anyhv_add_test(test_${name} SOURCES test_${name}.c scmi_bench.c
                       LIBRARIES anyhv_scmi anyhv_loopback anyhv_driver)
    endforeach()
endif()
if(TARGET anyhv_scmi_host)
    anyhv_add_test(test_scmi_host SOURCES test_scmi_host.c LIBRARIES anyhv_scmi_host)
    target_link_options(test_scmi_host PRIVATE -Wl,--wrap=read) # a file that hangs is the test's
    get_target_property(gpiod anyhv_scmi_host ANYHV_GPIOD)
    if(gpiod)
        anyhv_add_test(test_scmi_gpiod SOURCES test_scmi_gpiod.c LIBRARIES anyhv_scmi_host)
        target_include_directories(test_scmi_gpiod PRIVATE "${GPIOD_INCLUDE_DIR}")
        foreach(name chip_open_lookup chip_close chip_num_lines chip_get_line chip_find_line
                     line_request_output_flags line_set_value line_close_chip)
            target_link_options(test_scmi_gpiod PRIVATE -Wl,--wrap=gpiod_${name})
        endforeach()
    endif()
endif()

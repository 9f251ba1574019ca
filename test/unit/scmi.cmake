# SPDX-License-Identifier: Apache-2.0
# devices/scmi. scmi_bench.c: two guests over the loopback module, agents of one platform.

if(TARGET anyhv_scmi AND TARGET anyhv_loopback)
    foreach(name scmi scmi_base scmi_clock scmi_reset scmi_sensor scmi_events)
        anyhv_add_test(test_${name} SOURCES test_${name}.c scmi_bench.c
                       LIBRARIES anyhv_scmi anyhv_loopback anyhv_driver)
    endforeach()
endif()
if(TARGET anyhv_scmi_host)
    anyhv_add_test(test_scmi_host SOURCES test_scmi_host.c LIBRARIES anyhv_scmi_host)
endif()

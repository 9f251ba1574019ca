# SPDX-License-Identifier: Apache-2.0
include_guard(GLOBAL)

find_path(CMOCKA_INCLUDE_DIR cmocka.h)
find_library(CMOCKA_LIBRARY cmocka)
if(NOT CMOCKA_INCLUDE_DIR OR NOT CMOCKA_LIBRARY)
    if(CMAKE_CROSSCOMPILING)
        string(TOUPPER "ANYHV_${CMAKE_SYSTEM_PROCESSOR}_SYSROOT" sysroot)
        message(FATAL_ERROR "The tests need cmocka for ${CMAKE_SYSTEM_PROCESSOR}: "
                            "`scripts/check ${CMAKE_SYSTEM_PROCESSOR}` fetches it and says where "
                            "(${sysroot}). Or set -DANYHV_TESTS=OFF.")
    endif()
    message(FATAL_ERROR "The tests need cmocka. Install libcmocka-dev, or set -DANYHV_TESTS=OFF.")
endif()

# anyhv_add_test(name SOURCES ... [LIBRARIES ...]): a cmocka program, build/<preset>/bin/test/<name>.
# The suite it belongs to is its folder's name.
function(anyhv_add_test name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
    get_filename_component(suite "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin/test/${suite}")
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/test"
                               "${PROJECT_SOURCE_DIR}/lib/core" "${CMOCKA_INCLUDE_DIR}")
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} anyhv "${CMOCKA_LIBRARY}")
    anyhv_flags(${name})
    add_test(NAME ${suite}/${name} COMMAND ${name})
    set_tests_properties(${suite}/${name} PROPERTIES ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP"
                         TIMEOUT 120 LABELS ${suite})
endfunction()

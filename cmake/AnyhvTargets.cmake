# SPDX-License-Identifier: Apache-2.0
# The few kinds of target that this project has. Flags are per target, never global.

include_guard(GLOBAL)

set(ANYHV_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
    -Wcast-align -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough
    -Werror)

# anyhv_flags(target [FREESTANDING]): how all our code is compiled.
function(anyhv_flags target)
    cmake_parse_arguments(arg "FREESTANDING" "" "" ${ARGN})
    target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>")
    target_compile_features(${target} PUBLIC c_std_11)
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON
                          C_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE ${ANYHV_WARNINGS})
    if(arg_FREESTANDING)
        target_compile_options(${target} PRIVATE -ffreestanding -fno-stack-protector
                               $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},aarch64>:-mno-outline-atomics>)
    else()
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    endif()
endfunction()

# anyhv_add_module(name SOURCES ... [LIBRARIES ...]): hv/<name>, an archive with one symbol,
# anyhv_hv_<name with _>.
function(anyhv_add_module name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
    set(target anyhv_hv_${name})
    add_library(${target} STATIC ${arg_SOURCES})
    add_library(anyhv::hv-${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME anyhv-hv-${name})
    target_link_libraries(${target} PUBLIC anyhv ${arg_LIBRARIES})
    anyhv_flags(${target})
endfunction()

# anyhv_add_folders(folder option kind names...): adds <folder>/<name> for each, or a clear error.
function(anyhv_add_folders folder option kind)
    file(GLOB known RELATIVE "${PROJECT_SOURCE_DIR}/${folder}"
         "${PROJECT_SOURCE_DIR}/${folder}/*/CMakeLists.txt")
    list(TRANSFORM known REPLACE "/CMakeLists.txt" "")
    foreach(name IN LISTS ARGN)
        if(NOT name IN_LIST known)
            list(JOIN known ", " known)
            message(FATAL_ERROR "${option} asks for the ${kind} '${name}', which ${folder}/ does not "
                                "have. There are: ${known} (several are separated by ';')")
        endif()
        add_subdirectory(${folder}/${name})
    endforeach()
endfunction()

function(anyhv_add_modules)
    if(NOT ARGN)
        message(FATAL_ERROR "ANYHV_HV is empty: no program could reach a guest")
    endif()
    anyhv_add_folders(hv ANYHV_HV module ${ARGN})
endfunction()

function(anyhv_add_devices)
    anyhv_add_folders(devices ANYHV_DEVICES device ${ARGN})
endfunction()

# anyhv_require_library(name header library package): for modules and devices that stand on a system
# library. Sets ${name}_LIBRARY, or stops the configuration and says what to install.
function(anyhv_require_library name header library package)
    find_path(${name}_INCLUDE_DIR ${header})
    find_library(${name}_LIBRARY ${library})
    if(NOT ${name}_INCLUDE_DIR OR NOT ${name}_LIBRARY)
        set(kind module)
        set(option ANYHV_HV)
        if(CMAKE_CURRENT_SOURCE_DIR MATCHES "/devices/[^/]+$")
            set(kind device)
            set(option ANYHV_DEVICES)
        endif()
        get_filename_component(asking "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
        message(FATAL_ERROR "The ${kind} '${asking}' needs ${header} and lib${library}, which were "
                            "not found. Install ${package}, or leave '${asking}' out of ${option}.")
    endif()
endfunction()

# anyhv_add_backend(device SOURCES ... LIBRARIES ...): one program per configured module,
# anyhv-<device>-<module>, from the same main.c.
function(anyhv_add_backend device)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
    if(ANYHV_FREESTANDING)
        return() # a model can be built without an OS, a program cannot
    endif()
    foreach(module IN LISTS ANYHV_HV)
        set(target anyhv-${device}-${module})
        string(REPLACE "-" "_" symbol "anyhv_hv_${module}")
        add_executable(${target} ${arg_SOURCES})
        target_compile_definitions(${target} PRIVATE ANYHV_HV=${symbol})
        target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} anyhv::hv-${module})
        anyhv_flags(${target})
    endforeach()
endfunction()

# SPDX-License-Identifier: Apache-2.0
# The few kinds of target that this project has. Flags are per target, never global.

include_guard(GLOBAL)
include(AnyhvBackend)

set(ANYHV_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
    -Wcast-align -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough)

# As a part of another project, a compiler that knows more warnings than ours must not stop it.
option(ANYHV_WERROR "warnings stop the build" ${PROJECT_IS_TOP_LEVEL})

# anyhv_flags(target [FREESTANDING]): how all our code is compiled.
function(anyhv_flags target)
    cmake_parse_arguments(arg "FREESTANDING" "" "" ${ARGN})
    target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>")
    target_compile_features(${target} PUBLIC c_std_11)
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON
                          C_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE ${ANYHV_WARNINGS} $<$<BOOL:${ANYHV_WERROR}>:-Werror>
        # What is shipped does not tell where it was built; a debugger of ours wants to know.
        "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=.>"
        "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>")
    if(arg_FREESTANDING)
        target_compile_options(${target} PRIVATE -ffreestanding -fno-stack-protector
                               $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},aarch64>:-mno-outline-atomics>)
    else()
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    endif()
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
                                "have. There are: ${known} (several are separated by ';'). "
                                "The value is kept in the build folder; -U${option} forgets it.")
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

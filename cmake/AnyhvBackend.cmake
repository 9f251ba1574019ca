# SPDX-License-Identifier: Apache-2.0
# How back-end programs and modules are made: in this tree, and, as a part of the installed package,
# in other projects.

include_guard(GLOBAL)

# Our own code is compiled as anyhv_flags says, that of other projects as they like.
macro(anyhv_own_flags target)
    if(ANYHV_OWN_CODE)
        anyhv_flags(${target})
    endif()
endmacro()

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
    set_property(GLOBAL APPEND PROPERTY ANYHV_DEV_PACKAGES "${package}") # see AnyhvPackages.cmake
endfunction()

# The object @object from the sources of target @parts and what these need from the archives @inside;
# of all its symbols only @symbol stays visible.
function(anyhv_link_object object symbol parts inside)
    # The machine's flags, and no others: `-fsanitize` would link a runtime into the object.
    string(TOUPPER "CMAKE_C_FLAGS_${CMAKE_BUILD_TYPE}" config_flags)
    separate_arguments(flags NATIVE_COMMAND "${CMAKE_C_FLAGS} ${${config_flags}}")
    list(FILTER flags INCLUDE REGEX "^-m")
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        list(APPEND flags -flinker-output=nolto-rel) # objcopy cannot hide what the linker made of -flto
    elseif(CMAKE_C_COMPILER_TARGET)
        list(APPEND flags --target=${CMAKE_C_COMPILER_TARGET})
    endif()
    list(TRANSFORM inside REPLACE "(.+)" "$<TARGET_FILE:\\1>")
    add_custom_command(
        OUTPUT "${object}"
        COMMAND "${CMAKE_C_COMPILER}" ${flags} -r -nostdlib -o "${object}"
                "$<TARGET_OBJECTS:${parts}>" ${inside}
        COMMAND "${CMAKE_OBJCOPY}" --keep-global-symbol=${symbol} "${object}"
        DEPENDS ${parts} "$<TARGET_OBJECTS:${parts}>" ${inside}
        COMMENT "Linking ${symbol} into one object"
        COMMAND_EXPAND_LISTS VERBATIM)
    set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()

# The libraries of a module as its programs link them. A file of the system is linked by its name where
# the module is installed: it may be elsewhere there.
function(anyhv_portable_libraries out)
    set(portable "")
    foreach(library IN LISTS ARGN)
        if(IS_ABSOLUTE "${library}")
            get_filename_component(name "${library}" NAME_WE)
            string(REGEX REPLACE "^lib" "-l" name "${name}")
            list(APPEND portable "$<BUILD_INTERFACE:${library}>" "$<INSTALL_INTERFACE:${name}>")
        else()
            list(APPEND portable "${library}")
        endif()
    endforeach()
    set(${out} "${portable}" PARENT_SCOPE)
endfunction()

# anyhv_add_module(name SOURCES ... [LIBRARIES ...] [INSIDE ...]): a way to reach guests. Makes the
# archive libanyhv-hv-<name>.a, target anyhv::hv-<name>, which shows one symbol to others:
# anyhv_hv_<name with _>. LIBRARIES are linked to its programs; INSIDE are archives that the module
# brings along, as invisible as its own files are.
function(anyhv_add_module name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES;INSIDE" ${ARGN})
    set(target anyhv_hv_${name})
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.o")
    string(REPLACE "-" "_" symbol ${target})

    add_library(${target}_parts OBJECT ${arg_SOURCES})
    set_target_properties(${target}_parts PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${target}_parts PRIVATE anyhv::anyhv ${arg_LIBRARIES} ${arg_INSIDE})
    anyhv_own_flags(${target}_parts)
    anyhv_link_object("${object}" ${symbol} ${target}_parts "${arg_INSIDE}")

    add_library(${target} STATIC "${object}")
    add_library(anyhv::hv-${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME anyhv-hv-${name} LINKER_LANGUAGE C)
    anyhv_portable_libraries(libraries ${arg_LIBRARIES})
    target_link_libraries(${target} PUBLIC anyhv::anyhv ${libraries})
endfunction()

# anyhv_add_backend(device SOURCES ... LIBRARIES ... [MODULES ...] [TYPE type]): one program for each
# module, anyhv-<device>-<module>, from the same main.c. The modules are MODULES; or else those of
# ANYHV_HV, or of the components that find_package(anyhv) was asked for. TYPE is the class's type,
# where it has one: programs for QEMU are then installed with the file by which tools find them.
function(anyhv_add_backend device)
    cmake_parse_arguments(arg "" "TYPE" "SOURCES;LIBRARIES;MODULES" ${ARGN})
    if(ANYHV_FREESTANDING)
        return() # a model can be built without an OS, a program cannot
    endif()
    if(NOT arg_MODULES AND DEFINED ANYHV_HV)
        set(arg_MODULES ${ANYHV_HV})
    elseif(NOT arg_MODULES)
        set(arg_MODULES ${anyhv_MODULES})
    endif()
    if(NOT arg_MODULES)
        message(FATAL_ERROR "The device '${device}' is to be served, but no module was found or named.")
    endif()
    foreach(module IN LISTS arg_MODULES)
        if(NOT TARGET anyhv::hv-${module})
            message(FATAL_ERROR "The device '${device}' is to be served through '${module}', but no "
                                "module of that name was found or added before.")
        endif()
        set(target anyhv-${device}-${module})
        string(REPLACE "-" "_" symbol "anyhv_hv_${module}")
        add_executable(${target} ${arg_SOURCES})
        target_compile_definitions(${target} PRIVATE ANYHV_HV=${symbol})
        target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} anyhv::hv-${module})
        set_target_properties(${target} PROPERTIES ANYHV_DEVICE "${device}" ANYHV_MODULE "${module}"
                                                   ANYHV_TYPE "${arg_TYPE}")
        anyhv_own_flags(${target})
    endforeach()
endfunction()

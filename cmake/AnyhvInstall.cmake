# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, in two components: `dev`, what programs are made with, and `tools`,
# the programs.
#
# The rule: a target of lib/, hv/<name> or devices/<name> whose file is called anyhv-... is product. It is
# installed with all that belongs to it, and the folder's CMakeLists.txt says nothing about it.

include_guard(GLOBAL)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

find_program(ANYHV_HELP2MAN help2man)
if(ANYHV_FREESTANDING OR CMAKE_CROSSCOMPILING OR NOT ANYHV_HELP2MAN)
    option(ANYHV_MAN "make the programs' man pages, by running them (needs help2man)" OFF)
else()
    option(ANYHV_MAN "make the programs' man pages, by running them (needs help2man)" ON)
endif()
if(ANYHV_MAN AND NOT ANYHV_HELP2MAN)
    message(FATAL_ERROR "The man pages need help2man. Install it, or set -DANYHV_MAN=OFF.")
elseif(NOT ANYHV_MAN AND NOT ANYHV_FREESTANDING)
    message(STATUS "anyhv: the programs get no man pages (ANYHV_MAN)")
endif()

set(ANYHV_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/anyhv")

# VHostUserBackendType of QEMU's docs/interop/vhost-user.json.
set(ANYHV_QEMU_TYPES 9p balloon block caif console crypto fs gpu input net rng rpmsg rproc-serial scsi
    vsock)

# --- libraries --------------------------------------------------------------------------------------

# What a target's file is called, without "lib" and ending.
function(anyhv_file_name out target)
    get_target_property(name ${target} OUTPUT_NAME)
    if(NOT name)
        set(name ${target})
    endif()
    set(${out} "${name}" PARENT_SCOPE)
endfunction()

# <name>.pc for the library @target. Its path is relative to itself, so the installation can be moved.
function(anyhv_install_pc target name)
    set(requires "")
    set(private "")
    set(variables "")
    get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
    if(NOT libraries)
        set(libraries "")
    endif()
    foreach(library IN LISTS libraries)
        string(REGEX REPLACE "^\\$<(LINK_ONLY|INSTALL_INTERFACE):(.*)>$" "\\2" library "${library}")
        if(library STREQUAL "Threads::Threads")
            list(APPEND private "-pthread")
        elseif(TARGET "${library}")
            get_target_property(aliased "${library}" ALIASED_TARGET)
            if(aliased)
                set(library ${aliased})
            endif()
            anyhv_file_name(other ${library})
            list(APPEND requires "${other} = ${PROJECT_VERSION}")
        elseif(library MATCHES "^-l")
            list(APPEND private "${library}")
        elseif(NOT library MATCHES "^\\$<BUILD_INTERFACE:")
            message(FATAL_ERROR "${target} is installed and links '${library}': name a target, or -l...")
        endif()
    endforeach()
    list(JOIN requires ", " requires)
    list(JOIN private " " private)
    if(name MATCHES "^anyhv-hv-")
        string(REPLACE "-" "_" variables "symbol=${name}") # what -DANYHV_HV= takes
    endif()
    set(prefix "\${prefix}")
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${prefix}" OUTPUT_VARIABLE libdir)
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "${prefix}" OUTPUT_VARIABLE includedir)
    file(RELATIVE_PATH up "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
    string(REGEX REPLACE "/$" "" up "${up}")
    configure_file("${PROJECT_SOURCE_DIR}/cmake/anyhv.pc.in" "${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc"
            DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)
endfunction()

function(anyhv_install_library target name)
    string(REGEX REPLACE "^anyhv-" "" export ${name})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${export})
    install(TARGETS ${target} EXPORT anyhv ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev
            INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    anyhv_install_pc(${target} ${name})
endfunction()

# --- programs ---------------------------------------------------------------------------------------

# The page of a program: its --help, and what the .h2m files of the tree, its device and its module add.
function(anyhv_install_man target)
    get_target_property(DEVICE ${target} ANYHV_DEVICE)
    get_target_property(MODULE ${target} ANYHV_MODULE)
    set(PROGRAM ${target})
    set(page "${PROJECT_BINARY_DIR}/man/${target}.1")
    set(parts "")
    foreach(part docs/man/program devices/${DEVICE}/${DEVICE} hv/${MODULE}/${MODULE})
        if(EXISTS "${PROJECT_SOURCE_DIR}/${part}.h2m")
            get_filename_component(name ${part} NAME)
            set(copy "${PROJECT_BINARY_DIR}/man/${target}/${name}.h2m")
            configure_file("${PROJECT_SOURCE_DIR}/${part}.h2m" "${copy}" @ONLY)
            list(APPEND parts "${copy}")
        endif()
    endforeach()
    list(TRANSFORM parts PREPEND "--include=" OUTPUT_VARIABLE includes)
    string(TIMESTAMP date "%Y-%m-%d" UTC) # help2man's own has no day, which mandoc does not like
    add_custom_command(
        OUTPUT "${page}"
        COMMAND "${CMAKE_COMMAND}" -E env ARGP_HELP_FMT=header-col=0 # where help2man expects headings
                "${ANYHV_HELP2MAN}" --no-info --section=1
                "--name=virtio ${DEVICE} device over ${MODULE}"
                ${includes} "--output=${page}" "$<TARGET_FILE:${target}>"
        COMMAND sed -i "/^\\.TH /s/\"[A-Z][a-z]* [0-9]*\"/\"${date}\"/" "${page}"
        DEPENDS ${target} ${parts}
        VERBATIM)
    add_custom_target(${target}.1 ALL DEPENDS "${page}")
    install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tools)
endfunction()

# The file by which tools find a vhost-user program. It holds the program's path, which only the
# installation knows.
function(anyhv_install_descriptor target)
    get_target_property(device ${target} ANYHV_DEVICE)
    get_target_property(type ${target} ANYHV_TYPE)
    if(NOT type IN_LIST ANYHV_QEMU_TYPES)
        list(JOIN ANYHV_QEMU_TYPES ", " known)
        message(FATAL_ERROR "${device} is said to be of TYPE '${type}', which QEMU does not know. It knows: "
                            "${known}; a device without a type is found by nobody, which is no error")
    endif()
    set(file "50-anyhv-${device}.json")
    install(CODE "
        cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX NORMALIZE OUTPUT_VARIABLE binary)
        cmake_path(APPEND binary \"${CMAKE_INSTALL_BINDIR}\" ${target})
        set(description \"anyhv ${device} device\")
        set(type ${type})
        configure_file(\"${PROJECT_SOURCE_DIR}/cmake/vhost-user.json\" \"${PROJECT_BINARY_DIR}/${file}\" @ONLY)"
        COMPONENT tools)
    install(FILES "${PROJECT_BINARY_DIR}/${file}" DESTINATION "${CMAKE_INSTALL_DATADIR}/qemu/vhost-user"
            COMPONENT tools)
endfunction()

function(anyhv_install_program target)
    install(TARGETS ${target} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tools)
    get_target_property(module ${target} ANYHV_MODULE)
    get_target_property(type ${target} ANYHV_TYPE)
    if(type AND module STREQUAL "vhost-user")
        anyhv_install_descriptor(${target})
    endif()
    if(ANYHV_MAN)
        anyhv_install_man(${target})
    endif()
endfunction()

# --- headers and documents --------------------------------------------------------------------------

# All but those of modules and devices that were not configured, and those that need an OS if there is
# none.
function(anyhv_install_headers)
    set(without "")
    file(GLOB modules RELATIVE "${PROJECT_SOURCE_DIR}/hv" "${PROJECT_SOURCE_DIR}/hv/*")
    file(GLOB devices RELATIVE "${PROJECT_SOURCE_DIR}/devices" "${PROJECT_SOURCE_DIR}/devices/*")
    if(ANYHV_FREESTANDING)
        list(APPEND without REGEX "/(linux|hv\\.h|[^/]*_host\\.h)$" EXCLUDE)
    else()
        list(REMOVE_ITEM modules ${ANYHV_HV})
    endif()
    list(REMOVE_ITEM devices ${ANYHV_DEVICES})
    foreach(module IN LISTS modules)
        list(APPEND without REGEX "/anyhv/${module}\\.h$" EXCLUDE)
    endforeach()
    if("kvm-ioregionfd" IN_LIST modules) # its wire, and the library for its other end
        list(APPEND without REGEX "/anyhv/(ioregionfd|vmm)\\.h$" EXCLUDE)
    endif()
    foreach(device IN LISTS devices)
        list(APPEND without REGEX "/devices/${device}(_[^/]*)?\\.h$" EXCLUDE)
    endforeach()
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/anyhv" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
            COMPONENT dev FILES_MATCHING PATTERN "*.h" ${without})
endfunction()

# The documents keep their places, so that they find each other.
function(anyhv_install_documents)
    set(documents README.md CHANGELOG.md LICENSE docs/*.md docs/adr/*.md)
    foreach(name IN LISTS ANYHV_HV)
        list(APPEND documents hv/${name}/*.md)
    endforeach()
    foreach(name IN LISTS ANYHV_DEVICES)
        list(APPEND documents devices/${name}/*.md)
    endforeach()
    list(TRANSFORM documents PREPEND "${PROJECT_SOURCE_DIR}/")
    file(GLOB documents RELATIVE "${PROJECT_SOURCE_DIR}" ${documents})
    foreach(document IN LISTS documents)
        get_filename_component(folder "${document}" DIRECTORY)
        install(FILES "${PROJECT_SOURCE_DIR}/${document}" DESTINATION "${CMAKE_INSTALL_DOCDIR}/${folder}"
                COMPONENT dev)
    endforeach()
    if(NOT ANYHV_FREESTANDING) # the documents show these projects
        install(DIRECTORY "${PROJECT_SOURCE_DIR}/test/package" DESTINATION "${CMAKE_INSTALL_DOCDIR}/test"
                COMPONENT dev PATTERN "*.sh" EXCLUDE)
    endif()
endfunction()

# --- the whole --------------------------------------------------------------------------------------

# @exports: the package's targets, without anyhv::.
function(anyhv_install_package exports)
    set(modules ${exports})
    list(FILTER modules INCLUDE REGEX "^hv-")
    list(TRANSFORM modules REPLACE "^hv-" "")
    list(TRANSFORM exports REPLACE "^hv-" "" OUTPUT_VARIABLE components)
    list(REMOVE_ITEM components anyhv)
    list(REMOVE_DUPLICATES components)
    list(JOIN components ", " components)
    configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/anyhv-config.cmake.in"
        "${PROJECT_BINARY_DIR}/anyhv-config.cmake" INSTALL_DESTINATION "${ANYHV_CMAKE_DIR}"
        NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
    set(compatible SameMajorVersion)
    if(PROJECT_VERSION_MAJOR EQUAL 0) # docs/api-policy.md: there, a minor version may break callers
        set(compatible SameMinorVersion)
    endif()
    write_basic_package_version_file("${PROJECT_BINARY_DIR}/anyhv-config-version.cmake"
                                     COMPATIBILITY ${compatible})
    install(EXPORT anyhv NAMESPACE anyhv:: FILE anyhv-targets.cmake DESTINATION "${ANYHV_CMAKE_DIR}"
            COMPONENT dev)
    install(FILES "${PROJECT_BINARY_DIR}/anyhv-config.cmake" "${PROJECT_BINARY_DIR}/anyhv-config-version.cmake"
                  "${PROJECT_SOURCE_DIR}/cmake/AnyhvBackend.cmake"
            DESTINATION "${ANYHV_CMAKE_DIR}" COMPONENT dev)
endfunction()

# After all targets were made.
function(anyhv_install)
    set(folders lib)
    if(NOT ANYHV_FREESTANDING)
        list(TRANSFORM ANYHV_HV PREPEND hv/ OUTPUT_VARIABLE modules)
        list(APPEND folders ${modules})
    endif()
    list(TRANSFORM ANYHV_DEVICES PREPEND devices/ OUTPUT_VARIABLE devices)
    list(APPEND folders ${devices})

    set(exports "")
    foreach(folder IN LISTS folders)
        get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
        foreach(target IN LISTS targets)
            get_target_property(type ${target} TYPE)
            anyhv_file_name(name ${target})
            if(NOT name MATCHES "^anyhv(-|$)")
                continue()
            elseif(type STREQUAL "STATIC_LIBRARY")
                anyhv_install_library(${target} ${name})
                get_target_property(export ${target} EXPORT_NAME)
                list(APPEND exports ${export})
            elseif(type STREQUAL "EXECUTABLE")
                anyhv_install_program(${target})
            endif()
        endforeach()
    endforeach()
    anyhv_install_headers()
    anyhv_install_documents()
    anyhv_install_package("${exports}")
endfunction()

# SPDX-License-Identifier: Apache-2.0
# `cpack -G DEB` in a build folder that was configured with -DCMAKE_INSTALL_PREFIX=/usr makes
#
#   libanyhv-dev   what programs are made with: libraries, headers, CMake and pkg-config files, documents
#   anyhv-tools    the programs, their man pages, and the files by which QEMU's tools find them
#
# Whoever passes packages on says who it is: -DANYHV_PACKAGER="Name <name@host>".

set(ANYHV_PACKAGER "Unknown Packager <unknown@invalid>" CACHE STRING "the packages' maintainer")

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL dev tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_SET_DESTDIR ON) # the prefix is the configured one: installed files name it
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME anyhv)
set(CPACK_PACKAGE_CONTACT "${ANYHV_PACKAGER}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libanyhv-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
get_property(depends GLOBAL PROPERTY ANYHV_DEV_PACKAGES) # who links our libraries links these, too
list(PREPEND depends libc6-dev)
list(REMOVE_DUPLICATES depends)
list(JOIN depends ", " CPACK_DEBIAN_DEV_PACKAGE_DEPENDS)
set(CPACK_COMPONENT_DEV_DESCRIPTION
"A device model is written once and linked with one module, which is how guests
of a hypervisor are reached. This package has the static library, device models
and modules, and their headers.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME anyhv-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION misc)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION
"This package has programs that serve devices: one for each device and each way
to reach guests, such as vhost-user.")

# What Debian wants otherwise than `cmake --install` does it.
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/debian.cmake")
set(CPACK_ANYHV_STRIP "${CMAKE_STRIP}")

include(CPack)

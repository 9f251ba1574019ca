# SPDX-License-Identifier: Apache-2.0
# Linux on another machine, whose programs run here under QEMU's user mode. Not a toolchain by itself:
# toolchain-<cpu>.cmake sets ANYHV_CPU and includes it.
# Debian: gcc-<cpu>-linux-gnu, libc6-dev-<arch>-cross, qemu-user-static.
#
# ANYHV_<CPU>_SYSROOT (environment or cache) names a folder with cmocka for that machine under usr/; the
# tests need it. scripts/check unpacks the packages libcmocka0 and libcmocka-dev there. They come
# from a folder because a foreign architecture is not added to a machine for the sake of a test.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${ANYHV_CPU})
set(CMAKE_C_COMPILER ${ANYHV_CPU}-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${ANYHV_CPU}-linux-gnu)

string(TOUPPER "ANYHV_${ANYHV_CPU}_SYSROOT" sysroot)
if(NOT ${sysroot})
    set(${sysroot} "$ENV{${sysroot}}")
endif()
set(${sysroot} "${${sysroot}}" CACHE PATH "cmocka for ${ANYHV_CPU}" FORCE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ${sysroot})

set(CMAKE_FIND_ROOT_PATH /usr/${ANYHV_CPU}-linux-gnu ${${sysroot}})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${ANYHV_CPU}-static -L /usr/${ANYHV_CPU}-linux-gnu)

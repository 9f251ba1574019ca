# SPDX-License-Identifier: Apache-2.0
# Linux on another machine, whose programs run here under QEMU's user mode. Not a toolchain by itself:
# toolchain-<cpu>.cmake sets ANYHV_CPU and includes it.
# Debian: gcc-<cpu>-linux-gnu, libc6-dev-<arch>-cross, qemu-user-static.
#
# ANYHV_<CPU>_SYSROOT (environment or cache) names a folder with libraries for that machine under usr/:
# libinih, the tests' cmocka, Xen's for hv/xen. scripts/check and test/guest/xen/box.sh unpack packages there.
# They come from a folder because a foreign architecture is not added to a machine for the sake of a test.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${ANYHV_CPU})
set(CMAKE_C_COMPILER ${ANYHV_CPU}-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${ANYHV_CPU}-linux-gnu)

string(TOUPPER "ANYHV_${ANYHV_CPU}_SYSROOT" sysroot)
if(NOT ${sysroot})
    set(${sysroot} "$ENV{${sysroot}}")
endif()
set(${sysroot} "${${sysroot}}" CACHE PATH "libraries for ${ANYHV_CPU}" FORCE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ${sysroot})

set(CMAKE_FIND_ROOT_PATH /usr/${ANYHV_CPU}-linux-gnu ${${sysroot}})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
# The libraries' own libraries are there, too.
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,-rpath-link,${${sysroot}}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${ANYHV_CPU}-static -L /usr/${ANYHV_CPU}-linux-gnu)

# SPDX-License-Identifier: Apache-2.0
# Linux on arm64 with the Xen libraries, from another architecture.
# Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross.
#
# ANYHV_XEN_ARM64_SYSROOT (environment or cache) names a folder with libxen-dev and its libraries for
# arm64 under usr/; test/guest/xen/box.sh unpacks the packages there. They come from a folder because
# libxen-dev of two architectures cannot be installed side by side.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

if(NOT ANYHV_XEN_ARM64_SYSROOT)
    set(ANYHV_XEN_ARM64_SYSROOT "$ENV{ANYHV_XEN_ARM64_SYSROOT}")
endif()
set(ANYHV_XEN_ARM64_SYSROOT "${ANYHV_XEN_ARM64_SYSROOT}" CACHE PATH "libxen-dev for arm64" FORCE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANYHV_XEN_ARM64_SYSROOT)

set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu ${ANYHV_XEN_ARM64_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
# The libraries' own libraries are there, too.
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,-rpath-link,${ANYHV_XEN_ARM64_SYSROOT}/usr/lib/aarch64-linux-gnu")

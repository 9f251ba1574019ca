# SPDX-License-Identifier: Apache-2.0
# Linux on s390x, the big-endian machine; its programs run under QEMU's user mode.
# Debian: gcc-s390x-linux-gnu, libc6-dev-s390x-cross, qemu-user-static.
#
# ANYHV_S390X_SYSROOT (environment or cache) names a folder with libinih and, for the tests, cmocka for
# s390x under usr/. scripts/check unpacks their packages there. They come from a folder because a foreign
# architecture is not added to a machine for the sake of a test.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_C_COMPILER s390x-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE s390x-linux-gnu)

if(NOT ANYHV_S390X_SYSROOT)
    set(ANYHV_S390X_SYSROOT "$ENV{ANYHV_S390X_SYSROOT}")
endif()
set(ANYHV_S390X_SYSROOT "${ANYHV_S390X_SYSROOT}" CACHE PATH "libraries for s390x" FORCE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANYHV_S390X_SYSROOT)

set(CMAKE_FIND_ROOT_PATH /usr/s390x-linux-gnu ${ANYHV_S390X_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-s390x-static -L /usr/s390x-linux-gnu)

# SPDX-License-Identifier: Apache-2.0
# Bare Armv8-A without floating point registers, as in a hypervisor or a boot loader.
# Debian: gcc-aarch64-linux-gnu; nothing of its C library is used.

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_C_FLAGS_INIT "-mgeneral-regs-only")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # there is nothing to link a program with
add_compile_options(-fno-pic) # linked to a fixed address; behind CMake's -fPIC
add_compile_options(-mstrict-align) # while the MMU is off, unaligned accesses fault

# SPDX-License-Identifier: Apache-2.0
# Bare Cortex-M3: no C library, no OS. Debian: gcc-arm-none-eabi.

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m3 -mthumb")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # there is nothing to link a program with
add_compile_options(-fno-pic) # firmware is linked to a fixed address; behind CMake's -fPIC

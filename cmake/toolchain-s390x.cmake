# SPDX-License-Identifier: Apache-2.0
# Linux on s390x, the big-endian machine.
set(ANYHV_CPU s390x)
include("${CMAKE_CURRENT_LIST_DIR}/toolchain-foreign.cmake")

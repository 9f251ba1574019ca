# SPDX-License-Identifier: Apache-2.0
# Linux on aarch64. QEMU on x86 orders memory accesses as x86 does, so it does not show weaker orders.
set(ANYHV_CPU aarch64)
include("${CMAKE_CURRENT_LIST_DIR}/toolchain-foreign.cmake")

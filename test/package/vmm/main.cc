/* SPDX-License-Identifier: Apache-2.0 */
/* A VMM in C++ does the same. */
#include "main.c"

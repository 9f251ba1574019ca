/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which anyhv this is. docs/api-policy.md says what the numbers promise.
 *
 * Callers own the storage of devices, requests and rings, so they compile our layouts into their
 * objects. Each object that includes a header of ours therefore asks the linker for a symbol that
 * only a library of the same layouts has: headers and library of different versions do not link,
 * instead of corrupting memory.
 */
#ifndef ANYHV_VERSION_H
#define ANYHV_VERSION_H

#define ANYHV_VERSION_MAJOR 0
#define ANYHV_VERSION_MINOR 1
#define ANYHV_VERSION_PATCH 0
#define ANYHV_VERSION       "0.1.0"

/* Named for major and minor number: a patch changes no layout. */
#define ANYHV_LAYOUT anyhv_layout_0_1

#ifdef __cplusplus
extern "C" {
#endif

extern const char ANYHV_LAYOUT;
#ifdef __GNUC__
__attribute__((used)) static const char *const anyhv_layout = &ANYHV_LAYOUT;
#endif

#ifdef __cplusplus
}
#endif
#endif

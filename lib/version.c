/* SPDX-License-Identifier: Apache-2.0 */
/* What version.h asks the linker for. A header that contradicts itself or the build stops here. */
#include <anyhv/version.h>

#define TEXT2(words) #words
#define TEXT(words)  TEXT2(words)
#define MAJOR        TEXT(ANYHV_VERSION_MAJOR)
#define MINOR        TEXT(ANYHV_VERSION_MINOR)
#define PATCH        TEXT(ANYHV_VERSION_PATCH)

#define SAME(a, b)   (sizeof(a) == sizeof(b) && !__builtin_memcmp(a, b, sizeof(a)))

_Static_assert(SAME(ANYHV_VERSION, PROJECT_VERSION), "version.h is not that of the project");
_Static_assert(SAME(ANYHV_VERSION, MAJOR "." MINOR "." PATCH), "two versions in version.h");
_Static_assert(SAME(TEXT(ANYHV_LAYOUT), "anyhv_layout_" MAJOR "_" MINOR), "another one's layout");

const char ANYHV_LAYOUT = 0;

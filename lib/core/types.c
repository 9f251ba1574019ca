/* SPDX-License-Identifier: Apache-2.0 */
#include <anyhv/types.h>

const struct anyhv_violation_info anyhv_violations[ANYHV_V_COUNT] = {
#define X(id, outcome, text) [ANYHV_V_##id] = {#id, text, ANYHV_##outcome},
    ANYHV_VIOLATIONS(X)
#undef X
};

const char *anyhv_result_name(int result)
{
    switch (result) {
    case ANYHV_OK:
        return "ok";
    case ANYHV_LATER:
        return "not finished";
    case ANYHV_E_BADADDR:
        return "no memory at that address";
    case ANYHV_E_PERM:
        return "memory not accessible that way";
    case ANYHV_E_NORES:
        return "out of resources";
    case ANYHV_E_LOST:
        return "peer lost";
    case ANYHV_E_SHORT:
        return "request too short";
    case ANYHV_E_INVAL:
        return "invalid value";
    case ANYHV_E_STATE:
        return "not possible in this state";
    case ANYHV_E_VERSION:
        return "unknown state version";
    case ANYHV_E_IO:
        return "host input/output error";
    default:
        return "unknown result";
    }
}

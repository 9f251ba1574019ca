/* SPDX-License-Identifier: Apache-2.0 */
/* Between libFuzzer and a target. */
#include "fuzz/fuzz.h"

#include <anyhv/linux/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the library says of a hostile guest is not what we want to know. */
static void say_nothing(void *priv, enum anyhv_log_level level, const char *event, const char *line)
{
    (void)priv;
    (void)level;
    (void)event;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};

    anyhv_log_sink(say_nothing, NULL);
    fuzz_one(&in);
    return 0;
}

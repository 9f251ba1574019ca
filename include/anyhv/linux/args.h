/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of command-line options, for the argp parsers of classes and modules. What is not a value
 * from @min to @max ends the program with a message that names @option, @text and the two limits
 * (argp_error; should the parser have been told to go on after that, @min is returned).
 */
#ifndef ANYHV_LINUX_ARGS_H
#define ANYHV_LINUX_ARGS_H

#include <anyhv/types.h>
#include <argp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A whole number, decimal or with 0x hexadecimal. @option is the long name, without dashes. */
uint64_t anyhv_arg_number(const struct argp_state *state, const char *option, const char *text,
                          uint64_t min, uint64_t max);

/* Bytes: the same, or with K, M, G or T behind it (1024, 1024 * 1024 ...): "16M". */
uint64_t anyhv_arg_size(const struct argp_state *state, const char *option, const char *text,
                        uint64_t min, uint64_t max);

#ifdef __cplusplus
}
#endif
#endif

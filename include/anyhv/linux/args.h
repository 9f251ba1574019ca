/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as people write them, in files and on command lines. All of them have one grammar:
 * decimal without a 0 in front, for which some mean octal, or hexadecimal behind 0x; no blanks, no
 * plus.
 */
#ifndef ANYHV_LINUX_ARGS_H
#define ANYHV_LINUX_ARGS_H

#include <anyhv/types.h>
#include <argp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* False: @text is no such number, or none from @min to @max, and @value is what it was. */
bool anyhv_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
bool anyhv_parse_signed(const char *text, int64_t min, int64_t max, int64_t *value);
/* One of the letters @units may follow, each worth @step times the one before: "KMGT", 1024. */
bool anyhv_parse_scaled(const char *text, const char *units, unsigned step, uint64_t min,
                        uint64_t max, uint64_t *value);

/*
 * Values of options, for the argp parsers of classes and modules. What is not a value from @min to
 * @max ends the program with a message that names @option, @text and the two limits (argp_error;
 * should the parser have been told to go on after that, @min is returned).
 */

/* A whole number. @option is the long name, without dashes. */
uint64_t anyhv_arg_number(const struct argp_state *state, const char *option, const char *text,
                          uint64_t min, uint64_t max);

/* Bytes: the same, or with K, M, G or T behind it (1024, 1024 * 1024 ...): "16M". */
uint64_t anyhv_arg_size(const struct argp_state *state, const char *option, const char *text,
                        uint64_t min, uint64_t max);

#ifdef __cplusplus
}
#endif
#endif

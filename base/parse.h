/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

/*
 * Whole-string parsers: every function returns 0 and sets *ret, or -EINVAL
 * (malformed) / -ERANGE (out of bounds) and leaves *ret alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Decimal, no sign for _uint, optional '-' for _int, no blanks. */
int parse_uint(const char *s, uint64_t max, uint64_t *ret);
int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* uid_t/gid_t: 0..4294967294 ((uid_t)-1 means "leave" to the kernel). */
int parse_id(const char *s, uint32_t *ret);

/* Octal file mode, 0..07777. */
int parse_mode(const char *s, mode_t *ret);

/* Go's strconv.ParseBool: 1 t T TRUE true True / 0 f F FALSE false False. */
int parse_bool(const char *s, bool *ret);

/* Go durations ("30m", "1h15m30.5s", "0", "-1s") in nanoseconds. */
int parse_duration(const char *s, int64_t *ret);

/* A signal's number, or its name with or without "SIG"; real-time ones count
 * from both ends ("RTMIN+3", "RTMAX-1"). */
int parse_signal(const char *s, int *ret);

/* Lower- or upper-case hex digits, exactly 2 * n of them. */
int parse_hex(const char *s, uint8_t *ret, size_t n);
/* 2 * n lower-case hex digits and a NUL into RET. */
void format_hex(const uint8_t *data, size_t n, char *ret);

#endif

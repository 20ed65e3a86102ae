/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/*
 * Length of the UTF-8 sequence that the LEN bytes at S begin with (RFC 3629:
 * shortest form, no surrogates, up to U+10FFFF); 0 if it is none.
 */
size_t utf8_len(const char *s, size_t len);

#endif

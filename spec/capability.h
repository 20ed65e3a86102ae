/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_CAPABILITY_H
#define SPEC_CAPABILITY_H

/* Names of Linux capabilities as bits, bit N = capability N. */

#include <stdint.h>

struct error;
struct strv;

#define CAPS_BIT(cap) (UINT64_C(1) << (cap))

/* "CAP_CHOWN" (any case, prefix required) -> its bit; 0 if unknown. */
uint64_t caps_from_name(const char *name);

/* "CAP_CHOWN,CAP_KILL"; malloc'ed, "" for 0. */
char *caps_to_names(uint64_t caps);

/* All NAMES as one mask; -EINVAL names every unknown one. */
int caps_parse(const struct strv *names, uint64_t *ret, struct error *err);

#endif

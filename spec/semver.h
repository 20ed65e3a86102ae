/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_SEMVER_H
#define SPEC_SEMVER_H

/*
 * Semantic Versioning 2.0.0 (semver.org), exactly: unlike an acVersion
 * (spec/acversion.h) it has no leading zeros and no empty identifiers, and
 * its numbers may have any length.
 */

#include <stdbool.h>

bool semver_check(const char *s);

/* <0, 0, >0 by precedence (section 11): build metadata does not count.  Both
 * must have passed semver_check(). */
int semver_compare(const char *a, const char *b);

#endif

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

/*
 * Of two versions of one precedence, what their build metadata says, which has
 * no order by the specification.  Two that first differ in a number are ordered
 * by it (deb12u9, deb12u10), and what goes on is higher than what ends there
 * (none, deb12u1).  False where they differ in anything else, as hashes do:
 * that is no order.
 */
bool semver_compare_builds(const char *a, const char *b, int *ret);

#endif

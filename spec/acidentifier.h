/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_ACIDENTIFIER_H
#define SPEC_ACIDENTIFIER_H

/*
 * AC Identifier (types.md): not empty, only [a-z0-9-._~/], first and last
 * [a-z0-9].  The reference code's rule: its own examples do not match the
 * printed expression.  "a/../b" is an identifier: never use one as a path.
 */

struct error;

/* 0 or -EINVAL. */
int acidentifier_check(const char *s, struct error *err);

/*
 * An identifier made from any string: lower case, what does not fit becomes
 * '_', edges stripped.  -EINVAL if nothing remains.
 */
int acidentifier_sanitize(const char *s, char **ret, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_ACNAME_H
#define SPEC_ACNAME_H

/*
 * AC Name (types.md): not empty, only [a-z0-9-], first and last not '-'.
 * The reference code's rule, not the printed expression: "a--b" is a name.
 * An AC Name is safe as one path component.
 */

struct error;

/* 0 or -EINVAL. */
int acname_check(const char *s, struct error *err);

/*
 * A name made from any string: lower case, what does not fit becomes '-',
 * edges stripped.  -EINVAL if nothing remains.
 */
int acname_sanitize(const char *s, char **ret, struct error *err);

#endif

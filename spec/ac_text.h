/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_AC_TEXT_H
#define SPEC_AC_TEXT_H

/* What AC Name and AC Identifier have in common: a-z, 0-9 and separators. */

struct error;

struct ac_text {
	const char *what;	/* "name" */
	const char *separators; /* allowed inside, not at the edges */
	char replacement;	/* what sanitising puts for other bytes */
};

int ac_text_check(const struct ac_text *t, const char *s, struct error *err);
int ac_text_sanitize(const struct ac_text *t, const char *s, char **ret,
		     struct error *err);

#endif

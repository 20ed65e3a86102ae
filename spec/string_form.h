/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_STRING_FORM_H
#define SPEC_STRING_FORM_H

/*
 * The command-line form of volumes, mounts and ports: parts separated by
 * ',', each KEY=VALUE (cut at the first '='), values literal, keys
 * case-sensitive and at most once.  With a name, the first part is it alone.
 */

#include <stddef.h>

struct error;

struct string_form_key {
	const char *key;
	/* Stores VALUE in the object; -EINVAL with a message if it cannot. */
	int (*set)(void *object, const char *value, struct error *err);
};

struct string_form {
	const char *what; /* "volume", for messages */
	const struct string_form_key *keys;
	size_t n_keys; /* at most 32 */
	/* NULL: there is no name part. */
	int (*set_name)(void *object, const char *value, struct error *err);
};

/* -EINVAL; what was set in OBJECT before stays. */
int string_form_parse(const struct string_form *form, const char *s,
		      void *object, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_JSON_DIFF_H
#define SPEC_JSON_DIFF_H

/*
 * What differs between two JSON documents, as manifests are read: members by
 * key, and lists of things with a name ("labels", "isolators") by that name:
 *
 *	labels[version]			"1.0.0" -> "1.1.0"
 *	app.isolators[resource/cpu].value.limit
 */

#include <stddef.h>

struct error;

struct json_change {
	char *path;
	char *before; /* compact JSON; NULL = was not there */
	char *after;  /* compact JSON; NULL = is not there any more */
};

struct json_changes {
	struct json_change *v;
	size_t n;
};

#define JSON_CHANGES_INIT                                                      \
	{                                                                      \
		NULL, 0                                                        \
	}

void json_changes_release(struct json_changes *changes);
#define cleanup_json_changes __attribute__((__cleanup__(json_changes_release)))

/* In the order of BEFORE, then what AFTER alone has.  -EINVAL: not JSON. */
int json_diff(const char *before, size_t before_len, const char *after,
	      size_t after_len, struct json_changes *ret, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_MANIFEST_HEAD_H
#define SPEC_MANIFEST_HEAD_H

/* What both manifests start with: acKind and acVersion. */

#include <stdbool.h>

struct json_node;

/* Notes a problem unless acKind is KIND. */
void manifest_read_kind(const struct json_node *object, const char *kind);
/* The normalised version; absent is a problem only if REQUIRED. */
void manifest_read_version(const struct json_node *object, bool required,
			   char **ret);

#endif

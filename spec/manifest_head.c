/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/manifest_head.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/acversion.h"
#include "spec/json_read.h"

void manifest_read_kind(const struct json_node *object, const char *kind)
{
	struct json_node node;
	const char *s;

	if (!json_member(object, "acKind", &node)) {
		json_problem(object, "acKind is missing, must be \"%s\"", kind);
		return;
	}
	if (json_read_string(&node, &s) && strcmp(s, kind) != 0)
		json_problem(&node, "must be \"%s\", is \"%s\"", kind, s);
}

void manifest_read_version(const struct json_node *object, bool required,
			   char **ret)
{
	struct acversion version cleanup_acversion = ACVERSION_INIT;
	struct acversion own cleanup_acversion = ACVERSION_INIT;
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct json_node node;
	const char *s;

	if (!json_member_or_null(object, "acVersion", &node)) {
		if (required)
			json_problem(object, "acVersion is missing");
		return;
	}
	if (!json_read_string(&node, &s))
		return;
	if (acversion_parse(s, &version, &err) < 0) {
		json_problem_error(&node, &err);
		return;
	}
	acversion_format(&version, &text);
	*ret = strbuf_detach(&text);
	if (acversion_parse(RKT_APPC_VERSION, &own, NULL) == 0 &&
	    version.major != own.major)
		json_warning(&node, "%s is not of the major version of %s",
			     *ret, RKT_APPC_VERSION);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/environment.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/name_value.h"

static const struct {
	const char *name;
	const char *value;
} defaults[] = {
	/* ace.md, Execution Environment */
	{"PATH",
	 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	{"container", "rkt"},
	/* rkt's, and what old versions of the specification asked for */
	{"SHELL", "/bin/sh"},
	{"USER", "root"},
	{"LOGNAME", "root"},
	{"HOME", "/root"},
};

static void set_entry(struct strv *env, const char *entry)
{
	const char *eq = strchr(entry, '=');
	char *name cleanup_free = NULL;

	if (!eq)
		return;
	name = xstrndup(entry, (size_t)(eq - entry));
	strv_env_set(env, name, eq + 1);
}

void environment_make(const struct environment_request *req, struct strv *ret)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		strv_env_set(ret, defaults[i].name, defaults[i].value);
	for (size_t i = 0; req->app && i < req->app->n; i++)
		strv_env_set(ret, req->app->v[i].name, req->app->v[i].value);
	strv_env_set(ret, "AC_APP_NAME", req->app_name);
	if (req->metadata_url)
		strv_env_set(ret, "AC_METADATA_URL", req->metadata_url);
	for (size_t i = 0; req->extra && i < req->extra->n; i++)
		set_entry(ret, req->extra->v[i]);
}

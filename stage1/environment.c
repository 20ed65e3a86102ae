/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/environment.h"

#include <stdbool.h>
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

/* Of what the process gets from the pod: what an image or a caller says
 * would be about something else. */
static const char *const reserved[] = {
	"NOTIFY_SOCKET",  "LISTEN_FDS",	   "LISTEN_PID",
	"LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
};

static bool is_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

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
		if (!is_reserved(req->app->v[i].name))
			strv_env_set(ret, req->app->v[i].name,
				     req->app->v[i].value);
	strv_env_set(ret, "AC_APP_NAME", req->app_name);
	if (req->metadata_url)
		strv_env_set(ret, "AC_METADATA_URL", req->metadata_url);
	for (size_t i = 0; req->extra && i < req->extra->n; i++)
		set_entry(ret, req->extra->v[i]);
}

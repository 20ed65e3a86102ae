/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/manifest_patch.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/image_manifest.h"

typedef int (*edit_fn)(const char *value, struct app *app, struct error *err);

static bool is_given(const char *value)
{
	return value && *value;
}

static void replace(char **s, const char *value)
{
	free(*s);
	*s = xstrdup(value);
}

/* Calls EDIT for each part of VALUE between SEP. */
static int each_part(const char *value, char sep, edit_fn edit, struct app *app,
		     struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	int r = 0;

	strv_split(&parts, value, sep);
	for (size_t i = 0; r == 0 && i < parts.n; i++)
		r = edit(parts.v[i], app, err);
	return r;
}

static int edit_exec(const char *value, struct app *app, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;

	(void)err;
	strv_release(&app->exec);
	strv_split(&words, value, ' ');
	for (size_t i = 0; i < words.n; i++)
		if (*words.v[i])
			strv_push(&app->exec, words.v[i]);
	return 0;
}

static int edit_user(const char *value, struct app *app, struct error *err)
{
	(void)err;
	replace(&app->user, value);
	return 0;
}

static int edit_group(const char *value, struct app *app, struct error *err)
{
	(void)err;
	replace(&app->group, value);
	return 0;
}

static int add_gid(const char *value, struct app *app, struct error *err)
{
	uint32_t gid;

	if (parse_id(value, &gid) < 0)
		return error_set(err, EINVAL, "\"%s\" is no group id", value);
	app->supplementary_gids =
		xreallocarray(app->supplementary_gids,
			      app->n_supplementary_gids + 1, sizeof(int64_t));
	app->supplementary_gids[app->n_supplementary_gids++] = gid;
	return 0;
}

static int edit_gids(const char *value, struct app *app, struct error *err)
{
	app->n_supplementary_gids = 0;
	return each_part(value, ',', add_gid, app, err);
}

/* --- isolators ----------------------------------------------------------- */

static int edit_caps(const char *value, enum isolator_kind kind,
		     struct app *app, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	cleanup_strv struct strv names = STRV_INIT;
	int r;

	strv_split(&names, value, ',');
	r = isolator_make_caps(kind, &names, &isolator, err);
	if (r == 0)
		r = isolator_check_names(&isolator, err);
	if (r < 0)
		return r;
	isolators_remove(&app->isolators, ISOLATOR_CAPS_RETAIN_SET);
	isolators_remove(&app->isolators, ISOLATOR_CAPS_REMOVE_SET);
	isolators_add(&app->isolators, &isolator);
	return 0;
}

static int edit_retain(const char *value, struct app *app, struct error *err)
{
	return edit_caps(value, ISOLATOR_CAPS_RETAIN_SET, app, err);
}

static int edit_remove(const char *value, struct app *app, struct error *err)
{
	return edit_caps(value, ISOLATOR_CAPS_REMOVE_SET, app, err);
}

static const struct {
	const char *name;
	enum isolator_kind kind;
} seccomp_modes[] = {
	{"retain", ISOLATOR_SECCOMP_RETAIN_SET},
	{"remove", ISOLATOR_SECCOMP_REMOVE_SET},
};

/* MODE[,errno=NAME] */
static int parse_seccomp_mode(const char *value, enum isolator_kind *ret_kind,
			      char **ret_errno, struct error *err)
{
	size_t len = strcspn(value, ",");
	const char *more = value[len] ? value + len + 1 : NULL;

	if (more && (strncmp(more, "errno=", 6) != 0 || !more[6]))
		return error_set(err, EINVAL, "\"%s\" is not errno=NAME", more);
	for (size_t i = 0; i < sizeof(seccomp_modes) / sizeof(*seccomp_modes);
	     i++) {
		if (strlen(seccomp_modes[i].name) != len ||
		    strncmp(seccomp_modes[i].name, value, len) != 0)
			continue;
		*ret_kind = seccomp_modes[i].kind;
		*ret_errno = more ? xstrdup(more + 6) : NULL;
		return 0;
	}
	return error_set(err, EINVAL, "mode must be retain or remove, not %.*s",
			 (int)len, value);
}

static int edit_seccomp(const struct manifest_patch *patch, struct app *app,
			struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	cleanup_strv struct strv set = STRV_INIT;
	cleanup_free char *errno_name = NULL;
	enum isolator_kind kind = ISOLATOR_UNKNOWN;
	int r;

	if (!is_given(patch->seccomp_mode))
		return error_set(err, EINVAL,
				 "--seccomp-set specified without "
				 "--seccomp-mode");
	if (!is_given(patch->seccomp_set))
		return error_set(err, EINVAL,
				 "--seccomp-mode specified without "
				 "--seccomp-set");
	r = parse_seccomp_mode(patch->seccomp_mode, &kind, &errno_name, err);
	if (r < 0)
		return error_prefix(err, r, "--seccomp-mode");
	strv_split(&set, patch->seccomp_set, ',');
	r = isolator_make_seccomp(kind, &set, errno_name, &isolator, err);
	if (r == 0)
		r = isolator_check_names(&isolator, err);
	if (r < 0)
		return error_prefix(err, r, "--seccomp-set");
	isolators_remove(&app->isolators, ISOLATOR_SECCOMP_RETAIN_SET);
	isolators_remove(&app->isolators, ISOLATOR_SECCOMP_REMOVE_SET);
	isolators_add(&app->isolators, &isolator);
	return 0;
}

/* "request=50m,limit=100m" -> {"request":"50m","limit":"100m"} */
static int pairs_write(const char *pairs, struct strbuf *out, struct error *err)
{
	cleanup_strv struct strv list = STRV_INIT;
	struct json_writer w;
	bool is_default;

	strv_split(&list, pairs, ',');
	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	for (size_t i = 0; i < list.n; i++) {
		char *value = strchr(list.v[i], '=');

		if (!value)
			return error_set(err, EINVAL, "\"%s\" is not KEY=VALUE",
					 list.v[i]);
		*value++ = '\0';
		if (strcmp(list.v[i], "default") == 0 &&
		    parse_bool(value, &is_default) == 0)
			json_add_bool(&w, "default", is_default);
		else
			json_add_string(&w, list.v[i], value);
	}
	json_close_object(&w);
	return 0;
}

/* Sets have flags of their own; others have values this form can't say. */
static bool is_patchable(enum isolator_kind kind)
{
	static const enum isolator_kind kinds[] = {
		ISOLATOR_NO_NEW_PRIVILEGES,
		ISOLATOR_OOM_SCORE_ADJ,
		ISOLATOR_CPU_SHARES,
		ISOLATOR_CPU,
		ISOLATOR_MEMORY,
		ISOLATOR_BLOCK_BANDWIDTH,
		ISOLATOR_BLOCK_IOPS,
		ISOLATOR_NETWORK_BANDWIDTH,
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

static int edit_isolator(const char *value, struct app *app, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	cleanup_strbuf struct strbuf json = STRBUF_INIT;
	cleanup_free char *name = xstrndup(value, strcspn(value, ","));
	const char *rest = value + strlen(name);
	int r = 0;

	if (!is_patchable(isolator_kind_from_name(name)))
		return error_set(err, EINVAL,
				 "isolator \"%s\" is not supported for "
				 "patching",
				 name);
	if (*rest == ',')
		rest++;
	if (strchr(rest, '='))
		r = pairs_write(rest, &json, err);
	else
		strbuf_addstr(&json, rest);
	if (r == 0)
		r = isolator_parse(name, json.buf, &isolator, err);
	if (r == 0)
		r = isolator_check_usable(&isolator, err);
	if (r == 0)
		isolators_set(&app->isolators, &isolator);
	return r;
}

static int edit_isolators(const char *value, struct app *app, struct error *err)
{
	return each_part(value, ':', edit_isolator, app, err);
}

/* --- mounts, ports, environment ------------------------------------------ */

static int edit_mount(const char *value, struct app *app, struct error *err)
{
	cleanup_mount_point struct mount_point mp = {0};
	size_t i = 0;
	int r = mount_point_parse(value, &mp, err);

	if (r < 0)
		return r;
	while (i < app->n_mount_points &&
	       (!app->mount_points[i].name ||
		strcmp(app->mount_points[i].name, mp.name) != 0))
		i++;
	if (i < app->n_mount_points) {
		mount_point_release(&app->mount_points[i]);
	} else {
		app->mount_points = xreallocarray(app->mount_points, i + 1,
						  sizeof(*app->mount_points));
		app->n_mount_points++;
	}
	app->mount_points[i] = mp;
	mp = (struct mount_point){0};
	return 0;
}

static int edit_mounts(const char *value, struct app *app, struct error *err)
{
	return each_part(value, ':', edit_mount, app, err);
}

static int edit_port(const char *value, struct app *app, struct error *err)
{
	cleanup_port struct port port = {0};
	size_t i = 0;
	int r = port_parse(value, &port, err);

	if (r < 0)
		return r;
	while (i < app->n_ports && (!app->ports[i].name ||
				    strcmp(app->ports[i].name, port.name) != 0))
		i++;
	if (i < app->n_ports) {
		port_release(&app->ports[i]);
	} else {
		app->ports =
			xreallocarray(app->ports, i + 1, sizeof(*app->ports));
		app->n_ports++;
	}
	app->ports[i] = port;
	port = (struct port){0};
	return 0;
}

static int edit_ports(const char *value, struct app *app, struct error *err)
{
	return each_part(value, ':', edit_port, app, err);
}

static int edit_environment(const struct strv *list, struct app *app,
			    struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *value = strchr(list->v[i], '=');
		cleanup_free char *name = NULL;
		int r;

		if (!value)
			return error_set(err, EINVAL,
					 "\"%s\" is not NAME=VALUE",
					 list->v[i]);
		name = xstrndup(list->v[i], (size_t)(value - list->v[i]));
		r = environment_name_check(name, err);
		if (r < 0)
			return r;
		name_values_set(&app->environment, name, value + 1);
	}
	return 0;
}

/* --- all of it ----------------------------------------------------------- */

/* In the order they are applied. */
static const struct edit {
	const char *flag;
	size_t offset; /* in struct manifest_patch */
	edit_fn edit;
} edits[] = {
	{"exec", offsetof(struct manifest_patch, exec), edit_exec},
	{"user", offsetof(struct manifest_patch, user), edit_user},
	{"group", offsetof(struct manifest_patch, group), edit_group},
	{"supplementary-groups",
	 offsetof(struct manifest_patch, supplementary_groups), edit_gids},
	{"capability", offsetof(struct manifest_patch, capability),
	 edit_retain},
	{"revoke-capability",
	 offsetof(struct manifest_patch, revoke_capability), edit_remove},
	{"mounts", offsetof(struct manifest_patch, mounts), edit_mounts},
	{"ports", offsetof(struct manifest_patch, ports), edit_ports},
	{"isolators", offsetof(struct manifest_patch, isolators),
	 edit_isolators},
};
#define N_EDITS (sizeof(edits) / sizeof(*edits))

static const char *edit_value(const struct manifest_patch *patch, size_t i)
{
	return *(const char *const *)((const char *)patch + edits[i].offset);
}

static bool patches_app(const struct manifest_patch *patch)
{
	for (size_t i = 0; i < N_EDITS; i++)
		if (is_given(edit_value(patch, i)))
			return true;
	return is_given(patch->seccomp_mode) || is_given(patch->seccomp_set) ||
	       patch->environment.n > 0;
}

bool manifest_patch_is_empty(const struct manifest_patch *patch)
{
	return !is_given(patch->name) && !patches_app(patch);
}

static int patch_app(const struct manifest_patch *patch,
		     struct image_manifest *im, struct error *err)
{
	struct app *app = &im->app;
	int r = 0;

	if (!im->has_app && !is_given(patch->exec))
		return error_set(err, EINVAL,
				 "no app in the supplied manifest and no exec "
				 "command provided");
	if (is_given(patch->capability) && is_given(patch->revoke_capability))
		return error_set(err, EINVAL,
				 "--capability and --revoke-capability exclude "
				 "each other");
	im->has_app = true;
	for (size_t i = 0; r == 0 && i < N_EDITS; i++) {
		const char *value = edit_value(patch, i);

		if (!is_given(value))
			continue;
		r = edits[i].edit(value, app, err);
		if (r < 0)
			return error_prefix(err, r, "--%s", edits[i].flag);
	}
	if (is_given(patch->seccomp_mode) || is_given(patch->seccomp_set))
		r = edit_seccomp(patch, app, err);
	if (r < 0)
		return r;
	r = edit_environment(&patch->environment, app, err);
	return r < 0 ? error_prefix(err, r, "--environment") : 0;
}

int manifest_patch_apply(const struct manifest_patch *patch,
			 struct image_manifest *im, struct error *err)
{
	int r = 0;

	if (is_given(patch->name)) {
		r = acidentifier_check(patch->name, err);
		if (r < 0)
			return error_prefix(err, r, "--name");
		replace(&im->name, patch->name);
	}
	return patches_app(patch) ? patch_app(patch, im, err) : r;
}

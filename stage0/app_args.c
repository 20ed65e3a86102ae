/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/app_args.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/capability.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"
#include "spec/service.h"
#include "spec/stage1_abi.h"
#include "spec/stdio_mode.h"

/* --- values ----------------------------------------------------------------
 */

static int parse_text(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	(void)row;
	if (value[0] == '\0')
		return error_set(err, EINVAL, "value cannot be empty");
	*(const char **)target = value;
	return 0;
}

static int parse_once(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	if (*(const char **)target)
		return error_set(err, EINVAL, "given twice for one image");
	return parse_text(row, target, value, err);
}

static int parse_absolute(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	if (!path_is_absolute(value))
		return error_set(err, EINVAL, "path must be absolute");
	return parse_text(row, target, value, err);
}

static int parse_name(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	int r = acname_check(value, err);

	return r < 0 ? r : parse_text(row, target, value, err);
}

static int parse_tristate(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	bool b;

	(void)row;
	if (parse_bool(value, &b) < 0)
		return error_set(err, EINVAL, "must be set with a boolean");
	*(enum tristate *)target = tristate(b);
	return 0;
}

/* --mount, or with a tag --mnt-volume. */
static int parse_mount(const struct option_row *row, void *target,
		       const char *value, struct error *err)
{
	struct app_options *o = target;
	struct mount mount = {0};
	int r = row->tag ? mount_volume_parse(value, &mount, err)
			 : mount_parse(value, &mount, err);

	if (r < 0)
		return r;
	o->mounts =
		xreallocarray(o->mounts, o->n_mounts + 1, sizeof(*o->mounts));
	o->mounts[o->n_mounts++] = mount;
	return 0;
}

static int parse_gids(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct app_options *o = target;

	(void)row;
	strv_split(&words, value, ',');
	free(o->gids);
	o->gids = xreallocarray(NULL, words.n, sizeof(*o->gids));
	o->n_gids = 0;
	o->has_gids = true;
	for (size_t i = 0; i < words.n; i++) {
		uint32_t gid;

		if (parse_id(words.v[i], &gid) < 0)
			return error_set(err, EINVAL, "%s is not a group id",
					 words.v[i]);
		o->gids[o->n_gids++] = gid;
	}
	return 0;
}

/* NAME=VALUE into a list; a row's tag says what NAME must be. */
enum pair_rule {
	PAIR_ANY,
	PAIR_IDENTIFIER,
	PAIR_ENVIRONMENT,
};

static int parse_pair(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	const char *equals = strchr(value, '=');
	cleanup_free char *name = NULL;
	int r = 0;

	if (!equals || equals == value)
		return error_set(err, EINVAL, "must be given as NAME=VALUE");
	name = xstrndup(value, (size_t)(equals - value));
	if (row->tag == PAIR_IDENTIFIER)
		r = acidentifier_check(name, err);
	else if (row->tag == PAIR_ENVIRONMENT)
		r = environment_name_check(name, err);
	if (r == 0)
		name_values_set(target, name, equals + 1);
	return r;
}

/* It is an annotation of the app, as of an image. */
static int parse_restart(const struct option_row *row, void *target,
			 const char *value, struct error *err)
{
	enum restart_policy policy;
	int r = restart_policy_parse(value, &policy, err);

	(void)row;
	if (r == 0)
		name_values_set(target, RESTART_ANNOTATION, value);
	return r;
}

/* The same; the row's tag is the number of the descriptor. */
static int parse_stdio(const struct option_row *row, void *target,
		       const char *value, struct error *err)
{
	cleanup_free char *name =
		xasprintf(STDIO_ANNOTATION_PREFIX "%s", row->name);
	enum stdio_mode mode;
	int r = stdio_mode_parse((int)row->tag, value, &mode, err);

	if (r == 0)
		name_values_set(target, name, value);
	return r;
}

static void isolators_drop(struct isolators *list, enum isolator_kind kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].kind == kind)
			isolator_release(&list->v[i]);
		else
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
}

static int parse_resource(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	enum isolator_kind kind = (enum isolator_kind)row->tag;
	int r;

	r = isolator_make_resource(kind, value, &isolator, err);
	if (r == 0)
		r = isolator_check_usable(&isolator, err);
	if (r < 0)
		return r;
	isolators_set(target, &isolator);
	return 0;
}

static int parse_number(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	int64_t number;
	int r;

	if (parse_int(value, INT64_MIN, INT64_MAX, &number) < 0)
		return error_set(err, EINVAL, "invalid syntax");
	r = isolator_make_number((enum isolator_kind)row->tag, number,
				 &isolator, err);
	if (r == 0)
		isolators_set(target, &isolator);
	return r;
}

static int parse_caps(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	cleanup_strv struct strv names = STRV_INIT;
	uint64_t caps;
	int r;

	strv_split(&names, value, ',');
	r = caps_parse(&names, &caps, err);
	if (r == 0)
		r = isolator_make_caps((enum isolator_kind)row->tag, &names,
				       &isolator, err);
	if (r == 0)
		isolators_set(target, &isolator);
	return r;
}

struct seccomp_words {
	bool has_mode;
	enum isolator_kind kind;
	const char *errno_name;
	struct strv set;
};

static int read_seccomp_word(const char *word, struct seccomp_words *ret,
			     struct error *err)
{
	if (strncmp(word, "mode=", 5) == 0) {
		if (ret->has_mode)
			return error_set(err, EINVAL, "mode given twice");
		ret->has_mode = true;
		if (strcmp(word + 5, "retain") == 0)
			ret->kind = ISOLATOR_SECCOMP_RETAIN_SET;
		else if (strcmp(word + 5, "remove") == 0)
			ret->kind = ISOLATOR_SECCOMP_REMOVE_SET;
		else
			return error_set(err, EINVAL,
					 "mode must be retain or remove, "
					 "not %s",
					 word + 5);
		return 0;
	}
	if (strncmp(word, "errno=", 6) == 0) {
		if (ret->errno_name)
			return error_set(err, EINVAL, "errno given twice");
		ret->errno_name = word + 6;
		return 0;
	}
	if (word[0] == '\0' || strchr(word, '='))
		return error_set(err, EINVAL,
				 "\"%s\" is not a system call or set", word);
	strv_push(&ret->set, word);
	return 0;
}

/* mode=retain|remove[,errno=NAME],syscall,@set,... */
static int parse_seccomp(const struct option_row *row, void *target,
			 const char *value, struct error *err)
{
	cleanup_isolator struct isolator isolator = {0};
	cleanup_strv struct strv words = STRV_INIT;
	struct seccomp_words seccomp = {0};
	int r = 0;

	(void)row;
	strv_split(&words, value, ',');
	for (size_t i = 0; i < words.n && r == 0; i++)
		r = read_seccomp_word(words.v[i], &seccomp, err);
	if (r == 0 && !seccomp.has_mode)
		r = error_set(err, EINVAL,
			      "mode=retain or mode=remove is "
			      "missing");
	if (r == 0 && seccomp.set.n == 0)
		r = error_set(err, EINVAL, "no system call given");
	if (r == 0)
		r = isolator_make_seccomp(seccomp.kind, &seccomp.set,
					  seccomp.errno_name, &isolator, err);
	strv_release(&seccomp.set);
	if (r < 0)
		return r;
	isolators_drop(target, ISOLATOR_SECCOMP_RETAIN_SET);
	isolators_drop(target, ISOLATOR_SECCOMP_REMOVE_SET);
	isolators_set(target, &isolator);
	return 0;
}

/* --- rows ------------------------------------------------------------------
 */

#define ROW(row_name, field, row_parse, row_tag, row_help)                     \
	{                                                                      \
		.name = (row_name), .kind = OPTION_CALL,                       \
		.offset = offsetof(struct app_options, field),                 \
		.parse = (row_parse), .tag = (row_tag), .help = (row_help)     \
	}
#define STDIO_ROW(row_name, number, row_values, row_shown, row_help)           \
	{                                                                      \
		.name = (row_name), .kind = OPTION_CALL,                       \
		.offset = offsetof(struct app_options, annotations),           \
		.parse = parse_stdio, .tag = (number), .values = (row_values), \
		.shown = (row_shown), .help = (row_help)                       \
	}
#define ROW_FLAGS(row_name, field, row_parse, row_tag, row_flags, row_help)    \
	{                                                                      \
		.name = (row_name), .kind = OPTION_CALL,                       \
		.offset = offsetof(struct app_options, field),                 \
		.parse = (row_parse), .tag = (row_tag), .flags = (row_flags),  \
		.help = (row_help)                                             \
	}

const struct option_row app_option_rows[] = {
	ROW("exec", exec, parse_text, 0,
	    "override the exec command for the preceding image"),
	ROW("working-dir", working_dir, parse_absolute, 0,
	    "override the working directory of the preceding image"),
	ROW("readonly-rootfs", read_only_rootfs, parse_tristate, 0,
	    "if set to true, the app's rootfs is mounted read-only"),
	{.name = "mount",
	 .kind = OPTION_CALL,
	 .parse = parse_mount,
	 .help = "mount a volume: volume=NAME,target=PATH and, if wanted, "
		 "subPath=DIR, readOnly=true and propagation=rslave; before "
		 "the first image for all apps, else for the preceding one"},
	{.name = "mnt-volume",
	 .kind = OPTION_CALL,
	 .parse = parse_mount,
	 .tag = 1,
	 .help = "a volume of this app alone, and where it is mounted: "
		 "target=PATH,name=NAME,kind=... as in --volume"},
	ROW("user", user, parse_text, 0,
	    "override the user of the preceding image: name, id or /path"),
	ROW("group", group, parse_text, 0,
	    "override the group of the preceding image: name, id or /path"),
	{.name = "supplementary-gids",
	 .kind = OPTION_CALL,
	 .parse = parse_gids,
	 .help = "override supplementary group ids of the preceding image, "
		 "comma-separated"},
	ROW("name", name, parse_name, 0,
	    "set the name of the app (default: from the image name)"),
	ROW("annotation", annotations, parse_pair, PAIR_IDENTIFIER,
	    "set an annotation NAME=VALUE of the app (repeatable)"),
	ROW("restart", annotations, parse_restart, 0,
	    "start the app again when it ends: no, on-failure or always, "
	    "after a pause that doubles from 100ms to 30s; connections wait "
	    "meanwhile"),
	STDIO_ROW("stdin", 0, "null|stream|tty", "null",
		  "standard input of the preceding image: null, or stream or "
		  "tty for rkt attach"),
	STDIO_ROW("stdout", 1, "log|null|stream|tty", "log",
		  "standard output of the preceding image: log, null, or "
		  "stream or tty, which are logged and for rkt attach"),
	STDIO_ROW("stderr", 2, "log|null|stream|tty", "log",
		  "standard error of the preceding image, as --stdout"),
	ROW("user-annotation", user_annotations, parse_pair, PAIR_ANY,
	    "set a user annotation NAME=VALUE of the app (repeatable)"),
	ROW("user-label", user_labels, parse_pair, PAIR_ANY,
	    "set a user label NAME=VALUE of the app (repeatable)"),
	ROW("environment", environment, parse_pair, PAIR_ENVIRONMENT,
	    "set an environment variable NAME=VALUE of the app (repeatable)"),
	ROW("memory", isolators, parse_resource, ISOLATOR_MEMORY,
	    "memory limit of the preceding image (16Mi, 50M, 1G)"),
	ROW("cpu", isolators, parse_resource, ISOLATOR_CPU,
	    "cpu limit of the preceding image (500m is half a core)"),
	ROW("cpu-shares", isolators, parse_number, ISOLATOR_CPU_SHARES,
	    "cpu weight of the preceding image"),
	ROW("oom-score-adj", isolators, parse_number, ISOLATOR_OOM_SCORE_ADJ,
	    "OOM score adjustment of the preceding image, -1000 to 1000"),
	ROW("caps-retain", isolators, parse_caps, ISOLATOR_CAPS_RETAIN_SET,
	    "capabilities to retain, comma-separated; replaces the image's"),
	ROW("caps-remove", isolators, parse_caps, ISOLATOR_CAPS_REMOVE_SET,
	    "capabilities to remove, comma-separated; replaces the image's"),
	ROW_FLAGS("cap-retain", isolators, parse_caps, ISOLATOR_CAPS_RETAIN_SET,
		  OPTION_DEPRECATED, "use --caps-retain instead"),
	ROW_FLAGS("cap-remove", isolators, parse_caps, ISOLATOR_CAPS_REMOVE_SET,
		  OPTION_DEPRECATED, "use --caps-remove instead"),
	ROW("seccomp", isolators, parse_seccomp, 0,
	    "seccomp filter: mode=retain|remove[,errno=NAME],syscall,@set,..."),
	ROW("signature", signature, parse_once, 0,
	    "file with the detached signature of the preceding image"),
	/* Written by rkt itself: see pod_request_resolve(). */
	ROW_FLAGS("inherited-environment", inherited_environment, parse_pair,
		  PAIR_ENVIRONMENT, OPTION_HIDDEN, NULL),
	ROW_FLAGS("pod-environment", pod_environment, parse_pair,
		  PAIR_ENVIRONMENT, OPTION_HIDDEN, NULL),
	{.name = NULL},
};

/* --- options ---------------------------------------------------------------
 */

void app_options_release(struct app_options *o)
{
	for (size_t i = 0; i < o->n_mounts; i++)
		mount_release(&o->mounts[i]);
	free(o->mounts);
	free(o->gids);
	name_values_release(&o->annotations);
	name_values_release(&o->user_annotations);
	name_values_release(&o->user_labels);
	name_values_release(&o->inherited_environment);
	name_values_release(&o->pod_environment);
	name_values_release(&o->environment);
	isolators_release(&o->isolators);
	strv_release(&o->args);
	*o = (struct app_options)APP_OPTIONS_INIT;
}

int app_options_check(const struct app_options *o, struct error *err)
{
	if (isolators_find(&o->isolators, ISOLATOR_CAPS_RETAIN_SET) &&
	    isolators_find(&o->isolators, ISOLATOR_CAPS_REMOVE_SET))
		return error_set(err, EINVAL,
				 "cannot use both --caps-retain and "
				 "--caps-remove on the same image");
	return 0;
}

int app_options_parse(const struct strv *words, struct app_options *ret,
		      struct error *err)
{
	const struct option_set set = {app_option_rows, ret};
	size_t i = 0;

	while (i < words->n && strcmp(words->v[i], "--") != 0) {
		int r;

		if (!option_is_flag(words->v[i]))
			return error_set(err, EINVAL,
					 "\"%s\" is not a flag of an app",
					 words->v[i]);
		r = option_apply_again(&set, 1, words->v + i, err);
		if (r < 0)
			return r;
		i += (size_t)r;
	}
	if (i < words->n) {
		ret->has_args = true;
		while (++i < words->n)
			strv_push(&ret->args, words->v[i]);
	}
	return app_options_check(ret, err);
}

/* --- applying --------------------------------------------------------------
 */

static void replace_string(char **old, const char *value)
{
	if (!value)
		return;
	free(*old);
	*old = xstrdup(value);
}

static void apply_exec(const struct app_options *o, struct app *app)
{
	if (o->exec) {
		strv_release(&app->exec);
		strv_push(&app->exec, o->exec);
	}
	strv_append(&app->exec, &o->args);
}

static void apply_environment(const struct app_options *o, struct app *app)
{
	struct name_values *env = &app->environment;
	const struct name_values *over[] = {&o->pod_environment,
					    &o->environment};

	for (size_t i = 0; i < o->inherited_environment.n; i++) {
		const struct name_value *nv = &o->inherited_environment.v[i];

		if (!name_values_get(env, nv->name))
			name_values_add(env, nv->name, nv->value);
	}
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < over[k]->n; i++)
			name_values_set(env, over[k]->v[i].name,
					over[k]->v[i].value);
}

/* A set of the command line replaces both kinds of the image's sets.  Takes
 * the isolators out of O. */
static int apply_isolators(struct app_options *o, struct app *app,
			   struct error *err)
{
	static const enum isolator_kind opposite[ISOLATOR_KIND_MAX] = {
		[ISOLATOR_CAPS_RETAIN_SET] = ISOLATOR_CAPS_REMOVE_SET,
		[ISOLATOR_CAPS_REMOVE_SET] = ISOLATOR_CAPS_RETAIN_SET,
		[ISOLATOR_SECCOMP_RETAIN_SET] = ISOLATOR_SECCOMP_REMOVE_SET,
		[ISOLATOR_SECCOMP_REMOVE_SET] = ISOLATOR_SECCOMP_RETAIN_SET,
	};

	for (size_t i = 0; i < o->isolators.n; i++) {
		struct isolator *isolator = &o->isolators.v[i];

		if (opposite[isolator->kind] != ISOLATOR_UNKNOWN)
			isolators_drop(&app->isolators,
				       opposite[isolator->kind]);
		isolators_set(&app->isolators, isolator);
	}
	o->isolators.n = 0;
	return isolators_check(&app->isolators, err);
}

static void apply_maps(const struct app_options *o, struct app *app)
{
	for (size_t i = 0; i < o->user_annotations.n; i++)
		name_values_set(&app->user_annotations,
				o->user_annotations.v[i].name,
				o->user_annotations.v[i].value);
	for (size_t i = 0; i < o->user_labels.n; i++)
		name_values_set(&app->user_labels, o->user_labels.v[i].name,
				o->user_labels.v[i].value);
}

static int apply_app(struct app_options *o, struct app *app, struct error *err)
{
	apply_exec(o, app);
	replace_string(&app->user, o->user);
	replace_string(&app->group, o->group);
	replace_string(&app->working_directory, o->working_dir);
	if (o->has_gids) {
		free(app->supplementary_gids);
		app->supplementary_gids =
			xreallocarray(NULL, o->n_gids + 1, sizeof(*o->gids));
		memcpy(app->supplementary_gids, o->gids,
		       o->n_gids * sizeof(*o->gids));
		app->n_supplementary_gids = o->n_gids;
	}
	apply_environment(o, app);
	apply_maps(o, app);
	return apply_isolators(o, app, err);
}

/* The later of two mounts on one path counts. */
static void apply_mounts(const struct app_options *o, struct runtime_app *ra)
{
	ra->mounts = xcalloc(o->n_mounts + 1, sizeof(*ra->mounts));
	for (size_t i = 0; i < o->n_mounts; i++) {
		cleanup_free char *path = path_clean(o->mounts[i].path);
		size_t k = 0;

		while (k < ra->n_mounts &&
		       strcmp(ra->mounts[k].path, path) != 0)
			k++;
		if (k < ra->n_mounts)
			mount_release(&ra->mounts[k]);
		else
			ra->n_mounts++;
		mount_copy(&ra->mounts[k], &o->mounts[i]);
		free(ra->mounts[k].path);
		ra->mounts[k].path = TAKE_PTR(path);
	}
}

static int default_name(const struct image_manifest *image, char **ret,
			struct error *err)
{
	int r = acname_sanitize(path_base(image->name), ret, err);

	if (r < 0)
		return error_wrap(err, r, "make an app name of image %s",
				  image->name);
	return 0;
}

static int start_app(const struct image_manifest *image,
		     const struct app_options *o, struct runtime_app *ra,
		     struct error *err)
{
	if (!image->has_app && !o->exec)
		return error_set(err, EINVAL,
				 "image %s has no app section and --exec "
				 "argument is not provided",
				 image->name);
	if (image->has_app) {
		app_copy(&ra->app, &image->app);
	} else {
		/* Pods are made by root: its ids are the caller's. */
		ra->app.user = xstrdup("0");
		ra->app.group = xstrdup("0");
	}
	ra->has_app = true;
	return 0;
}

static int apply(const struct image_manifest *image, struct app_options *o,
		 struct runtime_app *ra, struct error *err)
{
	int r = start_app(image, o, ra, err);

	if (r == 0)
		r = apply_app(o, &ra->app, err);
	if (r < 0)
		return r;
	if (o->name)
		ra->name = xstrdup(o->name);
	else
		r = default_name(image, &ra->name, err);
	ra->image.name = xstrdup(image->name);
	name_values_copy(&ra->image.labels, &image->labels);
	name_values_copy(&ra->annotations, &o->annotations);
	ra->read_only_rootfs = o->read_only_rootfs == TRISTATE_TRUE;
	apply_mounts(o, ra);
	runtime_app_annotate_mounts(ra);
	return r;
}

int app_args_apply(const struct image_manifest *image, const struct strv *words,
		   struct runtime_app *ret, struct error *err)
{
	cleanup_app_options struct app_options o = APP_OPTIONS_INIT;
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	int r = app_options_parse(words, &o, err);

	if (r == 0)
		r = apply(image, &o, &ra, err);
	if (r < 0)
		return r;
	*ret = ra;
	ra = (struct runtime_app)RUNTIME_APP_INIT;
	return 0;
}

int app_args_load(int poddir_fd, const char *app, struct strv *ret,
		  struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *path = NULL;
	int r = acname_check(app, err);

	if (r < 0)
		return r;
	path = xasprintf(POD_ARGS_DIR "/%s", app);
	r = read_file_at(poddir_fd, path, MANIFEST_MAX, &text, err);
	if (r < 0)
		return r;
	return json_strv_parse(text.buf, text.len, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/string_form.h"

void mount_release(struct mount *m)
{
	free(m->volume);
	free(m->path);
	free(m->sub_path);
	volume_release(&m->app_volume);
	*m = (struct mount){0};
}

void mount_copy(struct mount *ret, const struct mount *m)
{
	*ret = (struct mount){
		.volume = m->volume ? xstrdup(m->volume) : NULL,
		.path = m->path ? xstrdup(m->path) : NULL,
		.has_app_volume = m->has_app_volume,
		.sub_path = m->sub_path ? xstrdup(m->sub_path) : NULL,
		.read_only = m->read_only,
		.propagation = m->propagation,
	};
	volume_copy(&ret->app_volume, &m->app_volume);
}

static int set_volume(void *object, const char *value, struct error *err)
{
	struct mount *m = object;
	int r = acname_check(value, err);

	if (r == 0)
		m->volume = xstrdup(value);
	return r;
}

static int set_target(void *object, const char *value, struct error *err)
{
	struct mount *m = object;

	if (!*value)
		return error_set(err, EINVAL, "target is empty");
	/* rkt joins it to the root of the app, so both forms mean that. */
	m->path = xasprintf("%s%s", *value == '/' ? "" : "/", value);
	return 0;
}

static int set_sub_path(void *object, const char *value, struct error *err)
{
	struct mount *m = object;
	char *path cleanup_free = path_clean(value);

	if (*value == '/' || strcmp(path, ".") == 0 ||
	    strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0)
		return error_set(err, EINVAL,
				 "subPath \"%s\" is no relative path below the "
				 "volume",
				 value);
	m->sub_path = TAKE_PTR(path);
	return 0;
}

static int set_read_only(void *object, const char *value, struct error *err)
{
	struct mount *m = object;
	bool b;

	if (parse_bool(value, &b) < 0)
		return error_set(err, EINVAL, "\"%s\" is no boolean", value);
	m->read_only = tristate(b);
	return 0;
}

static const char *const propagations[] = {
	[PROPAGATION_PRIVATE] = "private",
	[PROPAGATION_SLAVE] = "rslave",
	[PROPAGATION_SHARED] = "rshared",
};

static int set_propagation(void *object, const char *value, struct error *err)
{
	struct mount *m = object;

	for (size_t i = PROPAGATION_PRIVATE; i <= PROPAGATION_SHARED; i++) {
		if (strcmp(value, propagations[i]) != 0)
			continue;
		m->propagation = (enum mount_propagation)i;
		return 0;
	}
	return error_set(err, EINVAL,
			 "propagation \"%s\" is none of private, rslave, "
			 "rshared",
			 value);
}

/* The first is for the command line alone: elsewhere it is another field. */
static const struct string_form_key keys[] = {
	{"volume", set_volume},		  {"target", set_target},
	{"subPath", set_sub_path},	  {"readOnly", set_read_only},
	{"propagation", set_propagation},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

int mount_parse(const char *s, struct mount *ret, struct error *err)
{
	static const struct string_form form = {
		.what = "mount",
		.keys = keys,
		.n_keys = N_KEYS,
	};
	struct mount m cleanup_mount = {0};
	int r = string_form_parse(&form, s, &m, err);

	if (r < 0)
		return error_wrap(err, r, "mount \"%s\"", s);
	if (!m.volume || !m.path)
		return error_set(err, EINVAL,
				 "mount \"%s\" is not "
				 "volume=NAME,target=PATH",
				 s);
	*ret = m;
	m = (struct mount){0};
	return 0;
}

bool mount_has_options(const struct mount *m)
{
	return m->sub_path || m->read_only != TRISTATE_UNSET ||
	       m->propagation != PROPAGATION_UNSET;
}

void mount_format_options(const struct mount *m, struct strbuf *out)
{
	strbuf_addf(out, "target=%s", m->path);
	if (m->sub_path)
		strbuf_addf(out, ",subPath=%s", m->sub_path);
	if (m->read_only != TRISTATE_UNSET)
		strbuf_addf(out, ",readOnly=%s",
			    m->read_only == TRISTATE_TRUE ? "true" : "false");
	if (m->propagation != PROPAGATION_UNSET)
		strbuf_addf(out, ",propagation=%s",
			    propagations[m->propagation]);
}

int mount_parse_options(const char *s, struct mount *ret, struct error *err)
{
	static const struct string_form form = {
		.what = "mount",
		.keys = keys + 1,
		.n_keys = N_KEYS - 1,
	};
	struct mount m cleanup_mount = {0};
	int r = string_form_parse(&form, s, &m, err);

	if (r < 0)
		return r;
	if (!m.path)
		return error_set(err, EINVAL, "mount \"%s\" has no target", s);
	*ret = m;
	m = (struct mount){0};
	return 0;
}

void mount_take_options(struct mount *m, struct mount *from)
{
	free(m->sub_path);
	m->sub_path = TAKE_PTR(from->sub_path);
	m->read_only = from->read_only;
	m->propagation = from->propagation;
}

int mount_check_options(const struct mount *m, const struct volume *v,
			struct error *err)
{
	if (m->read_only == TRISTATE_FALSE && v->read_only == TRISTATE_TRUE)
		return error_set(err, EINVAL,
				 "mount at %s cannot be writable: volume %s is "
				 "read-only",
				 m->path, v->name);
	if (m->propagation > PROPAGATION_PRIVATE && v->kind != VOLUME_HOST)
		return error_set(err, EINVAL,
				 "mount at %s: propagation=%s is for volumes "
				 "of kind host, which %s is not",
				 m->path, propagations[m->propagation],
				 v->name);
	return 0;
}

int mount_volume_parse(const char *s, struct mount *ret, struct error *err)
{
	struct mount m cleanup_mount = {.has_app_volume = true};
	cleanup_strbuf struct strbuf rest = STRBUF_INIT;
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free char *volume = NULL;
	const char *name = NULL, *target = NULL;
	const char *sub_path = NULL, *propagation = NULL;
	int r;

	strv_split(&parts, s, ',');
	for (size_t i = 0; i < parts.n; i++) {
		if (strncmp(parts.v[i], "target=", 7) == 0 && !target)
			target = parts.v[i] + 7;
		else if (strncmp(parts.v[i], "name=", 5) == 0 && !name)
			name = parts.v[i] + 5;
		else if (strncmp(parts.v[i], "subPath=", 8) == 0 && !sub_path)
			sub_path = parts.v[i] + 8;
		else if (strncmp(parts.v[i], "propagation=", 12) == 0 &&
			 !propagation)
			propagation = parts.v[i] + 12;
		else
			strbuf_addf(&rest, ",%s", parts.v[i]);
	}
	if (!name || !target)
		return error_set(err, EINVAL,
				 "mount \"%s\" is not "
				 "target=PATH,name=NAME,kind=...",
				 s);
	volume = xasprintf("%s%s", name, rest.buf);
	r = volume_parse(volume, &m.app_volume, err);
	/* Those are made with the pod. */
	if (r == 0 && m.app_volume.in_memory)
		r = error_set(err, EINVAL,
			      "a volume of one app cannot be in memory");
	if (r == 0)
		r = set_volume(&m, name, err);
	if (r == 0)
		r = set_target(&m, target, err);
	if (r == 0 && sub_path)
		r = set_sub_path(&m, sub_path, err);
	if (r == 0 && propagation)
		r = set_propagation(&m, propagation, err);
	if (r < 0)
		return error_wrap(err, r, "mount \"%s\"", s);
	*ret = m;
	m = (struct mount){0};
	return 0;
}

void mount_read(const struct json_node *object, struct mount *ret)
{
	struct json_node volume;

	if (!json_want_object(object))
		return;
	json_get_checked(object, "volume", acname_check, &ret->volume);
	json_get_string(object, "path", &ret->path);
	if (json_member(object, "appVolume", &volume)) {
		ret->has_app_volume = true;
		volume_read(&volume, &ret->app_volume);
	}
}

void mount_write(const struct mount *m, struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string_if(w, "volume", m->volume);
	json_add_string_if(w, "path", m->path);
	if (m->has_app_volume)
		volume_write(&m->app_volume, "appVolume", w);
	json_close_object(w);
}

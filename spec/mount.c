/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
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
	volume_release(&m->app_volume);
	*m = (struct mount){0};
}

void mount_copy(struct mount *ret, const struct mount *m)
{
	*ret = (struct mount){
		.volume = m->volume ? xstrdup(m->volume) : NULL,
		.path = m->path ? xstrdup(m->path) : NULL,
		.has_app_volume = m->has_app_volume,
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

int mount_parse(const char *s, struct mount *ret, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"volume", set_volume},
		{"target", set_target},
	};
	static const struct string_form form = {
		.what = "mount",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
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

int mount_volume_parse(const char *s, struct mount *ret, struct error *err)
{
	struct mount m cleanup_mount = {.has_app_volume = true};
	cleanup_strbuf struct strbuf rest = STRBUF_INIT;
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free char *volume = NULL;
	const char *name = NULL, *target = NULL;
	int r;

	strv_split(&parts, s, ',');
	for (size_t i = 0; i < parts.n; i++) {
		if (strncmp(parts.v[i], "target=", 7) == 0 && !target)
			target = parts.v[i] + 7;
		else if (strncmp(parts.v[i], "name=", 5) == 0 && !name)
			name = parts.v[i] + 5;
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

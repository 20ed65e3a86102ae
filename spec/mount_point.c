/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount_point.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/string_form.h"

void mount_point_release(struct mount_point *mp)
{
	free(mp->name);
	free(mp->path);
	*mp = (struct mount_point){0};
}

void mount_point_copy(struct mount_point *ret, const struct mount_point *mp)
{
	*ret = (struct mount_point){
		.name = mp->name ? xstrdup(mp->name) : NULL,
		.path = mp->path ? xstrdup(mp->path) : NULL,
		.read_only = mp->read_only,
	};
}

static int set_name(void *object, const char *value, struct error *err)
{
	struct mount_point *mp = object;
	int r = acname_check(value, err);

	if (r == 0)
		mp->name = xstrdup(value);
	return r;
}

static int set_path(void *object, const char *value, struct error *err)
{
	struct mount_point *mp = object;

	(void)err;
	mp->path = xstrdup(value);
	return 0;
}

static int set_read_only(void *object, const char *value, struct error *err)
{
	struct mount_point *mp = object;

	if (parse_bool(value, &mp->read_only) < 0)
		return error_set(err, EINVAL, "readOnly \"%s\" is no boolean",
				 value);
	return 0;
}

int mount_point_parse(const char *s, struct mount_point *ret, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"path", set_path},
		{"readOnly", set_read_only},
	};
	static const struct string_form form = {
		.what = "mount point",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
		.set_name = set_name,
	};
	struct mount_point mp cleanup_mount_point = {0};
	int r = string_form_parse(&form, s, &mp, err);

	if (r < 0)
		return error_wrap(err, r, "mount point \"%s\"", s);
	if (!mp.path || !*mp.path)
		return error_set(err, EINVAL, "mount point \"%s\" has no path",
				 s);
	*ret = mp;
	mp = (struct mount_point){0};
	return 0;
}

void mount_point_read(const struct json_node *object, struct mount_point *ret)
{
	if (!json_want_object(object))
		return;
	json_get_checked(object, "name", acname_check, &ret->name);
	json_get_string(object, "path", &ret->path);
	json_get_bool(object, "readOnly", &ret->read_only);
}

void mount_point_write(const struct mount_point *mp, struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string_if(w, "name", mp->name);
	json_add_string_if(w, "path", mp->path);
	if (mp->read_only)
		json_add_bool(w, "readOnly", true);
	json_close_object(w);
}

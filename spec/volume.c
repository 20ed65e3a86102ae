/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/quantity.h"
#include "spec/stage1_abi.h"
#include "spec/string_form.h"

static const char *const kind_name[] = {
	[VOLUME_EMPTY] = "empty",
	[VOLUME_HOST] = "host",
};

void volume_release(struct volume *v)
{
	free(v->name);
	free(v->source);
	free(v->mode);
	*v = (struct volume){0};
}

void volume_copy(struct volume *ret, const struct volume *v)
{
	*ret = *v;
	ret->name = v->name ? xstrdup(v->name) : NULL;
	ret->source = v->source ? xstrdup(v->source) : NULL;
	ret->mode = v->mode ? xstrdup(v->mode) : NULL;
}

/* What was written, to tell an absent id from 0. */
struct volume_text {
	struct volume v;
	bool has_uid, has_gid;
};

static int volume_check_kind(const char *s, struct error *err)
{
	if (strcmp(s, "empty") == 0 || strcmp(s, "host") == 0)
		return 0;
	return error_set(err, EINVAL,
			 "volume kind \"%s\" is neither empty nor host", s);
}

static int check_host(const struct volume_text *t, struct error *err)
{
	const struct volume *v = &t->v;

	if (!v->source || !*v->source)
		return error_set(err, EINVAL, "volume %s has no source",
				 v->name);
	if (v->source[0] != '/')
		return error_set(err, EINVAL,
				 "source %s of volume %s is not an absolute "
				 "path",
				 v->source, v->name);
	if (v->mode || t->has_uid || t->has_gid)
		return error_set(err, EINVAL,
				 "volume %s of kind host cannot have mode, uid "
				 "or gid",
				 v->name);
	return 0;
}

static int check_memory(const struct volume *v, struct error *err)
{
	if (!v->in_memory && v->size == 0)
		return 0;
	if (v->kind != VOLUME_EMPTY)
		return error_set(err, EINVAL,
				 "volume %s has medium or size, which are for "
				 "kind empty",
				 v->name);
	return 0;
}

static int volume_text_check(const struct volume_text *t, struct error *err)
{
	int r;

	if (!t->v.name)
		return error_set(err, EINVAL, "volume without a name");
	r = check_memory(&t->v, err);
	if (r < 0)
		return r;
	if (t->v.kind == VOLUME_HOST)
		return check_host(t, err);
	if (t->v.kind != VOLUME_EMPTY)
		return error_set(err, EINVAL, "volume %s has no kind",
				 t->v.name);
	if (t->v.source && *t->v.source)
		return error_set(err, EINVAL,
				 "volume %s of kind empty cannot have a source",
				 t->v.name);
	return 0;
}

int volume_check(const struct volume *v, struct error *err)
{
	struct volume_text t = {
		.v = *v,
		.has_uid = v->uid != 0,
		.has_gid = v->gid != 0,
	};

	return volume_text_check(&t, err);
}

/* Puts in what an empty volume has when it is not written. */
static void set_defaults(struct volume *v)
{
	if (v->kind != VOLUME_EMPTY)
		return;
	free(v->source);
	v->source = NULL;
	if (!v->mode)
		v->mode = xstrdup(VOLUME_DEFAULT_MODE);
}

int volume_check_usable(const struct volume *v, mode_t *mode, uid_t *uid,
			gid_t *gid, struct error *err)
{
	mode_t m = 0;
	int r;

	r = volume_check(v, err);
	if (r < 0 || v->kind != VOLUME_EMPTY)
		return r;
	if (v->name && strlen(v->name) > VOLUME_NAME_MAX)
		return error_set(err, ENAMETOOLONG,
				 "the name of volume %.32s... is longer than "
				 "%d characters",
				 v->name, VOLUME_NAME_MAX);
	if (parse_mode(v->mode, &m) < 0)
		return error_set(err, EINVAL,
				 "mode \"%s\" of volume %s is not octal",
				 v->mode, v->name);
	if (v->uid < 0 || v->uid >= UINT32_MAX || v->gid < 0 ||
	    v->gid >= UINT32_MAX)
		return error_set(err, EINVAL,
				 "uid %" PRId64 " or gid %" PRId64
				 " of volume %s is out of range",
				 v->uid, v->gid, v->name);
	if (mode)
		*mode = m;
	if (uid)
		*uid = (uid_t)v->uid;
	if (gid)
		*gid = (gid_t)v->gid;
	return 0;
}

/* --- string form -----------------------------------------------------------
 */

static int set_name(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;
	int r = acname_check(value, err);

	if (r == 0)
		t->v.name = xstrdup(value);
	return r;
}

static int set_kind(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;
	int r = volume_check_kind(value, err);

	if (r == 0)
		t->v.kind = *value == 'h' ? VOLUME_HOST : VOLUME_EMPTY;
	return r;
}

static int set_source(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	(void)err;
	t->v.source = xstrdup(value);
	return 0;
}

static int set_tristate(enum tristate *ret, const char *value,
			struct error *err)
{
	bool b;

	if (parse_bool(value, &b) < 0)
		return error_set(err, EINVAL, "\"%s\" is no boolean", value);
	*ret = tristate(b);
	return 0;
}

static int set_read_only(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	return set_tristate(&t->v.read_only, value, err);
}

static int set_recursive(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	return set_tristate(&t->v.recursive, value, err);
}

static int set_mode(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	(void)err;
	t->v.mode = xstrdup(value);
	return 0;
}

static int set_id(int64_t *ret, const char *value, struct error *err)
{
	if (parse_int(value, INT64_MIN, INT64_MAX, ret) < 0)
		return error_set(err, EINVAL, "\"%s\" is no number", value);
	return 0;
}

static int set_uid(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	t->has_uid = true;
	return set_id(&t->v.uid, value, err);
}

static int set_gid(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	t->has_gid = true;
	return set_id(&t->v.gid, value, err);
}

static int set_medium(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;

	if (strcmp(value, "memory") != 0)
		return error_set(err, EINVAL,
				 "medium \"%s\" is not memory, the only one",
				 value);
	t->v.in_memory = true;
	return 0;
}

/* Nothing but memory can be told how large it is. */
static int set_size(void *object, const char *value, struct error *err)
{
	struct volume_text *t = object;
	struct quantity quantity;
	int64_t bytes = 0;
	int r = quantity_parse(value, &quantity, err);

	if (r < 0)
		return r;
	/* Binary suffixes saturate. */
	if (quantity_value_ceil(&quantity, &bytes) < 0 || bytes <= 0 ||
	    bytes == INT64_MAX)
		return error_set(err, EINVAL, "size \"%s\" is out of range",
				 value);
	t->v.in_memory = true;
	t->v.size = (uint64_t)bytes;
	return 0;
}

static void volume_text_release(struct volume_text *t)
{
	volume_release(&t->v);
}

int volume_parse(const char *s, struct volume *ret, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"kind", set_kind},
		{"source", set_source},
		{"readOnly", set_read_only},
		{"recursive", set_recursive},
		{"mode", set_mode},
		{"uid", set_uid},
		{"gid", set_gid},
		{"medium", set_medium},
		{"size", set_size},
	};
	static const struct string_form form = {
		.what = "volume",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
		.set_name = set_name,
	};
	struct volume_text t cleanup_with(volume_text_release) = {0};
	int r = string_form_parse(&form, s, &t, err);

	if (r == 0)
		r = volume_text_check(&t, err);
	if (r < 0)
		return error_wrap(err, r, "volume \"%s\"", s);
	set_defaults(&t.v);
	*ret = t.v;
	t.v = (struct volume){0};
	return 0;
}

static void format_tristate(const char *key, enum tristate value,
			    struct strbuf *out)
{
	if (value != TRISTATE_UNSET)
		strbuf_addf(out, ",%s=%s", key,
			    value == TRISTATE_TRUE ? "true" : "false");
}

void volume_format(const struct volume *v, struct strbuf *out)
{
	strbuf_addf(out, "%s,kind=%s", v->name, kind_name[v->kind]);
	if (v->source)
		strbuf_addf(out, ",source=%s", v->source);
	format_tristate("readOnly", v->read_only, out);
	format_tristate("recursive", v->recursive, out);
	if (v->kind != VOLUME_EMPTY)
		return;
	if (strcmp(v->mode, VOLUME_DEFAULT_MODE) != 0)
		strbuf_addf(out, ",mode=%s", v->mode);
	if (v->uid)
		strbuf_addf(out, ",uid=%" PRId64, v->uid);
	if (v->gid)
		strbuf_addf(out, ",gid=%" PRId64, v->gid);
	if (!v->in_memory)
		return;
	strbuf_addch(out, ',');
	volume_format_options(v, out);
}

int volume_parse_options(const char *s, struct volume *v, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"medium", set_medium},
		{"size", set_size},
	};
	static const struct string_form form = {
		.what = "volume",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
	};
	struct volume_text t = {0};
	int r = string_form_parse(&form, s, &t, err);

	if (r < 0)
		return r;
	v->in_memory = t.v.in_memory;
	v->size = t.v.size;
	return check_memory(v, err);
}

void volume_format_options(const struct volume *v, struct strbuf *out)
{
	strbuf_addstr(out, "medium=memory");
	if (v->size)
		strbuf_addf(out, ",size=%" PRIu64, v->size);
}

/* --- JSON ------------------------------------------------------------------
 */

static void read_kind(const struct json_node *object, struct volume *ret)
{
	char *kind cleanup_free = NULL;

	if (json_get_checked(object, "kind", volume_check_kind, &kind))
		ret->kind = *kind == 'h' ? VOLUME_HOST : VOLUME_EMPTY;
}

static void read_tristate(const struct json_node *object, const char *key,
			  enum tristate *ret)
{
	struct json_node node;
	bool b;

	if (json_member(object, key, &node) && json_read_bool(&node, &b))
		*ret = tristate(b);
}

static bool read_id(const struct json_node *object, const char *key,
		    int64_t *ret)
{
	struct json_node node;

	return json_member(object, key, &node) &&
	       json_read_int(&node, INT64_MIN, INT64_MAX, ret);
}

void volume_read(const struct json_node *object, struct volume *ret)
{
	struct volume_text t = {0};
	struct error err = ERROR_INIT;
	size_t n_errors = object->doc->n_errors;

	if (!json_want_object(object))
		return;
	json_get_checked(object, "name", acname_check, &t.v.name);
	read_kind(object, &t.v);
	json_get_string(object, "source", &t.v.source);
	read_tristate(object, "readOnly", &t.v.read_only);
	read_tristate(object, "recursive", &t.v.recursive);
	json_get_string(object, "mode", &t.v.mode);
	t.has_uid = read_id(object, "uid", &t.v.uid);
	t.has_gid = read_id(object, "gid", &t.v.gid);
	/* A field that could not be read would only be reported twice. */
	if (object->doc->n_errors == n_errors &&
	    volume_text_check(&t, &err) < 0)
		json_problem_error(object, &err);
	set_defaults(&t.v);
	*ret = t.v;
}

static void write_tristate(const char *key, enum tristate value,
			   struct json_writer *w)
{
	if (value != TRISTATE_UNSET)
		json_add_bool(w, key, value == TRISTATE_TRUE);
}

void volume_write(const struct volume *v, const char *key,
		  struct json_writer *w)
{
	json_open_object(w, key);
	json_add_string(w, "name", v->name);
	json_add_string(w, "kind", kind_name[v->kind]);
	json_add_string_if(w, "source", v->source);
	write_tristate("readOnly", v->read_only, w);
	write_tristate("recursive", v->recursive, w);
	if (v->kind == VOLUME_EMPTY) {
		json_add_string(w, "mode", v->mode);
		json_add_int(w, "uid", v->uid);
		json_add_int(w, "gid", v->gid);
	}
	json_close_object(w);
}

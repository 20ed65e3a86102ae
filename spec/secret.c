/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/name_value.h"
#include "spec/string_form.h"

#define DEFAULT_DIR "/run/secrets"
#define DEFAULT_MODE 0400

void secret_release(struct secret *s)
{
	free(s->name);
	free(s->source);
	free(s->credential);
	free(s->target);
	*s = (struct secret){0};
}

static int set_name(void *object, const char *value, struct error *err)
{
	struct secret *s = object;
	int r = acname_check(value, err);

	if (r == 0)
		s->name = xstrdup(value);
	return r;
}

static int set_source(void *object, const char *value, struct error *err)
{
	struct secret *s = object;

	if (!*value)
		return error_set(err, EINVAL, "source is empty");
	s->source = xstrdup(value);
	return 0;
}

static int set_credential(void *object, const char *value, struct error *err)
{
	struct secret *s = object;

	if (!*value || *value == '.' || strchr(value, '/'))
		return error_set(err, EINVAL,
				 "credential \"%s\" is no name of a file",
				 value);
	s->credential = xstrdup(value);
	return 0;
}

static int set_target(void *object, const char *value, struct error *err)
{
	struct secret *s = object;

	if (!path_is_absolute(value))
		return error_set(err, EINVAL, "target \"%s\" is not absolute",
				 value);
	s->target = path_clean(value);
	return 0;
}

static int set_mode(void *object, const char *value, struct error *err)
{
	struct secret *s = object;

	if (parse_mode(value, &s->mode) < 0 || s->mode > 0777)
		return error_set(err, EINVAL, "mode \"%s\" is not in 0..0777",
				 value);
	return 0;
}

static int set_id(uint32_t *ret, const char *value, struct error *err)
{
	if (parse_id(value, ret) < 0)
		return error_set(err, EINVAL, "\"%s\" is no user or group id",
				 value);
	return 0;
}

static int set_uid(void *object, const char *value, struct error *err)
{
	return set_id(&((struct secret *)object)->uid, value, err);
}

static int set_gid(void *object, const char *value, struct error *err)
{
	return set_id(&((struct secret *)object)->gid, value, err);
}

static int check(struct secret *s, struct error *err)
{
	if (s->source && s->credential)
		return error_set(err, EINVAL,
				 "source and credential exclude each other");
	if (!s->source && !s->credential)
		s->credential = xstrdup(s->name);
	if (!s->target)
		s->target = xasprintf(DEFAULT_DIR "/%s", s->name);
	return 0;
}

int secret_parse(const char *text, struct secret *ret, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"source", set_source}, {"credential", set_credential},
		{"target", set_target}, {"mode", set_mode},
		{"uid", set_uid},	{"gid", set_gid},
	};
	static const struct string_form form = {
		.what = "secret",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
		.set_name = set_name,
	};
	struct secret s cleanup_secret = {.mode = DEFAULT_MODE};
	int r = string_form_parse(&form, text, &s, err);

	if (r == 0)
		r = check(&s, err);
	if (r < 0)
		return error_wrap(err, r, "secret \"%s\"", text);
	*ret = s;
	s = (struct secret){0};
	return 0;
}

void secret_format(const struct secret *s, struct strbuf *out)
{
	if (s->source)
		strbuf_addf(out, "source=%s", s->source);
	else
		strbuf_addf(out, "credential=%s", s->credential);
	strbuf_addf(out, ",target=%s,mode=%04o,uid=%u,gid=%u", s->target,
		    (unsigned int)s->mode, s->uid, s->gid);
}

int secret_read_annotation(const struct name_value *nv, struct secret *ret,
			   struct error *err)
{
	size_t len = strlen(SECRET_ANNOTATION);
	char *text cleanup_free = NULL;
	int r;

	if (strncmp(nv->name, SECRET_ANNOTATION, len) != 0)
		return 0;
	text = xasprintf("%s,%s", nv->name + len, nv->value);
	r = secret_parse(text, ret, err);
	return r < 0 ? error_prefix(err, r, "annotation %s", nv->name) : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/image_ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acidentifier.h"

void image_ref_release(struct image_ref *ref)
{
	free(ref->name);
	name_values_release(&ref->labels);
	*ref = (struct image_ref)IMAGE_REF_INIT;
}

static int add_label(struct image_ref *ref, const char *name, const char *value,
		     struct error *err)
{
	int r = acidentifier_check(name, err);

	if (r < 0)
		return error_wrap(err, r, "label");
	if (strcmp(name, "name") == 0)
		return error_set(err, EINVAL,
				 "a label cannot be called \"name\"");
	if (name_values_get(&ref->labels, name))
		return error_set(err, EINVAL, "label %s is given twice", name);
	name_values_add(&ref->labels, name, value);
	return 0;
}

static int parse_label(char *part, struct image_ref *ref, struct error *err)
{
	char *value = strchr(part, '=');

	if (!value)
		return error_set(err, EINVAL, "label \"%s\" has no value",
				 part);
	*value++ = '\0';
	return add_label(ref, part, value, err);
}

static int parse_name(char *part, struct image_ref *ref, struct error *err)
{
	char *version = strchr(part, ':');
	int r;

	if (version)
		*version++ = '\0';
	r = acidentifier_check(part, err);
	if (r < 0)
		return error_wrap(err, r, "image name");
	ref->name = xstrdup(part);
	return version ? add_label(ref, "version", version, err) : 0;
}

static int check_colon(const char *s, struct error *err)
{
	const char *colon = strchr(s, ':');
	const char *comma = strchr(s, ',');

	if (!colon)
		return 0;
	if (strchr(colon + 1, ':'))
		return error_set(err, EINVAL,
				 "a colon may stand in it at most once");
	if (comma && comma < colon)
		return error_set(
			err, EINVAL,
			"a colon may stand only right behind the name");
	return 0;
}

int image_ref_parse(const char *s, struct image_ref *ret, struct error *err)
{
	struct image_ref ref cleanup_image_ref = IMAGE_REF_INIT;
	struct strv part cleanup_strv = STRV_INIT;
	int r;

	strv_split(&part, s, ',');
	r = check_colon(s, err);
	if (r == 0)
		r = parse_name(part.v[0], &ref, err);
	for (size_t i = 1; r == 0 && i < part.n; i++)
		r = parse_label(part.v[i], &ref, err);
	if (r < 0)
		return error_prefix(err, r, "image \"%s\"", s);
	*ret = ref;
	ref = (struct image_ref)IMAGE_REF_INIT;
	return 0;
}

void image_ref_add_host_labels(struct image_ref *ref)
{
	const char *arch = labels_host_arch();

	if (!name_values_get(&ref->labels, "os"))
		name_values_set(&ref->labels, "os", labels_host_os());
	if (arch && !name_values_get(&ref->labels, "arch"))
		name_values_set(&ref->labels, "arch", arch);
}

void image_ref_format(const struct image_ref *ref, struct strbuf *out)
{
	const char *version = name_values_get(&ref->labels, "version");

	strbuf_addstr(out, ref->name);
	if (version)
		strbuf_addf(out, ":%s", version);
	for (size_t i = 0; i < ref->labels.n; i++)
		if (strcmp(ref->labels.v[i].name, "version") != 0)
			strbuf_addf(out, ",%s=%s", ref->labels.v[i].name,
				    ref->labels.v[i].value);
}

/* As in HTML forms: letters, digits and "-_.~" stay, a blank becomes '+'. */
static void query_escape(const char *s, struct strbuf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-_.~";

	for (; *s; s++) {
		if (*s == ' ')
			strbuf_addch(out, '+');
		else if (strchr(plain, *s))
			strbuf_addch(out, *s);
		else
			strbuf_addf(out, "%%%02X", (unsigned char)*s);
	}
}

int make_query_string(const char *s, struct strbuf *out, struct error *err)
{
	struct strv part cleanup_strv = STRV_INIT;

	strv_split(&part, s, ',');
	for (size_t i = 0; i < part.n; i++) {
		char *value = strchr(part.v[i], '=');

		if (!value)
			return error_set(err, EINVAL,
					 "malformed string \"%s\": \"%s\" has "
					 "no value",
					 s, part.v[i]);
		*value++ = '\0';
		if (i > 0)
			strbuf_addch(out, '&');
		strbuf_addf(out, "%s=", part.v[i]);
		query_escape(value, out);
	}
	return 0;
}

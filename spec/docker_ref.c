/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/docker_ref.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/oci_digest.h"

#define TAG_MAX 128
#define REPOSITORY_MAX 255
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define TAG_CHARS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "_.-"
#define HOST_CHARS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-[]:"

static int bad_ref(const char *s, const char *why, struct error *err)
{
	return error_set(err, EINVAL, "invalid image string \"%s\": %s", s,
			 why);
}

/* --- parts --------------------------------------------------------------- */

/* ",os=linux,arch=aarch64" is cut off S. */
static int take_labels(char *s, struct name_values *ret, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	char *comma = strchr(s, ',');
	int r;

	if (!comma)
		return 0;
	*comma = '\0';
	strv_split(&parts, comma + 1, ',');
	for (size_t i = 0; i < parts.n; i++) {
		char *value = strchr(parts.v[i], '=');

		if (!value)
			return error_set(err, EINVAL, "label \"%s\" has no '='",
					 parts.v[i]);
		*value++ = '\0';
		if (strcmp(parts.v[i], "os") != 0 &&
		    strcmp(parts.v[i], "arch") != 0)
			return error_set(err, EINVAL,
					 "label \"%s\" is neither os nor arch",
					 parts.v[i]);
		if (!*value || value[strspn(value, LOWER DIGITS "_")])
			return error_set(err, EINVAL,
					 "label %s has no legal value",
					 parts.v[i]);
		name_values_set(ret, parts.v[i], value);
	}
	r = labels_check(ret, err);
	return r;
}

static bool is_tag(const char *tag)
{
	size_t len = strlen(tag);

	return len > 0 && len <= TAG_MAX && strspn(tag, TAG_CHARS) == len &&
	       tag[0] != '.' && tag[0] != '-';
}

/* Lower-case letters and digits, between them ".", "_", "__" or dashes. */
static bool is_component(const char *s, size_t len)
{
	static const char alnum[] = LOWER DIGITS;
	size_t at = 0;

	while (at < len) {
		size_t n = strspn(s + at, alnum), dashes;

		if (n == 0 || at + n > len)
			return false;
		at += n;
		if (at == len)
			return true;
		dashes = strspn(s + at, "-");
		if (dashes)
			at += dashes;
		else if (strncmp(s + at, "__", 2) == 0)
			at += 2;
		else if (s[at] == '.' || s[at] == '_')
			at++;
		else
			return false;
	}
	return false;
}

static bool is_repository(const char *s)
{
	if (strlen(s) > REPOSITORY_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(s, "/");

		if (!is_component(s, n))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}

/* As docker tells a host from the first part of a name. */
static bool is_host(const char *s, size_t len)
{
	return memchr(s, '.', len) || memchr(s, ':', len) ||
	       (len == strlen("localhost") &&
		strncmp(s, "localhost", len) == 0);
}

static bool is_valid_host(const char *host)
{
	return *host && strspn(host, HOST_CHARS) == strlen(host) &&
	       (isalnum((unsigned char)host[0]) || host[0] == '[');
}

static void set_registry(struct docker_ref *ref, char *host)
{
	static const char *const hub[] = {"docker.io", "index.docker.io"};

	ref->registry = host;
	for (size_t i = 0; i < sizeof(hub) / sizeof(*hub); i++) {
		if (strcmp(host, hub[i]) != 0)
			continue;
		free(host);
		ref->registry = xstrdup(DOCKER_REGISTRY);
		return;
	}
}

/* --- docker: ------------------------------------------------------------- */

/* Cuts tag and digest off S. */
static int take_version(char *s, struct docker_ref *ret, struct error *err)
{
	char *at = strchr(s, '@');
	char *slash, *colon;

	if (at) {
		*at = '\0';
		ret->digest = xstrdup(at + 1);
		if (oci_digest_check(ret->digest, err) < 0)
			return -EINVAL;
	}
	slash = strrchr(s, '/');
	colon = strchr(slash ? slash : s, ':');
	if (colon) {
		*colon = '\0';
		if (!is_tag(colon + 1))
			return error_set(err, EINVAL, "the tag is invalid");
	}
	/* NAME:TAG@DIGEST is what the digest says. */
	if (!at)
		ret->tag = xstrdup(colon ? colon + 1 : "latest");
	return 0;
}

static int take_name(const char *s, struct docker_ref *ret, struct error *err)
{
	size_t n = strcspn(s, "/");

	if (s[n] && is_host(s, n)) {
		set_registry(ret, xstrndup(s, n));
		s += n + 1;
	} else {
		ret->registry = xstrdup(DOCKER_REGISTRY);
	}
	if (!is_valid_host(ret->registry))
		return error_set(err, EINVAL, "the registry's name is invalid");
	if (!is_repository(s))
		return error_set(err, EINVAL,
				 "a repository's name is made of a-z, 0-9 and, "
				 "between them, '.', '_', '-' and '/'");
	if (strcmp(ret->registry, DOCKER_REGISTRY) == 0 && !strchr(s, '/'))
		ret->repository = xasprintf("library/%s", s);
	else
		ret->repository = xstrdup(s);
	return 0;
}

int docker_ref_parse(const char *s, struct docker_ref *ret, struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	cleanup_free char *copy = NULL;
	struct error why = ERROR_INIT;
	const char *name = s;
	int r;

	if (strncmp(name, "docker:", strlen("docker:")) == 0)
		name += strlen("docker:");
	if (strncmp(name, "//", 2) == 0)
		name += 2;
	copy = xstrdup(name);
	r = take_labels(copy, &ref.labels, &why);
	if (r == 0)
		r = take_version(copy, &ref, &why);
	if (r == 0)
		r = take_name(copy, &ref, &why);
	if (r < 0)
		return bad_ref(s, why.msg, err);
	*ret = ref;
	ref = (struct docker_ref)DOCKER_REF_INIT;
	return 0;
}

void docker_ref_format(const struct docker_ref *ref, struct strbuf *out)
{
	strbuf_addf(out, "docker://%s/%s%s%s", ref->registry, ref->repository,
		    ref->digest ? "@" : ":",
		    ref->digest ? ref->digest : ref->tag);
	for (size_t i = 0; i < ref->labels.n; i++)
		strbuf_addf(out, ",%s=%s", ref->labels.v[i].name,
			    ref->labels.v[i].value);
}

void docker_ref_release(struct docker_ref *ref)
{
	free(ref->registry);
	free(ref->repository);
	free(ref->tag);
	free(ref->digest);
	name_values_release(&ref->labels);
	*ref = (struct docker_ref)DOCKER_REF_INIT;
}

/* --- oci: ---------------------------------------------------------------- */

int oci_layout_ref_parse(const char *s, struct oci_layout_ref *ret,
			 struct error *err)
{
	static const char *const schemes[] = {"oci:", "oci-archive:"};
	cleanup_oci_layout_ref struct oci_layout_ref ref = OCI_LAYOUT_REF_INIT;
	cleanup_free char *copy = NULL;
	struct error why = ERROR_INIT;
	char *slash, *colon;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (!copy && strncmp(s, schemes[i], len) == 0)
			copy = xstrdup(s + len);
	}
	if (!copy)
		copy = xstrdup(s);
	if (take_labels(copy, &ref.labels, &why) < 0)
		return bad_ref(s, why.msg, err);
	slash = strrchr(copy, '/');
	colon = strchr(slash ? slash : copy, ':');
	if (colon) {
		*colon = '\0';
		if (!is_tag(colon + 1))
			return bad_ref(s, "the tag is invalid", err);
		ref.tag = xstrdup(colon + 1);
	}
	if (!*copy)
		return bad_ref(s, "it names no directory or file", err);
	ref.dir = TAKE_PTR(copy);
	*ret = ref;
	memset(&ref, 0, sizeof(ref));
	return 0;
}

void oci_layout_ref_release(struct oci_layout_ref *ref)
{
	free(ref->dir);
	free(ref->tag);
	name_values_release(&ref->labels);
	*ref = (struct oci_layout_ref)OCI_LAYOUT_REF_INIT;
}

/* --- docker-archive: ----------------------------------------------------- */

static int check_archived(const char *image, struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	int r;

	if (*image == '@')
		return image[1] && image[1 + strspn(image + 1, DIGITS)] == '\0'
			       ? 0
			       : error_set(err, EINVAL,
					   "behind the '@' is no number");
	r = docker_ref_parse(image, &ref, err);
	if (r == 0 && (ref.digest || ref.labels.n))
		r = error_set(err, EINVAL,
			      "an archive's images are named by NAME:TAG");
	return r;
}

int docker_archive_ref_parse(const char *s, struct docker_archive_ref *ret,
			     struct error *err)
{
	static const char scheme[] = "docker-archive:";
	const char *file = s + strlen(scheme);
	size_t len = strcspn(file, ":");
	const char *image = file[len] ? file + len + 1 : NULL;
	struct error why = ERROR_INIT;

	if (len == 0)
		return bad_ref(s, "it names no file", err);
	if (image && check_archived(image, &why) < 0)
		return bad_ref(s, why.msg, err);
	ret->file = xstrndup(file, len);
	ret->image = image ? xstrdup(image) : NULL;
	return 0;
}

void docker_archive_ref_release(struct docker_archive_ref *ref)
{
	free(ref->file);
	free(ref->image);
	*ref = (struct docker_archive_ref)DOCKER_ARCHIVE_REF_INIT;
}

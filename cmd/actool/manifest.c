/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/actool/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aci/layout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"

static void check_image(const char *buf, size_t len, const char *label);
static void check_pod(const char *buf, size_t len, const char *label);

static const struct kind {
	const char *name;
	int (*validate)(const char *buf, size_t len, struct problems *p);
	/* Warns of what is valid, but refused by `rkt run`. */
	void (*check)(const char *buf, size_t len, const char *label);
} kinds[] = {
	{"ImageManifest", image_manifest_validate, check_image},
	{"PodManifest", pod_manifest_validate, check_pod},
};

/* Without a known acKind a document is judged as an image manifest. */
static const struct kind *kind_of(const char *buf, size_t len)
{
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_free char *name = NULL;
	struct json_node root;

	if (json_doc_parse(&doc, buf, len, NULL, NULL) < 0)
		return &kinds[0];
	root = json_root(&doc);
	if (!json_want_object(&root))
		return &kinds[0];
	json_get_string(&root, "acKind", &name);
	return name && !strcmp(name, kinds[1].name) ? &kinds[1] : &kinds[0];
}

/* File names and manifests are outside text: not for the terminal as is. */
__attribute__((__format__(__printf__, 1, 2))) static void
print_line(const char *fmt, ...)
{
	struct error line = ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line.msg, sizeof(line.msg), fmt, ap);
	va_end(ap);
	error_sanitize(&line);
	log_error("%s", line.msg);
}

static void print_problem(const char *label, const struct problem *p)
{
	bool has_where = p->where && *p->where;

	print_line("%s: %s%s%s%s", label, has_where ? p->where : "",
		   has_where ? ": " : "", p->is_warning ? "warning: " : "",
		   p->text);
}

/* --- what rkt run refuses --------------------------------------------------
 */

static void warn_refused(const char *label, const char *where,
			 const struct error *err)
{
	print_line("%s: %s: warning: rkt run refuses this: %s", label, where,
		   err->msg);
}

static void check_app(const char *label, const char *where,
		      const struct app *app)
{
	struct error err = ERROR_INIT;

	if (app_check_runnable(app, &err) < 0)
		warn_refused(label, where, &err);
	for (size_t i = 0; i < app->isolators.n; i++) {
		cleanup_free char *at =
			xasprintf("%s.isolators[%zu]", where, i);

		if (isolator_check_names(&app->isolators.v[i], &err) < 0)
			warn_refused(label, at, &err);
	}
}

static void check_image(const char *buf, size_t len, const char *label)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;

	if (image_manifest_parse(buf, len, &im, NULL) == 0 && im.has_app)
		check_app(label, "app", &im.app);
}

/* Not what is missing: a pod manifest may be a template. */
static void check_pod(const char *buf, size_t len, const char *label)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	struct error err = ERROR_INIT;

	if (pod_manifest_parse(buf, len, &pm, NULL) < 0)
		return;
	for (size_t i = 0; i < pm.n_apps; i++) {
		cleanup_free char *at = xasprintf("apps[%zu].app", i);

		if (pm.apps[i].has_app)
			check_app(label, at, &pm.apps[i].app);
	}
	for (size_t i = 0; i < pm.n_volumes; i++) {
		cleanup_free char *at = xasprintf("volumes[%zu]", i);

		if (volume_check_usable(&pm.volumes[i], NULL, NULL, NULL,
					&err) < 0)
			warn_refused(label, at, &err);
	}
	for (size_t i = 0; i < pm.isolators.n; i++) {
		cleanup_free char *at = xasprintf("isolators[%zu]", i);

		if (isolator_check_usable(&pm.isolators.v[i], &err) < 0)
			warn_refused(label, at, &err);
	}
}

const char *manifest_report(const char *label, enum manifest_kind want,
			    const char *buf, size_t len)
{
	cleanup_problems struct problems problems = PROBLEMS_INIT;
	const struct kind *kind =
		want == MANIFEST_IMAGE ? &kinds[0] : kind_of(buf, len);
	int r = kind->validate(buf, len, &problems);

	for (size_t i = 0; i < problems.n; i++)
		print_problem(label, &problems.v[i]);
	if (r < 0)
		return NULL;
	kind->check(buf, len, label);
	return kind->name;
}

int layout_report(const char *path, struct aci_layout *ret, struct error *err)
{
	cleanup_fd int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_free char *label = NULL;
	int r;

	if (dirfd < 0)
		return error_sys(err, errno, "open layout %s", path);
	r = aci_layout_check(dirfd, &problems, err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	for (size_t i = 0; i < problems.n; i++)
		print_line("%s: %s", path, problems.v[i]);
	if (problems.n)
		return 1;

	r = aci_layout_open(dirfd, ret, err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	label = xasprintf("%s/%s", path, ACI_MANIFEST);
	return manifest_report(label, MANIFEST_IMAGE, ret->manifest,
			       ret->manifest_len)
		       ? 0
		       : 1;
}

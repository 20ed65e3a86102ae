/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/pod_manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/manifest_head.h"

#define KIND "PodManifest"

void pod_manifest_release(struct pod_manifest *pm)
{
	free(pm->ac_version);
	for (size_t i = 0; i < pm->n_apps; i++)
		runtime_app_release(&pm->apps[i]);
	free(pm->apps);
	for (size_t i = 0; i < pm->n_volumes; i++)
		volume_release(&pm->volumes[i]);
	free(pm->volumes);
	isolators_release(&pm->isolators);
	name_values_release(&pm->annotations);
	for (size_t i = 0; i < pm->n_ports; i++)
		exposed_port_release(&pm->ports[i]);
	free(pm->ports);
	name_values_release(&pm->user_annotations);
	name_values_release(&pm->user_labels);
	*pm = (struct pod_manifest)POD_MANIFEST_INIT;
}

struct runtime_app *pod_manifest_find_app(const struct pod_manifest *pm,
					  const char *name)
{
	for (size_t i = 0; i < pm->n_apps; i++)
		if (pm->apps[i].name && strcmp(pm->apps[i].name, name) == 0)
			return &pm->apps[i];
	return NULL;
}

const struct volume *pod_manifest_find_volume(const struct pod_manifest *pm,
					      const char *name)
{
	for (size_t i = 0; i < pm->n_volumes; i++)
		if (pm->volumes[i].name &&
		    strcmp(pm->volumes[i].name, name) == 0)
			return &pm->volumes[i];
	return NULL;
}

bool pod_manifest_is_mutable(const struct pod_manifest *pm)
{
	const char *value =
		name_values_get(&pm->annotations, MUTABLE_ANNOTATION);
	bool is_mutable = false;

	return value && parse_bool(value, &is_mutable) == 0 && is_mutable;
}

void pod_manifest_remove_app(struct pod_manifest *pm, const char *name)
{
	struct runtime_app *ra = pod_manifest_find_app(pm, name);
	size_t i = (size_t)(ra - pm->apps);

	runtime_app_release(ra);
	memmove(ra, ra + 1, (pm->n_apps - i - 1) * sizeof(*ra));
	pm->n_apps--;
}

struct runtime_app *pod_manifest_add_app(struct pod_manifest *pm)
{
	struct runtime_app *ra;

	pm->apps = xreallocarray(pm->apps, pm->n_apps + 1, sizeof(*pm->apps));
	ra = &pm->apps[pm->n_apps++];
	*ra = (struct runtime_app)RUNTIME_APP_INIT;
	return ra;
}

struct volume *pod_manifest_add_volume(struct pod_manifest *pm)
{
	struct volume *v;

	pm->volumes = xreallocarray(pm->volumes, pm->n_volumes + 1,
				    sizeof(*pm->volumes));
	v = &pm->volumes[pm->n_volumes++];
	*v = (struct volume){0};
	return v;
}

struct exposed_port *pod_manifest_add_port(struct pod_manifest *pm)
{
	struct exposed_port *p;

	pm->ports =
		xreallocarray(pm->ports, pm->n_ports + 1, sizeof(*pm->ports));
	p = &pm->ports[pm->n_ports++];
	*p = (struct exposed_port){0};
	return p;
}

/* --- reading ---------------------------------------------------------------
 */

static void read_app(const struct json_node *item, void *arg)
{
	runtime_app_read(item, pod_manifest_add_app(arg));
}

static void read_volume(const struct json_node *item, void *arg)
{
	volume_read(item, pod_manifest_add_volume(arg));
}

static void read_exposed_port(const struct json_node *item, void *arg)
{
	exposed_port_read(item, pod_manifest_add_port(arg));
}

static void check_unique(const struct json_node *object,
			 const struct pod_manifest *pm)
{
	size_t max = pm->n_apps > pm->n_volumes ? pm->n_apps : pm->n_volumes;
	const char **names cleanup_free = xcalloc(max + 1, sizeof(*names));
	const char *duplicate;
	size_t n = 0;

	for (size_t i = 0; i < pm->n_apps; i++)
		if (pm->apps[i].name)
			names[n++] = pm->apps[i].name;
	duplicate = names_find_duplicate(names, n);
	if (duplicate)
		json_problem(object, "app name \"%s\" is given twice",
			     duplicate);
	n = 0;
	for (size_t i = 0; i < pm->n_volumes; i++)
		if (pm->volumes[i].name)
			names[n++] = pm->volumes[i].name;
	duplicate = names_find_duplicate(names, n);
	if (duplicate)
		json_problem(object, "volume name \"%s\" is given twice",
			     duplicate);
}

/* What an annotation says of volumes: VOLUME_ANNOTATION. */
static void read_volume_options(const struct json_node *object,
				struct pod_manifest *pm)
{
	for (size_t i = 0; i < pm->n_volumes; i++) {
		struct volume *v = &pm->volumes[i];
		char *name cleanup_free =
			v->name ? xasprintf(VOLUME_ANNOTATION "%s", v->name)
				: NULL;
		const char *text =
			name ? name_values_get(&pm->annotations, name) : NULL;
		struct error err = ERROR_INIT;

		if (text && volume_parse_options(text, v, &err) < 0)
			json_problem(object, "annotation %s: %s", name,
				     err.msg);
	}
}

static void pod_manifest_read(const struct json_node *object,
			      struct pod_manifest *ret)
{
	struct json_node node;

	if (!json_want_object(object))
		return;
	manifest_read_kind(object, KIND);
	manifest_read_version(object, false, &ret->ac_version);
	json_for_each(object, "apps", read_app, ret);
	json_for_each(object, "volumes", read_volume, ret);
	check_unique(object, ret);
	if (json_member(object, "isolators", &node))
		isolators_read(&node, false, &ret->isolators);
	if (json_member(object, "annotations", &node))
		name_values_read(&node, NAME_VALUES_ANNOTATIONS,
				 &ret->annotations);
	read_volume_options(object, ret);
	json_for_each(object, "ports", read_exposed_port, ret);
	if (json_member(object, "userAnnotations", &node))
		name_values_read_map(&node, &ret->user_annotations);
	if (json_member(object, "userLabels", &node))
		name_values_read_map(&node, &ret->user_labels);
}

static int parse(const char *buf, size_t len, struct problems *problems,
		 struct pod_manifest *ret, struct error *err)
{
	struct json_doc doc cleanup_json_doc = {0};
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, problems, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	pod_manifest_read(&root, ret);
	return json_doc_result(&doc);
}

int pod_manifest_parse(const char *buf, size_t len, struct pod_manifest *ret,
		       struct error *err)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;
	int r = parse(buf, len, NULL, &pm, err);

	if (r < 0)
		return error_wrap(err, r, "pod manifest");
	*ret = pm;
	pm = (struct pod_manifest)POD_MANIFEST_INIT;
	return 0;
}

int pod_manifest_validate(const char *buf, size_t len,
			  struct problems *problems)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;

	return parse(buf, len, problems, &pm, NULL);
}

/* --- writing ---------------------------------------------------------------
 */

static void write_volumes(const struct pod_manifest *pm, struct json_writer *w)
{
	if (pm->n_volumes == 0)
		return;
	json_open_array(w, "volumes");
	for (size_t i = 0; i < pm->n_volumes; i++)
		volume_write(&pm->volumes[i], NULL, w);
	json_close_array(w);
}

static void write_ports(const struct pod_manifest *pm, struct json_writer *w)
{
	if (pm->n_ports == 0)
		return;
	json_open_array(w, "ports");
	for (size_t i = 0; i < pm->n_ports; i++)
		exposed_port_write(&pm->ports[i], w);
	json_close_array(w);
}

void pod_manifest_write(const struct pod_manifest *pm, enum json_style style,
			struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	json_open_object(&w, NULL);
	json_add_string_if(&w, "acVersion", pm->ac_version);
	json_add_string(&w, "acKind", KIND);
	json_open_array(&w, "apps");
	for (size_t i = 0; i < pm->n_apps; i++)
		runtime_app_add(&pm->apps[i], &w);
	json_close_array(&w);
	write_volumes(pm, &w);
	isolators_write(&pm->isolators, "isolators", &w);
	/* Always there: the metadata service serves it as it is written. */
	if (pm->annotations.n)
		name_values_write(&pm->annotations, "annotations", &w);
	else
		json_add_raw(&w, "annotations", "[]");
	write_ports(pm, &w);
	name_values_write_map(&pm->user_annotations, "userAnnotations", &w);
	name_values_write_map(&pm->user_labels, "userLabels", &w);
	json_close_object(&w);
}

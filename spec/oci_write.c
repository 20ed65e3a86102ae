/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/oci.h"

/* Ports of one range; more of them only the label tells. */
#define RANGE_MAX 1024

/* --- a configuration ----------------------------------------------------- */

/* Entrypoint and command as they were, if together they still are what is
 * executed. */
static void make_command(const struct image_manifest *im, struct oci_config *c)
{
	const char *entrypoint =
		name_values_get(&im->annotations, OCI_ANNOTATION "entrypoint");
	const char *cmd =
		name_values_get(&im->annotations, OCI_ANNOTATION "cmd");
	cleanup_strv struct strv both = STRV_INIT;
	cleanup_strv struct strv first = STRV_INIT;
	cleanup_strv struct strv second = STRV_INIT;

	if ((entrypoint && json_strv_parse(entrypoint, strlen(entrypoint),
					   &first, NULL) < 0) ||
	    (cmd && json_strv_parse(cmd, strlen(cmd), &second, NULL) < 0)) {
		strv_append(&c->entrypoint, &im->app.exec);
		return;
	}
	strv_append(&both, &first);
	strv_append(&both, &second);
	if (!strv_equal(&both, &im->app.exec)) {
		strv_append(&c->entrypoint, &im->app.exec);
		return;
	}
	strv_append(&c->entrypoint, &first);
	strv_append(&c->cmd, &second);
}

/* The group is left out where a reader would take the same (oci_image.c). */
static char *user_make(const struct app *app)
{
	uint32_t id;
	const char *usual = parse_id(app->user, &id) == 0 ? "0" : app->user;

	if (strcmp(app->group, usual) == 0)
		return xstrdup(app->user);
	return xasprintf("%s:%s", app->user, app->group);
}

static void make_ports(const struct app *app, struct strv *ret)
{
	for (size_t i = 0; i < app->n_ports; i++) {
		const struct port *p = &app->ports[i];

		for (uint32_t n = 0; n < p->count && n < RANGE_MAX; n++) {
			cleanup_free char *text =
				xasprintf("%u/%s", p->port + n, p->protocol);

			if (!strv_has(ret, text))
				strv_push(ret, text);
		}
	}
}

static void make_app(const struct image_manifest *im, struct oci_config *c)
{
	const struct app *app = &im->app;
	const char *signal =
		name_values_get(&im->annotations, OCI_ANNOTATION "stopsignal");

	make_command(im, c);
	c->user = user_make(app);
	if (app->working_directory)
		c->working_dir = xstrdup(app->working_directory);
	if (signal)
		c->stop_signal = xstrdup(signal);
	for (size_t i = 0; i < app->environment.n; i++)
		strv_pushf(&c->env, "%s=%s", app->environment.v[i].name,
			   app->environment.v[i].value);
	make_ports(app, &c->ports);
	for (size_t i = 0; i < app->n_mount_points; i++)
		if (!strv_has(&c->volumes, app->mount_points[i].path))
			strv_push(&c->volumes, app->mount_points[i].path);
}

static bool is_ours(const char *annotation)
{
	return strncmp(annotation, OCI_ANNOTATION, strlen(OCI_ANNOTATION)) == 0;
}

/* All that annotations say that has no place of its own. */
static void make_labels(const struct image_manifest *im, struct oci_config *c)
{
	for (size_t i = 0; i < im->annotations.n; i++) {
		const struct name_value *a = &im->annotations.v[i];

		if (strcmp(a->name, "created") == 0)
			c->created = xstrdup(a->value);
		else if (strcmp(a->name, "authors") == 0)
			c->author = xstrdup(a->value);
		else if (!is_ours(a->name))
			name_values_add(&c->labels, a->name, a->value);
	}
}

/* What of IM is still true of an image whose files are its layers. */
static void add_original(const struct image_manifest *im, struct oci_config *c)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct image_manifest original = *im;
	struct name_values annotations = NAME_VALUES_INIT;

	for (size_t i = 0; i < im->annotations.n; i++)
		if (!is_ours(im->annotations.v[i].name))
			name_values_add(&annotations, im->annotations.v[i].name,
					im->annotations.v[i].value);
	original.annotations = annotations;
	original.dependencies = NULL;
	original.n_dependencies = 0;
	original.path_whitelist = (struct strv)STRV_INIT;
	image_manifest_write(&original, JSON_COMPACT_STYLE, &text);
	name_values_release(&annotations);
	name_values_set(&c->labels, OCI_LABEL_ORIGINAL, text.buf);
}

int oci_config_make(const struct image_manifest *im, struct oci_config *ret,
		    struct error *err)
{
	const char *os = name_values_get(&im->labels, "os");
	const char *arch = name_values_get(&im->labels, "arch");
	struct oci_want platform;

	/* An image that does not say so is for any machine, which a
	 * configuration cannot be. */
	if (!oci_want_make(os ? os : labels_host_os(),
			   arch ? arch : labels_host_arch(), &platform))
		return error_set(err, ENOTSUP,
				 "OCI has no word for the architecture %s of "
				 "image %s",
				 arch ? arch : "of this machine", im->name);
	*ret = (struct oci_config)OCI_CONFIG_INIT;
	ret->os = xstrdup(platform.os);
	ret->arch = xstrdup(platform.arch);
	ret->variant = xstrdup(platform.variant);
	if (im->has_app)
		make_app(im, ret);
	make_labels(im, ret);
	add_original(im, ret);
	return 0;
}

/* --- and back ------------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The same in any order: writers in Go sort. */
static bool same_set(const struct strv *a, const struct strv *b)
{
	cleanup_strv struct strv x = STRV_INIT;
	cleanup_strv struct strv y = STRV_INIT;

	strv_append(&x, a);
	strv_append(&y, b);
	strv_sort(&x);
	strv_sort(&y);
	return strv_equal(&x, &y);
}

static void label_lines(const struct name_values *labels, struct strv *ret)
{
	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->v[i].name, OCI_LABEL_ORIGINAL) != 0)
			strv_pushf(ret, "%s=%s", labels->v[i].name,
				   labels->v[i].value);
}

static bool same_labels(const struct oci_config *a, const struct oci_config *b)
{
	cleanup_strv struct strv x = STRV_INIT;
	cleanup_strv struct strv y = STRV_INIT;

	label_lines(&a->labels, &x);
	label_lines(&b->labels, &y);
	return same_set(&x, &y);
}

/* However it is divided: appc has one list. */
static bool same_command(const struct oci_config *a, const struct oci_config *b)
{
	cleanup_strv struct strv x = STRV_INIT;
	cleanup_strv struct strv y = STRV_INIT;

	strv_append(&x, &a->entrypoint);
	strv_append(&x, &a->cmd);
	strv_append(&y, &b->entrypoint);
	strv_append(&y, &b->cmd);
	return strv_equal(&x, &y);
}

static bool same_config(const struct oci_config *a, const struct oci_config *b)
{
	return same_text(a->user, b->user) &&
	       same_text(a->working_dir, b->working_dir) &&
	       same_text(a->created, b->created) &&
	       same_text(a->author, b->author) && same_command(a, b) &&
	       strv_equal(&a->env, &b->env) && same_set(&a->ports, &b->ports) &&
	       same_set(&a->volumes, &b->volumes) && same_labels(a, b);
}

bool oci_config_original(const struct oci_config *config,
			 struct image_manifest *ret)
{
	const char *text = name_values_get(&config->labels, OCI_LABEL_ORIGINAL);
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_oci_config struct oci_config again = OCI_CONFIG_INIT;

	if (!text || image_manifest_parse(text, strlen(text), &im, NULL) < 0 ||
	    oci_config_make(&im, &again, NULL) < 0 ||
	    !same_config(config, &again))
		return false;
	*ret = im;
	im = (struct image_manifest)IMAGE_MANIFEST_INIT;
	return true;
}

/* --- as text ------------------------------------------------------------- */

static void write_set(struct json_writer *w, const char *key,
		      const struct strv *set)
{
	if (set->n == 0)
		return;
	json_open_object(w, key);
	for (size_t i = 0; i < set->n; i++) {
		json_open_object(w, set->v[i]);
		json_close_object(w);
	}
	json_close_object(w);
}

static void write_list(struct json_writer *w, const char *key,
		       const struct strv *list)
{
	if (list->n)
		json_add_strv(w, key, list);
}

static void write_app(struct json_writer *w, const struct oci_config *c)
{
	json_open_object(w, "config");
	json_add_string_if(w, "User", c->user);
	write_set(w, "ExposedPorts", &c->ports);
	write_list(w, "Env", &c->env);
	write_list(w, "Entrypoint", &c->entrypoint);
	write_list(w, "Cmd", &c->cmd);
	write_set(w, "Volumes", &c->volumes);
	json_add_string_if(w, "WorkingDir", c->working_dir);
	if (c->labels.n) {
		json_open_object(w, "Labels");
		for (size_t i = 0; i < c->labels.n; i++)
			json_add_string(w, c->labels.v[i].name,
					c->labels.v[i].value);
		json_close_object(w);
	}
	json_add_string_if(w, "StopSignal", c->stop_signal);
	json_close_object(w);
}

void oci_config_write(const struct oci_config *c, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string_if(&w, "created", c->created);
	json_add_string_if(&w, "author", c->author);
	json_add_string(&w, "architecture", c->arch);
	json_add_string_if(&w, "variant", c->variant);
	json_add_string(&w, "os", c->os);
	write_app(&w, c);
	json_open_object(&w, "rootfs");
	json_add_string(&w, "type", "layers");
	json_add_strv(&w, "diff_ids", &c->diff_ids);
	json_close_object(&w);
	json_close_object(&w);
}

static void write_descriptor(struct json_writer *w, const char *key,
			     const char *type, const struct oci_descriptor *d)
{
	json_open_object(w, key);
	json_add_string(w, "mediaType", type);
	json_add_string(w, "digest", d->digest);
	json_add_uint(w, "size", d->size);
	json_close_object(w);
}

void oci_manifest_write(const struct oci_manifest *m, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_uint(&w, "schemaVersion", 2);
	json_add_string(&w, "mediaType", OCI_TYPE_MANIFEST);
	write_descriptor(&w, "config",
			 "application/vnd.oci.image.config.v1+json",
			 &m->config);
	json_open_array(&w, "layers");
	for (size_t i = 0; i < m->n_layers; i++)
		write_descriptor(&w, NULL,
				 "application/vnd.oci.image.layer.v1.tar+gzip",
				 &m->layers[i]);
	json_close_array(&w);
	json_close_object(&w);
}

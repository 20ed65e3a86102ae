/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/docker_ref.h"
#include "spec/image_manifest.h"
#include "spec/json_write.h"
#include "spec/oci.h"
#include "spec/service.h"

#define AC_VERSION "0.8.11"
#define ANNOTATION OCI_ANNOTATION

bool oci_is_layer_name(const char *name)
{
	return strncmp(name, OCI_LAYER_PREFIX, strlen(OCI_LAYER_PREFIX)) == 0;
}

void oci_layer_manifest_make(const uint8_t diff_id[32], char **ret_name,
			     char **ret_manifest)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	struct strbuf text = STRBUF_INIT;
	char hex[2 * 32 + 1];

	format_hex(diff_id, 32, hex);
	im.ac_version = xstrdup(AC_VERSION);
	im.name = xasprintf(OCI_LAYER_PREFIX "%s", hex);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &text);
	*ret_name = TAKE_PTR(im.name);
	*ret_manifest = strbuf_detach(&text);
}

/* --- the app ------------------------------------------------------------- */

/*
 * USER[:GROUP].  Without a group docker takes the user's own: that of a name
 * is mostly called so, and stage1 looks it up if it is not (stage1/ids.h).
 */
static void add_user(struct app *app, const char *user)
{
	const char *colon = user ? strchr(user, ':') : NULL;
	size_t len = colon ? (size_t)(colon - user) : user ? strlen(user) : 0;
	uint32_t id;

	app->user = len ? xstrndup(user, len) : xstrdup("0");
	if (colon && colon[1])
		app->group = xstrdup(colon + 1);
	else
		app->group = xstrdup(parse_id(app->user, &id) == 0 ? "0"
								   : app->user);
}

static void add_env(struct app *app, const struct strv *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *value = strchr(env->v[i], '=');
		cleanup_free char *name = NULL;

		if (!value)
			continue;
		name = xstrndup(env->v[i], (size_t)(value - env->v[i]));
		if (environment_name_check(name, NULL) == 0)
			name_values_set(&app->environment, name, value + 1);
	}
}

static bool has_port(const struct app *app, const char *name)
{
	for (size_t i = 0; i < app->n_ports; i++)
		if (strcmp(app->ports[i].name, name) == 0)
			return true;
	return false;
}

/* "80", "80/tcp": the port "80-tcp". */
static void add_port(struct app *app, const char *text)
{
	const char *slash = strchr(text, '/');
	cleanup_free char *number =
		slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	const char *protocol = slash ? slash + 1 : "tcp";
	cleanup_free char *full = xasprintf("%s-%s", number, protocol);
	cleanup_free char *name = NULL;
	uint64_t port;

	if (parse_uint(number, UINT16_MAX, &port) < 0 || port == 0 ||
	    (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0) ||
	    acname_sanitize(full, &name, NULL) < 0 || has_port(app, name))
		return;
	app->ports = xreallocarray(app->ports, app->n_ports + 1,
				   sizeof(*app->ports));
	app->ports[app->n_ports++] = (struct port){
		.name = TAKE_PTR(name),
		.protocol = xstrdup(protocol),
		.port = (uint16_t)port,
		.count = 1,
	};
}

static bool has_mount_point(const struct app *app, const char *name)
{
	for (size_t i = 0; i < app->n_mount_points; i++)
		if (strcmp(app->mount_points[i].name, name) == 0)
			return true;
	return false;
}

/* "/var/lib/x": the mount point "volume-var-lib-x". */
static void add_mount_point(struct app *app, const char *path)
{
	cleanup_free char *name = NULL;
	cleanup_free char *full = NULL;

	if (path[0] != '/' || acname_sanitize(path, &name, NULL) < 0)
		return;
	full = xasprintf("volume-%s", name);
	/* Two paths that differ in what no name can hold. */
	for (unsigned int i = 2; has_mount_point(app, full); i++) {
		free(full);
		full = xasprintf("volume-%s-%u", name, i);
	}
	app->mount_points =
		xreallocarray(app->mount_points, app->n_mount_points + 1,
			      sizeof(*app->mount_points));
	app->mount_points[app->n_mount_points++] = (struct mount_point){
		.name = TAKE_PTR(full),
		.path = xstrdup(path),
	};
}

static void add_app(struct image_manifest *im, const struct oci_config *config)
{
	struct app *app = &im->app;

	im->has_app = true;
	strv_append(&app->exec, &config->entrypoint);
	strv_append(&app->exec, &config->cmd);
	add_user(app, config->user);
	if (config->working_dir && config->working_dir[0] == '/')
		app->working_directory = xstrdup(config->working_dir);
	add_env(app, &config->env);
	for (size_t i = 0; i < config->ports.n; i++)
		add_port(app, config->ports.v[i]);
	for (size_t i = 0; i < config->volumes.n; i++)
		add_mount_point(app, config->volumes.v[i]);
}

/* --- labels and annotations ---------------------------------------------- */

/* The appc name of Go's architecture; NULL if it has none. */
static const char *appc_arch(const struct oci_config *config)
{
	static const struct {
		const char *arch, *variant, *appc; /* variant NULL: any */
	} rows[] = {
		{"amd64", NULL, "amd64"},     {"386", NULL, "i386"},
		{"arm64", NULL, "aarch64"},   {"arm", "v6", "armv6l"},
		{"arm", NULL, "armv7l"},      {"ppc64", NULL, "ppc64"},
		{"ppc64le", NULL, "ppc64le"}, {"s390x", NULL, "s390x"},
	};
	const char *variant = config->variant ? config->variant : "";

	for (size_t i = 0; config->arch && i < sizeof(rows) / sizeof(*rows);
	     i++)
		if (strcmp(rows[i].arch, config->arch) == 0 &&
		    (!rows[i].variant || strcmp(rows[i].variant, variant) == 0))
			return rows[i].appc;
	return NULL;
}

static void add_labels(struct image_manifest *im,
		       const struct oci_config *config,
		       const struct oci_origin *origin)
{
	const char *arch = appc_arch(config);
	const char *os = config->os && *config->os ? config->os : "linux";

	if (*origin->tag)
		name_values_set(&im->labels, "version", origin->tag);
	if (labels_check_os_arch(os, arch, NULL) < 0)
		return;
	name_values_set(&im->labels, "os", os);
	if (arch)
		name_values_set(&im->labels, "arch", arch);
}

static void annotate(struct image_manifest *im, const char *name,
		     const char *value)
{
	if (value && *value)
		name_values_set(&im->annotations, name, value);
}

static void annotate_command(struct image_manifest *im, const char *name,
			     const struct strv *command)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (command->n == 0)
		return;
	json_strv_write(command, &text);
	annotate(im, name, text.buf);
}

/* Labels that have a legal name and do not say what others say already. */
static void annotate_label(struct image_manifest *im,
			   const struct name_value *label)
{
	if (acidentifier_check(label->name, NULL) < 0 ||
	    strcmp(label->name, OCI_LABEL_ORIGINAL) == 0 ||
	    name_values_get(&im->annotations, label->name) ||
	    (strcmp(label->name, "created") == 0 &&
	     date_check(label->value, NULL) < 0) ||
	    ((strcmp(label->name, "homepage") == 0 ||
	      strcmp(label->name, "documentation") == 0) &&
	     url_check(label->value, NULL) < 0))
		return;
	annotate(im, label->name, label->value);
}

static void add_annotations(struct image_manifest *im,
			    const struct oci_config *config,
			    const struct oci_origin *origin)
{
	if (config->created && date_check(config->created, NULL) == 0)
		annotate(im, "created", config->created);
	annotate(im, "authors", config->author);
	annotate(im, ANNOTATION "registryurl", origin->registry);
	annotate(im, ANNOTATION "repository", origin->repository);
	annotate(im, ANNOTATION "tag", origin->tag);
	annotate(im, ANNOTATION "imageid", origin->config_digest);
	annotate(im, ANNOTATION "manifesthash", origin->manifest_digest);
	annotate(im, ANNOTATION "manifest", origin->manifest_text);
	annotate(im, ANNOTATION "config", origin->config_text);
	annotate_command(im, ANNOTATION "entrypoint", &config->entrypoint);
	annotate_command(im, ANNOTATION "cmd", &config->cmd);
	annotate(im, DOCKER_STOP_SIGNAL_ANNOTATION, config->stop_signal);
	for (size_t i = 0; i < config->labels.n; i++)
		annotate_label(im, &config->labels.v[i]);
}

/* The app and the annotations of an image that was an appc image once. */
static bool take_original(struct image_manifest *im,
			  const struct oci_config *config)
{
	cleanup_image_manifest struct image_manifest original =
		IMAGE_MANIFEST_INIT;

	if (!oci_config_original(config, &original))
		return false;
	im->has_app = original.has_app;
	im->app = original.app;
	original.app = (struct app){0};
	im->annotations = original.annotations;
	original.annotations = (struct name_values)NAME_VALUES_INIT;
	return true;
}

/* --- layers -------------------------------------------------------------- */

static int add_layers(struct image_manifest *im, const struct strv *layers,
		      struct error *err)
{
	size_t n = layers->n / 3;

	im->dependencies = xcalloc(n + 1, sizeof(*im->dependencies));
	for (size_t i = 0; i < n; i++) {
		struct dependency *dep = &im->dependencies[i];

		dep->image_name = xstrdup(layers->v[3 * i]);
		dep->image_id = xstrdup(layers->v[3 * i + 1]);
		im->n_dependencies++;
		if (parse_uint(layers->v[3 * i + 2], INT64_MAX, &dep->size) < 0)
			return error_set(err, EINVAL,
					 "a layer's size is no number");
	}
	return 0;
}

int oci_image_make(const struct oci_config *config,
		   const struct oci_origin *origin, struct image_manifest *ret,
		   struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r = acidentifier_sanitize(origin->name, &im.name, err);

	if (r < 0)
		return r;
	im.ac_version = xstrdup(AC_VERSION);
	add_labels(&im, config, origin);
	if (!take_original(&im, config))
		add_app(&im, config);
	add_annotations(&im, config, origin);
	r = add_layers(&im, origin->layers, err);
	if (r < 0)
		return r;
	*ret = im;
	im = (struct image_manifest)IMAGE_MANIFEST_INIT;
	return 0;
}

/* --- and back ------------------------------------------------------------ */

bool oci_image_ref(const struct image_manifest *im, struct docker_ref *ret)
{
	const struct name_values *a = &im->annotations;
	const char *registry = name_values_get(a, ANNOTATION "registryurl");
	const char *repository = name_values_get(a, ANNOTATION "repository");
	const char *tag = name_values_get(a, ANNOTATION "tag");
	const char *digest = name_values_get(a, ANNOTATION "manifesthash");
	const char *arch = name_values_get(&im->labels, "arch");
	const char *host = labels_host_arch();
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	/* docker2aci's images have those annotations, but no such layers. */
	if (!registry || !repository || (!tag && !digest) ||
	    im->n_dependencies == 0 ||
	    !oci_is_layer_name(im->dependencies[0].image_name))
		return false;
	strbuf_addf(&text, "docker://%s/%s%s%s", registry, repository,
		    tag ? ":" : "@", tag ? tag : digest);
	if (arch && host && strcmp(arch, host) != 0)
		strbuf_addf(&text, ",arch=%s", arch);
	return docker_ref_parse(text.buf, ret, NULL) == 0;
}

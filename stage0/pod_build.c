/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_build.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acname.h"
#include "spec/image_manifest.h"
#include "spec/name_value.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/pod_request.h"

static int check_host(const struct image_manifest *image, struct error *err)
{
	const char *os = name_values_get(&image->labels, "os");
	const char *arch = name_values_get(&image->labels, "arch");
	const char *host_arch = labels_host_arch();

	if (!os)
		return error_set(err, EINVAL,
				 "missing os label in the image manifest");
	if (!arch)
		return error_set(err, EINVAL,
				 "missing arch label in the image manifest");
	if (strcmp(os, labels_host_os()) != 0)
		return error_set(err, EINVAL, "bad os \"%s\"", os);
	if (!host_arch || strcmp(arch, host_arch) != 0)
		return error_set(err, EINVAL, "bad arch \"%s\"", arch);
	return 0;
}

int pod_image_check_host(const struct image_manifest *image, struct error *err)
{
	int r = check_host(image, err);

	return r < 0 ? error_prefix(err, r, "image %s", image->name) : 0;
}

/* --- mount points ----------------------------------------------------------
 */

static bool has_mount(const struct runtime_app *ra, const char *path)
{
	for (size_t i = 0; i < ra->n_mounts; i++)
		if (path_equal(ra->mounts[i].path, path))
			return true;
	return false;
}

static void add_mount(struct runtime_app *ra, const char *volume,
		      const char *path)
{
	ra->mounts = xreallocarray(ra->mounts, ra->n_mounts + 1,
				   sizeof(*ra->mounts));
	ra->mounts[ra->n_mounts++] = (struct mount){
		.volume = xstrdup(volume),
		.path = xstrdup(path),
	};
}

static void add_empty_volume(struct pod_manifest *pm, const char *name)
{
	pm->volumes = xreallocarray(pm->volumes, pm->n_volumes + 1,
				    sizeof(*pm->volumes));
	pm->volumes[pm->n_volumes++] = (struct volume){
		.name = xstrdup(name),
		.kind = VOLUME_EMPTY,
		.mode = xstrdup(VOLUME_DEFAULT_MODE),
	};
}

/* A private volume; nobody else's mount can name it by chance, because the
 * names of apps are unique. */
/* The name of the volume nobody asked for: also how an update finds it. */
static char *implicit_name(const struct runtime_app *ra,
			   const struct mount_point *mp)
{
	return xasprintf("%s-%s", ra->name, mp->name);
}

static void add_implicit(struct runtime_app *ra, struct pod_manifest *pm,
			 const struct mount_point *mp, const char *name,
			 struct strv *warnings)
{
	add_empty_volume(pm, name);
	add_mount(ra, name, mp->path);
	strv_pushf(warnings,
		   "no volume specified for mount point \"%s\", implicitly "
		   "creating an \"empty\" volume. This volume will be removed "
		   "when the pod is garbage-collected.",
		   mp->name);
}

static int satisfy(struct runtime_app *ra, struct pod_manifest *pm,
		   const struct mount_point *mp, bool may_add,
		   struct strv *warnings, struct error *err)
{
	cleanup_free char *implicit = NULL;

	if (!mp->name || !mp->path)
		return error_set(err, EINVAL,
				 "mount point without name or path");
	if (has_mount(ra, mp->path))
		return 0;
	if (pod_manifest_find_volume(pm, mp->name)) {
		add_mount(ra, mp->name, mp->path);
		return 0;
	}
	implicit = implicit_name(ra, mp);
	if (pod_manifest_find_volume(pm, implicit)) {
		add_mount(ra, implicit, mp->path);
		return 0;
	}
	if (!may_add)
		return error_set(err, ENOENT,
				 "the pod has no volume for mount point "
				 "\"%s\" (%s)",
				 mp->name, mp->path);
	add_implicit(ra, pm, mp, implicit, warnings);
	return 0;
}

static int reify(struct runtime_app *ra, struct pod_manifest *pm, bool may_add,
		 struct strv *warnings, struct error *err)
{
	for (size_t i = 0; i < ra->n_mounts; i++) {
		const struct mount *m = &ra->mounts[i];

		if (!m->path || (!m->volume && !m->has_app_volume))
			return error_set(err, EINVAL,
					 "mount without volume or path");
		if (!m->has_app_volume &&
		    !pod_manifest_find_volume(pm, m->volume))
			return error_set(err, EINVAL,
					 "dangling mount point \"%s\": volume "
					 "\"%s\" not found",
					 m->path, m->volume);
	}
	for (size_t i = 0; i < ra->app.n_mount_points; i++) {
		int r = satisfy(ra, pm, &ra->app.mount_points[i], may_add,
				warnings, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int pod_app_reify(struct runtime_app *ra, struct pod_manifest *pm, bool may_add,
		  struct strv *warnings, struct error *err)
{
	int r = reify(ra, pm, may_add, warnings, err);

	return r < 0 ? error_prefix(err, r, "app %s", ra->name) : 0;
}

/* --- ports -----------------------------------------------------------------
 */

static const struct port *find_port(const struct runtime_app *ra,
				    const char *name)
{
	for (size_t i = 0; i < ra->app.n_ports; i++)
		if (ra->app.ports[i].name &&
		    strcmp(ra->app.ports[i].name, name) == 0)
			return &ra->app.ports[i];
	return NULL;
}

static int check_port(const struct pod_manifest *pm,
		      const struct exposed_port *port, struct error *err)
{
	size_t found = port->has_pod_port;

	for (size_t i = 0; i < pm->n_apps && !port->has_pod_port; i++)
		found += find_port(&pm->apps[i], port->name) != NULL;
	if (found == 0 && port->name[strspn(port->name, "0123456789")] == '\0')
		return error_set(err, EINVAL,
				 "port name \"%s\" could not be found in any "
				 "apps (a port by its number is "
				 "\"%s:%" PRIu32 "/tcp\")",
				 port->name, port->name, port->host_port);
	if (found == 0)
		return error_set(err, EINVAL,
				 "port name \"%s\" could not be found in any "
				 "apps",
				 port->name);
	if (found > 1)
		return error_set(err, EINVAL,
				 "ambiguous port name: \"%s\" is in %zu apps",
				 port->name, found);
	return 0;
}

/* What check_port() has found to be one. */
static const struct port *port_of(const struct pod_manifest *pm,
				  const struct exposed_port *exposed)
{
	const struct port *port =
		exposed->has_pod_port ? &exposed->pod_port : NULL;

	for (size_t i = 0; i < pm->n_apps && !port; i++)
		port = find_port(&pm->apps[i], exposed->name);
	return port;
}

static bool is_any_address(const char *ip)
{
	return !ip || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

/* The host has each port of an address once. */
static int check_host_port(const struct pod_manifest *pm, size_t n,
			   struct error *err)
{
	const struct exposed_port *b = &pm->ports[n];
	const struct port *to = port_of(pm, b);

	for (size_t i = 0; i < n; i++) {
		const struct exposed_port *a = &pm->ports[i];
		const struct port *taken = port_of(pm, a);

		if (a->host_port == b->host_port && taken->protocol &&
		    to->protocol &&
		    strcmp(taken->protocol, to->protocol) == 0 &&
		    (is_any_address(a->host_ip) || is_any_address(b->host_ip) ||
		     strcmp(a->host_ip, b->host_ip) == 0))
			return error_set(err, EINVAL,
					 "port %s-%s:%u already mapped to pod "
					 "port %u",
					 to->protocol,
					 b->host_ip ? b->host_ip : "0.0.0.0",
					 (unsigned int)b->host_port,
					 (unsigned int)taken->port);
	}
	return 0;
}

int pod_ports_check(const struct pod_manifest *pm, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pm->n_ports && r == 0; i++) {
		r = check_port(pm, &pm->ports[i], err);
		if (r == 0)
			r = check_host_port(pm, i, err);
	}
	return r;
}

/* --- manifest --------------------------------------------------------------
 */

static void annotate_volume(const struct volume *v, struct pod_manifest *pm)
{
	cleanup_free char *name = xasprintf(VOLUME_ANNOTATION "%s", v->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (!v->in_memory)
		return;
	volume_format_options(v, &text);
	name_values_add(&pm->annotations, name, text.buf);
}

static void annotate_secret(const struct secret *s, struct pod_manifest *pm)
{
	cleanup_free char *name = xasprintf(SECRET_ANNOTATION "%s", s->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	secret_format(s, &text);
	name_values_add(&pm->annotations, name, text.buf);
}

static void copy_pod_level(const struct pod_request *req,
			   struct pod_manifest *pm)
{
	pm->ac_version = xstrdup(RKT_APPC_VERSION);
	name_values_add(&pm->annotations, MUTABLE_ANNOTATION,
			req->is_mutable ? "true" : "false");
	pm->volumes = xcalloc(req->n_volumes + 1, sizeof(*pm->volumes));
	for (size_t i = 0; i < req->n_volumes; i++) {
		volume_copy(&pm->volumes[pm->n_volumes++], &req->volumes[i]);
		annotate_volume(&req->volumes[i], pm);
	}
	for (size_t i = 0; i < req->n_secrets; i++)
		annotate_secret(&req->secrets[i], pm);
	pm->ports = xcalloc(req->n_ports + 1, sizeof(*pm->ports));
	for (size_t i = 0; i < req->n_ports; i++)
		exposed_port_copy(&pm->ports[pm->n_ports++], &req->ports[i]);
}

/* HAS says of an app of that name that PM has already. */
static int add_app(struct pod_manifest *pm, const struct app_request *app,
		   const struct image_manifest *image, const char *id,
		   const char *has, struct error *err)
{
	struct runtime_app ra = RUNTIME_APP_INIT;
	int r = pod_image_check_host(image, err);

	if (r == 0)
		r = app_args_apply(image, &app->words, &ra, err);
	if (r < 0)
		return r;
	if (pod_manifest_find_app(pm, ra.name)) {
		r = error_set(err, EINVAL, "%s %s", has, ra.name);
		runtime_app_release(&ra);
		return r;
	}
	ra.image.id = xstrdup(id);
	*pod_manifest_add_app(pm) = ra;
	return 0;
}

/* An empty volume of an app alone is a directory of the pod, too. */
static int check_own_volumes(const struct runtime_app *ra,
			     const struct pod_manifest *pm, struct error *err)
{
	for (size_t i = 0; i < ra->n_mounts; i++) {
		const struct volume *v = &ra->mounts[i].app_volume;

		if (ra->mounts[i].has_app_volume && v->kind == VOLUME_EMPTY &&
		    pod_manifest_find_volume(pm, v->name))
			return error_set(err, EEXIST,
					 "the pod has a volume %s already: use "
					 "--mount=volume=%s,target=%s",
					 v->name, v->name, ra->mounts[i].path);
	}
	return 0;
}

int pod_manifest_extend(struct pod_manifest *pm, const struct app_request *app,
			const struct image_manifest *image, const char *id,
			struct strv *warnings, struct error *err)
{
	struct runtime_app *ra;
	int r = 0;

	if (pm->n_apps >= POD_APPS_MAX)
		return error_set(err, E2BIG, "a pod has at most %d apps",
				 POD_APPS_MAX);
	r = add_app(pm, app, image, id, "the pod has already an app", err);
	if (r < 0)
		return r;
	ra = &pm->apps[pm->n_apps - 1];
	r = check_own_volumes(ra, pm, err);
	if (r == 0)
		r = pod_app_reify(ra, pm, true, warnings, err);
	return r < 0 ? r : pod_manifest_check_runnable(pm, err);
}

static int make(const struct pod_request *req,
		const struct image_manifest *const *images,
		const char *const *ids, struct pod_manifest *pm,
		struct strv *warnings, struct error *err)
{
	int r = 0;

	copy_pod_level(req, pm);
	for (size_t i = 0; i < req->n_apps && r == 0; i++)
		r = add_app(pm, &req->apps[i], images[i], ids[i],
			    "error: multiple apps with name", err);
	for (size_t i = 0; i < pm->n_apps && r == 0; i++)
		r = pod_app_reify(&pm->apps[i], pm, true, warnings, err);
	return r == 0 ? pod_ports_check(pm, err) : r;
}

int pod_manifest_make(const struct pod_request *req,
		      const struct image_manifest *const *images,
		      const char *const *ids, struct pod_manifest *ret,
		      struct strv *warnings, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = make(req, images, ids, &pm, warnings, err);

	if (r == 0)
		r = pod_manifest_check_runnable(&pm, err);
	if (r < 0)
		return r;
	*ret = pm;
	pm = (struct pod_manifest)POD_MANIFEST_INIT;
	return 0;
}

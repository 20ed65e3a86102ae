/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "spec/image_id.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"

static int check_port(const struct port *p, struct error *err)
{
	if (!p->name)
		return error_set(err, EINVAL, "a port has no name");
	if (!p->protocol || !*p->protocol)
		return error_set(err, EINVAL, "port %s has no protocol",
				 p->name);
	return 0;
}

static int check_mount_point(const struct mount_point *mp, struct error *err)
{
	if (!mp->name)
		return error_set(err, EINVAL, "a mount point has no name");
	if (!mp->path || mp->path[0] != '/')
		return error_set(err, EINVAL,
				 "mount point %s has no absolute path",
				 mp->name);
	return 0;
}

static int check_gids(const struct app *app, struct error *err)
{
	for (size_t i = 0; i < app->n_supplementary_gids; i++) {
		int64_t gid = app->supplementary_gids[i];

		if (gid < 0 || gid >= UINT32_MAX)
			return error_set(err, EINVAL,
					 "supplementary group %" PRId64
					 " is out of range",
					 gid);
	}
	return 0;
}

static int check_isolators(const struct isolators *list, struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		int r = isolator_check_usable(&list->v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int app_check_runnable(const struct app *app, struct error *err)
{
	int r;

	for (size_t i = 0; i < app->n_ports; i++) {
		r = check_port(&app->ports[i], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < app->n_mount_points; i++) {
		r = check_mount_point(&app->mount_points[i], err);
		if (r < 0)
			return r;
	}
	r = check_gids(app, err);
	if (r < 0)
		return r;
	return check_isolators(&app->isolators, err);
}

static int check_mount(const struct pod_manifest *pm, const struct mount *m,
		       struct error *err)
{
	const struct volume *v;

	if (!m->path || m->path[0] != '/')
		return error_set(err, EINVAL, "a mount has no absolute path");
	if (m->has_app_volume) {
		int r = volume_check_usable(&m->app_volume, NULL, NULL, NULL,
					    err);

		return r < 0 ? r : mount_check_options(m, &m->app_volume, err);
	}
	if (!m->volume)
		return error_set(err, EINVAL, "mount at %s names no volume",
				 m->path);
	v = pod_manifest_find_volume(pm, m->volume);
	if (!v)
		return error_set(err, EINVAL,
				 "dangling mount point \"%s\": volume \"%s\" "
				 "not found",
				 m->path, m->volume);
	return mount_check_options(m, v, err);
}

static int check_app(const struct pod_manifest *pm,
		     const struct runtime_app *ra, struct error *err)
{
	struct image_id id;
	int r;

	if (!ra->image.id)
		return error_set(err, EINVAL, "has no image ID");
	r = image_id_parse(ra->image.id, &id, err);
	for (size_t i = 0; r == 0 && i < ra->n_mounts; i++)
		r = check_mount(pm, &ra->mounts[i], err);
	if (r == 0 && ra->has_app)
		r = app_check_runnable(&ra->app, err);
	return r;
}

static int check_apps(const struct pod_manifest *pm, struct error *err)
{
	if (pm->n_apps == 0 && !pod_manifest_is_mutable(pm))
		return error_set(err, EINVAL, "there is no app");
	if (pm->n_apps > POD_APPS_MAX)
		return error_set(err, EINVAL, "more than %d apps",
				 POD_APPS_MAX);
	for (size_t i = 0; i < pm->n_apps; i++) {
		int r;

		if (!pm->apps[i].name)
			return error_set(err, EINVAL, "app %zu has no name", i);
		if (strlen(pm->apps[i].name) > APP_NAME_MAX)
			return error_set(err, ENAMETOOLONG,
					 "the app name %.32s... is longer than "
					 "%d characters (choose one with "
					 "--name)",
					 pm->apps[i].name, APP_NAME_MAX);
		r = check_app(pm, &pm->apps[i], err);
		if (r < 0)
			return error_prefix(err, r, "app %s", pm->apps[i].name);
	}
	return 0;
}

static int check_volumes(const struct pod_manifest *pm, struct error *err)
{
	for (size_t i = 0; i < pm->n_volumes; i++) {
		int r = volume_check_usable(&pm->volumes[i], NULL, NULL, NULL,
					    err);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_same_port(const struct exposed_port *a,
			 const struct exposed_port *b)
{
	return strcmp(a->name, b->name) == 0 && a->host_port == b->host_port &&
	       strcmp(a->host_ip ? a->host_ip : "",
		      b->host_ip ? b->host_ip : "") == 0;
}

static int check_exposed_ports(const struct pod_manifest *pm, struct error *err)
{
	for (size_t i = 0; i < pm->n_ports; i++) {
		const struct exposed_port *p = &pm->ports[i];

		if (!p->name)
			return error_set(err, EINVAL,
					 "an exposed port has no name");
		if (p->host_port < 1 || p->host_port > 65535)
			return error_set(err, EINVAL,
					 "exposed port %s: host port %" PRIu32
					 " is not in 1..65535",
					 p->name, p->host_port);
		for (size_t k = 0; k < i; k++)
			if (is_same_port(p, &pm->ports[k]))
				return error_set(err, EINVAL,
						 "exposed port %s is given "
						 "twice",
						 p->name);
	}
	return 0;
}

int pod_manifest_check_runnable(const struct pod_manifest *pm,
				struct error *err)
{
	int r;

	if (!pm->ac_version)
		r = error_set(err, EINVAL, "acVersion is missing");
	else
		r = check_apps(pm, err);
	if (r == 0)
		r = check_volumes(pm, err);
	if (r == 0)
		r = check_exposed_ports(pm, err);
	if (r == 0)
		r = check_isolators(&pm->isolators, err);
	if (r < 0)
		return error_wrap(err, r, "pod manifest");
	return 0;
}

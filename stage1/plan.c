/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "spec/pod_manifest.h"
#include "spec/secret.h"
#include "stage1/caps.h"
#include "stage1/environment.h"

void app_plan_release(struct app_plan *plan)
{
	free(plan->name);
	strv_release(&plan->exec);
	strv_release(&plan->env);
	free(plan->working_directory);
	free(plan->user);
	free(plan->group);
	free(plan->gids);
	strv_release(&plan->pre_start);
	strv_release(&plan->post_stop);
	for (size_t i = 0; i < plan->n_mounts; i++) {
		free(plan->mounts[i].volume);
		free(plan->mounts[i].source);
		free(plan->mounts[i].sub_path);
		free(plan->mounts[i].target);
	}
	free(plan->mounts);
	strv_release(&plan->ignored);
	*plan = (struct app_plan)APP_PLAN_INIT;
}

/* --- volumes ---------------------------------------------------------------
 */

static int add_mount(struct app_plan *plan, const struct mount *from,
		     const struct volume *v, bool read_only, struct error *err)
{
	cleanup_free char *target = path_clean(from->path);
	struct app_mount *m;
	int r;

	if (!path_is_absolute(target) || strcmp(target, "/") == 0)
		return error_set(
			err, EINVAL,
			"mount volume %s: %s is no path inside the app",
			v->name, from->path);
	/* Nodes in a volume are dead, on purpose: nothing would work. */
	if (strcmp(target, "/dev") == 0)
		return error_set(err, EINVAL,
				 "mount volume %s: at /dev it would take the "
				 "app's devices away (it may lie below /dev)",
				 v->name);
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (strcmp(plan->mounts[i].target, target) == 0)
			return error_set(
				err, EINVAL,
				"volumes %s and %s are both mounted at %s",
				plan->mounts[i].volume, v->name, target);
	plan->mounts = xreallocarray(plan->mounts, plan->n_mounts + 1,
				     sizeof(*plan->mounts));
	m = &plan->mounts[plan->n_mounts];
	*m = (struct app_mount){
		.read_only = read_only,
		.propagation = from->propagation,
		.recursive = v->recursive != TRISTATE_FALSE,
		.in_memory = v->in_memory,
	};
	r = volume_check_usable(v, &m->mode, &m->uid, &m->gid, err);
	if (r < 0)
		return r;
	m->volume = xstrdup(v->name);
	m->source = v->kind == VOLUME_HOST ? xstrdup(v->source) : NULL;
	m->sub_path = from->sub_path ? xstrdup(from->sub_path) : NULL;
	m->target = TAKE_PTR(target);
	plan->n_mounts++;
	return 0;
}

static bool is_mounted_at(const struct app_plan *plan, const char *path)
{
	cleanup_free char *target = path_clean(path);

	for (size_t i = 0; i < plan->n_mounts; i++)
		if (strcmp(plan->mounts[i].target, target) == 0)
			return true;
	return false;
}

static int plan_secrets(const struct pod_manifest *pod, struct app_plan *plan,
			struct error *err)
{
	for (size_t i = 0; i < pod->annotations.n; i++) {
		cleanup_secret struct secret s = {0};
		int r = secret_read_annotation(&pod->annotations.v[i], &s, err);
		struct volume v = {
			.name = s.name,
			.kind = VOLUME_EMPTY,
			.mode = (char *)VOLUME_DEFAULT_MODE,
			.in_memory = true,
		};

		if (r > 0)
			r = add_mount(plan,
				      &(const struct mount){.path = s.target},
				      &v, true, err);
		else if (r == 0)
			continue;
		if (r < 0)
			return r;
		plan->mounts[plan->n_mounts - 1].is_secret = true;
	}
	return 0;
}

static int compare_target(const void *a, const void *b)
{
	const struct app_mount *x = a, *y = b;

	/* A parent is a prefix of its children, so it sorts first. */
	return strcmp(x->target, y->target);
}

static int plan_mounts(const struct pod_manifest *pod,
		       const struct runtime_app *ra, struct app_plan *plan,
		       struct error *err)
{
	const struct app *app = &ra->app;
	const struct volume *v;
	int r;

	for (size_t i = 0; i < ra->n_mounts; i++) {
		const struct mount *m = &ra->mounts[i];

		v = m->has_app_volume
			    ? &m->app_volume
			    : pod_manifest_find_volume(pod, m->volume);
		if (!v)
			return error_set(err, EINVAL,
					 "mount %s: the pod has no volume %s",
					 m->path, m->volume);
		r = add_mount(plan, m, v,
			      runtime_app_mounts_read_only(ra, m, v), err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < app->n_mount_points; i++) {
		const struct mount_point *mp = &app->mount_points[i];
		const struct mount m = {.path = mp->path};

		if (is_mounted_at(plan, mp->path))
			continue;
		v = pod_manifest_find_volume(pod, mp->name);
		if (!v)
			return error_set(err, EINVAL,
					 "no volume for mount point %s (%s)",
					 mp->name, mp->path);
		r = add_mount(plan, &m, v,
			      runtime_app_mounts_read_only(ra, &m, v), err);
		if (r < 0)
			return r;
	}
	r = plan_secrets(pod, plan, err);
	if (r < 0)
		return r;
	if (plan->n_mounts)
		qsort(plan->mounts, plan->n_mounts, sizeof(*plan->mounts),
		      compare_target);
	return 0;
}

/* --- isolators -------------------------------------------------------------
 */

static int limit_bytes(const struct isolator *isolator, uint64_t *ret,
		       struct error *err)
{
	int64_t value = 0;
	int r = isolator_check_usable(isolator, err);

	if (r < 0 || !isolator->u.resource.has_limit)
		return r;
	(void)quantity_value_ceil(&isolator->u.resource.limit, &value);
	*ret = (uint64_t)value;
	return 0;
}

static int limit_cpu(const struct isolator *isolator, uint64_t *ret,
		     struct error *err)
{
	int64_t millis = 0;
	int r = isolator_check_usable(isolator, err);

	if (r < 0 || !isolator->u.resource.has_limit)
		return r;
	(void)quantity_milli_ceil(&isolator->u.resource.limit, &millis);
	*ret = (uint64_t)millis;
	return 0;
}

/* Resource limits and what no isolator of this kernel can do. */
static int plan_limits(const struct isolators *list,
		       struct cgroup_limits *limits, struct strv *ignored,
		       struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		const struct isolator *isolator = &list->v[i];

		switch (isolator->kind) {
		case ISOLATOR_MEMORY:
			r = limit_bytes(isolator, &limits->memory_max, err);
			break;
		case ISOLATOR_CPU:
			r = limit_cpu(isolator, &limits->cpu_millis, err);
			break;
		case ISOLATOR_CPU_SHARES:
			limits->cpu_shares = (uint64_t)isolator->u.number;
			break;
		case ISOLATOR_UNKNOWN:
			strv_pushf(ignored, "%s: unknown isolator",
				   isolator->name);
			break;
		case ISOLATOR_BLOCK_BANDWIDTH:
		case ISOLATOR_BLOCK_IOPS:
		case ISOLATOR_NETWORK_BANDWIDTH:
			strv_pushf(ignored, "%s: rkt has no limiter for it",
				   isolator->name);
			break;
		case ISOLATOR_SELINUX_CONTEXT:
			strv_pushf(ignored,
				   "%s: SELinux is not active on this host",
				   isolator->name);
			break;
		case ISOLATOR_APPARMOR_PROFILE:
			/* ace.md: refuse if the profile is not loaded. */
			r = error_set(err, ENOTSUP,
				      "AppArmor profile %s is not loaded",
				      isolator->u.profile);
			break;
		default:
			break;
		}
	}
	return r;
}

static int plan_caps(const struct isolators *list, bool insecure,
		     struct app_plan *plan, struct error *err)
{
	const struct isolator *retain =
		isolators_find(list, ISOLATOR_CAPS_RETAIN_SET);
	const struct isolator *removed =
		isolators_find(list, ISOLATOR_CAPS_REMOVE_SET);
	const struct caps_request req = {
		.retain = retain ? &retain->u.caps : NULL,
		.remove = removed ? &removed->u.caps : NULL,
		.unrestricted = insecure,
	};

	return caps_make(&req, &plan->caps, err);
}

static void plan_seccomp(const struct isolators *list, bool insecure,
			 struct app_plan *plan)
{
	const struct isolator *retain =
		isolators_find(list, ISOLATOR_SECCOMP_RETAIN_SET);
	const struct isolator *removed =
		isolators_find(list, ISOLATOR_SECCOMP_REMOVE_SET);
	const struct isolator *set = retain ? retain : removed;

	plan->seccomp = (struct seccomp_request){
		.policy = SECCOMP_POLICY_DEFAULT,
		.caps = plan->caps,
		.notify_bind = true,
	};
	plan->is_filtered =
		!insecure &&
		!(retain && strv_has(&retain->u.seccomp.set, "@appc.io/all"));
	if (insecure) {
		plan->seccomp.policy = SECCOMP_POLICY_OFF;
	} else if (set) {
		plan->seccomp.policy =
			retain ? SECCOMP_POLICY_RETAIN : SECCOMP_POLICY_REMOVE;
		plan->seccomp.set = &set->u.seccomp.set;
		plan->seccomp.errno_name = set->u.seccomp.errno_name;
	}
}

static int plan_isolators(const struct isolators *list,
			  const struct plan_options *options,
			  struct app_plan *plan, struct error *err)
{
	const struct isolator *nnp =
		isolators_find(list, ISOLATOR_NO_NEW_PRIVILEGES);
	const struct isolator *oom =
		isolators_find(list, ISOLATOR_OOM_SCORE_ADJ);
	int r;

	r = plan_limits(list, &plan->limits, &plan->ignored, err);
	if (r < 0)
		return r;
	r = plan_caps(list, options->insecure_capabilities, plan, err);
	if (r < 0)
		return r;
	plan_seccomp(list, options->insecure_seccomp, plan);
	plan->no_new_privs = nnp && nnp->u.enabled;
	plan->has_oom_score_adj = oom != NULL;
	plan->oom_score_adj = oom ? (int)oom->u.number : 0;
	return 0;
}

/* --- the rest --------------------------------------------------------------
 */

static int plan_gids(const struct app *app, struct app_plan *plan,
		     struct error *err)
{
	plan->gids = xcalloc(app->n_supplementary_gids, sizeof(gid_t));
	for (size_t i = 0; i < app->n_supplementary_gids; i++) {
		int64_t gid = app->supplementary_gids[i];

		if (gid < 0 || gid >= UINT32_MAX)
			return error_set(err, EINVAL,
					 "supplementary gid %lld is no gid",
					 (long long)gid);
		plan->gids[plan->n_gids++] = (gid_t)gid;
	}
	return 0;
}

static void plan_handler(const struct app *app, const char *name,
			 struct strv *ret)
{
	const struct event_handler *handler = app_event_handler(app, name);

	if (handler)
		strv_append(ret, &handler->exec);
}

static void plan_environment(const struct app *app,
			     const struct plan_options *options,
			     struct app_plan *plan)
{
	cleanup_strv struct strv extra = STRV_INIT;
	const struct environment_request req = {
		.app = &app->environment,
		.app_name = plan->name,
		.metadata_url = options->metadata_url,
		.extra = &extra,
	};

	strv_push(&extra, "NOTIFY_SOCKET=" NOTIFY_SOCKET_PATH);
	environment_make(&req, &plan->env);
}

int app_plan_make(const struct pod_manifest *pod, const struct runtime_app *ra,
		  const struct plan_options *options, struct app_plan *ret,
		  struct error *err)
{
	const struct app *app = &ra->app;
	struct app_plan plan = APP_PLAN_INIT;
	int r;

	plan.name = xstrdup(ra->name);
	plan.working_directory =
		xstrdup(app->working_directory ? app->working_directory : "/");
	plan.user = xstrdup(app->user);
	plan.group = xstrdup(app->group);
	plan.read_only_rootfs = ra->read_only_rootfs;
	strv_append(&plan.exec, &app->exec);
	plan_handler(app, EVENT_PRE_START, &plan.pre_start);
	plan_handler(app, EVENT_POST_STOP, &plan.post_stop);
	plan_environment(app, options, &plan);
	if (plan.exec.n == 0)
		r = error_set(err, EINVAL,
			      "there is nothing to execute: the image names no "
			      "program (try --exec)");
	else if (!path_is_absolute(plan.working_directory))
		r = error_set(err, EINVAL,
			      "working directory %s is not absolute",
			      plan.working_directory);
	else
		r = plan_gids(app, &plan, err);
	if (r == 0)
		r = stdio_modes_make(&ra->annotations, plan.stdio, err);
	if (r == 0)
		r = plan_mounts(pod, ra, &plan, err);
	if (r == 0)
		r = plan_isolators(&app->isolators, options, &plan, err);
	if (r < 0) {
		app_plan_release(&plan);
		return r;
	}
	*ret = plan;
	return 0;
}

void sysctl_plan_make(const struct pod_manifest *pod, bool host_net,
		      struct strv *ret, struct strv *ignored)
{
	const struct isolator *isolator =
		isolators_find(&pod->isolators, ISOLATOR_SYSCTL);

	for (size_t i = 0; isolator && i < isolator->u.sysctl.n; i++) {
		const struct name_value *nv = &isolator->u.sysctl.v[i];
		char *path;

		/* Only what belongs to the pod's own network namespace; and
		 * ".." or "/" would leave that directory. */
		if (strncmp(nv->name, "net.", 4) != 0 || host_net ||
		    strchr(nv->name, '/') || strstr(nv->name, "..")) {
			strv_pushf(ignored, "%s: key %s is not the pod's own",
				   isolator->name, nv->name);
			continue;
		}
		path = xstrdup(nv->name);
		for (char *p = path; *p; p++)
			if (*p == '.')
				*p = '/';
		strv_pushf(ret, "%s=%s", path, nv->value);
		free(path);
	}
}

int pod_limits_make(const struct pod_manifest *pod, struct cgroup_limits *ret,
		    struct strv *ignored, struct error *err)
{
	return plan_limits(&pod->isolators, ret, ignored, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1-fly/app.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/stage1_abi.h"
#include "stage1/app_load.h"
#include "stage1/exec_lookup.h"
#include "stage1/ids.h"

void fly_app_release(struct fly_app *app)
{
	app_plan_release(&app->plan);
	runtime_app_release(&app->app);
	image_manifest_release(&app->image);
	pod_manifest_release(&app->manifest);
	fd_close(&app->generation);
}

static int load_manifest(struct fly_app *app, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct pod_manifest *pm = &app->manifest;
	int r = read_file_at(AT_FDCWD, POD_MANIFEST_FILE, MANIFEST_MAX, &text,
			     err);

	if (r == 0)
		r = pod_manifest_parse(text.buf, text.len, pm, err);
	if (r < 0)
		return error_prefix(err, r, "manifest of the pod");
	if (pm->n_apps != 1)
		return error_set(err, EOPNOTSUPP,
				 "the pod has %zu apps: stage1-fly runs one",
				 pm->n_apps);
	return pod_manifest_check_runnable(pm, err);
}

static int load_generation(struct fly_app *app, struct error *err)
{
	cleanup_free char *link =
		xasprintf(POD_APPSINFO_DIR "/%s", app->manifest.apps[0].name);
	int r;

	app->generation = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (app->generation < 0)
		return error_sys(err, errno, "open %s", link);
	r = app_load(app->generation, &app->image, &app->app, err);
	return r < 0 ? error_prefix(err, r, "load %s", link) : 0;
}

/* rkt: what is mounted below a volume comes along only if that is said. */
static void default_to_flat(struct volume *v)
{
	if (v->recursive == TRISTATE_UNSET)
		v->recursive = TRISTATE_FALSE;
}

/* Pod init has them, and there is none: what the host has there would be taken.
 */
static int refuse_memory(const struct app_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i].in_memory)
			return error_set(err, EOPNOTSUPP,
					 "volume %s is to be in memory: "
					 "stage1-fly has none there",
					 plan->mounts[i].volume);
	return 0;
}

static int make_plan(struct fly_app *app, struct error *err)
{
	const struct plan_options options = {.insecure_capabilities = true};
	int r;

	for (size_t i = 0; i < app->manifest.n_volumes; i++)
		default_to_flat(&app->manifest.volumes[i]);
	for (size_t i = 0; i < app->app.n_mounts; i++)
		if (app->app.mounts[i].has_app_volume)
			default_to_flat(&app->app.mounts[i].app_volume);
	r = app_plan_make(&app->manifest, &app->app, &options, &app->plan, err);
	/* There is nobody to listen. */
	if (r == 0)
		strv_env_unset(&app->plan.env, "NOTIFY_SOCKET");
	return r < 0 ? r : refuse_memory(&app->plan, err);
}

int fly_app_load(struct fly_app *ret, struct error *err)
{
	int r = load_manifest(ret, err);

	if (r == 0)
		r = load_generation(ret, err);
	return r < 0 ? r : make_plan(ret, err);
}

int fly_app_find_ids(const struct fly_app *app, int root, uid_t *ret_uid,
		     gid_t *ret_gid, struct error *err)
{
	const struct app_plan *plan = &app->plan;
	int r = ids_find_user(root, plan->user, ret_uid, err);

	return r < 0 ? r
		     : ids_find_user_group(root, plan->user, plan->group,
					   ret_gid, err);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int fly_execute(int root, const char *dir, const struct strv *argv,
		const struct strv *env, struct error *err)
{
	cleanup_fd int cwd = open_in_root(root, dir, O_PATH | O_DIRECTORY);
	char path[EXEC_PATH_MAX];
	int code, r;

	if (cwd < 0 || fchdir(cwd) < 0)
		return error_sys(err, cwd < 0 ? -cwd : errno,
				 "enter working directory %s", dir);
	r = exec_lookup(root, strv_env_get(env, "PATH"), dir, argv->v[0], path,
			err);
	if (r < 0)
		return r;
	reset_signals();
	(void)execve(path, argv->v, env->v);
	code = errno;
	return exec_diagnose(root, path, code, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/app_change.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/test_hooks.h"
#include "spec/stage1_abi.h"
#include "stage1/attach.h"
#include "stage1/control_record.h"
#include "stage1/generation.h"
#include "stage1/host_store.h"
#include "stage1/metadata.h"
#include "stage1/plan.h"
#include "stage1/pod.h"
#include "stage1/restart.h"
#include "stage1/supervise.h"
#include "stage1/update.h"

static const char *const doing[CONTROL_OP_MAX] = {
	[CONTROL_APP_START] = "started",
	[CONTROL_APP_STOP] = "stopped",
	[CONTROL_APP_REMOVE] = "removed",
};

/* --- answering -------------------------------------------------------------
 */

/* ERR NULL: it is done. */
static void answer(struct pod_app *app, const struct error *err)
{
	cleanup_fd int conn = TAKE_FD(app->wish.conn);

	app->wish.op = 0;
	if (conn < 0)
		return;
	control_reply(conn, err ? CONTROL_ERROR : CONTROL_DONE,
		      err ? RKT_EXIT_FAILURE : 0,
		      err ? error_innermost(err) : "");
}

/* --- adding ----------------------------------------------------------------
 */

static int load_next(const struct pod *pod, struct pod_manifest *ret,
		     struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(pod->dirfd, POD_ADD_FILE, MANIFEST_MAX, &text,
			     err);

	return r < 0 ? r : pod_manifest_parse(text.buf, text.len, ret, err);
}

static void drop_volumes(struct pod_manifest *pm, size_t n)
{
	while (pm->n_volumes > n)
		volume_release(&pm->volumes[--pm->n_volumes]);
}

/* The app NAME of NEXT, and its volumes, into the pod's manifest. */
static int merge(struct pod_manifest *pm, const struct pod_manifest *next,
		 const char *name, struct error *err)
{
	const struct runtime_app *ra = pod_manifest_find_app(next, name);

	if (!ra)
		return error_set(err, EINVAL, POD_ADD_FILE " has no app %s",
				 name);
	for (size_t i = 0; i < next->n_volumes; i++)
		if (!pod_manifest_find_volume(pm, next->volumes[i].name))
			volume_copy(pod_manifest_add_volume(pm),
				    &next->volumes[i]);
	runtime_app_copy(pod_manifest_add_app(pm), ra);
	return 0;
}

/* What could not be started is not added. */
static int check_plan(struct pod *pod, const char *name, struct error *err)
{
	const struct runtime_app *ra =
		pod_manifest_find_app(&pod->manifest, name);
	struct app_plan plan = APP_PLAN_INIT;
	int r = pod_manifest_check_runnable(&pod->manifest, err);

	if (r == 0 && users_are_private(&pod->users))
		r = user_range_check_app(&ra->app, err);
	if (r == 0)
		r = app_plan_make(&pod->manifest, ra, &pod->options.plan, &plan,
				  err);
	if (r < 0)
		return error_prefix(err, r, "app %s", name);
	app_plan_release(&plan);
	return 0;
}

static int add_app(struct pod *pod, const struct control_request *rec,
		   struct pod_app **ret, struct error *err)
{
	int r = pod_add_app(pod, rec->app, ret, err);

	if (r == 0 && (*ret)->committed != rec->generation)
		r = error_set(err, ESTALE, "app %s has another generation",
			      rec->app);
	if (r == 0)
		r = output_log_open(&(*ret)->log, &pod->output, rec->app, err);
	return r < 0 ? r : pod_save_manifest(pod, err);
}

static int add(struct pod *pod, const struct control_request *rec, int *tree,
	       struct error *err)
{
	cleanup_pod_manifest struct pod_manifest next = POD_MANIFEST_INIT;
	size_t n_volumes = pod->manifest.n_volumes;
	struct pod_app *app = NULL;
	int r = load_next(pod, &next, err);

	if (r == 0)
		r = merge(&pod->manifest, &next, rec->app, err);
	if (r < 0)
		return r;
	r = check_plan(pod, rec->app, err);
	if (r == 0)
		r = add_app(pod, rec, &app, err);
	if (r < 0) {
		if (app)
			pod_remove_app(pod, app);
		pod_manifest_remove_app(&pod->manifest, rec->app);
		drop_volumes(&pod->manifest, n_volumes);
		return r;
	}
	test_stop_at("stage1-app-added");
	assert(app);
	app->done = true;
	app->tree_fd = TAKE_FD(*tree);
	(void)unlinkat(pod->dirfd, POD_ADD_FILE, 0);
	metadata_update(pod);
	return 0;
}

/* --- removing --------------------------------------------------------------
 */

static int save_without(struct pod *pod, const char *name, struct error *err)
{
	struct pod_manifest *pm = &pod->manifest;
	struct runtime_app kept = RUNTIME_APP_INIT;
	int r;

	runtime_app_copy(&kept, pod_manifest_find_app(pm, name));
	pod_manifest_remove_app(pm, name);
	r = pod_save_manifest(pod, err);
	if (r < 0)
		*pod_manifest_add_app(pm) = kept;
	else
		runtime_app_release(&kept);
	return r;
}

/* Its files are removed by who asked for it. */
static void remove_app(struct pod_app *app)
{
	struct pod *pod = app->pod;
	struct error err = ERROR_INIT;

	if (save_without(pod, app->name, &err) < 0) {
		log_failure(&err, app->name);
		answer(app, &err);
		return;
	}
	test_stop_at("stage1-app-removed");
	pod_forget_ignored(pod, app->name);
	pod_save_ignored(pod);
	answer(app, NULL);
	attach_release(app);
	pod_remove_app(pod, app);
	metadata_update(pod);
}

/* --- the end of an app -----------------------------------------------------
 */

static void put_away(struct pod_app *app)
{
	struct host_store *store = &app->pod->host_store;
	struct generation *g = app->current;

	restart_forget(app);
	if (host_store_is_open(store)) {
		host_store_begin(store, HOST_STORE_PORTS, app->name);
		host_store_end(store);
	}
	app->current = NULL;
	if (!g)
		return;
	fd_close(&app->tree_fd);
	app->tree_fd = TAKE_FD(g->tree_fd);
	generation_free(g);
}

static void on_ended(struct pod_app *app)
{
	struct error err = ERROR_INIT;

	put_away(app);
	if (app->wish.op == CONTROL_APP_REMOVE && !app->pod->stopping) {
		remove_app(app);
		return;
	}
	if (app->wish.op == CONTROL_APP_STOP) {
		answer(app, NULL);
		return;
	}
	if (app->pod->stopping)
		(void)error_set(&err, ESRCH, "the pod is stopping");
	else
		(void)error_set(&err, ECHILD,
				"app %s ended with exit code %d before it ran",
				app->name, app->exit_code);
	answer(app, &err);
}

/* --- starting --------------------------------------------------------------
 */

static void on_failed(struct pod_app *app, const struct error *err)
{
	if (app->wish.op == CONTROL_APP_START)
		answer(app, err);
}

static void fail(struct pod_app *app, const struct error *err)
{
	log_failure(err, app->name);
	on_failed(app, err);
	pod_app_ended(app, RKT_EXIT_FAILURE);
}

static void on_held(struct generation *g)
{
	struct pod_app *app = g->app;
	struct error err = ERROR_INIT;
	int code;

	if (generation_release(g, &err) < 0) {
		fail(app, &err);
		return;
	}
	pod_app_begun(app);
	/* Then its end follows. */
	if (app_process_exec_failed(&g->main, &code)) {
		generation_diagnose(g, code, &err);
		answer(app, &err);
		return;
	}
	answer(app, NULL);
}

const struct app_change_ops app_change_ops = {
	.held = on_held,
	.failed = on_failed,
	.ended = on_ended,
};

/* What an earlier run of it said. */
static void clear_status(struct pod_app *app)
{
	static const char *const suffixes[] = {
		"",
		"-started",
		STATUS_NOTIFY_SUFFIX,
		STATUS_RESTARTS_SUFFIX,
		STATUS_HEALTH_SUFFIX,
	};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		cleanup_free char *name = xasprintf(POD_STATUS_DIR "/%s%s",
						    app->name, suffixes[i]);

		(void)unlinkat(app->pod->dirfd, name, 0);
	}
	app->has_notified = false;
}

/* Whether the pod's next start leaves it alone. */
static int mark_idle(struct pod_app *app, bool idle, struct error *err)
{
	cleanup_free char *name = xasprintf(POD_IDLE_DIR "/%s", app->name);
	int dir = app->pod->dirfd;

	if (!idle && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove %s", name);
	if (!idle)
		return 0;
	if (mkdirat(dir, POD_IDLE_DIR, 0750) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make " POD_IDLE_DIR);
	return write_new_file_at(dir, name, 0644, "", 0, err);
}

static void start(struct pod_app *app)
{
	struct error err = ERROR_INIT;
	int r = mark_idle(app, false, &err);
	int tree;

	if (r < 0 || !app->done) {
		answer(app, r < 0 ? &err : NULL);
		return;
	}
	clear_status(app);
	app->done = false;
	app->exit_code = 0;
	tree = fcntl(app->tree_fd, F_DUPFD_CLOEXEC, 0);
	r = generation_new(app, app->committed, tree < 0 ? -EBADF : tree,
			   pod_generation_ops(), &app->current, &err);
	if (r == 0)
		r = generation_start(app->current, &err);
	if (r < 0)
		fail(app, &err);
}

/* --- stopping --------------------------------------------------------------
 */

static void stop(struct pod_app *app)
{
	struct generation *g = app->current;

	if (!g) {
		/* It waits to be started again, by its policy. */
		fd_close(&app->tree_fd);
		app->tree_fd = restart_take_tree(app);
		pod_app_ended(app, app->exit_code);
		return;
	}
	restart_forget(app);
	generation_stop(g, g->service.stop_signal, STOP_TIMEOUT_MS);
}

/* --- requests --------------------------------------------------------------
 */

/* Its pre-start need not ever end. */
static bool gives_up_start(const struct pod_app *app,
			   const struct control_request *rec)
{
	return app->wish.op == CONTROL_APP_START &&
	       rec->op != CONTROL_APP_START;
}

static int check(const struct pod *pod, const struct pod_app *app,
		 const struct control_request *rec, struct error *err)
{
	bool adds = rec->op == CONTROL_APP_ADD;

	if (!pod->options.is_mutable)
		return error_set(err, EPERM, "immutable pod");
	if (pod->console)
		return error_set(err, ENOTSUP,
				 "an interactive pod has one app only");
	if (pod->update)
		return error_set(err, EBUSY,
				 "an update of the pod is under way (%s): it "
				 "has to be over first",
				 update_state_name(pod));
	if (adds && app)
		return error_set(err, EEXIST, "the pod has an app %s already",
				 rec->app);
	if (adds && pod->n_apps >= POD_APPS_MAX)
		return error_set(err, E2BIG, "a pod has at most %d apps",
				 POD_APPS_MAX);
	if (!adds && !app)
		return error_set(err, ENOENT, "the pod has no app %s",
				 rec->app);
	if (app && app->wish.op && !gives_up_start(app, rec))
		return error_set(err, EBUSY, "app %s is being %s", rec->app,
				 doing[app->wish.op]);
	return 0;
}

static void give_up_start(struct pod_app *app, uint32_t op)
{
	struct error err = ERROR_INIT;

	(void)error_set(&err, ECANCELED, "app %s is being %s", app->name,
			doing[op]);
	answer(app, &err);
}

/* It may be over at once, and the app gone. */
static void carry_out(struct pod_app *app, uint32_t op)
{
	struct error err = ERROR_INIT;

	if (op == CONTROL_APP_START) {
		start(app);
		return;
	}
	if (op == CONTROL_APP_STOP && mark_idle(app, true, &err) < 0)
		answer(app, &err);
	else if (!app->done)
		stop(app);
	else if (op == CONTROL_APP_REMOVE)
		remove_app(app);
	else
		answer(app, NULL);
}

int app_change(struct pod *pod, const struct control_request *rec, int *tree,
	       int conn, struct error *err)
{
	cleanup_fd int asker = conn;
	struct pod_app *app = pod_find_app(pod, rec->app);
	int r = check(pod, app, rec, err);

	if (r == 0 && rec->op == CONTROL_APP_ADD)
		r = add(pod, rec, tree, err);
	if (r < 0)
		return r;
	if (rec->op == CONTROL_APP_ADD) {
		control_reply(asker, CONTROL_DONE, 0, "");
		return 0;
	}
	if (app->wish.op)
		give_up_start(app, rec->op);
	app->wish = (struct app_wish){rec->op, TAKE_FD(asker)};
	carry_out(app, rec->op);
	return 0;
}

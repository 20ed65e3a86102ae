/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/pod_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/attach.h"
#include "stage1/console.h"
#include "stage1/control.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/generation_state.h"
#include "stage1/held.h"
#include "stage1/metadata.h"
#include "stage1/pod.h"
#include "stage1/restart.h"
#include "stage1/state.h"
#include "stage1/supervise.h"

#define CGROUP_FILE_MAX 65536

static const struct state_row pod_rows[] = {
	STATE_ROW(struct pod, run_args),
	STATE_FD_ROW(struct pod, dirfd),
	STATE_FD_ROW(struct pod, lockfd),
	STATE_FD_ROW_AS(struct pod, init.pidfd, "init"),
	STATE_ROW_AS(struct pod, init.pid, "init_pid"),
	STATE_OPTIONAL_FD_ROW_AS(struct pod, init.said, "init_said"),
	STATE_FD_ROW_AS(struct pod, users.ns, "users"),
	STATE_NULLABLE_ROW(struct pod, host_notify),
	STATE_ROW(struct pod, host_watchdog_us),
	STATE_ROW(struct pod, host_ping),
	STATE_NULLABLE_ROW(struct pod, files.resolv_conf),
	STATE_NULLABLE_ROW(struct pod, files.hosts),
	STATE_ROW(struct pod, has_network),
	STATE_ROW(struct pod, ignored),
	STATE_ROW(struct pod, ready),
	STATE_NESTED_ROW("cgroup"),
	STATE_NESTED_ROW("control"),
	STATE_NESTED_ROW("output"),
	STATE_NESTED_ROW("console"),
	STATE_NESTED_ROW("host_sockets"),
	STATE_NESTED_ROW("host_store"),
	STATE_NESTED_ROW("host_ports"),
	STATE_NESTED_ROW("machine"),
	STATE_NESTED_ROW("apps"),
};

static const struct state_row app_rows[] = {
	STATE_NESTED_ROW("name"),
	STATE_ROW(struct pod_app, done),
	STATE_ROW(struct pod_app, exit_code),
	STATE_ROW(struct pod_app, n_moved),
	STATE_ROW(struct pod_app, has_notified),
	STATE_ROW(struct pod_app, log.is_losing),
	STATE_NESTED_ROW("activation"),
	STATE_NESTED_ROW("attach"),
	STATE_NESTED_ROW("store"),
	STATE_NESTED_ROW("held"),
	STATE_NESTED_ROW("generation"),
	STATE_NESTED_ROW("restart"),
	STATE_NESTED_ROW("idle"),
};

/* Of an app of a mutable pod that does not run. */
static const struct state_row idle_rows[] = {
	STATE_FD_ROW(struct pod_app, tree_fd),
};

/* --- may it be now ---------------------------------------------------------
 */

static bool app_is_settled(const struct pod_app *app, struct error *err)
{
	if (!app->wish.op && (app->done || restart_is_paused(app)))
		return true;
	if (!app->wish.op && app->current)
		return generation_is_settled(app->current, err);
	(void)error_set(err, EBUSY, "app %s is starting or ending", app->name);
	return false;
}

bool pod_is_settled(const struct pod *pod, struct error *err)
{
	if (pod->stopping)
		(void)error_set(err, ESRCH, "the pod is stopping");
	else if (!pod->running || pod->options.ready_fd >= 0)
		(void)error_set(err, EBUSY, "the pod is starting");
	else if (pod->update)
		(void)error_set(err, EINPROGRESS,
				"an update of the pod is under way: it has to "
				"be over first");
	else if (!control_is_settled(pod))
		(void)error_set(err, EBUSY, "a request is half read");
	else {
		for (size_t i = 0; i < pod->n_apps; i++)
			if (!app_is_settled(pod->apps[i], err))
				return false;
		for (const struct generation *g = pod->generations; g;
		     g = g->next)
			if (!generation_is_settled(g, err))
				return false;
		return true;
	}
	return false;
}

void pod_rewind(struct pod *pod)
{
	for (size_t i = 0; i < pod->n_apps; i++)
		restart_rewind(pod->apps[i]);
}

/* --- saving ----------------------------------------------------------------
 */

static void save_app(const struct pod_app *app, struct state_writer *w)
{
	json_open_object(&w->json, NULL);
	json_add_string(&w->json, "name", app->name);
	STATE_WRITE(w, app_rows, app);
	activation_save(&app->activation, w, "activation");
	if (app->attach)
		attach_save(app->attach, w, "attach");
	if (app->store)
		fd_store_save(app->store, w, "store");
	held_save(app->held, app->n_held, w, "held");
	if (!app->done && app->current)
		generation_save(app->current, w, "generation");
	restart_save(app, w, "restart");
	if (app->done && app->tree_fd >= 0)
		STATE_WRITE_OBJECT(w, "idle", idle_rows, app);
	json_close_object(&w->json);
}

/* Whoever waited for the pod to be ready has gone. */
static void drop_ready_fd(const struct strv *args, struct strv *ret)
{
	static const char option[] = "--ready-fd=";

	for (size_t i = 0; i < args->n; i++)
		if (strncmp(args->v[i], option, strlen(option)) != 0)
			strv_push(ret, args->v[i]);
}

void pod_save(const struct pod *pod, struct state_writer *w)
{
	struct pod saved = *pod; /* borrows */

	saved.run_args = (struct strv)STRV_INIT;
	drop_ready_fd(&pod->run_args, &saved.run_args);
	STATE_WRITE(w, pod_rows, &saved);
	strv_release(&saved.run_args);
	cgroup_save(pod->cgroup, w, "cgroup");
	control_save(pod, w, "control");
	output_save(&pod->output, w, "output");
	if (pod->console)
		console_save(pod->console, w, "console");
	host_sockets_save(&pod->host_sockets, w, "host_sockets");
	if (host_store_is_open(&pod->host_store))
		host_store_save(&pod->host_store, w, "host_store");
	if (pod->host_ports.n)
		host_ports_save(&pod->host_ports, w, "host_ports");
	machine_save(&pod->machine, w, "machine");
	json_open_array(&w->json, "apps");
	for (size_t i = 0; i < pod->n_apps; i++)
		save_app(pod->apps[i], w);
	json_close_array(&w->json);
}

/* --- going on --------------------------------------------------------------
 */

static int read_cgroup_dirs(const struct pod *pod, struct strv *ret,
			    struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char *next, *line;
	int r = read_file_at(pod->dirfd, POD_CGROUP_FILE, CGROUP_FILE_MAX,
			     &text, err);

	if (r < 0)
		return r;
	next = text.buf;
	while ((line = strsep(&next, "\n")))
		if (*line)
			strv_push(ret, line);
	return 0;
}

/* `pod` is what rkt shows; the generation is what runs. */
static void renew_manifest(struct pod_app *app)
{
	struct runtime_app *ra =
		pod_manifest_find_app(&app->pod->manifest, app->name);

	if (!ra || !app->current)
		return;
	runtime_app_release(ra);
	runtime_app_copy(ra, &app->current->runtime_app);
}

static int restore_app_parts(const struct json_node *node, struct pod_app *app,
			     const struct strv *dirs, struct error *err)
{
	struct json_node part;
	int r = 0;

	if (json_member(node, "activation", &part))
		r = activation_restore(&part, &app->activation);
	if (r == 0 && json_member(node, "store", &part))
		r = fd_store_restore(&part, &app->pod->loop, &app->store, err);
	if (r == 0 && json_member(node, "held", &part))
		r = held_restore(&part, &app->held, &app->n_held);
	if (r == 0 && json_member(node, "generation", &part))
		r = generation_restore(&part, app, dirs, err);
	if (r == 0 && json_member(node, "restart", &part))
		r = restart_restore(app, pod_generation_ops(), &part, err);
	if (r == 0 && json_member(node, "attach", &part))
		r = attach_restore(&part, app, err);
	if (r == 0 && json_member(node, "idle", &part))
		r = STATE_READ(&part, idle_rows, app);
	return r;
}

static int restore_app(const struct json_node *node, struct pod *pod,
		       const struct strv *dirs, struct error *err)
{
	cleanup_free char *name = NULL;
	struct pod_app *app;
	struct error why = ERROR_INIT;
	int r;

	json_get_string(node, "name", &name);
	app = name ? pod_find_app(pod, name) : NULL;
	if (!app || app->log.app)
		return error_set(err, EINVAL, "the pod has no app %s, or twice",
				 name ? name : "");
	r = output_log_open(&app->log, &pod->output, app->name, err);
	if (r == 0)
		r = STATE_READ(node, app_rows, app);
	if (r == 0)
		r = restore_app_parts(node, app, dirs, err);
	if (r < 0)
		return r;
	renew_manifest(app);
	return app_is_settled(app, &why)
		       ? 0
		       : error_set(err, EINVAL, "%s", why.msg);
}

static int restore_apps(const struct json_node *node, struct pod *pod,
			const struct strv *dirs, struct error *err)
{
	struct json_node list, item;
	int r = 0;

	if (!json_member(node, "apps", &list) ||
	    json_n_items(&list) != pod->n_apps)
		return error_set(err, EINVAL, "these are not the pod's apps");
	for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++)
		r = restore_app(&item, pod, dirs, err);
	return r;
}

/* What is in the pod's directory and in this process. */
static int open_pod(struct pod *pod, struct error *err)
{
	int r = pod_take_options(pod, (int)pod->run_args.n, pod->run_args.v,
				 err);

	if (r == 0 && pod->options.debug)
		log_init("stage1", true);
	if (r == 0)
		r = event_loop_init(&pod->loop, err);
	if (r < 0)
		return r;
	pod->options.plan.metadata_url = metadata_url(pod->dirfd);
	pod->users.range = pod->options.private_users;
	pod->init.has_namespaces = true;
	pod->init.is_ready = true;
	pod->init.shares = pod_init_shares(net_list_kind(&pod->options.nets) ==
						   NET_KIND_HOST,
					   pod->options.host_ipc);
	pod->files.hostname = pod->hostname;
	pod->files.host_resolv_conf = pod->options.resolv_mode == DNS_HOST;
	pod->files.host_hosts = pod->options.hosts_mode == DNS_HOST;
	pod->seccomp_cache =
		open(SECCOMP_CACHE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return pod_load(pod, err);
}

static int restore_console(const struct json_node *node, struct pod *pod,
			   struct error *err)
{
	pod->console = xcalloc(1, sizeof(*pod->console));
	return supervise_console(pod, node, err);
}

static int restore_store(const struct json_node *node, struct pod *pod,
			 struct error *err)
{
	struct host_store *store = &pod->host_store;
	int r;

	*store = (struct host_store){.socket = pod->host_notify,
				     .uuid = pod->options.uuid};
	r = host_store_restore(node, store);
	if (r < 0)
		return r;
	r = host_store_set_netns(store, pod->init.pid);
	return r < 0 ? error_sys(err, -r, "look at the pod's network") : 0;
}

static int restore_parts(const struct json_node *node, struct pod *pod,
			 const struct strv *dirs, struct error *err)
{
	struct json_node part;
	int r = 0;

	if (json_member(node, "cgroup", &part))
		r = cgroup_restore(&part, pod->options.uuid, dirs, &pod->cgroup,
				   err);
	if (r == 0 && json_member(node, "control", &part))
		r = control_restore(pod, &part, err);
	if (r == 0 && json_member(node, "output", &part))
		r = output_restore(&part, &pod->output, &pod->loop, pod->dirfd,
				   pod->options.log, err);
	if (r == 0 && json_member(node, "console", &part))
		r = restore_console(&part, pod, err);
	if (r == 0 && json_member(node, "host_sockets", &part))
		r = host_sockets_restore(&part, &pod->host_sockets);
	if (r == 0 && json_member(node, "host_store", &part))
		r = restore_store(&part, pod, err);
	if (r == 0 && json_member(node, "host_ports", &part))
		r = host_ports_restore(&part, &pod->host_ports, &pod->loop);
	if (r == 0 && json_member(node, "machine", &part))
		r = machine_restore(&part, &pod->machine, &pod->loop);
	if (r == 0 &&
	    (!pod->cgroup || !pod->control || pod->output.logs_dirfd < 0))
		r = error_set(err, EINVAL, "a part of the pod is missing");
	return r;
}

int pod_restore(const struct json_node *node, struct pod *pod,
		struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	int r = STATE_READ(node, pod_rows, pod);

	if (r == 0)
		r = open_pod(pod, err);
	if (r == 0)
		r = read_cgroup_dirs(pod, &dirs, err);
	if (r == 0)
		r = restore_parts(node, pod, &dirs, err);
	if (r == 0)
		r = restore_apps(node, pod, &dirs, err);
	if (r == 0)
		output_resume(&pod->output);
	return r < 0 ? r : supervise_resume(pod, err);
}

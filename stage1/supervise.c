/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/attach.h"
#include "stage1/console.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/listeners.h"
#include "stage1/notify.h"
#include "stage1/notify_host.h"
#include "stage1/pod.h"
#include "stage1/restart.h"

/* --- status ----------------------------------------------------------------
 */

static void note_started(struct pod_app *app)
{
	cleanup_free char *name =
		xasprintf(POD_STATUS_DIR "/%s-started", app->name);
	struct error err = ERROR_INIT;

	if (write_new_file_at(app->pod->dirfd, name, 0644, "", 0, &err) < 0)
		log_failure(&err, NULL);
}

static void save_code(struct pod_app *app, const char *name, int exit_code)
{
	struct error err = ERROR_INIT;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", exit_code);
	if (write_string_at(app->pod->dirfd, name, 0644, text, &err) < 0)
		log_failure(&err, NULL);
}

static void save_status(struct pod_app *app, int exit_code)
{
	cleanup_free char *name = xasprintf(POD_STATUS_DIR "/%s", app->name);

	save_code(app, name, exit_code);
}

/* It ended the pod, which nobody asked for.  That is known of this generation
 * after the pod was started anew. */
static void save_failed(struct pod_app *app, int exit_code)
{
	cleanup_free char *name = xasprintf(
		POD_APPSINFO_DIR "/%s/" GENERATION_FAILED_FILE, app->name);

	save_code(app, name, exit_code);
}

/* --- stopping --------------------------------------------------------------
 */

static void let_go_when_held(struct pod *pod);

static void check_over(struct pod *pod)
{
	/* A mutable pod waits for other apps. */
	if (pod->options.is_mutable && !pod->stopping)
		return;
	for (size_t i = 0; i < pod->n_apps; i++)
		if (!pod->apps[i]->done)
			return;
	pod->loop.stop = true;
	/* It takes a while to die: the rest can be put away meanwhile. */
	pod_init_doom(&pod->init);
}

static void stop_apps(struct pod *pod)
{
	if (pod->stopping)
		return;
	pod->stopping = true;
	if (pod->on_stopping)
		pod->on_stopping(pod);
	notify_host_send(pod->host_notify, "STOPPING=1");
	for (size_t i = 0; i < pod->n_apps; i++) {
		struct pod_app *app = pod->apps[i];

		if (app->done)
			continue;
		restart_forget(app);
		if (app->current) {
			generation_stop(app->current,
					app->current->service.stop_signal,
					STOP_TIMEOUT_MS);
			continue;
		}
		app->done = true;
		attach_app_ended(app, app->exit_code);
		/* It was to be started again. */
		if (pod->running)
			save_status(app, app->exit_code);
	}
	check_over(pod);
}

void pod_stop(struct pod *pod)
{
	pod->asked_to_stop = true;
	stop_apps(pod);
}

void pod_app_ended(struct pod_app *app, int exit_code)
{
	struct pod *pod = app->pod;

	app->done = true;
	app->exit_code = exit_code;
	attach_app_ended(app, exit_code);
	/* An app that ends because it was told to has not failed. */
	if (exit_code != 0 && !pod->stopping && !pod->has_failed &&
	    !pod->options.is_mutable) {
		pod->has_failed = true;
		pod->exit_code = exit_code;
		save_failed(app, exit_code);
		stop_apps(pod);
	}
	check_over(pod);
	/* Nobody will ever serve who waits there. */
	activation_release(&app->activation);
	fd_store_free(app->store);
	app->store = NULL;
	save_status(app, exit_code);
	if (!pod->options.is_mutable)
		return;
	pod->changes->ended(app);
	let_go_when_held(pod);
}

static void on_escape(void *data)
{
	struct pod *pod = data;

	pod->has_failed = true;
	pod->exit_code = 1;
	stop_apps(pod);
}

/* --- callbacks -------------------------------------------------------------
 */

static void let_go(struct pod *pod);

/* The pod begins when every app that is to be started stands at its barrier. */
static void let_go_when_held(struct pod *pod)
{
	if (pod->running || pod->stopping)
		return;
	for (size_t i = 0; i < pod->n_apps; i++) {
		const struct pod_app *app = pod->apps[i];

		if (!app->done &&
		    (!app->current || app->current->state != GENERATION_HELD))
			return;
	}
	let_go(pod);
}

static void first_held(struct generation *g)
{
	struct pod *pod = g->app->pod;

	if (!pod->running)
		let_go_when_held(pod);
	else if (!g->app->restart)
		pod->changes->held(g);
	else
		restart_held(g);
}

static void first_failed(struct generation *g, const struct error *err)
{
	if (restart_failed(g, err))
		return;
	log_failure(err, NULL);
	g->app->pod->changes->failed(g->app, err);
	pod_app_ended(g->app, g->exit_code ? g->exit_code : RKT_EXIT_FAILURE);
}

/* If it is the last of the pod, pod init may go at the same time. */
static void first_ending(struct generation *g)
{
	const struct pod *pod = g->app->pod;

	if (pod->update || g->app->current != g || g->plan.post_stop.n ||
	    restart_possible(g->app) ||
	    (pod->options.is_mutable && !pod->stopping))
		return;
	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i] != g->app && !pod->apps[i]->done)
			return;
	pod_init_doom(&g->app->pod->init);
}

static void first_ended(struct generation *g)
{
	if (restart_ended(g))
		return;
	restart_forget(g->app);
	pod_app_ended(g->app, g->exit_code);
}

static const struct generation_ops first_ops = {
	.notify = listeners_on_notify,
	.held = first_held,
	.failed = first_failed,
	.ending = first_ending,
	.ended = first_ended,
};

const struct generation_ops *pod_generation_ops(void)
{
	return &first_ops;
}

static void on_signal(struct event_source *source, uint32_t events)
{
	struct pod *pod = source->data;
	struct signalfd_siginfo info;

	(void)events;
	if (read_full(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		if (pod->console)
			console_resize(pod->console);
		return;
	}
	pod_stop(pod);
}

/* Pod init is gone: so is everything in the pod. */
static void on_init_exit(struct event_source *source, uint32_t events)
{
	struct pod *pod = source->data;

	(void)events;
	event_remove(&pod->loop, source);
	source->fd = -EBADF;
	log_error("pod init died");
	pod->has_failed = true;
	pod->exit_code = RKT_EXIT_FAILURE;
	stop_apps(pod);
}

/* machinectl poweroff, and the like. */
static void on_init_said(struct event_source *source, uint32_t events)
{
	struct pod *pod = source->data;

	(void)events;
	if (pod_init_take_end(&pod->init))
		pod_stop(pod);
	else
		event_remove(&pod->loop, source);
}

/* --- starting --------------------------------------------------------------
 */

static int watch_signals(struct pod *pod, struct error *err)
{
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGWINCH);
	pod->signals = (struct event_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC),
		.fn = on_signal,
		.data = pod,
	};
	if (pod->signals.fd < 0)
		return error_sys(err, errno, "watch signals");
	r = event_add(&pod->loop, &pod->signals, EPOLLIN);
	return r < 0 ? error_sys(err, -r, "watch signals") : 0;
}

static int open_terminal(struct pod *pod, struct error *err)
{
	bool detached = pod->options.ready_fd >= 0;
	cleanup_fd int pts = -EBADF;
	int r;

	r = output_init(&pod->output, &pod->loop, pod->dirfd,
			detached ? -EBADF : STDOUT_FILENO, pod->options.log,
			err);
	if (r < 0 || !pod->options.interactive)
		return r;
	pod->console = xcalloc(1, sizeof(*pod->console));
	pts = pod_init_open_pts(&pod->init, err);
	return pts < 0 ? pts
		       : console_open(pod->console, pts, &pod->loop, on_escape,
				      pod, err);
}

/* Where it listened when the stage1 before this one was killed. */
static void adopt_listeners(struct pod_app *app)
{
	struct host_store *store = &app->pod->host_store;
	int fd;

	while ((fd = host_store_take_listener(store, app->name)) >= 0)
		listeners_adopt(app->current, fd);
}

static void keep_netns(struct pod *pod)
{
	cleanup_free char *path =
		xasprintf("/proc/%d/ns/net", (int)pod->init.pid);
	cleanup_fd int fd = -EBADF;

	if (!host_store_is_open(&pod->host_store) ||
	    net_list_kind(&pod->options.nets) == NET_KIND_HOST)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		host_store_keep_netns(&pod->host_store, fd);
}

static int adopt_all(struct pod *pod, struct error *err)
{
	int r;

	if (!host_store_is_open(&pod->host_store))
		return 0;
	r = pod_init_wait_namespaces(&pod->init, err);
	if (r < 0)
		return r;
	r = host_store_set_netns(&pod->host_store, pod->init.pid);
	if (r < 0)
		return error_sys(err, -r, "look at the pod's network");
	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i]->current)
			adopt_listeners(pod->apps[i]);
	return 0;
}

/* What one app of a mutable pod lacks is not the pod's end. */
static int start_failed(struct pod_app *app, int r, struct error *err)
{
	if (!app->pod->options.is_mutable)
		return r;
	log_failure(err, app->name);
	*err = (struct error)ERROR_INIT;
	pod_app_ended(app, RKT_EXIT_FAILURE);
	return 0;
}

static int make_first(struct pod_app *app, struct error *err)
{
	int r = output_log_open(&app->log, &app->pod->output, app->name, err);
	int tree = app->tree_fd;

	if (r < 0 || app->done)
		return r;
	if (app->pod->options.is_mutable && tree >= 0)
		tree = fcntl(tree, F_DUPFD_CLOEXEC, 0);
	else
		app->tree_fd = -EBADF;
	r = generation_new(app, app->committed, tree, &first_ops, &app->current,
			   err);
	return r < 0 ? start_failed(app, r, err) : 0;
}

static int begin_first(struct pod_app *app, struct error *err)
{
	int r = app->current ? generation_begin(app->current, err) : 0;

	return r < 0 ? start_failed(app, r, err) : r;
}

static int start_first(struct pod_app *app, struct error *err)
{
	int r = app->current && !app->done ? generation_start(app->current, err)
					   : 0;

	return r < 0 ? start_failed(app, r, err) : r;
}

static int start_apps(struct pod *pod, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pod->n_apps && r == 0; i++)
		r = make_first(pod->apps[i], err);
	if (r == 0)
		r = adopt_all(pod, err);
	for (size_t i = 0; i < pod->n_apps && r == 0; i++)
		r = begin_first(pod->apps[i], err);
	for (size_t i = 0; i < pod->n_apps && r == 0; i++)
		r = start_first(pod->apps[i], err);
	/* There may be none to wait for. */
	if (r == 0)
		let_go_when_held(pod);
	return r;
}

void pod_save_ignored(struct pod *pod)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < pod->ignored.n; i++) {
		log_warning("isolator not enforced: %s", pod->ignored.v[i]);
		strbuf_addf(&text, "%s\n", pod->ignored.v[i]);
	}
	if ((text.len || pod->running) &&
	    write_file_at(pod->dirfd, POD_ISOLATORS_FILE, 0644, text.buf,
			  text.len, &err) < 0)
		log_failure(&err, NULL);
}

/* Tells `rkt run --detach` that the pod is up, and lets go of its stdio. */
static void detach(struct pod *pod)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (write_full(pod->options.ready_fd, "R", 1) < 0)
		log_debug("nobody waits for the pod to be ready");
	fd_close(&pod->options.ready_fd);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	fd_close(&null);
}

static int announce(struct pod *pod, struct error *err)
{
	char text[16];
	int r;

	(void)snprintf(text, sizeof(text), "%d", (int)pod->init.pid);
	r = write_string_at(pod->dirfd, POD_PID_FILE, 0644, text, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i]->current)
			note_started(pod->apps[i]);
	return 0;
}

static bool is_app_ready(const struct pod_app *app)
{
	return app->done || (app->current &&
			     notify_readiness(app->current) != NOTIFY_AWAITED);
}

/* Twice in the time it gives us: an event loop that stands is not seen by
 * anybody else.  Apps have watchdogs of their own. */
static void ping_host(struct event_timer *timer)
{
	struct pod *pod = timer->data;
	uint64_t ms = pod->host_watchdog_us / 2000;

	notify_host_send(pod->host_notify, "WATCHDOG=1");
	event_timer_set(&pod->loop, timer, ms ? ms : 1);
}

static void check_ready(struct pod *pod)
{
	char text[64];

	if (!pod->running || pod->ready || pod->stopping)
		return;
	for (size_t i = 0; i < pod->n_apps; i++)
		if (!is_app_ready(pod->apps[i]))
			return;
	pod->ready = true;
	if (symlinkat("ready", pod->dirfd, POD_READY_LINK) < 0 &&
	    errno != EEXIST)
		log_error("create " POD_READY_LINK ": %s", strerror(errno));
	(void)snprintf(text, sizeof(text), "READY=1\nMAINPID=%d",
		       (int)getpid());
	notify_host_send(pod->host_notify, text);
	if (!pod->host_watchdog_us)
		return;
	pod->host_ping.fn = ping_host;
	pod->host_ping.data = pod;
	ping_host(&pod->host_ping);
}

static int release_apps_that(struct pod *pod, bool can_trace, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pod->n_apps && r == 0; i++) {
		struct generation *g = pod->apps[i]->current;

		if (!g || generation_can_trace(g) != can_trace)
			continue;
		listeners_find_adopted(g);
		r = generation_release(g, err);
	}
	return r;
}

static void wait_exec(const struct pod *pod)
{
	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i]->current)
			generation_wait_exec(pod->apps[i]->current);
}

/* Those that could trace others come last: until it executes, a process has
 * what stage1 has in memory. */
static int release_all(struct pod *pod, struct error *err)
{
	bool any = false;
	int r = release_apps_that(pod, false, err);

	for (size_t i = 0; i < pod->n_apps; i++)
		any |= pod->apps[i]->current &&
		       generation_can_trace(pod->apps[i]->current);
	if (r == 0 && any)
		wait_exec(pod);
	return r < 0 ? r : release_apps_that(pod, true, err);
}

/* Waits for it. */
static bool is_executing(const struct pod *pod)
{
	wait_exec(pod);
	for (size_t i = 0; i < pod->n_apps; i++) {
		int code;

		/* A mutable pod has begun without apps, too. */
		if (pod->options.is_mutable)
			return true;
		if (app_process_exec_failed(&pod->apps[i]->current->main,
					    &code))
			return false;
	}
	return true;
}

static void begin_serving(struct pod_app *app)
{
	restart_serve(app->current);
	if (app->n_held)
		restart_take_over(app->current);
}

void pod_app_begun(struct pod_app *app)
{
	note_started(app);
	begin_serving(app);
	pod_save_ignored(app->pod);
}

/* Not before it is ready, which is waited for. */
static void watch_init_said(struct pod *pod)
{
	pod->init_said = (struct event_source){
		.fd = pod->init.said, .fn = on_init_said, .data = pod};
	if (pod->init.said >= 0)
		(void)event_add(&pod->loop, &pod->init_said, EPOLLIN);
}

/* Every app stands at its barrier: the pod begins. */
static void let_go(struct pod *pod)
{
	struct error err = ERROR_INIT;
	int r;

	pod_save_ignored(pod);
	r = pod_init_wait_ready(&pod->init, &err);
	if (r == 0)
		r = release_all(pod, &err);
	if (r == 0)
		r = announce(pod, &err);
	if (r < 0) {
		log_failure(&err, NULL);
		pod->has_failed = true;
		pod->exit_code = RKT_EXIT_FAILURE;
		stop_apps(pod);
		return;
	}
	pod->running = true;
	pod->on_told = check_ready;
	pod->on_bind = restart_on_bind;
	check_ready(pod);
	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i]->current)
			begin_serving(pod->apps[i]);
	host_store_settle(&pod->host_store);
	keep_netns(pod);
	watch_init_said(pod);
	machine_register(&pod->machine, &pod->loop, pod->options.uuid,
			 pod->init.pid);
	/* Else it has not begun: the end of stage1 tells who waits. */
	if (pod->options.ready_fd >= 0 && is_executing(pod))
		detach(pod);
}

static void release_apps(struct pod *pod)
{
	for (size_t i = 0; i < pod->n_apps; i++) {
		struct pod_app *app = pod->apps[i];

		restart_forget(app);
		if (app->current)
			generation_free(app->current);
		app->current = NULL;
	}
	attach_finish(pod, ATTACH_LAST_MS);
	for (size_t i = 0; i < pod->n_apps; i++)
		attach_release(pod->apps[i]);
}

static int watch_pod(struct pod *pod, struct error *err)
{
	int r = watch_signals(pod, err);

	pod->init_source = (struct event_source){
		.fd = pod->init.pidfd, .fn = on_init_exit, .data = pod};
	if (r == 0 && event_add(&pod->loop, &pod->init_source, EPOLLIN) < 0)
		r = error_set(err, EINVAL, "watch pod init");
	return r;
}

/* With R < 0 only what has to be done at the end. */
static int run_to_the_end(struct pod *pod, int r, struct error *err)
{
	if (r == 0) {
		r = event_loop_run(&pod->loop);
		if (r < 0)
			(void)error_sys(err, -r, "wait for events");
	}
	pod_init_doom(&pod->init);
	release_apps(pod);
	if (pod->console)
		console_close(pod->console);
	free(pod->console);
	pod->console = NULL;
	output_release(&pod->output);
	return r < 0 ? r : pod->has_failed ? pod->exit_code : 0;
}

int supervise(struct pod *pod, struct error *err)
{
	int r = watch_pod(pod, err);

	if (r == 0)
		r = open_terminal(pod, err);
	if (r == 0)
		r = start_apps(pod, err);
	return run_to_the_end(pod, r, err);
}

/* --- for another supervisor ------------------------------------------------
 */

int supervise_console(struct pod *pod, const struct json_node *node,
		      struct error *err)
{
	return console_restore(node, pod->console, &pod->loop, on_escape, pod,
			       err);
}

int supervise_resume(struct pod *pod, struct error *err)
{
	int r = watch_pod(pod, err);

	if (r < 0)
		return r;
	watch_init_said(pod);
	pod->running = true;
	pod->on_told = check_ready;
	pod->on_bind = restart_on_bind;
	pod->host_ping.fn = ping_host;
	pod->host_ping.data = pod;
	event_timer_resume(&pod->loop, &pod->host_ping);
	return 0;
}

int supervise_on(struct pod *pod, struct error *err)
{
	return run_to_the_end(pod, 0, err);
}

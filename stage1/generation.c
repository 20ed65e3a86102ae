/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/generation.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/process_tree.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/caps.h"
#include "stage1/exec_lookup.h"
#include "stage1/generation_impl.h"
#include "stage1/seccomp.h"

/* How often one that must wait looks whether it may start. */
#define WAIT_MS 2
/* How long a process that is no child of ours may wait for its parent. */
#define REAP_MS 100

static void wait_to_start(struct generation *g,
			  void (*fn)(struct event_timer *timer))
{
	g->wait_timer.fn = fn;
	g->wait_timer.data = g;
	event_timer_set(&g->app->pod->loop, &g->wait_timer, WAIT_MS);
}

/* --- processes -------------------------------------------------------------
 */

static int meanwhile(void *data, pid_t pid, struct error *err)
{
	struct generation *g = data;

	/* What stage1 was executed through: an RCU grace period. */
	fd_close(&g->app->pod->selffd);
	return generation_close_devices(g, pid, err);
}

static void request_init(struct generation *g,
			 struct app_process_request *request)
{
	struct pod *pod = g->app->pod;

	*request = (struct app_process_request){
		.plan = &g->plan,
		.exec = &g->plan.exec,
		.env = &g->plan.env,
		.rootfs = g->mntns < 0 ? &g->rootfs : NULL,
		.mntns = g->mntns,
		.init = &pod->init,
		.own_pidns = pod->own_pidns,
		.users = &pod->users,
		.leaf = &g->leaf,
		.filter = &g->filter,
		.listener = true,
		.stdio = {-EBADF, -EBADF, -EBADF},
		.own_stdio = true,
		.meanwhile = meanwhile,
		.data = g,
	};
}

static int begin_process(struct generation *g,
			 struct app_process_request *request,
			 struct app_process *process, struct error *err)
{
	int r = generation_set_stdio(g, request, err);

	if (r == 0) {
		g->has_frozen = generation_freeze_tracers(g->app->pod);
		r = app_process_begin(request, process, err);
	}
	if (r == 0)
		return 0;
	generation_thaw_tracers(g);
	return error_prefix(err, r, "app %s", g->app->name);
}

static int finish_process(struct generation *g, struct app_process *process,
			  struct error *err)
{
	int r = app_process_finish(process, err);

	if (r < 0 || !process->has_barrier)
		generation_thaw_tracers(g);
	if (r < 0)
		return error_prefix(err, r, "app %s", g->app->name);
	g->out.pid = g->err.pid = g->tty.pid = process->pod_pid;
	if (g->mntns < 0 && process->mntns >= 0)
		g->mntns = TAKE_FD(process->mntns);
	return 0;
}

static int watch(struct generation *g, struct event_source *source, int fd,
		 void (*fn)(struct event_source *, uint32_t), struct error *err)
{
	int r;

	*source = (struct event_source){.fd = fd, .fn = fn, .data = g};
	r = event_add(&g->app->pod->loop, source, EPOLLIN);
	if (r < 0)
		source->fd = -EBADF;
	return r < 0 ? error_sys(err, -r, "watch app %s", g->app->name) : 0;
}

static void unwatch(struct generation *g, struct event_source *source)
{
	event_remove(&g->app->pod->loop, source);
	source->fd = -EBADF;
}

/* --- the end ---------------------------------------------------------------
 */

static void finish(struct generation *g)
{
	event_timer_cancel(&g->app->pod->loop, &g->kill_timer);
	event_timer_cancel(&g->app->pod->loop, &g->wait_timer);
	generation_notify_ending(g);
	generation_kill(g);
	generation_close_stdio(g);
	g->state = GENERATION_ENDED;
	g->ops->ended(g);
}

static void on_handler_exit(struct event_source *source, uint32_t events);

static int start_handler(struct generation *g, const struct strv *exec,
			 struct error *err)
{
	struct app_process_request request;
	int r = 0;

	if (!g->handler_filter.filter)
		r = generation_make_filter(g, false, &g->handler_filter, NULL,
					   err);
	if (r < 0)
		return error_prefix(err, r, "app %s", g->app->name);
	/* Nothing of an image runs beside a pod init that has rights left. */
	r = pod_init_wait_ready(&g->app->pod->init, err);
	if (r < 0)
		return r;
	request_init(g, &request);
	request.exec = exec;
	request.filter = &g->handler_filter;
	request.killed_leaf = g->state == GENERATION_POST_STOP;
	request.listener = false;
	request.keep_mntns = true;
	r = begin_process(g, &request, &g->handler, err);
	if (r == 0)
		r = finish_process(g, &g->handler, err);
	if (r < 0)
		return r;
	return watch(g, &g->handler_source, g->handler.pidfd, on_handler_exit,
		     err);
}

static void post_stop_waited(struct event_timer *timer);

static void post_stop(struct generation *g)
{
	struct error err = ERROR_INIT;

	g->state = GENERATION_POST_STOP;
	if (g->plan.post_stop.n == 0 || g->mntns < 0) {
		finish(g);
		return;
	}
	if (!generation_may_start(g, true)) {
		wait_to_start(g, post_stop_waited);
		return;
	}
	if (start_handler(g, &g->plan.post_stop, &err) < 0) {
		log_failure(&err, "post-stop");
		finish(g);
	}
}

static void post_stop_waited(struct event_timer *timer)
{
	post_stop(timer->data);
}

void generation_diagnose(struct generation *g, int code, struct error *err)
{
	const char *path = g->plan.exec.v[0];
	char found[EXEC_PATH_MAX];

	if (exec_lookup(g->rootfs.tree, strv_env_get(&g->plan.env, "PATH"),
			g->plan.working_directory, path, found, err) == 0)
		(void)exec_diagnose(g->rootfs.tree, found, code, err);
}

static void report_exec_failure(struct generation *g, int code)
{
	struct error err = ERROR_INIT;

	generation_diagnose(g, code, &err);
	log_failure(&err, g->app->name);
}

static void leave_adopted(struct generation *g)
{
	if (g->adopted_source.fd >= 0)
		unwatch(g, &g->adopted_source);
	fd_close(&g->adopted);
}

/* The end of its main process, whose exit code is known. */
static void main_over(struct generation *g)
{
	int code;

	generation_notify_ending(g);
	leave_adopted(g);
	if (g->listener_source.fd >= 0)
		unwatch(g, &g->listener_source);
	if (g->exec_source.fd >= 0)
		unwatch(g, &g->exec_source);
	if (app_process_exec_failed(&g->main, &code)) {
		g->exit_code = EXIT_EXEC_FAILED;
		report_exec_failure(g, code);
	}
	/* What the main process leaves behind ends with it. */
	generation_kill(g);
	app_process_close(&g->main);
	post_stop(g);
}

static void reap_main(struct generation *g, int *ret_status)
{
	unwatch(g, &g->main_source);
	(void)process_wait(g->main.pidfd, ret_status);
	fd_close(&g->main.pidfd);
}

static void on_main_exit(struct event_source *source, uint32_t events)
{
	struct generation *g = source->data;
	int status = 0;

	(void)events;
	/* Its last words, while its number is still its own. */
	generation_notify_drain(g);
	reap_main(g, &status);
	/* A parent that leaves when its child serves. */
	if (g->adopted >= 0 && g->state == GENERATION_RUNNING)
		return;
	g->exit_code = process_exit_code(status);
	main_over(g);
}

/* No child of ours: its status is to be had from Linux 6.15 on, else it
 * counts as a success. */
static void adopted_over(struct event_timer *timer)
{
	struct generation *g = timer->data;
	struct sys_pidfd_info info = {.mask = SYS_PIDFD_INFO_EXIT};
	int status = 0;

	event_timer_cancel(&g->app->pod->loop, &g->wait_timer);
	if (sys_pidfd_get_info(g->adopted, &info) == 0 &&
	    info.mask & SYS_PIDFD_INFO_EXIT)
		status = info.exit_code;
	g->exit_code = process_exit_code(status);
	if (g->main.pidfd >= 0) {
		(void)sys_pidfd_send_signal(g->main.pidfd, SIGKILL);
		reap_main(g, &status);
	}
	main_over(g);
}

/* Only one that was reaped has a status: EPOLLHUP, where there is that. */
static void on_adopted_exit(struct event_source *source, uint32_t events)
{
	struct generation *g = source->data;

	generation_notify_drain(g);
	if (g->adopted < 0) /* MAINPID= of its last words */
		return;
	g->wait_timer.fn = adopted_over;
	g->wait_timer.data = g;
	if (events & EPOLLHUP) {
		adopted_over(&g->wait_timer);
		return;
	}
	(void)event_modify(&g->app->pod->loop, source, 0);
	event_timer_set(&g->app->pod->loop, &g->wait_timer, REAP_MS);
}

/* --- the way up ------------------------------------------------------------
 */

static int begin_main(struct generation *g, struct error *err)
{
	struct app_process_request request;

	request_init(g, &request);
	request.keep_mntns = g->plan.post_stop.n > 0;
	return begin_process(g, &request, &g->main, err);
}

static int finish_main(struct generation *g, struct error *err)
{
	int r = finish_process(g, &g->main, err);

	if (r < 0)
		return r;
	if (!g->main.keeps_mntns)
		fd_close(&g->mntns);
	r = watch(g, &g->main_source, g->main.pidfd, on_main_exit, err);
	if (r == 0)
		r = watch(g, &g->listener_source, g->main.listener,
			  g->ops->notify, err);
	if (r < 0)
		return r;
	g->mount_ns = process_mount_ns(g->main.pid);
	g->state = GENERATION_HELD;
	return 0;
}

static void fail(struct generation *g, const struct error *err)
{
	generation_close_stdio(g);
	g->state = GENERATION_ENDED;
	g->ops->failed(g, err);
}

static void main_waited(struct event_timer *timer);

/* Brings the main process to its barrier, as soon as that may be. */
static int go_to_barrier(struct generation *g, struct error *err)
{
	bool has_begun = g->main.pidfd >= 0;
	int r = 0;

	if (!has_begun && !generation_may_start(g, false)) {
		wait_to_start(g, main_waited);
		return 0;
	}
	if (!has_begun)
		r = begin_main(g, err);
	if (r == 0)
		r = finish_main(g, err);
	if (r == 0)
		g->ops->held(g);
	return r;
}

static void main_waited(struct event_timer *timer)
{
	struct generation *g = timer->data;
	struct error err = ERROR_INIT;

	if (go_to_barrier(g, &err) < 0)
		fail(g, &err);
}

static void pre_start_done(struct generation *g, int status)
{
	struct error err = ERROR_INIT;
	char text[64];

	if (status != 0) {
		g->exit_code = process_exit_code(status);
		(void)error_set(
			&err, ECHILD, "app %s: pre-start: %s", g->app->name,
			process_status_text(status, text, sizeof(text)));
		fail(g, &err);
		return;
	}
	g->state = GENERATION_PRE_STARTED;
	/* It was over already, or did not mind. */
	if (g->stop_sent)
		finish(g);
	else if (go_to_barrier(g, &err) < 0)
		fail(g, &err);
}

static void on_handler_exit(struct event_source *source, uint32_t events)
{
	struct generation *g = source->data;
	int status = 0;

	(void)events;
	(void)process_wait(g->handler.pidfd, &status);
	unwatch(g, source);
	app_process_close(&g->handler);
	if (g->state == GENERATION_PRE_START)
		pre_start_done(g, status);
	else
		finish(g);
}

int generation_begin(struct generation *g, struct error *err)
{
	assert(g->state == GENERATION_NEW);
	if (g->plan.pre_start.n || !generation_may_start(g, false))
		return 0;
	return begin_main(g, err);
}

int generation_start(struct generation *g, struct error *err)
{
	assert(g->state == GENERATION_NEW);
	if (g->plan.pre_start.n) {
		g->state = GENERATION_PRE_START;
		return start_handler(g, &g->plan.pre_start, err);
	}
	return go_to_barrier(g, err);
}

/*
 * The main process executes its program, or cannot.  Its root is its own now:
 * what stage1 held of it would only be put away by stage1, later, when the
 * process that ends has done all the rest.
 */
static void executed(struct generation *g)
{
	int code;

	fd_close(&g->main.exec_fd);
	if (!app_process_exec_failed(&g->main, &code))
		rootfs_release(&g->rootfs);
}

static void on_exec(struct event_source *source, uint32_t events)
{
	struct generation *g = source->data;

	(void)events;
	unwatch(g, source);
	executed(g);
}

/* Waits for it where somebody wants to know: `rkt app start` does. */
static int watch_exec(struct generation *g, struct error *err)
{
	if (!g->has_frozen && !g->app->wish.op)
		return watch(g, &g->exec_source, g->main.exec_fd, on_exec, err);
	app_process_wait_exec(&g->main);
	executed(g);
	return 0;
}

void generation_wait_exec(struct generation *g)
{
	if (g->exec_source.fd < 0)
		return;
	unwatch(g, &g->exec_source);
	app_process_wait_exec(&g->main);
	executed(g);
}

/* On a disk that is full the app serves, though rkt enter does not find it. */
static void save_pid(struct generation *g, pid_t pid)
{
	struct error err = ERROR_INIT;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	if (write_new_file_at(g->dirfd, GENERATION_PID_FILE, 0644, text,
			      strlen(text), &err) == 0)
		return;
	log_failure(&err, g->app->name);
	(void)unlinkat(g->dirfd, GENERATION_PID_FILE, 0);
}

int generation_release(struct generation *g, struct error *err)
{
	int r;

	assert(g->state == GENERATION_HELD);
	r = generation_give(g, err);
	if (r == 0)
		r = app_process_release(&g->main, err);
	if (r == 0)
		r = watch_exec(g, err);
	generation_thaw_tracers(g);
	if (r < 0)
		return error_prefix(err, r, "app %s", g->app->name);
	save_pid(g, g->main.pid);
	g->state = GENERATION_RUNNING;
	generation_notify_released(g);
	return 0;
}

static pid_t main_pid(const struct generation *g)
{
	return g->adopted >= 0 ? g->adopted_pid : g->main.pid;
}

bool generation_is_ending(const struct generation *g)
{
	return g->state == GENERATION_RUNNING && process_is_ending(main_pid(g));
}

int generation_exec(struct generation *g, const struct strv *exec,
		    const struct cgroup_leaf *leaf, struct app_process *ret,
		    struct error *err)
{
	struct app_plan plan = g->plan; /* borrows */
	cleanup_fd int mntns = -EBADF;
	struct app_process_request request;
	char path[64];
	int r = 0;

	if (g->state != GENERATION_RUNNING)
		return error_set(err, ESRCH, "app %s is not running",
				 g->app->name);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)main_pid(g));
	mntns = open(path, O_RDONLY | O_CLOEXEC);
	if (mntns < 0)
		return error_sys(err, errno, "open the app's mount namespace");
	if (!g->handler_filter.filter)
		r = generation_make_filter(g, false, &g->handler_filter, NULL,
					   err);
	if (r < 0)
		return r;
	request_init(g, &request);
	/* It would have to be frozen as the main process is. */
	plan.caps &= ~CAPS_BIT(CAP_SYS_PTRACE);
	request.plan = &plan;
	request.exec = exec;
	request.rootfs = NULL;
	request.mntns = mntns;
	request.leaf = leaf;
	request.filter = &g->handler_filter;
	request.listener = false;
	request.meanwhile = NULL;
	g->has_frozen = generation_freeze_tracers(g->app->pod);
	r = app_process_start(&request, ret, err);
	generation_thaw_tracers(g);
	return r;
}

void generation_adopt(struct generation *g, int pidfd, pid_t pid)
{
	struct error err = ERROR_INIT;

	leave_adopted(g);
	if (pidfd < 0)
		return;
	g->adopted = pidfd;
	g->adopted_pid = pid;
	if (watch(g, &g->adopted_source, pidfd, on_adopted_exit, &err) < 0) {
		fd_close(&g->adopted);
		log_failure(&err, NULL);
	} else {
		save_pid(g, pid);
	}
}

static void on_kill_timer(struct event_timer *timer)
{
	struct generation *g = timer->data;

	if (g->main.pidfd >= 0)
		(void)sys_pidfd_send_signal(g->main.pidfd, SIGKILL);
	if (g->adopted >= 0)
		(void)sys_pidfd_send_signal(g->adopted, SIGKILL);
	if (g->handler.pidfd >= 0)
		(void)sys_pidfd_send_signal(g->handler.pidfd, SIGKILL);
	generation_kill(g);
}

void generation_stop(struct generation *g, int signal, uint64_t timeout_ms)
{
	if (g->state == GENERATION_ENDED || g->stop_sent)
		return;
	g->stop_sent = true;
	generation_notify_ending(g);
	/* Nothing of it runs yet, or again. */
	if (g->state == GENERATION_NEW || g->state == GENERATION_PRE_STARTED) {
		finish(g);
		return;
	}
	g->kill_timer.fn = on_kill_timer;
	g->kill_timer.data = g;
	event_timer_set(&g->app->pod->loop, &g->kill_timer, timeout_ms);
	/* Held at its barrier it can take no other signal. */
	if (g->state == GENERATION_HELD)
		signal = SIGKILL;
	if (g->adopted >= 0)
		(void)sys_pidfd_send_signal(g->adopted, signal);
	else if (g->main.pidfd >= 0)
		(void)sys_pidfd_send_signal(g->main.pidfd, signal);
	else if (g->handler.pidfd >= 0 && g->state == GENERATION_PRE_START)
		(void)sys_pidfd_send_signal(g->handler.pidfd,
					    signal == SIGKILL ? SIGKILL
							      : SIGTERM);
}

int generation_resume(struct generation *g, struct error *err)
{
	int r = 0;

	generation_resume_stdio(g);
	g->mount_ns = process_mount_ns(g->main.pidfd < 0 ? g->adopted_pid
							 : g->main.pid);
	if (g->main.pidfd >= 0)
		r = watch(g, &g->main_source, g->main.pidfd, on_main_exit, err);
	if (r == 0)
		r = watch(g, &g->listener_source, g->main.listener,
			  g->ops->notify, err);
	if (r == 0 && g->adopted >= 0)
		r = watch(g, &g->adopted_source, g->adopted, on_adopted_exit,
			  err);
	g->kill_timer.fn = on_kill_timer;
	g->kill_timer.data = g;
	event_timer_resume(&g->app->pod->loop, &g->kill_timer);
	return r;
}

static void end_process(struct generation *g, struct app_process *process,
			struct event_source *source)
{
	int status;

	if (source->fd >= 0)
		unwatch(g, source);
	if (process->pidfd >= 0) {
		(void)sys_pidfd_send_signal(process->pidfd, SIGKILL);
		(void)process_wait(process->pidfd, &status);
	}
	app_process_close(process);
}

static void forget(struct generation *g)
{
	struct generation **p = &g->app->pod->generations;

	while (*p && *p != g)
		p = &(*p)->next;
	if (*p)
		*p = g->next;
}

void generation_free(struct generation *g)
{
	struct error err = ERROR_INIT;
	struct pod *pod = g->app->pod;

	event_timer_cancel(&pod->loop, &g->kill_timer);
	event_timer_cancel(&pod->loop, &g->wait_timer);
	if (g->listener_source.fd >= 0)
		unwatch(g, &g->listener_source);
	if (g->exec_source.fd >= 0)
		unwatch(g, &g->exec_source);
	leave_adopted(g);
	end_process(g, &g->main, &g->main_source);
	generation_thaw_tracers(g);
	end_process(g, &g->handler, &g->handler_source);
	/* What its main process has started. */
	if (g->state != GENERATION_ENDED)
		generation_kill(g);
	generation_close_stdio(g);
	generation_notify_close(g);
	if (g->leaf.name && cgroup_leaf_remove(pod->cgroup, &g->leaf, &err) < 0)
		log_failure(&err, g->app->name);
	pod_forget_bound(pod, g);
	forget(g);
	rootfs_release(&g->rootfs);
	seccomp_program_release(&g->filter);
	seccomp_program_release(&g->handler_filter);
	app_plan_release(&g->plan);
	service_release(&g->service);
	runtime_app_release(&g->runtime_app);
	image_manifest_release(&g->image);
	fd_close(&g->mntns);
	fd_close(&g->tree_fd);
	fd_close(&g->dirfd);
	free(g);
}

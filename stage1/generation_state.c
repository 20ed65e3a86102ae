/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/generation_state.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/generation.h"
#include "stage1/generation_impl.h"
#include "stage1/state.h"
#include "stage1/supervise.h"

static const struct state_row rows[] = {
	STATE_ROW(struct generation, number),
	STATE_FD_ROW(struct generation, tree_fd),
	STATE_FD_ROW_AS(struct generation, main.pidfd, "pidfd"),
	STATE_ROW_AS(struct generation, main.pid, "pid"),
	STATE_ROW_AS(struct generation, main.pod_pid, "pod_pid"),
	STATE_FD_ROW_AS(struct generation, main.listener, "listener"),
	STATE_FD_ROW(struct generation, adopted),
	STATE_ROW(struct generation, adopted_pid),
	STATE_FD_ROW(struct generation, mntns),
	STATE_FD_ROW_AS(struct generation, output_fds[0], "stdout_writer"),
	STATE_FD_ROW_AS(struct generation, output_fds[1], "stderr_writer"),
	STATE_OPTIONAL_FD_ROW(struct generation, tty_slave),
	STATE_OPTIONAL_FD_ROW(struct generation, stdin_fd),
	STATE_OPTIONAL_FD_ROW(struct generation, input_fd),
	STATE_ROW(struct generation, kill_timer),
	STATE_ROW(struct generation, stop_sent),
	STATE_ROW(struct generation, has_closed_devices),
	STATE_ROW(struct generation, has_udp),
	STATE_ROW(struct generation, may_uring),
	/* Why it has no unified control group. */
	STATE_NULLABLE_ROW(struct generation, leaf.why),
	STATE_NESTED_ROW("stdout"),
	STATE_NESTED_ROW("stderr"),
	STATE_NESTED_ROW("tty"),
	STATE_NESTED_ROW("notify"),
	STATE_NESTED_ROW("bound"),
};

static const struct state_row bound_rows[] = {
	STATE_ROW(struct bound_port, domain),
	STATE_ROW(struct bound_port, port),
	STATE_ROW(struct bound_port, made_reuseport),
};

bool generation_is_settled(const struct generation *g, struct error *err)
{
	int code;

	if (g->state == GENERATION_ENDED)
		return true;
	if (g->state == GENERATION_RUNNING && g->listener_source.fd >= 0 &&
	    g->exec_source.fd < 0 && g->main.exec_fd < 0 &&
	    !app_process_exec_failed(&g->main, &code) &&
	    !g->wait_timer.deadline_ns && !g->has_frozen && !g->is_frozen)
		return true;
	(void)error_set(err, EBUSY, "app %s is starting or ending",
			g->app->name);
	return false;
}

/* --- saving ----------------------------------------------------------------
 */

static void save_bound(const struct generation *g, struct state_writer *w)
{
	const struct pod *pod = g->app->pod;

	json_open_array(&w->json, "bound");
	for (size_t i = 0; i < pod->n_bound; i++)
		if (pod->bound[i].by == g)
			STATE_WRITE_OBJECT(w, NULL, bound_rows, &pod->bound[i]);
	json_close_array(&w->json);
}

void generation_save(const struct generation *g, struct state_writer *w,
		     const char *key)
{
	json_open_object(&w->json, key);
	STATE_WRITE(w, rows, g);
	output_stream_save(&g->out, w, "stdout");
	output_stream_save(&g->err, w, "stderr");
	output_stream_save(&g->tty, w, "tty");
	generation_notify_save(g, w, "notify");
	save_bound(g, w);
	json_close_object(&w->json);
}

/* --- going on --------------------------------------------------------------
 */

static int open_leaf(struct generation *g, const struct strv *dirs,
		     struct error *err)
{
	cleanup_free char *name = xasprintf("%s.%u", g->app->name, g->number);
	cleanup_free char *why = TAKE_PTR(g->leaf.why);
	int r = cgroup_leaf_open(dirs, name, &g->leaf, err);

	/* The host has no groups for it, and that is known. */
	if (r == -ENOENT && why) {
		g->leaf.name = TAKE_PTR(name);
		r = 0;
	}
	if (r == 0)
		g->leaf.why = TAKE_PTR(why);
	return r;
}

static int restore_bound(const struct json_node *list, struct generation *g)
{
	struct json_node item;
	int r = 0;

	for (size_t i = 0; r == 0 && json_item(list, i, &item); i++) {
		struct bound_port b = {.by = g};

		r = STATE_READ(&item, bound_rows, &b);
		pod_note_bound(g->app->pod, g, b.domain, b.port,
			       b.made_reuseport);
	}
	return r;
}

static int restore_parts(const struct json_node *node, struct generation *g,
			 struct error *err)
{
	struct output_log *log = &g->app->log;
	struct json_node part;
	int r = 0;

	if (json_member(node, "stdout", &part))
		r = output_stream_restore(&part, &g->out, log, "stdout", err);
	if (r == 0 && json_member(node, "stderr", &part))
		r = output_stream_restore(&part, &g->err, log, "stderr", err);
	if (r == 0 && json_member(node, "tty", &part))
		r = output_stream_restore(&part, &g->tty, log, "stdout", err);
	if (r == 0 && json_member(node, "notify", &part))
		r = generation_notify_restore(g, &part, err);
	if (r == 0 && json_member(node, "bound", &part))
		r = restore_bound(&part, g);
	if (r == 0 && !g->notify)
		r = error_set(err, EINVAL, "app %s has no notify socket",
			      g->app->name);
	return r;
}

int generation_restore(const struct json_node *node, struct pod_app *app,
		       const struct strv *dirs, struct error *err)
{
	struct generation *g = app->current =
		generation_alloc(app, 0, -EBADF, pod_generation_ops());
	int r = STATE_READ(node, rows, g);

	g->state = GENERATION_RUNNING;
	if (r == 0)
		r = generation_load(g, err);
	if (r == 0)
		r = open_leaf(g, dirs, err);
	if (r == 0)
		r = restore_parts(node, g, err);
	return r < 0 ? r : generation_resume(g, err);
}

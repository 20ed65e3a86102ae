/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/update.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "spec/stage1_abi.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/journal.h"
#include "stage1/listeners.h"
#include "stage1/metadata.h"
#include "stage1/notify.h"
#include "stage1/pod.h"
#include "stage1/requests.h"
#include "stage1/restart.h"
#include "stage1/supervise.h"
#include "stage1/update_impl.h"

#define DEFAULT_READY_MS 30000
/* Annotation of an image. */
#define DRAIN_SIGNAL "rkt.io/update/drain-signal"

const char *update_state_name(const struct pod *pod)
{
	const struct update *u = pod->update;

	while (u && u->is_over && u->sibling)
		u = u->sibling;
	return u ? update_state_text(u->state) : "idle";
}

/* What is too old to go back to.  What stays too long is no failure. */
static void collect(const struct update_group *g)
{
	struct error failed = ERROR_INIT;

	if (g->keep >= 0 &&
	    journal_set_keep(g->pod->dirfd, (unsigned int)g->keep, &failed) < 0)
		log_failure(&failed, "update");
	for (const struct update *m = g->first; m; m = m->sibling) {
		struct error err = ERROR_INIT;

		/* One may go to where a rollback came from. */
		if (!m->is_rollback &&
		    journal_collect(g->pod->dirfd, m->app->name, &err) < 0)
			log_failure(&err, "remove earlier generations");
	}
}

/* Left as it is, it is settled before the next update, or at the pod's next
 * start. */
static int close_journal(const struct update_group *g, struct error *err)
{
	int r = 0;

	for (struct update *m = g->first; m && r == 0; m = m->sibling)
		if (!m->is_noted)
			r = update_note(m, m->text, err);
	return r < 0 ? r : journal_close(g->pod->dirfd, err);
}

/* When nobody of it is left, and nobody looks at it. */
static void group_end(struct update_group *g)
{
	struct pod *pod = g->pod;
	struct error err = ERROR_INIT;

	if (g->n_over < g->n || g->pins)
		return;
	if (close_journal(g, &err) < 0)
		log_failure(&err, "update");
	if (g->is_committed)
		collect(g);
	update_tell_end(g);
	fd_close(&g->conn);
	pod->update = NULL;
	pod->on_stopping = NULL;
	while (g->first) {
		struct update *m = g->first;

		g->first = m->sibling;
		restart_resume(m->app);
		free(m->from_image);
		free(m->from_id);
		free(m);
	}
	free(g);
}

static void unpin(struct update_group *g)
{
	g->pins--;
	group_end(g);
}

static void serves_now(struct generation *g)
{
	activation_settle(&g->app->activation, &g->runtime_app.app);
	generation_notify_serves(g);
}

void update_finish(struct update *u, int exit_code, const char *text)
{
	struct update_group *g = u->group;
	struct pod *pod = u->pod;
	struct error err = ERROR_INIT;

	event_timer_cancel(&pod->loop, &u->tick);
	event_timer_cancel(&pod->loop, &u->observe);
	event_timer_cancel(&pod->loop, &u->abort);
	update_stop_asking(u);
	update_end_requests(u);
	/* Clients of one that waits to be started again wait with it. */
	if (u->was_paused && !u->app->current)
		held_rewind(u->app);
	else
		held_drop(u->app);
	if (u->app->current)
		serves_now(u->app->current);
	probe_release(&u->probe);
	if (u->state == UPDATE_ROLLED_BACK &&
	    journal_discard(pod->dirfd, u->app->name, u->to, &err) < 0)
		log_failure(&err, "update");
	fd_close(&u->old_tree);
	fd_close(&u->new_tree);
	u->is_over = true;
	u->exit_code = exit_code;
	if (text != u->text)
		(void)snprintf(u->text, sizeof(u->text), "%s", text);
	g->n_over++;
	group_end(g);
}

/* --- rolling back ----------------------------------------------------------
 */

void update_note_rolled_back(struct update *u, char text[CONTROL_TEXT_MAX])
{
	(void)snprintf(text, CONTROL_TEXT_MAX, "%.900s", u->why.msg);
	update_enter_state(u, UPDATE_ROLLED_BACK, text);
}

void update_end_rolled_back(struct update *u, int exit_code)
{
	char text[CONTROL_TEXT_MAX];

	update_note_rolled_back(u, text);
	update_finish(u, exit_code, text);
}

void update_end_requests(struct update *u)
{
	struct requests *r = u->requests;

	u->requests = NULL;
	requests_end(r, &u->counts);
}

/* It may be the one that serves already: then nobody does. */
void update_drop_next(struct update *u)
{
	if (!u->next)
		return;
	update_stop_asking(u);
	if (u->app->current == u->next)
		u->app->current = NULL;
	generation_free(u->next);
	u->next = NULL;
}

/* --- forward ---------------------------------------------------------------
 */

/* `pod` follows, for rkt cat-manifest and those who read it: derived from
 * the generation the link points to, so losing this write loses nothing. */
static void save_manifest(struct update *u)
{
	struct error err = ERROR_INIT;
	struct runtime_app *app =
		pod_manifest_find_app(&u->pod->manifest, u->app->name);

	if (!app)
		return;
	runtime_app_release(app);
	runtime_app_copy(app, &u->next->runtime_app);
	if (pod_save_manifest(u->pod, &err) < 0)
		log_failure(&err, "update");
}

uint64_t update_since_us(uint64_t ns)
{
	return (monotonic_ns() - ns) / 1000;
}

uint64_t update_since_ms(uint64_t ns)
{
	return update_since_us(ns) / 1000;
}

/* By itself, before anything of it was held: its own end counts. */
void update_on_old_left(struct update *u)
{
	struct generation *old = u->old;

	update_drop_next(u);
	old->ops = pod_generation_ops();
	(void)error_set(&u->why, ESRCH,
			"the generation that served ended with exit code %d",
			old->exit_code);
	update_fail_others(u, &u->why);
	update_end_rolled_back(u, RKT_EXIT_DEGRADED);
	old->ops->ended(old);
}

static void on_old_ended(struct generation *old)
{
	struct update *u = old->data;

	if (u->tier == UPDATE_HANDOVER)
		handover_on_old_ended(u, old);
	else
		update_restart_on_old_ended(u, old);
}

const struct generation_ops update_old_ops = {
	.notify = listeners_on_notify,
	.ended = on_old_ended,
};

/* The signal a server wants to hear when it is to finish what it has begun,
 * as its image says; that at which it ends if it does not. */
int update_drain_signal(const struct generation *g)
{
	const char *name = name_values_get(&g->image.annotations, DRAIN_SIGNAL);
	int signal = g->service.stop_signal;

	if (name && parse_signal(name, &signal) < 0)
		log_warning("app %s: " DRAIN_SIGNAL " %s is no signal, using "
			    "signal %d",
			    g->app->name, name, signal);
	return signal;
}

static void on_next_held(struct generation *next)
{
	struct update *u = next->data;

	if (u->tier == UPDATE_HANDOVER)
		handover_on_held(u);
	else
		update_restart_on_held(u);
}

static void on_next_failed(struct generation *next, const struct error *err)
{
	update_roll_back(next->data, err);
}

static void on_next_ended(struct generation *next)
{
	struct update *u = next->data;
	struct error err = ERROR_INIT;

	(void)error_set(&err, ECHILD, "it ended with exit code %d",
			next->exit_code);
	if (u->app->current == next)
		u->app->current = NULL;
	update_roll_back(u, &err);
}

const struct generation_ops update_next_ops = {
	.notify = listeners_on_notify,
	.held = on_next_held,
	.failed = on_next_failed,
	.ended = on_next_ended,
};

void update_prepare_next(struct update *u)
{
	int tree = fcntl(u->new_tree, F_DUPFD_CLOEXEC, 0);
	struct error err = ERROR_INIT;
	char text[CONTROL_TEXT_MAX];
	int r = generation_new(u->app, u->to, tree, &update_next_ops, &u->next,
			       &err);

	if (r < 0) {
		update_roll_back(u, &err);
		return;
	}
	u->next->data = u;
	if (u->probe.kind == PROBE_NONE)
		probe_copy(&u->probe, &u->next->service.update);
	if (u->tier == UPDATE_AUTO)
		u->tier = update_choose_tier(u, &u->note);
	(void)snprintf(text, sizeof(text), "the new root is ready: %s%s%.700s",
		       update_strategy_text(u->tier),
		       u->note.msg[0] ? ", because " : "", u->note.msg);
	if (!update_advance(u, UPDATE_STAGED, text))
		return;
	if (u->tier == UPDATE_HANDOVER)
		handover_run(u);
	else
		update_restart_run(u);
}

/* --- all or none -----------------------------------------------------------
 */

void update_roll_back(struct update *u, const struct error *why)
{
	if (u->tier == UPDATE_HANDOVER)
		handover_fail(u, why);
	else
		update_restart_fail(u, why);
}

void update_fail_others(struct update *u, const struct error *why)
{
	struct update_group *g = u->group;
	struct error err = *why;

	if (g->is_failing || g->is_committed)
		return;
	g->is_failing = true;
	(void)error_prefix(&err, -err.code, "app %s", u->app->name);
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		if (m == u || m->is_over)
			continue;
		if (!m->rolling_back) {
			update_roll_back(m, &err);
			continue;
		}
		/* The old one is on its way up already, to stay. */
		m->begins_again = m->is_on_hold = false;
		m->why = err;
	}
	unpin(g);
}

bool update_hold_all(struct update *u, const struct error *why)
{
	struct update_group *g = u->group;
	struct error err = *why;

	if (!g->holds_on_fail || g->is_failing || g->is_committed)
		return false;
	if (g->n > 1)
		(void)error_prefix(&err, -err.code, "app %s", u->app->name);
	log_info("update of %s: on hold: %s", u->app->name, why->msg);
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		if (m->is_over || (m != u && m->is_on_hold))
			continue;
		m->is_on_hold = true;
		m->is_verified = m->is_observed = false;
		if (m->tier == UPDATE_HANDOVER)
			handover_hold(m, &err);
		else
			update_restart_hold(m, &err);
	}
	unpin(g);
	return true;
}

void update_tell_hold(struct update *u)
{
	char text[CONTROL_TEXT_MAX];

	(void)snprintf(text, sizeof(text),
		       "on hold: %.700s (the old one serves, the new one %s; "
		       "rkt update --resume or --abort)",
		       u->why.msg, u->next ? "runs on" : "is put away");
	update_enter_state(u, u->state, text);
}

void update_verified(struct update *u)
{
	struct update_group *g = u->group;

	u->is_verified = true;
	for (struct update *m = g->first; m; m = m->sibling)
		if (!m->is_verified)
			return;
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		if (m->is_over || g->is_failing)
			continue;
		if (m->tier == UPDATE_HANDOVER)
			handover_go(m);
		else
			update_restart_go(m);
	}
	unpin(g);
}

/* The first of these renames commits them all: journal_recover() makes up for
 * those a kill prevents. */
static int rename_links(const struct update_group *g, struct error *err)
{
	int dirfd = g->pod->dirfd;
	struct error again = ERROR_INIT;

	for (struct update *m = g->first; m; m = m->sibling) {
		int r = journal_commit(dirfd, m->app->name, m->to, err);

		if (r == 0)
			continue;
		for (const struct update *b = g->first; b != m; b = b->sibling)
			if (journal_commit(dirfd, b->app->name, b->from,
					   &again) < 0)
				log_failure(&again, "update");
		return r;
	}
	return 0;
}

int update_commit_all(struct update_group *g, struct error *err)
{
	int r = rename_links(g, err);

	if (r < 0)
		return r;
	g->is_committed = true;
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		m->app->committed = m->to;
		save_manifest(m);
		restart_commit(m->next);
		if (m->tier == UPDATE_HANDOVER)
			handover_committed(m);
		else
			update_restart_committed(m);
	}
	metadata_update(g->pod);
	unpin(g);
	return 0;
}

void update_observed(struct update *u)
{
	struct error err = ERROR_INIT;

	if (!update_advance(u, UPDATE_OBSERVED, "it stayed up"))
		return;
	u->is_observed = true;
	for (struct update *m = u->group->first; m; m = m->sibling)
		if (!m->is_observed)
			return;
	if (update_commit_all(u->group, &err) < 0)
		update_roll_back(u, &err);
}

static void update_pod_stopping(struct pod *pod)
{
	struct update_group *g = pod->update ? pod->update->group : NULL;

	if (!g)
		return;
	/* It is nobody's failure. */
	g->is_failing = true;
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		if (m->is_over)
			continue;
		if (m->tier == UPDATE_HANDOVER)
			handover_on_stopping(m);
		else
			update_restart_on_stopping(m);
	}
	unpin(g);
}

/* --- requests --------------------------------------------------------------
 */

static struct update *new_member(struct update_group *g,
				 const struct update_part *part)
{
	const struct control_request *request = part->request;
	struct pod_app *app = pod_find_app(g->pod, request->app);
	const struct runtime_app *served =
		pod_manifest_find_app(&g->pod->manifest, app->name);
	struct update *u = xcalloc(1, sizeof(*u));

	*u = (struct update){
		.group = g,
		.pod = g->pod,
		.app = app,
		.old = app->current,
		.from_image = update_image_text(served),
		.from_id = served && served->image.id
				   ? xstrdup(served->image.id)
				   : NULL,
		.from = app->committed,
		.to = request->generation,
		.is_rollback = request->flags & CONTROL_ROLLBACK,
		.ready_ms = request->ready_timeout_ms
				    ? request->ready_timeout_ms
				    : DEFAULT_READY_MS,
		.observe_ms = request->observe_ms,
		.stop_ms = request->stop_timeout_ms ? request->stop_timeout_ms
						    : STOP_TIMEOUT_MS,
		.was_paused = !app->current,
		.old_tree = app->current ? fcntl(app->current->tree_fd,
						 F_DUPFD_CLOEXEC, 0)
					 : restart_take_tree(app),
		.new_tree = fcntl(part->tree_fd, F_DUPFD_CLOEXEC, 0),
		.counts = UPDATE_COUNTS_UNKNOWN,
		.asked = request->strategy,
		.canary_ms = request->canary_ms,
		.canary_share = request->canary_share,
	};
	if (request->probe[0])
		(void)probe_parse(request->probe, &u->probe, NULL);
	if (u->old) {
		u->old->ops = &update_old_ops;
		u->old->data = u;
	}
	restart_suspend(app);
	return u;
}

int update_start(struct pod *pod, const struct update_part *parts, size_t n,
		 int conn, int *ret_exit, struct error *err)
{
	cleanup_fd int reply_to = conn;
	struct update_group *g;
	struct update **end;
	char text[400];
	int r;

	*ret_exit = RKT_EXIT_REFUSED;
	r = update_check(pod, parts, n, err);
	if (r < 0)
		return r;
	*ret_exit = RKT_EXIT_FAILURE;
	r = journal_recover(pod->dirfd, false, err);
	if (r == 0)
		r = journal_reserve(pod->dirfd, n, err);
	if (r < 0)
		return r;
	g = xcalloc(1, sizeof(*g));
	*g = (struct update_group){
		.pod = pod,
		.n = n,
		.pins = 1,
		.conn = TAKE_FD(reply_to),
		.begun_ns = monotonic_ns(),
		.keep = parts[0].request->flags & CONTROL_KEEP
				? (int)parts[0].request->keep
				: -1,
		.holds_on_fail = parts[0].request->flags & CONTROL_HOLD,
	};
	memcpy(g->who, parts[0].request->who, sizeof(g->who));
	end = &g->first;
	for (size_t i = 0; i < n; i++) {
		*end = new_member(g, &parts[i]);
		end = &(*end)->sibling;
	}
	pod->update = g->first;
	pod->on_stopping = update_pod_stopping;
	for (struct update *u = g->first; u; u = u->sibling) {
		(void)snprintf(text, sizeof(text), "%s: generation %u %sto %u",
			       u->app->name, u->from,
			       u->is_rollback ? "back " : "", u->to);
		if (!u->is_over)
			(void)update_advance(u, UPDATE_PLANNED, text);
	}
	for (struct update *u = g->first; u; u = u->sibling)
		if (!u->is_over)
			(void)update_advance(u, UPDATE_FETCHED,
					     "the image is in the store");
	for (struct update *u = g->first; u; u = u->sibling)
		if (!u->is_over)
			update_prepare_next(u);
	unpin(g);
	return 0;
}

/* Not from inside the request: the connection answers first. */
static void on_abort(struct event_timer *timer)
{
	struct error err = ERROR_INIT;

	(void)error_set(&err, ECANCELED, "aborted by request");
	update_roll_back(timer->data, &err);
}

int update_abort(struct pod *pod, struct error *err)
{
	struct update *u = pod->update;

	if (!u)
		return error_set(err, ENOENT, "no update is under way");
	while (u->is_over && u->sibling)
		u = u->sibling;
	if (u->group->is_failing || u->group->is_committed)
		return error_set(err, EALREADY,
				 "it is over, or on its way back");
	u->group->holds_on_fail = false;
	while (u->sibling && (u->is_over || u->rolling_back))
		u = u->sibling;
	if (u->begins_again || (u->rolling_back && u->is_on_hold)) {
		/* The old one is on its way up already. */
		u->begins_again = u->is_on_hold = false;
		(void)error_set(&u->why, ECANCELED, "aborted by request");
		update_fail_others(u, &u->why);
		return 0;
	}
	if (u->rolling_back)
		return error_set(err, EALREADY, "it is being rolled back");
	u->abort.fn = on_abort;
	u->abort.data = u;
	event_timer_set(&pod->loop, &u->abort, 0);
	return 0;
}

static int check_resume(const struct update_group *g, struct error *err)
{
	for (const struct update *m = g->first; m; m = m->sibling)
		if (m->is_on_hold && (m->rolling_back || m->old_stopped))
			return error_set(err, EAGAIN,
					 "the old generation of app %s is not "
					 "back yet: try again",
					 m->app->name);
	return 0;
}

int update_resume(struct pod *pod, int conn, struct error *err)
{
	cleanup_fd int reply_to = conn;
	struct update_group *g = pod->update ? pod->update->group : NULL;
	int r;

	if (!g)
		return error_set(err, ENOENT, "no update is under way");
	r = check_resume(g, err);
	if (r < 0)
		return r;
	fd_close(&g->conn);
	g->conn = TAKE_FD(reply_to);
	update_tell(pod->update, "followed again");
	g->pins++;
	for (struct update *m = g->first; m; m = m->sibling) {
		if (!m->is_on_hold)
			continue;
		m->is_on_hold = false;
		if (m->tier == UPDATE_HANDOVER)
			handover_resume(m);
		else
			update_restart_resume(m);
	}
	unpin(g);
	return 0;
}

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
#include "base/strbuf.h"
#include "spec/history.h"
#include "spec/stage1_abi.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/journal.h"
#include "stage1/listeners.h"
#include "stage1/notify.h"
#include "stage1/pod.h"
#include "stage1/restart.h"
#include "stage1/supervise.h"
#include "stage1/update_impl.h"

/* How often it is looked whether the new generation listens. */
#define TICK_MS 2
/* An app that listens nowhere is ready when it has lived this long. */
#define ALIVE_MS 1000
#define DEFAULT_READY_MS 30000
/* A server opens its listening sockets within this time of one another. */
#define SETTLE_MS 2000
/* Annotation of an image: may two generations of it run at once? */
#define OVERLAP "rkt.io/update/overlap"
/* Of an image, too. */
#define DRAIN_SIGNAL "rkt.io/update/drain-signal"
/* When one goes back, what was before counts, and not to lose time. */
#define SETTLE_BACK_MS 300
/* The old one has served everybody when nobody was there for so long. */
#define EMPTY_MS 50
/* --- telling ---------------------------------------------------------------
 */

static uint64_t since_us(uint64_t ns)
{
	return (monotonic_ns() - ns) / 1000;
}

/* "NAME:VERSION" into BUF, for the history. */
static const char *image_text(const struct runtime_app *ra, char *buf,
			      size_t size)
{
	const char *version = name_values_get(&ra->image.labels, "version");

	if (!ra->image.name)
		return NULL;
	(void)snprintf(buf, size, "%s%s%s", ra->image.name, version ? ":" : "",
		       version ? version : "");
	return buf;
}

static void send_reply(struct update *u, enum control_reply_kind kind, int code,
		       const char *text)
{
	struct control_reply rec = {
		.version = STAGE1_ABI_VERSION,
		.kind = kind,
		.state = u->state,
		.code = code,
		.elapsed_us = since_us(u->begun_ns),
		.strategy = u->tier,
		.counts = u->counts,
	};

	if (u->conn < 0)
		return;
	(void)snprintf(rec.text, sizeof(rec.text), "%s", text);
	/* The command may be gone, or slow: the transaction goes on. */
	if (send(u->conn, &rec, sizeof(rec), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		fd_close(&u->conn);
}

void update_enter_state(struct update *u, enum update_state state,
			const char *text)
{
	char from[CONTROL_TEXT_MAX], to[CONTROL_TEXT_MAX];
	const struct history_event event = {
		.app = u->app->name,
		.from = u->from,
		.to = u->to,
		.state = state,
		.rollback = u->is_rollback,
		.text = text,
		.who = u->who,
		.from_image = u->old ? image_text(&u->old->runtime_app, from,
						  sizeof(from))
				     : NULL,
		.to_image = u->next && !u->rolling_back
				    ? image_text(&u->next->runtime_app, to,
						 sizeof(to))
				    : NULL,
		.tier = u->tier,
		.us = since_us(u->begun_ns),
		.counts = &u->counts,
	};
	struct error err = ERROR_INIT;

	u->state = state;
	log_debug("update of %s: %s", u->app->name, update_state_text(state));
	if (journal_append(u->pod->dirfd, &event, &err) < 0)
		log_failure(&err, "update");
	send_reply(u, CONTROL_PROGRESS, 0, text);
}

const char *update_state_name(const struct pod *pod)
{
	return pod->update ? update_state_text(pod->update->state) : "idle";
}

static void serves_now(struct generation *g)
{
	activation_settle(&g->app->activation, &g->runtime_app.app);
	generation_notify_serves(g);
}

void update_finish(struct update *u, int exit_code, const char *text)
{
	struct pod *pod = u->pod;
	struct error err = ERROR_INIT;

	event_timer_cancel(&pod->loop, &u->tick);
	event_timer_cancel(&pod->loop, &u->observe);
	event_timer_cancel(&pod->loop, &u->abort);
	update_stop_asking(u);
	held_drop(u->app);
	if (u->app->current)
		serves_now(u->app->current);
	probe_release(&u->probe);
	if (u->state == UPDATE_ROLLED_BACK &&
	    journal_discard(pod->dirfd, u->app->name, u->to, &err) < 0)
		log_failure(&err, "update");
	if (journal_close(pod->dirfd, &err) < 0)
		log_failure(&err, "update");
	send_reply(u, CONTROL_DONE, exit_code, text);
	fd_close(&u->conn);
	fd_close(&u->old_tree);
	fd_close(&u->new_tree);
	pod->update = NULL;
	pod->on_stopping = NULL;
	restart_resume(u->app);
	free(u);
}

/* --- rolling back ----------------------------------------------------------
 */

static const struct generation_ops next_ops;
static void on_tick(struct event_timer *timer);
static void begin_again(struct update *u);

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

/* The pod has lost this app: rkt's exit rule takes over. */
static void end_degraded(struct update *u, const struct error *err)
{
	struct pod_app *app = u->app;

	log_failure(err, "update: start the old generation again");
	app->current = NULL;
	update_end_rolled_back(u, RKT_EXIT_DEGRADED);
	pod_app_ended(app, RKT_EXIT_FAILURE);
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

static void start_old_again(struct update *u)
{
	struct error err = ERROR_INIT;
	int r;

	u->rolling_back = true;
	held_rewind(u->app);
	r = generation_new(u->app, u->from, TAKE_FD(u->old_tree), &next_ops,
			   &u->next, &err);
	if (r == 0) {
		u->next->data = u;
		r = generation_start(u->next, &err);
	}
	if (r == 0)
		return;
	update_drop_next(u);
	end_degraded(u, &err);
}

void update_roll_back(struct update *u, const struct error *why)
{
	struct pod *pod = u->pod;

	if (u->tier == UPDATE_HANDOVER) {
		handover_fail(u, why);
		return;
	}
	event_timer_cancel(&pod->loop, &u->tick);
	event_timer_cancel(&pod->loop, &u->observe);
	if (u->rolling_back) {
		update_drop_next(u);
		end_degraded(u, why);
		return;
	}
	u->why = *why;
	log_info("update of %s: rolling back: %s", u->app->name, why->msg);
	update_drop_next(u);
	if (!u->old_stopped) {
		u->old->ops = pod_generation_ops();
		update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
	} else if (!u->old) {
		start_old_again(u);
	}
	/* Else it is being stopped: on_old_ended() starts it again. */
}

/* --- forward ---------------------------------------------------------------
 */

/* `pod` follows, for rkt cat-manifest and those who read it: derived from
 * the generation the link points to, so losing this write loses nothing. */
static void save_manifest(struct update *u)
{
	struct pod *pod = u->pod;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct runtime_app *app =
		pod_manifest_find_app(&pod->manifest, u->app->name);

	if (!app)
		return;
	runtime_app_release(app);
	runtime_app_copy(app, &u->next->runtime_app);
	pod_manifest_write(&pod->manifest, JSON_COMPACT_STYLE, &text);
	if (atomic_file_write(pod->dirfd, POD_MANIFEST_FILE, 0640, text.buf,
			      text.len, &err) < 0)
		log_failure(&err, "update");
}

int update_commit_files(struct update *u, struct error *err)
{
	int r = journal_commit(u->pod->dirfd, u->app->name, u->to, err);

	if (r < 0)
		return r;
	u->app->committed = u->to;
	save_manifest(u);
	return 0;
}

static void commit(struct update *u)
{
	struct error err = ERROR_INIT;
	char text[128];

	if (update_commit_files(u, &err) < 0) {
		update_roll_back(u, &err);
		return;
	}
	u->next->ops = pod_generation_ops();
	(void)snprintf(text, sizeof(text), "generation %u serves%s", u->to,
		       u->is_rollback ? " again" : "");
	update_enter_state(u, UPDATE_COMMITTED, text);
	update_finish(u, 0, text);
}

static void on_observed(struct event_timer *timer)
{
	struct update *u = timer->data;

	update_enter_state(u, UPDATE_OBSERVED, "it stayed up");
	commit(u);
}

static void ready(struct update *u)
{
	char text[300];
	size_t n;

	if (u->begins_again) {
		begin_again(u);
		return;
	}
	if (u->rolling_back) {
		u->next->ops = pod_generation_ops();
		update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
		return;
	}
	if (!update_is_well(u, ready))
		return;
	u->counts.switch_us = since_us(u->released_ns);
	u->counts.moved = u->app->n_moved;
	n = held_taken(u->app);
	(void)snprintf(
		text, sizeof(text), "%zu listening socket%s taken over%s%.200s",
		n, n == 1 ? "" : "s", u->note.msg[0] ? "; " : "", u->note.msg);
	update_enter_state(u, UPDATE_VERIFIED, n ? text : "it stays alive");
	update_enter_state(u, UPDATE_SWITCHED, "new connections go to it");
	u->observe.fn = on_observed;
	u->observe.data = u;
	event_timer_set(&u->pod->loop, &u->observe, u->observe_ms);
}

/*
 * The kernel cannot move who waits in the held socket to one of another form:
 * the old one serves them, and nobody else is let in before it stops again.
 */
static void serve_those_who_wait(struct update *u)
{
	u->n_odd_ports = held_odd_ports(u->app, u->odd_ports);
	u->begins_again = true;
	(void)error_set(&u->why, EADDRINUSE,
			"it listens in another form of an address");
	update_enter_state(
		u, UPDATE_STAGED,
		"it listens in another form of an address: the old one "
		"serves those who wait, then it begins again");
	event_timer_cancel(&u->pod->loop, &u->tick);
	update_drop_next(u);
	start_old_again(u);
}

uint64_t update_since_ms(uint64_t ns)
{
	return (monotonic_ns() - ns) / 1000000;
}

static bool goes_back(const struct update *u)
{
	return u->is_rollback || u->rolling_back;
}

/* The new one listens at the old one's ports, and that will not change: for
 * too few of the clients. */
static bool stays_narrower(struct update *u, struct error *err)
{
	size_t n = held_taken(u->app);

	if (n != u->n_taken) {
		u->n_taken = n;
		u->progress_ns = monotonic_ns();
	}
	return n &&
	       update_since_ms(u->progress_ns) >=
		       (goes_back(u) ? SETTLE_BACK_MS : SETTLE_MS) &&
	       held_narrower(u->app, err);
}

/* Who goes back wants what was before, but nobody is cut off for it. */
static void accept_narrower(struct update *u, const struct error *err)
{
	u->note = *err;
	u->n_odd_ports = held_odd_ports(u->app, u->odd_ports);
	held_quiet(u->app, u->odd_ports, u->n_odd_ports);
	if (!u->rolling_back && !u->has_begun_again && !held_are_empty(u->app))
		serve_those_who_wait(u);
	else
		ready(u);
}

/* What an app says of itself counts before what is to be seen of it. */
static void await_told(struct update *u, uint64_t lived_ms)
{
	struct error err = ERROR_INIT;

	if (lived_ms < u->ready_ms || notify_extended_ms(u->next)) {
		event_timer_set(&u->pod->loop, &u->tick, TICK_MS);
		return;
	}
	(void)error_set(&err, ETIMEDOUT,
			"it did not say READY=1 within %llu ms",
			(unsigned long long)u->ready_ms);
	update_roll_back(u, &err);
}

static void on_tick(struct event_timer *timer)
{
	struct update *u = timer->data;
	enum notify_readiness told = notify_readiness(u->next);
	uint64_t lived_ms = update_since_ms(u->released_ns);
	struct error err = ERROR_INIT;
	enum held_state state =
		held_advance(u->app, u->rolling_back || u->has_begun_again);

	if (told == NOTIFY_AWAITED) {
		await_told(u, lived_ms);
	} else if (state == HELD_OVER &&
		   (u->app->n_held || told == NOTIFY_READY ||
		    lived_ms >= ALIVE_MS)) {
		ready(u);
	} else if (state == HELD_QUEUED) {
		serve_those_who_wait(u);
	} else if (stays_narrower(u, &err)) {
		if (goes_back(u))
			accept_narrower(u, &err);
		else
			update_roll_back(u, &err);
	} else if (lived_ms >= u->ready_ms) {
		(void)error_set(&err, ETIMEDOUT,
				"it did not listen where the old one did "
				"within %llu ms",
				(unsigned long long)u->ready_ms);
		update_roll_back(u, &err);
	} else {
		event_timer_set(&u->pod->loop, timer, TICK_MS);
	}
}

/* The old one is gone and the new one stands at its barrier. */
static void let_next_go(struct update *u)
{
	struct error err = ERROR_INIT;

	u->app->current = u->next;
	u->released_ns = u->progress_ns = monotonic_ns();
	u->n_taken = 0;
	u->app->n_moved = 0;
	if (generation_release(u->next, &err) < 0) {
		update_roll_back(u, &err);
		return;
	}
	if (!u->rolling_back)
		update_enter_state(u, UPDATE_STARTED,
				   "the new generation executes");
	u->tick.fn = on_tick;
	u->tick.data = u;
	event_timer_set(&u->pod->loop, &u->tick, TICK_MS);
}

static void start_next(struct update *u)
{
	struct error err = ERROR_INIT;

	if (generation_start(u->next, &err) < 0)
		update_roll_back(u, &err);
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
	update_end_rolled_back(u, RKT_EXIT_DEGRADED);
	old->ops->ended(old);
}

static void on_old_ended(struct generation *old)
{
	struct update *u = old->data;

	if (u->tier == UPDATE_HANDOVER) {
		handover_on_old_ended(u, old);
		return;
	}
	if (!u->old_stopped) {
		update_on_old_left(u);
		return;
	}
	u->old = NULL;
	u->app->current = NULL;
	generation_free(old);
	if (!u->next)
		start_old_again(u);
	else if (u->next->state == GENERATION_HELD)
		let_next_go(u);
	else if (u->next->state == GENERATION_NEW)
		start_next(u);
}

static const struct generation_ops old_ops = {
	.notify = listeners_on_notify,
	.ended = on_old_ended,
};

/* The signal a server wants to hear when it is to finish what it has begun,
 * as its image says; SIGTERM if it does not. */
int update_drain_signal(const struct generation *g)
{
	const char *name = name_values_get(&g->image.annotations, DRAIN_SIGNAL);

	for (int sig = 1; name && sig < 32; sig++) {
		const char *abbrev = sigabbrev_np(sig);

		if (abbrev && strncmp(name, "SIG", 3) == 0 &&
		    strcmp(name + 3, abbrev) == 0)
			return sig;
	}
	if (name)
		log_warning("app %s: " DRAIN_SIGNAL " %s is no signal, using "
			    "SIGTERM",
			    g->app->name, name);
	return SIGTERM;
}

static void end_old(struct update *u)
{
	u->old_stopped = true;
	generation_stop(u->old, update_drain_signal(u->old), u->stop_ms);
}

/* It serves still, and nobody new comes to the odd ports. */
static void on_drain_tick(struct event_timer *timer)
{
	struct update *u = timer->data;
	struct error err = ERROR_INIT;

	if (!held_are_empty(u->app))
		u->waiting_ns = monotonic_ns();
	if (update_since_ms(u->waiting_ns) >= EMPTY_MS) {
		end_old(u);
	} else if (update_since_ms(u->drain_ns) >= u->stop_ms) {
		(void)error_set(&err, ETIMEDOUT,
				"the old one did not serve those who wait "
				"within %llu ms",
				(unsigned long long)u->stop_ms);
		update_roll_back(u, &err);
	} else {
		event_timer_set(&u->pod->loop, timer, TICK_MS);
	}
}

/* From here on the old one's connections queue in what we hold. */
static void stop_old(struct update *u)
{
	struct error err = ERROR_INIT;
	int r;

	restart_drop_kept(u->app);
	r = listeners_hold(u->old, &err);
	if (r < 0) {
		update_roll_back(u, &err);
		return;
	}
	if (!u->has_begun_again) {
		end_old(u);
		return;
	}
	held_quiet(u->app, u->odd_ports, u->n_odd_ports);
	u->drain_ns = u->waiting_ns = monotonic_ns();
	u->tick.fn = on_drain_tick;
	u->tick.data = u;
	event_timer_set(&u->pod->loop, &u->tick, TICK_MS);
}

static void on_next_held(struct generation *next)
{
	struct update *u = next->data;

	if (u->tier == UPDATE_HANDOVER)
		handover_on_held(u);
	else if (u->old && !u->old_stopped)
		stop_old(u);
	else if (!u->old)
		let_next_go(u);
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

static const struct generation_ops next_ops = {
	.notify = listeners_on_notify,
	.held = on_next_held,
	.failed = on_next_failed,
	.ended = on_next_ended,
};

static bool writes_volume(const struct generation *g)
{
	for (size_t i = 0; i < g->plan.n_mounts; i++)
		if (!g->plan.mounts[i].read_only)
			return true;
	return false;
}

/* Two writers of one volume must not run at once: then pre-start waits for
 * the old one's end, too. */
static bool must_stop_first(const struct update *u)
{
	const struct generation *next = u->next;

	/* It could take over the new one at its barrier. */
	if (generation_can_trace(u->old))
		return true;
	if (next->plan.pre_start.n == 0)
		return false;
	return writes_volume(next);
}

/* The highest that applies; WHY not a higher one.  Whether the old one's
 * sockets can be handed over is seen later. */
static enum update_strategy choose_tier(const struct update *u,
					struct error *why)
{
	const char *overlap =
		name_values_get(&u->next->image.annotations, OVERLAP);

	if (u->asked != UPDATE_AUTO)
		return u->asked;
	if (generation_can_trace(u->old))
		(void)error_set(why, EPERM,
				"the old one could take over the new one "
				"(CAP_SYS_PTRACE)");
	else if (u->app->store && fd_store_count(u->app->store))
		(void)error_set(why, EBUSY,
				"what it stores when it ends is for the one "
				"that comes after it");
	else if (overlap && strcmp(overlap, "forbidden") == 0)
		(void)error_set(why, EPERM,
				"the image says " OVERLAP "=forbidden");
	else if ((!overlap || strcmp(overlap, "allowed") != 0) &&
		 writes_volume(u->next))
		(void)error_set(why, EPERM,
				"it can write to a volume and the image does "
				"not say " OVERLAP "=allowed");
	else
		return UPDATE_HANDOVER;
	return UPDATE_RESTART;
}

void update_prepare_next(struct update *u)
{
	int tree = fcntl(u->new_tree, F_DUPFD_CLOEXEC, 0);
	struct error err = ERROR_INIT;
	char text[CONTROL_TEXT_MAX];
	int r = generation_new(u->app, u->to, tree, &next_ops, &u->next, &err);

	if (r < 0) {
		update_roll_back(u, &err);
		return;
	}
	u->next->data = u;
	if (u->probe.kind == PROBE_NONE)
		probe_copy(&u->probe, &u->next->service.update);
	if (u->tier == UPDATE_AUTO)
		u->tier = choose_tier(u, &u->note);
	(void)snprintf(text, sizeof(text), "the new root is ready: %s%s%.700s",
		       update_strategy_text(u->tier),
		       u->note.msg[0] ? ", because " : "", u->note.msg);
	update_enter_state(u, UPDATE_STAGED, text);
	if (u->tier == UPDATE_HANDOVER)
		handover_run(u);
	else if (must_stop_first(u))
		stop_old(u);
	else
		start_next(u);
}

/* The old one serves again: from the start. */
static void begin_again(struct update *u)
{
	u->old = u->next;
	u->old->ops = &old_ops;
	u->old_tree = fcntl(u->old->tree_fd, F_DUPFD_CLOEXEC, 0);
	u->next = NULL;
	u->old_stopped = false;
	u->rolling_back = u->begins_again = false;
	u->has_begun_again = true;
	held_drop(u->app);
	update_prepare_next(u);
}

/* The pod goes down: whatever runs of the transaction goes with it. */
static void update_pod_stopping(struct pod *pod)
{
	struct update *u = pod->update;

	if (!u)
		return;
	if (u->tier == UPDATE_HANDOVER) {
		handover_on_stopping(u);
		return;
	}
	/* What serves now is stopped with the pod; the other one ends here.
	 * The committed generation has not changed. */
	if (u->next && u->next != u->app->current)
		generation_free(u->next);
	if (u->app->current)
		u->app->current->ops = pod_generation_ops();
	(void)error_set(&u->why, ECANCELED, "the pod was stopped");
	update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
}

/* --- requests --------------------------------------------------------------
 */

/* Back to what served, forward to what did not: nothing else is asked for. */
static int check_generation(const struct pod *pod,
			    const struct control_request *request,
			    struct error *err)
{
	bool has_run =
		journal_has_run(pod->dirfd, request->app, request->generation);

	if (request->flags & CONTROL_ROLLBACK && !has_run)
		return error_set(err, ENOENT,
				 "generation %u never served: there is nothing "
				 "to go back to",
				 request->generation);
	if (!(request->flags & CONTROL_ROLLBACK) && has_run)
		return error_set(err, EEXIST,
				 "generation %u served before: to go there is "
				 "a rollback",
				 request->generation);
	return 0;
}

static int check_request(struct pod *pod, const struct control_request *request,
			 const struct pod_app *app, struct error *err)
{
	cleanup_probe struct probe probe = PROBE_INIT;
	int r;

	if (!app)
		return error_set(err, ENOENT, "the pod has no app %s",
				 request->app);
	if (pod->update)
		return error_set(err, EBUSY,
				 "another update of this pod is under way "
				 "(app %s, %s)",
				 pod->update->app->name,
				 update_state_name(pod));
	if (!pod->running || pod->stopping || app->done || !app->current ||
	    app->current->state != GENERATION_RUNNING)
		return error_set(err, ESRCH, "app %s is not running",
				 request->app);
	if (request->strategy > UPDATE_HANDOVER)
		return error_set(err, ENOTSUP,
				 "this stage1 knows the strategies restart and "
				 "handover only");
	if (request->probe[0] && probe_parse(request->probe, &probe, err) < 0)
		return -EINVAL;
	if (request->generation == app->committed)
		return error_set(err, EALREADY,
				 "generation %u is the one that runs",
				 request->generation);
	r = check_generation(pod, request, err);
	if (r < 0)
		return r;
	if (pod->console)
		return error_set(err, ENOTSUP,
				 "an interactive pod cannot be updated");
	return 0;
}

int update_start(struct pod *pod, const struct control_request *request,
		 int tree_fd, int conn, int *ret_exit, struct error *err)
{
	cleanup_fd int tree = tree_fd;
	cleanup_fd int reply_to = conn;
	struct pod_app *app = pod_find_app(pod, request->app);
	struct update *u;
	char text[128];
	int r;

	*ret_exit = RKT_EXIT_REFUSED;
	r = check_request(pod, request, app, err);
	if (r < 0 || !app)
		return r;
	u = xcalloc(1, sizeof(*u));
	*u = (struct update){
		.pod = pod,
		.app = app,
		.old = app->current,
		.from = app->committed,
		.to = request->generation,
		.is_rollback = request->flags & CONTROL_ROLLBACK,
		.begun_ns = monotonic_ns(),
		.ready_ms = request->ready_timeout_ms
				    ? request->ready_timeout_ms
				    : DEFAULT_READY_MS,
		.observe_ms = request->observe_ms,
		.stop_ms = request->stop_timeout_ms ? request->stop_timeout_ms
						    : STOP_TIMEOUT_MS,
		.old_tree = fcntl(app->current->tree_fd, F_DUPFD_CLOEXEC, 0),
		.new_tree = TAKE_FD(tree),
		.conn = TAKE_FD(reply_to),
		.counts = UPDATE_COUNTS_UNKNOWN,
		.asked = request->strategy,
		.canary_ms = request->canary_ms,
		.canary_share = request->canary_share,
		.holds_on_fail = request->flags & CONTROL_HOLD,
	};
	if (request->probe[0])
		(void)probe_parse(request->probe, &u->probe, NULL);
	memcpy(u->who, request->who, sizeof(u->who));
	pod->update = u;
	pod->on_stopping = update_pod_stopping;
	restart_suspend(app);
	(void)snprintf(text, sizeof(text), "%s: generation %u %sto %u",
		       app->name, u->from, u->is_rollback ? "back " : "",
		       u->to);
	u->old->ops = &old_ops;
	u->old->data = u;
	update_enter_state(u, UPDATE_PLANNED, text);
	update_enter_state(u, UPDATE_FETCHED, "the image is in the store");
	update_prepare_next(u);
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
	if (u->tier == UPDATE_HANDOVER && handover_abort(u, err) < 0)
		return -EALREADY;
	if (u->begins_again) {
		/* The old one is on its way up already. */
		u->begins_again = false;
		(void)error_set(&u->why, ECANCELED, "aborted by request");
		return 0;
	}
	if (u->rolling_back)
		return error_set(err, EALREADY, "it is being rolled back");
	u->abort.fn = on_abort;
	u->abort.data = u;
	event_timer_set(&pod->loop, &u->abort, 0);
	return 0;
}

int update_resume(struct pod *pod, int conn, struct error *err)
{
	cleanup_fd int reply_to = conn;
	struct update *u = pod->update;
	int r = 0;

	if (!u)
		return error_set(err, ENOENT, "no update is under way");
	if (u->tier == UPDATE_HANDOVER)
		r = handover_resume(u, err);
	if (r < 0)
		return r;
	fd_close(&u->conn);
	u->conn = TAKE_FD(reply_to);
	send_reply(u, CONTROL_PROGRESS, 0, "followed again");
	return 0;
}

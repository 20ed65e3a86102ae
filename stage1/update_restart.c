/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/listeners.h"
#include "stage1/notify.h"
#include "stage1/pod.h"
#include "stage1/requests.h"
#include "stage1/restart.h"
#include "stage1/supervise.h"
#include "stage1/unseen.h"
#include "stage1/update_impl.h"

/* How often it is looked whether the new generation listens. */
#define TICK_MS 2
/* An app that listens nowhere is ready when it has lived this long. */
#define ALIVE_MS 1000
/* A server opens its listening sockets within this time of one another. */
#define SETTLE_MS 2000
/* When one goes back, what was before counts, and not to lose time. */
#define SETTLE_BACK_MS 300
#define PORTS_MAX (HELD_MAX + ACTIVATION_MAX)
/* The old one has served everybody when nobody was there for so long. */
#define EMPTY_MS 50

/* Where clients come in: the held sockets, and those that are the pod's. */
static size_t client_ports(const struct pod_app *app, uint16_t ports[PORTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held && n < PORTS_MAX; i++)
		if (app->held[i].form.port)
			ports[n++] = app->held[i].form.port;
	for (size_t i = 0; i < app->activation.n && n < PORTS_MAX; i++)
		if (!app->activation.v[i].udp)
			ports[n++] = app->activation.v[i].port;
	return n;
}

/* --- rolling back ----------------------------------------------------------
 */

static void on_tick(struct event_timer *timer);
static void begin_again(struct update *u);

/* The pod has lost this app: its restart policy or rkt's exit rule takes
 * over. */
static void end_degraded(struct update *u, const struct error *err)
{
	struct pod_app *app = u->app;
	int tree;

	/* In a mutable pod it may be started later. */
	if (u->pod->options.is_mutable) {
		fd_close(&app->tree_fd);
		app->tree_fd = fcntl(u->old_tree, F_DUPFD_CLOEXEC, 0);
	}
	log_failure(err, "update: start the old generation again");
	u->group->holds_on_fail = false;
	update_fail_others(u, err);
	app->current = NULL;
	tree = TAKE_FD(u->old_tree);
	update_end_rolled_back(u, RKT_EXIT_DEGRADED);
	if (!restart_lost(app, TAKE_FD(tree), RKT_EXIT_FAILURE))
		pod_app_ended(app, RKT_EXIT_FAILURE);
}

/* What it was before: not well, and to be started again. */
static void wait_again(struct update *u)
{
	struct pod_app *app = u->app;
	int tree = TAKE_FD(u->old_tree);
	const struct error why = u->why;

	(void)error_set(&u->why, why.code,
			"%.800s; generation %u waits to be started again",
			why.msg, u->from);
	update_end_rolled_back(u, RKT_EXIT_DEGRADED);
	(void)restart_lost(app, tree, app->exit_code);
}

/* What of the new one runs ends here. */
static void end_next(struct update *u)
{
	uint16_t ports[PORTS_MAX];

	event_timer_cancel(&u->pod->loop, &u->tick);
	event_timer_cancel(&u->pod->loop, &u->observe);
	if (u->next && u->next->state == GENERATION_RUNNING)
		requests_count(u->next, ports, client_ports(u->app, ports),
			       &u->counts);
	update_drop_next(u);
}

static void start_old_again(struct update *u)
{
	struct error err = ERROR_INIT;
	int tree, r;

	u->rolling_back = true;
	held_rewind(u->app);
	/* The original stays for another try: end_degraded(). */
	tree = fcntl(u->old_tree, F_DUPFD_CLOEXEC, 0);
	r = generation_new(u->app, u->from, tree < 0 ? -EBADF : tree,
			   &update_next_ops, &u->next, &err);
	if (r == 0) {
		u->next->data = u;
		r = generation_start(u->next, &err);
	}
	if (r == 0)
		return;
	update_drop_next(u);
	end_degraded(u, &err);
}

void update_restart_fail(struct update *u, const struct error *why)
{
	if (!u->rolling_back && update_hold_all(u, why))
		return;
	update_fail_others(u, why);
	if (u->rolling_back) {
		end_next(u);
		end_degraded(u, why);
		return;
	}
	u->why = *why;
	log_info("update of %s: rolling back: %s", u->app->name, why->msg);
	end_next(u);
	if (!u->old_stopped) {
		u->old->ops = pod_generation_ops();
		update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
	} else if (u->was_paused) {
		wait_again(u);
	} else if (!u->old) {
		start_old_again(u);
	}
	/* Else it is being stopped: on_old_ended() starts it again. */
}

void update_restart_hold(struct update *u, const struct error *why)
{
	u->why = *why;
	/* The old one is on its way up already. */
	if (u->rolling_back) {
		u->begins_again = false;
		return;
	}
	end_next(u);
	if (!u->old_stopped)
		update_tell_hold(u);
	else if (!u->old)
		start_old_again(u);
	/* Else as in update_restart_fail(). */
}

void update_restart_resume(struct update *u)
{
	u->has_begun_again = false;
	u->n_odd_ports = 0;
	update_prepare_next(u);
}

/* --- forward ---------------------------------------------------------------
 */

void update_restart_committed(struct update *u)
{
	char text[128];

	u->next->ops = pod_generation_ops();
	(void)snprintf(text, sizeof(text), "generation %u serves%s", u->to,
		       u->is_rollback ? " again" : "");
	update_enter_state(u, UPDATE_COMMITTED, text);
	update_finish(u, 0, text);
}

static void on_observed(struct event_timer *timer)
{
	update_observed(timer->data);
}

void update_restart_go(struct update *u)
{
	if (!update_advance(u, UPDATE_SWITCHED, "new connections go to it"))
		return;
	u->observe.fn = on_observed;
	u->observe.data = u;
	event_timer_set(&u->pod->loop, &u->observe, u->observe_ms);
}

/* It serves, as before the update began. */
static void take_old_back(struct update *u)
{
	u->old = u->next;
	u->old->ops = &update_old_ops;
	fd_close(&u->old_tree);
	u->old_tree = fcntl(u->old->tree_fd, F_DUPFD_CLOEXEC, 0);
	u->next = NULL;
	u->old_stopped = false;
	u->rolling_back = u->begins_again = false;
	held_drop(u->app);
}

static void ready(struct update *u)
{
	char what[64] = "it stays alive", text[300];
	size_t n;

	if (u->begins_again) {
		begin_again(u);
		return;
	}
	u->counts.moved = u->app->n_moved;
	if (u->rolling_back && u->is_on_hold) {
		take_old_back(u);
		update_tell_hold(u);
		return;
	}
	if (u->rolling_back) {
		u->next->ops = pod_generation_ops();
		update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
		return;
	}
	if (!update_is_well(u, ready))
		return;
	u->counts.switch_us = update_since_us(u->released_ns);
	n = held_taken(u->app);
	if (n)
		(void)snprintf(what, sizeof(what),
			       "%zu listening socket%s taken over", n,
			       n == 1 ? "" : "s");
	(void)snprintf(text, sizeof(text), "%s%s%.200s", what,
		       u->note.msg[0] ? "; " : "", u->note.msg);
	if (update_advance(u, UPDATE_VERIFIED, text))
		update_verified(u);
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

	restart_store(u->app);
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
	if (!u->rolling_back &&
	    !update_advance(u, UPDATE_STARTED, "the new generation executes"))
		return;
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

void update_restart_on_old_ended(struct update *u, struct generation *old)
{
	if (!u->old_stopped) {
		update_on_old_left(u);
		return;
	}
	update_end_requests(u);
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

static void end_old(struct update *u)
{
	uint16_t ports[PORTS_MAX];

	u->old_stopped = true;
	u->requests =
		requests_watch(u->old, ports, client_ports(u->app, ports));
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

	restart_let_go(u->app);
	if (!u->note.code)
		(void)unseen_port(u->old, &u->note);
	r = listeners_hold(u->old, &err);
	if (r < 0) {
		update_roll_back(u, &err);
		return;
	}
	held_widen(u->app);
	restart_store(u->app);
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

void update_restart_on_held(struct update *u)
{
	if (u->old && !u->old_stopped)
		stop_old(u);
	else if (!u->old)
		let_next_go(u);
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
	return update_writes_volume(next);
}

void update_restart_run(struct update *u)
{
	if (!u->old) {
		u->old_stopped = true;
		start_next(u);
	} else if (must_stop_first(u))
		stop_old(u);
	else
		start_next(u);
}

/* From the start. */
static void begin_again(struct update *u)
{
	take_old_back(u);
	u->has_begun_again = true;
	update_prepare_next(u);
}

/* What serves now is stopped with the pod; the other one ends here.  The
 * committed generation has not changed. */
void update_restart_on_stopping(struct update *u)
{
	if (u->next != u->app->current)
		update_drop_next(u);
	if (u->app->current)
		u->app->current->ops = pod_generation_ops();
	u->is_interrupted = true;
	(void)error_set(&u->why, ECANCELED, "the pod was stopped");
	update_end_rolled_back(u, RKT_EXIT_ROLLED_BACK);
}

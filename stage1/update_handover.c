/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "stage1/generation.h"
#include "stage1/handover.h"
#include "stage1/held.h"
#include "stage1/listeners.h"
#include "stage1/notify.h"
#include "stage1/pod.h"
#include "stage1/probe.h"
#include "stage1/requests.h"
#include "stage1/restart.h"
#include "stage1/steer.h"
#include "stage1/supervise.h"
#include "stage1/update_impl.h"

/* How often it is looked whether the new generation listens, */
#define LOOK_MS 2
/* whether it comes to listen with more sockets, */
#define WATCH_MS 20
/* how long after a probe failed the next one comes, */
#define PROBE_AGAIN_MS 100
/* whether the one that goes has clients left, */
#define DRAIN_LOOK_MS 10
/* and how long it must have had none. */
#define EMPTY_MS 50
/* From the signal to the kill, though the drain time is over. */
#define END_MS 1000

static void set_tick(struct update *u, void (*fn)(struct event_timer *timer),
		     uint64_t ms)
{
	u->tick.fn = fn;
	u->tick.data = u;
	event_timer_set(&u->pod->loop, &u->tick, ms);
}

static void set_observe(struct update *u, void (*fn)(struct event_timer *timer),
			uint64_t ms)
{
	u->observe.fn = fn;
	u->observe.data = u;
	event_timer_set(&u->pod->loop, &u->observe, ms);
}

static void cancel_all(struct update *u)
{
	event_timer_cancel(&u->pod->loop, &u->tick);
	event_timer_cancel(&u->pod->loop, &u->observe);
	if (u->probing)
		probe_cancel(u->probing);
	u->probing = NULL;
}

static bool is_alive(const struct generation *g)
{
	return g && g->state == GENERATION_RUNNING;
}

/* --- the one that goes -----------------------------------------------------
 */

static void settle(struct update *u)
{
	cancel_all(u);
	if (u->handover)
		handover_free(u->handover, u->winner);
	u->handover = NULL;
	if (u->winner)
		u->winner->ops = pod_generation_ops();
	update_finish(u, u->exit_code, u->text);
}

/* The same state, with what became of the clients. */
static void note_drained(struct update *u)
{
	struct error err = ERROR_INIT;
	char text[CONTROL_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%.700s; the other one has ended",
		       u->text);
	if (u->counts.drained && u->counts.drained != UPDATE_NOT_COUNTED)
		(void)snprintf(text, sizeof(text),
			       "%.700s; the other one has ended, and %llu "
			       "connections with it",
			       u->text, (unsigned long long)u->counts.drained);
	(void)snprintf(u->text, sizeof(u->text), "%s", text);
	if (update_note(u, text, &err) < 0)
		log_failure(&err, "update");
}

/* Who waits in its sockets goes to the one that stays: by the kernel, where
 * the pod has told it so, which is not on the host's network. */
static void count_waiting(struct update *u, const struct generation *loser)
{
	bool is_host = net_list_kind(&u->pod->options.nets) == NET_KIND_HOST;
	size_t n = u->handover ? handover_waiting(u->handover, loser) : 0;

	u->counts.moved = is_host ? 0 : n;
	if (is_host && n)
		u->counts.lost = u->counts.lost == UPDATE_NOT_COUNTED
					 ? n
					 : u->counts.lost + n;
}

static void on_loser_ended(struct generation *loser)
{
	struct update *u = loser->data;

	u->loser = NULL;
	update_end_requests(u);
	count_waiting(u, loser);
	generation_free(loser);
	note_drained(u);
	settle(u);
}

static const struct generation_ops loser_ops = {
	.notify = listeners_on_notify,
	.ended = on_loser_ended,
};

struct left {
	int fds[HELD_MAX];
	size_t n;
};

static void note_left(void *data, int fd)
{
	struct left *left = data;

	if (left->n < HELD_MAX)
		left->fds[left->n++] = fd;
	else
		(void)close(fd);
}

/* What it left in its sockets has nobody to go to, unless it is started again.
 */
static void on_winner_ended(struct generation *winner)
{
	struct update *u = winner->data;
	struct left left = {.n = 0};

	update_end_requests(u);
	if (u->loser)
		generation_free(u->loser);
	if (restart_is_due(winner) && u->handover) {
		handover_leave(u->handover, winner, note_left, &left);
		u->handover = NULL;
	}
	u->loser = u->winner = NULL;
	settle(u);
	for (size_t i = 0; i < left.n; i++)
		listeners_adopt(winner, left.fds[i]);
	winner->ops = pod_generation_ops();
	winner->ops->ended(winner);
}

static const struct generation_ops winner_ops = {
	.notify = listeners_on_notify,
	.ended = on_winner_ended,
};

static void end_loser(struct update *u)
{
	uint64_t gone_ms = update_since_ms(u->drain_ns);
	uint64_t left_ms = u->stop_ms > gone_ms ? u->stop_ms - gone_ms : 0;
	uint16_t ports[HELD_MAX];
	size_t n = handover_ports(u->handover, ports, HELD_MAX);

	u->requests = requests_watch(u->loser, ports, n);
	generation_stop(u->loser, update_drain_signal(u->loser),
			left_ms > END_MS ? left_ms : END_MS);
}

static void on_drain(struct event_timer *timer)
{
	struct update *u = timer->data;
	bool is_over = update_since_ms(u->drain_ns) >= u->stop_ms;
	struct error err = ERROR_INIT;

	/* What one that dies has closed is kept for the next process. */
	if (is_alive(u->winner) && !generation_is_ending(u->winner) &&
	    handover_tend(u->handover, &err) < 0)
		log_failure(&err, "update");
	if (handover_has_clients(u->handover, u->loser))
		u->waiting_ns = monotonic_ns();
	if (is_over || update_since_ms(u->waiting_ns) >= EMPTY_MS) {
		end_loser(u);
	} else {
		event_timer_set(&u->pod->loop, timer, DRAIN_LOOK_MS);
	}
}

/* LOSER gets no connections any more, and ends when it has none left. */
static void drain(struct update *u, struct generation *winner,
		  struct generation *loser)
{
	cancel_all(u);
	u->winner = winner;
	u->loser = loser;
	if (!loser) {
		settle(u);
		return;
	}
	winner->ops = &winner_ops;
	winner->data = u;
	loser->ops = &loser_ops;
	loser->data = u;
	u->drain_ns = u->waiting_ns = monotonic_ns();
	if (loser->state == GENERATION_RUNNING)
		set_tick(u, on_drain, DRAIN_LOOK_MS);
	else
		generation_stop(loser, SIGKILL, END_MS);
}

/* --- back ------------------------------------------------------------------
 */

/* The old one has all connections again. */
static void steer_back(struct update *u)
{
	struct error err = ERROR_INIT;
	uint64_t us;
	int r = u->handover ? handover_steer(u->handover, 0, &us, &err) : 0;

	if (r < 0)
		log_failure(&err, "update");
	else if (u->handover && u->state >= UPDATE_SWITCHED)
		u->counts.switch_us = us;
}

static void on_hold(struct event_timer *timer)
{
	struct update *u = timer->data;
	struct error err = ERROR_INIT;

	if (handover_tend(u->handover, &err) < 0)
		log_failure(&err, "update");
	event_timer_set(&u->pod->loop, timer, WATCH_MS);
}

void handover_hold(struct update *u, const struct error *why)
{
	steer_back(u);
	cancel_all(u);
	u->why = *why;
	if (is_alive(u->next)) {
		set_tick(u, on_hold, WATCH_MS);
	} else {
		if (u->next)
			update_drop_next(u);
		if (u->handover)
			handover_free(u->handover, u->old);
		u->handover = NULL;
	}
	update_tell_hold(u);
}

static void go_back(struct update *u, const struct error *why)
{
	struct generation *next = u->next;

	update_fail_others(u, why);
	u->why = *why;
	log_info("update of %s: rolling back: %s", u->app->name, why->msg);
	cancel_all(u);
	u->is_on_hold = false;
	u->next = NULL;
	u->exit_code = RKT_EXIT_ROLLED_BACK;
	if (next && !is_alive(next)) {
		count_waiting(u, next);
		generation_free(next);
		next = NULL;
	}
	/* What waits in a dead one's sockets migrates when they close. */
	if (!next && u->handover) {
		handover_free(u->handover, u->old);
		u->handover = NULL;
	}
	update_note_rolled_back(u, u->text);
	drain(u, u->old, next);
}

/* Nothing has been switched: as if handover had never been tried. */
static void restart_instead(struct update *u, const struct error *why)
{
	cancel_all(u);
	if (u->next)
		update_drop_next(u);
	if (u->handover)
		handover_free(u->handover, u->old);
	u->handover = NULL;
	u->tier = UPDATE_RESTART;
	u->note = *why;
	update_prepare_next(u);
}

static void fail(struct update *u, const struct error *why)
{
	if (update_hold_all(u, why))
		return;
	steer_back(u);
	go_back(u, why);
}

static void not_possible(struct update *u, const struct error *why)
{
	if (u->asked == UPDATE_AUTO)
		restart_instead(u, why);
	else
		fail(u, why);
}

void handover_fail(struct update *u, const struct error *why)
{
	struct error odd = ERROR_INIT;

	/* A failure of one that is on its way out changes nothing. */
	if (u->winner)
		return;
	/* It may have ended because of our answer. */
	if (u->state < UPDATE_VERIFIED && u->handover &&
	    handover_look(u->handover, &odd) == -EADDRNOTAVAIL)
		not_possible(u, &odd);
	else
		fail(u, why);
}

/* --- forward ---------------------------------------------------------------
 */

void handover_committed(struct update *u)
{
	struct generation *old = u->old, *next = u->next;
	struct error err = ERROR_INIT;
	uint64_t us;

	/* An old one that died has cut it short. */
	if (handover_steer(u->handover, STEER_ALL, &us, &err) < 0)
		log_failure(&err, "update");
	u->app->current = next;
	restart_store_open(next);
	(void)snprintf(u->text, sizeof(u->text), "generation %u serves%s%s",
		       u->to, u->is_rollback ? " again" : "",
		       old ? "" : ": the old one ended");
	update_enter_state(u, UPDATE_COMMITTED, u->text);
	u->old = NULL;
	u->next = NULL;
	drain(u, next, old);
}

static void on_observed(struct event_timer *timer)
{
	update_observed(timer->data);
}

/* More sockets of it, or one where it should not. */
static void on_watch(struct event_timer *timer)
{
	struct update *u = timer->data;
	struct error err = ERROR_INIT;
	int r = handover_look(u->handover, &err);

	/* The sockets of one that dies are closed before we hear that it did,
	 * and that is the better reason. */
	if (r == 0 && generation_is_ending(u->next))
		r = 1;
	if (r == 0)
		r = error_set(&err, ENOTCONN,
			      "it does not listen any more where the old one "
			      "does");
	if (r < 0)
		handover_fail(u, &err);
	else
		event_timer_set(&u->pod->loop, timer, WATCH_MS);
}

static void switch_all(struct update *u)
{
	struct error err = ERROR_INIT;
	char text[128];

	if (handover_steer(u->handover, STEER_ALL, &u->counts.switch_us, &err) <
	    0) {
		handover_fail(u, &err);
		return;
	}
	(void)snprintf(text, sizeof(text),
		       "new connections go to it (switched in %llu us)",
		       (unsigned long long)u->counts.switch_us);
	if (!update_advance(u, UPDATE_SWITCHED, text))
		return;
	set_observe(u, on_observed, u->observe_ms);
}

static void on_canary_over(struct event_timer *timer)
{
	switch_all(timer->data);
}

static void begin_canary(struct update *u)
{
	struct error err = ERROR_INIT;
	char text[128];
	uint64_t us;

	if (handover_steer(u->handover, u->canary_share, &us, &err) < 0) {
		handover_fail(u, &err);
		return;
	}
	(void)snprintf(text, sizeof(text),
		       "canary: %u.%02u %% of new connections go to it for "
		       "%llu ms",
		       u->canary_share * 100 / STEER_ALL, u->canary_share % 100,
		       (unsigned long long)u->canary_ms);
	if (!update_advance(u, UPDATE_VERIFIED, text))
		return;
	set_observe(u, on_canary_over, u->canary_ms);
}

static void verified(struct update *u)
{
	size_t n = handover_listening(u->handover);
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "%zu listening socket%s beside the old one's, and it "
		       "answers there",
		       n, n == 1 ? "" : "s");
	if (!update_advance(u, UPDATE_VERIFIED, text))
		return;
	handover_verified(u->handover);
	set_tick(u, on_watch, WATCH_MS);
	update_verified(u);
}

void handover_go(struct update *u)
{
	if (u->canary_share)
		begin_canary(u);
	else
		switch_all(u);
}

static void on_look(struct event_timer *timer);

static void on_probed(void *data, const struct error *why)
{
	struct update *u = data;

	u->probing = NULL;
	if (!why) {
		verified(u);
		return;
	}
	u->ill = *why;
	set_tick(u, on_look, PROBE_AGAIN_MS);
}

static void probe(struct update *u)
{
	struct sockaddr_storage addresses[PROBE_ADDRESSES_MAX];
	const struct probe tcp = {.kind = PROBE_TCP};
	const struct probe_request request = {
		.probe = u->probe.kind == PROBE_NONE ? &tcp : &u->probe,
		.g = u->next,
		.sign = *handover_sign(u->handover),
		.addresses = addresses,
		.n_addresses = handover_addresses(u->handover, addresses,
						  PROBE_ADDRESSES_MAX),
		.done = on_probed,
		.data = u,
	};
	struct error err = ERROR_INIT;

	if (probe_start(&request, &u->probing, &err) < 0) {
		u->probing = NULL;
		handover_fail(u, &err);
	}
}

static void too_late(struct update *u)
{
	struct error err = ERROR_INIT;

	if (u->ill.code)
		(void)error_set(&err, ETIMEDOUT,
				"it was not well within %llu ms: %.700s",
				(unsigned long long)u->ready_ms, u->ill.msg);
	else
		(void)error_set(&err, ETIMEDOUT, "it did not %s within %llu ms",
				notify_readiness(u->next) == NOTIFY_AWAITED
					? "say READY=1"
					: "listen where the old one does",
				(unsigned long long)u->ready_ms);
	handover_fail(u, &err);
}

static bool is_too_late(const struct update *u)
{
	return update_since_ms(u->released_ns) >= u->ready_ms &&
	       (notify_readiness(u->next) != NOTIFY_AWAITED ||
		!notify_extended_ms(u->next));
}

static void on_look(struct event_timer *timer)
{
	struct update *u = timer->data;
	struct error err = ERROR_INIT;
	int r = handover_look(u->handover, &err);

	if (r == -EADDRNOTAVAIL)
		not_possible(u, &err);
	else if (r < 0)
		handover_fail(u, &err);
	else if (is_too_late(u))
		too_late(u);
	else if (r > 0 && notify_readiness(u->next) != NOTIFY_AWAITED)
		probe(u);
	else
		event_timer_set(&u->pod->loop, timer, LOOK_MS);
}

void handover_on_held(struct update *u)
{
	struct error err = ERROR_INIT;

	handover_begin(u->handover, u->next);
	u->released_ns = monotonic_ns();
	if (generation_release(u->next, &err) < 0) {
		handover_fail(u, &err);
		return;
	}
	if (!update_advance(u, UPDATE_STARTED,
			    "the new generation executes beside the old one"))
		return;
	set_tick(u, on_look, LOOK_MS);
}

void handover_run(struct update *u)
{
	struct error err = ERROR_INIT;

	restart_let_go(u->app);
	if (listeners_hold(u->old, &err) < 0) {
		not_possible(u, &err);
		return;
	}
	restart_store(u->app);
	if (handover_new(u->old, &u->handover, &err) < 0) {
		not_possible(u, &err);
		return;
	}
	if (handover_has_replaced(u->handover, &err) &&
	    u->asked == UPDATE_AUTO) {
		restart_instead(u, &err);
		return;
	}
	/* Its sockets can have a mark only. */
	if (u->probe.kind == PROBE_EXEC && !handover_sign(u->handover)->mark) {
		(void)error_set(&err, EPERM,
				"a program that probes could reach the old one "
				"(no CAP_NET_ADMIN in the host's network)");
		not_possible(u, &err);
		return;
	}
	u->note = err;
	if (generation_start(u->next, &err) < 0)
		handover_fail(u, &err);
}

/* --- from outside ----------------------------------------------------------
 */

static bool all_verified(const struct update_group *g)
{
	for (const struct update *m = g->first; m; m = m->sibling)
		if (!m->is_verified)
			return false;
	return !g->is_failing;
}

void handover_on_old_ended(struct update *u, struct generation *old)
{
	struct error err = ERROR_INIT;

	/* The new one is known to be well: nothing is left to go back to. */
	if (all_verified(u->group) && !u->is_on_hold && is_alive(u->next)) {
		u->old = NULL;
		if (update_commit_all(u->group, &err) == 0) {
			generation_free(old);
			return;
		}
		log_failure(&err, "update");
		u->old = old;
	}
	cancel_all(u);
	update_drop_next(u);
	if (u->handover)
		handover_free(u->handover, NULL);
	u->handover = NULL;
	update_on_old_left(u);
}

/* Who serves is stopped with the pod; the other one ends here. */
void handover_on_stopping(struct update *u)
{
	struct generation *goes = u->loser ? u->loser : u->next;

	cancel_all(u);
	update_end_requests(u);
	if (!u->winner) {
		u->winner = u->old;
		u->exit_code = RKT_EXIT_ROLLED_BACK;
		u->is_interrupted = true;
		(void)error_set(&u->why, ECANCELED, "the pod was stopped");
		if (goes)
			generation_free(goes);
		goes = u->next = NULL;
		update_note_rolled_back(u, u->text);
	}
	if (goes)
		generation_free(goes);
	u->loser = NULL;
	settle(u);
}

void handover_resume(struct update *u)
{
	if (!u->next) {
		update_prepare_next(u);
		return;
	}
	u->ill = (struct error)ERROR_INIT;
	u->released_ns = monotonic_ns();
	set_tick(u, on_look, 0);
}

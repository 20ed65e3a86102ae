/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "spec/stage1_abi.h"
#include "stage1/bind_call.h"
#include "stage1/generation.h"
#include "stage1/health.h"
#include "stage1/held.h"
#include "stage1/listeners.h"
#include "stage1/pod.h"
#include "stage1/state.h"

/* An app that has run so long may begin anew. */
#define GOOD_MS 10000
/* Between bind and listen. */
#define FIRST_LOOK_MS 5
#define LOOK_MS 1000
/* Looking may take this part of a processor. */
#define LOOK_SHARE 100
/* Its sockets are closed a moment before the main process is seen to end:
 * what is missing has to be so twice. */
#define LOOK_AGAIN_MS 50
/* How often it is looked whether the new process listens, and how long. */
#define TICK_MS 2
#define TAKE_OVER_MS 30000

struct restart {
	struct pod_app *app;
	struct health *health;
	/* What the generation that serves listens on. */
	struct held_listener *kept;
	size_t n_kept;
	struct event_timer look;
	bool any_missing; /* when it was looked last */

	struct event_timer timer;   /* the pause, or the take-over */
	enum restart_policy policy; /* of the one that served last */
	int tree_fd;		    /* of the generation to start */
	const struct generation_ops *ops;
	struct service pauses; /* its delays, while it is away */
	unsigned int failures; /* starts in a row that did not last */
	unsigned int count;    /* of starts again */
	int exit_code;	       /* of the last end */
	bool unwell;	       /* ended because its health said so */
	uint64_t begun_ns;
};

static bool has_policy(const struct generation *g)
{
	return g->service.restart != RESTART_NO;
}

/* For the next process, or for the next stage1. */
static bool is_kept(const struct generation *g)
{
	return has_policy(g) || host_store_is_open(&g->app->pod->host_store);
}

/* --- kept sockets ----------------------------------------------------------
 */

/* The list of held sockets is where sockets are collected and let go. */
static void swap_lists(struct restart *r)
{
	struct pod_app *app = r->app;
	struct held_listener *held = app->held;
	size_t n = app->n_held;

	app->held = r->kept;
	app->n_held = r->n_kept;
	r->kept = held;
	r->n_kept = n;
}

void restart_let_go(struct pod_app *app)
{
	struct restart *r = app->restart;

	if (!r || !r->n_kept)
		return;
	swap_lists(r);
	held_drop(app);
	swap_lists(r);
}

void restart_drop_kept(struct pod_app *app)
{
	restart_let_go(app);
	host_store_begin(&app->pod->host_store, HOST_STORE_LISTENERS,
			 app->name);
	host_store_end(&app->pod->host_store);
}

/* Lets go of what the app has closed; FINAL: even if it was there when it
 * was looked last.  True if something is missing. */
static bool let_go_missing(struct pod_app *app, bool final)
{
	bool any = false;
	size_t n = 0;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (h->seen || !final) {
			any |= !h->seen;
			app->held[n++] = *h;
		} else {
			held_release(h);
		}
	}
	app->n_held = n;
	return any;
}

static bool still_runs(const struct generation *g)
{
	int pidfd = g->adopted >= 0 ? g->adopted : g->main.pidfd;
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && poll(&ended, 1, 0) == 0;
}

static void store(struct pod_app *app, const struct held_listener *v, size_t n)
{
	struct host_store *store = &app->pod->host_store;

	if (!host_store_is_open(store))
		return;
	host_store_begin(store, HOST_STORE_LISTENERS, app->name);
	for (size_t i = 0; i < n; i++)
		host_store_keep(store, app->name, NULL, v[i].inode, v[i].fd);
	host_store_end(store);
}

void restart_store(struct pod_app *app)
{
	store(app, app->held, app->n_held);
}

void restart_store_open(struct generation *g)
{
	struct pod_app *app = g->app;
	struct restart *r = app->restart;
	struct error err = ERROR_INIT;

	if (!r || !host_store_is_open(&app->pod->host_store))
		return;
	swap_lists(r);
	if (listeners_hold(g, &err) < 0)
		log_failure(&err, "keep listening sockets");
	else
		restart_store(app);
	held_drop(app);
	swap_lists(r);
}

static void look(struct restart *r, struct generation *g, bool final)
{
	struct error err = ERROR_INIT;
	int found;

	swap_lists(r);
	for (size_t i = 0; i < r->app->n_held; i++)
		r->app->held[i].seen = false;
	found = listeners_hold(g, &err);
	if (found < 0)
		log_failure(&err, "keep listening sockets");
	r->any_missing =
		found >= 0 && still_runs(g) && let_go_missing(r->app, final);
	swap_lists(r);
	if (r->app->n_held == 0)
		store(r->app, r->kept, r->n_kept);
}

static void on_look(struct event_timer *timer)
{
	struct restart *r = timer->data;
	struct generation *g = r->app->current;
	uint64_t begun = monotonic_ns(), took_ms, pause;

	if (!g || g->state != GENERATION_RUNNING)
		return;
	look(r, g, r->any_missing);
	took_ms = (monotonic_ns() - begun) / 1000000;
	pause = r->any_missing ? LOOK_AGAIN_MS : LOOK_MS;
	if (pause < took_ms * LOOK_SHARE)
		pause = took_ms * LOOK_SHARE;
	event_timer_set(&r->app->pod->loop, timer, pause);
}

static void look_in(struct restart *r, uint64_t ms)
{
	r->look.fn = on_look;
	r->look.data = r;
	event_timer_set(&r->app->pod->loop, &r->look, ms);
}

static bool meets(const struct held_listener *h, const struct bind_call *call)
{
	return h->domain == AF_UNIX ? call->domain == AF_UNIX
				    : call->port && h->form.port == call->port;
}

void restart_on_bind(struct generation *g, const struct bind_call *call)
{
	struct restart *r = g->app->restart;
	bool any = false;

	if (!r || !is_kept(g) || g->app->current != g || g->app->pod->update ||
	    g->state != GENERATION_RUNNING)
		return;
	for (size_t i = 0; i < r->n_kept && !any; i++)
		any = meets(&r->kept[i], call);
	if (any)
		look(r, g, true);
	/* While a new one takes over, on_take_over() looks. */
	if (g->app->n_held == 0)
		look_in(r, FIRST_LOOK_MS);
}

/* --- serving ---------------------------------------------------------------
 */

static void on_unwell(struct generation *g)
{
	struct restart *r = g->app->restart;

	if (!has_policy(g) || g->stop_sent)
		return;
	log_warning("app %s is stopped to be started again", g->app->name);
	r->unwell = true;
	/* What it closes now is for the next one. */
	event_timer_cancel(&g->app->pod->loop, &r->look);
	generation_stop(g, g->service.stop_signal, STOP_TIMEOUT_MS);
}

static void begin_health(struct restart *r, struct generation *g)
{
	health_stop(r->health);
	r->health = g->service.health.kind == PROBE_NONE
			    ? NULL
			    : health_start(g, on_unwell);
}

/* What is to be known when G is gone. */
static void note_service(struct restart *r, const struct generation *g)
{
	r->ops = g->ops;
	r->policy = g->service.restart;
	r->pauses.delay_ms = g->service.delay_ms;
	r->pauses.max_delay_ms = g->service.max_delay_ms;
}

static struct restart *get(struct pod_app *app)
{
	if (!app->restart) {
		app->restart = xcalloc(1, sizeof(*app->restart));
		*app->restart = (struct restart){
			.app = app,
			.tree_fd = -EBADF,
		};
	}
	return app->restart;
}

void restart_serve(struct generation *g)
{
	struct pod_app *app = g->app;
	struct restart *r;

	restart_let_go(app);
	health_forget(app);
	if (!is_kept(g) && g->service.health.kind == PROBE_NONE) {
		restart_forget(app);
		return;
	}
	r = get(app);
	r->begun_ns = monotonic_ns();
	r->unwell = r->any_missing = false;
	note_service(r, g);
	begin_health(r, g);
	if (is_kept(g))
		look_in(r, FIRST_LOOK_MS);
}

void restart_commit(const struct generation *g)
{
	struct restart *r;

	if (!has_policy(g))
		return;
	r = get(g->app);
	r->begun_ns = monotonic_ns();
	r->unwell = false;
}

void restart_suspend(struct pod_app *app)
{
	struct restart *r = app->restart;

	if (!r)
		return;
	health_stop(r->health);
	r->health = NULL;
	event_timer_cancel(&app->pod->loop, &r->look);
	event_timer_cancel(&app->pod->loop, &r->timer);
}

void restart_resume(struct pod_app *app)
{
	if (app->current && app->current->state == GENERATION_RUNNING &&
	    !app->pod->stopping)
		restart_serve(app->current);
}

/* --- the end, and again ----------------------------------------------------
 */

bool restart_possible(const struct pod_app *app)
{
	return app->restart && app->current && has_policy(app->current) &&
	       !app->pod->stopping;
}

static bool is_wanted(const struct restart *r, const struct generation *g)
{
	return r->unwell || g->service.restart == RESTART_ALWAYS ||
	       g->exit_code != 0;
}

/* What was kept is held now, and who connects has to fit; and so what was
 * still held when it ended while it took over. */
static void hold_kept(struct restart *r)
{
	for (size_t i = 0; i < r->n_kept; i++)
		held_add(r->app, &r->kept[i]);
	free(r->kept);
	r->kept = NULL;
	r->n_kept = 0;
	held_rewind(r->app);
}

static void save(const struct restart *r)
{
	cleanup_free char *name = xasprintf(
		POD_STATUS_DIR "/%s" STATUS_RESTARTS_SUFFIX, r->app->name);
	struct error err = ERROR_INIT;
	char text[64];

	(void)snprintf(text, sizeof(text), "%u %d\n", r->count, r->exit_code);
	if (write_string_at(r->app->pod->dirfd, name, 0644, text, &err) < 0)
		log_failure(&err, NULL);
}

static void start_again(struct event_timer *timer);

static void wait_to_start(struct restart *r)
{
	uint64_t ms = service_delay_ms(&r->pauses, r->failures++);

	r->timer.fn = start_again;
	r->timer.data = r;
	event_timer_set(&r->app->pod->loop, &r->timer, ms);
}

/* Takes what is needed of G, which is gone afterwards. */
static void end(struct restart *r, struct generation *g)
{
	struct pod_app *app = r->app;

	restart_suspend(app);
	if ((monotonic_ns() - r->begun_ns) / 1000000 >= GOOD_MS)
		r->failures = 0;
	note_service(r, g);
	r->exit_code = app->exit_code = g->exit_code;
	if (r->tree_fd < 0)
		r->tree_fd = fcntl(g->tree_fd, F_DUPFD_CLOEXEC, 0);
	app->current = NULL;
	generation_free(g);
	wait_to_start(r);
}

bool restart_is_due(const struct generation *g)
{
	const struct restart *r = g->app->restart;

	return r && has_policy(g) && !g->app->pod->stopping && is_wanted(r, g);
}

bool restart_ended(struct generation *g)
{
	struct restart *r = g->app->restart;

	if (!restart_is_due(g))
		return false;
	log_info("app %s ended with exit code %d: starting it again",
		 g->app->name, g->exit_code);
	hold_kept(r);
	/* What the service manager has beside that would keep its ports. */
	restart_store(g->app);
	end(r, g);
	return true;
}

bool restart_lost(struct pod_app *app, int tree_fd, int exit_code)
{
	cleanup_fd int tree = tree_fd;
	struct restart *r = app->restart;

	if (!r || r->policy == RESTART_NO || app->pod->stopping)
		return false;
	restart_drop_kept(app);
	fd_close(&r->tree_fd);
	r->tree_fd = TAKE_FD(tree);
	r->exit_code = app->exit_code = exit_code;
	wait_to_start(r);
	return true;
}

bool restart_is_paused(const struct pod_app *app)
{
	return !app->current && app->restart && app->restart->tree_fd >= 0;
}

int restart_take_tree(struct pod_app *app)
{
	event_timer_cancel(&app->pod->loop, &app->restart->timer);
	return TAKE_FD(app->restart->tree_fd);
}

bool restart_failed(struct generation *g, const struct error *err)
{
	struct restart *r = g->app->restart;

	if (!r || g->app->pod->stopping)
		return false;
	log_failure(err, "start again");
	if (!g->exit_code)
		g->exit_code = RKT_EXIT_FAILURE;
	end(r, g);
	return true;
}

static void start_again(struct event_timer *timer)
{
	struct restart *r = timer->data;
	struct pod_app *app = r->app;
	int tree = fcntl(r->tree_fd, F_DUPFD_CLOEXEC, 0);
	struct generation *g = NULL;
	struct error err = ERROR_INIT;
	int ret;

	/* Nothing of it ran: the pause counts from here. */
	r->begun_ns = monotonic_ns();
	ret = generation_new(app, app->committed, tree < 0 ? -EBADF : tree,
			     r->ops, &g, &err);
	if (ret < 0) {
		log_failure(&err, "start again");
		wait_to_start(r);
		return;
	}
	app->current = g;
	if (generation_start(g, &err) < 0)
		(void)restart_failed(g, &err);
}

/* --- taking over -----------------------------------------------------------
 */

static void on_take_over(struct event_timer *timer)
{
	struct restart *r = timer->data;
	struct pod_app *app = r->app;
	uint64_t ms = (monotonic_ns() - r->begun_ns) / 1000000;
	/* Nobody can be asked to serve those who wait elsewhere. */
	enum held_state state = held_advance(app, true);

	if (app->n_held && state != HELD_OVER && ms < TAKE_OVER_MS) {
		event_timer_set(&app->pod->loop, timer,
				ms < LOOK_MS ? TICK_MS : 10 * TICK_MS);
		return;
	}
	if (state == HELD_OVER)
		swap_lists(r);
	/* What it does not come back to must not wait for it. */
	held_drop(app);
	look_in(r, FIRST_LOOK_MS);
}

void restart_take_over(struct generation *g)
{
	struct restart *r = get(g->app);

	event_timer_cancel(&g->app->pod->loop, &r->look);
	r->timer.fn = on_take_over;
	r->timer.data = r;
	event_timer_set(&g->app->pod->loop, &r->timer, TICK_MS);
}

void restart_held(struct generation *g)
{
	struct restart *r = g->app->restart;
	struct error err = ERROR_INIT;

	if (generation_release(g, &err) < 0) {
		(void)restart_failed(g, &err);
		return;
	}
	fd_close(&r->tree_fd);
	r->begun_ns = monotonic_ns();
	r->unwell = r->any_missing = false;
	r->count++;
	save(r);
	begin_health(r, g);
	restart_take_over(g);
}

void restart_forget(struct pod_app *app)
{
	struct restart *r = app->restart;

	if (!r)
		return;
	restart_suspend(app);
	if (!app->pod->update)
		held_drop(app);
	restart_drop_kept(app);
	fd_close(&r->tree_fd);
	free(r);
	app->restart = NULL;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_ROW(struct restart, look),
	STATE_ROW(struct restart, any_missing),
	STATE_ROW(struct restart, timer),
	STATE_ROW(struct restart, policy),
	STATE_FD_ROW(struct restart, tree_fd),
	STATE_ROW_AS(struct restart, pauses.delay_ms, "delay_ms"),
	STATE_ROW_AS(struct restart, pauses.max_delay_ms, "max_delay_ms"),
	STATE_ROW(struct restart, failures),
	STATE_ROW(struct restart, count),
	STATE_ROW(struct restart, exit_code),
	STATE_ROW(struct restart, unwell),
	STATE_ROW(struct restart, begun_ns),
	STATE_NESTED_ROW("kept"),
	STATE_NESTED_ROW("health"),
};

void restart_rewind(struct pod_app *app)
{
	if (app->restart)
		health_rewind(app->restart->health);
}

void restart_save(const struct pod_app *app, struct state_writer *w,
		  const char *key)
{
	const struct restart *r = app->restart;

	if (!r)
		return;
	json_open_object(&w->json, key);
	STATE_WRITE(w, state_rows, r);
	held_save(r->kept, r->n_kept, w, "kept");
	if (r->health)
		health_save(r->health, w, "health");
	json_close_object(&w->json);
}

static int restore_parts(struct restart *r, const struct json_node *node)
{
	struct generation *g = r->app->current;
	struct json_node part;
	int ret = 0;

	if (json_member(node, "kept", &part))
		ret = held_restore(&part, &r->kept, &r->n_kept);
	if (ret == 0 && g && json_member(node, "health", &part)) {
		begin_health(r, g);
		if (r->health)
			ret = health_restore(&part, r->health);
	}
	return ret;
}

int restart_restore(struct pod_app *app, const struct generation_ops *ops,
		    const struct json_node *node, struct error *err)
{
	struct event_loop *loop = &app->pod->loop;
	struct restart *r = get(app);
	int ret = STATE_READ(node, state_rows, r);

	if (ret == 0)
		ret = restore_parts(r, node);
	if (ret < 0)
		return ret;
	if (!app->current && r->tree_fd < 0)
		return error_set(err, EINVAL, "app %s waits for nothing",
				 app->name);
	r->ops = ops;
	r->look.fn = on_look;
	r->timer.fn = app->current ? on_take_over : start_again;
	r->look.data = r->timer.data = r;
	event_timer_resume(loop, &r->look);
	event_timer_resume(loop, &r->timer);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/health.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/generation.h"
#include "stage1/pod.h"
#include "stage1/probe.h"
#include "stage1/state.h"

enum said { SAID_NOTHING, SAID_OK, SAID_FAILING };

struct health {
	struct generation *g;
	void (*failed)(struct generation *g);
	struct event_timer timer;
	struct probe_run *run; /* the attempt that is under way */
	uint64_t begun_ns;
	unsigned int failures; /* in a row */
	enum said said;
};

/* Written when it changes: it is asked often, and mostly well. */
static void say(struct health *h, enum said said, const char *why)
{
	struct pod_app *app = h->g->app;
	cleanup_free char *name =
		xasprintf(POD_STATUS_DIR "/%s" STATUS_HEALTH_SUFFIX, app->name);
	cleanup_free char *text =
		xasprintf("%s%s\n", said == SAID_OK ? "ok" : "failing: ", why);
	struct error err = ERROR_INIT;

	if (said == h->said)
		return;
	h->said = said;
	if (said == SAID_FAILING)
		log_warning("app %s is not well: %s", app->name, why);
	if (write_string_at(app->pod->dirfd, name, 0644, text, &err) < 0)
		log_failure(&err, "health");
}

static void ask_later(struct health *h)
{
	event_timer_set(&h->g->app->pod->loop, &h->timer,
			h->g->service.interval_ms);
}

static bool may_still_start(const struct health *h)
{
	return h->said != SAID_OK && (monotonic_ns() - h->begun_ns) / 1000000 <
					     h->g->service.start_period_ms;
}

static void on_answer(void *data, const struct error *err)
{
	struct health *h = data;

	h->run = NULL;
	ask_later(h);
	if (!err) {
		h->failures = 0;
		say(h, SAID_OK, "");
		return;
	}
	log_debug("app %s: health: %s", h->g->app->name, err->msg);
	if (may_still_start(h) || ++h->failures < h->g->service.retries)
		return;
	h->failures = 0;
	say(h, SAID_FAILING, err->msg);
	h->failed(h->g); /* may end H */
}

static void ask(struct event_timer *timer)
{
	struct health *h = timer->data;
	const struct probe_request request = {
		.probe = &h->g->service.health,
		.g = h->g,
		.timeout_ms = h->g->service.timeout_ms,
		.done = on_answer,
		.data = h,
	};
	struct error err = ERROR_INIT;

	if (probe_start(&request, &h->run, &err) == 0)
		return;
	log_failure(&err, "health");
	ask_later(h);
}

struct health *health_start(struct generation *g,
			    void (*failed)(struct generation *g))
{
	struct health *h = xcalloc(1, sizeof(*h));

	*h = (struct health){
		.g = g,
		.failed = failed,
		.begun_ns = monotonic_ns(),
		.timer = {.fn = ask, .data = h},
	};
	ask_later(h);
	return h;
}

void health_forget(const struct pod_app *app)
{
	cleanup_free char *name =
		xasprintf(POD_STATUS_DIR "/%s" STATUS_HEALTH_SUFFIX, app->name);

	(void)unlinkat(app->pod->dirfd, name, 0);
}

void health_stop(struct health *h)
{
	if (!h)
		return;
	event_timer_cancel(&h->g->app->pod->loop, &h->timer);
	if (h->run)
		probe_cancel(h->run);
	free(h);
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_ROW(struct health, timer),
	STATE_ROW(struct health, begun_ns),
	STATE_ROW(struct health, failures),
	STATE_ROW(struct health, said),
};

void health_rewind(struct health *h)
{
	if (!h || !h->run)
		return;
	probe_cancel(h->run);
	h->run = NULL;
	event_timer_set(&h->g->app->pod->loop, &h->timer, 0);
}

void health_save(const struct health *h, struct state_writer *w,
		 const char *key)
{
	STATE_WRITE_OBJECT(w, key, state_rows, h);
}

int health_restore(const struct json_node *node, struct health *h)
{
	struct event_loop *loop = &h->g->app->pod->loop;
	int r;

	event_timer_cancel(loop, &h->timer);
	r = STATE_READ(node, state_rows, h);
	if (h->said > SAID_FAILING)
		h->said = SAID_NOTHING;
	event_timer_resume(loop, &h->timer);
	return r;
}

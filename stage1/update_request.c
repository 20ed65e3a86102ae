/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "spec/probe.h"
#include "spec/stage1_abi.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/handover.h"
#include "stage1/held.h"
#include "stage1/journal.h"
#include "stage1/listeners.h"
#include "stage1/pod.h"
#include "stage1/restart.h"
#include "stage1/update.h"
#include "stage1/update_impl.h"

/* Annotation of an image: may two generations of it run at once? */
#define OVERLAP "rkt.io/update/overlap"

/* --- may it be -------------------------------------------------------------
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

static bool is_running(const struct pod_app *app)
{
	return app->current && app->current->state == GENERATION_RUNNING;
}

/* It can be updated now, to something. */
static int check_app(const struct pod *pod, const struct pod_app *app,
		     const char *name, struct error *err)
{
	if (!app)
		return error_set(err, ENOENT, "the pod has no app %s", name);
	if (pod->update)
		return error_set(err, EBUSY,
				 "another update of this pod is under way "
				 "(app %s, %s)",
				 pod->update->app->name,
				 update_state_name(pod));
	if (!pod->running || pod->stopping || app->done ||
	    (!is_running(app) && !restart_is_paused(app)))
		return error_set(err, ESRCH, "app %s is not running", name);
	/* Which would get lost with the generation it was meant for. */
	if (app->wish.op)
		return error_set(err, EBUSY,
				 "app %s is being started, stopped or removed: "
				 "that has to be over first",
				 name);
	if (pod->console)
		return error_set(err, ENOTSUP,
				 "an interactive pod cannot be updated");
	return 0;
}

static int check_request(const struct pod *pod,
			 const struct control_request *request,
			 const struct pod_app *app, struct error *err)
{
	cleanup_probe struct probe probe = PROBE_INIT;
	int r = check_app(pod, app, request->app, err);

	if (r < 0)
		return r;
	if (request->flags & CONTROL_HOLD && !app->current)
		return error_set(err, ENOTSUP,
				 "--on-fail=hold does not apply: app %s waits "
				 "to be started again, and no old generation "
				 "serves meanwhile",
				 app->name);
	if (request->strategy == UPDATE_HANDOVER && !app->current)
		return error_set(err, ENOTSUP,
				 "--strategy=handover does not apply: app %s "
				 "waits to be started again",
				 app->name);
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
	return check_generation(pod, request, err);
}

int update_check(struct pod *pod, const struct update_part *parts, size_t n,
		 struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct control_request *request = parts[i].request;
		int r = check_request(pod, request,
				      pod_find_app(pod, request->app), err);

		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (strcmp(request->app, parts[j].request->app) == 0)
				return error_set(err, EEXIST,
						 "app %s comes twice",
						 request->app);
	}
	return 0;
}

/* --- by which tier ---------------------------------------------------------
 */

bool update_writes_volume(const struct generation *g)
{
	for (size_t i = 0; i < g->plan.n_mounts; i++)
		if (!g->plan.mounts[i].read_only)
			return true;
	return false;
}

/* What of the app that runs keeps it from running beside another one. */
static int check_old(const struct pod_app *app, struct error *why)
{
	if (!app->current)
		return error_set(why, ESRCH,
				 "it does not run, it waits to be started "
				 "again");
	if (generation_can_trace(app->current))
		return error_set(why, EPERM,
				 "the old one could take over the new one "
				 "(CAP_SYS_PTRACE)");
	if (app->store && fd_store_count(app->store))
		return error_set(why, EBUSY,
				 "what it stores when it ends is for the one "
				 "that comes after it");
	return 0;
}

enum update_strategy update_choose_tier(const struct update *u,
					struct error *why)
{
	const char *overlap =
		name_values_get(&u->next->image.annotations, OVERLAP);

	if (u->asked != UPDATE_AUTO)
		return u->asked;
	if (check_old(u->app, why) < 0)
		return UPDATE_RESTART;
	if (overlap && strcmp(overlap, "forbidden") == 0)
		(void)error_set(why, EPERM,
				"the image says " OVERLAP "=forbidden");
	else if ((!overlap || strcmp(overlap, "allowed") != 0) &&
		 update_writes_volume(u->next))
		(void)error_set(why, EPERM,
				"it can write to a volume and the image does "
				"not say " OVERLAP "=allowed");
	else
		return UPDATE_HANDOVER;
	return UPDATE_RESTART;
}

int update_plan(struct pod *pod, const char *name, enum update_strategy *ret,
		struct error *why)
{
	struct pod_app *app = pod_find_app(pod, name);
	int r = check_app(pod, app, name, why);

	if (r < 0)
		return r;
	r = check_old(app, why);
	/* Sockets it is just taking over will be there. */
	if (r == 0 && app->n_held == 0) {
		r = listeners_hold(app->current, why);
		if (r >= 0)
			r = handover_check(app->current, why);
		held_drop(app);
	}
	*ret = r < 0 ? UPDATE_RESTART : UPDATE_HANDOVER;
	return 0;
}

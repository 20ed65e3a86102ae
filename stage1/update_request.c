/* SPDX-License-Identifier: Apache-2.0 */
/* What of a request forbids a transaction, before it is one. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "spec/probe.h"
#include "spec/stage1_abi.h"
#include "stage1/generation.h"
#include "stage1/journal.h"
#include "stage1/pod.h"
#include "stage1/update.h"
#include "stage1/update_impl.h"

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
		if (n > 1 && request->flags & CONTROL_HOLD)
			return error_set(err, ENOTSUP,
					 "only the update of one app can be "
					 "put on hold");
	}
	return 0;
}

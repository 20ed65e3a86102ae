/* SPDX-License-Identifier: Apache-2.0 */

/* Who must not watch: apps that may trace others. */

#include <linux/capability.h>

#include "base/error.h"
#include "base/log.h"
#include "stage1/caps.h"
#include "stage1/generation.h"
#include "stage1/generation_impl.h"

/* How long tracing apps may take to stand still. */
#define FREEZE_MS 1000

/* Main process or handler: something of it could trace others. */
static bool is_tracing(const struct generation *g)
{
	return generation_can_trace(g) && g->leaf.dirfd >= 0 &&
	       (g->state == GENERATION_RUNNING || g->handler.pidfd >= 0);
}

bool generation_freeze_tracers(struct pod *pod)
{
	bool any = false;

	for (struct generation *g = pod->generations; g; g = g->next) {
		struct error err = ERROR_INIT;

		if (!is_tracing(g))
			continue;
		any = true;
		g->is_frozen = true;
		if (cgroup_leaf_freeze(&g->leaf, true, FREEZE_MS, &err) < 0)
			log_failure(&err, g->app->name);
	}
	return any;
}

void generation_thaw_tracers(struct generation *g)
{
	struct pod *pod = g->app->pod;

	if (!g->has_frozen)
		return;
	g->has_frozen = false;
	for (const struct generation *o = pod->generations; o; o = o->next)
		if (o->has_frozen)
			return;
	/* Also one whose main process has ended meanwhile: its post-stop
	 * would stand still for good. */
	for (struct generation *o = pod->generations; o; o = o->next) {
		struct error err = ERROR_INIT;

		if (o->is_frozen &&
		    cgroup_leaf_freeze(&o->leaf, false, FREEZE_MS, &err) < 0)
			log_failure(&err, o->app->name);
		o->is_frozen = false;
	}
}

bool generation_can_trace(const struct generation *g)
{
	return g->plan.caps & CAPS_BIT(CAP_SYS_PTRACE);
}

bool generation_may_start(const struct generation *g, bool handler)
{
	const struct pod *pod = g->app->pod;

	if (handler && !generation_can_trace(g))
		return true;
	for (const struct generation *o = pod->generations; o; o = o->next) {
		if (o == g)
			continue;
		if (handler && o->state == GENERATION_HELD)
			return false;
		if (!handler && o->plan.pre_start.n &&
		    generation_can_trace(o) && o->state <= GENERATION_PRE_START)
			return false;
	}
	return true;
}

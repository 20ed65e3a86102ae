/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_PLAN_MAKE_H
#define CMD_RKT_PLAN_MAKE_H

/* The plan of an update or rollback of one app: gathers the facts, from the
 * store and from the pod that runs, that stage0/update_plan.h decides by. */

#include "stage0/update_plan.h"

struct imagestore;
struct pod;

struct plan_request {
	struct imagestore *store;
	const struct pod *pod;
	const struct pod_manifest *pm; /* as committed */
	const char *app;
	unsigned int from, to; /* generations; to 0 = has no number yet */
	const struct pod_image *old_image, *new_image;
	/* The app with the new image; NULL when CANNOT says why not. */
	const struct runtime_app *new_app;
	const char *cannot;
	const char *not_updatable; /* why the pod takes no update; NULL */
	struct update_rules rules;
	enum update_strategy strategy;
};

/* RET must be UPDATE_PLAN_INIT; release it. */
void plan_make(const struct plan_request *request, struct update_plan *ret);

#endif

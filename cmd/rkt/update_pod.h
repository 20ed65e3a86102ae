/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_UPDATE_POD_H
#define CMD_RKT_UPDATE_POD_H

/* rkt update of one pod. */

#include <stdbool.h>
#include <stdint.h>

#include "base/strv.h"
#include "cmd/rkt/transact.h"
#include "stage0/update_plan.h"

struct cmd_call;
struct error;
struct pod;

struct update_opts {
	struct transact_opts transact; /* first: its rows are shared */
	struct update_rules rules;
	struct strv images; /* --image: one, or one for each --app */
	const char *signature;
	const char *to;
	struct strv labels; /* NAME=VALUE */
	int64_t keep;	    /* negative = what the pod keeps already */
	bool latest;
	bool plan;
	bool all;
	bool keep_going;
	bool abort, resume;
	bool runtime; /* not the apps: stage1 itself */
	/* No flag: the word was this image's name.  NULL: it was a pod. */
	const char *image_name;
};

/* Updates the apps of POD as CALL's options say, or shows the plan.  The exit
 * code, or a negative errno. */
int update_pod(struct cmd_call *call, struct pod *pod, struct error *err);

#endif

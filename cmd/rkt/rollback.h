/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_ROLLBACK_H
#define CMD_RKT_ROLLBACK_H

/* rkt rollback of one pod. */

#include <stdbool.h>
#include <stdint.h>

#include "cmd/rkt/transact.h"

struct cmd_call;
struct error;
struct pod;

struct rollback_opts {
	struct transact_opts transact; /* first: its rows are shared */
	int64_t generation;	       /* 0 = the one before */
	bool plan;
};

/* Moves the apps of POD back as CALL's options say, or shows the plan.  The
 * exit code, or a negative errno. */
int rollback_pod(struct cmd_call *call, struct pod *pod, struct error *err);

#endif

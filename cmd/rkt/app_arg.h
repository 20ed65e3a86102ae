/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_APP_ARG_H
#define CMD_RKT_APP_ARG_H

/* What commands on one app of a pod begin with. */

#include <stdint.h>

#include "base/strv.h"

struct cmd_call;
struct error;
struct pod;
struct pod_manifest;

/* The app NAME; with NULL the only one.  *RET is of PM.  Of several the list
 * is printed. */
int app_arg_choose(const struct cmd_call *call, const struct pod_manifest *pm,
		   const char *name, const char **ret, struct error *err);

/* Waits for the pid of a pod that may be just starting, or its end (-ESRCH). */
int app_arg_wait_pid(const struct pod *pod, int64_t *ret, struct error *err);

/*
 * Becomes stage1's `enter` of the pod's app NAME (may be NULL) with OPTIONS;
 * the command is call->argv without its first word.  Returns only on failure.
 */
int app_arg_enter(const struct cmd_call *call, const struct pod *pod,
		  const char *name, const struct strv *options,
		  struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_APP_H
#define CMD_RKT_APP_H

/* The subcommands of `rkt app`, and what those that change a pod share. */

#include <stdint.h>

struct command;
struct error;
struct pod;
struct pod_manifest;

extern const struct command cmd_app_add;
extern const struct command cmd_app_list;
extern const struct command cmd_app_rm;
extern const struct command cmd_app_sandbox;
extern const struct command cmd_app_start;
extern const struct command cmd_app_status;
extern const struct command cmd_app_stop;

/*
 * Waits for the turn to change the running mutable POD, whose manifest goes
 * to PM; what a killed command left is gone then.  Returns the lock.  -ESRCH
 * not running or not ready, -EPERM immutable.
 */
int app_lock(const struct pod *pod, struct pod_manifest *pm, struct error *err);

/* Has stage1 do OP (CONTROL_APP_*) with APP; N and TREE (-EBADF) as OP wants
 * them. */
int app_ask(const struct pod *pod, uint32_t op, const char *app, unsigned int n,
	    int tree, struct error *err);

#endif

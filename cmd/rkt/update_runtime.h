/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_UPDATE_RUNTIME_H
#define CMD_RKT_UPDATE_RUNTIME_H

struct cmd_call;

/* rkt update --runtime: the pods CALL's words and options mean go on with this
 * rkt's stage1.  rkt's exit code, the worst of theirs. */
int update_runtime(struct cmd_call *call);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_UPDATE_MANY_H
#define CMD_RKT_UPDATE_MANY_H

struct cmd_call;

/* The pods CALL's words and options mean, one after the other; rkt's exit
 * code. */
int update_many(struct cmd_call *call);

/* The worse of two exit codes of rkt update.  Pure. */
int update_worse_code(int a, int b);

#endif

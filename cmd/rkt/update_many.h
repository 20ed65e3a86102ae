/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_UPDATE_MANY_H
#define CMD_RKT_UPDATE_MANY_H

struct cmd_call;
struct error;
struct pods;
struct strv;
struct update_opts;

/* The pods CALL's words and options mean, one after the other; rkt's exit
 * code. */
int update_many(struct cmd_call *call);

/* Those that run and that O means, by UUID.  What cannot be read is said and
 * left out. */
int update_select(const struct pods *pods, const struct update_opts *o,
		  struct strv *ret, struct error *err);

/* The worse of two exit codes of rkt update.  Pure. */
int update_worse_code(int a, int b);

#endif

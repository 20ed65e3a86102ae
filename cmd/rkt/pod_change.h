/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_POD_CHANGE_H
#define CMD_RKT_POD_CHANGE_H

/* What run and prepare do with a pod that has the name already
 * (--pod-name). */

struct cmd_call;
struct error;
struct images;
struct made;
struct make_opts;
struct pod;
struct pods;

/*
 * The pod named by --pod-name, if there is one: 1 with RET locked, 0 if the
 * name is free.  A pod that runs or is being prepared is -EBUSY.  With
 * --replace an old one is deleted first.
 */
int make_find_named(const struct cmd_call *call, const struct make_opts *o,
		    const struct pods *pods, struct pod *ret,
		    struct error *err);

/*
 * Brings the existing, locked POD to what was MADE: apps whose image changed
 * (with --pod-file, or whose flags did) get a new committed generation.  An
 * image has not changed while its argument means what it did when the app was
 * last made or changed: what updates and rollbacks have made of the app since
 * then stays, and is what MADE says afterwards.
 */
int made_change(struct images *im, const struct make_opts *o, struct made *made,
		struct pod *pod, struct error *err);

#endif

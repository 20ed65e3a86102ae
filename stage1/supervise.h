/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SUPERVISE_H
#define STAGE1_SUPERVISE_H

/*
 * The pod while it runs: first generations up, then the event loop until the
 * last app has ended.  rkt's exit rule: the first app that fails stops the
 * pod and its code is the pod's; apps that end with 0 stop nobody.  A mutable
 * pod (app_change.h) ends only when it is told to.
 */

struct pod_app;
struct error;
struct generation;
struct generation_ops;
struct json_node;
struct pod;

/* Starts every app; returns when the pod is over, with its exit code, or a
 * negative errno when it could not be started. */
int supervise(struct pod *pod, struct error *err);

/* --- for another supervisor (stage1/state.h) --------------------------------
 */

/* Goes on with the caller's terminal. */
int supervise_console(struct pod *pod, const struct json_node *node,
		      struct error *err);
/* Watches a pod that runs already, whose apps are there. */
int supervise_resume(struct pod *pod, struct error *err);
/* Then supervises it, until it is over: the second half of supervise(). */
int supervise_on(struct pod *pod, struct error *err);

/* An orderly stop: asked for, not a failure. */
void pod_stop(struct pod *pod);

/* The app's serving generation has ended for good with its exit code. */
void pod_app_ended(struct pod_app *app, int exit_code);

/* The app's generation executes, in a pod that runs already. */
void pod_app_begun(struct pod_app *app);

/* What of its isolators is not enforced, for rkt status. */
void pod_save_ignored(struct pod *pod);

/* Callbacks of a generation that serves: its end is the app's. */
const struct generation_ops *pod_generation_ops(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SUPERVISE_H
#define STAGE1_SUPERVISE_H

/*
 * The pod while it runs: first generations up, then the event loop until the
 * last app has ended.  rkt's exit rule: the first app that fails stops the
 * pod and its code is the pod's; apps that end with 0 stop nobody.
 */

struct pod_app;
struct error;
struct generation;
struct generation_ops;
struct pod;

/* Starts every app; returns when the pod is over, with its exit code, or a
 * negative errno when it could not be started. */
int supervise(struct pod *pod, struct error *err);

/* An orderly stop: asked for, not a failure. */
void pod_stop(struct pod *pod);

/* The app's serving generation has ended for good with its exit code. */
void pod_app_ended(struct pod_app *app, int exit_code);

/* Callbacks of a generation that serves: its end is the app's. */
const struct generation_ops *pod_generation_ops(void);

#endif

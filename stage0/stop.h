/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_STOP_H
#define STAGE0_STOP_H

struct error;
struct pod;

/*
 * Asks the pod's supervisor for an orderly stop; returns when it has begun.
 * -ESRCH when the pod does not run.
 */
int pod_stop(const struct pod *pod, struct error *err);

/*
 * Kills the supervisor; the kernel then kills pod init and with it every
 * process of the pod.
 */
int pod_kill(const struct pod *pod, struct error *err);

#endif

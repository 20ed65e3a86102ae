/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_STOP_H
#define STAGE0_STOP_H

#include <stdbool.h>

struct error;
struct pod;
struct pod_stage1;

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

/*
 * The same by the stop entrypoint of the pod's STAGE1, for one that has no
 * control socket.  -EOPNOTSUPP: it has no such entrypoint.
 */
int pod_stop_by_entrypoint(const struct pod *pod,
			   const struct pod_stage1 *stage1, bool force,
			   const char *libexec_dir, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_POD_WAIT_H
#define CMD_RKT_POD_WAIT_H

/* --wait and --wait-ready. */

#include <stdint.h>

struct error;
struct option_row;
struct pod;

/*
 * Of an option row whose target is an int64_t: a boolean (for ever, or not at
 * all) or a duration.  In nanoseconds, 0 = do not wait, negative = for ever.
 */
int pod_wait_parse(const struct option_row *row, void *target,
		   const char *value, struct error *err);

/*
 * These look until POD has exited, or is ready.  -ETIMEDOUT after TIMEOUT;
 * the latter -ESRCH when the pod exits before.  Whatever is returned, POD may
 * have been opened anew, or be closed if that failed.
 */
int pod_wait_exited(struct pod *pod, int64_t timeout, struct error *err);
int pod_wait_ready(struct pod *pod, int64_t timeout, struct error *err);

#endif

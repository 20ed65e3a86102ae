/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_LOG_STREAMS_H
#define CMD_RKT_API_LOG_STREAMS_H

/* GetLogs: lines of apps' logs, by the reader of `rkt logs`, as fast as the
 * client takes them. */

#include <stdbool.h>

#include "cmd/rkt-api/poll_set.h"

struct log_streams;

struct log_streams *log_streams_new(void);
void log_streams_add_fds(struct log_streams *l, struct poll_set *set);
/* Sends what there is.  PODS_CHANGED: a pod may have ended. */
void log_streams_run(struct log_streams *l, const struct poll_set *set,
		     bool pods_changed);
/* Milliseconds until there is something to do without a descriptor. */
int log_streams_timeout(const struct log_streams *l);

#endif

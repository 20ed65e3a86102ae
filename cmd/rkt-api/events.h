/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_EVENTS_H
#define CMD_RKT_API_EVENTS_H

/*
 * What happens to pods, apps and images, told to who listens (ListenEvents).
 * The kernel tells of changes in the data directory (inotify(7)); what they
 * mean is what stage0/pod_info.h and aci/imagestore.h say then and said
 * before, so nothing is read in two ways, and what comes twice is told once.
 */

#include <stdbool.h>

#include "cmd/rkt-api/poll_set.h"

struct error;
struct events;
struct service;

/* S is borrowed.  What there is already is no event. */
int events_new(const struct service *s, struct events **ret, struct error *err);

void events_add_fds(struct events *e, struct poll_set *set);
/* Looks at what has changed; true if something has. */
bool events_run(struct events *e, const struct poll_set *set);
/* Milliseconds until there is something to do without a descriptor. */
int events_timeout(const struct events *e);

#endif

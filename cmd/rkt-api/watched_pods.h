/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_WATCHED_PODS_H
#define CMD_RKT_API_WATCHED_PODS_H

/* Pods as they were when last looked at. */

#include "cmd/rkt-api/watch_event.h"
#include "stage0/pod.h"

struct service;
struct watched_pods;

struct watched_pods *
watched_pods_new(const struct service *s,
		 void (*tell)(void *data, const struct watch_event *event),
		 void *data);
/* From now on what is found is told. */
void watched_pods_tell(struct watched_pods *p);

/* The pod UUID is in DIR now, or is no more. */
void watched_pods_moved(struct watched_pods *p, const char *uuid,
			enum pod_dir dir);
void watched_pods_removed(struct watched_pods *p, const char *uuid);
/* Something in it has changed; somebody, perhaps its owner, has closed it. */
void watched_pods_changed(struct watched_pods *p, const char *uuid);
void watched_pods_unlocked(struct watched_pods *p, const char *uuid);

/* Looks at those that have changed. */
void watched_pods_look(struct watched_pods *p);
int watched_pods_timeout(const struct watched_pods *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NETNS_H
#define STAGE1_NETNS_H

/*
 * A pod's network namespace: `lo` in it, and the path it is bound at, which
 * lasts until the pod's networks are undone.
 */

#include <stdbool.h>
#include <sys/types.h>

struct error;

#define NETNS_DIR "/run/netns"

/*
 * Brings `lo` up in the network namespace of the caller.  For pod init
 * (needs CAP_NET_ADMIN in it), whatever --net is except host.
 */
int netns_loopback_up(struct error *err);

/* Binds the namespace of process PID, which must not be the host's, at PATH
 * of NETNS_DIR. */
int netns_bind(const char *path, pid_t pid, struct error *err);
void netns_unbind(const char *path);

/* A plugin takes a missing file for a namespace that is gone, but refuses a
 * plain one, as a reboot leaves it where /run is on disk. */
void netns_check(const char *path);

/* True if what is bound at PATH is the namespace NETNS_FD. */
bool netns_is_bound(const char *path, int netns_fd);

#endif

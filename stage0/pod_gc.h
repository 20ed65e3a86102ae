/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_GC_H
#define STAGE0_POD_GC_H

/* Removing pods: one on request, or all that are due. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct pod;
struct pods;

/* stage1's gc for a pod locked by us that ran: what a killed supervisor left
 * of processes, cgroups and networks goes. */
int pod_clean(const struct pod *pod, bool keep_network, const char *libexec_dir,
	      struct error *err);

/*
 * Removes a pod that is locked by us and does not run: stage1's gc (cgroups,
 * networks) if it ever ran, then name and directory.  A kill in between
 * leaves garbage for the next gc.
 */
int pod_delete(struct pod *pod, const char *libexec_dir, struct error *err);

struct pods_gc {
	const char *libexec_dir;
	int64_t grace_ns;	    /* of exited pods since they were marked */
	int64_t expire_prepared_ns; /* of prepared pods */
	bool mark_only;
	/* Told as it happens; NOTICE is for stderr, REMOVED for stdout. */
	void (*notice)(const char *text);
	void (*removed)(const char *uuid);
	void (*failed)(const char *uuid, const struct error *err);
};

/* Returns how many pods could not be removed, or -errno. */
int pods_gc(const struct pods *pods, const struct pods_gc *gc,
	    struct error *err);

#endif

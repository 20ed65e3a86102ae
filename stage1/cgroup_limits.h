/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CGROUP_LIMITS_H
#define STAGE1_CGROUP_LIMITS_H

/* Limits of an app or a pod as what to write in a control group.  Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stage1/cgroup_layout.h"

/* 0 = not limited. */
struct cgroup_limits {
	uint64_t memory_max; /* bytes (resource/memory limit) */
	uint64_t cpu_millis; /* thousandths of a core (resource/cpu limit) */
	uint64_t cpu_shares; /* 2..262144 (os/linux/cpu-shares) */
	uint64_t pids_max;
};

/* One file to write in a group. */
struct cgroup_setting {
	enum cgroup_controller which;
	const char *isolator; /* name for the row when it fails */
	const char *file;
	bool best_effort; /* no row */
	char value[48];
};

#define CGROUP_SETTINGS_MAX 8

/*
 * The files that enforce LIMITS where VERSION[controller] is 1, 2 or 0 (then
 * the setting has file NULL).  Returns how many.  Pure.
 */
size_t cgroup_settings_make(const struct cgroup_limits *limits,
			    const int version[CGROUP_CONTROLLERS],
			    struct cgroup_setting ret[CGROUP_SETTINGS_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CGROUP_LAYOUT_H
#define STAGE1_CGROUP_LAYOUT_H

/*
 * Which control group hierarchies the host has, and which of them has each
 * controller.  Pure: texts in, struct out.
 */

#include <stdbool.h>

enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
	CGROUP_DEVICES, /* v1 only: v2 has a BPF hook instead */
	CGROUP_FREEZER, /* v1 only: part of every v2 group */
	CGROUP_CONTROLLERS
};

/* "memory"; borrows. */
const char *cgroup_controller_name(enum cgroup_controller which);

/* One mounted hierarchy; dir + own is this process' group in it. */
struct cgroup_hierarchy {
	int version;	/* 1, 2, or 0: not available */
	bool read_only; /* mounted so */
	char *dir;	/* absolute: the top of the hierarchy we can see */
	char *own;	/* "" or "/a/b", relative to dir */
};

struct cgroup_layout {
	struct cgroup_hierarchy unified; /* cgroup2, controllers or not */
	struct cgroup_hierarchy named;	 /* v1 name=systemd */
	struct cgroup_hierarchy controller[CGROUP_CONTROLLERS];
};

/*
 * Reads /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)) as
 * texts.  Lines that make no sense are passed over.  Controllers that are on
 * v2 are not known before cgroup_layout_add_v2().
 */
void cgroup_layout_parse(struct cgroup_layout *ret, const char *mountinfo,
			 const char *self_cgroup);

/*
 * The same without the host's mounts, which are listed slowly where there are
 * many: true if every hierarchy SELF_CGROUP names is where systemd and the
 * distributions mount it (/sys/fs/cgroup, and below it `unified` and the
 * controllers' names) and IS_AT says so for its directory there: VERSION of
 * the mount, writable, our own group DIR + OWN in it.  Else RET is empty.
 */
bool cgroup_layout_usual(struct cgroup_layout *ret, const char *self_cgroup,
			 bool (*is_at)(int version, const char *dir,
				       const char *own));

/* CONTROLLERS: text of a cgroup.controllers file of the unified tree. */
void cgroup_layout_add_v2(struct cgroup_layout *layout,
			  const char *controllers);

void cgroup_layout_release(struct cgroup_layout *layout);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_PLAN_H
#define STAGE1_PLAN_H

/*
 * What to do for one generation of one app, decided from manifests alone:
 * no file is opened and nothing in the system is asked.  The plan is plain
 * data; app_process.c and rootfs.c carry it out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strv.h"
#include "spec/mount.h"
#include "spec/stdio_mode.h"
#include "stage1/cgroup.h"
#include "stage1/seccomp.h"

struct error;
struct pod_manifest;
struct runtime_app;

/* A volume at its place in the app. */
struct app_mount {
	char *volume;	/* name */
	char *source;	/* host: absolute path; NULL = empty volume */
	char *sub_path; /* of the volume; NULL = all of it */
	char *target;	/* absolute, cleaned */
	bool read_only;
	bool recursive;
	enum mount_propagation propagation;
	bool in_memory; /* memory_volumes.h has made it */
	bool is_secret; /* one of those, a file */
	/* Of an empty volume. */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct app_plan {
	char *name;
	struct strv exec;
	struct strv env;
	char *working_directory;
	char *user, *group;
	gid_t *gids;
	size_t n_gids;
	enum stdio_mode stdio[3];
	struct strv pre_start; /* empty = no handler */
	struct strv post_stop;
	bool read_only_rootfs;
	struct app_mount *mounts; /* parents before children */
	size_t n_mounts;
	uint64_t caps; /* bounding set */
	bool no_new_privs;
	/* rkt: a filter, if only the default one, forces no_new_privs on apps
	 * that do not run as root. */
	bool is_filtered;
	struct seccomp_request seccomp; /* borrows from the manifest */
	bool has_oom_score_adj;
	int oom_score_adj;
	struct cgroup_limits limits;
	struct strv ignored; /* "NAME: REASON" of isolators not enforced */
};

#define APP_PLAN_INIT                                                          \
	{                                                                      \
		0                                                              \
	}

struct plan_options {
	char *metadata_url; /* NULL: not served */
	/* What --insecure-options switched off. */
	bool insecure_capabilities;
	bool insecure_paths;
	bool insecure_seccomp;
};

/*
 * The plan of APP in POD (already reified by stage0).  Borrows from both:
 * they must outlive it.  -EINVAL names what cannot be run.
 */
int app_plan_make(const struct pod_manifest *pod, const struct runtime_app *app,
		  const struct plan_options *options, struct app_plan *ret,
		  struct error *err);
void app_plan_release(struct app_plan *plan);

/* net.* keys of the pod's os/unix/sysctl isolator as "net/x/y=value" in RET;
 * the others as rows in IGNORED. */
void sysctl_plan_make(const struct pod_manifest *pod, bool host_net,
		      struct strv *ret, struct strv *ignored);

/* Limits of the pod's own isolators; rows for the rest. */
int pod_limits_make(const struct pod_manifest *pod, struct cgroup_limits *ret,
		    struct strv *ignored, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CGROUP_REMOVE_H
#define STAGE1_CGROUP_REMOVE_H

/* Ending what is in control groups and taking the groups away. */

#include <stdbool.h>

struct error;
struct strv;

/* The directory that holds the pods' groups in each hierarchy. */
#define CGROUP_PARENT "rkt"

/* 1 or 2 if FD lies on such a file system, else 0. */
int cgroup_fs_version(int fd);

/* Writes VALUE into FILE of the group DIRFD; 0 or -errno. */
int cgroup_write_at(int dirfd, const char *file, const char *value);

/* 0 if PATH is absolute, clean and ends in "/rkt/UUID"; else -EINVAL. */
int cgroup_path_check(const char *path);

/*
 * SIGKILL to every process in the group and below it: cgroup.kill (Linux
 * 5.14) or, frozen where it can be, one by one until none is left.
 */
int cgroup_kill_at(int dirfd);

/*
 * Removes the group NAME in DIR with those below it, waiting up to
 * TIMEOUT_MS for processes that are just ending (-EBUSY).  A missing one is
 * success.
 */
int cgroup_rmdir(const char *dir, const char *name, int timeout_ms);

/*
 * Kills what is left, removes the pod directories DIRS and, when empty, the
 * `rkt` above each.  Lines that do not look like a pod's cgroup directory
 * are refused (-EINVAL).  All are tried; the first failure is returned.
 */
int cgroup_remove_dirs(const struct strv *dirs, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FILE_ROOT_H
#define STAGE0_FILE_ROOT_H

/*
 * Files of the host and of apps, for copying.  Those of an app that runs are
 * found by a process in its mount namespace, which executes nothing: symbolic
 * links end in the app whatever it does to them meanwhile, and its volumes are
 * there, read-only where they are.  What comes back are descriptors.
 */

#include <limits.h>
#include <stdbool.h>

#include "spec/user_range.h"

struct error;
struct pod;
struct treestore;

struct file_root {
	int root;   /* O_PATH; negative: the root of the process of pidfd */
	int pidfd;  /* an app's main process */
	int userns; /* negative: the host's */
	bool is_app;
	/* Owners of files are these of the pod's; count 0: as they are. */
	struct user_range users;
};

#define FILE_ROOT_INIT                                                         \
	{                                                                      \
		.root = -1, .pidfd = -1, .userns = -1                          \
	}

int file_root_open_host(struct file_root *ret, struct error *err);

/*
 * Of APP, whose pod runs, or has exited and stays locked: the image with what
 * the app left then, to read only, without volumes.  -ESRCH: the app has no
 * process.
 */
int file_root_open_app(const struct pod *pod, const char *app,
		       const struct treestore *trees, struct file_root *ret,
		       struct error *err);
void file_root_close(struct file_root *root);
#define cleanup_file_root __attribute__((__cleanup__(file_root_close)))

/* Opens PATH, absolute, O_PATH; a symbolic link itself unless FOLLOW. */
int file_root_find(const struct file_root *root, const char *path, bool follow,
		   int *ret_fd, struct error *err);

/* Where files are to go. */
struct file_target {
	/* Of the directory, detached, with all that is mounted below it. */
	int mount;
	/* In that directory; "": PATH is the directory. */
	char name[NAME_MAX + 1];
	bool exists; /* NAME does, and is no directory */
};

#define FILE_TARGET_INIT                                                       \
	{                                                                      \
		.mount = -1                                                    \
	}

/* Follows symbolic links.  -ENOENT: no directory is there that PATH would be
 * in. */
int file_root_find_target(const struct file_root *root, const char *path,
			  struct file_target *ret, struct error *err);

#endif
